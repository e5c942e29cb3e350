package main

import (
	"fmt"
	"net/http"
	"time"

	"github.com/orbweaver/orbweaver/crawler"
)

// siteSetting is an element of the section "sites": a crawler.Site as a file
// writes it.
type siteSetting struct {
	Host      []string            `yaml:"host"`
	Delay     *duration           `yaml:"delay"`
	PerHost   positive            `yaml:"per-host"`
	MaxPages  count               `yaml:"max-pages"`
	MaxBytes  size                `yaml:"max-bytes"`
	MaxTime   duration            `yaml:"max-time"`
	Header    map[string][]string `yaml:"header"`
	Auth      *authSetting        `yaml:"auth"`
	Login     *loginSetting       `yaml:"login"`
	UserAgent string              `yaml:"user-agent"`
	Robots    robotsMode          `yaml:"robots"`
	NoFollow  bool                `yaml:"no-follow"`
	Rules     []crawler.Rule      `yaml:"rules"`
}

// authSetting is a crawler.Auth.
type authSetting struct {
	Origin []string `yaml:"origin"`
	Basic  *struct {
		User     string `yaml:"user"`
		Password string `yaml:"password"`
	} `yaml:"basic"`
	Bearer string `yaml:"bearer"`
}

func (a *authSetting) auth(resolve resolver) (auth *crawler.Auth, err error) {
	auth = &crawler.Auth{Origins: a.Origin}
	if a.Basic != nil {
		if auth.User, err = resolve(a.Basic.User); err != nil {
			return nil, fmt.Errorf("user: %w", err)
		}
		if auth.Password, err = resolve(a.Basic.Password); err != nil {
			return nil, fmt.Errorf("password: %w", err)
		}
	}
	if auth.Bearer, err = resolve(a.Bearer); err != nil {
		return nil, fmt.Errorf("bearer: %w", err)
	}
	return auth, nil
}

// site is s as the crawler takes it.
func (s *siteSetting) site(resolve resolver) (site crawler.Site, err error) {
	site = crawler.Site{
		Hosts: s.Host, PerHost: int(s.PerHost), MaxPages: int64(s.MaxPages), MaxBytes: int64(s.MaxBytes),
		MaxTime: time.Duration(s.MaxTime), UserAgent: s.UserAgent, IgnoreRobots: s.Robots == robotsIgnore,
		NoFollow: s.NoFollow, Rules: s.Rules,
	}
	if s.Delay != nil {
		if site.Delay = time.Duration(*s.Delay); site.Delay == 0 {
			site.Delay = crawler.NoDelay
		}
	}
	for name, values := range s.Header {
		if site.Header == nil {
			site.Header = http.Header{}
		}
		for _, v := range values {
			site.Header.Add(name, v)
		}
	}
	if s.Auth != nil {
		if site.Auth, err = s.Auth.auth(resolve); err != nil {
			return site, fmt.Errorf("auth: %w", err)
		}
	}
	if s.Login != nil {
		form, err := s.Login.form(resolve)
		if err != nil {
			return site, fmt.Errorf("login: %w", err)
		}
		site.Login = form.Login()
	}
	return site, nil
}

// Validate says what is wrong with the setting.
func (s *siteSetting) Validate() error {
	site, err := s.site(unresolved)
	if err != nil {
		return err
	}
	return site.Validate()
}
