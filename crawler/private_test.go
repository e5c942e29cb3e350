package crawler_test

import (
	"net/http"
	"regexp"
	"sync/atomic"
	"testing"

	"github.com/orbweaver/orbweaver/crawler"
)

func TestPrivateAddresses(t *testing.T) {
	var reached atomic.Int32
	inner := serve(t, func(w http.ResponseWriter, r *http.Request) { reached.Add(1) })
	site := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/redirect" {
			http.Redirect(w, r, inner+"/secret2", http.StatusFound)
			return
		}
		html(w, `<a href="`+inner+`/secret">inner</a><a href=/redirect>r</a><a href="http://169.254.169.254/latest/">metadata</a>`)
	})
	s, _ := run(t, crawler.Config{Seeds: []string{site}, Scope: crawler.ScopeAny, Retries: -1})
	if reached.Load() != 0 {
		t.Error("a page led to a private address")
	}
	if s.LeftOut[crawler.ReasonPrivate] < 2 {
		t.Errorf("left out %v", s.LeftOut)
	}
	run(t, crawler.Config{Seeds: []string{site}, Scope: crawler.ScopeAny, Retries: -1, AllowPrivate: true, Exclude: []*regexp.Regexp{regexp.MustCompile("169")}})
	if reached.Load() == 0 {
		t.Error("AllowPrivate did not open it")
	}
}
