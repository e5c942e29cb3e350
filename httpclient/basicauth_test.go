package httpclient

import (
	"encoding/base64"
	"fmt"
	"testing"
)

func TestBasicAuthHeader(t *testing.T) {
	for _, tc := range []struct {
		auth  BasicAuth
		plain string // what is under the base64; "": refused
	}{
		{BasicAuth{Login: "user", Password: "pass:word"}, "user:pass:word"},
		{BasicAuth{Login: "user"}, "user:"},
		{BasicAuth{Login: "jürgen", Password: "geheim"}, "j\xfcrgen:geheim"},
		{BasicAuth{Login: "jürgen", Password: "€", Charset: "utf-8"}, "jürgen:€"},
		{BasicAuth{Login: "jürgen", Password: "€"}, ""},
		{BasicAuth{Login: "a:b"}, ""},
		{BasicAuth{Login: "a", Charset: "koi8-r"}, ""},
	} {
		header, err := tc.auth.Header()
		if tc.plain == "" {
			if err == nil {
				t.Errorf("%+v: %q, want an error", tc.auth, header)
			}
			continue
		}
		if want := "Basic " + base64.StdEncoding.EncodeToString([]byte(tc.plain)); err != nil || header != want {
			t.Errorf("%+v: %q, %v; want %q", tc.auth, header, err, want)
		}
		again, err := ParseBasicAuth(header)
		if err != nil || again.Login != tc.auth.Login || again.Password != tc.auth.Password {
			t.Errorf("%q parsed: %+v, %v; want %+v", header, again, err, tc.auth)
		}
		if back, err := again.Header(); err != nil || back != header && tc.auth.Charset != "" {
			t.Errorf("%q parsed and made again: %q, %v", header, back, err)
		}
	}
}

func TestParseBasicAuthErrors(t *testing.T) {
	for _, header := range []string{
		"", "Basic", "Basic !", "Bearer dTpw", "dTpw", "Basic dXNlcg==" /* no colon */, "Basicx dTpw",
	} {
		if a, err := ParseBasicAuth(header); err == nil {
			t.Errorf("%q: %+v, want an error", header, a)
		}
	}
	if a, err := ParseBasicAuth("  bAsIc   dTpw "); err != nil || a.Login != "u" || a.Password != "p" {
		t.Errorf("odd spacing and case: %+v, %v", a, err)
	}
}

func TestBasicAuthFromURL(t *testing.T) {
	for raw, want := range map[string]string{
		"http://u:p@example.org/":            "u p true",
		"http://u@example.org/":              "u  true",
		"http://:p@example.org/":             " p true",
		"http://j%C3%BC:a%3Ab@example.org/":  "jü a:b true",
		"http://example.org/":                "false",
		"http://@example.org/":               "false",
		"http://example.org/path?u:p@x#u:p@": "false",
	} {
		a, ok := BasicAuthFromURL(mustURL(t, raw))
		got := fmt.Sprint(ok)
		if ok {
			got = fmt.Sprintf("%s %s %t", a.Login, a.Password, ok)
		}
		if got != want || ok != (a != nil) {
			t.Errorf("%s: %s, want %s", raw, got, want)
		}
	}
}
