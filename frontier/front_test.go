package frontier_test

import (
	"math"
	"testing"
	"testing/synctest"

	"github.com/orbweaver/orbweaver/frontier"
	"github.com/orbweaver/orbweaver/frontier/memfrontier"
)

// TestFrontOfAnySize: however many hosts may be in memory, they come there many at a time.
func TestFrontOfAnySize(t *testing.T) {
	const hosts = 3000
	for _, front := range []int{hosts, math.MaxInt} {
		synctest.Test(t, func(t *testing.T) {
			b := &claimed{Backend: memfrontier.New()}
			f, err := frontier.New(b, frontier.Config{Front: front})
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			putHosts(t, f, hosts, 1)
			for range hosts {
				if _, err := f.Lease(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if b.calls > 10 {
				t.Errorf("Front %d: %d calls of Claim for %d hosts", front, b.calls, hosts)
			}
		})
	}
}

// TestPolicyMayAsk: a Policy may look at the Frontier that calls it.
func TestPolicyMayAsk(t *testing.T) {
	var f *frontier.Frontier
	calls := 0
	f, err := frontier.New(memfrontier.New(), frontier.Config{Policy: func(host string) frontier.Policy {
		calls++
		return frontier.Policy{MaxPages: int64(10 * f.Stats().Hosts)}
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	putHosts(t, f, 1, 1)
	l, err := f.Lease(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Lookup(t.Context(), l.Requests[0].Request); err != nil {
		t.Error(err)
	}
	if calls != 2 {
		t.Errorf("the Policy was asked %d times, want 2", calls)
	}
}
