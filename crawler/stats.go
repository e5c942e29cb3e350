package crawler

import (
	"maps"
	"sync"
	"time"

	"github.com/orbweaver/orbweaver/frontier"
)

// Stats are the figures of a job, and of the run that is under way, if one is.
type Stats struct {
	// Of the whole job, as of the last commit.
	Fetched   int64            `json:"fetched"`    // responses stored, of any status
	Failed    int64            `json:"failed"`     // URLs given up without a response
	Retried   int64            `json:"retried"`    // tries that were followed by another
	Items     int64            `json:"items"`      // emitted by handlers
	Bytes     int64            `json:"bytes"`      // of bodies, decoded
	WireBytes int64            `json:"wire_bytes"` // of bodies, as transferred
	Statuses  map[int]int64    `json:"statuses"`   // responses by status
	Errors    map[string]int64 `json:"errors"`     // results with an error, by its class
	LeftOut   map[Reason]int64 `json:"left_out"`   // URLs found and not fetched, counted once for each page that leads there

	// Of logins (see Login).
	Logins        int64 `json:"logins,omitempty"`         // that succeeded
	LoginFailures int64 `json:"login_failures,omitempty"` // that did not
	LoginRequests int64 `json:"login_requests,omitempty"` // made by both

	// Of the round under way, or the last one: see Config.Recrawl.
	Round   int              `json:"round"`             // its number, from 1
	Changes map[string]int64 `json:"changes,omitempty"` // what revisits found: "new", "changed", "unchanged", "gone"

	// Of the frontier, now.
	Waiting  int64 `json:"waiting"`            // URLs to be fetched
	Revisits int64 `json:"revisits,omitempty"` // about how many of those were visited already, and wait for their time: see Config.Revisit
	Leased   int64 `json:"leased"`             // URLs that workers have in hand
	Known    int64 `json:"known"`              // URLs ever added
	Hosts    int64 `json:"hosts"`              // hosts ever seen

	PausedHosts int64 `json:"paused_hosts"` // hosts held back by a HostChange

	// Paused is since when the job is paused by Crawler.Pause; zero: it is not.
	Paused time.Time `json:"paused,omitzero"`

	// Disk is what the job takes of its disk, and what is left there.
	Disk Disk `json:"disk"`

	// Of the run. Zero for a job at rest.
	RunFetched int64         `json:"run_fetched"`
	RunFailed  int64         `json:"run_failed"`
	Started    time.Time     `json:"started,omitzero"`
	Elapsed    time.Duration `json:"elapsed_ns"`
	Rate       float64       `json:"rate"`         // pages a second over the last ten seconds
	InFlight   int64         `json:"in_flight"`    // URLs that are being fetched or handled
	Due        time.Time     `json:"due,omitzero"` // when the next host may be asked, of a job at rest too; zero: unknown, or nothing waits

	// Proxies are those of Config.Proxies, in their order.
	Proxies []ProxyStats `json:"proxies,omitempty"`

	Cache CacheStats `json:"cache,omitzero"` // what came from Config.Cache

	// Problems are the first seeds that led nowhere, a line each, with the way
	// out.
	Problems []string `json:"problems,omitempty"`
}

// Ending says why a run ended.
type Ending string

const (
	Done      Ending = "done"      // nothing is waiting
	MaxPages  Ending = "max-pages" // Config.MaxPages was reached
	MaxBytes  Ending = "max-bytes" // Config.MaxBytes was reached
	MaxTime   Ending = "max-time"  // Config.MaxTime was reached
	Stopped   Ending = "stopped"   // Crawler.Stop was called
	Cancelled Ending = "cancelled" // the context given to Run ended, or Close was called
	Failed    Ending = "failed"    // Run returns an error
)

// Summary is what a run came to.
type Summary struct {
	Stats
	Ended Ending `json:"ended"`
}

// counters are what a job counts over its whole life.
type counters struct {
	sums
	Statuses map[int]int64    `json:"statuses"`
	Errors   map[string]int64 `json:"errors"`
	LeftOut  map[Reason]int64 `json:"left_out"`
	Changes  map[string]int64 `json:"changes,omitempty"` // of the round
}

// sums are those that are one number each.
type sums struct {
	Fetched   int64 `json:"fetched"`
	Failed    int64 `json:"failed"`
	Retried   int64 `json:"retried"`
	Items     int64 `json:"items"`
	Bytes     int64 `json:"bytes"`
	WireBytes int64 `json:"wire_bytes"`
	Revisits  int64 `json:"revisits,omitempty"` // planned and not made

	Logins        int64 `json:"logins,omitempty"`
	LoginFailures int64 `json:"login_failures,omitempty"`
	LoginRequests int64 `json:"login_requests,omitempty"`
}

func (n *sums) add(d *sums) {
	n.Fetched += d.Fetched
	n.Failed += d.Failed
	n.Retried += d.Retried
	n.Items += d.Items
	n.Bytes += d.Bytes
	n.WireBytes += d.WireBytes
	n.Revisits += d.Revisits
	n.Logins += d.Logins
	n.LoginFailures += d.LoginFailures
	n.LoginRequests += d.LoginRequests
}

// tally is what a change adds to the counters. There is one for each page, so it does
// without maps: a page has one status, and leaves out links for a reason or two.
type tally struct {
	sums
	statuses few[int]
	errors   few[string]
	leftOut  few[Reason]
	changes  few[string]
}

func (t *tally) add(d *tally) {
	t.sums.add(&d.sums)
	t.statuses.addAll(d.statuses)
	t.errors.addAll(d.errors)
	t.leftOut.addAll(d.leftOut)
	t.changes.addAll(d.changes)
}

func (n *counters) add(t *tally) {
	n.sums.add(&t.sums)
	n.Statuses = t.statuses.addTo(n.Statuses)
	n.Errors = t.errors.addTo(n.Errors)
	n.LeftOut = t.leftOut.addTo(n.LeftOut)
	n.Changes = t.changes.addTo(n.Changes)
}

// few counts what has few different values.
type few[K comparable] []occurrence[K]

type occurrence[K comparable] struct {
	key   K
	times int64
}

func (f *few[K]) add(key K, times int64) {
	for i := range *f {
		if (*f)[i].key == key {
			(*f)[i].times += times
			return
		}
	}
	*f = append(*f, occurrence[K]{key, times})
}

func (f *few[K]) addAll(d few[K]) {
	for _, n := range d {
		f.add(n.key, n.times)
	}
}

// addTo adds f to a map, and returns it, or a new one for nil.
func (f few[K]) addTo(m map[K]int64) map[K]int64 {
	if m == nil {
		m = make(map[K]int64)
	}
	for _, n := range f {
		m[n.key] += n.times
	}
	return m
}

// clone returns a copy that shares nothing with n.
func (n *counters) clone() counters {
	c := *n
	c.Statuses = maps.Clone(n.Statuses)
	c.Errors = maps.Clone(n.Errors)
	c.LeftOut = maps.Clone(n.LeftOut)
	c.Changes = maps.Clone(n.Changes)
	return c
}

func (n *counters) stats() Stats {
	c := n.clone()
	return Stats{
		Fetched: c.Fetched, Failed: c.Failed, Retried: c.Retried, Items: c.Items,
		Bytes: c.Bytes, WireBytes: c.WireBytes,
		Logins: c.Logins, LoginFailures: c.LoginFailures, LoginRequests: c.LoginRequests,
		Statuses: c.Statuses, Errors: c.Errors, LeftOut: c.LeftOut, Changes: c.Changes,
		Revisits: c.Revisits,
	}
}

func (s *Stats) setQueue(q frontier.Stats) {
	s.leaveOutDropped(q)
	s.Waiting, s.Leased, s.Known, s.Hosts = int64(q.Waiting), int64(q.Leased), int64(q.Known), int64(q.Hosts)
	s.PausedHosts = int64(q.Paused)
	// What was dropped, as its host was closed, is counted nowhere by its kind.
	s.Revisits = min(max(s.Revisits, 0), s.Waiting+s.Leased)
}

// meter counts events over the last rateWindow seconds.
type meter struct {
	mu      sync.Mutex
	slots   [rateWindow]int64
	seconds [rateWindow]int64 // which second each slot counts
}

const rateWindow = 10

func (m *meter) count(now time.Time, n int64) {
	s := now.Unix()
	i := s % rateWindow
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.seconds[i] != s {
		m.seconds[i], m.slots[i] = s, 0
	}
	m.slots[i] += n
}

// rate is the events a second since started, over the window at most. The
// second under way is left out, as it is not over.
func (m *meter) rate(started, now time.Time) float64 {
	span := min(now.Sub(started).Seconds(), rateWindow-1)
	if span <= 0 {
		return 0
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var total int64
	for i, s := range m.seconds {
		if age := now.Unix() - s; age > 0 && age < rateWindow {
			total += m.slots[i]
		}
	}
	return float64(total) / span
}
