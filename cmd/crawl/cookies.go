package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/orbweaver/orbweaver/httpclient"
)

// Where cookies are kept, besides the name of a file.
const (
	cookiesNone   = "none"
	cookiesMemory = "memory"
	cookiesJob    = "job"
)

// cookiePlace is one of these words, or the name of a file.
type cookiePlace string

func (p *cookiePlace) UnmarshalText(text []byte) error {
	for _, word := range []string{cookiesNone, cookiesMemory, cookiesJob} {
		if string(text) != word && strings.EqualFold(string(text), word) {
			return fmt.Errorf("%q is nearly %s: write that, or ./%[1]s for a file", text, word)
		}
	}
	*p = cookiePlace(text)
	return nil
}

// String is the word, or the file as it is called from any directory.
func (p cookiePlace) String() string {
	switch p {
	case cookiesNone, cookiesMemory, cookiesJob:
		return string(p)
	}
	return absolute(string(p))
}

// cookies are those of a run, and where they go.
type cookies struct {
	jar   *httpclient.Jar // nil: none are kept
	inJob bool            // the crawler keeps them in the job
	path  string          // of the file; "": none
	json  bool            // the file is in JSON lines, and not in Netscape's format
}

// openCookies returns what --cookies asks for, with the cookies of the file from,
// unless that is "". A file of cookies that is missing is made when they are saved.
func openCookies(where, from string) (cookies, error) {
	c, err := openJar(where)
	if err != nil || from == "" {
		return c, err
	}
	if c.jar == nil {
		return c, &failure{exitUsage, errors.New("--cookies-from: no cookies are kept"), "add --cookies job or --cookies memory"}
	}
	if err := c.jar.LoadFile(from); err != nil {
		return c, &failure{exitUsage, fmt.Errorf("--cookies-from: %w", err), "name a file in the format of cookies.txt, or of JSON lines"}
	}
	return c, nil
}

func openJar(where string) (c cookies, err error) {
	if where == cookiesNone || where == "" {
		return c, nil
	}
	// Who crawls a host by its address and keeps cookies wants those of that host.
	c.jar = httpclient.NewCookieJar(httpclient.JarConfig{AllowIP: true})
	switch where {
	case cookiesJob:
		c.inJob = true
		return c, nil
	case cookiesMemory:
		return c, nil
	}
	c.path = where
	text, err := os.ReadFile(c.path)
	if errors.Is(err, fs.ErrNotExist) {
		return c, c.save() // to find out now whether it can be written
	}
	if err != nil {
		return c, badCookies(err)
	}
	load := c.jar.LoadNetscape
	if c.json = bytes.HasPrefix(bytes.TrimSpace(text), []byte("{")); c.json {
		load = c.jar.Load
	}
	if err := load(bytes.NewReader(text)); err != nil {
		return c, badCookies(fmt.Errorf("%s: %w", c.path, err))
	}
	return c, nil
}

func badCookies(err error) error {
	return &failure{exitUsage, fmt.Errorf("--cookies: %w", err), "name a file in the format of cookies.txt or of JSON lines, or say none, memory or job"}
}

// save writes the file, if there is one.
func (c cookies) save() error {
	if c.path == "" {
		return nil
	}
	err := writeFile(c.path, 0o600, func(w io.Writer) error {
		if c.json {
			return c.jar.Save(w)
		}
		return c.jar.SaveNetscape(w)
	})
	if err != nil {
		return badCookies(err)
	}
	return nil
}

// cookieInterval is how old the file can be when a crawl is killed.
const cookieInterval = 30 * time.Second

// keepSaving saves now and then until stop is closed.
func (c cookies) keepSaving(stop <-chan struct{}, problem func(string)) {
	if c.path == "" {
		return
	}
	ticker := time.NewTicker(cookieInterval)
	defer ticker.Stop()
	for {
		select {
		case <-stop:
			return
		case <-ticker.C:
			if err := c.save(); err != nil {
				problem(oneLine(err.Error()))
			}
		}
	}
}
