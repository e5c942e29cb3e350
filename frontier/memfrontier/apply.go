package memfrontier

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/orbweaver/orbweaver/frontier"
)

// applying is a batch on its way into the Backend.
type applying struct {
	b     *Backend
	now   time.Time
	delta frontier.Stats
	known int // of Add
	again int
	drops int // of Retry, Again and Add

	ready map[*host]time.Time      // hosts with new requests: when the first of them can be taken
	due   map[*host]time.Time      // hosts touched: when they were due; Never: not at all
	used  map[*host]frontier.Usage // hosts touched: their Usage as it was
}

// Apply implements frontier.Backend.
func (b *Backend) Apply(_ context.Context, batch *frontier.Batch) (frontier.Committed, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	again, err := b.check(batch)
	if err != nil {
		return frontier.Committed{}, fmt.Errorf("memfrontier: %w", err)
	}
	a := applying{
		b: b, now: time.Now(),
		ready: make(map[*host]time.Time), due: make(map[*host]time.Time), used: make(map[*host]frontier.Usage),
	}
	for i := range batch.Hosts {
		a.change(&batch.Hosts[i])
	}
	for i := range batch.Done {
		a.end(&batch.Done[i])
		a.delta.Done++
	}
	for i := range batch.Retry {
		a.wait(a.end(&batch.Retry[i]), batch.Retry[i].Request)
	}
	for _, r := range again {
		h := a.host(r.Host)
		if h.done() > 0 {
			a.delta.Done--
		} else {
			a.undrop(h)
		}
		if a.wait(h, r) {
			a.again++
		}
	}
	added := 0
	for i, reqs := range [...][]frontier.Request{batch.Again, batch.Add} {
		for _, r := range reqs {
			h := a.host(r.Host)
			fp := frontier.Fingerprint(b.key, r.URL)
			if _, ok := h.seen[fp]; ok {
				a.known += i
				continue
			}
			h.seen[fp] = struct{}{}
			a.delta.Known++
			if a.wait(h, r) {
				added++
			}
		}
	}
	return a.finish(added), nil
}

// check refuses a batch that cannot be applied. It returns those of batch.Again that are known, each once.
func (b *Backend) check(batch *frontier.Batch) (again []frontier.Request, err error) {
	var stale frontier.StaleError
	for _, ended := range [...][]frontier.Leased{batch.Done, batch.Retry} {
		for i := range ended {
			l := &ended[i]
			if h := b.hosts[l.Host]; h == nil || h.token != l.Token() {
				stale.Tokens = append(stale.Tokens, l.Token())
			} else if h.entries[l.Position()[0]] == nil {
				return nil, fmt.Errorf("%w: %s", frontier.ErrNotLeased, l.URL)
			}
		}
	}
	if len(stale.Tokens) > 0 {
		return nil, &stale
	}
	if len(batch.Again) == 0 {
		return nil, nil
	}
	done, ended := make(map[*host]int), make(map[string]bool)
	for i := range batch.Done {
		done[b.hosts[batch.Done[i].Host]]++
		ended[batch.Done[i].Host+" "+batch.Done[i].URL] = true
	}
	closed := make(map[string]bool) // by this batch, or opened
	for _, c := range batch.Hosts {
		if c.Closed != nil {
			closed[c.Host] = *c.Closed != frontier.NotClosed
		}
	}
	begun := make(map[string]bool)
	for _, r := range batch.Again {
		h, name := b.hosts[r.Host], r.Host+" "+r.URL
		if h == nil || begun[name] {
			continue
		}
		if _, ok := h.seen[frontier.Fingerprint(b.key, r.URL)]; !ok {
			continue
		}
		shut, changed := closed[r.Host]
		if !changed {
			shut = h.closed != frontier.NotClosed
		}
		if (shut || h.reopened || len(h.kept) > 0) && !ended[name] {
			continue
		}
		begun[name] = true
		again = append(again, r)
		if done[h]--; done[h]+h.done()+h.dropped-len(h.kept) < 0 {
			return nil, fmt.Errorf("%w: %s", frontier.ErrNotDone, r.URL)
		}
	}
	return again, nil
}

// host returns a host, made if missing, and notes how it was.
func (a *applying) host(name string) *host {
	h := a.b.hosts[name]
	if h == nil {
		h = &host{
			name: name, seen: make(map[uint64]struct{}), entries: make(map[uint64]*entry), taken: make(map[uint64]*entry), index: -1,
		}
		a.b.hosts[name] = h
		a.delta.Hosts++
	}
	if _, ok := a.due[h]; !ok {
		a.due[h], a.used[h] = frontier.Never, h.usage
		if h.index >= 0 {
			a.due[h] = h.due
		}
	}
	return h
}

func (a *applying) change(c *frontier.HostChange) {
	h := a.host(c.Host)
	if c.Delay != nil {
		h.delay = *c.Delay
	}
	if c.BlockedUntil.After(h.blocked) {
		h.blocked = c.BlockedUntil
	}
	if c.Paused != nil && *c.Paused != h.paused {
		h.paused = *c.Paused
		a.delta.Paused--
		if h.paused {
			a.delta.Paused += 2
		}
	}
	if c.Closed != nil {
		a.setClosed(h, h.closed.Then(*c.Closed))
	}
	h.usage.Pages += min(c.Fetched, math.MaxInt64-h.usage.Pages)
	h.usage.Bytes += min(c.Bytes, math.MaxInt64-h.usage.Bytes)
}

// setClosed changes what the host is closed for.
func (a *applying) setClosed(h *host, why frontier.Closure) {
	if why == h.closed {
		return
	}
	a.takeBack(h)
	if h.closed != frontier.NotClosed {
		a.delta.Closed--
	}
	if h.closed = why; h.closed != frontier.NotClosed {
		a.delta.Closed++
	}
}

// takeBack lets what a host has kept wait again.
func (a *applying) takeBack(h *host) {
	if len(h.kept) == 0 {
		return
	}
	a.comeAnew(h)
	for _, e := range h.kept {
		h.entries[e.seq] = e
		h.push(e)
	}
	a.delta.Waiting += len(h.kept)
	a.delta.Drop(h.closed, -len(h.kept))
	h.dropped -= len(h.kept)
	h.kept, h.reopened = nil, true
	a.ready[h] = time.Time{}
}

// comeAnew lets a host that has nothing queue up behind the others.
func (a *applying) comeAnew(h *host) {
	if len(h.entries) == 0 && a.now.After(h.next) {
		h.next = a.now
	}
}

// end takes a leased request out of its host's queue.
func (a *applying) end(l *frontier.Leased) *host {
	h := a.host(l.Host)
	delete(h.entries, l.Position()[0])
	delete(h.taken, l.Position()[0])
	a.delta.Waiting--
	if h.usage.Since.IsZero() {
		h.usage.Since = a.now
	}
	return h
}

// wait queues r, or drops it and returns false if its host is closed.
func (a *applying) wait(h *host, r frontier.Request) bool {
	a.b.seq++
	e := &entry{Request: r, seq: a.b.seq}
	if !e.NotBefore.After(a.now) {
		e.NotBefore = time.Time{}
	}
	if h.closed != frontier.NotClosed {
		if h.closed.Keeps() {
			h.kept = append(h.kept, e)
		}
		h.dropped++
		a.drops++
		a.delta.Drop(h.closed, 1)
		return false
	}
	a.delta.Waiting++
	a.comeAnew(h)
	h.entries[e.seq] = e
	h.push(e)
	if t, ok := a.ready[h]; !ok || e.NotBefore.Before(t) {
		a.ready[h] = e.NotBefore
	}
	return true
}

// undrop counts a request of the host as dropped for good no more. What for, nobody knows.
func (a *applying) undrop(h *host) {
	h.dropped--
	for why := frontier.ClosedByCaller; why <= frontier.MaxClosure; why++ {
		if a.b.stats.DroppedBy[why]+a.delta.DroppedBy[why] > 0 {
			a.delta.Drop(why, -1)
			return
		}
	}
}

// finish brings counters and the due heap in line with what has changed.
func (a *applying) finish(added int) frontier.Committed {
	c := frontier.Committed{
		Added: added, Known: a.known, Again: a.again, Dropped: a.drops, Hosts: a.delta.Hosts, Stats: a.delta,
	}
	a.b.stats.Add(&a.delta)
	for h, due := range a.due {
		h.reopened = h.reopened && len(h.entries) > 0
		a.b.place(h)
		at, fresh := a.ready[h]
		if fresh || h.index >= 0 && h.due.Before(due) {
			c.Ready = append(c.Ready, frontier.Ready{Host: h.name, At: at, Due: h.due})
		}
		if h.usage != a.used[h] {
			c.Usage = append(c.Usage, frontier.Used{Host: h.name, Usage: h.usage})
		}
	}
	return c
}
