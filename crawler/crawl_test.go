package crawler_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
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
