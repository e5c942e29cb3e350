package crawler_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/orbweaver/orbweaver/crawler"
	"github.com/orbweaver/orbweaver/crawler/links"
	"github.com/orbweaver/orbweaver/internal/simweb"
	"github.com/orbweaver/orbweaver/storage"
)

// TestSitemapsOfWholeWeb: with sitemaps the crawl of a web is as correct as
// without.
func TestSitemapsOfWholeWeb(t *testing.T) {
	web := startWeb(t, simweb.Config{Hosts: 4, Pages: 60, Gzip: true, CrossLinks: 0.1, Sitemaps: true})
	s, job := run(t, crawler.Config{Seeds: web.Seeds()[:2]})
	if got := web.Counts(); got.Forbidden != 0 || got.Trapped != 0 || got.NotFound != 0 || got.Duplicates != 0 || got.Distinct != 120 || got.Sitemaps != 6 {
		t.Errorf("%+v", got)
	}
	if s.Fetched != 126 {
		t.Errorf("%d fetched", s.Fetched)
	}
	kinds := make(map[string]int)
	for _, rec := range results(t, job.Store()) {
		kinds[rec.Kind]++
	}
	if kinds["sitemap"] != 6 {
		t.Errorf("kinds of results: %v", kinds)
	}
	web.Reset()
	run(t, crawler.Config{Seeds: web.Seeds()[:2], Sitemaps: crawler.SitemapsNone})
	if got := web.Counts(); got.Sitemaps != 0 {
		t.Errorf("without sitemaps %d were read", got.Sitemaps)
	}
}

func gzipped(text string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write([]byte(text)) // to a buffer
	_ = z.Close()
	return b.String()
}

// TestSitemapForms has pages that nothing but sitemaps of all kinds leads to, on
// a host of their own.
func TestSitemapForms(t *testing.T) {
	var site, far string
	answers := map[string]string{
		"/one.xml":     "<urlset><url><loc>SITE/from-xml</loc><lastmod>2026-01-31</lastmod><priority>0.9</priority></url><url><loc>FAR/out</loc></url></urlset>",
		"/two.txt":     "SITE/from-text\nnonsense\n",
		"/three.xml":   "<sitemapindex><sitemap><loc>SITE/four.xml.gz</loc></sitemap><sitemap><loc>https://other.example/s.xml</loc></sitemap></sitemapindex>",
		"/four.xml.gz": gzipped("<urlset><url><loc>SITE/from-gzip</loc></url><url><loc>SITE/hidden</loc></url></urlset>"),
		"/five.xml":    "<rss><channel><item><link>SITE/from-feed</link></item></channel></rss>",
		"/six.xml":     "<!doctype html><title>none</title><a href=/wrong>x</a>",
		"/seven.xml":   "<urlset><url><loc>SITE/from-cut</loc></url><url><loc>SITE/lost",
		"/ring.xml":    "<sitemapindex><sitemap><loc>SITE/ring.xml</loc></sitemap></sitemapindex>",
		"/robots.txt": "User-agent: *\nDisallow: /hidden\nDisallow: /forbidden.xml\nSitemap: SITE/one.xml\nSitemap: /two.txt\nSitemap: SITE/three.xml\n" +
			"Sitemap: SITE/five.xml\nSitemap: SITE/six.xml\nSitemap: SITE/seven.xml\nSitemap: SITE/ring.xml\nSitemap: SITE/moved.xml\n" +
			"Sitemap: FAR/far.xml\nSitemap: SITE/forbidden.xml\nSitemap: ftp://x/s.xml\n",
	}
	handler := func(w http.ResponseWriter, r *http.Request) {
		answer, ok := answers[r.URL.Path]
		switch {
		case r.Host == strings.TrimPrefix(far, "http://") && r.URL.Path == "/robots.txt":
			http.NotFound(w, r)
		case r.URL.Path == "/far.xml", r.URL.Path == "/moved-here.xml":
			name := strings.TrimSuffix(r.URL.Path, ".xml")
			fmt.Fprintf(w, "<urlset><url><loc>%s/from%s</loc></url></urlset>", site, strings.Replace(name, "/", "-", 1))
		case r.URL.Path == "/moved.xml":
			http.Redirect(w, r, far+"/moved-here.xml", http.StatusFound)
		case ok:
			if !strings.HasSuffix(r.URL.Path, ".gz") {
				answer = strings.NewReplacer("SITE", site, "FAR", far).Replace(answer)
			}
			w.Header().Set("Content-Type", "application/octet-stream")
			fmt.Fprint(w, answer)
		default:
			html(w, "page")
		}
	}
	site = serve(t, handler)
	far = serve(t, handler)
	answers["/four.xml.gz"] = gzipped(strings.ReplaceAll("<urlset><url><loc>SITE/from-gzip</loc></url><url><loc>SITE/hidden</loc></url></urlset>", "SITE", site))
	var mu sync.Mutex
	shown := make(map[string]bool)
	s, job := run(t, crawler.Config{
		Seeds: []string{site}, AllowPrivate: true,
		Handler: crawler.HandlerFunc(func(_ context.Context, p *crawler.Page) error {
			mu.Lock()
			defer mu.Unlock()
			shown[strings.TrimPrefix(p.URL, site)] = true
			return nil
		}),
	})
	all := results(t, job.Store())
	for _, path := range []string{"/", "/from-xml", "/from-text", "/from-gzip", "/from-feed", "/from-far", "/from-moved-here", "/from-cut"} {
		if all[site+path] == nil || !shown[path] {
			t.Errorf("%s was not fetched", path)
		}
		delete(shown, path)
	}
	if len(shown) != 0 {
		t.Errorf("also shown: %v", shown)
	}
	for _, path := range []string{"/hidden", "/forbidden.xml", "/wrong", "/lost"} {
		if all[site+path] != nil {
			t.Errorf("%s was fetched", path)
		}
	}
	if rec := all[site+"/from-xml"]; rec.Kind != "listed" || rec.Referrer != site+"/one.xml" || rec.Depth != 2 {
		t.Errorf("listed page: %+v", rec)
	}
	if rec := all[site+"/one.xml"]; rec.Kind != "sitemap" || rec.Links != 2 || rec.Depth != 1 || rec.Referrer != site+"/robots.txt" || rec.Error != "" || rec.Bytes == 0 {
		t.Errorf("sitemap: %+v", rec)
	}
	if body, err := job.Store().Body(t.Context(), all[site+"/one.xml"].Seq); err != nil {
		t.Errorf("body of a sitemap: %v, %v", body, err)
	}
	for _, path := range []string{"/six.xml", "/seven.xml"} {
		if rec := all[site+path]; rec == nil || rec.ErrorClass != "sitemap" || !rec.Truncated {
			t.Errorf("%s: %+v", path, rec)
		}
	}
	if s.LeftOut[crawler.ReasonScope] != 2 || s.LeftOut[crawler.ReasonRobots] != 2 || s.LeftOut[crawler.ReasonNoHTTP] != 1 {
		t.Errorf("left out %v", s.LeftOut)
	}
}

// TestSitemapAskedAgain: in a later round a sitemap is sent only if it has changed since
// it was read to its end.
func TestSitemapAskedAgain(t *testing.T) {
	const sitemap = "<urlset><url><loc>/a</loc></url><url><loc>/b</loc></url></urlset>"
	for name, maxBody := range map[string]int64{"kept": 0, "too large to keep": 20} {
		t.Run(name, func(t *testing.T) {
			var mu sync.Mutex
			var asked []string // validators, and what was sent
			tag, text, size := `"1"`, sitemap[:40], len(sitemap)
			site := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/sitemap.xml" {
					html(w, "page")
					return
				}
				mu.Lock()
				defer mu.Unlock()
				asked = append(asked, r.Header.Get("If-None-Match"))
				w.Header().Set("ETag", tag)
				if r.Header.Get("If-None-Match") == tag {
					w.WriteHeader(http.StatusNotModified)
					return
				}
				asked[len(asked)-1] += " sent"
				w.Header().Set("Content-Length", fmt.Sprint(size))
				fmt.Fprint(w, text) // and hang up, if that is not all
			})
			cfg := crawler.Config{
				Dir: filepath.Join(t.TempDir(), "job"), Seeds: []string{site + "/"}, Recrawl: true, Sitemaps: crawler.SitemapsGuessed,
				MaxBody: maxBody, WARC: &crawler.WARC{Dedup: -1},
			}
			round := func() (rec *storage.Record, n int) {
				crawlSite(t, cfg)
				closing(t, cfg.Dir, func(j *crawler.Job) {
					var err error
					if rec, err = j.Store().Get(t.Context(), site+"/sitemap.xml"); err != nil {
						t.Fatal(err)
					}
					rounds, err := j.Rounds()
					if err != nil {
						t.Fatal(err)
					}
					for rec, err := range j.Store().Records(t.Context(), rounds[len(rounds)-1].After) {
						if err != nil {
							t.Fatal(err)
						}
						if rec.Kind == "listed" {
							n++
						}
					}
				})
				return rec, n
			}
			if rec, n := round(); !rec.Truncated || rec.ErrorClass == "" || n != 1 {
				t.Errorf("cut: %+v, %d pages", rec, n)
			}
			text = sitemap
			if rec, n := round(); rec.Error != "" || rec.Links != 2 || n != 2 {
				t.Errorf("whole: %+v, %d pages", rec, n)
			}
			rec, n := round()
			if rec.Status != 200 || rec.Kind != "sitemap" || rec.Links != 2 || rec.Change != storage.ChangeUnchanged || rec.WireBytes != 0 || n != 2 {
				t.Errorf("not modified: %+v, %d pages", rec, n)
			}
			if kept := rec.BodySeq != 0; kept != (maxBody == 0) {
				t.Errorf("not modified: %+v", rec)
			}
			wantRevisits(t, cfg.Dir, 1)
			tag, text = `"2"`, strings.ReplaceAll(sitemap, "/b", "/c")
			if rec, n := round(); rec.Links != 2 || rec.WireBytes == 0 || n != 3 {
				t.Errorf("changed: %+v, %d pages", rec, n)
			}
			round()
			if want := []string{" sent", " sent", `"1"`, `"1" sent`, `"2"`}; !slices.Equal(asked, want) {
				t.Errorf("asked %q, want %q", asked, want)
			}
		})
	}
}

// TestLargeSitemap is one of many batches.
func TestLargeSitemap(t *testing.T) {
	const pages = 5300
	var site string
	site = serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/robots.txt":
			fmt.Fprintf(w, "Sitemap: %s/sitemap.txt\n", site)
		case "/sitemap.txt":
			for i := range pages {
				fmt.Fprintf(w, "%s/%d\n", site, i)
			}
		default:
			html(w, "")
		}
	})
	largest := 0
	s, _ := run(t, crawler.Config{
		Seeds: []string{site}, MaxPages: 2, // the seed and the sitemap
		Events: crawler.Events{Committed: func(e crawler.CommittedEvent) { largest = max(largest, e.Added) }},
	})
	if s.Known != pages+2 || s.Waiting != pages {
		t.Errorf("%d known, %d waiting", s.Known, s.Waiting)
	}
	if largest == 0 {
		t.Error("nothing was committed")
	}
}

// TestSitemapsAsked: when sitemaps are read, and that a guess is made where it is
// asked for.
func TestSitemapsAsked(t *testing.T) {
	var mu sync.Mutex
	var site string
	asked := false
	robots := ""
	site = serve(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		switch r.URL.Path {
		case "/robots.txt":
			fmt.Fprint(w, strings.ReplaceAll(robots, "SITE", site))
		case "/sitemap.xml":
			asked = true
			fmt.Fprintf(w, "<urlset><url><loc>%s/listed</loc></url></urlset>", site)
		default:
			html(w, "")
		}
	})
	const named = "Sitemap: SITE/sitemap.xml\n"
	for name, test := range map[string]struct {
		robots string
		cfg    crawler.Config
		want   bool
	}{
		"named":               {named, crawler.Config{}, true},
		"not named":           {"", crawler.Config{}, false},
		"guessed":             {"", crawler.Config{Sitemaps: crawler.SitemapsGuessed}, true},
		"none":                {named, crawler.Config{Sitemaps: crawler.SitemapsNone}, false},
		"links not followed":  {named, crawler.Config{NoFollow: true}, false},
		"pages are too deep":  {named, crawler.Config{MaxDepth: 1}, false},
		"just not too deep":   {named, crawler.Config{MaxDepth: 2}, true},
		"robots.txt not read": {named, crawler.Config{Robots: crawler.RobotsPolicy{Ignore: true}}, false},
	} {
		mu.Lock()
		asked, robots = false, test.robots
		mu.Unlock()
		test.cfg.Seeds, test.cfg.Dir = []string{site}, filepath.Join(t.TempDir(), "job")
		run(t, test.cfg)
		if asked != test.want {
			t.Errorf("%s: sitemap read %v", name, asked)
		}
	}
}

// TestLongEntriesAreCounted: a URL too long that a sitemap names is counted, wherever it
// is read.
func TestLongEntriesAreCounted(t *testing.T) {
	var site string
	site = serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/robots.txt":
			fmt.Fprintf(w, "Sitemap: %s/s.xml\n", site)
		case "/s.xml":
			fmt.Fprintf(w, "<urlset><url><loc>%s/%s</loc></url><url><loc>%[1]s/list.xml</loc></url></urlset>", site, strings.Repeat("x", 9000))
		case "/list.xml":
			w.Header().Set("Content-Type", "text/xml")
			fmt.Fprintf(w, "<urlset><url><loc>/%s</loc></url><url><loc>/page</loc></url></urlset>", strings.Repeat("y", 9000))
		}
	})
	s, _ := run(t, crawler.Config{Seeds: []string{site}, Follow: links.Pages | links.Listed})
	if want := map[crawler.Reason]int64{crawler.ReasonLength: 2}; s.Fetched != 4 || !maps.Equal(s.LeftOut, want) {
		t.Errorf("%d fetched, left out %v, want %v", s.Fetched, s.LeftOut, want)
	}
}

// TestSitemapTriedAgainCountsOnce: what a sitemap that breaks off leaves out is counted
// once, however often it is tried.
func TestSitemapTriedAgainCountsOnce(t *testing.T) {
	const foreign, pages = 10, 1500 // more than are committed at once
	var list strings.Builder
	for i := range foreign {
		fmt.Fprintf(&list, "http://elsewhere.example/%d\n", i)
	}
	for i := range pages {
		fmt.Fprintf(&list, "%s/%d\n", livingURL, i)
	}
	synctest.Test(t, func(t *testing.T) {
		site := newLivingSite(t, func(path string, h http.Header) (string, int) {
			switch path {
			case "/robots.txt":
				return "Sitemap: /s.txt\n", 0
			case "/s.txt":
				h.Set("Content-Length", "1000000")
				return list.String(), 0
			}
			return "page", 0
		})
		s := site.crawl(t, crawler.Config{
			Dir: filepath.Join(t.TempDir(), "job"), Seeds: []string{livingURL}, Delay: crawler.NoDelay, Retries: 1, Novelty: crawler.Novelty{Pages: -1},
		})
		if s.Retried != 1 || s.Fetched < pages || s.LeftOut[crawler.ReasonScope] != foreign {
			t.Errorf("%d retried, %d fetched, left out %v", s.Retried, s.Fetched, s.LeftOut)
		}
	})
}

// TestSitemapsOfHostMetOtherwise: a host's sitemaps are read with the first of its pages for
// which they are due, whatever its robots.txt was asked for before that; and once.
func TestSitemapsOfHostMetOtherwise(t *testing.T) {
	for name, tt := range map[string]struct {
		robots      string         // of another host, as the link there
		first, then crawler.Config // two runs of a job; the second with the host as a seed, too
	}{
		"for a sitemap":    {"Sitemap: FAR/foreign.txt\n", crawler.Config{}, crawler.Config{}},
		"too deep":         {"", crawler.Config{MaxDepth: 2}, crawler.Config{MaxDepth: 2}},
		"without sitemaps": {"", crawler.Config{Sitemaps: crawler.SitemapsNone}, crawler.Config{}},
	} {
		t.Run(name, func(t *testing.T) {
			var near, far string
			far = serve(t, func(w http.ResponseWriter, r *http.Request) {
				switch r.URL.Path {
				case "/robots.txt":
					fmt.Fprintf(w, "Sitemap: %s/own.txt\nSitemap: ftp://x/\n", far)
				case "/own.txt":
					fmt.Fprintf(w, "%s/from-own\n", far)
				case "/foreign.txt":
					fmt.Fprintf(w, "%s/from-foreign\n", far)
				}
			})
			near = serve(t, func(w http.ResponseWriter, r *http.Request) {
				switch {
				case r.URL.Path == "/robots.txt":
					fmt.Fprint(w, strings.ReplaceAll(tt.robots, "FAR", far))
				case tt.robots == "":
					html(w, "<a href="+far+"/met>far</a>")
				}
			})
			dir, killed := filepath.Join(t.TempDir(), "job"), t.TempDir()
			kills := 0
			tt.first.Seeds = []string{near}
			tt.then.Seeds = []string{near, far + "/1", far + "/2", far + "/3"}
			tt.then.Events.Committed = func(crawler.CommittedEvent) {
				text, err := os.ReadFile(filepath.Join(dir, "job.db"))
				if err == nil {
					err = os.MkdirAll(filepath.Join(killed, fmt.Sprint(kills)), 0o755)
				}
				if err == nil {
					err = os.WriteFile(filepath.Join(killed, fmt.Sprint(kills), "job.db"), text, 0o600)
				}
				if err != nil {
					t.Error(err)
				}
				kills++
			}
			for _, cfg := range []*crawler.Config{&tt.first, &tt.then} {
				cfg.Dir, cfg.Scope, cfg.AllowPrivate, cfg.PerHost, cfg.Retries = dir, crawler.ScopeDomain, true, 4, -1
				runKeep(t, *cfg)
			}
			tt.then.Events.Committed = nil
			for i := range kills + 1 { // the last is the job itself, of which nothing is left to do
				if i < kills {
					tt.then.Dir = filepath.Join(killed, fmt.Sprint(i))
				} else {
					tt.then.Dir = dir
				}
				s, job := run(t, tt.then)
				if results(t, job.Store())[far+"/from-own"] == nil {
					t.Errorf("killed after %d of %d commits: the host's own sitemap was not read: %+v", i+1, kills, s)
				}
				if n := s.LeftOut[crawler.ReasonNoHTTP]; n != 1 {
					t.Errorf("killed after %d of %d commits: sitemaps were added %d times", i+1, kills, n)
				}
			}
		})
	}
}
