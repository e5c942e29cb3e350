package main

import (
	"fmt"

	"github.com/orbweaver/orbweaver/crawler"
)

// loginSetting is a crawler.FormLogin.
type loginSetting struct {
	URL     string            `yaml:"url"`
	Form    string            `yaml:"form"`
	Fields  map[string]string `yaml:"fields"`
	Extra   map[string]string `yaml:"extra"`
	Submit  string            `yaml:"submit"`
	Origins []string          `yaml:"origins"`
	Success signsSetting      `yaml:"success"`
	Ended   signsSetting      `yaml:"ended"`
	Tries   positive          `yaml:"tries"`
}

// signsSetting are crawler.LoginSigns.
type signsSetting struct {
	Selector string `yaml:"selector"`
	Missing  string `yaml:"missing"`
	Cookie   string `yaml:"cookie"`
	Status   []int  `yaml:"status"`
	Redirect string `yaml:"redirect"`
}

func (l *loginSetting) form(resolve resolver) (f crawler.FormLogin, err error) {
	f = crawler.FormLogin{
		URL: l.URL, Form: l.Form, Submit: l.Submit, Origins: l.Origins, Tries: int(l.Tries),
		Success: crawler.LoginSigns(l.Success), Ended: crawler.LoginSigns(l.Ended),
	}
	if f.Fields, err = resolveAll(l.Fields, resolve); err != nil {
		return f, fmt.Errorf("fields: %w", err)
	}
	if f.Extra, err = resolveAll(l.Extra, resolve); err != nil {
		return f, fmt.Errorf("extra: %w", err)
	}
	return f, f.Validate()
}

func resolveAll(texts map[string]string, resolve resolver) (values map[string]string, err error) {
	for name, text := range texts {
		if values == nil {
			values = make(map[string]string, len(texts))
		}
		if values[name], err = resolve(text); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return values, nil
}
