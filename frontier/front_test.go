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
