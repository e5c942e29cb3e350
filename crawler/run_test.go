package crawler_test

import (
	"context"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/orbweaver/orbweaver/crawler"
	"github.com/orbweaver/orbweaver/httpclient"
	"github.com/orbweaver/orbweaver/internal/simweb"
)

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

// TestSessionOfTheUser: what goes through a session of the user's has the crawler's name and passes its middleware, robots.txt
// too.
func TestSessionOfTheUser(t *testing.T) {
	var strangers, asked, passed atomic.Int32
	site := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if r.UserAgent() != "mybot/1.0" || r.Header.Get("X-Own") != "yes" {
			strangers.Add(1)
		}
		html(w, "x")
	})
	session, err := httpclient.New(httpclient.Config{Header: http.Header{"X-Own": {"yes"}}})
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	s, _ := run(t, crawler.Config{
		Seeds: []string{site}, Session: session, UserAgent: "mybot/1.0",
		Middleware: []httpclient.Middleware{func(next httpclient.Handler) httpclient.Handler {
			return func(ctx context.Context, r *httpclient.Request) (*httpclient.Response, error) {
				passed.Add(1)
				return next(ctx, r)
			}
		}},
	})
	if s.Fetched != 1 || asked.Load() != 2 || passed.Load() != 2 || strangers.Load() != 0 {
		t.Errorf("%d fetched, %d asked, %d of them by strangers, %d through the middleware", s.Fetched, asked.Load(), strangers.Load(), passed.Load())
	}
}
