package simweb

import (
	"bytes"
	"compress/gzip"
	"crypto/tls"
	"crypto/x509"
	"encoding/xml"
	"io"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/temoto/robotstxt"
	"golang.org/x/net/html"
)

// referenceCrawl is a crawler made of what others have written: net/http, net/url, x/net/html and temoto/robotstxt. It
// returns how often each URL gave a page.
func referenceCrawl(t *testing.T, client *http.Client, seeds []string) map[string]int {
	t.Helper()
	pages := make(map[string]int)
	seen := make(map[string]bool)
	rules := make(map[string]*robotstxt.Group)
	queue := slices.Clone(seeds)
	for _, u := range queue {
		seen[u] = true
	}
	add := func(u *url.URL) {
		u.Fragment = ""
		if (u.Scheme == "http" || u.Scheme == "https") && !seen[u.String()] {
			seen[u.String()] = true
			queue = append(queue, u.String())
		}
	}
	for len(queue) > 0 {
		u, err := url.Parse(queue[0])
		if err != nil {
			t.Fatal(err)
		}
		queue = queue[1:]
		if rules[u.Host] == nil {
			status, body, _ := get(t, client, u.Scheme+"://"+u.Host+"/robots.txt")
			robots, err := robotstxt.FromStatusAndBytes(status, body)
			if err != nil {
				t.Fatal(err)
			}
			rules[u.Host] = robots.FindGroup("test")
		}
		if !rules[u.Host].Test(u.RequestURI()) {
			continue
		}
		status, body, header := get(t, client, u.String())
		if location := header.Get("Location"); location != "" {
			to, err := u.Parse(location)
			if err != nil {
				t.Fatal(err)
			}
			add(to)
			continue
		}
		if status >= 500 { // once more
			status, body, _ = get(t, client, u.String())
		}
		if status != 200 {
			continue
		}
		pages[u.String()]++
		for _, ref := range hrefs(u, body) {
			add(ref)
		}
	}
	return pages
}

func get(t *testing.T, client *http.Client, u string) (int, []byte, http.Header) {
	t.Helper()
	resp, err := client.Get(u)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s: %v", u, err)
	}
	return resp.StatusCode, body, resp.Header
}

// hrefs returns the targets of a page's links.
func hrefs(page *url.URL, body []byte) (targets []*url.URL) {
	base, based := page, false
	for z := html.NewTokenizer(bytes.NewReader(body)); z.Next() != html.ErrorToken; {
		token := z.Token()
		if token.Type != html.StartTagToken && token.Type != html.SelfClosingTagToken {
			continue
		}
		i := slices.IndexFunc(token.Attr, func(a html.Attribute) bool { return a.Key == "href" })
		if i < 0 {
			continue
		}
		target, err := base.Parse(strings.TrimSpace(token.Attr[i].Val))
		if err != nil {
			continue
		}
		switch {
		case token.Data == "base" && !based:
			base, based = target, true
		case token.Data == "a":
			targets = append(targets, target)
		}
	}
	return targets
}

// newClient returns a client of the web that follows no redirects, closed with the test.
func newClient(t *testing.T, w *Web, viaPipes bool) *http.Client {
	tr := &http.Transport{}
	if viaPipes {
		tr.DialContext = w.DialContext
	}
	if ca := w.CA(); ca != nil {
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(ca) {
			t.Fatal("CA gave no certificate")
		}
		tr.TLSClientConfig = &tls.Config{RootCAs: roots, ClientSessionCache: tls.NewLRUClientSessionCache(0)}
	}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

func start(t *testing.T, cfg Config) *Web {
	t.Helper()
	w, err := Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

func TestCorrectCrawl(t *testing.T) {
	for name, cfg := range map[string]Config{
		"zero":   {},
		"single": {Hosts: 1, Pages: 1},
		"chain":  {Hosts: 1, Pages: 300, Links: 1},
		"large":  {Hosts: 2, Pages: 80, Links: 50, Bytes: 30_000, Gzip: true},
		"cross":  {Hosts: 260, Pages: 2, Links: 3, CrossLinks: 1},
		"faults": {Hosts: 5, Pages: 120, CrossLinks: 0.3, ErrorRate: 0.2, BrokenRate: 0.2, RedirectRate: 0.3, Seed: 7},
		"worst":  {Hosts: 2, Pages: 100, ErrorRate: 1, RedirectRate: 1, BrokenRate: 1, NoRobots: true, ConnRequests: 3},
		"secure": {Hosts: 3, Pages: 100, CrossLinks: 0.3, RedirectRate: 0.3, ConnRequests: 50, TLS: true},
	} {
		t.Run(name, func(t *testing.T) {
			w := start(t, cfg)
			pages := referenceCrawl(t, newClient(t, w, false), w.Seeds())
			want := make(map[string]int)
			for u := range w.URLs() {
				want[u] = 1
			}
			if diff := cmp.Diff(want, pages); diff != "" {
				t.Errorf("pages fetched (-want +got):\n%s", diff)
			}
			got := w.Counts()
			if got.MaxConcurrent != 1 || got.Bytes == 0 || got.Conns == 0 || got.MaxConns == 0 {
				t.Errorf("one fetch at a time gave %+v", got)
			}
			// The reference tries a page again on any 500, for ever broken ones too.
			for u, status := range w.Broken() {
				if want[u] != 0 {
					t.Errorf("%s is both a page and broken", u)
				}
				if status == 500 {
					got.Broken--
					got.Requests--
				}
			}
			if cfg.TLS != (got.Handshakes > 0) || cfg.TLS != (got.Resumed > 0) || got.Resumed > got.Handshakes {
				t.Errorf("%d handshakes, %d of them resumed a session", got.Handshakes, got.Resumed)
			}
			got.Handshakes, got.Resumed = 0, 0
			got.MaxConcurrent, got.MaxConns, got.Conns, got.Bytes, got.MinGap = 0, 0, 0, 0, 0
			if diff := cmp.Diff(w.Want(), got); diff != "" {
				t.Errorf("counts (-want +got):\n%s", diff)
			}
		})
	}
}

// A crawler that takes everything that looks like a link, as it stands, has to show in the counts.
func TestCarelessCrawl(t *testing.T) {
	w := start(t, Config{Hosts: 2, Pages: 50})
	client := newClient(t, w, false)
	href := regexp.MustCompile(`href="([^"]*)"`)
	for u := range w.URLs() {
		page, _ := url.Parse(u)
		_, body, _ := get(t, client, u)
		for _, m := range href.FindAllSubmatch(body, -1) {
			if target, err := page.Parse(string(m[1])); err == nil && target.Scheme == "http" && target.Host == page.Host {
				target.Fragment = ""
				get(t, client, target.String())
			}
		}
	}
	c := w.Counts()
	if c.Trapped == 0 || c.NotFound == 0 || c.Forbidden == 0 || c.Duplicates == 0 || c.Assets == 0 {
		t.Errorf("careless crawl went unnoticed: %+v", c)
	}
	if c.Distinct != 100 {
		t.Errorf("Distinct = %d, want 100", c.Distinct)
	}
	if sum := c.Robots + c.Sitemaps + c.Pages + c.Redirects + c.Errors + c.Broken + c.Assets + c.Forbidden + c.Trapped + c.NotFound + c.Zoo + c.Bad; sum != c.Requests {
		t.Errorf("classes add up to %d, Requests = %d: %+v", sum, c.Requests, c)
	}
	var hosts Counts
	for i := range 2 {
		h := w.HostCounts(i)
		hosts.add(&h)
	}
	if diff := cmp.Diff(c, hosts); diff != "" {
		t.Errorf("hosts do not add up (-total +hosts):\n%s", diff)
	}
	w.Reset()
	if c := w.Counts(); c.Requests != 0 || c.Distinct != 0 || c.MinGap != 0 {
		t.Errorf("after Reset: %+v", c)
	}
}

// Each awkward spelling that the doc promises is on some page of a small web.
func TestAwkwardness(t *testing.T) {
	w, err := New(Config{Hosts: 2, Pages: 300, CrossLinks: 0.2})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	client := newClient(t, w, true)
	var all bytes.Buffer
	for u := range w.URLs() {
		_, body, _ := get(t, client, u)
		all.Write(body)
	}
	for _, pattern := range []string{
		`<a href=/s\d+/p\d+\.html>`, `<a href=/s\d+/\d+/>`, `HREF = '`, `<A CLASS="nav" HREF="/`, "href = \"/s", `href=" /s`,
		`href="\./`, `href=["' ]*\.\./\.\./`, `href=["' ]*\.\./s\d`, `href=["' ]*\?id=\d+&copy=no`, `href=["' ]*\?id=\d+&amp;copy=no`,
		`href=["' ]*//127\.1\.0\.[12]/s`, `href=["' ]*http://127`, `href=["' ]*HTTP://127`, `/s9/\./\.\./s`, `href=["' ]*&#47;`,
		`href=["' ]*&#x2F;`, `#part-[01]`, `/café-\d+`, `/caf%C3%A9-\d+`, `/a b-\d+`, `/a%20b-\d+`, `<BASE HREF='/s`, `<BASE HREF='http://`,
		`href="#top"`, `href=""`, `<!-- <a href="/trap/`, `'<a href="/trap/script">`, `title='<a href="/trap/`, `" href="/trap/second"`,
		`href="/private/p`, `/private/open/p\d+\.html`, `\?session=`, `\.pdf`, `mailto:`, `javascript:`,
	} {
		if !regexp.MustCompile(pattern).Match(all.Bytes()) {
			t.Errorf("no page has %s", pattern)
		}
	}
}

func TestPagesFollowFromConfig(t *testing.T) {
	render := func(cfg Config) map[string]string {
		w, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		client := newClient(t, w, true)
		pages := make(map[string]string)
		for u := range w.URLs() {
			_, body, _ := get(t, client, u)
			pages[u] = string(body)
		}
		return pages
	}
	cfg := Config{Hosts: 2, Pages: 20, Seed: 3}
	pages := render(cfg)
	if !maps.Equal(pages, render(cfg)) {
		t.Error("the same Config gave other pages")
	}
	if distinct := len(maps.Collect(func(yield func(string, bool) bool) {
		for _, body := range pages {
			if !yield(body, true) {
				return
			}
		}
	})); distinct != 40 {
		t.Errorf("40 pages have %d different bodies", distinct)
	}
	cfg.Seed++
	if maps.Equal(pages, render(cfg)) {
		t.Error("another seed gave the same pages")
	}
}

func TestPageSize(t *testing.T) {
	for _, size := range []int{5_000, 8192, 30_000, 200_000} {
		w, err := New(Config{Hosts: 1, Pages: 50, Bytes: size})
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		client := newClient(t, w, true)
		for u := range w.URLs() {
			if _, body, _ := get(t, client, u); len(body) < size*9/10 || len(body) > size*11/10 {
				t.Errorf("Bytes: %d gave a page of %d", size, len(body))
			}
		}
	}
}

// The gzip form of a page is its plain form, compressed about as well as real pages are.
func TestGzip(t *testing.T) {
	for _, cfg := range []Config{
		{Hosts: 2, Pages: 40, Bytes: 30_000, Links: 50, Gzip: true},
		{Hosts: 1, Pages: 10, Bytes: 100, Gzip: true},
		{Hosts: 1, Pages: 2, Links: 50_000, Gzip: true},
	} {
		cfg.Port = 80
		cfg, err := cfg.complete()
		if err != nil {
			t.Fatal(err)
		}
		w, err := newWeb(cfg)
		if err != nil {
			t.Fatal(err)
		}
		p := w.pages.New().(*page)
		var plain, packed int
		for host := range cfg.Hosts {
			for number := range cfg.Pages {
				p.buf, p.gzip = p.buf[:0], false
				p.render(host, number)
				want := bytes.Clone(p.buf)
				p.buf, p.gzip = p.buf[:0], true
				p.render(host, number)
				r, err := gzip.NewReader(bytes.NewReader(p.buf))
				if err != nil {
					t.Fatal(err)
				}
				got, err := io.ReadAll(r)
				if err != nil {
					t.Fatalf("page %d: %v", number, err)
				}
				if !bytes.Equal(got, want) {
					t.Fatalf("page %d: gzip gives another page", number)
				}
				plain += len(want)
				packed += len(p.buf)
			}
		}
		if ratio := float64(packed) / float64(plain); cfg.Bytes == 30_000 && (ratio < 0.35 || ratio > 0.5) {
			t.Errorf("gzip ratio %.2f, want about 0.42", ratio)
		}
	}
}

func TestRobotsTxt(t *testing.T) {
	w := start(t, Config{Hosts: 1, CrawlDelay: 1500 * time.Millisecond})
	client := newClient(t, w, false)
	status, body, _ := get(t, client, w.Seeds()[0]+"robots.txt")
	robots, err := robotstxt.FromStatusAndBytes(status, body)
	if err != nil {
		t.Fatal(err)
	}
	group := robots.FindGroup("test")
	if group.CrawlDelay != 1500*time.Millisecond {
		t.Errorf("Crawl-delay %v", group.CrawlDelay)
	}
	for u := range w.URLs() {
		if path := u[len(w.Seeds()[0])-1:]; !group.Test(path) || forbidden(path) {
			t.Errorf("page %s is forbidden", path)
		}
	}
	for _, path := range []string{"/private/p1.html", "/s0/p1.html?session=3", "/static/doc-4.pdf"} {
		if group.Test(path) || !forbidden(path) {
			t.Errorf("%s is not forbidden", path)
		}
	}
	if !robots.TestAgent("/", "test") || robots.TestAgent("/", "unwelcome") {
		t.Error("the unwelcome agent is welcome, or all others are not")
	}

	custom := start(t, Config{RobotsTxt: "User-agent: *\nDisallow: /\n", RobotsStatus: 503})
	if status, body, _ := get(t, newClient(t, custom, false), custom.Seeds()[0]+"robots.txt"); status != 503 || string(body) != "User-agent: *\nDisallow: /\n" {
		t.Errorf("custom robots.txt: %d %q", status, body)
	}
}

// Robots.txt leads to the index, the index to the sitemaps, and these to every page once.
func TestSitemaps(t *testing.T) {
	w := start(t, Config{Hosts: 2, Pages: 2500, Sitemaps: true})
	client := newClient(t, w, false)
	locs := func(body []byte) (urls []string) {
		var list struct {
			URLs []struct {
				Loc string `xml:"loc"`
			} `xml:"url"`
			Indexed []struct {
				Loc string `xml:"loc"`
			} `xml:"sitemap"`
		}
		if err := xml.Unmarshal(body, &list); err != nil {
			t.Fatal(err)
		}
		for _, u := range append(list.URLs, list.Indexed...) {
			urls = append(urls, strings.TrimSpace(u.Loc))
		}
		return urls
	}
	_, body, _ := get(t, client, w.Seeds()[1]+"robots.txt")
	robots, err := robotstxt.FromBytes(body)
	if err != nil || len(robots.Sitemaps) != 1 {
		t.Fatal(robots, err)
	}
	_, body, _ = get(t, client, robots.Sitemaps[0])
	listed := make(map[string]int)
	for _, sitemap := range locs(body) {
		_, body, _ := get(t, client, sitemap)
		if strings.HasSuffix(sitemap, ".gz") {
			r, err := gzip.NewReader(bytes.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			if body, err = io.ReadAll(r); err != nil {
				t.Fatal(err)
			}
		}
		for _, u := range locs(body) {
			listed[u]++
		}
	}
	want := make(map[string]int)
	for u := range w.HostURLs(1) {
		want[u] = 1
	}
	if diff := cmp.Diff(want, listed); diff != "" {
		t.Errorf("pages listed (-want +got):\n%s", diff)
	}
	if status, _, _ := get(t, client, w.Seeds()[0]+"sitemap-3.xml.gz"); status != 404 {
		t.Errorf("a sitemap too many answers %d", status)
	}
	if c := w.Counts(); c.Sitemaps != 4 || c.NotFound != 1 {
		t.Errorf("counted %+v", c)
	}
}

// What the generator lists is what a client gets.
func TestStatuses(t *testing.T) {
	w := start(t, Config{Hosts: 2, Pages: 60, ErrorRate: 0.2, BrokenRate: 0.2, RedirectRate: 0.3})
	client := newClient(t, w, false)
	pages := maps.Collect(func(yield func(string, bool) bool) {
		for u := range w.URLs() {
			if !yield(u, true) {
				return
			}
		}
	})
	codes := make(map[int]int)
	for u, want := range w.Failing() {
		codes[want]++
		for _, want := range []int{want, 200, 200} {
			if status, _, _ := get(t, client, u); status != want || !pages[u] {
				t.Errorf("%s: status %d, want %d", u, status, want)
			}
		}
	}
	for u, want := range w.Broken() {
		codes[want]++
		for range 2 {
			if status, _, _ := get(t, client, u); status != want || pages[u] {
				t.Errorf("%s: status %d, want %d", u, status, want)
			}
		}
	}
	for u, want := range w.Redirects() {
		codes[want]++
		status, _, header := get(t, client, u)
		from, _ := url.Parse(u)
		to, err := from.Parse(header.Get("Location"))
		if err != nil || status != want || !pages[to.String()] {
			t.Errorf("%s: status %d, want %d, to %v, %v", u, status, want, to, err)
		}
	}
	for _, code := range []int{301, 302, 303, 307, 308, 404, 410, 500, 502, 503} {
		if codes[code] == 0 {
			t.Errorf("no URL answers %d", code)
		}
	}
}
