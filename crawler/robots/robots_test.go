package robots

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/temoto/robotstxt"
)

// target returns what Allowed wants of a URL: path and query, as they are written.
func target(rawURL string) string {
	_, rest, ok := strings.Cut(rawURL, "://")
	if !ok {
		rest = rawURL
	}
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		return rest[i:]
	}
	return "/"
}

func TestConformance(t *testing.T) {
	data, err := os.ReadFile("testdata/cases.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Test, Robots, Agent, URL string
		Allowed                  bool
	}
	if err := json.Unmarshal(data, &cases); err != nil {
		t.Fatal(err)
	}
	agree := 0
	for _, c := range cases {
		v := Parse([]byte(c.Robots)).Allowed(c.Agent, target(c.URL))
		switch {
		case v.Allowed == c.Allowed:
			agree++
		case c.Test == "GoogleOnly_IndexHTMLisDirectory": // one of the four wants what no standard asks for
		default:
			t.Errorf("%s: %s may fetch %.80s: %v by line %d, want %v, of\n%.500s", c.Test, c.Agent, c.URL, v.Allowed, v.Line, c.Allowed, c.Robots)
		}
	}
	t.Logf("%d of %d agree", agree, len(cases))
	if agree < 145 {
		t.Errorf("%d of %d agree, want 145", agree, len(cases))
	}
}

func TestAllowed(t *testing.T) {
	for _, c := range []struct {
		name, file, agent, path string
		want                    Verdict
	}{
		{"no file", "", "bot", "/", Verdict{Allowed: true}},
		{"line and text", "# hello\r\n\r\nUser-agent: *\r\n  disallow :  /private   # keep out\r\n", "bot", "/private/x", Verdict{false, 4, "disallow :  /private"}},
		{"lines of CR alone", "User-agent: *\rDisallow: /a\rDisallow: /b\r", "bot", "/b", Verdict{false, 3, "Disallow: /b"}},
		{"byte order mark", "\uFEFFUser-agent: *\nDisallow: /", "bot", "/", Verdict{false, 2, "Disallow: /"}},
		{"robots.txt itself", "User-agent: *\nDisallow: /", "bot", "/robots.txt", Verdict{Allowed: true}},
		{"robots.txt with a query", "User-agent: *\nDisallow: /", "bot", "/robots.txt?x", Verdict{Allowed: true}},
		{"not robots.txt", "User-agent: *\nDisallow: /", "bot", "/robots.txt/x", Verdict{false, 2, "Disallow: /"}},
		{"empty path", "User-agent: *\nDisallow: /", "bot", "", Verdict{false, 2, "Disallow: /"}},
		{"query without path", "User-agent: *\nDisallow: /?", "bot", "?x", Verdict{false, 2, "Disallow: /?"}},

		// Section 2.2.1, agents.
		{"case of the agent", "User-agent: OrbWeaver\nDisallow: /", "orbweaver", "/", Verdict{false, 2, "Disallow: /"}},
		{"whole User-Agent value", "User-agent: orbweaver\nDisallow: /", "Orbweaver/1.0 (+https://example.org/, with love)", "/", Verdict{false, 2, "Disallow: /"}},
		{"prose of a User-Agent value", "User-agent: like\nDisallow: /", "Orbweaver/1.0 (KHTML, like Gecko)", "/", Verdict{Allowed: true}},
		{"version in the line", "User-agent: orbweaver/2.1\nDisallow: /", "orbweaver", "/", Verdict{false, 2, "Disallow: /"}},
		{"longer name", "User-agent: orbweaver-news\nDisallow: /", "orbweaver", "/", Verdict{Allowed: true}},
		{"shorter name", "User-agent: orb\nDisallow: /", "orbweaver", "/", Verdict{Allowed: true}},
		{"digits", "User-agent: MJ12bot\nDisallow: /\nUser-agent: *\nAllow: /", "MJ5bot", "/", Verdict{true, 4, "Allow: /"}},
		{"own group only", "User-agent: *\nDisallow: /\nUser-agent: bot\nDisallow: /x", "bot", "/y", Verdict{Allowed: true}},
		{"own empty group", "User-agent: *\nDisallow: /\nUser-agent: bot\nDisallow:", "bot", "/y", Verdict{Allowed: true}},
		{"groups of one name join", "User-agent: bot\nDisallow: /a\nUser-agent: *\nDisallow: /\nUser-agent: BOT\nDisallow: /b", "bot", "/b", Verdict{false, 6, "Disallow: /b"}},
		{"crawl-delay between agents", "User-agent: a\nCrawl-delay: 5\nUser-agent: b\nDisallow: /", "a", "/", Verdict{false, 4, "Disallow: /"}},
		{"everyone, with words", "User-agent: * and all\nDisallow: /", "bot", "/", Verdict{false, 2, "Disallow: /"}},
		{"rule before any group", "Disallow: /\nUser-agent: *\nAllow: /x", "bot", "/y", Verdict{Allowed: true}},
		{"nobody", "User-agent: bot\nDisallow: /", "", "/", Verdict{Allowed: true}},
		{"list", "User-agent: a\nDisallow: /a\nUser-agent: b\nDisallow: /b", "b, a", "/a", Verdict{false, 2, "Disallow: /a"}},

		// Section 2.2.2, rules.
		{"longest", "User-agent: *\nAllow: /p\nDisallow: /", "bot", "/page", Verdict{true, 2, "Allow: /p"}},
		{"tie", "User-agent: *\nDisallow: /page\nAllow: /page", "bot", "/page", Verdict{true, 3, "Allow: /page"}},
		{"tie with wildcards", "User-agent: *\nDisallow: /pa*e\nAllow: /page", "bot", "/page", Verdict{true, 3, "Allow: /page"}},
		{"wildcard counts by its own length", "User-agent: *\nDisallow: /*.html\nAllow: /page.", "bot", "/page.html", Verdict{false, 2, "Disallow: /*.html"}},
		{"star at the end counts", "User-agent: *\nAllow: /fish*\nDisallow: /fish", "bot", "/fishes", Verdict{true, 2, "Allow: /fish*"}},
		{"stars in a row are one", "User-agent: *\nDisallow: /a****\nAllow: /aaa", "bot", "/aaab", Verdict{true, 3, "Allow: /aaa"}},
		{"chain of prefixes", "User-agent: *\nDisallow: /\nAllow: /a\nDisallow: /a/b\nAllow: /a/b/c", "bot", "/a/b/d", Verdict{false, 4, "Disallow: /a/b"}},
		{"space inside", "User-agent: *\nDisallow: /my files", "bot", "/my%20files/x", Verdict{false, 2, "Disallow: /my files"}},
		{"no slash", "User-agent: *\nDisallow: private", "bot", "/private", Verdict{Allowed: true}},
		{"misspelt", "useragent: *\ndissallow: /x", "bot", "/x", Verdict{false, 2, "dissallow: /x"}},
		{"no colon", "user-agent *\ndisallow /x", "bot", "/x", Verdict{false, 2, "disallow /x"}},
		{"no colon, three words", "User-agent: *\nDisallow all of it", "bot", "/x", Verdict{Allowed: true}},

		// The examples of section 2.2.2 and 2.2.3.
		{"encoded non-ASCII", "User-agent: *\nDisallow: /foo/bar/ツ", "bot", "/foo/bar/%E3%83%84", Verdict{false, 2, "Disallow: /foo/bar/ツ"}},
		{"lower-case hexadecimal", "User-agent: *\nDisallow: /%e3%83%84", "bot", "/ツ", Verdict{false, 2, "Disallow: /%e3%83%84"}},
		{"encoded unreserved letters", "User-agent: *\nDisallow: /foo/bar/%62%61%7A", "bot", "/foo/bar/baz", Verdict{false, 2, "Disallow: /foo/bar/%62%61%7A"}},
		{"encoded tilde", "User-agent: *\nDisallow: /\nAllow: /%7Ejoe/", "bot", "/~joe/", Verdict{true, 3, "Allow: /%7Ejoe/"}},
		{"letters encoded in the URL", "User-agent: *\nDisallow: /\nAllow: /baz", "bot", "/%62%61%7a", Verdict{true, 3, "Allow: /baz"}},
		{"reserved stays encoded", "User-agent: *\nDisallow: /a%2Fb", "bot", "/a/b", Verdict{Allowed: true}},
		{"star as a character", "User-agent: *\nDisallow: /file-with-a-%2A.html", "bot", "/file-with-a-*.html", Verdict{false, 2, "Disallow: /file-with-a-%2A.html"}},
		{"dollar as a character", "User-agent: *\nDisallow: /foo-%24", "bot", "/foo-$x", Verdict{false, 2, "Disallow: /foo-%24"}},
		{"dollar in the middle", "User-agent: *\nDisallow: /a$b", "bot", "/a$bc", Verdict{false, 2, "Disallow: /a$b"}},
		{"quote in a query", "User-agent: *\nDisallow: /?q='", "bot", "/?q=%27x", Verdict{false, 2, "Disallow: /?q='"}},
		{"stray percent sign", "User-agent: *\nDisallow: /100%", "bot", "/100%/x", Verdict{false, 2, "Disallow: /100%"}},
		{"end", "User-agent: *\nDisallow: /*.gif$", "bot", "/a.gif", Verdict{false, 2, "Disallow: /*.gif$"}},
		{"not the end", "User-agent: *\nDisallow: /*.gif$", "bot", "/a.gif?x", Verdict{Allowed: true}},
		{"end after star", "User-agent: *\nDisallow: /a*$", "bot", "/abc", Verdict{false, 2, "Disallow: /a*$"}},
		{"end of an overlapping piece", "User-agent: *\nDisallow: /ab*b$", "bot", "/ab", Verdict{Allowed: true}},
		{"exactly", "User-agent: *\nDisallow: /$", "bot", "/", Verdict{false, 2, "Disallow: /$"}},
	} {
		if got := Parse([]byte(c.file)).Allowed(c.agent, c.path); got != c.want {
			t.Errorf("%s: %s: got %+v, want %+v", c.name, c.path, got, c.want)
		}
	}
}

func TestCrawlDelay(t *testing.T) {
	for _, c := range []struct {
		name, file string
		want       time.Duration
		ok         bool
	}{
		{"none", "User-agent: *\nDisallow:", 0, false},
		{"whole", "User-agent: *\nCrawl-delay: 10", 10 * time.Second, true},
		{"fraction", "User-agent: *\nCrawl-delay: .25 # a quarter", 250 * time.Millisecond, true},
		{"zero", "User-agent: *\nCrawl-delay: 0", 0, true},
		{"garbage does not hurt", "User-agent: *\nCrawl-delay: soon\nDisallow: /", 0, false},
		{"empty", "User-agent: *\nCrawl-delay:", 0, false},
		{"two points", "User-agent: *\nCrawl-delay: 1.2.3", 0, false},
		{"negative", "User-agent: *\nCrawl-delay: -1", 0, false},
		{"infinite", "User-agent: *\nCrawl-delay: Inf", 0, false},
		{"not a number", "User-agent: *\nCrawl-delay: NaN", 0, false},
		{"longer than a Duration", "User-agent: *\nCrawl-delay: 99999999999999", MaxCrawlDelay, true},
		{"longer than a float64", "User-agent: *\nCrawl-delay: " + strings.Repeat("9", 400), MaxCrawlDelay, true},
		{"the longest", "User-agent: *\nCrawl-delay: 1\nCrawl-delay: 3\nCrawl-delay: 2", 3 * time.Second, true},
		{"of the own group", "User-agent: *\nCrawl-delay: 9\nUser-agent: a\nUser-agent: bot\nDisallow: /\nCrawl-delay: 3", 3 * time.Second, true},
		{"not of the others", "User-agent: *\nCrawl-delay: 9\nDisallow:\nUser-agent: bot\nDisallow: /", 0, false},
		{"of agents named before", "User-agent: other\nCrawl-delay: 9\nUser-agent: bot\nDisallow: /", 0, false},
		{"of both", "User-agent: other\nUser-agent: bot\nCrawl-delay: 9\nUser-agent: *\nDisallow: /", 9 * time.Second, true},
		{"before any group", "Crawl-delay: 9\nUser-agent: *\nDisallow: /", 0, false},
	} {
		if got, ok := Parse([]byte(c.file)).CrawlDelay("Bot/2.0"); got != c.want || ok != c.ok {
			t.Errorf("%s: got %v, %v, want %v, %v", c.name, got, ok, c.want, c.ok)
		}
	}
}

func TestSitemaps(t *testing.T) {
	f := Parse([]byte("Sitemap: https://example.org/a.xml\nUser-agent: bot\nSITEMAP :https://example.org/b.xml?x=1:2 \nsitemap:\nUser-agent: *\nDisallow: /"))
	if got := strings.Join(f.Sitemaps(), " "); got != "https://example.org/a.xml https://example.org/b.xml?x=1:2" {
		t.Errorf("got %s", got)
	}
	if f.Allowed("bot", "/").Allowed {
		t.Error("the Sitemap line split the group")
	}
}

func TestForStatus(t *testing.T) {
	body := []byte("User-agent: *\nDisallow: /x")
	for _, c := range []struct {
		status          int
		x, y            bool
		wantUnreachable bool
	}{
		{200, false, true, false},
		{206, false, true, false},
		{301, true, true, false},
		{401, true, true, false},
		{403, true, true, false},
		{404, true, true, false},
		{429, false, false, true},
		{500, false, false, true},
		{503, false, false, true},
		{0, false, false, true},
		{999, false, false, true},
	} {
		f, unreachable := ForStatus(c.status, body)
		x, y := f.Allowed("bot", "/x").Allowed, f.Allowed("bot", "/y").Allowed
		if x != c.x || y != c.y || unreachable != c.wantUnreachable {
			t.Errorf("%d: allowed /x %v, /y %v, unreachable %v; want %v, %v, %v", c.status, x, y, unreachable, c.x, c.y, c.wantUnreachable)
		}
		if !f.Allowed("bot", "/robots.txt").Allowed {
			t.Errorf("%d: /robots.txt is forbidden", c.status)
		}
		if _, ok := f.CrawlDelay("bot"); ok {
			t.Errorf("%d: a Crawl-delay", c.status)
		}
	}
}

func TestLimits(t *testing.T) {
	for _, c := range []struct {
		name   string
		limits Limits
		file   string
		path   string
		want   bool
		cut    bool
	}{
		{"whole", Limits{Bytes: 27}, "User-agent: *\nDisallow: /ab\n", "/ab", true, true},
		{"enough", Limits{Bytes: 28}, "User-agent: *\nDisallow: /ab\n", "/ab", false, false},
		{"a cut rule forbids nothing", Limits{Bytes: 25}, "User-agent: *\nDisallow: /ab\n", "/", true, true},
		{"cut by the caller", Limits{Bytes: 25}, "User-agent: *\nDisallow: /", "/", true, true},
		{"one line that never ends", Limits{Bytes: 5}, "User-agent: *", "/", true, true},
		{"line", Limits{LineBytes: 13}, "User-agent: *\nDisallow: /abc", "/abx", false, true},
		{"wildcards", Limits{Wildcards: 1}, "User-agent: *\nDisallow: /*x\nDisallow: /*y\nDisallow: /z", "/y", true, true},
		{"wildcards kept", Limits{Wildcards: 1}, "User-agent: *\nDisallow: /*x\nDisallow: /*y\nDisallow: /z", "/x", false, true},
		{"sitemaps", Limits{Sitemaps: 1}, "Sitemap: a\nSitemap: b\n", "/", true, true},
	} {
		f := c.limits.Parse([]byte(c.file))
		if got := f.Allowed("bot", c.path).Allowed; got != c.want || f.Truncated() != c.cut {
			t.Errorf("%s: allowed %v, truncated %v; want %v, %v", c.name, got, f.Truncated(), c.want, c.cut)
		}
		if n := len(f.Sitemaps()); c.limits.Sitemaps > 0 && n != c.limits.Sitemaps {
			t.Errorf("%s: %d sitemaps", c.name, n)
		}
	}
	long := "User-agent: *\n" + strings.Repeat("# filler\n", MaxBytes/9) + "Disallow: /\n"
	if f := Parse([]byte(long)); !f.Truncated() || !f.Allowed("bot", "/").Allowed {
		t.Error("more than 500 KiB were read")
	}
}

// TestConcurrentAgents lets several agents ask one file at once.
func TestConcurrentAgents(t *testing.T) {
	f := Parse([]byte("User-agent: a\nDisallow: /a\nUser-agent: b\nDisallow: /b\n"))
	done := make(chan bool)
	for _, agent := range []string{"a", "b", "a", "b"} {
		go func() {
			ok := true
			for range 1000 {
				ok = ok && !f.Allowed(agent, "/"+agent).Allowed && f.Allowed(agent, "/c").Allowed
			}
			done <- ok
		}()
	}
	for range 4 {
		if !<-done {
			t.Error("an agent got the answer of another")
		}
	}
}

// slowVerdict is section 2.2.2 in its plainest form: all rules are tried, the most specific counts.
func slowVerdict(rules []rule, path string) (v Verdict) {
	v.Allowed = true
	best := -1
	for _, allow := range []bool{true, false} {
		for _, r := range rules {
			if r.allow == allow && len(r.pattern) > best && slowMatch(r.pattern, path) {
				best, v = len(r.pattern), Verdict{r.allow, r.line, r.text}
			}
		}
	}
	return v
}

// slowMatch tries every way to match.
func slowMatch(pattern, path string) bool {
	switch {
	case pattern == "":
		return true
	case pattern == "$":
		return path == ""
	case pattern[0] == '*':
		return slowMatch(pattern[1:], path) || path != "" && slowMatch(pattern, path[1:])
	default:
		return path != "" && pattern[0] == path[0] && slowMatch(pattern[1:], path[1:])
	}
}

// TestModel compares the index with trying all rules, over files and paths of few letters, so that much matches.
func TestModel(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	word := func(letters string, n int) string {
		b := []byte("/")
		for range random.IntN(n) {
			b = append(b, letters[random.IntN(len(letters))])
		}
		return string(b)
	}
	wild := 0
	for range 3000 {
		var file strings.Builder
		file.WriteString("User-agent: *\n")
		for range random.IntN(20) {
			letters := "ab/"
			if random.IntN(2) == 0 {
				letters = "ab*$/"
			}
			fmt.Fprintf(&file, "%s: %s\n", []string{"Allow", "Disallow"}[random.IntN(2)], word(letters, 8))
		}
		f := Parse([]byte(file.String()))
		for range 20 {
			path := word("ab/", 10)
			got := f.Allowed("bot", path)
			want := slowVerdict(f.groups[0].rules, path)
			if got.Allowed != want.Allowed || (got.Line == 0) != (want.Line == 0) {
				t.Fatalf("%s: got %+v, want %+v, of\n%s", path, got, want, file.String())
			}
			if got.Line != 0 && hasWildcard(got.Rule) {
				wild++
			}
		}
	}
	if wild < 1000 {
		t.Errorf("only %d answers by a wildcard", wild)
	}
}

// TestSecondOpinion compares with temoto/robotstxt over files that it reads right: one group, plain prefixes, no ties.
func TestSecondOpinion(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for range 300 {
		var file strings.Builder
		file.WriteString("User-agent: bot\n")
		seen := map[string]bool{}
		for range 1 + random.IntN(12) {
			path := "/" + strings.Repeat("a", random.IntN(6)) + strings.Repeat("b", random.IntN(3))
			if !seen[path] {
				fmt.Fprintf(&file, "%s: %s\n", []string{"Allow", "Disallow"}[random.IntN(2)], path)
			}
			seen[path] = true
		}
		theirs, err := robotstxt.FromString(file.String())
		if err != nil {
			t.Fatal(err)
		}
		ours := Parse([]byte(file.String()))
		for range 20 {
			path := "/" + strings.Repeat("a", random.IntN(8)) + strings.Repeat("b", random.IntN(5))
			if got, want := ours.Allowed("bot", path).Allowed, theirs.TestAgent(path, "bot"); got != want {
				t.Fatalf("%s: allowed %v, want %v, of\n%s", path, got, want, file.String())
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("User-agent: *\nDisallow: /private\nAllow: /private/open\nCrawl-delay: 1.5\nSitemap: https://example.org/s.xml\n", "bot", "/private/x")
	f.Add("\uFEFFuser-agent:bot\r\rdisallow:/*.gif$\r\nallow:/%7e%2a*%", "bot,other", "/%7Ea*.gif?%")
	f.Add("user-agent *\ndisallow /\nallow /$$**$", "", "")
	f.Fuzz(func(t *testing.T, file, agent, path string) {
		parsed := Parse([]byte(file))
		v := parsed.Allowed(agent, path)
		if v.Line < 0 || (v.Line == 0) != (v.Rule == "") || v.Line == 0 && !v.Allowed {
			t.Fatalf("verdict %+v", v)
		}
		if text := decode([]byte(file)); v.Line > 0 && !strings.Contains(nthLine(text, v.Line), v.Rule) {
			t.Fatalf("line %d is %q, not %q", v.Line, nthLine(text, v.Line), v.Rule)
		}
		if d, ok := parsed.CrawlDelay(agent); d < 0 || d > MaxCrawlDelay || !ok && d != 0 {
			t.Fatalf("Crawl-delay %v, %v", d, ok)
		}
		for _, alnums := range []bool{true, false} {
			if n := normalizePath(path, alnums); normalizePath(n, alnums) != n {
				t.Fatalf("normalizing %q twice is not the same as once", path)
			}
		}
		if again := parsed.Allowed(agent, normalizePath("/"+path, false)); again != parsed.Allowed(agent, "/"+path) {
			t.Fatalf("/%s: the verdict changes with normalization: %+v", path, again)
		}
	})
}

func nthLine(file string, n int) string {
	file = strings.TrimPrefix(file, "\uFEFF")
	file = strings.ReplaceAll(file, "\r\n", "\n")
	file = strings.ReplaceAll(file, "\r", "\n")
	return strings.Split(file, "\n")[n-1]
}

func TestGroup(t *testing.T) {
	f := Parse([]byte("User-agent: Fancy\nUser-agent: bot\nDisallow: /a\n\nUser-agent: *\nDisallow: /b\n"))
	for agent, want := range map[string]string{"fancy": "Fancy", "Bot/1.0": "bot", "other": "*"} {
		if got := f.Group(agent); got != want {
			t.Errorf("%s is spoken to as %q, want %q", agent, got, want)
		}
	}
	if got := Parse([]byte("User-agent: x\nDisallow: /")).Group("y"); got != "" {
		t.Errorf("nobody speaks to y, but %q", got)
	}
	if got := AllowAll().Group("y"); got != "" {
		t.Errorf("no file speaks to y, but %q", got)
	}
}
