package frontiertest

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/orbweaver/orbweaver/frontier"
)

// mortal is a Backend whose owner can die: from then on it is not heard of any more.
type mortal struct {
	frontier.Backend
	dead atomic.Bool
}

var errDead = errors.New("this process is dead")

func (m *mortal) life() error {
	if m.dead.Load() {
		return errDead
	}
	return nil
}

func (m *mortal) Claim(ctx context.Context, from, before time.Time, n int) ([]frontier.Claim, time.Time, error) {
	if err := m.life(); err != nil {
		return nil, frontier.Never, err
	}
	return m.Backend.Claim(ctx, from, before, n)
}

func (m *mortal) Take(ctx context.Context, c frontier.Claim, now time.Time, n, share int) (frontier.Taken, error) {
	if err := m.life(); err != nil {
		return frontier.Taken{}, err
	}
	return m.Backend.Take(ctx, c, now, n, share)
}

func (m *mortal) Renew(ctx context.Context, claims []frontier.Claim) ([]frontier.Claim, error) {
	if err := m.life(); err != nil {
		return nil, err
	}
	return m.Backend.Renew(ctx, claims)
}

func (m *mortal) Return(ctx context.Context, hosts []frontier.Returned) (time.Time, error) {
	if err := m.life(); err != nil {
		return frontier.Never, err
	}
	return m.Backend.Return(ctx, hosts)
}

func (m *mortal) Close() error {
	if err := m.life(); err != nil {
		return err
	}
	return m.Backend.Close()
}

// join makes a Frontier of its own over what x has, which is closed at the end.
func (x *fixture) join() (*frontier.Frontier, *mortal) {
	x.Helper()
	if x.opened.Join == nil {
		x.Skip("the backend belongs to one Frontier")
	}
	m := &mortal{Backend: x.opened.Join().Backend}
	f, err := frontier.New(m, x.cfg)
	if err != nil {
		x.Fatal(err)
	}
	x.Cleanup(func() {
		if err := f.Close(); err != nil && !errors.Is(err, errDead) {
			x.Error(err)
		}
	})
	return f, m
}

// testExpire goes to the backend itself: a claim that is not renewed is lost, and all that is done with it refused.
func testExpire(t *testing.T, open opener) {
	o := open(t)
	if o.Join == nil {
		t.Skip("the backend belongs to one Frontier")
	}
	ctx := context.Background()
	a, b := o.Backend, o.Join().Backend
	life := a.Lifetime()
	if life <= 0 || b.Lifetime() != life {
		t.Fatalf("claims live for %v and %v", life, b.Lifetime())
	}
	if _, err := a.Apply(ctx, &frontier.Batch{Add: append(requests("a.example", 3), requests("b.example", 3)...)}); err != nil {
		t.Fatal(err)
	}
	first, _, err := a.Claim(ctx, time.Time{}, frontier.Never, 9)
	if err != nil || len(first) != 2 || !first[0].Expires.Equal(time.Now().Add(life)) {
		t.Fatalf("%+v, %v; want 2 claims that expire", first, err)
	}
	taken, err := a.Take(ctx, first[0], time.Now(), 2, 1)
	if err != nil || len(taken.Requests) != 2 {
		t.Fatalf("%+v, %v", taken, err)
	}
	others := func() []frontier.Claim {
		t.Helper()
		if err := b.Reap(ctx); err != nil {
			t.Fatal(err)
		}
		claims, _, err := b.Claim(ctx, time.Time{}, frontier.Never, 9)
		if err != nil {
			t.Fatal(err)
		}
		return claims
	}
	time.Sleep(life / 2)
	kept, err := a.Renew(ctx, first[1:])
	if err != nil || len(kept) != 1 || kept[0].Token != first[1].Token || !kept[0].Expires.Equal(time.Now().Add(life)) {
		t.Fatalf("Renew: %+v, %v", kept, err)
	}
	if claims := others(); len(claims) != 0 {
		t.Fatalf("%v claimed by two", names(claims))
	}
	time.Sleep(life / 2)
	second := others()
	if len(second) != 1 || second[0].Host != first[0].Host || second[0].Token == first[0].Token {
		t.Fatalf("%+v; want the host whose claim has expired", second)
	}
	if at := second[0].Last; !at.Equal(first[0].Expires) {
		t.Errorf("the host may have been asked until %v, want %v", at, first[0].Expires)
	}
	if again, err := b.Take(ctx, second[0], time.Now(), 9, 1); err != nil || len(again.Requests) != 3 || again.Requests[0].URL != taken.Requests[0].URL {
		t.Errorf("%+v, %v; want all of it", again, err)
	}
	for what, err := range map[string]error{
		"Take":   func() error { _, err := a.Take(ctx, first[0], time.Now(), 1, 1); return err }(),
		"Drop":   func() error { _, err := a.Drop(ctx, first[0], 1); return err }(),
		"Untake": a.Untake(ctx, first[0], nil),
	} {
		if !errors.Is(err, frontier.ErrStale) {
			t.Errorf("%s with a lost claim: %v, want ErrStale", what, err)
		}
	}
	if kept, err := a.Renew(ctx, first); err != nil || len(kept) != 1 || kept[0].Host != first[1].Host {
		t.Errorf("Renew of a lost claim and another: %+v, %v", kept, err)
	}
	// Who closes gives back what is theirs alone.
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	if third := others(); len(third) != 1 || third[0].Host != first[1].Host {
		t.Errorf("%v after the other has closed, want %s", names(third), first[1].Host)
	}
	if err := b.Check(ctx); err != nil {
		t.Error(err)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
}

// testShared crawls with three Frontiers over one state, of which one dies at work: hosts are asked politely, what was
// committed is fetched once, nothing is lost, and the end comes to both survivors when there is nothing left.
func testShared(t *testing.T, open opener) {
	const delay = 2 * time.Second
	w := tree{hosts: 12, pages: 30}
	x := newFixture(t, open, frontier.Config{Delay: delay, Front: 8})
	p := &politeWorld{delay: delay, last: make(map[string]time.Time), busy: make(map[string]int)}
	second, _ := x.join()
	third, mortal := x.join()
	x.put(w.request(0, 0))
	var mu sync.Mutex
	committed := make(map[string]int)
	var refused int
	var leases atomic.Int32 // of the third
	crawl := func(f *frontier.Frontier, dead *atomic.Bool) error {
		for {
			l, err := f.Lease(context.Background())
			if err != nil {
				return err
			}
			if dead.Load() {
				return errDead
			}
			l.Started(time.Now())
			p.ask(l.Host, 300*time.Millisecond)
			l.Answered(time.Now())
			if f == third && leases.Add(1) == 5 {
				mortal.dead.Store(true)
			}
			if dead.Load() { // it comes back to life when its claims are somebody else's
				time.Sleep(2 * x.opened.Backend.Lifetime())
			}
			b := frontier.Batch{Done: l.Requests}
			for _, r := range l.Requests {
				b.Add = append(b.Add, w.links(r.Request)...)
			}
			l.Release()
			_, err = f.Commit(context.Background(), &b)
			mu.Lock()
			switch {
			case err == nil && dead.Load():
				t.Errorf("a dead process ended %s", b.Done[0].URL)
			case err == nil:
				committed[b.Done[0].URL]++
			case errors.Is(err, frontier.ErrStale):
				refused++
				if !b.Done[0].Lost() {
					t.Errorf("%s was refused as stale and is not lost", b.Done[0].URL)
				}
			default:
				t.Error(err)
			}
			mu.Unlock()
		}
	}
	var all sync.WaitGroup
	var ends [2]time.Time
	var alive atomic.Bool
	for i, f := range []*frontier.Frontier{x.Frontier, second, third} {
		dead := &alive
		if f == third {
			dead = &mortal.dead
		}
		for range 4 {
			all.Go(func() {
				err := crawl(f, dead)
				mu.Lock()
				defer mu.Unlock()
				switch {
				case f == third && (errors.Is(err, errDead) || errors.Is(err, frontier.ErrDone)):
				case !errors.Is(err, frontier.ErrDone):
					t.Errorf("Frontier %d: %v", i, err)
				default:
					ends[i] = time.Now()
				}
			})
		}
	}
	all.Wait()
	for _, wrong := range p.wrong {
		t.Error(wrong)
	}
	for url, n := range committed {
		if n != 1 {
			t.Errorf("%s was committed %d times", url, n)
		}
	}
	n := w.hosts * w.pages
	if len(committed) != n {
		t.Errorf("%d pages were committed, want %d", len(committed), n)
	}
	if refused == 0 {
		t.Error("nothing was leased when the third died: this proves nothing")
	}
	if apart := ends[0].Sub(ends[1]).Abs(); apart > 2*time.Second {
		t.Errorf("the ends came %v apart", apart)
	}
	for _, f := range []*frontier.Frontier{x.Frontier, second} {
		if s := f.Stats(); s != (frontier.Stats{Done: n, Known: n, Hosts: w.hosts}) {
			t.Errorf("%+v", s)
		}
		if err := f.Check(context.Background()); err != nil {
			t.Error(err)
		}
	}
}

// testSharedChanges proves that one Frontier learns what another has committed: requests, pauses, closed hosts.
func testSharedChanges(t *testing.T, open opener) {
	x := newFixture(t, open, frontier.Config{LeaseSize: 1})
	other, _ := x.join()
	life := x.opened.Backend.Lifetime()
	ctx := context.Background()
	if _, err := other.Put(ctx, requests("a.example", 5)); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	l := x.lease() // which had never heard of it
	if waited := time.Since(start); waited > time.Second {
		t.Errorf("waited %v for what another put", waited)
	}
	for i, change := range []frontier.HostChange{
		{Host: "a.example", Paused: new(true)},
		{Host: "a.example", Paused: new(false)},
		{Host: "a.example", Closed: new(frontier.ClosedByCaller)},
	} {
		if _, err := other.Commit(ctx, &frontier.Batch{Hosts: []frontier.HostChange{change}}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(life / 2)
		if revoked := l.Revoked(); revoked != (i != 1) {
			t.Errorf("%+v of another: revoked is %t", change, revoked)
		}
	}
	if _, err := other.Lease(timeout(t, life)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v; want to wait, as something is leased elsewhere", err)
	}
	ended := make(chan error)
	go func() {
		_, err := other.Lease(ctx)
		ended <- err
	}()
	x.fetch(l)
	x.finished()
	if err := <-ended; !errors.Is(err, frontier.ErrDone) {
		t.Errorf("%v, want ErrDone", err)
	}
	if s := other.Stats(); s != dropStats(frontier.Stats{Done: 1, Known: 5, Hosts: 1}, frontier.ClosedByCaller, 4) {
		t.Errorf("%+v", s)
	}
}

// testRenewedMeanwhile renews a claim between the moments when a commit is applied and when the Frontier is told: its bytes count once.
func testRenewedMeanwhile(t *testing.T, open opener) {
	x := newFixture(t, open, frontier.Config{LeaseSize: 1, Policy: func(string) frontier.Policy {
		return frontier.Policy{MaxBytes: 100}
	}})
	life := x.opened.Backend.Lifetime()
	if life == 0 {
		t.Skip("claims need not be renewed")
	}
	x.put(requests("a.example", 3)...)
	l := x.lease()
	l.Received(60)
	page := frontier.Batch{Done: l.Requests, Hosts: []frontier.HostChange{{Host: "a.example", Fetched: 1, Bytes: 60}}}
	_, err := x.CommitWith(&page, func(b *frontier.Batch) (frontier.Committed, error) {
		c, err := x.opened.Backend.Apply(context.Background(), b)
		time.Sleep(life)
		if l.Revoked() {
			t.Error("revoked by 60 bytes of 100")
		}
		return c, err
	})
	if err != nil {
		t.Fatal(err)
	}
	l.Release()
	x.page(x.lease(), 60)
	x.finished()
	x.stats(dropStats(frontier.Stats{Done: 2, Known: 3, Hosts: 1}, frontier.ClosedBytes, 1))
}

func timeout(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}
