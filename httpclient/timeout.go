package httpclient

import (
	"context"
	"errors"
	"os"
	"time"
)

// NoTimeout switches a limit of [Timeout] off.
const NoTimeout time.Duration = -1

// Default limits of [Timeout].
const (
	DefaultTotalTimeout     = 5 * time.Minute
	DefaultDNSTimeout       = 15 * time.Second
	DefaultDialTimeout      = 30 * time.Second
	DefaultTLSTimeout       = 30 * time.Second
	DefaultProxyTimeout     = 30 * time.Second
	DefaultFirstByteTimeout = time.Minute
	DefaultIdleTimeout      = time.Minute
)

// rateWindow is the stretch of waiting over which MinRate is measured.
const rateWindow = 10 * time.Second

// Timeout limits the phases of a request. In each field zero means the default
// (of the session, for a request; the one named here, for a session) and
// [NoTimeout] none. A limit that passes gives a [*TimeoutError] naming the phase.
type Timeout struct {
	// Total limits a call with all its redirects, from Do to the end of the
	// body. The time the caller lets a body lie unread counts. Default 5 min.
	Total time.Duration
	// Connect limits getting a connection: waiting in the pool, resolving,
	// dialing, handshakes. Default none.
	Connect time.Duration
	// Pool limits the wait for a free connection slot. Default none.
	Pool time.Duration
	// DNS limits resolving the host. Default 15 s.
	DNS time.Duration
	// Dial limits the connection to an address, all addresses together. Default 30 s.
	Dial time.Duration
	// TLS limits a TLS handshake, also the one with an https proxy. Default 30 s.
	TLS time.Duration
	// Proxy limits what is said to a proxy to make it connect: CONNECT or SOCKS5,
	// with the time that the proxy takes to reach the host. Default 30 s.
	Proxy time.Duration
	// FirstByte limits the wait, once the request is written, for the complete
	// head of the response, interim responses included. Writing the request's head
	// with a short body counts, as it takes no time unless the peer is in trouble.
	// Default 1 min.
	FirstByte time.Duration
	// Idle limits each wait for more of the body, and for the peer to take
	// more of a long body of the request. Default 1 min.
	Idle time.Duration
	// MinRate is how many bytes of body a second must come, its framing included,
	// measured over each 10 s spent waiting for it; 0: the session's (default none),
	// negative: none.
	MinRate int64
}

var defaultTimeout = Timeout{
	Total: DefaultTotalTimeout, Connect: NoTimeout, Pool: NoTimeout, DNS: DefaultDNSTimeout, Dial: DefaultDialTimeout,
	TLS: DefaultTLSTimeout, Proxy: DefaultProxyTimeout, FirstByte: DefaultFirstByteTimeout, Idle: DefaultIdleTimeout, MinRate: -1,
}

// or returns t with zero fields taken from d.
func (t Timeout) or(d *Timeout) Timeout {
	for _, f := range [...]struct{ field, def *time.Duration }{
		{&t.Total, &d.Total}, {&t.Connect, &d.Connect}, {&t.Pool, &d.Pool}, {&t.DNS, &d.DNS}, {&t.Dial, &d.Dial},
		{&t.TLS, &d.TLS}, {&t.Proxy, &d.Proxy}, {&t.FirstByte, &d.FirstByte}, {&t.Idle, &d.Idle},
	} {
		if *f.field == 0 {
			*f.field = *f.def
		}
	}
	if t.MinRate == 0 {
		t.MinRate = d.MinRate
	}
	return t
}

// Phase is a part of a request that has a time limit.
type Phase uint8

const (
	PhaseTotal     Phase = iota + 1 // the call as a whole, or its context's deadline
	PhaseConnect                    // getting a connection as a whole
	PhasePool                       // waiting for a connection slot
	PhaseDNS                        // resolving
	PhaseDial                       // connecting
	PhaseTLS                        // TLS handshake
	PhaseProxy                      // CONNECT or SOCKS5
	PhaseWrite                      // sending the request
	PhaseFirstByte                  // waiting for the response's head
	PhaseIdle                       // waiting for more of the body
	PhaseRate                       // body too slow
)

var phaseNames = [...]string{"", "total", "connect", "pool", "dns", "dial", "tls", "proxy", "write", "first byte", "idle", "rate"}

func (p Phase) String() string {
	if int(p) < len(phaseNames) {
		return phaseNames[p]
	}
	return "unknown"
}

// TimeoutError says which limit passed. It is both context.DeadlineExceeded and
// os.ErrDeadlineExceeded to errors.Is.
type TimeoutError struct {
	Phase Phase
	Limit time.Duration // 0: the deadline of the caller's context
	Err   error         // what the wait ended with; may be nil
}

func (e *TimeoutError) Error() string {
	if e.Limit <= 0 {
		return "timeout (" + e.Phase.String() + "): context deadline exceeded"
	}
	return "timeout (" + e.Phase.String() + ", " + e.Limit.String() + ")"
}
func (e *TimeoutError) Unwrap() error { return e.Err }

// Timeout is true.
func (e *TimeoutError) Timeout() bool { return true }

// Is reports whether target is one of the classes of a timeout. One of the phases
// that make a connection is also ErrConnector, one of DNS also ErrDNS.
func (e *TimeoutError) Is(target error) bool {
	switch e.Phase {
	case PhaseDNS:
		if target == ErrDNS || errors.Is(ErrDNS, target) {
			return true
		}
	case PhaseDial, PhaseTLS, PhaseProxy:
		if errors.Is(ErrConnector, target) {
			return true
		}
	}
	return target == ErrServerTimeout || errors.Is(ErrServerTimeout, target)
}

// withPhase bounds ctx by limit, if it is positive, and by what is left of Total.
func (r *Request) withPhase(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	d := r.phaseDeadline(time.Now(), limit)
	if d.IsZero() {
		return ctx, func() {}
	}
	return context.WithDeadline(ctx, d)
}

// phaseError turns err, of a phase that ran under inner made from outer by
// withPhase, into a TimeoutError if time was short, into outer's own error if that
// was cancelled, and else returns nil.
func (r *Request) phaseError(outer, inner context.Context, phase Phase, limit time.Duration, err error) error {
	switch {
	case outer.Err() != nil:
		return contextError(outer)
	case inner.Err() == nil && !errors.Is(err, os.ErrDeadlineExceeded):
		return nil
	}
	if d := r.effective.deadline; !d.IsZero() && !time.Now().Before(d) {
		return &TimeoutError{Phase: PhaseTotal, Limit: r.timeouts().Total, Err: err}
	}
	return &TimeoutError{Phase: phase, Limit: limit, Err: err}
}

// contextError is the error of a done context: a TimeoutError if its deadline
// passed, its cause otherwise.
func contextError(ctx context.Context) error {
	cause := context.Cause(ctx)
	if cause == nil {
		return context.Canceled // whatever ended the wait, it was not ctx
	}
	if t := (*TimeoutError)(nil); errors.As(cause, &t) {
		return cause
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return &TimeoutError{Phase: PhaseTotal, Err: cause}
	}
	if errors.Is(cause, context.Canceled) {
		return cause
	}
	return &cancelError{cause}
}

// cancelError is a context cancelled with a cause of its own.
type cancelError struct{ cause error }

func (e *cancelError) Error() string        { return "context canceled: " + e.cause.Error() }
func (e *cancelError) Unwrap() error        { return e.cause }
func (e *cancelError) Is(target error) bool { return target == context.Canceled }
