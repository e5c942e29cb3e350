package crawler_test

import (
	"context"
	"fmt"
	"net/netip"
	"regexp"
	"strings"
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
