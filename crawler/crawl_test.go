package crawler_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/orbweaver/orbweaver/crawler"
	"github.com/orbweaver/orbweaver/frontier/memfrontier"
	"github.com/orbweaver/orbweaver/internal/simweb"
	"github.com/orbweaver/orbweaver/storage"
	"github.com/orbweaver/orbweaver/storage/memstore"
)

func startWeb(t *testing.T, cfg simweb.Config) *simweb.Web {
	t.Helper()
	w, err := simweb.Start(cfg)
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

// run crawls to the end and checks the job's invariants.
func run(t *testing.T, cfg crawler.Config) (*crawler.Summary, *crawler.Job) {
	t.Helper()
	if cfg.Dir == "" {
		cfg.Dir = filepath.Join(t.TempDir(), "job")
	}
	if cfg.Delay == 0 {
		cfg.Delay = crawler.NoDelay
	}
	c, err := crawler.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	s, err := c.Run(t.Context())
	if err != nil {
		t.Error(err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	return s, reopen(t, cfg.Dir)
}

func reopen(t *testing.T, dir string) *crawler.Job {
	t.Helper()
	j, err := crawler.OpenJob(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := j.Check(t.Context()); err != nil {
		t.Errorf("check: %v", err)
	}
	return j
}

// results returns a job's records by URL; no URL may have two.
func results(t *testing.T, s storage.Store) map[string]*storage.Record {
	t.Helper()
	all := make(map[string]*storage.Record)
	for rec, err := range s.Records(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		if all[rec.URL] != nil {
			t.Errorf("%s has two results", rec.URL)
		}
		all[rec.URL] = rec
	}
	return all
}

// TestWholeWeb crawls a web with everything in it, at several numbers of
// workers, and compares with what the web counted.
func TestWholeWeb(t *testing.T) {
	for _, workers := range []int{1, 16, 1000} {
		t.Run(fmt.Sprint(workers), func(t *testing.T) {
			web := startWeb(t, simweb.Config{
				Hosts: 8, Pages: 50, Links: 20, Bytes: 4096, Gzip: true, CrossLinks: 0.1,
				ErrorRate: 0.02, BrokenRate: 0.05, RedirectRate: 0.1, ConnRequests: 40,
			})
			s, job := run(t, crawler.Config{Seeds: web.Seeds(), Concurrency: workers, Retries: 1})
			if s.Ended != crawler.Done || s.Waiting != 0 || s.Leased != 0 {
				t.Errorf("ended %q with %d waiting, %d leased", s.Ended, s.Waiting, s.Leased)
			}
			compare(t, web)
			stored := results(t, job.Store())
			for u := range web.URLs() {
				if stored[u] == nil || stored[u].Status != 200 {
					t.Errorf("%s: %+v", u, stored[u])
				}
			}
			for u := range web.Redirects() {
				rec := stored[u]
				if rec == nil || rec.Status/100 != 3 || stored[rec.FinalURL] == nil {
					t.Errorf("redirect %s: %+v", u, rec)
				}
			}
			for u, status := range web.Broken() {
				if stored[u] == nil || stored[u].Status != status {
					t.Errorf("broken %s: %+v, want status %d", u, stored[u], status)
				}
			}
		})
	}
}

// compare fails where the crawl was not a correct one, by the web's own count.
func compare(t *testing.T, web *simweb.Web) {
	t.Helper()
	got, want := web.Counts(), web.Want()
	for name, pair := range map[string][2]int64{
		"pages":      {got.Pages, want.Pages},
		"distinct":   {got.Distinct, want.Distinct},
		"duplicates": {got.Duplicates, 0},
		"redirects":  {got.Redirects, want.Redirects},
		"errors":     {got.Errors, want.Errors},
		"robots":     {got.Robots, want.Robots},
		"forbidden":  {got.Forbidden, 0},
		"trapped":    {got.Trapped, 0},
		"not found":  {got.NotFound, 0},
		"bad":        {got.Bad, 0},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s: %d, want %d", name, pair[0], pair[1])
		}
	}
	if got.MaxConcurrent != 1 {
		t.Errorf("a host had %d requests at once", got.MaxConcurrent)
	}
}

// TestReplacedRooms runs on a frontier and a store that are not the job's.
func TestReplacedRooms(t *testing.T) {
	web := startWeb(t, simweb.Config{Hosts: 3, Pages: 30})
	backend := memfrontier.New()
	store := memstore.New()
	dir := t.TempDir()
	c, err := crawler.New(crawler.Config{
		Dir: dir, Seeds: web.Seeds(), Delay: crawler.NoDelay, Frontier: backend, Store: store,
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(c.Close(), backend.Check(t.Context()), store.Check(t.Context())); err != nil {
		t.Error(err)
	}
	compare(t, web)
	if n := len(results(t, store)); n != 90 {
		t.Errorf("%d results, want 90", n)
	}
}

func TestMaxPagesIsExact(t *testing.T) {
	web := startWeb(t, simweb.Config{Hosts: 20, Pages: 50, ErrorRate: 0.05})
	dir := filepath.Join(t.TempDir(), "job")
	for _, limit := range []int64{1, 137, 500} { // the job goes on from run to run
		s, _ := runKeep(t, crawler.Config{Dir: dir, Seeds: web.Seeds(), Concurrency: 1000, MaxPages: limit})
		if s.Fetched != limit || s.Ended != crawler.MaxPages {
			t.Errorf("limit %d: %d fetched, ended %q", limit, s.Fetched, s.Ended)
		}
		if got := web.Counts(); got.Pages != limit {
			t.Errorf("limit %d: the web served %d pages", limit, got.Pages)
		}
	}
	s, _ := runKeep(t, crawler.Config{Dir: dir, Concurrency: 1000})
	if s.Fetched != 1000 || s.Ended != crawler.Done {
		t.Errorf("without limit: %d fetched, ended %q", s.Fetched, s.Ended)
	}
	compare(t, web)
}

// runKeep is run for a job that is run again.
func runKeep(t *testing.T, cfg crawler.Config) (s *crawler.Summary, stats crawler.Stats) {
	t.Helper()
	t.Run("", func(t *testing.T) {
		var j *crawler.Job
		s, j = run(t, cfg)
		var err error
		if stats, err = j.Stats(); err != nil {
			t.Error(err)
		}
	})
	return s, stats
}

func TestMaxDepth(t *testing.T) {
	site := serve(t, func(w http.ResponseWriter, r *http.Request) {
		html(w, `<a href="`+strings.TrimSuffix(r.URL.Path, "/")+`/x">deeper</a>`)
	})
	s, job := run(t, crawler.Config{Seeds: []string{site}, MaxDepth: 3})
	if s.Fetched != 4 || s.LeftOut[crawler.ReasonDepth] != 1 {
		t.Errorf("%d fetched, left out %v", s.Fetched, s.LeftOut)
	}
	for _, rec := range results(t, job.Store()) {
		if want := strings.Count(rec.URL, "/x"); rec.Depth != want {
			t.Errorf("%s has depth %d", rec.URL, rec.Depth)
		}
	}
}

func TestMaxTimeAndStop(t *testing.T) {
	slow := serve(t, func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-time.After(10 * time.Second):
		}
	})
	s, _ := run(t, crawler.Config{Seeds: []string{slow}, MaxTime: 50 * time.Millisecond, Robots: crawler.RobotsPolicy{Ignore: true}})
	if s.Ended != crawler.MaxTime || s.Waiting != 1 || s.Fetched+s.Failed != 0 {
		t.Errorf("max time: %+v", s)
	}

	web := startWeb(t, simweb.Config{Hosts: 4, Pages: 100})
	dir := filepath.Join(t.TempDir(), "job")
	var c *crawler.Crawler
	var once sync.Once
	c, err := crawler.New(crawler.Config{
		Dir: dir, Seeds: web.Seeds(), Delay: crawler.NoDelay,
		Events: crawler.Events{Fetched: func(e crawler.FetchedEvent) {
			if e.Depth > 0 {
				once.Do(func() { c.Stop() })
			}
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	s, err = c.Run(t.Context())
	if err != nil || s.Ended != crawler.Stopped {
		t.Errorf("stopped: %v, %+v", err, s)
	}
	if got := web.Counts(); got.Pages != s.Fetched {
		t.Errorf("stopped softly: %d pages served, %d stored", got.Pages, s.Fetched)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	run(t, crawler.Config{Dir: dir})
	compare(t, web)
}

func TestCancelGivesBack(t *testing.T) {
	web := startWeb(t, simweb.Config{Hosts: 4, Pages: 100, Latency: time.Millisecond})
	dir := filepath.Join(t.TempDir(), "job")
	for i := 0; ; i++ {
		ctx, cancel := context.WithCancel(t.Context())
		var n atomic.Int32
		c, err := crawler.New(crawler.Config{
			Dir: dir, Seeds: web.Seeds(), Delay: crawler.NoDelay,
			Events: crawler.Events{Fetched: func(crawler.FetchedEvent) {
				if n.Add(1) == 50 {
					cancel()
				}
			}},
		})
		if err != nil {
			t.Fatal(err)
		}
		s, err := c.Run(ctx)
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if s.Ended == crawler.Done {
			break
		}
		if s.Ended != crawler.Cancelled || i > 20 {
			t.Fatalf("run %d: %+v", i, s)
		}
	}
	if n := len(results(t, reopen(t, dir).Store())); n != 400 {
		t.Errorf("%d results, want 400", n)
	}
}

// TestPoliteness looks at delays as the server saw them, over a stop and a
// resume.
func TestPoliteness(t *testing.T) {
	web := startWeb(t, simweb.Config{Hosts: 5, Pages: 12})
	dir := filepath.Join(t.TempDir(), "job")
	const delay = 100 * time.Millisecond
	runKeep(t, crawler.Config{Dir: dir, Seeds: web.Seeds(), Delay: delay, MaxPages: 20})
	runKeep(t, crawler.Config{Dir: dir, Delay: delay})
	compare(t, web)
	if gap := web.Counts().MinGap; gap < delay {
		t.Errorf("the smallest gap was %v, want at least %v", gap, delay)
	}
}

func TestCrawlDelay(t *testing.T) {
	web := startWeb(t, simweb.Config{Hosts: 2, Pages: 5, CrawlDelay: time.Second})
	began := time.Now()
	run(t, crawler.Config{Seeds: web.Seeds(), Delay: time.Millisecond})
	compare(t, web)
	if gap := web.Counts().MinGap; gap < time.Second || time.Since(began) < 5*time.Second {
		t.Errorf("the smallest gap was %v", gap)
	}
}

func TestRobotsUnreachable(t *testing.T) {
	for _, status := range []int{503, 404, 403} {
		web := startWeb(t, simweb.Config{Hosts: 2, Pages: 5, RobotsStatus: status})
		s, _ := run(t, crawler.Config{Seeds: web.Seeds(), Retries: -1})
		if status < 500 { // all is allowed, also what the usual robots.txt forbids
			if got := web.Counts(); got.Distinct != 10 || got.Forbidden == 0 {
				t.Errorf("robots %d: %d pages and %d forbidden URLs fetched", status, got.Distinct, got.Forbidden)
			}
			continue
		}
		if s.Fetched != 0 || s.LeftOut[crawler.ReasonRobotsUnreachable] != 2 || len(s.Problems) != 2 {
			t.Errorf("robots %d: %d fetched, left out %v, problems %q", status, s.Fetched, s.LeftOut, s.Problems)
		}
	}
}

// TestZoo meets every kind of bad server; the crawl must end by itself and say
// what happened.
func TestZoo(t *testing.T) {
	web := startWeb(t, simweb.Config{Hosts: 1, Pages: 3, Zoo: true, NoRobots: true})
	seeds := web.Seeds()
	for _, x := range simweb.Zoo() {
		seeds = append(seeds, "http://"+web.Host(0)+x.Path)
	}
	s, job := run(t, crawler.Config{
		Seeds: seeds, PerHost: 64, Timeout: 2 * time.Second, MaxBody: 1 << 20, Retries: -1,
		MaxDepth: 3, Exclude: []*regexp.Regexp{regexp.MustCompile(`/zoo/none/`)}, // the zoo has pages without end
	})
	if s.Ended != crawler.Done {
		t.Errorf("ended %q", s.Ended)
	}
	stored := results(t, job.Store())
	for _, x := range simweb.Zoo() {
		rec := stored["http://"+web.Host(0)+x.Path]
		if rec == nil {
			t.Errorf("%s (%s): no result", x.Path, x.What)
			continue
		}
		t.Logf("%-28s %3d %8d bytes %-9s %s", x.Path, rec.Status, rec.Bytes, rec.ErrorClass, rec.Error)
		if rec.Bytes > 1<<20 {
			t.Errorf("%s: %d bytes stored", x.Path, rec.Bytes)
		}
	}
	for u := range web.URLs() {
		if stored[u] == nil || stored[u].Status != 200 {
			t.Errorf("%s, a good page: %+v", u, stored[u])
		}
	}
}

func TestRedirects(t *testing.T) {
	other := serve(t, func(w http.ResponseWriter, r *http.Request) { html(w, "other host") })
	var forbidden atomic.Int32
	site := serve(t, func(w http.ResponseWriter, r *http.Request) {
		var n int
		switch {
		case r.URL.Path == "/robots.txt":
			fmt.Fprint(w, "User-agent: *\nDisallow: /private\n")
		case r.URL.Path == "/":
			html(w, `<a href=/to-private>1</a><a href=/to-other>2</a><a href=/chain/5>3</a><a href=/chain/3>4</a><a href=/loop>5</a><a href=/bad>6</a><a href=/ftp>7</a>`)
		case r.URL.Path == "/to-private":
			http.Redirect(w, r, "/private", http.StatusFound)
		case r.URL.Path == "/private":
			forbidden.Add(1)
		case r.URL.Path == "/to-other":
			http.Redirect(w, r, other+"/", http.StatusMovedPermanently)
		case r.URL.Path == "/loop":
			http.Redirect(w, r, "/loop", http.StatusFound)
		case r.URL.Path == "/bad":
			w.Header().Set("Location", "http://[::bad/")
			w.WriteHeader(http.StatusFound)
		case r.URL.Path == "/ftp":
			w.Header().Set("Location", "ftp://example.org/")
			w.WriteHeader(http.StatusFound)
		case scan(r.URL.Path, "/chain/%d", &n) && n > 0:
			http.Redirect(w, r, fmt.Sprintf("/chain/%d", n-1), http.StatusTemporaryRedirect)
		default:
			html(w, "end")
		}
	})
	s, job := run(t, crawler.Config{Seeds: []string{site}, MaxRedirects: 4})
	if forbidden.Load() != 0 {
		t.Error("a redirect led to a forbidden page")
	}
	want := map[crawler.Reason]int64{
		crawler.ReasonRobots: 1, crawler.ReasonScope: 1, crawler.ReasonInvalid: 1, crawler.ReasonNoHTTP: 1,
	}
	stored := results(t, job.Store())
	// The two chains meet: whichever comes first decides whether the limit of
	// four hops is passed by the longer one.
	delete(s.LeftOut, crawler.ReasonRedirects)
	if !maps.Equal(s.LeftOut, want) {
		t.Errorf("left out %v, want %v", s.LeftOut, want)
	}
	if rec := stored[site+"/chain/3"]; rec == nil || rec.FinalURL != site+"/chain/2" || rec.Status != 307 {
		t.Errorf("chain: %+v", rec)
	}
	if rec := stored[site+"/loop"]; rec == nil || rec.FinalURL != site+"/loop" {
		t.Errorf("loop: %+v", rec)
	}
	if stored[other+"/"] != nil {
		t.Error("a redirect left the scope")
	}
}

func TestSeedProblems(t *testing.T) {
	other := serve(t, func(w http.ResponseWriter, r *http.Request) { html(w, "other host") })
	away := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			http.Redirect(w, r, other+"/", http.StatusFound)
			return
		}
		http.NotFound(w, r)
	})
	gone := serve(t, func(w http.ResponseWriter, r *http.Request) { http.NotFound(w, r) })
	closed, closed2 := httptest.NewServer(nil), httptest.NewServer(nil)
	closed.Close()
	closed2.Close()
	plain := serve(t, func(w http.ResponseWriter, r *http.Request) { html(w, "plain http only") })
	address := strings.TrimPrefix(plain, "http://")
	dead := strings.TrimPrefix(closed2.URL, "http://")

	s, job := run(t, crawler.Config{
		Seeds:   []string{away, gone, closed.URL, address, dead, "http://no-such-host.invalid/"},
		Retries: -1,
	})
	for _, want := range []string{
		`^seed ` + away + `/: redirects to ` + other + `/, out of scope: give that URL as the seed`,
		`^seed ` + gone + `/: the server answered 404$`,
		`^seed ` + closed.URL + `/: .*refused`,
		`^seed ` + dead + `: tried https first \(.*refused.*\), then http://` + dead + `/ \(.*refused`,
		`^seed http://no-such-host\.invalid/: .*no-such-host\.invalid`,
	} {
		re := regexp.MustCompile(want)
		if !slices.ContainsFunc(s.Problems, re.MatchString) {
			t.Errorf("no problem matches %s in\n%s", want, strings.Join(s.Problems, "\n"))
		}
	}
	stored := results(t, job.Store())
	if rec := stored[plain+"/"]; rec == nil || rec.Status != 200 {
		t.Errorf("seed without scheme: %+v", rec)
	}
	if rec := stored["http://no-such-host.invalid/"]; rec == nil || rec.Status != 0 || rec.ErrorClass != "dns" {
		t.Errorf("no such host: %+v", rec)
	}
}

func TestPrivateAddresses(t *testing.T) {
	var reached atomic.Int32
	inner := serve(t, func(w http.ResponseWriter, r *http.Request) { reached.Add(1) })
	site := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/redirect" {
			http.Redirect(w, r, inner+"/secret2", http.StatusFound)
			return
		}
		html(w, `<a href="`+inner+`/secret">inner</a><a href=/redirect>r</a><a href="http://169.254.169.254/latest/">metadata</a>`)
	})
	s, _ := run(t, crawler.Config{Seeds: []string{site}, Scope: crawler.ScopeAny, Retries: -1})
	if reached.Load() != 0 {
		t.Error("a page led to a private address")
	}
	if s.LeftOut[crawler.ReasonPrivate] < 2 {
		t.Errorf("left out %v", s.LeftOut)
	}
	run(t, crawler.Config{Seeds: []string{site}, Scope: crawler.ScopeAny, Retries: -1, AllowPrivate: true, Exclude: []*regexp.Regexp{regexp.MustCompile("169")}})
	if reached.Load() == 0 {
		t.Error("AllowPrivate did not open it")
	}
}

// TestHandlers has handlers that do their work, fail, and panic.
func TestHandlers(t *testing.T) {
	site := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/missing" {
			http.NotFound(w, r)
			return
		}
		html(w, `<title>T</title><a href=/good>g</a><a href=/error>e</a><a href=/panic>p</a><a href=/missing>m</a>`)
	})
	var failed sync.Map
	handler := crawler.HandlerFunc(func(_ context.Context, p *crawler.Page) error {
		path := strings.TrimPrefix(p.URL, site)
		if err := p.Emit(map[string]string{"path": path, "label": p.Label, "data": string(p.Data)}); err != nil {
			return err
		}
		err := p.FollowRequest(crawler.Request{URL: "/from" + path, Label: "followed", Data: []byte(path)})
		if err != nil {
			return err
		}
		switch {
		case path == "/error":
			return errors.New("bad page")
		case path == "/panic":
			panic("worse page")
		case p.Label == "followed" && strings.Count(path, "/from") > 1:
			return p.Follow("http://[bad")
		}
		return nil
	})
	s, job := run(t, crawler.Config{
		Seeds: []string{site}, Handler: handler, MaxDepth: 3,
		Events: crawler.Events{HandlerFailed: func(e crawler.HandlerFailedEvent) { failed.Store(strings.TrimPrefix(e.URL, site), e.Err) }},
	})
	stored := results(t, job.Store())
	for path, wantError := range map[string]string{
		"/": "", "/good": "", "/from/": "", "/from/good": "",
		"/error": "handler: bad page", "/panic": "handler: panic: worse page",
	} {
		rec := stored[site+path]
		if rec == nil || rec.Status != 200 || rec.Error != wantError || rec.Title != "T" {
			t.Errorf("%s: %+v", path, rec)
		}
	}
	for _, path := range []string{"/from/error", "/from/panic", "/from/missing"} {
		if stored[site+path] != nil {
			t.Errorf("%s was followed from a page whose handler failed or never ran", path)
		}
	}
	var panicked *crawler.PanicError
	if err, _ := failed.Load("/panic"); !errors.As(err.(error), &panicked) || len(panicked.Stack) == 0 {
		t.Errorf("the panic was told as %v", err)
	}
	items := make(map[string]string)
	for item, err := range job.Store().Items(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		var v map[string]string
		if err := json.Unmarshal(item.Data, &v); err != nil {
			t.Fatal(err)
		}
		items[v["path"]] = v["label"] + ":" + v["data"]
	}
	if items["/"] != ":" || items["/from/good"] != "followed:/good" || items["/error"]+items["/panic"]+items["/missing"] != "" {
		t.Errorf("items %v", items)
	}
	if int64(len(items)) != s.Items {
		t.Errorf("%d items stored, %d counted", len(items), s.Items)
	}
}

func TestPage(t *testing.T) {
	site := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=iso-8859-1")
		w.Header().Set("X-Extra", "yes")
		fmt.Fprint(w, "<title>Caf\xe9</title><base href=/dir/><h1>Head</h1><a href=one rel=nofollow>1</a><a href='one#x'>again</a><a href=mailto:x@y>m</a><a href='caf\xe9'>c</a>")
	})
	var links []crawler.Link
	run(t, crawler.Config{Seeds: []string{site}, MaxPages: 1, Handler: crawler.HandlerFunc(func(_ context.Context, p *crawler.Page) error {
		links = p.Links()
		doc, err := p.Document()
		if err != nil {
			return err
		}
		var v struct {
			Head string `css:"h1"`
		}
		if err := p.Unmarshal(&v); err != nil {
			return err
		}
		if p.Title() != "Café" || p.Charset() != "windows-1252" || !strings.Contains(p.Text(), "Café") ||
			doc.Find("h1").Text() != "Head" || v.Head != "Head" || p.Header().Get("X-Extra") != "yes" || p.ContentType != "text/html" {
			t.Errorf("page %+v: title %q, charset %q, item %+v", p, p.Title(), p.Charset(), v)
		}
		return nil
	})})
	var got []string
	for _, l := range links {
		got = append(got, fmt.Sprint(strings.TrimPrefix(l.URL, site), l.Nofollow))
	}
	if want := []string{"/dir/onetrue", "/dir/caf%C3%A9false"}; !slices.Equal(got, want) {
		t.Errorf("links %q, want %q", got, want)
	}
}

func TestIterator(t *testing.T) {
	web := startWeb(t, simweb.Config{Hosts: 3, Pages: 20})
	dir := filepath.Join(t.TempDir(), "job")
	cfg := crawler.Config{Dir: dir, Seeds: web.Seeds(), Delay: crawler.NoDelay}
	seen := make(map[string]bool)
	for page, err := range crawler.Crawl(t.Context(), cfg) {
		if err != nil {
			t.Fatal(err)
		}
		seen[page.URL] = true
		if err := page.Emit(page.Depth); err != nil {
			t.Error(err)
		}
		if len(seen) == 17 {
			break
		}
	}
	broken := reopen(t, dir)
	if n := len(results(t, broken.Store())); n != 17 {
		t.Errorf("%d pages stored when the loop was left after 17", n)
	}
	if err := broken.Close(); err != nil {
		t.Error(err)
	}
	for page, err := range crawler.Crawl(t.Context(), cfg) {
		if err != nil {
			t.Fatal(err)
		}
		if seen[page.URL] {
			t.Errorf("%s came twice", page.URL)
		}
		seen[page.URL] = true
	}
	if len(seen) != 60 {
		t.Errorf("%d pages, want 60", len(seen))
	}
	for _, err := range crawler.Crawl(t.Context(), crawler.Config{Seeds: []string{"ht!tp://"}}) {
		var bad *crawler.SeedError
		if !errors.As(err, &bad) || bad.Line != 1 {
			t.Errorf("bad seed: %v", err)
		}
	}
	func() {
		defer func() {
			if recover() != "out" {
				t.Error("the loop's panic got lost")
			}
		}()
		for range crawler.Crawl(t.Context(), crawler.Config{Seeds: web.Seeds(), Delay: crawler.NoDelay}) {
			panic("out")
		}
	}()
}

func TestRetries(t *testing.T) {
	var calls, robots atomic.Int32
	site := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/robots.txt" && robots.Add(1) == 1:
			w.WriteHeader(http.StatusServiceUnavailable)
		case r.URL.Path == "/robots.txt":
			http.NotFound(w, r)
		case calls.Add(1) == 1:
			w.Header().Set("Retry-After", "2")
			w.WriteHeader(http.StatusTooManyRequests)
		default:
			html(w, "ok")
		}
	})
	began := time.Now()
	var retried []crawler.RetriedEvent
	s, job := run(t, crawler.Config{Seeds: []string{site}, Events: crawler.Events{
		Retried: func(e crawler.RetriedEvent) { retried = append(retried, e) },
	}})
	if s.Fetched != 1 || s.Retried != 2 || len(retried) != 2 || retried[1].Status != 429 {
		t.Errorf("%+v, retried %+v", s.Stats, retried)
	}
	if took := time.Since(began); took < 3*time.Second {
		t.Errorf("took %v: back-off and Retry-After were not waited for", took)
	}
	if rec := results(t, job.Store())[site+"/"]; rec == nil || rec.Attempts != 2 || rec.Status != 200 {
		t.Errorf("%+v", rec)
	}
}

// TestNofollowAndFilters leaves links out for every reason that a page can
// give.
func TestReasons(t *testing.T) {
	site := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/nofollow" {
			html(w, `<meta name=robots content=nofollow><a href=/hidden>h</a>`)
			return
		}
		html(w, `<a href=/nofollow>1</a><a href="mailto:a@b">2</a><a href="http://[bad">3</a><a href=/x.pdf>4</a>`)
	})
	var told []string
	var mu sync.Mutex
	s, _ := run(t, crawler.Config{
		Seeds: []string{site}, Exclude: []*regexp.Regexp{regexp.MustCompile(`\.pdf$`)},
		Events: crawler.Events{LeftOut: func(e crawler.LeftOutEvent) {
			mu.Lock()
			defer mu.Unlock()
			told = append(told, strings.TrimPrefix(e.URL, site))
		}},
	})
	want := map[crawler.Reason]int64{
		crawler.ReasonNofollow: 1, crawler.ReasonNoHTTP: 1, crawler.ReasonInvalid: 1, crawler.ReasonExcluded: 1,
	}
	if !maps.Equal(s.LeftOut, want) {
		t.Errorf("left out %v, want %v", s.LeftOut, want)
	}
	if !slices.Contains(told, "/x.pdf") {
		t.Errorf("told %q", told)
	}
}

func TestBodiesAreStored(t *testing.T) {
	web := startWeb(t, simweb.Config{Hosts: 1, Pages: 10, Gzip: true})
	_, job := run(t, crawler.Config{Seeds: web.Seeds()})
	for u, rec := range results(t, job.Store()) {
		body, err := job.Store().Body(t.Context(), rec.Seq)
		if err != nil || int64(len(body)) != rec.WireBytes || rec.Encoding != "gzip" || !bytes.HasPrefix(body, []byte{0x1f, 0x8b}) {
			t.Errorf("%s: %d bytes, %q, %v", u, len(body), rec.Encoding, err)
		}
		if !bytes.HasPrefix(rec.Head, []byte("HTTP/1.1 200")) {
			t.Errorf("%s: head %q", u, rec.Head)
		}
	}
	_, job = run(t, crawler.Config{Seeds: web.Seeds(), NoBodies: true})
	for u, rec := range results(t, job.Store()) {
		if body, err := job.Store().Body(t.Context(), rec.Seq); !errors.Is(err, storage.ErrNotFound) {
			t.Errorf("%s: %d bytes, %v", u, len(body), err)
		}
		if rec.Bytes == 0 || rec.WireBytes == 0 {
			t.Errorf("%s: no size", u)
		}
	}
}

func TestExplain(t *testing.T) {
	web := startWeb(t, simweb.Config{Hosts: 1, Pages: 5})
	_, job := run(t, crawler.Config{Seeds: web.Seeds(), Exclude: []*regexp.Regexp{regexp.MustCompile("secret")}})
	for u, want := range map[string]string{
		web.Seeds()[0]:                        `(?s)belongs.*state +done.*status 200`,
		"http://elsewhere.example/":           `(?s)out of scope.*--scope.*not asked.*unknown`,
		"http://" + web.Host(0) + "/secret":   `(?s)excluded.*--exclude.*unknown`,
		"HTTP://" + web.Host(0) + "/new#frag": `(?s)url +http://` + regexp.QuoteMeta(web.Host(0)) + `/new\n.*belongs.*unknown`,
	} {
		e, err := job.Explain(t.Context(), u)
		if err != nil {
			t.Fatal(err)
		}
		if !regexp.MustCompile(want).MatchString(e.String()) {
			t.Errorf("%s: want %s in\n%s", u, want, e)
		}
	}
	if _, err := job.Explain(t.Context(), "no url"); err == nil {
		t.Error("explained what is no URL")
	}
}

func serve(t *testing.T, h http.HandlerFunc) (address string) {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

func html(w http.ResponseWriter, text string) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	fmt.Fprint(w, text)
}

func scan(text, format string, n *int) bool {
	_, err := fmt.Sscanf(text, format, n)
	return err == nil
}

func TestJobErrors(t *testing.T) {
	full := t.TempDir()
	if err := os.WriteFile(filepath.Join(full, "thesis.tex"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(full, "thesis.tex")
	for _, tt := range []struct {
		dir  string
		want error
	}{
		{full, crawler.ErrNotJob},
		{filepath.Join(file, "job"), nil},
		{file, nil},
	} {
		_, err := crawler.New(crawler.Config{Dir: tt.dir})
		var job *crawler.JobError
		if !errors.As(err, &job) || job.Dir != tt.dir || tt.want != nil && !errors.Is(err, tt.want) {
			t.Errorf("%s: %v", tt.dir, err)
		}
	}
	empty := t.TempDir()
	if _, err := crawler.OpenJob(empty); !errors.Is(err, crawler.ErrNotJob) {
		t.Errorf("empty directory: %v", err)
	}
	// So a process leaves it that is killed before its first write.
	if err := os.WriteFile(filepath.Join(empty, "job.db"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := crawler.OpenJob(empty); !errors.Is(err, crawler.ErrNotJob) {
		t.Errorf("empty database: %v", err)
	}
	c, err := crawler.New(crawler.Config{Dir: empty})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	reopen(t, empty)
}

func TestJobIsLocked(t *testing.T) {
	dir := t.TempDir()
	c, err := crawler.New(crawler.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for name, open := range map[string]func() error{
		"crawler": func() error { _, err := crawler.New(crawler.Config{Dir: dir}); return err },
		"job":     func() error { _, err := crawler.OpenJob(dir); return err },
	} {
		err := open()
		var locked *crawler.LockedError
		if !errors.Is(err, crawler.ErrLocked) || !errors.As(err, &locked) || locked.PID != os.Getpid() {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestDamagedJob damages a job's database in many ways: it is an error that
// says so, or the damage was where it does no harm; never a crash.
func TestDamagedJob(t *testing.T) {
	web := startWeb(t, simweb.Config{Hosts: 2, Pages: 20})
	dir := filepath.Join(t.TempDir(), "job")
	runKeep(t, crawler.Config{Dir: dir, Seeds: web.Seeds()})
	sound, err := os.ReadFile(filepath.Join(dir, "job.db"))
	if err != nil {
		t.Fatal(err)
	}
	var refused int
	try := func(name string, db []byte) {
		bad := filepath.Join(t.TempDir(), "job")
		if err := errors.Join(os.Mkdir(bad, 0o755), os.WriteFile(filepath.Join(bad, "job.db"), db, 0o644)); err != nil {
			t.Fatal(err)
		}
		j, err := crawler.OpenJob(bad)
		if err == nil {
			err = j.Check(t.Context())
			if closeErr := j.Close(); closeErr != nil {
				t.Errorf("%s: %v", name, closeErr)
			}
		}
		if err != nil {
			refused++
		}
		if len(db) > 0 && len(db) < len(sound)/2 && !errors.Is(err, crawler.ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
		c, err := crawler.New(crawler.Config{Dir: bad, Seeds: web.Seeds()})
		if err != nil {
			return
		}
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		_, _ = c.Run(ctx) // any end is right, but for a crash or a hang
		_ = c.Close()
	}
	for _, size := range []int{0, 1, 4096, 8192, 16384, len(sound) / 2, len(sound) - 4096} {
		try(fmt.Sprintf("cut at %d", size), sound[:size])
	}
	for page := range len(sound) / 4096 {
		damaged := bytes.Clone(sound)
		for i := range 64 {
			damaged[page*4096+i] ^= 0xa5
		}
		try(fmt.Sprintf("page %d", page), damaged)
	}
	try("text", bytes.Repeat([]byte("this is no database\n"), 4096))
	if refused < 10 {
		t.Errorf("only %d damaged databases were refused", refused)
	}
}

// TestRobotsRedirectLoop: a robots.txt that redirects for ever counts as none
// (RFC 9309, 2.3.1.2).
func TestRobotsRedirectLoop(t *testing.T) {
	site := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/robots.txt" {
			http.Redirect(w, r, "/robots.txt?again", http.StatusFound)
			return
		}
		html(w, "page")
	})
	if s, _ := run(t, crawler.Config{Seeds: []string{site}}); s.Fetched != 1 || s.Failed != 0 {
		t.Errorf("%d fetched, %d failed", s.Fetched, s.Failed)
	}
}
