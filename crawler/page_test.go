package crawler_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/orbweaver/orbweaver/crawler"
)

func TestPage(t *testing.T) {
	site := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=iso-8859-1")
		w.Header().Set("X-Extra", "yes")
		fmt.Fprint(w, "<title>Caf\xe9</title><base href=/dir/><h1>Head</h1><a href=one rel=nofollow>1</a><a href='one#x' rel=ugc>again</a><a href=two rel=nofollow>2</a><a href=two>again</a><a href=mailto:x@y>m</a><a href='caf\xe9'>c</a>")
	})
	var links []crawler.Link
	run(t, crawler.Config{Seeds: []string{site}, MaxPages: 1, Handler: crawler.HandlerFunc(func(_ context.Context, p *crawler.Page) error {
		links = p.Links()
		doc, err := p.Document()
		if err != nil {
			return err
		}
		var v struct {
			Head string `css:"h1"`
		}
		if err := p.Unmarshal(&v); err != nil {
			return err
		}
		if p.Title() != "Café" || p.Charset() != "windows-1252" || !strings.Contains(p.Text(), "Café") ||
			doc.Find("h1").Text() != "Head" || v.Head != "Head" || p.Header().Get("X-Extra") != "yes" || p.ContentType != "text/html" {
			t.Errorf("page %+v: title %q, charset %q, item %+v", p, p.Title(), p.Charset(), v)
		}
		return nil
	})})
	var got []string
	for _, l := range links {
		got = append(got, fmt.Sprint(strings.TrimPrefix(l.URL, site), l.Nofollow))
	}
	if want := []string{"/dir/onetrue", "/dir/twofalse", "/dir/caf%C3%A9false"}; !slices.Equal(got, want) {
		t.Errorf("links %q, want %q", got, want)
	}
}
