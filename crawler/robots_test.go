package crawler_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/orbweaver/orbweaver/crawler"
	"github.com/orbweaver/orbweaver/internal/simweb"
)

func TestRobotsUnreachable(t *testing.T) {
	for _, status := range []int{503, 404, 403} {
		web := startWeb(t, simweb.Config{Hosts: 2, Pages: 5, RobotsStatus: status})
		s, _ := run(t, crawler.Config{Seeds: web.Seeds(), Retries: -1})
		if status < 500 { // all is allowed, also what the usual robots.txt forbids
			if got := web.Counts(); got.Distinct != 10 || got.Forbidden == 0 {
				t.Errorf("robots %d: %d pages and %d forbidden URLs fetched", status, got.Distinct, got.Forbidden)
			}
			continue
		}
		if s.Fetched != 0 || s.LeftOut[crawler.ReasonRobotsUnreachable] != 2 || len(s.Problems) != 2 {
			t.Errorf("robots %d: %d fetched, left out %v, problems %q", status, s.Fetched, s.LeftOut, s.Problems)
		}
	}
}

// TestRobotsRedirectLoop: a robots.txt that redirects for ever counts as none
// (RFC 9309, 2.3.1.2).
func TestRobotsRedirectLoop(t *testing.T) {
	site := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/robots.txt" {
			http.Redirect(w, r, "/robots.txt?again", http.StatusFound)
			return
		}
		html(w, "page")
	})
	if s, _ := run(t, crawler.Config{Seeds: []string{site}}); s.Fetched != 1 || s.Failed != 0 {
		t.Errorf("%d fetched, %d failed", s.Fetched, s.Failed)
	}
}

// TestForbiddenLinks: links that robots.txt of their page's site forbids never wait, and are counted for each page.
func TestForbiddenLinks(t *testing.T) {
	other := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/robots.txt":
			fmt.Fprint(w, "User-agent: *\nDisallow: /f\n")
		case "/":
			html(w, "page")
		default:
			t.Errorf("%s was asked for", r.URL)
		}
	})
	site := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/robots.txt":
			fmt.Fprint(w, "User-agent: *\nDisallow: /f\n")
		case "/", "/a":
			html(w, "<a href=/a>a</a><a href=/f/1>1</a><a href=/f/2>2</a><a href="+other+"/f/3>3</a>")
		default:
			t.Errorf("%s was asked for", r.URL)
		}
	})
	cfg := crawler.Config{Seeds: []string{site, other}}
	s, _ := run(t, cfg)
	if s.Fetched != 3 || s.Known != 4 || s.LeftOut[crawler.ReasonRobots] != 2*2+1 {
		t.Errorf("%d fetched, %d known, left out %v", s.Fetched, s.Known, s.LeftOut)
	}
	cfg.Revisit, cfg.MaxPages = crawler.Revisit{Min: time.Hour, Max: time.Hour}, 3
	s, _ = run(t, cfg)
	if s.Fetched != 3 || s.Known != 6 {
		t.Errorf("with revisits: %d fetched, %d known, left out %v", s.Fetched, s.Known, s.LeftOut)
	}
}

// TestManyForbiddenLinks: those beyond the first of a page wait, and are left out in the end.
func TestManyForbiddenLinks(t *testing.T) {
	const n = 1000
	site := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/robots.txt":
			fmt.Fprint(w, "User-agent: *\nDisallow: /f\n")
		case "/":
			for i := range n {
				html(w, fmt.Sprintf("<a href=/f/%d>f</a>", i))
			}
		default:
			t.Errorf("%s was asked for", r.URL)
		}
	})
	s, _ := run(t, crawler.Config{Seeds: []string{site}})
	if s.Fetched != 1 || s.Known < n/2 || s.Known > n || s.LeftOut[crawler.ReasonRobots] != n {
		t.Errorf("%d fetched, %d known, left out %v", s.Fetched, s.Known, s.LeftOut)
	}
}
