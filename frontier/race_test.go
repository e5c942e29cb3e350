package frontier_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/orbweaver/orbweaver/frontier"
	"github.com/orbweaver/orbweaver/frontier/memfrontier"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestManyAtOnce calls everything from 1,000 goroutines at once, in real time, for the race detector.
func TestManyAtOnce(t *testing.T) {
	f, err := frontier.New(memfrontier.New(), frontier.Config{PerHost: 4, LeaseSize: 3, Front: 20})
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	release := f.Hold()
	var done atomic.Int64
	var putters, workers sync.WaitGroup
	for n := range 500 {
		putters.Go(func() {
			for i := range 10 {
				host := fmt.Sprintf("%d.example", (n+i)%60)
				r := frontier.Request{URL: fmt.Sprintf("https://%s/%d", host, n*10+i), Host: host}
				if _, err := f.Put(ctx, []frontier.Request{r, r}); err != nil {
					t.Error(err)
				}
				f.Hold()()
				f.Stats()
				if s, err := f.Lookup(ctx, r); err != nil || s.State == frontier.StateUnknown {
					t.Errorf("%v, %v after Put", s.State, err)
				}
			}
		})
		workers.Go(func() {
			for i := 0; ; i++ {
				l, err := f.Lease(ctx)
				if err != nil {
					return
				}
				l.Started(time.Now())
				if i%3 == 0 {
					l.Release(l.Requests...)
					continue
				}
				go l.Answered(time.Now())
				l.Release()
				if _, err := f.Commit(ctx, &frontier.Batch{Done: l.Requests}); err != nil {
					t.Error(err)
				}
				done.Add(int64(len(l.Requests)))
			}
		})
	}
	putters.Wait()
	release()
	workers.Wait()
	if err := f.Check(ctx); err != nil {
		t.Error(err)
	}
	if n := done.Load(); n != 5000 || f.Stats().Done != 5000 {
		t.Errorf("%d done, %+v; want 5000", n, f.Stats())
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}
