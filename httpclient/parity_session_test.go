package httpclient

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var sessionRows = []parityRow{
	{name: "A/connector", prove: func(t *testing.T) {
		c := newTCP(t, TCPConfig{})
		if s := newSession(t, Config{Connector: c}); s.Connector() != Connector(c) {
			t.Error("not the connector that was given")
		}
		if _, own := newSession(t, Config{}).Connector().(*TCPConnector); !own {
			t.Error("no TCPConnector by default")
		}
	}},
	{name: "A/cookies", prove: func(t *testing.T) {
		a, b := mirror(t), mirror(t)
		s := newSession(t, Config{Cookies: []*http.Cookie{{Name: "shared", Value: "1"}}, Jar: NewCookieJar(JarConfig{AllowIP: true})})
		for _, u := range []string{a.URL, b.URL} {
			has(t, fetch(t, s, u), "Cookie: shared=1")
		}
	}},
	{name: "A/headers", prove: func(t *testing.T) {
		srv := mirror(t)
		s := newSession(t, Config{Header: http.Header{"X-Many": {"1", "2"}, "X-One": {"default"}}})
		got := fetch(t, s, srv.URL, Header("x-one", "own"))
		has(t, got, "X-Many: 1")
		has(t, got, "X-Many: 2")
		has(t, got, "x-one: own")
		hasNot(t, got, "default")
	}},
	{name: "A/skip_auto_headers", prove: func(t *testing.T) {
		srv := mirror(t)
		s := newSession(t, Config{SkipAutoHeaders: []string{"user-agent", "Accept", "Host", "Content-Type", "Content-Length"}})
		resp, err := s.Post(t.Context(), srv.URL, StringBody("x"))
		if err != nil {
			t.Fatal(err)
		}
		text, _ := resp.Text()
		for _, name := range []string{"user-agent", "accept:", "host", "content-type"} {
			hasNot(t, text, name)
		}
		has(t, text, "Content-Length: 1")
	}},
	{name: "A/auto_headers", prove: func(t *testing.T) {
		srv := mirror(t)
		s := newSession(t, Config{})
		got := fetch(t, s, srv.URL)
		for _, line := range []string{"Host: " + srv.Addr, "Accept: */*", "Accept-Encoding: gzip, deflate, br, zstd", "User-Agent: " + DefaultUserAgent} {
			has(t, got, line)
		}
		resp, err := s.Put(t.Context(), srv.URL, BytesBody([]byte("x")))
		if err != nil {
			t.Fatal(err)
		}
		text, _ := resp.Text()
		has(t, text, "Content-Type: application/octet-stream")
	}},
	{name: "A/auth", prove: func(t *testing.T) {
		srv := mirror(t)
		s := newSession(t, Config{Auth: &BasicAuth{Login: "me", Password: "pw"}})
		has(t, fetch(t, s, srv.URL), "Authorization: Basic bWU6cHc=")
		has(t, fetch(t, s, strings.Replace(srv.URL, "//", "//u:p@", 1)), "Authorization: Basic dTpw")
		has(t, fetch(t, s, srv.URL, Auth(&BasicAuth{Login: "a"})), "Authorization: Basic YTo=")
	}},
	{name: "A/json_serialize", prove: func(t *testing.T) {
		srv := mirror(t)
		s := newSession(t, Config{MarshalJSON: func(any) ([]byte, error) { return []byte(`"mine"`), nil }})
		resp, err := s.Post(t.Context(), srv.URL, nil, JSON(1))
		if err != nil {
			t.Fatal(err)
		}
		if text, _ := resp.Text(); !strings.HasSuffix(text, "\r\n\r\n\"mine\"") {
			t.Error(text)
		}
	}},
	{name: "A/version", prove: func(t *testing.T) {
		srv := mirror(t)
		s := newSession(t, Config{Version: HTTP10})
		has(t, fetch(t, s, srv.URL), "GET / HTTP/1.0")
		if st := s.Connector().Stats(); st.Idle != 0 {
			t.Error("kept alive without being asked to")
		}
		fetch(t, s, srv.URL, Header("Connection", "keep-alive"))
		if st := s.Connector().Stats(); st.Idle != 1 {
			t.Error("not kept alive")
		}
		if s.Version() != HTTP10 {
			t.Error(s.Version())
		}
	}},
	{name: "A/cookie_jar", prove: func(t *testing.T) {
		srv := answer(t, func(r string) string { return ok(r, "Set-Cookie: a=b{}") })
		own := newSession(t, Config{Jar: NewCookieJar(JarConfig{AllowIP: true})})
		fetch(t, own, srv.URL)
		has(t, fetch(t, own, srv.URL), "Cookie: a=b{}")
		other := newSession(t, Config{})
		hasNot(t, fetch(t, other, srv.URL), "cookie:")
		if other.Jar() == nil || other.Jar() == own.Jar() {
			t.Error("sessions share a jar")
		}
		none := newSession(t, Config{Jar: DummyJar{}})
		fetch(t, none, srv.URL)
		hasNot(t, fetch(t, none, srv.URL), "cookie:")
	}},
	{name: "A/read_timeout", prove: func(t *testing.T) {
		stall := make(chan struct{})
		srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/first" {
				time.Sleep(30 * time.Millisecond)
				http.Redirect(w, r, "/second", http.StatusFound)
				return
			}
			_, _ = io.WriteString(w, "part")
			w.(http.Flusher).Flush()
			select {
			case <-stall:
			case <-r.Context().Done():
			}
		})
		defer close(stall)
		s := newSession(t, Config{Timeout: Timeout{Total: 150 * time.Millisecond}})
		start := time.Now()
		resp, err := s.Get(t.Context(), srv.URL+"/first")
		if err != nil {
			t.Fatal(err)
		}
		b, err := resp.AppendBody(nil)
		var te *TimeoutError
		if string(b) != "part" || !errors.As(err, &te) || te.Phase != PhaseTotal || time.Since(start) < 140*time.Millisecond {
			t.Errorf("%q, %v after %v", b, err, time.Since(start))
		}
	}},
	{name: "A/conn_timeout", prove: func(t *testing.T) {
		srv := mirror(t)
		s := newSession(t, Config{Connector: newTCP(t, TCPConfig{PoolConfig: PoolConfig{Limit: 1}}), Timeout: Timeout{Connect: 30 * time.Millisecond}})
		held, err := s.Get(t.Context(), srv.URL, HTTPVersion(HTTP11))
		if err != nil {
			t.Fatal(err)
		}
		second, err := s.Get(t.Context(), srv.URL) // the first was short and ended by itself
		if err == nil {
			_ = second.Close()
		}
		_ = held.Close()
		c, err := s.Connector().Connect(t.Context(), mustRequest(t, srv.URL))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_, err = s.Get(t.Context(), srv.URL)
		var te *TimeoutError
		if !errors.As(err, &te) || te.Phase != PhaseConnect {
			t.Error(err)
		}
	}},
	{name: "A/raise_for_status", prove: func(t *testing.T) {
		srv := answer(t, func(string) string { return "HTTP/1.1 418 Teapot\r\nContent-Length: 5\r\n\r\nshort" })
		s := newSession(t, Config{CheckResponse: (*Response).RaiseForStatus})
		_, err := s.Get(t.Context(), srv.URL)
		var re *ResponseError
		if !errors.As(err, &re) || re.StatusCode != 418 || re.Message != "Teapot" || string(re.Body) != "short" {
			t.Error(err)
		}
		if text := fetch(t, s, srv.URL, CheckResponse(func(*Response) error { return nil })); text != "short" {
			t.Errorf("a request cannot do without: %q", text)
		}
		teapot := errors.New("a teapot")
		s = newSession(t, Config{CheckResponse: func(r *Response) error { return teapot }})
		if _, err := s.Get(t.Context(), srv.URL); !errors.Is(err, teapot) || !errors.Is(err, ErrClient) {
			t.Error(err)
		}
		if st := s.Connector().Stats(); st.Held() != 0 || st.Idle != 1 {
			t.Errorf("%+v", st)
		}
	}},
	{name: "A/connector_owner", prove: func(t *testing.T) {
		c := newTCP(t, TCPConfig{})
		s := newSession(t, Config{Connector: c, SharedConnector: true})
		if _ = s.Close(); c.Closed() || !s.Closed() {
			t.Error("a shared connector was closed, or the session is not")
		}
		s = newSession(t, Config{Connector: c})
		if _ = s.Close(); !c.Closed() {
			t.Error("the connector was not closed")
		}
	}},
	{name: "A/auto_decompress", prove: func(t *testing.T) {
		var z bytes.Buffer
		w := gzip.NewWriter(&z)
		_, _ = w.Write([]byte("plain"))
		_ = w.Close()
		srv := answer(t, func(string) string { return ok(z.String(), "Content-Encoding: gzip") })
		if got := fetch(t, newSession(t, Config{}), srv.URL); got != "plain" {
			t.Errorf("%q", got)
		}
		s := newSession(t, Config{NoDecompress: true})
		resp, got := get(t, s, srv.URL)
		if got != z.String() || resp.HeaderValue("Content-Encoding") != "gzip" {
			t.Errorf("%q", got)
		}
		hasNot(t, srv.last(), "Accept-Encoding")
	}},
	{name: "A/trust_env", prove: func(t *testing.T) {
		proxy := mirror(t)
		t.Setenv("HTTP_PROXY", strings.Replace(proxy.URL, "//", "//u:p@", 1))
		t.Setenv("NO_PROXY", "direct.test")
		s := newSession(t, Config{TrustEnv: true})
		got := fetch(t, s, "http://example.test/x")
		has(t, got, "GET http://example.test/x HTTP/1.1")
		has(t, got, "Proxy-Authorization: Basic dTpw")
		if _, err := s.Get(t.Context(), "http://direct.test/"); !errors.Is(err, ErrDNS) {
			t.Error("NO_PROXY is not honoured:", err)
		}
		has(t, fetch(t, s, mirror(t).URL), "GET / HTTP/1.1") // of a loopback address, directly
		t.Setenv("HTTP_PROXY", "ftp://x.test")
		has(t, fetch(t, s, "http://example.test/x"), "GET http://example.test/x HTTP/1.1")
		has(t, fetch(t, s.With(Timeout{}), "http://example.test/x"), "GET http://example.test/x HTTP/1.1")
		if _, err := newSession(t, Config{TrustEnv: true}).Get(t.Context(), "http://example.test/"); !errors.Is(err, ErrProxyConnection) {
			t.Error("a proxy of an unknown kind:", err)
		}
	}},
	{name: "A/request_class", reason: "there are no subclasses; middleware serves"},
	{name: "A/unclosed_warnings", reason: "no collector tells of leaks; Connector.Stats shows held slots, and the tests end with none"},

	{name: "B/closed", prove: func(t *testing.T) {
		c := newTCP(t, TCPConfig{})
		s := newSession(t, Config{Connector: c})
		if s.Closed() {
			t.Error("closed at once")
		}
		_ = c.Close()
		if !s.Closed() {
			t.Error("open without its connector")
		}
	}},
	{name: "B/connector_cookie_jar", prove: func(t *testing.T) {
		jar := NewCookieJar(JarConfig{})
		if s := newSession(t, Config{Jar: jar}); s.Jar() != CookieJar(jar) || s.Connector() == nil {
			t.Error("not what was given")
		}
	}},
	{name: "B/requote_redirect_url", prove: func(t *testing.T) {
		srv := answer(t, func(r string) string {
			if requestLine(r) == "GET /start HTTP/1.1" {
				return redirectTo(302, "/a%2Fb?c=%26d\xe9")
			}
			return ok(r)
		})
		s := newSession(t, Config{})
		has(t, fetch(t, s, srv.URL+"/start"), "GET /a%2Fb?c=%26d%E9 HTTP/1.1")
		raw := newSession(t, Config{RawRedirects: true})
		has(t, fetch(t, raw, srv.URL+"/start"), "GET /a%2Fb?c=%26d\xe9 HTTP/1.1")
	}},
	{name: "B/loop", reason: "there is no event loop"},
	{name: "B/request", prove: func(t *testing.T) {
		srv := mirror(t)
		resp, err := newSession(t, Config{}).Request(t.Context(), "propfind", srv.URL)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := resp.Text()
		has(t, text, "PROPFIND / HTTP/1.1")
	}},
	{name: "B/get_options_head", prove: func(t *testing.T) {
		srv := answer(t, func(r string) string {
			if strings.Contains(requestLine(r), " /r ") {
				return redirectTo(302, "/done")
			}
			if strings.HasPrefix(r, "HEAD") {
				return "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"
			}
			return ok(r)
		})
		s := newSession(t, Config{})
		for _, v := range []struct {
			call func() (*Response, error)
			code int
		}{
			{func() (*Response, error) { return s.Get(t.Context(), srv.URL+"/r") }, 200},
			{func() (*Response, error) { return s.Options(t.Context(), srv.URL+"/r") }, 200},
			{func() (*Response, error) { return s.Head(t.Context(), srv.URL+"/r") }, 302},
			{func() (*Response, error) { return s.Head(t.Context(), srv.URL+"/x") }, 200},
		} {
			resp, err := v.call()
			if err != nil || resp.StatusCode != v.code {
				t.Errorf("%+v, %v", resp, err)
				continue
			}
			resp.Release()
		}
	}},
	{name: "B/post_put_patch_delete", prove: func(t *testing.T) {
		srv := mirror(t)
		s := newSession(t, Config{})
		verbs := map[string]func() (*Response, error){
			"POST":   func() (*Response, error) { return s.Post(t.Context(), srv.URL, StringBody("b")) },
			"PUT":    func() (*Response, error) { return s.Put(t.Context(), srv.URL, StringBody("b")) },
			"PATCH":  func() (*Response, error) { return s.Patch(t.Context(), srv.URL, StringBody("b")) },
			"DELETE": func() (*Response, error) { return s.Delete(t.Context(), srv.URL, StringBody("b")) },
		}
		for method, call := range verbs {
			resp, err := call()
			if err != nil {
				t.Fatal(err)
			}
			text, _ := resp.Text()
			if !strings.HasPrefix(text, method+" / ") || !strings.HasSuffix(text, "\r\n\r\nb") {
				t.Error(text)
			}
		}
	}},
	{name: "B/close", prove: func(t *testing.T) {
		srv := mirror(t)
		s := newSession(t, Config{})
		fetch(t, s, srv.URL)
		if err := errors.Join(s.Close(), s.Close()); err != nil {
			t.Error(err)
		}
		if st := s.Connector().Stats(); st.Idle != 0 || !s.Connector().Closed() {
			t.Errorf("%+v", st)
		}
		if _, err := s.Get(t.Context(), srv.URL); !errors.Is(err, ErrSessionClosed) {
			t.Error(err)
		}
	}},
	{name: "B/detach", prove: func(t *testing.T) {
		s := newSession(t, Config{})
		c := s.Detach()
		defer c.Close()
		if !s.Closed() || c.Closed() {
			t.Error("detached session is open, or its connector closed")
		}
		srv := mirror(t)
		if _, err := s.Get(t.Context(), srv.URL); !errors.Is(err, ErrSessionClosed) {
			t.Error(err)
		}
		if _ = s.Close(); c.Closed() {
			t.Error("a detached connector was closed")
		}
		fetch(t, newSession(t, Config{Connector: c}), srv.URL)
	}},
	{name: "B/context_manager", reason: "defer s.Close()"},
	{name: "B/interop", prove: func(t *testing.T) {
		srv := answer(t, func(r string) string {
			if strings.Contains(requestLine(r), " /r ") {
				return redirectTo(302, "/done")
			}
			return "HTTP/1.1 200 Fine\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n3\r\nabc\r\n0\r\nX-T: 1\r\n\r\n"
		})
		client := http.Client{Transport: newSession(t, Config{Jar: DummyJar{}}).RoundTripper()}
		resp, err := client.Post(srv.URL+"/r", "text/plain", strings.NewReader("body"))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil || string(b) != "abc" || resp.Status != "200 Fine" || resp.Trailer.Get("X-T") != "1" || resp.Request.URL.Path != "/done" {
			t.Errorf("%q %v %+v", b, err, resp)
		}
	}},

	{name: "D/request", prove: func(t *testing.T) {
		srv := answer(t, func(r string) string { return ok(r, "Set-Cookie: a=b") })
		for range 2 {
			resp, err := Fetch(t.Context(), "GET", srv.URL, Cookies(&http.Cookie{Name: "own", Value: "1"}), HTTPVersion(HTTP11))
			if err != nil {
				t.Fatal(err)
			}
			text, _ := resp.Text()
			has(t, text, "Cookie: own=1")
			has(t, text, "Connection: close")
			if resp.owner != nil {
				t.Error("its session is still open")
			}
		}
		if _, conns := srv.count(); conns != 2 {
			t.Errorf("%d connections", conns)
		}
		c := newTCP(t, TCPConfig{})
		defer c.Close()
		for range 2 {
			resp, err := Fetch(t.Context(), "GET", srv.URL, UseConnector(c))
			if err != nil {
				t.Fatal(err)
			}
			_, _ = resp.Text()
		}
		if st := c.Stats(); st.Dials != 1 || c.Closed() {
			t.Errorf("%+v", st)
		}
	}},

	{name: "J/request_info", prove: func(t *testing.T) {
		srv := mirror(t)
		resp, _ := get(t, newSession(t, Config{}), srv.URL+"/x", Header("X-Own", "1"))
		if i := resp.RequestInfo(); i.Method != "GET" || i.URL != srv.URL+"/x" || i.Header.Get("X-Own") != "1" || i.Header.Get("Host") != srv.Addr {
			t.Errorf("%+v", i)
		}
		cookies := answer(t, func(r string) string { return ok(r, "Set-Cookie: a=new") })
		jar := NewCookieJar(JarConfig{AllowIP: true})
		s := newSession(t, Config{Jar: jar})
		for _, want := range []string{"", "a=new"} { // as it was sent, not as it would be now
			resp, _ := get(t, s, cookies.URL)
			jar.SetFromHeader(mustURL(t, cookies.URL), []string{"b=newer"})
			if got := resp.RequestInfo().Header.Get("Cookie"); got != want {
				t.Errorf("%q, want %q", got, want)
			}
			jar.Clear(func(e *Entry) bool { return e.Name == "b" })
		}
	}},
	{name: "J/basic_auth", prove: func(t *testing.T) {
		if h, err := (&BasicAuth{Login: "j\xc3\xb6", Password: "p"}).Header(); err != nil || h != "Basic avY6cA==" {
			t.Error(h, err)
		}
		if _, err := (&BasicAuth{Login: "a:b"}).Header(); err == nil {
			t.Error("a colon in the login was taken")
		}
		if _, err := (&BasicAuth{Login: "€"}).Header(); err == nil {
			t.Error("latin1 took a euro sign")
		}
		if h, err := (&BasicAuth{Login: "€", Charset: "utf-8"}).Header(); err != nil || h != "Basic 4oKsOg==" {
			t.Error(h, err)
		}
	}},
	{name: "J/basic_auth_decode", prove: func(t *testing.T) {
		a, err := ParseBasicAuth("basic dTpwOng=")
		if err != nil || a.Login != "u" || a.Password != "p:x" {
			t.Error(a, err)
		}
		for _, bad := range []string{"Bearer x", "Basic !", "Basic dQ=="} {
			if _, err := ParseBasicAuth(bad); err == nil {
				t.Errorf("%q was taken", bad)
			}
		}
		u, _ := url.Parse("http://me:s%20@h/")
		if a, found := BasicAuthFromURL(u); !found || a.Login != "me" || a.Password != "s " {
			t.Error(a)
		}
		if _, found := BasicAuthFromURL(&url.URL{}); found {
			t.Error("credentials out of nowhere")
		}
	}},
	{name: "J/http_version", prove: func(t *testing.T) {
		srv := answer(t, func(string) string { return "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n" })
		resp, _ := get(t, newSession(t, Config{}), srv.URL)
		if major, minor := resp.Version(); major != 1 || minor != 0 || resp.Proto != "HTTP/1.0" || HTTP11.String() != "HTTP/1.1" {
			t.Error(major, minor, resp.Proto)
		}
	}},
	{name: "J/multidict", prove: func(t *testing.T) {
		var h HeaderList
		h.Add("B", "1")
		h.Add("a", "2")
		h.Add("b", "3")
		h.Set("B", "4")
		if len(h) != 2 || h.Get("b") != "4" || h[1].Name != "a" || !h.Has("A") {
			t.Error(h)
		}
		if h.Del("A"); h.Has("a") {
			t.Error(h)
		}
	}},
	{name: "J/payloads", prove: func(t *testing.T) {
		srv := mirror(t)
		s := newSession(t, Config{})
		path := filepath.Join(t.TempDir(), "f")
		if err := os.WriteFile(path, []byte("from file"), 0o600); err != nil {
			t.Fatal(err)
		}
		for want, body := range map[string]Body{
			"from file":                       FileBody(path),
			"bytes":                           BytesBody([]byte("bytes")),
			"seek":                            ReaderBody(strings.NewReader("seek"), 4),
			"6\r\nreader\r\n0\r\n\r\n":        ReaderBody(io.LimitReader(strings.NewReader("reader"), 9), -1),
			"2\r\nab\r\n2\r\ncd\r\n0\r\n\r\n": PipeBody(func(w io.Writer) error { _, _ = w.Write([]byte("ab")); _, err := w.Write([]byte("cd")); return err }),
			"a=1&b=2":                         FormBody(url.Values{"a": {"1"}, "b": {"2"}}),
		} {
			resp, err := s.Post(t.Context(), srv.URL, body)
			if err != nil {
				t.Error(want, err)
				continue
			}
			if text, _ := resp.Text(); !strings.HasSuffix(text, "\r\n\r\n"+want) {
				t.Errorf("want %q in\n%s", want, text)
			}
		}
	}},
	{name: "J/interfaces", prove: func(t *testing.T) {
		var _ Resolver = &SystemResolver{}
		var _ Resolver = &NameserverResolver{}
		var _ CookieJar = DummyJar{}
		var v any
		if err := json.Unmarshal([]byte("1"), &v); err != nil {
			t.Error(err)
		}
	}},
}

func mustRequest(t testing.TB, url string) *Request {
	t.Helper()
	r, err := NewRequest("GET", url)
	if err != nil {
		t.Fatal(err)
	}
	return r
}
