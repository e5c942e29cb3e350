package frontier

import (
	"fmt"
	"time"
)

// Stats counts URLs and hosts. Known == Waiting + Leased + Done + Dropped.
type Stats struct {
	Waiting int // queued
	Leased  int // handed out, and neither ended nor given back
	Done    int // ended by Batch.Done
	Dropped int // not fetched, and not to be, as their host was closed
	Known   int // all URLs ever added
	Hosts   int // all hosts ever heard of
	Paused  int // hosts that are paused
	Closed  int // hosts that are closed

	DroppedBy [MaxClosure + 1]int // Dropped by what the host was closed for
}

// Add adds d, which may be negative, to each counter.
func (s *Stats) Add(d *Stats) {
	s.Waiting += d.Waiting
	s.Leased += d.Leased
	s.Done += d.Done
	s.Dropped += d.Dropped
	s.Known += d.Known
	s.Hosts += d.Hosts
	s.Paused += d.Paused
	s.Closed += d.Closed
	for i, n := range d.DroppedBy {
		s.DroppedBy[i] += n
	}
}

// Drop counts n URLs, which wait no more or never did, as dropped by why.
func (s *Stats) Drop(why Closure, n int) {
	s.Dropped += n
	s.DroppedBy[why] += n
}

// State is where a URL is on its way.
type State int

// The states of a URL.
const (
	StateUnknown State = iota // never added
	StateWaiting              // queued
	StateLeased               // handed out, its end not committed
	StateDone                 // ended by Batch.Done or, if HostStatus.Dropped is not 0, perhaps dropped for good: which of them is not kept for each URL
	StateDropped              // kept, and handed out no more unless its host is opened, which is closed for something that Keeps
)

func (s State) String() string {
	switch s {
	case StateUnknown:
		return "unknown"
	case StateWaiting:
		return "waiting"
	case StateLeased:
		return "leased"
	case StateDone:
		return "done"
	case StateDropped:
		return "dropped"
	}
	return fmt.Sprintf("State(%d)", int(s))
}

// Status is what is known of a URL and its host.
type Status struct {
	State   State
	Request Request // as queued, when it waits, is leased, or was dropped and is kept

	Host HostStatus
}

// HostStatus is what is known of a host; the zero value if it was never heard of.
type HostStatus struct {
	Name    string        // "" if it was never heard of
	Delay   time.Duration // from start to start; a Backend gives the host's own wish only
	Next    time.Time     // no start before; zero: none
	Blocked time.Time     // no start before, by HostChange.BlockedUntil; zero: never blocked
	Paused  bool
	Closed  Closure
	Waiting int // requests that wait or are leased
	Dropped int // URLs that were dropped, those included that are kept
	Known   int // all URLs of the host ever added
	Usage   Usage
}
