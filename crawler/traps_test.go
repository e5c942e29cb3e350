package crawler_test

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/orbweaver/orbweaver/crawler"
	"github.com/orbweaver/orbweaver/httpclient"
	"github.com/orbweaver/orbweaver/internal/simweb/traps"
)

// loopbackResolver finds every host at home.
type loopbackResolver struct{}

func (loopbackResolver) Resolve(context.Context, string, httpclient.Family) ([]netip.Addr, time.Duration, error) {
	return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, 0, nil
}

// trapConfig is what gets out of a trap; without an option that it needs, it is the
// default but for the delay.
func trapConfig(t *testing.T, trap traps.Trap) crawler.Config {
	cfg := crawler.Config{Delay: crawler.NoDelay, PerHost: 8, MaxPages: int64(trap.Most) + 1}
	switch trap.Needs {
	case traps.NeedsDomain:
		cfg.Scope = crawler.ScopeDomain
		connector, err := httpclient.NewTCPConnector(httpclient.TCPConfig{Resolver: loopbackResolver{}})
		if err != nil {
			t.Fatal(err)
		}
		if cfg.Session, err = httpclient.New(httpclient.Config{Connector: connector, Jar: httpclient.DummyJar{}}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { cfg.Session.Close() })
	case traps.NeedsExclude:
		cfg.Exclude = []*regexp.Regexp{regexp.MustCompile(`&.*&`)}
	case traps.NeedsSimilar:
		cfg.Novelty.Similar = true
	case traps.NeedsTimeout:
		cfg.Timeout = 300 * time.Millisecond
		cfg.Retries = -1
	}
	return cfg
}

// TestNoveltyOverRuns crawls a calendar without end until it is given up, and goes on
// with the job, and with what a kill right after that would have left of it: the
// calendar is left alone until a run judges otherwise, or not at all.
func TestNoveltyOverRuns(t *testing.T) {
	var mu sync.Mutex
	asked := make(map[string]bool)
	site := serve(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		asked[r.URL.Path] = true
		mu.Unlock()
		var n int
		switch {
		case scan(r.URL.Path, "/day/%d", &n):
			html(w, fmt.Sprintf(`nothing on day %d<a href="/day/%d">next</a>`, n, n+1))
		case scan(r.URL.Path, "/start%d", &n):
			html(w, fmt.Sprintf(`start<a href="/day/%d">calendar</a><a href="/other/%d">other</a>`, n, n))
		default:
			html(w, "something else")
		}
	})
	crawl := func(dir string, start int, novelty crawler.Novelty, committed func(crawler.CommittedEvent)) (followed bool) {
		t.Helper()
		s, _ := runKeep(t, crawler.Config{
			Dir: dir, Seeds: []string{fmt.Sprintf("%s/start%d", site, start)}, MaxDepth: 300, Novelty: novelty,
			Events: crawler.Events{Committed: committed},
		})
		mu.Lock()
		defer mu.Unlock()
		if !asked[fmt.Sprintf("/other/%d", start)] {
			t.Errorf("the other part of the site was not followed from %d: %+v", start, s)
		}
		if s.Ended != crawler.Done {
			t.Errorf("ended %s", s.Ended)
		}
		return asked[fmt.Sprintf("/day/%d", start)]
	}
	dir, killed := filepath.Join(t.TempDir(), "job"), filepath.Join(t.TempDir(), "killed")
	if err := os.Mkdir(killed, 0o755); err != nil {
		t.Fatal(err)
	}
	often := crawler.Novelty{Pages: 40}
	if !crawl(dir, 10_000, often, func(crawler.CommittedEvent) {
		text, err := os.ReadFile(filepath.Join(dir, "job.db"))
		if err == nil {
			err = os.WriteFile(filepath.Join(killed, "job.db"), text, 0o600)
		}
		if err != nil {
			t.Error(err)
		}
	}) {
		t.Error("the calendar was given up before it was seen")
	}
	if crawl(killed, 20_000, often, nil) {
		t.Error("forgotten by a kill")
	}
	for _, run := range []struct {
		start    int
		novelty  crawler.Novelty
		followed bool
	}{
		{30_000, often, false},
		{40_000, crawler.Novelty{Pages: -1}, true},
		{50_000, often, false},
		{60_000, crawler.Novelty{Pages: 41}, true},
		{70_000, crawler.Novelty{Pages: 41}, false},
		{80_000, crawler.Novelty{Pages: 41, Similar: true}, true},
	} {
		if followed := crawl(dir, run.start, run.novelty, nil); followed != run.followed {
			t.Errorf("%d: with %+v the calendar was followed: %t", run.start, run.novelty, followed)
		}
	}
}

// TestTraps crawls every hostile site of the zoo with the defaults, or with the one
// option that the site needs: all real pages are found, for no more requests than
// the site allows, and the crawl ends by itself.
func TestTraps(t *testing.T) {
	var table strings.Builder
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "trap\tneeds\tallowed\tmade\treal pages\tleft out")
	for _, trap := range traps.Zoo() {
		t.Run(trap.Name, func(t *testing.T) {
			site := traps.Start(trap)
			defer site.Close()
			cfg := trapConfig(t, trap)
			cfg.Seeds = []string{site.Seed}
			s, _ := run(t, cfg)
			if site.Requests() > trap.Most {
				t.Errorf("%d requests, %d are allowed: left out %v", site.Requests(), trap.Most, s.LeftOut)
			}
			if site.Found() != trap.Pages {
				t.Errorf("%d real pages were found of %d: left out %v, errors %v", site.Found(), trap.Pages, s.LeftOut, s.Errors)
			}
			if s.Ended != crawler.Done {
				t.Errorf("ended by %v", s.Ended)
			}
			fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%d of %d\t%v\n", trap.Name, trap.Needs, trap.Most, site.Requests(), site.Found(), trap.Pages, s.LeftOut)
		})
	}
	w.Flush()
	t.Log("\n" + table.String())
}
