package frontiertest

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/orbweaver/orbweaver/frontier"
)

// Throughput crawls so many hosts, a multiple of 20, with a delay of 10 s and answers that take 200 ms, in virtual time and with a
// fifth more hosts than fit into the front: they must be asked at least 0.98 times as often as the delay allows. Twenty thousand take a
// few seconds.
func Throughput(t *testing.T, hosts int, open func(t testing.TB) *Opened) {
	const delay, latency, length = 10 * time.Second, 200 * time.Millisecond, 40 * time.Second
	synctest.Test(t, func(t *testing.T) {
		x := newFixture(t, open, frontier.Config{Delay: delay, Front: hosts * 4 / 5})
		ctx, cancel := context.WithTimeout(context.Background(), length)
		defer cancel()
		var reqs []frontier.Request
		for n := range 5 {
			for h := range hosts {
				host := fmt.Sprintf("%d.example", h)
				reqs = append(reqs, frontier.Request{URL: fmt.Sprintf("https://%s/%d", host, n), Host: host})
			}
		}
		if _, err := x.Put(ctx, reqs); err != nil {
			t.Fatal(err)
		}
		var pages atomic.Int64
		var all sync.WaitGroup
		for range hosts / 20 {
			all.Go(func() {
				for x.fetchSlowly(ctx, latency) {
					pages.Add(1)
				}
			})
		}
		all.Wait()
		// The first round is not bound by the delay, but by the workers.
		most := float64(hosts) * float64(length) / float64(delay)
		share := float64(pages.Load()) / most
		t.Logf("%d pages, %.3f of what the delay allows", pages.Load(), share)
		if share < 0.98 {
			t.Error("want 0.98")
		}
	})
}

// fetchSlowly fetches the requests of one lease at once, and reports whether there was one.
func (x *fixture) fetchSlowly(ctx context.Context, latency time.Duration) bool {
	l, err := x.Lease(ctx)
	if err != nil {
		return false
	}
	l.Started(time.Now())
	time.Sleep(latency)
	l.Answered(time.Now())
	l.Release()
	if _, err := x.Commit(context.Background(), &frontier.Batch{Done: l.Requests}); err != nil {
		x.Error(err)
	}
	return true
}
