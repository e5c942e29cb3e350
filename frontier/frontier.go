package frontier

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"
)

// Config says how a Frontier schedules. Its zero value has no delay: the crawler's default is set by the crawler.
type Config struct {
	Delay time.Duration // per host, from start to start; 0: none
	// AddressDelay is the least time between two starts at one IP address, which any number of hosts may share. The workers
	// tell the addresses, see Lease.Address. After a restart nothing starts before one such delay has passed. 0: hosts are
	// asked whatever their address.
	AddressDelay time.Duration

	// Adaptive makes the delay of a host grow with the time that it takes to answer.
	Adaptive Adaptive

	MaxDelay  time.Duration // most of a HostChange.Delay that counts; 0: 5 minutes
	PerHost   int           // workers at once that hold leases of one host; 0: 1
	Rate      float64       // starts a second over all hosts; 0: no limit. With it, each lease has one request
	LeaseSize int           // most requests in one lease, when the host has no delay; 0: 16; at most 64
	Front     int           // hosts kept in memory apart from those at work; the others stay in the Backend; 0: 16384

	// LateEvery shares a host between its requests whose NotBefore has come and those that have none: by chance, one lease in
	// so many begins with the former, the others with the latter, and each takes what there is if the other has nothing.
	// 0 or 1: those whose NotBefore has come always go first.
	LateEvery int

	// Policy tells what is different for one host; nil: nothing. It is called whenever the host comes into memory, and
	// should tell the same of a host each time. Calls may come at once, and without locks held.
	Policy func(host string) Policy

	Starved func() // called when a Lease call starts to wait, without locks held; must not block; nil: nothing
}

// Adaptive says how the delay follows from the response time: the time from a request written to the first byte of its
// answer. The latest one counts. Its zero value is off.
type Adaptive struct {
	Factor float64       // delay per response time; 0: off
	Min    time.Duration // least delay, which also counts before the first answer, after a restart too; 0: 100 ms
	Max    time.Duration // greatest delay that comes of it; 0: Config.MaxDelay
}

const (
	defaultMaxDelay  = 5 * time.Minute
	defaultLeaseSize = 16
	maxLeaseSize     = 64 // requests of a lease are tracked in a uint64
	defaultFront     = 16 << 10
	defaultMinDelay  = 100 * time.Millisecond

	// putSize bounds the memory of one change: more requests are put in several.
	putSize = 1 << 16
)

func (c Config) complete() (Config, error) {
	defaults := func(n *int, to int) {
		if *n == 0 {
			*n = to
		}
	}
	if c.MaxDelay == 0 {
		c.MaxDelay = defaultMaxDelay
	}
	defaults(&c.PerHost, 1)
	defaults(&c.LeaseSize, defaultLeaseSize)
	defaults(&c.Front, defaultFront)
	if a := &c.Adaptive; a.Factor > 0 {
		if a.Min == 0 {
			a.Min = defaultMinDelay
		}
		if a.Max == 0 {
			a.Max = max(a.Min, c.MaxDelay)
		}
	}
	switch {
	case c.AddressDelay < 0:
		return c, &ConfigError{"AddressDelay", "is negative"}
	case !(c.Adaptive.Factor >= 0) || math.IsInf(c.Adaptive.Factor, 0):
		return c, &ConfigError{"Adaptive.Factor", "is not a factor from 0 up"}
	case c.Adaptive.Min < 0 || c.Adaptive.Max < 0 || c.Adaptive.Factor > 0 && c.Adaptive.Max < c.Adaptive.Min:
		return c, &ConfigError{"Adaptive", "has a Min or Max below 0, or a Min above its Max"}
	case c.Delay < 0:
		return c, &ConfigError{"Delay", "is negative"}
	case c.MaxDelay < 0:
		return c, &ConfigError{"MaxDelay", "is negative"}
	case c.PerHost < 0:
		return c, &ConfigError{"PerHost", "is negative"}
	case c.Rate < 0 || math.IsNaN(c.Rate) || math.IsInf(c.Rate, 0):
		return c, &ConfigError{"Rate", "is not a number of starts a second"}
	case c.LeaseSize < 0 || c.LeaseSize > maxLeaseSize:
		return c, &ConfigError{"LeaseSize", fmt.Sprintf("is not from 0 to %d", maxLeaseSize)}
	case c.Front < 0:
		return c, &ConfigError{"Front", "is negative"}
	case c.LateEvery < 0:
		return c, &ConfigError{"LateEvery", "is negative"}
	}
	return c, nil
}

// Frontier hands out what to fetch next. All methods may be called at once from many goroutines.
type Frontier struct {
	cfg     Config
	backend Backend

	lifetime time.Duration      // of claims; 0: they never expire, and what follows is nil
	stopKeep context.CancelFunc // ends the goroutine that renews them
	kept     chan struct{}      // closed when it has ended

	looked   time.Time // when it looked what others have done; of the holder of turn
	reopened bool      // the hosts with larger budgets than they were closed for are open; likewise

	turn     chan struct{} // held by the one Lease call that may pick a host or sleep for one
	changed  chan struct{} // wakes the sleeper; has room for one
	sleeping atomic.Bool   // the holder of turn sleeps

	lastAddress *lru.Cache[string, netip.Addr] // of hosts; nil without Config.AddressDelay
	opens       time.Time                      // nothing starts before: it is not known when addresses were last asked

	mu     sync.Mutex
	front  front
	disk   disk
	stats  Stats  // Waiting includes Leased
	holds  int    // open Holds and changes under way: while there are any, the crawl is not over
	leases uint64 // made so far
	limit  *rate.Limiter
	credit int // starts paid to limit and not made
	closed bool
	busy   int       // changes under way: Close waits for them
	idle   sync.Cond // of mu: busy went down

	setting map[string]bool // hosts of which a change under way sets something: others that do wait for it
}

// disk is what is known of the hosts that are not in the front.
type disk struct {
	next  time.Time // none of them is due before
	floor time.Time // nor before this, when the last process died at work

	claim   bool         // a Claim is under way: what it reads may be outdated by a commit, which leaves here
	low     time.Time    // the earliest due that it made and
	changes []HostChange // what it changed
	used    []Used
}

// New returns a Frontier over b, which it owns from then on: Close closes it. What an earlier process had leased and
// not ended is waiting again. A wrong cfg is a *ConfigError.
func New(b Backend, cfg Config) (*Frontier, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	stats, err := b.Stats(context.Background())
	if err != nil {
		return nil, fmt.Errorf("frontier: open: %w", err)
	}
	f := &Frontier{
		cfg:     cfg,
		backend: b,
		turn:    make(chan struct{}, 1),
		changed: make(chan struct{}, 1),
		front:   front{hosts: make(map[string]*host)},
		stats:   stats,
		setting: make(map[string]bool),

		reopened: stats.Closed == 0,
	}
	f.idle.L = &f.mu
	if cfg.AddressDelay > 0 {
		f.front.addresses = make(map[netip.Addr]*address)
		if f.lastAddress, err = lru.New[string, netip.Addr](addressTable); err != nil {
			panic(err) // the size is a positive constant
		}
		if stats.Known > 0 { // whatever has become of it, it may have been asked for
			f.opens = time.Now().Add(cfg.AddressDelay)
		}
	}
	if cfg.Rate > 0 {
		f.limit = rate.NewLimiter(rate.Limit(cfg.Rate), 1)
	}
	if f.lifetime = b.Lifetime(); f.shared() {
		ctx, cancel := context.WithCancel(context.Background())
		f.stopKeep, f.kept = cancel, make(chan struct{})
		go f.keep(ctx)
	}
	return f, nil
}

// Put queues those of reqs that were never added before and returns how many that were. They are durable on
// return. On an error some of them may have been added; putting them again does no harm.
func (f *Frontier) Put(ctx context.Context, reqs []Request) (added int, err error) {
	defer f.Hold()()
	for len(reqs) > 0 {
		n := min(len(reqs), putSize)
		c, err := f.Commit(ctx, &Batch{Add: reqs[:n]})
		added += c.Added
		if err != nil {
			return added, err
		}
		reqs = reqs[n:]
	}
	return added, nil
}

// Hold keeps Lease from answering ErrDone until the returned function is called, which may be called more than once:
// somebody is still adding seeds. It holds this Frontier alone, not others over a shared Backend.
func (f *Frontier) Hold() (release func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.holds++
	return sync.OnceFunc(func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.holds--
		f.wake()
	})
}

// begun and ended enclose a change under way: it keeps Lease from ErrDone, and Close waits for it. f.mu is held.
func (f *Frontier) begun() {
	f.holds++
	f.busy++
}

func (f *Frontier) ended() {
	f.holds--
	f.busy--
	f.idle.Broadcast()
	f.wake()
}

// wake lets the sleeping Lease call look again.
func (f *Frontier) wake() {
	select {
	case f.changed <- struct{}{}:
	default:
	}
}

// Stats counts what is waiting, leased and done. It is cheap. With a shared Backend it is as of the last commit, and what
// others have leased is waiting.
func (f *Frontier) Stats() Stats {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.stats
	s.Waiting -= s.Leased
	return s
}

// Due tells when the next host is due, as far as that is known without looking at all of them: it may be sooner than
// there is anything to take. Never: nothing waits that is not leased, or only what is blocked for ever.
func (f *Frontier) Due() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	first := later(f.disk.next, f.disk.floor)
	if f.stats.Waiting == f.stats.Leased {
		return Never
	}
	if len(f.front.due) > 0 {
		first = earlier(first, f.front.due[0].due)
	}
	if !first.Before(endOfTime) {
		return Never
	}
	return first
}

// Lookup tells the state of r.URL at r.Host, and what is known of the host. Its cost may grow with the host's queue.
func (f *Frontier) Lookup(ctx context.Context, r Request) (Status, error) {
	if err := f.ifOpen(); err != nil {
		return Status{}, err
	}
	s, err := f.backend.Lookup(ctx, r.Host, r.URL)
	if err != nil {
		return s, fmt.Errorf("frontier: look up %q: %w", r.URL, err)
	}
	h := &host{policy: f.policy(r.Host), wish: s.Host.Delay}
	h.setDelay(&f.cfg)
	s.Host.Delay = h.delay
	f.mu.Lock()
	defer f.mu.Unlock()
	if h := f.front.hosts[r.Host]; h != nil {
		s.Host.Delay, s.Host.Next = h.delay, h.nextStart()
	}
	return s, nil
}

// Check reads everything that is stored and proves that each URL is waiting, leased, done or dropped, exactly one of them, and that
// all counters and indexes agree. What contradicts itself is joined in the error. It is exact only while no
// other method is running.
func (f *Frontier) Check(ctx context.Context) error {
	if err := f.ifOpen(); err != nil {
		return err
	}
	f.mu.Lock()
	err := f.checkCounts()
	f.mu.Unlock()
	return errors.Join(err, f.backend.Check(ctx))
}

// ifOpen returns ErrClosed after Close.
func (f *Frontier) ifOpen() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return ErrClosed
	}
	return nil
}

func (f *Frontier) checkCounts() error {
	out := 0
	for _, h := range f.front.hosts {
		out += h.out
	}
	if out != f.stats.Leased {
		return fmt.Errorf("frontier: %d requests are leased, the hosts have %d out", f.stats.Leased, out)
	}
	dropped := 0
	for _, n := range f.stats.DroppedBy {
		dropped += n
	}
	if s := f.stats; s.Known != s.Waiting+s.Done+s.Dropped || s.Leased > s.Waiting || s.Dropped != dropped {
		return fmt.Errorf("frontier: counters disagree: known %d, waiting or leased %d, leased %d, done %d, dropped %d: %v",
			s.Known, s.Waiting, s.Leased, s.Done, s.Dropped, s.DroppedBy)
	}
	return nil
}

// Close waits for changes under way, gives back what is leased, and makes the hosts' next starts durable, so that
// a crawl that goes on later is as polite as one that never stopped. Calls waiting in Lease return ErrClosed. Leases still out
// may be used no more. Close closes the Backend; the second call does nothing.
func (f *Frontier) Close() error {
	f.mu.Lock()
	if f.closed {
		f.mu.Unlock()
		return nil
	}
	f.closed = true
	f.wake()
	for f.busy > 0 {
		f.idle.Wait()
	}
	if f.shared() {
		f.mu.Unlock()
		f.stopKeep()
		<-f.kept
		f.mu.Lock()
	}
	now := time.Now()
	var hosts []Returned
	for _, h := range f.front.hosts {
		next := h.nextStart()
		if h.active > 0 { // its worker may start until the moment it learns of the end
			next = later(next, start{at: now}.next(h.delay))
		}
		if next.After(now) {
			hosts = append(hosts, Returned{Claim: h.claim, Next: next})
		}
	}
	f.mu.Unlock()
	_, err := f.backend.Return(context.Background(), hosts)
	if err = errors.Join(err, f.backend.Close()); err != nil {
		return fmt.Errorf("frontier: close: %w", err)
	}
	return nil
}
