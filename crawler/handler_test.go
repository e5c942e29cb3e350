package crawler_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/orbweaver/orbweaver/crawler"
)

// TestHandlers has handlers that do their work, fail, and panic.
func TestHandlers(t *testing.T) {
	site := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/missing" {
			http.NotFound(w, r)
			return
		}
		html(w, `<title>T</title><a href=/good>g</a><a href=/error>e</a><a href=/panic>p</a><a href=/missing>m</a>`)
	})
	var failed sync.Map
	handler := crawler.HandlerFunc(func(_ context.Context, p *crawler.Page) error {
		path := strings.TrimPrefix(p.URL, site)
		if err := p.Emit(map[string]string{"path": path, "label": p.Label, "data": string(p.Data)}); err != nil {
			return err
		}
		err := p.FollowRequest(crawler.Request{URL: "/from" + path, Label: "followed", Data: []byte(path)})
		if err != nil {
			return err
		}
		switch {
		case path == "/error":
			return errors.New("bad page")
		case path == "/panic":
			panic("worse page")
		case p.Label == "followed" && strings.Count(path, "/from") > 1:
			return p.Follow("http://[bad")
		}
		return nil
	})
	s, job := run(t, crawler.Config{
		Seeds: []string{site}, Handler: handler, MaxDepth: 3,
		Events: crawler.Events{HandlerFailed: func(e crawler.HandlerFailedEvent) { failed.Store(strings.TrimPrefix(e.URL, site), e.Err) }},
	})
	stored := results(t, job.Store())
	for path, wantError := range map[string]string{
		"/": "", "/good": "", "/from/": "", "/from/good": "",
		"/error": "handler: bad page", "/panic": "handler: panic: worse page",
	} {
		rec := stored[site+path]
		if rec == nil || rec.Status != 200 || rec.Error != wantError || rec.Title != "T" {
			t.Errorf("%s: %+v", path, rec)
		}
	}
	for _, path := range []string{"/from/error", "/from/panic", "/from/missing"} {
		if stored[site+path] != nil {
			t.Errorf("%s was followed from a page whose handler failed or never ran", path)
		}
	}
	var panicked *crawler.PanicError
	if err, _ := failed.Load("/panic"); !errors.As(err.(error), &panicked) || len(panicked.Stack) == 0 {
		t.Errorf("the panic was told as %v", err)
	}
	items := make(map[string]string)
	for item, err := range job.Store().Items(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		var v map[string]string
		if err := json.Unmarshal(item.Data, &v); err != nil {
			t.Fatal(err)
		}
		items[v["path"]] = v["label"] + ":" + v["data"]
	}
	if items["/"] != ":" || items["/from/good"] != "followed:/good" || items["/error"]+items["/panic"]+items["/missing"] != "" {
		t.Errorf("items %v", items)
	}
	if int64(len(items)) != s.Items {
		t.Errorf("%d items stored, %d counted", len(items), s.Items)
	}
}
