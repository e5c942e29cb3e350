package frontier

import (
	"container/heap"
	"net/netip"
	"slices"
	"time"
)

// front is the hosts in memory: claimed, ordered by when they are due. Under Frontier.mu.
type front struct {
	hosts map[string]*host
	due   dueHeap
	seq   uint64 // pushes so far

	addresses map[netip.Addr]*address // with Config.AddressDelay
	sweep     int                     // size of addresses at which those not needed are forgotten
	parked    int                     // hosts that wait for their address, out of the heap
}

// host is a claimed host.
//
// It is in the due heap when a worker may get it once it is due, or is to drop what waits, and also when it has nothing left
// and only its next start is worth remembering until then.
type host struct {
	claim   Claim     // as it was made: it never changes, so that it needs no lock
	expires time.Time // the claim, as last renewed; zero: never

	policy Policy        // with nothing left out but budgets
	wish   time.Duration // of its own for the delay
	delay  time.Duration // in force

	response time.Duration // time that its last answer took; 0: not known
	address  *address      // nil: not known, or of no interest
	parked   bool          // waits for its address, out of the heap
	last     start         // its latest start, by
	lastBy   uint64        // the lease of this number: a lease itself holds its requests
	next     time.Time     // earliest next start by what the claim told
	turn     time.Time     // when it was last leased: hosts without a delay take turns by it
	blocked  time.Time     // no start before
	paused   bool
	closed   Closure
	lost     bool // the claim is somebody else's, and nothing of this counts any more
	version  int  // of what a HostChange changes

	usage    Usage // committed, and
	received int64 // bytes that the workers have told of and not committed

	more  bool      // something can be taken
	ready time.Time // from then on

	taking    bool      // a Lease call reads from its queue, or drops of it, and
	starting  bool      // has paid for a start and has its address, to make a lease
	leaving   bool      // being given back, with
	remember  time.Time // this next start; zero: nothing to remember
	active    int       // leases not released
	unstarted int       // of these, without any start
	out       int       // requests leased and not ended; the host stays while there are any

	due   time.Time // its place in the heap
	seq   uint64    // among equals, first come first
	index int       // in the heap; -1: not there
}

// nextStart is the earliest next start as far as politeness and taking turns go.
func (h *host) nextStart() time.Time {
	return later(later(h.next, h.turn), h.last.next(h.delay))
}

// endOfTime is the last time before Never. A host that is blocked for ever is due then: it has a place in the heap, from which it is
// given back when others need the room.
var endOfTime = Never.Add(-1)

// dueAt is when a worker may get the host, or when it need not be remembered any more.
func (h *host) dueAt() time.Time {
	due := h.nextStart()
	if h.more {
		due = later(later(due, h.blocked), h.ready)
	}
	return earlier(due, endOfTime)
}

// idle reports whether nobody is at work on the host.
func (h *host) idle() bool { return h.out == 0 && h.active == 0 }

// spent reports whether the host has nothing left: no request waits or is out.
func (h *host) spent() bool { return !h.more && h.idle() }

// leaves reports whether the host can be given back as soon as it is at the top of the heap: it is spent, or paused.
func (h *host) leaves() bool { return h.spent() || h.idle() && h.paused && h.closed == NotClosed }

// free reports whether the host has room for a worker more.
func (h *host) free() bool {
	return !h.paused && h.active < h.policy.PerHost && h.room() > 0 &&
		(h.delay == 0 || h.unstarted == 0) // with a delay the next start counts from a start that is still to come
}

// offer tells from when on h has a place in the heap; Never: it has none.
func (h *host) offer() time.Time {
	switch {
	case h.taking || h.leaving || h.lost:
		return Never
	case h.spent():
		return h.dueAt()
	case h.leaves():
		return time.Time{}
	case !h.more:
		return Never
	}
	due := later(h.ends(), h.turn) // to be dropped
	if h.free() && !h.parked {
		due = earlier(due, h.dueAt())
	}
	return due
}

// add tells that requests can be taken from at on.
func (h *host) add(at time.Time) {
	if !h.more {
		h.more, h.ready = true, at
		return
	}
	h.ready = earlier(h.ready, at)
}

// settle puts h into the due heap, at its place in it, or takes it out, after anything about it has changed.
func (f *Frontier) settle(h *host) {
	due := h.offer()
	if a := h.address; a != nil && a.first == h { // it has the next start
		if due.Equal(Never) || h.leaves() || h.taking || h.leaving {
			a.first = nil
			defer f.unpark(a)
		} else if h.over(time.Time{}) == NotClosed {
			due = later(due, a.next(f.cfg.AddressDelay))
		}
	}
	switch {
	case due.Equal(Never):
		if h.index >= 0 {
			heap.Remove(&f.front.due, h.index)
		}
	case h.index < 0:
		f.front.seq++
		h.due, h.seq = due, f.front.seq
		heap.Push(&f.front.due, h)
	case !h.due.Equal(due):
		h.due = due
		heap.Fix(&f.front.due, h.index)
	}
}

// change applies what was learnt about h.
func (f *Frontier) change(h *host, c HostChange) {
	h.version++
	if c.Delay != nil {
		h.wish = *c.Delay
		h.setDelay(&f.cfg)
	}
	h.blocked = later(h.blocked, c.BlockedUntil)
	if c.Paused != nil {
		h.paused = *c.Paused
	}
	if c.Closed != nil {
		h.closed = h.closed.Then(*c.Closed)
	}
	f.settle(h)
}

// newHosts makes hosts of claims.
func (f *Frontier) newHosts(claims []Claim, now time.Time) []*host {
	hosts := make([]*host, len(claims))
	for i, c := range claims {
		h := &host{
			claim: c, expires: c.Expires, policy: f.policy(c.Host), blocked: c.Blocked, paused: c.Paused, closed: c.Closed, usage: c.Usage,
			wish: c.Delay, more: true, index: -1,
		}
		h.setDelay(&f.cfg)
		if !c.Last.IsZero() {
			last := earlier(c.Last, now)
			h.last = start{at: last, answered: last}
		}
		// A clock set back must not keep a host waiting: no start so far can ask for more than one delay from now, if for the
		// greatest that comes of an answer.
		most := h.delay
		if a := &f.cfg.Adaptive; a.Factor > 0 {
			most = max(most, a.Max)
		}
		h.next = earlier(c.Next, start{at: now}.next(most))
		hosts[i] = h
	}
	return hosts
}

// enter takes hosts into the front.
func (f *Frontier) enter(hosts []*host) {
	for _, h := range hosts {
		if !h.last.at.IsZero() && !f.shared() {
			f.disk.floor = h.last.at.Add(f.cfg.Delay)
		}
		f.front.hosts[h.claim.Host] = h
		if f.lastAddress != nil {
			if ip, ok := f.lastAddress.Get(h.claim.Host); ok {
				f.located(h, ip)
			}
		}
		f.settle(h)
	}
}

// leave takes h out, to be given back: nobody gets it any more. What is added to it meanwhile shows in h.more.
func (f *Frontier) leave(h *host) {
	h.remember = h.nextStart()
	switch now := time.Now(); {
	case !h.spent():
		// Without the time of its address it would be due at once, and be claimed again.
		h.remember = later(h.remember, f.addressTurn(h, now))
	case !h.remember.After(now):
		h.remember = time.Time{}
	}
	h.leaving, h.more = true, false
	f.settle(h)
	f.unlocated(h)
}

// latest returns the n hosts due last of those that can be given back.
func (f *Frontier) latest(n int) []*host {
	if n <= 0 {
		return nil
	}
	hosts := make([]*host, 0, len(f.front.due))
	for _, h := range f.front.due {
		if h.idle() {
			hosts = append(hosts, h)
		}
	}
	slices.SortFunc(hosts, func(a, b *host) int { return b.due.Compare(a.due) })
	return hosts[:min(n, len(hosts))]
}

// dueHeap orders hosts by due and seq.
type dueHeap []*host

func (d dueHeap) Len() int { return len(d) }

func (d dueHeap) Less(i, j int) bool {
	if c := d[i].due.Compare(d[j].due); c != 0 {
		return c < 0
	}
	return d[i].seq < d[j].seq
}

func (d dueHeap) Swap(i, j int) {
	d[i], d[j] = d[j], d[i]
	d[i].index, d[j].index = i, j
}

// Push is for package heap.
func (d *dueHeap) Push(x any) {
	h := x.(*host)
	h.index = len(*d)
	*d = append(*d, h)
}

// Pop is for package heap.
func (d *dueHeap) Pop() any {
	last := len(*d) - 1
	h := (*d)[last]
	(*d)[last] = nil
	*d = (*d)[:last]
	h.index = -1
	return h
}
