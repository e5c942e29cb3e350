package crawler

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.etcd.io/bbolt"
)

// robotsSite is a site whose robots.txt can fail; it notes what is asked for.
type robotsSite struct {
	*httptest.Server
	mu     sync.Mutex
	robots func(w http.ResponseWriter, r *http.Request)
	asked  map[string]int
}

func newRobotsSite(t *testing.T) *robotsSite {
	t.Helper()
	s := &robotsSite{asked: make(map[string]int)}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.asked[r.URL.Path]++
		if strings.Contains(r.URL.Path, "robots") {
			s.robots(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, `<a href=/open>1</a><a href=/secret>2</a>`)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *robotsSite) answer(status int, body string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.asked)
	s.robots = func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func (s *robotsSite) times(path string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[path]
}

const secretRules = "User-agent: *\nDisallow: /secret\n"

func crawlOnce(t *testing.T, cfg Config) *Summary {
	t.Helper()
	cfg.Delay = orDefault(cfg.Delay, NoDelay)
	if cfg.Dir == "" {
		cfg.Dir = filepath.Join(t.TempDir(), "job")
	}
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	s, err := c.Run(t.Context())
	if err != nil {
		t.Error(err)
	}
	if err := c.Job().Check(t.Context()); err != nil {
		t.Error(err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	return s
}

// age makes what a job knows of a robots.txt older.
func age(t *testing.T, dir, origin string, by time.Duration) {
	t.Helper()
	changeJob(t, dir, func(job *bbolt.Bucket) error {
		b := job.Bucket(bucketRobots)
		var e robotsEntry
		if err := json.Unmarshal(b.Get([]byte(origin)), &e); err != nil {
			return err
		}
		e.Fetched, e.Expires, e.Origin = e.Fetched.Add(-by), e.Expires.Add(-by), origin
		return e.put(b)
	})
}

// TestLastGoodRobots: while robots.txt cannot be had, the last good one counts,
// as long as it is not too old.
func TestLastGoodRobots(t *testing.T) {
	site := newRobotsSite(t)
	dir := filepath.Join(t.TempDir(), "job")
	next := 0
	crawl := func(maxStale time.Duration) *Summary {
		next++
		seeds := []string{fmt.Sprintf("%s/%d", site.URL, next), fmt.Sprintf("%s/secret/%d", site.URL, next)}
		return crawlOnce(t, Config{Dir: dir, Seeds: seeds, Robots: RobotsPolicy{MaxStale: maxStale, Tries: -1}})
	}
	site.answer(200, secretRules)
	crawl(0)
	if site.times("/open") != 1 || site.times("/secret") != 0 || site.times("/robots.txt") != 1 {
		t.Fatalf("asked for %v", site.asked)
	}
	site.answer(503, "")
	crawl(0)
	if site.times("/robots.txt") != 0 || site.times("/2") != 1 {
		t.Errorf("while it was fresh, asked for %v", site.asked)
	}
	age(t, dir, site.URL, 48*time.Hour)
	s := crawl(0)
	if site.times("/robots.txt") != 1 || site.times("/3") != 1 || site.times("/secret/3") != 0 || s.LeftOut[ReasonRobotsUnreachable] != 0 {
		t.Errorf("with a last good one, asked for %v, left out %v", site.asked, s.LeftOut)
	}
	age(t, dir, site.URL, time.Hour)
	s = crawl(time.Hour)
	if site.times("/4") != 0 || s.LeftOut[ReasonRobotsUnreachable] != 2 {
		t.Errorf("with one that is too old, asked for %v, left out %v", site.asked, s.LeftOut)
	}
	age(t, dir, site.URL, 2*time.Hour)
	site.answer(404, "")
	crawl(0)
	if site.times("/5") != 1 || site.times("/secret/5") != 1 {
		t.Errorf("once it is gone, asked for %v", site.asked)
	}
}

// TestRobotsTries: URLs wait for a number of tries, and are left out after them
// without a request for each.
func TestRobotsTries(t *testing.T) {
	site := newRobotsSite(t)
	for _, test := range []struct{ tries, want int }{{-1, 1}, {2, 2}} {
		site.answer(500, "")
		seeds := []string{site.URL + "/1", site.URL + "/2", site.URL + "/3"}
		s := crawlOnce(t, Config{Seeds: seeds, Robots: RobotsPolicy{Tries: test.tries}})
		if n := site.times("/robots.txt"); n != test.want || s.LeftOut[ReasonRobotsUnreachable] != 3 || s.Retried != int64(test.want-1) {
			t.Errorf("tries %d: asked %d times, left out %v, retried %d", test.tries, n, s.LeftOut, s.Retried)
		}
	}
}

// TestRobotsRedirects: five hops are followed, to other hosts too, and more count
// as there being no robots.txt.
func TestRobotsRedirects(t *testing.T) {
	far := newRobotsSite(t)
	far.answer(200, secretRules)
	for _, test := range []struct {
		hops  int
		delay time.Duration
		fetch bool
	}{{1, NoDelay, false}, {5, NoDelay, false}, {6, NoDelay, true}, {3, time.Millisecond, false}} {
		site := newRobotsSite(t)
		site.robots = func(w http.ResponseWriter, r *http.Request) {
			n := 0
			if _, err := fmt.Sscanf(r.URL.Path, "/robots/%d", &n); err != nil {
				n = 0
			}
			target := fmt.Sprintf("/robots/%d", n+1)
			if n+1 == test.hops {
				target = far.URL + "/robots"
			}
			http.Redirect(w, r, target, http.StatusFound)
		}
		crawlOnce(t, Config{Seeds: []string{site.URL}, Delay: test.delay, AllowPrivate: true})
		if fetched := site.times("/secret") > 0; fetched != test.fetch || site.times("/open") != 1 {
			t.Errorf("%d hops, delay %v: asked for %v", test.hops, test.delay, site.asked)
		}
	}
}

// TestHostileRobots: what is no robots.txt forbids nothing, and ends.
func TestHostileRobots(t *testing.T) {
	utf16 := []byte{0xFF, 0xFE}
	for _, c := range secretRules {
		utf16 = append(utf16, byte(c), 0)
	}
	for name, test := range map[string]struct {
		body   string
		secret bool // is fetched
	}{
		"HTML":           {"<!doctype html><title>Not found</title><p>Disallow: /open", true},
		"binary":         {strings.Repeat("\x00\xff\x89PNG\r\n", 1000), true},
		"empty":          {"", true},
		"UTF-8 mark":     {"\xEF\xBB\xBF" + secretRules, false},
		"UTF-16":         {string(utf16), false},
		"huge":           {secretRules + strings.Repeat("Disallow: /x\n", 100_000) + "Disallow: /open\n", false},
		"one long line":  {secretRules + "Disallow: " + strings.Repeat("/x", 1<<20), false},
		"old Mac breaks": {strings.ReplaceAll(secretRules, "\n", "\r"), false},
	} {
		site := newRobotsSite(t)
		site.answer(200, test.body)
		crawlOnce(t, Config{Seeds: []string{site.URL}})
		if fetched := site.times("/secret") > 0; fetched != test.secret || site.times("/open") != 1 {
			t.Errorf("%s: asked for %v", name, site.asked)
		}
	}
}

// TestBrokenRobots: a robots.txt that is cut on its way counts as none at all.
func TestBrokenRobots(t *testing.T) {
	site := newRobotsSite(t)
	site.robots = func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000")
		_, _ = io.WriteString(w, "User-agent: *\nAllow: /\n")
	}
	s := crawlOnce(t, Config{Seeds: []string{site.URL}, Retries: -1})
	if site.times("/") != 0 || s.Failed != 1 {
		t.Errorf("asked for %v, %d failed", site.asked, s.Failed)
	}
}

func TestFreshness(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	in := func(d time.Duration) string { return now.Add(d).Format(http.TimeFormat) }
	for _, test := range []struct {
		fields string
		want   time.Duration
	}{
		{"", robotsMaxAge},
		{"Cache-Control: max-age=7200", 2 * time.Hour},
		{"Cache-Control: public, MAX-AGE=7200|Age: 1800", 90 * time.Minute},
		{"Cache-Control: max-age=10", robotsMinAge},
		{"Cache-Control: max-age=99999999", robotsMaxAge},
		{"Cache-Control: max-age=x", robotsMinAge},
		{"Cache-Control: no-cache", robotsMinAge},
		{"Cache-Control: max-age=7200, no-store", robotsMinAge},
		{"Expires: " + in(3*time.Hour), 3 * time.Hour},
		{"Expires: " + in(3*time.Hour) + "|Date: " + in(time.Hour), 2 * time.Hour},
		{"Expires: " + in(-time.Hour), robotsMinAge},
		{"Expires: 0", robotsMinAge},
		{"Expires: " + in(3*time.Hour) + "|Cache-Control: max-age=7200", 2 * time.Hour},
	} {
		h := http.Header{}
		for line := range strings.SplitSeq(test.fields, "|") {
			if name, value, ok := strings.Cut(line, ": "); ok {
				h.Add(name, value)
			}
		}
		if got := freshness(h, now); got != test.want {
			t.Errorf("%s: %v, want %v", test.fields, got, test.want)
		}
	}
}

func TestBookForeign(t *testing.T) {
	c := &robotsCache{foreign: make(map[string]time.Time)}
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	var waits []time.Duration
	for range 5 {
		waits = append(waits, c.bookForeign("h", 10*time.Second, now))
	}
	want := []time.Duration{0, 10 * time.Second, 20 * time.Second, 30 * time.Second, 40 * time.Second}
	if !slices.Equal(waits, want) {
		t.Errorf("%v, want %v", waits, want)
	}
	if got := c.bookForeign("h", 10*time.Second, now); got != 40*time.Second {
		t.Errorf("one that was turned away has taken a place: %v", got)
	}
}
