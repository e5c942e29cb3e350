package main

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestCookiesInAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cookies.txt")
	u := &url.URL{Scheme: "http", Host: "127.0.0.1:8080", Path: "/"}

	first, err := openCookies(path, "")
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the new file: %v, %v; want it private", info, err)
	}
	first.jar.SetFromHeader(u, []string{"a=1; Max-Age=3600", "b=2"})
	if err := first.save(); err != nil {
		t.Fatal(err)
	}

	second, err := openCookies(path, "")
	if err != nil {
		t.Fatal(err)
	}
	if got := string(second.jar.AppendHeader(nil, u)); got != "a=1; b=2" {
		t.Errorf("cookies read back: %q", got)
	}
}

func TestNoCookies(t *testing.T) {
	for _, where := range []string{"none", "", "memory"} {
		c, err := openCookies(where, "")
		if err != nil || (c.jar == nil) != (where != "memory") || c.path != "" {
			t.Errorf("%q: %+v, %v", where, c, err)
		}
		if err := c.save(); err != nil {
			t.Errorf("%q: save: %v", where, err)
		}
	}
}

func TestCookieFileThatIsNone(t *testing.T) {
	for name, path := range map[string]string{
		"other contents": write(t, "x", "no cookies\n"),
		"a directory":    t.TempDir(),
		"nowhere":        "/nowhere/cookies.txt",
	} {
		_, err := openCookies(path, "")
		if line, status := diagnose(err); err == nil || status != exitUsage || !strings.HasPrefix(line, "--cookies: ") {
			t.Errorf("%s: %q, %d", name, line, status)
		}
	}
}

func TestKeepSaving(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cookies.txt")
	c, err := openCookies(path, "")
	if err != nil {
		t.Fatal(err)
	}
	c.jar.SetFromHeader(&url.URL{Scheme: "http", Host: "example.org", Path: "/"}, []string{"a=1"})
	var problems []string
	synctest.Test(t, func(t *testing.T) {
		stop := make(chan struct{})
		over := make(chan struct{})
		go func() {
			defer close(over)
			c.keepSaving(stop, func(line string) { problems = append(problems, line) })
		}()
		time.Sleep(cookieInterval + time.Second)
		if text, err := os.ReadFile(path); err != nil || !strings.Contains(string(text), "example.org") {
			t.Errorf("after %v the file holds %q, %v", cookieInterval, text, err)
		}
		close(stop)
		<-over
	})
	if len(problems) > 0 {
		t.Errorf("problems: %q", problems)
	}
}
