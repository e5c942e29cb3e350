package crawler

import (
	"fmt"
	"testing"

	"github.com/orbweaver/orbweaver/frontier"
	"github.com/orbweaver/orbweaver/frontier/memfrontier"
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

// What is handed over need not be added again, with the job's own frontier at once,
// with another when it is committed.
func TestSubmittedIsRecent(t *testing.T) {
	for name, cfg := range map[string]Config{"own": {}, "other": {Frontier: memfrontier.New()}} {
		t.Run(name, func(t *testing.T) {
			cfg.Dir = t.TempDir()
			c, err := New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			add := func(url string) *change {
				return &change{add: []frontier.Request{{URL: url, Host: "a.test"}}}
			}
			if err := c.commits.commit(add("http://a.test/1")); err != nil {
				t.Fatal(err)
			}
			if !c.commits.recent.has("http://a.test/1") {
				t.Error("what was committed is not known")
			}
			c.commits.submit(add("http://a.test/2"))
			if cfg.Frontier == nil && !c.commits.recent.has("http://a.test/2") {
				t.Error("what was handed over is not known")
			}
			if err := c.commits.commit(&change{}); err != nil {
				t.Fatal(err)
			}
			if !c.commits.recent.has("http://a.test/2") {
				t.Error("what was committed is not known")
			}
		})
	}
}
