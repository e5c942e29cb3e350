package crawler_test

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/orbweaver/orbweaver/crawler"
	"github.com/orbweaver/orbweaver/httpclient"
)

// proxyServer is a proxy for tests: HTTP, forwarding and by CONNECT, or SOCKS5.
type proxyServer struct {
	url *url.URL

	mu     sync.Mutex
	hosts  map[string]int // requests and tunnels by host
	broken bool           // it closes what should become a tunnel
	user   string         // whom it serves, with the password "hunter2"; "": everybody
	close  func()
}

func (p *proxyServer) note(host string) (broken bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hosts[host]++
	return p.broken
}

func (p *proxyServer) count() (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.hosts {
		n += c
	}
	return n
}

// startProxy starts a proxy of a scheme at an address, "127.0.0.1:0" for any.
func startProxy(t *testing.T, scheme, address, user string) *proxyServer {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	p := &proxyServer{hosts: map[string]int{}, user: user, url: &url.URL{Scheme: scheme, Host: l.Addr().String()}}
	if user != "" {
		p.url.User = url.UserPassword(user, "hunter2")
	}
	if scheme == "http" {
		srv := &http.Server{Handler: p}
		done := make(chan struct{})
		go func() { defer close(done); _ = srv.Serve(l) }()
		p.close = sync.OnceFunc(func() { _ = srv.Close(); <-done })
	} else {
		p.close = sync.OnceFunc(func() { _ = l.Close() })
		go p.serveSOCKS(l)
	}
	t.Cleanup(p.close)
	return p
}

func (p *proxyServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	want := "Basic " + base64.StdEncoding.EncodeToString([]byte(p.user+":hunter2"))
	if p.user != "" && r.Header.Get("Proxy-Authorization") != want {
		w.Header().Set("Proxy-Authenticate", "Basic")
		http.Error(w, "who are you?", http.StatusProxyAuthRequired)
		return
	}
	broken := p.note(r.Host)
	if r.Method != http.MethodConnect {
		r.RequestURI = ""
		r.Header.Del("Proxy-Authorization")
		resp, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer resp.Body.Close()
		for name, values := range resp.Header {
			w.Header()[name] = values
		}
		w.WriteHeader(resp.StatusCode)
		_, _ = io.Copy(w, resp.Body)
		return
	}
	c, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer c.Close()
	up, err := net.Dial("tcp", r.Host)
	if err != nil || broken {
		return // without a word, as some do
	}
	defer up.Close()
	_, _ = io.WriteString(c, "HTTP/1.1 200 Connected\r\n\r\n")
	join(c, up)
}

func join(a, b net.Conn) {
	var both sync.WaitGroup
	both.Go(func() { _, _ = io.Copy(a, b); _ = a.Close() })
	both.Go(func() { _, _ = io.Copy(b, a); _ = b.Close() })
	both.Wait()
}

// serveSOCKS is SOCKS5 as far as a client by name and address needs it.
func (p *proxyServer) serveSOCKS(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			if up := p.greetSOCKS(c); up != nil {
				defer up.Close()
				join(c, up)
			}
		}()
	}
}

func (p *proxyServer) greetSOCKS(c net.Conn) net.Conn {
	read := func(n int) []byte {
		b := make([]byte, n)
		_, _ = io.ReadFull(c, b)
		return b
	}
	read(int(read(2)[1]))
	if p.user != "" {
		_, _ = c.Write([]byte{5, 2})
		user := string(read(int(read(2)[1])))
		password := string(read(int(read(1)[0])))
		if user != p.user || password != "hunter2" {
			_, _ = c.Write([]byte{1, 1})
			return nil
		}
		_, _ = c.Write([]byte{1, 0})
	} else {
		_, _ = c.Write([]byte{5, 0})
	}
	var host string
	switch read(4)[3] {
	case 1:
		host = net.IP(read(4)).String()
	case 3:
		host = string(read(int(read(1)[0])))
	default:
		return nil
	}
	host = net.JoinHostPort(host, fmt.Sprint(binary.BigEndian.Uint16(read(2))))
	p.note(host)
	up, err := net.Dial("tcp", host)
	if err != nil {
		_, _ = c.Write([]byte{5, 5, 0, 1, 0, 0, 0, 0, 0, 0})
		return nil
	}
	_, _ = c.Write([]byte{5, 0, 0, 1, 0, 0, 0, 0, 0, 0})
	return up
}

// startHosts starts sites of eleven pages, each at an address of its own.
func startHosts(t *testing.T, n int) (seeds []string) {
	t.Helper()
	for i := range n {
		srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			if r.URL.Path == "/" {
				for i := range 10 {
					fmt.Fprintf(w, `<a href="/%d">`, i)
				}
			}
		}))
		relisten(t, srv, fmt.Sprintf("127.0.0.%d:0", i+2))
		srv.Start()
		t.Cleanup(srv.Close)
		seeds = append(seeds, srv.URL)
	}
	return seeds
}

// relisten lets a server that has not started listen at another address.
func relisten(t *testing.T, srv *httptest.Server, address string) {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	_ = srv.Listener.Close()
	srv.Listener = l
}

func urls(list ...*proxyServer) (all []*url.URL) {
	for _, p := range list {
		all = append(all, p.url)
	}
	return all
}

// TestProxies goes through proxies of each kind, by each policy.
func TestProxies(t *testing.T) {
	for _, policy := range []crawler.ProxyPolicy{crawler.ProxySticky, crawler.ProxyRoundRobin} {
		t.Run(policy.String(), func(t *testing.T) {
			seeds := startHosts(t, 12)
			list := []*proxyServer{
				startProxy(t, "http", "127.0.0.1:0", ""), startProxy(t, "http", "127.0.0.1:0", "u"),
				startProxy(t, "socks5", "127.0.0.1:0", "u"), startProxy(t, "socks5h", "127.0.0.1:0", ""),
			}
			s, job := run(t, crawler.Config{Seeds: seeds, Proxies: urls(list...), ProxyPolicy: policy})
			if s.Fetched != 12*11 || s.Failed != 0 || len(s.Proxies) != 4 {
				t.Errorf("%d fetched, %d failed: %+v", s.Fetched, s.Failed, s.Proxies)
			}
			var answered int64
			for i, p := range s.Proxies {
				answered += p.Requests
				if p.Requests == 0 && policy == crawler.ProxyRoundRobin || p.Failures != 0 || p.Error != "" || !p.Out.IsZero() {
					t.Errorf("%+v", p)
				}
				if strings.Contains(p.Proxy, "hunter2") || strings.Contains(p.Proxy, "u:") || !strings.HasSuffix(p.Proxy, list[i].url.Host) {
					t.Errorf("named %q", p.Proxy)
				}
			}
			if answered != 12*12 { // with robots.txt
				t.Errorf("%d answers", answered)
			}
			for _, seed := range seeds {
				host, users := strings.TrimPrefix(seed, "http://"), 0
				for i, p := range list {
					if p.hosts[host] > 0 {
						users++
						e, err := job.Explain(t.Context(), seed)
						if want := s.Proxies[i].Proxy + ", of 4, as long as it works"; policy == crawler.ProxySticky && (err != nil || e.Proxy != want) {
							t.Errorf("%s is explained as %q, want %q", seed, e.Proxy, want)
						}
					}
				}
				if policy == crawler.ProxySticky && users != 1 {
					t.Errorf("%s was asked through %d proxies", host, users)
				}
			}
		})
	}
}

// TestProxiesThatFail lets others do the work of those that cannot be reached,
// refuse their credentials, or break off, without any harm to hosts and URLs.
func TestProxiesThatFail(t *testing.T) {
	seeds := startHosts(t, 12)
	secure := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer secure.Close()
	good := startProxy(t, "http", "127.0.0.1:0", "")
	down := startProxy(t, "http", "127.0.0.1:0", "")
	down.close()
	foreign := startProxy(t, "http", "127.0.0.1:0", "u")
	foreign.url.User = url.UserPassword("u", "wrong")
	socks := startProxy(t, "socks5", "127.0.0.1:0", "u")
	socks.url.User = nil
	s, _ := run(t, crawler.Config{
		Seeds: seeds, Proxies: urls(good, down, foreign, socks), Retries: -1, HostFailures: 1,
	})
	if s.Fetched != 12*11 || s.Failed != 0 || s.Retried != 0 || len(s.LeftOut) != 0 {
		t.Errorf("%+v", s)
	}
	if foreign.count()+socks.count() != 0 || good.count() != 12*12 {
		t.Errorf("the good one was asked %d times", good.count())
	}
	for i, want := range []string{"", "refused", "407", "credentials"} {
		p := s.Proxies[i]
		if (want == "") != (p.Failures == 0) || !strings.Contains(p.Error, want) || strings.Contains(p.Error, "wrong") {
			t.Errorf("%+v, want %q", p, want)
		}
	}
}

// TestTunnelsThatBreak convicts a proxy if another one does better, and else takes
// it for the host's failure.
func TestTunnelsThatBreak(t *testing.T) {
	connector, err := httpclient.NewTCPConnector(httpclient.TCPConfig{Insecure: true})
	if err != nil {
		t.Fatal(err)
	}
	defer connector.Close()
	secure := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer secure.Close()
	dead, _ := net.Listen("tcp", "127.0.0.1:0")
	nobody := "https://" + dead.Addr().String() + "/"
	dead.Close()
	good, broken := startProxy(t, "http", "127.0.0.1:0", ""), startProxy(t, "http", "127.0.0.1:0", "")
	broken.broken = true
	s, _ := run(t, crawler.Config{
		Seeds: []string{secure.URL, secure.URL + "/2", secure.URL + "/3", secure.URL + "/4", nobody}, Proxies: urls(broken, good), ProxyPolicy: crawler.ProxyRoundRobin, Robots: crawler.RobotsPolicy{Ignore: true}, Retries: -1,
		Middleware: []httpclient.Middleware{func(next httpclient.Handler) httpclient.Handler {
			return func(ctx context.Context, req *httpclient.Request) (*httpclient.Response, error) {
				req.Insecure = true
				return next(ctx, req)
			}
		}},
	})
	if s.Fetched != 4 || s.Failed != 1 || s.Errors["proxy"] != 1 {
		t.Errorf("%+v", s.Stats)
	}
	if s.Proxies[0].Failures == 0 || s.Proxies[0].Requests != 0 || s.Proxies[1].Failures != 0 || s.Proxies[1].Requests != 4 {
		t.Errorf("%+v", s.Proxies)
	}
}

// TestAllProxiesOut waits for a proxy to come back, and loses nothing meanwhile. The
// crawl is in virtual time, and who answers it is not.
func TestAllProxiesOut(t *testing.T) {
	seeds := startHosts(t, 3)
	p := startProxy(t, "http", "127.0.0.1:0", "")
	restart, back := make(chan struct{}), make(chan *proxyServer)
	go func() {
		defer close(back)
		for range restart {
			back <- startProxy(t, "http", p.url.Host, "")
		}
	}()
	defer close(restart)
	dir := filepath.Join(t.TempDir(), "job")
	var second *proxyServer
	synctest.Test(t, func(t *testing.T) {
		var told []string
		cfg := crawler.Config{
			Dir: dir, Delay: crawler.NoDelay, Seeds: seeds, Proxies: urls(p),
			Concurrency: 1, // so that nothing is on its way when the proxy goes
			Handler: crawler.HandlerFunc(func(context.Context, *crawler.Page) error {
				p.close() // after the first page
				return nil
			}),
		}
		gone := make(chan struct{})
		cfg.Events.Paused = func(e crawler.PausedEvent) {
			told = append(told, "paused "+string(e.Cause))
			if e.Err == nil || e.Until.IsZero() {
				t.Errorf("%+v", e)
			}
			close(gone)
		}
		cfg.Events.Resumed = func(e crawler.ResumedEvent) { told = append(told, "resumed "+string(e.Cause)) }
		c, err := crawler.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		var waiting sync.WaitGroup
		waiting.Go(func() {
			<-gone
			time.Sleep(time.Minute) // of many tries
			if s := c.Stats(); len(s.Proxies) != 1 || s.Proxies[0].Out.IsZero() || s.Proxies[0].Error == "" || s.Proxies[0].Failures < 3 {
				t.Errorf("meanwhile: %+v", s.Proxies)
			}
			restart <- struct{}{}
			second = <-back
		})
		s, err := c.Run(t.Context())
		waiting.Wait()
		if err != nil || s.Fetched != 3*11 || s.Failed != 0 || len(s.LeftOut) != 0 {
			t.Errorf("%+v, %v", s, err)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if got := strings.Join(told, ", "); got != "paused proxies, resumed proxies" {
			t.Errorf("told %q", got)
		}
	})
	reopen(t, dir)
	if second == nil || second.count() == 0 {
		t.Error("nothing went through the proxy that came back")
	}
}

// TestNoProxyThere ends with an error, and the job can be resumed.
func TestNoProxyThere(t *testing.T) {
	seeds := startHosts(t, 1)
	p := startProxy(t, "http", "127.0.0.1:0", "u")
	p.close()
	dir := filepath.Join(t.TempDir(), "job")
	c, err := crawler.New(crawler.Config{Dir: dir, Delay: crawler.NoDelay, Seeds: seeds, Proxies: urls(p)})
	if err != nil {
		t.Fatal(err)
	}
	s, err := c.Run(t.Context())
	if !errors.Is(err, crawler.ErrProxies) || strings.Contains(err.Error(), "hunter2") || s.Ended != crawler.Failed || s.Fetched+s.Failed != 0 || s.Waiting == 0 {
		t.Errorf("%+v, %v", s, err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if err := reopen(t, dir).Close(); err != nil {
		t.Error(err)
	}
	if s, _ := run(t, crawler.Config{Dir: dir}); s.Fetched != 11 {
		t.Errorf("resumed: %+v", s)
	}
}

func TestBadProxies(t *testing.T) {
	at := func(text string) *url.URL { u, _ := url.Parse(text); return u }
	for name, list := range map[string][]*url.URL{
		"nil":     {nil},
		"scheme":  {at("ftp://u:hunter2@h:1")},
		"no host": {at("http:///x")},
		"twice":   {at("http://u:hunter2@h:1"), at("http://u:hunter3@h:1")},
	} {
		var bad *crawler.ConfigError
		_, err := crawler.New(crawler.Config{Proxies: list})
		if !errors.As(err, &bad) || bad.Field != "Proxies" || strings.Contains(err.Error(), "hunter") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
