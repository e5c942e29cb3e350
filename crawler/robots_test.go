package crawler_test

import (
	"net/http"
	"testing"

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
