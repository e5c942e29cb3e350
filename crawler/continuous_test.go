package crawler_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/orbweaver/orbweaver/crawler"
	"github.com/orbweaver/orbweaver/frontier"
	"github.com/orbweaver/orbweaver/httpclient"
	"github.com/orbweaver/orbweaver/storage"
)

// pipes is a listener whose connections never leave the process, for a server in
// virtual time.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), closed: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80} }

func (p *pipes) Dial(ctx context.Context, _ netip.AddrPort) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case p.conns <- far:
		return near, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// livingSite is a site in virtual time, and when its pages were asked for.
type livingSite struct {
	session *httpclient.Session

	mu     sync.Mutex
	visits map[string][]time.Time // by path
	status map[string][]int
}

// newLivingSite serves what page says of a path: status 0 is 200, with an ETag.
func newLivingSite(t *testing.T, page func(path string, h http.Header) (body string, status int)) *livingSite {
	t.Helper()
	s := &livingSite{visits: make(map[string][]time.Time), status: make(map[string][]int)}
	s.session = served(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, status := page(r.URL.Path, w.Header())
		tag := fmt.Sprintf(`"%x"`, body)
		if status == 0 {
			status = 200
			w.Header().Set("ETag", tag)
			if r.Header.Get("If-None-Match") == tag {
				status = 304
			}
		}
		s.mu.Lock()
		s.visits[r.URL.Path] = append(s.visits[r.URL.Path], time.Now())
		s.status[r.URL.Path] = append(s.status[r.URL.Path], status)
		s.mu.Unlock()
		if w.Header().Get("Content-Type") == "" {
			w.Header().Set("Content-Type", "text/html")
		}
		w.WriteHeader(status)
		if status != 304 {
			fmt.Fprint(w, body)
		}
	}))
	return s
}

// served is a session of which all hosts are served by a handler, in virtual time.
func served(t *testing.T, h http.Handler) *httpclient.Session {
	t.Helper()
	l := newPipes()
	server := &http.Server{Handler: h}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.Serve(l)
	}()
	connector, err := httpclient.NewTCPConnector(httpclient.TCPConfig{Dial: l.Dial})
	if err != nil {
		t.Fatal(err)
	}
	session, err := httpclient.New(httpclient.Config{Connector: connector, Jar: httpclient.NewCookieJar(httpclient.JarConfig{AllowIP: true})})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := session.Close(); err != nil {
			t.Error(err)
		}
		_ = server.Close()
		<-ended
	})
	return session
}

const livingURL = "http://127.0.0.1"

// crawl runs a job on the site for so long, or until it ends.
func (s *livingSite) crawl(t *testing.T, cfg crawler.Config) *crawler.Summary {
	t.Helper()
	cfg.Session = s.session
	cfg.Concurrency = 2
	c, err := crawler.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	summary, err := c.Run(t.Context())
	if err != nil {
		t.Error(err)
	}
	if err := c.Job().Check(t.Context()); err != nil {
		t.Error(err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	return summary
}

// gaps are the times between the visits of a path.
func (s *livingSite) gaps(path string) (all []time.Duration) {
	visits := s.visits[path]
	for i := 1; i < len(visits); i++ {
		all = append(all, visits[i].Sub(visits[i-1]))
	}
	return all
}

// nearly says whether a visit came when it was due: up to a sixteenth later, and a
// little for the second of the plan and the pace.
func nearly(got, want time.Duration) bool {
	return got >= want-time.Second && got <= want+want/16+5*time.Second
}

// hour is what stands for one in these tests: a running crawl looks at its job every
// second, and a month of that takes a while in virtual time too.
const hour = time.Minute

func TestRevisit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		site := newLivingSite(t, func(path string, _ http.Header) (string, int) {
			switch hours := int(time.Since(began) / hour); path {
			case "/":
				return linksTo("/hourly", "/never", "/leaves", "/shaky"), 0
			case "/hourly":
				return fmt.Sprint("hour ", hours), 0
			case "/never":
				return "always the same", 0
			case "/leaves":
				if hours < 3 {
					return "for now", 0
				}
			case "/shaky":
				if hours < 50 {
					return "not now", 500
				}
				return "now", 0
			}
			return "", 404
		})
		handled := make(map[string]int)
		var mu sync.Mutex
		cfg := crawler.Config{
			Dir: filepath.Join(t.TempDir(), "job"), Seeds: []string{livingURL + "/"}, MaxTime: 240 * hour, Retries: -1,
			Revisit: crawler.Revisit{Min: hour / 2, Max: 96 * hour, First: 4 * hour, Gone: 3},
			Handler: crawler.HandlerFunc(func(_ context.Context, p *crawler.Page) error {
				mu.Lock()
				defer mu.Unlock()
				handled[strings.TrimPrefix(p.URL, livingURL)]++
				return nil
			}),
		}
		s := site.crawl(t, cfg)
		if s.Ended != crawler.MaxTime || s.Waiting != 4 || s.Revisits != 4 {
			t.Errorf("%+v", s)
		}

		closing(t, cfg.Dir, func(j *crawler.Job) {
			if at, err := j.Stats(); err != nil || at.Revisits != 4 || !at.Due.After(time.Now()) || at.Due.After(time.Now().Add(96*hour)) {
				t.Errorf("at rest: %+v, %v", at, err)
			}
		})

		// What never changes: after 4 h, 8 h, 16 h, … up to Max.
		want := 4 * hour
		for i, gap := range site.gaps("/never") {
			if !nearly(gap, want) {
				t.Errorf("/never: gap %d is %v, want %v", i, gap, want)
			}
			want = min(2*want, 96*hour)
		}
		if n := len(site.visits["/never"]); n < 7 || n > 9 || handled["/never"] != 1 {
			t.Errorf("/never: %d visits, handled %d times", n, handled["/never"])
		}

		// What changes every hour is visited about once between two changes.
		gaps := site.gaps("/hourly")
		for i, gap := range gaps {
			if i < 3 && !nearly(gap, 4*hour>>i) || i >= 3 && !nearly(gap, hour/2) && !nearly(gap, hour) && !nearly(gap, 2*hour) {
				t.Errorf("/hourly: gap %d is %v", i, gap)
			}
		}
		if handled["/hourly"] < len(gaps)/3 || len(gaps) < 200 || len(gaps) > 400 {
			t.Errorf("/hourly: %d visits, %d of them saw another page", len(gaps)+1, handled["/hourly"])
		}

		// What is gone is visited ever more seldom, and three times.
		if got := site.status["/leaves"]; !slices.Equal(got, []int{200, 404, 404, 404}) {
			t.Errorf("/leaves: %v", got)
		}
		for i, want := range []time.Duration{4 * hour, 16 * hour, 64 * hour} {
			if gaps := site.gaps("/leaves"); !nearly(gaps[i], want) {
				t.Errorf("/leaves: gap %d is %v", i, gaps[i])
			}
		}

		// What fails is tried again after Min, 2 Min, 4 Min, …
		for i, gap := range site.gaps("/shaky") {
			if want := hour / 2 << i; i < 6 && !nearly(gap, want) {
				t.Errorf("/shaky: gap %d is %v, want %v", i, gap, want)
			}
		}
		closing(t, cfg.Dir, func(j *crawler.Job) {
			changes := make(map[string][]storage.Change)
			for rec, err := range j.Store().Records(t.Context(), 0) {
				if err != nil {
					t.Fatal(err)
				}
				path := strings.TrimPrefix(rec.URL, livingURL)
				changes[path] = append(changes[path], rec.Change)
			}
			want := []storage.Change{storage.ChangeNew, storage.ChangeGone, storage.ChangeUnchanged, storage.ChangeUnchanged}
			if !slices.Equal(changes["/leaves"], want) {
				t.Errorf("/leaves: %v", changes["/leaves"])
			}
			if got := changes["/never"]; got[0] != storage.ChangeNew || got[1] != storage.ChangeUnchanged {
				t.Errorf("/never: %v", got)
			}
		})

		// Without Revisit each visit that is planned is made once more.
		before := len(site.visits["/never"])
		cfg.Revisit, cfg.MaxTime = crawler.Revisit{}, 0
		if s := site.crawl(t, cfg); s.Ended != crawler.Done || s.Revisits != 0 || s.RunFetched != 4 {
			t.Errorf("switched off: %+v", s)
		}
		if n := len(site.visits["/never"]); n != before+1 {
			t.Errorf("switched off: %d more visits", n-before)
		}
	})
}

// TestRevisitSitemap: what a sitemap says of a page decides when it is visited: how
// often, and at once when it has changed. New pages in it are crawled.
func TestRevisitSitemap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		hours := func() int { return int(time.Since(began) / hour) }
		site := newLivingSite(t, func(path string, h http.Header) (string, int) {
			switch path {
			case "/robots.txt":
				return "Sitemap: /sitemap.xml", 0
			case "/sitemap.xml":
				h.Set("Content-Type", "application/xml")
				entries := "<url><loc>/weekly</loc><changefreq>weekly</changefreq></url>"
				if hours() >= 10 {
					entries += "<url><loc>/new</loc></url>"
				}
				edited := began.Add(-50 * hour)
				if hours() >= 18 {
					edited = began.Add(18 * hour)
				}
				entries += "<url><loc>/edited</loc><lastmod>" + edited.UTC().Format(time.RFC3339) + "</lastmod></url>"
				return "<urlset>" + entries + "</urlset>", 0
			case "/", "/weekly", "/new":
				return path, 0
			case "/fresh":
				h.Set("Cache-Control", fmt.Sprint("max-age=", int(90*hour/time.Second)))
				return path, 0
			case "/edited":
				return fmt.Sprint(hours() >= 18), 0
			}
			return "", 404
		})
		cfg := crawler.Config{
			Dir: filepath.Join(t.TempDir(), "job"), Seeds: []string{livingURL + "/", livingURL + "/fresh"}, MaxTime: 60 * hour,
			Revisit: crawler.Revisit{Min: 2 * hour, Max: 100 * hour, First: 50 * hour, Sitemaps: 5 * hour},
		}
		s := site.crawl(t, cfg)
		if s.Ended != crawler.MaxTime || s.Waiting != 6 || s.Revisits != 6 {
			t.Errorf("%+v", s)
		}
		// It is sent when it is new, and when it has changed.
		if n := len(site.visits["/sitemap.xml"]); n < 11 || n > 12 {
			t.Errorf("the sitemap was read %d times", n)
		}
		if sent := strings.Count(fmt.Sprint(site.status["/sitemap.xml"]), "200"); sent != 3 {
			t.Errorf("the sitemap was sent %d times: %v", sent, site.status["/sitemap.xml"])
		}
		for path, want := range map[string]int{"/": 2, "/weekly": 1, "/new": 1, "/fresh": 1} {
			if n := len(site.visits[path]); n != want {
				t.Errorf("%s was visited %d times, want %d", path, n, want)
			}
		}
		found := func(path string, i int) time.Duration { return site.visits[path][i].Sub(began) }
		// As soon as a sitemap tells of it.
		if at := found("/new", 0); at < 10*hour || at > 16*hour {
			t.Errorf("/new was found after %v", at)
		}
		// The visit that was planned after 25 hours, half the page's age, finds that there was
		// another one meanwhile, and waits half as long after that.
		if at := found("/edited", 1); at < 18*hour || at > 25*hour {
			t.Errorf("/edited was visited again after %v", at)
		}
		if gap := site.gaps("/edited")[1]; !nearly(gap, 25*hour/2) {
			t.Errorf("/edited was visited once more after %v", gap)
		}

		explain := func(path string) *crawler.PlannedRevisit {
			var e *crawler.Explanation
			closing(t, cfg.Dir, func(j *crawler.Job) {
				var err error
				if e, err = j.Explain(t.Context(), livingURL+path); err != nil {
					t.Fatal(err)
				}
			})
			if e.Revisit == nil {
				t.Fatalf("%s: no revisit is planned: %+v", path, e)
			}
			return e.Revisit
		}
		if p := explain("/weekly"); !nearly(p.At.Sub(p.Last), 100*hour) || p.Sitemap {
			t.Errorf("/weekly: %+v", p)
		}
		if p := explain("/sitemap.xml"); !nearly(p.At.Sub(p.Last), 5*hour) || !p.Sitemap {
			t.Errorf("/sitemap.xml: %+v", p)
		}
		if p := explain("/fresh"); !nearly(p.At.Sub(p.Last), 90*hour) {
			t.Errorf("/fresh: %+v", p)
		}
	})
}

// TestRevisitSitemapEarly: what a sitemap says of a page too early for another visit is
// not forgotten, although the sitemap is not sent again.
func TestRevisitSitemapEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		site := newLivingSite(t, func(path string, h http.Header) (string, int) {
			switch path {
			case "/robots.txt":
				return "Sitemap: /sitemap.xml", 0
			case "/sitemap.xml":
				h.Set("Content-Type", "application/xml")
				edited, ahead := began.Add(-900*hour), began.Add(-900*hour)
				if time.Since(began) >= 3*hour {
					edited, ahead = began.Add(3*hour), began.Add(20*hour)
				}
				entry := func(path string, at time.Time) string {
					return "<url><loc>" + path + "</loc><lastmod>" + at.UTC().Format(time.RFC3339) + "</lastmod></url>"
				}
				return "<urlset>" + entry("/edited", edited) + entry("/ahead", ahead) + "</urlset>", 0
			}
			return path, 0
		})
		cfg := crawler.Config{
			Dir: filepath.Join(t.TempDir(), "job"), Seeds: []string{livingURL + "/"}, MaxTime: 40 * hour,
			Revisit: crawler.Revisit{Min: 10 * hour, Max: 100 * hour, Sitemaps: 2 * hour},
		}
		site.crawl(t, cfg)
		if sent := strings.Count(fmt.Sprint(site.status["/sitemap.xml"]), "200"); sent != 2 {
			t.Errorf("the sitemap was sent %d times: %v", sent, site.status["/sitemap.xml"])
		}
		for path, want := range map[string]time.Duration{"/edited": 10 * hour, "/ahead": 20 * hour} {
			visits := site.visits[path]
			if len(visits) != 2 || !nearly(visits[1].Sub(began), want) {
				t.Errorf("%s was visited at %v, want a second visit after %v", path, visits, want)
			}
		}
	})
}

// TestRevisitSitemapPriority: of pages that a sitemap says have changed, those to which it gives priority come first, as
// they do when it names them for the first time.
func TestRevisitSitemapPriority(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		site := newLivingSite(t, func(path string, h http.Header) (string, int) {
			switch path {
			case "/robots.txt":
				return "Sitemap: /sitemap.xml", 0
			case "/sitemap.xml":
				h.Set("Content-Type", "application/xml")
				edited := began.Add(-900 * hour)
				if time.Since(began) >= 3*hour {
					edited = began.Add(3 * hour)
				}
				var entries strings.Builder
				for i := range 9 {
					fmt.Fprintf(&entries, "<url><loc>/page%d</loc><lastmod>%s</lastmod><priority>0.%d</priority></url>", i, edited.UTC().Format(time.RFC3339), i+1)
				}
				return "<urlset>" + entries.String() + "</urlset>", 0
			}
			return path, 0
		})
		site.crawl(t, crawler.Config{
			Dir: filepath.Join(t.TempDir(), "job"), Seeds: []string{livingURL + "/"}, MaxTime: 10 * hour,
			Revisit: crawler.Revisit{Min: hour, Max: 100 * hour, Sitemaps: 2 * hour},
		})
		for i := 1; i < 9; i++ {
			less, more := site.visits[fmt.Sprintf("/page%d", i-1)], site.visits[fmt.Sprintf("/page%d", i)]
			if len(less) != 2 || len(more) != 2 || !more[0].Before(less[0]) || !more[1].Before(less[1]) {
				t.Errorf("/page%d was visited at %v, /page%d at %v", i-1, less, i, more)
			}
		}
	})
}

// TestRevisitData: what a handler gave a request along is there at each visit, be it
// planned, or made because a sitemap says that the page has changed.
func TestRevisitData(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		site := newLivingSite(t, func(path string, h http.Header) (string, int) {
			edited := time.Since(began) >= 3*hour
			switch path {
			case "/robots.txt":
				return "Sitemap: /sitemap.xml", 0
			case "/sitemap.xml":
				h.Set("Content-Type", "application/xml")
				if !edited {
					return "<urlset></urlset>", 0
				}
				return "<urlset><url><loc>/page</loc><lastmod>" + began.Add(3*hour).UTC().Format(time.RFC3339) + "</lastmod></url></urlset>", 0
			case "/page":
				return fmt.Sprint(edited, time.Since(began) > 20*hour), 0
			}
			return path, 0
		})
		data := strings.Repeat("d", frontier.MaxData-32) // the most that there may be, so that there is room for the plan
		seen := make(map[string]time.Duration)
		cfg := crawler.Config{
			Dir: filepath.Join(t.TempDir(), "job"), Seeds: []string{livingURL + "/"}, MaxTime: 60 * hour,
			Revisit: crawler.Revisit{Min: hour, Max: 100 * hour, First: 40 * hour, Sitemaps: 2 * hour},
			Handler: crawler.HandlerFunc(func(_ context.Context, p *crawler.Page) error {
				if p.URL == livingURL+"/" {
					if err := p.FollowRequest(crawler.Request{URL: "/more", Data: []byte(data + "d")}); !errors.Is(err, crawler.ErrLimit) {
						t.Errorf("more data: %v", err)
					}
					return p.FollowRequest(crawler.Request{URL: "/page", Label: "label", Data: []byte(data)})
				}
				if p.Label != "label" || string(p.Data) != data {
					t.Errorf("after %v the page has the label %q and %d bytes of data", time.Since(began), p.Label, len(p.Data))
				}
				seen[string(p.Body)] = time.Since(began)
				return nil
			}),
		}
		site.crawl(t, cfg)
		if at, ok := seen["true false"]; len(seen) != 3 || !ok || at > 10*hour {
			t.Errorf("the page was seen at %v", seen)
		}
	})
}

// TestRevisitDiff: what has happened since a time.
func TestRevisitDiff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		site := newLivingSite(t, func(path string, _ http.Header) (string, int) {
			late := time.Since(began) > 10*hour
			switch {
			case path == "/" && late:
				return linksTo("/a", "/b", "/c"), 0
			case path == "/":
				return linksTo("/a", "/b"), 0
			case path == "/a", path == "/c" && late, path == "/b" && !late:
				return path, 0
			}
			return "", 404
		})
		cfg := crawler.Config{
			Dir: filepath.Join(t.TempDir(), "job"), Seeds: []string{livingURL + "/"}, MaxTime: 15 * hour,
			Revisit: crawler.Revisit{Min: hour, Max: 4 * hour},
		}
		site.crawl(t, cfg)
		since := func(at time.Time) (found []string) {
			closing(t, cfg.Dir, func(j *crawler.Job) {
				for rec, err := range j.DiffSince(t.Context(), at) {
					if err != nil {
						t.Fatal(err)
					}
					found = append(found, rec.Change.String()+" "+strings.TrimPrefix(rec.URL, livingURL))
				}
			})
			slices.Sort(found)
			return found
		}
		if got, want := since(began.Add(5*hour)), []string{"changed /", "gone /b", "new /c"}; !slices.Equal(got, want) {
			t.Errorf("since five hours: %v, want %v", got, want)
		}
		if got, want := since(time.Time{}), []string{"changed /", "gone /b", "new /", "new /a", "new /b", "new /c"}; !slices.Equal(got, want) {
			t.Errorf("in all: %v, want %v", got, want)
		}
		if got := since(began.Add(16 * hour)); len(got) > 0 {
			t.Errorf("since the end: %v", got)
		}
	})
}

// TestTrustLastmod: in another round, pages are left alone that their sitemap says
// have not changed.
func TestTrustLastmod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		lastmod := map[string]time.Time{"/old": began.Add(-100 * 24 * time.Hour), "/edited": began, "/undated": {}}
		site := newLivingSite(t, func(path string, h http.Header) (string, int) {
			switch path {
			case "/robots.txt":
				return "Sitemap: /sitemap.xml", 0
			case "/sitemap.xml":
				h.Set("Content-Type", "application/xml")
				text := ""
				for _, page := range slices.Sorted(maps.Keys(lastmod)) {
					text += "<url><loc>" + page + "</loc>"
					if at := lastmod[page]; !at.IsZero() {
						text += "<lastmod>" + at.UTC().Format(time.RFC3339) + "</lastmod>"
					}
					text += "</url>"
				}
				return "<urlset>" + text + "</urlset>", 0
			}
			return path, 0
		})
		cfg := crawler.Config{
			Dir: filepath.Join(t.TempDir(), "job"), Seeds: []string{livingURL + "/"}, Recrawl: true, TrustLastmod: true,
		}
		site.crawl(t, cfg)
		time.Sleep(hour)
		lastmod["/edited"] = time.Now()
		time.Sleep(hour)
		s := site.crawl(t, cfg)
		if s.Round != 2 || s.LeftOut[crawler.ReasonUnmodified] != 1 {
			t.Errorf("%+v", s)
		}
		for path, want := range map[string]int{"/": 2, "/old": 1, "/edited": 2, "/undated": 2, "/sitemap.xml": 2} {
			if n := len(site.visits[path]); n != want {
				t.Errorf("%s was visited %d times, want %d", path, n, want)
			}
		}
		// The sitemap is the same, and what it says counts again.
		if s := site.crawl(t, cfg); s.Round != 3 || len(site.visits["/old"]) != 1 || len(site.visits["/edited"]) != 2 {
			t.Errorf("once more: %d and %d visits, %+v", len(site.visits["/old"]), len(site.visits["/edited"]), s)
		}
		cfg.TrustLastmod = false
		if s := site.crawl(t, cfg); s.Round != 4 || len(site.visits["/old"]) != 2 {
			t.Errorf("without: %d visits, %+v", len(site.visits["/old"]), s)
		}
	})
}

// TestCacheWaitsForNobody: what is replayed keeps no host's delay.
func TestCacheWaitsForNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		site := newLivingSite(t, func(path string, _ http.Header) (string, int) {
			return linksTo("/a", "/b", "/c", "/d"), 0
		})
		cache := crawler.Cache{Dir: filepath.Join(t.TempDir(), "cache")}
		run := func() time.Duration {
			s := site.crawl(t, crawler.Config{
				Dir: filepath.Join(t.TempDir(), "job"), Seeds: []string{livingURL + "/"}, Cache: cache, Delay: time.Minute,
			})
			if s.Fetched != 5 {
				t.Errorf("%+v", s)
			}
			return s.Elapsed
		}
		if took := run(); took < 5*time.Minute { // robots.txt comes first
			t.Errorf("six requests took %v", took)
		}
		if took := run(); took > 30*time.Second {
			t.Errorf("six replays took %v", took)
		}
	})
}
