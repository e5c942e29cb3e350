package frontier

import (
	"container/heap"
	"context"
	"errors"
	"slices"
	"time"
)

// A Backend whose claims expire may be shared: other Frontiers, in this process or in others, work on the same hosts.
// Then a Frontier renews its claims from a goroutine of its own, and a Lease call that waits looks every now and then for
// what the others have done.

// sharedRefill is the most hosts that are claimed at once of a shared Backend: the others want some too.
const sharedRefill = 64

// shared tells whether the Backend may be.
func (f *Frontier) shared() bool { return f.lifetime > 0 }

// poll is how long a Lease call sleeps at most before it looks again.
func (f *Frontier) poll() time.Duration { return min(f.lifetime/4, time.Second) }

// look learns what the others have done.
func (f *Frontier) look(ctx context.Context) error {
	f.looked = time.Now()
	stats, err := f.backend.Stats(ctx)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.setStats(stats)
	f.disk.next, f.disk.floor = time.Time{}, time.Time{}
	return nil
}

func (f *Frontier) setStats(s Stats) {
	s.Leased = f.stats.Leased
	f.stats = s
}

// keep renews the claims until Close.
func (f *Frontier) keep(ctx context.Context) {
	defer close(f.kept)
	tick := time.NewTicker(f.lifetime / 3)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			f.renew(ctx)
		case <-ctx.Done():
			return
		}
	}
}

// renew renews all claims. When that fails they expire in the end, unless it goes well before.
func (f *Frontier) renew(ctx context.Context) {
	f.mu.Lock()
	var claims []Claim
	versions := make(map[uint64]int)
	for _, h := range f.front.hosts {
		claims = append(claims, h.claim)
		versions[h.claim.Token] = h.version
	}
	f.mu.Unlock()
	renewed, err := f.backend.Renew(ctx, claims)
	if err != nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range renewed {
		h := f.front.hosts[c.Host]
		if h == nil || h.claim.Token != c.Token {
			continue
		}
		h.expires = c.Expires
		h.learn(c.Usage)
		if h.version == versions[c.Token] { // nothing was learnt here meanwhile that c does not know
			h.closed = c.Closed
			f.change(h, HostChange{Delay: &c.Delay, BlockedUntil: c.Blocked, Paused: &c.Paused})
		}
		delete(versions, c.Token)
	}
	for _, c := range claims {
		if _, lost := versions[c.Token]; lost {
			if h := f.front.hosts[c.Host]; h != nil && h.claim.Token == c.Token {
				f.lose(h)
			}
		}
	}
	f.wake()
}

// expired reports whether somebody else may have the host.
func (h *host) expired(now time.Time) bool {
	return !h.expires.IsZero() && !now.Before(h.expires)
}

// lose lets go of a host whose claim is lost, and with it of its leases. f.mu is held.
func (f *Frontier) lose(h *host) {
	if h.lost {
		return
	}
	h.lost = true
	f.stats.Leased -= h.out
	if h.index >= 0 {
		heap.Remove(&f.front.due, h.index)
	}
	f.unlocated(h)
	if f.front.hosts[h.claim.Host] == h {
		delete(f.front.hosts, h.claim.Host)
	}
	f.disk.next = time.Time{}
	f.wake()
}

// loseStale loses the hosts of b whose claims a Backend has refused.
func (f *Frontier) loseStale(b *Batch, err error) {
	var stale *StaleError
	if !errors.As(err, &stale) {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	b.ended(func(l *Leased) bool {
		if slices.Contains(stale.Tokens, l.Token()) {
			f.lose(l.lease.host)
		}
		return true
	})
}

// Lost reports whether the claim is lost under which the request was leased: it is waiting for somebody else, or leased by
// them, and a Batch that ends it is refused with ErrStale.
func (l *Leased) Lost() bool {
	if l.lease == nil || !l.lease.f.shared() {
		return false
	}
	f := l.lease.f
	f.mu.Lock()
	defer f.mu.Unlock()
	return l.lease.host.lost
}

// Token tells a Backend with which claim the request was taken.
func (l *Leased) Token() uint64 { return l.lease.host.claim.Token }
