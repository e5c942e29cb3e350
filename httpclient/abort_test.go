//go:build unix

package httpclient

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// aborts is how often each test of this file gives something up: a few times,
// or as often as the environment variable HTTPCLIENT_ABORTS says.
func aborts(t *testing.T) int {
	t.Helper()
	v := os.Getenv("HTTPCLIENT_ABORTS")
	if v == "" {
		return 200
	}
	n, err := strconv.Atoi(v)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// abortMany runs f often, in eight goroutines, and checks that of all this no slot,
// no goroutine and no descriptor is left.
func abortMany(t *testing.T, cfg TCPConfig, f func(ctx context.Context, s *Session, i int)) {
	t.Helper()
	s := newSession(t, Config{Connector: newTCP(t, cfg), Jar: DummyJar{}})
	files, goroutines := openFiles(t), runtime.NumGoroutine()
	rnd := rand.New(rand.NewPCG(1, 2))
	waits := make(chan time.Duration)
	n := aborts(t)
	go func() {
		defer close(waits)
		for range n {
			waits <- time.Duration(rnd.IntN(3000)) * time.Microsecond
		}
	}()
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			i := worker
			for wait := range waits {
				ctx, cancel := context.WithTimeout(context.Background(), wait)
				f(ctx, s, i)
				cancel()
				i += 8
			}
		})
	}
	wg.Wait()
	if st := s.Connector().Stats(); st.Held() != 0 || st.Waiting != 0 {
		t.Errorf("at the end %+v", st)
	}
	_ = s.Close()
	if st := s.Connector().Stats(); st.Idle != 0 || st.Hosts != 0 {
		t.Errorf("closed %+v", st)
	}
	// The peers let go of their ends in their own time.
	for patience := time.Now().Add(20 * time.Second); openFiles(t) > files || runtime.NumGoroutine() > goroutines; {
		if time.Now().After(patience) {
			stacks := make([]byte, 1<<16)
			t.Fatalf("descriptors %d, before %d; goroutines %d, before %d\n%s", openFiles(t), files, runtime.NumGoroutine(), goroutines, stacks[:runtime.Stack(stacks, true)])
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// TestAbortedHandshakes: peers that never answer, break off, or talk nonsense where
// TLS or a proxy is expected.
func TestAbortedHandshakes(t *testing.T) {
	srv := tlsServer(t)
	peers := []string{srv.Listener.Addr().String()}
	for _, said := range []string{"", "HTTP/1.1 400 not TLS\r\n\r\n", "\x16\x03\x03\x00\x7a\x02", "\x05\x00"} {
		peers = append(peers, serveRaw(t, func(_ *rawServer, c net.Conn) {
			_, _ = io.WriteString(c, said)
			_, _ = io.Copy(io.Discard, c)
		}).Addr)
	}
	peers = append(peers, serveRaw(t, func(*rawServer, net.Conn) {}).Addr)
	schemes := []string{"", "http", "https", "socks5", "socks5h"}
	abortMany(t, TCPConfig{PoolConfig: PoolConfig{Limit: 5}}, func(ctx context.Context, s *Session, i int) {
		peer := peers[i%len(peers)]
		opts := []RequestOption{HTTPVersion([]Version{HTTP11, HTTP2}[i%2])}
		target := "https://" + peer
		if scheme := schemes[i/2%len(schemes)]; scheme != "" {
			target = "https://127.0.0.1:1"
			opts = append(opts, Proxy(&url.URL{Scheme: scheme, Host: peer}))
		}
		if resp, err := s.Get(ctx, target, opts...); err == nil {
			t.Errorf("%s by %s: %d", target, peer, resp.StatusCode)
			resp.Release()
		}
	})
}

// TestAbortedRequests: requests given up at any point, by the context, by Close, by
// Release, or by forgetting to read to the end.
func TestAbortedRequests(t *testing.T) {
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" { // a server that has not read the body does not notice who has gone
			_, _ = io.Copy(io.Discard, r.Body)
		}
		if r.URL.Path == "/late" {
			<-r.Context().Done()
			return
		}
		for range 5 {
			_, _ = io.WriteString(w, strings.Repeat("x", 20_000))
			_ = http.NewResponseController(w).Flush()
		}
		if r.URL.Path == "/stall" {
			<-r.Context().Done()
		}
	})
	for _, version := range []Version{HTTP11, HTTP2} {
		t.Run(fmt.Sprint(version), func(t *testing.T) {
			srv := httptest.NewUnstartedServer(h)
			srv.EnableHTTP2 = true
			srv.Config.ErrorLog = quietLog
			srv.StartTLS()
			defer srv.Close()
			paths := []string{"/late", "/stall", "/read", "/"}
			large := make([]byte, 300_000)
			abortMany(t, TCPConfig{PoolConfig: PoolConfig{Limit: 6}, Insecure: true}, func(ctx context.Context, s *Session, i int) {
				opts := []RequestOption{HTTPVersion(version)}
				if i%3 == 0 {
					opts = append(opts, WithBody([]Body{BytesBody(large), PipeBody(func(w io.Writer) error { _, err := w.Write(large); return err })}[i%2]))
				}
				resp, err := s.Request(ctx, "POST", srv.URL+paths[i%len(paths)], opts...)
				if err != nil {
					return
				}
				switch i / 4 % 4 {
				case 0:
					_, _ = resp.Bytes()
				case 1:
					_, _ = resp.Body.Read(make([]byte, 100))
					_ = resp.Close()
				case 2:
					resp.Release()
				case 3:
					<-ctx.Done()
					_, _ = resp.Body.Read(make([]byte, 100))
					resp.Release()
				}
			})
		})
	}
}

// TestAbortedWebSockets: sockets that one side or the other leaves.
func TestAbortedWebSockets(t *testing.T) {
	silent := serveRaw(t, func(s *rawServer, c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	echoes := wsServe(t, nil, echo)
	abortMany(t, TCPConfig{PoolConfig: PoolConfig{Limit: 6}}, func(ctx context.Context, s *Session, i int) {
		target := echoes
		if i%5 == 0 {
			target = "ws://" + silent.Addr
		}
		w, err := s.DialWebSocket(ctx, target, &WSOptions{CloseTimeout: time.Millisecond, Heartbeat: time.Minute, Compress: 15 * (i % 2)})
		if err != nil {
			return
		}
		switch i % 4 {
		case 0:
			_, _ = w.Receive(ctx)
		case 1:
			_ = w.SendText(ctx, strings.Repeat("hello", 1000))
		case 2:
			_ = w.NetConn().Close()
		}
		_ = w.Close(ctx, WSGoingAway, "")
	})
}
