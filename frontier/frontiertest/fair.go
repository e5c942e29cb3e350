package frontiertest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/orbweaver/orbweaver/frontier"
)

// testFair lets small hosts come all the time while a huge one is crawled, about as many as there are turns: each host has
// its turn after those that waited when it began to, and after hardly any that came later.
func testFair(t *testing.T, open opener) {
	for _, front := range []int{0, 64} {
		random := rand.New(rand.NewPCG(3, uint64(front)))
		x := newFixture(t, open, frontier.Config{LeaseSize: 4, Front: front})
		const huge = "huge.example"
		x.put(requests(huge, 20_000)...)
		type place struct{ turn, ahead int }
		queue := map[string]place{huge: {}}
		turn, small := 0, 0
		arrive := func(n int) {
			for range n {
				name := hostName(small)
				small++
				queue[name] = place{turn, len(queue)}
				x.put(requests(name, 1+small%3)...)
				time.Sleep(time.Millisecond)
			}
		}
		arrive(150)
		var hugeTurns, longest int
		for ; turn < 1000; turn++ {
			arrive(random.IntN(3))
			l := x.lease()
			p, ok := queue[l.Host]
			if !ok {
				t.Fatalf("turn %d: %s had a turn and has nothing left", turn, l.Host)
			}
			delete(queue, l.Host)
			waited := turn - p.turn
			longest = max(longest, waited-p.ahead)
			if l.Host == huge {
				hugeTurns++
			}
			for range l.Requests {
				l.Started(time.Now())
				time.Sleep(10 * time.Millisecond)
				l.Answered(time.Now())
			}
			l.Release()
			x.commit(&frontier.Batch{Done: l.Requests})
			if l.Host == huge {
				queue[huge] = place{turn + 1, len(queue)}
			}
			time.Sleep(time.Millisecond)
		}
		for name, p := range queue {
			longest = max(longest, turn-p.turn-p.ahead)
			if waited := turn - p.turn; waited > p.ahead+2 {
				t.Errorf("front %d: %s waits for %d turns, %d hosts were there before it", front, name, waited, p.ahead)
			}
		}
		if longest > 2 {
			t.Errorf("front %d: a host had its turn %d later than those before it explain", front, longest)
		}
		if hugeTurns < 4 {
			t.Errorf("front %d: the huge host had %d turns: this proves nothing", front, hugeTurns)
		}
	}
}

// testAddressRestart restarts a job that has asked for one page, which is to be tried again: an address known to nobody any more
// is not asked sooner for that.
func testAddressRestart(t *testing.T, open opener) {
	x := newFixture(t, open, frontier.Config{AddressDelay: time.Minute})
	x.put(append(requests("a.example", 1), requests("b.example", 1)...)...)
	start := time.Now()
	l := x.after(start, 0) // a new job has asked nobody
	if !l.Address(netip.MustParseAddr("192.0.2.1")) {
		t.Fatal("an address that nobody was asked at is not to be had")
	}
	l.Started(start)
	x.commit(&frontier.Batch{Retry: l.Requests})
	l.Release()
	x.restart()
	x.after(start, time.Minute)
}

// testAddresses proves that hosts that share an IP address keep Config.AddressDelay together, whoever of them is asked, and
// lose no time that they need not.
func testAddresses(t *testing.T, open opener) {
	const hosts, pages, addresses, delay, each = 40, 6, 3, time.Second, 5 * time.Second
	x := newFixture(t, open, frontier.Config{Delay: each, AddressDelay: delay, Front: 16})
	for n := range hosts {
		x.put(requests(hostName(n), pages)...)
	}
	address := func(host string) netip.Addr {
		var n int
		if _, err := fmt.Sscanf(host, "host%d.example", &n); err != nil {
			t.Error(err)
		}
		return netip.AddrFrom4([4]byte{192, 0, 2, byte(n % addresses)})
	}
	began := time.Now()
	at := &politeWorld{delay: delay, last: make(map[string]time.Time), busy: make(map[string]int)}
	of := &politeWorld{delay: each, last: make(map[string]time.Time), busy: make(map[string]int)}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for {
				l, err := x.Lease(context.Background())
				if err != nil {
					return
				}
				ip := address(l.Host)
				if !l.Address(ip) {
					l.Release(l.Requests...) // for a later turn
					continue
				}
				l.Started(time.Now())
				of.ask(l.Host, 0)
				at.ask(ip.String(), 100*time.Millisecond)
				l.Answered(time.Now())
				l.Release()
				x.commit(&frontier.Batch{Done: l.Requests})
			}
		})
	}
	all.Wait()
	for _, wrong := range append(at.wrong, of.wrong...) {
		t.Error(wrong)
	}
	x.stats(frontier.Stats{Done: hosts * pages, Known: hosts * pages, Hosts: hosts})
	// An address has so many starts to make, one after another.
	starts := (hosts + addresses - 1) / addresses * pages
	most := time.Duration(starts) * (delay + 100*time.Millisecond)
	if x.opened.Join != nil {
		most += time.Duration(starts) * time.Second // hosts that others could have given back are looked for every second
	}
	if took := time.Since(began); took > most+most/4 {
		t.Errorf("took %v, could be done in %v", took, most)
	}
}
