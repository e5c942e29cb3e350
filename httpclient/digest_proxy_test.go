package httpclient

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/coder/websocket"
)

// digestProxy is an HTTP proxy that wants Digest of who with the password secret. It answers what it forwards itself.
type digestProxy struct {
	*rawServer
	params string // of the challenge, beyond realm and nonce
	always bool   // nothing is good enough

	mu    sync.Mutex
	nonce int
	seen  []string // method and status of each request
}

func newDigestProxy(t *testing.T, params string) *digestProxy {
	p := &digestProxy{params: params, nonce: 1}
	p.rawServer = serveRaw(t, func(_ *rawServer, c net.Conn) {
		r := bufio.NewReader(c)
		for {
			req, err := http.ReadRequest(r)
			if err != nil {
				return
			}
			body, _ := io.ReadAll(req.Body)
			challenge, passed := p.check(req, body)
			switch {
			case !passed:
				_, _ = fmt.Fprintf(c, "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: %s\r\nContent-Length: 2\r\n\r\nno", challenge)
				if req.Method == http.MethodConnect {
					return
				}
			case req.Method == http.MethodConnect:
				up, err := net.Dial("tcp", req.Host)
				if err != nil {
					return
				}
				defer up.Close()
				_, _ = io.WriteString(c, "HTTP/1.1 200 Connected\r\n\r\n")
				go func() { _, _ = io.Copy(up, r); _ = up.Close() }()
				_, _ = io.Copy(c, up)
				return
			default:
				_, _ = io.WriteString(c, ok(req.Method+" "+req.RequestURI+" "+string(body)))
			}
		}
	})
	return p
}

func (p *digestProxy) check(req *http.Request, body []byte) (challenge string, passed bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.always {
		p.nonce++
	}
	challenge = fmt.Sprintf(`Digest realm="r", nonce="%d"%s`, p.nonce, p.params)
	if c, _ := digestChallengeOf([]string{challenge}, 407); c != nil && !p.always {
		given := parseAuthParams(strings.TrimPrefix(req.Header.Get("Proxy-Authorization"), "Digest "))
		var count uint32
		_, _ = fmt.Sscanf(given["nc"], "%x", &count)
		want := c.answer("who", "secret", req.Method, req.RequestURI, c.hash(string(body)), given["cnonce"], count)
		passed = given["nonce"] == c.nonce && given["uri"] == req.RequestURI && strings.Contains(want, `response="`+given["response"]+`"`)
	}
	status := 407
	if passed {
		status = 200
	}
	p.seen = append(p.seen, fmt.Sprint(req.Method, " ", status))
	return challenge, passed
}

// took returns what the proxy was asked since the last call.
func (p *digestProxy) took() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := strings.Join(p.seen, ", ")
	p.seen = nil
	return s
}

func (p *digestProxy) renew() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.nonce++
}

func (p *digestProxy) at() RequestOption { return Proxy(&url.URL{Scheme: "http", Host: p.Addr}) }

// TestProxyDigestAuth: requests that a proxy forwards, and tunnels through it, each challenged once a nonce.
func TestProxyDigestAuth(t *testing.T) {
	secure := tlsServer(t)
	for _, params := range []string{`, qop="auth", algorithm=SHA-256`, ``, `, qop="auth-int"`} {
		p := newDigestProxy(t, params)
		auth, err := ProxyDigestAuth("HTTP://"+p.Addr+"/", "who", "secret")
		if err != nil {
			t.Fatal(err)
		}
		c := newTCP(t, TCPConfig{TLS: rootsOf(secure)})
		s := newSession(t, Config{Connector: c, Middleware: []Middleware{auth}, Jar: DummyJar{}})
		for i, want := range []string{"GET 407, GET 200", "GET 200"} {
			if text := fetch(t, s, "http://plain.test/a?b=%2F", p.at()); text != "GET http://plain.test/a?b=%2F " || p.took() != want {
				t.Errorf("%d: %q", i, text)
			}
		}
		resp, err := s.Post(t.Context(), "http://plain.test/", StringBody("body"), p.at())
		if err != nil {
			t.Fatal(err)
		}
		if text, _ := resp.Text(); text != "POST http://plain.test/ body" {
			t.Errorf("%q", text)
		}
		if st := c.Stats(); st.Dials != 1 { // answers do not keep connections apart
			t.Errorf("%+v", st)
		}
		p.took()
		p.renew()
		for i, want := range []string{"CONNECT 407, CONNECT 200", ""} {
			if text := fetch(t, s, secure.URL, p.at()); text != "secure HTTP/1.1" {
				t.Errorf("%q", text)
			}
			if took := p.took(); took != want {
				t.Errorf("tunnel %d: %s, want %s", i, took, want)
			}
		}
		c.CloseIdle()
		if text, took := fetch(t, s, secure.URL, p.at()), p.took(); text != "secure HTTP/1.1" || took != "CONNECT 200" {
			t.Errorf("%q, %s", text, took)
		}
		// A tunnel that is only now refused has cost nothing of a body that can be read once.
		c.CloseIdle()
		p.renew()
		resp, err = s.Post(t.Context(), secure.URL, ReaderBody(io.MultiReader(strings.NewReader("once")), 4), p.at())
		if err != nil || resp.StatusCode != 200 {
			t.Fatal(err)
		}
		resp.Release()
		if took := p.took(); took != "CONNECT 407, CONNECT 200" {
			t.Error(took)
		}
		var wg sync.WaitGroup
		c.CloseIdle()
		p.renew()
		for i := range 20 {
			wg.Go(func() {
				target := secure.URL
				if i%2 == 0 {
					target = "http://plain.test/"
				}
				fetch(t, s, target, p.at())
			})
		}
		wg.Wait()
	}
}

// TestProxyDigestAuthWebSocket: a handshake's tunnel is challenged as well.
func TestProxyDigestAuthWebSocket(t *testing.T) {
	p := newDigestProxy(t, `, qop="auth"`)
	auth, err := ProxyDigestAuth(p.URL, "who", "secret")
	if err != nil {
		t.Fatal(err)
	}
	target := wsServe(t, &websocket.AcceptOptions{InsecureSkipVerify: true}, echo)
	w, err := newSession(t, Config{Middleware: []Middleware{auth}}).DialWebSocket(t.Context(), target, nil, p.at())
	if err != nil {
		t.Fatal(err)
	}
	if took := p.took(); took != "CONNECT 407, CONNECT 200" {
		t.Error(took)
	}
	if err := w.Close(t.Context(), WSNormalClosure, ""); err != nil {
		t.Error(err)
	}
}

// TestProxyDigestAuthRefused: hostile proxies get two requests, and challenges that are not known are typed.
func TestProxyDigestAuthRefused(t *testing.T) {
	for _, v := range []struct {
		params string
		typed  bool
	}{{``, false}, {`, stale=true, qop="auth"`, false}, {`, algorithm="MD7"`, true}, {`, qop="auth-conf"`, true}} {
		p := newDigestProxy(t, v.params)
		p.always = true
		auth, err := ProxyDigestAuth(p.URL, "who", "secret")
		if err != nil {
			t.Fatal(err)
		}
		s := newSession(t, Config{Middleware: []Middleware{auth}})
		for range 3 {
			resp, err := s.Get(t.Context(), "http://plain.test/", p.at())
			plain := p.took()
			_, tunnel := s.Get(t.Context(), "https://plain.test/", p.at())
			connects := p.took()
			var refused *ProxyResponseError
			if !errors.As(tunnel, &refused) || refused.StatusCode != 407 || !errors.Is(tunnel, ErrHTTPProxy) || errors.Is(tunnel, ErrChallenge) != v.typed {
				t.Errorf("%s: tunnel: %v", v.params, tunnel)
			}
			if v.typed {
				var ce *ChallengeError
				if !errors.As(err, &ce) || ce.StatusCode != 407 || plain != "GET 407" || connects != "CONNECT 407" {
					t.Errorf("%s: %v, %s, %s", v.params, err, plain, connects)
				}
				continue
			}
			if err != nil || resp.StatusCode != 407 || plain != "GET 407, GET 407" || connects != "CONNECT 407, CONNECT 407" {
				t.Errorf("%s: %v, %s, %s", v.params, err, plain, connects)
				continue
			}
			if text, err := resp.Text(); text != "no" || err != nil {
				t.Errorf("%q, %v", text, err)
			}
		}
		if st := s.Connector().Stats(); st.Held() != 0 {
			t.Errorf("%+v", st)
		}
	}
}

// TestProxyDigestAuthLeavesAlone: nobody but the proxy gets an answer.
func TestProxyDigestAuthLeavesAlone(t *testing.T) {
	const challenge = "HTTP/1.1 407 Who\r\nProxy-Authenticate: Digest realm=\"r\", nonce=\"n\"\r\nContent-Length: 0\r\n\r\n"
	srv := answer(t, func(string) string { return challenge })
	p := newDigestProxy(t, `, qop="auth"`)
	auth, err := ProxyDigestAuth(p.URL, "who", "secret")
	if err != nil {
		t.Fatal(err)
	}
	s := newSession(t, Config{Middleware: []Middleware{auth}})
	once := func(name, took string, url string, opts ...RequestOption) {
		t.Helper()
		before, _ := srv.count()
		resp, err := s.Get(t.Context(), url, opts...)
		if err != nil {
			t.Fatal(name, err)
		}
		resp.Release()
		if after, _ := srv.count(); resp.StatusCode != 407 || after-before > 1 || p.took() != took {
			t.Errorf("%s: status %d, %d requests", name, resp.StatusCode, after-before)
		}
		hasNot(t, srv.last(), "Proxy-Authorization")
	}
	fetch(t, s, "http://plain.test/", p.at()) // so that the challenge is known
	p.took()
	once("a server", "", srv.URL)
	once("another proxy", "", "http://plain.test/", Proxy(mustURL(t, srv.URL)))
	own := ProxyAuth(&BasicAuth{Login: "a"})
	once("credentials of the request", "GET 407", "http://plain.test/", p.at(), own)
	once("a field of the request", "GET 407", "http://plain.test/", p.at(), ProxyHeader(http.Header{"Proxy-Authorization": {"x"}}))
	named := mustURL(t, p.URL)
	named.User = url.User("a")
	once("credentials of the proxy's URL", "GET 407", "http://plain.test/", Proxy(named))

	// A server at the other end of a tunnel is not the proxy, whatever it says.
	var log bytes.Buffer
	secure := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Proxy-Authenticate", `Digest realm="r", nonce="n"`)
		w.WriteHeader(http.StatusProxyAuthRequired)
	}))
	defer secure.Close()
	for range 2 {
		resp, err := s.Get(t.Context(), secure.URL, p.at(), Insecure(), TeeWireOut(&log))
		if err != nil || resp.StatusCode != 407 {
			t.Fatal(err)
		}
		resp.Release()
	}
	hasNot(t, log.String(), "Proxy-Authorization")
	if n := strings.Count(log.String(), "GET / HTTP/1.1"); n != 2 {
		t.Errorf("%d requests through the tunnel", n)
	}
	for _, proxy := range []string{"", "proxy.test:3128", "socks5://proxy.test", "http://a:b@proxy.test", "http://proxy.test/x", "http://", "http://%zz"} {
		if _, err := ProxyDigestAuth(proxy, "a", "b"); !errors.Is(err, ErrInvalidURL) {
			t.Errorf("%q: %v", proxy, err)
		}
	}
}
