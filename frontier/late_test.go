package frontier_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/orbweaver/orbweaver/frontier"
	"github.com/orbweaver/orbweaver/frontier/memfrontier"
)

// TestLateEvery: of a host that has both, requests whose NotBefore has come get their share of
// the leases and no more, and all of them when nothing else is left.
func TestLateEvery(t *testing.T) {
	for _, every := range []int{0, 1, 4} {
		synctest.Test(t, func(t *testing.T) {
			f, err := frontier.New(memfrontier.New(), frontier.Config{LateEvery: every, Delay: time.Second})
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			const each = 1000
			var reqs []frontier.Request
			for i := range each {
				reqs = append(reqs,
					frontier.Request{URL: fmt.Sprintf("http://a/late/%d", i), Host: "a", NotBefore: time.Now().Add(time.Minute)},
					frontier.Request{URL: fmt.Sprintf("http://a/new/%d", i), Host: "a"})
			}
			if _, err := f.Put(t.Context(), reqs); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
			late := 0
			for n := range 2 * each {
				l, err := f.Lease(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if !l.Requests[0].NotBefore.IsZero() {
					late++
				}
				l.Started(time.Now())
				if _, err := f.Commit(t.Context(), &frontier.Batch{Done: l.Requests}); err != nil {
					t.Fatal(err)
				}
				l.Release()
				if n != each-1 {
					continue
				}
				if every == 4 {
					// A quarter, with more than eight standard deviations to each side.
					const least, most = 130, 370
					if late < least || late > most {
						t.Errorf("%d of the first %d leases were late ones, want about a quarter", late, each)
					}
				} else if late != each {
					t.Errorf("LateEvery %d: %d of the first %d leases were late ones, want all", every, late, each)
				}
			}
			if late != each {
				t.Errorf("%d late ones in all, want %d", late, each)
			}
		})
	}
	var wrong *frontier.ConfigError
	if _, err := frontier.New(memfrontier.New(), frontier.Config{LateEvery: -1}); !errors.As(err, &wrong) {
		t.Errorf("a negative LateEvery: %v", err)
	}
}
