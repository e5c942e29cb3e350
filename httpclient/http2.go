package httpclient

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// http2Conn is a connection that many requests share. The standard library speaks
// HTTP/2 on it; address, socket and TLS are ours. Each exchange holds a slot of the
// pool like a connection of HTTP/1, so that the limits bound the same thing.
type http2Conn struct {
	nc     net.Conn
	client *http.ClientConn
	dead   atomic.Bool

	// Under the pool's lock:
	active    int
	idleSince time.Time
}

type http2ConnKey struct{}

// newHTTP2Conn starts HTTP/2 on a connection whose handshake agreed to it.
func newHTTP2Conn(ctx context.Context, c *link) (*http2Conn, error) {
	protocols := new(http.Protocols)
	protocols.SetHTTP2(true)
	t := &http.Transport{
		DisableCompression: true,
		Protocols:          protocols,
		HTTP2:              &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 15 * time.Second, WriteByteTimeout: 10 * time.Second},
		DialTLSContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			nc, _ := ctx.Value(http2ConnKey{}).(net.Conn)
			return nc, nil
		},
	}
	// The connection outlives the request that made it.
	ctx = context.WithValue(context.WithoutCancel(ctx), http2ConnKey{}, c.nc)
	client, err := t.NewClientConn(ctx, "https", c.nc.RemoteAddr().String())
	if err != nil {
		return nil, err
	}
	if err := client.Reserve(); err != nil {
		return nil, errors.Join(err, client.Close())
	}
	return &http2Conn{nc: c.nc, client: client, active: 1}, nil
}

func (h *http2Conn) close() {
	h.dead.Store(true)
	_ = h.client.Close()
}

// openStream returns a place for one more exchange on a shared connection of the
// lane, nil if it has none.
func (p *Pool) openStream(l *lane, h *http2Conn) *link {
	if h.client.Reserve() != nil {
		return nil
	}
	c := newLink(h.nc)
	c.h2, c.pool, c.lane, c.uses = h, p, l, 1
	p.mu.Lock()
	defer p.unlock()
	h.active++
	p.busy.push(c)
	p.count.reused++
	return c
}

// share makes h the connection for the next requests of l. p.mu is held.
func (p *Pool) share(l *lane, h *http2Conn) {
	p.unshare(l)
	l.h2 = h
	l.refs++
	if p.shared == nil {
		p.shared = map[*lane]struct{}{}
	}
	p.shared[l] = struct{}{}
	p.startSweeper()
}

// unshare lets go of the lane's shared connection, which closes when nobody uses
// it. p.mu is held.
func (p *Pool) unshare(l *lane) {
	h := l.h2
	if h == nil {
		return
	}
	l.h2 = nil
	delete(p.shared, l)
	h.dead.Store(true)
	if h.active == 0 {
		go h.close()
	}
	p.unref(l)
}

// endStream notes the end of an exchange. p.mu is held.
func (p *Pool) endStream(c *link) {
	h := c.h2
	h.active--
	h.idleSince = time.Now()
	if h.dead.Load() {
		if c.lane.h2 == h {
			p.unshare(c.lane)
		} else if h.active == 0 {
			go h.close()
		}
	}
}

// sweepShared closes shared connections that are unused for too long. p.mu is held.
func (p *Pool) sweepShared(now time.Time) {
	for l := range p.shared {
		if h := l.h2; h.active == 0 && (h.dead.Load() || now.Sub(h.idleSince) > p.cfg.KeepAlive) {
			p.unshare(l)
		}
	}
}

// roundTrip sends req as one stream of the shared connection.
func (h *http2Conn) roundTrip(ctx context.Context, c *Conn, req *Request) (*Response, error) {
	e := &req.effective
	resp := &Response{Method: req.Method, URL: req.target.url, req: req, netConn: c, remote: h.nc.RemoteAddr()}
	resp.Body = &resp.stream
	resp.stream.resp = resp
	resp.timing = Timing{Start: time.Now(), PoolWait: e.poolWait, DNS: e.dns, Dial: e.dial, TLS: e.tls, Reused: c.uses > 0}
	sctx, cancel := context.WithCancelCause(ctx)
	c.used.Store(true)
	c.cancel = func() { cancel(ErrBodyClosed) }
	if t := e.trace; t != nil && t.GotConn != nil {
		t.GotConn(GotConn{Conn: c, Reused: c.uses > 0})
	}
	x := &stream2{ctx: ctx, cancel: cancel, req: req, stream: &resp.stream}
	err := x.run(sctx, h, resp)
	if err != nil {
		cancel(nil)
		if x.lost {
			h.dead.Store(true)
		}
		_ = c.Close()
		return nil, err
	}
	s := &resp.stream
	s.held, s.conn, s.ctx = c, c, ctx
	s.stop = func() bool { cancel(nil); return true }
	s.tee, s.src = req.RawBody, x
	frame, length := byReader, x.body.ContentLength
	if length == 0 || x.body.Body == http.NoBody || req.Method == http.MethodHead {
		frame = noBody
	}
	codings := ""
	if !req.NoDecompress && !req.settings().noDecompress && frame != noBody {
		codings = resp.ContentEncoding()
	}
	resp.keepConn = true
	if err := s.start(frame, length, codings); err != nil {
		_ = s.Close()
		return nil, err
	}
	return resp, nil
}

// stream2 is an exchange over HTTP/2. It reads the body within the limits.
type stream2 struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	req    *Request
	body   *http.Response
	stream *Stream // counts for MinRate
	lost   bool    // the connection is at fault

	interims int // 1xx responses; of the connection's reader
}

func (x *stream2) run(ctx context.Context, h *http2Conn, resp *Response) error {
	hr, err := x.request(ctx)
	if err != nil {
		return err
	}
	hr = hr.WithContext(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{Got1xxResponse: x.interim}))
	disarm := x.arm(PhaseFirstByte, x.req.timeouts().FirstByte)
	x.body, err = h.client.RoundTrip(hr)
	disarm()
	if err != nil {
		return x.fail(ctx, err)
	}
	now := time.Now()
	resp.timing.FirstByte = max(now.Sub(resp.timing.Start), 1)
	if t := x.req.effective.trace; t != nil && t.GotFirstByte != nil {
		t.GotFirstByte(now)
	}
	raw, set := head2(x.body), x.req.settings()
	if len(raw) > set.maxHeader {
		return &ProtocolError{Raw: raw[:min(len(raw), 4096)], Reason: "head too long"}
	}
	if err := resp.head.parse(raw, set.maxLine); err != nil {
		return err
	}
	resp.head.defects = 0
	resp.StatusCode, resp.Proto = x.body.StatusCode, x.body.Proto
	return nil
}

// interim takes a 1xx response. Too many end the exchange.
func (x *stream2) interim(status int, header textproto.MIMEHeader) error {
	if x.interims++; x.interims > maxInterim {
		err := &ProtocolError{Reason: "too many interim responses"}
		x.cancel(err)
		return err
	}
	if t := x.req.effective.trace; t != nil && t.Got1xx != nil {
		t.Got1xx(status, http.Header(header))
	}
	return nil
}

// request is x.req in the standard library's form.
func (x *stream2) request(ctx context.Context) (*http.Request, error) {
	req := x.req
	if t := req.effective.trace; t != nil && t.WroteRequest != nil {
		defer func() { t.WroteRequest(time.Now()) }()
	}
	header := req.sentHeader()
	host := req.target.hostport
	if h := header.Get("Host"); h != "" {
		host = h
	}
	for _, name := range [...]string{"Host", "Connection", "Transfer-Encoding", "Content-Length", "Keep-Alive", "Upgrade"} {
		header.Del(name)
	}
	u := &url.URL{Scheme: "https", Host: req.target.hostport, Opaque: req.target.path}
	if strings.HasPrefix(u.Opaque, "//") {
		u = req.target.toURL()
	}
	hr := &http.Request{Method: req.Method, URL: u, Host: host, Header: header, Proto: "HTTP/2.0", ProtoMajor: 2}
	if req.Body != nil {
		rc, err := req.openBody()
		if err != nil {
			return nil, &PayloadError{Kind: PayloadRequest, Want: -1, Err: err}
		}
		hr.Body, hr.ContentLength = rc, req.Body.Size()
		if req.Compress != "" || hr.ContentLength < 0 {
			hr.ContentLength = -1
		}
	}
	return hr.WithContext(ctx), nil
}

// arm makes the exchange fail with a TimeoutError after limit, or at the end of
// Total if that is earlier, until it is disarmed.
func (x *stream2) arm(phase Phase, limit time.Duration) (disarm func()) {
	now := time.Now()
	d := x.req.phaseDeadline(now, limit)
	if d.IsZero() {
		return func() {}
	}
	if d.Equal(x.req.effective.deadline) {
		phase, limit = PhaseTotal, x.req.timeouts().Total
	}
	t := time.AfterFunc(d.Sub(now), func() { x.cancel(&TimeoutError{Phase: phase, Limit: limit}) })
	return func() { t.Stop() }
}

// armRate makes the exchange fail when no more came at the end of the window of
// MinRate, or of the next one if enough has come in this.
func (x *stream2) armRate(t *Timeout) (disarm func() bool) {
	if t.MinRate <= 0 {
		return alwaysTrue
	}
	left := rateWindow - x.stream.waited
	if float64(x.stream.windowed) >= float64(t.MinRate)*rateWindow.Seconds() {
		left += rateWindow
	}
	return time.AfterFunc(left, func() { x.cancel(&TimeoutError{Phase: PhaseRate, Limit: rateWindow}) }).Stop
}

// fail says why the exchange failed with err.
func (x *stream2) fail(ctx context.Context, err error) error {
	switch {
	case x.ctx.Err() != nil:
		return contextError(x.ctx)
	case ctx.Err() != nil:
		x.lost = true // it may be dead: rather a new one than another wait
		if pe := (*ProtocolError)(nil); errors.As(context.Cause(ctx), &pe) {
			return pe
		}
		return contextError(ctx)
	}
	x.lost = true
	return &DisconnectedError{Reused: true, Err: err}
}

// Read gives body bytes, waiting within the limits.
func (x *stream2) Read(p []byte) (int, error) {
	t, s := x.req.timeouts(), x.stream
	disarm := x.arm(PhaseIdle, t.Idle)
	disarmRate := x.armRate(t)
	start := time.Now()
	n, err := x.body.Body.Read(p)
	disarm()
	disarmRate()
	s.windowed += int64(n)
	s.waited += time.Since(start)
	if t.MinRate > 0 && s.tooSlow(t) && err == nil {
		err = &TimeoutError{Phase: PhaseRate, Limit: rateWindow}
		x.cancel(err)
	}
	if err != nil && err != io.EOF {
		if cause := context.Cause(x.body.Request.Context()); cause != nil {
			err = cause
		}
	}
	return n, err
}

// Close ends the stream, not the connection.
func (x *stream2) Close() error { return x.body.Body.Close() }

// head2 puts the head of an HTTP/2 response into the form of HTTP/1.
func head2(r *http.Response) []byte {
	var b bytes.Buffer
	b.WriteString("HTTP/2 " + strconv.Itoa(r.StatusCode) + " " + http.StatusText(r.StatusCode) + "\r\n")
	writeFields(&b, r.Header)
	b.WriteString("\r\n")
	return b.Bytes()
}

func writeFields(b *bytes.Buffer, h http.Header) {
	for _, f := range headerList(h) {
		b.WriteString(f.Name + ": " + f.Value + "\r\n")
	}
}

// readSource gives body bytes of an HTTP/2 stream.
func (s *Stream) readSource(p []byte) (int, error) {
	n, err := s.src.Read(p)
	if err == io.EOF {
		if x, ok := s.src.(*stream2); ok && len(x.body.Trailer) > 0 {
			var b bytes.Buffer
			if writeFields(&b, x.body.Trailer); b.Len() > s.resp.req.settings().maxHeader {
				return n, s.chunkError("trailer too long")
			}
			s.resp.trailer = slices.Clone(b.Bytes())
		}
		s.finish(io.EOF)
	}
	return n, err
}
