//go:build unix

package httpclient

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// The benchmarks run the client against a server in a process of its own, so that
// cpu-ns/op is the client's alone: compare it between the two clients of one run.

const benchServerEnv = "HTTPCLIENT_BENCH_SERVER"

// benchServe answers GET /n with n bytes, on a port that it prints, until its
// standard input ends.
func benchServe() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println(l.Addr())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go benchAnswer(c)
	}
}

func benchAnswer(c net.Conn) {
	defer c.Close()
	answers := map[string][]byte{}
	r := bufio.NewReader(c)
	for {
		first, err := r.ReadString('\n')
		if err != nil {
			return
		}
		for line := first; line != "\r\n"; {
			if line, err = r.ReadString('\n'); err != nil {
				return
			}
		}
		answer := answers[first]
		if answer == nil {
			var n int
			_, _ = fmt.Sscanf(first, "GET /%d", &n)
			answer = fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nDate: Sun, 22 Nov 2026 10:00:00 GMT\r\nServer: bench\r\nContent-Type: text/html; charset=utf-8\r\n"+
				"Content-Length: %d\r\nCache-Control: public, max-age=60\r\nETag: \"abcdef\"\r\nLast-Modified: Sun, 22 Nov 2026 09:00:00 GMT\r\nVary: Accept-Encoding\r\n"+
				"X-Content-Type-Options: nosniff\r\nX-Frame-Options: DENY\r\nReferrer-Policy: no-referrer\r\nAge: 7\r\nVia: 1.1 cache\r\n\r\n%s", n, strings.Repeat("x", n))
			answers[first] = answer
		}
		if _, err := c.Write(answer); err != nil {
			return
		}
	}
}

func benchServer() string { return benchProcess().url }

type process struct {
	url   string
	stdin io.Closer // the server lives as long as it is open
}

var benchProcess = sync.OnceValue(func() process {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), benchServerEnv+"=1")
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		panic(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		panic(err)
	}
	if err := cmd.Start(); err != nil {
		panic(err)
	}
	addr, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		panic(err)
	}
	return process{"http://" + strings.TrimSpace(addr), stdin}
})

func processCPU() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// run has workers fetch b.N times.
func runFetches(b *testing.B, workers int, fetch func(buf []byte) []byte) {
	b.Helper()
	fetch(nil)
	b.ReportAllocs()
	var next atomic.Int64
	var wg sync.WaitGroup
	b.ResetTimer()
	before := processCPU()
	for range workers {
		wg.Go(func() {
			var buf []byte
			for next.Add(1) <= int64(b.N) {
				buf = fetch(buf[:0])
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(processCPU()-before)/float64(b.N), "cpu-ns/op")
}

func BenchmarkFetch(b *testing.B) {
	for _, bc := range []struct {
		name    string
		size    int
		workers int
		close   bool
	}{
		{"1KiB/workers=1", 1 << 10, 1, false}, {"1KiB/workers=64", 1 << 10, 64, false},
		{"64KiB/workers=64", 64 << 10, 64, false}, {"newconn/workers=64", 1 << 10, 64, true},
	} {
		url := fmt.Sprintf("%s/%d", benchServer(), bc.size)
		b.Run(bc.name+"/client=transport", func(b *testing.B) {
			tr := &http.Transport{MaxIdleConnsPerHost: 100, DisableKeepAlives: bc.close, DisableCompression: true}
			defer tr.CloseIdleConnections()
			runFetches(b, bc.workers, func(buf []byte) []byte {
				req, err := http.NewRequestWithContext(b.Context(), "GET", url, nil)
				if err != nil {
					b.Fatal(err)
				}
				req.Header.Set("Accept", "*/*")
				resp, err := tr.RoundTrip(req)
				if err != nil {
					b.Fatal(err)
				}
				w := bytes.NewBuffer(buf)
				if _, err := w.ReadFrom(resp.Body); err != nil || w.Len() != bc.size {
					b.Fatal(w.Len(), err)
				}
				_ = resp.Body.Close()
				return w.Bytes()
			})
		})
		b.Run(bc.name+"/client=session", func(b *testing.B) {
			c, err := NewTCPConnector(TCPConfig{PoolConfig: PoolConfig{ForceClose: bc.close}})
			if err != nil {
				b.Fatal(err)
			}
			s, err := New(Config{Connector: c, Jar: DummyJar{}})
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			runFetches(b, bc.workers, func(buf []byte) []byte {
				req, err := NewRequest("GET", url)
				if err != nil {
					b.Fatal(err)
				}
				resp, err := s.Do(b.Context(), req)
				if err != nil {
					b.Fatal(err)
				}
				if buf, err = resp.AppendBody(buf); err != nil || len(buf) != bc.size {
					b.Fatal(len(buf), err)
				}
				resp.Release()
				return buf
			})
		})
	}
}

// BenchmarkIdle reports what a kept-alive connection costs while nobody uses it.
func BenchmarkIdle(b *testing.B) {
	const conns = 500
	for b.Loop() {
		c, err := NewTCPConnector(TCPConfig{PoolConfig: PoolConfig{Limit: Unlimited, MaxIdle: Unlimited}})
		if err != nil {
			b.Fatal(err)
		}
		s, err := New(Config{Connector: c, Jar: DummyJar{}})
		if err != nil {
			b.Fatal(err)
		}
		goroutines, before := runtime.NumGoroutine(), heapInUse()
		open := make([]*Response, conns)
		for i := range open {
			if open[i], err = s.Get(b.Context(), fmt.Sprintf("%s/%d", benchServer(), 40_000)); err != nil {
				b.Fatal(err)
			}
		}
		for i, resp := range open {
			if _, err := resp.AppendBody(nil); err != nil {
				b.Fatal(err)
			}
			open[i] = nil
		}
		after := heapInUse()
		if n := c.Stats().Idle; n != conns {
			b.Fatalf("%d idle connections", n)
		}
		b.ReportMetric(float64(after-before)/conns, "B/idle-conn")
		b.ReportMetric(float64(runtime.NumGoroutine()-goroutines)/conns, "goroutines/idle-conn")
		runtime.KeepAlive(open)
		_ = s.Close()
	}
}

func heapInUse() int64 {
	var m runtime.MemStats
	for range 3 {
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}

// BenchmarkRequest writes the head of a request as a session does.
func BenchmarkRequest(b *testing.B) {
	s, err := New(Config{Jar: DummyJar{}})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	r, err := s.newRequest("GET", "http://www.example.org/section/7/page-1234.html?id=9", nil)
	if err != nil {
		b.Fatal(err)
	}
	r.effective.session = s
	buf := make([]byte, 0, 4<<10)
	b.ReportAllocs()
	for b.Loop() {
		if buf, err = r.appendHead(buf[:0], outgoing{}, false); err != nil {
			b.Fatal(err)
		}
	}
	b.SetBytes(int64(len(buf)))
}

// BenchmarkHead reads the head of a response of usual length.
func BenchmarkHead(b *testing.B) {
	raw := []byte("HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Sun, 22 Nov 2026 12:00:00 GMT\r\nContent-Type: text/html; charset=utf-8\r\n" +
		"Content-Length: 13042\r\nConnection: keep-alive\r\nVary: Accept-Encoding\r\nCache-Control: max-age=600\r\nETag: \"6740ad12-7a2b\"\r\n" +
		"Last-Modified: Fri, 20 Nov 2026 08:15:30 GMT\r\nContent-Encoding: gzip\r\nX-Frame-Options: SAMEORIGIN\r\nStrict-Transport-Security: max-age=31536000\r\n\r\n")
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		var h head
		end, _ := headEnd(raw, 0)
		if err := h.parse(raw[:end], DefaultMaxLine); err != nil {
			b.Fatal(err)
		}
		if _, n, _ := h.frame("GET", true); n != 13042 {
			b.Fatal(n)
		}
	}
}
