package crawler_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"github.com/orbweaver/orbweaver/crawler"
	"github.com/orbweaver/orbweaver/httpclient"
)

// bothSchemes accepts connections, and speaks TLS on those that begin with it.
type bothSchemes struct {
	net.Listener
	cfg *tls.Config
}

func (l bothSchemes) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	r := bufio.NewReader(c)
	if b, err := r.Peek(1); err == nil && b[0] == 22 { // a handshake record, RFC 8446 section 5.1
		return tls.Server(readsFirst{c, r}, l.cfg), nil
	}
	return readsFirst{c, r}, nil
}

type readsFirst struct {
	net.Conn
	r *bufio.Reader
}

func (c readsFirst) Read(p []byte) (int, error) { return c.r.Read(p) }

// TestCrawlDelayOfTwoSchemes: what a host's robots.txt asks for over http and over https counts for the one host that it is,
// and the longer of the two wins, whichever comes last.
func TestCrawlDelayOfTwoSchemes(t *testing.T) {
	secure := httptest.NewTLSServer(nil)
	cfg := secure.TLS.Clone()
	cfg.NextProtos = nil
	secure.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		delay := 0.2
		if r.TLS != nil {
			delay = 0.1
		}
		if r.URL.Path == "/robots.txt" {
			fmt.Fprintf(w, "User-agent: *\nCrawl-delay: %g\n", delay)
			return
		}
		html(w, "x")
	})}
	go func() { _ = srv.Serve(bothSchemes{l, cfg}) }()
	defer srv.Close()
	at := l.Addr().String()
	trusting := func(next httpclient.Handler) httpclient.Handler {
		return func(ctx context.Context, req *httpclient.Request) (*httpclient.Response, error) {
			req.TLS = &tls.Config{InsecureSkipVerify: true}
			return next(ctx, req)
		}
	}
	for _, schemes := range [][2]string{{"http://", "https://"}, {"https://", "http://"}} {
		c, err := crawler.New(crawler.Config{
			Dir: filepath.Join(t.TempDir(), "job"), Delay: crawler.NoDelay, Middleware: []httpclient.Middleware{trusting},
			Seeds: []string{schemes[0] + at + "/1", schemes[1] + at + "/2", schemes[0] + at + "/3"},
		})
		if err != nil {
			t.Fatal(err)
		}
		if s, err := c.Run(t.Context()); err != nil || s.Fetched != 3 {
			t.Errorf("%d fetched, %v, %v", s.Fetched, s.Errors, err)
		}
		if h, err := c.Host(t.Context(), at); err != nil || h.Delay != 200*time.Millisecond {
			t.Errorf("%s first: delay %v, %v", schemes[0], h.Delay, err)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
}
