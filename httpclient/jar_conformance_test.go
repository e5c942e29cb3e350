package httpclient

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

func readTestdata(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/http-state/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func mustURL(t testing.TB, raw string) *url.URL {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// TestJarHTTPState runs the parser tests of the working group that wrote RFC 6265.
func TestJarHTTPState(t *testing.T) {
	type pair struct{ Name, Value string }
	var cases []struct {
		Test     string
		Received []string
		Sent     []pair
		SentTo   string `json:"sent-to"`
	}
	if err := json.Unmarshal(readTestdata(t, "parser.json"), &cases); err != nil {
		t.Fatal(err)
	}
	clock := time.Date(2012, 1, 1, 0, 0, 0, 0, time.UTC) // among the dates that the cases use
	passed, disabled := 0, 0
	for _, c := range cases {
		if strings.HasPrefix(c.Test, "DISABLED") {
			disabled++
			continue
		}
		jar := NewCookieJar(JarConfig{Now: func() time.Time { return clock }})
		id := strings.ToLower(c.Test)
		from := mustURL(t, "http://home.example.org:8888/cookie-parser?"+id)
		to := mustURL(t, "http://home.example.org:8888/cookie-parser-result?"+id)
		if c.SentTo != "" {
			to = to.ResolveReference(mustURL(t, c.SentTo))
		}
		jar.SetFromHeader(from, c.Received)
		var want []string
		for _, p := range c.Sent {
			want = append(want, p.Name+"="+p.Value)
		}
		got := string(jar.AppendHeader(nil, to))
		if got != strings.Join(want, "; ") {
			t.Errorf("%s: received %q, sent %q, want %q", c.Test, c.Received, got, strings.Join(want, "; "))
			continue
		}
		passed++
	}
	t.Logf("%d of %d enabled cases agree, %d are disabled upstream", passed, len(cases)-disabled, disabled)
	if len(cases) != 222 || disabled != 4 {
		t.Errorf("%d cases and %d disabled ones read, the file has 222 and 4", len(cases), disabled)
	}
}

func TestCookieDateHTTPState(t *testing.T) {
	type dateCase struct {
		Test     string
		Expected *string
	}
	// Comments, and commas before the closing brackets.
	loose := strings.NewReplacer("\t", " ").Replace(string(readTestdata(t, "dates-bsd.json")))
	loose = regexp.MustCompile(`(?m)^\s*//.*$`).ReplaceAllString(loose, "")
	loose = regexp.MustCompile(`,(\s*[}\]])`).ReplaceAllString(loose, "$1")
	for file, text := range map[string]string{
		"dates.json":     string(readTestdata(t, "dates.json")),
		"dates-bsd.json": loose,
	} {
		var cases []dateCase
		if err := json.Unmarshal([]byte(text), &cases); err != nil {
			t.Fatal(file, err)
		}
		passed := 0
		for _, c := range cases {
			got := "none"
			if date, ok := parseCookieDate(c.Test); ok {
				got = date.Format(http.TimeFormat)
			}
			want := "none"
			if c.Expected != nil {
				want = *c.Expected
			}
			if got != want {
				t.Errorf("%s: %q is %s, want %s", file, c.Test, got, want)
				continue
			}
			passed++
		}
		if len(cases) < 10 {
			t.Errorf("%s: only %d cases", file, len(cases))
		}
		t.Logf("%s: %d of %d dates agree", file, passed, len(cases))
	}
}
