package crawler_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/orbweaver/orbweaver/crawler"
	"github.com/orbweaver/orbweaver/internal/simweb"
)

func TestExplain(t *testing.T) {
	web := startWeb(t, simweb.Config{Hosts: 1, Pages: 5})
	_, job := run(t, crawler.Config{Seeds: web.Seeds(), Exclude: []*regexp.Regexp{regexp.MustCompile("secret")}})
	for u, want := range map[string]string{
		web.Seeds()[0]:                        `(?s)belongs.*state +done.*status 200`,
		"http://elsewhere.example/":           `(?s)out of scope.*--scope.*not asked.*unknown`,
		"http://" + web.Host(0) + "/secret":   `(?s)excluded.*--exclude.*unknown`,
		"HTTP://" + web.Host(0) + "/new#frag": `(?s)url +http://` + regexp.QuoteMeta(web.Host(0)) + `/new\n.*belongs.*unknown`,
	} {
		e, err := job.Explain(t.Context(), u)
		if err != nil {
			t.Fatal(err)
		}
		if !regexp.MustCompile(want).MatchString(e.String()) {
			t.Errorf("%s: want %s in\n%s", u, want, e)
		}
	}
	if _, err := job.Explain(t.Context(), "no url"); err == nil {
		t.Error("explained what is no URL")
	}
}

// TestExplainNovelty: a part of a site that is given up is told, with what becomes of its URLs, unless nothing is judged.
func TestExplainNovelty(t *testing.T) {
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		n, _ := strconv.Atoi(path.Base(r.URL.Path))
		fmt.Fprintf(w, "<title>No events</title><a href=/day/%d>next</a>", n+1)
	}))
	defer site.Close()
	cfg := crawler.Config{
		Dir: filepath.Join(t.TempDir(), "job"), Seeds: []string{site.URL + "/day/1"}, Delay: crawler.NoDelay,
		Robots: crawler.RobotsPolicy{Ignore: true}, Novelty: crawler.Novelty{Pages: 80}, MaxPages: 1000,
	}
	explain := func(job *crawler.Job, path string) *crawler.Explanation {
		e, err := job.Explain(t.Context(), site.URL+path)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	s, job := run(t, cfg)
	if s.Ended != crawler.Done {
		t.Fatalf("ended %s after %d pages: nothing was given up", s.Ended, s.Fetched)
	}
	for path, want := range map[string]string{
		"/day/99999": `novelty   127.0.0.1/day brings nothing new \(see --novelty\)\n(?s:.*)next      a link to it is left out, as its part of the site is given up\n`,
		"/day/1":     `novelty   127.0.0.1/day brings nothing new (?s:.*)next      nothing: it was fetched\n`,
		"/night/1":   `next      when a link leads to it, it is fetched`,
	} {
		e := explain(job, path)
		if got := e.String(); !regexp.MustCompile(want).MatchString(got) || strings.Contains(got, "novelty") != strings.Contains(want, "novelty") {
			t.Errorf("%s: want %s in\n%s", path, want, got)
		}
	}
	if err := job.Close(); err != nil {
		t.Fatal(err)
	}
	cfg.Novelty.Pages, cfg.MaxPages = -1, 1
	_, job = run(t, cfg)
	if e := explain(job, "/day/99999"); e.GivenUp != "" {
		t.Errorf("%s is given up though nothing is judged", e.GivenUp)
	}
}
