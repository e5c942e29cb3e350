package httpclient

import (
	"crypto/tls"
	"errors"
	"net"
	"os"
	"syscall"
	"time"
)

// socket is the file descriptor of a connection that serves its second request, for what net.Conn cannot do.
type socket struct {
	raw    syscall.RawConn // nil: not looked for yet, or the connection shows none
	opened bool
	plain  bool // what the connection carries is what the socket carries: no TLS, no wrapper

	probe func(fd uintptr)
	quiet bool // result of probe: open and nothing to read

	// long is the guess that the next answer, like the last, is too long for the input buffer: then what is read along
	// with its head would only be copied once more.
	long bool

	// Of ask, whose step is tried whenever the socket is readable.
	step  func(fd uintptr) bool
	out   []byte // still to be written
	in    []byte // where to read to
	n     int    // bytes read
	werr  error
	rerr  error
	wrote time.Time // when all of out had been written; zero before
}

func (s *socket) open(nc net.Conn) {
	s.opened = true
	outer := nc
	for {
		inner, ok := nc.(interface{ NetConn() net.Conn })
		if !ok {
			break
		}
		nc = inner.NetConn()
	}
	sc, ok := nc.(syscall.Conn)
	if !ok {
		return
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return
	}
	s.raw = raw
	s.probe = func(fd uintptr) { s.quiet = isQuiet(fd) }
	switch outer.(type) {
	case *net.TCPConn, *net.UnixConn:
		s.plain = canAsk
		s.step = s.writeThenRead
	}
}

// alive reports whether an idle connection is still good: open, and nothing has come unasked.
func (c *link) alive() bool {
	if c.h2 != nil {
		return true
	}
	s := &c.socket
	if !s.opened {
		s.open(c.nc)
	}
	return s.raw == nil || s.raw.Control(s.probe) == nil && s.quiet && c.decryptedAll()
}

// decryptedAll reports whether TLS keeps back nothing: it reads the socket in pieces of its own, and what came along with
// the last response, a farewell too, is seen no more at the socket. A deadline in the past keeps it from reading on, which
// only a socket can be trusted with: not every net.Conn that a Dial gives has deadlines.
func (c *link) decryptedAll() bool {
	t, ok := c.nc.(*tls.Conn)
	if !ok {
		return true
	}
	c.setReadDeadline(time.Unix(1, 0))
	var b [1]byte
	n, err := t.Read(b[:])
	return n == 0 && errors.Is(err, os.ErrDeadlineExceeded)
}

// headRead is how much is read at first of an answer that is expected to be long.
const headRead = 4 << 10

// ask writes b, waits for the answer and reads its first bytes into the input, all in one visit to the socket. Write
// and Read begin the wait with a read that finds nothing, which is a fifth of the system calls of a short exchange.
// It is for a socket that is plain, and nothing unread. The error is of the writing; one of the reading is kept for
// fill. wrote is when the writing was done. The answer is waited for until the given time, from now on.
func (c *link) ask(b []byte, now, until time.Time) (wrote time.Time, err error) {
	c.readBy(now, until)
	s, in := &c.socket, &c.in
	in.room(inputSize)
	room := in.buf[in.w:]
	if s.long {
		room = room[:headRead]
	}
	s.out, s.in, s.n, s.werr, s.rerr, s.wrote = b, room, 0, nil, nil, time.Time{}
	for err = s.raw.Read(s.step); err != nil && c.tooEarly(err); {
		err = s.raw.Read(s.step)
	}
	in.w += s.n
	rest := s.out
	s.out, s.in = nil, nil
	switch {
	case s.werr != nil:
		return s.wrote, &net.OpError{Op: "write", Net: c.nc.RemoteAddr().Network(), Addr: c.nc.RemoteAddr(), Err: s.werr}
	case s.rerr != nil:
		in.err = s.rerr
	case !s.wrote.IsZero():
		in.err = err
	case err != nil: // closed, or its time is over
		return s.wrote, err
	default: // the socket took no more for now
		c.setDeadline(until)
		_, err = c.nc.Write(rest)
		return time.Now(), err
	}
	return s.wrote, nil
}
