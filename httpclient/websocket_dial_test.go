package httpclient

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
)

func TestWebSocketHandshakeCarriesTheSession(t *testing.T) {
	got := make(chan *http.Request, 1)
	url := wsServe(t, &websocket.AcceptOptions{InsecureSkipVerify: true}, func(_ context.Context, _ *websocket.Conn, r *http.Request) { got <- r })
	s := newSession(t, Config{
		Jar: NewCookieJar(JarConfig{AllowIP: true}), Header: http.Header{"X-Session": {"1"}},
		Cookies: []*http.Cookie{{Name: "shared", Value: "2"}},
	})
	s.Jar().SetFromHeader(mustURL(t, url), []string{`own="a, b"`})
	w, err := s.DialWebSocket(t.Context(), url+"/path?q=1", &WSOptions{Origin: "https://example.org", Protocols: []string{"a", "b"}},
		Header("X-Request", "3"), Auth(&BasicAuth{Login: "u", Password: "p"}))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close(t.Context(), WSNormalClosure, "")
	r := <-got
	user, password, _ := r.BasicAuth()
	for what, pair := range map[string][2]string{
		"target":       {r.RequestURI, "/path?q=1"},
		"cookies":      {r.Header.Get("Cookie"), `own="a, b"; shared=2`},
		"session":      {r.Header.Get("X-Session"), "1"},
		"request":      {r.Header.Get("X-Request"), "3"},
		"origin":       {r.Header.Get("Origin"), "https://example.org"},
		"protocols":    {r.Header.Get("Sec-WebSocket-Protocol"), "a, b"},
		"version":      {r.Header.Get("Sec-WebSocket-Version"), "13"},
		"extensions":   {r.Header.Get("Sec-WebSocket-Extensions"), ""},
		"credentials":  {user + ":" + password, "u:p"},
		"http version": {r.Proto, "HTTP/1.1"},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s: %q, want %q", what, pair[0], pair[1])
		}
	}
	if held := s.Connector().Stats().Held(); held != 0 {
		t.Errorf("the socket holds %d slots of the connector", held)
	}
}

func TestWebSocketTLSAndRedirect(t *testing.T) {
	var wg sync.WaitGroup
	srv := httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		wg.Add(1)
		defer wg.Done()
		if r.URL.Path == "/from" {
			http.SetCookie(rw, &http.Cookie{Name: "seen", Value: "1", Path: "/"})
			http.Redirect(rw, r, "/to", http.StatusFound)
			return
		}
		c, err := websocket.Accept(rw, r, nil)
		if err != nil {
			return
		}
		defer c.CloseNow()
		_ = c.Write(context.Background(), websocket.MessageText, []byte(r.URL.Path+" "+r.Header.Get("Cookie")))
		echo(context.Background(), c, r)
	}))
	t.Cleanup(wg.Wait)
	t.Cleanup(srv.Close)
	w := dialWS(t, "wss"+strings.TrimPrefix(srv.URL, "https")+"/from", nil, Insecure())
	if got, err := w.ReceiveText(t.Context()); err != nil || got != "/to seen=1" {
		t.Errorf("%q, %v", got, err)
	}
	if w.TLS() == nil || !w.TLS().HandshakeComplete {
		t.Errorf("TLS %v", w.TLS())
	}
	if err := w.Close(t.Context(), WSGoingAway, "done"); err != nil {
		t.Error(err)
	}
}

func TestWebSocketHandshakeRefused(t *testing.T) {
	good := func(r *http.Request) http.Header {
		return http.Header{"Upgrade": {"websocket"}, "Connection": {"Upgrade"}, "Sec-Websocket-Accept": {acceptWSKey(r.Header.Get("Sec-WebSocket-Key"))}}
	}
	for name, tc := range map[string]struct {
		status int
		change func(http.Header)
	}{
		"a page":         {200, nil},
		"forbidden":      {403, nil},
		"no upgrade":     {101, func(h http.Header) { h.Set("Upgrade", "h2c") }},
		"no connection":  {101, func(h http.Header) { h.Set("Connection", "keep-alive") }},
		"wrong accept":   {101, func(h http.Header) { h.Set("Sec-WebSocket-Accept", "AAAA") }},
		"subprotocol":    {101, func(h http.Header) { h.Set("Sec-WebSocket-Protocol", "other") }},
		"extension":      {101, func(h http.Header) { h.Set("Sec-WebSocket-Extensions", "permessage-bzip2") }},
		"two extensions": {101, func(h http.Header) { h.Set("Sec-WebSocket-Extensions", "permessage-deflate, x") }},
		"window kept":    {101, func(h http.Header) { h.Set("Sec-WebSocket-Extensions", "permessage-deflate") }},
		"unknown parameter": {101, func(h http.Header) {
			h.Set("Sec-WebSocket-Extensions", "permessage-deflate; server_no_context_takeover; x=1")
		}},
		"malformed extensions": {101, func(h http.Header) { h.Set("Sec-WebSocket-Extensions", "permessage-deflate; =") }},
	} {
		t.Run(name, func(t *testing.T) {
			srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
				h := good(r)
				if tc.change != nil {
					tc.change(h)
				}
				conn, _, err := http.NewResponseController(w).Hijack()
				if err != nil {
					t.Error(err)
					return
				}
				defer conn.Close()
				fmt.Fprintf(conn, "HTTP/1.1 %d Status\r\n", tc.status)
				_ = h.Write(conn)
				_, _ = io.WriteString(conn, "Content-Length: 4\r\n\r\nbody")
			})
			s := newSession(t, Config{})
			w, err := s.DialWebSocket(t.Context(), srv.URL, &WSOptions{Protocols: []string{"mine"}, Compress: 15, NoContextTakeover: true})
			var he *WSHandshakeError
			if w != nil || !errors.Is(err, ErrWSHandshake) || !errors.As(err, &he) || he.StatusCode != tc.status || he.Header.Get("Upgrade") == "" {
				t.Errorf("%v", err)
			}
		})
	}
	for _, opts := range []*WSOptions{{Compress: 8}, {Compress: 16}, {Protocols: []string{"a b"}}} {
		if _, err := DialWebSocket(t.Context(), "ws://192.0.2.1/", opts); err == nil || errors.Is(err, ErrConnection) {
			t.Errorf("options %+v: %v", opts, err)
		}
	}
	if _, err := DialWebSocket(t.Context(), "ftp://example.org/", nil); !errors.Is(err, ErrInvalidURL) {
		t.Errorf("other scheme: %v", err)
	}
}

// The limits and the context of the handshake end with it, and so does the
// session's part in the connection.
func TestWebSocketOutlivesTheHandshake(t *testing.T) {
	s := newSession(t, Config{Version: HTTP2, Timeout: Timeout{Total: 300 * time.Millisecond}})
	ctx, cancel := context.WithCancel(t.Context())
	w, err := s.DialWebSocket(ctx, wsServe(t, nil, echo), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close(t.Context(), WSNormalClosure, "")
	cancel()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(350 * time.Millisecond)
	if err := w.SendText(t.Context(), "still here"); err != nil {
		t.Fatal(err)
	}
	if got, err := w.ReceiveText(t.Context()); err != nil || got != "still here" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestDialWebSocketWithoutSession(t *testing.T) {
	w, err := DialWebSocket(t.Context(), wsServe(t, nil, echo), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.SendText(t.Context(), "x"); err != nil {
		t.Fatal(err)
	}
	if got, err := w.ReceiveText(t.Context()); err != nil || got != "x" {
		t.Errorf("%q, %v", got, err)
	}
	if err := w.Close(t.Context(), WSNormalClosure, ""); err != nil {
		t.Error(err)
	}
	refused, _ := net.Listen("tcp", "127.0.0.1:0")
	_ = refused.Close()
	if _, err := DialWebSocket(t.Context(), "ws://"+refused.Addr().String(), nil); !errors.Is(err, ErrConnector) {
		t.Errorf("nobody listens: %v", err)
	}
}

// A WebSocket goes through an HTTP proxy in a tunnel, TLS or not.
func TestWebSocketThroughProxy(t *testing.T) {
	target := wsServe(t, nil, echo)
	asked := make(chan string, 2)
	var wg sync.WaitGroup
	proxy := serve(t, func(rw http.ResponseWriter, r *http.Request) {
		wg.Add(1)
		defer wg.Done()
		asked <- r.Method + " " + r.Host + " " + r.Header.Get("Proxy-Authorization")
		up, err := net.Dial("tcp", r.Host)
		if err != nil {
			rw.WriteHeader(http.StatusBadGateway)
			return
		}
		defer up.Close()
		conn, rwb, err := http.NewResponseController(rw).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n")
		go func() { _, _ = io.Copy(conn, up); conn.Close() }()
		_, _ = io.Copy(up, rwb)
	})
	t.Cleanup(wg.Wait)
	proxyURL := mustURL(t, proxy.URL)
	proxyURL.User = url.UserPassword("u", "p")
	w := dialWS(t, target, nil, Proxy(proxyURL))
	if err := w.SendText(t.Context(), "x"); err != nil {
		t.Fatal(err)
	}
	if got, err := w.ReceiveText(t.Context()); err != nil || got != "x" {
		t.Errorf("%q, %v", got, err)
	}
	if got, want := <-asked, "CONNECT "+strings.TrimPrefix(target, "ws://")+" Basic dTpw"; got != want {
		t.Errorf("the proxy was asked %q, want %q", got, want)
	}
	if err := w.Close(t.Context(), WSNormalClosure, ""); err != nil {
		t.Error(err)
	}
}

// Handshakes that fail in every way leave nothing behind: no goroutine (TestMain
// looks), no descriptor, no slot.
func TestWebSocketAbortedHandshakes(t *testing.T) {
	n := 300
	if os.Getenv("HTTPCLIENT_ABORTS") != "" {
		n = 10_000
	}
	srv := serve(t, func(rw http.ResponseWriter, r *http.Request) {
		conn, _, err := http.NewResponseController(rw).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		switch r.URL.Path {
		case "/silent":
			_, _ = io.Copy(io.Discard, conn)
		case "/wrong":
			_, _ = io.WriteString(conn, "HTTP/1.1 101 Yes\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: no\r\n\r\n")
		case "/page":
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\ncut")
		case "/half":
			_, _ = io.WriteString(conn, "HTTP/1.1 101 Ye")
		}
	})
	s := newSession(t, Config{})
	before := openFiles(t)
	paths := []string{"/silent", "/wrong", "/page", "/half"}
	for i := range n {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		path := paths[i%len(paths)]
		if path == "/silent" {
			cancel()
			ctx, cancel = context.WithTimeout(t.Context(), 2*time.Millisecond)
		}
		if w, err := s.DialWebSocket(ctx, srv.URL+path, nil); err == nil {
			t.Fatalf("%s: a socket %v", path, w)
		}
		cancel()
	}
	if held := s.Connector().Stats().Held(); held != 0 {
		t.Errorf("%d slots held", held)
	}
	srv.CloseClientConnections()
	for i := 0; openFiles(t) > before+4; i++ { // the server lets go of its ends in its own time
		if i == 200 {
			t.Fatalf("%d descriptors before, %d after", before, openFiles(t))
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func openFiles(t testing.TB) int {
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("no /proc to count descriptors in")
	}
	return len(files)
}

func ExampleSession_DialWebSocket() {
	srv := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(rw, r, nil)
		if err != nil {
			return
		}
		_ = c.Write(r.Context(), websocket.MessageText, []byte(`{"n": 1}`))
		_ = c.Write(r.Context(), websocket.MessageText, []byte(`{"n": 2}`))
		_ = c.Close(websocket.StatusNormalClosure, "that is all")
	}))
	defer srv.Close()
	s, err := New(Config{})
	if err != nil {
		panic(err)
	}
	defer s.Close()

	ctx := context.Background()
	w, err := s.DialWebSocket(ctx, srv.URL, &WSOptions{Heartbeat: 30 * time.Second})
	if err != nil {
		panic(err)
	}
	defer w.Close(ctx, WSNormalClosure, "")
	for m, err := range w.Messages(ctx) {
		fmt.Println(m.Type, string(m.Data), err)
	}
	fmt.Println(w.CloseCode())
	// Output:
	// text {"n": 1} <nil>
	// text {"n": 2} <nil>
	// 1000 normal closure
}
