//go:build realpeers

package realpeers

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"testing"

	"github.com/orbweaver/orbweaver/httpclient"
)

// serveTinyproxy starts an HTTP proxy that lets tunnels go to one port. settings are lines of its configuration.
func serveTinyproxy(t *testing.T, port, settings string) *url.URL {
	t.Helper()
	address := freeAddress(t)
	_, own, _ := net.SplitHostPort(address)
	path := write(t, folder(t), "tinyproxy.conf", fmt.Appendf(nil, `
Listen 127.0.0.1
Port %s
Allow 127.0.0.1
ConnectPort %s
LogLevel Warning
Timeout 60
%s
`, own, port, settings))
	start(t, "tinyproxy", address, "tinyproxy", "-d", "-c", path)
	return &url.URL{Scheme: "http", Host: address}
}

func portOf(t *testing.T, rawURL string) string {
	t.Helper()
	u, err := url.Parse(rawURL)
	if err != nil {
		t.Fatal(err)
	}
	return u.Port()
}

func TestTinyproxy(t *testing.T) {
	site := serveNginx(t)
	proxy := serveTinyproxy(t, portOf(t, site.secure), "")
	through := httpclient.Proxy(proxy)
	for _, version := range []httpclient.Version{httpclient.HTTP11, httpclient.HTTP2} {
		s := session(t, site.cert, httpclient.Config{Version: version})
		for range 3 {
			for _, u := range []string{site.plain, site.secure} {
				resp, b := get(t, s, u+"/page.html", through)
				if !bytes.Equal(b, site.page) || resp.RemoteAddr().String() != proxy.Host {
					t.Errorf("%s: %d bytes from %v", u, len(b), resp.RemoteAddr())
				}
				if (resp.Conn() != nil) || version == httpclient.HTTP2 && u == site.secure && resp.Proto != "HTTP/2.0" {
					t.Errorf("%s: %s", u, resp.Proto)
				}
			}
		}
		if _, b := get(t, s, site.secure+"/large.bin", through); !bytes.Equal(b, site.large) {
			t.Errorf("large: %d bytes", len(b))
		}
		resp, err := s.Post(t.Context(), site.plain+"/echo", httpclient.BytesBody(make([]byte, 500_000)), through)
		if err != nil {
			t.Fatal(err)
		}
		if text, err := resp.Text(); err != nil || !strings.HasPrefix(text, "POST  500000 ") {
			t.Errorf("upload: %q, %v", text, err)
		}
		// Direct and proxied connections are not mixed up.
		if resp, _ := get(t, s, site.plain+"/page.html"); resp.RemoteAddr().String() == proxy.Host {
			t.Error("a direct request went to the proxy")
		}
		if _, err := s.Get(t.Context(), site.secure, through, httpclient.Fingerprint([32]byte{1})); !errors.Is(err, httpclient.ErrFingerprintMismatch) {
			t.Errorf("other fingerprint: %v", err)
		}
	}
	s := session(t, site.cert, httpclient.Config{})
	talk(t, s, "wss"+strings.TrimPrefix(site.secure, "https")+"/ws", through)

	// What the proxy refuses or cannot reach.
	_, err := s.Get(t.Context(), "https://127.0.0.1:1/", through)
	if pe := (*httpclient.ProxyResponseError)(nil); !errors.As(err, &pe) || pe.StatusCode != 403 || !errors.Is(err, httpclient.ErrHTTPProxy) {
		t.Errorf("forbidden port: %v", err)
	}
	if resp, _ := get(t, s, "http://127.0.0.1:1/", through); resp.StatusCode != 500 && resp.StatusCode != 502 && resp.StatusCode != 503 {
		t.Errorf("nobody listens behind the proxy: %d", resp.StatusCode)
	}
}

func TestTinyproxyWantsCredentials(t *testing.T) {
	site := serveNginx(t)
	proxy := serveTinyproxy(t, portOf(t, site.secure), "BasicAuth who secret")
	s := session(t, site.cert, httpclient.Config{})
	through := httpclient.Proxy(proxy)
	if resp, _ := get(t, s, site.plain+"/page.html", through); resp.StatusCode != 407 && resp.StatusCode != 401 {
		t.Errorf("without credentials: %d", resp.StatusCode)
	}
	_, err := s.Get(t.Context(), site.secure, through)
	if pe := (*httpclient.ProxyResponseError)(nil); !errors.As(err, &pe) || pe.StatusCode != 407 && pe.StatusCode != 401 {
		t.Errorf("tunnel without credentials: %v", err)
	}
	withUser := *proxy
	withUser.User = url.UserPassword("who", "secret")
	for _, opts := range [][]httpclient.RequestOption{
		{through, httpclient.ProxyAuth(&httpclient.BasicAuth{Login: "who", Password: "secret"})}, {httpclient.Proxy(&withUser)},
	} {
		for _, u := range []string{site.plain, site.secure} {
			if resp, b := get(t, s, u+"/page.html", opts...); !bytes.Equal(b, site.page) {
				t.Errorf("%s: %d", u, resp.StatusCode)
			}
		}
	}
	withUser.User = url.UserPassword("who", "wrong")
	if _, err = s.Get(t.Context(), site.secure, httpclient.Proxy(&withUser)); !errors.Is(err, httpclient.ErrHTTPProxy) {
		t.Errorf("wrong credentials: %v", err)
	}
	if strings.Contains(fmt.Sprint(err), "wrong") {
		t.Errorf("the password is in the error: %v", err)
	}
}

// serveDante starts a SOCKS5 proxy that lets nobody connect to the port 9.
func serveDante(t *testing.T) string {
	t.Helper()
	address := freeAddress(t)
	_, port, _ := net.SplitHostPort(address)
	dir := folder(t)
	path := write(t, dir, "danted.conf", fmt.Appendf(nil, `
logoutput: stderr
internal: 127.0.0.1 port = %s
external: 127.0.0.1
clientmethod: none
socksmethod: none
client pass { from: 127.0.0.0/8 to: 0.0.0.0/0 }
socks block { from: 127.0.0.0/8 to: 0.0.0.0/0 port = 9 }
socks pass { from: 127.0.0.0/8 to: 0.0.0.0/0 }
`, port))
	start(t, "dante-server", address, "danted", "-f", path, "-p", dir+"/pid")
	return address
}

func TestDante(t *testing.T) {
	site := serveNginx(t)
	address := serveDante(t)
	for _, scheme := range []string{"socks5", "socks5h"} {
		t.Run(scheme, func(t *testing.T) {
			through := httpclient.Proxy(&url.URL{Scheme: scheme, Host: address})
			s := session(t, site.cert, httpclient.Config{})
			for range 3 {
				for _, u := range []string{site.plain, site.secure, strings.Replace(site.plain, "127.0.0.1", "localhost", 1)} {
					if resp, b := get(t, s, u+"/page.html", through); !bytes.Equal(b, site.page) || resp.RemoteAddr().String() != address {
						t.Errorf("%s: %d bytes from %v", u, len(b), resp.RemoteAddr())
					}
				}
			}
			if st := s.Connector().Stats(); st.Dials != 3 || st.Reused != 6 {
				t.Errorf("%+v", st)
			}
			if resp, b := get(t, s, site.secure+"/large.bin", through, httpclient.HTTPVersion(httpclient.HTTP2)); !bytes.Equal(b, site.large) || resp.Proto != "HTTP/2.0" {
				t.Errorf("%s: %d bytes", resp.Proto, len(b))
			}
			talk(t, s, "wss"+strings.TrimPrefix(site.secure, "https")+"/ws", through)
			for port, code := range map[string]int{"9": 2, "1": 5} { // not allowed by the rules; refused
				_, err := s.Get(t.Context(), "http://127.0.0.1:"+port, through)
				if pe := (*httpclient.ProxyResponseError)(nil); !errors.As(err, &pe) || pe.StatusCode != code {
					t.Errorf("port %s: %v", port, err)
				}
			}
		})
	}
}
