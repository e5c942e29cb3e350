package crawler_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/orbweaver/orbweaver/crawler"
)

// cachedSite counts the requests for pages of all shapes in which a response may come.
func cachedSite(t *testing.T) (url string, asked func() map[string]int) {
	t.Helper()
	var mu sync.Mutex
	counts := make(map[string]int)
	var packed bytes.Buffer
	zip := gzip.NewWriter(&packed)
	fmt.Fprint(zip, strings.Repeat("packed ", 1000)+`<a href="/empty">x</a>`)
	if err := zip.Close(); err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		counts[r.URL.Path]++
		mu.Unlock()
		w.Header().Set("Content-Type", "text/html")
		switch r.URL.Path {
		case "/robots.txt":
			fmt.Fprintln(w, "User-agent: *\nDisallow: /secret\nSitemap: /sitemap.xml")
		case "/sitemap.xml":
			w.Header().Set("Content-Type", "application/xml")
			fmt.Fprint(w, "<urlset><url><loc>/listed</loc></url></urlset>")
		case "/":
			fmt.Fprint(w, linksTo("/packed", "/chunked", "/moved", "/missing", "/secret", "/broken", "/later"))
		case "/packed":
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(packed.Bytes())
		case "/chunked":
			fmt.Fprint(w, "in ")
			w.(http.Flusher).Flush()
			fmt.Fprint(w, "pieces")
		case "/moved":
			http.Redirect(w, r, "/target", http.StatusFound)
		case "/broken":
			w.WriteHeader(500)
		case "/later":
			w.WriteHeader(429)
		case "/empty", "/target", "/listed":
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(s.Close)
	return s.URL, func() map[string]int {
		mu.Lock()
		defer mu.Unlock()
		all := counts
		counts = make(map[string]int)
		return all
	}
}

// cachedCrawl runs a job of its own with the cache, and returns its pages' bodies.
func cachedCrawl(t *testing.T, url string, cache crawler.Cache) (*crawler.Summary, map[string]string) {
	t.Helper()
	var mu sync.Mutex
	bodies := make(map[string]string)
	s := crawlSite(t, crawler.Config{
		Dir: filepath.Join(t.TempDir(), "job"), Seeds: []string{url + "/"}, Cache: cache,
		Statuses: func(int) bool { return true },
		Handler: crawler.HandlerFunc(func(_ context.Context, p *crawler.Page) error {
			mu.Lock()
			defer mu.Unlock()
			bodies[strings.TrimPrefix(p.URL, url)] = fmt.Sprint(p.Status, " ", string(p.Body))
			return nil
		}),
	})
	return s, bodies
}

func TestCache(t *testing.T) {
	url, asked := cachedSite(t)
	cache := crawler.Cache{Dir: filepath.Join(t.TempDir(), "cache")}
	const pages, lasting = 10, 10 // of those two may not be kept; robots.txt and the sitemap come on top

	first, bodies := cachedCrawl(t, url, cache)
	if first.Cache.Hits != 0 || first.Cache.Stored != lasting || first.Fetched != pages+1 {
		t.Errorf("first: %+v", first)
	}
	if n := asked(); n["/robots.txt"] != 1 || n["/packed"] != 1 {
		t.Errorf("first: asked for %v", n)
	}

	second, again := cachedCrawl(t, url, cache)
	if second.Cache.Hits != lasting || second.Cache.Stored != 0 || second.Cache.Damaged != 0 {
		t.Errorf("second: %+v", second)
	}
	if n := asked(); len(n) != 2 || n["/broken"] != 1 || n["/later"] != 1 {
		t.Errorf("second: asked for %v", n)
	}
	if second.Fetched != first.Fetched || second.Bytes != first.Bytes || second.WireBytes != first.WireBytes {
		t.Errorf("second: %+v, first: %+v", second.Stats, first.Stats)
	}
	for path, body := range bodies {
		if again[path] != body {
			t.Errorf("%s: %.50q, replayed as %.50q", path, body, again[path])
		}
	}
	if len(again) != len(bodies) {
		t.Errorf("%d pages, replayed %d", len(bodies), len(again))
	}

	// An entry that is damaged is asked for again.
	damaged := 0
	err := filepath.WalkDir(cache.Dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if err == nil {
			switch damaged++; damaged % 3 {
			case 0:
				text = text[:len(text)/2]
			case 1:
				text[len(text)/2] ^= 1
			case 2:
				text = nil
			}
			err = os.WriteFile(path, text, 0o600)
		}
		return err
	})
	if err != nil || damaged != lasting {
		t.Fatalf("%d entries: %v", damaged, err)
	}
	third, _ := cachedCrawl(t, url, cache)
	if third.Cache.Hits != 0 || third.Cache.Damaged != lasting || third.Cache.Stored != lasting {
		t.Errorf("third: %+v", third)
	}
	if s, _ := cachedCrawl(t, url, cache); s.Cache.Hits != lasting {
		t.Errorf("fourth: %+v", s)
	}

	// With another age, or other header fields, it is another thing.
	old := cache
	old.MaxAge = 1
	if s, _ := cachedCrawl(t, url, old); s.Cache.Hits != 0 || s.Cache.Damaged != 0 {
		t.Errorf("too old: %+v", s)
	}
	asked()
	cfg := crawler.Config{
		Dir: filepath.Join(t.TempDir(), "job"), Seeds: []string{url + "/"}, Cache: cache,
		Header: http.Header{"X-Who": {"me"}},
	}
	if s := crawlSite(t, cfg); s.Cache.Hits != 0 {
		t.Errorf("with a header field: %+v", s)
	}
}

// TestCacheShared: crawls that use one directory at once, and one with little room,
// get what the site says.
func TestCacheShared(t *testing.T) {
	url, _ := cachedSite(t)
	cache := crawler.Cache{Dir: filepath.Join(t.TempDir(), "cache"), MaxBytes: 1500}
	_, want := cachedCrawl(t, url, crawler.Cache{})
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 3 {
				s, got := cachedCrawl(t, url, cache)
				if s.Cache.Damaged > 0 || len(got) != len(want) {
					t.Errorf("%d pages, want %d: %+v", len(got), len(want), s)
				}
				for path, body := range want {
					if got[path] != body {
						t.Errorf("%s: %.50q, want %.50q", path, got[path], body)
					}
				}
			}
		})
	}
	all.Wait()
	var size int64
	err := filepath.WalkDir(cache.Dir, func(_ string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			info, err := d.Info()
			if err != nil {
				return err
			}
			size += info.Size()
		}
		return err
	})
	if err != nil || size > 4*cache.MaxBytes {
		t.Errorf("%d bytes are left, %v", size, err)
	}
	var wrong *crawler.ConfigError
	for _, c := range []crawler.Cache{{MaxBytes: 1}, {Dir: "x", MaxAge: -1}} {
		_, err := crawler.New(crawler.Config{Seeds: []string{url}, Cache: c})
		if !errors.As(err, &wrong) || wrong.Field != "Cache" {
			t.Errorf("%+v: %v", c, err)
		}
	}
}
