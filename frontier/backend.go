package frontier

import (
	"context"
	"time"
)

// Backend keeps what a Frontier schedules: hosts, their queues, and which URLs were ever added. Users hold a
// *Frontier; a Backend only stores. Package frontiertest proves one.
//
// A Backend never hands out a request twice: each is waiting, taken, or done. It may serve several
// processes, so a host is claimed before requests are taken from it, and a claim carries a token: when a
// claim has expired and somebody else has the host, calls with the old token fail with ErrStale. A backend
// that belongs to one process may keep claims and what was taken in memory; then everything taken waits again
// when it is next opened.
//
// All methods may be called at once from many goroutines, except that one claim is never used by two calls of
// Take at the same time, and Claim is not called twice at the same time. Requests, once returned, are the caller's.
type Backend interface {
	// Claim hands out up to n hosts that nobody has claimed and that have requests waiting, those due first
	// first, which are due before the time before; and tells when the first of the others is due, Never if
	// there is none. A host is due when its next start, its block and the NotBefore of its first request are past; a closed
	// host at once; a paused one, if it is not closed, never.
	// No unclaimed host is due before from: a hint where to begin. The zero time says nothing.
	Claim(ctx context.Context, from, before time.Time, n int) (claims []Claim, next time.Time, err error)

	// Take hands out up to n requests of the claimed host, but no more than its share of them (rounded up): those with a
	// NotBefore that has come at now, earliest first, then the others by priority, oldest first. None of them was dropped.
	Take(ctx context.Context, c Claim, now time.Time, n, share int) (Taken, error)

	// Drop drops some requests of the claimed host, if it is closed: about n of those that wait, or all if that is as cheap, none
	// that is taken. What a host drops that is closed for something that Keeps is kept, and what is added to it then as well;
	// it waits again, as it did, as soon as Apply changes what the host is closed for. Like Take it is not called twice at the
	// same time for one claim. It is durable.
	Drop(ctx context.Context, c Claim, n int) (Dropped, error)

	// Untake lets requests wait again, in front of those behind them.
	Untake(ctx context.Context, c Claim, at []Position) error

	// Apply makes one atomic and durable change: it remembers b.Hosts, what they are closed for as Closure.Then says, ends what
	// is in b.Done, puts back what is in b.Retry, queues b.Again, and adds what is new in b.Add. The batch has been checked;
	// Leased.Position tells where a leased request is, Leased.Token with which claim it was taken: a batch with claims that are
	// lost is refused with a *StaleError. On an error nothing has changed.
	Apply(ctx context.Context, b *Batch) (Committed, error)

	// Return gives claims up; nothing is taken of their hosts any more. It tells when the first of the
	// hosts with requests waiting is due, or Never.
	Return(ctx context.Context, hosts []Returned) (next time.Time, err error)

	// Lifetime is how long a claim holds after Claim or Renew. 0: until Return or Close; such a Backend belongs to one
	// Frontier alone, and what it hands out is nobody else's.
	Lifetime() time.Duration

	// Closed tells of hosts that are closed, about n of them. from is 0, and then the next of the call before, which is 0 after
	// the last of them.
	Closed(ctx context.Context, from uint64, n int) (hosts []ClosedHost, next uint64, err error)

	// Renew makes claims hold for another Lifetime and returns them as they are now, with what others have changed of the
	// hosts. A claim that is lost is missing.
	Renew(ctx context.Context, claims []Claim) ([]Claim, error)

	// Reap ends the claims that have expired: what was taken waits again.
	Reap(ctx context.Context) error

	// Stats counts what is stored; Leased is part of Waiting here. Its cost does not grow with what is stored.
	Stats(ctx context.Context) (Stats, error)

	// Lookup tells what is known of a URL of a host.
	Lookup(ctx context.Context, host, url string) (Status, error)

	// Check reads everything and joins what contradicts itself.
	Check(ctx context.Context) error

	// Close gives back all claims that this Backend made and marks the end as clean.
	Close() error
}

// Never is the time after all others: nothing is due.
var Never = time.Unix(1<<40, 0)

// Claim is a host of which this process may take requests.
type Claim struct {
	Host  string
	Token uint64 // fences off calls that come after the claim was lost

	Delay   time.Duration // last HostChange.Delay, as given
	Next    time.Time     // earliest next start, by the last Return
	Blocked time.Time     // no start before, by HostChange.BlockedUntil
	Last    time.Time     // the host may have been asked as late as this: who had it last died at work; zero: Next tells all
	Expires time.Time     // by this machine's clock; zero: never
	Paused  bool          // last HostChange.Paused
	Closed  Closure       // last HostChange.Closed
	Usage   Usage
}

// Dropped is what Drop dropped.
type Dropped struct {
	Dropped int     // requests
	Closed  Closure // what for
	More    bool    // requests were left that wait
}

// ClosedHost is a host that is closed.
type ClosedHost struct {
	Host   string
	Closed Closure
	Usage  Usage
}

// Returned is a host given back.
type Returned struct {
	Claim Claim
	Next  time.Time // earliest next start; zero: any time, nothing to remember
}

// Taken is what Take hands out.
type Taken struct {
	Requests []Queued
	More     bool      // requests were left
	Ready    time.Time // when the first of those left can be taken; not after now: at once
}

// Queued is a request and where the backend keeps it.
type Queued struct {
	Request
	Position Position
}

// Position is where a backend keeps a request: opaque to all but the backend that made it.
type Position [3]uint64
