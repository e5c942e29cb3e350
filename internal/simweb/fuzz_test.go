package simweb

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"testing"
)

// FuzzRequests sends arbitrary bytes. Each request is counted in one class, and answered with proper HTTP.
func FuzzRequests(f *testing.F) {
	f.Add([]byte("GET / HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\nGET /r/1 HTTP/1.1\r\nHost: x\r\n\r\n"))
	f.Add([]byte("GET /s0/list?id=3&copy=no HTTP/1.1\r\nHost: x\r\n\r\nGET /robots.txt HTTP/1.0\r\nHost: x\r\n\r\n"))
	f.Add([]byte("GET /gone/4 HTTP/1.1\r\nHost:\r\nConnection: Close\r\n\r\nGET /s0/p99999999999999999999.html HTTP/1.1\r\nHost: x\r\n\r\n"))
	f.Add([]byte("POST / HTTP/1.1\r\n\r\n\r\n\r\n"))
	f.Add([]byte("GET /sitemap-1.xml.gz HTTP/1.1\r\nHost: x\r\n\r\n"))
	w, err := New(Config{Hosts: 1, Pages: 10, Bytes: 300, Links: 2, Gzip: true, ErrorRate: 0.3, RedirectRate: 0.3, BrokenRate: 0.5, Sitemaps: true})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, requests []byte) {
		w.Reset()
		var answers bytes.Buffer
		(&exchange{web: w, host: &w.hosts[0], conn: &script{in: bytes.NewReader(requests), out: &answers}}).serve()

		c := w.Counts()
		if sum := c.Robots + c.Sitemaps + c.Pages + c.Redirects + c.Errors + c.Broken + c.Assets + c.Forbidden + c.Trapped + c.NotFound + c.Zoo + c.Bad; sum != c.Requests {
			t.Errorf("classes add up to %d: %+v", sum, c)
		}
		if c.Bytes != int64(answers.Len()) {
			t.Errorf("%d bytes counted, %d sent", c.Bytes, answers.Len())
		}
		if bytes.Contains(requests, []byte("HEAD")) {
			return // where bodies are missing cannot be seen from the answers
		}
		r := bufio.NewReader(&answers)
		for range c.Requests {
			resp, err := http.ReadResponse(r, nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, resp.Body); err != nil {
				t.Fatal(err)
			}
		}
		if n, _ := io.Copy(io.Discard, r); n != 0 {
			t.Errorf("%d bytes after the last answer", n)
		}
	})
}

// script is a connection whose other end has said everything beforehand.
type script struct {
	net.Conn
	in  io.Reader
	out io.Writer
}

func (s *script) Read(b []byte) (int, error)  { return s.in.Read(b) }
func (s *script) Write(b []byte) (int, error) { return s.out.Write(b) }
