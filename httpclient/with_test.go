package httpclient

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"testing"
)

// TestSessionWith sends through the added middleware first, redirected requests
// included, shares the jar, and leaves the connector open.
func TestSessionWith(t *testing.T) {
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/":
			http.SetCookie(w, &http.Cookie{Name: "a", Value: "1"})
			http.Redirect(w, r, "/next", http.StatusFound)
		default:
			_, _ = w.Write([]byte(r.Header.Get("Order") + " " + r.Header.Get("Cookie")))
		}
	})
	mark := func(name string) Middleware {
		return func(next Handler) Handler {
			return func(ctx context.Context, req *Request) (*Response, error) {
				order := req.Header.Get("Order") + name
				req.Header.Del("Order")
				req.Header.Add("Order", order)
				return next(ctx, req)
			}
		}
	}
	s := newSession(t, Config{Jar: NewCookieJar(JarConfig{AllowIP: true}), Middleware: []Middleware{mark("own")}})
	with := s.With(Timeout{}, mark("1"), mark("2"))
	if got := fetch(t, with, srv.URL); got != "12own12own a=1" {
		t.Errorf("with: %q", got)
	}
	if err := with.Close(); err != nil {
		t.Fatal(err)
	}
	if got := fetch(t, s, srv.URL+"/next"); got != "own a=1" {
		t.Errorf("the session itself: %q", got)
	}
}

// TestWhoFailedOfProxyAndHost tells a proxy that cannot be reached from one that
// was, and what it says of credentials.
func TestWhoFailedOfProxyAndHost(t *testing.T) {
	s := newSession(t, Config{})
	var pe *ProxyConnectionError
	_, err := s.Get(t.Context(), "https://h.test/", Proxy(&url.URL{Scheme: "http", Host: "127.0.0.1:1"}))
	if !errors.As(err, &pe) || pe.Reached {
		t.Errorf("nobody listens: %v", err)
	}
	socks := serveRaw(t, serveSOCKS)
	_, err = s.Get(t.Context(), "https://127.0.0.1/", Proxy(&url.URL{Scheme: "socks5", Host: socks.Addr, User: url.UserPassword("u", "x")}))
	if !errors.As(err, &pe) || !pe.Reached || !errors.Is(err, ErrProxyCredentials) {
		t.Errorf("wrong password: %v", err)
	}
	if _, err := s.Get(t.Context(), "https://127.0.0.1/", Proxy(&url.URL{Scheme: "socks5", Host: socks.Addr})); !errors.Is(err, ErrProxyCredentials) {
		t.Errorf("no password: %v", err)
	}
}

func TestPuts(t *testing.T) {
	jar, u := NewCookieJar(JarConfig{}), &url.URL{Scheme: "https", Host: "example.org", Path: "/"}
	before := jar.Puts()
	_ = jar.Cookies(u)
	if jar.Puts() != before {
		t.Error("reading counts")
	}
	for _, line := range []string{"a=1", "a=2", "a=2; Max-Age=0"} {
		jar.SetFromHeader(u, []string{line})
		if jar.Puts() == before {
			t.Errorf("%q does not count", line)
		}
		before = jar.Puts()
	}
}
