package crawler_test

import (
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/orbweaver/orbweaver/crawler"
	"github.com/orbweaver/orbweaver/internal/simweb"
	"github.com/orbweaver/orbweaver/storage"
)

// TestHostPausedAndDropped holds one of three hosts back, over a restart, drops
// another one, and lets the first go on.
func TestHostPausedAndDropped(t *testing.T) {
	inBubble(t, func(t *testing.T, web *simweb.Web) {
		ctx := t.Context()
		cfg := crawler.Config{Dir: filepath.Join(t.TempDir(), "job"), Seeds: web.Seeds()}
		c, end := bubbleCrawl(t, web, cfg)
		ended := background(t, c)
		untilBusy(c)
		paused, dropped := web.Host(0), web.Host(1)
		h, err := c.ChangeHost(ctx, paused, crawler.HostChange{Paused: new(true)})
		if err != nil || !h.Paused || h.Waiting == 0 {
			t.Errorf("paused: %+v, %v", h, err)
		}
		if h, err = c.ChangeHost(ctx, dropped, crawler.HostChange{Dropped: new(true)}); err != nil || h.Closed != "dropped by hand" {
			t.Errorf("dropped: %+v, %v", h, err)
		}
		time.Sleep(5 * time.Minute)
		s := c.Stats()
		if s.PausedHosts != 1 || s.Waiting == 0 || s.Fetched >= 40 {
			t.Errorf("%d hosts paused, %d URLs wait, %d fetched", s.PausedHosts, s.Waiting, s.Fetched)
		}
		wantQuiet(t, web, c, web.Counts().Requests)
		c.Stop()
		if s := ended(); s.Ended != crawler.Stopped {
			t.Errorf("ended %s", s.Ended)
		}
		end()

		c, end = bubbleCrawl(t, web, cfg)
		defer end()
		ended = background(t, c)
		wantQuiet(t, web, c, web.Counts().Requests)
		if h, err := c.ChangeHost(ctx, paused, crawler.HostChange{Paused: new(false)}); err != nil || h.Paused {
			t.Errorf("resumed: %+v, %v", h, err)
		}
		if s := ended(); s.Ended != crawler.Done || s.Fetched < 40 || s.Fetched >= 60 || s.PausedHosts != 0 {
			t.Errorf("ended %s with %d pages, %d hosts paused", s.Ended, s.Fetched, s.PausedHosts)
		}
		if h, err := c.Host(ctx, dropped); err != nil || h.Waiting != 0 || h.Dropped == 0 {
			t.Errorf("dropped in the end: %+v, %v", h, err)
		}
	})
}

// TestHostDelayDefault changes a host's delay and takes the change back: what
// robots.txt asks for counts again, of a running job and of one at rest.
func TestHostDelayDefault(t *testing.T) {
	site := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/robots.txt" {
			fmt.Fprint(w, "User-agent: *\nCrawl-delay: 1\n")
			return
		}
		html(w, `<a href="/next">next</a>`)
	})
	dir := filepath.Join(t.TempDir(), "job")
	c, err := crawler.New(crawler.Config{Dir: dir, Seeds: []string{site}, Delay: 100 * time.Millisecond, MaxPages: 1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, change := range []func(crawler.HostChange) (*crawler.HostState, error){
		func(h crawler.HostChange) (*crawler.HostState, error) { return c.ChangeHost(t.Context(), site, h) },
		func(h crawler.HostChange) (*crawler.HostState, error) {
			return crawler.Control{Dir: dir}.ChangeHost(t.Context(), site, h)
		},
	} {
		for _, step := range []struct{ delay, want time.Duration }{{20 * time.Second, 20 * time.Second}, {time.Second / 2, time.Second / 2}, {0, time.Second}} {
			h, err := change(crawler.HostChange{Delay: &step.delay})
			if err != nil || h.Delay != step.want {
				t.Errorf("delay %v: %+v, %v", step.delay, h, err)
			}
		}
		if err := c.Close(); err != nil { // for the second
			t.Fatal(err)
		}
	}
}

// TestHostBudgetRaised gives a host that had its pages more of them, run by run:
// what was left out comes back, once.
func TestHostBudgetRaised(t *testing.T) {
	seed, requests := doubling(t, 200)
	dir := filepath.Join(t.TempDir(), "job")
	cfg := crawler.Config{Dir: dir, Seeds: []string{seed}, Delay: crawler.NoDelay, MaxDepth: 4}
	const all = 1 + 2 + 4 + 8 + 16
	for _, pages := range []int64{2, 5, 5, 12, 0} {
		cfg.HostPages = pages
		want, left := pages, pages+1 // each page is two links
		if pages == 0 {
			want, left = all, 0
		}
		s, stats := runKeep(t, cfg)
		if s.Ended != crawler.Done || s.Fetched != want || requests.Load() != want || s.Waiting != 0 {
			t.Errorf("budget %d: %d pages, %d requests, ended %s", pages, s.Fetched, requests.Load(), s.Ended)
		}
		if s.LeftOut[crawler.ReasonHostPages] != left || stats.LeftOut[crawler.ReasonHostPages] != left {
			t.Errorf("budget %d: left out %v, at rest %v; want %d", pages, s.LeftOut, stats.LeftOut, left)
		}
		t.Run("explain", func(t *testing.T) {
			e, err := reopen(t, dir).Explain(t.Context(), seed+"1")
			if err != nil || (e.State == "dropped") != (pages == 2) || (e.Closed == "") != (pages == 0) {
				t.Errorf("%+v, %v", e, err)
			}
		})
		cfg.Seeds = nil
	}
}

// TestHostBudgetByHand opens a host that had its budget by hand, and drops it: what
// was kept of it is gone for good.
func TestHostBudgetByHand(t *testing.T) {
	seed, requests := doubling(t, 200)
	dir := filepath.Join(t.TempDir(), "job")
	cfg := crawler.Config{Dir: dir, Seeds: []string{seed}, Delay: crawler.NoDelay, HostPages: 4}
	runKeep(t, cfg)
	ctl := crawler.Control{Dir: dir}
	change := func(dropped bool, waiting, left int64) {
		t.Helper()
		h, err := ctl.ChangeHost(t.Context(), seed, crawler.HostChange{Dropped: &dropped})
		if err != nil || h.Waiting != waiting || h.Dropped != left {
			t.Errorf("%+v, %v; want %d waiting, %d dropped", h, err, waiting, left)
		}
	}
	change(false, 5, 0)
	cfg.Seeds = nil
	if s, _ := runKeep(t, cfg); s.Fetched != 4 || s.LeftOut[crawler.ReasonHostPages] != 5 {
		t.Errorf("%d pages, left out %v", s.Fetched, s.LeftOut)
	}
	change(true, 5, 0) // until the next run
	cfg.HostPages = 0
	if s, _ := runKeep(t, cfg); s.Fetched != 4 || s.LeftOut[crawler.ReasonHostDropped] != 5 {
		t.Errorf("%d pages, left out %v", s.Fetched, s.LeftOut)
	}
	change(false, 0, 5)
	if _, err := ctl.Add(t.Context(), slices.Values([]string{seed + "new"})); err != nil {
		t.Fatal(err)
	}
	cfg.HostPages = 6
	if s, _ := runKeep(t, cfg); s.Fetched != 6 || requests.Load() != 6 {
		t.Errorf("%d pages", s.Fetched)
	}
}

// TestHostOpenedIsCrawledAgain drops a host in the middle of a round and opens it: the next round visits all of its pages.
func TestHostOpenedIsCrawledAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, web *simweb.Web) {
		ctx := t.Context()
		dir := filepath.Join(t.TempDir(), "job")
		crawl := func(cfg crawler.Config, then func(c *crawler.Crawler)) *crawler.Summary {
			t.Helper()
			cfg.Dir, cfg.Robots.Ignore = dir, true // every URL that is known is a page that was fetched
			c, end := bubbleCrawl(t, web, cfg)
			defer end()
			s, err := c.Run(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if then != nil {
				then(c)
			}
			return s
		}
		first := crawl(crawler.Config{Seeds: web.Seeds()}, nil)
		host := web.Host(1)
		drop := func(dropped bool) func(*crawler.Crawler) {
			return func(c *crawler.Crawler) {
				if _, err := c.ChangeHost(ctx, host, crawler.HostChange{Dropped: &dropped}); err != nil {
					t.Fatal(err)
				}
			}
		}
		crawl(crawler.Config{Recrawl: true, MaxPages: 10}, drop(true))
		crawl(crawler.Config{Recrawl: true}, drop(false))
		if s := crawl(crawler.Config{Recrawl: true}, nil); s.Changes[storage.ChangeUnchanged.String()] != first.Fetched {
			t.Errorf("%+v, want %d pages in the third round", s.Changes, first.Fetched)
		}
	})
}
