package httpclient

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// pipes is a listener whose connections are made in memory, so that time can be
// virtual.
type pipes struct {
	accept chan net.Conn
	done   chan struct{}
	once   sync.Once
}

func newPipes() *pipes { return &pipes{accept: make(chan net.Conn), done: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.accept:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.done) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 443} }

func (p *pipes) dial(context.Context, netip.AddrPort) (net.Conn, error) {
	client, server := net.Pipe()
	p.accept <- server
	return &mortal{Conn: client, closed: make(chan struct{})}, nil
}

// mortal is a connection that can die as a cable does that is cut: nothing comes
// any more, and what is written is lost without an error.
type mortal struct {
	net.Conn
	closed chan struct{}
	once   sync.Once

	mu   sync.Mutex
	dead bool
}

func (m *mortal) die() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.dead = true
}

func (m *mortal) isDead() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.dead
}

func (m *mortal) Read(b []byte) (int, error) {
	n, err := m.Conn.Read(b)
	if err == nil && m.isDead() {
		<-m.closed
		return 0, net.ErrClosed
	}
	return n, err
}

func (m *mortal) Write(b []byte) (int, error) {
	if m.isDead() {
		return len(b), nil
	}
	return m.Conn.Write(b)
}

func (m *mortal) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 443} }

func (m *mortal) Close() error {
	m.once.Do(func() { close(m.closed) })
	return m.Conn.Close()
}

// TestHTTP2DeadConnection cuts an HTTP/2 connection without a word: requests on it
// fail when the ping is not answered, long before their own limit, and the next
// one gets a new connection.
func TestHTTP2DeadConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newPipes()
		srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, r.Proto)
		}))
		_ = srv.Listener.Close()
		srv.Listener = l
		srv.EnableHTTP2 = true
		srv.Config.ErrorLog = quietLog
		srv.StartTLS()
		defer srv.Close()

		var conns []*mortal
		c := newTCP(t, TCPConfig{TLS: rootsOf(srv), Dial: func(ctx context.Context, addr netip.AddrPort) (net.Conn, error) {
			nc, err := l.dial(ctx, addr)
			conns = append(conns, nc.(*mortal))
			return nc, err
		}})
		s := newSession(t, Config{Connector: c, Version: HTTP2, Jar: DummyJar{}, Timeout: Timeout{Total: time.Hour, FirstByte: time.Hour, Idle: time.Hour}})
		if text := fetch(t, s, "https://127.0.0.1/"); text != "HTTP/2.0" {
			t.Fatalf("%q", text)
		}
		conns[0].die()
		began := time.Now()
		_, err := s.Post(t.Context(), "https://127.0.0.1/", StringBody("x"))
		if took := time.Since(began); !errors.Is(err, ErrConnection) || took > time.Minute {
			t.Errorf("on a dead connection, after %v: %v", took, err)
		}
		if text := fetch(t, s, "https://127.0.0.1/"); text != "HTTP/2.0" || len(conns) != 2 {
			t.Errorf("after it: %q, %d connections", text, len(conns))
		}
		if err := errors.Join(s.Close(), c.Close()); err != nil {
			t.Error(err)
		}
	})
}
