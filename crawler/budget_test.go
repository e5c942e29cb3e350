package crawler

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestBudget lets many workers spend and give back slots at random: the limit
// must be reached exactly, and every worker must come to an end.
func TestBudget(t *testing.T) {
	for _, limit := range []int64{1, 7, 100} {
		synctest.Test(t, func(t *testing.T) {
			b := newBudget(limit, 0)
			var spent, held, most atomic.Int64
			var all sync.WaitGroup
			for seed := range uint64(50) {
				rnd := rand.New(rand.NewPCG(seed, 0))
				all.Go(func() {
					for b.acquire(t.Context()) {
						if n := held.Add(1) + spent.Load(); n > most.Load() {
							most.Store(n)
						}
						time.Sleep(time.Duration(rnd.IntN(10)) * time.Millisecond)
						spend := rnd.IntN(3) == 0
						if spend {
							spent.Add(1)
						}
						held.Add(-1)
						b.settle(spend)
					}
				})
			}
			all.Wait()
			if spent.Load() != limit {
				t.Errorf("limit %d: %d spent", limit, spent.Load())
			}
			if !b.exhausted() {
				t.Errorf("limit %d: not exhausted", limit)
			}
			if b.try() {
				t.Errorf("limit %d: try found a slot", limit)
			}
		})
	}
}

func TestBudgetEndsWithContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBudget(1, 0)
		if !b.acquire(t.Context()) {
			t.Fatal("no slot")
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if b.acquire(ctx) {
			t.Error("a second slot of one")
		}
	})
}

func TestBudgetResumed(t *testing.T) {
	b := newBudget(10, 10)
	if b.acquire(t.Context()) || !b.exhausted() {
		t.Error("a job that has its pages got a slot")
	}
	if unlimited := newBudget(0, 10); !unlimited.acquire(t.Context()) || unlimited.exhausted() {
		t.Error("no limit, no slot")
	}
}
