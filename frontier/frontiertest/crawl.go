package frontiertest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/orbweaver/orbweaver/frontier"
)

func testStarved(t *testing.T, open opener) {
	var starved atomic.Int32
	x := newFixture(t, open, frontier.Config{Delay: time.Second, Starved: func() { starved.Add(1) }})
	x.put(requests("a.example", 2)...)
	l := x.lease()
	if n := starved.Load(); n != 0 {
		t.Fatalf("Starved was called %d times while there was something to lease", n)
	}
	leased := make(chan *frontier.Lease, 2)
	ctx, cancel := context.WithCancel(context.Background())
	for n := range int32(2) { // the one that sleeps, and one behind it
		go func() {
			l, _ := x.Lease(ctx)
			leased <- l
		}()
		synctest.Wait()
		if starved.Load() <= n {
			t.Fatalf("%d of %d waiting Lease calls told so", starved.Load(), n+1)
		}
	}
	x.fetch(l)
	l = <-leased
	cancel()
	if second := <-leased; second != nil {
		t.Fatal("one host was leased twice")
	}
	x.fetch(l)
}

func testHold(t *testing.T, open opener) {
	x := newFixture(t, open, frontier.Config{})
	x.finished() // nothing was ever there
	release, second := x.Hold(), x.Hold()
	x.idle(time.Hour)
	release()
	release() // the second call does nothing
	x.idle(time.Hour)
	result := make(chan error, 3)
	for range 3 {
		go func() {
			_, err := x.try(time.Hour)
			result <- err
		}()
	}
	synctest.Wait()
	start := time.Now()
	second()
	for range 3 {
		if err := <-result; !errors.Is(err, frontier.ErrDone) {
			t.Errorf("Lease after the last hold: %v, want ErrDone", err)
		}
	}
	if waited := time.Since(start); waited != 0 {
		t.Errorf("waited %v for the end", waited)
	}

	// A change under way holds as well.
	l := make(chan error, 1)
	_, err := x.CommitWith(&frontier.Batch{}, func(b *frontier.Batch) (frontier.Committed, error) {
		go func() {
			_, err := x.try(time.Hour)
			l <- err
		}()
		time.Sleep(time.Minute)
		select {
		case err := <-l:
			return frontier.Committed{}, fmt.Errorf("the end came during a commit: %w", err)
		default:
			return frontier.Committed{}, nil
		}
	})
	if err != nil {
		t.Error(err)
	}
	if err := <-l; !errors.Is(err, frontier.ErrDone) {
		t.Error(err)
	}
}

func testClose(t *testing.T, open opener) {
	x := newFixture(t, open, frontier.Config{})
	x.put(requests("a.example", 2)...)
	l := x.lease()
	result := make(chan error, 3)
	for range 3 {
		go func() {
			_, err := x.try(time.Hour)
			result <- err
		}()
	}
	synctest.Wait()
	o := x.opened
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := <-result; !errors.Is(err, frontier.ErrClosed) {
			t.Errorf("Lease: %v, want ErrClosed", err)
		}
	}
	if _, err := x.Put(context.Background(), requests("a.example", 3)); !errors.Is(err, frontier.ErrClosed) {
		t.Errorf("Put: %v, want ErrClosed", err)
	}
	if _, err := x.Commit(context.Background(), &frontier.Batch{Done: l.Requests}); !errors.Is(err, frontier.ErrClosed) {
		t.Errorf("Commit: %v, want ErrClosed", err)
	}
	if _, err := x.Lookup(context.Background(), request("a.example", 0)); !errors.Is(err, frontier.ErrClosed) {
		t.Errorf("Lookup: %v, want ErrClosed", err)
	}
	if err := x.Check(context.Background()); !errors.Is(err, frontier.ErrClosed) {
		t.Errorf("Check: %v, want ErrClosed", err)
	}
	l.Started(time.Now())
	l.Answered(time.Now())
	l.Release(l.Requests...)
	if err := x.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
	if o.Restart != nil {
		x.start(o.Restart())
		x.stats(frontier.Stats{Waiting: 2, Known: 2, Hosts: 1})
	}
}

func testCancel(t *testing.T, open opener) {
	x := newFixture(t, open, frontier.Config{Delay: time.Minute})
	x.put(requests("a.example", 2)...)
	x.fetch(x.lease())
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() {
			if _, err := x.Lease(ctx); !errors.Is(err, context.Canceled) {
				t.Errorf("Lease: %v, want context.Canceled", err)
			}
		})
	}
	time.Sleep(time.Second)
	cancel()
	all.Wait()
	x.fetch(x.lease())
	if _, err := x.Lease(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Lease: %v, want context.Canceled", err)
	}
}

// tree is a web in which page n of each host links to pages 2n+1 and 2n+2 of its host, and to some of the next, so
// that every page is linked from several others.
type tree struct{ hosts, pages int }

func (w tree) request(host, n int) frontier.Request {
	r := request(hostName(host%w.hosts), n)
	r.Depth = host
	return r
}

func (w tree) links(r frontier.Request) (reqs []frontier.Request) {
	var host, n int
	if _, err := fmt.Sscanf(r.URL, "https://host%05d.example/page/%d", &host, &n); err != nil {
		panic(err)
	}
	for _, m := range []int{2*n + 1, 2*n + 2, n, n / 2} {
		if m < w.pages {
			reqs = append(reqs, w.request(host, m), w.request(host+1, m))
		}
	}
	return reqs
}

func testWorkers(t *testing.T, open opener) {
	const workers = 1000
	w := tree{hosts: 40, pages: 60}
	for _, cfg := range []frontier.Config{
		{LeaseSize: 1},
		{PerHost: 50, LeaseSize: 5},
		{Delay: 10 * time.Millisecond, Front: 8},
	} {
		x := newFixture(t, open, cfg)
		x.put(w.request(0, 0))
		var mu sync.Mutex
		fetched := make(map[string]int)
		active := make(map[string]int)
		var pending []*frontier.Batch
		flush := func() {
			mu.Lock()
			var b frontier.Batch
			for _, p := range pending {
				b.Done = append(b.Done, p.Done...)
				b.Retry = append(b.Retry, p.Retry...)
				b.Add = append(b.Add, p.Add...)
			}
			pending = nil
			mu.Unlock()
			x.commit(&b)
		}
		work := func(seed uint64) error {
			random := rand.New(rand.NewPCG(seed, 0))
			for {
				l, err := x.Lease(context.Background())
				if err != nil {
					return err
				}
				mu.Lock()
				if active[l.Host]++; active[l.Host] > max(1, cfg.PerHost) {
					t.Errorf("%d leases of %s", active[l.Host], l.Host)
				}
				mu.Unlock()
				var b frontier.Batch
				var back []frontier.Leased
				for _, r := range l.Requests {
					switch random.IntN(10) {
					case 0:
						back = append(back, r)
						continue
					case 1:
						if r.Attempt < 3 {
							r.Attempt++
							r.NotBefore = time.Now().Add(time.Duration(random.IntN(3)) * time.Second)
							b.Retry = append(b.Retry, r)
							continue
						}
					}
					l.Started(time.Now())
					time.Sleep(time.Duration(random.IntN(1000)) * time.Millisecond)
					l.Answered(time.Now())
					b.Done = append(b.Done, r)
					b.Add = append(b.Add, w.links(r.Request)...)
				}
				mu.Lock()
				active[l.Host]--
				for _, r := range b.Done {
					fetched[r.URL]++
				}
				pending = append(pending, &b)
				mu.Unlock()
				l.Release(back...)
				flush()
			}
		}
		var all sync.WaitGroup
		for n := range workers {
			all.Go(func() {
				if err := work(uint64(n)); !errors.Is(err, frontier.ErrDone) {
					t.Errorf("a worker ended with %v", err)
				}
			})
		}
		all.Wait()
		for url, n := range fetched {
			if n != 1 {
				t.Errorf("%s was fetched %d times", url, n)
			}
		}
		n := w.hosts * w.pages
		if len(fetched) != n {
			t.Errorf("%d pages were fetched, want %d", len(fetched), n)
		}
		x.stats(frontier.Stats{Done: n, Known: n, Hosts: w.hosts})
	}
}

// testTurns proves that hosts take turns: neither a huge one nor many small ones keep others waiting.
func testTurns(t *testing.T, open opener) {
	for _, front := range []int{0, 4} {
		x := newFixture(t, open, frontier.Config{LeaseSize: 2, Front: front})
		x.put(requests("huge.example", 2000)...)
		time.Sleep(time.Millisecond)
		for n := range 50 {
			x.put(requests(hostName(n), 6)...)
		}
		last := make(map[string]int)
		for turn := range 51 * 3 {
			time.Sleep(time.Millisecond)
			l := x.lease()
			if len(l.Requests) != 2 {
				t.Fatalf("%d requests leased, want 2", len(l.Requests))
			}
			if at, ok := last[l.Host]; ok && turn-at != 51 {
				t.Fatalf("front %d, turn %d: %s had its last turn %d before, want 51", front, turn, l.Host, turn-at)
			}
			last[l.Host] = turn
			x.fetch(l)
		}
		if len(last) != 51 {
			t.Fatalf("%d hosts had a turn, want 51", len(last))
		}
		for range 20 { // new hosts come all the time
			x.put(requests(hostName(100+x.Stats().Hosts), 1)...)
			time.Sleep(time.Millisecond)
			x.fetch(x.lease())
			time.Sleep(time.Millisecond)
			l := x.lease()
			if l.Host != "huge.example" {
				l.Release(l.Requests...)
				l = x.lease()
			}
			if l.Host != "huge.example" {
				t.Fatalf("%s had a turn, the huge host was due", l.Host)
			}
			x.fetch(l)
		}
	}
}

// testSmallFront crawls many more hosts than fit into the front.
func testSmallFront(t *testing.T, open opener) {
	const hosts, pages = 300, 7
	x := newFixture(t, open, frontier.Config{LeaseSize: 2, Front: 10})
	var reqs []frontier.Request
	for n := range hosts {
		reqs = append(reqs, requests(hostName(n), pages)...)
	}
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(reqs), func(i, j int) { reqs[i], reqs[j] = reqs[j], reqs[i] })
	x.put(reqs...)
	var all sync.WaitGroup
	var n atomic.Int64
	for range 30 {
		all.Go(func() {
			for {
				l, err := x.Lease(context.Background())
				if err != nil {
					return
				}
				n.Add(int64(len(l.Requests)))
				x.fetch(l)
			}
		})
	}
	all.Wait()
	if n.Load() != hosts*pages {
		t.Errorf("%d leased, want %d", n.Load(), hosts*pages)
	}
	x.stats(frontier.Stats{Done: hosts * pages, Known: hosts * pages, Hosts: hosts})
}
