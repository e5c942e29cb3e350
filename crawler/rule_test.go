package crawler

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/orbweaver/orbweaver/crawler/links"
	"github.com/orbweaver/orbweaver/crawler/weburl"
)

func TestCondition(t *testing.T) {
	seeds := []string{"https://www.example.org/docs/index.html"}
	re := func(s string) []*regexp.Regexp { return []*regexp.Regexp{regexp.MustCompile(s)} }
	link := func(u string) subject { return subject{url: mustParse(t, u)} }
	long := "https://a.org/" + strings.Repeat("x", 86) // 100 bytes
	tests := []struct {
		name  string
		c     Condition
		holds []subject
		not   []subject
	}{
		{"zero", Condition{}, []subject{link("http://a.org/")}, nil},
		{"exact host", Condition{Hosts: []string{"Example.ORG"}},
			[]subject{link("http://example.org/"), link("https://example.org:8443/x")},
			[]subject{link("http://www.example.org/"), link("http://example.org.evil.com/"), link("http://notexample.org/")}},
		{"host with its tree", Condition{Hosts: []string{".example.org"}},
			[]subject{link("http://example.org/"), link("http://a.b.example.org/")}, []subject{link("http://notexample.org/")}},
		{"below a host", Condition{Hosts: []string{"*.example.org"}},
			[]subject{link("http://a.b.example.org/"), link("http://a.example.org:81/")}, []subject{link("http://example.org/")}},
		{"glob", Condition{Hosts: []string{"shop-*.example.*"}},
			[]subject{link("http://shop-1.example.org/"), link("http://shop-a.b.example.co.uk/")}, []subject{link("http://shop.example.org/")}},
		{"every host", Condition{Hosts: []string{"*"}}, []subject{link("http://a.org/"), link("http://[::1]/")}, nil},
		{"host and port", Condition{Hosts: []string{"example.org:8080", "*.example.org:81"}},
			[]subject{link("http://example.org:8080/"), link("http://a.example.org:81/")},
			[]subject{link("http://example.org/"), link("http://example.org:8081/"), link("http://a.example.org/")}},
		{"address", Condition{Hosts: []string{"127.0.0.1", "[::1]", "[::2]:81"}},
			[]subject{link("http://127.0.0.1:8080/"), link("http://[::1]/"), link("http://[::2]:81/")}, []subject{link("http://127.0.0.2/"), link("http://[::2]/")}},
		{"international host", Condition{Hosts: []string{"bücher.example"}}, []subject{link("http://xn--bcher-kva.example/")}, nil},
		{"domain", Condition{Domains: []string{"example.co.uk"}},
			[]subject{link("http://example.co.uk/"), link("http://a.b.example.co.uk:81/")}, []subject{link("http://other.co.uk/")}},
		{"host or domain", Condition{Hosts: []string{"a.org"}, Domains: []string{"b.org"}},
			[]subject{link("http://a.org/"), link("http://x.b.org/")}, []subject{link("http://x.a.org/")}},
		{"prefix", Condition{Prefixes: []string{"https://example.org/docs", "https://example.org/docs/deeper", "example.net/a", "HTTP://example.com"}},
			[]subject{link("https://example.org/docs"), link("https://example.org/docs/deeper/x"), link("https://example.org/docs2"),
				link("http://example.net/a?b"), link("https://example.net/ab"), link("http://example.com/x")},
			[]subject{link("http://example.org/docs"), link("https://example.org/doc"), link("https://example.net/"), link("https://example.com/")}},
		{"expression", Condition{Match: re(`\.pdf$`)}, []subject{link("http://a.org/x.pdf")}, []subject{link("http://a.org/x.pdf?a")}},
		{"within host", Condition{Within: new(ScopeHost)}, []subject{link("http://www.example.org/x")}, []subject{link("http://example.org/")}},
		{"within domain", Condition{Within: new(ScopeDomain)}, []subject{link("http://a.example.org/x")}, []subject{link("http://example.net/")}},
		{"within prefix", Condition{Within: new(ScopePrefix)}, []subject{link("http://www.example.org/docs/x")}, []subject{link("http://www.example.org/")}},
		{"within any", Condition{Within: new(ScopeAny)}, []subject{link("http://a.net/")}, nil},
		{"kind", Condition{Kinds: links.Image | links.Script},
			[]subject{{url: link("http://a.org/").url, kind: links.Image}}, []subject{link("http://a.org/"), {url: link("http://a.org/").url, kind: links.Form}}},
		{"type", Condition{Types: []string{"image/*", "Text/HTML"}},
			[]subject{{url: link("http://a.org/").url, mediaType: "image/png"}, {url: link("http://a.org/").url, mediaType: "text/html"}},
			[]subject{link("http://a.org/"), {url: link("http://a.org/").url, mediaType: "text/plain"}, {url: link("http://a.org/").url, mediaType: "imagex/png"}}},
		{"depth", Condition{Depth: AtMost(2)},
			[]subject{{url: link("http://a.org/").url, depth: 2}}, []subject{{url: link("http://a.org/").url, depth: 3}}},
		{"hops", Condition{Hops: AtMost(1)},
			[]subject{{url: link("http://a.org/").url, hops: 1}, link("http://a.org/"), {url: link("http://www.example.org/").url, hops: 5}},
			[]subject{{url: link("http://a.org/").url, hops: 2}}},
		{"on site", Condition{Hops: AtMost(0)}, []subject{link("http://www.example.org/")}, []subject{link("http://a.org/")}},
		{"length", Condition{Length: Between(14, 99)}, []subject{link("https://a.org/"), link(long[:99])}, []subject{link("http://a.org/"), link(long)}},
		{"path depth", Condition{PathDepth: Between(2, 2)},
			[]subject{link("http://a.org/a/b"), link("http://a.org/a/b/?/c/d")}, []subject{link("http://a.org/"), link("http://a.org/a/"), link("http://a.org/a/b/c")}},
		{"root", Condition{PathDepth: AtMost(0)}, []subject{link("http://a.org/")}, []subject{link("http://a.org/a")}},
		{"repeats", Condition{Repeats: AtLeast(3)},
			[]subject{link("http://a.org/a/a/a"), link("http://a.org/a/b/a/c/a/"), link("http://a.org/x////y")},
			[]subject{link("http://a.org/"), link("http://a.org/a/a"), link("http://a.org/a/a/aa/?/a"), link("http://a.org/x///y")}},
		{"no repeats", Condition{Repeats: AtMost(0)}, []subject{link("http://a.org/")}, []subject{link("http://a.org/a")}},
		{"params", Condition{Params: AtLeast(2)}, []subject{link("http://a.org/?a&b=1"), link("http://a.org/?a=1&a=2&")}, []subject{link("http://a.org/?a&"), link("http://a.org/")}},
		{"all of them", Condition{Hosts: []string{"a.org"}, Depth: AtMost(1)},
			[]subject{link("http://a.org/")}, []subject{link("http://b.org/"), {url: link("http://a.org/").url, depth: 2}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := Config{Scope: ScopeAny, Rules: []Rule{{LeaveOut: &tt.c}}}
			except := Config{Scope: ScopeAny, Rules: []Rule{{LeaveOut: &Condition{}, Unless: &tt.c}}}
			for _, s := range tt.holds {
				if r := judged(t, cfg, seeds, s); r.Reason != ReasonRule {
					t.Errorf("%+v: holds not for %s", tt.c.String(), s.url)
				}
				if r := judged(t, except, seeds, s); r.Reason == ReasonRule {
					t.Errorf("%+v: is no exception for %s", tt.c.String(), s.url)
				}
			}
			for _, s := range tt.not {
				if r := judged(t, cfg, seeds, s); r.Reason == ReasonRule {
					t.Errorf("%+v: holds for %s", tt.c.String(), s.url)
				}
			}
		})
	}
}

func TestWrongRule(t *testing.T) {
	take := func(c Condition) Rule { return Rule{Take: &c} }
	tests := []struct {
		rule Rule
		want string
	}{
		{Rule{}, "neither takes nor leaves out"},
		{Rule{Take: &Condition{}, LeaveOut: &Condition{}}, "both"},
		{Rule{Take: &Condition{}, Reason: "x"}, "leaves nothing out"},
		{Rule{LeaveOut: &Condition{}, Priority: 1}, "takes nothing"},
		{take(Condition{Hosts: []string{""}}), `host: "" is no host`},
		{take(Condition{Hosts: []string{"a.org/b"}}), "is no host"},
		{take(Condition{Hosts: []string{"http://a.org"}}), "is no host"},
		{take(Condition{Hosts: []string{"a.org:"}}), "is no host"},
		{take(Condition{Hosts: []string{"a.org:http"}}), "is no host"},
		{take(Condition{Hosts: []string{"a b"}}), "is no host"},
		{take(Condition{Hosts: []string{"*.127.0.0.1"}}), "is no host"},
		{take(Condition{Hosts: []string{"*a/b"}}), "is no host"},
		{take(Condition{Domains: []string{"www.example.org"}}), `below the domain "example.org"`},
		{take(Condition{Domains: []string{"co.uk"}}), "public suffix"},
		{take(Condition{Domains: []string{"*.example.org"}}), "is no domain"},
		{take(Condition{Prefixes: []string{"ftp://a.org/"}}), "no beginning of a URL"},
		{take(Condition{Match: []*regexp.Regexp{nil}}), "is nil"},
		{take(Condition{Types: []string{"html"}}), "no media type"},
		{take(Condition{Types: []string{"*/*"}}), "no media type"},
		{take(Condition{Types: []string{"text/html; charset=utf-8"}}), "no media type"},
		{take(Condition{Kinds: 1 << 31}), "kind"},
		{take(Condition{Within: new(ScopeKind(9))}), "within: 9 is no scope"},
		{Rule{Take: &Condition{}, Unless: &Condition{Hosts: []string{"/"}}}, "unless: host:"},
	}
	for _, tt := range tests {
		err := tt.rule.Validate()
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: error %v, want %q", tt.rule, err, tt.want)
		}
		_, err = New(Config{Rules: []Rule{{Take: &Condition{}}, tt.rule}})
		var c *ConfigError
		if !errors.As(err, &c) || c.Field != "Rules[1]" {
			t.Errorf("%+v: New says %v", tt.rule, err)
		}
	}
}

func TestRange(t *testing.T) {
	for text, want := range map[string]Range{
		"3": Between(3, 3), "0": AtMost(0), "2-5": Between(2, 5), "<=3": AtMost(3), "<4": AtMost(3), ">=2": AtLeast(2), ">1": AtLeast(2), "0-7": AtMost(7), "<= 3": AtMost(3),
		"<0": Between(1, 0), ">2147483647": AtLeast(maxBound), "<=2147483647": AtMost(math.MaxInt), ">=0": {},
	} {
		if got, err := ParseRange(text); err != nil || got != want {
			t.Errorf("%q: %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "x", "-1", "5-2", "1-2-3", ">=1-2", "=>1", "=1", "<>1", "99999999999", "1.5"} {
		if got, err := ParseRange(text); err == nil {
			t.Errorf("%q is read as %v", text, got)
		}
	}
	for _, r := range []Range{{}, AtMost(0), AtMost(1 << 40), AtMost(math.MaxInt), AtLeast(1 << 40), AtLeast(math.MaxInt), Between(3, 2), Between(1<<40, 1<<41), Between(2, math.MaxInt)} {
		text, _ := r.MarshalText()
		var again Range
		if err := again.UnmarshalText(text); err != nil || again != r {
			t.Errorf("%v is written as %q and read as %v, %v", r, text, again, err)
		}
	}
	if AtMost(math.MaxInt) == (Range{}) || !AtMost(math.MaxInt).Has(5) || !Between(2, math.MaxInt).Has(2) || AtLeast(math.MaxInt).Has(5) || !beyond(4).Has(5) || beyond(math.MaxInt).Has(5) {
		t.Error("huge bounds")
	}
	for _, r := range []Range{Between(5, 4), AtMost(-1), Between(-3, -2)} {
		for n := range 10 {
			if r.Has(n) {
				t.Errorf("the empty range %v has %d", r, n)
			}
		}
	}
}

func TestLimitsAreRules(t *testing.T) {
	const host = "http://example.org/"
	long := host + strings.Repeat("x", DefaultMaxURLLength-len(host))
	deep := host + strings.Join(strings.Split("abcdefghijklmnopqrstuvwxyzABCDEF", ""), "/")
	again := host + "a/b/a/b/a/b/a/b/a/b/"
	tests := []struct {
		name string
		url  string
		cfg  Config
		want Reason
	}{
		{"long enough", long, Config{}, ""},
		{"too long", long + "x", Config{}, ReasonLength},
		{"limit raised", long + "x", Config{URLLimits: URLLimits{Length: 5000}}, ""},
		{"no limit", long + "x", Config{URLLimits: URLLimits{Length: -1}}, ""},
		{"deep enough", deep, Config{}, ""},
		{"too deep", deep + "/g", Config{}, ReasonPathDepth},
		{"lower limit", host + "a/b/c", Config{URLLimits: URLLimits{PathDepth: 2}}, ReasonPathDepth},
		{"no depth limit", deep + "/g", Config{URLLimits: URLLimits{PathDepth: -1}}, ""},
		{"five times", again, Config{}, ""},
		{"six times", again + "a/", Config{}, ReasonRepeats},
		{"no repeats limit", again + "a/", Config{URLLimits: URLLimits{Repeats: -1}}, ""},
		{"no limits", again + "a/" + deep[len(host):], Config{URLLimits: URLLimits{-1, -1, -1}}, ""},
		{"a rule that says nothing of it", again + "a/", Config{Rules: []Rule{{Take: &Condition{}}}}, ReasonRepeats},
		{"a rule that goes beyond", again + "a/", Config{Rules: []Rule{{Take: &Condition{Repeats: AtMost(9)}}}}, ""},
		{"a rule that goes beyond another limit", again + "a/", Config{Rules: []Rule{{Take: &Condition{PathDepth: AtMost(99)}}}}, ReasonRepeats},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if r := judged(t, tt.cfg, []string{host}, subject{url: mustParse(t, tt.url), depth: 1}); r.Reason != tt.want {
				t.Errorf("%q by %s, want %q", r.Reason, r.from, tt.want)
			}
		})
	}
}

// naive is Condition read literally: no compiling, no order, no shortcuts.
func (c *Condition) naive(s *subject, within func(ScopeKind) bool) bool {
	u := s.url
	one := func(n int, holds func(i int) bool) bool {
		for i := range n {
			if holds(i) {
				return true
			}
		}
		return n == 0
	}
	hosts := append([]string(nil), c.Hosts...)
	for _, d := range c.Domains {
		hosts = append(hosts, "."+d)
	}
	hops := max(s.hops, 1)
	if within(ScopeHost) {
		hops = 0
	}
	most := 0
	segments := strings.Split(strings.Trim(u.Path(), "/"), "/")
	if u.Path() == "/" {
		segments = nil
	}
	for _, a := range segments {
		n := 0
		for _, b := range segments {
			if a == b {
				n++
			}
		}
		most = max(most, n)
	}
	nparams := len(strings.FieldsFunc(u.Query(), func(r rune) bool { return r == '&' }))
	return one(len(hosts), func(i int) bool {
		name, tree := strings.CutPrefix(hosts[i], ".")
		if tree {
			return u.Hostname() == name || strings.HasSuffix(u.Hostname(), "."+name)
		}
		glob := "^" + strings.ReplaceAll(regexp.QuoteMeta(name), `\*`, ".*") + "$"
		return regexp.MustCompile(glob).MatchString(u.Hostname())
	}) &&
		one(len(c.Prefixes), func(i int) bool { return strings.HasPrefix(u.String(), c.Prefixes[i]) }) &&
		one(len(c.Match), func(i int) bool { return c.Match[i].MatchString(u.String()) }) &&
		(c.Within == nil || within(*c.Within)) &&
		(c.Kinds == 0 || c.Kinds&s.kind != 0) &&
		one(len(c.Types), func(i int) bool { return c.Types[i] == s.mediaType }) &&
		c.Depth.Has(s.depth) && c.Hops.Has(hops) && c.Length.Has(len(u.String())) &&
		c.PathDepth.Has(len(segments)) && c.Repeats.Has(most) && c.Params.Has(nparams)
}

// TestLastOpinionWins compares rules with a naive model, on random rules and
// URLs from small worlds.
func TestLastOpinionWins(t *testing.T) {
	const rounds = 400
	pick := func(r *rand.Rand, list ...string) string { return list[r.IntN(len(list))] }
	hosts := []string{"a.org", "b.org", "x.a.org", "y.x.a.org", "c.net"}
	randomURL := func(r *rand.Rand) weburl.URL {
		raw := pick(r, "http://", "https://") + pick(r, hosts...) + "/"
		for range r.IntN(5) {
			raw += pick(r, "a", "b", "c") + "/"
		}
		raw += pick(r, "", "x.html", "?a=1", "?a=1&b=2")
		return mustParse(t, raw)
	}
	randomRange := func(r *rand.Rand) Range {
		return []Range{AtMost(r.IntN(4)), AtLeast(r.IntN(4)), Between(r.IntN(3), 1+r.IntN(3))}[r.IntN(3)]
	}
	randomCondition := func(r *rand.Rand) *Condition {
		c := &Condition{}
		for range r.IntN(3) {
			switch r.IntN(13) {
			case 0:
				c.Hosts = append(c.Hosts, pick(r, "a.org", ".a.org", "*.a.org", "*.x.a.org", "*a*", "b.*", "*.org"))
			case 1:
				c.Domains = append(c.Domains, pick(r, "a.org", "b.org", "c.net"))
			case 2:
				c.Prefixes = append(c.Prefixes, pick(r, "http://a.org/", "http://a.org/a/", "https://b.org/a", "http://x.a.org/b/a"))
			case 3:
				c.Match = append(c.Match, regexp.MustCompile(pick(r, `/a/b/`, `\?`, `html$`)))
			case 4:
				c.Within = new(ScopeKind(r.IntN(4)))
			case 5:
				c.Kinds = []links.Kind{links.Anchor, links.Image, links.Pages | links.Script}[r.IntN(3)]
			case 6:
				c.Types = append(c.Types, pick(r, "text/html", "image/png"))
			case 7:
				c.Depth = randomRange(r)
			case 8:
				c.Hops = randomRange(r)
			case 9:
				c.Length = AtMost(15 + r.IntN(20))
			case 10:
				c.PathDepth = randomRange(r)
			case 11:
				c.Repeats = randomRange(r)
			case 12:
				c.Params = randomRange(r)
			}
		}
		return c
	}
	for round := range uint64(rounds) {
		r := rand.New(rand.NewPCG(round, 5))
		cfg := Config{Scope: ScopeKind(r.IntN(4)), MaxDepth: r.IntN(4), URLLimits: URLLimits{Length: -1 + 40*r.IntN(2), PathDepth: r.IntN(4) - 1, Repeats: r.IntN(4) - 1}}
		for i := range r.IntN(8) {
			rule := Rule{Name: fmt.Sprint(i)}
			if r.IntN(2) == 0 {
				rule.Take = randomCondition(r)
			} else {
				rule.LeaveOut = randomCondition(r)
			}
			if r.IntN(3) == 0 {
				rule.Unless = randomCondition(r)
			}
			cfg.Rules = append(cfg.Rules, rule)
		}
		if r.IntN(3) == 0 {
			cfg.Exclude = []*regexp.Regexp{regexp.MustCompile("/c/")}
		}
		scope, err := newScope(&cfg)
		if err != nil {
			t.Fatal(err)
		}
		seed := randomURL(r)
		scope.add(seedKey(seed))
		judge := scope.from(&subject{url: seed})
		for range 30 {
			s := &subject{
				url: randomURL(r), depth: r.IntN(5), hops: 1 + r.IntN(3),
				kind: []links.Kind{links.Anchor, links.Image, links.Script}[r.IntN(3)], mediaType: pick(r, "", "text/html", "image/png"),
			}
			got := judge.ask(s)
			want := naiveVerdict(&cfg, seed, s)
			if got.leaveOut != want {
				t.Fatalf("round %d: %s (%+v) by %s %q: left out %v, want %v\nrules %+v", round, s.url, s, got.from, got.Rule.String(), got.leaveOut, want, cfg.Rules)
			}
		}
	}
}

// naiveVerdict says whether a URL is left out, by asking each rule in order.
func naiveVerdict(cfg *Config, seed weburl.URL, s *subject) (leftOut bool) {
	within := func(k ScopeKind) bool {
		switch k {
		case ScopeHost:
			return s.url.Host() == seed.Host()
		case ScopeDomain:
			return weburl.Domain(s.url.Hostname()) == weburl.Domain(seed.Hostname())
		case ScopePrefix:
			return strings.HasPrefix(s.url.Host()+s.url.Path(), seed.Host()+directory(seed.Path()))
		}
		return true
	}
	site := within
	if cfg.Scope == ScopeDomain { // where hops begin
		site = func(k ScopeKind) bool {
			if k == ScopeHost {
				return within(ScopeDomain)
			}
			return within(k)
		}
	}
	holds := func(c *Condition) bool {
		if c.Within != nil && *c.Within == ScopeHost && cfg.Scope == ScopeDomain {
			return within(ScopeHost) && (&Condition{Hosts: c.Hosts, Domains: c.Domains, Prefixes: c.Prefixes, Match: c.Match, Kinds: c.Kinds, Types: c.Types,
				Depth: c.Depth, Hops: c.Hops, Length: c.Length, PathDepth: c.PathDepth, Repeats: c.Repeats, Params: c.Params}).naive(s, site)
		}
		return c.naive(s, site)
	}
	opinion := true                                   // everything else is left out
	if within(cfg.Scope) && s.kind&links.Pages != 0 { // what Follow means
		opinion = false
	}
	limits := cfg.URLLimits.complete()
	over := func(length, depth, repeats int) bool {
		return length >= 0 && !(&Condition{Length: AtMost(length)}).naive(s, within) ||
			depth >= 0 && !(&Condition{PathDepth: AtMost(depth)}).naive(s, within) ||
			repeats >= 0 && !(&Condition{Repeats: AtMost(repeats)}).naive(s, within)
	}
	if over(limits.Length, limits.PathDepth, limits.Repeats) {
		opinion = true
	}
	for _, r := range cfg.Rules {
		c := r.LeaveOut
		if r.Take != nil {
			c = r.Take
			length, depth, repeats := limits.Length, limits.PathDepth, limits.Repeats
			if c.Length != (Range{}) {
				length = -1
			}
			if c.PathDepth != (Range{}) {
				depth = -1
			}
			if c.Repeats != (Range{}) {
				repeats = -1
			}
			if c.Kinds == 0 && s.kind&links.Pages == 0 || over(length, depth, repeats) {
				continue
			}
		}
		if holds(c) && (r.Unless == nil || !holds(r.Unless)) {
			opinion = r.LeaveOut != nil
		}
	}
	deepest := cfg.MaxDepth
	if s.kind&links.Resources != 0 {
		deepest += resourceDepth
	}
	if cfg.MaxDepth > 0 && s.depth > deepest || slices.ContainsFunc(cfg.Exclude, func(re *regexp.Regexp) bool { return re.MatchString(s.url.String()) }) {
		opinion = true
	}
	return opinion
}

func TestRuleReadsBackAsJSON(t *testing.T) {
	rules := []Rule{
		{Name: "n", LeaveOut: &Condition{Hosts: []string{"a"}, Match: []*regexp.Regexp{regexp.MustCompile(`a|b`)}, Within: new(ScopePrefix), Hops: AtMost(0)}, Unless: &Condition{}, Reason: "r"},
		{Take: &Condition{Kinds: links.Image | links.Script, Types: []string{"a/b"}, Depth: AtLeast(1), Params: Between(2, 3)}, Priority: -3},
	}
	text, err := json.Marshal(rules)
	if err != nil {
		t.Fatal(err)
	}
	var again []Rule
	if err := json.Unmarshal(text, &again); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(again, rules) {
		t.Errorf("%s\nreads back as %+v", text, again)
	}
}

// FuzzRule reads rules as JSON: what is taken judges any URL without harm, reads
// back, and says what it says.
func FuzzRule(f *testing.F) {
	for _, text := range []string{
		`{"take":{"host":["*.example.org","a:80","[::1]:1"],"domain":["example.co.uk"],"kind":"image|script"}}`,
		`{"leave-out":{"prefix":["a/b","http://c"],"match":["a+"],"type":["image/*"],"depth":"<=3"},"unless":{"hops":"1-2","repeats":">3"},"reason":"x"}`,
		`{"take":{"within":"domain","length":"<9","params":"0","path-depth":">=2"},"priority":-9}`,
	} {
		f.Add([]byte(text), "http://x.example.org/a/a/a?b&c")
	}
	f.Fuzz(func(t *testing.T, text []byte, raw string) {
		var r Rule
		if json.Unmarshal(text, &r) != nil || r.Validate() != nil {
			return
		}
		again, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		var r2 Rule
		if err := errors.Join(json.Unmarshal(again, &r2), r2.Validate()); err != nil || r2.String() != r.String() {
			t.Fatalf("%s\nreads back as %s: %v", text, again, err)
		}
		u, err := weburl.Parse(raw)
		if err != nil {
			return
		}
		v := judged(t, Config{Rules: []Rule{r}}, []string{"http://example.org/a/"}, subject{url: u, mediaType: "image/png", depth: 2, hops: 1})
		w := judged(t, Config{Rules: []Rule{r2}}, []string{"http://example.org/a/"}, subject{url: u, mediaType: "image/png", depth: 2, hops: 1})
		if v.leaveOut != w.leaveOut || v.from != w.from {
			t.Fatalf("%s judges otherwise when read back: %v, %v", text, v.from, w.from)
		}
	})
}
