package httpclient

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestTLSCut: a body that ends with its connection is given either way; that the
// connection was cut, by the server or by somebody between, is told.
func TestTLSCut(t *testing.T) {
	pair := serveTLS(t, false).TLS.Certificates
	for _, tc := range []struct {
		name, head string
		cut        bool
		defect     Defect
		truncated  bool
	}{
		{"closed", "HTTP/1.1 200 OK\r\n\r\n", false, 0, false},
		{"cut", "HTTP/1.1 200 OK\r\n\r\n", true, DefectNoFarewell, false},
		{"cut after a whole body", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n", true, 0, false},
		{"cut within a body", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", true, 0, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			srv := serveRaw(t, func(s *rawServer, c net.Conn) {
				tc2 := tls.Server(c, &tls.Config{Certificates: pair})
				if _, err := s.read(bufio.NewReader(tc2)); err != nil {
					return
				}
				_, _ = io.WriteString(tc2, tc.head+"body")
				if !tc.cut {
					_ = tc2.CloseWrite()
				}
				_ = c.(*net.TCPConn).CloseWrite()
				_, _ = io.Copy(io.Discard, c)
			})
			s := newSession(t, Config{Connector: newTCP(t, TCPConfig{Insecure: true})})
			resp, err := s.Get(t.Context(), strings.Replace(srv.URL, "http:", "https:", 1))
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Release()
			body, err := resp.Bytes()
			if string(body) != "body" || errors.Is(err, ErrPayload) != tc.truncated || resp.Truncated() != tc.truncated || resp.Defects() != tc.defect {
				t.Errorf("%q, %v, truncated %v, defects %v", body, err, resp.Truncated(), resp.Defects())
			}
		})
	}
}

// TestProxyTimeout: a proxy that does not answer is given its own time, whatever the
// others have.
func TestProxyTimeout(t *testing.T) {
	for _, scheme := range []string{"http", "socks5"} {
		t.Run(scheme, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newTCP(t, TCPConfig{Dial: func(context.Context, netip.AddrPort) (net.Conn, error) {
					client, server := net.Pipe()
					go func() { _, _ = io.Copy(io.Discard, server) }()
					return client, nil
				}})
				s := newSession(t, Config{Connector: c, Jar: DummyJar{}, Timeout: Timeout{
					Total: time.Hour, TLS: time.Hour, Dial: time.Hour, FirstByte: time.Hour, Proxy: 7 * time.Second,
				}})
				began := time.Now()
				_, err := s.Get(t.Context(), "https://127.0.0.1/", Proxy(&url.URL{Scheme: scheme, Host: "127.0.0.1:1"}))
				var te *TimeoutError
				if !errors.As(err, &te) || te.Phase != PhaseProxy || te.Limit != 7*time.Second || time.Since(began) != 7*time.Second {
					t.Errorf("after %v: %v", time.Since(began), err)
				}
				if err := errors.Join(s.Close(), c.Close()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// TestPhases: each phase ends at its own limit, whatever the others have, and gives
// its slot back.
func TestPhases(t *testing.T) {
	const limit = 7 * time.Second
	silent := func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }
	drip := func(start, again string) func(net.Conn) {
		return func(c net.Conn) {
			go func() { _, _ = io.Copy(io.Discard, c) }()
			_, err := io.WriteString(c, start)
			for err == nil {
				time.Sleep(time.Second)
				_, err = io.WriteString(c, again)
			}
		}
	}
	proxy := func(scheme string) RequestOption { return Proxy(&url.URL{Scheme: scheme, Host: "127.0.0.1:1"}) }
	for name, v := range map[string]struct {
		peer  func(net.Conn) // nil: no connection is ever made
		url   string
		opts  []RequestOption
		own   Timeout
		phase Phase
	}{
		"resolver hangs":    {nil, "http://slow.test/", nil, Timeout{DNS: limit}, PhaseDNS},
		"dial hangs":        {nil, "http://127.0.0.1/", nil, Timeout{Dial: limit}, PhaseDial},
		"connecting hangs":  {nil, "http://127.0.0.1/", nil, Timeout{Connect: limit}, PhaseConnect},
		"silence for TLS":   {silent, "https://127.0.0.1/", nil, Timeout{TLS: limit}, PhaseTLS},
		"dripping TLS":      {drip("\x16\x03\x03\x40\x00\x02\x00\x3f\xfc", "\x00"), "https://127.0.0.1/", nil, Timeout{TLS: limit}, PhaseTLS},
		"dripping proxy":    {drip("HTTP/1.1 200 OK\r\n", "X: y\r\n"), "https://127.0.0.1/", []RequestOption{proxy("http")}, Timeout{Proxy: limit}, PhaseProxy},
		"proxy has hints":   {drip("", "HTTP/1.1 103 Hints\r\n\r\n"), "https://127.0.0.1/", []RequestOption{proxy("http")}, Timeout{Proxy: limit}, PhaseProxy},
		"dripping SOCKS5":   {drip("\x05\x00\x05\x00\x00\x03\xff", "x"), "http://127.0.0.1/", []RequestOption{proxy("socks5")}, Timeout{Proxy: limit}, PhaseProxy},
		"TLS to proxy":      {silent, "http://127.0.0.1/", []RequestOption{proxy("https")}, Timeout{TLS: limit}, PhaseTLS},
		"nothing is taken":  {func(net.Conn) { time.Sleep(time.Minute) }, "http://127.0.0.1/", nil, Timeout{FirstByte: limit}, PhaseWrite},
		"body is not taken": {func(c net.Conn) { _, _ = io.CopyN(io.Discard, c, 1<<17); time.Sleep(time.Minute) }, "http://127.0.0.1/", []RequestOption{WithBody(BytesBody(make([]byte, 1<<20)))}, Timeout{Idle: limit}, PhaseWrite},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newTCP(t, TCPConfig{Resolver: &staticResolver{delay: 2 * time.Hour}, Dial: func(ctx context.Context, _ netip.AddrPort) (net.Conn, error) {
					if v.peer == nil {
						<-ctx.Done()
						return nil, ctx.Err()
					}
					client, server := net.Pipe()
					go func() {
						v.peer(server)
						_ = server.Close()
					}()
					return client, nil
				}})
				s := newSession(t, Config{Connector: c, Jar: DummyJar{}, Timeout: Timeout{
					Total: time.Hour, Connect: time.Hour, Pool: time.Hour, DNS: time.Hour, Dial: time.Hour, TLS: time.Hour, Proxy: time.Hour, FirstByte: time.Hour, Idle: time.Hour,
				}})
				began := time.Now()
				_, err := s.Post(t.Context(), v.url, nil, append(v.opts, WithTimeout(v.own))...)
				var te *TimeoutError
				if !errors.As(err, &te) || te.Phase != v.phase || te.Limit != limit || time.Since(began) != limit || !errors.Is(err, ErrServerTimeout) {
					t.Errorf("after %v: %v", time.Since(began), err)
				}
				if st := c.Stats(); st.Held() != 0 || st.Idle != 0 || st.Waiting != 0 {
					t.Errorf("%+v", st)
				}
				if err := errors.Join(s.Close(), c.Close()); err != nil {
					t.Error(err)
				}
				time.Sleep(time.Minute) // the peer notices
			})
		})
	}
}

// TestPoolTimeout: a wait for a slot ends at its own limit, and leaves the queue.
func TestPoolTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTCP(t, TCPConfig{PoolConfig: PoolConfig{Limit: 1}, Dial: func(context.Context, netip.AddrPort) (net.Conn, error) {
			client, server := net.Pipe()
			go func() { _, _ = io.Copy(io.Discard, server) }()
			return client, nil
		}})
		s := newSession(t, Config{Connector: c, Jar: DummyJar{}})
		held, err := c.Connect(t.Context(), mustRequest(t, "http://127.0.0.1/"))
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		_, err = s.Get(t.Context(), "http://127.0.0.1/", WithTimeout(Timeout{Pool: 7 * time.Second}))
		var te *TimeoutError
		if !errors.As(err, &te) || te.Phase != PhasePool || time.Since(began) != 7*time.Second {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
		if st := c.Stats(); st.Waiting != 0 || st.Held() != 1 {
			t.Errorf("%+v", st)
		}
		if err := errors.Join(held.Close(), s.Close(), c.Close()); err != nil {
			t.Error(err)
		}
	})
}

// TestSlowProducer: the time that the caller takes to make a body is not the server's.
func TestSlowProducer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTCP(t, TCPConfig{Dial: func(context.Context, netip.AddrPort) (net.Conn, error) {
			client, server := net.Pipe()
			go func() {
				defer server.Close()
				if r, err := http.ReadRequest(bufio.NewReader(server)); err == nil {
					b, _ := io.ReadAll(r.Body)
					_, _ = io.WriteString(server, ok(string(b), "Connection: close"))
				}
			}()
			return client, nil
		}})
		s := newSession(t, Config{Connector: c, Jar: DummyJar{}, Timeout: Timeout{Total: NoTimeout}})
		slow := PipeBody(func(w io.Writer) error {
			for _, word := range []string{"at ", "last"} {
				time.Sleep(3 * DefaultFirstByteTimeout)
				if _, err := io.WriteString(w, word); err != nil {
					return err
				}
			}
			return nil
		})
		resp, err := s.Post(t.Context(), "http://127.0.0.1/", slow)
		if err != nil {
			t.Fatal(err)
		}
		if text, err := resp.Text(); text != "at last" || err != nil {
			t.Errorf("%q, %v", text, err)
		}
		_ = s.Close()
	})
}

// TestFirstByteIsForTheHead: a body that the server has begun before it had all of the request's is waited for as any
// other.
func TestFirstByteIsForTheHead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size = 100
		c := newTCP(t, TCPConfig{Dial: func(context.Context, netip.AddrPort) (net.Conn, error) {
			client, server := net.Pipe()
			go func() {
				defer server.Close()
				req, err := http.ReadRequest(bufio.NewReader(server))
				if err != nil {
					return
				}
				_, _ = io.WriteString(server, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nearly")
				_, _ = io.Copy(io.Discard, req.Body)
				time.Sleep(30 * time.Second)
				_, _ = io.WriteString(server, "late")
			}()
			return client, nil
		}})
		s := newSession(t, Config{Connector: c, Jar: DummyJar{}, Timeout: Timeout{FirstByte: 10 * time.Second, Idle: time.Minute}})
		body, w := io.Pipe()
		go func() {
			for range size {
				time.Sleep(10 * time.Millisecond)
				_, _ = w.Write([]byte{'x'})
			}
			_ = w.Close()
		}()
		resp, err := s.Post(t.Context(), "http://127.0.0.1/", ReaderBody(body, size))
		if err != nil {
			t.Fatal(err)
		}
		if text, err := resp.Text(); text != "earlylate" || err != nil {
			t.Errorf("%q, %v", text, err)
		}
		_ = s.Close()
		time.Sleep(time.Minute) // the peer is done
	})
}

// TestBlockedBody: a call whose short body does not come ends in time.
func TestBlockedBody(t *testing.T) {
	const limit = 7 * time.Second
	for name, limits := range map[string]Timeout{"total": {Total: limit}, "context": {Total: NoTimeout}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newTCP(t, TCPConfig{Dial: func(context.Context, netip.AddrPort) (net.Conn, error) {
					client, server := net.Pipe()
					go func() { _, _ = io.Copy(io.Discard, server) }()
					return client, nil
				}})
				s := newSession(t, Config{Connector: c, Jar: DummyJar{}})
				ctx := t.Context()
				if limits.Total < 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, limit)
					defer cancel()
				}
				blocked, _ := io.Pipe()
				began := time.Now()
				_, err := s.Post(ctx, "http://127.0.0.1/", BodyAs(ReaderBody(blocked, 100), "a/b"), WithTimeout(limits))
				var te *TimeoutError
				if !errors.As(err, &te) || te.Phase != PhaseTotal || time.Since(began) != limit {
					t.Errorf("after %v: %v", time.Since(began), err)
				}
				_ = s.Close()
			})
		})
	}
}

// TestSilentNameServer: nothing waits for a name server any more when the caller
// does not.
func TestSilentNameServer(t *testing.T) {
	silent, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	r := &NameserverResolver{Addrs: []netip.AddrPort{silent.LocalAddr().(*net.UDPAddr).AddrPort()}}
	c := newTCP(t, TCPConfig{Resolver: r})
	s := newSession(t, Config{Connector: c, Timeout: Timeout{DNS: 20 * time.Millisecond}})
	var te *TimeoutError
	if _, err := s.Get(t.Context(), "http://silent.test/"); !errors.As(err, &te) || te.Phase != PhaseDNS {
		t.Errorf("%v", err)
	}
	stacks := make([]byte, 1<<20)
	for patience := time.Now().Add(4 * time.Second); ; time.Sleep(5 * time.Millisecond) { // net's own is 5 s an attempt
		if n := runtime.Stack(stacks, true); !strings.Contains(string(stacks[:n]), "net.(*Resolver).") {
			return
		}
		if time.Now().After(patience) {
			t.Fatal("the resolver goes on")
		}
	}
}

// TestDeadlinesMoveOn: each wait for more of a body has all its time, counted from when it begins, and no more.
func TestDeadlinesMoveOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTCP(t, TCPConfig{Dial: func(context.Context, netip.AddrPort) (net.Conn, error) {
			client, server := net.Pipe()
			go func() {
				defer server.Close()
				if _, err := http.ReadRequest(bufio.NewReader(server)); err != nil {
					return
				}
				_, err := io.WriteString(server, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
				for _, pause := range []time.Duration{50, 59, 1, 59, 30, 59, 59, 300} {
					time.Sleep(pause * time.Second)
					if err == nil {
						_, err = io.WriteString(server, "x")
					}
				}
			}()
			return client, nil
		}})
		s := newSession(t, Config{Connector: c, Jar: DummyJar{}, Timeout: Timeout{Total: time.Hour, Idle: time.Minute}})
		began := time.Now()
		resp, err := s.Get(t.Context(), "http://127.0.0.1/")
		if err != nil {
			t.Fatal(err)
		}
		body, err := resp.Bytes()
		var te *TimeoutError
		const want = (50 + 59 + 1 + 59 + 30 + 59 + 59 + 60) * time.Second
		if took := time.Since(began); string(body) != "xxxxxxx" || !errors.As(err, &te) || te.Phase != PhaseIdle || took != want {
			t.Errorf("%q after %v, want %v: %v", body, took, want, err)
		}
		_ = s.Close()
		time.Sleep(10 * time.Minute) // the peer notices
	})
}
