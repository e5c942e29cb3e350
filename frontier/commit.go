package frontier

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

var errPanic = errors.New("panic")

// Commit makes b durable: its Done are never handed out again, its Retry and Again wait again, what is new in its Add
// is queued, and its Hosts are remembered; all of it or, on an error, nothing: then what was leased is still leased, and the
// caller commits it again or releases it. Links found on a page belong in the same batch as the page.
//
// It refuses a batch that
//   - ends what is not leased, with ErrNotLeased,
//   - ends what is leased no more, as the Backend's claim was lost, with ErrStale,
//   - begins again what cannot be done, with ErrNotDone,
//   - has a request that cannot be kept, with a *RequestError,
//   - has a change of a host that makes no sense, with a *ChangeError.
func (f *Frontier) Commit(ctx context.Context, b *Batch) (Committed, error) {
	return f.CommitWith(b, func(b *Batch) (Committed, error) { return f.backend.Apply(ctx, b) })
}

// CommitWith is Commit for a caller with a transaction of its own: apply calls the backend's method that makes b
// part of that transaction, commits it, and returns what the backend returned, or an error if the transaction was not
// committed. No locks are held while apply runs, but a Batch that sets the Delay, Paused or Closed of a host waits until no
// other that does so is under way: apply must not wait for one.
func (f *Frontier) CommitWith(b *Batch, apply func(*Batch) (Committed, error)) (c Committed, err error) {
	if err := b.check(); err != nil {
		return Committed{}, err
	}
	if err := f.begin(b); err != nil {
		return Committed{}, err
	}
	var all *Stats
	err = errPanic
	defer func() { f.finish(b, c, all, err) }()
	if c, err = apply(b); err != nil {
		f.loseStale(b, err)
		return Committed{}, fmt.Errorf("frontier: commit: %w", err)
	}
	if f.shared() { // others change the counters as well
		if stats, err := f.backend.Stats(context.Background()); err == nil {
			all = &stats
		}
	}
	return c, nil
}

func (b *Batch) check() error {
	for _, reqs := range [...][]Request{b.Again, b.Add} {
		for i := range reqs {
			if err := reqs[i].check(); err != nil {
				return err
			}
		}
	}
	for i := range b.Retry {
		if err := b.Retry[i].check(); err != nil {
			return err
		}
	}
	var changed *Leased
	b.ended(func(l *Leased) bool {
		if l.lease != nil && (l.URL != l.url || l.Host != l.lease.host.claim.Host) {
			changed = l
		}
		return changed == nil
	})
	if changed != nil {
		return changed.refuse("URL or Host", "is not as leased")
	}
	for i := range b.Hosts {
		if err := b.Hosts[i].check(); err != nil {
			return err
		}
	}
	return nil
}

func (c *HostChange) check() error {
	if r := (Request{URL: "-", Host: c.Host}); r.check() != nil {
		return r.check()
	}
	switch {
	case c.Closed != nil && *c.Closed > MaxClosure:
		return &ChangeError{c.Host, "Closed", fmt.Sprintf("is greater than %d", MaxClosure)}
	case c.Fetched < 0:
		return &ChangeError{c.Host, "Fetched", "is negative"}
	case c.Bytes < 0:
		return &ChangeError{c.Host, "Bytes", "is negative"}
	}
	return nil
}

// ended calls fn for each request that b ends, until it returns false.
func (b *Batch) ended(fn func(*Leased) bool) {
	for _, ls := range [...][]Leased{b.Done, b.Retry} {
		for i := range ls {
			if !fn(&ls[i]) {
				return
			}
		}
	}
}

// sets reports whether the change is one of those of which the last counts.
func (c *HostChange) sets() bool { return c.Delay != nil || c.Paused != nil || c.Closed != nil }

// begin waits until b may be applied, and reserves what it changes until finish.
func (f *Frontier) begin(b *Batch) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.begun()
	// What two Batches set of a host is finished in the order in which it is applied, or memory would keep the earlier.
	for slices.ContainsFunc(b.Hosts, func(c HostChange) bool { return c.sets() && f.setting[c.Host] }) {
		f.idle.Wait()
	}
	if err := f.reserve(b); err != nil {
		f.ended()
		return err
	}
	for i := range b.Hosts {
		if b.Hosts[i].sets() {
			f.setting[b.Hosts[i].Host] = true
		}
	}
	return nil
}

// reserve reserves what b ends: no other Batch and no Release may end it too.
func (f *Frontier) reserve(b *Batch) error {
	if f.closed {
		return ErrClosed
	}
	var wrong *Leased
	reserved := 0
	reason := ErrNotLeased
	b.ended(func(l *Leased) bool {
		if l.lease != nil && l.lease.f == f && l.lease.host.lost {
			wrong, reason = l, ErrStale
			return false
		}
		if l.lease == nil || l.lease.f != f || l.lease.out&l.bit() == 0 || l.lease.ending&l.bit() != 0 {
			wrong = l
			return false
		}
		l.lease.ending |= l.bit()
		reserved++
		return true
	})
	if wrong != nil {
		b.ended(func(l *Leased) bool {
			if reserved == 0 {
				return false
			}
			l.lease.ending &^= l.bit()
			reserved--
			return true
		})
		return fmt.Errorf("%w: %s", reason, wrong.URL)
	}
	return nil
}

// finish brings memory in line with what apply made of b. all are the counters of a shared Backend; nil: c tells them.
func (f *Frontier) finish(b *Batch, c Committed, all *Stats, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	defer f.ended()
	b.ended(func(l *Leased) bool {
		l.lease.ending &^= l.bit()
		if err == nil {
			l.lease.end(l)
		}
		return true
	})
	for i := range b.Hosts {
		if b.Hosts[i].sets() {
			delete(f.setting, b.Hosts[i].Host)
		}
	}
	if err != nil {
		return
	}
	if all != nil {
		f.setStats(*all)
	} else {
		f.stats.Add(&c.Stats)
	}
	for _, r := range c.Ready {
		if h := f.front.hosts[r.Host]; h != nil {
			h.add(r.At)
			f.settle(h)
		} else {
			f.lower(r.Due)
		}
	}
	for _, change := range b.Hosts {
		h := f.front.hosts[change.Host]
		if h != nil {
			h.commits(change.Bytes)
			f.change(h, change)
		}
		if f.disk.claim && (h == nil || h.leaving) {
			f.disk.changes = append(f.disk.changes, change)
		}
	}
	for _, u := range c.Usage {
		h := f.front.hosts[u.Host]
		if h != nil {
			h.learn(u.Usage)
			f.settle(h)
		}
		if f.disk.claim && (h == nil || h.leaving) {
			f.disk.used = append(f.disk.used, u)
		}
	}
	b.ended(func(l *Leased) bool {
		f.settle(l.lease.host)
		return true
	})
}

// lower tells that a host outside of the front is due at t.
func (f *Frontier) lower(t time.Time) {
	f.disk.next = earlier(f.disk.next, t)
	if f.disk.claim {
		f.disk.low = earlier(f.disk.low, t)
	}
}
