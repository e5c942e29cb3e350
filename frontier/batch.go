package frontier

import "time"

// Batch is one atomic change: all of it is kept, or nothing.
type Batch struct {
	Done  []Leased     // fetched, or given up: never handed out again
	Retry []Leased     // go back, with the Request fields as the caller now set them (Attempt, NotBefore, ...); URL and Host must be as leased
	Again []Request    // known and done, or ended by this batch: they wait again, see below. What is not known is added
	Add   []Request    // those not known yet are queued
	Hosts []HostChange // what was learnt about hosts; it counts for the requests of this batch already

	// That those of Again are done, the caller vouches for, but it cannot know what a host has dropped. So of a host that is
	// closed, or that was opened and still has some of what it had kept, only those begin again that this batch ends. The others
	// stay as they are. Of any other host also those begin again that it has dropped for good.
}

// HostChange tells what was learnt about a host. A host that no request named before is remembered as well.
type HostChange struct {
	Host string

	// Delay is the host's own wish for the time from start to start (robots' Crawl-delay), replacing an earlier one.
	// The larger of it and Config.Delay counts, and no more of it than Config.MaxDelay. nil keeps the earlier one.
	Delay *time.Duration

	// BlockedUntil is the time before which no request of the host starts (Retry-After, back-off). The later
	// of it and an earlier one counts; the zero time keeps the earlier one.
	BlockedUntil time.Time

	// Paused tells whether requests of the host are held back: none of it is leased while they are. What is leased already may
	// be finished. nil keeps what was. The requests of a paused host wait, so the crawl does not end before they may go on.
	Paused *bool

	// Closed closes the host, until NotClosed opens it: then what it has kept waits again, and what else was dropped stays
	// dropped. A host that is closed already stays closed for what it was, if the new closure Keeps: see Closure.Then. What is
	// leased already may be finished, but not be put back. nil keeps what was. A Frontier closes a host itself when its Policy
	// says so, and opens those that were closed for less than its Policy allows before it hands out its first lease.
	Closed *Closure

	// Fetched and Bytes are added to the host's Usage, which Policy limits. A request counts as one page at most, in the Batch
	// that ends it. They are not negative.
	Fetched int64
	Bytes   int64
}

// Committed tells what a Batch changed.
type Committed struct {
	Added   int // requests of Add, and of Again, that were new and now wait
	Known   int // requests of Add that were known before, or stood in Add twice
	Again   int // requests of Again that now wait once more
	Dropped int // requests of Retry, Again and Add that are dropped, as their host is closed
	Hosts   int // hosts never heard of before

	// The rest is how a Backend tells the Frontier; callers of Commit need not look at it.

	Stats Stats   // by how much the counters have changed; Leased is part of Waiting
	Ready []Ready // hosts that got requests by Retry, Again, Add or Closed, or are due earlier than before, each once
	Usage []Used  // hosts whose Usage has changed, each once
}

// Ready tells from when on a host's requests can be taken.
type Ready struct {
	Host string
	At   time.Time // when the first of the new requests may be fetched as far as its NotBefore goes; zero: at once
	Due  time.Time // when an unclaimed host is due according to the backend (see Backend.Claim)
}

// Used tells what a host's Usage has become.
type Used struct {
	Host  string
	Usage Usage
}
