package crawler

import (
	"context"
	"sync"
)

// budget hands out a limited number of page slots. A slot is held by a worker
// from before it asks for a URL until it is known whether the URL became a
// page, which spends the slot, or not, which gives it back. So the limit is
// reached exactly, and never passed. Its methods may be called at once.
type budget struct {
	limit int64 // 0: none

	mu      sync.Mutex
	spent   int64
	held    int64
	changed chan struct{} // closed and made anew when a slot comes back or is spent
}

func newBudget(limit, spent int64) *budget {
	return &budget{limit: limit, spent: spent, changed: make(chan struct{})}
}

// acquire waits for a slot. It reports false when all are spent or the context
// ends.
func (b *budget) acquire(ctx context.Context) bool {
	if b.limit == 0 {
		return ctx.Err() == nil
	}
	for {
		b.mu.Lock()
		if b.spent >= b.limit {
			b.mu.Unlock()
			return false
		}
		if b.spent+b.held < b.limit {
			b.held++
			b.mu.Unlock()
			return true
		}
		changed := b.changed
		b.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		}
	}
}

// try takes a slot if there is one now.
func (b *budget) try() bool {
	if b.limit == 0 {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.spent+b.held >= b.limit {
		return false
	}
	b.held++
	return true
}

// settle ends the holding of a slot.
func (b *budget) settle(spend bool) {
	if b.limit == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.held--
	if spend {
		b.spent++
	}
	if !spend || b.spent == b.limit {
		close(b.changed)
		b.changed = make(chan struct{})
	}
}

// exhausted says whether all slots are spent.
func (b *budget) exhausted() bool {
	if b.limit == 0 {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.spent >= b.limit
}
