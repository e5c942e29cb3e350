package crawler_test

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/orbweaver/orbweaver/crawler"
	"github.com/orbweaver/orbweaver/internal/simweb"
)

// TestHostPagesIsExact crawls with many workers, also many on one host: each host gives its pages and not one more, over
// several runs as well.
func TestHostPagesIsExact(t *testing.T) {
	const hosts, limit = 10, 23
	web := startWeb(t, simweb.Config{Hosts: hosts, Pages: 60, ErrorRate: 0.05, CrossLinks: 0.2})
	dir := filepath.Join(t.TempDir(), "job")
	cfg := crawler.Config{Dir: dir, Seeds: web.Seeds(), Concurrency: 1000, PerHost: 100, HostPages: limit}
	cfg.MaxPages = 100
	runKeep(t, cfg)
	cfg.MaxPages, cfg.Seeds = 0, nil
	s, stats := runKeep(t, cfg)
	if s.Fetched != hosts*limit || s.Ended != crawler.Done {
		t.Errorf("%d fetched, ended %q; want %d, done", s.Fetched, s.Ended, hosts*limit)
	}
	left := s.LeftOut[crawler.ReasonHostPages]
	if left == 0 || stats.LeftOut[crawler.ReasonHostPages] != left {
		t.Errorf("left out: %v, in the job at rest: %v", s.LeftOut, stats.LeftOut)
	}
	if s.Known != s.Fetched+left+s.Failed {
		t.Errorf("%d known, %d fetched, %d failed, %d left out: %v", s.Known, s.Fetched, s.Failed, left, s.LeftOut)
	}
	e, err := reopen(t, dir).Explain(t.Context(), web.Seeds()[0])
	if err != nil {
		t.Fatal(err)
	}
	if e.Closed != crawler.ReasonHostPages || !strings.Contains(e.String(), "--host-pages") {
		t.Errorf("%+v: %s", e, e)
	}
}

// doubling answers every path with a page of a size that links to the next two.
func doubling(t *testing.T, size int) (seed string, requests *atomic.Int64) {
	t.Helper()
	requests = new(atomic.Int64)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/robots.txt" {
			http.NotFound(w, r)
			return
		}
		requests.Add(1)
		page := `<a href="` + r.URL.Path + `0">a</a><a href="` + r.URL.Path + `1">b</a>`
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte(page + strings.Repeat(" ", size-len(page))))
	}))
	t.Cleanup(server.Close)
	return server.URL + "/", requests
}

// TestMaxBytes ends jobs and hosts at a number of bytes: what is above it is what was under way.
func TestMaxBytes(t *testing.T) {
	const size, limit, perHost = 1000, 50_500, 4
	for name, cfg := range map[string]crawler.Config{
		"job":  {MaxBytes: limit, Concurrency: perHost, PerHost: perHost},
		"host": {HostBytes: limit, PerHost: perHost},
	} {
		t.Run(name, func(t *testing.T) {
			seed, requests := doubling(t, size)
			cfg.Seeds = []string{seed}
			cfg.Dir = filepath.Join(t.TempDir(), "job")
			s, _ := runKeep(t, cfg)
			if n := requests.Load(); n < limit/size+1 || n > limit/size+perHost || s.WireBytes != n*size {
				t.Errorf("%d requests, %d bytes; the limit is %d", n, s.WireBytes, limit)
			}
			ended, reason := crawler.MaxBytes, crawler.Reason("")
			if name == "host" {
				ended, reason = crawler.Done, crawler.ReasonHostBytes
			}
			if s.Ended != ended || reason != "" && s.LeftOut[reason] == 0 {
				t.Errorf("ended %q, left out %v", s.Ended, s.LeftOut)
			}
			before := requests.Load()
			cfg.Seeds = nil
			if s, _ := runKeep(t, cfg); s.Ended != ended || requests.Load() != before {
				t.Errorf("a second run ended %q after %d requests", s.Ended, requests.Load()-before)
			}
		})
	}
}

func TestHostTime(t *testing.T) {
	seed, requests := doubling(t, 500)
	s, _ := run(t, crawler.Config{
		Seeds: []string{seed}, HostTime: 300 * time.Millisecond,
		Novelty: crawler.Novelty{Pages: -1}, // the pages are all alike
	})
	if s.Ended != crawler.Done || s.LeftOut[crawler.ReasonHostTime] == 0 || s.Fetched != requests.Load() {
		t.Errorf("ended %q, %d fetched, %d asked for, left out %v", s.Ended, s.Fetched, requests.Load(), s.LeftOut)
	}
}
