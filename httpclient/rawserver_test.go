package httpclient

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// rawServer serves each connection with a function that speaks bytes.
type rawServer struct {
	URL  string
	Addr string

	mu       sync.Mutex
	requests []string // heads and bodies as they came
	conns    int
	open     map[net.Conn]struct{}
}

// serveRaw starts a server that ends with the test.
func serveRaw(t testing.TB, serve func(s *rawServer, c net.Conn)) *rawServer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &rawServer{URL: "http://" + l.Addr().String(), Addr: l.Addr().String(), open: map[net.Conn]struct{}{}}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.conns++
			s.open[c] = struct{}{}
			s.mu.Unlock()
			wg.Go(func() {
				defer c.Close()
				serve(s, c)
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		s.mu.Lock()
		for c := range s.open {
			_ = c.Close()
		}
		s.mu.Unlock()
		wg.Wait()
	})
	return s
}

// read takes a request from r, and returns it as it came.
func (s *rawServer) read(r *bufio.Reader) (raw string, err error) {
	var b strings.Builder
	length, chunked := 0, false
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return "", err
		}
		b.WriteString(line)
		if line == "\r\n" {
			break
		}
		name, value, _ := strings.Cut(line, ":")
		switch value = strings.TrimSpace(value); textproto.CanonicalMIMEHeaderKey(name) {
		case "Content-Length":
			length, _ = strconv.Atoi(value)
		case "Transfer-Encoding":
			chunked = true
		}
	}
	s.mu.Lock()
	s.requests = append(s.requests, b.String())
	s.mu.Unlock()
	if chunked {
		for end := false; !end; {
			line, err := r.ReadString('\n')
			if err != nil {
				return "", err
			}
			n, err := strconv.ParseInt(strings.TrimSpace(line), 16, 64)
			if err != nil {
				return "", err
			}
			chunk := make([]byte, n+2)
			if _, err := io.ReadFull(r, chunk); err != nil {
				return "", err
			}
			b.WriteString(line + string(chunk))
			end = n == 0
		}
	}
	body := make([]byte, length)
	if _, err := io.ReadFull(r, body); err != nil {
		return "", err
	}
	b.Write(body)
	s.mu.Lock()
	s.requests[len(s.requests)-1] = b.String()
	s.mu.Unlock()
	return b.String(), nil
}

// answer serves every request with what reply returns for it; "" closes the connection.
func answer(t testing.TB, reply func(request string) string) *rawServer {
	t.Helper()
	return serveRaw(t, func(s *rawServer, c net.Conn) {
		r := bufio.NewReader(c)
		for {
			request, err := s.read(r)
			if err != nil {
				return
			}
			out := reply(request)
			if out == "" {
				return
			}
			if _, err := io.WriteString(c, out); err != nil {
				return
			}
		}
	})
}

// say serves one connection after another with the same bytes, then closes it.
func say(t testing.TB, bytes string) *rawServer {
	t.Helper()
	return serveRaw(t, func(s *rawServer, c net.Conn) {
		r := bufio.NewReader(c)
		if _, err := s.read(r); err != nil {
			return
		}
		_, _ = io.WriteString(c, bytes)
		if tc, ok := c.(*net.TCPConn); ok {
			_ = tc.CloseWrite()
		}
		_, _ = io.Copy(io.Discard, r)
	})
}

// mirror answers each request with itself as the body.
func mirror(t testing.TB) *rawServer {
	t.Helper()
	return answer(t, func(request string) string { return ok(request) })
}

func ok(body string, fields ...string) string {
	var b strings.Builder
	b.WriteString("HTTP/1.1 200 OK\r\n")
	for _, f := range fields {
		b.WriteString(f + "\r\n")
	}
	fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n%s", len(body), body)
	return b.String()
}

func redirectTo(code int, location string) string {
	return fmt.Sprintf("HTTP/1.1 %d %s\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n", code, http.StatusText(code), location)
}

func (s *rawServer) last() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.requests) == 0 {
		return ""
	}
	return s.requests[len(s.requests)-1]
}

func (s *rawServer) count() (requests, conns int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.requests), s.conns
}

// fetch returns the text of a response, which must be had without error.
func fetch(t testing.TB, s *Session, url string, opts ...RequestOption) string {
	t.Helper()
	_, body := get(t, s, url, opts...)
	return body
}

func get(t testing.TB, s *Session, url string, opts ...RequestOption) (*Response, string) {
	t.Helper()
	resp, err := s.Get(t.Context(), url, opts...)
	if err != nil {
		t.Fatal(err)
	}
	b, err := resp.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(b)
}

// requestLine returns the first line of a request as it came.
func requestLine(raw string) string {
	line, _, _ := strings.Cut(raw, "\r\n")
	return line
}

// has checks that a request has a line of its head.
func has(t testing.TB, raw, line string) {
	t.Helper()
	if !strings.Contains(raw, "\r\n"+line+"\r\n") && !strings.HasPrefix(raw, line+"\r\n") {
		t.Errorf("no line %q in\n%s", line, raw)
	}
}

func hasNot(t testing.TB, raw, part string) {
	t.Helper()
	if strings.Contains(strings.ToLower(raw), strings.ToLower(part)) {
		t.Errorf("%q in\n%s", part, raw)
	}
}
