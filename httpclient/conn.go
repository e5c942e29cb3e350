package httpclient

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// Conn is a connection that a [Connector] handed out, for as long as it is handed
// out: it ends with Close, Release or Detach, whichever is called first. Further
// calls do nothing, at whatever time and from whatever goroutine they come, even when
// somebody else has the socket by then.
type Conn struct {
	*link
	state atomic.Uint32
	used  atomic.Bool // by a request, which gives it back itself
}

// States of a Conn.
const (
	connBusy uint32 = iota
	connReleased
	connClosed
	connDetached
)

// link is what is behind one Conn after another: the socket, and its place in the
// pool. Whoever holds the Conn that is in use reads and writes it.
type link struct {
	nc   net.Conn
	tls  *tls.ConnectionState // nil without TLS
	h2   *http2Conn           // nil with HTTP/1
	pool *Pool                // nil for a connection that is not pooled
	lane *lane

	broken bool   // not to be used for another request
	cancel func() // ends the stream of HTTP/2, if there is one
	uses   int    // requests sent

	// Written under the pool's lock.
	expires          time.Time
	neighbours[link]       // among the idle, the busy or the doomed
	above, below     *link // in the lane's stack of idle ones
	handed           *handed

	// serverLimit is what the last response's Keep-Alive field allows; 0: nothing said.
	serverLimit time.Duration

	in      input
	wire    io.Writer // gets every byte consumed of in; nil: none
	wireErr error     // of wire, which gets nothing more then
	came    int64     // bytes that readNet gave
	socket  socket

	// The deadline is set by the user of the connection, and at any time by the
	// end of its context: interrupted then keeps later ones from undoing that.
	//
	// To set it costs as much as a short read. One for reading that only moves on is
	// left where it is, and a read that runs into it looks whether its time is over.
	deadline struct {
		sync.Mutex
		interrupted bool
		head        bool      // an upload is under way, and the head of the response has not come
		set         time.Time // on the socket, for reading
		read        time.Time // as meant: set, or later; zero for none
	}
	onCancel func() // interrupt, made once
}

func newLink(nc net.Conn) *link {
	c := &link{nc: nc}
	c.onCancel = c.interrupt
	if t, ok := nc.(*tls.Conn); ok {
		state := t.ConnectionState()
		c.tls = &state
	}
	return c
}

// NetConn returns the socket, or the TLS connection over it. It must not be read
// from or written to while the connection is in the client's hands.
func (c *Conn) NetConn() net.Conn { return c.nc }

// TLS returns the state of the TLS connection, nil without TLS.
func (c *Conn) TLS() *tls.ConnectionState { return c.tls }

// Proto returns "HTTP/1.1" or "HTTP/2.0".
func (c *Conn) Proto() string {
	if c.h2 != nil {
		return "HTTP/2.0"
	}
	return "HTTP/1.1"
}

// Reused reports whether the connection has served a request before.
func (c *Conn) Reused() bool { return c.uses > 1 }

// Closed reports whether the connection was closed, released or detached.
func (c *Conn) Closed() bool { return c.state.Load() != connBusy }

// Close closes the connection and frees its slot.
func (c *Conn) Close() error {
	if !c.state.CompareAndSwap(connBusy, connClosed) {
		return nil
	}
	err := c.closeNet()
	if c.pool != nil {
		c.pool.forget(c.link)
	}
	return err
}

// discard is Close by who reads from the connection, and gives back its buffer too.
func (c *Conn) discard() {
	_ = c.Close()
	if s := c.state.Load(); s == connClosed {
		c.in.free()
	}
}

// Release gives the connection back to its pool, or closes it if it cannot serve
// another request: when a request is under way, whose response gives it back at its
// end, or bytes have come that belong to none.
func (c *Conn) Release() {
	switch {
	case c.Closed():
	case c.used.Load():
		_ = c.Close() // somebody may be reading
	default:
		c.giveBack(time.Now())
	}
}

// giveBack is Release by who reads from the connection.
func (c *Conn) giveBack(now time.Time) {
	if c.h2 == nil && c.broken || c.pool == nil || c.in.len() > 0 || c.in.err != nil {
		c.discard()
		return
	}
	c.in.free()
	if c.state.CompareAndSwap(connBusy, connReleased) {
		c.pool.release(c.link, now)
	}
}

// Detach takes the connection out of the client: its slot is free, and the caller
// owns the socket. What was read from it already comes from the reader. Both are
// nil if the connection is closed or released, or of HTTP/2. Nobody may be reading.
func (c *Conn) Detach() (net.Conn, *bufio.Reader) {
	if c.h2 != nil || !c.state.CompareAndSwap(connBusy, connDetached) {
		return nil, nil
	}
	r := bufio.NewReader(c.nc)
	if n := c.in.len(); n > 0 {
		rest := append([]byte(nil), c.in.bytes()...)
		r = bufio.NewReaderSize(io.MultiReader(&onceReader{rest}, c.nc), max(n, 4096))
		_, _ = r.Peek(n) // so that Buffered tells of them
	}
	c.in.free()
	if c.pool != nil {
		c.pool.forget(c.link)
	}
	c.setDeadline(time.Time{})
	return c.nc, r
}

type onceReader struct{ b []byte }

func (r *onceReader) Read(p []byte) (int, error) {
	if len(r.b) == 0 {
		return 0, io.EOF
	}
	n := copy(p, r.b)
	r.b = r.b[n:]
	return n, nil
}

func (c *Conn) closeNet() error {
	if c.h2 == nil {
		return c.nc.Close()
	}
	if c.cancel != nil {
		c.cancel()
	}
	return nil
}

// interrupt makes all reads and writes fail from now on.
func (c *link) interrupt() {
	c.deadline.Lock()
	defer c.deadline.Unlock()
	c.deadline.interrupted = true
	_ = c.nc.SetDeadline(time.Unix(1, 0))
}

// watch lets the end of ctx interrupt the connection, until stop is called. A
// false result of stop means that this has begun, and the connection is lost.
func (c *link) watch(ctx context.Context) (stop func() bool) {
	if ctx.Done() == nil {
		return alwaysTrue
	}
	return context.AfterFunc(ctx, c.onCancel)
}

func alwaysTrue() bool { return true }

// setDeadline sets the time limit for reads and writes; zero for none.
func (c *link) setDeadline(t time.Time) {
	c.deadline.Lock()
	defer c.deadline.Unlock()
	if !c.deadline.interrupted {
		c.deadline.set, c.deadline.read = t, t
		_ = c.nc.SetDeadline(t)
	}
}

// setReadDeadline sets the time limit for reads; zero for none.
func (c *link) setReadDeadline(t time.Time) {
	c.deadline.Lock()
	defer c.deadline.Unlock()
	c.moveReadDeadline(t)
}

// awaitHead says whether setHeadDeadline still counts.
func (c *link) awaitHead(on bool) {
	c.deadline.Lock()
	defer c.deadline.Unlock()
	c.deadline.head = on
}

// setHeadDeadline is setReadDeadline for who sends the body, while somebody else reads.
func (c *link) setHeadDeadline(t time.Time) {
	c.deadline.Lock()
	defer c.deadline.Unlock()
	if c.deadline.head {
		c.moveReadDeadline(t)
	}
}

func (c *link) moveReadDeadline(t time.Time) {
	if !c.deadline.interrupted {
		c.deadline.set, c.deadline.read = t, t
		_ = c.nc.SetReadDeadline(t)
	}
}

// readBy is setReadDeadline for who reads from now on, until the next such call.
func (c *link) readBy(now, t time.Time) {
	c.deadline.Lock()
	defer c.deadline.Unlock()
	if set := c.deadline.set; set.After(now) && (t.IsZero() || !set.After(t)) || set.IsZero() && t.IsZero() {
		c.deadline.read = t
		return
	}
	c.moveReadDeadline(t)
}

// tooEarly reports whether err, of a read, is that of a deadline that should have moved
// on meanwhile, and moves it.
func (c *link) tooEarly(err error) bool {
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return false
	}
	c.deadline.Lock()
	defer c.deadline.Unlock()
	if c.deadline.interrupted || c.deadline.set.Equal(c.deadline.read) {
		return false
	}
	c.moveReadDeadline(c.deadline.read)
	return true
}

func (c *link) setWriteDeadline(t time.Time) {
	c.deadline.Lock()
	defer c.deadline.Unlock()
	if !c.deadline.interrupted {
		_ = c.nc.SetWriteDeadline(t)
	}
}

// input is the read side of a connection: a buffer that is borrowed from a pool
// while there is something to read.
type input struct {
	buf  []byte
	r, w int
	lent *[inputSize]byte // what buf is, if it came from the pool
	err  error            // of the last read; sticky
}

const inputSize = 16 << 10

var inputBuffers = sync.Pool{New: func() any { return new([inputSize]byte) }}

func (in *input) len() int      { return in.w - in.r }
func (in *input) bytes() []byte { return in.buf[in.r:in.w] }

func (in *input) free() {
	if in.lent != nil {
		inputBuffers.Put(in.lent)
	}
	err := in.err
	*in = input{err: err}
}

// room makes space for more behind what is unread. It grows the buffer when it
// is full, and never beyond limit bytes; at that it returns false.
func (in *input) room(limit int) bool {
	switch {
	case in.buf == nil:
		in.lent = inputBuffers.Get().(*[inputSize]byte)
		in.buf = in.lent[:]
	case in.r == in.w:
		in.r, in.w = 0, 0
	case in.w < len(in.buf):
	case in.r > 0:
		in.w = copy(in.buf, in.buf[in.r:in.w])
		in.r = 0
	case len(in.buf) >= limit:
		return false
	default:
		bigger := make([]byte, min(2*len(in.buf), limit))
		in.w = copy(bigger, in.buf[:in.w])
		if in.lent != nil {
			inputBuffers.Put(in.lent)
			in.lent = nil
		}
		in.buf = bigger
	}
	return true
}

// errInputFull is the answer of fill when the buffer may not grow.
var errInputFull = errors.New("input buffer is full")

// fill reads once from the connection, behind what is unread.
func (c *link) fill(limit int) error {
	in := &c.in
	if in.err != nil {
		return in.err
	}
	if !in.room(limit) {
		return errInputFull
	}
	n, err := c.readNet(in.buf[in.w:])
	in.w += n
	if err != nil {
		in.err = err
		if n > 0 {
			return nil
		}
	} else if n == 0 {
		return c.fill(limit)
	}
	return err
}

// readNet reads once.
func (c *link) readNet(p []byte) (int, error) {
	for {
		n, err := c.nc.Read(p)
		c.came += int64(n)
		if n > 0 || err == nil || !c.tooEarly(err) {
			return n, err
		}
	}
}

// consume takes n bytes of the buffer, which stay valid until the next read.
func (c *link) consume(n int) []byte {
	b := c.in.buf[c.in.r : c.in.r+n]
	c.in.r += n
	c.record(b)
	return b
}

// record passes on what was taken of the input. Who reads looks at wireErr.
func (c *link) record(b []byte) {
	if c.wire != nil && c.wireErr == nil && len(b) > 0 {
		c.wireErr = tee(c.wire, "Wire", b)
	}
}

// read gives what is there, at least a byte, reading once if need be.
func (c *link) read(p []byte) (int, error) {
	in := &c.in
	if in.len() == 0 {
		if in.err != nil {
			return 0, in.err
		}
		if len(p) >= inputSize/2 {
			n, err := c.readNet(p)
			c.record(p[:n])
			if err != nil {
				in.err = err
				if n > 0 {
					err = nil
				}
			}
			return n, err
		}
		if err := c.fill(inputSize); err != nil {
			return 0, err
		}
	}
	n := min(len(p), in.len())
	copy(p, c.consume(n))
	return n, nil
}

// send writes b to the connection, and what went out to out, if there is one.
func (c *link) send(b []byte, out io.Writer) error {
	n, err := c.nc.Write(b)
	if out == nil || n == 0 {
		return err
	}
	if terr := tee(out, "WireOut", b[:n]); terr != nil {
		return terr
	}
	return err
}

// ioError says what a failed read or write of the connection means to the caller.
func (c *link) ioError(ctx context.Context, op string, err error) error {
	switch {
	case ctx.Err() != nil:
		return contextError(ctx)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return err // the caller knows which limit it set
	case c.pool != nil && errors.Is(err, net.ErrClosed) && c.pool.Closed():
		return ErrConnectorClosed
	case errors.Is(err, io.EOF):
		return err
	}
	return &OSError{Op: op, Err: err}
}
