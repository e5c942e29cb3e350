package frontiertest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/orbweaver/orbweaver/frontier"
)

// testModel does random things to a Frontier and to a model of it, and compares them.
func testModel(t *testing.T, open opener) {
	steps := 600
	if testing.Short() {
		steps = 100
	}
	for i, cfg := range []frontier.Config{
		{Delay: time.Second},
		{LeaseSize: 4},
		{Delay: time.Second, Front: 2},
		{LeaseSize: 3, Front: 1},
		{Delay: 20 * time.Millisecond, MaxDelay: 3 * time.Second, Front: 3},
		{LeaseSize: 4, Policy: modelPolicy},
		{Delay: time.Second, Front: 2, Policy: modelPolicy},
	} {
		for seed := range uint64(4) {
			m := newModel(t, open, cfg, seed<<8|uint64(i))
			for m.step = range steps {
				m.act()
			}
			m.finish()
		}
	}
}

// modelPolicy limits the pages of some hosts, to begin with, and gives one a delay of its own.
func modelPolicy(host string) frontier.Policy {
	switch host {
	case hostName(0):
		return frontier.Policy{MaxPages: 20}
	case hostName(1):
		return frontier.Policy{Delay: -1}
	case hostName(2):
		return frontier.Policy{Delay: 3 * time.Second, MaxPages: 7}
	}
	return frontier.Policy{}
}

// model is what a Frontier with one worker a host should do. Where a crash or an eviction leaves it some freedom, a time is given by
// its bounds.
type model struct {
	*fixture
	random *rand.Rand
	seed   uint64
	step   int

	urls   map[string]*modelURL
	hosts  map[string]*modelHost
	leases []*modelLease
	floor  time.Time
	seq    int
	raised int64 // what budgets of pages have more than at the beginning
	fresh  bool  // the next lease is the first one after a start with closed hosts
}

type modelURL struct {
	frontier.Request
	seq     int // place among those of its host and priority
	state   frontier.State
	dropped bool // done, in a way
	kept    bool // dropped until its host is opened
}

type modelHost struct {
	name           string
	delay          time.Duration // wish
	blocked        time.Time
	earliest, last time.Time // bounds of the next start by politeness
	at             time.Time // latest start; zero: none since the last reopening
	lease          *modelLease

	paused   bool
	closed   frontier.Closure
	reopened bool // with some of what it kept, and that still waits
	dropped  int
	pages    int64
	maxPages int64
	out      int // requests leased and not ended
}

// over reports whether what waits of the host is dropped sooner or later.
func (h *modelHost) over() bool {
	return h.closed != frontier.NotClosed || h.maxPages > 0 && h.pages >= h.maxPages
}

// room is how many requests more may be leased.
func (h *modelHost) room() int {
	if h.maxPages == 0 {
		return 1 << 20
	}
	return int(h.maxPages-h.pages) - h.out
}

type modelLease struct {
	*frontier.Lease
	host     *modelHost
	open     []frontier.Leased // not ended
	released bool
	at       time.Time // its latest start
}

func newModel(t *testing.T, open opener, cfg frontier.Config, seed uint64) *model {
	m := &model{
		seed: seed, random: rand.New(rand.NewPCG(seed, 77)),
		urls: make(map[string]*modelURL), hosts: make(map[string]*modelHost),
	}
	if first := cfg.Policy; first != nil {
		cfg.Policy = func(host string) frontier.Policy {
			p := first(host)
			if p.MaxPages > 0 {
				p.MaxPages += m.raised
			}
			return p
		}
	}
	m.fixture = newFixture(t, open, cfg)
	return m
}

func (m *model) fail(format string, args ...any) {
	m.Helper()
	m.Fatalf("seed %#x, step %d: %s", m.seed, m.step, fmt.Sprintf(format, args...))
}

func (m *model) act() {
	switch n := m.random.IntN(100); {
	case n < 20:
		m.commitSome(true)
	case n < 55:
		m.leaseOne()
	case n < 70:
		m.startOne()
	case n < 85:
		m.commitSome(false)
	case n < 93:
		m.releaseOne()
	case n < 97:
		time.Sleep(time.Duration(m.random.IntN(1500)) * time.Millisecond)
	case n < 98 && m.opened.Restart != nil:
		m.reopen(m.restart, false)
	case n < 99 && m.opened.Crash != nil:
		m.reopen(m.crash, true)
	}
	m.compare()
}

func (m *model) delayOf(h *modelHost) time.Duration {
	most := m.cfg.MaxDelay
	if most == 0 {
		most = 5 * time.Minute
	}
	return max(m.leastDelay(h), min(h.delay, most))
}

// leastDelay is the delay without the host's wish.
func (m *model) leastDelay(h *modelHost) time.Duration {
	if m.cfg.Policy != nil {
		if p := m.cfg.Policy(h.name); p.Delay != 0 {
			return max(0, p.Delay)
		}
	}
	return m.cfg.Delay
}

func (m *model) host(name string) *modelHost {
	h := m.hosts[name]
	if h == nil {
		h = &modelHost{name: name}
		m.hosts[name] = h
		m.limit(h)
	}
	return h
}

// limit gives the host the budget that it has now.
func (m *model) limit(h *modelHost) {
	if m.cfg.Policy != nil {
		h.maxPages = m.cfg.Policy(h.name).MaxPages
	}
}

// someRequests makes requests, of which about half are new.
func (m *model) someRequests() []frontier.Request {
	reqs := make([]frontier.Request, m.random.IntN(12))
	for i := range reqs {
		r := request(hostName(m.random.IntN(6)), m.random.IntN(40+m.step/2))
		r.Priority = int8(max(0, m.random.IntN(6)-3))
		r.Depth = m.random.IntN(4)
		if m.random.IntN(2) == 0 {
			r.Referrer = request(r.Host, m.random.IntN(10)).URL
		}
		if m.random.IntN(6) == 0 {
			r.NotBefore = time.Now().Add(time.Duration(m.random.IntN(5000)-1000) * time.Millisecond)
		}
		reqs[i] = r
	}
	return reqs
}

// commitSome commits a batch of what is leased and what is new, or fails to.
func (m *model) commitSome(add bool) {
	var b frontier.Batch
	var ended []func()
	var want frontier.Committed
	if add {
		b.Add = m.someRequests()
	}
	for _, l := range m.leases {
		for _, r := range l.open {
			switch m.random.IntN(4) {
			case 0, 1:
				b.Done = append(b.Done, r)
				ended = append(ended, func() { m.end(l, r).state = frontier.StateDone })
				if m.random.IntN(4) == 0 {
					again := r.Request
					again.NotBefore = m.someTime(2)
					b.Again = append(b.Again, again)
				}
				if m.random.IntN(3) > 0 {
					b.Hosts = append(b.Hosts, frontier.HostChange{Host: l.Host, Fetched: 1, Bytes: 100})
				}
			case 2:
				r.Attempt++
				r.Priority = int8(m.random.IntN(3))
				r.NotBefore = m.someTime(2)
				b.Retry = append(b.Retry, r)
				ended = append(ended, func() { m.wait(m.end(l, r), r.Request, &want) })
			}
		}
	}
	endedToo := len(b.Again)
	if m.random.IntN(4) == 0 {
		b.Again = append(b.Again, m.someDone()...)
	}
	if m.random.IntN(5) == 0 {
		b.Hosts = append(b.Hosts, m.someChange())
	}
	if m.random.IntN(6) == 0 {
		_, err := m.CommitWith(&b, func(*frontier.Batch) (frontier.Committed, error) { return frontier.Committed{}, errTest })
		if !errors.Is(err, errTest) {
			m.fail("%v", err)
		}
		return
	}
	c := m.commit(&b)
	for _, change := range b.Hosts {
		m.change(change)
	}
	for _, fn := range ended {
		fn()
	}
	for i, r := range b.Again {
		if h := m.host(r.Host); i >= endedToo && (h.closed != frontier.NotClosed || h.reopened) {
			continue
		}
		if m.wait(m.urls[r.URL], r, &want) {
			want.Again++
		}
	}
	for _, r := range b.Add {
		m.host(r.Host)
		if m.urls[r.URL] != nil {
			want.Known++
			continue
		}
		m.urls[r.URL] = new(modelURL)
		if m.wait(m.urls[r.URL], r, &want) {
			want.Added++
		}
	}
	for _, h := range m.hosts {
		h.reopened = h.reopened && (m.count(h, frontier.StateWaiting) > 0 || m.count(h, frontier.StateLeased) > 0)
	}
	if c.Added != want.Added || c.Known != want.Known || c.Again != want.Again || c.Dropped != want.Dropped {
		m.fail("%+v, want %d added, %d known, %d again, %d dropped", c, want.Added, want.Known, want.Again, want.Dropped)
	}
}

// someTime is some time soon, or for one in n no time at all.
func (m *model) someTime(n int) time.Time {
	if m.random.IntN(n) == 0 {
		return time.Time{}
	}
	return time.Now().Add(time.Duration(m.random.IntN(4000)) * time.Millisecond)
}

// someDone makes requests of URLs that are done.
func (m *model) someDone() (reqs []frontier.Request) {
	var done []*modelURL
	for _, u := range m.urls {
		if u.state == frontier.StateDone && !u.dropped {
			done = append(done, u)
		}
	}
	slices.SortFunc(done, func(u, v *modelURL) int { return strings.Compare(u.URL, v.URL) })
	m.random.Shuffle(len(done), func(i, j int) { done[i], done[j] = done[j], done[i] })
	for _, u := range done[:m.random.IntN(min(len(done), 5)+1)] {
		r := u.Request
		r.Label, r.NotBefore = "again", m.someTime(2)
		reqs = append(reqs, r)
	}
	return reqs
}

func (m *model) someChange() frontier.HostChange {
	c := frontier.HostChange{Host: hostName(m.random.IntN(6))}
	switch m.random.IntN(8) {
	case 0, 1:
		delay := time.Duration(m.random.IntN(4000)) * time.Millisecond
		c.Delay = &delay
	case 2, 3:
		c.BlockedUntil = time.Now().Add(time.Duration(m.random.IntN(3000)) * time.Millisecond)
	case 4, 5:
		c.Paused = new(m.random.IntN(3) == 0)
	case 6:
		c.Closed = new(frontier.NotClosed)
		switch m.random.IntN(4) {
		case 0:
			*c.Closed = frontier.ClosedByCaller
		case 1:
			*c.Closed = frontier.ClosedBytes
		}
	case 7:
		c.Bytes = int64(m.random.IntN(1000))
	}
	return c
}

func (m *model) change(c frontier.HostChange) {
	h := m.host(c.Host)
	if c.BlockedUntil.After(h.blocked) {
		h.blocked = c.BlockedUntil
	}
	if c.Delay != nil {
		// The new delay may count from the latest start already, or from the next one on.
		m.bound(h, h.earliest, m.floor.Add(m.delayOf(h)+grace))
		h.delay = *c.Delay
		m.bound(h, h.at, h.at.Add(m.delayOf(h)+grace))
	}
	if c.Paused != nil {
		h.paused = *c.Paused
	}
	if c.Closed != nil {
		m.close(h, *c.Closed)
	}
	h.pages += c.Fetched
}

// close changes what the host is closed for, for a budget only if it is open: what it has kept waits again.
func (m *model) close(h *modelHost, why frontier.Closure) {
	if why == h.closed || h.closed != frontier.NotClosed && why < frontier.ClosedByCaller && why != frontier.NotClosed {
		return
	}
	h.closed = why
	for _, u := range m.urls {
		if u.Host == h.name && u.kept {
			u.state, u.dropped, u.kept = frontier.StateWaiting, false, false
			h.dropped--
			h.reopened = true
		}
	}
}

// open opens the hosts whose budgets were raised, as the first lease does.
func (m *model) open() {
	for _, h := range m.hosts {
		if m.fresh && h.closed.Keeps() && (h.maxPages == 0 || h.pages < h.maxPages) {
			m.close(h, frontier.NotClosed)
		}
	}
	m.fresh = false
}

// count counts the URLs of a host in a state.
func (m *model) count(h *modelHost, s frontier.State) (n int) {
	for _, u := range m.urls {
		if u.Host == h.name && u.state == s {
			n++
		}
	}
	return n
}

// bound widens the bounds of the next start.
func (m *model) bound(h *modelHost, earliest, last time.Time) {
	if earliest.Before(h.earliest) {
		h.earliest = earliest
	}
	if last.After(h.last) {
		h.last = last
	}
}

// wait queues r, or drops it and returns false if its host is closed.
func (m *model) wait(u *modelURL, r frontier.Request, c *frontier.Committed) bool {
	m.seq++
	u.Request, u.seq, u.state = r, m.seq, frontier.StateWaiting
	if !r.NotBefore.After(time.Now()) {
		u.NotBefore = time.Time{} // it is queued as if it had none, and keeps what it had
	}
	h := m.host(r.Host)
	if h.closed == frontier.NotClosed {
		return true
	}
	c.Dropped++
	m.drop(h, u)
	return false
}

func (m *model) drop(h *modelHost, u *modelURL) {
	u.state, u.dropped, u.kept = frontier.StateDone, true, h.closed.Keeps()
	h.dropped++
}

// sync finds out what a Lease call has dropped: of hosts that are over it may be anything that waits, or all and nothing of those
// that keep it. all: it must be.
func (m *model) sync(all bool) {
	look := func(h *modelHost, url string) frontier.Status {
		s, err := m.Lookup(context.Background(), frontier.Request{URL: url, Host: h.name})
		if err != nil {
			m.fail("%v", err)
		}
		return s
	}
	for _, h := range m.hosts {
		if !h.over() {
			continue
		}
		found := look(h, "unknown").Host
		if h.closed == frontier.NotClosed {
			h.closed = found.Closed
		}
		waiting := found.Waiting - m.count(h, frontier.StateLeased)
		if n := m.count(h, frontier.StateWaiting); h.closed.Keeps() && waiting > 0 && (all || waiting != n) {
			m.fail("%d of %d wait at host %s, which is over", waiting, n, h.name)
		}
		for _, u := range m.urls {
			if u.Host != h.name || u.state != frontier.StateWaiting {
				continue
			}
			if h.closed.Keeps() {
				if waiting == 0 {
					m.drop(h, u)
				}
				continue
			}
			switch s := look(h, u.URL); {
			case s.State == frontier.StateDone && h.closed != frontier.NotClosed:
				m.drop(h, u)
			case s.State != frontier.StateWaiting || all:
				m.fail("%s is %v at a host that is over", u.URL, s.State)
			}
		}
	}
}

// queue returns what can be taken of a host now, in order, and the first NotBefore of the others.
func (m *model) queue(h *modelHost) (now []*modelURL, later time.Time) {
	for _, u := range m.urls {
		switch {
		case u.Host != h.name || u.state != frontier.StateWaiting:
		case u.NotBefore.After(time.Now()):
			if later.IsZero() || u.NotBefore.Before(later) {
				later = u.NotBefore
			}
		default:
			now = append(now, u)
		}
	}
	sort.Slice(now, func(i, j int) bool {
		u, v := now[i], now[j]
		if u.NotBefore.IsZero() != v.NotBefore.IsZero() {
			return v.NotBefore.IsZero()
		}
		if c := u.NotBefore.Compare(v.NotBefore); c != 0 {
			return c < 0
		}
		if u.NotBefore.IsZero() && u.Priority != v.Priority {
			return u.Priority > v.Priority
		}
		return u.seq < v.seq
	})
	return now, later
}

// dueBy is a time at which the host must be leased at the latest; Never: it may not be.
func (m *model) dueBy(h *modelHost) time.Time {
	now, later := m.queue(h)
	due := later
	switch {
	case h.lease != nil || h.paused || h.over() || h.room() <= 0 || (len(now) == 0 && later.IsZero()):
		return frontier.Never
	case len(now) > 0:
		due = time.Time{}
	}
	for _, t := range []time.Time{h.last, h.blocked, m.floor.Add(max(m.delayOf(h), m.cfg.Delay) + grace)} {
		if t.After(due) {
			due = t
		}
	}
	return due
}

func (m *model) leaseOne() {
	m.open()
	live := 0
	for _, u := range m.urls {
		if u.state == frontier.StateLeased || u.state == frontier.StateWaiting && !m.host(u.Host).over() {
			live++
		}
	}
	limit := frontier.Never // nobody may sleep beyond
	for _, h := range m.hosts {
		if due := m.dueBy(h); due.Before(limit) {
			limit = due
		}
	}
	l, err := m.try(time.Duration(1 + m.random.IntN(1_000_000_000)))
	now := time.Now()
	claimed := !now.Before(m.floor.Add(m.cfg.Delay)) // after a crash no host is, so far
	m.sync(err != nil && claimed)
	if done := errors.Is(err, frontier.ErrDone); done && live > 0 || !done && live == 0 && claimed {
		m.fail("Lease: %v with %d URLs waiting or leased", err, live)
	}
	switch {
	case err != nil && limit.Before(now):
		m.fail("Lease slept until %v: %v, a host was due at %v", now, err, limit)
	case errors.Is(err, context.DeadlineExceeded) || errors.Is(err, frontier.ErrDone):
		return
	case err != nil:
		m.fail("%v", err)
	}
	h := m.hosts[l.Host]
	if h == nil || h.lease != nil || h.paused || h.over() {
		m.fail("%s is leased: twice, or though it is paused or over: %+v", l.Host, h)
	}
	for why, t := range map[string]time.Time{"politeness": h.earliest, "block": h.blocked, "crash": m.floorOf(h)} {
		if now.Before(t) {
			m.fail("%s leased at %v, due at %v by %s", l.Host, now, t, why)
		}
	}
	queue, _ := m.queue(h)
	want := min(len(queue), max(1, m.cfg.LeaseSize))
	if m.delayOf(h) > 0 {
		want = 1
	} else if m.cfg.LeaseSize == 0 {
		want = min(len(queue), 16)
	}
	want = min(want, h.room())
	if len(l.Requests) != want {
		m.fail("%d requests of %s leased, want %d", len(l.Requests), l.Host, want)
	}
	for i, r := range l.Requests {
		if r.URL != queue[i].URL || r.Attempt != queue[i].Attempt || r.Referrer != queue[i].Referrer || r.Depth != queue[i].Depth {
			m.fail("leased %+v, want %+v", r.Request, queue[i].Request)
		}
		queue[i].state = frontier.StateLeased
		h.out++
	}
	h.lease = &modelLease{Lease: l, host: h, open: slices.Clone(l.Requests)}
	m.leases = append(m.leases, h.lease)
}

func (m *model) floorOf(h *modelHost) time.Time {
	if m.floor.IsZero() {
		return time.Time{}
	}
	return m.floor.Add(m.leastDelay(h)) // its own wish may have been learnt later
}

func (m *model) some() *modelLease {
	if len(m.leases) == 0 {
		return nil
	}
	return m.leases[m.random.IntN(len(m.leases))]
}

func (m *model) startOne() {
	l := m.some()
	if l == nil || l.released {
		return
	}
	h, now := l.host, time.Now()
	if !l.at.IsZero() && m.random.IntN(2) == 0 {
		l.Answered(now)
		delay := m.delayOf(h)
		arrived := l.at.Add(min(grace, delay))
		if now.Before(arrived) {
			arrived = now
		}
		h.earliest, h.last = arrived.Add(delay), arrived.Add(delay)
		return
	}
	l.Started(now)
	delay := m.delayOf(h)
	l.at, h.at = now, now
	h.earliest = now.Add(delay + min(grace, delay))
	h.last = h.earliest
}

func (m *model) releaseOne() {
	l := m.some()
	if l == nil {
		return
	}
	var back []frontier.Leased
	for _, r := range l.open {
		if m.random.IntN(2) == 0 {
			back = append(back, r)
		}
	}
	l.Release(back...)
	for _, r := range back {
		m.end(l, r).state = frontier.StateWaiting
	}
	if !l.released {
		l.released, l.host.lease = true, nil
	}
	if len(l.open) == 0 {
		m.leases = slices.DeleteFunc(m.leases, func(o *modelLease) bool { return o == l })
	}
}

// end takes r off the lease.
func (m *model) end(l *modelLease, r frontier.Leased) *modelURL {
	l.host.out--
	l.open = slices.DeleteFunc(slices.Clone(l.open), func(o frontier.Leased) bool { return o.URL == r.URL })
	return m.urls[r.URL]
}

// reopen restarts or crashes: what was leased waits again.
func (m *model) reopen(how func(), unclean bool) {
	now := time.Now()
	m.raised += 5 * int64(m.random.IntN(3))
	how()
	if unclean {
		m.floor = now
	}
	m.fresh = false
	for _, h := range m.hosts {
		m.limit(h)
		m.fresh = m.fresh || h.closed != frontier.NotClosed
		delay := m.delayOf(h)
		if h.lease != nil {
			m.bound(h, h.earliest, now.Add(delay+min(grace, delay)))
			h.lease = nil
		}
		if unclean {
			h.earliest = time.Time{} // the floor counts
			m.bound(h, h.earliest, now.Add(delay+min(grace, delay)))
		}
		h.at, h.out = time.Time{}, 0
	}
	m.leases = nil
	for _, u := range m.urls {
		if u.state == frontier.StateLeased {
			u.state = frontier.StateWaiting
		}
	}
}

func (m *model) compare() {
	want := frontier.Stats{Known: len(m.urls), Hosts: len(m.hosts)}
	for _, h := range m.hosts {
		want.Dropped += h.dropped
		if h.paused {
			want.Paused++
		}
		if h.closed != frontier.NotClosed {
			want.Closed++
		}
	}
	for _, u := range m.urls {
		switch u.state {
		case frontier.StateWaiting:
			want.Waiting++
		case frontier.StateLeased:
			want.Leased++
		case frontier.StateDone:
			want.Done++
		}
	}
	want.Done -= want.Dropped
	got := m.Stats()
	want.DroppedBy = got.DroppedBy // they add up, as Check says
	for why := range want.DroppedBy {
		if frontier.Closure(why).Keeps() {
			want.DroppedBy[why] = 0
		}
	}
	for _, u := range m.urls {
		if u.kept {
			want.DroppedBy[m.host(u.Host).closed]++
		}
	}
	if got != want {
		m.fail("stats %+v, want %+v", got, want)
	}
	if m.step%50 == 0 {
		if err := m.Check(context.Background()); err != nil {
			m.fail("%v", err)
		}
		for url, u := range m.urls {
			s, err := m.Lookup(context.Background(), frontier.Request{URL: url, Host: u.Host})
			h, state := m.host(u.Host), u.state
			if u.kept || state == frontier.StateWaiting && h.closed.Keeps() {
				state = frontier.StateDropped
			}
			if err != nil || s.State != state {
				m.fail("%s is %v, want %v: %v", url, s.State, state, err)
			}
			if got := s.Host; got.Usage.Pages != h.pages || got.Paused != h.paused || got.Closed != h.closed || got.Dropped != h.dropped {
				m.fail("%+v, want %+v", got, h)
			}
			break
		}
	}
}

// finish crawls to the end.
func (m *model) finish() {
	for _, l := range m.leases {
		for _, r := range l.open {
			m.urls[r.URL].state = frontier.StateWaiting
		}
		l.Release(l.open...)
	}
	for _, h := range m.hosts {
		change := frontier.HostChange{Host: h.name, Paused: new(false)}
		m.commit(&frontier.Batch{Hosts: []frontier.HostChange{change}})
		m.change(change)
	}
	m.open()
	for {
		l, err := m.try(time.Hour)
		if errors.Is(err, frontier.ErrDone) {
			break
		}
		if err != nil {
			m.fail("%v", err)
		}
		for _, r := range l.Requests {
			if u := m.urls[r.URL]; u.state != frontier.StateWaiting {
				m.fail("%s is leased, which is %v", r.URL, u.state)
			} else {
				u.state = frontier.StateDone
			}
		}
		m.fetch(l)
	}
	m.sync(true)
	for url, u := range m.urls {
		if u.state != frontier.StateDone {
			m.fail("%s is %v at the end", url, u.state)
		}
	}
	m.compare()
}
