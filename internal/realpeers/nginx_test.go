//go:build realpeers

package realpeers

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/orbweaver/orbweaver/httpclient"
)

func TestNginx(t *testing.T) {
	site := serveNginx(t)
	for _, v := range []struct {
		name, url, proto string
		version          httpclient.Version
	}{
		{"plain", site.plain, "HTTP/1.1", httpclient.HTTP11},
		{"tls", site.secure, "HTTP/1.1", httpclient.HTTP11},
		{"http2", site.secure, "HTTP/2.0", httpclient.HTTP2},
	} {
		t.Run(v.name, func(t *testing.T) {
			cfg := httpclient.Config{Version: v.version}
			t.Run("bodies", func(t *testing.T) { bodies(t, site, session(t, site.cert, cfg), v.url, v.proto) })
			t.Run("statuses", func(t *testing.T) { statuses(t, session(t, site.cert, cfg), v.url) })
			t.Run("uploads", func(t *testing.T) { uploads(t, session(t, site.cert, cfg), v.url) })
			t.Run("connections", func(t *testing.T) { connections(t, site, cfg, v.url) })
			t.Run("broken off", func(t *testing.T) { brokenOff(t, session(t, site.cert, cfg), v.url) })
		})
	}
}

func bodies(t *testing.T, site *site, s *httpclient.Session, url, proto string) {
	resp, b := get(t, s, url+"/page.html")
	if !bytes.Equal(b, site.page) || resp.Proto != proto || resp.ContentEncoding() != "gzip" || resp.ContentType() != "text/html" ||
		resp.WireBytes() >= int64(len(b)) || resp.Defects() != 0 || resp.Truncated() {
		t.Errorf("gzip: %s, %d bytes of %d on the wire, coding %q, defects %v", resp.Proto, len(b), resp.WireBytes(), resp.ContentEncoding(), resp.Defects())
	}
	etag := resp.HeaderValue("ETag")
	resp, b = get(t, s, url+"/page.html", httpclient.NoDecompress())
	if !bytes.Equal(b, site.page) || resp.ContentEncoding() != "" || resp.HeaderValue("Content-Length") != fmt.Sprint(len(b)) {
		t.Errorf("identity: %d bytes, coding %q", len(b), resp.ContentEncoding())
	}
	if resp, b = get(t, s, url+"/page.html", httpclient.Header("If-None-Match", etag)); resp.StatusCode != 304 || len(b) != 0 {
		t.Errorf("If-None-Match %s: %d, %d bytes", etag, resp.StatusCode, len(b))
	}
	resp, b = get(t, s, url+"/large.bin", httpclient.Header("Range", "bytes=1000-1999"))
	if resp.StatusCode != 206 || !bytes.Equal(b, site.large[1000:2000]) || resp.HeaderValue("Content-Range") != fmt.Sprintf("bytes 1000-1999/%d", largeSize) {
		t.Errorf("range: %d, %d bytes, %s", resp.StatusCode, len(b), resp.HeaderValue("Content-Range"))
	}
	resp, b = get(t, s, url+"/large.bin", httpclient.Header("Range", "bytes=0-9,100-109"))
	if typ := resp.ContentType(); resp.StatusCode != 206 || typ != "multipart/byteranges" || !bytes.Contains(b, site.large[100:110]) {
		t.Errorf("two ranges: %d, %s", resp.StatusCode, typ)
	}
	if resp, _ = get(t, s, url+"/large.bin", httpclient.Header("Range", "bytes=99999999-")); resp.StatusCode != 416 {
		t.Errorf("range beyond the end: %d", resp.StatusCode)
	}
	if resp, b = get(t, s, url+"/large.bin"); !bytes.Equal(b, site.large) || resp.WireBytes() != largeSize {
		t.Errorf("large: %d bytes", len(b))
	}
	if resp, b = get(t, s, url+"/large.bin", httpclient.MaxBody(12345)); !bytes.Equal(b, site.large[:12345]) || !resp.Truncated() {
		t.Errorf("cut: %d bytes, truncated %v", len(b), resp.Truncated())
	}
	if resp, b = get(t, s, url+"/moved"); !bytes.Equal(b, site.page) || len(resp.History) != 1 || resp.URL != url+"/page.html" {
		t.Errorf("redirect: %d bytes of %s", len(b), resp.URL)
	}
	stream, err := s.Get(t.Context(), url+"/stream")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line, err := range stream.Body.Lines(0) {
		if want := fmt.Sprintf("line %d\n", n); err != nil || strings.TrimSuffix(string(line), "\n")+"\n" != want {
			t.Fatalf("line %d: %q, %v", n, line, err)
		}
		n++
	}
	if n != 50 {
		t.Errorf("%d lines", n)
	}
	head, err := s.Head(t.Context(), url+"/large.bin")
	if err != nil {
		t.Fatal(err)
	}
	if b, err := head.Bytes(); err != nil || len(b) != 0 || head.HeaderValue("Content-Length") != fmt.Sprint(largeSize) {
		t.Errorf("HEAD: %d bytes, %v, length %s", len(b), err, head.HeaderValue("Content-Length"))
	}
}

func statuses(t *testing.T, s *httpclient.Session, url string) {
	for _, v := range []struct {
		path   string
		opts   []httpclient.RequestOption
		status int
	}{
		{"/nothing", nil, 204}, {"/none", nil, 404}, {"/" + strings.Repeat("x", 4000), nil, 414},
		{"/page.html", []httpclient.RequestOption{httpclient.Header("X-Long", strings.Repeat("x", 4000))}, 431},
	} {
		if s.Version() == httpclient.HTTP2 && v.status > 404 {
			// There nginx gives up the connection.
			if _, err := s.Get(t.Context(), url+v.path, v.opts...); !errors.Is(err, httpclient.ErrServerDisconnected) {
				t.Errorf("%.20s: %v", v.path, err)
			}
			continue
		}
		if resp, _ := get(t, s, url+v.path, v.opts...); resp.StatusCode != v.status {
			t.Errorf("%.20s: status %d, want %d", v.path, resp.StatusCode, v.status)
		}
	}
	_, err := s.Get(t.Context(), url+"/none", httpclient.RaiseForStatus())
	if re := (*httpclient.ResponseError)(nil); !errors.As(err, &re) || re.StatusCode != 404 || !bytes.Contains(re.Body, []byte("nginx")) {
		t.Errorf("RaiseForStatus: %v", err)
	}
}

func uploads(t *testing.T, s *httpclient.Session, url string) {
	data := bytes.Repeat([]byte("0123456789abcdef"), 50_000) // 800,000 bytes, in the limit of 1 MiB
	pipe := func(data []byte) httpclient.Body {
		return httpclient.PipeBody(func(w io.Writer) error { _, err := w.Write(data); return err })
	}
	for _, v := range []struct {
		name string
		data []byte
		body func([]byte) httpclient.Body
		opts []httpclient.RequestOption
	}{
		{"empty", nil, httpclient.BytesBody, nil},
		{"short", data[:100], httpclient.BytesBody, nil},
		{"long", data, httpclient.BytesBody, nil},
		{"in chunks", data, pipe, nil},
		{"one-shot reader", data, func(b []byte) httpclient.Body {
			return httpclient.ReaderBody(io.MultiReader(bytes.NewReader(b)), int64(len(b)))
		}, nil},
		{"short, asked first", data[:100], httpclient.BytesBody, []httpclient.RequestOption{httpclient.Expect100(10 * time.Second)}},
		{"long, asked first", data, httpclient.BytesBody, []httpclient.RequestOption{httpclient.Expect100(10 * time.Second)}},
		{"in chunks, asked first", data, pipe, []httpclient.RequestOption{httpclient.Expect100(10 * time.Second)}},
	} {
		resp, err := s.Put(t.Context(), url+"/echo", v.body(v.data), v.opts...)
		if err != nil {
			t.Fatalf("%s: %v", v.name, err)
		}
		text, err := resp.Text()
		sum := sha256.Sum256(v.data)
		if want := fmt.Sprintf("PUT  %d %s <nil>", len(v.data), hex.EncodeToString(sum[:])); err != nil || text != want {
			t.Errorf("%s: %d %q, %v, want %q", v.name, resp.StatusCode, text, err, want)
		}
		if resp.BytesSent() != int64(len(v.data)) && resp.Proto != "HTTP/2.0" {
			t.Errorf("%s: %d bytes sent", v.name, resp.BytesSent())
		}
	}
	resp, err := s.Post(t.Context(), url+"/echo", httpclient.BytesBody(data), httpclient.Compress(httpclient.Gzip))
	if err != nil {
		t.Fatal(err)
	}
	if text, err := resp.Text(); err != nil || !strings.HasPrefix(text, "POST gzip ") || strings.Contains(text, " 800000 ") {
		t.Errorf("compressed: %q, %v", text, err)
	}
	// Too much: nginx says so before it has read the body.
	for _, opts := range [][]httpclient.RequestOption{nil, {httpclient.Expect100(10 * time.Second)}} {
		resp, err := s.Post(t.Context(), url+"/echo", httpclient.BytesBody(make([]byte, 3<<20)), opts...)
		if err != nil {
			t.Fatalf("too large, %d options: %v", len(opts), err)
		}
		if _, err := resp.Bytes(); err != nil || resp.StatusCode != 413 {
			t.Errorf("too large, %d options: status %d, %v", len(opts), resp.StatusCode, err)
		}
	}
	if text, err := s.Get(t.Context(), url+"/echo"); err != nil {
		t.Errorf("after all that: %v", err)
	} else {
		text.Release()
	}
}

func connections(t *testing.T, site *site, cfg httpclient.Config, url string) {
	h2 := cfg.Version == httpclient.HTTP2
	s := session(t, site.cert, cfg)
	for range 10 {
		get(t, s, url+"/page.html")
	}
	if st := s.Connector().Stats(); st.Dials != 1 || st.Reused != 9 {
		t.Errorf("ten requests: %+v", st)
	}
	s = session(t, site.cert, cfg)
	few := site.brief
	if url == site.secure {
		few = site.briefly
	}
	for range 10 {
		get(t, s, few+"/page.html")
	}
	if st := s.Connector().Stats(); st.Dials != 4 {
		t.Errorf("ten requests, three for each connection: %+v", st)
	}
	if !h2 {
		s = session(t, site.cert, cfg)
		for range 3 {
			if resp, _ := get(t, s, url+"/once"); resp.HeaderValue("Connection") != "close" {
				t.Errorf("Connection: %s", resp.HeaderValue("Connection"))
			}
		}
		if st := s.Connector().Stats(); st.Dials != 3 || st.Idle != 0 || st.Retried != 0 {
			t.Errorf("three requests, one for each connection: %+v", st)
		}
	}
	s = session(t, site.cert, cfg)
	get(t, s, url+"/page.html")
	var wg sync.WaitGroup
	for range 60 {
		wg.Go(func() {
			resp, err := s.Get(t.Context(), url+"/page.html")
			if err != nil {
				t.Error(err)
				return
			}
			if b, err := resp.Bytes(); err != nil || !bytes.Equal(b, site.page) {
				t.Errorf("%d bytes, %v", len(b), err)
			}
		})
	}
	wg.Wait()
	if st := s.Connector().Stats(); h2 && st.Dials != 1 {
		t.Errorf("61 requests over HTTP/2: %+v", st)
	}
}

// brokenOff: what came of a response that breaks off is kept, and the error says what happened.
func brokenOff(t *testing.T, s *httpclient.Session, url string) {
	if _, err := s.Get(t.Context(), url+"/gone"); !errors.Is(err, httpclient.ErrServerDisconnected) {
		t.Errorf("closed without an answer: %v", err)
	}
	resp, err := s.Get(t.Context(), url+"/broken", httpclient.NoDecompress())
	if err != nil {
		t.Fatal(err)
	}
	if b, err := resp.Bytes(); !errors.Is(err, httpclient.ErrPayload) || len(b) != 5000 || !resp.Truncated() {
		t.Errorf("closed within the body: %d bytes, truncated %v, %v", len(b), resp.Truncated(), err)
	}
	resp, err = s.Get(t.Context(), url+"/slow.html", httpclient.NoDecompress(), httpclient.WithTimeout(httpclient.Timeout{Total: 300 * time.Millisecond}))
	if err != nil {
		t.Fatal(err)
	}
	b, err := resp.Bytes()
	if te := (*httpclient.TimeoutError)(nil); !errors.As(err, &te) || te.Phase != httpclient.PhaseTotal || len(b) == 0 || !resp.Truncated() {
		t.Errorf("time ran out: %d bytes, truncated %v, %v", len(b), resp.Truncated(), err)
	}
	get(t, s, url+"/page.html")
}

// Connections that nginx has closed are noticed before a request is spent on them.
func TestNginxClosesIdleConnections(t *testing.T) {
	site := serveNginx(t)
	s := session(t, site.cert, httpclient.Config{})
	for range 2 {
		get(t, s, site.brief+"/page.html")
		untilIdleClose(t, site.brief, func() {})
	}
	get(t, s, site.brief+"/page.html")
	resp, err := s.Post(t.Context(), site.brief+"/page.html", httpclient.StringBody("x"))
	if err != nil {
		t.Fatal(err)
	}
	if resp.Release(); resp.StatusCode != 405 {
		t.Errorf("POST to a file: %d", resp.StatusCode)
	}
	if st := s.Connector().Stats(); st.Dials != 3 || st.Stale != 2 || st.Retried != 0 {
		t.Errorf("%+v", st)
	}
}

// A server that is reloaded closes its connections when it likes; no request is lost.
func TestNginxReloads(t *testing.T) {
	site := serveNginx(t)
	for _, version := range []httpclient.Version{httpclient.HTTP11, httpclient.HTTP2} {
		s := session(t, site.cert, httpclient.Config{Version: version})
		for range 3 {
			get(t, s, site.secure+"/page.html")
			untilIdleClose(t, site.plain, func() {
				if err := site.process.Signal(syscall.SIGHUP); err != nil {
					t.Fatal(err)
				}
			})
			for range 5 {
				get(t, s, site.secure+"/page.html")
			}
		}
		if st := s.Connector().Stats(); st.Dials != 4 {
			t.Errorf("three reloads: %+v", st)
		}
	}
}

func TestNginxCertificate(t *testing.T) {
	site := serveNginx(t)
	s := session(t, site.cert, httpclient.Config{})
	stranger := session(t, site.cert, httpclient.Config{Connector: must(httpclient.NewTCPConnector(httpclient.TCPConfig{}))})
	if _, err := stranger.Get(t.Context(), site.secure); !errors.Is(err, httpclient.ErrCertificate) {
		t.Errorf("unknown authority: %v", err)
	}
	if _, err := s.Get(t.Context(), site.secure, httpclient.ServerName("other.test")); !errors.Is(err, httpclient.ErrCertificate) {
		t.Errorf("other name: %v", err)
	}
	get(t, s, site.secure+"/page.html", httpclient.ServerName("peer.test"))
	get(t, s, site.secure+"/page.html", httpclient.Fingerprint(site.cert.fingerprint))
	get(t, stranger, site.secure+"/page.html", httpclient.Insecure(), httpclient.Fingerprint(site.cert.fingerprint))
	for _, version := range []httpclient.Version{httpclient.HTTP11, httpclient.HTTP2} {
		_, err := s.Get(t.Context(), site.secure, httpclient.Fingerprint([32]byte{1}), httpclient.HTTPVersion(version))
		if fe := (*httpclient.FingerprintError)(nil); !errors.As(err, &fe) || fe.Got != site.cert.fingerprint {
			t.Errorf("other fingerprint: %v", err)
		}
	}
	if _, err := s.Get(t.Context(), "https"+strings.TrimPrefix(site.plain, "http")); !errors.Is(err, httpclient.ErrTLSHandshake) {
		t.Errorf("TLS to a plain port: %v", err)
	}
	// nginx answers plain HTTP on its TLS port with 400.
	if resp, _ := get(t, s, "http"+strings.TrimPrefix(site.secure, "https")); resp.StatusCode != 400 {
		t.Errorf("plain HTTP to a TLS port: %d", resp.StatusCode)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestNginxForwardsWebSocket(t *testing.T) {
	site := serveNginx(t)
	for _, url := range []string{site.plain, site.secure} {
		talk(t, session(t, site.cert, httpclient.Config{}), "ws"+strings.TrimPrefix(url, "http")+"/ws")
	}
}

// talk says something over a WebSocket and hears it again.
func talk(t *testing.T, s *httpclient.Session, url string, opts ...httpclient.RequestOption) {
	t.Helper()
	ws, err := s.DialWebSocket(t.Context(), url, &httpclient.WSOptions{Protocols: []string{"echo"}, Compress: 15}, opts...)
	if err != nil {
		t.Fatal(err)
	}
	if ws.Subprotocol() != "echo" {
		t.Errorf("subprotocol %q", ws.Subprotocol())
	}
	for _, text := range []string{"", "hello", strings.Repeat("long ", 5000)} {
		if err := ws.SendText(t.Context(), text); err != nil {
			t.Fatal(err)
		}
		if got, err := ws.ReceiveText(t.Context()); err != nil || got != text {
			t.Fatalf("%d bytes came back as %d, %v", len(text), len(got), err)
		}
	}
	if err := ws.Close(t.Context(), httpclient.WSNormalClosure, "done"); err != nil {
		t.Error(err)
	}
}
