package main

import (
	"strings"
	"testing"
)

func TestRedacted(t *testing.T) {
	for field, want := range map[string]string{
		"Authorization: Basic eDp5":    "Authorization: [redacted]",
		"proxy-authorization:Bearer x": "proxy-authorization: [redacted]",
		"Cookie: a=b":                  "Cookie: [redacted]",
		"X-Api-Key: x":                 "X-Api-Key: [redacted]",
		"Accept-Language: de":          "Accept-Language: de",
		"Bearer abc":                   "Bearer [redacted]",
		"abc":                          "abc",
	} {
		if got := redactedHeader(field); got != want {
			t.Errorf("%q is shown as %q, want %q", field, got, want)
		}
	}
	for u, want := range map[string]string{
		"http://127.0.0.1:8080":           "http://127.0.0.1:8080",
		"socks5://user:p%40ss@proxy:1080": "socks5://[redacted]@proxy:1080",
		"http://user:p@ss@proxy:1080":     "http://[redacted]@proxy:1080",
		"user:pass@proxy":                 "[redacted]@proxy",
		"user:a://b@proxy":                "[redacted]@proxy",
		"":                                "",
	} {
		if got := redactedProxy(u); got != want {
			t.Errorf("%q is shown as %q, want %q", u, got, want)
		}
	}
}

func TestRedactedSites(t *testing.T) {
	kept := keptSettings{"sites": {"- host: a.example\n  header:\n    Authorization: Bearer hush\n    X-Api-Key: [hush, hush]\n    Accept: text/html\n  delay: 2s\n"}}
	shown := kept.redacted()["sites"][0]
	if strings.Contains(shown, "hush") || strings.Count(shown, redaction) != 2 {
		t.Errorf("shown is %s", shown)
	}
	for _, rest := range []string{"a.example", "text/html", "2s"} {
		if !strings.Contains(shown, rest) {
			t.Errorf("%q is not shown in %s", rest, shown)
		}
	}
	if shown := (keptSettings{"sites": {"a: [hush"}}).redacted()["sites"][0]; shown != redaction {
		t.Errorf("what cannot be read is shown: %s", shown)
	}
}
