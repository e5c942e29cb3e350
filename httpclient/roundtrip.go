package httpclient

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
)

// roundTrip sends req on c and reads the head of the response. Whatever happens,
// the connection is the response's or closed afterwards.
func (c *Conn) roundTrip(ctx context.Context, req *Request) (*Response, error) {
	if c.h2 != nil {
		return c.h2.roundTrip(ctx, c, req)
	}
	c.uses++
	c.used.Store(true)
	e := &req.effective
	resp := &Response{Method: req.Method, URL: req.target.url, req: req, netConn: c, remote: c.nc.RemoteAddr()}
	resp.Body = &resp.stream
	resp.stream.resp = resp
	start := e.got
	if start.IsZero() {
		start = time.Now()
	}
	resp.timing = Timing{Start: start, PoolWait: e.poolWait, DNS: e.dns, Dial: e.dial, TLS: e.tls, Reused: c.Reused()}
	if t := e.trace; t != nil && t.GotConn != nil {
		t.GotConn(GotConn{Conn: c, Reused: c.Reused()})
	}
	c.serverLimit = 0
	c.wire, c.wireErr = req.Wire, nil
	x := &resp.exchange
	*x = exchange{c: c, ctx: ctx, req: req, resp: resp}
	stop := c.watch(ctx)
	if err := x.run(stop); err != nil {
		stop()
		resp.upload.end()
		c.discard()
		return nil, err
	}
	return resp, nil
}

// exchange is one request and the head of its response.
type exchange struct {
	c    *Conn
	ctx  context.Context
	req  *Request
	resp *Response
	out  outgoing
}

func (x *exchange) run(stop func() bool) (err error) {
	if x.out, err = x.req.plan(); err != nil {
		return err
	}
	werr := x.write()
	if werr != nil && !mayHaveAnswered(werr) {
		return x.writeError(werr)
	}
	if err := x.readHead(); err != nil {
		if werr != nil {
			return x.disconnected(werr)
		}
		return err
	}
	if werr != nil {
		x.c.broken = true
	}
	if x.resp.upload != nil {
		x.c.awaitHead(false)
	}
	return x.respond(stop)
}

// mayHaveAnswered reports whether the peer may have answered a request that could not be
// written because of err: it listens no more, as far as is known. Otherwise time was
// short, the fault is our own, or the answer has been looked at and is none.
func mayHaveAnswered(err error) bool {
	var pe *ProtocolError
	return !errors.Is(err, os.ErrDeadlineExceeded) && !isOwnFault(err) && !errors.As(err, &pe)
}

// isOwnFault reports whether a request could not be written for what is in it, or for
// who looks on.
func isOwnFault(err error) bool {
	var pe *PayloadError
	return errors.As(err, &pe) || errors.Is(err, ErrInvalidRequest) || isTeeError(err)
}

func (x *exchange) writeError(err error) error {
	var pe *ProtocolError
	switch {
	case isOwnFault(err), errors.As(err, &pe):
		return err
	case errors.Is(err, os.ErrDeadlineExceeded):
		return x.req.deadlineError(x.ctx, PhaseWrite, x.req.timeouts().FirstByte)
	}
	return x.c.ioError(x.ctx, "write", err)
}

// write sends the head and a short body in memory; another is left to a goroutine.
func (x *exchange) write() error {
	c, req := x.c, x.req
	buffer := outBuffers.Get().(*[]byte)
	defer func() {
		*buffer = (*buffer)[:0]
		outBuffers.Put(buffer)
	}()
	forceClose := c.pool != nil && c.pool.cfg.ForceClose
	b, err := req.appendHead(*buffer, x.out, forceClose)
	if err != nil {
		return err
	}
	expects := x.out.body != nil && req.Expect100 > 0 && req.version() != HTTP10
	data, inline := x.out.inline()
	if inline && !expects {
		b = append(b, data...)
	}
	if cap(b) <= inlineBody {
		*buffer = b
	}
	until := req.phaseDeadline(x.resp.timing.Start, req.timeouts().FirstByte)
	if c.socket.plain && req.WireOut == nil && req.effective.trace == nil && !expects && (inline || x.out.body == nil) {
		return x.ask(b, until)
	}
	c.setDeadline(until)
	if err := c.send(b, req.WireOut); err != nil {
		return err
	}
	if t := req.effective.trace; t != nil && t.WroteHeaders != nil {
		t.WroteHeaders(time.Now())
	}
	switch {
	case expects:
		if answered, err := x.awaitContinue(); answered || err != nil {
			return err
		}
		return x.upload()
	case x.out.body != nil && !inline:
		return x.upload()
	case inline:
		x.resp.sent = x.out.size
		req.effective.trace.wroteBody(int(x.out.size))
	}
	x.wrote()
	return nil
}

// ask sends all of a request that nobody watches, and waits for the first of the answer.
func (x *exchange) ask(b []byte, until time.Time) error {
	timing := &x.resp.timing
	wrote, err := x.c.ask(b, timing.Start, until)
	if err != nil {
		return err
	}
	timing.Wrote = wrote.Sub(timing.Start)
	if x.out.body != nil {
		x.resp.sent = x.out.size
	}
	if x.c.in.len() > 0 {
		x.gotByte()
	}
	return nil
}

// upload starts sending the body; the limit for the head of the response counts from its
// end, unless the head comes before.
func (x *exchange) upload() (err error) {
	c, req := x.c, x.req
	c.setReadDeadline(req.effective.deadline)
	c.awaitHead(true)
	start := x.resp.timing.Start
	x.resp.upload, err = startUpload(c, req, x.out, func(u *upload) {
		now := time.Now()
		u.wrote.Store(int64(now.Sub(start)))
		c.setHeadDeadline(req.phaseDeadline(now, req.timeouts().FirstByte))
		x.traceWrote(now)
	})
	return err
}

func (x *exchange) wrote() {
	now := time.Now()
	x.resp.timing.Wrote = now.Sub(x.resp.timing.Start)
	x.traceWrote(now)
}

func (x *exchange) traceWrote(now time.Time) {
	if t := x.req.effective.trace; t != nil && t.WroteRequest != nil {
		t.WroteRequest(now)
	}
}

// awaitContinue waits, after a head with Expect, for the server's word. It reports
// whether that is a final response, which makes the body needless.
func (x *exchange) awaitContinue() (final bool, err error) {
	c := x.c
	c.setReadDeadline(x.req.phaseDeadline(time.Now(), x.req.Expect100))
	defer c.setReadDeadline(x.req.phaseDeadline(time.Now(), x.req.timeouts().FirstByte))
	for {
		raw, err := x.nextHead()
		if err != nil {
			if errors.Is(c.in.err, os.ErrDeadlineExceeded) && x.ctx.Err() == nil {
				c.in.err = nil // patience ends: send it
				return false, nil
			}
			return false, err
		}
		h := &x.resp.head
		if err := h.parse(raw, x.req.settings().maxLine); err != nil {
			return false, err
		}
		if h.status >= 200 || h.status == 101 {
			c.broken = true // the server may still wait for the body
			return true, nil
		}
		status := h.status
		if x.interim(); c.wireErr != nil {
			return false, c.wireErr
		}
		if status == 100 {
			return false, nil
		}
	}
}

// interim takes a 1xx response from the input.
func (x *exchange) interim() {
	h := &x.resp.head
	if t := x.req.effective.trace; t != nil && t.Got1xx != nil {
		t.Got1xx(h.status, h.httpHeader())
	}
	x.c.consume(len(h.raw))
	*h = head{defects: h.defects}
}

// readHead reads up to the final response's head.
func (x *exchange) readHead() error {
	h := &x.resp.head
	for range maxInterim {
		raw, err := x.nextHead()
		if err != nil {
			return err
		}
		if h.raw == nil {
			if err := h.parse(raw, x.req.settings().maxLine); err != nil {
				return err
			}
		}
		if h.status >= 200 || h.status < 100 || h.status == 101 {
			h.raw = bytes.Clone(raw)
			x.c.consume(len(raw))
			return x.c.wireErr
		}
		if x.interim(); x.c.wireErr != nil {
			return x.c.wireErr
		}
	}
	return &ProtocolError{Reason: "too many interim responses"}
}

// nextHead waits for a whole head and returns it, still in the input buffer.
func (x *exchange) nextHead() ([]byte, error) {
	c, looked := x.c, 0
	limit := x.req.settings().maxHeader
	for {
		b := c.in.bytes()
		if n := skipBlank(b); n > 0 && looked == 0 {
			x.resp.head.defects |= DefectLeadingBlank
			c.consume(n)
			if b = c.in.bytes(); n > 4096 {
				return nil, x.malformed(b, "blank lines without end")
			}
		}
		if len(b) > 0 && !looksLikeHTTP(b) {
			return nil, x.malformed(b, "not HTTP")
		}
		end, next := headEnd(b, looked)
		if end > 0 {
			if end > limit {
				return nil, x.malformed(b, "head too long")
			}
			return b[:end], nil
		}
		looked = next
		if len(b)-looked > x.req.settings().maxLine {
			return nil, x.malformed(b, "header field too long")
		}
		if err := c.fill(limit); err != nil {
			return nil, x.headError(err)
		}
		x.gotByte()
	}
}

func (x *exchange) malformed(b []byte, reason string) error {
	return &ProtocolError{Raw: bytes.Clone(b[:min(len(b), 4096)]), Reason: reason}
}

// gotByte notes the arrival of the response.
func (x *exchange) gotByte() {
	timing := &x.resp.timing
	if timing.FirstByte != 0 {
		return
	}
	now := time.Now()
	timing.FirstByte = max(now.Sub(timing.Start), 1)
	if t := x.req.effective.trace; t != nil && t.GotFirstByte != nil {
		t.GotFirstByte(now)
	}
}

// headError says why no head came.
func (x *exchange) headError(err error) error {
	c := x.c
	if err := x.resp.upload.failure(); err != nil && !mayHaveAnswered(err) {
		return err
	}
	switch {
	case x.ctx.Err() != nil:
		return contextError(x.ctx)
	case errors.Is(err, errInputFull):
		return x.malformed(c.in.bytes(), "head too long")
	case errors.Is(err, os.ErrDeadlineExceeded):
		return x.req.deadlineError(x.ctx, PhaseFirstByte, x.req.timeouts().FirstByte)
	}
	return x.disconnected(err)
}

// disconnected is the error of a connection that ended without a response.
func (x *exchange) disconnected(err error) error {
	c := x.c
	if ioErr := c.ioError(x.ctx, "read", err); errors.Is(ioErr, ErrConnectorClosed) || x.ctx.Err() != nil {
		return ioErr
	} else if err != io.EOF {
		err = ioErr
	}
	b := c.in.bytes()
	return &DisconnectedError{Partial: bytes.Clone(b[:min(len(b), 4096)]), Reused: c.Reused(), answered: x.resp.timing.FirstByte != 0, Err: err}
}

// respond makes the response usable, its head being read.
func (x *exchange) respond(stop func() bool) error {
	c, req, resp := x.c, x.req, x.resp
	h := &resp.head
	resp.StatusCode, resp.Proto = h.status, h.proto()
	frame, length, codings := h.frame(req.Method, !req.NoReadUntilEOF)
	resp.keepConn = h.keepsAlive() && frame != byClose && !closes(req)
	if frame == noBody && resp.StatusCode != 101 && c.in.len() > 0 {
		resp.keepConn = false
	}
	if resp.keepConn {
		resp.keepConn = x.serverLimit()
	}
	c.socket.long = frame == byLength && length > inputSize
	s := &resp.stream
	s.held, s.conn, s.ctx, s.stop, s.tee = c, c, x.ctx, stop, req.RawBody
	if resp.StatusCode == 101 {
		// The connection changes hands: what follows is not HTTP.
		resp.keepConn = false
		s.frame, s.length = byClose, -1
		return nil
	}
	if !req.NoDecompress && !req.settings().noDecompress && frame != noBody {
		if coding := resp.ContentEncoding(); coding != "" {
			codings = joinCodings(coding, codings)
		}
	}
	return s.start(frame, length, codings)
}

func joinCodings(content, transfer string) string {
	if transfer == "" {
		return content
	}
	return content + "," + transfer
}

// closes reports whether the request said that the connection ends with it.
func closes(req *Request) bool {
	v := req.Header.Get("Connection")
	if req.version() == HTTP10 {
		return !strings.EqualFold(v, "keep-alive")
	}
	return v != "" && strings.Contains(strings.ToLower(v), "close")
}

// serverLimit reads Keep-Alive: timeout=n. The connection is given up a second
// before the server does; false if that leaves no time.
func (x *exchange) serverLimit() bool {
	v, ok := x.resp.head.get("keep-alive")
	if !ok {
		return true
	}
	for _, p := range strings.Split(string(v), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(p), "=")
		n, err := strconv.Atoi(strings.Trim(value, ` "`))
		switch {
		case err != nil:
		case strings.EqualFold(strings.TrimSpace(name), "timeout") && n >= 0:
			if n <= 1 {
				return false
			}
			x.c.serverLimit = time.Duration(min(n, 1<<20)-1) * time.Second
		case strings.EqualFold(strings.TrimSpace(name), "max") && n <= 0:
			return false
		}
	}
	return true
}

// proto returns the version as the status line has it.
func (h *head) proto() string {
	if h.major == 1 {
		switch h.minor {
		case 0:
			return "HTTP/1.0"
		case 1:
			return "HTTP/1.1"
		}
	}
	return "HTTP/" + strconv.Itoa(h.major) + "." + strconv.Itoa(h.minor)
}
