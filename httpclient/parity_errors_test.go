package httpclient

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// failing fetches what must fail, with an error of each of the classes.
func failing(t *testing.T, url string, opts []RequestOption, classes ...error) error {
	t.Helper()
	s := newSession(t, Config{Timeout: Timeout{FirstByte: 2 * time.Second, Idle: 2 * time.Second}})
	resp, err := s.Get(t.Context(), url, opts...)
	if err == nil {
		_, err = resp.Bytes()
		_ = resp.Close()
	}
	for _, class := range append(classes, ErrClient) {
		if !errors.Is(err, class) {
			t.Errorf("%v is not %v", err, class)
		}
	}
	var re *RequestError
	if !errors.Is(err, ErrInvalidURL) && (!errors.As(err, &re) || re.URL == "") {
		t.Errorf("%v does not name the request", err)
	}
	return err
}

// closedPort returns an address where nobody listens.
func closedPort(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

var errorRows = []parityRow{
	{name: "L/ClientPayloadError", prove: func(t *testing.T) {
		for _, v := range []struct {
			raw  string
			kind PayloadKind
			body string
		}{
			{"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", PayloadTruncated, "abc"},
			{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", PayloadTruncated, "abc"},
			{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nxyz\r\n", PayloadChunking, "abc"},
			{"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 12\r\n\r\n\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x00\xff\xff", PayloadEncoding, ""},
		} {
			s := newSession(t, Config{})
			resp, err := s.Get(t.Context(), say(t, v.raw).URL)
			if err != nil {
				t.Fatal(err)
			}
			b, err := resp.AppendBody(nil)
			var pe *PayloadError
			if !errors.As(err, &pe) || pe.Kind != v.kind || string(b) != v.body || !resp.Truncated() || !errors.Is(err, ErrPayload) {
				t.Errorf("%q: %q, %v", v.raw, b, err)
			}
		}
	}},
	{name: "L/InvalidURL", prove: func(t *testing.T) {
		for _, u := range []string{"", "x", "//h/", "http:/x", "http://", "http://h:99999/", "http://h:x/", "http://[::1/", "http://2130706433/",
			"http://127.1/", "http://0x7f.1/", "http://a b/", "http://a\x00b/", "http:///x", "http://%zz/"} {
			err := failing(t, u, nil, ErrInvalidURL)
			if ue := (*URLError)(nil); !errors.As(err, &ue) || ue.URL != u || ue.Reason == "" {
				t.Error(u, err)
			}
		}
		failing(t, "ftp://h/", nil, ErrNonHTTPURL, ErrInvalidURL)
	}},
	{name: "L/ClientResponseError", prove: func(t *testing.T) {
		srv := answer(t, func(string) string { return "HTTP/1.1 500 Oops\r\nX: 1\r\nContent-Length: 0\r\n\r\n" })
		err := failing(t, srv.URL, []RequestOption{RaiseForStatus()}, ErrResponse)
		if re := (*ResponseError)(nil); !errors.As(err, &re) || re.StatusCode != 500 || re.Header.Get("X") != "1" {
			t.Error(err)
		}
	}},
	{name: "L/ContentTypeError", prove: func(t *testing.T) {
		resp, _ := get(t, newSession(t, Config{}), answer(t, func(string) string { return ok("x", "Content-Type: text/html") }).URL)
		if err := resp.JSON(new(int)); !errors.Is(err, ErrContentType) || !errors.Is(err, ErrResponse) {
			t.Error(err)
		}
	}},
	{name: "L/ClientHttpProxyError", prove: func(t *testing.T) {
		proxy, _ := url.Parse(answer(t, func(string) string { return "HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n" }).URL)
		err := failing(t, "https://h.test/", []RequestOption{Proxy(proxy)}, ErrHTTPProxy, ErrResponse)
		if pe := (*ProxyResponseError)(nil); !errors.As(err, &pe) || pe.StatusCode != 403 {
			t.Error(err)
		}
	}},
	{name: "L/malformed_head", prove: func(t *testing.T) {
		for _, raw := range []string{"SSH-2.0-OpenSSH\r\n", "HTTP/1.1\r\n\r\n", "HTTP/1.1 OK\r\n\r\n", "HTTP/x 200 OK\r\n\r\n", "HTTP/1.1 20000 OK\r\n\r\n", "<html>"} {
			err := failing(t, say(t, raw).URL, nil, ErrProtocol, ErrServerConnection, ErrConnection)
			if pe := (*ProtocolError)(nil); !errors.As(err, &pe) || !strings.HasPrefix(raw, string(pe.Raw)) || pe.Reason == "" {
				t.Error(raw, err)
			}
		}
	}},
	{name: "L/ClientOSError", prove: func(t *testing.T) {
		srv := serveRaw(t, func(s *rawServer, c net.Conn) {
			_, _ = io.CopyN(io.Discard, c, 10)
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")
			time.Sleep(20 * time.Millisecond)
			_ = c.(*net.TCPConn).SetLinger(0) // reset
		})
		err := failing(t, srv.URL, nil, ErrOS, ErrConnection, syscall.ECONNRESET)
		if oe := (*OSError)(nil); !errors.As(err, &oe) || oe.Op != "read" {
			t.Error(err)
		}
	}},
	{name: "L/ClientConnectorError", prove: func(t *testing.T) {
		addr := closedPort(t)
		err := failing(t, "http://"+addr, nil, ErrConnector, ErrOS, ErrConnection, syscall.ECONNREFUSED)
		if ce := (*ConnectorError)(nil); !errors.As(err, &ce) || ce.Key.Addr() != addr || ce.Addrs[0].Addr.String() != addr {
			t.Error(err)
		}
	}},
	{name: "L/ClientProxyConnectionError", prove: func(t *testing.T) {
		failing(t, "http://h.test/", []RequestOption{Proxy(&url.URL{Scheme: "http", Host: closedPort(t)})}, ErrProxyConnection, ErrConnector, syscall.ECONNREFUSED)
	}},
	{name: "L/ClientConnectorSSLError", prove: func(t *testing.T) {
		srv := serveRaw(t, func(s *rawServer, c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 400 not TLS\r\n\r\n")
			_, _ = io.Copy(io.Discard, c)
		})
		err := failing(t, "https://"+srv.Addr, nil, ErrTLSHandshake, ErrTLS, ErrConnector)
		if rh := (tls.RecordHeaderError{}); !errors.As(err, &rh) {
			t.Error(err)
		}
	}},
	{name: "L/ClientConnectorCertificateError", prove: func(t *testing.T) {
		err := failing(t, tlsServer(t).URL, nil, ErrCertificate, ErrTLS, ErrConnector)
		if ua := (x509.UnknownAuthorityError{}); !errors.As(err, &ua) {
			t.Error(err)
		}
	}},
	{name: "L/ServerDisconnectedError", prove: func(t *testing.T) {
		err := failing(t, say(t, "HTTP/1.1 200 OK\r\nX: ").URL, nil, ErrServerDisconnected, ErrServerConnection, io.EOF)
		if de := (*DisconnectedError)(nil); !errors.As(err, &de) || string(de.Partial) != "HTTP/1.1 200 OK\r\nX: " || de.Reused {
			t.Error(err)
		}
	}},
	{name: "L/ServerTimeoutError", prove: func(t *testing.T) {
		silent := serveRaw(t, func(s *rawServer, c net.Conn) { _, _ = io.Copy(io.Discard, c) })
		err := failing(t, silent.URL, []RequestOption{WithTimeout(Timeout{FirstByte: 10 * time.Millisecond})},
			ErrServerTimeout, ErrServerConnection, context.DeadlineExceeded, os.ErrDeadlineExceeded)
		if te := (*TimeoutError)(nil); !errors.As(err, &te) || te.Phase != PhaseFirstByte || te.Limit != 10*time.Millisecond {
			t.Error(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		s := newSession(t, Config{})
		if _, err := s.Get(ctx, silent.URL); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, ErrServerTimeout) {
			t.Error(err)
		}
		why := errors.New("why")
		cctx, stop := context.WithCancelCause(t.Context())
		time.AfterFunc(10*time.Millisecond, func() { stop(why) })
		if _, err := s.Get(cctx, silent.URL); !errors.Is(err, why) || !errors.Is(err, context.Canceled) || errors.Is(err, ErrServerTimeout) {
			t.Error(err)
		}
		failing(t, "https://"+silent.Addr, []RequestOption{WithTimeout(Timeout{TLS: 10 * time.Millisecond})}, ErrServerTimeout, ErrConnector)
	}},
	{name: "L/ServerFingerprintMismatch", prove: func(t *testing.T) {
		failing(t, tlsServer(t).URL, []RequestOption{Insecure(), Fingerprint([32]byte{1})}, ErrFingerprintMismatch, ErrServerConnection)
	}},
	{name: "L/WSServerHandshakeError", prove: TestWebSocketHandshakeRefused},
	{name: "L/TooManyRedirects", prove: func(t *testing.T) {
		failing(t, answer(t, func(string) string { return redirectTo(302, "/") }).URL, nil, ErrTooManyRedirects, ErrResponse)
	}},
	{name: "L/DNSError", prove: func(t *testing.T) {
		r := &staticResolver{delay: time.Minute}
		s := newSession(t, Config{Connector: newTCP(t, TCPConfig{Resolver: r})})
		_, err := s.Get(t.Context(), "http://slow.test", WithTimeout(Timeout{DNS: 10 * time.Millisecond}))
		if te := (*TimeoutError)(nil); !errors.As(err, &te) || te.Phase != PhaseDNS || !errors.Is(err, ErrDNS) {
			t.Error(err)
		}
	}},
	{name: "L/closed", prove: func(t *testing.T) {
		srv := mirror(t)
		s := newSession(t, Config{})
		resp, _ := get(t, s, srv.URL)
		_ = s.Close()
		if _, err := s.Get(t.Context(), srv.URL); err != ErrSessionClosed {
			t.Error(err)
		}
		c := newTCP(t, TCPConfig{})
		_ = c.Close()
		if _, err := newSession(t, Config{Connector: c}).Get(t.Context(), srv.URL); !errors.Is(err, ErrConnectorClosed) {
			t.Error(err)
		}
		if _, err := resp.Body.Read(make([]byte, 1)); err != io.EOF {
			t.Error(err)
		}
	}},
}

// otherRows are about the jar and the tools of forms, whose own tests go deeper.
var otherRows = []parityRow{
	{name: "K/CookieJar", prove: func(t *testing.T) {
		srv := answer(t, func(r string) string { return ok(r, "Set-Cookie: ip=1") })
		s := newSession(t, Config{Jar: NewCookieJar(JarConfig{})})
		fetch(t, s, srv.URL)
		hasNot(t, fetch(t, s, srv.URL), "Cookie:")
		s = newSession(t, Config{Jar: NewCookieJar(JarConfig{AllowIP: true})})
		fetch(t, s, srv.URL)
		has(t, fetch(t, s, srv.URL), "Cookie: ip=1")
	}},
	{name: "K/len_iterate", prove: func(t *testing.T) {
		jar := jarWith(t, "a=1; Path=/p; Secure; HttpOnly", "b=2")
		n := 0
		for e := range jar.All() {
			if n++; e.Name == "a" && (e.Path != "/p" || !e.Secure || !e.HTTPOnly || e.Domain != "h.test") {
				t.Errorf("%+v", e)
			}
		}
		if n != 2 || jar.Len() != 2 {
			t.Error(n, jar.Len())
		}
	}},
	{name: "K/update_cookies", prove: func(t *testing.T) {
		jar := jarWith(t, "a=1; Domain=other.test", "b=2; Max-Age=0", "c=3; Domain=.h.test")
		jar.SetShared(&http.Cookie{Name: "s", Value: "1"})
		u, _ := url.Parse("http://sub.h.test/")
		if got := string(jar.AppendHeader(nil, u)); !strings.Contains(got, "c=3") || !strings.Contains(got, "s=1") || strings.Contains(got, "a=") {
			t.Error(got)
		}
	}},
	{name: "K/filter_cookies", prove: func(t *testing.T) {
		jar := jarWith(t, `quoted="a b"; Path=/x`, "root=1; Path=/", "tls=1; Secure")
		u, _ := url.Parse("http://h.test/x/y")
		if got := string(jar.AppendHeader(nil, u)); got != `quoted="a b"; root=1` {
			t.Error(got)
		}
		if len(jar.Cookies(u)) != 2 {
			t.Error(jar.Cookies(u))
		}
		trusting := NewCookieJar(JarConfig{TrustHTTP: func(u *url.URL) bool { return u.Host == "localhost:8080" }})
		local, foreign := mustURL(t, "http://localhost:8080/"), mustURL(t, "http://localhost:8081/")
		for u, want := range map[*url.URL]string{local: "tls=1", foreign: ""} {
			trusting.SetFromHeader(u, []string{"tls=1; Secure"})
			if got := string(trusting.AppendHeader(nil, u)); got != want {
				t.Errorf("%v: %q, want %q", u, got, want)
			}
		}
	}},
	{name: "K/save_load", prove: func(t *testing.T) {
		var b strings.Builder
		if err := jarWith(t, "a=1; Max-Age=1000").Save(&b); err != nil {
			t.Fatal(err)
		}
		jar := NewCookieJar(JarConfig{})
		if err := jar.Load(strings.NewReader(b.String())); err != nil || jar.Len() != 1 {
			t.Error(err, jar.Len())
		}
	}},
	{name: "K/clear", prove: func(t *testing.T) {
		jar := jarWith(t, "a=1", "b=1")
		jar.Clear(func(e *Entry) bool { return e.Name == "a" })
		if jar.Len() != 1 {
			t.Error(jar.Len())
		}
		if jar.ClearDomain("h.test"); jar.Len() != 0 {
			t.Error(jar.Len())
		}
	}},
	{name: "K/DummyCookieJar", prove: func(t *testing.T) {
		srv := answer(t, func(r string) string { return ok(r, "Set-Cookie: a=1") })
		s := newSession(t, Config{Jar: DummyJar{}})
		fetch(t, s, srv.URL)
		hasNot(t, fetch(t, s, srv.URL), "Cookie:")
	}},
}

func jarWith(t *testing.T, lines ...string) *Jar {
	t.Helper()
	jar := NewCookieJar(JarConfig{})
	u, err := url.Parse("https://h.test/")
	if err != nil {
		t.Fatal(err)
	}
	jar.SetFromHeader(u, lines)
	return jar
}
