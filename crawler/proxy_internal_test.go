package crawler

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	"github.com/orbweaver/orbweaver/httpclient"
)

// fakeProxies answer, or fail, as a test says, without any network.
type fakeProxies struct {
	*proxies
	down   map[*proxy]bool
	dead   map[string]bool // hosts that no proxy reaches
	sent   []*proxy
	pauses int // begun and not ended
	over   error
}

func newFakeProxies(t *testing.T, n int, policy ProxyPolicy) *fakeProxies {
	t.Helper()
	var list []*url.URL
	for i := range n {
		list = append(list, &url.URL{Scheme: "http", Host: fmt.Sprintf("proxy%d:3128", i)})
	}
	f := &fakeProxies{proxies: newProxies(list, policy), down: map[*proxy]bool{}, dead: map[string]bool{}}
	f.gate = newGate(func() func() { return func() {} })
	f.tell = func(PausedEvent) { f.pauses++ }
	f.resumed = func() { f.pauses-- }
	f.end = func(err error) { f.over = err }
	return f
}

var errDead = errors.New("the host does not answer")

// ask makes a request to a host and returns the proxies that it was tried with.
func (f *fakeProxies) ask(t *testing.T, host string) ([]*proxy, error) {
	t.Helper()
	req, err := httpclient.NewRequest("GET", "https://"+host+"/")
	if err != nil {
		t.Fatal(err)
	}
	f.sent = nil
	_, err = f.through(func(_ context.Context, req *httpclient.Request) (*httpclient.Response, error) {
		for _, p := range f.list {
			if p.url != req.Proxy {
				continue
			}
			f.sent = append(f.sent, p)
			switch {
			case f.down[p]:
				return nil, &httpclient.ProxyConnectionError{Proxy: p.name, Err: io.EOF}
			case f.dead[host]:
				return nil, &httpclient.ProxyConnectionError{Proxy: p.name, Reached: true, Err: errDead}
			}
		}
		return &httpclient.Response{StatusCode: 200}, nil
	})(t.Context(), req)
	return f.sent, err
}

// TestProxyHealth lets proxies fail and recover at random, and hosts die, and
// compares what is done with what may be.
func TestProxyHealth(t *testing.T) {
	for seed := range uint64(20) {
		for _, policy := range []ProxyPolicy{ProxySticky, ProxyRoundRobin} {
			synctest.Test(t, func(t *testing.T) { proxyHealth(t, seed, policy) })
		}
	}
}

func proxyHealth(t *testing.T, seed uint64, policy ProxyPolicy) {
	random := rand.New(rand.NewPCG(seed, 1))
	f := newFakeProxies(t, 1+random.IntN(5), policy)
	defer f.close()
	hosts := make([]string, 20)
	for i := range hosts {
		hosts[i] = fmt.Sprintf("host%d.example", i)
	}
	if _, err := f.ask(t, hosts[0]); err != nil {
		t.Fatal(err) // from here on one has worked
	}
	out := func(p *proxy) bool { return p.out.After(time.Now()) }
	for range 500 {
		switch random.IntN(6) {
		case 0:
			p := f.list[random.IntN(len(f.list))]
			f.down[p] = !f.down[p]
		case 1:
			h := hosts[1+random.IntN(len(hosts)-1)]
			f.dead[h] = !f.dead[h]
		case 2:
			time.Sleep(time.Duration(random.Int64N(int64(time.Minute))))
		default:
			host := hosts[random.IntN(len(hosts))]
			wasOut := map[*proxy]bool{}
			anyUp := false
			for _, p := range f.list {
				wasOut[p] = out(p)
				anyUp = anyUp || !wasOut[p] && !f.down[p]
			}
			sent, err := f.ask(t, host)
			for i, p := range sent {
				if wasOut[p] {
					t.Fatalf("%s was used though it was out", p.name)
				}
				if !f.down[p] && out(p) {
					t.Fatalf("%s is out, and is not down", p.name)
				}
				if f.down[p] && !out(p) {
					t.Fatalf("%s is down, and is in", p.name)
				}
				if policy == ProxySticky && i == 0 {
					for _, q := range f.list {
						if !wasOut[q] && score(q.weight, hash64(host)) > score(p.weight, hash64(host)) {
							t.Fatalf("%s went through %s, and %s ranks higher", host, p.name, q.name)
						}
					}
				}
			}
			switch {
			case !anyUp && !errors.Is(err, errNoProxy):
				t.Fatalf("no proxy is up: %v", err)
			case anyUp && f.dead[host] && !errors.Is(err, errDead):
				t.Fatalf("the host is dead: %v", err)
			case anyUp && !f.dead[host] && err != nil:
				t.Fatalf("a proxy is up: %v", err)
			}
			allOut := true
			for _, p := range f.list {
				allOut = allOut && out(p)
			}
			if allOut != f.gate.closed() {
				t.Fatalf("all are out: %v, the gate is closed: %v", allOut, f.gate.closed())
			}
			if f.pauses != 0 && f.pauses != 1 || f.pauses == 0 && allOut {
				t.Fatalf("%d pauses are under way, all out: %v", f.pauses, allOut)
			}
		}
	}
	clear(f.down)
	clear(f.dead)
	time.Sleep(proxyLastPause + time.Second)
	for _, host := range hosts {
		if _, err := f.ask(t, host); err != nil {
			t.Errorf("in the end: %v", err)
		}
	}
	if f.pauses != 0 || f.gate.closed() || f.over != nil {
		t.Errorf("in the end: %d pauses, closed %v, over %v", f.pauses, f.gate.closed(), f.over)
	}
}

// TestNoProxyWorks ends the run when none ever has, and only then.
func TestNoProxyWorks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeProxies(t, 3, ProxySticky)
		defer f.close()
		for _, p := range f.list {
			f.down[p] = true
		}
		began := time.Now()
		for f.over == nil && time.Since(began) < time.Hour {
			_, err := f.ask(t, "host.example")
			if !errors.Is(err, errNoProxy) {
				t.Fatal(err)
			}
			f.gate.wait(t.Context())
		}
		if took := time.Since(began); !errors.Is(f.over, ErrProxies) || took < 3*time.Second || took > time.Minute {
			t.Errorf("ended with %v after %v", f.over, took)
		}
		if f.pauses != 1 {
			t.Errorf("%d pauses were told", f.pauses)
		}
	})
}

// TestStickyProxy spreads hosts, and moves few of them when a proxy is added.
func TestStickyProxy(t *testing.T) {
	f, g := newFakeProxies(t, 4, ProxySticky), newFakeProxies(t, 5, ProxySticky)
	count, moved := map[string]int{}, 0
	for i := range 1000 {
		host := fmt.Sprintf("host%d.example", i)
		a, b := f.choose(host, nil, time.Now()), g.choose(host, nil, time.Now())
		count[a.name]++
		if a.name != b.name {
			moved++
		}
		r := rules{Proxies: keepProxies(&Config{Proxies: []*url.URL{f.list[0].url, f.list[1].url, f.list[2].url, f.list[3].url}})}
		if got, want := r.proxyFor(host+":8080"), a.name+", of 4, as long as it works"; got != want {
			t.Fatalf("explained as %q, want %q", got, want)
		}
	}
	for name, n := range count {
		if n < 150 || n > 350 {
			t.Errorf("%s has %d of 1000 hosts", name, n)
		}
	}
	if moved < 100 || moved > 300 {
		t.Errorf("%d hosts moved to a fifth proxy", moved)
	}
}
