package memfrontier_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/orbweaver/orbweaver/frontier"
	"github.com/orbweaver/orbweaver/frontier/memfrontier"
)

// BenchmarkReturn claims a host and gives it back, which takes no longer the more of its requests wait.
func BenchmarkReturn(b *testing.B) {
	for _, n := range []int{1000, 1_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			backend := memfrontier.New()
			var reqs []frontier.Request
			for i := range n {
				reqs = append(reqs, frontier.Request{URL: fmt.Sprintf("https://a.example/%d", i), Host: "a.example"})
			}
			if _, err := backend.Apply(b.Context(), &frontier.Batch{Add: reqs}); err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				claims, _, err := backend.Claim(b.Context(), time.Time{}, frontier.Never, 1)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := backend.Return(b.Context(), []frontier.Returned{{Claim: claims[0]}}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
