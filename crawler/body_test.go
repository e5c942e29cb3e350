package crawler_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/orbweaver/orbweaver/crawler"
	"github.com/orbweaver/orbweaver/internal/simweb"
	"github.com/orbweaver/orbweaver/storage"
)

func TestBodiesAreStored(t *testing.T) {
	web := startWeb(t, simweb.Config{Hosts: 1, Pages: 10, Gzip: true})
	_, job := run(t, crawler.Config{Seeds: web.Seeds()})
	for u, rec := range results(t, job.Store()) {
		body, err := job.Store().Body(t.Context(), rec.Seq)
		if err != nil || int64(len(body)) != rec.WireBytes || rec.Encoding != "gzip" || !bytes.HasPrefix(body, []byte{0x1f, 0x8b}) {
			t.Errorf("%s: %d bytes, %q, %v", u, len(body), rec.Encoding, err)
		}
		if !bytes.HasPrefix(rec.Head, []byte("HTTP/1.1 200")) {
			t.Errorf("%s: head %q", u, rec.Head)
		}
	}
	_, job = run(t, crawler.Config{Seeds: web.Seeds(), NoBodies: true})
	for u, rec := range results(t, job.Store()) {
		if body, err := job.Store().Body(t.Context(), rec.Seq); !errors.Is(err, storage.ErrNotFound) {
			t.Errorf("%s: %d bytes, %v", u, len(body), err)
		}
		if rec.Bytes == 0 || rec.WireBytes == 0 {
			t.Errorf("%s: no size", u)
		}
	}
}

// TestEmptyBodiesAreStored: an empty body is one that was kept, of pages as of sitemaps.
func TestEmptyBodiesAreStored(t *testing.T) {
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/":
			w.Header().Set("Content-Type", "text/html")
			for i := range 20 {
				fmt.Fprintf(w, `<a href="/empty%d">x</a>`, i)
			}
		case "/robots.txt":
			fmt.Fprintf(w, "Sitemap: http://%s/empty.xml\n", r.Host)
		}
	}))
	defer site.Close()
	_, job := run(t, crawler.Config{Seeds: []string{site.URL}})
	empty := 0
	for u, rec := range results(t, job.Store()) {
		if !strings.Contains(u, "/empty") {
			continue
		}
		empty++
		if body, err := job.Store().Body(t.Context(), rec.Seq); err != nil || len(body) > 0 {
			t.Errorf("%s: %q, %v", u, body, err)
		}
	}
	if empty != 21 {
		t.Errorf("%d were fetched", empty)
	}
}

// TestCutBodyIsTold: a limit that cuts is an error of its own class.
func TestCutBodyIsTold(t *testing.T) {
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		_, _ = w.Write(make([]byte, 5000))
	}))
	defer site.Close()
	_, job := run(t, crawler.Config{Seeds: []string{site.URL}, MaxBody: 1000})
	rec := results(t, job.Store())[site.URL+"/"]
	if rec == nil || !rec.Truncated || rec.ErrorClass != storage.ErrorClassLimit || rec.Error != "body cut at 1000 bytes" {
		t.Errorf("%+v", rec)
	}
}
