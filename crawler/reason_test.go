package crawler_test

import (
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/orbweaver/orbweaver/crawler"
)

// TestReasons leaves links out for every reason that a page can
// give.
func TestReasons(t *testing.T) {
	site := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/nofollow" {
			html(w, `<meta name=robots content=nofollow><a href=/hidden>h</a>`)
			return
		}
		html(w, `<a href=/nofollow>1</a><a href="mailto:a@b">2</a><a href="http://[bad">3</a><a href=/x.pdf>4</a>`)
	})
	var told []string
	var mu sync.Mutex
	s, _ := run(t, crawler.Config{
		Seeds: []string{site}, Exclude: []*regexp.Regexp{regexp.MustCompile(`\.pdf$`)},
		Events: crawler.Events{LeftOut: func(e crawler.LeftOutEvent) {
			mu.Lock()
			defer mu.Unlock()
			told = append(told, strings.TrimPrefix(e.URL, site))
		}},
	})
	want := map[crawler.Reason]int64{
		crawler.ReasonNofollow: 1, crawler.ReasonNoHTTP: 1, crawler.ReasonInvalid: 1, crawler.ReasonExcluded: 1,
	}
	if !maps.Equal(s.LeftOut, want) {
		t.Errorf("left out %v, want %v", s.LeftOut, want)
	}
	if !slices.Contains(told, "/x.pdf") {
		t.Errorf("told %q", told)
	}
}
