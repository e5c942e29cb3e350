package crawler_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/orbweaver/orbweaver/crawler"
)

// TestHugeLimits: a limit so large that it is none leaves nothing out.
func TestHugeLimits(t *testing.T) {
	var robots atomic.Int32
	site := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/robots.txt" && robots.Add(1) == 1 {
			c, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			c.Close()
			return
		}
		html(w, "<a href=/a>a</a>")
	})
	unlimited := crawler.URLLimits{Length: math.MaxInt, PathDepth: math.MaxInt, Repeats: math.MaxInt}
	for name, cfg := range map[string]crawler.Config{
		"MaxDepth":  {MaxDepth: math.MaxInt},
		"URLLimits": {URLLimits: unlimited},
		"a rule":    {Rules: []crawler.Rule{{LeaveOut: &crawler.Condition{}, Unless: &crawler.Condition{Depth: crawler.AtMost(math.MaxInt)}}}},
		"Retries":   {Retries: math.MaxInt},
	} {
		robots.Store(0)
		cfg.Seeds = []string{site}
		if s, _ := run(t, cfg); s.Fetched != 2 {
			t.Errorf("%s: %d fetched, left out %v", name, s.Fetched, s.LeftOut)
		}
	}
}

// TestEveryRangeIsKept: a job with a rule that Go can say can be opened again.
func TestEveryRangeIsKept(t *testing.T) {
	site := serve(t, func(w http.ResponseWriter, r *http.Request) { html(w, "x") })
	for _, r := range []crawler.Range{crawler.AtMost(math.MaxInt), crawler.Between(3, 2), crawler.AtLeast(math.MaxInt), crawler.AtMost(-1)} {
		cfg := crawler.Config{
			Dir: filepath.Join(t.TempDir(), "job"), Seeds: []string{site}, Rules: []crawler.Rule{{Take: &crawler.Condition{Length: r}}},
		}
		for range 2 {
			runKeep(t, cfg)
		}
	}
}

// TestItemsWaitWithinBounds: items count for what may wait to be committed, as bodies do.
func TestItemsWaitWithinBounds(t *testing.T) {
	const pages, each = 60, 2 // MiB
	site := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			html(w, "x")
			return
		}
		for i := range pages {
			html(w, fmt.Sprintf("<a href=/%d>x</a>", i))
		}
	})
	var handled, waiting atomic.Int64
	var held atomic.Bool
	full := make(chan struct{})
	text := strings.Repeat("x", 1<<20-10)
	s, _ := run(t, crawler.Config{
		Seeds: []string{site}, Concurrency: 4, PerHost: 4,
		Handler: crawler.HandlerFunc(func(_ context.Context, p *crawler.Page) error {
			if p.URL == site+"/" {
				return nil
			}
			if handled.Add(1) == pages {
				close(full)
			}
			return errors.Join(p.Emit(text), p.Emit(text))
		}),
		Events: crawler.Events{Committed: func(e crawler.CommittedEvent) {
			if e.Pages > 0 && !held.Swap(true) { // a disk that takes as long as nothing more may wait
				for last := int64(-1); handled.Load() != last; {
					last = handled.Load()
					select {
					case <-full:
					case <-time.After(time.Second):
					}
				}
				waiting.Store(handled.Load() * each)
			}
		}},
	})
	if s.Fetched != pages+1 || waiting.Load() > 64+16 || waiting.Load() < 8 {
		t.Errorf("%d fetched, %d MiB waited", s.Fetched, waiting.Load())
	}
}
