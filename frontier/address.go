package frontier

import (
	"net/netip"
	"slices"
	"time"
)

// addressTable is how many hosts' addresses are remembered when the hosts are not in the front.
const addressTable = 1 << 16

// address is an IP address that hosts share, with Config.AddressDelay. Under Frontier.mu.
//
// A host whose turn it is when its address is not due is parked: it is out of the heap until the one that has the address, or
// waits for its next start, has had its turn. So a host in a crowd is looked at once for each of its turns.
type address struct {
	ip      netip.Addr
	hosts   int    // in the front
	last    start  // the latest start, by
	lastBy  uint64 // the lease of this number
	busy    *host  // is leased, or about to be, and has not started
	first   *host  // in the heap for the next start; nil: nobody
	waiting []*host
}

func (a *address) next(delay time.Duration) time.Time { return a.last.next(delay) }

// located tells the address of h, when it is known.
func (f *Frontier) located(h *host, ip netip.Addr) {
	a := f.front.addresses[ip]
	if a == nil {
		f.forgetAddresses()
		a = &address{ip: ip}
		f.front.addresses[ip] = a
	}
	a.hosts++
	h.address = a
}

// forgetAddresses bounds the table of addresses: what no host in the front has, and is long due, can go.
func (f *Frontier) forgetAddresses() {
	if len(f.front.addresses) < f.front.sweep {
		return
	}
	now := time.Now()
	for ip, a := range f.front.addresses {
		if a.hosts == 0 && !a.next(f.cfg.AddressDelay).After(now) {
			delete(f.front.addresses, ip)
		}
	}
	f.front.sweep = max(1024, 2*len(f.front.addresses))
}

// unlocated takes h off its address, as it leaves or has another one.
func (f *Frontier) unlocated(h *host) {
	a := h.address
	if a == nil {
		return
	}
	if h.address = nil; h.parked {
		i := len(a.waiting) - 1
		for a.waiting[i] != h { // most leave from the end
			i--
		}
		a.waiting = slices.Delete(a.waiting, i, i+1)
		f.setParked(h, false)
	}
	a.hosts--
	f.giveUp(a, h)
}

// crowded reports whether h has to wait for its address.
func (f *Frontier) crowded(h *host, now time.Time) bool {
	a := h.address
	return a != nil && (a.busy != nil || a.first != nil && a.first != h || a.next(f.cfg.AddressDelay).After(now))
}

// park takes h, which is crowded, out of the heap, or puts it there for the next start at its address.
func (f *Frontier) park(h *host) {
	f.setParked(h, true)
	h.address.waiting = append(h.address.waiting, h)
	f.settle(h)
	f.unpark(h.address)
}

func (f *Frontier) setParked(h *host, parked bool) {
	h.parked = parked
	if parked {
		f.front.parked++
	} else {
		f.front.parked--
	}
}

// latest returns the one of those parked that should be the first to leave: the last in the line, or the one before if that
// had a turn and the last had none, so that those who come get one too.
func (a *address) latest() *host {
	n := len(a.waiting)
	switch {
	case n == 0:
		return nil
	case n > 1 && a.waiting[n-1].turn.IsZero() && !a.waiting[n-2].turn.IsZero():
		return a.waiting[n-2]
	}
	return a.waiting[n-1]
}

// addressTurn is about when h, which leaves the front, could get its address; zero: at once, as far as is known.
func (f *Frontier) addressTurn(h *host, now time.Time) time.Time {
	a, delay := h.address, f.cfg.AddressDelay
	switch {
	case a == nil:
		return time.Time{}
	case a.first == h:
		return a.next(delay) // even if that is over: out there it must not come before those in the heap
	case !f.crowded(h, now):
		return time.Time{}
	}
	return later(a.next(delay), now).Add(time.Duration(1+len(a.waiting)) * delay)
}

// unpark lets the first of those parked wait for the next start, unless somebody does already or it is not known when that is.
func (f *Frontier) unpark(a *address) {
	for a.busy == nil && a.first == nil && len(a.waiting) > 0 {
		h := a.waiting[0]
		a.waiting[0] = nil
		a.waiting = a.waiting[1:]
		f.setParked(h, false)
		if h.offer().Equal(Never) || h.leaves() {
			f.settle(h)
			continue
		}
		a.first = h
		f.settle(h)
	}
	if len(a.waiting) == 0 {
		a.waiting = nil
	}
}

// have gives h its address for a start.
func (h *host) have() {
	if a := h.address; a != nil {
		a.busy = h
		if a.first == h {
			a.first = nil
		}
	}
}

// giveUp lets others have the address, if h has it or waits for its next start.
func (f *Frontier) giveUp(a *address, h *host) {
	if a == nil {
		return
	}
	if a.busy == h {
		a.busy = nil
	}
	if a.first == h {
		a.first = nil
	}
	f.unpark(a)
}

// startedAt tells of a start at the address of l's host.
func (f *Frontier) startedAt(l *Lease, at time.Time) {
	a := l.host.address
	if a == nil {
		return
	}
	if !at.Before(a.last.at) {
		a.last, a.lastBy = start{at: at}, l.number
	}
	f.giveUp(a, l.host)
}

// Address tells the IP address that the worker is about to connect to, and reports whether it may do so now as far as
// Config.AddressDelay goes. If not, because another host has the same address, the worker releases the lease with its
// request unfinished, and gets it again when the address is due. It is called before every new connection; without
// Config.AddressDelay there is no need to.
func (l *Lease) Address(ip netip.Addr) bool {
	f := l.f
	if f.cfg.AddressDelay <= 0 {
		return true
	}
	ip = ip.Unmap()
	f.lastAddress.Add(l.Host, ip)
	f.mu.Lock()
	defer f.mu.Unlock()
	h := l.host
	if h.address != nil && h.address.ip == ip || h.lost {
		return true
	}
	f.unlocated(h)
	f.located(h, ip)
	if f.crowded(h, time.Now()) {
		return false
	}
	h.have()
	f.settle(h)
	return true
}
