package crawler

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/orbweaver/orbweaver/httpclient"
)

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
