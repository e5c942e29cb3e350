package simweb

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestHostAddr(t *testing.T) {
	for i, want := range map[int]string{0: "127.1.0.1", 249: "127.1.0.250", 250: "127.1.1.1", 62499: "127.1.249.250", 62500: "127.2.0.1"} {
		if got := hostAddr(i).String(); got != want {
			t.Errorf("host %d is %s, want %s", i, got, want)
		}
	}
	for i := range 200_000 {
		if got, ok := hostIndex(hostAddr(i)); !ok || got != i {
			t.Fatalf("host %d came back as %d, %v", i, got, ok)
		}
	}
	if got := hostAddr(maxHosts - 1).String(); got != "127.250.249.250" {
		t.Errorf("the last host is %s", got)
	}
}

func TestConfigRefused(t *testing.T) {
	for field, cfg := range map[string]Config{
		"Hosts":        {Hosts: -1},
		"Pages":        {Pages: -1},
		"Links":        {Links: -1},
		"Bytes":        {Bytes: -1},
		"CrossLinks":   {CrossLinks: 1.1},
		"ErrorRate":    {ErrorRate: -0.1},
		"BrokenRate":   {BrokenRate: 2},
		"RedirectRate": {RedirectRate: 2},
		"Latency":      {Latency: -1},
		"CrawlDelay":   {CrawlDelay: -1},
		"RobotsStatus": {RobotsStatus: 99},
		"ConnRequests": {ConnRequests: -1},
		"Port":         {Port: 65536},
	} {
		for name, open := range map[string]func(Config) (*Web, error){"Start": Start, "New": New} {
			if w, err := open(cfg); err == nil || !strings.Contains(err.Error(), field) {
				t.Errorf("%s with a wrong %s: %v", name, field, err)
				if w != nil {
					w.Close()
				}
			}
		}
	}
	w := start(t, Config{})
	if _, err := Start(Config{Port: w.site.cfg.Port}); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("a taken port: %v", err)
	}
}

// On virtual time the counters are exact.
func TestPoliteness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, err := New(Config{Hosts: 2, Latency: 200 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		request := func(host int) net.Conn {
			c, err := w.DialContext(t.Context(), "tcp", net.JoinHostPort(w.Host(host), "80"))
			if err != nil {
				t.Fatal(err)
			}
			send(t, c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
			return c
		}
		finish := func(c net.Conn) {
			readResponse(t, bufio.NewReader(c), 200)
			c.Close()
			synctest.Wait()
		}

		began := time.Now()
		finish(request(0))
		if d := time.Since(began); d != 200*time.Millisecond {
			t.Errorf("answered after %v", d)
		}
		time.Sleep(800 * time.Millisecond)
		finish(request(0)) // a second after the first
		time.Sleep(300 * time.Millisecond)
		a := request(0)
		time.Sleep(100 * time.Millisecond)
		b := request(0) // while a is in progress
		other := request(1)
		finish(a)
		finish(b)
		finish(other)

		got := w.HostCounts(0)
		if got.MaxConcurrent != 2 || got.MaxConns != 2 || got.Conns != 4 || got.MinGap != 100*time.Millisecond || got.Pages != 4 || got.Distinct != 1 || got.Duplicates != 3 {
			t.Errorf("first host: %+v", got)
		}
		got = w.HostCounts(1)
		if got.MaxConcurrent != 1 || got.MaxConns != 1 || got.MinGap != 0 || got.Pages != 1 {
			t.Errorf("second host: %+v", got)
		}
		got = w.Counts()
		if got.MaxConcurrent != 2 || got.MinGap != 100*time.Millisecond || got.Requests != 5 {
			t.Errorf("both hosts: %+v", got)
		}
	})
}

// Requests that arrive in one piece, or byte by byte, are answered one after the other.
func TestPipelining(t *testing.T) {
	w := start(t, Config{Hosts: 1, ErrorRate: 1})
	c := dial(t, w)
	r := bufio.NewReader(c)
	send(t, c, strings.Repeat("GET / HTTP/1.1\r\nHost: x\r\n\r\n", 3)+"HEAD /robots.txt HTTP/1.1\r\nHost: x\r\n\r\nGET /none HTTP/1.1\r\nHost: x\r\n\r\n")
	for _, status := range []int{w.site.failsFirst(0, 0), 200, 200} {
		readResponse(t, r, status)
	}
	resp, err := http.ReadResponse(r, &http.Request{Method: "HEAD"})
	if err != nil || resp.StatusCode != 200 || resp.ContentLength == 0 {
		t.Fatalf("HEAD: %v, %v", resp, err)
	}
	readResponse(t, r, 404)
	for _, b := range []byte("GET / HTTP/1.0\r\nHOST:x\r\n\r\n") {
		send(t, c, string([]byte{b}))
	}
	readResponse(t, r, 200)
	if _, err := r.ReadByte(); err != io.EOF {
		t.Errorf("after an HTTP/1.0 request: %v", err)
	}
}

func TestBadRequests(t *testing.T) {
	w := start(t, Config{Hosts: 1})
	requests := []string{
		"\r\n\r\n",
		"GET\r\n\r\n",
		"GET / HTTP/2.0\r\nHost: x\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
		"GET / HTTP/1.1\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
		"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"GET http://x/ HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET / HTTP/1.1\r\nX: " + strings.Repeat("x", maxHead-len("GET / HTTP/1.1\r\nX: ")),
	}
	for _, request := range requests {
		c := dial(t, w)
		send(t, c, request)
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil || resp.StatusCode != 400 || !resp.Close {
			t.Errorf("%.40q: %v, %v", request, resp, err)
		}
	}
	if c := w.Counts(); c.Bad != int64(len(requests)) || c.Requests != c.Bad {
		t.Errorf("counted %+v", c)
	}
}

func TestConnRequests(t *testing.T) {
	w := start(t, Config{Hosts: 1, ConnRequests: 2})
	c := dial(t, w)
	r := bufio.NewReader(c)
	send(t, c, strings.Repeat("GET / HTTP/1.1\r\nHost: x\r\n\r\n", 2))
	if readResponse(t, r, 200).Close {
		t.Error("closed after the first request")
	}
	if !readResponse(t, r, 200).Close {
		t.Error("the last answer does not say so")
	}
	if _, err := r.ReadByte(); err != io.EOF {
		t.Errorf("after the last answer: %v", err)
	}
}

// Whoever connects to an address that is not on loopback is turned away.
func TestLoopbackOnly(t *testing.T) {
	w := start(t, Config{Hosts: 1})
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	tried := []string{"127.0.0.1", "127.1.0.2"} // no hosts
	for _, a := range addrs {
		if ip := a.(*net.IPNet).IP; ip.To4() != nil && !ip.IsLoopback() {
			tried = append(tried, ip.String())
		}
	}
	for _, ip := range tried {
		c, err := net.Dial("tcp", fmt.Sprint(ip, ":", w.site.cfg.Port))
		if err != nil {
			continue // refused, even better
		}
		defer c.Close()
		_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		if n, err := c.Read(make([]byte, 1)); n > 0 || err == nil {
			t.Errorf("%s was answered", ip)
		}
	}
	if c := w.Counts(); c.Requests != 0 || c.Conns != 0 {
		t.Errorf("counted %+v", c)
	}
}

func TestDialContext(t *testing.T) {
	w, err := New(Config{Hosts: 2})
	if err != nil {
		t.Fatal(err)
	}
	c, err := w.DialContext(t.Context(), "tcp", "127.1.0.2:80")
	if err != nil || c.RemoteAddr().String() != "127.1.0.2:80" {
		t.Fatal(c, err)
	}
	for _, address := range []string{"127.1.0.3:80", "127.1.0.1:81", "127.0.0.1:80", "10.0.0.1:80", "[::1]:80", "localhost:80", "127.1.0.1"} {
		if _, err := w.DialContext(t.Context(), "tcp", address); err == nil {
			t.Errorf("%s was connected", address)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("after Close: %v", err)
	}
	if _, err := w.DialContext(t.Context(), "tcp", "127.1.0.1:80"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("dial after Close: %v", err)
	}
	if err := w.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
}

func dial(t *testing.T, w *Web) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", w.Host(0))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return c
}

func send(t *testing.T, c net.Conn, request string) {
	t.Helper()
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
}

func readResponse(t *testing.T, r *bufio.Reader, status int) *http.Response {
	t.Helper()
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != status {
		t.Fatalf("status %d, want %d", resp.StatusCode, status)
	}
	return resp
}
