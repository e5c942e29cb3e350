package crawler

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/orbweaver/orbweaver/crawler/weburl"
	"github.com/orbweaver/orbweaver/frontier"
)

func TestSiteOfAHost(t *testing.T) {
	cfg := Config{Sites: []Site{
		{Hosts: []string{"*"}, PerHost: 1},
		{Hosts: []string{".example.org"}, PerHost: 2},
		{Hosts: []string{"*.shop.example.org", "other.net"}, PerHost: 3},
		{Hosts: []string{"www.example.org"}, PerHost: 4},
		{Hosts: []string{"www.example.org:8080", "[::1]:81"}, PerHost: 5},
		{Hosts: []string{"[::1]", "[::2]"}, PerHost: 6},
	}}
	s, err := newScope(&cfg)
	if err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string]int{
		"elsewhere.com": 1, "elsewhere.com:99": 1, "example.org": 2, "a.b.example.org:8080": 2, "shop.example.org": 2,
		"x.shop.example.org": 3, "other.net": 3, "www.other.net": 1, "www.example.org": 4, "www.example.org:81": 4,
		"www.example.org:8080": 5, "[::1]:81": 5, "[::1]": 6, "[::2]:5": 6, "notexample.org": 1,
	} {
		if got := s.sites.of(host).PerHost; got != want {
			t.Errorf("%s is of site %d, want %d", host, got, want)
		}
	}
}

func TestSitePolicy(t *testing.T) {
	cfg := Config{Sites: []Site{{Hosts: []string{"a.org"}, Delay: time.Minute, MaxPages: 5}, {Hosts: []string{"b.org"}, Delay: NoDelay, PerHost: 3, MaxBytes: 7, MaxTime: 9}}}
	s, err := newScope(&cfg)
	if err != nil {
		t.Fatal(err)
	}
	policy := s.sites.policy(func(string) frontier.Policy { return frontier.Policy{MaxPages: 100, MaxBytes: 200} })
	for host, want := range map[string]frontier.Policy{
		"a.org": {Delay: time.Minute, MaxPages: 5, MaxBytes: 200},
		"b.org": {Delay: NoDelay, PerHost: 3, MaxPages: 100, MaxBytes: 7, MaxTime: 9},
		"c.org": {MaxPages: 100, MaxBytes: 200},
	} {
		if got := policy(host); got != want {
			t.Errorf("%s: %+v, want %+v", host, got, want)
		}
	}
	none := sites{}
	if none.policy(nil) != nil {
		t.Error("without sites hosts have a policy")
	}
}

func TestSiteRules(t *testing.T) {
	re := regexp.MustCompile
	cfg := Config{
		Scope: ScopeAny,
		Rules: []Rule{{LeaveOut: &Condition{Match: []*regexp.Regexp{re("private")}}}},
		Sites: []Site{{Hosts: []string{"a.org"}, Rules: []Rule{
			{Take: &Condition{Match: []*regexp.Regexp{re("private/ours")}}},
			{LeaveOut: &Condition{Depth: AtLeast(3)}, Reason: "deep"},
		}}},
		Exclude: []*regexp.Regexp{re("never")},
	}
	for _, tt := range []struct {
		url   string
		depth int
		want  Reason
	}{
		{"http://a.org/private/", 1, ReasonRule},
		{"http://a.org/private/ours", 1, ""},
		{"http://a.org/private/ours", 3, "deep"},
		{"http://a.org/private/ours/never", 1, ReasonExcluded},
		{"http://b.org/private/ours", 1, ReasonRule},
		{"http://b.org/", 9, ""},
	} {
		if r := judged(t, cfg, nil, subject{url: mustParse(t, tt.url), depth: tt.depth}); r.Reason != tt.want {
			t.Errorf("%s at depth %d: %q by %s, want %q", tt.url, tt.depth, r.Reason, r.from, tt.want)
		}
	}
}

func TestWrongSite(t *testing.T) {
	for _, tt := range []struct {
		site Site
		want string
	}{
		{Site{}, "names no host"},
		{Site{Hosts: []string{"a/b"}}, "is no host"},
		{Site{Hosts: []string{"a*.org"}}, "star"},
		{Site{Hosts: []string{"first.org"}}, "another site"},
		{Site{Hosts: []string{"a.org"}, PerHost: -1}, "negative"},
		{Site{Hosts: []string{"a.org"}, MaxPages: -1}, "negative"},
		{Site{Hosts: []string{"a.org"}, UserAgent: "a\nb"}, "one line"},
		{Site{Hosts: []string{"a.org"}, Header: http.Header{"A b": {"c"}}}, "header field"},
		{Site{Hosts: []string{"a.org"}, Header: http.Header{"transfer-encoding": {"chunked"}}}, "body"},
		{Site{Hosts: []string{"a.org"}, Rules: []Rule{{}}}, "neither"},
	} {
		_, err := New(Config{Sites: []Site{{Hosts: []string{"first.org"}}, tt.site}})
		var c *ConfigError
		if !errors.As(err, &c) || c.Field != "Sites[1]" || !strings.Contains(c.Reason, tt.want) {
			t.Errorf("%+v: error %v, want %q", tt.site, err, tt.want)
		}
	}
}

// TestWrongHeader: nothing goes out with a page request that makes the server wait for a body, or take the next request for
// one.
func TestWrongHeader(t *testing.T) {
	for _, name := range []string{"Content-Length", "transfer-encoding", "Trailer", "Expect", "Upgrade", "A b"} {
		c, err := New(Config{Header: http.Header{name: {"5"}}})
		if err == nil {
			c.Close()
		}
		if wrong := (*ConfigError)(nil); !errors.As(err, &wrong) || wrong.Field != "Header" || !strings.Contains(wrong.Reason, name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestURLRulesAreKept(t *testing.T) {
	dir := t.TempDir()
	open := func(urls weburl.Rules, seeds ...string) error {
		c, err := New(Config{Dir: dir, Seeds: seeds, URLs: urls})
		if err != nil {
			return err
		}
		return c.Close()
	}
	for i, step := range []struct {
		urls  weburl.Rules
		seeds []string
		want  error
	}{
		{weburl.Rules{Tracking: true}, nil, nil}, // nothing is known yet,
		{weburl.Rules{SortQuery: true, DropParams: []string{"a"}}, []string{"http://a.org/?a=1"}, nil},
		{weburl.Rules{SortQuery: true, DropParams: []string{"a"}}, nil, nil},
		{weburl.Rules{SortQuery: true}, nil, ErrURLRules},
		{weburl.Rules{}, nil, ErrURLRules},
	} {
		if err := open(step.urls, step.seeds...); !errors.Is(err, step.want) {
			t.Errorf("step %d: %v, want %v", i, err, step.want)
		}
	}
}

func BenchmarkSiteOf(b *testing.B) {
	for _, n := range []int{1, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			cfg := Config{}
			for i := range n {
				cfg.Sites = append(cfg.Sites, Site{Hosts: []string{fmt.Sprintf(".host%d.example.org", i)}})
			}
			s, err := newScope(&cfg)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				s.sites.of("www.host0.example.org")
			}
		})
	}
}
