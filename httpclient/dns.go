package httpclient

import (
	"container/list"
	"context"
	"errors"
	"iter"
	"net"
	"net/netip"
	"sync"
	"time"
)

// Family is a choice of IP versions.
type Family uint8

const (
	AnyIP Family = iota
	IPv4
	IPv6
)

func (f Family) network() string { return [...]string{"ip", "ip4", "ip6"}[f] }

// of returns which of the addresses are of the family, those of IPv4 as such.
func (f Family) of(addrs []netip.Addr) []netip.Addr {
	own := make([]netip.Addr, 0, len(addrs))
	for _, a := range addrs {
		if a = a.Unmap(); f == AnyIP || a.Is4() == (f == IPv4) {
			own = append(own, a)
		}
	}
	return own
}

// Resolver finds the addresses of a host.
type Resolver interface {
	// Resolve returns the addresses of host, and how long they hold; 0: not known.
	Resolve(ctx context.Context, host string, family Family) ([]netip.Addr, time.Duration, error)
}

// SystemResolver resolves as the operating system is set up to. The zero value is ready. It does not learn how long
// answers hold.
//
// A look-up ends with its context. Where Go leaves it to the C library, see package net, the library goes on in a thread
// of its own until it has an answer; package net has at most 500 of them, and further look-ups wait for one.
type SystemResolver struct{ net.Resolver }

// Resolve implements [Resolver].
func (r *SystemResolver) Resolve(ctx context.Context, host string, family Family) ([]netip.Addr, time.Duration, error) {
	dial := r.Dial
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	// net.Resolver waits for its own time-outs when nobody wants the answer any more, unless its connection ends.
	prompt := net.Resolver{PreferGo: r.PreferGo, StrictErrors: r.StrictErrors, Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
		return c, nil
	}}
	addrs, err := prompt.LookupNetIP(ctx, family.network(), host)
	return addrs, 0, err
}

// Defaults of the DNS cache.
const (
	DefaultDNSTTL       = 10 * time.Second
	DefaultMaxDNSTTL    = 5 * time.Minute
	DefaultDNSCacheSize = 1000
	DefaultMaxLookups   = 1000
	negativeDNSTTL      = 5 * time.Second
	minDNSTTL           = time.Second
)

// dnsCache asks a resolver once for all who want the same host at a time, and
// remembers the answer. It is bounded; what was used least recently goes first.
type dnsCache struct {
	resolver Resolver
	family   Family
	ttl      time.Duration // of answers that do not say; 0: nothing is kept
	maxTTL   time.Duration // of those that do
	size     int
	places   chan struct{} // of look-ups under way; nil: without limit

	mu      sync.Mutex
	entries map[string]*list.Element // of *dnsEntry
	recent  *list.List               // front: used last
	flights map[string]*flight
}

type dnsEntry struct {
	host    string
	addrs   []netip.Addr
	err     error
	expires time.Time
	turn    int  // which address is first
	prefer4 bool // an IPv4 address won the last race
}

// flight is a question that is being asked. It ends with the last who waits for it.
type flight struct {
	done    chan struct{}
	asked   chan struct{} // closed when there is a place for it
	waiters int
	cancel  context.CancelFunc
	addrs   []netip.Addr
	err     error
}

// newDNSCache takes the settings, completed, of a connector.
func newDNSCache(cfg *TCPConfig) *dnsCache {
	d := &dnsCache{
		resolver: cfg.Resolver, family: cfg.Family, ttl: cfg.DNSTTL, maxTTL: cfg.MaxDNSTTL, size: cfg.DNSCacheSize,
		entries: map[string]*list.Element{}, recent: list.New(), flights: map[string]*flight{},
	}
	if cfg.MaxLookups > 0 {
		d.places = make(chan struct{}, cfg.MaxLookups)
	}
	return d
}

// lookup returns the addresses of host in the order in which to try them. It waits for
// an answer no longer than limit, while the question goes on as long as anybody waits
// for it, whoever was the first.
func (d *dnsCache) lookup(ctx context.Context, host string, limit time.Duration) (addrs []netip.Addr, cached bool, err error) {
	d.mu.Lock()
	if e := d.entry(host); e != nil {
		addrs, err = e.next(), e.err
		d.mu.Unlock()
		return addrs, true, err
	}
	f := d.flights[host]
	if f == nil {
		f = d.ask(ctx, host)
	}
	f.waiters++
	d.mu.Unlock()

	err = f.wait(ctx, limit)
	d.mu.Lock()
	defer d.mu.Unlock()
	if f.waiters--; f.waiters == 0 {
		f.cancel()
		if d.flights[host] == f {
			delete(d.flights, host)
		}
	}
	if err != nil {
		return nil, false, err
	}
	if e := d.entry(host); e != nil {
		return e.next(), false, nil
	}
	return orderAddrs(f.addrs, 0, false), false, nil
}

// wait waits for the answer within limit.
func (f *flight) wait(ctx context.Context, limit time.Duration) error {
	var expired <-chan time.Time
	if limit > 0 {
		t := time.NewTimer(limit)
		defer t.Stop()
		expired = t.C
	}
	select {
	case <-f.done:
		return f.err
	case <-ctx.Done():
		return contextError(ctx)
	case <-expired:
	}
	late := &TimeoutError{Phase: PhaseDNS, Limit: limit}
	select {
	case <-f.asked:
	default:
		late.Err = ErrTooManyLookups
	}
	return late
}

// entry returns what is known about host and still holds. d.mu is held.
func (d *dnsCache) entry(host string) *dnsEntry {
	el := d.entries[host]
	if el == nil {
		return nil
	}
	e := el.Value.(*dnsEntry)
	if !time.Now().Before(e.expires) {
		d.remove(el)
		return nil
	}
	d.recent.MoveToFront(el)
	return e
}

func (d *dnsCache) remove(el *list.Element) {
	d.recent.Remove(el)
	delete(d.entries, el.Value.(*dnsEntry).host)
}

// ask starts a question, on a context of its own. d.mu is held.
func (d *dnsCache) ask(ctx context.Context, host string) *flight {
	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	f := &flight{done: make(chan struct{}), asked: make(chan struct{}), cancel: cancel}
	d.flights[host] = f
	go func() {
		addrs, ttl, err := d.resolve(own, host, f.asked)
		f.addrs, f.err = checkAnswer(host, d.family.of(addrs), err)
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.flights[host] == f {
			delete(d.flights, host)
			d.keep(host, f, ttl)
		}
		close(f.done)
	}()
	return f
}

// ErrTooManyLookups is why a name was not resolved in time: as many look-ups as [TCPConfig].MaxLookups allows were under
// way, and none ended.
var ErrTooManyLookups = errors.New("httpclient: too many look-ups under way")

// resolve asks the resolver when there is a place for it, which it tells by closing asked. The place is held until the
// resolver is done, even if nobody waits for that any more.
func (d *dnsCache) resolve(ctx context.Context, host string, asked chan<- struct{}) ([]netip.Addr, time.Duration, error) {
	if d.places != nil {
		select {
		case d.places <- struct{}{}:
		case <-ctx.Done():
			return nil, 0, ctx.Err()
		}
		defer func() { <-d.places }()
	}
	close(asked)
	return d.resolver.Resolve(ctx, host, d.family)
}

// checkAnswer makes a typed error of what the resolver returned, if it is none.
func checkAnswer(host string, addrs []netip.Addr, err error) ([]netip.Addr, error) {
	var de *net.DNSError
	var own *DNSError
	switch {
	case errors.As(err, &own):
		return nil, err
	case errors.As(err, &de):
		return nil, &DNSError{Host: host, NotFound: de.IsNotFound, Temporary: de.IsTemporary || de.IsTimeout, Err: err}
	case err != nil:
		return nil, &DNSError{Host: host, Err: err}
	case len(addrs) == 0:
		return nil, &DNSError{Host: host, NotFound: true, Err: errNoAddresses}
	}
	return addrs, nil
}

// keep remembers an answer: good ones, and that a host does not exist. d.mu is held.
func (d *dnsCache) keep(host string, f *flight, ttl time.Duration) {
	if d.ttl <= 0 {
		return
	}
	var de *DNSError
	switch {
	case f.err == nil && ttl <= 0:
		ttl = d.ttl
	case f.err == nil:
		ttl = max(min(ttl, d.maxTTL), minDNSTTL)
	case errors.As(f.err, &de) && de.NotFound:
		ttl = min(negativeDNSTTL, d.ttl)
	default:
		return
	}
	if old := d.entries[host]; old != nil {
		d.remove(old)
	}
	d.entries[host] = d.recent.PushFront(&dnsEntry{host: host, addrs: f.addrs, err: f.err, expires: time.Now().Add(ttl)})
	for len(d.entries) > d.size {
		d.remove(d.recent.Back())
	}
}

// next returns the addresses, another one first each time.
func (e *dnsEntry) next() []netip.Addr {
	e.turn++
	return orderAddrs(e.addrs, e.turn-1, e.prefer4)
}

// won notes which address connected, so that its family goes first.
func (d *dnsCache) won(host string, a netip.Addr) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if el := d.entries[host]; el != nil {
		el.Value.(*dnsEntry).prefer4 = a.Is4()
	}
}

// orderAddrs interleaves the families, RFC 8305 section 4, beginning within each
// with a later address at each turn.
func orderAddrs(addrs []netip.Addr, turn int, prefer4 bool) []netip.Addr {
	if len(addrs) <= 1 {
		return addrs
	}
	var v4, v6 []netip.Addr
	for _, a := range addrs {
		if a.Is4() {
			v4 = append(v4, a)
		} else {
			v6 = append(v6, a)
		}
	}
	first, second := rotate(v6, turn), rotate(v4, turn)
	if prefer4 {
		first, second = second, first
	}
	out := make([]netip.Addr, 0, len(addrs))
	for i := 0; i < len(first) || i < len(second); i++ {
		if i < len(first) {
			out = append(out, first[i])
		}
		if i < len(second) {
			out = append(out, second[i])
		}
	}
	return out
}

func rotate(a []netip.Addr, by int) []netip.Addr {
	if len(a) <= 1 {
		return a
	}
	by %= len(a)
	return append(append(make([]netip.Addr, 0, len(a)), a[by:]...), a[:by]...)
}

func (d *dnsCache) clear() {
	d.mu.Lock()
	defer d.mu.Unlock()
	clear(d.entries)
	d.recent.Init()
}

func (d *dnsCache) forget(host string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if el := d.entries[host]; el != nil {
		d.remove(el)
	}
}

// all iterates over a copy of what is known.
func (d *dnsCache) all() iter.Seq2[string, []netip.Addr] {
	d.mu.Lock()
	defer d.mu.Unlock()
	known := make(map[string][]netip.Addr, len(d.entries))
	for host, el := range d.entries {
		if e := el.Value.(*dnsEntry); e.err == nil && time.Now().Before(e.expires) {
			known[host] = e.addrs
		}
	}
	return func(yield func(string, []netip.Addr) bool) {
		for host, addrs := range known {
			if !yield(host, addrs) {
				return
			}
		}
	}
}

func ipAddr(a netip.Addr) net.IPAddr { return net.IPAddr{IP: a.AsSlice(), Zone: a.Zone()} }
