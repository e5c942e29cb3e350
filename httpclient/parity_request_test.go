package httpclient

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

var requestRows = []parityRow{
	{name: "C/method", prove: func(t *testing.T) {
		srv := mirror(t)
		s := newSession(t, Config{})
		resp, err := s.Request(t.Context(), "get", srv.URL)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := resp.Text()
		has(t, text, "GET / HTTP/1.1")
		if _, err := s.Request(t.Context(), "a b", srv.URL); !errors.Is(err, ErrInvalidRequest) || errors.Is(err, ErrInvalidURL) {
			t.Error(err)
		}
	}},
	{name: "C/url", prove: func(t *testing.T) {
		srv := mirror(t)
		s := newSession(t, Config{})
		port := srv.Addr[strings.LastIndexByte(srv.Addr, ':'):]
		for given, want := range map[string]string{
			"/%zz|^":       "GET /%zz|^ HTTP/1.1",
			"/a b\té":      "GET /a%20b%C3%A9 HTTP/1.1",
			"/%30?q=%30#f": "GET /%30?q=%30 HTTP/1.1",
			"?x":           "GET /?x HTTP/1.1",
		} {
			resp, text := get(t, s, "http://LOCALHOST."+port+given)
			has(t, text, want)
			has(t, text, "Host: localhost"+port)
			if strings.HasSuffix(given, "#f") != strings.HasSuffix(resp.RequestURL, "#f") {
				t.Error(resp.RequestURL)
			}
		}
		has(t, fetch(t, s, srv.URL+"/é", Verbatim()), "GET /é HTTP/1.1")
		if r := mustRequest(t, "http://bücher.test:80/"); r.URL() != "http://xn--bcher-kva.test/" {
			t.Error(r.URL())
		}
	}},
	{name: "C/params", prove: func(t *testing.T) {
		srv := answer(t, func(r string) string {
			if strings.HasPrefix(r, "GET /go") {
				return redirectTo(302, "/to?z")
			}
			return ok(r)
		})
		s := newSession(t, Config{})
		has(t, fetch(t, s, srv.URL+"/?a=1", Params(url.Values{"b": {"2 3"}})), "GET /?a=1&b=2+3 HTTP/1.1")
		has(t, fetch(t, s, srv.URL, ParamPairs("z", "1", "a", "é")), "GET /?z=1&a=%C3%A9 HTTP/1.1")
		has(t, fetch(t, s, srv.URL, RawQuery("x=%2f")), "GET /?x=%2f HTTP/1.1")
		has(t, fetch(t, s, srv.URL+"/go", RawQuery("lost=1")), "GET /to?z HTTP/1.1")
	}},
	{name: "C/data", prove: func(t *testing.T) {
		srv := mirror(t)
		s := newSession(t, Config{})
		first, err := s.Get(t.Context(), srv.URL)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := s.Post(t.Context(), srv.URL, ReaderBody(first.Body, -1)) // another response's stream
		if err != nil {
			t.Fatal(err)
		}
		text, _ := resp.Text()
		has(t, text, "Transfer-Encoding: chunked")
		if !strings.Contains(text, "GET / HTTP/1.1") {
			t.Error(text)
		}
		two := []RequestOption{JSON(1), WithBody(StringBody("x"))}
		for range 2 {
			if _, err := s.Request(t.Context(), "POST", srv.URL, two...); !errors.Is(err, ErrInvalidRequest) {
				t.Error("a body and JSON were taken:", err)
			}
			slices.Reverse(two)
		}
		long := strings.Repeat("0123456789", 50_000)
		resp, err = s.Post(t.Context(), srv.URL, StringBody(long))
		if err != nil {
			t.Fatal(err)
		}
		if text, _ := resp.Text(); !strings.HasSuffix(text, "\r\n\r\n"+long) || resp.BytesSent() != int64(len(long)) {
			t.Errorf("%d bytes came back, %d sent", len(text), resp.BytesSent())
		}
	}},
	{name: "C/json", prove: func(t *testing.T) {
		srv := mirror(t)
		resp, err := newSession(t, Config{}).Post(t.Context(), srv.URL, nil, JSON(map[string]int{"a": 1}))
		if err != nil {
			t.Fatal(err)
		}
		text, _ := resp.Text()
		has(t, text, "Content-Type: application/json")
		if !strings.HasSuffix(text, `{"a":1}`) {
			t.Error(text)
		}
	}},
	{name: "C/headers", prove: func(t *testing.T) {
		srv := mirror(t)
		s := newSession(t, Config{})
		list := HeaderList{{"x-Zed", "1"}, {"HOST", "other.test"}, {"X-alpha", "2"}, {"user-AGENT", "me"}}
		got := fetch(t, s, srv.URL, HeaderOrder(list))
		if !strings.Contains(got, "x-Zed: 1\r\nHOST: other.test\r\nX-alpha: 2\r\nuser-AGENT: me\r\n") || strings.Count(strings.ToLower(got), "host:") != 1 {
			t.Error(got)
		}
		has(t, fetch(t, s, srv.URL, Headers(http.Header{"X-A": {"1"}})), "X-A: 1")
		for _, bad := range []HeaderList{{{"X", "a\r\nY: b"}}, {{"X Y", "1"}}, {{"", "1"}}, {{"X:", "1"}}} {
			if _, err := s.Get(t.Context(), srv.URL, HeaderOrder(bad)); !errors.Is(err, ErrInvalidRequest) {
				t.Errorf("%q was sent", bad)
			}
		}
	}},
	{name: "C/skip_auto_headers", prove: func(t *testing.T) {
		srv := mirror(t)
		got := fetch(t, newSession(t, Config{}), srv.URL, SkipAutoHeaders("User-Agent", "accept-encoding"))
		hasNot(t, got, "User-Agent")
		hasNot(t, got, "Accept-Encoding")
		has(t, got, "Accept: */*")
	}},
	{name: "C/auth", prove: func(t *testing.T) {
		srv := mirror(t)
		s := newSession(t, Config{})
		has(t, fetch(t, s, srv.URL, Auth(&BasicAuth{Login: "u", Password: "p"})), "Authorization: Basic dTpw")
		a := Auth(&BasicAuth{Login: "u"})
		if _, err := s.Get(t.Context(), srv.URL, a, Header("Authorization", "x")); !errors.Is(err, ErrInvalidRequest) {
			t.Error("two credentials were taken")
		}
		if _, err := s.Get(t.Context(), strings.Replace(srv.URL, "//", "//a:b@", 1), a); !errors.Is(err, ErrInvalidRequest) {
			t.Error("two credentials were taken")
		}
	}},
	{name: "C/allow_redirects", prove: proveRedirects},
	{name: "C/compress", prove: func(t *testing.T) {
		srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
			coded, _ := io.ReadAll(r.Body)
			plain, err := Decode(nil, coded, r.Header.Get("Content-Encoding"), 0)
			if err != nil || bytes.Equal(plain, coded) {
				t.Errorf("%d bytes of %d, %v", len(coded), len(plain), err)
			}
			w.Header().Set("X-Coding", r.Header.Get("Content-Encoding")+" "+strings.Join(r.TransferEncoding, ","))
			_, _ = w.Write(plain)
		})
		s := newSession(t, Config{})
		long := strings.Repeat("squeeze ", 50_000)
		for _, c := range []Compression{Deflate, Gzip, Zstd} {
			for _, text := range []string{"squeeze", long} {
				resp, err := s.Post(t.Context(), srv.URL, StringBody(text), Compress(c))
				if err != nil {
					t.Fatal(err)
				}
				if got, _ := resp.Text(); got != text || resp.HeaderValue("X-Coding") != string(c)+" chunked" {
					t.Errorf("%s: %d of %d bytes, %s", c, len(got), len(text), resp.HeaderValue("X-Coding"))
				}
			}
		}
		if _, err := s.Post(t.Context(), srv.URL, StringBody("x"), Compress("lzw")); !errors.Is(err, ErrInvalidRequest) {
			t.Error("an unknown coding was taken:", err)
		}
		if _, err := s.Post(t.Context(), srv.URL, StringBody("x"), Compress(Gzip), Header("Content-Encoding", "gzip")); !errors.Is(err, ErrInvalidRequest) {
			t.Error("two codings were taken")
		}
	}},
	{name: "C/chunked", prove: func(t *testing.T) {
		srv := mirror(t)
		s := newSession(t, Config{})
		resp, err := s.Post(t.Context(), srv.URL, StringBody("abc"), Chunked())
		if err != nil {
			t.Fatal(err)
		}
		text, _ := resp.Text()
		has(t, text, "Transfer-Encoding: chunked")
		hasNot(t, text, "Content-Length")
		if !strings.HasSuffix(text, "\r\n\r\n3\r\nabc\r\n0\r\n\r\n") {
			t.Error(text)
		}
		if _, err := s.Post(t.Context(), srv.URL, StringBody("x"), Chunked(), Header("Content-Length", "1")); !errors.Is(err, ErrInvalidRequest) {
			t.Error("a length and chunks were taken")
		}
	}},
	{name: "C/expect100", prove: func(t *testing.T) {
		mode := ""
		srv := serveRaw(t, func(s *rawServer, c net.Conn) {
			r := bufio.NewReader(c)
			for line := ""; line != "\r\n"; {
				var err error
				if line, err = r.ReadString('\n'); err != nil {
					return
				}
			}
			switch mode {
			case "refuse":
				_, _ = io.WriteString(c, "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
				return
			case "continue":
				_, _ = io.WriteString(c, "HTTP/1.1 100 Continue\r\n\r\n")
			}
			body := make([]byte, 4)
			_, _ = io.ReadFull(r, body)
			_, _ = io.WriteString(c, ok(string(body), "Connection: close"))
		})
		s := newSession(t, Config{})
		for _, v := range []struct {
			mode string
			want int
			body string
		}{{"continue", 200, "data"}, {"silent", 200, "data"}, {"refuse", 413, ""}} {
			mode = v.mode
			start := time.Now()
			resp, err := s.Post(t.Context(), srv.URL, StringBody("data"), Expect100(50*time.Millisecond))
			if err != nil {
				t.Fatal(v.mode, err)
			}
			if text, _ := resp.Text(); resp.StatusCode != v.want || text != v.body {
				t.Error(v.mode, resp.StatusCode, text)
			}
			if waited := time.Since(start) >= 50*time.Millisecond; v.mode == "silent" && !waited {
				t.Error("did not wait")
			}
			_ = resp.Conn()
			_ = resp.Close()
		}
	}},
	{name: "C/read_until_eof", prove: func(t *testing.T) {
		srv := say(t, "HTTP/1.1 200 OK\r\n\r\nto the end")
		s := newSession(t, Config{})
		if got := fetch(t, s, srv.URL); got != "to the end" {
			t.Error(got)
		}
		if got := fetch(t, s, srv.URL, NoReadUntilEOF()); got != "" {
			t.Error(got)
		}
	}},
	{name: "C/proxy", prove: proveProxy},
	{name: "C/timeout", prove: func(t *testing.T) {
		srv := serveRaw(t, func(s *rawServer, c net.Conn) { _, _ = io.Copy(io.Discard, c) })
		s := newSession(t, Config{})
		_, err := s.Get(t.Context(), srv.URL, WithTimeout(Timeout{FirstByte: 20 * time.Millisecond}))
		var te *TimeoutError
		if !errors.As(err, &te) || te.Phase != PhaseFirstByte || !te.Timeout() {
			t.Error(err)
		}
	}},
	{name: "C/tls", prove: func(t *testing.T) {
		srv := tlsServer(t)
		s := newSession(t, Config{})
		sum := sha256.Sum256(srv.Certificate().Raw)
		if _, err := s.Get(t.Context(), srv.URL); !errors.Is(err, ErrCertificate) {
			t.Error(err)
		}
		fetch(t, s, srv.URL, Insecure())
		if _, err := s.Get(t.Context(), srv.URL); !errors.Is(err, ErrCertificate) {
			t.Error("an unverified connection was reused:", err)
		}
		fetch(t, s, srv.URL, Insecure(), Fingerprint(sum))
		sum[0]++
		var fe *FingerprintError
		if _, err := s.Get(t.Context(), srv.URL, Insecure(), Fingerprint(sum)); !errors.As(err, &fe) || fe.Want != sum {
			t.Error(err)
		}
		cfg := &tls.Config{RootCAs: srv.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs}
		fetch(t, s, srv.URL, TLS(cfg))
		fetch(t, s, srv.URL, TLS(cfg), ServerName("example.com"))
		if _, err := s.Get(t.Context(), srv.URL, TLS(cfg), ServerName("else.test")); !errors.Is(err, ErrCertificate) {
			t.Error(err)
		}
		if _, err := s.Get(t.Context(), srv.URL, TLS(cfg), Insecure()); !errors.Is(err, ErrInvalidRequest) {
			t.Error("contradicting settings were taken")
		}
	}},
	{name: "C/encoding", reason: "without effect in the original; charsets belong to forms"},
}

// tlsServer answers "secure" over TLS with a certificate of its own making.
func tlsServer(t *testing.T) *httptest.Server {
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "secure "+r.Proto) }))
	srv.EnableHTTP2 = true
	srv.Config.ErrorLog = quietLog
	srv.StartTLS()
	t.Cleanup(srv.Close)
	return srv
}

func proveRedirects(t *testing.T) {
	other := mirror(t)
	srv := answer(t, func(r string) string {
		switch _, path, _ := strings.Cut(requestLine(r), " "); {
		case strings.HasPrefix(path, "/loop"):
			return redirectTo(302, "/loop")
		case strings.HasPrefix(path, "/code/"):
			return redirectTo(int(path[6]-'0')*100+int(path[7]-'0')*10+int(path[8]-'0'), "/end")
		case strings.HasPrefix(path, "/uri"):
			return "HTTP/1.1 302 Found\r\nURI: /end\r\nContent-Length: 0\r\n\r\n"
		case strings.HasPrefix(path, "/missing"):
			return "HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n"
		case strings.HasPrefix(path, "/ftp"):
			return redirectTo(302, "ftp://x/")
		case strings.HasPrefix(path, "/away"):
			return redirectTo(307, other.URL+"/there")
		case strings.HasPrefix(path, "/a/rel"):
			return redirectTo(302, "../b?q#frag")
		}
		return ok(r)
	})
	s := newSession(t, Config{Auth: &BasicAuth{Login: "session"}})
	for _, v := range []struct {
		method, path, want string
		body               bool
	}{
		{"POST", "/code/301", "GET", false}, {"POST", "/code/302", "GET", false}, {"POST", "/code/303", "GET", false},
		{"POST", "/code/307", "POST", true}, {"POST", "/code/308", "POST", true}, {"PUT", "/code/302", "PUT", true},
		{"PUT", "/code/303", "GET", false}, {"DELETE", "/code/301", "DELETE", true}, {"GET", "/uri", "GET", false},
	} {
		resp, err := s.Request(t.Context(), v.method, srv.URL+v.path, WithBody(StringBody("payload")))
		if err != nil {
			t.Error(v, err)
			continue
		}
		text, _ := resp.Text()
		if !strings.HasPrefix(text, v.want+" /end ") || strings.HasSuffix(text, "payload") != v.body && v.method != "GET" || len(resp.History) != 1 {
			t.Errorf("%v: %s", v, text)
		}
	}
	_, err := s.Get(t.Context(), srv.URL+"/loop", MaxRedirects(3))
	var tm *TooManyRedirectsError
	if !errors.As(err, &tm) || len(tm.History) != 2 || tm.Response.StatusCode != 302 || !errors.Is(err, ErrTooManyRedirects) {
		t.Error(err)
	}
	if n, _ := srv.count(); n == 0 {
		t.Error("nothing was asked")
	}
	if resp, _ := get(t, s, srv.URL+"/loop", NoRedirects()); resp.StatusCode != 302 {
		t.Error(resp.StatusCode)
	}
	if resp, _ := get(t, s, srv.URL+"/missing"); resp.StatusCode != 302 {
		t.Error("a redirect without target was followed")
	}
	if _, err := s.Get(t.Context(), srv.URL+"/ftp"); !errors.Is(err, ErrNonHTTPURL) || !errors.Is(err, ErrRedirect) {
		t.Error(err)
	}
	if resp, text := get(t, s, srv.URL+"/a/rel"); !strings.HasPrefix(text, "GET /b?q ") || resp.URL != srv.URL+"/b?q" {
		t.Error(text)
	}
	resp, text := get(t, s, srv.URL+"/away", Cookies(&http.Cookie{Name: "secret", Value: "1"}))
	hasNot(t, text, "Authorization")
	hasNot(t, text, "secret")
	if dropped := strings.Join(resp.History[0].DroppedHeaders, ","); dropped != "Authorization,Cookie" {
		t.Error(dropped)
	}
	_, err = s.Post(t.Context(), srv.URL+"/code/307", ReaderBody(io.LimitReader(strings.NewReader("once"), 9), 4))
	var pe *PayloadError
	if !errors.As(err, &pe) || pe.Kind != PayloadRequest {
		t.Error(err)
	}
	stop := errors.New("stop")
	if _, err := s.Get(t.Context(), srv.URL+"/loop", OnRedirect(func(*Response, *Request) error { return stop })); !errors.Is(err, stop) {
		t.Error(err)
	}
}

func proveProxy(t *testing.T) {
	secure := tlsServer(t)
	roots := &tls.Config{RootCAs: secure.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs}
	var connects []string
	serveProxy := func(s *rawServer, c net.Conn) {
		r := bufio.NewReader(c)
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		dump, _ := httputil.DumpRequest(req, false)
		s.mu.Lock()
		connects = append(connects, string(dump))
		s.mu.Unlock()
		switch {
		case req.Header.Get("Proxy-Authorization") == "":
			_, _ = io.WriteString(c, "HTTP/1.1 407 Proxy Authentication Required\r\nX-Why: because\r\nContent-Length: 0\r\n\r\n")
		case req.Method == "CONNECT":
			up, err := net.Dial("tcp", req.Host)
			if err != nil {
				return
			}
			defer up.Close()
			_, _ = io.WriteString(c, "HTTP/1.1 200 Connected\r\n\r\n")
			go func() { _, _ = io.Copy(up, r); _ = up.Close() }()
			_, _ = io.Copy(c, up)
		default:
			_, _ = io.WriteString(c, ok(req.RequestURI))
		}
	}
	proxy := serveRaw(t, serveProxy)
	u, _ := url.Parse(proxy.URL)
	s := newSession(t, Config{})
	auth := ProxyAuth(&BasicAuth{Login: "u", Password: "p"})
	if got := fetch(t, s, "http://plain.test/x?y", Proxy(u), auth); got != "http://plain.test/x?y" {
		t.Error(got)
	}
	if got := fetch(t, s, secure.URL, Proxy(u), auth, ProxyHeader(http.Header{"X-Proxy": {"1"}}), TLS(roots)); got != "secure HTTP/1.1" {
		t.Error(got)
	}
	if !strings.Contains(connects[1], "X-Proxy: 1") {
		t.Error(connects[1])
	}
	var pe *ProxyResponseError
	if _, err := s.Get(t.Context(), secure.URL, Proxy(u), TLS(roots)); !errors.As(err, &pe) || pe.StatusCode != 407 || pe.Header.Get("X-Why") != "because" {
		t.Error(err)
	}
	sum := sha256.Sum256([]byte("else"))
	if _, err := s.Get(t.Context(), secure.URL, Proxy(u), auth, TLS(roots), Fingerprint(sum)); !errors.Is(err, ErrFingerprintMismatch) {
		t.Error("not pinned through a proxy:", err)
	}
	bad, _ := url.Parse("gopher://x")
	if _, err := s.Get(t.Context(), secure.URL, Proxy(bad)); !errors.Is(err, ErrProxyConnection) {
		t.Error(err)
	}
	// The same over TLS, which the connector's settings are for.
	hidden := serveRaw(t, func(s *rawServer, c net.Conn) { serveProxy(s, tls.Server(c, secure.TLS.Clone())) })
	over := &url.URL{Scheme: "https", Host: hidden.Addr, User: url.UserPassword("u", "p")}
	s = newSession(t, Config{Connector: newTCP(t, TCPConfig{TLS: roots})})
	for target, want := range map[string]string{secure.URL: "secure HTTP/1.1", "http://plain.test/x?y": "http://plain.test/x?y"} {
		if got := fetch(t, s, target, Proxy(over)); got != want {
			t.Errorf("over TLS: %q", got)
		}
	}
	if _, err := newSession(t, Config{}).Get(t.Context(), secure.URL, Proxy(over)); !errors.Is(err, ErrProxyConnection) || !errors.Is(err, ErrCertificate) {
		t.Error("an unknown certificate of a proxy:", err)
	}
	socks := serveRaw(t, serveSOCKS)
	for _, scheme := range []string{"socks5", "socks5h"} {
		u := &url.URL{Scheme: scheme, User: url.UserPassword("u", "p"), Host: socks.Addr}
		if got := fetch(t, s, secure.URL, Proxy(u), TLS(roots)); got != "secure HTTP/1.1" {
			t.Error(got)
		}
	}
	if _, err := s.Get(t.Context(), secure.URL, Proxy(&url.URL{Scheme: "socks5", Host: socks.Addr})); !errors.Is(err, ErrProxyConnection) {
		t.Error("no credentials, and no error:", err)
	}
}

// serveSOCKS is a SOCKS5 proxy for the user u with the password p.
func serveSOCKS(s *rawServer, c net.Conn) {
	read := func(n int) []byte {
		b := make([]byte, n)
		if _, err := io.ReadFull(c, b); err != nil {
			return make([]byte, n)
		}
		return b
	}
	methods := read(int(read(2)[1]))
	if !strings.Contains(string(methods), "\x02") {
		_, _ = c.Write([]byte{5, 0xff})
		return
	}
	_, _ = c.Write([]byte{5, 2})
	user := read(int(read(2)[1]))
	pass := read(int(read(1)[0]))
	if string(user) != "u" || string(pass) != "p" {
		_, _ = c.Write([]byte{1, 1})
		return
	}
	_, _ = c.Write([]byte{1, 0})
	host := ""
	switch head := read(4); head[3] {
	case 1:
		host = net.IP(read(4)).String()
	case 3:
		host = string(read(int(read(1)[0])))
	}
	p := read(2)
	up, err := net.Dial("tcp", net.JoinHostPort(host, strconv.Itoa(int(p[0])<<8|int(p[1]))))
	if err != nil {
		_, _ = c.Write([]byte{5, 5, 0, 1, 0, 0, 0, 0, 0, 0})
		return
	}
	defer up.Close()
	_, _ = c.Write([]byte{5, 0, 0, 1, 0, 0, 0, 0, 0, 0})
	go func() { _, _ = io.Copy(up, c); _ = up.Close() }()
	_, _ = io.Copy(c, up)
}
