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
	"sync"
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
// lane, nil if it has none. The exchange counts as active already.
func (p *Pool) openStream(l *lane, h *http2Conn) *link {
	c := newLink(h.nc)
	c.h2, c.pool, c.lane, c.uses = h, p, l, 1
	err := h.client.Reserve()
	p.mu.Lock()
	defer p.unlock()
	if err != nil || p.closed {
		p.endStream(c)
		return nil
	}
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
	sctx, cancel := context.WithCancelCause(context.Background()) // no values: a httptrace in ctx is told by ours
	stop := context.AfterFunc(ctx, func() { cancel(context.Cause(ctx)) })
	c.used.Store(true)
	c.cancel = func() { cancel(ErrBodyClosed) }
	if t := e.trace; t != nil && t.GotConn != nil {
		t.GotConn(GotConn{Conn: c, Reused: c.uses > 0})
	}
	x := &stream2{ctx: ctx, cancel: cancel, req: req, resp: resp}
	end := func() {
		stop()
		x.patience.end()
		cancel(nil)
	}
	if err := x.run(sctx, h); err != nil {
		end()
		if x.lost {
			h.dead.Store(true)
		}
		_ = c.Close()
		return nil, err
	}
	s := &resp.stream
	s.held, s.conn, s.ctx = c, c, ctx
	s.stop = func() bool { end(); return true }
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
	ctx      context.Context
	cancel   context.CancelCauseFunc
	req      *Request
	resp     *Response
	body     *http.Response
	out      *sending     // nil: the request has no body
	lost     bool         // the connection is at fault
	patience patience     // with the peer while it takes the request, and for its answer
	wrote    atomic.Int64 // when the request was written, in nanoseconds since the start

	interims int // 1xx responses; of the connection's reader
}

func (x *stream2) run(ctx context.Context, h *http2Conn) error {
	hr, err := x.request(ctx)
	if err != nil {
		h.client.Release() // the stream reserved for it
		return err
	}
	told := &httptrace.ClientTrace{Got1xxResponse: x.interim}
	if x.out != nil {
		told.WroteHeaders, told.WroteRequest = x.wroteHeaders, x.wroteRequest
		x.await(PhaseFirstByte, x.req.timeouts().FirstByte)
	} else { // as good as written, and nobody is told of the answer before
		x.wroteHeaders()
		x.wroteRequest(httptrace.WroteRequestInfo{})
	}
	x.body, err = h.client.RoundTrip(hr.WithContext(httptrace.WithClientTrace(ctx, told)))
	x.patience.answer()
	if err != nil {
		return x.fail(ctx, err)
	}
	now, resp := time.Now(), x.resp
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
	if status == http.StatusContinue && x.out != nil {
		signal(x.out.wanted)
	}
	if t := x.req.effective.trace; t != nil && t.Got1xx != nil {
		t.Got1xx(status, http.Header(header))
	}
	return nil
}

func (x *stream2) wroteHeaders() {
	if t := x.req.effective.trace; t != nil && t.WroteHeaders != nil {
		t.WroteHeaders(time.Now())
	}
}

// wroteRequest begins the wait for the answer.
func (x *stream2) wroteRequest(info httptrace.WroteRequestInfo) {
	if info.Err != nil {
		return
	}
	now := time.Now()
	x.wrote.Store(int64(now.Sub(x.resp.timing.Start)))
	x.await(PhaseFirstByte, x.req.timeouts().FirstByte)
	if t := x.req.effective.trace; t != nil && t.WroteRequest != nil {
		t.WroteRequest(now)
	}
}

// request is x.req in the standard library's form.
func (x *stream2) request(ctx context.Context) (*http.Request, error) {
	req := x.req
	header, err := req.sentHeader()
	if err != nil {
		return nil, err
	}
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
		size := req.Body.Size()
		if req.Compress != "" || size < 0 {
			size = -1
		}
		x.out = newSending(rc, x, size)
		hr.Body, hr.ContentLength = x.out, size
	}
	return hr.WithContext(ctx), nil
}

// arm makes the exchange fail with a TimeoutError after limit, or at the end of
// Total if that is earlier, until it is disarmed.
func (x *stream2) arm(phase Phase, limit time.Duration) (disarm func() bool) {
	now := time.Now()
	d := x.req.phaseDeadline(now, limit)
	if d.IsZero() {
		return alwaysTrue
	}
	if d.Equal(x.req.effective.deadline) {
		phase, limit = PhaseTotal, x.req.timeouts().Total
	}
	return time.AfterFunc(d.Sub(now), func() { x.cancel(&TimeoutError{Phase: phase, Limit: limit}) }).Stop
}

// await arms for a phase of sending, in place of the one before.
func (x *stream2) await(phase Phase, limit time.Duration) {
	p := &x.patience
	p.Lock()
	defer p.Unlock()
	p.stop()
	if p.over || p.answered && phase != PhaseWrite {
		return
	}
	p.phase, p.disarm = phase, x.arm(phase, limit)
}

// patience is the limit in force on the phase of sending that is under way. Who sends
// and who waits for the answer are two goroutines.
type patience struct {
	sync.Mutex
	phase    Phase
	disarm   func() bool // nil: there is none
	answered bool        // the head of the response has come
	over     bool        // and its body has ended
}

func (p *patience) stop() {
	if p.disarm != nil {
		p.disarm()
		p.disarm = nil
	}
}

// answer ends the wait for the head. A body may still be on its way out.
func (p *patience) answer() {
	p.Lock()
	defer p.Unlock()
	if p.answered = true; p.phase != PhaseWrite {
		p.stop()
	}
}

func (p *patience) end() {
	p.Lock()
	defer p.Unlock()
	p.over = true
	p.stop()
}

// sending is the body of a request while HTTP/2 takes it piece by piece: when more is
// asked for, the peer has taken what went before.
type sending struct {
	rc     io.ReadCloser
	x      *stream2
	size   int64 // -1: not known
	n      atomic.Int64
	failed atomic.Pointer[PayloadError] // the fault of the body itself

	hold   time.Duration // how long the server may take to say that it wants the body
	wanted chan struct{} // of capacity 1: it does
	closed chan struct{}
	once   sync.Once
}

func newSending(rc io.ReadCloser, x *stream2, size int64) *sending {
	return &sending{rc: rc, x: x, size: size, hold: x.req.Expect100, wanted: make(chan struct{}, 1), closed: make(chan struct{})}
}

func (b *sending) Read(p []byte) (int, error) {
	b.x.await(PhaseTotal, NoTimeout) // how long our own body takes is not the peer's fault
	if b.hold > 0 {
		t := time.NewTimer(b.hold)
		defer t.Stop()
		b.hold = 0
		select {
		case <-b.wanted:
		case <-t.C:
		case <-b.closed:
			return 0, net.ErrClosed
		}
	}
	n, err := b.rc.Read(p)
	sent := b.n.Add(int64(n))
	switch {
	case b.size >= 0 && sent > b.size:
		err = errLongBody
	case err == io.EOF && sent < b.size:
		err = io.ErrUnexpectedEOF
	}
	if n > 0 {
		b.x.req.effective.trace.wroteBody(n)
	}
	if err != nil && err != io.EOF {
		return n, b.fail(err)
	}
	b.x.await(PhaseWrite, b.x.req.timeouts().Idle)
	return n, err
}

// fail notes what is wrong with the body, unless reading it failed for being closed.
func (b *sending) fail(err error) error {
	select {
	case <-b.closed:
	default:
		b.failed.Store(&PayloadError{Kind: PayloadRequest, Got: b.n.Load(), Want: b.size, Err: err})
	}
	return err
}

// Close ends a Read that waits.
func (b *sending) Close() error {
	b.once.Do(func() { close(b.closed) })
	return b.rc.Close()
}

// armRate makes the exchange fail when no more came at the end of the window of
// MinRate, or of the next one if enough has come in this.
func (x *stream2) armRate(t *Timeout) (disarm func() bool) {
	if t.MinRate <= 0 {
		return alwaysTrue
	}
	left := rateWindow - x.resp.stream.waited
	if float64(x.resp.stream.windowed) >= float64(t.MinRate)*rateWindow.Seconds() {
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
	case x.out != nil && x.out.failed.Load() != nil:
		return x.out.failed.Load()
	}
	x.lost = true
	return &DisconnectedError{Reused: true, Err: err}
}

// Read gives body bytes, waiting within the limits.
func (x *stream2) Read(p []byte) (int, error) {
	t, s := x.req.timeouts(), &x.resp.stream
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
		if x := s.resp.stream2(); x != nil && len(x.body.Trailer) > 0 {
			var b bytes.Buffer
			if writeFields(&b, x.body.Trailer); b.Len() > s.resp.req.settings().maxHeader {
				return n, s.chunkError("trailer too long")
			}
			s.resp.trailer = slices.Clone(b.Bytes())
		}
		s.finish()
	}
	return n, err
}
