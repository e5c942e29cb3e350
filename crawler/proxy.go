package crawler

import (
	"fmt"
	"net/url"
	"slices"
	"sync"
	"time"
)

// ProxyStats tell how one of Config.Proxies does.
type ProxyStats struct {
	Proxy    string    `json:"proxy"`           // without credentials
	Requests int64     `json:"requests"`        // that were answered through it
	Failures int64     `json:"failures"`        // that were its fault
	Out      time.Time `json:"out,omitzero"`    // it is left alone until then; zero: it is not
	Error    string    `json:"error,omitempty"` // its last failure; "" when it has answered since
}

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
