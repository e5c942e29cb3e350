package crawler

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/orbweaver/orbweaver/httpclient"
)

// ProxyPolicy says which of Config.Proxies takes a request.
type ProxyPolicy int

const (
	// ProxySticky sends all requests to a host through one proxy, so that a site sees
	// one client, as long as that proxy works. Which it is follows from the host and
	// the list, over restarts too; when a proxy is added or taken away, few hosts move.
	ProxySticky ProxyPolicy = iota
	// ProxyRoundRobin sends each request through the next one.
	ProxyRoundRobin
)

var proxyPolicyNames = [...]string{"sticky", "round-robin"}

func (p ProxyPolicy) String() string {
	if p < 0 || int(p) >= len(proxyPolicyNames) {
		return "unknown"
	}
	return proxyPolicyNames[p]
}

// ParseProxyPolicy reads what String writes.
func ParseProxyPolicy(text string) (ProxyPolicy, error) {
	if i := slices.Index(proxyPolicyNames[:], text); i >= 0 {
		return ProxyPolicy(i), nil
	}
	return 0, fmt.Errorf("%q is none of %s", text, strings.Join(proxyPolicyNames[:], ", "))
}

// ProxyStats tell how one of Config.Proxies does.
type ProxyStats struct {
	Proxy    string    `json:"proxy"`           // without credentials
	Requests int64     `json:"requests"`        // that were answered through it
	Failures int64     `json:"failures"`        // that were its fault
	Out      time.Time `json:"out,omitzero"`    // it is left alone until then; zero: it is not
	Error    string    `json:"error,omitempty"` // its last failure; "" when it has answered since
}

// ErrProxies is wrapped by the error of a run that ended because none of
// Config.Proxies has ever worked.
var ErrProxies = errors.New("crawler: no proxy works")

// errNoProxy is why a request was not made: every proxy is out.
var errNoProxy = errors.New("crawler: every proxy is out")

const (
	proxyFirstPause = 500 * time.Millisecond // after a failure; then twice as long each time
	proxyLastPause  = 5 * time.Minute
	proxyRounds     = 4 // in which all fail, without any that ever worked, end the run
)

// proxies are what requests go through. One that fails is out for a while, in
// which others do its work; when all are out, the crawl pauses. Its methods may be
// called at once.
type proxies struct {
	policy ProxyPolicy
	list   []*proxy

	telling sync.Mutex // held while a pause begins or ends, so that these are told in their order

	mu     sync.Mutex
	turn   int         // of the next request, for ProxyRoundRobin
	worked bool        // one of them has, ever
	rounds int         // times all were out before that
	paused bool        // all are out, or were and none has answered since
	reopen *time.Timer // opens the gate again; nil: never closed
	closed bool

	gate    *gate
	tell    func(PausedEvent) // of the pause
	resumed func()
	end     func(error) // ends the run
}

// proxy is one of them. All but url, name and weight is guarded by proxies.mu.
type proxy struct {
	url    *url.URL
	name   string
	weight uint64 // which tells it from the others

	requests, failures int64
	row                int       // failures since it last answered; those under way together are one
	last               time.Time // of them
	out                time.Time
	err                error
}

// checkProxies says what is wrong with a list of proxies.
func checkProxies(list []*url.URL) string {
	seen := make(map[string]bool)
	for i, u := range list {
		switch {
		case u == nil || u.Host == "":
			return fmt.Sprintf("number %d is no URL of a proxy", i+1)
		case !slices.Contains([]string{"http", "https", "socks5", "socks5h"}, u.Scheme):
			return fmt.Sprintf("number %d: %q is no kind of proxy: write http, https, socks5 or socks5h", i+1, u.Scheme)
		case seen[proxyIdentity(u)]:
			return fmt.Sprintf("number %d, at %s, is there twice", i+1, u.Host)
		}
		seen[proxyIdentity(u)] = true
	}
	return ""
}

// proxyIdentity tells proxies apart: many are one address with a user for each exit.
func proxyIdentity(u *url.URL) string { return u.Scheme + "://" + u.User.Username() + "@" + u.Host }

func newProxies(list []*url.URL, policy ProxyPolicy) *proxies {
	ps := &proxies{policy: policy}
	names := make(map[string]int)
	for _, u := range list {
		p := &proxy{url: u, name: u.Scheme + "://" + u.Host, weight: hash64(proxyIdentity(u))}
		names[p.name]++
		if n := names[p.name]; n > 1 {
			p.name = fmt.Sprintf("%s (%d)", p.name, n)
		}
		ps.list = append(ps.list, p)
	}
	return ps
}

func hash64(s string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(s)) // cannot fail
	return h.Sum64()
}

// score ranks a proxy for a host: the one with the highest takes it (rendezvous
// hashing).
func score(weight, host uint64) uint64 {
	x := weight ^ host
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9 // mixes as splitmix64 does
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// choose returns the proxy for a request to a host, nil if none is left that is in
// and not among those tried.
func (ps *proxies) choose(host string, tried []*proxy, now time.Time) (best *proxy) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	fit := func(p *proxy) bool { return !p.out.After(now) && !slices.Contains(tried, p) }
	if ps.policy == ProxyRoundRobin {
		for range ps.list {
			p := ps.list[ps.turn%len(ps.list)]
			if ps.turn = (ps.turn + 1) % len(ps.list); fit(p) {
				return p
			}
		}
		return nil
	}
	h, most := hash64(host), uint64(0)
	for _, p := range ps.list {
		if s := score(p.weight, h); fit(p) && (best == nil || s > most) {
			best, most = p, s
		}
	}
	return best
}

// answered notes that a request came through.
func (ps *proxies) answered(p *proxy) {
	ps.mu.Lock()
	p.requests++
	p.row, p.out, p.err = 0, time.Time{}, nil
	ps.worked, ps.rounds = true, 0
	paused := ps.paused
	ps.mu.Unlock()
	if !paused {
		return
	}
	ps.telling.Lock()
	defer ps.telling.Unlock()
	ps.mu.Lock()
	over := ps.paused
	ps.paused = false
	ps.mu.Unlock()
	if over {
		ps.gate.resume(PauseProxies)
		ps.resumed()
	}
}

// failed takes a proxy out for a while, and pauses the crawl if it was the last.
func (ps *proxies) failed(p *proxy, err error, began, now time.Time) {
	ps.mu.Lock()
	p.failures++
	p.err = err
	if p.row == 0 || began.After(p.last) {
		p.row++
		p.last, p.out = now, now.Add(min(proxyFirstPause<<min(p.row-1, 20), proxyLastPause))
	}
	ps.mu.Unlock()
	ps.pauseIfOut(now)
}

// pauseIfOut pauses the crawl while every proxy is out.
func (ps *proxies) pauseIfOut(now time.Time) {
	ps.telling.Lock()
	defer ps.telling.Unlock()
	ps.mu.Lock()
	first := ps.first()
	until, why := first.out, &proxyFailure{first.name, first.err}
	if ps.closed || !until.After(now) || !ps.gate.pause(PauseProxies) {
		ps.mu.Unlock()
		return
	}
	ps.reopen = time.AfterFunc(until.Sub(now), func() { ps.gate.resume(PauseProxies) })
	begins, hopeless := !ps.paused, false
	ps.paused = true
	if !ps.worked {
		ps.rounds++
		hopeless = ps.rounds >= proxyRounds
	}
	ps.mu.Unlock()
	if begins {
		ps.tell(PausedEvent{Cause: PauseProxies, Until: until, Err: why})
	}
	if hopeless {
		ps.end(fmt.Errorf("%w: %w", ErrProxies, why))
	}
}

// first is the proxy that is in first. ps.mu is held.
func (ps *proxies) first() *proxy {
	return slices.MinFunc(ps.list, func(a, b *proxy) int { return a.out.Compare(b.out) })
}

// begin forgets, for a new run, that none of them worked in the last.
func (ps *proxies) begin() {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	ps.rounds = 0
}

func (ps *proxies) close() {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	ps.closed = true
	if ps.reopen != nil {
		ps.reopen.Stop()
	}
}

func (ps *proxies) stats(now time.Time) (list []ProxyStats) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	for _, p := range ps.list {
		s := ProxyStats{Proxy: p.name, Requests: p.requests, Failures: p.failures}
		if p.out.After(now) {
			s.Out = p.out
		}
		if p.err != nil {
			s.Error = proxyComplaint(p.err)
		}
		list = append(list, s)
	}
	return list
}

// proxyComplaint is an error without the URL of its proxy, which tells the user.
func proxyComplaint(err error) string {
	var broken *httpclient.ProxyConnectionError
	var refused *httpclient.ProxyResponseError
	var timeout *httpclient.TimeoutError
	switch {
	case errors.As(err, &broken):
		return broken.Err.Error()
	case errors.As(err, &refused):
		return strings.TrimSpace(fmt.Sprintf("%d %s", refused.StatusCode, refused.Reason))
	case errors.As(err, &timeout):
		return timeout.Error()
	}
	return "failed"
}

// proxyFailure is why a proxy is out, told without credentials.
type proxyFailure struct {
	name string
	err  error
}

func (e *proxyFailure) Error() string { return e.name + ": " + proxyComplaint(e.err) }
func (e *proxyFailure) Unwrap() error { return e.err }

// fault is how far a failure is the proxy's.
type fault int

const (
	faultNone    fault = iota
	faultRefused       // it does not serve that host, which says nothing of it
	faultMaybe         // its own or the host's: if another one does better, its own
	faultProxy
)

// blame says whose fault the end of a request through a proxy is.
func blame(err error) fault {
	var broken *httpclient.ProxyConnectionError
	var refused *httpclient.ProxyResponseError
	var timeout *httpclient.TimeoutError
	var dns *httpclient.DNSError
	var private *PrivateAddressError
	switch {
	case exhausted(err):
		return faultNone
	case errors.As(err, &refused):
		switch {
		case refused.Header == nil: // SOCKS5
			return faultMaybe
		case refused.StatusCode == http.StatusProxyAuthRequired, refused.StatusCode == http.StatusUnauthorized:
			return faultProxy
		case refused.StatusCode/100 == 4:
			return faultRefused
		}
		return faultMaybe
	case errors.As(err, &broken) && (!broken.Reached || errors.Is(err, httpclient.ErrProxyCredentials)):
		return faultProxy
	case errors.As(err, &private), errors.As(err, &dns): // of the host, that was to be resolved here
		return faultNone
	case errors.As(err, &broken):
		return faultMaybe
	case errors.As(err, &timeout) && timeout.Phase == httpclient.PhaseDial:
		return faultProxy
	case errors.As(err, &timeout) && timeout.Phase == httpclient.PhaseProxy:
		return faultMaybe
	}
	return faultNone
}

// through is the middleware that sends each request through one of the proxies,
// and through others while it is the proxy that fails, as nothing has reached the
// host then.
func (ps *proxies) through(next httpclient.Handler) httpclient.Handler {
	return func(ctx context.Context, req *httpclient.Request) (*httpclient.Response, error) {
		var tried []*proxy
		var doubt doubtful
		for {
			began := time.Now()
			p := ps.choose(req.Host(), tried, began)
			switch {
			case p != nil:
				tried = append(tried, p)
			case doubt.p != nil && !doubt.again:
				p, doubt.again = doubt.p, true // there is no other: is it still there?
			case doubt.p != nil:
				return nil, doubt.err
			default:
				ps.pauseIfOut(began)
				return nil, errNoProxy
			}
			req.Proxy = p.url
			resp, err := next(ctx, req)
			if err == nil && resp.StatusCode == http.StatusProxyAuthRequired {
				err = &httpclient.ProxyResponseError{Proxy: p.name, StatusCode: resp.StatusCode, Reason: "credentials refused", Header: resp.Header()}
				_ = resp.Close()
			}
			if err == nil {
				ps.answered(p)
				doubt.settle(ps)
				return resp, nil
			}
			if ctx.Err() != nil {
				return nil, err
			}
			switch f := ps.judge(err, req); {
			case f == faultNone:
				doubt.settle(ps)
				return nil, err
			case f == faultProxy:
				ps.failed(p, err, began, time.Now())
				if doubt.p == p {
					doubt = doubtful{}
				}
			case doubt.p != nil:
				return nil, err // twice: it is the host
			default:
				doubt = doubtful{p: p, err: err, began: began, convict: f == faultMaybe}
			}
			if req.Body != nil && !req.Body.Replayable() {
				return nil, err
			}
		}
	}
}

// judge is blame, with what the request tells. A proxy that forwards requests
// answers when the host hangs up, so that one that hangs up itself may have failed.
// And what a hostile host can feign, that the proxy wants other credentials, is
// believed at once of forwarded requests only as long as no proxy has worked.
func (ps *proxies) judge(err error, req *httpclient.Request) fault {
	f := blame(err)
	forwarded := strings.HasPrefix(req.URL(), "http:") && strings.HasPrefix(req.Proxy.Scheme, "http")
	var closed *httpclient.DisconnectedError
	var refused *httpclient.ProxyResponseError
	ps.mu.Lock()
	defer ps.mu.Unlock()
	switch {
	case !forwarded:
		return f
	case f == faultNone && errors.As(err, &closed) && req.Method == http.MethodGet:
		return faultMaybe
	case f == faultProxy && ps.worked && errors.As(err, &refused):
		return faultMaybe
	}
	return f
}

// doubtful is a failure of which it is not known whose fault it is, until another
// proxy has been tried.
type doubtful struct {
	p       *proxy
	err     error
	began   time.Time
	convict bool // it is to be taken out if the other one does better
	again   bool // for want of another one, it was tried again
}

// settle takes the proxy out for which another one did better.
func (d *doubtful) settle(ps *proxies) {
	if d.p != nil && d.convict && !d.again {
		ps.failed(d.p, d.err, d.began, time.Now())
	}
}

// openProxies makes what requests go through; nil if they go nowhere else.
func (c *Crawler) openProxies() {
	if len(c.cfg.Proxies) == 0 {
		return
	}
	ps := newProxies(c.cfg.Proxies, c.cfg.ProxyPolicy)
	ps.gate = c.gate
	ps.tell = func(e PausedEvent) {
		c.cfg.Logger.Info("every proxy is out: the crawl waits", "until", e.Until, "error", e.Err)
		c.events.Paused(e)
	}
	ps.resumed = func() { c.events.Resumed(ResumedEvent{Cause: PauseProxies}) }
	ps.end = c.endWith
	c.proxies = ps
}

// endWith ends the run with an error, as if its context had ended.
func (c *Crawler) endWith(err error) {
	c.mu.Lock()
	kill := c.kill
	c.mu.Unlock()
	if kill != nil {
		kill(err)
	}
}

// keptProxy is a proxy as the job keeps it for Explain.
type keptProxy struct {
	Name   string `json:"name"`
	Weight uint64 `json:"weight"`
}

func keepProxies(cfg *Config) (list []keptProxy) {
	for _, p := range newProxies(cfg.Proxies, cfg.ProxyPolicy).list {
		list = append(list, keptProxy{p.name, p.weight})
	}
	return list
}

// proxyFor tells for people what a host is asked through.
func (r *rules) proxyFor(host string) string {
	switch {
	case len(r.Proxies) == 0:
		return ""
	case len(r.Proxies) == 1:
		return r.Proxies[0].Name
	case r.ProxyPolicy == ProxyRoundRobin:
		return fmt.Sprintf("each of %d in turn", len(r.Proxies))
	}
	name, _ := splitHost(host)
	h := hash64(strings.Trim(name, "[]"))
	best := slices.MaxFunc(r.Proxies, func(a, b keptProxy) int {
		if score(a.Weight, h) < score(b.Weight, h) {
			return -1
		}
		return 1
	})
	return fmt.Sprintf("%s, of %d, as long as it works", best.Name, len(r.Proxies))
}
