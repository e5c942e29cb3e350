package simweb

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

// benchConfig is the web that crawls are measured on.
var benchConfig = Config{Hosts: 100, Pages: 500, Links: 50, Bytes: 30_000, Gzip: true, Port: 80}

// BenchmarkRender is the price of a page without the network.
func BenchmarkRender(b *testing.B) {
	for _, bench := range []struct {
		name string
		gzip bool
	}{{"gzip", true}, {"plain", false}} {
		b.Run(bench.name, func(b *testing.B) {
			cfg, err := benchConfig.complete()
			if err != nil {
				b.Fatal(err)
			}
			w, err := newWeb(cfg)
			if err != nil {
				b.Fatal(err)
			}
			p := w.pages.New().(*page)
			p.gzip = bench.gzip
			b.ReportAllocs()
			began := cpuTime(b)
			for i := 0; b.Loop(); i++ {
				p.buf = p.buf[:0]
				p.render(i%cfg.Hosts, i%cfg.Pages)
			}
			b.ReportMetric(float64(cpuTime(b)-began)/float64(b.N), "cpu-ns/op")
			b.SetBytes(int64(p.size))
		})
	}
}

// BenchmarkServe is the price of a page over loopback on one connection, with the client's reading of it.
func BenchmarkServe(b *testing.B) {
	cfg := benchConfig
	cfg.Port = 0
	w, err := Start(cfg)
	if err != nil {
		b.Fatal(err)
	}
	defer w.Close()
	c, err := net.Dial("tcp", w.Host(0))
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	r := bufio.NewReaderSize(c, 64<<10)
	b.ReportAllocs()
	began := cpuTime(b)
	for b.Loop() {
		if _, err := io.WriteString(c, "GET /s0/p1.html HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n"); err != nil {
			b.Fatal(err)
		}
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil || !strings.HasPrefix(resp.Status, "200") {
			b.Fatal(resp.Status, err)
		}
	}
	b.ReportMetric(float64(cpuTime(b)-began)/float64(b.N), "cpu-ns/op")
}

// cpuTime is what this process has used of all cores, which tells more than the clock where others use them too.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
