//go:build realpeers

package realpeers

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"

	"github.com/orbweaver/orbweaver/httpclient"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// output is what a program said, safe to read while it still speaks.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// start runs a program, which must serve address, until the test ends.
func start(t *testing.T, debian, address, program string, args ...string) *os.Process {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		path = "/usr/sbin/" + program // often not in the PATH of those who are not root
	}
	said := new(output)
	cmd := exec.Command(path, args...)
	cmd.Stdout, cmd.Stderr = said, said
	if err := cmd.Start(); err != nil {
		t.Fatalf("the package %s is needed: %v", debian, err)
	}
	exited := make(chan struct{})
	go func() {
		defer close(exited)
		_ = cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-exited:
		case <-time.After(5 * time.Second):
			_ = cmd.Process.Kill()
			<-exited
		}
		if t.Failed() {
			t.Logf("%s: %s", program, said)
		}
	})
	for tries := 0; ; tries++ {
		c, err := net.Dial("tcp", address)
		if err == nil {
			_ = c.Close()
			return cmd.Process
		}
		select {
		case <-exited:
			t.Fatalf("%s ended at once: %s", program, said)
		case <-time.After(20 * time.Millisecond):
		}
		if tries > 500 {
			t.Fatalf("%s does not serve %s: %v\n%s", program, address, err, said)
		}
	}
}

// freeAddress returns an address of loopback that nobody uses. Its port is below those that Linux gives to whoever asks for
// any, or one of those might have it by the time a program listens there.
func freeAddress(t *testing.T) string {
	t.Helper()
	for range 100 {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 20_000+mathrand.IntN(12_000)))
		if err != nil {
			continue
		}
		address := l.Addr().String()
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		return address
	}
	t.Fatal("no port is free")
	return ""
}

// folder returns one that other users can reach, as programs give up root.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "realpeers")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func write(t *testing.T, dir, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// certificate is one for 127.0.0.1, localhost and peer.test that signs itself.
type certificate struct {
	cert, key   []byte // PEM
	roots       *x509.CertPool
	fingerprint [sha256.Size]byte
}

func newCertificate(t *testing.T) certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "peer.test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		DNSNames: []string{"localhost", "peer.test"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	c := certificate{
		cert: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		key:  pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}),
	}
	c.roots, c.fingerprint = x509.NewCertPool(), sha256.Sum256(der)
	c.roots.AppendCertsFromPEM(c.cert)
	return c
}

func (c *certificate) tls() *tls.Config { return &tls.Config{RootCAs: c.roots} }

const largeSize = 20 << 20

// site is a running nginx.
type site struct {
	process *os.Process
	plain   string // URL of HTTP
	secure  string // URL of HTTPS
	brief   string // URL of a server that closes connections after three requests or an unused second
	briefly string // the same with HTTPS
	cert    certificate
	page    []byte
	large   []byte
}

// origin is what nginx forwards to: it tells what it was sent, streams, and speaks WebSocket.
func origin(t *testing.T) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		h := sha256.New()
		n, err := io.Copy(h, r.Body)
		w.Header().Set("Content-Type", "text/plain")
		_, _ = fmt.Fprintf(w, "%s %s %d %s %v", r.Method, r.Header.Get("Content-Encoding"), n, hex.EncodeToString(h.Sum(nil)), err)
	})
	mux.HandleFunc("/stream", func(w http.ResponseWriter, r *http.Request) {
		for i := range 50 {
			_, _ = fmt.Fprintf(w, "line %d\n", i)
			_ = http.NewResponseController(w).Flush()
		}
	})
	mux.HandleFunc("/broken", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, strings.Repeat("x", 5000))
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	mux.HandleFunc("/ws", func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"echo"}})
		if err != nil {
			return
		}
		defer c.CloseNow()
		for {
			kind, b, err := c.Read(r.Context())
			if err != nil || c.Write(r.Context(), kind, b) != nil {
				return
			}
		}
	})
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	return srv.URL
}

// serveNginx starts nginx.
func serveNginx(t *testing.T) *site {
	t.Helper()
	dir := folder(t)
	s := &site{cert: newCertificate(t), page: bytes.Repeat([]byte("<p>a page of some length</p>\n"), 2000), large: make([]byte, largeSize)}
	for i := range s.large {
		s.large[i] = byte(i * i >> 7)
	}
	write(t, dir, "page.html", s.page)
	write(t, dir, "large.bin", s.large)
	plain, secure, brief, briefly := freeAddress(t), freeAddress(t), freeAddress(t), freeAddress(t)
	config := fmt.Appendf(nil, `
daemon off;
pid %[1]s/pid;
error_log stderr error;
worker_processes 1;
events { worker_connections 1024; }
http {
	types { text/html html; application/octet-stream bin; }
	access_log off;
	client_body_temp_path %[1]s/body;
	proxy_temp_path %[1]s/proxy;
	fastcgi_temp_path %[1]s/fastcgi;
	uwsgi_temp_path %[1]s/uwsgi;
	scgi_temp_path %[1]s/scgi;
	gzip on;
	gzip_min_length 500;
	client_max_body_size 1m;
	large_client_header_buffers 2 2k;
	server {
		listen %[2]s;
		listen %[3]s ssl http2;
		server_name peer.test;
		ssl_certificate %[4]s;
		ssl_certificate_key %[5]s;
		root %[1]s;
		error_page 494 =431 /too-large;
		location = /too-large { return 431 "too large"; }
		location = /once { keepalive_timeout 0; default_type text/plain; return 200 bye; }
		location = /nothing { return 204; }
		location = /gone { return 444; }
		location = /moved { return 302 /page.html; }
		location = /slow.html { alias %[1]s/page.html; gzip off; limit_rate 4k; }
		location / { }
		location ~ ^/(echo|stream|broken)$ {
			proxy_pass %[6]s;
			proxy_http_version 1.1;
			proxy_buffering off;
		}
		location = /ws {
			proxy_pass %[6]s;
			proxy_http_version 1.1;
			proxy_set_header Upgrade $http_upgrade;
			proxy_set_header Connection $http_connection;
		}
	}
	server {
		listen %[7]s;
		listen %[8]s ssl http2;
		ssl_certificate %[4]s;
		ssl_certificate_key %[5]s;
		root %[1]s;
		keepalive_timeout 1s;
		keepalive_requests 3;
	}
}
`, dir, plain, secure, write(t, dir, "cert.pem", s.cert.cert), write(t, dir, "key.pem", s.cert.key), origin(t), brief, briefly)
	path := write(t, dir, "nginx.conf", config)
	s.process = start(t, "nginx-light", plain, "nginx", "-p", dir, "-c", path, "-e", "stderr")
	s.plain, s.secure, s.brief, s.briefly = "http://"+plain, "https://"+secure, "http://"+brief, "https://"+briefly
	return s
}

// session returns one that trusts cert; at the end of the test none of its slots may be taken.
func session(t *testing.T, cert certificate, cfg httpclient.Config) *httpclient.Session {
	t.Helper()
	if cfg.Connector == nil {
		c, err := httpclient.NewTCPConnector(httpclient.TCPConfig{TLS: cert.tls()})
		if err != nil {
			t.Fatal(err)
		}
		cfg.Connector = c
	}
	s, err := httpclient.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if st := s.Connector().Stats(); st.Held() != 0 || st.Waiting != 0 {
			t.Errorf("slots are still held at the end: %+v", st)
		}
		_ = s.Close()
	})
	return s
}

// get returns a response and its body, which must be had without error.
func get(t *testing.T, s *httpclient.Session, url string, opts ...httpclient.RequestOption) (*httpclient.Response, []byte) {
	t.Helper()
	resp, err := s.Get(t.Context(), url, opts...)
	if err != nil {
		t.Fatal(err)
	}
	b, err := resp.Bytes()
	if err != nil {
		t.Fatalf("%s: after %d bytes: %v", url, len(b), err)
	}
	return resp, b
}

// untilIdleClose calls f, and returns when nginx has closed a connection that was used once before f and then not any more,
// and thus those that were last used before it.
func untilIdleClose(t *testing.T, url string, f func()) {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "HEAD /page.html HTTP/1.1\r\nHost: peer.test\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(c)
	if _, err := r.ReadByte(); err != nil {
		t.Fatal(err)
	}
	f()
	if _, err := io.Copy(io.Discard, r); err != nil {
		t.Fatal(err)
	}
}
