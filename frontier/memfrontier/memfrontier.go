package memfrontier

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/orbweaver/orbweaver/frontier"
)

// Backend is a frontier.Backend in memory.
type Backend struct {
	*store
}

// store is what one Backend has, or several share.
type store struct {
	key      uint64        // of fingerprints
	lifetime time.Duration // of claims; 0: they never expire

	mu    sync.Mutex
	hosts map[string]*host
	due   dueHeap // unclaimed hosts with something waiting
	stats frontier.Stats
	seq   uint64 // last used for an entry or a token

	claims map[*host]struct{} // hosts that are claimed
}

var _ frontier.Backend = (*Backend)(nil)

// host is all that is known of a host.
type host struct {
	name    string
	delay   time.Duration
	next    time.Time
	blocked time.Time
	paused  bool
	closed  frontier.Closure
	dropped int
	usage   frontier.Usage

	seen    map[uint64]struct{}
	entries map[uint64]*entry // waiting and taken, by seq
	taken   map[uint64]*entry // those taken
	later   laterHeap         // waiting for their NotBefore
	queue   queueHeap         // waiting for nothing

	kept     []*entry // dropped, and to wait again when it is opened
	reopened bool     // some of entries may have been among kept

	token   uint64 // of the claim; 0: unclaimed
	owner   *Backend
	expires time.Time // zero: never
	last    time.Time // when the latest claim expired that nobody gave back

	due   time.Time
	index int // in the due heap; -1: not there
}

// entry is a request that is not done.
type entry struct {
	frontier.Request
	seq uint64
}

// New returns an empty Backend for one Frontier.
func New() *Backend { return NewShared(0) }

// NewShared returns an empty Backend that several Frontiers can share, each over a Backend of its own: this one and those that
// Join returns. Claims expire after lifetime unless they are renewed, as Frontiers do.
func NewShared(lifetime time.Duration) *Backend {
	return &Backend{&store{
		key: rand.Uint64(), lifetime: lifetime, hosts: make(map[string]*host), claims: make(map[*host]struct{}),
	}}
}

// Join returns another Backend over what b has.
func (b *Backend) Join() *Backend { return &Backend{b.store} }

// Lifetime implements frontier.Backend.
func (b *Backend) Lifetime() time.Duration { return b.lifetime }

// Claim implements frontier.Backend.
func (b *Backend) Claim(_ context.Context, _, before time.Time, n int) ([]frontier.Claim, time.Time, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var claims []frontier.Claim
	for len(claims) < n && len(b.due) > 0 && b.due[0].due.Before(before) {
		h := b.due[0]
		b.seq++
		h.token, h.owner = b.seq, b
		b.hold(h)
		b.claims[h] = struct{}{}
		b.place(h)
		claims = append(claims, h.claim())
	}
	if len(b.due) == 0 {
		return claims, frontier.Never, nil
	}
	return claims, b.due[0].due, nil
}

// claim is the claim of a host that is claimed.
func (h *host) claim() frontier.Claim {
	return frontier.Claim{
		Host: h.name, Token: h.token, Delay: h.delay, Next: h.next, Blocked: h.blocked, Last: h.last, Expires: h.expires,
		Paused: h.paused, Closed: h.closed, Usage: h.usage,
	}
}

// hold makes the claim of a host hold for another lifetime.
func (s *store) hold(h *host) {
	if s.lifetime > 0 {
		h.expires = time.Now().Add(s.lifetime)
	}
}

// release ends the claim of a host: what was taken waits again.
func (s *store) release(h *host) {
	h.token, h.owner, h.expires = 0, nil, time.Time{}
	delete(s.claims, h)
	for _, e := range h.taken {
		h.push(e)
	}
	s.place(h)
}

// Renew implements frontier.Backend.
func (b *Backend) Renew(_ context.Context, claims []frontier.Claim) (renewed []frontier.Claim, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range claims {
		if h, err := b.claimed(c); err == nil {
			b.hold(h)
			renewed = append(renewed, h.claim())
		}
	}
	return renewed, nil
}

// Reap implements frontier.Backend.
func (b *Backend) Reap(context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	for h := range b.claims {
		if !h.expires.IsZero() && !now.Before(h.expires) {
			h.last = h.expires
			b.release(h)
		}
	}
	return nil
}

// claimed returns the host of c.
func (s *store) claimed(c frontier.Claim) (*host, error) {
	h := s.hosts[c.Host]
	if h == nil || h.token == 0 || h.token != c.Token {
		return nil, fmt.Errorf("%w: %s", frontier.ErrStale, c.Host)
	}
	return h, nil
}

// Take implements frontier.Backend.
func (b *Backend) Take(_ context.Context, c frontier.Claim, now time.Time, n, share int) (frontier.Taken, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	h, err := b.claimed(c)
	if err != nil {
		return frontier.Taken{}, err
	}
	n = min(n, (len(h.later)+len(h.queue)-1)/share+1)
	var t frontier.Taken
	for len(t.Requests) < n {
		var e *entry
		switch {
		case len(h.later) > 0 && !h.later[0].NotBefore.After(now):
			e = heap.Pop(&h.later).(*entry)
		case len(h.queue) > 0:
			e = heap.Pop(&h.queue).(*entry)
		}
		if e == nil {
			break
		}
		h.taken[e.seq] = e
		t.Requests = append(t.Requests, frontier.Queued{Request: e.Request, Position: frontier.Position{e.seq}})
	}
	t.Ready, t.More = h.ready()
	return t, nil
}

// Drop implements frontier.Backend.
func (b *Backend) Drop(_ context.Context, c frontier.Claim, n int) (frontier.Dropped, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	h, err := b.claimed(c)
	if err != nil {
		return frontier.Dropped{}, err
	}
	d := frontier.Dropped{Closed: h.closed}
	for _, waiting := range [...]*[]*entry{(*[]*entry)(&h.later), (*[]*entry)(&h.queue)} {
		for h.closed != frontier.NotClosed && d.Dropped < n && len(*waiting) > 0 {
			e := pop(waiting)
			delete(h.entries, e.seq)
			if h.closed.Keeps() {
				h.kept = append(h.kept, e)
			}
			d.Dropped++
		}
	}
	h.dropped += d.Dropped
	h.reopened = h.reopened && len(h.entries) > 0
	b.stats.Waiting -= d.Dropped
	b.stats.Drop(d.Closed, d.Dropped)
	_, d.More = h.ready()
	return d, nil
}

// Closed implements frontier.Backend. It tells of all at once.
func (b *Backend) Closed(context.Context, uint64, int) (hosts []frontier.ClosedHost, next uint64, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, h := range b.hosts {
		if h.closed != frontier.NotClosed {
			hosts = append(hosts, frontier.ClosedHost{Host: h.name, Closed: h.closed, Usage: h.usage})
		}
	}
	return hosts, 0, nil
}

// Untake implements frontier.Backend.
func (b *Backend) Untake(_ context.Context, c frontier.Claim, at []frontier.Position) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	h, err := b.claimed(c)
	if err != nil {
		return err
	}
	for _, p := range at {
		if e := h.taken[p[0]]; e != nil {
			h.push(e)
		}
	}
	return nil
}

// push lets e wait, at the place that its NotBefore, priority and age give it.
func (h *host) push(e *entry) {
	delete(h.taken, e.seq)
	if e.NotBefore.IsZero() {
		heap.Push(&h.queue, e)
	} else {
		heap.Push(&h.later, e)
	}
}

// done is how many requests of the host are done.
func (h *host) done() int { return len(h.seen) - len(h.entries) - h.dropped }

// ready tells whether something can be taken, and from when on.
func (h *host) ready() (time.Time, bool) {
	switch {
	case len(h.queue) > 0:
		return time.Time{}, true
	case len(h.later) > 0:
		return h.later[0].NotBefore, true
	}
	return time.Time{}, false
}

// place puts h where it belongs in the due heap, or takes it out.
func (s *store) place(h *host) {
	ready, more := h.ready()
	if h.index >= 0 {
		heap.Remove(&s.due, h.index)
	}
	if !more || h.token != 0 || h.paused && h.closed == frontier.NotClosed {
		return
	}
	h.due = time.Time{}
	if h.closed == frontier.NotClosed {
		h.due = h.next
		for _, t := range [...]time.Time{h.blocked, ready} {
			if t.After(h.due) {
				h.due = t
			}
		}
	}
	heap.Push(&s.due, h)
}

// Return implements frontier.Backend.
func (b *Backend) Return(_ context.Context, hosts []frontier.Returned) (time.Time, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	first := frontier.Never
	for _, r := range hosts {
		h, err := b.claimed(r.Claim)
		if err != nil {
			continue // somebody else's by now
		}
		if r.Next.After(h.next) {
			h.next = r.Next
		}
		b.release(h)
		if h.index >= 0 && h.due.Before(first) {
			first = h.due
		}
	}
	return first, nil
}

// Stats implements frontier.Backend.
func (b *Backend) Stats(context.Context) (frontier.Stats, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.stats, nil
}

// Lookup implements frontier.Backend.
func (b *Backend) Lookup(_ context.Context, name, url string) (frontier.Status, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	h := b.hosts[name]
	if h == nil {
		return frontier.Status{}, nil
	}
	s := frontier.Status{Host: frontier.HostStatus{
		Name: name, Delay: h.delay, Next: h.next, Blocked: h.blocked, Paused: h.paused, Closed: h.closed,
		Waiting: len(h.entries), Dropped: h.dropped, Known: len(h.seen), Usage: h.usage,
	}}
	if _, ok := h.seen[frontier.Fingerprint(b.key, url)]; !ok {
		return s, nil
	}
	s.State = frontier.StateDone
	for _, e := range h.entries {
		if e.URL == url {
			s.State, s.Request = frontier.StateWaiting, e.Request
			if h.taken[e.seq] != nil {
				s.State = frontier.StateLeased
			}
		}
	}
	for _, e := range h.kept {
		if e.URL == url {
			s.State, s.Request = frontier.StateWaiting, e.Request
		}
	}
	if s.State == frontier.StateWaiting && h.closed.Keeps() { // if not yet, then in a moment
		s.State = frontier.StateDropped
	}
	return s, nil
}

// Check implements frontier.Backend.
func (b *Backend) Check(context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf("memfrontier: "+format, args...)) }
	waiting, known, dropped, paused, closed := 0, 0, 0, 0, 0
	droppedBy := b.stats.DroppedBy
	for why := range droppedBy {
		if frontier.Closure(why).Keeps() { // else the hosts know only how many
			droppedBy[why] = 0
		}
	}
	for name, h := range b.hosts {
		waiting += len(h.entries)
		known += len(h.seen)
		dropped += h.dropped
		if h.paused {
			paused++
		}
		if h.closed != frontier.NotClosed {
			closed++
		}
		droppedBy[h.closed] += len(h.kept)
		urls := make(map[string]bool)
		for _, e := range slices.AppendSeq(slices.Clone(h.kept), maps.Values(h.entries)) {
			if _, ok := h.seen[frontier.Fingerprint(b.key, e.URL)]; !ok {
				wrong("%s waits and was never added", e.URL)
			}
			if urls[e.URL] {
				wrong("%s waits twice", e.URL)
			}
			urls[e.URL] = true
		}
		if len(h.kept) > h.dropped || len(h.kept) > 0 && !h.closed.Keeps() {
			wrong("host %s: %d kept of %d dropped, closed for %d", name, len(h.kept), h.dropped, h.closed)
		}
		if n := len(h.later) + len(h.queue); n+len(h.taken) != len(h.entries) {
			wrong("host %s: %d queued, %d taken, %d stored", name, n, len(h.taken), len(h.entries))
		}
		for seq := range h.taken {
			if h.entries[seq] == nil {
				wrong("host %s: request %d is taken and not there", name, seq)
			}
		}
		_, more := h.ready()
		held := h.token != 0 || h.paused && h.closed == frontier.NotClosed
		if (more && !held) != (h.index >= 0) || h.done() < 0 {
			wrong("host %s: has more: %t, is claimed or paused: %t, in the due heap: %t, done %d", name, more, held, h.index >= 0, h.done())
		}
	}
	s := b.stats
	if s.Waiting != waiting || s.Known != known || s.Done != known-waiting-dropped || s.Dropped != dropped ||
		s.Hosts != len(b.hosts) || s.Paused != paused || s.Closed != closed || s.DroppedBy != droppedBy {
		wrong("counters %+v, found waiting %d, known %d, dropped %d (%v), hosts %d, paused %d, closed %d",
			s, waiting, known, dropped, droppedBy, len(b.hosts), paused, closed)
	}
	return errors.Join(errs...)
}

// Close implements frontier.Backend.
func (b *Backend) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for h := range b.claims {
		if h.owner == b {
			b.release(h)
		}
	}
	return nil
}
