package crawler

import (
	"regexp"
	"testing"

	"github.com/orbweaver/orbweaver/crawler/links"
	"github.com/orbweaver/orbweaver/crawler/weburl"
)

func TestScope(t *testing.T) {
	seeds := []string{"https://www.example.org/blog/2024/", "http://127.0.0.1:8080/a/index.html", "https://blog.example.co.uk", "http://[::1]:8080/"}
	tests := []struct {
		kind ScopeKind
		url  string
		want Reason
	}{
		{ScopeHost, "https://www.example.org/", ""},
		{ScopeHost, "http://www.example.org/other?x=1", ""},
		{ScopeHost, "https://example.org/", ReasonScope},
		{ScopeHost, "https://www.example.org:8443/", ReasonScope},
		{ScopeHost, "http://127.0.0.1:8080/", ""},
		{ScopeHost, "http://127.0.0.1/", ReasonScope},
		{ScopeHost, "https://www.example.org.evil.com/", ReasonScope},

		{ScopeDomain, "https://example.org/", ""},
		{ScopeDomain, "https://a.b.example.org:8443/", ""},
		{ScopeDomain, "https://notexample.org/", ReasonScope},
		{ScopeDomain, "https://example.co.uk/", ""},
		{ScopeDomain, "https://other.co.uk/", ReasonScope},
		{ScopeDomain, "http://127.0.0.1/", ""},
		{ScopeDomain, "http://127.0.0.2/", ReasonScope},
		{ScopeDomain, "http://[::1]/", ""},
		{ScopeDomain, "http://[::2]/", ReasonScope},

		{ScopePrefix, "https://www.example.org/blog/2024/", ""},
		{ScopePrefix, "https://www.example.org/blog/2024/05/x.html", ""},
		{ScopePrefix, "https://www.example.org/blog/2023/", ReasonScope},
		{ScopePrefix, "https://www.example.org/blog/2024", ReasonScope},
		{ScopePrefix, "http://127.0.0.1:8080/a/b/c", ""},
		{ScopePrefix, "http://127.0.0.1:8080/b", ReasonScope},
		{ScopePrefix, "https://blog.example.co.uk/anything", ""},

		{ScopeAny, "https://elsewhere.net/", ""},
	}
	for _, tt := range tests {
		v := judged(t, Config{Scope: tt.kind}, seeds, subject{url: mustParse(t, tt.url), depth: 1})
		if v.Reason != tt.want || v.leaveOut != (tt.want != "") {
			t.Errorf("scope %v: %s: %q, %v; want %q", tt.kind, tt.url, v.Reason, v.leaveOut, tt.want)
		}
	}
}

func TestScopeFilters(t *testing.T) {
	cfg := Config{
		Scope:    ScopeAny,
		MaxDepth: 2,
		Include:  []*regexp.Regexp{regexp.MustCompile(`/a/`), regexp.MustCompile(`/b/`)},
		Exclude:  []*regexp.Regexp{regexp.MustCompile(`\.pdf$`)},
	}
	for _, tt := range []struct {
		url   string
		depth int
		want  Reason
	}{
		{"http://example.org/a/x", 2, ""},
		{"http://example.org/b/x", 1, ""},
		{"http://example.org/c/x", 1, ReasonNotIncluded},
		{"http://example.org/a/x.pdf", 1, ReasonExcluded},
		{"http://example.org/a/x", 3, ReasonDepth},
	} {
		if got := judged(t, cfg, nil, subject{url: mustParse(t, tt.url), depth: tt.depth}); got.Reason != tt.want {
			t.Errorf("%s at depth %d: %q, want %q", tt.url, tt.depth, got.Reason, tt.want)
		}
	}
}

func TestParseScopeKind(t *testing.T) {
	for _, k := range []ScopeKind{ScopeHost, ScopeDomain, ScopePrefix, ScopeAny} {
		if got, err := ParseScopeKind(k.String()); err != nil || got != k {
			t.Errorf("%v reads back as %v, %v", k, got, err)
		}
	}
	if _, err := ParseScopeKind("site"); err == nil {
		t.Error("site is a scope")
	}
}

// judged asks the rules of a Config about a URL; without a kind it is an anchor.
func judged(t *testing.T, cfg Config, seeds []string, s subject) *rule {
	t.Helper()
	scope, err := newScope(&cfg)
	if err != nil {
		t.Fatal(err)
	}
	for _, seed := range seeds {
		scope.add(seedKey(mustParse(t, seed)))
	}
	s.kind = orDefault(s.kind, links.Anchor)
	j := scope.from(&subject{url: mustParse(t, "http://page.invalid/")})
	return j.ask(&s)
}

func mustParse(t *testing.T, raw string) weburl.URL {
	t.Helper()
	u, err := weburl.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return u
}
