package main

import (
	"encoding"
	"fmt"
	"strings"
	"testing"
)

func TestValuesThatAreRead(t *testing.T) {
	tests := []struct {
		value      encoding.TextUnmarshaler
		text, want string
	}{
		{new(count), "0", "0"},
		{new(count), "10_000", "10000"},
		{new(positive), "1", "1"},
		{new(rate), "0.5", "0.5"},
		{new(rate), "0", "0"},
		{new(duration), "90s", "1m30s"},
		{new(duration), "0s", "0s"},
		{new(span), "0s", "0s"},
		{new(span), "36h", "1d12h0m0s"},
		{new(span), "30d", "30d"},
		{new(span), "1d12h", "1d12h0m0s"},
		{new(revisitRange), "off", "off"},
		{new(revisitRange), "30d", "30d"},
		{new(revisitRange), "1h..30d", "1h0m0s..30d"},
		{new(revisitRange), "90s..36h", "1m30s..1d12h0m0s"},
		{new(size), "1", "1"},
		{new(size), "1001", "1001"},
		{new(size), "500k", "500kB"},
		{new(size), "500 KB", "500kB"},
		{new(size), "10MB", "10MB"},
		{new(size), "1GiB", "1GiB"},
		{new(size), "1.5Mi", "1536KiB"},
		{new(size), "2T", "2000GB"},
		{new(pattern), `/a.*\.html$`, `/a.*\.html$`},
		{new(headerField), "accept-language:  de ", "Accept-Language: de"},
		{new(headerField), "X-Empty:", "X-Empty: "},
		{new(headerField), "Referer: http://a/b:c", "Referer: http://a/b:c"},
		{new(proxyURL), "http://u:p@proxy:3128", "http://u:p@proxy:3128"},
		{new(proxyURL), "socks5://[::1]:1080", "socks5://[::1]:1080"},
		{new(proxyURL), "", ""},
		{new(proxyPolicy), "round-robin", "round-robin"},
		{new(filePath), "", ""},
		{new(filePath), "/a/../b", "/b"},
		{new(cookiePlace), "", ""},
		{new(cookiePlace), "none", "none"},
		{new(cookiePlace), "job", "job"},
		{new(cookiePlace), "/a/jar.txt", "/a/jar.txt"},
		{new(scopeKind), "domain", "domain"},
		{new(robotsMode), "ignore", "ignore"},
	}
	for _, tt := range tests {
		if err := tt.value.UnmarshalText([]byte(tt.text)); err != nil {
			t.Errorf("%T %q: %v", tt.value, tt.text, err)
			continue
		}
		got := fmt.Sprint(deref(tt.value))
		if got != tt.want {
			t.Errorf("%T %q prints %q, want %q", tt.value, tt.text, got, tt.want)
		}
		if err := tt.value.UnmarshalText([]byte(got)); err != nil {
			t.Errorf("%T does not read what it prints, %q: %v", tt.value, got, err)
		}
	}
}

// deref returns what keep gets to print: the value, not the pointer.
func deref(v any) any {
	switch v := v.(type) {
	case *count:
		return *v
	case *positive:
		return *v
	case *rate:
		return *v
	case *duration:
		return *v
	case *span:
		return *v
	case *revisitRange:
		return *v
	case *size:
		return *v
	case *pattern:
		return *v
	case *headerField:
		return *v
	case *proxyPolicy:
		return *v
	case *proxyURL:
		return *v
	case *filePath:
		return *v
	case *cookiePlace:
		return *v
	case *scopeKind:
		return *v
	case *robotsMode:
		return *v
	}
	panic(fmt.Sprintf("no case for %T", v))
}

func TestValuesThatAreRefused(t *testing.T) {
	tests := []struct {
		value      encoding.TextUnmarshaler
		text, hint string
	}{
		{new(count), "-1", "whole number from 0 up"},
		{new(count), "many", "whole number from 0 up"},
		{new(count), "99999999999999999999", "whole number"},
		{new(positive), "0", "whole number from 1 up"},
		{new(positive), "3000000000", "whole number"},
		{new(rate), "-0.1", "from 0 up"},
		{new(rate), "NaN", "from 0 up"},
		{new(rate), "Inf", "from 0 up"},
		{new(duration), "2", "write 500ms"},
		{new(duration), "-1s", "write 500ms"},
		{new(size), "0", "10MB"},
		{new(size), "-1k", "10MB"},
		{new(size), "10 parsecs", "10MB"},
		{new(size), "k", "10MB"},
		{new(size), "9e30", "10MB"},
		{new(size), "NaN", "10MB"},
		{new(size), "1kk", "10MB"},
		{new(pattern), "[", "missing closing ]"},
		{new(pattern), "", "write ."},
		{new(headerField), "no colon", "Name: value"},
		{new(headerField), "bad name: x", "Name: value"},
		{new(headerField), "X: a\r\nY: b", "Name: value"},
		{new(headerField), ": x", "Name: value"},
		{new(proxyURL), "proxy:3128", "http://host:port"},
		{new(proxyURL), "ftp://proxy", "http://host:port"},
		{new(proxyURL), "://", "http://host:port"},
		{new(proxyPolicy), "stiky", "did you mean sticky?"},
		{new(scopeKind), "hots", "did you mean host?"},
		{new(robotsMode), "yes", "obey, ignore"},
	}
	for _, tt := range tests {
		err := tt.value.UnmarshalText([]byte(tt.text))
		if err == nil || !strings.Contains(err.Error(), tt.hint) {
			t.Errorf("%T %q: %v, want %q in the error", tt.value, tt.text, err, tt.hint)
		}
	}
}

func TestNearest(t *testing.T) {
	names := []string{"max-pages", "max-depth", "max-time", "delay", "rate"}
	tests := []struct{ word, want string }{
		{"max-page", "max-pages"},
		{"maxpages", "max-pages"},
		{"max-dpeth", "max-depth"},
		{"dely", "delay"},
		{"rat", "rate"},
		{"concurrency", ""},
		{"", ""},
	}
	for _, tt := range tests {
		if got := nearest(tt.word, names); got != tt.want {
			t.Errorf("nearest(%q) = %q, want %q", tt.word, got, tt.want)
		}
	}
}

func FuzzSize(f *testing.F) {
	for _, text := range []string{"10MB", "512k", "1GiB", "1.5Mi", "1e3", "0x10", " 7 ", "9223372036854775807"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var s, again size
		if s.UnmarshalText([]byte(text)) != nil {
			return
		}
		if s < 1 {
			t.Fatalf("%q is read as %d", text, s)
		}
		if err := again.UnmarshalText([]byte(s.String())); err != nil {
			t.Fatalf("%q prints %q: %v", text, s, err)
		}
		// Numbers above 2^53 are read to the nearest that a float64 has.
		if s < 1<<53 && again != s {
			t.Fatalf("%q prints %q, which is read as %d, not %d", text, s, again, s)
		}
	})
}
