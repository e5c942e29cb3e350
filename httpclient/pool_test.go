package httpclient

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// checkPool proves the pool's invariants, and adds up what it counts in two ways.
func checkPool(t testing.TB, p *Pool) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.held > p.limit {
		t.Errorf("%d slots held, limit %d", p.held, p.limit)
	}
	held, waiting, lanes, idle := 0, 0, map[*endpoint]int{}, 0
	for key, l := range p.lanes {
		lanes[l.ep]++
		if l.key != key || l.refs <= 0 {
			t.Errorf("lane %v has %d references", key, l.refs)
		}
		for c := l.top; c != nil; c = c.below {
			if idle++; c.lane != l {
				t.Error("an idle connection is in another's lane")
			}
		}
	}
	ready := map[*endpoint]bool{}
	for ep := p.ready.first; ep != nil; ep = ep.next {
		ready[ep] = true
	}
	for _, ep := range p.endpoints {
		if ep.held > p.perHost || ep.held < 0 {
			t.Errorf("%d slots held for %v, limit %d", ep.held, ep.key, p.perHost)
		}
		if ep.lanes != lanes[ep] {
			t.Errorf("endpoint %v has %d lanes, counts %d", ep.key, lanes[ep], ep.lanes)
		}
		if want := ep.waiters.first != nil && ep.held < p.perHost; ready[ep] != want || ep.inReady != want {
			t.Errorf("endpoint %v in the ring: %v, want %v", ep.key, ready[ep], want)
		}
		held += ep.held
		for w := ep.waiters.first; w != nil; w = w.next {
			waiting++
		}
	}
	if held != p.held || waiting != p.waiting || idle != p.idle.n {
		t.Errorf("held %d counted %d, waiting %d counted %d, idle %d counted %d", held, p.held, waiting, p.waiting, idle, p.idle.n)
	}
	if p.ready.first != nil && p.held < p.limit {
		t.Errorf("somebody waits though %d of %d slots are held", p.held, p.limit)
	}
	if p.busy.n+len(p.dials) > p.held {
		t.Errorf("%d in use and %d dials, but %d slots held", p.busy.n, len(p.dials), p.held)
	}
}

// TestPoolModel lets many goroutines take, give back, lose, cancel and fail at
// random in virtual time, and looks at the invariants after each step.
func TestPoolModel(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { poolModel(t, seed) })
		})
	}
}

func poolModel(t *testing.T, seed uint64) {
	const actors, steps = 25, 100
	errDial := errors.New("dial fails")
	var mu sync.Mutex
	rnd := rand.New(rand.NewPCG(seed, 1))
	roll := func(n int) int {
		mu.Lock()
		defer mu.Unlock()
		return rnd.IntN(n)
	}
	open := map[net.Conn]bool{}
	p := NewPool(PoolConfig{Limit: 6, LimitPerHost: 2 + int(seed%2), MaxIdle: 4, KeepAlive: 50 * time.Millisecond}, func(ctx context.Context, key ConnKey) (net.Conn, error) {
		switch roll(5) {
		case 0:
			return nil, errDial
		case 1:
			select {
			case <-time.After(time.Duration(roll(30)) * time.Millisecond):
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		a, b := net.Pipe()
		mu.Lock()
		open[a] = true
		mu.Unlock()
		return closeHook{a, func() {
			_ = b.Close()
			mu.Lock()
			delete(open, a)
			mu.Unlock()
		}}, nil
	})
	served := 0
	var ended []*Conn // whose owners call them again, at any time
	users := map[net.Conn]int{}
	late := func() {
		mu.Lock()
		var c *Conn
		if n := len(ended); n > 0 {
			c = ended[rnd.IntN(n)]
		}
		mu.Unlock()
		if c == nil {
			return
		}
		if roll(2) == 0 {
			c.Release()
		} else if nc, _ := c.Detach(); nc != nil || c.Close() != nil || !c.Closed() {
			t.Error("a connection that had ended was there again")
		}
	}
	var wg sync.WaitGroup
	for range actors {
		wg.Go(func() {
			for range steps {
				host := fmt.Sprintf("http://h%d.test/", roll(5))
				req, err := NewRequest("GET", host)
				if err != nil {
					t.Error(err)
					return
				}
				req.Isolate = []string{"", "", "other"}[roll(3)]
				req.effective.fresh = roll(8) == 0
				req.Timeout.Pool = time.Duration(roll(3)*20) * time.Millisecond
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(1+roll(60))*time.Millisecond)
				c, err := p.Connect(ctx, req)
				checkPool(t, p)
				if err != nil {
					var te *TimeoutError
					if !errors.Is(err, errDial) && !errors.As(err, &te) {
						t.Errorf("Connect: %v", err)
					}
					cancel()
					continue
				}
				if c.lane.key.Host != req.Host() || c.lane.key.Isolate != req.Isolate || c.Closed() {
					t.Errorf("a connection for %+v, closed %v", c.lane.key, c.Closed())
				}
				socket := c.NetConn().(closeHook).Conn
				mu.Lock()
				served++
				if users[socket]++; users[socket] > 1 {
					t.Error("a connection has two users")
				}
				mu.Unlock()
				time.Sleep(time.Duration(roll(10)) * time.Millisecond)
				late()
				mu.Lock()
				users[socket]--
				if !open[socket] || c.Closed() {
					t.Error("a connection was closed under its user")
				}
				mu.Unlock()
				switch roll(6) {
				case 0:
					_ = c.Close()
				case 1:
					nc, _ := c.Detach()
					_ = nc.Close()
				case 2:
					c.broken = true
					c.Release()
				default:
					c.Release()
				}
				checkPool(t, p)
				mu.Lock()
				ended = append(ended, c)
				mu.Unlock()
				late()
				cancel()
				time.Sleep(time.Duration(roll(20)) * time.Millisecond)
			}
		})
	}
	wg.Wait()
	checkPool(t, p)
	if st := p.Stats(); st.Held() != 0 || st.Waiting != 0 || served < actors*steps/4 || st.Reused == 0 || st.Expired == 0 {
		t.Errorf("%d served, at the end %+v", served, st)
	}
	time.Sleep(time.Second)
	synctest.Wait()
	if st := p.Stats(); st.Idle != 0 || st.Hosts != 0 || len(p.lanes) != 0 || len(open) != 0 {
		t.Errorf("after the keep-alive time: %+v, %d lanes, %d sockets", st, len(p.lanes), len(open))
	}
	_ = p.Close()
}

type closeHook struct {
	net.Conn
	closed func()
}

func (c closeHook) Close() error {
	c.closed()
	return c.Conn.Close()
}

// TestPoolFairness: a host with a long queue does not keep the others waiting, and
// one at its limit does not use up the total.
func TestPoolFairness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPool(PoolConfig{Limit: 2, LimitPerHost: 1}, func(context.Context, ConnKey) (net.Conn, error) {
			a, _ := net.Pipe()
			return a, nil
		})
		defer p.Close()
		var mu sync.Mutex
		var order []string
		var wg sync.WaitGroup
		ask := func(host string) {
			wg.Go(func() {
				c, err := p.Connect(t.Context(), mustRequest(t, "http://"+host+"/"))
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				order = append(order, host)
				mu.Unlock()
				time.Sleep(time.Second)
				c.Release()
			})
			synctest.Wait()
		}
		for _, host := range []string{"a", "b", "a", "a", "a", "c", "d"} {
			ask(host)
		}
		wg.Wait()
		if got := strings.Join(order, ""); got != "abcdaaa" && got != "abdcaaa" { // c and d are served at the same instant
			t.Errorf("served in the order %s", got)
		}
	})
}

// TestPoolCloseFailsWaiters: neither who waits nor who dials hangs.
func TestPoolCloseFailsWaiters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPool(PoolConfig{Limit: 1}, func(ctx context.Context, _ ConnKey) (net.Conn, error) {
			<-ctx.Done()
			return nil, context.Cause(ctx)
		})
		errs := make(chan error, 2)
		for range 2 {
			go func() {
				_, err := p.Connect(context.Background(), mustRequest(t, "http://h.test/"))
				errs <- err
			}()
		}
		synctest.Wait()
		if st := p.Stats(); st.Dialing != 1 || st.Waiting != 1 {
			t.Errorf("%+v", st)
		}
		_ = p.Close()
		for range 2 {
			if err := <-errs; !errors.Is(err, ErrConnectorClosed) {
				t.Error(err)
			}
		}
		if st := p.Stats(); st.Held() != 0 || st.Waiting != 0 || st.Hosts != 0 {
			t.Errorf("%+v", st)
		}
	})
}

// TestPoolHeld: the pool tells who has not let go of a connection.
func TestPoolHeld(t *testing.T) {
	srv := answer(t, func(string) string { return ok(string(make([]byte, 1<<20))) })
	for _, stacks := range []bool{false, true} {
		c := newTCP(t, TCPConfig{PoolConfig: PoolConfig{Stacks: stacks}})
		s := newSession(t, Config{Connector: c})
		if held := c.Held(); len(held) != 0 {
			t.Errorf("%+v", held)
		}
		forget := func() *Response {
			resp, err := s.Get(t.Context(), srv.URL)
			if err != nil {
				t.Fatal(err)
			}
			return resp
		}
		resp := forget()
		held := c.Held()
		if len(held) != 1 || held[0].Key.Addr() != srv.Addr || strings.Contains(held[0].Stack, "TestPoolHeld") != stacks || held[0].Since.IsZero() == stacks {
			t.Errorf("stacks %v: %+v", stacks, held)
		}
		_, _ = resp.Bytes()
		if held := c.Held(); len(held) != 0 {
			t.Errorf("after the end: %+v", held)
		}
	}
}
