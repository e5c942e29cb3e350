package httpclient

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// TestRoundTripperBodies: the body of a request is closed whatever becomes of it, and sent again when a kept-alive
// connection was closed, if it can be had again.
func TestRoundTripperBodies(t *testing.T) {
	s := newSession(t, Config{})
	rt := s.RoundTripper()
	for _, url := range []string{"http://" + closedPort(t), "ftp://h.test/", mirror(t).URL} {
		body := &closeCounter{Reader: strings.NewReader("x")}
		req, err := http.NewRequestWithContext(t.Context(), "POST", url, body)
		if err != nil {
			t.Fatal(err)
		}
		if resp, err := rt.RoundTrip(req); err == nil {
			_ = resp.Body.Close()
		}
		if body.closed == 0 {
			t.Errorf("%s: the body was not closed", url)
		}
	}
	cruel := serveRaw(t, func(s *rawServer, c net.Conn) { // answers once, and hangs up at the second request
		r := bufio.NewReader(c)
		if raw, err := s.read(r); err == nil {
			_, _ = io.WriteString(c, ok(raw))
			_, _ = s.read(r)
		}
	})
	for i := range 2 {
		req, err := http.NewRequestWithContext(t.Context(), "PUT", cruel.URL, strings.NewReader("again"))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := rt.RoundTrip(req)
		if err != nil {
			t.Fatal(i, err)
		}
		if b, err := io.ReadAll(resp.Body); !strings.HasSuffix(string(b), "\r\n\r\nagain") || err != nil {
			t.Errorf("%d: %q, %v", i, b, err)
		}
		_ = resp.Body.Close()
	}
	if st := s.Connector().Stats(); st.Retried != 1 {
		t.Errorf("%+v", st)
	}
}

// TestRoundTripperFraming: as with net/http, the body alone tells where it ends.
func TestRoundTripperFraming(t *testing.T) {
	srv := mirror(t)
	req, err := http.NewRequestWithContext(t.Context(), "POST", srv.URL, io.MultiReader(strings.NewReader("hello")))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = http.Header{"Content-Length": {"3"}, "Transfer-Encoding": {"identity"}}
	resp, err := newSession(t, Config{}).RoundTripper().RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, _ := io.ReadAll(resp.Body)
	once(t, string(got), "Transfer-Encoding", "chunked")
	hasNot(t, string(got), "Content-Length")
}

// TestRoundTripperRedirects: credentials of the session do not go where a redirect leads out of the origin, and not back
// either.
func TestRoundTripperRedirects(t *testing.T) {
	var first *rawServer
	other := answer(t, func(r string) string {
		if strings.HasPrefix(r, "GET /back") {
			return redirectTo(302, first.URL+"/end")
		}
		return ok(r)
	})
	first = answer(t, func(r string) string {
		switch strings.Fields(r)[1] {
		case "/away":
			return redirectTo(302, other.URL)
		case "/and":
			return redirectTo(302, other.URL+"/back")
		case "/within":
			return redirectTo(302, "/end")
		}
		return ok(r)
	})
	for _, cfg := range []Config{{Auth: &BasicAuth{Login: "u", Password: "p"}}, {Header: http.Header{"Authorization": {"Basic dTpw"}, "Cookie": {"s=1"}}}} {
		client := &http.Client{Transport: newSession(t, cfg).RoundTripper()}
		for path, kept := range map[string]bool{"/end": true, "/within": true, "/away": false, "/and": false} {
			resp, err := client.Get(first.URL + path)
			if err != nil {
				t.Fatal(err)
			}
			got, _ := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if kept {
				once(t, string(got), "Authorization", "Basic dTpw")
				continue
			}
			hasNot(t, string(got), "Authorization")
			hasNot(t, string(got), "Cookie")
		}
	}
}

// TestRoundTripperFacts: what net/http's users look for in a response.
func TestRoundTripperFacts(t *testing.T) {
	srv := answer(t, func(r string) string {
		switch {
		case strings.HasPrefix(r, "HEAD"):
			return "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n"
		case strings.HasPrefix(r, "GET /up"):
			return "HTTP/1.1 101 Switching Protocols\r\nUpgrade: own\r\nConnection: Upgrade\r\n\r\nhello"
		}
		return ok("plain text")
	})
	client := &http.Client{Transport: newSession(t, Config{}).RoundTripper()}
	head, err := client.Head(srv.URL)
	if err != nil || head.ContentLength != 12 || head.TLS != nil {
		t.Errorf("%+v, %v", head, err)
	}
	got, err := client.Get(srv.URL)
	if err != nil || got.ContentLength != 10 || got.Uncompressed {
		t.Fatalf("%+v, %v", got, err)
	}
	_ = got.Body.Close()
	up, err := client.Get(srv.URL + "/up")
	if err != nil {
		t.Fatal(err)
	}
	defer up.Body.Close()
	hello := make([]byte, 5)
	if _, err := io.ReadFull(up.Body, hello); string(hello) != "hello" || err != nil {
		t.Errorf("%q, %v", hello, err)
	}
	if _, both := up.Body.(io.ReadWriteCloser); !both {
		t.Errorf("%T cannot be written to", up.Body)
	}
	secure := tlsServer(t)
	client.Transport = newSession(t, Config{Connector: newTCP(t, TCPConfig{TLS: rootsOf(secure)})}).RoundTripper()
	resp, err := client.Get(secure.URL)
	if err != nil || resp.TLS == nil || !resp.TLS.HandshakeComplete {
		t.Fatalf("%+v, %v", resp, err)
	}
	_ = resp.Body.Close()
	if _, err := client.Get("http://" + closedPort(t)); !errors.Is(err, ErrConnector) {
		t.Error(err)
	}
}
