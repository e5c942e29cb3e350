//go:build realpeers

package realpeers

import (
	"bytes"
	"crypto/md5"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/orbweaver/orbweaver/httpclient"
)

// noncesUsed is how many requests Squid takes with one nonce: the next is told that the nonce is stale.
const noncesUsed = 3

// serveSquid starts an HTTP proxy that wants Digest of who, whose password is secret.
func serveSquid(t *testing.T) *url.URL {
	t.Helper()
	address, dir := freeAddress(t), folder(t)
	users := write(t, dir, "users", fmt.Appendf(nil, "who:peers:%x\n", md5.Sum([]byte("who:peers:secret"))))
	path := write(t, dir, "squid.conf", fmt.Appendf(nil, `
http_port %s
pid_filename none
cache deny all
access_log none
cache_log /dev/stderr
coredump_dir none
pinger_enable off
shutdown_lifetime 0 seconds
auth_param digest program /usr/lib/squid/digest_file_auth -c %s
auth_param digest realm peers
auth_param digest children 1
auth_param digest nonce_max_count %d
acl known proxy_auth REQUIRED
http_access allow known
http_access deny all
`, address, users, noncesUsed))
	start(t, "squid", address, "squid", "-N", "-f", path)
	return &url.URL{Scheme: "http", Host: address}
}

func TestSquidWantsDigest(t *testing.T) {
	site := serveNginx(t)
	proxy := serveSquid(t)
	through := httpclient.Proxy(proxy)
	known := func(password string) httpclient.Config {
		answer, err := httpclient.ProxyDigestAuth(proxy.String(), "who", password)
		if err != nil {
			t.Fatal(err)
		}
		return httpclient.Config{Middleware: []httpclient.Middleware{answer}}
	}
	for _, u := range []string{site.plain, site.secure} {
		t.Run(u[:strings.Index(u, ":")], func(t *testing.T) {
			cfg := known("secret")
			var s *httpclient.Session
			for i := range 6 * noncesUsed { // more than one nonce is good for, also of tunnels alone
				if i%2 == 0 {
					s = session(t, site.cert, cfg)
				}
				if resp, b := get(t, s, u+"/page.html?"+fmt.Sprint(i), through); !bytes.Equal(b, site.page) || resp.RemoteAddr().String() != proxy.Host {
					t.Fatalf("%d: status %d, %d bytes from %v", i, resp.StatusCode, len(b), resp.RemoteAddr())
				}
			}
			resp, err := s.Post(t.Context(), u+"/echo", httpclient.BytesBody(make([]byte, 50_000)), through)
			if err != nil {
				t.Fatal(err)
			}
			if text, err := resp.Text(); err != nil || !strings.HasPrefix(text, "POST  50000 ") {
				t.Errorf("upload: %q, %v", text, err)
			}
		})
	}
	t.Run("WebSocket", func(t *testing.T) {
		talk(t, session(t, site.cert, known("secret")), "wss"+strings.TrimPrefix(site.secure, "https")+"/ws", through)
	})
	for name, cfg := range map[string]httpclient.Config{"wrong password": known("wrong"), "no credentials": {}} {
		t.Run(name, func(t *testing.T) {
			s := session(t, site.cert, cfg)
			if resp, _ := get(t, s, site.plain+"/page.html", through); resp.StatusCode != 407 {
				t.Errorf("status %d", resp.StatusCode)
			}
			_, err := s.Get(t.Context(), site.secure, through)
			if pe := (*httpclient.ProxyResponseError)(nil); !errors.As(err, &pe) || pe.StatusCode != 407 {
				t.Errorf("tunnel: %v", err)
			}
		})
	}
}
