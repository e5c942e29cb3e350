package frontiertest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/orbweaver/orbweaver/frontier"
)

// Opened is a backend under test, with which the suite does as it likes.
type Opened struct {
	Backend frontier.Backend

	// Restart opens what Backend keeps once more, after Backend was closed. nil: it keeps nothing.
	Restart func() *Opened

	// Join opens another Backend over the same state, which a Frontier of its own works on at the same time. nil: the Backend
	// belongs to one Frontier. The claims of both expire.
	Join func() *Opened

	// Crash opens what would be left if the process were killed now; Backend is not used after it. nil: nothing would.
	Crash func() *Opened
}

// Run tests the backends that open returns, each of them empty.
func Run(t *testing.T, open func(t testing.TB) *Opened) {
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { test.run(t, open) })
		})
	}
}

type opener func(t testing.TB) *Opened

var tests = []struct {
	name string
	run  func(*testing.T, opener)
}{
	{"Dedup", testDedup},
	{"Fields", testFields},
	{"Order", testOrder},
	{"NotBefore", testNotBefore},
	{"Limits", testLimits},
	{"Delay", testDelay},
	{"Answered", testAnswered},
	{"HostDelay", testHostDelay},
	{"Adaptive", testAdaptive},
	{"Blocked", testBlocked},
	{"BlockedForEver", testBlockedForEver},
	{"PerHost", testPerHost},
	{"PerHostDelay", testPerHostDelay},
	{"DelayLearnt", testDelayLearnt},
	{"Rate", testRate},
	{"Release", testRelease},
	{"FailedCommit", testFailedCommit},
	{"NotLeased", testNotLeased},
	{"Share", testShare},
	{"Starved", testStarved},
	{"Hold", testHold},
	{"Close", testClose},
	{"Cancel", testCancel},
	{"Workers", testWorkers},
	{"Turns", testTurns},
	{"Fair", testFair},
	{"Addresses", testAddresses},
	{"AddressRestart", testAddressRestart},
	{"SmallFront", testSmallFront},
	{"SmallFrontDelay", testSmallFrontDelay},
	{"Paused", testPaused},
	{"Closed", testClosed},
	{"ClosedTwice", testClosedTwice},
	{"ChangesInOrder", testChangesInOrder},
	{"OpenedLate", testOpenedLate},
	{"DropHuge", testDropHuge},
	{"MaxPages", testMaxPages},
	{"MaxBytes", testMaxBytes},
	{"BytesInAnyOrder", testBytesInAnyOrder},
	{"Huge", testHuge},
	{"MaxTime", testMaxTime},
	{"Raised", testRaised},
	{"RaisedMany", testRaisedMany},
	{"Opened", testOpened},
	{"Policy", testPolicy},
	{"Again", testAgain},
	{"Lookup", testLookup},
	{"Restart", testRestart},
	{"Crash", testCrash},
	{"CrashKeepsBlocks", testCrashKeepsBlocks},
	{"Claims", testClaims},
	{"Expire", testExpire},
	{"Shared", testShared},
	{"SharedChanges", testSharedChanges},
	{"RenewedMeanwhile", testRenewedMeanwhile},
	{"Model", testModel},
}

var errTest = errors.New("failure made by the test")

// fixture is a Frontier under test.
type fixture struct {
	testing.TB
	*frontier.Frontier
	cfg    frontier.Config
	opened *Opened
	ended  bool
}

func newFixture(t testing.TB, open opener, cfg frontier.Config) *fixture {
	t.Helper()
	x := &fixture{TB: t, cfg: cfg}
	x.start(open(t))
	return x
}

// start makes a Frontier of o. The last one started is checked and closed at the end, before the cleanups of the backends.
func (x *fixture) start(o *Opened) {
	x.Helper()
	f, err := frontier.New(o.Backend, x.cfg)
	if err != nil {
		x.Fatal(err)
	}
	x.opened, x.Frontier = o, f
	x.Cleanup(x.end)
	if err := f.Check(context.Background()); err != nil {
		x.Fatal(err)
	}
}

func (x *fixture) end() {
	if x.ended {
		return
	}
	x.ended = true
	if err := x.Check(context.Background()); err != nil && !errors.Is(err, frontier.ErrClosed) {
		x.Error(err)
	}
	if err := x.Close(); err != nil {
		x.Error(err)
	}
}

// restart closes the Frontier and opens it again; skips the test of a backend that cannot.
func (x *fixture) restart() {
	x.Helper()
	if x.opened.Restart == nil {
		x.Skip("the backend keeps nothing")
	}
	if err := x.Close(); err != nil {
		x.Fatal(err)
	}
	x.start(x.opened.Restart())
}

// crash opens the Frontier again without closing it.
func (x *fixture) crash() {
	x.Helper()
	if x.opened.Crash == nil {
		x.Skip("the backend does not survive its process")
	}
	x.start(x.opened.Crash())
}

func (x *fixture) put(reqs ...frontier.Request) int {
	x.Helper()
	n, err := x.Put(context.Background(), reqs)
	if err != nil {
		x.Fatal(err)
	}
	return n
}

func (x *fixture) commit(b *frontier.Batch) frontier.Committed {
	x.Helper()
	c, err := x.Commit(context.Background(), b)
	if err != nil {
		x.Fatal(err)
	}
	return c
}

// lease waits for a lease, for an hour at most.
func (x *fixture) lease() *frontier.Lease {
	x.Helper()
	l, err := x.try(time.Hour)
	if err != nil {
		x.Fatalf("Lease: %v", err)
	}
	return l
}

func (x *fixture) try(wait time.Duration) (*frontier.Lease, error) {
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	return x.Lease(ctx)
}

// idle fails if a host is due within the time.
func (x *fixture) idle(wait time.Duration) {
	x.Helper()
	if l, err := x.try(wait); !errors.Is(err, context.DeadlineExceeded) {
		x.Fatalf("Lease within %v: %v, %v; want none", wait, l, err)
	}
}

// finished fails if the crawl is not over.
func (x *fixture) finished() {
	x.Helper()
	if l, err := x.try(time.Nanosecond); !errors.Is(err, frontier.ErrDone) {
		x.Fatalf("Lease: %v, %v; want ErrDone", l, err)
	}
}

// fetch starts, answers and commits all requests of a lease at once, and releases it.
func (x *fixture) fetch(l *frontier.Lease) {
	x.Helper()
	for range l.Requests {
		l.Started(time.Now())
		l.Answered(time.Now())
	}
	l.Release()
	x.commit(&frontier.Batch{Done: l.Requests})
}

func (x *fixture) stats(want frontier.Stats) {
	x.Helper()
	if got := x.Stats(); got != want {
		x.Fatalf("Stats %+v, want %+v", got, want)
	}
}

func request(host string, n int) frontier.Request {
	return frontier.Request{URL: fmt.Sprintf("https://%s/page/%d", host, n), Host: host}
}

func requests(host string, n int) []frontier.Request {
	reqs := make([]frontier.Request, n)
	for i := range reqs {
		reqs[i] = request(host, i)
	}
	return reqs
}

func hostName(n int) string { return fmt.Sprintf("host%05d.example", n) }
