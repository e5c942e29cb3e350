package crawler_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/orbweaver/orbweaver/crawler"
	"github.com/orbweaver/orbweaver/storage"
)

// versionedSite serves pages that change, with the validators that it is told to
// have.
type versionedSite struct {
	*httptest.Server

	mu    sync.Mutex
	pages map[string]*versionedPage
	asked map[string]int // requests by path and the status of the answer
}

type versionedPage struct {
	body     string
	tag      string    // "": none
	modified time.Time // zero: not told
	status   int       // 0: 200
}

func newVersionedSite(t *testing.T, pages map[string]*versionedPage) *versionedSite {
	t.Helper()
	s := &versionedSite{pages: pages, asked: make(map[string]int)}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *versionedSite) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.pages[r.URL.Path]
	switch {
	case r.URL.Path == "/robots.txt" || p == nil:
		s.asked[r.URL.Path+" 404"]++
		http.NotFound(w, r)
		return
	case p.status != 0:
		s.asked[fmt.Sprintf("%s %d", r.URL.Path, p.status)]++
		http.Error(w, "not now", p.status)
		return
	}
	w.Header().Set("Content-Type", "text/html")
	if p.tag != "" {
		w.Header().Set("ETag", p.tag)
	}
	counting := &statusWriter{ResponseWriter: w, status: 200}
	http.ServeContent(counting, r, "", p.modified, strings.NewReader(p.body)) // evaluates the conditions
	s.asked[fmt.Sprintf("%s %d", r.URL.Path, counting.status)]++
}

type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// change edits the site and forgets what was asked.
func (s *versionedSite) change(edit func(pages map[string]*versionedPage)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	edit(s.pages)
	clear(s.asked)
}

func linksTo(paths ...string) string {
	var b strings.Builder
	for _, p := range paths {
		fmt.Fprintf(&b, `<a href="%s">x</a>`, p)
	}
	return b.String()
}

// newest returns the last result of each path, and the changes by path.
func newest(t *testing.T, site *versionedSite, j *crawler.Job) map[string]*storage.Record {
	t.Helper()
	all := make(map[string]*storage.Record)
	for rec, err := range j.Store().Records(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		all[strings.TrimPrefix(rec.URL, site.URL)] = rec
	}
	return all
}

// closing opens a job for reading as long as look takes.
func closing(t *testing.T, dir string, look func(j *crawler.Job)) {
	t.Helper()
	j, err := crawler.OpenJob(dir)
	if err != nil {
		t.Fatal(err)
	}
	look(j)
	if err := j.Check(t.Context()); err != nil {
		t.Errorf("check: %v", err)
	}
	if err := j.Close(); err != nil {
		t.Error(err)
	}
}

// crawlSite runs a job on the site to its end.
func crawlSite(t *testing.T, cfg crawler.Config) *crawler.Summary {
	t.Helper()
	cfg.Delay, cfg.Retries = crawler.NoDelay, -1
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
	return s
}

func TestRecrawl(t *testing.T) {
	monday := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	site := newVersionedSite(t, map[string]*versionedPage{
		"/":        {body: linksTo("/tagged", "/dated", "/plain", "/edited", "/removed", "/shaky"), tag: `"1"`},
		"/tagged":  {body: "<title>Tagged</title>" + linksTo("/plain"), tag: `W/"a"`},
		"/dated":   {body: "dated", modified: monday},
		"/plain":   {body: "always sent"},
		"/edited":  {body: "before", tag: `"1"`},
		"/removed": {body: "soon gone"},
		"/shaky":   {body: "sometimes"},
	})
	dir := filepath.Join(t.TempDir(), "job")
	handled := make(map[string]int)
	cfg := crawler.Config{
		Dir: dir, Seeds: []string{site.URL + "/"}, Concurrency: 1,
		WARC: &crawler.WARC{Dedup: -1},
		Handler: crawler.HandlerFunc(func(_ context.Context, p *crawler.Page) error {
			handled[strings.TrimPrefix(p.URL, site.URL)]++
			return p.Emit(p.URL)
		}),
	}
	if s := crawlSite(t, cfg); s.Fetched != 7 || s.Round != 1 || len(s.Changes) > 0 {
		t.Errorf("first round: %+v", s)
	}

	site.change(func(pages map[string]*versionedPage) {
		pages["/edited"] = &versionedPage{body: "after" + linksTo("/added"), tag: `"2"`}
		pages["/added"] = &versionedPage{body: "new here"}
		pages["/shaky"].status = 503
		delete(pages, "/removed")
	})
	clear(handled)
	cfg.Recrawl = true
	s := crawlSite(t, cfg)
	want := map[string]int64{"new": 1, "changed": 1, "unchanged": 4, "gone": 1}
	if s.Round != 2 || !maps.Equal(s.Changes, want) || s.Fetched != 15 || s.Statuses[304] != 3 {
		t.Errorf("second round: %+v", s)
	}
	asked := map[string]int{
		"/robots.txt 404": 0, "/ 304": 1, "/tagged 304": 1, "/dated 304": 1, "/plain 200": 1,
		"/edited 200": 1, "/added 200": 1, "/removed 404": 1, "/shaky 503": 1,
	}
	for what, n := range asked {
		if site.asked[what] != n && n > 0 {
			t.Errorf("%s: %d times, want %d: %v", what, site.asked[what], n, site.asked)
		}
	}
	if want := map[string]int{"/edited": 1, "/added": 1}; !maps.Equal(handled, want) {
		t.Errorf("handled %v, want %v", handled, want)
	}
	closing(t, dir, func(j *crawler.Job) {
		got := newest(t, site, j)
		for path, change := range map[string]storage.Change{
			"/": storage.ChangeUnchanged, "/tagged": storage.ChangeUnchanged, "/dated": storage.ChangeUnchanged,
			"/plain": storage.ChangeUnchanged, "/edited": storage.ChangeChanged, "/added": storage.ChangeNew,
			"/removed": storage.ChangeGone, "/shaky": storage.ChangeNone,
		} {
			if got[path].Change != change {
				t.Errorf("%s: %q, want %q", path, got[path].Change, change)
			}
		}
		for path, body := range map[string]string{
			"/tagged": "<title>Tagged</title>" + linksTo("/plain"), "/dated": "dated", "/plain": "always sent",
			"/edited": "after" + linksTo("/added"),
		} {
			kept, err := j.Store().Body(t.Context(), got[path].Seq)
			if err != nil || string(kept) != body || got[path].Status != 200 {
				t.Errorf("%s: %q, %v, status %d", path, kept, err, got[path].Status)
			}
		}
		if rec := got["/tagged"]; rec.Title != "Tagged" || rec.Links != 1 || rec.BodySeq >= rec.Seq || rec.Bytes == 0 || rec.WireBytes != 0 {
			t.Errorf("a page that was not modified: %+v", rec)
		}
		if stats, err := j.Store().Stats(t.Context()); err != nil || stats.Bodies != 7+4 { // edited, added, 404 and 503
			t.Errorf("%+v, %v", stats, err)
		}
		rounds, err := j.Rounds()
		if err != nil || len(rounds) != 2 || rounds[1].After != 7 || rounds[1].Requeued != 7 ||
			!rounds[1].Began.After(rounds[0].Ended) || !rounds[1].Ended.After(rounds[1].Began) {
			t.Errorf("rounds %+v, %v", rounds, err)
		}
	})
	wantRevisits(t, dir, 3)

	// What was away is compared with what it was before, and what is gone is told once.
	site.change(func(pages map[string]*versionedPage) { pages["/shaky"].status = 0 })
	s = crawlSite(t, cfg)
	if want := map[string]int64{"unchanged": 8}; s.Round != 3 || !maps.Equal(s.Changes, want) {
		t.Errorf("third round: %+v", s)
	}
	site.change(func(pages map[string]*versionedPage) { pages["/removed"] = &versionedPage{body: "soon gone"} })
	s = crawlSite(t, cfg)
	if want := map[string]int64{"unchanged": 7, "new": 1}; s.Round != 4 || !maps.Equal(s.Changes, want) {
		t.Errorf("fourth round: %+v", s)
	}
}

// TestRecrawlData: what a handler gave a request along is there in later rounds too.
func TestRecrawlData(t *testing.T) {
	site := newVersionedSite(t, map[string]*versionedPage{"/": {body: "start", tag: `"1"`}, "/page": {body: "before"}})
	var seen []string
	cfg := crawler.Config{
		Dir: filepath.Join(t.TempDir(), "job"), Seeds: []string{site.URL + "/"}, Recrawl: true,
		Handler: crawler.HandlerFunc(func(_ context.Context, p *crawler.Page) error {
			if p.URL == site.URL+"/" {
				return p.FollowRequest(crawler.Request{URL: "/page", Label: "label", Data: []byte("data")})
			}
			seen = append(seen, fmt.Sprintf("%s %s %s", p.Body, p.Label, p.Data))
			return nil
		}),
	}
	for _, body := range []string{"before", "after", "at last"} {
		site.change(func(pages map[string]*versionedPage) { pages["/page"].body = body })
		crawlSite(t, cfg)
	}
	if want := []string{"before label data", "after label data", "at last label data"}; !slices.Equal(seen, want) {
		t.Errorf("seen %q, want %q", seen, want)
	}
}

// wantRevisits counts the archived answers that a page was not modified.
func wantRevisits(t *testing.T, dir string, n int) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, crawler.DefaultArchives, "*.cdxj"))
	if err != nil || len(names) == 0 {
		t.Fatalf("no indexes: %v", err)
	}
	var index []byte
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		index = append(index, text...)
	}
	if got := strings.Count(string(index), `"warc/revisit"`); got != n {
		t.Errorf("%d revisit records, want %d:\n%s", got, n, index)
	}
}

// TestRecrawlFinishesFirst: a round that is under way is not followed by another
// before it is at its end, so that the same command goes on with it.
func TestRecrawlFinishesFirst(t *testing.T) {
	pages := map[string]*versionedPage{}
	var paths []string
	for i := range 40 {
		paths = append(paths, fmt.Sprintf("/%02d", i))
		pages[paths[i]] = &versionedPage{body: paths[i], tag: `"x"`}
	}
	pages["/"] = &versionedPage{body: linksTo(paths...), tag: `"x"`}
	site := newVersionedSite(t, pages)
	cfg := crawler.Config{Dir: filepath.Join(t.TempDir(), "job"), Seeds: []string{site.URL + "/"}, Recrawl: true}
	if s := crawlSite(t, cfg); s.Round != 1 || s.Fetched != 41 {
		t.Errorf("a new job: %+v", s)
	}
	cfg.MaxPages = 10 // of the round
	if s := crawlSite(t, cfg); s.Round != 2 || s.RunFetched != 10 || s.Waiting != 31 || s.Ended != crawler.MaxPages {
		t.Errorf("limited: %+v", s)
	}
	cfg.MaxPages = 0
	if s := crawlSite(t, cfg); s.Round != 2 || s.RunFetched != 31 || s.Changes["unchanged"] != 41 {
		t.Errorf("finished: %+v", s)
	}
	site.change(func(map[string]*versionedPage) {})
	if s := crawlSite(t, cfg); s.Round != 3 || s.RunFetched != 41 || site.asked["/07 304"] != 1 {
		t.Errorf("the next round: %+v", s)
	}
	if got := slices.Max(slices.Collect(maps.Values(site.asked))); got != 1 {
		t.Errorf("a URL was asked for %d times", got)
	}
}

// TestRecrawlOfClosedHost goes round after round of a site that has had its pages, and
// is given more of them now and then: each URL is asked for once a round at most.
func TestRecrawlOfClosedHost(t *testing.T) {
	pages := map[string]*versionedPage{"/": {body: linksTo("/1", "/2", "/3"), tag: `"x"`}}
	for _, path := range []string{"/1", "/2", "/3"} {
		pages[path] = &versionedPage{body: path, tag: `"x"`}
	}
	site := newVersionedSite(t, pages)
	other := newVersionedSite(t, map[string]*versionedPage{"/": {body: "other", tag: `"x"`}})
	dir := filepath.Join(t.TempDir(), "job")
	cfg := crawler.Config{Dir: dir, Seeds: []string{site.URL + "/", other.URL + "/"}, Recrawl: true}
	cfg.Robots.Ignore = true
	for i, round := range []struct {
		budget int64
		asked  string
	}{
		{2, "map[/ 200:1 /1 200:1]"},
		{2, "map[]"},
		{2, "map[]"},
		{5, "map[/2 200:1 /3 200:1]"},
		{5, "map[/ 304:1]"},
		{5, "map[]"},
		{20, "map[/1 304:1 /2 304:1 /3 304:1]"},
		{20, "map[/ 304:1 /1 304:1 /2 304:1 /3 304:1]"},
	} {
		site.change(func(map[string]*versionedPage) {})
		cfg.Sites = []crawler.Site{{Hosts: []string{strings.TrimPrefix(site.URL, "http://")}, MaxPages: round.budget}}
		if s := crawlSite(t, cfg); s.Round != i+1 || s.Ended != crawler.Done {
			t.Errorf("round %d: %+v", i+1, s)
		}
		if got := fmt.Sprint(site.asked); got != round.asked {
			t.Errorf("round %d with %d pages: asked for %s, want %s", i+1, round.budget, got, round.asked)
		}
		closing(t, dir, func(*crawler.Job) {})
	}
}

// TestKilledDuringRequeue takes what a killed crawl would leave behind each commit of
// a requeue, and goes on with it: each URL is asked for once.
func TestKilledDuringRequeue(t *testing.T) {
	const n = 1300 // more than two commits take
	pages := map[string]*versionedPage{}
	var paths []string
	for i := range n {
		paths = append(paths, fmt.Sprintf("/%04d", i))
		pages[paths[i]] = &versionedPage{body: paths[i], tag: `"x"`}
	}
	pages["/"] = &versionedPage{body: linksTo(paths...), tag: `"x"`}
	site := newVersionedSite(t, pages)
	dir := filepath.Join(t.TempDir(), "job")
	cfg := crawler.Config{
		Dir: dir, Seeds: []string{site.URL + "/"}, PerHost: 8,
		Novelty: crawler.Novelty{Pages: -1}, // the pages differ in digits alone
	}
	crawlSite(t, cfg)

	var copies []string
	cfg.Recrawl, cfg.Delay = true, crawler.NoDelay
	ctx, stop := context.WithCancel(t.Context())
	cfg.Events.Committed = func(e crawler.CommittedEvent) {
		if e.Pages > 0 || len(copies) == 3 {
			return
		}
		to := filepath.Join(t.TempDir(), "job")
		text, err := os.ReadFile(filepath.Join(dir, "job.db"))
		if err == nil {
			err = os.Mkdir(to, 0o755)
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(to, "job.db"), text, 0o600)
		}
		if err != nil {
			t.Error(err)
		}
		if copies = append(copies, to); len(copies) == 3 {
			stop()
		}
	}
	c, err := crawler.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if s, err := c.Run(ctx); err != nil || s.Ended != crawler.Cancelled {
		t.Errorf("%+v, %v", s, err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	cfg.Events.Committed = nil
	partly := 0
	for _, dir := range append(copies, dir) {
		closing(t, dir, func(j *crawler.Job) {
			rounds, err := j.Rounds()
			if err != nil || len(rounds) != 2 {
				t.Fatalf("rounds %+v, %v", rounds, err)
			}
			if r := rounds[1]; r.Requeued > 0 && r.Requeued < r.After {
				partly++
			}
		})
		site.change(func(map[string]*versionedPage) {})
		cfg.Dir, cfg.Recrawl = dir, false // the requeue goes on without being told to
		if s := crawlSite(t, cfg); s.Round != 2 || s.Changes["unchanged"] != n+1 {
			t.Errorf("%+v", s)
		}
		if len(site.asked) != n+1 || slices.Max(slices.Collect(maps.Values(site.asked))) != 1 {
			t.Errorf("%d of %d URLs were asked for, one of them %d times", len(site.asked), n+1, slices.Max(slices.Collect(maps.Values(site.asked))))
		}
		closing(t, dir, func(*crawler.Job) {})
	}
	if partly < 2 {
		t.Errorf("only %d copies are of a requeue under way", partly)
	}
}
