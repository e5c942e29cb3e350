package crawler_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/orbweaver/orbweaver/crawler"
)

// TestNewRulesHoldForWhatWaits: a job that goes on with other rules asks them of what was found by the former ones, but not
// of its seeds, and says so; the rules that it is interrupted with still do so later.
func TestNewRulesHoldForWhatWaits(t *testing.T) {
	var mu sync.Mutex
	var asked []string
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		asked = append(asked, r.URL.Path)
		mu.Unlock()
		w.Header().Set("Content-Type", "text/html")
		if r.URL.Path == "/" {
			for i := range 20 {
				fmt.Fprintf(w, "<a href=/%s/%d>x</a>", []string{"good", "bad"}[i%2], i)
			}
		}
	}))
	defer site.Close()
	re := func(s string) []*regexp.Regexp { return []*regexp.Regexp{regexp.MustCompile(s)} }
	take := func(mark string) (got int) {
		mu.Lock()
		defer mu.Unlock()
		for _, p := range asked {
			if strings.HasPrefix(p, mark) {
				got++
			}
		}
		asked = nil
		return got
	}
	explain := func(job *crawler.Job) *crawler.Explanation {
		t.Helper()
		e, err := job.Explain(t.Context(), site.URL+"/bad/19")
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	seeds := []string{site.URL + "/", site.URL + "/bad/seed"}
	for name, narrow := range map[string]func(*crawler.Config){
		"exclude": func(c *crawler.Config) { c.Exclude = re("/bad/") },
		"include": func(c *crawler.Config) { c.Include = re("/good/") },
		"rules":   func(c *crawler.Config) { c.Rules = []crawler.Rule{{LeaveOut: &crawler.Condition{Match: re("/bad/")}}} },
		"the site": func(c *crawler.Config) {
			c.Sites = []crawler.Site{{Hosts: []string{"127.0.0.1"}, Rules: []crawler.Rule{{LeaveOut: &crawler.Condition{Match: re("/bad/")}}}}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := crawler.Config{
				Dir: filepath.Join(t.TempDir(), "job"), Seeds: seeds, Delay: crawler.NoDelay, Concurrency: 1,
				Robots: crawler.RobotsPolicy{Ignore: true}, MaxPages: 3,
			}
			s, job := run(t, cfg)
			if s.Waiting != 19 {
				t.Fatalf("%d URLs wait", s.Waiting)
			}
			if e := explain(job); !strings.HasPrefix(e.Prospect, "it is fetched") {
				t.Errorf("before: %s", e.Prospect)
			}
			job.Close()
			take("")
			cfg.MaxPages = 4
			narrow(&cfg)
			first, job := run(t, cfg)
			e := explain(job)
			if e.State == "waiting" && !strings.HasPrefix(e.Prospect, "it is left out when its turn comes") {
				t.Errorf("%s is %s: %s", e.URL, e.State, e.Prospect)
			}
			job.Close()
			cfg.MaxPages = 0
			s, _ = runKeep(t, cfg)
			if s.Waiting != 0 || s.Fetched != 12 {
				t.Errorf("%d fetched, %d wait", s.Fetched, s.Waiting)
			}
			left := 0
			for _, n := range s.LeftOut {
				left += int(n)
			}
			if left != 10 {
				t.Errorf("left out %v, in the run before %v", s.LeftOut, first.LeftOut)
			}
			if got := take("/bad/"); got > 1 {
				t.Errorf("%d that are excluded were fetched", got)
			}
			// A round asks for what has a result, as far as the rules have it now.
			cfg.Recrawl = true
			runKeep(t, cfg)
			mu.Lock()
			slices.Sort(asked)
			got := slices.Clone(asked)
			mu.Unlock()
			take("")
			want := []string{"/", "/bad/seed"}
			for i := 0; i < 20; i += 2 {
				want = append(want, fmt.Sprintf("/good/%d", i))
			}
			slices.Sort(want)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("recrawled: -want +got\n%s", diff)
			}
		})
	}
}
