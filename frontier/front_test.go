package frontier_test

import (
	"errors"
	"math"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/orbweaver/orbweaver/frontier"
	"github.com/orbweaver/orbweaver/frontier/memfrontier"
)

// TestFrontOfAnySize: however many hosts may be in memory, they come there many at a time.
func TestFrontOfAnySize(t *testing.T) {
	const hosts = 3000
	for _, front := range []int{hosts, math.MaxInt} {
		synctest.Test(t, func(t *testing.T) {
			b := &claimed{Backend: memfrontier.New()}
			f, err := frontier.New(b, frontier.Config{Front: front})
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			putHosts(t, f, hosts, 1)
			for range hosts {
				if _, err := f.Lease(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if b.calls > 10 {
				t.Errorf("Front %d: %d calls of Claim for %d hosts", front, b.calls, hosts)
			}
		})
	}
}

// TestPolicyMayAsk: a Policy may look at the Frontier that calls it.
func TestPolicyMayAsk(t *testing.T) {
	var f *frontier.Frontier
	calls := 0
	f, err := frontier.New(memfrontier.New(), frontier.Config{Policy: func(host string) frontier.Policy {
		calls++
		return frontier.Policy{MaxPages: int64(10 * f.Stats().Hosts)}
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	putHosts(t, f, 1, 1)
	l, err := f.Lease(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Lookup(t.Context(), l.Requests[0].Request); err != nil {
		t.Error(err)
	}
	if calls != 2 {
		t.Errorf("the Policy was asked %d times, want 2", calls)
	}
}

// TestPickedMeanwhile closes and opens the host that a Lease call has picked: a start that is not made is given back, with the address,
// and no start is made that was not paid for.
func TestPickedMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const delay = 10 * time.Second
		f, err := frontier.New(memfrontier.New(), frontier.Config{Rate: 1 / delay.Seconds(), AddressDelay: delay, PerHost: 2})
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		set := func(host string, closed frontier.Closure) {
			b := &frontier.Batch{Hosts: []frontier.HostChange{{Host: host, Closed: &closed}}}
			if _, err := f.Commit(t.Context(), b); err != nil {
				t.Fatal(err)
			}
		}
		lease := func() *frontier.Lease {
			t.Helper()
			l, err := f.Lease(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if !l.Address(netip.MustParseAddr("192.0.2.1")) {
				t.Fatalf("%s was leased when its address was not due", l.Host)
			}
			return l
		}
		put := func(host string, paths ...string) {
			for _, path := range paths {
				r := frontier.Request{URL: "https://" + host + path, Host: host}
				if _, err := f.Put(t.Context(), []frontier.Request{r}); err != nil {
					t.Fatal(err)
				}
			}
		}
		start := time.Now()
		put("a.example", "/1", "/2", "/3")
		first := lease()
		first.Started(time.Now())
		first.Answered(time.Now())

		// a.example is picked for its second request, and closed.
		if l, err := f.TryLease(t.Context(), func() { set("a.example", frontier.ClosedByCaller) }); l != nil || err != nil {
			t.Fatalf("%v, %v; want nothing of a host that is closed", l, err)
		}
		if n := f.Stats().Dropped; n != 0 {
			t.Errorf("%d dropped with the start of a lease", n)
		}
		put("b.example", "/1")
		if took := time.Since(start); took != delay {
			t.Errorf("picked after %v, want %v", took, delay)
		}
		// It is picked to be dropped, and opened.
		if l, err := f.TryLease(t.Context(), func() { set("a.example", frontier.NotClosed) }); l != nil || err != nil {
			t.Fatalf("%v, %v; want nothing without a start", l, err)
		}
		for n := range 3 {
			l := lease()
			if took, want := time.Since(start), time.Duration(n+1)*delay; took != want {
				t.Errorf("%s was leased after %v, want %v", l.Host, took, want)
			}
			l.Started(time.Now())
			l.Answered(time.Now())
			l.Release()
			if _, err := f.Commit(t.Context(), &frontier.Batch{Done: l.Requests}); err != nil {
				t.Fatal(err)
			}
		}
		first.Release()
		if _, err := f.Commit(t.Context(), &frontier.Batch{Done: first.Requests}); err != nil {
			t.Fatal(err)
		}
		if _, err := f.Lease(t.Context()); !errors.Is(err, frontier.ErrDone) {
			t.Errorf("Lease: %v, want ErrDone", err)
		}
	})
}
