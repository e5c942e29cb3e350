//go:build unix

package httpclient

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestSecondRequest: the second request of a connection goes out, and its answer comes in, by ask. Whatever the server
// does with it, the outcome is that of a first request.
func TestSecondRequest(t *testing.T) {
	long := strings.Repeat("0123456789abcdef", 5<<10)
	for _, v := range []struct {
		name  string
		serve func(c net.Conn, r *bufio.Reader)
		opts  []RequestOption
		check func(resp *Response, body []byte, err error) bool
	}{
		{"short", func(c net.Conn, _ *bufio.Reader) { _, _ = io.WriteString(c, ok("hello")) }, nil, gives("hello")},
		{"byte by byte", func(c net.Conn, _ *bufio.Reader) {
			for _, b := range []byte(ok("hello")) {
				_, _ = c.Write([]byte{b})
			}
		}, nil, gives("hello")},
		{"long", func(c net.Conn, _ *bufio.Reader) { _, _ = io.WriteString(c, ok(long)) }, nil, gives(long)},
		{"ends at once", func(net.Conn, *bufio.Reader) {}, []RequestOption{noRetry()}, fails(ErrServerDisconnected)},
		{"ends within the head", func(c net.Conn, _ *bufio.Reader) { _, _ = io.WriteString(c, "HTTP/1.1 20") }, nil, fails(ErrServerDisconnected)},
		{"reset", func(c net.Conn, _ *bufio.Reader) { _ = c.(*net.TCPConn).SetLinger(0) }, []RequestOption{noRetry()}, fails(syscall.ECONNRESET)},
		{"silent", func(_ net.Conn, r *bufio.Reader) { _, _ = r.ReadByte() }, []RequestOption{WithTimeout(Timeout{FirstByte: time.Millisecond})}, fails(ErrServerTimeout)},
	} {
		t.Run(v.name, func(t *testing.T) {
			srv := serveRaw(t, func(s *rawServer, c net.Conn) {
				r := bufio.NewReader(c)
				if _, err := s.read(r); err != nil {
					return
				}
				_, _ = io.WriteString(c, ok(long)) // long, so that the next is expected to be
				if _, err := s.read(r); err == nil {
					v.serve(c, r)
				}
			})
			s := newSession(t, Config{})
			fetch(t, s, srv.URL)
			resp, err := s.Get(t.Context(), srv.URL, v.opts...)
			var body []byte
			if err == nil {
				if !resp.Timing().Reused || resp.Timing().Wrote <= 0 || resp.Timing().FirstByte < resp.Timing().Wrote {
					t.Errorf("timing %+v", resp.Timing())
				}
				body, err = resp.Bytes()
			}
			if !v.check(resp, body, err) {
				t.Errorf("%d bytes, %v", len(body), err)
			}
		})
	}
}

func gives(want string) func(*Response, []byte, error) bool {
	return func(_ *Response, body []byte, err error) bool { return err == nil && string(body) == want }
}

func fails(class error) func(*Response, []byte, error) bool {
	return func(_ *Response, _ []byte, err error) bool { return errors.Is(err, class) }
}

// noRetry is a request that shows what its first attempt ended with.
func noRetry() RequestOption { return option(func(r *Request) { r.NoRetryStale = true }) }

// TestSecondRequestCancelled: the end of the context ends the wait within ask.
func TestSecondRequestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	srv := serveRaw(t, func(s *rawServer, c net.Conn) {
		r := bufio.NewReader(c)
		if _, err := s.read(r); err != nil {
			return
		}
		_, _ = io.WriteString(c, ok("first"))
		if _, err := s.read(r); err == nil {
			cancel()
			_, _ = r.ReadByte()
		}
	})
	s := newSession(t, Config{})
	fetch(t, s, srv.URL)
	if _, err := s.Get(ctx, srv.URL); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if st := s.Connector().Stats(); st.InUse+st.Idle != 0 {
		t.Errorf("%+v", st)
	}
}

// TestSecondRequestWaitsToWrite: a body that the socket does not take at once goes on by Write.
func TestSecondRequestWaitsToWrite(t *testing.T) {
	srv := serveRaw(t, func(s *rawServer, c net.Conn) {
		r := bufio.NewReader(c)
		if _, err := s.read(r); err != nil {
			return
		}
		_, _ = io.WriteString(c, ok("first"))
		if got, err := s.read(r); err == nil {
			_, _ = io.WriteString(c, ok(got[len(got)-10:]))
		}
	})
	tcp, err := NewTCPConnector(TCPConfig{Control: func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) { _ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_SNDBUF, 1) })
	}})
	if err != nil {
		t.Fatal(err)
	}
	s := newSession(t, Config{Connector: tcp})
	fetch(t, s, srv.URL)
	body := strings.Repeat("x", inlineBody-10) + "0123456789"
	resp, err := s.Post(t.Context(), srv.URL, StringBody(body))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := resp.Text(); err != nil || got != "0123456789" {
		t.Errorf("%q, %v", got, err)
	}
	if srv.last()[len(srv.last())-len(body):] != body {
		t.Error("the body did not arrive as sent")
	}
}

// TestSecondRequestOldDeadline: a deadline of the first request, left on the socket, does not end the second.
func TestSecondRequestOldDeadline(t *testing.T) {
	long := strings.Repeat("0123456789abcdef", 5<<10)
	asked, answer := make(chan bool), make(chan string)
	srv := serveRaw(t, func(s *rawServer, c net.Conn) {
		r := bufio.NewReader(c)
		for first := true; ; first = false {
			if _, err := s.read(r); err != nil {
				return
			}
			if first {
				_, _ = io.WriteString(c, ok("first"))
				continue
			}
			asked <- true
			for {
				select {
				case piece := <-answer:
					_, _ = io.WriteString(c, piece)
				case <-t.Context().Done():
					return
				}
			}
		}
	})
	c := newTCP(t, TCPConfig{})
	s := newSession(t, Config{Connector: c})
	fetch(t, s, srv.URL)
	l := c.idle.first
	old := func() { // as if the first request's limit had been this short
		l.deadline.Lock()
		defer l.deadline.Unlock()
		l.deadline.set = time.Now().Add(20 * time.Millisecond)
		_ = l.nc.SetReadDeadline(l.deadline.set)
	}
	passed := func() bool {
		l.deadline.Lock()
		defer l.deadline.Unlock()
		return l.deadline.set.Equal(l.deadline.read)
	}
	old()
	go func() {
		<-asked
		head, body, _ := strings.Cut(ok(long), "\r\n\r\n")
		for _, piece := range []string{head[:20], head[20:] + "\r\n\r\n", body[:30_000], body[30_000:]} {
			for !passed() {
				if time.Sleep(time.Millisecond); t.Context().Err() != nil {
					return
				}
			}
			answer <- piece
			old()
		}
	}()
	if got := fetch(t, s, srv.URL); got != long {
		t.Errorf("%d of %d bytes", len(got), len(long))
	}
}
