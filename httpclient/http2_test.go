package httpclient

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// serveHTTP2 starts a TLS server that speaks HTTP/2.
func serveHTTP2(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	srv := httptest.NewUnstartedServer(h)
	srv.EnableHTTP2 = true
	srv.Config.ErrorLog = quietLog
	srv.StartTLS()
	t.Cleanup(srv.Close)
	return srv
}

// serveTLS starts a TLS server that says which protocol was spoken.
func serveTLS(t *testing.T, http2 bool) *httptest.Server {
	t.Helper()
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Proto)
	}))
	srv.EnableHTTP2 = http2
	srv.Config.ErrorLog = quietLog
	srv.StartTLS()
	t.Cleanup(srv.Close)
	return srv
}

// TestHTTP2OneDialForTheFirst: requests that come while nothing is known of a server
// wait for one dial, and share what it makes; if it fails or is given up, or the
// server speaks HTTP/1.1 only, each goes its way.
func TestHTTP2OneDialForTheFirst(t *testing.T) {
	const callers = 20
	errDial := errors.New("dial fails")
	for _, tc := range []struct {
		name    string
		http2   bool
		fail    int // dials that fail
		giveUp  bool
		failed  int
		dials   uint64 // at least
		most    uint64
		version string
	}{
		{name: "shared", http2: true, dials: 1, most: 1, version: "HTTP/2.0"},
		{name: "the first gives up", http2: true, giveUp: true, failed: 1, dials: 1, most: 1, version: "HTTP/2.0"},
		{name: "the first dial fails", http2: true, fail: 1, failed: 1, dials: 1, most: callers, version: "HTTP/2.0"},
		{name: "HTTP/1.1 only", dials: 2, most: callers, version: "HTTP/1.1"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			srv := serveTLS(t, tc.http2)
			begin := make(chan struct{})
			var mu sync.Mutex
			dials := 0
			c := newTCP(t, TCPConfig{TLS: rootsOf(srv), Dial: func(ctx context.Context, _ netip.AddrPort) (net.Conn, error) {
				mu.Lock()
				dials++
				n := dials
				mu.Unlock()
				select {
				case <-begin:
				case <-ctx.Done():
					return nil, ctx.Err()
				}
				if n <= tc.fail {
					return nil, errDial
				}
				return net.Dial("tcp", srv.Listener.Addr().String())
			}})
			s := newSession(t, Config{Connector: c, Version: HTTP2, Jar: DummyJar{}})
			first, giveUp := context.WithCancel(t.Context())
			defer giveUp()
			failed := 0
			var wg sync.WaitGroup
			call := func(ctx context.Context) {
				wg.Go(func() {
					resp, err := s.Get(ctx, srv.URL)
					mu.Lock()
					defer mu.Unlock()
					if err != nil {
						if failed++; !errors.Is(err, errDial) && !errors.Is(err, context.Canceled) {
							t.Error(err)
						}
						return
					}
					if text, err := resp.Text(); text != tc.version || err != nil {
						t.Errorf("%q, %v", text, err)
					}
				})
			}
			call(first)
			for c.Stats().Dialing < 1 {
				time.Sleep(time.Millisecond)
			}
			for range callers - 1 {
				call(t.Context())
			}
			for c.Stats().Held() < callers {
				time.Sleep(time.Millisecond)
			}
			if st := c.Stats(); st.Dialing != 1 {
				t.Errorf("%d dials at once", st.Dialing)
			}
			if tc.giveUp {
				giveUp()
			}
			close(begin)
			wg.Wait()
			for c.Stats().Held() > 0 {
				time.Sleep(time.Millisecond)
			}
			if st := c.Stats(); st.Dials < tc.dials || st.Dials > tc.most || failed != tc.failed {
				t.Errorf("%d connections, %d calls failed", st.Dials, failed)
			}
		})
	}
}

// TestHTTP2SweptMeanwhile: no connection is closed as unused when a request has found it.
func TestHTTP2SweptMeanwhile(t *testing.T) {
	srv := serveTLS(t, true)
	c := newTCP(t, TCPConfig{TLS: rootsOf(srv)})
	s := newSession(t, Config{Connector: c, Version: HTTP2, Jar: DummyJar{}})
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
				c.CloseIdle()
			}
		}
	})
	for range 300 {
		resp, err := s.Post(t.Context(), srv.URL, nil) // is not repeated
		if err != nil {
			t.Error(err)
			break
		}
		if text, err := resp.Text(); text != "HTTP/2.0" || err != nil {
			t.Errorf("%q, %v", text, err)
		}
	}
	close(done)
	wg.Wait()
}

// TestHTTP2MinRate: a body that drips is cut off, one that is fast enough is not.
func TestHTTP2MinRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newPipes()
		srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			piece := strings.Repeat("x", 10)
			if r.URL.Path == "/fast" {
				piece = strings.Repeat("x", 300)
			}
			for range 40 {
				if _, err := io.WriteString(w, piece); err != nil {
					return
				}
				w.(http.Flusher).Flush()
				select {
				case <-time.After(time.Second):
				case <-r.Context().Done():
					return
				}
			}
		}))
		_ = srv.Listener.Close()
		srv.Listener = l
		srv.EnableHTTP2 = true
		srv.Config.ErrorLog = quietLog
		srv.StartTLS()
		defer srv.Close()
		c := newTCP(t, TCPConfig{TLS: rootsOf(srv), Dial: l.dial})
		s := newSession(t, Config{Connector: c, Version: HTTP2, Jar: DummyJar{}, Timeout: Timeout{Total: time.Hour, Idle: time.Hour, MinRate: 100}})
		if _, body := get(t, s, "https://127.0.0.1/fast"); len(body) != 12_000 {
			t.Errorf("%d bytes", len(body))
		}
		resp, err := s.Get(t.Context(), "https://127.0.0.1/slow")
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		body, err := resp.Bytes()
		var te *TimeoutError
		if !errors.As(err, &te) || te.Phase != PhaseRate || len(body) == 0 || time.Since(began) > 2*rateWindow {
			t.Errorf("after %v: %d bytes, %v", time.Since(began), len(body), err)
		}
		if err := errors.Join(s.Close(), c.Close()); err != nil {
			t.Error(err)
		}
	})
}

// TestHTTP2Tee: who wants the bytes on the wire gets HTTP/1.1.
func TestHTTP2Tee(t *testing.T) {
	srv := serveTLS(t, true)
	s := newSession(t, Config{Connector: newTCP(t, TCPConfig{TLS: rootsOf(srv)}), Version: HTTP2})
	if text := fetch(t, s, srv.URL); text != "HTTP/2.0" {
		t.Error(text)
	}
	var in, out bytes.Buffer
	for _, opt := range []RequestOption{TeeWire(&in), TeeWireOut(&out)} {
		if text := fetch(t, s, srv.URL, opt); text != "HTTP/1.1" {
			t.Error(text)
		}
	}
	if !strings.HasPrefix(in.String(), "HTTP/1.1 200 OK\r\n") || !strings.HasPrefix(out.String(), "GET / HTTP/1.1\r\n") {
		t.Errorf("in %q, out %q", in.String(), out.String())
	}
}
