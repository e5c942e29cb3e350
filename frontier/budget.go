package frontier

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"
)

// Policy is how one host is treated, where it differs from Config.
type Policy struct {
	Delay    time.Duration // from start to start; 0: Config.Delay, negative: none. What the host wishes for counts as well
	PerHost  int           // workers at once; 0: Config.PerHost
	MaxPages int64         // pages that are fetched of it at most, exactly; 0: no limit
	MaxBytes int64         // once its pages have that many bytes, no request of it starts any more; 0: no limit
	MaxTime  time.Duration // that long after the first of its requests ended, no request of it starts any more; 0: no limit
}

// Usage is what a host has had of its budgets.
type Usage struct {
	Pages int64     // sum of HostChange.Fetched; the greatest number if it is beyond that
	Bytes int64     // sum of HostChange.Bytes; likewise
	Since time.Time // when the first of its requests was ended by a commit; zero: none was
}

// grow makes u what it has become: u or, later, v.
func (u *Usage) grow(v Usage) {
	u.Pages, u.Bytes = max(u.Pages, v.Pages), max(u.Bytes, v.Bytes)
	if u.Since.IsZero() {
		u.Since = v.Since
	}
}

// commits tells that a commit has counted so many bytes for good.
func (h *host) commits(bytes int64) {
	told := min(h.received, bytes)
	h.received -= told
	h.usage.Bytes += min(told, math.MaxInt64-h.usage.Bytes)
}

// learn takes in what the Backend says of the host's usage. While there are bytes received and not committed, it may count some of
// them already, by a commit that is applied and not finished: then only the end of each commit tells of its bytes.
func (h *host) learn(u Usage) {
	if h.received > 0 {
		u.Bytes = 0
	}
	h.usage.grow(u)
}

// Closure says whether a host is closed, and what for. A closed host takes no more requests: those that wait are dropped,
// a bounded number at a time, and those that are added later are remembered as known and dropped at once. What a host drops
// for a budget is kept, and waits again when the host is opened: see Keeps.
type Closure uint8

// What a host may be closed for. From ClosedByCaller to MaxClosure the meaning is the caller's.
const (
	NotClosed   Closure = iota
	ClosedPages         // Policy.MaxPages
	ClosedBytes         // Policy.MaxBytes
	ClosedTime          // Policy.MaxTime

	ClosedByCaller Closure = 8
	MaxClosure     Closure = 15
)

// Keeps reports whether a host that is closed for c keeps what it drops: for a budget, as that may be larger one day. What the
// caller closed a host for, it drops for good.
func (c Closure) Keeps() bool { return c > NotClosed && c < ClosedByCaller }

// Then is what a host that is closed for c is closed for after a HostChange.Closed of next: a closure that Keeps closes only a host
// that is open, so that a Frontier that closes one for a budget does not undo what the caller has closed it for meanwhile.
func (c Closure) Then(next Closure) Closure {
	if c != NotClosed && next.Keeps() {
		return c
	}
	return next
}

// dropSize is how many requests of a closed host are dropped at once: it bounds the transaction that does so.
const dropSize = 1 << 15

// policy is the Policy for a host with nothing left out but its budgets.
func (f *Frontier) policy(name string) Policy {
	var p Policy
	if f.cfg.Policy != nil {
		p = f.cfg.Policy(name)
	}
	switch {
	case p.Delay == 0:
		p.Delay = f.cfg.Delay
	case p.Delay < 0:
		p.Delay = 0
	}
	if p.PerHost <= 0 {
		p.PerHost = f.cfg.PerHost
	}
	return p
}

// room is how many requests more may be out without any chance of a page too many.
func (h *host) room() int {
	if h.policy.MaxPages <= 0 {
		return maxLeaseSize
	}
	return int(min(h.policy.MaxPages-h.usage.Pages-int64(h.out), maxLeaseSize))
}

// over is what the host is or has to be closed for.
func (h *host) over(now time.Time) Closure {
	p, u := &h.policy, &h.usage
	switch {
	case h.closed != NotClosed:
		return h.closed
	case p.MaxPages > 0 && u.Pages >= p.MaxPages:
		return ClosedPages
	case p.MaxBytes > 0 && h.received >= p.MaxBytes-u.Bytes:
		return ClosedBytes
	case !now.Before(h.timeUp()):
		return ClosedTime
	}
	return NotClosed
}

// timeUp is when the host's MaxTime is over.
func (h *host) timeUp() time.Time {
	if h.policy.MaxTime <= 0 || h.usage.Since.IsZero() {
		return Never
	}
	return h.usage.Since.Add(h.policy.MaxTime)
}

// ends is from when on what waits of the host is to be dropped.
func (h *host) ends() time.Time {
	end := h.timeUp()
	if h.over(time.Time{}) != NotClosed {
		end = time.Time{}
	}
	return end
}

// reopenSize is how many closed hosts are looked at, and opened, at once.
const reopenSize = 1024

// reopen opens, once, the hosts that were closed for a budget which is larger now than it was for the Frontiers before this one.
// It is called by the holder of turn.
func (f *Frontier) reopen(ctx context.Context) error {
	for from := uint64(0); !f.reopened; {
		closed, next, err := f.backend.Closed(ctx, from, reopenSize)
		if err != nil {
			return fmt.Errorf("frontier: look for closed hosts: %w", err)
		}
		var b Batch
		for _, c := range closed {
			h := host{policy: f.policy(c.Host), usage: c.Usage}
			if c.Closed.Keeps() && h.over(time.Now()) == NotClosed {
				b.Hosts = append(b.Hosts, HostChange{Host: c.Host, Closed: new(NotClosed)})
			}
		}
		if len(b.Hosts) > 0 {
			if _, err := f.Commit(ctx, &b); err != nil {
				return err
			}
		}
		from, f.reopened = next, next == 0
	}
	return nil
}

// drop drops some of what waits of h, which nobody else takes from meanwhile. That it is closed, and why, is written down
// first unless it is already.
func (f *Frontier) drop(ctx context.Context, h *host, why Closure, written bool) error {
	var d Dropped
	var err error
	if !written {
		_, err = f.Commit(ctx, &Batch{Hosts: []HostChange{{Host: h.claim.Host, Closed: &why}}})
	}
	f.mu.Lock()
	version := h.version
	f.mu.Unlock()
	if err == nil {
		d, err = f.backend.Drop(ctx, h.claim, dropSize)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	defer f.ended()
	h.taking = false
	if err == nil && h.version == version { // else what was learnt meanwhile is newer, or as new
		h.closed = d.Closed
	}
	if errors.Is(err, ErrStale) {
		f.lose(h)
		return nil
	}
	if d.More || err != nil {
		h.add(time.Time{})
	}
	f.stats.Waiting -= d.Dropped // with a shared Backend until the next look
	f.stats.Drop(d.Closed, d.Dropped)
	f.settle(h)
	if err != nil {
		return fmt.Errorf("frontier: drop requests of %s: %w", h.claim.Host, err)
	}
	return nil
}
