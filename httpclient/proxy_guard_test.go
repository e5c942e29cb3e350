package httpclient

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"testing"
)

// TestGuardAndProxies: the proxy's own address is the caller's choice, the hosts
// asked for through it are not.
func TestGuardAndProxies(t *testing.T) {
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.URL)
	}))
	defer proxy.Close()
	u, err := url.Parse(proxy.URL)
	if err != nil {
		t.Fatal(err)
	}
	refusal := errors.New("refused by the guard")
	c := newTCP(t, TCPConfig{Guard: func(context.Context, string, netip.AddrPort) error { return refusal }})
	s, err := New(Config{Connector: c, Proxy: ProxyURL(u)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()

	resp, err := s.Get(t.Context(), "http://name.example/x")
	if err != nil {
		t.Fatal(err)
	}
	if text, err := resp.Text(); err != nil || text != "http://name.example/x" {
		t.Errorf("through the proxy: %q, %v", text, err)
	}
	for _, target := range []string{"http://127.0.0.1/", "https://10.0.0.1/", "http://[::1]:9/", proxy.URL} {
		if _, err := s.Get(t.Context(), target); !errors.Is(err, refusal) {
			t.Errorf("%s through the proxy: %v", target, err)
		}
	}
}
