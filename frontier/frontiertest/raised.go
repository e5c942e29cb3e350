package frontiertest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/orbweaver/orbweaver/frontier"
)

// again starts the Frontier once more, after a crash if the backend survives one.
func (x *fixture) again() {
	x.Helper()
	if x.opened.Crash != nil {
		x.crash()
	} else {
		x.restart()
	}
}

// rest crawls until nothing waits, and returns the paths in their order.
func (x *fixture) rest() (paths []string) {
	x.Helper()
	for {
		l, err := x.try(2 * time.Hour)
		if errors.Is(err, frontier.ErrDone) {
			return paths
		}
		if err != nil {
			x.Fatal(err)
		}
		paths = append(paths, urls(l))
		x.page(l, 100)
	}
}

// paths are those of requests of a host.
func paths(from, to int) (all []string) {
	for n := from; n < to; n++ {
		all = append(all, fmt.Sprintf("/page/%d", n))
	}
	return all
}

// testRaised raises the budget of a host that was closed: all that was dropped for it comes back, once and in order, also what
// was added when the host was closed already, and what was leased then.
func testRaised(t *testing.T, open opener) {
	limit := int64(200)
	x := newFixture(t, open, frontier.Config{LeaseSize: 1, PerHost: 3, Policy: func(string) frontier.Policy {
		return frontier.Policy{MaxBytes: limit}
	}})
	reqs := requests("a.example", 100)
	late := time.Now().Add(time.Hour)
	reqs[50].NotBefore = late
	x.put(reqs...)
	first, second, third := x.lease(), x.lease(), x.lease()
	x.page(first, 100)
	x.page(second, 100)
	x.idle(time.Second) // and on the way there what waited was dropped
	x.stats(dropStats(frontier.Stats{Leased: 1, Done: 2, Known: 100, Hosts: 1}, frontier.ClosedBytes, 97))
	if n := x.put(requests("a.example", 110)...); n != 0 {
		t.Errorf("%d added to a closed host, want 0", n)
	}
	retry := third.Requests[0]
	retry.Attempt++
	third.Release()
	if c := x.commit(&frontier.Batch{Retry: []frontier.Leased{retry}}); c.Dropped != 1 {
		t.Errorf("%d dropped by a retry, want 1", c.Dropped)
	}
	x.finished()
	x.restart()
	x.finished()
	for n := range 2 { // which nobody has claimed
		if added := x.put(requests("a.example", 115+5*n)...); added != 0 {
			t.Errorf("%d added to a closed host, want 0", added)
		}
	}
	x.stats(dropStats(frontier.Stats{Done: 2, Known: 120, Hosts: 1}, frontier.ClosedBytes, 118))
	for n, want := range map[int]frontier.State{0: frontier.StateDone, 50: frontier.StateDropped, 119: frontier.StateDropped} {
		s, err := x.Lookup(context.Background(), request("a.example", n))
		if err != nil || s.State != want || s.Host.Dropped != 118 || s.Host.Waiting != 0 || s.Host.Known != 120 {
			t.Errorf("%d: %+v, %v; want %v", n, s, err, want)
		}
	}

	limit = 400
	x.again()
	if got, want := fmt.Sprint(x.rest()), fmt.Sprint(paths(3, 5)); got != want {
		t.Errorf("fetched %s, want %s", got, want)
	}
	x.stats(dropStats(frontier.Stats{Done: 4, Known: 120, Hosts: 1}, frontier.ClosedBytes, 116))

	limit = 0
	x.again()
	x.page(x.lease(), 100)
	x.stats(frontier.Stats{Waiting: 115, Done: 5, Known: 120, Hosts: 1})
	start := time.Now()
	want := append(append(append(paths(6, 50), paths(51, 100)...), paths(100, 110)...), "/page/2")
	want = append(append(want, paths(110, 120)...), "/page/50")
	if got := x.rest(); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("fetched %s, want %s", got, want)
	}
	if time.Now().Before(late) || time.Since(start) > time.Hour {
		t.Errorf("the last was fetched at %v, want %v", time.Now(), late)
	}
	x.stats(frontier.Stats{Done: 120, Known: 120, Hosts: 1})
}

// testOpened opens by hand a host that has kept what it dropped, while a Lease call waits, and drops one that has for good.
func testOpened(t *testing.T, open opener) {
	x := newFixture(t, open, frontier.Config{LeaseSize: 2, PerHost: 2})
	x.put(requests("a.example", 10)...)
	out := x.lease()
	x.put(requests("b.example", 200)...)
	for _, host := range []string{"a.example", "b.example"} {
		x.change(frontier.HostChange{Host: host, Closed: new(frontier.ClosedTime)})
	}
	x.idle(time.Second)
	want := frontier.Stats{Leased: 2, Known: 210, Hosts: 2, Closed: 2}
	want.Drop(frontier.ClosedTime, 208)
	x.stats(want)
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
	x.change(frontier.HostChange{Host: "a.example", Closed: new(frontier.NotClosed)})
	l := <-leased
	if urls(l) != "/page/2 /page/3" || time.Since(start) != 0 {
		t.Errorf("leased %s after %v", urls(l), time.Since(start))
	}
	// The caller cannot know that what it begins again has come back; what it ends now it may begin again.
	c := x.commit(&frontier.Batch{Done: l.Requests, Again: append(requests("a.example", 10)[4:], l.Requests[0].Request)})
	if c.Again != 1 || c.Dropped != 0 {
		t.Errorf("%+v, want 1 again", c)
	}
	l.Release()
	x.change(frontier.HostChange{Host: "b.example", Closed: new(frontier.ClosedByCaller)})
	x.fetch(out)
	x.rest()
	x.stats(dropStats(frontier.Stats{Done: 10, Known: 210, Hosts: 2}, frontier.ClosedByCaller, 200))
	x.change(frontier.HostChange{Host: "b.example", Closed: new(frontier.NotClosed)})
	x.finished()
	if c := x.commit(&frontier.Batch{Again: requests("a.example", 10)}); c.Again != 10 {
		t.Errorf("%+v, want all again of a host whose queue has run empty", c)
	}
	x.rest()
}

// failing is a Backend that can make so many changes.
type failing struct {
	frontier.Backend
	changes int
}

func (f *failing) Apply(ctx context.Context, b *frontier.Batch) (frontier.Committed, error) {
	if f.changes--; f.changes < 0 {
		return frontier.Committed{}, errTest
	}
	return f.Backend.Apply(ctx, b)
}

// testRaisedMany raises the budgets of more hosts than are opened at once, and comes to its end in between.
func testRaisedMany(t *testing.T, open opener) {
	const hosts = 2500
	limit := int64(1)
	x := newFixture(t, open, frontier.Config{LeaseSize: 4, Policy: func(string) frontier.Policy {
		return frontier.Policy{MaxPages: limit}
	}})
	var reqs []frontier.Request
	for n := range hosts {
		reqs = append(reqs, requests(hostName(n), 3)...)
	}
	x.put(reqs...)
	x.change(frontier.HostChange{Host: hostName(7), Closed: new(frontier.ClosedByCaller)})
	x.rest()
	want := frontier.Stats{Done: hosts - 1, Known: 3 * hosts, Hosts: hosts, Closed: hosts}
	want.Drop(frontier.ClosedPages, 2*(hosts-1))
	want.Drop(frontier.ClosedByCaller, 3)
	x.stats(want)
	o := x.opened
	seen, calls := 0, 0
	for from, more := uint64(0), true; more; calls++ {
		closed, next, err := o.Backend.Closed(context.Background(), from, 1000)
		if err != nil {
			t.Fatal(err)
		}
		seen += len(closed)
		from, more = next, next != 0
	}
	if seen != hosts {
		t.Errorf("%d hosts are closed by %d calls, want %d", seen, calls, hosts)
	}

	limit = 2
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
	o = o.Restart()
	o.Backend = &failing{o.Backend, 1}
	x.start(o)
	if l, err := x.try(time.Hour); err == nil {
		t.Logf("all were opened by one change, before the lease of %s", l.Host)
	} else if !errors.Is(err, errTest) {
		t.Fatalf("Lease: %v, want %v", err, errTest)
	}
	x.again()
	for {
		l, err := x.try(time.Hour)
		if errors.Is(err, frontier.ErrDone) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if urls(l) != "/page/1" {
			t.Errorf("leased %s of %s, want /page/1", urls(l), l.Host)
		}
		x.page(l, 1)
	}
	want = frontier.Stats{Done: 2 * (hosts - 1), Known: 3 * hosts, Hosts: hosts, Closed: hosts}
	want.Drop(frontier.ClosedPages, hosts-1)
	want.Drop(frontier.ClosedByCaller, 3)
	x.stats(want)
}
