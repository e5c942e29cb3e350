package httpclient

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
)

// fullAfter is a disk that is full after some bytes.
type fullAfter struct {
	left int
	got  bytes.Buffer
}

var errFull = errors.New("disk full")

func (w *fullAfter) Write(p []byte) (int, error) {
	n := min(len(p), w.left)
	w.left -= n
	w.got.Write(p[:n])
	if n < len(p) {
		return n, errFull
	}
	return n, nil
}

// TestTeeErrors: wherever in a response the writer of a tee fails, the caller learns
// it, and what the writer got is the beginning of what was transferred.
func TestTeeErrors(t *testing.T) {
	const raw = "HTTP/1.1 103 Early\r\nX: 1\r\n\r\nHTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"
	var body strings.Builder
	coded := string(encode(t, "gzip", page(300)))
	for len(coded) > 0 {
		n := min(len(coded), 64)
		fmt.Fprintf(&body, "%x\r\n%s\r\n", n, coded[:n])
		coded = coded[n:]
	}
	whole := raw + body.String() + "0\r\nT: 1\r\n\r\n"
	srv := answer(t, func(string) string { return whole })
	connector := newTCP(t, TCPConfig{})
	s := newSession(t, Config{Connector: connector})
	for size := range len(whole) {
		w := &fullAfter{left: size}
		resp, err := s.Get(t.Context(), srv.URL, TeeWire(w))
		if err == nil {
			if _, err = resp.Bytes(); !errors.Is(resp.Body.Err(), errFull) {
				t.Fatalf("full after %d: Body.Err is %v", size, resp.Body.Err())
			}
		}
		var te *TeeError
		if !errors.Is(err, errFull) || !errors.As(err, &te) || te.Field != "Wire" || !errors.Is(err, ErrTee) {
			t.Fatalf("full after %d: %v", size, err)
		}
		if w.got.String() != whole[:size] {
			t.Fatalf("full after %d: got %q", size, w.got.String())
		}
	}
	w := &fullAfter{left: len(whole)}
	if fetch(t, s, srv.URL, TeeWire(w)); w.got.String() != whole {
		t.Errorf("got %q", w.got.String())
	}
	resp, err := s.Get(t.Context(), srv.URL, TeeWire(&fullAfter{left: len(raw) + 5}))
	if err != nil {
		t.Fatal(err)
	}
	if resp.Release(); !errors.Is(resp.Body.Err(), errFull) {
		t.Errorf("after Release, Body.Err is %v", resp.Body.Err())
	}
	if st := connector.Stats(); st.Held() != 0 {
		t.Errorf("%+v", st)
	}
}

// TestTeeOutErrors: of the request's head, of a short body, and of a long one that
// is sent while the response is awaited.
func TestTeeOutErrors(t *testing.T) {
	long := strings.Repeat("0123456789abcdef", 10_000)
	srv := answer(t, func(string) string { return ok("") })
	s := newSession(t, Config{})
	for _, size := range []int{0, 20, 100, 1000, len(long)} {
		w := &fullAfter{left: size}
		resp, err := s.Post(t.Context(), srv.URL, StringBody(long), TeeWireOut(w))
		if err == nil {
			_, err = resp.Bytes()
		}
		var te *TeeError
		if !errors.Is(err, errFull) || !errors.As(err, &te) || te.Field != "WireOut" {
			t.Errorf("full after %d: %v", size, err)
		}
		if w.got.Len() != size {
			t.Errorf("full after %d: got %d bytes", size, w.got.Len())
		}
	}
}

// TestTeeOfSeveralExchanges: what the tees get of redirects, and of a request that
// is repeated since its kept-alive connection had been closed.
func TestTeeOfSeveralExchanges(t *testing.T) {
	redirect := "HTTP/1.1 302 Found\r\nLocation: /next\r\nContent-Length: 4\r\n\r\nmove"
	final := "HTTP/1.1 100 Continue\r\n\r\n" + ok("here")
	conns := 0
	srv := serveRaw(t, func(s *rawServer, c net.Conn) {
		s.mu.Lock()
		conns++
		n := conns
		s.mu.Unlock()
		r := bufio.NewReader(c)
		for i := 0; ; i++ {
			request, err := s.read(r)
			if err != nil || n == 1 && i == 1 {
				return // closes when the second request comes
			}
			out := final
			if strings.HasPrefix(request, "GET /first ") {
				out = redirect
			}
			_, _ = io.WriteString(c, out)
		}
	})
	s := newSession(t, Config{Jar: DummyJar{}})
	fetch(t, s, srv.URL+"/warm")
	var in, out strings.Builder
	var retries int
	trace := &Trace{Retry: func(*Request, error) { retries++ }}
	fetch(t, s, srv.URL+"/first", TeeWire(&in), TeeWireOut(&out), WithTrace(trace))
	if in.String() != redirect+final {
		t.Errorf("in %q", in.String())
	}
	lines := 0
	for _, line := range []string{"GET /first HTTP/1.1\r\n", "GET /first HTTP/1.1\r\n", "GET /next HTTP/1.1\r\n"} {
		if i := strings.Index(out.String()[lines:], line); i < 0 {
			t.Errorf("no %q in %q", line, out.String()[lines:])
		} else {
			lines += i + len(line)
		}
	}
	if retries != 1 || strings.Count(out.String(), "GET ") != 3 {
		t.Errorf("%d retries, sent %q", retries, out.String())
	}
}

// TestNoRetryAfterAnInterimResponse: something had come.
func TestNoRetryAfterAnInterimResponse(t *testing.T) {
	srv := serveRaw(t, func(s *rawServer, c net.Conn) {
		r := bufio.NewReader(c)
		if _, err := s.read(r); err != nil {
			return
		}
		_, _ = io.WriteString(c, ok(""))
		if _, err := s.read(r); err != nil {
			return
		}
		_, _ = io.WriteString(c, "HTTP/1.1 103 Early\r\n\r\n")
	})
	s := newSession(t, Config{})
	fetch(t, s, srv.URL)
	var de *DisconnectedError
	if _, err := s.Get(t.Context(), srv.URL); !errors.As(err, &de) || !de.Reused {
		t.Error(err)
	}
	if n, _ := srv.count(); n != 2 {
		t.Errorf("%d requests", n)
	}
}
