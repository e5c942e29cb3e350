package httpclient

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"iter"
	"net"
	"net/netip"
	"syscall"
	"time"
)

// DefaultHappyEyeballs is the head start of an address before the next, RFC 8305.
const DefaultHappyEyeballs = 250 * time.Millisecond

// TCPConfig are the settings of a [TCPConnector]. The zero value is good.
type TCPConfig struct {
	PoolConfig

	// Resolver finds addresses. nil: a SystemResolver.
	Resolver Resolver
	// DNSTTL is how long an answer is used that does not say. 0: 10 s; negative:
	// no answer is kept.
	DNSTTL time.Duration
	// MaxDNSTTL is the most for one that does; the least is a second. 0: 5 min.
	MaxDNSTTL time.Duration
	// DNSCacheSize is how many hosts are remembered. 0: 1,000.
	DNSCacheSize int
	// NoDNSCache resolves for every connection.
	NoDNSCache bool
	// MaxLookups is how many look-ups may be under way at a time, those that their
	// resolver goes on with though nobody waits for them included. Further ones
	// wait, and fail with ErrTooManyLookups when the time for DNS is over. 0:
	// 1,000; negative: no limit.
	MaxLookups int
	// Family restricts the addresses, those of a Resolver of its own and those that
	// stand in URLs included.
	Family Family

	// Guard is asked before an address is connected to, and its error keeps it from
	// being used. host is as in the URL. It is not asked about proxies, whose
	// addresses no server chooses; of hosts that a proxy resolves only those given
	// as addresses are asked about. nil: all are allowed.
	Guard func(ctx context.Context, host string, addr netip.AddrPort) error

	// LocalAddr is what sockets are bound to. Zero: the system's choice.
	LocalAddr netip.AddrPort
	// Control is called with each socket before it connects.
	Control func(network, address string, c syscall.RawConn) error
	// HappyEyeballs is how long an address may take before the next is tried
	// besides. 0: 250 ms; negative: one after the other.
	HappyEyeballs time.Duration
	// Dial replaces the system's sockets. nil: TCP.
	Dial func(ctx context.Context, addr netip.AddrPort) (net.Conn, error)

	// TLS are the settings for https; those of a request replace them. nil: the
	// system's roots, TLS 1.2 and later.
	TLS *tls.Config
	// Insecure accepts any certificate. It excludes TLS.
	Insecure bool
	// Fingerprint is the SHA-256 of the certificate that every server must have.
	Fingerprint *[sha256.Size]byte
	// TLSSessions is how many servers' sessions are remembered, so that the next
	// handshake with one is shorter. 0: 256; negative: none. It is not for requests
	// with TLS settings of their own, and gives way to TLS.ClientSessionCache.
	TLSSessions int
}

// DefaultTLSSessions is how many sessions of TLS are remembered.
const DefaultTLSSessions = 256

// TCPConnector connects to hosts by TCP, directly or by way of proxies.
type TCPConnector struct {
	*Pool
	cfg      TCPConfig
	dns      *dnsCache
	sessions tls.ClientSessionCache
	direct   net.Dialer
}

// NewTCPConnector returns a connector. Its error names the setting that is wrong.
func NewTCPConnector(cfg TCPConfig) (*TCPConnector, error) {
	if err := cfg.PoolConfig.check(); err != nil {
		return nil, err
	}
	if cfg.Insecure && cfg.TLS != nil {
		return nil, errors.New("httpclient: TCPConfig: Insecure together with TLS")
	}
	if cfg.Family > IPv6 {
		return nil, errors.New("httpclient: TCPConfig: unknown Family")
	}
	if cfg.Resolver == nil {
		cfg.Resolver = &SystemResolver{}
	}
	if cfg.DNSTTL == 0 {
		cfg.DNSTTL = DefaultDNSTTL
	}
	if cfg.MaxDNSTTL <= 0 {
		cfg.MaxDNSTTL = DefaultMaxDNSTTL
	}
	if cfg.MaxLookups == 0 {
		cfg.MaxLookups = DefaultMaxLookups
	}
	if cfg.TLSSessions == 0 {
		cfg.TLSSessions = DefaultTLSSessions
	}
	if cfg.NoDNSCache {
		cfg.DNSTTL = -1
	}
	if cfg.DNSCacheSize <= 0 {
		cfg.DNSCacheSize = DefaultDNSCacheSize
	}
	if cfg.HappyEyeballs == 0 {
		cfg.HappyEyeballs = DefaultHappyEyeballs
	}
	c := &TCPConnector{
		cfg: cfg, dns: newDNSCache(&cfg),
		direct: net.Dialer{KeepAlive: -1, Control: cfg.Control},
	}
	if cfg.TLSSessions > 0 {
		c.sessions = tls.NewLRUClientSessionCache(cfg.TLSSessions)
	}
	if cfg.LocalAddr.IsValid() {
		c.direct.LocalAddr = net.TCPAddrFromAddrPort(cfg.LocalAddr)
	}
	c.Pool = newPool(cfg.PoolConfig, c.connect)
	return c, nil
}

// TLS returns the settings for https, nil for the usual ones.
func (c *TCPConnector) TLS() *tls.Config { return c.cfg.TLS }

// Insecure reports whether any certificate is accepted.
func (c *TCPConnector) Insecure() bool { return c.cfg.Insecure }

// Fingerprint returns the pinned certificate's SHA-256, nil if there is none.
func (c *TCPConnector) Fingerprint() *[sha256.Size]byte { return c.cfg.Fingerprint }

// Family returns the restriction of addresses.
func (c *TCPConnector) Family() Family { return c.cfg.Family }

// DNSCache reports whether answers are kept.
func (c *TCPConnector) DNSCache() bool { return c.cfg.DNSTTL > 0 }

// CachedHosts iterates over the hosts whose addresses are known now.
func (c *TCPConnector) CachedHosts() iter.Seq2[string, []netip.Addr] { return c.dns.all() }

// ClearDNSCache forgets all addresses.
func (c *TCPConnector) ClearDNSCache() { c.dns.clear() }

// ForgetHost forgets the addresses of one host.
func (c *TCPConnector) ForgetHost(host string) { c.dns.forget(host) }

// dialJob is one connection being made.
type dialJob struct {
	c   *TCPConnector
	req *Request
	key *ConnKey
}

// connect is the pool's dial step: address, socket, proxy, TLS.
func (c *TCPConnector) connect(ctx context.Context, req *Request, key *ConnKey) (*link, error) {
	j := dialJob{c, req, key}
	host, port := key.Host, key.Port
	proxy := req.effective.proxy
	if proxy != nil {
		nc, err := j.viaProxy(ctx, proxy)
		if err != nil {
			return nil, err
		}
		return j.secure(ctx, nc)
	}
	nc, err := j.dialHost(ctx, host, port)
	if err != nil {
		return nil, err
	}
	return j.secure(ctx, nc)
}

// dialHost connects to one of the addresses of host.
func (j *dialJob) dialHost(ctx context.Context, host string, port uint16) (net.Conn, error) {
	addrs, err := j.resolve(ctx, host)
	if err != nil {
		return nil, err
	}
	allowed, refused := j.guard(ctx, host, port, addrs)
	if len(allowed) == 0 {
		return nil, &ConnectorError{Key: *j.key, Addrs: refused}
	}
	return j.dialAny(ctx, host, allowed, refused)
}

// dialAny connects to one of the addresses, all of them host's; refused are others
// that it has.
func (j *dialJob) dialAny(ctx context.Context, host string, allowed []netip.AddrPort, refused []AddrError) (net.Conn, error) {
	start := time.Now()
	defer func() { j.req.effective.dial += time.Since(start) }()
	limit := j.req.timeouts().Dial
	inner, cancel := j.dialPhase(ctx, limit, len(allowed))
	defer cancel()
	nc, winner, tried := j.race(inner, allowed)
	if nc != nil {
		if len(allowed)+len(refused) > 1 {
			j.c.dns.won(host, winner.Addr())
		}
		return nc, nil
	}
	tried = append(refused, tried...)
	failure := &ConnectorError{Key: *j.key, Addrs: tried}
	if err := j.req.phaseError(ctx, inner, PhaseDial, limit, failure); err != nil {
		return nil, err
	}
	return nil, failure
}

// resolve returns the addresses of host, which may be one itself.
func (j *dialJob) resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		if own := j.c.cfg.Family.of([]netip.Addr{a}); len(own) > 0 {
			return own, nil
		}
		return nil, &DNSError{Host: host, NotFound: true, Err: errNoAddresses}
	}
	trace := j.req.effective.trace
	trace.dnsStart(host)
	start := time.Now()
	inner, cancel := j.req.withPhase(ctx, 0)
	defer cancel()
	addrs, cached, err := j.c.dns.lookup(inner, host, j.req.timeouts().DNS)
	if err != nil && inner.Err() != nil {
		err = j.req.phaseError(ctx, inner, PhaseTotal, 0, err)
	}
	j.req.effective.dns += time.Since(start)
	trace.dnsDone(DNSDone{Host: host, Addrs: addrs, Cached: cached, Err: err})
	return addrs, err
}

// guard asks about each address.
func (j *dialJob) guard(ctx context.Context, host string, port uint16, addrs []netip.Addr) (allowed []netip.AddrPort, refused []AddrError) {
	allowed = make([]netip.AddrPort, 0, len(addrs))
	for _, a := range addrs {
		ap := netip.AddrPortFrom(a, port)
		if j.c.cfg.Guard != nil {
			if err := j.c.cfg.Guard(ctx, host, ap); err != nil {
				refused = append(refused, AddrError{ap, err})
				continue
			}
		}
		allowed = append(allowed, ap)
	}
	return allowed, refused
}

// dialPhase is withPhase for connecting to n addresses. For the usual case, one address and our own dialer, which sets
// the deadline on the socket, it goes without a timer.
func (j *dialJob) dialPhase(ctx context.Context, limit time.Duration, n int) (context.Context, context.CancelFunc) {
	if d := j.req.phaseDeadline(time.Now(), limit); n == 1 && j.c.cfg.Dial == nil && !d.IsZero() {
		if outer, ok := ctx.Deadline(); !ok || d.Before(outer) {
			return &deadlineOnly{ctx, d}, func() {}
		}
	}
	return j.req.withPhase(ctx, limit)
}

// deadlineOnly tells of a deadline, and does not end at it.
type deadlineOnly struct {
	context.Context
	at time.Time
}

func (d *deadlineOnly) Deadline() (time.Time, bool) { return d.at, true }

// dialAddr connects to one address.
func (j *dialJob) dialAddr(ctx context.Context, addr netip.AddrPort) (nc net.Conn, err error) {
	j.req.effective.trace.dialStart(addr)
	if j.c.cfg.Dial != nil {
		nc, err = j.c.cfg.Dial(ctx, addr)
	} else {
		nc, err = j.c.direct.DialContext(ctx, "tcp", addr.String())
	}
	j.req.effective.trace.dialDone(addr, err)
	return nc, err
}

// race connects to the addresses, each with a head start before the next, and
// returns the first connection; the others are closed.
func (j *dialJob) race(ctx context.Context, addrs []netip.AddrPort) (net.Conn, netip.AddrPort, []AddrError) {
	if len(addrs) == 1 || j.c.cfg.HappyEyeballs < 0 {
		return j.oneByOne(ctx, addrs)
	}
	type result struct {
		nc   net.Conn
		addr netip.AddrPort
		err  error
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	results := make(chan result, len(addrs))
	started, ended := 0, 0
	start := func() {
		addr := addrs[started]
		started++
		go func() {
			nc, err := j.dialAddr(ctx, addr)
			results <- result{nc, addr, err}
		}()
	}
	var failed []AddrError
	next := time.NewTimer(j.c.cfg.HappyEyeballs)
	defer next.Stop()
	for start(); ended < started; {
		select {
		case r := <-results:
			ended++
			if r.err == nil {
				losers := started - ended
				if losers > 0 {
					go func() {
						for range losers {
							if r := <-results; r.nc != nil {
								_ = r.nc.Close()
							}
						}
					}()
				}
				return r.nc, r.addr, nil
			}
			failed = append(failed, AddrError{r.addr, r.err})
			if started < len(addrs) && ctx.Err() == nil {
				start()
				next.Reset(j.c.cfg.HappyEyeballs)
			}
		case <-next.C:
			if started < len(addrs) {
				start()
				next.Reset(j.c.cfg.HappyEyeballs)
			}
		}
	}
	return nil, netip.AddrPort{}, failed
}

func (j *dialJob) oneByOne(ctx context.Context, addrs []netip.AddrPort) (net.Conn, netip.AddrPort, []AddrError) {
	var failed []AddrError
	for _, a := range addrs {
		nc, err := j.dialAddr(ctx, a)
		if err == nil {
			return nc, a, nil
		}
		failed = append(failed, AddrError{a, err})
		if ctx.Err() != nil {
			break
		}
	}
	return nil, netip.AddrPort{}, failed
}

// UnixConnector connects to one Unix socket, whatever the URL's host.
type UnixConnector struct {
	*Pool
	path string
	tcp  *TCPConnector // for TLS
}

// NewUnixConnector returns a connector to the socket at path.
func NewUnixConnector(path string, cfg PoolConfig) (*UnixConnector, error) {
	if path == "" {
		return nil, errors.New("httpclient: NewUnixConnector: no path")
	}
	tcp, err := NewTCPConnector(TCPConfig{PoolConfig: cfg})
	if err != nil {
		return nil, err
	}
	u := &UnixConnector{path: path, tcp: tcp}
	u.Pool = newPool(cfg, u.connect)
	return u, nil
}

// Path returns the path of the socket.
func (u *UnixConnector) Path() string { return u.path }

func (u *UnixConnector) connect(ctx context.Context, req *Request, key *ConnKey) (*link, error) {
	limit := req.timeouts().Dial
	inner, cancel := req.withPhase(ctx, limit)
	defer cancel()
	start := time.Now()
	var d net.Dialer
	nc, err := d.DialContext(inner, "unix", u.path)
	req.effective.dial += time.Since(start)
	if err != nil {
		if perr := req.phaseError(ctx, inner, PhaseDial, limit, err); perr != nil {
			return nil, perr
		}
		return nil, &ConnectorError{Key: *key, Err: err}
	}
	j := dialJob{u.tcp, req, key}
	return j.secure(ctx, nc)
}
