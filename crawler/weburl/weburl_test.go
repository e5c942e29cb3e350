package weburl

import (
	"errors"
	"strings"
	"testing"
)

func mustParse(t testing.TB, raw string) URL {
	t.Helper()
	u, err := Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestParse(t *testing.T) {
	for raw, want := range map[string]string{
		"http://example.org":                       "http://example.org/",
		" \x01http://example.org/a b\n":            "http://example.org/a%20b",
		"HTTP://EXAMPLE.org:80/":                   "http://example.org/",
		"https://example.org:00443/":               "https://example.org/",
		"https://example.org:0080/":                "https://example.org:80/",
		"https://example.org:0/":                   "https://example.org:0/",
		"http://example.org:443/":                  "http://example.org:443/",
		"http:example.org":                         "http://example.org/",
		"http:\\\\example.org\\a\\..\\b":           "http://example.org/b",
		"http://example.org/#top":                  "http://example.org/",
		"http://example.org/a#b?c":                 "http://example.org/a",
		"http://example.org#x":                     "http://example.org/",
		"http://example.org/?":                     "http://example.org/",
		"http://example.org/?#":                    "http://example.org/",
		"http://example.org?":                      "http://example.org/",
		"http://example.org?q":                     "http://example.org/?q",
		"http://example.org/??":                    "http://example.org/??",
		"http://example.org/%7ejoe/%41%2D%2e%5F":   "http://example.org/~joe/A-._",
		"http://example.org/a%2fb%c3%a9":           "http://example.org/a%2Fb%C3%A9",
		"http://example.org/?q=%7e%2b+%20%3d":      "http://example.org/?q=~%2B+%20%3D",
		"http://example.org/é?é":                   "http://example.org/%C3%A9?%C3%A9",
		"http://example.org/\xe9?\xe9":             "http://example.org/%E9?%E9",
		"http://example.org/100%":                  "http://example.org/100%",
		"http://example.org/%zz%4":                 "http://example.org/%zz%4",
		"http://example.org/%%34%31":               "http://example.org/%%341",
		"http://example.org/%4%31":                 "http://example.org/%4%31",
		"http://example.org/%25%34%31":             "http://example.org/%2541",
		"http://example.org/%%7e":                  "http://example.org/%~",
		"http://example.org/?a='b'":                "http://example.org/?a=%27b%27",
		"http://example.org/a'b":                   "http://example.org/a'b",
		"http://example.org/a^b?a^b":               "http://example.org/a%5Eb?a^b",
		"http://example.org/a/%2e/b/%2E%2e/c/.%2e": "http://example.org/a/",
		"http://example.org/a/%2e":                 "http://example.org/a/",
		"http://example.org/../../a":               "http://example.org/a",
		"http://example.org/a//../b":               "http://example.org/a/b",
		"http://example.org/...":                   "http://example.org/...",
		"http://example.org//a":                    "http://example.org//a",
		"http://example.org./":                     "http://example.org/",
		"http://example.org.:8080/":                "http://example.org:8080/",
		"http://./":                                "http://./",
		"http://a../":                              "http://a../",
		"http://1.2.3.4./":                         "http://1.2.3.4/",
		"http://0x7f.1/":                           "http://127.0.0.1/",
		"http://2130706433/":                       "http://127.0.0.1/",
		"http://[::0001]:80/":                      "http://[::1]/",
		"http://[::FFFF:1.2.3.4]/":                 "http://[::ffff:102:304]/",
		"http://user:pa%7ess@example.org/":         "http://user:pa~ss@example.org/",
		"http://:@example.org/":                    "http://example.org/",
		"http://a@b@example.org/":                  "http://a%40b@example.org/",
		"http://Bücher.example/":                   "http://xn--bcher-kva.example/",
		"http://b%C3%BCcher.example/":              "http://xn--bcher-kva.example/",
		"http://ex%61mple.org/":                    "http://example.org/",
		"http://example.org\t/a\r\nb":              "http://example.org/ab",
		"http://my_host-1.example.org/":            "http://my_host-1.example.org/",
	} {
		u, err := Parse(raw)
		if err != nil {
			t.Errorf("%q: %v", raw, err)
		} else if u.String() != want {
			t.Errorf("%q: got %s, want %s", raw, u, want)
		}
		if again, err := Parse(want); err != nil || again != u {
			t.Errorf("%s parses as %s, %v", want, again, err)
		}
	}
}

func TestParseErrors(t *testing.T) {
	for raw, want := range map[string]Reason{
		"":                                    NotAbsolute,
		"/a":                                  NotAbsolute,
		"//example.org/":                      NotAbsolute,
		"example.org":                         NotAbsolute,
		"mailto:joe@example.org":              UnsupportedScheme,
		"javascript:void(0)":                  UnsupportedScheme,
		"ftp://example.org/":                  UnsupportedScheme,
		"file:///etc/passwd":                  UnsupportedScheme,
		"data:," + strings.Repeat("x", 10000): UnsupportedScheme,
		"https:///":                           NoHost,
		"http://":                             NoHost,
		"http://user@/":                       NoHost,
		"http://:80/":                         NoHost,
		"http://a b/":                         InvalidHost,
		"http://a%00b/":                       InvalidHost,
		"http://%ff/":                         InvalidHost,
		"http://\xff/":                        InvalidHost,
		"http://[::1/":                        InvalidHost,
		"http://[::1%25eth0]/":                InvalidHost,
		"http://[1.2.3.4]/":                   InvalidHost,
		"http://1.2.3.256/":                   InvalidHost,
		"http://1.2.3.4.5/":                   InvalidHost,
		"http://" + strings.Repeat("ü", 257) + "/": InvalidHost,
		"http://\u00AD/":                                  InvalidHost,
		"http://example.org:65536/":                       InvalidPort,
		"http://example.org:99999999999999999999/":        InvalidPort,
		"http://example.org:a/":                           InvalidPort,
		"http://example.org:-1/":                          InvalidPort,
		"http://example.org/" + strings.Repeat("x", 8192): TooLong,
		"http://example.org/" + strings.Repeat("ü", 1500): TooLong, // when encoded
	} {
		_, err := Parse(raw)
		var e *Error
		if !errors.As(err, &e) || e.Reason != want || !errors.Is(err, want) {
			t.Errorf("%.60q: got %v, want %v", raw, err, want)
		} else if len(err.Error()) > 1000 {
			t.Errorf("the error has %d bytes", len(err.Error()))
		}
	}
}

func TestParts(t *testing.T) {
	for _, c := range []struct{ raw, scheme, user, host, hostname, port, path, query, origin string }{
		{"http://example.org/", "http", "", "example.org", "example.org", "", "/", "", "http://example.org"},
		{"https://u:p@example.org:8080/a/b?c=d?e", "https", "u:p", "example.org:8080", "example.org", "8080", "/a/b", "c=d?e", "https://example.org:8080"},
		{"https://u@[::1]:8080/?x", "https", "u", "[::1]:8080", "::1", "8080", "/", "x", "https://[::1]:8080"},
		{"http://[::1]/", "http", "", "[::1]", "::1", "", "/", "", "http://[::1]"},
	} {
		u := mustParse(t, c.raw)
		got := [...]string{u.String(), u.Scheme(), u.User(), u.Host(), u.Hostname(), u.Port(), u.Path(), u.Query(), u.Origin()}
		want := [...]string{c.raw, c.scheme, c.user, c.host, c.hostname, c.port, c.path, c.query, c.origin}
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		if u.IsZero() || u.PathAndQuery() != strings.TrimPrefix(c.raw, c.raw[:strings.LastIndex(c.raw, c.host)+len(c.host)]) {
			t.Errorf("%s: path and query %s", u, u.PathAndQuery())
		}
	}
	var zero URL
	for _, part := range []string{zero.String(), zero.Scheme(), zero.User(), zero.Host(), zero.Hostname(), zero.Port(), zero.Path(), zero.Query(), zero.PathAndQuery(), zero.Origin()} {
		if part != "" || !zero.IsZero() {
			t.Errorf("the zero URL has a part %q", part)
		}
	}
}

func TestResolve(t *testing.T) {
	base := mustParse(t, "https://u:p@example.org:8080/a/b/c?d=e")
	for ref, want := range map[string]string{
		"":                   "https://u:p@example.org:8080/a/b/c?d=e",
		"#x":                 "https://u:p@example.org:8080/a/b/c?d=e",
		"?":                  "https://u:p@example.org:8080/a/b/c",
		"?x#y":               "https://u:p@example.org:8080/a/b/c?x",
		".":                  "https://u:p@example.org:8080/a/b/",
		"..":                 "https://u:p@example.org:8080/a/",
		"../../../x":         "https://u:p@example.org:8080/x",
		"./x:y":              "https://u:p@example.org:8080/a/b/x:y",
		"x/y/":               "https://u:p@example.org:8080/a/b/x/y/",
		"/x":                 "https://u:p@example.org:8080/x",
		"\\x":                "https://u:p@example.org:8080/x",
		"/":                  "https://u:p@example.org:8080/",
		"//other.example":    "https://other.example/",
		"\\/other.example/x": "https://other.example/x",
		"///other.example":   "https://other.example/",
		"https:x":            "https://u:p@example.org:8080/a/b/x",
		"https:/x":           "https://u:p@example.org:8080/x",
		"https://x":          "https://x/",
		"http:x":             "http://x/",
		"HTTP:/x":            "http://x/",
		" /x y\n":            "https://u:p@example.org:8080/x%20y",
	} {
		got, err := base.ResolveString(ref)
		if err != nil || got.String() != want {
			t.Errorf("%q: got %s, %v, want %s", ref, got, err, want)
		}
		if bytes, err := base.Resolve([]byte(ref)); err != nil || bytes != got {
			t.Errorf("%q: got %s from bytes, %v", ref, bytes, err)
		}
		if parsed := mustParse(t, want); parsed != got {
			t.Errorf("%s is not what parses from it", want)
		}
	}
	for ref, want := range map[string]Reason{
		"tel:+1":                  UnsupportedScheme,
		"//":                      NoHost,
		"http://":                 NoHost,
		"//a b/":                  InvalidHost,
		"x:y":                     UnsupportedScheme,
		strings.Repeat("x", 8193): TooLong,
		strings.Repeat("x", 8191): TooLong,
	} {
		if _, err := base.ResolveString(ref); !errors.Is(err, want) {
			t.Errorf("%.60q: got %v, want %v", ref, err, want)
		}
	}
}

// TestResolveKeepsNothing overwrites what a URL was read from.
func TestResolveKeepsNothing(t *testing.T) {
	ref := []byte("https://example.org/canonical")
	u, err := URL{}.Resolve(ref)
	copy(ref, "XXXXXXXXXXXXXXXXXXXXX")
	if err != nil || u.String() != "https://example.org/canonical" {
		t.Errorf("got %s, %v", u, err)
	}
	ref = []byte("mailto:joe@example.org")
	_, err = URL{}.Resolve(ref)
	copy(ref, "XXXXXXXXXXXXXXXXXXXXX")
	if !strings.Contains(err.Error(), "joe@example.org") {
		t.Error(err)
	}
}

func TestMaxLength(t *testing.T) {
	p := Parser{MaxLength: 22}
	for raw, want := range map[string]bool{
		"http://example.org/abc":    true,
		"http://example.org/abcd":   false,
		"http://example.org/a<":     false, // longer when encoded
		"http://example.org/%41%42": false,
	} {
		if _, err := p.Parse(raw); (err == nil) != want || err != nil && !errors.Is(err, TooLong) {
			t.Errorf("%s: %v", raw, err)
		}
	}
}

func TestDomain(t *testing.T) {
	for name, want := range map[string]string{
		"example.org":           "example.org",
		"www.example.org":       "example.org",
		"a.b.example.co.uk":     "example.co.uk",
		"co.uk":                 "co.uk",
		"localhost":             "localhost",
		"joe.github.io":         "joe.github.io",
		"www.joe.github.io":     "joe.github.io",
		"127.0.0.1":             "127.0.0.1",
		"::1":                   "::1",
		"xn--bcher-kva.example": "xn--bcher-kva.example",
		"":                      "",
		".":                     ".",
		"a..org":                "a..org",
	} {
		if got := Domain(name); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
}

func TestParseSeed(t *testing.T) {
	for line, want := range map[string]string{
		"https://example.org/x":   "https://example.org/x",
		" HTTP://example.org ":    "http://example.org/",
		"http:example.org":        "http://example.org/",
		"\uFEFFexample.org/x?y#z": "https://example.org/x?y http://example.org/x?y",
		"//example.org":           "https://example.org/ http://example.org/",
		"127.0.0.1:8080":          "https://127.0.0.1:8080/ http://127.0.0.1:8080/",
		"localhost:80/a":          "https://localhost:80/a http://localhost/a",
		"localhost":               "https://localhost/ http://localhost/",
		"intranet:8080":           "https://intranet:8080/ http://intranet:8080/",
		"intranet:8080?x":         "https://intranet:8080/?x http://intranet:8080/?x",
		"[::1]:8080/a":            "https://[::1]:8080/a http://[::1]:8080/a",
		"bücher.example":          "https://xn--bcher-kva.example/ http://xn--bcher-kva.example/",
		"example.org:443":         "https://example.org/ http://example.org:443/",
	} {
		urls, err := ParseSeed(line)
		var got []string
		for _, u := range urls {
			got = append(got, u.String())
		}
		if err != nil || strings.Join(got, " ") != want {
			t.Errorf("%q: got %s, %v, want %s", line, got, err, want)
		}
	}
	for line, want := range map[string]Reason{
		"":                       NotURL,
		"hello":                  NotURL,
		"hello world":            NotURL,
		"hello world.":           NotURL,
		"not a url.":             NotURL,
		"/some/path.html":        NotURL,
		"joe@example.org":        NotURL,
		"mailto:joe@example.org": UnsupportedScheme,
		"ftp://example.org/":     UnsupportedScheme,
		"C:\\sites\\a.html":      UnsupportedScheme,
		"intranet:":              UnsupportedScheme,
		"https://":               NoHost,
		"example.org:99999":      InvalidPort,
		"exa<mple.org":           InvalidHost,
		"1.2.3.4.5":              InvalidHost,
		"[::1":                   InvalidHost,
		"#comment.example":       NotURL,
	} {
		if urls, err := ParseSeed(line); !errors.Is(err, want) || urls != nil {
			t.Errorf("%q: got %v, %v, want %v", line, urls, err, want)
		}
	}
}

// TestAllocations pins what a page's links cost: the string that results, if it is a new one.
func TestAllocations(t *testing.T) {
	base := mustParse(t, "https://www.example.org/news/2026/11/a-page.html?from=front")
	for ref, want := range map[string]float64{
		"/news/2026/11/another-page.html":           1,
		"../10/page.html?page=2":                    1,
		"https://Other.Example.com/Some/Path?x=%c3": 1,
		"http://127.0.0.1:8080/":                    1,
		"?page=2":                                   1,
		"#top":                                      0,
		"":                                          0,
		"/news/2026/11/a-page.html?from=front#x":    0,
	} {
		link := []byte(ref)
		if got := testing.AllocsPerRun(100, func() { base.Resolve(link) }); got > want {
			t.Errorf("%s: %v allocations, want %v", ref, got, want)
		}
	}
	if got := testing.AllocsPerRun(100, func() { Parse(base.s) }); got > 0 {
		t.Errorf("parsing a canonical URL: %v allocations", got)
	}
}
