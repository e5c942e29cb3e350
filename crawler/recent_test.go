package crawler

import (
	"fmt"
	"testing"
)

func TestRecent(t *testing.T) {
	r := newRecent()
	if r.has("") || r.has("http://a.test/") {
		t.Error("knows what was never added")
	}
	url := func(i int) string { return fmt.Sprintf("http://a.test/%d", i) }
	const n = 3 * recentURLs
	for i := range n {
		r.add(url(i))
		if !r.has(url(i)) {
			t.Fatal("forgot at once", i)
		}
	}
	kept := 0
	for i := range 2 * n {
		if !r.has(url(i)) {
			continue
		}
		if kept++; i >= n {
			t.Fatal("knows what was never added", i)
		}
	}
	if kept < recentURLs/2 || kept > recentURLs {
		t.Errorf("remembers %d URLs, want about %d", kept, recentURLs)
	}
}
