package crawler

import "time"

// Events are functions that are told what happens in a crawl; nil ones are
// skipped. They are called by the workers, many at once, and should return
// soon: a worker waits for them.
type Events struct {
	// Leased: a worker was handed a host with some of its URLs.
	Leased func(LeasedEvent)
	// Fetched: a URL was fetched, or given up, and its result is on its way to
	// the store.
	Fetched func(FetchedEvent)
	// Retried: a try failed and another one will follow.
	Retried func(RetriedEvent)
	// LeftOut: a URL was found and will not be fetched. A duplicate is not
	// reported.
	LeftOut func(LeftOutEvent)
	// HandlerFailed: the handler returned an error or panicked.
	HandlerFailed func(HandlerFailedEvent)
	// Committed: a group of pages is durable.
	Committed func(CommittedEvent)
	// LoggedIn: a login to a site succeeded, or failed.
	LoggedIn func(LoginEvent)
	// Paused: no new request starts, for this cause, until Resumed has been told
	// for it. A job that was opened paused tells nothing. Commits wait for these
	// two.
	Paused func(PausedEvent)
	// Resumed: a cause of a pause is over.
	Resumed func(ResumedEvent)
	// Stopping: Crawler.Stop or Crawler.StopNow was called, here or through the
	// control socket.
	Stopping func(StoppingEvent)
}

// LeasedEvent tells of a host handed to a worker.
type LeasedEvent struct {
	Host string
	URLs int
}

// FetchedEvent tells of a URL that is done.
type FetchedEvent struct {
	URL      string
	FinalURL string // the target of a redirect, else URL
	Status   int    // 0: no response
	Depth    int
	Bytes    int64 // decoded body
	Links    int   // links found
	Items    int
	Attempts int
	Duration time.Duration
	Err      error // why there was no whole response; nil if there was
}

// RetriedEvent tells of a try that failed.
type RetriedEvent struct {
	URL     string
	Status  int   // 0: no response
	Err     error // nil if a status asked for the retry
	Attempt int   // tries made so far
	Next    time.Time
}

// LeftOutEvent tells of a URL that will not be fetched.
type LeftOutEvent struct {
	URL      string // canonical, or as it was found if it is no valid URL
	Referrer string // "" for seeds
	Reason   Reason
}

// HandlerFailedEvent tells of a handler's error or panic.
type HandlerFailedEvent struct {
	URL string
	Err error
}

// CommittedEvent tells of pages that are durable.
type CommittedEvent struct {
	Pages int
	Added int // URLs that were new to the frontier
	Known int // URLs that were not
	Took  time.Duration
}

// LoginEvent tells of a login (see Login).
type LoginEvent struct {
	Host     string    // whose page it was for
	Requests int       // that it took
	Err      error     // why it failed; nil: it succeeded
	Next     time.Time // when it is tried again, if it failed
}

// PausedEvent tells of a pause.
type PausedEvent struct {
	Cause PauseCause

	// Of PauseDisk: the directory whose disk it is, the bytes that are free there (-1:
	// unknown), those that are to stay free, and what could not be written; nil: no
	// write has failed yet.
	Dir     string
	Free    int64
	Reserve int64
	Err     error

	Until time.Time // of PauseProxies: when one is tried again; Err is why the last of them is out
}

// ResumedEvent tells of a pause's end.
type ResumedEvent struct {
	Cause PauseCause
}

// StoppingEvent tells of the run's coming end.
type StoppingEvent struct {
	Now bool // what is being fetched is given back to the frontier
}

// complete returns e without nil functions.
func (e Events) complete() Events {
	if e.Leased == nil {
		e.Leased = func(LeasedEvent) {}
	}
	if e.Fetched == nil {
		e.Fetched = func(FetchedEvent) {}
	}
	if e.Retried == nil {
		e.Retried = func(RetriedEvent) {}
	}
	if e.LeftOut == nil {
		e.LeftOut = func(LeftOutEvent) {}
	}
	if e.HandlerFailed == nil {
		e.HandlerFailed = func(HandlerFailedEvent) {}
	}
	if e.Committed == nil {
		e.Committed = func(CommittedEvent) {}
	}
	if e.LoggedIn == nil {
		e.LoggedIn = func(LoginEvent) {}
	}
	if e.Paused == nil {
		e.Paused = func(PausedEvent) {}
	}
	if e.Resumed == nil {
		e.Resumed = func(ResumedEvent) {}
	}
	if e.Stopping == nil {
		e.Stopping = func(StoppingEvent) {}
	}
	return e
}
