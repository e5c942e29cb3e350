package httpclient

import (
	"context"
	"errors"
	"math"
	"net"
	"sync"
	"time"
)

// Pool is a [Connector]: it keeps the limits, hands out connections in order, and
// keeps unused ones alive. A slot is held by exactly one dial or one connection
// in use, and goes back when that ends, however it ends.
//
// Waiting is first come, first served within a host, and round robin over the
// hosts that have somebody waiting and room for one more. No goroutine watches
// idle connections: whether the peer has closed one is looked at when it is
// wanted, and one timer for the whole pool closes those that are too old.
type Pool struct {
	cfg     PoolConfig // completed
	limit   int
	perHost int
	dial    func(ctx context.Context, req *Request, key *ConnKey) (*link, error)

	mu        sync.Mutex
	closed    bool
	held      int // slots taken: dials and connections in use
	waiting   int
	lanes     map[ConnKey]*lane
	endpoints map[endpointKey]*endpoint
	ready     chain[endpoint, *endpoint] // endpoints with waiters and room; empty unless held == limit
	dials     map[*dialing]struct{}
	busy      chain[link, *link]
	doomed    chain[link, *link] // to be closed by unlock
	idle      chain[link, *link] // oldest first
	shared    map[*lane]struct{} // those with a connection of HTTP/2
	sweeper   *time.Timer
	sweeping  bool
	count     struct{ dials, reused, expired, stale, retried uint64 }
}

// lane is what connections of one key share. It lives while it is referred to.
type lane struct {
	key  ConnKey
	ep   *endpoint
	top  *link // stack of idle connections, last used first
	refs int   // dials, connections and waiters
	h2   *http2Conn
	// scout is the dial that finds out whether the server speaks HTTP/2, while the
	// others wait for what it finds; nil when there is none, or it is known.
	scout *dialing
	http1 bool // the server was asked for HTTP/2 and does not speak it
}

// endpoint counts by host, port and scheme.
type endpoint struct {
	key     endpointKey
	held    int
	lanes   int
	waiters chain[waiter, *waiter] // first come, first served
	inReady bool                   // it is in Pool.ready
	neighbours[endpoint]
}

// waiter is a call of Connect that waits for a slot.
type waiter struct {
	lane *lane
	neighbours[waiter]
	fresh   bool // it wants no kept-alive connection
	granted bool // it holds a slot now, and conn if one was idle
	err     error
	conn    *link
	ready   chan struct{} // closed when granted or err is set
}

// dialing is a connection being made.
type dialing struct {
	cancel context.CancelCauseFunc
	done   chan struct{} // of a scout: closed at its end
	failed bool          // then: of itself, not because its caller gave up
}

// DialFunc makes a connection to a host, with TLS if the key's scheme is https.
type DialFunc func(ctx context.Context, key ConnKey) (net.Conn, error)

// NewPool returns a connector over a dial function.
func NewPool(cfg PoolConfig, dial DialFunc) *Pool {
	return newPool(cfg, func(ctx context.Context, req *Request, key *ConnKey) (*link, error) {
		nc, err := dial(ctx, *key)
		if err != nil {
			if ctx.Err() != nil {
				return nil, contextError(ctx)
			}
			return nil, &ConnectorError{Key: *key, Err: err}
		}
		return newLink(nc), nil
	})
}

func newPool(cfg PoolConfig, dial func(context.Context, *Request, *ConnKey) (*link, error)) *Pool {
	p := &Pool{
		cfg: cfg, limit: cfg.Limit, perHost: cfg.LimitPerHost, dial: dial,
		lanes: map[ConnKey]*lane{}, endpoints: map[endpointKey]*endpoint{}, dials: map[*dialing]struct{}{},
	}
	p.limit = unlimitedOr(cfg.Limit, DefaultLimit)
	p.perHost = unlimitedOr(cfg.LimitPerHost, math.MaxInt)
	p.cfg.MaxIdle = unlimitedOr(cfg.MaxIdle, DefaultMaxIdle)
	switch {
	case cfg.KeepAlive == 0:
		p.cfg.KeepAlive = DefaultKeepAlive
	case cfg.KeepAlive < 0:
		p.cfg.KeepAlive = math.MaxInt64
	}
	return p
}

func unlimitedOr(n, def int) int {
	switch {
	case n < 0:
		return math.MaxInt
	case n == 0:
		return def
	}
	return n
}

func (c *PoolConfig) check() error {
	if c.ForceClose && c.KeepAlive != 0 {
		return errors.New("httpclient: PoolConfig: KeepAlive together with ForceClose")
	}
	return nil
}

// Limit returns the limit of connections in all, 0 for none.
func (p *Pool) Limit() int { return zeroIfMax(p.limit) }

// LimitPerHost returns the limit of connections to one host, 0 for none.
func (p *Pool) LimitPerHost() int { return zeroIfMax(p.perHost) }

// ForceClose reports whether connections serve one request only.
func (p *Pool) ForceClose() bool { return p.cfg.ForceClose }

func zeroIfMax(n int) int {
	if n == math.MaxInt {
		return 0
	}
	return n
}

// Closed reports whether Close was called.
func (p *Pool) Closed() bool {
	p.mu.Lock()
	defer p.unlock()
	return p.closed
}

// Stats returns the counts of this moment.
func (p *Pool) Stats() ConnectorStats {
	p.mu.Lock()
	defer p.unlock()
	return ConnectorStats{
		Limit: p.Limit(), LimitPerHost: p.LimitPerHost(),
		InUse: p.held - len(p.dials), Dialing: len(p.dials), Idle: p.idle.n, Waiting: p.waiting, Hosts: len(p.endpoints),
		Dials: p.count.dials, Reused: p.count.reused, Expired: p.count.expired, Stale: p.count.stale, Retried: p.count.retried,
	}
}

// Connect implements [Connector].
func (p *Pool) Connect(ctx context.Context, req *Request) (*Conn, error) {
	c, err := p.connectInTime(ctx, req)
	if err != nil {
		return nil, err
	}
	if p.cfg.Stacks {
		p.noteStack(c)
	}
	return &Conn{link: c}, nil
}

// connectInTime is connect under the limit Timeout.Connect.
func (p *Pool) connectInTime(ctx context.Context, req *Request) (*link, error) {
	if d := req.timeouts().Connect; d > 0 {
		outer := ctx
		inner, cancel := context.WithTimeoutCause(ctx, d, &TimeoutError{Phase: PhaseConnect, Limit: d})
		defer cancel()
		c, err := p.connect(inner, req)
		if err != nil && inner.Err() != nil && outer.Err() == nil {
			return nil, &TimeoutError{Phase: PhaseConnect, Limit: d, Err: err}
		}
		return c, err
	}
	return p.connect(ctx, req)
}

func (p *Pool) connect(ctx context.Context, req *Request) (*link, error) {
	key := req.connKey()
	p.mu.Lock()
	if p.closed {
		p.unlock()
		return nil, ErrConnectorClosed
	}
	l := p.laneOf(&key)
	l.refs++
	var c *link
	var now time.Time
	if p.held < p.limit && l.ep.held < p.perHost {
		p.held++
		l.ep.held++
		now = time.Now()
		c = p.popIdle(l, req.effective.fresh, now)
		p.unlock()
	} else {
		w := p.enqueue(l, req.effective.fresh)
		p.unlock()
		var err error
		if c, err = p.wait(ctx, req, w); err != nil {
			return nil, err
		}
	}
	return p.prepare(ctx, req, l, c, now)
}

// prepare makes sure, for the owner of a slot, that c is alive, or finds or makes
// another. On failure the slot is given back. now is zero if it had to wait for the slot.
func (p *Pool) prepare(ctx context.Context, req *Request, l *lane, c *link, now time.Time) (*link, error) {
	for c != nil && !c.alive() {
		_ = c.nc.Close()
		p.mu.Lock()
		p.count.stale++
		l.refs--
		c = p.popIdle(l, req.effective.fresh, time.Now())
		p.unlock()
	}
	if c == nil {
		return p.streamOrDial(ctx, req, l)
	}
	p.mu.Lock()
	defer p.unlock()
	if p.closed {
		p.doom(c)
		l.refs-- // the connection's
		p.drop(l)
		return nil, ErrConnectorClosed
	}
	p.busy.push(c)
	l.refs-- // the call's
	p.count.reused++
	req.effective.got = now
	return c, nil
}

// streamOrDial finds a place on a shared connection or makes one, for the owner of a
// slot. The first requests to a server that may speak HTTP/2 come at once, as often as
// not: one of them dials, and the others wait whether they can share.
func (p *Pool) streamOrDial(ctx context.Context, req *Request, l *lane) (*link, error) {
	for {
		p.mu.Lock()
		h, scout, d := l.h2, l.scout, &dialing{}
		if h == nil || h.dead.Load() || req.effective.fresh {
			if scout == nil && l.key.HTTP2 && l.key.Scheme == "https" && !l.http1 {
				d.done = make(chan struct{})
				l.scout = d
			}
			h = nil
		} else {
			h.active++ // from here on nobody closes it for being unused
		}
		p.unlock()
		if h != nil {
			if c := p.openStream(l, h); c != nil {
				return c, nil
			}
			return p.make(ctx, req, l, d) // it is full
		}
		if scout == nil || req.effective.fresh {
			return p.make(ctx, req, l, d)
		}
		limit := req.timeouts().Dial
		inner, cancel := req.withPhase(ctx, limit)
		select {
		case <-scout.done:
		case <-inner.Done():
		}
		expired := inner.Err() != nil
		cancel()
		switch {
		case ctx.Err() != nil, expired && req.overTotal():
			p.mu.Lock()
			p.drop(l)
			p.unlock()
			return nil, req.deadlineError(ctx, PhaseDial, limit)
		case expired, scout.failed:
			return p.make(ctx, req, l, &dialing{}) // on one's own
		}
	}
}

// make dials, for the owner of a slot. d is the new dial, perhaps the scout of l.
func (p *Pool) make(ctx context.Context, req *Request, l *lane, d *dialing) (*link, error) {
	dctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	d.cancel = cancel
	p.mu.Lock()
	if p.closed {
		p.endScout(l, d, true)
		p.drop(l)
		p.unlock()
		return nil, ErrConnectorClosed
	}
	p.dials[d] = struct{}{}
	p.unlock()

	c, err := p.dial(dctx, req, &l.key)

	p.mu.Lock()
	defer p.unlock()
	delete(p.dials, d)
	l.http1 = l.http1 || err == nil && c.h2 == nil
	defer p.endScout(l, d, err != nil && ctx.Err() == nil) // once the connection can be shared
	if p.closed {
		if err == nil {
			p.doom(c)
		}
		err = ErrConnectorClosed
	}
	if err != nil {
		p.drop(l)
		return nil, err
	}
	p.count.dials++
	c.pool, c.lane = p, l // the call's reference becomes the connection's
	p.busy.push(c)
	if c.h2 != nil {
		p.share(l, c.h2)
	}
	return c, nil
}

// endScout wakes who waits for d, if it is the scout of l. p.mu is held.
func (p *Pool) endScout(l *lane, d *dialing, failed bool) {
	if l.scout == d {
		l.scout, d.failed = nil, failed
		close(d.done)
	}
}

// drop gives back a slot and a reference. p.mu is held.
func (p *Pool) drop(l *lane) {
	p.freeSlot(l.ep)
	p.unref(l)
}

func (p *Pool) laneOf(key *ConnKey) *lane {
	if l := p.lanes[*key]; l != nil {
		return l
	}
	ek := endpointKey{key.Host, key.Port, key.Scheme == "https"}
	ep := p.endpoints[ek]
	if ep == nil {
		ep = &endpoint{key: ek}
		p.endpoints[ek] = ep
	}
	ep.lanes++
	l := &lane{key: *key, ep: ep}
	p.lanes[*key] = l
	return l
}

func (p *Pool) unref(l *lane) {
	if l.refs--; l.refs > 0 {
		return
	}
	delete(p.lanes, l.key)
	if l.ep.lanes--; l.ep.lanes == 0 {
		delete(p.endpoints, l.ep.key)
	}
}

func (p *Pool) freeSlot(ep *endpoint) {
	p.held--
	ep.held--
	p.makeReady(ep)
	p.grant()
}

// makeReady puts ep into the ring if somebody waits for it and it has room.
func (p *Pool) makeReady(ep *endpoint) {
	if !ep.inReady && ep.waiters.first != nil && ep.held < p.perHost {
		ep.inReady = true
		p.ready.push(ep)
	}
}

// grant hands free slots to those who wait.
func (p *Pool) grant() {
	for p.held < p.limit {
		ep := p.ready.first
		if ep == nil {
			return
		}
		p.unready(ep)
		w := ep.waiters.first
		p.unlink(w)
		p.held++
		ep.held++
		w.granted = true
		w.conn = p.popIdle(w.lane, w.fresh, time.Now())
		close(w.ready)
		p.makeReady(ep)
	}
}

func (p *Pool) enqueue(l *lane, fresh bool) *waiter {
	w := &waiter{lane: l, fresh: fresh, ready: make(chan struct{})}
	ep := l.ep
	ep.waiters.push(w)
	p.waiting++
	p.makeReady(ep)
	return w
}

func (p *Pool) unready(ep *endpoint) {
	ep.inReady = false
	p.ready.remove(ep)
}

// unlink takes w out of its queue.
func (p *Pool) unlink(w *waiter) {
	ep := w.lane.ep
	ep.waiters.remove(w)
	p.waiting--
	if ep.waiters.first == nil && ep.inReady {
		p.unready(ep)
	}
}

// wait blocks until w has a slot. On failure the slot and the reference are gone.
func (p *Pool) wait(ctx context.Context, req *Request, w *waiter) (*link, error) {
	start := time.Now()
	trace := req.effective.trace
	trace.poolWaitStart(start)
	var timeout <-chan time.Time
	phase, limit := PhasePool, req.timeouts().Pool
	if d := req.effective.deadline; !d.IsZero() && (limit <= 0 || d.Before(start.Add(limit))) {
		phase, limit = PhaseTotal, max(d.Sub(start), 1)
	}
	if limit > 0 {
		t := time.NewTimer(limit)
		defer t.Stop()
		timeout = t.C
	}
	var err error
	select {
	case <-w.ready:
		err = w.err
	case <-ctx.Done():
		err = contextError(ctx)
	case <-timeout:
		err = &TimeoutError{Phase: phase, Limit: limit}
	}
	req.effective.poolWait += time.Since(start)
	trace.poolWaitEnd(time.Now())
	if err == nil {
		return w.conn, nil
	}
	p.mu.Lock()
	defer p.unlock()
	switch {
	case w.granted: // too late to use: pass it on
		switch {
		case w.conn != nil && p.closed:
			p.doom(w.conn)
			w.lane.refs--
		case w.conn != nil:
			p.putIdle(w.conn)
		}
		p.freeSlot(w.lane.ep)
	case w.err == nil:
		p.unlink(w)
	}
	p.unref(w.lane)
	return nil, err
}

// popIdle takes the connection of l that was used last, unless a fresh one is
// wanted. p.mu is held. The connection keeps its reference on the lane.
func (p *Pool) popIdle(l *lane, fresh bool, now time.Time) *link {
	if fresh {
		return nil
	}
	c := l.top
	if c == nil {
		return nil
	}
	p.unlinkIdle(c)
	if now.After(c.expires) {
		// The others of this lane are older still, but may have been promised longer.
		p.doom(c)
		p.count.expired++
		l.refs--
		return p.popIdle(l, false, now)
	}
	return c
}

func (p *Pool) unlinkIdle(c *link) {
	p.idle.remove(c)
	if c.above != nil {
		c.above.below = c.below
	} else {
		c.lane.top = c.below
	}
	if c.below != nil {
		c.below.above = c.above
	}
	c.above, c.below = nil, nil
}

func (p *Pool) putIdle(c *link) {
	l := c.lane
	if c.below = l.top; c.below != nil {
		c.below.above = c
	}
	l.top = c
	p.idle.push(c)
	if p.idle.n > p.cfg.MaxIdle {
		p.dropIdle(p.idle.first)
	}
	p.startSweeper()
}

// dropIdle closes an idle connection.
func (p *Pool) dropIdle(c *link) {
	p.unlinkIdle(c)
	p.count.expired++
	p.doom(c)
	p.unref(c.lane)
}

// doom lets unlock close a connection that is in no list. p.mu is held.
func (p *Pool) doom(c *link) { p.doomed.push(c) }

// unlock releases p.mu, and closes what was doomed under it: to close a TLS
// connection may take a while.
func (p *Pool) unlock() {
	doomed := p.doomed.first
	p.doomed = chain[link, *link]{}
	p.mu.Unlock()
	for doomed != nil {
		next := doomed.next
		doomed.next, doomed.prev = nil, nil
		_ = doomed.nc.Close()
		doomed = next
	}
}

// release takes back a connection that can serve another request.
func (p *Pool) release(c *link, now time.Time) {
	keep := p.cfg.KeepAlive
	if c.serverLimit > 0 {
		keep = min(keep, c.serverLimit)
	}
	p.mu.Lock()
	defer p.unlock()
	p.busy.remove(c)
	c.handed = nil
	ep := c.lane.ep
	switch {
	case c.h2 != nil:
		p.endStream(c)
		p.unref(c.lane)
	case p.closed || p.cfg.ForceClose || p.cfg.MaxIdle <= 0:
		p.doom(c)
		p.unref(c.lane)
	default:
		if c.expires = now.Add(keep); keep == math.MaxInt64 {
			c.expires = now.AddDate(100, 0, 0)
		}
		p.putIdle(c)
	}
	p.freeSlot(ep)
}

// forget lets go of a connection in use that was closed or detached.
func (p *Pool) forget(c *link) {
	p.mu.Lock()
	defer p.unlock()
	p.busy.remove(c)
	if c.h2 != nil {
		p.endStream(c)
	}
	p.drop(c.lane)
}

// startSweeper arms the timer that closes old idle connections. p.mu is held.
func (p *Pool) startSweeper() {
	if p.sweeping || p.cfg.KeepAlive == math.MaxInt64 && p.cfg.MaxIdle == math.MaxInt {
		return
	}
	p.sweeping = true
	every := max(min(p.cfg.KeepAlive, time.Minute)/8, 50*time.Millisecond)
	if p.sweeper == nil {
		p.sweeper = time.AfterFunc(every, p.sweep)
	} else {
		p.sweeper.Reset(every)
	}
}

func (p *Pool) sweep() {
	p.mu.Lock()
	defer p.unlock()
	p.sweeping = false
	now := time.Now()
	for c := p.idle.first; c != nil; {
		next := c.next
		if now.After(c.expires) {
			p.dropIdle(c)
		}
		c = next
	}
	p.sweepShared(now)
	if p.idle.n+len(p.shared) > 0 && !p.closed {
		p.startSweeper()
	}
}

// CloseIdle closes the connections that are not in use.
func (p *Pool) CloseIdle() {
	p.mu.Lock()
	defer p.unlock()
	for p.idle.first != nil {
		p.dropIdle(p.idle.first)
	}
	for l := range p.shared {
		p.unshare(l)
	}
}

// Close implements [Connector].
func (p *Pool) Close() error {
	p.mu.Lock()
	if p.closed {
		p.unlock()
		return nil
	}
	p.closed = true
	if p.sweeper != nil {
		p.sweeper.Stop()
	}
	for p.idle.first != nil {
		p.dropIdle(p.idle.first)
	}
	for _, ep := range p.endpoints {
		for w := ep.waiters.first; w != nil; w = ep.waiters.first {
			p.unlink(w)
			w.err = ErrConnectorClosed
			close(w.ready)
		}
	}
	for d := range p.dials {
		d.cancel(ErrConnectorClosed)
	}
	var inUse []net.Conn
	for c := p.busy.first; c != nil; c = c.next {
		inUse = append(inUse, c.nc)
	}
	for l := range p.shared {
		p.unshare(l)
	}
	p.unlock()
	for _, nc := range inUse {
		_ = nc.Close() // whoever uses it notices, and gives the slot back
	}
	return nil
}

func (p *Pool) countRetry() {
	p.mu.Lock()
	defer p.unlock()
	p.count.retried++
}
