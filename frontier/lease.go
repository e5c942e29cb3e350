package frontier

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"time"
)

// Lease is a host handed to one worker, with requests to fetch from it one after another. While a host has as many
// leases out as Config.PerHost says, nobody else gets it. Its methods may be called from any goroutine.
//
// The worker calls Started and Answered for each request that it sends to the host, so that the next start is due a delay
// later. With a delay, one start is one lease: a worker that must ask twice (robots.txt first) releases the
// lease with its request unfinished and gets it again when the host is due.
type Lease struct {
	Host     string
	Requests []Leased // one when the host has a delay; up to Config.LeaseSize without

	f      *Frontier
	host   *host
	number uint64 // from 1 on, in the order in which they are made

	// Under Frontier.mu.
	released bool
	started  bool
	out      uint64 // bit i: Requests[i] has not ended
	ending   uint64 // bit i: a Batch or a Release with Requests[i] is under way
}

// Leased is a request handed out. It ends in exactly one of Batch.Done, Batch.Retry and Lease.Release; copies of it are
// the same request.
type Leased struct {
	Request

	lease    *Lease
	index    uint
	position Position
	url      string // URL as it was handed out
}

// Position is where the Backend keeps the request.
func (l *Leased) Position() Position { return l.position }

func (l *Leased) bit() uint64 { return 1 << l.index }

// refillSize is the most hosts that are claimed at once.
const refillSize = 1024

// Lease waits until a host is due and hands out a lease of it. It returns ErrDone to every caller when nothing waits,
// nothing is leased, no Hold is open and no change is under way, as long as that is so; ErrClosed after Close; or ctx's
// error.
//
// It never polls: it sleeps until the earliest due time, or until a commit or a release makes something due.
func (f *Frontier) Lease(ctx context.Context) (*Lease, error) {
	for {
		h, gone, err := f.next(ctx)
		if err != nil {
			return nil, err
		}
		if len(gone) > 0 {
			if err := f.giveBack(ctx, gone); err != nil {
				return nil, err
			}
			continue
		}
		if l, err := f.take(ctx, h); l != nil || err != nil {
			return l, err
		}
	}
}

// next waits for its turn and then for a host that is due, which nobody else gets until take has settled it.
// Instead of one it may return hosts that the caller must give back: that may take long, and is done while others have their turn.
func (f *Frontier) next(ctx context.Context) (h *host, gone []*host, err error) {
	if err := f.takeTurn(ctx); err != nil {
		return nil, nil, err
	}
	defer f.endTurn()
	if err := f.reopen(ctx); err != nil {
		return nil, nil, err
	}
	filled, looked := false, false
	for {
		p, err := f.pick(time.Now(), !filled, !f.shared() || looked)
		switch {
		case p.look:
			if err := f.look(ctx); err != nil {
				return nil, nil, fmt.Errorf("frontier: count: %w", err)
			}
			looked = true
		case err != nil || p.host != nil || len(p.gone) > 0:
			return p.host, p.gone, err
		case p.refill:
			if gone, err := f.refill(ctx); err != nil || len(gone) > 0 {
				return nil, gone, err
			}
			filled = true
		default:
			if f.shared() {
				p.until = earlier(p.until, f.looked.Add(f.poll()))
			}
			if err := f.sleep(ctx, p.until); err != nil {
				return nil, nil, err
			}
			filled, looked = false, false
			if f.shared() && time.Since(f.looked) >= f.poll() {
				if err := f.look(ctx); err != nil {
					return nil, nil, fmt.Errorf("frontier: count: %w", err)
				}
			}
		}
	}
}

// takeTurn waits until the caller is the one that may pick and sleep.
func (f *Frontier) takeTurn(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case f.turn <- struct{}{}:
		return nil
	default:
	}
	// The holder of the turn tells that it starves when it falls asleep; one that comes later must tell as well.
	if f.sleeping.Load() {
		f.starve()
	}
	select {
	case f.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (f *Frontier) endTurn() { <-f.turn }

func (f *Frontier) starve() {
	if f.cfg.Starved != nil {
		f.cfg.Starved()
	}
}

// sleep waits until the time, a change, or the end of ctx.
func (f *Frontier) sleep(ctx context.Context, until time.Time) error {
	f.sleeping.Store(true)
	defer f.sleeping.Store(false)
	f.starve()
	var timer <-chan time.Time // nil: only a change can help
	if until != Never {
		t := time.NewTimer(time.Until(until))
		defer t.Stop()
		timer = t.C
	}
	select {
	case <-timer:
	case <-f.changed:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// picked is what to do next: lease the host, give back hosts, refill the front, look what others have done, or sleep.
type picked struct {
	look   bool
	host   *host
	gone   []*host
	refill bool
	until  time.Time
}

func (f *Frontier) pick(now time.Time, mayRefill, mayEnd bool) (picked, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return picked{}, ErrClosed
	}
	if f.stats.Waiting == 0 && f.holds == 0 {
		if mayEnd {
			return picked{}, ErrDone
		}
		return picked{look: true}, nil
	}
	for len(f.front.due) > 0 && f.front.due[0].expired(now) {
		f.lose(f.front.due[0])
	}
	if now.Before(f.opens) {
		return picked{until: f.opens}, nil
	}
	if gone := f.parkCrowded(now); len(gone) > 0 {
		return picked{gone: gone}, nil
	}
	first, outside := Never, later(f.disk.next, f.disk.floor)
	if len(f.front.due) > 0 {
		first = f.front.due[0].due
	}
	if mayRefill && !outside.After(now) && !first.Before(outside) {
		return picked{refill: true}, nil
	}
	if first.After(now) {
		return picked{until: earlier(first, outside)}, nil
	}
	h := f.front.due[0]
	if h.leaves() {
		return picked{gone: f.letGo(now)}, nil
	}
	starting := h.over(now) == NotClosed
	if starting {
		if wait := f.pay(now); wait > 0 {
			return picked{until: now.Add(wait)}, nil
		}
		h.have()
	}
	h.taking, h.starting, h.more, h.turn = true, starting, false, now
	f.settle(h)
	return picked{host: h}, nil
}

// letGo takes the hosts off the top of the heap that have nothing left and may be forgotten, or are paused.
func (f *Frontier) letGo(now time.Time) (gone []*host) {
	for len(f.front.due) > 0 {
		h := f.front.due[0]
		if !h.leaves() || h.due.After(now) {
			break
		}
		f.leave(h)
		gone = append(gone, h)
	}
	f.begun() // giveBack ends it
	return gone
}

// parkCrowded parks the hosts at the top of the heap that are due when their address is not. The front keeps no more
// than Config.Front of those: the others are to be given back.
func (f *Frontier) parkCrowded(now time.Time) (gone []*host) {
	for len(f.front.due) > 0 {
		h := f.front.due[0]
		if h.due.After(now) || !f.crowded(h, now) || h.leaves() || h.over(now) != NotClosed {
			break
		}
		f.park(h)
		if f.front.parked <= f.cfg.Front {
			continue
		}
		if out := h.address.latest(); out != nil && out.idle() {
			f.leave(out)
			gone = append(gone, out)
		}
	}
	if len(gone) > 0 {
		f.begun() // giveBack ends it
	}
	return gone
}

// pay takes a start from the global rate, or tells how long to wait for one.
func (f *Frontier) pay(now time.Time) time.Duration {
	if f.limit == nil {
		return 0
	}
	if f.credit > 0 {
		f.credit--
		return 0
	}
	r := f.limit.ReserveN(now, 1)
	wait := r.DelayFrom(now)
	if wait > 0 {
		r.CancelAt(now)
	}
	return wait
}

// refill claims hosts that are due before those in the front. It returns hosts to give back for them.
func (f *Frontier) refill(ctx context.Context) ([]*host, error) {
	f.mu.Lock()
	n := min(refillSize, (f.cfg.Front-1)/4+1)
	room := max(0, f.cfg.Front-len(f.front.due))
	victims := f.latest(n - room)
	before := Never
	if len(victims) > 0 {
		before = victims[len(victims)-1].due
	}
	if f.shared() {
		n = min(n, sharedRefill)
	}
	n = max(1, min(n, room+len(victims))) // at least one, even when all the front is at work
	from := f.disk.next
	f.disk.claim, f.disk.low = true, Never
	f.begun()
	f.mu.Unlock()

	if f.shared() {
		// Those that nobody renews; when it fails, Claim will say why.
		_ = f.backend.Reap(ctx)
	}
	claims, next, err := f.backend.Claim(ctx, from, before, n)
	now := time.Now()
	hosts := f.newHosts(claims, now)

	f.mu.Lock()
	defer f.mu.Unlock()
	defer f.ended()
	f.disk.claim = false
	changes, used := f.disk.changes, f.disk.used
	f.disk.changes, f.disk.used = nil, nil
	if err != nil {
		return nil, fmt.Errorf("frontier: claim hosts: %w", err)
	}
	f.disk.next = earlier(next, f.disk.low)
	f.enter(hosts)
	for _, c := range changes {
		if h := f.front.hosts[c.Host]; h != nil {
			f.change(h, c)
		}
	}
	for _, u := range used {
		if h := f.front.hosts[u.Host]; h != nil {
			h.learn(u.Usage)
			f.settle(h)
		}
	}
	var gone []*host
	for _, h := range victims {
		if len(f.front.due) <= f.cfg.Front {
			break
		}
		if h.index >= 0 && h.idle() {
			f.leave(h)
			gone = append(gone, h)
		}
	}
	if len(gone) > 0 {
		f.begun() // giveBack ends it
	}
	return gone, nil
}

// giveBack returns hosts that left the front to the backend; until then, begun has counted it as a change under way.
func (f *Frontier) giveBack(ctx context.Context, gone []*host) error {
	hosts := make([]Returned, len(gone))
	for i, h := range gone {
		hosts[i] = Returned{Claim: h.claim, Next: h.remember}
	}
	next, err := f.backend.Return(ctx, hosts)
	f.mu.Lock()
	defer f.mu.Unlock()
	defer f.ended()
	for _, h := range gone {
		if err != nil {
			h.leaving = false
			h.add(time.Time{})
			f.settle(h)
			continue
		}
		if h.more {
			f.lower(time.Time{})
		}
		if f.front.hosts[h.claim.Host] == h { // it may have been claimed again by now
			delete(f.front.hosts, h.claim.Host)
		}
	}
	if err != nil {
		return fmt.Errorf("frontier: give back hosts: %w", err)
	}
	f.lower(next)
	return nil
}

// take reads requests of h and makes a lease of them; nil if there were none, or h is closed and they are dropped.
func (f *Frontier) take(ctx context.Context, h *host) (*Lease, error) {
	f.mu.Lock()
	why := h.over(time.Now())
	if h.starting != (why == NotClosed) || h.starting && !h.free() { // as it was when it was picked
		defer f.mu.Unlock()
		f.putBack(h)
		return nil, nil
	}
	if why != NotClosed {
		written := h.closed != NotClosed
		f.begun()
		f.mu.Unlock()
		return nil, f.drop(ctx, h, why, written)
	}
	n, share := min(f.cfg.LeaseSize, h.room()), h.policy.PerHost-h.active
	if h.delay > 0 || f.limit != nil || f.cfg.AddressDelay > 0 {
		n = 1
	}
	f.begun()
	f.mu.Unlock()
	taken, err := f.takeByChance(ctx, h.claim, n, share)

	f.mu.Lock()
	defer f.mu.Unlock()
	defer f.ended()
	defer f.settle(h)
	h.taking = false
	if errors.Is(err, ErrStale) {
		f.lose(h)
	}
	if h.lost {
		f.refund()
		return nil, nil
	}
	if len(taken.Requests) == 0 {
		f.giveUp(h.address, h)
	}
	if err != nil {
		f.refund()
		h.add(time.Time{})
		return nil, fmt.Errorf("frontier: take requests of %s: %w", h.claim.Host, err)
	}
	if taken.More {
		h.add(taken.Ready)
	}
	if f.closed {
		return nil, ErrClosed
	}
	if len(taken.Requests) == 0 {
		f.refund()
		return nil, nil
	}
	h.active++
	h.unstarted++
	h.out += len(taken.Requests)
	f.stats.Leased += len(taken.Requests)
	return f.newLease(h, taken.Requests), nil
}

// putBack undoes pick.
func (f *Frontier) putBack(h *host) {
	if h.starting {
		f.refund()
		f.giveUp(h.address, h)
	}
	h.taking = false
	h.add(time.Time{})
	f.settle(h)
	f.wake()
}

// takeByChance takes requests of a claimed host, sometimes without those whose NotBefore has come: see Config.LateEvery.
func (f *Frontier) takeByChance(ctx context.Context, c Claim, n, share int) (Taken, error) {
	// A host may leave memory between two leases, and with it whatever would be counted of its turns.
	if f.cfg.LateEvery > 1 && rand.IntN(f.cfg.LateEvery) > 0 {
		var never time.Time // at which no NotBefore has come
		if taken, err := f.backend.Take(ctx, c, never, n, share); err != nil || len(taken.Requests) > 0 || !taken.More {
			return taken, err
		}
	}
	return f.backend.Take(ctx, c, time.Now(), n, share)
}

func (f *Frontier) refund() {
	if f.limit != nil {
		f.credit++
	}
}

func (f *Frontier) newLease(h *host, reqs []Queued) *Lease {
	f.leases++
	l := &Lease{Host: h.claim.Host, Requests: make([]Leased, len(reqs)), f: f, host: h, number: f.leases}
	for i, r := range reqs {
		l.Requests[i] = Leased{Request: r.Request, lease: l, index: uint(i), position: r.Position, url: r.URL}
		l.out |= 1 << i
	}
	return l
}

// end counts out r. Frontier.mu is held.
func (l *Lease) end(r *Leased) {
	l.out &^= r.bit()
	l.host.out--
	if !l.host.lost {
		l.f.stats.Leased--
	}
}

// Started tells that a request to the host was written at that time: the host's next start is due a delay later, and a
// little more until Answered. It is called for every request, robots.txt too, soon after the write; told after
// Release it still counts.
func (l *Lease) Started(at time.Time) {
	f := l.f
	f.mu.Lock()
	defer f.mu.Unlock()
	h := l.host
	if !l.started && !l.released {
		h.unstarted--
	}
	l.started = true
	if at = earlier(at, time.Now()); !at.Before(h.last.at) {
		h.last, h.lastBy = start{at: at}, l.number
	}
	f.startedAt(l, at)
	f.settle(h)
	f.wake()
}

// Answered tells that the first byte of the answer to the last request came at that time: the request had arrived by
// then, so the host's next start is due a delay after it.
func (l *Lease) Answered(at time.Time) {
	f := l.f
	f.mu.Lock()
	defer f.mu.Unlock()
	if h := l.host; h.lastBy == l.number {
		h.last.answered = earlier(at, time.Now())
		h.response = max(0, h.last.answered.Sub(h.last.at))
		h.setDelay(&f.cfg)
		f.settle(h)
		f.wake()
	}
	if a := l.host.address; a != nil && a.lastBy == l.number {
		a.last.answered = earlier(at, time.Now())
		if a.first != nil {
			f.settle(a.first)
			f.wake()
		}
	}
}

// Received tells that so many bytes of a page have come. They count for Policy.MaxBytes at once, and are counted for good by
// HostChange.Bytes, which has to tell of the same bytes.
func (l *Lease) Received(bytes int64) {
	f := l.f
	f.mu.Lock()
	defer f.mu.Unlock()
	h := l.host
	h.received += min(max(0, bytes), math.MaxInt64-h.received)
	f.settle(h)
}

// Revoked reports whether the host should be asked no more under this lease: it has been blocked, paused or closed, its
// budget is used up, the claim is lost, or it has got a delay, with which this lease has had its one start. The worker looks
// before each request but the first, and releases what is left.
func (l *Lease) Revoked() bool {
	f := l.f
	now := time.Now()
	f.mu.Lock()
	defer f.mu.Unlock()
	h := l.host
	return f.closed || h.lost || h.expired(now) || h.paused || h.blocked.After(now) || h.over(now) != NotClosed ||
		l.started && h.delay > 0
}

// Release tells that the worker is through with the host. Those of its requests that it did not fetch are
// given as unfinished and wait again, as they were, in front of the others. The rest must end in a Batch, before Release or after it.
//
// It may be called again, to give back more: those of a Batch that could not be committed, say. What has ended or is
// part of a Commit under way is left alone.
func (l *Lease) Release(unfinished ...Leased) {
	f := l.f
	f.mu.Lock()
	defer f.mu.Unlock()
	h := l.host
	var back []Leased
	for _, r := range unfinished {
		if r.lease == l && l.out&r.bit() != 0 && l.ending&r.bit() == 0 {
			l.ending |= r.bit()
			back = append(back, r)
		}
	}
	if len(back) > 0 && !f.closed {
		f.untake(h, back)
	}
	for i := range back {
		l.ending &^= back[i].bit()
		l.end(&back[i])
	}
	if !l.released {
		l.released = true
		h.active--
		if !l.started {
			h.unstarted--
			f.giveUp(h.address, h)
		}
	}
	if len(back) > 0 {
		h.add(time.Time{})
	}
	f.settle(h)
	f.wake()
}

// untake gives requests back to the backend, with f.mu, which is held, released meanwhile.
func (f *Frontier) untake(h *host, back []Leased) {
	at := make([]Position, len(back))
	for i := range back {
		at[i] = back[i].position
	}
	f.begun()
	f.mu.Unlock()
	// An error means that the claim is lost, and with it what was taken: it waits again either way.
	_ = f.backend.Untake(context.Background(), h.claim, at)
	f.mu.Lock()
	f.ended()
}
