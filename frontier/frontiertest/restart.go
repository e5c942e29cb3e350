package frontiertest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/orbweaver/orbweaver/frontier"
)

func testRestart(t *testing.T, open opener) {
	x := newFixture(t, open, frontier.Config{Delay: 10 * time.Second})
	x.put(requests("a.example", 3)...)
	x.put(requests("b.example", 3)...)
	x.put(requests("c.example", 3)...)
	start := time.Now()
	started, silent, done := x.lease(), x.lease(), x.lease()
	started.Started(start)
	done.Started(start)
	done.Answered(start)
	done.Release()
	x.commit(&frontier.Batch{Done: done.Requests})
	time.Sleep(time.Second)
	x.restart()
	x.stats(frontier.Stats{Waiting: 8, Done: 1, Known: 9, Hosts: 3})

	// What was answered is due a delay after it; leases that were out may have started until the end.
	l := x.after(start, 10*time.Second)
	if l.Host != done.Host {
		t.Fatalf("%s is due first, want %s", l.Host, done.Host)
	}
	x.fetch(l)
	hosts := make(map[string]string)
	for range 2 {
		l := x.after(start, 11*time.Second+grace)
		hosts[l.Host] = urls(l)
		x.fetch(l)
	}
	if len(hosts) != 2 || hosts[started.Host] != "/page/0" || hosts[silent.Host] != "/page/0" {
		t.Fatalf("leased after the restart: %v", hosts)
	}

	// A second later all of it is long past: nothing has to wait.
	time.Sleep(time.Minute)
	x.restart()
	start = time.Now()
	for range 3 {
		x.fetch(x.after(start, 0))
	}
}

func testCrash(t *testing.T, open opener) {
	const delay = 10 * time.Second
	x := newFixture(t, open, frontier.Config{Delay: delay})
	x.put(requests("a.example", 3)...)
	x.put(requests("b.example", 3)...)
	l := x.lease()
	l.Started(time.Now())
	l.Release()
	x.commit(&frontier.Batch{Done: l.Requests, Add: requests("c.example", 1)})
	x.lease()
	time.Sleep(time.Second)
	x.crash()
	x.stats(frontier.Stats{Waiting: 6, Done: 1, Known: 7, Hosts: 3})
	start := time.Now()
	var opened []*frontier.Lease
	for range 3 { // whichever host was asked last, and when: nobody asks it again within the delay
		opened = append(opened, x.lease())
		if waited := time.Since(start); waited < delay || waited > delay+grace {
			t.Fatalf("leased %v after a crash, want %v", waited, delay)
		}
	}
	for _, l := range opened {
		x.fetch(l)
	}

	// A crash and a clean restart soon after it: the crash is not forgotten.
	x.crash()
	start = time.Now()
	x.restart()
	if l := x.lease(); time.Since(start) < delay {
		t.Fatalf("leased %v after a crash and a restart, want %v", time.Since(start), delay)
	} else {
		x.fetch(l)
	}
}

func testCrashKeepsBlocks(t *testing.T, open opener) {
	x := newFixture(t, open, frontier.Config{Delay: time.Second})
	x.put(requests("a.example", 3)...)
	wish, start := 30*time.Second, time.Now()
	x.commit(&frontier.Batch{Hosts: []frontier.HostChange{{Host: "a.example", Delay: &wish, BlockedUntil: start.Add(time.Minute)}}})
	x.crash()
	start2 := time.Now()
	x.fetch(x.after(start, time.Minute))
	x.fetch(x.after(start2, time.Minute+wish))
	l := x.lease()
	retry := l.Requests[0]
	retry.NotBefore = time.Now().Add(time.Hour)
	retry.Attempt, retry.Data = 7, []byte("kept")
	start = time.Now()
	x.commit(&frontier.Batch{Retry: []frontier.Leased{retry}})
	x.crash()
	l = x.after(start, time.Hour)
	if diff := differ(l.Requests[0].Request, retry.Request); diff != "" {
		t.Fatal(diff)
	}
	x.fetch(l)
	x.finished()
}

// testClaims goes to the backend itself.
func testClaims(t *testing.T, open opener) {
	ctx := context.Background()
	b := open(t).Backend
	for n := range 10 {
		if _, err := b.Apply(ctx, &frontier.Batch{Add: requests(hostName(n), 3)}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
	}
	now := time.Now()
	first, next, err := b.Claim(ctx, time.Time{}, frontier.Never, 4)
	if err != nil || len(first) != 4 || !next.Equal(now.Add(-6*time.Second)) {
		t.Fatalf("%d claims, next %v, %v; want 4, %v", len(first), next, err, now.Add(-6*time.Second))
	}
	for n, c := range first {
		if c.Host != hostName(n) {
			t.Errorf("claim %d is of %s, want %s", n, c.Host, hostName(n))
		}
	}
	second, next, err := b.Claim(ctx, next, now.Add(-2*time.Second), 100)
	if err != nil || len(second) != 4 || second[0].Host != hostName(4) || !next.Equal(now.Add(-2*time.Second)) {
		t.Fatalf("%d claims, next %v, %v; want 4 others, %v", len(second), next, err, now.Add(-2*time.Second))
	}

	taken, err := b.Take(ctx, first[0], now, 2, 1)
	if err != nil || len(taken.Requests) != 2 || !taken.More || taken.Ready.After(now) {
		t.Fatalf("%+v, %v; want 2 and more", taken, err)
	}
	rest, err := b.Take(ctx, first[0], now, 2, 1)
	if err != nil || len(rest.Requests) != 1 || rest.More {
		t.Fatalf("%+v, %v; want 1 and no more", rest, err)
	}
	if none, err := b.Take(ctx, first[0], now, 2, 1); err != nil || len(none.Requests) != 0 || none.More {
		t.Fatalf("%+v, %v; want none", none, err)
	}
	if err := b.Untake(ctx, first[0], []frontier.Position{taken.Requests[1].Position}); err != nil {
		t.Fatal(err)
	}
	again, err := b.Take(ctx, first[0], now, 2, 1)
	if err != nil || len(again.Requests) != 1 || again.Requests[0].URL != taken.Requests[1].URL {
		t.Fatalf("%+v, %v; want what was given back", again, err)
	}
	if some, err := b.Take(ctx, first[1], now, 2, math.MaxInt); err != nil || len(some.Requests) != 1 || !some.More {
		t.Fatalf("%+v, %v; want 1 and more, as the rest is for others", some, err)
	}

	// A claim given back is stale, and what was taken under it waits again.
	due, err := b.Return(ctx, []frontier.Returned{{Claim: first[0], Next: now.Add(time.Minute)}, {Claim: first[1]}})
	if err != nil || due.After(now.Add(time.Minute)) {
		t.Fatalf("Return: %v, %v", due, err)
	}
	if _, err := b.Take(ctx, first[0], now, 1, 1); !errors.Is(err, frontier.ErrStale) {
		t.Fatalf("Take with a claim given back: %v, want ErrStale", err)
	}
	if err := b.Untake(ctx, first[0], nil); !errors.Is(err, frontier.ErrStale) {
		t.Fatalf("Untake with a claim given back: %v, want ErrStale", err)
	}
	if _, err := b.Return(ctx, []frontier.Returned{{Claim: first[0]}}); err != nil {
		t.Fatalf("Return of a claim given back: %v", err)
	}
	third, next, err := b.Claim(ctx, time.Time{}, frontier.Never, 100)
	want := fmt.Sprint([]string{hostName(1), hostName(8), hostName(9), hostName(0)})
	if got := fmt.Sprint(names(third)); err != nil || got != want || !next.Equal(frontier.Never) {
		t.Fatalf("%v, next %v, %v; want %v, no next", got, next, err, want)
	}
	if c := third[3]; !c.Next.Equal(now.Add(time.Minute)) || c.Token == first[0].Token {
		t.Fatalf("%+v, want the next start told and a new token", c)
	}
	if taken, err := b.Take(ctx, third[3], now, 100, 1); err != nil || len(taken.Requests) != 3 {
		t.Fatalf("%+v, %v; want all 3", taken, err)
	}
	if err := b.Check(ctx); err != nil {
		t.Error(err)
	}
}

func names(claims []frontier.Claim) (names []string) {
	for _, c := range claims {
		names = append(names, c.Host)
	}
	return names
}
