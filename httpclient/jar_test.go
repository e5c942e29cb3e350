package httpclient

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// testClock is a settable time for jars.
type testClock struct{ t time.Time }

func newTestClock() *testClock               { return &testClock{time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)} }
func (c *testClock) now() time.Time          { return c.t }
func (c *testClock) advance(d time.Duration) { c.t = c.t.Add(d) }

func sent(t testing.TB, jar CookieJar, to string) string {
	t.Helper()
	u := mustURL(t, to)
	header := string(jar.AppendHeader([]byte("x"), u))[1:]
	var pairs []string
	for _, c := range jar.Cookies(u) {
		pairs = append(pairs, c.Name+"="+rawValue(c))
	}
	if list := strings.Join(pairs, "; "); list != header {
		t.Errorf("to %s: AppendHeader gives %q, Cookies %q", to, header, list)
	}
	return header
}

func TestParseSetCookie(t *testing.T) {
	date := time.Date(2027, 8, 7, 8, 4, 19, 0, time.UTC)
	const rawDate = "Fri, 07 Aug 2027 08:04:19 GMT"
	for _, tc := range []struct {
		line string
		want http.Cookie
	}{
		{"a=b", http.Cookie{Name: "a", Value: "b"}},
		{" a = b c ; Path=/x", http.Cookie{Name: "a", Value: "b c", Path: "/x"}},
		{`a="b c"; path="/x"`, http.Cookie{Name: "a", Value: `"b c"`}},
		{`js={"a":1,"b":[2]}`, http.Cookie{Name: "js", Value: `{"a":1,"b":[2]}`}},
		{"ISAWPLB{A-B}=x/y=z==", http.Cookie{Name: "ISAWPLB{A-B}", Value: "x/y=z=="}},
		{"a/b@c=\xfc\xe9", http.Cookie{Name: "a/b@c", Value: "\xfc\xe9"}},
		{"a=", http.Cookie{Name: "a"}},
		{"a=b; DOMAIN=.ExAmple.org; secure; HttpOnly; SameSite=lax; Partitioned; Priority=High",
			http.Cookie{Name: "a", Value: "b", Domain: "example.org", Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode, Partitioned: true}},
		{"a=b; samesite=STRICT; samesite=nonsense", http.Cookie{Name: "a", Value: "b", SameSite: http.SameSiteDefaultMode}},
		{"a=b; Path=/x; Path=y", http.Cookie{Name: "a", Value: "b"}},
		{"a=b; Max-Age=60", http.Cookie{Name: "a", Value: "b", MaxAge: 60}},
		{"a=b; Max-Age=0", http.Cookie{Name: "a", Value: "b", MaxAge: -1}},
		{"a=b; Max-Age=-99999999999999999999", http.Cookie{Name: "a", Value: "b", MaxAge: -1}},
		{"a=b; Max-Age=99999999999999999999", http.Cookie{Name: "a", Value: "b", MaxAge: int(maxCookieAge / time.Second)}},
		{"a=b; Max-Age=+5; max-age=6x; max-age=-; max-age=", http.Cookie{Name: "a", Value: "b"}},
		{"a=b; \u017fecure; expire\u017f=" + rawDate, http.Cookie{Name: "a", Value: "b"}},
		{"a=b; Expires=" + rawDate, http.Cookie{Name: "a", Value: "b", Expires: date, RawExpires: rawDate}},
		{"a=b; Expires=never", http.Cookie{Name: "a", Value: "b"}},
		{"a=b; Path=/" + strings.Repeat("x", 1024), http.Cookie{Name: "a", Value: "b"}},
		{"a=b\tc", http.Cookie{Name: "a", Value: "b\tc"}},
	} {
		tc.want.Raw = tc.line
		got, err := ParseSetCookie(tc.line)
		if err != nil {
			t.Errorf("%q: %v", tc.line, err)
			continue
		}
		if fmt.Sprintf("%#v", *got) != fmt.Sprintf("%#v", tc.want) {
			t.Errorf("%q:\ngot  %#v\nwant %#v", tc.line, *got, tc.want)
		}
	}
	for _, line := range []string{
		"", "=", "=b", "a", ";", "; a=b", "a\x00=b", "a=b\x01", "a=b; path=/\x7f", "a=b\r", "a=\n",
		"a=" + strings.Repeat("x", 4096), strings.Repeat("x", 4097) + "=",
	} {
		if c, err := ParseSetCookie(line); !errors.Is(err, ErrCookie) {
			t.Errorf("%.40q: %v, %v; want ErrCookie", line, c, err)
		}
	}
}

func TestJarScope(t *testing.T) {
	const from = "https://www.shop.example.co.uk/a/b/c?x=/y/"
	for _, tc := range []struct {
		line string
		to   string
		want bool
	}{
		{"k=v", "https://www.shop.example.co.uk/a/b/d", true},
		{"k=v", "http://www.shop.example.co.uk:81/a/b", true},
		{"k=v", "https://WWW.SHOP.example.co.uk./a/b/", true},
		{"k=v", "https://www.shop.example.co.uk/a/bc", false},
		{"k=v", "https://www.shop.example.co.uk/", false},
		{"k=v", "https://x.www.shop.example.co.uk/a/b", false},
		{"k=v; path=/", "https://shop.example.co.uk/", false},
		{"k=v; path=/; domain=shop.example.co.uk", "https://shop.example.co.uk/", true},
		{"k=v; path=/; domain=shop.example.co.uk", "https://eshop.example.co.uk/", false},
		{"k=v; path=/; domain=example.co.uk", "https://other.example.co.uk", true},
		{"k=v; path=/; domain=co.uk", "https://www.shop.example.co.uk/", false},
		{"k=v; path=/; domain=uk", "https://www.shop.example.co.uk/", false},
		{"k=v; path=/; domain=example.org", "https://example.org/", false},
		{"k=v; path=/; domain=x.www.shop.example.co.uk", "https://x.www.shop.example.co.uk/", false},
		{"k=v; path=/; secure", "https://www.shop.example.co.uk/", true},
		{"k=v; path=/; secure", "wss://www.shop.example.co.uk/", true},
		{"k=v; path=/; secure", "http://www.shop.example.co.uk/", false},
		{"k=v; path=/%61/", "https://www.shop.example.co.uk/%61/x", true},
		{"k=v; path=/%61/", "https://www.shop.example.co.uk/a/x", false},
		{"__Secure-k=v; path=/; secure", "https://www.shop.example.co.uk/", true},
		{"__secure-k=v; path=/", "https://www.shop.example.co.uk/", false},
		{"__Host-k=v; path=/; secure", "https://www.shop.example.co.uk/", true},
		{"__Host-k=v; path=/a; secure", "https://www.shop.example.co.uk/a/", false},
		{"__Host-k=v; path=/; secure; domain=www.shop.example.co.uk", "https://www.shop.example.co.uk/", false},
	} {
		jar := NewCookieJar(JarConfig{})
		jar.SetFromHeader(mustURL(t, from), []string{tc.line})
		if got := sent(t, jar, tc.to); (got != "") != tc.want {
			t.Errorf("%q to %s: sent %q, want it sent: %t", tc.line, tc.to, got, tc.want)
		}
	}
}

func TestJarHosts(t *testing.T) {
	for _, tc := range []struct {
		from, line, to string
		allowIP        bool
		want           string
	}{
		{"http://localhost:8080/", "a=b", "http://localhost/", false, "a=b"},
		{"http://localhost/", "a=b; domain=localhost", "http://localhost/", false, "a=b"},
		{"http://localhost/", "a=b; domain=localhost", "http://x.localhost/", false, ""},
		{"http://github.io/", "a=b; domain=github.io", "http://github.io/", false, "a=b"},
		{"http://github.io/", "a=b; domain=github.io", "http://x.github.io/", false, ""},
		{"http://127.0.0.1/", "a=b", "http://127.0.0.1/", false, ""},
		{"http://127.0.0.1/", "a=b", "http://127.0.0.1:81/", true, "a=b"},
		{"http://127.0.0.1/", "a=b; domain=127.0.0.1", "http://127.0.0.1/", true, "a=b"},
		{"http://127.0.0.1/", "a=b; domain=0.0.1", "http://127.0.0.1/", true, ""},
		{"http://[::1]/", "a=b", "http://[::1]/", true, "a=b"},
		{"http://[::1]/", "a=b", "http://[::1]/", false, ""},
		{"http://bücher.example/", "a=b", "http://xn--bcher-kva.example/", false, "a=b"},
		{"http://xn--bcher-kva.example/", "a=b; domain=BÜCHER.example", "http://x.bücher.example/", false, "a=b"},
		{"http:///path", "a=b", "http:///path", false, ""},
		{"http://www.example.org./", "a=b", "http://www.example.org/", false, "a=b"},
		{"http://www.example\u3002org\u3002/", "a=b", "http://www.example.org/", false, "a=b"},
		{"http://www.example.org../", "a=b", "http://www.example.org../", false, ""},
		{"http://www..example.org/", "a=b; domain=example.org", "http://www..example.org/", false, ""},
	} {
		jar := NewCookieJar(JarConfig{AllowIP: tc.allowIP})
		jar.SetFromHeader(mustURL(t, tc.from), []string{tc.line})
		if got := sent(t, jar, tc.to); got != tc.want {
			t.Errorf("%s %q to %s: sent %q, want %q", tc.from, tc.line, tc.to, got, tc.want)
		}
	}
}

func TestJarRefusalsAreCounted(t *testing.T) {
	jar := NewCookieJar(JarConfig{})
	jar.SetFromHeader(mustURL(t, "https://a.example.org/"), []string{
		"s=1; secure", "broken", "a=\x01", "a=" + strings.Repeat("x", 5000), "a=b; domain=example.net",
		"a=b; domain=org", "__Host-a=b", "good=1",
	})
	jar.SetFromHeader(mustURL(t, "http://a.example.org/"), []string{"a=b; secure", "s=2", "s=3; path=/deeper", "good=2"})
	jar.SetFromHeader(mustURL(t, "http://10.0.0.1/"), []string{"a=b", "c=d"})
	jar.SetFromHeader(&url.URL{Scheme: "http", Path: "/"}, []string{"a=b"})
	jar.SetCookies(mustURL(t, "http://example.org/"), []*http.Cookie{{Name: "a;b", Value: "x"}, {Name: "a", Value: "b; secure"}})

	want := map[Refusal]uint64{
		RefusedMalformed: 4, RefusedTooLarge: 1, RefusedDomain: 1, RefusedPublicSuffix: 1,
		RefusedIPHost: 2, RefusedInsecure: 3, RefusedPrefix: 1, RefusedURL: 1,
	}
	stats := jar.Stats()
	if fmt.Sprint(stats.Refused) != fmt.Sprint(want) {
		t.Errorf("refused %v, want %v", stats.Refused, want)
	}
	if stats.Cookies != 2 || stats.Domains != 1 || jar.Len() != 2 {
		t.Errorf("%+v and Len %d, want 2 cookies of 1 domain", stats, jar.Len())
	}
	if got := sent(t, jar, "https://a.example.org/deeper"); got != "s=1; good=2" {
		t.Errorf("sent %q: http must not have touched what https set", got)
	}
	for r := range refusals {
		if r.String() == "" {
			t.Errorf("Refusal(%d) has no name", r)
		}
	}
}

func TestJarReplacesAndOrders(t *testing.T) {
	clock := newTestClock()
	jar := NewCookieJar(JarConfig{Now: clock.now})
	u := mustURL(t, "http://www.example.org/x/y/z")
	set := func(lines ...string) {
		clock.advance(time.Second)
		jar.SetFromHeader(u, lines)
	}
	set("a=1; path=/", "b=1; path=/x/y", "c=1; path=/", "a=1; path=/x")
	set("c=2; path=/", "a=2; path=/", "a=sub; path=/; domain=example.org")
	if got, want := sent(t, jar, u.String()), "b=1; a=1; a=2; c=2; a=sub"; got != want {
		t.Errorf("sent %q, want %q", got, want)
	}
	set("a=; path=/; max-age=0", "b=gone; path=/x/y; expires=Thu, 01 Jan 1970 00:00:00 GMT", "new=; path=/; max-age=-1")
	if got, want := sent(t, jar, u.String()), "a=1; c=2; a=sub"; got != want {
		t.Errorf("after deleting: sent %q, want %q", got, want)
	}
	if jar.Len() != 3 {
		t.Errorf("Len %d, want 3", jar.Len())
	}
}

func TestJarExpiry(t *testing.T) {
	clock := newTestClock()
	jar := NewCookieJar(JarConfig{Now: clock.now})
	u := mustURL(t, "http://example.org/")
	jar.SetFromHeader(u, []string{
		"session=1", "minute=1; max-age=60; expires=Fri, 07 Aug 2099 08:04:19 GMT",
		"hour=1; expires=" + clock.t.Add(time.Hour).Format(http.TimeFormat),
		"ever=1; max-age=9999999999",
	})
	for _, step := range []struct {
		advance time.Duration
		want    string
	}{
		{59 * time.Second, "session=1; minute=1; hour=1; ever=1"},
		{time.Second, "session=1; hour=1; ever=1"},
		{time.Hour, "session=1; ever=1"},
		{DefaultMaxCookieLifetime, "session=1"},
	} {
		clock.advance(step.advance)
		if got := sent(t, jar, u.String()); got != step.want {
			t.Errorf("at %v: sent %q, want %q", clock.t, got, step.want)
		}
	}
	if jar.Len() != 1 {
		t.Errorf("Len %d, want 1", jar.Len())
	}
}

func TestJarShared(t *testing.T) {
	jar := NewCookieJar(JarConfig{})
	jar.SetShared(&http.Cookie{Name: "all", Value: "1", Domain: "ignored.example"}, &http.Cookie{Name: "safe", Value: "2", Secure: true})
	jar.SetCookies(nil, []*http.Cookie{{Name: "more", Value: "a b", Quoted: true}})
	jar.SetFromHeader(mustURL(t, "http://example.org/"), []string{"own=3"})
	for to, want := range map[string]string{
		"http://example.org/":    `own=3; all=1; more="a b"`,
		"https://example.net/x":  `all=1; safe=2; more="a b"`,
		"http://192.0.2.1/":      `all=1; more="a b"`,
		"http://localhost:1234/": `all=1; more="a b"`,
	} {
		if got := sent(t, jar, to); got != want {
			t.Errorf("to %s: sent %q, want %q", to, got, want)
		}
	}
	jar.SetShared(&http.Cookie{Name: "all", MaxAge: -1})
	if got, want := sent(t, jar, "http://example.net/"), `more="a b"`; got != want {
		t.Errorf("after removing one: %q, want %q", got, want)
	}
}

func TestJarCaps(t *testing.T) {
	clock := newTestClock()
	jar := NewCookieJar(JarConfig{MaxPerDomain: 5, MaxCookies: 12, Now: clock.now})
	host := func(i int) *url.URL { return mustURL(t, fmt.Sprintf("http://h%d.d%d.example/", i, i)) }
	for i := range 10 {
		jar.SetFromHeader(host(1), []string{fmt.Sprintf("c%d=1; domain=d1.example", i)})
		_ = jar.Cookies(mustURL(t, "http://d1.example/")) // all kept ones are used
		if i >= 2 {
			jar.SetFromHeader(host(1), []string{"keep=1; path=/other"})
		}
	}
	if got := sent(t, jar, "http://d1.example/"); got != "c6=1; c7=1; c8=1; c9=1" {
		t.Errorf("one domain keeps %q", got)
	}
	// d2 is used less recently than d1 when the whole jar is full.
	jar.SetFromHeader(host(2), []string{"a=1", "b=1", "soon=1; max-age=5"})
	_ = jar.Cookies(host(1))
	jar.SetFromHeader(host(3), []string{"a=1", "b=1", "c=1", "d=1"})
	if jar.Len() != 12 {
		t.Fatalf("Len %d, want the jar full with 12", jar.Len())
	}
	before := jar.Stats().Evicted
	clock.advance(10 * time.Second)
	jar.SetFromHeader(host(3), []string{"e=1"}) // takes the expired one of d2
	if n := jar.Stats().Evicted - before; n != 0 || jar.Len() != 12 {
		t.Errorf("%d evicted though one had expired; Len %d", n, jar.Len())
	}
	jar.SetFromHeader(host(4), []string{"a=1", "b=1", "c=1"})
	if got := sent(t, jar, "http://h2.d2.example/"); got != "" {
		t.Errorf("the least recently used domain still has %q", got)
	}
	if got := sent(t, jar, "http://h3.d3.example/"); got != "a=1; b=1; c=1; d=1; e=1" {
		t.Errorf("d3 has %q", got)
	}
	if stats := jar.Stats(); stats.Cookies != 12 || stats.Domains != 3 || stats.Evicted != before+3 {
		t.Errorf("%+v; want 12 cookies of 3 domains, %d evicted", stats, before+3)
	}
}

func TestJarAllAndClear(t *testing.T) {
	jar := NewCookieJar(JarConfig{})
	for _, host := range []string{"a.example.org", "b.example.org", "example.org", "example.net", "eexample.org"} {
		jar.SetFromHeader(mustURL(t, "https://"+host+"/p/"), []string{"k=" + host + "; httponly; samesite=strict; secure"})
	}
	var got []string
	for e := range jar.All() {
		got = append(got, e.Value)
		if e.Domain != e.Value || e.Path != "/p" || !e.HostOnly || !e.Secure || !e.HTTPOnly || e.SameSite != http.SameSiteStrictMode || !e.Expires.IsZero() || e.Created.IsZero() {
			t.Errorf("entry %+v", *e)
		}
		e.Value = "changed" // a copy
		_ = jar.Len()       // the jar is free in the loop
	}
	if want := "a.example.org b.example.org example.org example.net eexample.org"; strings.Join(got, " ") != want {
		t.Errorf("All: %q, want %q", got, want)
	}
	for range jar.All() {
		break
	}
	if n := jar.Clear(func(e *Entry) bool { return e.Domain == "b.example.org" }); n != 1 || jar.Len() != 4 {
		t.Errorf("Clear by predicate: %d gone, %d left", n, jar.Len())
	}
	if n := jar.ClearDomain(".Example.ORG"); n != 2 || jar.Len() != 2 {
		t.Errorf("ClearDomain: %d gone, %d left", n, jar.Len())
	}
	if n := jar.Clear(nil); n != 2 || jar.Len() != 0 || jar.Stats().Domains != 0 {
		t.Errorf("Clear: %d gone, %+v", n, jar.Stats())
	}
}

func TestDummyJar(t *testing.T) {
	var jar CookieJar = DummyJar{}
	u := mustURL(t, "http://example.org/")
	jar.SetFromHeader(u, []string{"a=b"})
	jar.SetCookies(u, []*http.Cookie{{Name: "a", Value: "b"}})
	jar.SetShared(&http.Cookie{Name: "a", Value: "b"})
	if got := sent(t, jar, u.String()); got != "" {
		t.Errorf("a DummyJar sent %q", got)
	}
}

func TestWrapJar(t *testing.T) {
	std, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	jar := WrapJar(std)
	u := mustURL(t, "http://example.org/")
	jar.SetFromHeader(u, []string{"a=b", `q="x y"`, "broken", "gone=1; max-age=0"})
	if got, want := sent(t, jar, u.String()), `a=b; q="x y"`; got != want {
		t.Errorf("sent %q, want %q", got, want)
	}
	jar.SetShared(&http.Cookie{Name: "all", Value: "1"})
	if got, want := sent(t, jar, u.String()), `a=b; q="x y"; all=1`; got != want {
		t.Errorf("sent %q, want %q", got, want)
	}
	if got, want := sent(t, jar, "http://example.net/"), "all=1"; got != want {
		t.Errorf("sent %q, want %q", got, want)
	}
	own := NewCookieJar(JarConfig{})
	if WrapJar(own) != CookieJar(own) {
		t.Error("a CookieJar is wrapped again")
	}
}

// A Jar in an http.Client, as any http.CookieJar.
func TestJarIsAnHTTPCookieJar(t *testing.T) {
	jar := NewCookieJar(JarConfig{})
	u := mustURL(t, "https://www.example.org/")
	jar.SetCookies(u, []*http.Cookie{
		{Name: "a", Value: "1", Domain: ".example.org", Path: "/x", MaxAge: 10, HttpOnly: true},
		{Name: "b", Value: "2", Expires: time.Now().Add(-time.Hour)},
		{Name: "c", Value: "3", MaxAge: 1 << 40},
	})
	if got := sent(t, jar, "https://example.org/x/y"); got != "a=1" {
		t.Errorf("sent %q", got)
	}
	if got := sent(t, jar, "https://www.example.org/"); got != "c=3" {
		t.Errorf("sent %q", got)
	}
}

// modelJar does what a jar does in the plainest way.
type modelJar struct {
	cookies []modelCookie
	order   int
}

type modelCookie struct {
	Entry
	order int
}

func (m *modelJar) set(host, path, line string, secure bool, now time.Time) {
	c, err := ParseSetCookie(line)
	if err != nil {
		return
	}
	e := Entry{Name: c.Name, Value: c.Value, Domain: host, Path: c.Path, HostOnly: true, Secure: c.Secure}
	if c.Domain != "" {
		if c.Domain != host && !strings.HasSuffix(host, "."+c.Domain) || c.Domain == "example" {
			return
		}
		e.Domain, e.HostOnly = c.Domain, false
	}
	if e.Path == "" {
		if e.Path = path[:strings.LastIndex(path, "/")]; e.Path == "" {
			e.Path = "/"
		}
	}
	if !secure {
		if e.Secure {
			return
		}
		for _, old := range m.cookies {
			related := old.Domain == e.Domain || strings.HasSuffix(old.Domain, "."+e.Domain) || strings.HasSuffix(e.Domain, "."+old.Domain)
			live := old.Expires.IsZero() || old.Expires.After(now)
			if live && old.Secure && old.Name == e.Name && related && underPath(e.Path, old.Path) {
				return
			}
		}
	}
	if c.MaxAge != 0 {
		e.Expires = now.Add(time.Duration(c.MaxAge) * time.Second)
	}
	m.order++
	order := m.order
	m.cookies = slices.DeleteFunc(m.cookies, func(old modelCookie) bool {
		if !old.Expires.IsZero() && !old.Expires.After(now) {
			return true
		}
		if old.Name == e.Name && old.Domain == e.Domain && old.Path == e.Path && old.HostOnly == e.HostOnly {
			order = old.order
			return true
		}
		return false
	})
	if e.Expires.IsZero() || e.Expires.After(now) {
		m.cookies = append(m.cookies, modelCookie{e, order})
	}
}

func underPath(path, prefix string) bool {
	return path == prefix || strings.HasPrefix(path, strings.TrimSuffix(prefix, "/")+"/")
}

func (m *modelJar) sent(host, path string, secure bool, now time.Time) string {
	var list []modelCookie
	for _, c := range m.cookies {
		live := c.Expires.IsZero() || c.Expires.After(now)
		there := c.Domain == host || !c.HostOnly && strings.HasSuffix(host, "."+c.Domain)
		if live && there && underPath(path, c.Path) && (secure || !c.Secure) {
			list = append(list, c)
		}
	}
	slices.SortStableFunc(list, func(a, b modelCookie) int {
		if len(a.Path) != len(b.Path) {
			return len(b.Path) - len(a.Path)
		}
		return a.order - b.order
	})
	var pairs []string
	for _, c := range list {
		pairs = append(pairs, c.Name+"="+c.Value)
	}
	return strings.Join(pairs, "; ")
}

func TestJarAgainstModel(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	pick := func(s ...string) string { return s[rng.IntN(len(s))] }
	for range 50 {
		clock := newTestClock()
		jar, model := NewCookieJar(JarConfig{Now: clock.now}), &modelJar{}
		for range 200 {
			scheme := pick("http", "https")
			host := pick("a.example", "b.a.example", "c.b.a.example", "d.example", "x.d.example")
			path := pick("/", "/p", "/p/", "/p/q", "/p/q/r", "/pq")
			u := mustURL(t, scheme+"://"+host+path)
			switch rng.IntN(5) {
			case 0:
				clock.advance(time.Duration(rng.IntN(30)) * time.Second)
			case 1, 2:
				line := pick("k", "l", "m") + "=" + fmt.Sprint(rng.IntN(1000)) +
					pick("", "; path=/", "; path=/p", "; path=/p/", "; path=/p/q") +
					pick("", "", "; domain=a.example", "; domain=b.a.example", "; domain=example", "; domain=d.example") +
					pick("", "", "; max-age=20", "; max-age=0") + pick("", "", "; secure")
				jar.SetFromHeader(u, []string{line})
				model.set(host, path, line, scheme == "https", clock.t)
			default:
				got, want := sent(t, jar, u.String()), model.sent(host, path, scheme == "https", clock.t)
				if got != want {
					t.Fatalf("to %s: jar sends %q, model %q", u, got, want)
				}
			}
		}
		// What is saved and loaded behaves the same.
		var file bytes.Buffer
		if err := jar.Save(&file); err != nil {
			t.Fatal(err)
		}
		again := NewCookieJar(JarConfig{Now: clock.now})
		if err := again.Load(&file); err != nil {
			t.Fatal(err)
		}
		for _, to := range []string{"http://c.b.a.example/p/q/r", "https://b.a.example/p/q", "https://x.d.example/p"} {
			if got, want := sent(t, again, to), sent(t, jar, to); got != want {
				t.Fatalf("loaded jar sends %q to %s, the saved one %q", got, to, want)
			}
		}
	}
}

func TestJarSaveLoad(t *testing.T) {
	clock := newTestClock()
	jar := NewCookieJar(JarConfig{Now: clock.now, AllowIP: true})
	jar.SetFromHeader(mustURL(t, "https://www.example.org/x/"), []string{
		"plain=1; max-age=100; secure; httponly; samesite=lax", `quoted="<a & b>"; domain=example.org`,
		"bytes\xff=\xfe\xfd", "tab=a\tb; max-age=5",
	})
	jar.SetFromHeader(mustURL(t, "http://192.0.2.7/"), []string{"ip=1"})
	jar.SetShared(&http.Cookie{Name: "all", Value: "1"})
	clock.advance(10 * time.Second)

	var file bytes.Buffer
	if err := jar.Save(&file); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(file.String(), "\n"); n != 5 {
		t.Errorf("%d lines saved, want 5:\n%s", n, file.String())
	}
	again := NewCookieJar(JarConfig{Now: clock.now, AllowIP: true})
	if err := again.Load(bytes.NewReader(file.Bytes())); err != nil {
		t.Fatal(err)
	}
	want := entries(jar)
	if got := entries(again); got != want {
		t.Errorf("loaded:\n%s\nwant:\n%s", got, want)
	}

	// A jar that may not keep them all says so.
	strict := NewCookieJar(JarConfig{Now: clock.now})
	if err := strict.Load(strings.NewReader(file.String() + `{"domain":"co.uk","name":"super","value":"1"}
{"domain":"example.org","name":"bad;name"}

{"domain":"example.org","name":"__Host-x","path":"/","secure":true}
`)); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(strict.Stats().Refused); strict.Len() != 4 || got != fmt.Sprint(map[Refusal]uint64{RefusedIPHost: 1, RefusedPublicSuffix: 1, RefusedMalformed: 1, RefusedPrefix: 1}) {
		t.Errorf("%d kept, refused %s", strict.Len(), got)
	}

	for line, text := range map[int]string{
		1: "not json\n", 3: "{}\n\n{\"domain\":\"x\n", 2: "{}\n" + strings.Repeat("x", maxJarLine+1),
	} {
		err := NewCookieJar(JarConfig{}).Load(strings.NewReader(text))
		if fe := (*JarFileError)(nil); !errors.As(err, &fe) || fe.Line != line {
			t.Errorf("loading %.30q: %v, want line %d", text, err, line)
		}
	}
}

func entries(jar *Jar) string {
	var b strings.Builder
	for e := range jar.All() {
		e.Expires, e.Created = e.Expires.UTC(), e.Created.UTC()
		fmt.Fprintf(&b, "%+v\n", *e)
	}
	return b.String()
}

func TestJarNetscape(t *testing.T) {
	clock := newTestClock()
	jar := NewCookieJar(JarConfig{Now: clock.now})
	const file = "# Netscape HTTP Cookie File\r\n" +
		"# a comment\n\n" +
		".example.org\tTRUE\t/\tFALSE\t4102444800\tdomainwide\t1\r\n" +
		"#HttpOnly_www.example.org\tFALSE\t/x\tTRUE\t0\tsession\t\"a b\"\n" +
		"www.example.org\tFALSE\t/\tFALSE\t1700000000.5\texpired\t1\n" +
		"www.example.org\tFALSE\t/\tFALSE\t0\tempty\n" +
		"www.example.org\tFALSE\t/\tFALSE\t0\ttabs\ta\tb\n" +
		"co.uk\tTRUE\t/\tFALSE\t0\tsuper\t1\n" +
		"www.example.org FALSE / FALSE 0 spaces 1\n" +
		"www.example.org\tFALSE\t/\tFALSE\tsoon\tbad\t1\n" +
		"www.example.org\tFALSE\t/\tFALSE\t0\t\tnameless\n" +
		".www.example.org.\tTRUE\t/dot\tFALSE\t0\troot\t1\n" +
		"www.example.org..\tTRUE\t/\tFALSE\t0\tdots\t1\n"
	if err := jar.LoadNetscape(strings.NewReader(file)); err != nil {
		t.Fatal(err)
	}
	if got, want := sent(t, jar, "https://www.example.org/x"), "session=\"a b\"; domainwide=1; empty=; tabs=a\tb"; got != want {
		t.Errorf("sent %q, want %q", got, want)
	}
	if got, want := sent(t, jar, "http://other.example.org/x"), "domainwide=1"; got != want {
		t.Errorf("sent %q, want %q", got, want)
	}
	if got := fmt.Sprint(jar.Stats().Refused); got != fmt.Sprint(map[Refusal]uint64{RefusedMalformed: 3, RefusedPublicSuffix: 1, RefusedURL: 1}) {
		t.Errorf("refused %s", got)
	}
	var out bytes.Buffer
	jar.SetShared(&http.Cookie{Name: "all", Value: "1"})
	if err := jar.SaveNetscape(&out); err != nil {
		t.Fatal(err)
	}
	want := "# Netscape HTTP Cookie File\n" +
		fmt.Sprintf(".example.org\tTRUE\t/\tFALSE\t%d\tdomainwide\t1\n", clock.t.Add(DefaultMaxCookieLifetime).Unix()) +
		"#HttpOnly_www.example.org\tFALSE\t/x\tTRUE\t0\tsession\t\"a b\"\n" +
		"www.example.org\tFALSE\t/\tFALSE\t0\tempty\t\n" +
		"www.example.org\tFALSE\t/\tFALSE\t0\ttabs\ta\tb\n" +
		".www.example.org\tTRUE\t/dot\tFALSE\t0\troot\t1\n"
	if out.String() != want {
		t.Errorf("saved\n%s\nwant\n%s", out.String(), want)
	}
	err := NewCookieJar(JarConfig{}).LoadNetscape(strings.NewReader("# x\n<html>\n<p>"))
	if fe := (*JarFileError)(nil); !errors.As(err, &fe) || fe.Line != 2 {
		t.Errorf("loading a web page: %v", err)
	}
	if err := NewCookieJar(JarConfig{}).LoadNetscape(strings.NewReader("")); err != nil {
		t.Errorf("loading nothing: %v", err)
	}
}

func TestJarFiles(t *testing.T) {
	dir := t.TempDir()
	jar := NewCookieJar(JarConfig{})
	jar.SetFromHeader(mustURL(t, "http://example.org/"), []string{"a=1", "b=2; domain=example.org"})
	for name, first := range map[string]byte{"jar.jsonl": '{', "cookies.txt": '#'} {
		path := filepath.Join(dir, name)
		for range 2 { // the second time over the first
			if err := jar.SaveFile(path); err != nil {
				t.Fatal(err)
			}
		}
		content, err := os.ReadFile(path)
		if err != nil || content[0] != first {
			t.Errorf("%s: starts with %q, %v", name, content[:1], err)
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v, %v", name, info.Mode(), err)
		}
		again := NewCookieJar(JarConfig{})
		if err := again.LoadFile(path); err != nil {
			t.Fatal(err)
		}
		if got := sent(t, again, "http://example.org/"); got != "a=1; b=2" {
			t.Errorf("%s: loaded jar sends %q", name, got)
		}
	}
	// A save that fails leaves the old file alone, and no other behind.
	old := filepath.Join(dir, "dir")
	if err := os.MkdirAll(filepath.Join(old, "in the way"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := jar.SaveFile(old); err == nil {
		t.Error("saving over a directory succeeded")
	}
	files, _ := os.ReadDir(dir)
	if len(files) != 3 {
		t.Errorf("left in the directory: %v", files)
	}
	if err := jar.LoadFile(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("loading a missing file: %v", err)
	}
	if err := jar.SaveFile(filepath.Join(dir, "no", "such")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("saving in a missing directory: %v", err)
	}
}

func TestJarConcurrent(t *testing.T) {
	jar := NewCookieJar(JarConfig{MaxCookies: 200, MaxPerDomain: 20})
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(w), 1))
			for i := range 300 {
				u := mustURL(t, fmt.Sprintf("http://h%d.example/", rng.IntN(30)))
				jar.SetFromHeader(u, []string{fmt.Sprintf("c%d=%d", rng.IntN(30), i)})
				_ = jar.AppendHeader(nil, u)
				switch rng.IntN(50) {
				case 0:
					jar.ClearDomain(u.Hostname())
				case 1:
					_ = jar.Save(io.Discard)
				case 2:
					_ = jar.Len()
				}
			}
		})
	}
	wg.Wait()
	n := 0
	for range jar.All() {
		n++
	}
	if stats := jar.Stats(); n != stats.Cookies || n > 200 {
		t.Errorf("%d cookies listed, %d counted, at most 200 wanted", n, stats.Cookies)
	}
}

// A suffix list that nonsense comes from must do no harm.
type oddSuffixes string

func (s oddSuffixes) PublicSuffix(string) string { return string(s) }
func (s oddSuffixes) String() string             { return string(s) }

func TestJarOddSuffixList(t *testing.T) {
	for _, suffix := range []string{"", "x", "example.org.and.more", "ample.org", "org", "example.org", "www.example.org"} {
		jar := NewCookieJar(JarConfig{PublicSuffix: oddSuffixes(suffix)})
		u := mustURL(t, "http://www.example.org/")
		jar.SetFromHeader(u, []string{"a=b"})
		if got := sent(t, jar, u.String()); got != "a=b" {
			t.Errorf("suffix %q: sent %q", suffix, got)
		}
	}
}

func ExampleNewCookieJar() {
	jar := NewCookieJar(JarConfig{})
	login := &url.URL{Scheme: "https", Host: "www.example.org", Path: "/login"}
	jar.SetFromHeader(login, []string{`session="a=1, b"; Domain=example.org; Path=/; Secure`})

	shop := &url.URL{Scheme: "https", Host: "shop.example.org", Path: "/"}
	fmt.Printf("%s\n", jar.AppendHeader(nil, shop))
	// Output: session="a=1, b"
}

func FuzzParseSetCookie(f *testing.F) {
	f.Fuzz(func(t *testing.T, line string) {
		u := &url.URL{Scheme: "https", Host: "www.example.org", Path: "/x/y"}
		jar := NewCookieJar(JarConfig{})
		jar.SetFromHeader(u, []string{line})
		header := string(jar.AppendHeader(nil, u))
		if header != "" {
			name, value, ok := strings.Cut(header, "=")
			if !ok || !strings.Contains(line, name) || !strings.Contains(line, value) || hasControl(header) || strings.Contains(header, ";") {
				t.Fatalf("%q gave %q", line, header)
			}
		}
		if _, err := ParseSetCookie(line); err != nil && header != "" {
			t.Fatalf("%q is refused by the parser with %v, yet %q is sent", line, err, header)
		}
		var file bytes.Buffer
		if err := jar.Save(&file); err != nil {
			t.Fatal(err)
		}
		again := NewCookieJar(JarConfig{})
		if err := again.Load(&file); err != nil {
			t.Fatal(err)
		}
		if got := string(again.AppendHeader(nil, u)); got != header {
			t.Fatalf("%q: saved and loaded, %q is sent instead of %q", line, got, header)
		}
	})
}

func FuzzCookieDate(f *testing.F) {
	f.Fuzz(func(t *testing.T, s string) {
		date, ok := parseCookieDate(s)
		if !ok {
			return
		}
		if date.Year() < 1601 || date.Year() > 9999 || date.Location() != time.UTC {
			t.Fatalf("%q is %v", s, date)
		}
		again, ok := parseCookieDate(date.Format(http.TimeFormat))
		if !ok || !again.Equal(date) {
			t.Fatalf("%q is %v, but that is %v", s, date, again)
		}
	})
}

func FuzzNetscape(f *testing.F) {
	f.Fuzz(func(t *testing.T, file []byte) {
		jar := NewCookieJar(JarConfig{AllowIP: true})
		_ = jar.LoadNetscape(bytes.NewReader(file))
		var first, second bytes.Buffer
		if err := jar.SaveNetscape(&first); err != nil {
			t.Fatal(err)
		}
		again := NewCookieJar(JarConfig{AllowIP: true})
		if err := again.LoadNetscape(bytes.NewReader(first.Bytes())); err != nil {
			t.Fatalf("%v\n%q", err, first.Bytes())
		}
		if err := again.SaveNetscape(&second); err != nil {
			t.Fatal(err)
		}
		if first.String() != second.String() {
			t.Fatalf("saved %q\nloaded and saved again %q", first.Bytes(), second.Bytes())
		}
	})
}

func BenchmarkJarLookup(b *testing.B) {
	jar := NewCookieJar(JarConfig{})
	urls := make([]*url.URL, 10_000)
	for i := range urls {
		urls[i] = mustURL(b, fmt.Sprintf("https://www.site%d.co.uk/catalogue/page-%d.html", i, i))
		var lines []string
		for k := range 10 {
			lines = append(lines, fmt.Sprintf("cookie%d=some-value-%d; path=/; domain=site%d.co.uk; max-age=100000", k, k, i))
		}
		jar.SetFromHeader(urls[i], lines)
	}
	if jar.Len() != 100_000 {
		b.Fatal(jar.Len())
	}
	b.Run("10-of-100000", func(b *testing.B) {
		b.ReportAllocs()
		var dst []byte
		for i := 0; b.Loop(); i++ {
			if dst = jar.AppendHeader(dst[:0], urls[i%len(urls)]); len(dst) == 0 {
				b.Fatal("nothing sent")
			}
		}
	})
	b.Run("none-of-100000", func(b *testing.B) {
		b.ReportAllocs()
		u := mustURL(b, "https://www.elsewhere.example.com/")
		for b.Loop() {
			if jar.AppendHeader(nil, u) != nil {
				b.Fatal("sent")
			}
		}
	})
}

func BenchmarkSetCookie(b *testing.B) {
	jar := NewCookieJar(JarConfig{})
	u := mustURL(b, "https://www.example.org/")
	lines := []string{"session=0123456789abcdef; Path=/; Expires=Fri, 07 Aug 2099 08:04:19 GMT; HttpOnly; Secure"}
	b.ReportAllocs()
	for b.Loop() {
		jar.SetFromHeader(u, lines)
	}
}
