package crawler_test

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/orbweaver/orbweaver/crawler"
	"github.com/orbweaver/orbweaver/internal/simweb"
)

func TestIterator(t *testing.T) {
	web := startWeb(t, simweb.Config{Hosts: 3, Pages: 20})
	dir := filepath.Join(t.TempDir(), "job")
	cfg := crawler.Config{Dir: dir, Seeds: web.Seeds(), Delay: crawler.NoDelay}
	seen := make(map[string]bool)
	for page, err := range crawler.Crawl(t.Context(), cfg) {
		if err != nil {
			t.Fatal(err)
		}
		seen[page.URL] = true
		if err := page.Emit(page.Depth); err != nil {
			t.Error(err)
		}
		if len(seen) == 17 {
			break
		}
	}
	broken := reopen(t, dir)
	if n := len(results(t, broken.Store())); n != 17 {
		t.Errorf("%d pages stored when the loop was left after 17", n)
	}
	if err := broken.Close(); err != nil {
		t.Error(err)
	}
	for page, err := range crawler.Crawl(t.Context(), cfg) {
		if err != nil {
			t.Fatal(err)
		}
		if seen[page.URL] {
			t.Errorf("%s came twice", page.URL)
		}
		seen[page.URL] = true
	}
	if len(seen) != 60 {
		t.Errorf("%d pages, want 60", len(seen))
	}
	for _, err := range crawler.Crawl(t.Context(), crawler.Config{Seeds: []string{"ht!tp://"}}) {
		var bad *crawler.SeedError
		if !errors.As(err, &bad) || bad.Line != 1 {
			t.Errorf("bad seed: %v", err)
		}
	}
	func() {
		defer func() {
			if recover() != "out" {
				t.Error("the loop's panic got lost")
			}
		}()
		for range crawler.Crawl(t.Context(), crawler.Config{Seeds: web.Seeds(), Delay: crawler.NoDelay}) {
			panic("out")
		}
	}()
}
