package httpclient

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

// TestTraceOfBodies: a trace is told of each piece of a body, and how its transfer ended.
func TestTraceOfBodies(t *testing.T) {
	zipped := string(encode(t, "gzip", bytes.Repeat([]byte("page "), 1000)))
	bad := zipped[:len(zipped)/2] + "\xff\xff\xff\xff" + zipped[len(zipped)/2:]
	gzipped := "Content-Encoding: gzip"
	for _, v := range []struct {
		name, raw string
		pieces    int   // bytes of body
		want      error // nil: whole
		read      func(*Response)
	}{
		{"length", ok("body"), 4, nil, nil},
		{"empty", ok(""), 0, nil, nil},
		{"chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk("abc") + chunk("de") + "0\r\n\r\n", 5, nil, nil},
		{"to the end", "HTTP/1.1 200 OK\r\n\r\nto the end", 10, nil, nil},
		{"coded", ok(zipped, gzipped), len(zipped), nil, nil},
		{"coded, streamed", ok(zipped, gzipped), len(zipped), nil, func(r *Response) { _, _ = io.Copy(io.Discard, r.Body) }},
		{"badly coded", ok(bad, gzipped), len(bad), nil, nil}, // its transfer is whole
		{"cut", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", 3, ErrPayload, nil},
		{"bad chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk("abc") + "x\r\n", 3, ErrPayload, nil},
		{"released", ok("body"), 4, nil, (*Response).Release},
		{"closed", ok("body"), 0, ErrBodyClosed, func(r *Response) { _ = r.Close() }},
		{"over the limit", ok(string(make([]byte, 1<<20))), -1, ErrBodyClosed, func(r *Response) { r.req.MaxBody = 10; _, _ = r.Bytes() }},
	} {
		pieces, ends := 0, []error(nil)
		tr := &Trace{ReadBody: func(n int) { pieces += n }, BodyEnd: func(r *Response, err error) { ends = append(ends, err) }}
		resp, err := newSession(t, Config{}).Get(t.Context(), say(t, v.raw).URL, WithTrace(tr))
		if err != nil {
			t.Fatal(v.name, err)
		}
		if v.read != nil {
			v.read(resp)
		} else {
			_, _ = resp.Bytes()
		}
		if _ = resp.Close(); len(ends) != 1 || !errors.Is(ends[0], v.want) || pieces != v.pieces && v.pieces >= 0 || int64(pieces) != resp.WireBytes() {
			t.Errorf("%s: %d bytes, ends %v; want %d, %v", v.name, pieces, ends, v.pieces, v.want)
		}
	}
}

// TestTraceOfReleasedBody: of a body that Release has given up waiting for, the caller's leaving is the end.
func TestTraceOfReleasedBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTCP(t, TCPConfig{Dial: func(context.Context, netip.AddrPort) (net.Conn, error) {
			client, server := net.Pipe()
			go func() {
				if _, err := http.ReadRequest(bufio.NewReader(server)); err == nil {
					_, _ = io.WriteString(server, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nstalled")
				}
				_, _ = io.Copy(io.Discard, server)
			}()
			return client, nil
		}})
		var ends []error
		s := newSession(t, Config{Connector: c, Jar: DummyJar{}, Trace: &Trace{BodyEnd: func(_ *Response, err error) { ends = append(ends, err) }}})
		resp, err := s.Get(t.Context(), "http://127.0.0.1/")
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		resp.Release()
		if took := time.Since(began); took != drainTime || len(ends) != 1 || ends[0] != ErrBodyClosed {
			t.Errorf("after %v: %v", took, ends)
		}
		if _, err := resp.Bytes(); err != ErrBodyClosed {
			t.Error(err)
		}
	})
}

// TestTraceOfHTTP2Bodies: the same over HTTP/2.
func TestTraceOfHTTP2Bodies(t *testing.T) {
	srv := serveHTTP2(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "part")
		w.(http.Flusher).Flush()
		if r.URL.Path == "/cut" {
			panic(http.ErrAbortHandler)
		}
	})
	s := newSession(t, Config{Connector: newTCP(t, TCPConfig{TLS: rootsOf(srv)}), Version: HTTP2})
	for path, want := range map[string]error{"/": nil, "/cut": ErrPayload} {
		pieces, ends := 0, []error(nil)
		tr := &Trace{ReadBody: func(n int) { pieces += n }, BodyEnd: func(r *Response, err error) { ends = append(ends, err) }}
		resp, err := s.Get(t.Context(), srv.URL+path, WithTrace(tr))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := resp.Bytes(); pieces != 4 || len(ends) != 1 || !errors.Is(err, want) || !errors.Is(ends[0], want) {
			t.Errorf("%s: %d bytes, ends %v, %v", path, pieces, ends, err)
		}
	}
}
