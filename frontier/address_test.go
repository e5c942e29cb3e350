package frontier_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/orbweaver/orbweaver/frontier"
	"github.com/orbweaver/orbweaver/frontier/memfrontier"
)

// crowd is hosts that share addresses, and measures how those are asked.
type crowd struct {
	delay time.Duration

	mu    sync.Mutex
	last  map[netip.Addr]time.Time
	count map[netip.Addr]int
	wrong []string
}

func (c *crowd) address(host string) netip.Addr {
	var n int
	if _, err := fmt.Sscanf(host, "%d.example", &n); err != nil {
		panic(err)
	}
	if n%10 == 0 {
		return netip.AddrFrom4([4]byte{10, 1, byte(n >> 8), byte(n)}) // of its own
	}
	return netip.AddrFrom4([4]byte{10, 0, 0, byte(n % 3)})
}

func (c *crowd) start(ip netip.Addr) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if last, ok := c.last[ip]; ok && now.Sub(last) < c.delay {
		c.wrong = append(c.wrong, fmt.Sprintf("%s was asked %v after the last time", ip, now.Sub(last)))
	}
	c.last[ip] = now
	c.count[ip]++
}

// work crawls until the end, and returns how many leases were given back for their address.
func (c *crowd) work(t *testing.T, f *frontier.Frontier, workers int) (refused int) {
	var all sync.WaitGroup
	for i := range workers {
		all.Go(func() {
			for {
				l, err := f.Lease(context.Background())
				if err != nil {
					return
				}
				ip := c.address(l.Host)
				time.Sleep(time.Duration(i%7) * 10 * time.Millisecond) // to look up and connect
				if !l.Address(ip) {
					c.mu.Lock()
					refused++
					c.mu.Unlock()
					l.Release(l.Requests...)
					continue
				}
				time.Sleep(time.Duration(i%5) * 30 * time.Millisecond)
				c.start(ip)
				l.Started(time.Now())
				time.Sleep(20 * time.Millisecond)
				l.Answered(time.Now())
				l.Release()
				if _, err := f.Commit(context.Background(), &frontier.Batch{Done: l.Requests}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	return refused
}

// TestAddressDelay crawls many hosts on few addresses, which become known as they are connected to: no address is asked
// sooner than it may, hosts with an address of their own are not held up, and a restart is polite too.
func TestAddressDelay(t *testing.T) {
	const hosts, pages, delay = 100, 4, time.Second
	for _, front := range []int{0, 10, 3} {
		synctest.Test(t, func(t *testing.T) {
			b := memfrontier.New()
			cfg := frontier.Config{AddressDelay: delay, Front: front}
			f, err := frontier.New(b, cfg)
			if err != nil {
				t.Fatal(err)
			}
			put := func(page int) {
				var reqs []frontier.Request
				for h := range hosts {
					host := fmt.Sprintf("%d.example", h)
					reqs = append(reqs, frontier.Request{URL: fmt.Sprintf("https://%s/%d", host, page), Host: host})
				}
				if _, err := f.Put(context.Background(), reqs); err != nil {
					t.Fatal(err)
				}
			}
			for page := range pages {
				put(page)
			}
			c := &crowd{delay: delay, last: make(map[netip.Addr]time.Time), count: make(map[netip.Addr]int)}
			start := time.Now()
			refused := c.work(t, f, 30)
			if front == 0 && refused > hosts {
				t.Errorf("%d leases were given back; each host's address is learnt but once", refused)
			}
			// Three addresses have 30 hosts each, which take turns.
			if took, most := time.Since(start), 30*pages*(delay+200*time.Millisecond)+5*time.Second; took > most {
				t.Errorf("front %d: took %v, want %v at most", front, took, most)
			}
			if s := f.Stats(); s.Done != hosts*pages {
				t.Errorf("%+v", s)
			}
			put(pages)
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
			if f, err = frontier.New(b, cfg); err != nil {
				t.Fatal(err)
			}
			c.work(t, f, 30)
			if err := f.Check(context.Background()); err != nil {
				t.Error(err)
			}
			if s := f.Stats(); s.Done != hosts*(pages+1) {
				t.Errorf("%+v", s)
			}
			if err := f.Close(); err != nil {
				t.Error(err)
			}
			for _, wrong := range c.wrong {
				t.Error(wrong)
			}
		})
	}
}

// claimed counts the hosts that are claimed. A Frontier that claims without end at one moment is an error.
type claimed struct {
	frontier.Backend
	now, most int

	at    time.Time // of the last call, and
	calls int       // how many there were then
}

func (c *claimed) Claim(ctx context.Context, now, before time.Time, n int) ([]frontier.Claim, time.Time, error) {
	if at := time.Now(); !at.Equal(c.at) {
		c.at, c.calls = at, 0
	}
	if c.calls++; c.calls > 2000 {
		return nil, time.Time{}, errors.New("claims without end")
	}
	claims, next, err := c.Backend.Claim(ctx, now, before, n)
	c.now += len(claims)
	c.most = max(c.most, c.now)
	return claims, next, err
}

func (c *claimed) Return(ctx context.Context, hosts []frontier.Returned) (time.Time, error) {
	c.now -= len(hosts)
	return c.Backend.Return(ctx, hosts)
}

// TestCrowdedAddress crawls far more hosts than the front has room for, all of few addresses: memory stays bounded, the
// addresses are never idle, and each host gets its turn.
func TestCrowdedAddress(t *testing.T) {
	const hosts, pages, front, delay = 600, 3, 8, 100 * time.Millisecond
	for _, addresses := range []int{1, 3, 7, 8, 9, 20} {
		synctest.Test(t, func(t *testing.T) {
			b := &claimed{Backend: memfrontier.New()}
			f, err := frontier.New(b, frontier.Config{AddressDelay: delay, Front: front})
			if err != nil {
				t.Fatal(err)
			}
			putHosts(t, f, hosts, pages)
			start := time.Now()
			leases := crawlAddresses(t, f, addresses, func(int) {})
			took, ideal := time.Since(start), hosts*pages/time.Duration(addresses)*delay
			t.Logf("%2d addresses: %v of %v, %4d leases for %d pages, at most %d claims", addresses, took, ideal, leases, hosts*pages, b.most)
			if took > ideal*11/10+time.Second {
				t.Errorf("took %v, could be done in %v", took, ideal)
			}
			if leases > hosts*(pages+1) {
				t.Errorf("%d leases: each host learns its address but once", leases)
			}
			if most := 2*front + addresses + 2; b.most > most {
				t.Errorf("%d hosts were claimed at once, want %d at most", b.most, most)
			}
			if s := f.Stats(); s.Done != hosts*pages {
				t.Errorf("%+v", s)
			}
			if err := f.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// putHosts puts some pages of each of some hosts.
func putHosts(t *testing.T, f *frontier.Frontier, hosts, pages int) {
	t.Helper()
	var reqs []frontier.Request
	for n := range hosts * pages {
		host := fmt.Sprintf("%d.example", n%hosts)
		reqs = append(reqs, frontier.Request{URL: fmt.Sprintf("https://%s/%d", host, n), Host: host})
	}
	if _, err := f.Put(context.Background(), reqs); err != nil {
		t.Fatal(err)
	}
}

// crawlAddresses crawls until the end with one worker, the hosts taking turns in having the addresses. It calls wait
// before each start (0) and answer (1), and returns the number of leases.
func crawlAddresses(t *testing.T, f *frontier.Frontier, addresses int, wait func(step int)) (leases int) {
	t.Helper()
	ctx := context.Background()
	for ; ; leases++ {
		l, err := f.Lease(ctx)
		if errors.Is(err, frontier.ErrDone) {
			return leases
		} else if err != nil {
			t.Fatal(err)
		}
		var n int
		if _, err := fmt.Sscanf(l.Host, "%d.example", &n); err != nil {
			t.Fatal(err)
		}
		if !l.Address(netip.AddrFrom4([4]byte{10, 0, 0, byte(n % addresses)})) {
			l.Release(l.Requests...)
			continue
		}
		wait(0)
		l.Started(time.Now())
		wait(1)
		l.Answered(time.Now())
		l.Release()
		if _, err := f.Commit(ctx, &frontier.Batch{Done: l.Requests}); err != nil {
			t.Fatal(err)
		}
	}
}

// TestCrowdedAddressesSettle: whatever the numbers of hosts, addresses and places in the front, and however long the hosts
// take, hosts are not claimed and given back for ever.
func TestCrowdedAddressesSettle(t *testing.T) {
	for seed := range uint64(300) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 5))
			hosts, pages, addresses := 20+random.IntN(60), 1+random.IntN(4), 1+random.IntN(25)
			cfg := frontier.Config{AddressDelay: 100 * time.Millisecond, Front: 1 + random.IntN(10)}
			if random.IntN(2) == 0 {
				cfg.Delay = time.Duration(random.IntN(300)) * time.Millisecond
			}
			f, err := frontier.New(&claimed{Backend: memfrontier.New()}, cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			putHosts(t, f, hosts, pages)
			crawlAddresses(t, f, addresses, func(step int) {
				time.Sleep(time.Duration(random.IntN(4-2*step)*random.IntN(30*(1+step))) * time.Millisecond)
			})
			if s := f.Stats(); s.Done != hosts*pages {
				t.Errorf("seed %d: %+v", seed, s)
			}
		})
	}
}

// TestAddressOfClosedHosts pauses and closes hosts that wait for their address, and lets one of them have the turn.
func TestAddressOfClosedHosts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := context.Background()
		f, err := frontier.New(memfrontier.New(), frontier.Config{AddressDelay: time.Second, PerHost: 2})
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		ip := netip.MustParseAddr("192.0.2.1")
		hosts := []string{"a.example", "b.example", "c.example", "d.example"}
		for _, host := range hosts {
			reqs := []frontier.Request{{URL: "https://" + host + "/1", Host: host}, {URL: "https://" + host + "/2", Host: host}}
			if _, err := f.Put(ctx, reqs); err != nil {
				t.Fatal(err)
			}
		}
		lease := func(wait time.Duration) *frontier.Lease {
			ctx, cancel := context.WithTimeout(ctx, wait)
			defer cancel()
			l, _ := f.Lease(ctx)
			return l
		}
		var first *frontier.Lease
		for range hosts { // the first has the address, the others learn that they wait for it
			l := lease(time.Minute)
			if l.Address(ip) {
				first = l
				continue
			}
			l.Release(l.Requests...)
		}
		if l := lease(time.Hour); l != nil {
			t.Fatalf("%s was leased while another was about to start at its address", l.Host)
		}
		others := make([]string, 0, 3)
		for _, host := range hosts {
			if host != first.Host {
				others = append(others, host)
			}
		}
		change := func(c frontier.HostChange) {
			t.Helper()
			if _, err := f.Commit(ctx, &frontier.Batch{Hosts: []frontier.HostChange{c}}); err != nil {
				t.Fatal(err)
			}
		}
		change(frontier.HostChange{Host: others[0], Paused: new(true)})
		change(frontier.HostChange{Host: others[1], Closed: new(frontier.ClosedByCaller)})
		if l := lease(time.Hour); l != nil || f.Stats().Dropped != 2 {
			t.Fatalf("%v; %+v, want what waited at a closed host to be dropped", l, f.Stats())
		}
		first.Started(time.Now())
		first.Answered(time.Now())
		start := time.Now()
		seen := make(map[string]int)
		end := func(l *frontier.Lease) {
			t.Helper()
			seen[l.Host]++
			l.Started(time.Now())
			l.Answered(time.Now())
			l.Release()
			if _, err := f.Commit(ctx, &frontier.Batch{Done: l.Requests}); err != nil {
				t.Fatal(err)
			}
		}
		end(first)
		for n := range 3 {
			l := lease(time.Minute)
			if l == nil || time.Since(start) != time.Duration(n+1)*time.Second {
				t.Fatalf("lease %d: %v after %v", n, l, time.Since(start))
			}
			end(l)
		}
		if l := lease(time.Hour); l != nil || seen[first.Host] != 2 || seen[others[2]] != 2 {
			t.Fatalf("%v; fetched %v", l, seen)
		}
		change(frontier.HostChange{Host: others[0], Paused: new(false)})
		end(lease(time.Minute))
		end(lease(time.Minute))
		if l := lease(time.Hour); l != nil {
			t.Fatalf("%s is leased at the end", l.Host)
		}
	})
}

func TestAdaptive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, err := frontier.New(memfrontier.New(), frontier.Config{
			Delay: 200 * time.Millisecond, Adaptive: frontier.Adaptive{Factor: 5, Min: 300 * time.Millisecond, Max: 10 * time.Second},
		})
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		ctx := context.Background()
		var reqs []frontier.Request
		for n := range 10 {
			reqs = append(reqs, frontier.Request{URL: fmt.Sprintf("https://a.example/%d", n), Host: "a.example"})
		}
		if _, err := f.Put(ctx, reqs); err != nil {
			t.Fatal(err)
		}
		for _, test := range []struct{ answer, next time.Duration }{
			{40 * time.Millisecond, 340 * time.Millisecond}, // the least; it had arrived when it answered
			{time.Second, 5*time.Second + 50*time.Millisecond},
			{time.Minute, 60 * time.Second}, // the most is over when the answer comes
			{40 * time.Millisecond, 340 * time.Millisecond},
		} {
			l, err := f.Lease(ctx)
			if err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			l.Started(start)
			time.Sleep(test.answer)
			l.Answered(time.Now())
			l.Release()
			if _, err := f.Commit(ctx, &frontier.Batch{Done: l.Requests}); err != nil {
				t.Fatal(err)
			}
			next, err := f.Lease(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if got := time.Since(start); got != test.next {
				t.Errorf("answered after %v: next lease after %v, want %v", test.answer, got, test.next)
			}
			next.Release(next.Requests...)
		}
	})
}
