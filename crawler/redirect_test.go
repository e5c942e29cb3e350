package crawler_test

import (
	"fmt"
	"maps"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/orbweaver/orbweaver/crawler"
)

func TestRedirects(t *testing.T) {
	other := serve(t, func(w http.ResponseWriter, r *http.Request) { html(w, "other host") })
	var forbidden atomic.Int32
	site := serve(t, func(w http.ResponseWriter, r *http.Request) {
		var n int
		switch {
		case r.URL.Path == "/robots.txt":
			fmt.Fprint(w, "User-agent: *\nDisallow: /private\n")
		case r.URL.Path == "/":
			html(w, `<a href=/to-private>1</a><a href=/to-other>2</a><a href=/chain/5>3</a><a href=/chain/3>4</a><a href=/loop>5</a><a href=/bad>6</a><a href=/ftp>7</a>`)
		case r.URL.Path == "/to-private":
			http.Redirect(w, r, "/private", http.StatusFound)
		case r.URL.Path == "/private":
			forbidden.Add(1)
		case r.URL.Path == "/to-other":
			http.Redirect(w, r, other+"/", http.StatusMovedPermanently)
		case r.URL.Path == "/loop":
			http.Redirect(w, r, "/loop", http.StatusFound)
		case r.URL.Path == "/bad":
			w.Header().Set("Location", "http://[::bad/")
			w.WriteHeader(http.StatusFound)
		case r.URL.Path == "/ftp":
			w.Header().Set("Location", "ftp://example.org/")
			w.WriteHeader(http.StatusFound)
		case scan(r.URL.Path, "/chain/%d", &n) && n > 0:
			http.Redirect(w, r, fmt.Sprintf("/chain/%d", n-1), http.StatusTemporaryRedirect)
		default:
			html(w, "end")
		}
	})
	s, job := run(t, crawler.Config{Seeds: []string{site}, MaxRedirects: 4})
	if forbidden.Load() != 0 {
		t.Error("a redirect led to a forbidden page")
	}
	want := map[crawler.Reason]int64{
		crawler.ReasonRobots: 1, crawler.ReasonScope: 1, crawler.ReasonInvalid: 1, crawler.ReasonNoHTTP: 1,
	}
	stored := results(t, job.Store())
	// The two chains meet: whichever comes first decides whether the limit of
	// four hops is passed by the longer one.
	delete(s.LeftOut, crawler.ReasonRedirects)
	if !maps.Equal(s.LeftOut, want) {
		t.Errorf("left out %v, want %v", s.LeftOut, want)
	}
	if rec := stored[site+"/chain/3"]; rec == nil || rec.FinalURL != site+"/chain/2" || rec.Status != 307 {
		t.Errorf("chain: %+v", rec)
	}
	if rec := stored[site+"/loop"]; rec == nil || rec.FinalURL != site+"/loop" {
		t.Errorf("loop: %+v", rec)
	}
	if stored[other+"/"] != nil {
		t.Error("a redirect left the scope")
	}
}

func scan(text, format string, n *int) bool {
	_, err := fmt.Sscanf(text, format, n)
	return err == nil
}
