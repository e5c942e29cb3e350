package frontiertest

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/orbweaver/orbweaver/frontier"
)

// grace is what the frontier adds to a delay until the answer proves that the request has arrived.
const grace = 50 * time.Millisecond

// after fails if the next lease does not come exactly that long after start.
func (x *fixture) after(start time.Time, want time.Duration) *frontier.Lease {
	x.Helper()
	l := x.lease()
	if got := time.Since(start); got != want {
		x.Fatalf("%s leased after %v, want %v", l.Host, got, want)
	}
	return l
}

func testDelay(t *testing.T, open opener) {
	x := newFixture(t, open, frontier.Config{Delay: time.Second})
	x.put(requests("a.example", 5)...)
	l := x.lease()
	if len(l.Requests) != 1 {
		t.Fatalf("%d requests leased of a host with a delay, want 1", len(l.Requests))
	}
	time.Sleep(300 * time.Millisecond)
	start := time.Now()
	l.Started(start)
	time.Sleep(10 * time.Second)
	x.idle(time.Minute) // a lease that is out keeps the host, whatever the time
	l.Release()
	x.commit(&frontier.Batch{Done: l.Requests})

	l = x.lease() // at once: the delay is long past
	start = time.Now()
	l.Started(start)
	l.Release()
	x.commit(&frontier.Batch{Done: l.Requests})
	l = x.after(start, time.Second+grace)

	// Without a start, the due time stays.
	start = time.Now()
	l.Release(l.Requests...)
	l = x.after(start, 0)

	// robots.txt first: the request goes back, and comes again a delay after.
	l.Started(start)
	l.Release(l.Requests...)
	l = x.after(start, time.Second+grace)
	x.fetch(l)

	// A start told after the release counts as well.
	l = x.lease()
	start = time.Now()
	l.Release()
	l.Started(start)
	x.commit(&frontier.Batch{Done: l.Requests})
	x.after(start, time.Second+grace)
}

func testAnswered(t *testing.T, open opener) {
	for _, test := range []struct {
		delay, answered, want time.Duration
	}{
		{time.Second, 0, time.Second},
		{time.Second, 20 * time.Millisecond, time.Second + 20*time.Millisecond},
		{time.Second, grace, time.Second + grace},
		{time.Second, 400 * time.Millisecond, time.Second + grace}, // the answer was slow, the request was not
		{time.Second, -time.Millisecond, time.Second},              // told of the clock's own error
		{20 * time.Millisecond, 30 * time.Millisecond, 40 * time.Millisecond},
		{20 * time.Millisecond, 5 * time.Millisecond, 25 * time.Millisecond},
	} {
		x := newFixture(t, open, frontier.Config{Delay: test.delay})
		x.put(requests("a.example", 2)...)
		l := x.lease()
		start := time.Now()
		l.Started(start)
		time.Sleep(test.answered)
		l.Answered(start.Add(test.answered))
		l.Release()
		x.commit(&frontier.Batch{Done: l.Requests})
		x.fetch(x.after(start, max(test.want, test.answered)))
	}
}

func testHostDelay(t *testing.T, open opener) {
	x := newFixture(t, open, frontier.Config{Delay: time.Second, MaxDelay: 10 * time.Second})
	x.put(requests("a.example", 20)...)
	next := time.Now()
	for _, test := range []struct {
		wish, want time.Duration // wish < 0: none
	}{
		{-1, time.Second},
		{3 * time.Second, 3 * time.Second},
		{-1, 3 * time.Second},
		{time.Minute, 10 * time.Second},
		{time.Millisecond, time.Second},
		{0, time.Second},
	} {
		l := x.lease()
		if !time.Now().Equal(next) {
			t.Fatalf("leased %v late", time.Since(next))
		}
		start := time.Now()
		l.Started(start)
		l.Answered(start)
		l.Release()
		b := &frontier.Batch{Done: l.Requests}
		if test.wish >= 0 {
			b.Hosts = []frontier.HostChange{{Host: "a.example", Delay: &test.wish}}
		}
		x.commit(b)
		next = start.Add(test.want)
	}

	// What is learnt of a host before its first URL counts too.
	wish := 5 * time.Second
	x.commit(&frontier.Batch{Hosts: []frontier.HostChange{{Host: "b.example", Delay: &wish}}})
	x = newFixture(t, open, frontier.Config{})
	x.commit(&frontier.Batch{Hosts: []frontier.HostChange{{Host: "b.example", Delay: &wish}}, Add: requests("b.example", 2)})
	l := x.lease()
	start := time.Now()
	x.fetch(l)
	x.after(start, wish)
}

func testBlocked(t *testing.T, open opener) {
	x := newFixture(t, open, frontier.Config{})
	x.put(requests("a.example", 50)...)
	x.put(requests("b.example", 1)...)
	start := time.Now()
	block := func(d time.Duration) {
		x.commit(&frontier.Batch{Hosts: []frontier.HostChange{{Host: "a.example", BlockedUntil: start.Add(d)}}})
	}
	block(time.Minute)
	block(time.Second) // the later one counts
	if l := x.after(start, 0); l.Host != "b.example" {
		t.Fatalf("%s leased, which is blocked", l.Host)
	} else {
		x.fetch(l)
	}
	l := x.after(start, time.Minute)

	// Learnt from an answer, while the host is at work, or asleep.
	retry := l.Requests[0]
	retry.Attempt++
	x.commit(&frontier.Batch{
		Retry: []frontier.Leased{retry}, Done: l.Requests[1:],
		Hosts: []frontier.HostChange{{Host: "a.example", BlockedUntil: start.Add(2 * time.Minute)}},
	})
	l.Release()
	x.idle(30 * time.Second)
	block(3 * time.Minute)
	x.fetch(x.after(start, 3*time.Minute))
}

// testBlockedForEver blocks far more hosts than the front has room for, one after another, until the end of time: they leave it.
func testBlockedForEver(t *testing.T, open opener) {
	const hosts, front = 100, 4
	o := open(t)
	count := &claimCount{Backend: o.Backend}
	o.Backend = count
	x := newFixture(t, func(testing.TB) *Opened { return o }, frontier.Config{Front: front})
	for n := range hosts {
		x.put(requests(hostName(n), 1)...)
	}
	for range hosts {
		l := x.lease()
		x.commit(&frontier.Batch{Retry: l.Requests, Hosts: []frontier.HostChange{{Host: l.Host, BlockedUntil: frontier.Never}}})
		l.Release()
	}
	x.idle(time.Hour)
	if due := x.Due(); due.Before(time.Now().AddDate(200, 0, 0)) {
		t.Errorf("the next host is due at %v, want never", due)
	}
	if count.now > 2*front {
		t.Errorf("%d hosts are claimed, want %d at most", count.now, 2*front)
	}
	x.change(frontier.HostChange{Host: hostName(0), Closed: new(frontier.ClosedByCaller)})
	x.idle(time.Hour)
	x.dropped(frontier.ClosedByCaller, 1)
}

// claimCount counts the hosts that are claimed.
type claimCount struct {
	frontier.Backend
	now int
}

func (c *claimCount) Claim(ctx context.Context, from, before time.Time, n int) ([]frontier.Claim, time.Time, error) {
	claims, next, err := c.Backend.Claim(ctx, from, before, n)
	c.now += len(claims)
	return claims, next, err
}

func (c *claimCount) Return(ctx context.Context, hosts []frontier.Returned) (time.Time, error) {
	c.now -= len(hosts)
	return c.Backend.Return(ctx, hosts)
}

func testPerHost(t *testing.T, open opener) {
	x := newFixture(t, open, frontier.Config{PerHost: 3, LeaseSize: 1})
	x.put(requests("a.example", 10)...)
	var out []*frontier.Lease
	for range 3 {
		out = append(out, x.lease())
	}
	x.idle(time.Hour)
	out[1].Release()
	x.commit(&frontier.Batch{Done: out[1].Requests})
	out[1] = x.lease()
	x.idle(time.Hour)
	for _, l := range out {
		x.fetch(l)
	}
}

func testPerHostDelay(t *testing.T, open opener) {
	x := newFixture(t, open, frontier.Config{PerHost: 2, Delay: time.Second})
	x.put(requests("a.example", 10)...)
	first := x.lease()
	x.idle(time.Hour) // it may start at any moment, and nobody may start less than a delay later
	start := time.Now()
	first.Started(start)
	second := x.after(start, time.Second+grace)
	first.Answered(time.Now()) // too late to matter
	second.Started(time.Now())
	x.idle(time.Hour) // two workers are at it
	first.Release()
	x.commit(&frontier.Batch{Done: first.Requests})
	start = time.Now()
	third := x.after(start, 0)
	third.Started(start)
	second.Answered(start) // of an earlier request: proves nothing of the last
	second.Release()
	x.commit(&frontier.Batch{Done: second.Requests})
	x.after(start, time.Second+grace)
}

// testDelayLearnt tells of a host's delay when two workers have batches of its requests: each of them starts no more, and what
// they release has the delay.
func testDelayLearnt(t *testing.T, open opener) {
	x := newFixture(t, open, frontier.Config{PerHost: 2, LeaseSize: 4})
	x.put(requests("a.example", 8)...)
	first, second := x.lease(), x.lease()
	start := time.Now()
	first.Started(start)
	if first.Revoked() {
		t.Error("revoked for nothing")
	}
	wish := 10 * time.Second
	x.change(frontier.HostChange{Host: "a.example", Delay: &wish})
	if !first.Revoked() {
		t.Error("not revoked by a delay, after its start")
	}
	if second.Revoked() {
		t.Error("revoked before its one start")
	}
	second.Started(start)
	for _, l := range []*frontier.Lease{first, second} {
		l.Release(l.Requests[1:]...)
		x.commit(&frontier.Batch{Done: l.Requests[:1]})
	}
	if l := x.after(start, wish+grace); len(l.Requests) != 1 {
		t.Errorf("%d requests leased of a host with a delay, want 1", len(l.Requests))
	}
}

func testRate(t *testing.T, open opener) {
	x := newFixture(t, open, frontier.Config{Rate: 10, PerHost: 2})
	for n := range 20 {
		x.put(requests(hostName(n), 5)...)
	}
	start := time.Now()
	var mu sync.Mutex
	var starts []time.Duration
	var all sync.WaitGroup
	for range 30 {
		all.Go(func() {
			for {
				l, err := x.Lease(context.Background())
				if err != nil {
					return
				}
				mu.Lock()
				starts = append(starts, time.Since(start))
				mu.Unlock()
				if len(l.Requests) != 1 {
					t.Errorf("%d requests in a lease with a rate, want 1", len(l.Requests))
				}
				time.Sleep(time.Second)
				x.fetch(l)
			}
		})
	}
	all.Wait()
	if len(starts) != 100 {
		t.Fatalf("%d starts, want 100", len(starts))
	}
	for i := range starts {
		if i > 0 && starts[i]-starts[i-1] < 100*time.Millisecond-time.Microsecond {
			t.Fatalf("starts at %v and %v", starts[i-1], starts[i])
		}
	}
	if last := starts[99]; last > 10*time.Second {
		t.Fatalf("the last start was at %v", last)
	}
}

func testShare(t *testing.T, open opener) {
	x := newFixture(t, open, frontier.Config{PerHost: 10, LeaseSize: 16})
	x.put(requests("a.example", 20)...)
	var out []*frontier.Lease
	n := 0
	for range 10 { // all ten workers get something, and together all
		l := x.lease()
		n += len(l.Requests)
		out = append(out, l)
	}
	if n != 20 {
		t.Fatalf("%d requests leased to ten workers, want 20", n)
	}
	for _, l := range out {
		x.fetch(l)
	}
	x.finished()
}

// politeWorld is a web of hosts that measure how they are asked.
type politeWorld struct {
	delay time.Duration
	mu    sync.Mutex
	last  map[string]time.Time
	busy  map[string]int
	wrong []string
}

func (p *politeWorld) ask(host string, latency time.Duration) {
	p.mu.Lock()
	now := time.Now()
	if last, ok := p.last[host]; ok && now.Sub(last) < p.delay {
		p.wrong = append(p.wrong, host+" was asked "+now.Sub(last).String()+" after the last time")
	}
	p.last[host] = now
	if p.busy[host]++; p.busy[host] > 1 {
		p.wrong = append(p.wrong, host+" was asked twice at once")
	}
	p.mu.Unlock()
	time.Sleep(latency)
	p.mu.Lock()
	p.busy[host]--
	p.mu.Unlock()
}

func testSmallFrontDelay(t *testing.T, open opener) {
	const hosts, pages, delay = 200, 5, 10 * time.Second
	x := newFixture(t, open, frontier.Config{Delay: delay, Front: 16})
	p := &politeWorld{delay: delay, last: make(map[string]time.Time), busy: make(map[string]int)}
	for n := range hosts {
		x.put(requests(hostName(n), pages)...)
	}
	start := time.Now()
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			for {
				l, err := x.Lease(context.Background())
				if err != nil {
					return
				}
				at := time.Now()
				l.Started(at)
				p.ask(l.Host, 200*time.Millisecond)
				l.Answered(time.Now())
				l.Release()
				x.commit(&frontier.Batch{Done: l.Requests})
			}
		})
	}
	all.Wait()
	for _, wrong := range p.wrong {
		t.Error(wrong)
	}
	x.stats(frontier.Stats{Done: hosts * pages, Known: hosts * pages, Hosts: hosts})
	// The first round takes as long as 50 workers need for 200 pages; each of the others a delay.
	most := 4*200*time.Millisecond + (pages-1)*(delay+grace) + 200*time.Millisecond
	if x.opened.Join != nil {
		most += (pages - 1) * time.Second // hosts that others could have given back are looked for every second
	}
	if took := time.Since(start); took > most {
		t.Errorf("took %v, could be done in %v", took, most)
	}
}

// testAdaptive crawls hosts that answer slowly, leave memory between their turns, and are there over a restart: the delay that comes
// of an answer holds all the same.
func testAdaptive(t *testing.T, open opener) {
	const hosts, pages, answer, delay = 40, 4, 300 * time.Millisecond, 30 * time.Second
	x := newFixture(t, open, frontier.Config{
		Front: 8, Adaptive: frontier.Adaptive{Factor: float64(delay / answer), Max: time.Minute},
	})
	for n := range hosts {
		x.put(requests(hostName(n), pages)...)
	}
	last := make(map[string]time.Time)
	for n := range hosts * pages {
		if n == hosts*pages/2 && x.opened.Restart != nil {
			x.restart()
		}
		l := x.lease()
		if at, asked := last[l.Host]; asked && time.Since(at) < delay {
			t.Errorf("%s was leased %v after its last start, want %v", l.Host, time.Since(at), delay)
		}
		last[l.Host] = time.Now()
		l.Started(time.Now())
		time.Sleep(answer)
		l.Answered(time.Now())
		l.Release()
		x.commit(&frontier.Batch{Done: l.Requests})
	}
	x.finished()
}
