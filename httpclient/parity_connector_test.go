package httpclient

import (
	"bufio"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// staticResolver knows some hosts, and counts what it is asked.
type staticResolver struct {
	hosts map[string][]netip.Addr
	ttl   time.Duration
	delay time.Duration
	asked atomic.Int64
}

func (r *staticResolver) Resolve(ctx context.Context, host string, family Family) ([]netip.Addr, time.Duration, error) {
	r.asked.Add(1)
	select {
	case <-time.After(r.delay):
	case <-ctx.Done():
		return nil, 0, ctx.Err()
	}
	if a, found := r.hosts[host]; found {
		return a, r.ttl, nil
	}
	return nil, 0, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
}

func loopback() []netip.Addr { return []netip.Addr{netip.MustParseAddr("127.0.0.1")} }

var connectorRows = []parityRow{
	{name: "E/keepalive_timeout", prove: func(t *testing.T) {
		srv := answer(t, func(r string) string {
			if strings.HasPrefix(r, "GET /short") {
				return ok("", "Keep-Alive: timeout=1, max=5")
			}
			return ok("")
		})
		c := newTCP(t, TCPConfig{PoolConfig: PoolConfig{KeepAlive: 60 * time.Millisecond}})
		s := newSession(t, Config{Connector: c})
		fetch(t, s, srv.URL)
		fetch(t, s, srv.URL)
		if st := c.Stats(); st.Idle != 1 || st.Reused != 1 {
			t.Errorf("%+v", st)
		}
		eventually(t, func() bool { return c.Stats().Idle == 0 })
		long := newTCP(t, TCPConfig{})
		s = newSession(t, Config{Connector: long})
		if fetch(t, s, srv.URL+"/short"); long.Stats().Idle != 0 {
			t.Error("kept longer than the server does")
		}
		if _, err := NewTCPConnector(TCPConfig{PoolConfig: PoolConfig{KeepAlive: 1, ForceClose: true}}); err == nil {
			t.Error("KeepAlive together with ForceClose was taken")
		}
	}},
	{name: "E/force_close", prove: func(t *testing.T) {
		srv := answer(t, func(r string) string {
			if strings.HasPrefix(r, "GET /r") {
				return redirectTo(302, "/")
			}
			return ok("")
		})
		c := newTCP(t, TCPConfig{PoolConfig: PoolConfig{ForceClose: true}})
		fetch(t, newSession(t, Config{Connector: c}), srv.URL+"/r")
		if st := c.Stats(); st.Dials != 2 || st.Idle != 0 || !c.ForceClose() {
			t.Errorf("%+v", st)
		}
		has(t, srv.last(), "Connection: close")
	}},
	{name: "E/limit", prove: func(t *testing.T) {
		proveLimit(t, PoolConfig{Limit: 3}, 3)
		if c := newTCP(t, TCPConfig{}); c.Limit() != 100 || c.LimitPerHost() != 0 {
			t.Error(c.Limit(), c.LimitPerHost())
		}
		if c := newTCP(t, TCPConfig{PoolConfig: PoolConfig{Limit: Unlimited}}); c.Limit() != 0 {
			t.Error(c.Limit())
		}
	}},
	{name: "E/limit_per_host", prove: func(t *testing.T) { proveLimit(t, PoolConfig{LimitPerHost: 2}, 2) }},
	{name: "E/enable_cleanup_closed", reason: "a socket is closed at once; tls.Conn.Close bounds its farewell"},
	{name: "E/attributes", prove: func(t *testing.T) {
		c := newTCP(t, TCPConfig{PoolConfig: PoolConfig{Limit: 7, LimitPerHost: 2}})
		if c.Closed() || c.ForceClose() || c.Limit() != 7 || c.LimitPerHost() != 2 {
			t.Error("attributes differ")
		}
	}},
	{name: "E/close", prove: func(t *testing.T) {
		srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		})
		c := newTCP(t, TCPConfig{PoolConfig: PoolConfig{Limit: 1}})
		s := newSession(t, Config{Connector: c})
		resp, err := s.Get(t.Context(), srv.URL)
		if err != nil {
			t.Fatal(err)
		}
		waiter := make(chan error)
		go func() {
			_, err := s.Get(t.Context(), srv.URL)
			waiter <- err
		}()
		eventually(t, func() bool { return c.Stats().Waiting == 1 })
		if err := errors.Join(c.Close(), c.Close()); err != nil {
			t.Error(err)
		}
		if err := <-waiter; !errors.Is(err, ErrConnectorClosed) {
			t.Error(err)
		}
		if _, err := resp.Bytes(); !errors.Is(err, ErrConnectorClosed) {
			t.Error(err)
		}
	}},
	{name: "E/connect", prove: func(t *testing.T) {
		srv := mirror(t)
		c := newTCP(t, TCPConfig{PoolConfig: PoolConfig{Limit: 1}})
		newSession(t, Config{Connector: c})
		first, err := c.Connect(t.Context(), mustRequest(t, srv.URL))
		if err != nil {
			t.Fatal(err)
		}
		var order []int
		var mu sync.Mutex
		var wg sync.WaitGroup
		for i := range 3 {
			wg.Go(func() {
				conn, err := c.Connect(t.Context(), mustRequest(t, srv.URL))
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				order = append(order, i)
				mu.Unlock()
				conn.Release()
			})
			eventually(t, func() bool { return c.Stats().Waiting == i+1 })
		}
		first.Release()
		wg.Wait()
		if order[0] != 0 || order[1] != 1 || order[2] != 2 || c.Stats().Dials != 1 {
			t.Errorf("served in the order %v, %+v", order, c.Stats())
		}
	}},
	{name: "E/create_connection", prove: func(t *testing.T) {
		srv := mirror(t)
		var keys []ConnKey
		p := NewPool(PoolConfig{}, func(ctx context.Context, key ConnKey) (net.Conn, error) {
			keys = append(keys, key)
			var d net.Dialer
			return d.DialContext(ctx, "tcp", srv.Addr)
		})
		fetch(t, newSession(t, Config{Connector: p}), "http://anything.test/")
		if len(keys) != 1 || keys[0].Addr() != "anything.test:80" {
			t.Error(keys)
		}
	}},
	{name: "E/tcp_tls", prove: func(t *testing.T) {
		srv := tlsServer(t)
		s := newSession(t, Config{Connector: newTCP(t, TCPConfig{Insecure: true})})
		fetch(t, s, srv.URL)
		sum := sha256.Sum256([]byte("other"))
		c := newTCP(t, TCPConfig{Insecure: true, Fingerprint: &sum})
		if _, err := newSession(t, Config{Connector: c}).Get(t.Context(), srv.URL); !errors.Is(err, ErrFingerprintMismatch) {
			t.Error(err)
		}
		if c.Fingerprint() != &sum || !c.Insecure() || c.TLS() != nil {
			t.Error("attributes differ")
		}
		cfg := srv.Client().Transport.(*http.Transport).TLSClientConfig
		fetch(t, newSession(t, Config{Connector: newTCP(t, TCPConfig{TLS: cfg})}), srv.URL)
	}},
	{name: "E/use_dns_cache", prove: func(t *testing.T) {
		srv := mirror(t)
		port := srv.Addr[strings.LastIndexByte(srv.Addr, ':'):]
		r := &staticResolver{hosts: map[string][]netip.Addr{"a.test": loopback()}, delay: 20 * time.Millisecond}
		c := newTCP(t, TCPConfig{Resolver: r, PoolConfig: PoolConfig{ForceClose: true}})
		s := newSession(t, Config{Connector: c})
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() { fetch(t, s, "http://a.test"+port) })
		}
		wg.Wait()
		fetch(t, s, "http://a.test"+port)
		if n := r.asked.Load(); n != 1 {
			t.Errorf("asked %d times", n)
		}
		none := &staticResolver{hosts: r.hosts}
		s = newSession(t, Config{Connector: newTCP(t, TCPConfig{Resolver: none, NoDNSCache: true, PoolConfig: PoolConfig{ForceClose: true}})})
		fetch(t, s, "http://a.test"+port)
		fetch(t, s, "http://a.test"+port)
		if n := none.asked.Load(); n != 2 {
			t.Errorf("asked %d times without cache", n)
		}
		// Each connection begins with the next of several addresses.
		ring := &staticResolver{hosts: map[string][]netip.Addr{"ring.test": {netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("127.0.0.2"), netip.MustParseAddr("127.0.0.3")}}}
		var order []string
		s = newSession(t, Config{Connector: newTCP(t, TCPConfig{Resolver: ring, HappyEyeballs: -1, PoolConfig: PoolConfig{ForceClose: true},
			Dial: func(ctx context.Context, a netip.AddrPort) (net.Conn, error) {
				order = append(order, a.Addr().String())
				var d net.Dialer
				return d.DialContext(ctx, "tcp", srv.Addr)
			}})})
		for range 4 {
			fetch(t, s, "http://ring.test")
		}
		if got := strings.Join(order, " "); got != "127.0.0.1 127.0.0.2 127.0.0.3 127.0.0.1" {
			t.Error(got)
		}
		// A failure is told to all who wait for it, and not kept.
		lost := &failingResolver{delay: 20 * time.Millisecond}
		s = newSession(t, Config{Connector: newTCP(t, TCPConfig{Resolver: lost})})
		for range 2 {
			for range 3 {
				wg.Go(func() {
					if _, err := s.Get(t.Context(), "http://lost.test"); !errors.Is(err, io.ErrNoProgress) || !errors.Is(err, ErrDNS) {
						t.Error(err)
					}
				})
			}
			wg.Wait()
		}
		if n := lost.asked.Load(); n != 2 {
			t.Errorf("asked %d times what fails", n)
		}
	}},
	{name: "E/resolver", prove: func(t *testing.T) {
		srv := mirror(t)
		r := &staticResolver{hosts: map[string][]netip.Addr{"made-up.test": loopback()}}
		s := newSession(t, Config{Connector: newTCP(t, TCPConfig{Resolver: r})})
		has(t, fetch(t, s, "http://made-up.test"+srv.Addr[strings.LastIndexByte(srv.Addr, ':'):]), "GET / HTTP/1.1")
		_, err := s.Get(t.Context(), "http://unknown.test/")
		var de *DNSError
		if !errors.As(err, &de) || !de.NotFound || !errors.Is(err, ErrDNS) || !errors.Is(err, ErrConnector) {
			t.Error(err)
		}
	}},
	{name: "E/family", prove: func(t *testing.T) {
		s := newSession(t, Config{Connector: newTCP(t, TCPConfig{Family: IPv6, Resolver: familyResolver{}})})
		_, err := s.Get(t.Context(), "http://x.test/")
		var de *DNSError
		if !errors.As(err, &de) || !strings.Contains(de.Err.Error(), "family 2") {
			t.Error(err)
		}
		// A resolver that does not care, and addresses in URLs.
		srv := mirror(t)
		port := srv.Addr[strings.LastIndexByte(srv.Addr, ':'):]
		both := &staticResolver{hosts: map[string][]netip.Addr{"both.test": {netip.MustParseAddr("::1"), netip.MustParseAddr("::ffff:127.0.0.1")}}}
		for family, ok := range map[Family]bool{IPv4: true, IPv6: false} {
			c := newTCP(t, TCPConfig{Family: family, Resolver: both})
			s := newSession(t, Config{Connector: c})
			for _, host := range []string{"127.0.0.1", "both.test"} {
				resp, err := s.Get(t.Context(), "http://"+host+port)
				if err == nil {
					resp.Release()
				}
				if (err == nil) != ok || !ok && !errors.Is(err, ErrConnector) {
					t.Errorf("%v: %s: %v", family, host, err)
				}
			}
			for _, addrs := range c.CachedHosts() {
				if len(addrs) != 1 || addrs[0].Is4() != (family == IPv4) {
					t.Errorf("%v: %v", family, addrs)
				}
			}
		}
	}},
	{name: "E/local_addr", prove: func(t *testing.T) {
		srv := serve(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.RemoteAddr) })
		c := newTCP(t, TCPConfig{LocalAddr: netip.MustParseAddrPort("127.0.0.9:0")})
		if got := fetch(t, newSession(t, Config{Connector: c}), srv.URL); !strings.HasPrefix(got, "127.0.0.9:") {
			t.Error(got)
		}
	}},
	{name: "E/addresses_in_order", prove: func(t *testing.T) {
		srv := mirror(t)
		port := srv.Addr[strings.LastIndexByte(srv.Addr, ':'):]
		r := &staticResolver{hosts: map[string][]netip.Addr{
			"two.test":  {netip.MustParseAddr("127.0.0.77"), netip.MustParseAddr("127.0.0.1")},
			"none.test": {netip.MustParseAddr("127.0.0.77"), netip.MustParseAddr("127.0.0.78")},
		}}
		var control atomic.Int64
		c := newTCP(t, TCPConfig{Resolver: r, HappyEyeballs: -1, Control: func(string, string, syscall.RawConn) error {
			control.Add(1)
			return nil
		}})
		s := newSession(t, Config{Connector: c})
		fetch(t, s, "http://two.test"+port)
		_, err := s.Get(t.Context(), "http://none.test"+port)
		var ce *ConnectorError
		if !errors.As(err, &ce) || len(ce.Addrs) != 2 || !errors.Is(err, syscall.ECONNREFUSED) || control.Load() < 3 {
			t.Error(err, control.Load())
		}
	}},
	{name: "E/tcp_attributes", prove: func(t *testing.T) {
		r := &staticResolver{hosts: map[string][]netip.Addr{"a.test": loopback()}}
		c := newTCP(t, TCPConfig{Resolver: r, Family: IPv4})
		s := newSession(t, Config{Connector: c})
		srv := mirror(t)
		fetch(t, s, "http://a.test"+srv.Addr[strings.LastIndexByte(srv.Addr, ':'):])
		known := map[string][]netip.Addr{}
		for host, addrs := range c.CachedHosts() {
			known[host] = addrs
		}
		if len(known["a.test"]) != 1 || !c.DNSCache() || c.Family() != IPv4 {
			t.Error(known)
		}
	}},
	{name: "E/clear_dns_cache", prove: func(t *testing.T) {
		r := &staticResolver{hosts: map[string][]netip.Addr{"a.test": loopback(), "b.test": loopback()}}
		c := newTCP(t, TCPConfig{Resolver: r, PoolConfig: PoolConfig{ForceClose: true}})
		s := newSession(t, Config{Connector: c})
		port := mirror(t).Addr
		port = port[strings.LastIndexByte(port, ':'):]
		both := func() {
			fetch(t, s, "http://a.test"+port)
			fetch(t, s, "http://b.test"+port)
		}
		both()
		c.ForgetHost("a.test")
		both()
		if n := r.asked.Load(); n != 3 {
			t.Errorf("asked %d times", n)
		}
		c.ClearDNSCache()
		both()
		if n := r.asked.Load(); n != 5 {
			t.Errorf("asked %d times", n)
		}
	}},
	{name: "E/http_proxy", prove: proveProxy},
	{name: "E/unix_connector", prove: func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "s")
		l, err := net.Listen("unix", path)
		if err != nil {
			t.Skip(err)
		}
		srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Host) })}
		go func() { _ = srv.Serve(l) }()
		defer srv.Close()
		c, err := NewUnixConnector(path, PoolConfig{})
		if err != nil {
			t.Fatal(err)
		}
		s := newSession(t, Config{Connector: c})
		if got := fetch(t, s, "http://whatever.test/"); got != "whatever.test" || c.Path() != path {
			t.Error(got)
		}
		fetch(t, s, "http://whatever.test/")
		if c.Stats().Reused != 1 {
			t.Errorf("%+v", c.Stats())
		}
	}},

	{name: "F/closed", prove: func(t *testing.T) {
		c := connect(t, nil)
		if c.Closed() {
			t.Error("closed at once")
		}
		if c.Release(); !c.Closed() {
			t.Error("open after Release")
		}
	}},
	{name: "F/transport", prove: func(t *testing.T) {
		c := connect(t, nil)
		defer c.Close()
		if _, tcp := c.NetConn().(*net.TCPConn); !tcp || c.TLS() != nil || c.Proto() != "HTTP/1.1" {
			t.Error(c.NetConn())
		}
		srv := tlsServer(t)
		p := newTCP(t, TCPConfig{TLS: rootsOf(srv)})
		for version, proto := range map[Version]string{HTTP11: "HTTP/1.1", HTTP2: "HTTP/2.0"} {
			req := mustRequest(t, srv.URL)
			req.Version = version
			c, err := p.Connect(t.Context(), req)
			if err != nil {
				t.Fatal(err)
			}
			if _, secure := c.NetConn().(*tls.Conn); !secure || c.TLS() == nil || !c.TLS().HandshakeComplete || c.Proto() != proto {
				t.Error(version, c.NetConn(), c.TLS(), c.Proto())
			}
			_ = c.Close()
		}
		_ = p.Close()
	}},
	{name: "F/close", prove: func(t *testing.T) {
		var p *TCPConnector
		c := connect(t, &p)
		_ = c.Close()
		_ = c.Close()
		c.Release()
		if st := p.Stats(); st.Held() != 0 || st.Idle != 0 {
			t.Errorf("%+v", st)
		}
	}},
	{name: "F/release", prove: func(t *testing.T) {
		var p *TCPConnector
		c := connect(t, &p)
		c.Release()
		c.Release()
		if st := p.Stats(); st.Held() != 0 || st.Idle != 1 {
			t.Errorf("%+v", st)
		}
		srv := answer(t, func(string) string { return ok(strings.Repeat("x", 1<<20)) })
		s := newSession(t, Config{})
		resp, err := s.Get(t.Context(), srv.URL)
		if err != nil {
			t.Fatal(err)
		}
		if resp.Release(); s.Connector().Stats().Idle != 0 {
			t.Error("a connection with an unread body was kept")
		}
	}},
	{name: "F/detach", prove: func(t *testing.T) {
		var p *TCPConnector
		c := connect(t, &p)
		nc, r := c.Detach()
		defer nc.Close()
		if c.Release(); p.Stats().Held() != 0 || p.Stats().Idle != 0 {
			t.Errorf("%+v", p.Stats())
		}
		_, _ = io.WriteString(nc, "GET /own HTTP/1.1\r\n\r\n")
		resp, err := http.ReadResponse(r, nil)
		if err != nil || resp.StatusCode != 200 {
			t.Error(resp, err)
		}
	}},
	{name: "F/unclosed_warning", reason: "no collector tells of leaks; Connector.Stats shows held slots"},
}

// failingResolver fails, and counts how often.
type failingResolver struct {
	delay time.Duration
	asked atomic.Int64
}

func (r *failingResolver) Resolve(context.Context, string, Family) ([]netip.Addr, time.Duration, error) {
	r.asked.Add(1)
	time.Sleep(r.delay)
	return nil, 0, io.ErrNoProgress
}

type familyResolver struct{}

func (familyResolver) Resolve(_ context.Context, _ string, f Family) ([]netip.Addr, time.Duration, error) {
	return nil, 0, errors.New("family " + string('0'+rune(f)))
}

// connect returns a fresh connection to a server that echoes.
func connect(t *testing.T, pool **TCPConnector) *Conn {
	p := newTCP(t, TCPConfig{})
	newSession(t, Config{Connector: p})
	c, err := p.Connect(t.Context(), mustRequest(t, mirror(t).URL))
	if err != nil {
		t.Fatal(err)
	}
	if pool != nil {
		*pool = p
	}
	return c
}

// proveLimit looks how many requests a server sees at once.
func proveLimit(t *testing.T, cfg PoolConfig, want int) {
	t.Helper()
	var now, most atomic.Int64
	srv := serveRaw(t, func(s *rawServer, c net.Conn) {
		r := bufio.NewReader(c)
		for {
			if _, err := s.read(r); err != nil {
				return
			}
			for n := now.Add(1); n > most.Load(); {
				most.Store(n)
			}
			time.Sleep(2 * time.Millisecond)
			now.Add(-1)
			_, _ = io.WriteString(c, ok(""))
		}
	})
	s := newSession(t, Config{Connector: newTCP(t, TCPConfig{PoolConfig: cfg})})
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() { fetch(t, s, srv.URL) })
	}
	wg.Wait()
	if _, conns := srv.count(); int(most.Load()) > want || conns > want {
		t.Errorf("%d at once over %d connections, limit %d", most.Load(), conns, want)
	}
}

// eventually waits for what another goroutine is about to do.
func eventually(t testing.TB, f func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !f(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it does not happen")
		}
	}
}
