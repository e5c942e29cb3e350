package frontiertest

import (
	"context"
	"errors"
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/orbweaver/orbweaver/frontier"
)

// change commits one HostChange.
func (x *fixture) change(c frontier.HostChange) {
	x.Helper()
	x.commit(changeOf(c))
}

func changeOf(c frontier.HostChange) *frontier.Batch {
	return &frontier.Batch{Hosts: []frontier.HostChange{c}}
}

// page ends the requests of a lease as pages of some bytes each, and releases it.
func (x *fixture) page(l *frontier.Lease, bytes int64) {
	x.Helper()
	b := frontier.Batch{Done: l.Requests}
	for range l.Requests {
		l.Started(time.Now())
		l.Answered(time.Now())
		l.Received(bytes)
		b.Hosts = append(b.Hosts, frontier.HostChange{Host: l.Host, Fetched: 1, Bytes: bytes})
	}
	l.Release()
	x.commit(&b)
}

// dropped fails unless so many URLs were dropped for one reason and none for another.
func (x *fixture) dropped(why frontier.Closure, n int) {
	x.Helper()
	want := x.Stats()
	want.Dropped, want.DroppedBy = 0, [frontier.MaxClosure + 1]int{}
	want.Drop(why, n)
	x.stats(want)
}

func testPaused(t *testing.T, open opener) {
	x := newFixture(t, open, frontier.Config{LeaseSize: 2})
	x.put(requests("a.example", 6)...)
	x.change(frontier.HostChange{Host: "b.example", Paused: new(true)}) // before its first URL
	x.put(requests("b.example", 1)...)
	l := x.lease()
	if l.Revoked() {
		t.Fatal("revoked for nothing")
	}
	x.change(frontier.HostChange{Host: "a.example", Paused: new(true)})
	if !l.Revoked() {
		t.Error("not revoked by a pause")
	}
	if n := x.Stats().Paused; n != 2 {
		t.Errorf("%d hosts are paused, want 2", n)
	}
	l.Release(l.Requests[1])
	x.commit(&frontier.Batch{Done: l.Requests[:1]}) // what is leased may be finished
	x.idle(time.Hour)
	if x.opened.Restart != nil {
		x.restart()
		x.idle(time.Hour)
		x.stats(frontier.Stats{Waiting: 6, Done: 1, Known: 7, Hosts: 2, Paused: 2})
	}
	leased := make(chan *frontier.Lease)
	go func() {
		l, err := x.try(time.Hour)
		if err != nil {
			t.Error(err)
		}
		leased <- l
	}()
	time.Sleep(time.Minute)
	start := time.Now()
	x.change(frontier.HostChange{Host: "a.example", Paused: new(false)})
	if l = <-leased; l.Host != "a.example" || time.Since(start) != 0 || urls(l) != "/page/1 /page/2" {
		t.Fatalf("leased %s of %s after %v", urls(l), l.Host, time.Since(start))
	}
	x.fetch(l)
	x.fetch(x.lease())
	x.fetch(x.lease())
	x.idle(time.Hour) // b.example still waits
	x.change(frontier.HostChange{Host: "b.example", Paused: new(false)})
	x.fetch(x.lease())
	x.finished()
	x.stats(frontier.Stats{Done: 7, Known: 7, Hosts: 2})
}

func testClosed(t *testing.T, open opener) {
	const why = frontier.ClosedByCaller + 2
	x := newFixture(t, open, frontier.Config{LeaseSize: 3, Delay: time.Second, Policy: func(host string) frontier.Policy {
		return frontier.Policy{Delay: -1}
	}})
	reqs := requests("a.example", 150)
	reqs[140].NotBefore = time.Now().Add(time.Minute)
	x.put(reqs...)
	x.put(requests("b.example", 2)...)
	l := x.lease()
	x.change(frontier.HostChange{Host: "a.example", Closed: new(why), BlockedUntil: time.Now().Add(time.Hour)})
	if !l.Revoked() {
		t.Error("not revoked by a closed host")
	}
	if n := x.put(requests("a.example", 160)...); n != 0 {
		t.Errorf("%d added to a closed host, want 0", n)
	}
	x.page(x.lease(), 1) // of b.example
	x.idle(time.Minute)  // and on the way there what waited was dropped
	x.dropped(why, 157)
	if n := x.put(requests("a.example", 160)...); n != 0 { // what was dropped is known
		t.Errorf("%d added again, want 0", n)
	}

	// Of what was leased, one is done, one is put back, one is released.
	retry := l.Requests[1]
	retry.Attempt++
	c := x.commit(&frontier.Batch{Done: l.Requests[:1], Retry: []frontier.Leased{retry}})
	if c.Dropped != 1 {
		t.Errorf("%d dropped by a retry at a closed host, want 1", c.Dropped)
	}
	l.Release(l.Requests[2])
	x.finished()
	x.stats(dropStats(frontier.Stats{Done: 3, Known: 162, Hosts: 2}, why, 159))
	if s, err := x.Lookup(context.Background(), request("a.example", 77)); err != nil || s.State != frontier.StateDone ||
		s.Host.Closed != why || s.Host.Dropped != 159 || s.Host.Waiting != 0 {
		t.Errorf("%+v, %v", s, err)
	}

	// It stays closed, until it is opened: for what is new.
	if x.opened.Restart != nil {
		x.restart()
		x.finished()
	}
	x.change(frontier.HostChange{Host: "a.example", Closed: new(frontier.NotClosed)})
	if n := x.put(requests("a.example", 161)...); n != 1 {
		t.Errorf("%d added after the host was opened, want 1", n)
	}
	x.idle(time.Minute) // the block still holds
	x.fetch(x.lease())
	x.finished()
	if _, err := x.Commit(context.Background(), &frontier.Batch{
		Hosts: []frontier.HostChange{{Host: "a.example", Closed: new(frontier.MaxClosure + 1)}},
	}); !errors.As(err, new(*frontier.ChangeError)) {
		t.Errorf("closed for no reason: %v, want a ChangeError", err)
	}
}

// testClosedTwice closes a host for one thing, and then for another: what a Frontier finds does not undo what the caller wants.
func testClosedTwice(t *testing.T, open opener) {
	x := newFixture(t, open, frontier.Config{})
	const caller, other = frontier.ClosedByCaller, frontier.ClosedByCaller + 1
	for _, test := range []struct{ first, second, want frontier.Closure }{
		{caller, frontier.ClosedPages, caller},
		{frontier.ClosedTime, frontier.ClosedPages, frontier.ClosedTime},
		{frontier.ClosedPages, caller, caller},
		{caller, other, other},
		{caller, frontier.NotClosed, frontier.NotClosed},
	} {
		x.change(frontier.HostChange{Host: "a.example", Closed: new(frontier.NotClosed)})
		x.change(frontier.HostChange{Host: "a.example", Closed: &test.first})
		x.change(frontier.HostChange{Host: "a.example", Closed: &test.second})
		s, err := x.Lookup(context.Background(), request("a.example", 0))
		if err != nil || s.Host.Closed != test.want {
			t.Errorf("closed for %d after %d and %d, %v; want %d", s.Host.Closed, test.first, test.second, err, test.want)
		}
	}
}

// slowly commits what is applied at once and told to the Frontier a minute later.
func (x *fixture) slowly(b *frontier.Batch) {
	x.Helper()
	go func() {
		_, err := x.CommitWith(b, func(b *frontier.Batch) (frontier.Committed, error) {
			defer time.Sleep(time.Minute)
			return x.opened.Backend.Apply(context.Background(), b)
		})
		if err != nil {
			x.Error(err)
		}
	}()
	synctest.Wait()
}

// testChangesInOrder makes two changes of a host, of which the first is told to the Frontier late: the second counts. Other hosts
// do not wait for that, nor do commits that set nothing.
func testChangesInOrder(t *testing.T, open opener) {
	const closed, opened = frontier.ClosedByCaller, frontier.NotClosed
	x := newFixture(t, open, frontier.Config{LeaseSize: 1})
	x.put(requests("a.example", 5)...)
	l := x.lease()
	start := time.Now()
	x.slowly(changeOf(frontier.HostChange{Host: "a.example", Closed: new(closed)}))
	x.change(frontier.HostChange{Host: "b.example", Closed: new(closed)})
	x.change(frontier.HostChange{Host: "a.example", BlockedUntil: start})
	x.fetch(l)
	if waited := time.Since(start); waited != 0 {
		t.Errorf("other commits waited %v", waited)
	}
	x.change(frontier.HostChange{Host: "a.example", Closed: new(opened)})
	x.fetch(x.after(start, time.Minute))

	l = x.lease()
	x.slowly(changeOf(frontier.HostChange{Host: "a.example", Closed: new(opened), Paused: new(true)}))
	x.change(frontier.HostChange{Host: "a.example", Closed: new(closed), Paused: new(false)})
	x.fetch(l)
	x.finished()
	x.dropped(closed, 2)
}

// testOpenedLate opens a host that is to be dropped, of which the Frontier is told late: Drop says so, and it is leased.
func testOpenedLate(t *testing.T, open opener) {
	x := newFixture(t, open, frontier.Config{})
	x.put(requests("a.example", 5)...)
	l := x.lease()
	x.put(requests("a.example", 7)...)
	x.change(frontier.HostChange{Host: "a.example", Closed: new(frontier.ClosedByCaller)})
	start := time.Now()
	x.slowly(changeOf(frontier.HostChange{Host: "a.example", Closed: new(frontier.NotClosed)}))
	l.Release()
	x.fetch(x.after(start, 0))
	x.commit(&frontier.Batch{Done: l.Requests})
	time.Sleep(time.Hour)
	x.finished()
	x.stats(frontier.Stats{Done: 7, Known: 7, Hosts: 1})
}

// dropStats is s with a host closed and n of its URLs dropped.
func dropStats(s frontier.Stats, why frontier.Closure, n int) frontier.Stats {
	s.Closed++
	s.Drop(why, n)
	return s
}

// testDropHuge closes a host with more requests than are dropped at once, and crashes in between.
func testDropHuge(t *testing.T, open opener) {
	const n = 100_000
	x := newFixture(t, open, frontier.Config{LeaseSize: 1})
	var reqs []frontier.Request
	for i := range n {
		reqs = append(reqs, request("huge.example", i))
	}
	x.put(reqs...)
	x.put(requests(hostName(0), 20)...)
	x.change(frontier.HostChange{Host: "huge.example", Closed: new(frontier.ClosedByCaller)})
	last := 0
	for steps := 0; ; steps++ {
		l, err := x.try(time.Hour)
		if errors.Is(err, frontier.ErrDone) {
			if steps < 4 {
				t.Errorf("all dropped after %d leases", steps)
			}
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond)
		x.fetch(l)
		dropped := x.Stats().Dropped
		if dropped-last > n/2 {
			t.Fatalf("%d dropped between two leases", dropped-last)
		}
		if last = dropped; steps == 1 && x.opened.Crash != nil {
			if dropped == 0 || dropped == n {
				t.Fatalf("%d dropped when it crashes", dropped)
			}
			x.crash()
			x.stats(dropStats(frontier.Stats{Waiting: n + 18 - dropped, Done: 2, Known: n + 20, Hosts: 2}, frontier.ClosedByCaller, dropped))
		}
	}
	x.stats(dropStats(frontier.Stats{Done: 20, Known: n + 20, Hosts: 2}, frontier.ClosedByCaller, n))
}

// testMaxPages lets many workers loose on hosts with budgets: they are reached exactly, over a restart too.
func testMaxPages(t *testing.T, open opener) {
	const workers, limit, hosts = 1000, 137, 3
	x := newFixture(t, open, frontier.Config{PerHost: workers, LeaseSize: 7, Policy: func(host string) frontier.Policy {
		if host == hostName(0) {
			return frontier.Policy{}
		}
		return frontier.Policy{MaxPages: limit}
	}})
	for n := range hosts {
		x.put(requests(hostName(n), 1000)...)
	}
	var mu sync.Mutex
	pages := make(map[string]int)
	crawl := func(until int) {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		var all sync.WaitGroup
		var total atomic.Int64
		for n := range workers {
			all.Go(func() {
				for i := n; ; i++ {
					l, err := x.Lease(ctx)
					if err != nil {
						return
					}
					time.Sleep(time.Duration(1+i%13) * time.Millisecond)
					var b frontier.Batch
					for _, r := range l.Requests { // every third is no page
						b.Done = append(b.Done, r)
						if i++; i%3 > 0 {
							b.Hosts = append(b.Hosts, frontier.HostChange{Host: l.Host, Fetched: 1})
						}
					}
					mu.Lock()
					pages[l.Host] += len(b.Hosts)
					mu.Unlock()
					l.Release()
					x.commit(&b)
					if total.Add(int64(len(b.Hosts))) >= int64(until) {
						cancel()
					}
				}
			})
		}
		all.Wait()
	}
	if x.opened.Restart != nil {
		crawl(100)
		x.restart()
	}
	crawl(1 << 30)
	for n := 1; n < hosts; n++ {
		if got := pages[hostName(n)]; got != limit {
			t.Errorf("%d pages of %s, want exactly %d", got, hostName(n), limit)
		}
	}
	x.finished()
	s := x.Stats()
	if s.Dropped == 0 || s.Dropped != s.DroppedBy[frontier.ClosedPages] || s.Done+s.Dropped != 1000*hosts {
		t.Errorf("%+v", s)
	}
	if s, err := x.Lookup(context.Background(), request(hostName(0), 0)); err != nil || s.Host.Closed != frontier.NotClosed || s.Host.Dropped != 0 {
		t.Errorf("the host without a budget: %+v, %v", s.Host, err)
	}
}

func testMaxBytes(t *testing.T, open opener) {
	x := newFixture(t, open, frontier.Config{LeaseSize: 4, Policy: func(host string) frontier.Policy {
		return frontier.Policy{MaxBytes: 1000}
	}})
	x.put(requests("a.example", 20)...)
	x.page(x.lease(), 100)
	if x.opened.Restart != nil {
		x.restart()
	}
	l := x.lease()
	for i, revoked := range []bool{false, false, true} { // 400 bytes so far, 250 more each time
		l.Received(250)
		if l.Revoked() != revoked {
			t.Fatalf("page %d: revoked: %t", i, !revoked)
		}
	}
	l.Release(l.Requests[3])
	// Not even before the commit is there more to be had.
	if l, err := x.try(time.Hour); err == nil {
		t.Fatalf("leased %s beyond the budget", urls(l))
	}
	x.commit(&frontier.Batch{Done: l.Requests[:3], Hosts: []frontier.HostChange{{Host: "a.example", Fetched: 3, Bytes: 750}}})
	x.finished()
	x.stats(dropStats(frontier.Stats{Done: 7, Known: 20, Hosts: 1}, frontier.ClosedBytes, 13))
	s, err := x.Lookup(context.Background(), request("a.example", 0))
	if u := s.Host.Usage; err != nil || u.Pages != 7 || u.Bytes != 1150 || u.Since.IsZero() {
		t.Errorf("%+v, %v", u, err)
	}
}

// testHuge has more pages and bytes than an int64 holds: a budget that is used up stays so.
func testHuge(t *testing.T, open opener) {
	x := newFixture(t, open, frontier.Config{LeaseSize: 3, Policy: func(host string) frontier.Policy {
		return frontier.Policy{MaxBytes: 1000, MaxPages: 1000}
	}})
	x.put(requests("a.example", 5)...)
	l := x.lease()
	for n := range 2 {
		x.commit(&frontier.Batch{
			Done:  l.Requests[n : n+1],
			Hosts: []frontier.HostChange{{Host: "a.example", Fetched: math.MaxInt64, Bytes: math.MaxInt64}},
		})
		l.Received(math.MaxInt64)
		if !l.Revoked() {
			t.Error("not revoked when its budgets were used up")
		}
	}
	l.Release(l.Requests[2])
	x.finished()
	s, err := x.Lookup(context.Background(), request("a.example", 4))
	if u := s.Host.Usage; err != nil || u.Pages != math.MaxInt64 || u.Bytes != math.MaxInt64 || s.State != frontier.StateDropped {
		t.Errorf("%+v, %v", s, err)
	}
}

// testBytesInAnyOrder commits pages of a host, of which the first is told to the Frontier late: the bytes of each count once.
func testBytesInAnyOrder(t *testing.T, open opener) {
	x := newFixture(t, open, frontier.Config{PerHost: 2, LeaseSize: 1, Policy: func(string) frontier.Policy {
		return frontier.Policy{MaxBytes: 150}
	}})
	x.put(requests("a.example", 5)...)
	first, second := x.lease(), x.lease()
	start := time.Now()
	first.Received(60)
	x.slowly(&frontier.Batch{Done: first.Requests, Hosts: []frontier.HostChange{{Host: "a.example", Fetched: 1, Bytes: 60}}})
	x.page(second, 60)
	if first.Revoked() {
		t.Error("revoked by 120 bytes of 150")
	}
	x.page(x.after(start, 0), 20)
	time.Sleep(time.Hour)
	first.Release()
	x.page(x.lease(), 10)
	x.finished()
	x.stats(dropStats(frontier.Stats{Done: 4, Known: 5, Hosts: 1}, frontier.ClosedBytes, 1))
}

func testMaxTime(t *testing.T, open opener) {
	x := newFixture(t, open, frontier.Config{Delay: time.Minute, Policy: func(host string) frontier.Policy {
		return frontier.Policy{MaxTime: 150 * time.Second}
	}})
	x.put(requests("a.example", 20)...)
	x.put(requests("b.example", 1)...)
	time.Sleep(time.Hour) // which does not count: nothing was fetched
	start := time.Now()
	x.page(x.lease(), 1)
	x.page(x.lease(), 1)
	x.page(x.after(start, time.Minute), 1)
	if x.opened.Restart != nil {
		x.restart()
	}
	l := x.after(start, 2*time.Minute)
	if l.Revoked() {
		t.Error("revoked before its time was up")
	}
	time.Sleep(30 * time.Second)
	if !l.Revoked() {
		t.Error("not revoked when its time was up")
	}
	x.page(l, 1)
	x.finished()
	x.stats(dropStats(frontier.Stats{Done: 4, Known: 21, Hosts: 2}, frontier.ClosedTime, 17))
}

func testPolicy(t *testing.T, open opener) {
	x := newFixture(t, open, frontier.Config{Delay: 10 * time.Second, PerHost: 1, Policy: func(host string) frontier.Policy {
		switch host {
		case "slow.example":
			return frontier.Policy{Delay: time.Minute}
		case "fast.example":
			return frontier.Policy{Delay: -1, PerHost: 2}
		}
		return frontier.Policy{}
	}})
	x.put(requests("fast.example", 40)...)
	first, second := x.lease(), x.lease()
	if len(first.Requests) != 16 || len(second.Requests) != 16 {
		t.Fatalf("%d and %d requests leased of a host without a delay, want 16", len(first.Requests), len(second.Requests))
	}
	x.idle(time.Second)
	x.fetch(first)
	x.fetch(second)
	for x.Stats().Waiting > 0 {
		x.fetch(x.lease())
	}
	for host, delay := range map[string]time.Duration{"slow.example": time.Minute, "usual.example": 10 * time.Second} {
		x.put(requests(host, 2)...)
		start := time.Now()
		x.fetch(x.lease())
		if s, err := x.Lookup(context.Background(), request(host, 0)); err != nil || s.Host.Delay != delay {
			t.Errorf("%s: delay %v, %v; want %v", host, s.Host.Delay, err, delay)
		}
		x.fetch(x.after(start, delay))
	}
	x.finished()
}

func testAgain(t *testing.T, open opener) {
	x := newFixture(t, open, frontier.Config{LeaseSize: 1})
	x.put(requests("a.example", 2)...)
	first := x.lease()
	first.Release()
	// In the batch that ends it, with a URL never seen, twice.
	again := request("a.example", 0)
	again.Label, again.NotBefore = "again", time.Now().Add(time.Minute)
	start := time.Now()
	c := x.commit(&frontier.Batch{
		Done:  first.Requests,
		Again: []frontier.Request{again, request("a.example", 2), again},
		Add:   requests("a.example", 3),
	})
	if c.Again != 1 || c.Added != 1 || c.Known != 3 {
		t.Fatalf("%+v, want 1 again, 1 added, 3 known", c)
	}
	x.stats(frontier.Stats{Waiting: 3, Known: 3, Hosts: 1})
	x.fetch(x.lease())
	x.fetch(x.lease())
	if x.opened.Restart != nil {
		x.restart()
	}
	l := x.after(start, time.Minute)
	if diff := differ(l.Requests[0].Request, again); diff != "" {
		t.Fatal(diff)
	}
	x.fetch(l)
	x.finished()
	x.stats(frontier.Stats{Done: 3, Known: 3, Hosts: 1})

	x.put(requests("a.example", 4)...)
	for name, reqs := range map[string][]frontier.Request{
		"more than are done": {request("a.example", 0), request("a.example", 1), request("a.example", 2), request("a.example", 3)},
		"refused":            {{URL: "https://a.example/"}},
	} {
		if _, err := x.Commit(context.Background(), &frontier.Batch{Again: reqs}); !errors.Is(err, frontier.ErrNotDone) && !errors.As(err, new(*frontier.RequestError)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	x.stats(frontier.Stats{Waiting: 1, Done: 3, Known: 4, Hosts: 1})
	// At a closed host nobody can tell what is done and what was dropped, but for what ends just now.
	l = x.lease()
	x.put(requests("a.example", 5)...)
	x.change(frontier.HostChange{Host: "a.example", Closed: new(frontier.ClosedByCaller)})
	x.idle(time.Second)
	for range 2 {
		if c := x.commit(&frontier.Batch{Again: requests("a.example", 5)}); c.Dropped != 0 || c.Again != 0 {
			t.Errorf("%+v, want nothing to change at a closed host", c)
		}
	}
	l.Release()
	if c := x.commit(&frontier.Batch{Done: l.Requests, Again: []frontier.Request{l.Requests[0].Request}}); c.Dropped != 1 || c.Again != 0 {
		t.Errorf("%+v, want 1 dropped at a closed host", c)
	}
	x.finished()
	x.stats(dropStats(frontier.Stats{Done: 3, Known: 5, Hosts: 1}, frontier.ClosedByCaller, 2))
	// Once it is open, what was done before it was dropped begins again as well.
	x.change(frontier.HostChange{Host: "a.example", Closed: new(frontier.NotClosed)})
	if c := x.commit(&frontier.Batch{Again: requests("a.example", 4)}); c.Again != 4 {
		t.Errorf("%+v, want 4 to begin again", c)
	}
	opened := dropStats(frontier.Stats{Waiting: 4, Known: 5, Hosts: 1}, frontier.ClosedByCaller, 1)
	opened.Closed = 0
	x.stats(opened)
	for range 4 {
		x.fetch(x.lease())
	}
	x.finished()
	opened.Waiting, opened.Done = 0, 4
	x.stats(opened)
}
