package httpclient

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"runtime"
	"strings"
	"testing"
	"time"
)

// TestNothingIsLeftForTheNext: no response, however it is framed, lends bytes to the
// response of the next request.
func TestNothingIsLeftForTheNext(t *testing.T) {
	const oh, planted = "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nplanted"
	for name, first := range map[string]string{
		"length too short":         oh + "Content-Length: 2\r\n\r\nhi" + planted,
		"no length":                oh + "Content-Length: 0\r\n\r\n" + planted,
		"lengths that differ":      oh + "Content-Length: 2\r\nContent-Length: 0\r\n\r\nhi" + planted,
		"length and chunked":       oh + "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + planted,
		"chunked and length":       oh + "Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n" + planted,
		"chunked by tab":           oh + "Transfer-Encoding:\tchunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n" + planted,
		"chunked with space":       oh + "Transfer-Encoding : chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n" + planted,
		"chunked, control":         oh + "Transfer-Encoding: \x0bchunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n" + planted,
		"chunked folded":           oh + "Transfer-Encoding:\r\n chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n" + planted,
		"identity, then chunked":   oh + "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + planted,
		"chunked, then identity":   oh + "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + planted,
		"bytes after last chunk":   oh + "Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n" + planted,
		"response in a trailer":    oh + "Transfer-Encoding: chunked\r\n\r\n0\r\n" + planted + "\r\n\r\n" + planted,
		"response as extension":    oh + "Transfer-Encoding: chunked\r\n\r\n0;\n\n" + planted,
		"204 with a body":          "HTTP/1.1 204 No\r\nContent-Length: 2\r\n\r\nhi" + planted,
		"304 with a body":          "HTTP/1.1 304 No\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + planted,
		"interim with a body":      "HTTP/1.1 103 Hints\r\nContent-Length: 99\r\n\r\n" + oh + "Content-Length: 2\r\n\r\nhi" + planted,
		"CR instead of line break": oh + "X: y\rContent-Length: 99\r\nContent-Length: 2\r\n\r\nhi" + planted,
	} {
		t.Run(name, func(t *testing.T) {
			srv := answer(t, func(r string) string {
				if strings.Contains(requestLine(r), "/first") {
					return first
				}
				return ok("mine")
			})
			s := newSession(t, Config{Jar: DummyJar{}, Timeout: Timeout{Idle: 200 * time.Millisecond}})
			for range 2 {
				resp, err := s.Get(t.Context(), srv.URL+"/first")
				if err != nil {
					t.Fatal(err)
				}
				_, err = resp.Bytes() // one that runs to the close fails after Idle
				if err != nil && !errors.Is(err, ErrPayload) && !errors.Is(err, ErrServerTimeout) {
					t.Fatal(err)
				}
				if got := fetch(t, s, srv.URL+"/second"); got != "mine" {
					t.Fatalf("the next response is %q", got)
				}
			}
		})
	}
}

// TestBombs: bodies that decode to far more than they are end with an error, keep
// what came before it, and do not fill memory.
func TestBombs(t *testing.T) {
	zeros := make([]byte, 32<<20)
	for _, coding := range []string{"gzip", "deflate", "br", "zstd"} {
		once := encode(t, coding, zeros)
		for codings, data := range map[string][]byte{coding: once, coding + ", gzip": encode(t, "gzip", once), coding + ", " + coding: encode(t, coding, once)} {
			srv := answer(t, func(string) string { return ok(string(data), "Content-Encoding: "+codings) })
			s := newSession(t, Config{MaxBody: Unlimited})
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			resp, err := s.Get(t.Context(), srv.URL)
			if err != nil {
				t.Fatal(err)
			}
			n, err := io.Copy(io.Discard, resp.Body)
			runtime.ReadMemStats(&after)
			if pe := (*PayloadError)(nil); !errors.As(err, &pe) || pe.Kind != PayloadEncoding || n < 1<<20 || n > 16<<20 || !resp.Truncated() {
				t.Errorf("%s: %d bytes, %v", codings, n, err)
			}
			if used := after.TotalAlloc - before.TotalAlloc; used > 24<<20 { // zstd and br may ask for windows of 8 and 16 MiB
				t.Errorf("%s: %d bytes allocated", codings, used)
			}
		}
	}
	// More layers than anybody needs.
	srv := answer(t, func(string) string { return ok("x", "Content-Encoding: "+strings.Repeat("gzip, ", 5)+"gzip") })
	resp, err := newSession(t, Config{}).Get(t.Context(), srv.URL)
	if err == nil {
		_, err = resp.Bytes()
	}
	if !errors.Is(err, ErrPayload) {
		t.Errorf("six layers: %v", err)
	}
}

// TestPadding: bodies whose coding holds little or nothing, for ever, are cut, be they kept as transferred or not.
func TestPadding(t *testing.T) {
	const want = 100_000
	emptyBlocks := bytes.Repeat([]byte{0, 0, 0, 0xff, 0xff}, 10_000)
	gzipHead := "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03"
	skipped := append([]byte{0x50, 0x2a, 0x4d, 0x18, 0x00, 0xff, 0, 0}, make([]byte, 0xff00)...) // RFC 8878 section 3.1.2
	for name, v := range map[string]struct{ coding, first, again string }{
		"gzip, empty blocks":     {"gzip", gzipHead, string(emptyBlocks)},
		"gzip, empty members":    {"gzip", "", strings.Repeat(string(encode(t, "gzip", nil)), 2000)},
		"deflate, empty blocks":  {"deflate", "\x78\x9c", string(emptyBlocks)},
		"zstd, skippable frames": {"zstd", "", string(skipped)},
		"two codings":            {"gzip, gzip", gzipHead, string(emptyBlocks)},
	} {
		for _, kept := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, kept %v", name, kept), func(t *testing.T) {
				srv := serveRaw(t, func(s *rawServer, c net.Conn) {
					if _, err := s.read(bufio.NewReader(c)); err != nil {
						return
					}
					_, err := io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Encoding: "+v.coding+"\r\n\r\n"+v.first)
					for err == nil {
						_, err = io.WriteString(c, v.again)
					}
				})
				var raw bytes.Buffer
				opts := []RequestOption{MaxBody(want)}
				if kept {
					opts = append(opts, TeeRawBody(&raw))
				}
				resp, err := newSession(t, Config{}).Get(t.Context(), srv.URL, opts...)
				if err != nil {
					t.Fatal(err)
				}
				b, err := resp.AppendBody(nil)
				if err != nil || len(b) != 0 || !resp.Truncated() {
					t.Errorf("%d bytes, truncated %v, error %v", len(b), resp.Truncated(), err)
				}
				if n := resp.WireBytes(); n < 2*want || n > 2*want+wholeExcess+inputSize || kept && int64(raw.Len()) != n {
					t.Errorf("%d bytes transferred, %d kept", n, raw.Len())
				}
			})
		}
	}
}

// TestCookiesByTheThousand: a host that sets cookies without end fills neither the
// jar nor the next request.
func TestCookiesByTheThousand(t *testing.T) {
	n := 0
	srv := answer(t, func(string) string {
		fields := make([]string, 1000)
		for i := range fields {
			n++
			fields[i] = fmt.Sprintf("Set-Cookie: c%d=%s", n, strings.Repeat("x", 50))
		}
		return ok("", fields...)
	})
	jar := NewCookieJar(JarConfig{AllowIP: true})
	s := newSession(t, Config{Jar: jar})
	for range 5 {
		get(t, s, srv.URL)
	}
	if jar.Len() > 200 {
		t.Errorf("%d cookies kept of one host", jar.Len())
	}
	if last := srv.last(); len(last) > 16<<10 {
		t.Errorf("a request of %d bytes", len(last))
	}
}

// TestBadProxies: each refusal and each nonsense of a proxy is a typed error, within
// its time.
func TestBadProxies(t *testing.T) {
	for _, v := range []struct {
		scheme, said string
		class        error
	}{
		{"http", "HTTP/1.1 407 Who?\r\nContent-Length: 0\r\n\r\n", ErrHTTPProxy}, {"http", "HTTP/1.1 302 Found\r\nLocation: http://evil.test/\r\n\r\n", ErrHTTPProxy},
		{"http", "HTTP/1.1 103 x\r\n\r\nHTTP/1.1 502 x\r\n\r\n", ErrHTTPProxy}, {"http", "SSH-2.0-x\r\n", ErrProxyConnection},
		{"http", "HTTP/1.1 200 O", ErrProxyConnection}, {"http", "HTTP/1.1 200 OK\r\n" + strings.Repeat("X: y\r\n", 9999), ErrProxyConnection}, {"http", "", ErrProxyConnection},
		{"socks5", "\x05\xff", ErrProxyConnection}, {"socks5", "\x04\x00", ErrProxyConnection}, {"socks5", "\x05", ErrProxyConnection}, {"socks5", "", ErrProxyConnection},
		{"socks5", "\x05\x00\x05\x01\x00\x01", ErrHTTPProxy}, {"socks5", "\x05\x00\x05\x63\x00\x01", ErrHTTPProxy}, {"socks5", "\x05\x00\x05\x00\x00\x09", ErrProxyConnection},
		{"socks5", "\x05\x00\x05\x00\x00\x03\xffabc", ErrProxyConnection},
	} {
		for _, open := range []bool{false, true} { // whether the proxy hangs then, or hangs up
			srv := serveRaw(t, func(_ *rawServer, c net.Conn) {
				_, _ = io.WriteString(c, v.said)
				if !open {
					_ = c.(*net.TCPConn).CloseWrite()
				}
				_, _ = io.Copy(io.Discard, c)
			})
			wait := 10 * time.Second
			if open {
				wait = 100 * time.Millisecond
			}
			s := newSession(t, Config{})
			_, err := s.Get(t.Context(), "https://127.0.0.1:1/", Proxy(&url.URL{Scheme: v.scheme, Host: srv.Addr}), WithTimeout(Timeout{Proxy: wait}))
			if te := (*TimeoutError)(nil); !errors.Is(err, v.class) && (!open || !errors.As(err, &te) || te.Phase != PhaseProxy || !errors.Is(err, ErrConnector)) {
				t.Errorf("%s says %.40q, open %v: %v", v.scheme, v.said, open, err)
			}
		}
	}
	// One that nobody here can talk to.
	if _, err := newSession(t, Config{}).Get(t.Context(), "http://h.test/", Proxy(&url.URL{Scheme: "socks4", Host: "h.test"})); !errors.Is(err, ErrProxyConnection) {
		t.Errorf("a proxy of another kind: %v", err)
	}
}

// listenBoth listens for datagrams and for connections at the same port. Nobody takes
// the connections: their peers hear nothing.
func listenBoth(t *testing.T) (net.PacketConn, net.Listener) {
	t.Helper()
	for range 20 { // the port may be somebody else's in the other protocol
		stream, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		if pc, err := net.ListenPacket("udp", stream.Addr().String()); err == nil {
			return pc, stream
		}
		_ = stream.Close()
	}
	t.Fatal("no port is free for both")
	return nil, nil
}

// TestBadNameServers: name servers that fail, talk nonsense or lie.
func TestBadNameServers(t *testing.T) {
	// Each answers with the question, changed in its header.
	changed := func(flags, code byte) func([]byte) {
		return func(a []byte) { a[2] |= 0x80 | flags; a[3] = a[3]&0xf0 | code }
	}
	const authoritative, truncated = 4, 2
	for name, v := range map[string]struct {
		change   func([]byte)
		hangs    bool // no answer at all is taken from it
		notFound bool
	}{
		"failure":           {changed(0, 2), false, false},
		"refusal":           {changed(0, 5), false, false},
		"no such host":      {changed(authoritative, 3), false, true},
		"no address":        {changed(authoritative, 0), false, true},
		"other question":    {func(a []byte) { changed(authoritative, 3)(a); a[13] ^= 1 }, true, false},
		"other identifier":  {func(a []byte) { changed(authoritative, 3)(a); a[0] ^= 1 }, true, false},
		"nonsense":          {func(a []byte) { clear(a) }, true, false},
		"more, which hangs": {changed(truncated, 0), true, false},
	} {
		t.Run(name, func(t *testing.T) {
			pc, stream := listenBoth(t)
			defer stream.Close()
			defer pc.Close()
			go func() {
				b := make([]byte, 1500)
				for {
					n, from, err := pc.ReadFrom(b)
					if err != nil {
						return
					}
					v.change(b[:n])
					_, _ = pc.WriteTo(b[:n], from)
				}
			}()
			limit := time.Minute
			if v.hangs {
				limit = 50 * time.Millisecond
			}
			s := newSession(t, Config{Connector: newTCP(t, TCPConfig{Resolver: &NameserverResolver{Addrs: []netip.AddrPort{netip.MustParseAddrPort(pc.LocalAddr().String())}}})})
			_, err := s.Get(t.Context(), "http://host.test/", WithTimeout(Timeout{DNS: limit}))
			var de *DNSError
			var te *TimeoutError
			switch {
			case !errors.Is(err, ErrDNS) || !errors.Is(err, ErrConnector):
				t.Errorf("%v", err)
			case v.hangs && (!errors.As(err, &te) || te.Phase != PhaseDNS):
				t.Errorf("%v is not the time-out", err)
			case !v.hangs && (!errors.As(err, &de) || de.NotFound != v.notFound || de.Host != "host.test"):
				t.Errorf("%#v", de)
			}
		})
	}
	refusal := errors.New("private")
	lie := &staticResolver{hosts: map[string][]netip.Addr{"public.test": loopback()}}
	s := newSession(t, Config{Connector: newTCP(t, TCPConfig{Resolver: lie, Guard: func(_ context.Context, _ string, a netip.AddrPort) error {
		if a.Addr().IsLoopback() {
			return refusal
		}
		return nil
	}})})
	if _, err := s.Get(t.Context(), "http://public.test/"); !errors.Is(err, refusal) {
		t.Errorf("a public name with a private address: %v", err)
	}
}

// TestBadRedirects: targets that cannot be requested, and chains without end.
func TestBadRedirects(t *testing.T) {
	var target string
	srv := answer(t, func(r string) string {
		if strings.HasPrefix(r, "GET /start") {
			return redirectTo(302, target)
		}
		return ok(requestLine(r))
	})
	s := newSession(t, Config{})
	for _, v := range []struct {
		target string
		class  error
	}{
		{"ftp://h.test/", ErrNonHTTPURL}, {"javascript:alert(1)", ErrNonHTTPURL}, {"data:text/html,x", ErrNonHTTPURL}, {"mailto:a@h.test", ErrNonHTTPURL},
		{"file:///etc/passwd", ErrNonHTTPURL}, {"ws://h.test/", ErrNonHTTPURL}, {"about:blank", ErrNonHTTPURL},
		{"http://", ErrInvalidURL}, {"//", ErrInvalidURL}, {"http:///x", ErrInvalidURL}, {"http:x", ErrInvalidURL}, {"//h.test:99999/", ErrInvalidURL},
		{"http://[::1/", ErrInvalidURL}, {"//a b/", ErrInvalidURL}, {"http://2130706433/", ErrInvalidURL},
	} {
		target = v.target
		_, err := s.Get(t.Context(), srv.URL+"/start")
		var re *RedirectError
		if !errors.As(err, &re) || !errors.Is(err, ErrRedirect) || !errors.Is(err, v.class) || re.Location != v.target || re.Response.StatusCode != 302 {
			t.Errorf("to %q: %v", v.target, err)
		}
	}
	for _, v := range []struct{ target, path string }{
		{"//" + srv.Addr + "/end", "/end"}, {"end", "/end"}, {"?q", "/start?q"}, {"HTTP://" + srv.Addr + "/end", "/end"}, {" /end ", "/end"},
	} {
		target = v.target
		resp, err := s.Get(t.Context(), srv.URL+"/start", MaxRedirects(2))
		if v.path == "/start?q" { // which leads to itself
			if !errors.Is(err, ErrTooManyRedirects) {
				t.Errorf("to %q: %v", v.target, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("to %q: %v", v.target, err)
			continue
		}
		if text, err := resp.Text(); text != "GET "+v.path+" HTTP/1.1" || err != nil {
			t.Errorf("to %q: %q, %v", v.target, text, err)
		}
	}

	// Two hosts that send each other the caller, and one whose paths grow.
	var there, back *rawServer
	there = answer(t, func(string) string { return redirectTo(307, back.URL) })
	back = answer(t, func(string) string { return redirectTo(301, there.URL) })
	grows := answer(t, func(r string) string { return redirectTo(303, strings.TrimSuffix(strings.Fields(r)[1], "/")+"/x") })
	for _, url := range []string{there.URL, grows.URL} {
		_, err := s.Get(t.Context(), url)
		var tm *TooManyRedirectsError
		if !errors.As(err, &tm) || tm.Limit != DefaultMaxRedirects || len(tm.History) != DefaultMaxRedirects-1 || tm.Response == nil {
			t.Errorf("%v", err)
		}
	}
}

// TestSecretsStayWithTheirOrigin: fields with credentials, each of their copies, go
// where the caller sent them, and nowhere else.
func TestSecretsStayWithTheirOrigin(t *testing.T) {
	other := mirror(t)
	srv := answer(t, func(r string) string {
		switch strings.Fields(r)[1] {
		case "/same":
			return redirectTo(302, "/end")
		case "/away":
			return redirectTo(302, other.URL)
		}
		return ok(r)
	})
	s := newSession(t, Config{})
	secrets := HeaderList{{"Authorization", "one"}, {"authorization", "two"}, {"Cookie", "three=3"}, {"Proxy-Authorization", "four"}, {"X-Own", "five"}}
	same := fetch(t, s, srv.URL+"/same", HeaderOrder(secrets))
	for _, f := range secrets {
		has(t, same, f.Name+": "+f.Value)
	}
	resp, away := get(t, s, srv.URL+"/away", HeaderOrder(secrets))
	for _, secret := range []string{"Authorization", "Cookie"} {
		hasNot(t, away, secret)
	}
	has(t, away, "X-Own: five")
	if dropped := strings.Join(resp.History[0].DroppedHeaders, ","); dropped != "Authorization,Cookie,Proxy-Authorization" {
		t.Error(dropped)
	}
}

// TestHTTP2BadInput: what HTTP/1 is protected from does no harm over HTTP/2 either.
func TestHTTP2BadInput(t *testing.T) {
	bomb := encode(t, "gzip", make([]byte, 16<<20))
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/cut":
			_, _ = io.WriteString(w, "part")
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		case "/short":
			w.Header().Set("Content-Length", "10")
			_, _ = io.WriteString(w, "part")
		case "/field":
			w.Header().Set("X", strings.Repeat("x", 2*DefaultMaxLine))
		case "/head":
			for i := range 500 {
				w.Header().Set(fmt.Sprint("X", i), strings.Repeat("x", 1000))
			}
		case "/trailer":
			for i := range 500 {
				w.Header().Set(fmt.Sprint(http.TrailerPrefix, "X", i), strings.Repeat("x", 1000))
			}
			_, _ = io.WriteString(w, "part")
		case "/hints":
			for r.Context().Err() == nil {
				w.WriteHeader(http.StatusEarlyHints)
			}
		case "/bomb":
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(bomb)
		case "/endless":
			for r.Context().Err() == nil {
				_, _ = w.Write(make([]byte, 1<<15))
			}
		}
	}))
	srv.EnableHTTP2 = true
	srv.Config.ErrorLog = quietLog
	srv.StartTLS()
	t.Cleanup(srv.Close)
	s := newSession(t, Config{Connector: newTCP(t, TCPConfig{Insecure: true}), Version: HTTP2, Jar: DummyJar{}})
	for _, v := range []struct {
		path, kept string
		class      error
	}{
		{"/cut", "part", ErrPayload}, {"/short", "part", ErrPayload}, {"/field", "", ErrProtocol}, {"/head", "", ErrProtocol}, {"/hints", "", ErrProtocol}, {"/trailer", "part", ErrPayload},
		{"/bomb", "\x00", ErrPayload},
	} {
		resp, err := s.Get(t.Context(), srv.URL+v.path)
		var b []byte
		if err == nil {
			b, err = resp.AppendBody(nil)
			if !resp.Truncated() || resp.Proto != "HTTP/2.0" {
				t.Errorf("%s: %s, truncated %v", v.path, resp.Proto, resp.Truncated())
			}
		}
		if !errors.Is(err, v.class) || !strings.HasPrefix(string(b), v.kept) || len(b) > 8<<20 {
			t.Errorf("%s: %d bytes, %v", v.path, len(b), err)
		}
	}
	if resp, b := get(t, s, srv.URL+"/endless", MaxBody(1000)); len(b) != 1000 || !resp.Truncated() {
		t.Errorf("%d bytes of a body without end", len(b))
	}
}
