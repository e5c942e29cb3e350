package httpclient

import (
	"context"
	"crypto/tls"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"net/textproto"
	"time"
)

// Trace is told what happens to requests. Each function may be nil. They are
// called in the goroutine of the request or, for what dials and what sends a body, in
// others, never under a lock, and must not block. One Trace may serve many requests at
// once.
type Trace struct {
	// RequestStart is called before, RequestEnd after each request, redirected
	// ones included. Its error is that of the head; the body follows.
	RequestStart func(*Request)
	RequestEnd   func(*Request, *Response, error)
	// Redirect is called before one is followed.
	Redirect func(*Response, *Request)
	// Retry is called before a request is repeated on another connection, with
	// what it failed with.
	Retry func(*Request, error)

	PoolWaitStart, PoolWaitEnd func(at time.Time)
	GotConn                    func(GotConn)

	DNSStart   func(host string)
	DNSDone    func(DNSDone)
	DialStart  func(addr netip.AddrPort)
	DialDone   func(addr netip.AddrPort, err error)
	TLSStart   func()
	TLSDone    func(tls.ConnectionState, error)
	ProxyStart func(proxy string) // handshake with a proxy
	ProxyDone  func(proxy string, err error)

	WroteHeaders func(at time.Time)
	WroteBody    func(n int) // a piece of the body was sent
	WroteRequest func(at time.Time)
	GotFirstByte func(at time.Time)
	Got1xx       func(status int, header http.Header)
	ReadBody     func(n int) // a piece of the body came, as transferred
	// BodyEnd is called when the transfer of the body ends. Its error is nil if the
	// body is whole, ErrBodyClosed if the caller closed it before, or else that of
	// the reading.
	BodyEnd func(resp *Response, err error)
}

// GotConn tells about the connection that a request goes out on.
type GotConn struct {
	Conn   *Conn
	Reused bool
}

// DNSDone tells how resolving a host ended.
type DNSDone struct {
	Host   string
	Addrs  []netip.Addr
	Cached bool
	Err    error
}

func (t *Trace) poolWaitStart(at time.Time) {
	if t != nil && t.PoolWaitStart != nil {
		t.PoolWaitStart(at)
	}
}

func (t *Trace) poolWaitEnd(at time.Time) {
	if t != nil && t.PoolWaitEnd != nil {
		t.PoolWaitEnd(at)
	}
}

func (t *Trace) dnsStart(host string) {
	if t != nil && t.DNSStart != nil {
		t.DNSStart(host)
	}
}

func (t *Trace) dnsDone(d DNSDone) {
	if t != nil && t.DNSDone != nil {
		t.DNSDone(d)
	}
}

func (t *Trace) dialStart(a netip.AddrPort) {
	if t != nil && t.DialStart != nil {
		t.DialStart(a)
	}
}

func (t *Trace) dialDone(a netip.AddrPort, err error) {
	if t != nil && t.DialDone != nil {
		t.DialDone(a, err)
	}
}

func (t *Trace) tlsStart() {
	if t != nil && t.TLSStart != nil {
		t.TLSStart()
	}
}

func (t *Trace) tlsDone(s tls.ConnectionState, err error) {
	if t != nil && t.TLSDone != nil {
		t.TLSDone(s, err)
	}
}

func (t *Trace) proxyStart(proxy string) {
	if t != nil && t.ProxyStart != nil {
		t.ProxyStart(proxy)
	}
}

func (t *Trace) proxyDone(proxy string, err error) {
	if t != nil && t.ProxyDone != nil {
		t.ProxyDone(proxy, err)
	}
}

func (t *Trace) wroteBody(n int) {
	if t != nil && t.WroteBody != nil {
		t.WroteBody(n)
	}
}

func (t *Trace) readBody(n int) {
	if t != nil && t.ReadBody != nil {
		t.ReadBody(n)
	}
}

// traceFor returns what watches a request: its own trace, the session's, those in
// ctx. It is nil if there is none.
func traceFor(ctx context.Context, own, sessions *Trace) *Trace {
	t := joinTraces(own, sessions)
	if inCtx, ok := ctx.Value(traceKey{}).(*Trace); ok {
		t = joinTraces(inCtx, t)
	}
	if std := httptrace.ContextClientTrace(ctx); std != nil {
		t = joinTraces(fromStandard(std), t)
	}
	return t
}

type traceKey struct{}

// ContextWithTrace returns a context whose requests t watches too.
func ContextWithTrace(ctx context.Context, t *Trace) context.Context {
	if outer, ok := ctx.Value(traceKey{}).(*Trace); ok {
		t = joinTraces(t, outer)
	}
	return context.WithValue(ctx, traceKey{}, t)
}

// joinTraces returns a trace that tells both.
func joinTraces(a, b *Trace) *Trace {
	switch {
	case a == nil:
		return b
	case b == nil || a == b:
		return a
	}
	return &Trace{
		RequestStart: both(a.RequestStart, b.RequestStart), RequestEnd: both3(a.RequestEnd, b.RequestEnd),
		Redirect: both2(a.Redirect, b.Redirect), Retry: both2(a.Retry, b.Retry),
		PoolWaitStart: both(a.PoolWaitStart, b.PoolWaitStart), PoolWaitEnd: both(a.PoolWaitEnd, b.PoolWaitEnd),
		GotConn:  both(a.GotConn, b.GotConn),
		DNSStart: both(a.DNSStart, b.DNSStart), DNSDone: both(a.DNSDone, b.DNSDone),
		DialStart: both(a.DialStart, b.DialStart), DialDone: both2(a.DialDone, b.DialDone),
		TLSStart: both0(a.TLSStart, b.TLSStart), TLSDone: both2(a.TLSDone, b.TLSDone),
		ProxyStart: both(a.ProxyStart, b.ProxyStart), ProxyDone: both2(a.ProxyDone, b.ProxyDone),
		WroteHeaders: both(a.WroteHeaders, b.WroteHeaders), WroteBody: both(a.WroteBody, b.WroteBody),
		WroteRequest: both(a.WroteRequest, b.WroteRequest), GotFirstByte: both(a.GotFirstByte, b.GotFirstByte),
		Got1xx: both2(a.Got1xx, b.Got1xx), ReadBody: both(a.ReadBody, b.ReadBody), BodyEnd: both2(a.BodyEnd, b.BodyEnd),
	}
}

func both0(f, g func()) func() {
	if f == nil || g == nil {
		return either(f, g, f == nil)
	}
	return func() { f(); g() }
}

func both[A any](f, g func(A)) func(A) {
	if f == nil || g == nil {
		return either(f, g, f == nil)
	}
	return func(a A) { f(a); g(a) }
}

func both2[A, B any](f, g func(A, B)) func(A, B) {
	if f == nil || g == nil {
		return either(f, g, f == nil)
	}
	return func(a A, b B) { f(a, b); g(a, b) }
}

func both3[A, B, C any](f, g func(A, B, C)) func(A, B, C) {
	if f == nil || g == nil {
		return either(f, g, f == nil)
	}
	return func(a A, b B, c C) { f(a, b, c); g(a, b, c) }
}

func either[F any](f, g F, second bool) F {
	if second {
		return g
	}
	return f
}

// fromStandard makes a trace of the standard library's, so that its users see our
// requests too. WroteHeaderField and PutIdleConn are not called.
func fromStandard(s *httptrace.ClientTrace) *Trace {
	t := &Trace{}
	if s.GetConn != nil {
		t.RequestStart = func(r *Request) { s.GetConn(r.target.hostport) }
	}
	if s.GotConn != nil {
		t.GotConn = func(g GotConn) {
			s.GotConn(httptrace.GotConnInfo{Conn: g.Conn.NetConn(), Reused: g.Reused, WasIdle: g.Reused})
		}
	}
	if s.GotFirstResponseByte != nil {
		t.GotFirstByte = func(time.Time) { s.GotFirstResponseByte() }
	}
	if s.Got100Continue != nil || s.Got1xxResponse != nil {
		t.Got1xx = func(status int, h http.Header) {
			if status == http.StatusContinue && s.Got100Continue != nil {
				s.Got100Continue()
			}
			if s.Got1xxResponse != nil {
				_ = s.Got1xxResponse(status, textproto.MIMEHeader(h))
			}
		}
	}
	if s.DNSStart != nil {
		t.DNSStart = func(host string) { s.DNSStart(httptrace.DNSStartInfo{Host: host}) }
	}
	if s.DNSDone != nil {
		t.DNSDone = func(d DNSDone) {
			info := httptrace.DNSDoneInfo{Err: d.Err, Coalesced: d.Cached}
			for _, a := range d.Addrs {
				info.Addrs = append(info.Addrs, ipAddr(a))
			}
			s.DNSDone(info)
		}
	}
	if s.ConnectStart != nil {
		t.DialStart = func(a netip.AddrPort) { s.ConnectStart("tcp", a.String()) }
	}
	if s.ConnectDone != nil {
		t.DialDone = func(a netip.AddrPort, err error) { s.ConnectDone("tcp", a.String(), err) }
	}
	t.TLSStart, t.TLSDone = s.TLSHandshakeStart, s.TLSHandshakeDone
	if s.WroteHeaders != nil {
		t.WroteHeaders = func(time.Time) { s.WroteHeaders() }
	}
	if s.WroteRequest != nil {
		t.WroteRequest = func(time.Time) { s.WroteRequest(httptrace.WroteRequestInfo{}) }
	}
	return t
}
