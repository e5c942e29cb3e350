package crawler_test

import (
	"errors"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/orbweaver/orbweaver/crawler"
	"github.com/orbweaver/orbweaver/internal/simweb"
)

// TestScore fetches the best first, within what is known at the time.
func TestScore(t *testing.T) {
	web := startWeb(t, simweb.Config{Hosts: 1, Pages: 200, Links: 30})
	good := func(url string) bool { return strings.ContainsAny(url[len(url)-6:], "15") }
	var mu sync.Mutex
	var order []bool
	s, _ := run(t, crawler.Config{
		Seeds: web.Seeds(), Dir: filepath.Join(t.TempDir(), "job"),
		Score: func(l crawler.ScoredLink) float64 {
			switch {
			case l.Referrer == "" || l.Depth < 1:
				t.Errorf("%+v", l)
			case good(l.URL):
				return 1
			case strings.HasSuffix(l.URL, "2"):
				return math.NaN()
			}
			return -math.Inf(1)
		},
		Events: crawler.Events{Fetched: func(e crawler.FetchedEvent) {
			mu.Lock()
			defer mu.Unlock()
			order = append(order, good(e.URL))
		}},
	})
	if s.Ended != crawler.Done || len(order) < 200 {
		t.Fatalf("ended %q after %d pages", s.Ended, len(order))
	}
	early, late := 0, 0
	for i, good := range order {
		switch {
		case good && i < len(order)/2:
			early++
		case good:
			late++
		}
	}
	if early < 4*late || early == 0 {
		t.Errorf("%d good pages in the first half, %d in the second", early, late)
	}
}

// TestAddressDelay crawls hosts with one address: between two requests lies the delay, robots.txt and first contact included,
// so that all together take as long as the delays.
func TestAddressDelay(t *testing.T) {
	const delay = 30 * time.Millisecond
	seeds := make([]string, 4)
	var requests atomic.Int64
	var last atomic.Pointer[time.Time]
	for i := range seeds {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			requests.Add(1)
			now := time.Now()
			last.Store(&now)
			w.Header().Set("Content-Type", "text/html")
			if r.URL.Path == "/" {
				_, _ = io.WriteString(w, `<a href="/1">1</a><a href="/2">2</a>`)
			}
		}))
		t.Cleanup(server.Close)
		seeds[i] = server.URL + "/"
	}
	began := time.Now()
	s, _ := run(t, crawler.Config{Seeds: seeds, AddressDelay: delay})
	if n := requests.Load(); n != 16 || s.Fetched != 12 || s.Failed != 0 {
		t.Errorf("%d requests, %d pages fetched, %d failed; want 16, 12, 0", n, s.Fetched, s.Failed)
	}
	if took, least := last.Load().Sub(began), 15*delay; took < least {
		t.Errorf("the last of 16 requests came after %v, want %v at least", took, least)
	}
	for _, cfg := range []crawler.Config{
		{AddressDelay: -1},
		{Adaptive: crawler.Adaptive{Factor: -1}},
		{Adaptive: crawler.Adaptive{Factor: 1, Min: 2, Max: 1}},
	} {
		cfg.Dir = filepath.Join(t.TempDir(), "job")
		c, err := crawler.New(cfg)
		if err == nil {
			_ = c.Close()
		}
		if !errors.As(err, new(*crawler.ConfigError)) {
			t.Errorf("%v, want a ConfigError", err)
		}
	}
}
