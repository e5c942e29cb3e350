package httpclient

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func rootsOf(srv *httptest.Server) *tls.Config {
	return &tls.Config{RootCAs: srv.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs}
}

func TestHTTP2(t *testing.T) {
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/slow":
			<-r.Context().Done()
		case "/stall":
			_, _ = io.WriteString(w, "part")
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		default:
			w.Header().Set("Trailer", "X-T")
			w.Header().Set("X-Many", "1")
			b, _ := io.ReadAll(r.Body)
			_, _ = fmt.Fprintf(w, "%s %s %s %s %s", r.Proto, r.Method, r.RequestURI, r.UserAgent(), b)
			w.Header().Set("X-T", "v")
		}
	}))
	srv.EnableHTTP2 = true
	srv.Config.ErrorLog = quietLog
	srv.StartTLS()
	t.Cleanup(srv.Close)
	c := newTCP(t, TCPConfig{TLS: rootsOf(srv), PoolConfig: PoolConfig{LimitPerHost: 8}})
	s := newSession(t, Config{Connector: c, Version: HTTP2, Jar: DummyJar{}})

	resp, err := s.Post(t.Context(), srv.URL+"/p?a=%2f", StringBody("data"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := resp.Text()
	if want := "HTTP/2.0 POST /p?a=%2f " + DefaultUserAgent + " data"; err != nil || text != want || resp.Proto != "HTTP/2.0" {
		t.Errorf("%q, %v, want %q", text, err, want)
	}
	if !strings.HasPrefix(string(resp.RawHead()), "HTTP/2 200 OK\r\n") || resp.HeaderValue("x-many") != "1" || resp.Trailer().Get("X-T") != "v" || resp.Defects() != 0 {
		t.Errorf("%q, %v, %v", resp.RawHead(), resp.Trailer(), resp.Defects())
	}
	var wg sync.WaitGroup
	for range 40 {
		wg.Go(func() { fetch(t, s, srv.URL) })
	}
	wg.Wait()
	if st := c.Stats(); st.Dials != 1 || st.Held() != 0 {
		t.Errorf("%+v", st)
	}
	var te *TimeoutError
	if _, err := s.Get(t.Context(), srv.URL+"/slow", WithTimeout(Timeout{FirstByte: 20 * time.Millisecond})); !errors.As(err, &te) || te.Phase != PhaseFirstByte {
		t.Error(err)
	}
	resp, err = s.Get(t.Context(), srv.URL+"/stall", WithTimeout(Timeout{Idle: 20 * time.Millisecond}))
	if err != nil {
		t.Fatal(err)
	}
	if b, err := resp.AppendBody(nil); string(b) != "part" || !errors.As(err, &te) || te.Phase != PhaseIdle {
		t.Errorf("%q, %v", b, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(10*time.Millisecond, cancel)
	if _, err := s.Get(ctx, srv.URL+"/slow"); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	fetch(t, s, srv.URL)
	if got := fetch(t, s, srv.URL, HTTPVersion(HTTP11)); !strings.HasPrefix(got, "HTTP/1.1 ") {
		t.Error(got)
	}
}

// TestStaleConnection: a kept-alive connection that the server closed is noticed
// when it is wanted, or else the request is repeated, once, if that is harmless.
func TestStaleConnection(t *testing.T) {
	srv := serveRaw(t, func(s *rawServer, c net.Conn) {
		r := bufio.NewReader(c)
		if _, err := s.read(r); err == nil {
			_, _ = io.WriteString(c, ok("first"))
		}
	})
	c := newTCP(t, TCPConfig{})
	s := newSession(t, Config{Connector: c})
	fetch(t, s, srv.URL)
	eventually(t, func() bool { // the end of the connection arrives
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.idle.first != nil && !c.idle.first.alive()
	})
	fetch(t, s, srv.URL)
	if st := c.Stats(); st.Stale != 1 || st.Retried != 0 {
		t.Errorf("%+v", st)
	}

	// The server closes at the second request: only the client's retry helps.
	var conns atomic.Int64
	cruel := serveRaw(t, func(s *rawServer, c net.Conn) {
		r := bufio.NewReader(c)
		conns.Add(1)
		if _, err := s.read(r); err != nil {
			return
		}
		_, _ = io.WriteString(c, ok("x"))
		_, _ = s.read(r)
	})
	fetch(t, s, cruel.URL)
	fetch(t, s, cruel.URL)
	if st := c.Stats(); st.Retried != 1 || conns.Load() != 2 {
		t.Errorf("%+v, %d connections", st, conns.Load())
	}
	var de *DisconnectedError
	if _, err := s.Get(t.Context(), cruel.URL, func(p *pending) error { p.req.NoRetryStale = true; return nil }); !errors.As(err, &de) || !de.Reused {
		t.Error(err)
	}
	fetch(t, s, cruel.URL)
	if _, err := s.Post(t.Context(), cruel.URL, StringBody("x")); !errors.Is(err, ErrServerDisconnected) {
		t.Error("a POST was repeated:", err)
	}
}

// TestUnsolicited: bytes that come on an idle connection are not the next response.
func TestUnsolicited(t *testing.T) {
	written := make(chan bool)
	srv := serveRaw(t, func(s *rawServer, c net.Conn) {
		r := bufio.NewReader(c)
		for {
			if _, err := s.read(r); err != nil {
				return
			}
			_, _ = io.WriteString(c, ok("mine"))
			<-written // and read
			_, _ = io.WriteString(c, ok("evil"))
			written <- true
		}
	})
	s := newSession(t, Config{})
	for range 3 {
		if got := fetch(t, s, srv.URL); got != "mine" {
			t.Errorf("got %q", got)
		}
		written <- true
		<-written
	}
}

// TestUnsolicitedTLS: what TLS has read along with a response is not the next one.
func TestUnsolicitedTLS(t *testing.T) {
	pair := serveTLS(t, false).TLS.Certificates
	for name, v := range map[string]struct {
		more  func(*tls.Conn)
		dials uint64
	}{
		"nothing":    {func(*tls.Conn) {}, 1},
		"a response": {func(c *tls.Conn) { _, _ = io.WriteString(c, ok("evil")) }, 3},
		"a farewell": {func(c *tls.Conn) { _ = c.CloseWrite() }, 3},
	} {
		t.Run(name, func(t *testing.T) {
			srv := serveRaw(t, func(s *rawServer, nc net.Conn) {
				held := &heldConn{Conn: nc}
				c := tls.Server(held, &tls.Config{Certificates: pair})
				for r := bufio.NewReader(c); ; {
					if _, err := s.read(r); err != nil {
						return
					}
					held.hold = true
					_, _ = io.WriteString(c, ok("mine"))
					v.more(c)
					held.flush()
				}
			})
			c := newTCP(t, TCPConfig{Insecure: true})
			s := newSession(t, Config{Connector: c})
			for range 3 {
				if got := fetch(t, s, strings.Replace(srv.URL, "http:", "https:", 1)); got != "mine" {
					t.Errorf("got %q", got)
				}
			}
			if st := c.Stats(); st.Dials != v.dials || st.Stale != v.dials-1 {
				t.Errorf("%+v", st)
			}
		})
	}
}

// heldConn writes what it is given while it holds in one piece.
type heldConn struct {
	net.Conn
	hold bool
	held bytes.Buffer
}

func (c *heldConn) Write(p []byte) (int, error) {
	if c.hold {
		return c.held.Write(p)
	}
	return c.Conn.Write(p)
}

func (c *heldConn) flush() {
	c.hold = false
	_ = c.SetWriteDeadline(time.Time{}) // which tls.Conn.CloseWrite has set to now
	_, _ = c.held.WriteTo(c.Conn)
}

// TestPoolKeys: what makes requests different keeps their connections apart.
func TestPoolKeys(t *testing.T) {
	srv := mirror(t)
	c := newTCP(t, TCPConfig{})
	s := newSession(t, Config{Connector: c})
	proxyAs := func(user string) RequestOption {
		return Proxy(&url.URL{Scheme: "http", Host: srv.Addr, User: url.User(user)})
	}
	for i, opts := range [][]RequestOption{{}, {Isolate("a")}, {Isolate("b")}, {proxyAs("a")}, {proxyAs("b")}} {
		fetch(t, s, srv.URL, opts...)
		fetch(t, s, srv.URL, opts...)
		if st := c.Stats(); int(st.Dials) != i+1 {
			t.Errorf("case %d: %+v", i, st)
		}
	}
}

// TestResolverDetached: the first to ask may give up without harm to the others,
// and when all have given up the question is dropped.
func TestResolverDetached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &staticResolver{hosts: map[string][]netip.Addr{"h.test": loopback()}, delay: time.Second}
		d := newDNSCache(&TCPConfig{Resolver: r, DNSTTL: time.Minute, DNSCacheSize: 2})
		first, cancel := context.WithCancel(t.Context())
		errs := make(chan error, 2)
		go func() {
			_, _, err := d.lookup(first, "h.test", time.Minute)
			errs <- err
		}()
		synctest.Wait()
		go func() {
			_, _, err := d.lookup(t.Context(), "h.test", time.Minute)
			errs <- err
		}()
		synctest.Wait()
		cancel()
		if err := <-errs; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if err := <-errs; err != nil || r.asked.Load() != 1 {
			t.Error(err, r.asked.Load())
		}
		if _, cached, err := d.lookup(t.Context(), "h.test", 0); !cached || err != nil {
			t.Error("not kept", err)
		}
		for _, h := range []string{"a.test", "b.test", "c.test"} {
			_, _, _ = d.lookup(t.Context(), h, 0)
		}
		if len(d.entries) > 2 || d.recent.Len() != len(d.entries) {
			t.Errorf("%d entries", len(d.entries))
		}
		time.Sleep(10 * time.Second)
		if _, cached, _ := d.lookup(t.Context(), "c.test", 0); cached {
			t.Error("a host that did not exist is taken for missing for ever")
		}
		lonely, stop := context.WithTimeout(t.Context(), time.Millisecond)
		defer stop()
		if _, _, err := d.lookup(lonely, "x.test", time.Minute); !errors.Is(err, ErrServerTimeout) {
			t.Error(err)
		}
		synctest.Wait()
		if len(d.flights) != 0 {
			t.Error("a question nobody waits for goes on")
		}
	})
}

// TestResolverLimits: who asks for the same host at a time waits as long as his own limit says, whoever was the first.
func TestResolverLimits(t *testing.T) {
	const short, answer, long = 2 * time.Second, 5 * time.Second, 10 * time.Second
	for name, limits := range map[string][]time.Duration{"short first": {short, long}, "long first": {long, short}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := &staticResolver{hosts: map[string][]netip.Addr{"h.test": loopback()}, delay: answer}
				d := newDNSCache(&TCPConfig{Resolver: r, DNSTTL: time.Minute, DNSCacheSize: 2})
				for _, limit := range limits {
					go func() {
						began := time.Now()
						_, _, err := d.lookup(t.Context(), "h.test", limit)
						var te *TimeoutError
						late := errors.As(err, &te) && te.Phase == PhaseDNS && te.Limit == limit && time.Since(began) == limit
						if limit == short && !late || limit == long && err != nil || errors.Is(err, ErrTooManyLookups) {
							t.Errorf("limit %v: %v after %v", limit, err, time.Since(began))
						}
					}()
					synctest.Wait()
				}
				time.Sleep(long)
				synctest.Wait()
				if r.asked.Load() != 1 || len(d.flights) != 0 {
					t.Errorf("asked %d times, %d under way", r.asked.Load(), len(d.flights))
				}
			})
		})
	}
}

// TestHappyEyeballs: a family that does not answer costs its head start once.
func TestHappyEyeballs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v6, v4 := netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("192.0.2.1")
		var tried []netip.Addr
		var mu sync.Mutex
		c := newTCP(t, TCPConfig{
			PoolConfig: PoolConfig{ForceClose: true}, DNSTTL: time.Hour,
			Resolver: &staticResolver{hosts: map[string][]netip.Addr{"h.test": {v4, v6}}, ttl: time.Hour},
			Dial: func(ctx context.Context, a netip.AddrPort) (net.Conn, error) {
				mu.Lock()
				tried = append(tried, a.Addr())
				mu.Unlock()
				if a.Addr().Is6() {
					<-ctx.Done()
					return nil, ctx.Err()
				}
				client, server := net.Pipe()
				go func() {
					defer server.Close()
					if _, err := http.ReadRequest(bufio.NewReader(server)); err == nil {
						_, _ = io.WriteString(server, "HTTP/1.1 204 No\r\nConnection: close\r\n\r\n")
					}
				}()
				return client, nil
			},
		})
		s := newSession(t, Config{Connector: c})
		for i, want := range []time.Duration{DefaultHappyEyeballs, 0} {
			start := time.Now()
			fetch(t, s, "http://h.test/")
			if took := time.Since(start); took != want {
				t.Errorf("fetch %d took %v, want %v", i, took, want)
			}
		}
		if len(tried) != 3 || tried[0] != v6 || tried[1] != v4 || tried[2] != v4 {
			t.Errorf("tried %v", tried)
		}
		_ = s.Close()
	})
}

func TestTraceAndMiddleware(t *testing.T) {
	srv := answer(t, func(r string) string {
		if strings.HasPrefix(r, "GET /r") {
			return redirectTo(302, "/")
		}
		return ok("body")
	})
	var mu sync.Mutex
	var log []string
	note := func(s string) {
		mu.Lock()
		defer mu.Unlock()
		log = append(log, s)
	}
	tr := &Trace{
		RequestStart: func(r *Request) { note("start " + strings.TrimPrefix(r.URL(), srv.URL)) },
		RequestEnd:   func(_ *Request, r *Response, err error) { note(fmt.Sprint("end ", r.StatusCode, err)) },
		Redirect:     func(*Response, *Request) { note("redirect") },
		GotConn:      func(g GotConn) { note(fmt.Sprint("conn reused=", g.Reused)) },
		DialStart:    func(netip.AddrPort) { note("dial") },
		WroteRequest: func(time.Time) { note("wrote") },
		GotFirstByte: func(time.Time) { note("byte") },
		BodyEnd:      func(*Response, error) { note("body") },
	}
	layer := func(name string) Middleware {
		return func(next Handler) Handler {
			return func(ctx context.Context, req *Request) (*Response, error) {
				note(name)
				return next(ctx, req)
			}
		}
	}
	s := newSession(t, Config{Trace: tr, Middleware: []Middleware{layer("outer"), layer("inner")}})
	standard := 0
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { standard++ }})
	mine := 0
	ctx = ContextWithTrace(ctx, &Trace{GotConn: func(GotConn) { mine++ }})
	resp, err := s.Get(ctx, srv.URL+"/r", WithTrace(&Trace{GotConn: func(GotConn) { mine++ }}))
	if err != nil {
		t.Fatal(err)
	}
	_, _ = resp.Bytes()
	want := "outer|inner|start /r|dial|conn reused=false|wrote|byte|body|end 302 <nil>|redirect|outer|inner|start /|conn reused=true|wrote|byte|end 200 <nil>|body"
	if got := strings.Join(log, "|"); got != want || standard != 2 || mine != 4 {
		t.Errorf("%s\nwant %s\n%d %d", got, want, standard, mine)
	}
	log = nil
	fetch(t, s, srv.URL, WithMiddleware(layer("own")))
	if log[0] != "own" || log[1] != "start /" {
		t.Error(log)
	}
}

// TestEarlyAnswer: the server may answer before it has the body, and close.
func TestEarlyAnswer(t *testing.T) {
	srv := serveRaw(t, func(s *rawServer, c net.Conn) {
		r := bufio.NewReader(c)
		for line := ""; line != "\r\n"; {
			var err error
			if line, err = r.ReadString('\n'); err != nil {
				return
			}
		}
		_, _ = io.WriteString(c, "HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 3\r\n\r\nbig")
		_ = c.(*net.TCPConn).CloseWrite()
		_, _ = io.CopyN(io.Discard, r, 1<<20)
	})
	s := newSession(t, Config{})
	resp, err := s.Post(t.Context(), srv.URL, BytesBody(make([]byte, 64<<20)))
	if err != nil {
		t.Fatal(err)
	}
	if text, err := resp.Text(); resp.StatusCode != 413 || text != "big" || err != nil {
		t.Error(resp.StatusCode, text, err)
	}
}

// TestFailingBody: an error of the caller's own body is told as such.
func TestFailingBody(t *testing.T) {
	srv := serveRaw(t, func(s *rawServer, c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	s := newSession(t, Config{})
	cause := errors.New("no more ink")
	for _, b := range []Body{
		PipeBody(func(w io.Writer) error { _, _ = w.Write([]byte("x")); return cause }),
		ReaderBody(io.MultiReader(strings.NewReader("x"), errReader{cause}), 5),
	} {
		_, err := s.Post(t.Context(), srv.URL, b)
		var pe *PayloadError
		if !errors.As(err, &pe) || pe.Kind != PayloadRequest || !errors.Is(err, cause) {
			t.Error(err)
		}
	}
	if _, err := s.Post(t.Context(), srv.URL, ReaderBody(strings.NewReader("abc"), 5)); !errors.Is(err, ErrPayload) {
		t.Error(err)
	}
}

type errReader struct{ err error }

func (r errReader) Read([]byte) (int, error) { return 0, r.err }

// TestCancelEverywhere: a context that ends at any moment ends the request, and no
// slot, goroutine or connection is left behind.
func TestCancelEverywhere(t *testing.T) {
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(time.Millisecond)
		for range 4 {
			_, _ = w.Write(make([]byte, 20_000))
			w.(http.Flusher).Flush()
			time.Sleep(time.Millisecond)
		}
	})
	c := newTCP(t, TCPConfig{PoolConfig: PoolConfig{Limit: 8}})
	s := newSession(t, Config{Connector: c, Jar: DummyJar{}})
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i%20)*500*time.Microsecond)
			defer cancel()
			resp, err := s.Get(ctx, srv.URL)
			if err == nil {
				_, err = resp.AppendBody(nil)
				resp.Release()
			}
			if err != nil && !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if st := c.Stats(); st.Held() != 0 || st.Waiting != 0 {
		t.Errorf("%+v", st)
	}
	checkPool(t, c.Pool)
}

// TestTruncatedTLS: a body that ends with the connection is cut if TLS was within a
// record. At the end of one crypto/tls takes a missing farewell for an end, as
// browsers do.
func TestTruncatedTLS(t *testing.T) {
	secure := tlsServer(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		c, err := l.Accept()
		if err != nil {
			return
		}
		cut := &cutConn{Conn: c}
		tc := tls.Server(cut, secure.TLS)
		_, _ = tc.Read(make([]byte, 1000))
		_, _ = io.WriteString(tc, "HTTP/1.1 200 OK\r\n\r\nhalf a pa")
		cut.short = true
		_, _ = io.WriteString(tc, "ge")
		_ = c.Close()
	}()
	s := newSession(t, Config{Connector: newTCP(t, TCPConfig{Insecure: true})})
	resp, err := s.Get(t.Context(), "https://"+l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if b, err := resp.AppendBody(nil); string(b) != "half a pa" || !errors.Is(err, ErrPayload) || !resp.Truncated() {
		t.Errorf("%q, %v", b, err)
	}
	<-done
}

// TestWireTee: the bytes of a response, exactly.
func TestWireTee(t *testing.T) {
	const raw = "HTTP/1.1 103 Early\r\nX: 1\r\n\r\nHTTP/1.1 200  odd\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b\r\nhi\r\n0\r\nT: 1\r\n\r\n"
	srv := answer(t, func(string) string { return raw })
	var wire, body strings.Builder
	s := newSession(t, Config{})
	for range 2 {
		wire.Reset()
		body.Reset()
		fetch(t, s, srv.URL, TeeWire(&wire), TeeRawBody(&body))
		if wire.String() != raw || body.String() != "hi" {
			t.Errorf("%q, %q", wire.String(), body.String())
		}
	}
	full := errors.New("disk full")
	resp, err := s.Get(t.Context(), srv.URL, TeeRawBody(errWriter{full}))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := resp.Bytes(); !errors.Is(err, full) {
		t.Error(err)
	}
}

// TestWireOutTee: the bytes of a request, exactly as the server gets them.
func TestWireOutTee(t *testing.T) {
	long := strings.Repeat("0123456789abcdef", 10_000)
	for _, v := range []struct {
		name string
		opts []RequestOption
		ends string
	}{
		{"no body", nil, "\r\n\r\n"},
		{"short", []RequestOption{WithBody(StringBody("short"))}, "short"},
		{"long", []RequestOption{WithBody(StringBody(long))}, long},
		{"chunks", []RequestOption{WithBody(StringBody(long)), Chunked()}, "\r\n0\r\n\r\n"},
	} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		received := make(chan string, 1)
		go func() {
			c, err := l.Accept()
			if err != nil {
				close(received)
				return
			}
			defer c.Close()
			var got []byte
			for err == nil && !bytes.HasSuffix(got, []byte(v.ends)) {
				buf := make([]byte, 1<<16)
				var n int
				n, err = c.Read(buf)
				got = append(got, buf[:n]...)
			}
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
			received <- string(got)
		}()
		var wire strings.Builder
		s := newSession(t, Config{})
		resp, err := s.Request(t.Context(), "POST", "http://"+l.Addr().String()+"/x", append(v.opts, TeeWireOut(&wire))...)
		if err != nil {
			t.Fatal(v.name, err)
		}
		resp.Release()
		if got := <-received; wire.String() != got || got == "" {
			t.Errorf("%s: the tee got %d bytes, the server %d", v.name, wire.Len(), len(got))
		}
	}
	full := errors.New("disk full")
	srv := answer(t, func(string) string { return "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" })
	if _, err := newSession(t, Config{}).Get(t.Context(), srv.URL, TeeWireOut(errWriter{full})); !errors.Is(err, full) {
		t.Error(err)
	}
}

type errWriter struct{ err error }

func (w errWriter) Write([]byte) (int, error) { return 0, w.err }

// cutConn loses the end of what is written, once short is set.
type cutConn struct {
	net.Conn
	short bool
}

func (c *cutConn) Write(p []byte) (int, error) {
	if c.short {
		p = p[:len(p)-3]
	}
	return c.Conn.Write(p)
}
