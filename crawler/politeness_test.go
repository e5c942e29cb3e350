package crawler_test

import (
	"net/http"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/orbweaver/orbweaver/crawler"
	"github.com/orbweaver/orbweaver/internal/simweb"
)

// TestPoliteness looks at delays as the server sees them, over a stop and a resume.
func TestPoliteness(t *testing.T) {
	webInBubble(t, simweb.Config{Hosts: 5, Pages: 12}, func(t *testing.T, web *simweb.Web) {
		const delay = 100 * time.Millisecond
		cfg := crawler.Config{Dir: filepath.Join(t.TempDir(), "job"), Seeds: web.Seeds(), Delay: delay, MaxPages: 20}
		crawlInBubble(t, web, cfg)
		cfg.MaxPages = 0
		crawlInBubble(t, web, cfg)
		compare(t, web)
		if gap := web.Counts().MinGap; gap != delay {
			t.Errorf("the smallest gap was %v, want %v", gap, delay)
		}
	})
}

func TestCrawlDelay(t *testing.T) {
	webInBubble(t, simweb.Config{Hosts: 2, Pages: 5, CrawlDelay: time.Second}, func(t *testing.T, web *simweb.Web) {
		began := time.Now()
		crawlInBubble(t, web, crawler.Config{Dir: filepath.Join(t.TempDir(), "job"), Seeds: web.Seeds(), Delay: time.Millisecond})
		compare(t, web)
		if gap := web.Counts().MinGap; gap != time.Second || time.Since(began) < 5*time.Second {
			t.Errorf("the smallest gap was %v", gap)
		}
	})
}

// crawlInBubble crawls web in virtual time, and checks the job.
func crawlInBubble(t *testing.T, web *simweb.Web, cfg crawler.Config) {
	t.Helper()
	c, end := bubbleCrawl(t, web, cfg)
	if _, err := c.Run(t.Context()); err != nil {
		t.Error(err)
	}
	end()
	closing(t, cfg.Dir, func(*crawler.Job) {})
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
