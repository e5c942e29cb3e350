package crawler

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/orbweaver/orbweaver/crawler/robots"
	"github.com/orbweaver/orbweaver/crawler/weburl"
	"github.com/orbweaver/orbweaver/frontier"
	"github.com/orbweaver/orbweaver/httpclient"
)

const (
	robotsMinAge      = time.Hour        // whatever the header says
	robotsMaxAge      = 24 * time.Hour   // RFC 9309, 2.4
	robotsMaxHops     = 5                // RFC 9309, 2.3.1.2
	robotsForeignWait = 30 * time.Second // for a host that redirects lead to
)

// robotsAnswer is what asking for a robots.txt came to.
type robotsAnswer struct {
	entry *robotsEntry // without a file if there is no answer to go by
	after time.Time    // not to be asked before; zero: any time
	hosts []frontier.HostChange
}

// errHostDue says that the redirects of a robots.txt lead on within its host,
// which is due a pause first.
var errHostDue = errors.New("the host is due a pause")

// fetchRobots asks an origin for its robots.txt and follows redirects, hop by
// hop: one within the host waits for its next turn, one to another host for a
// pause of that one, as far as it is known here. The error is that of the
// context, errHostDue, errAddress or errNoProxy; any other is in the entry.
func (v *visit) fetchRobots(ctx context.Context, origin string) (a robotsAnswer, err error) {
	now := time.Now()
	a.entry = &robotsEntry{Origin: origin, Fetched: now, Expires: now.Add(robotsMaxAge)}
	err = v.readRobots(ctx, &a)
	e := a.entry
	switch {
	case ctx.Err() != nil:
		return a, ctx.Err()
	case errors.Is(err, errHostDue), errors.Is(err, errAddress), errors.Is(err, errNoProxy):
		return a, err
	case err != nil:
		e.Status, e.Body = 0, nil
		e.Error, e.Class = err.Error(), classify(err).class
	}
	if e.parse(); e.file == nil {
		if e.Error == "" {
			e.Error, e.Class = fmt.Sprintf("robots.txt answered %d", e.Status), classRobots
		}
		e.Status, e.Fetched = 0, time.Time{}
	}
	return a, nil
}

func (v *visit) readRobots(ctx context.Context, a *robotsAnswer) error {
	chain := v.robots.takeChain(a.entry.Origin)
	for {
		target, err := v.robotsHop(ctx, a, chain.url)
		if errors.Is(err, errAddress) || errors.Is(err, errNoProxy) {
			v.robots.keepChain(a.entry.Origin, chain)
		}
		if err != nil || target == "" {
			return err
		}
		if chain.hops++; chain.hops > robotsMaxHops {
			return nil // a redirect is left, which counts as there being none
		}
		chain.url = target
		if u, err := weburl.Parse(target); err == nil && u.Host() == v.req.Host && v.pause() > 0 {
			v.robots.keepChain(a.entry.Origin, chain)
			return errHostDue
		}
	}
}

// pause is the least time between two requests to a host that is not known to
// want more.
func (v *visit) pause() time.Duration {
	least := max(v.site.delay(v.cfg.Delay), v.cfg.AddressDelay)
	if a := v.cfg.Adaptive; a.Factor > 0 {
		least = max(least, a.Min, time.Millisecond) // more or less, as the host answers
	}
	return least
}

// robotsHop makes one request and fills in what came of it, or returns where it
// is redirected.
func (v *visit) robotsHop(ctx context.Context, a *robotsAnswer, rawURL string) (target string, err error) {
	u, err := weburl.Parse(rawURL)
	if err != nil {
		return "", nil // redirected to what is no URL: there is none
	}
	watch := v.lease
	if u.Host() != v.req.Host {
		if err := v.awaitForeign(ctx, a, u); err != nil {
			return "", err
		}
		watch = unwatched{}
	}
	req, err := v.newRequest(rawURL, watch)
	if err != nil {
		return "", err
	}
	req.NoRedirects = true
	req.MaxBody = robots.MaxBytes
	tape, began := v.archives.record(req), time.Now()
	defer func() {
		if ctx.Err() == nil {
			v.archiveFetch(tape, &fetched{began: began, took: time.Since(began), err: err})
		}
	}()
	resp, kept, err := v.do(ctx, req)
	if err != nil {
		return "", err
	}
	defer resp.Release()
	defer func() { kept.keep(resp, err) }()
	e := a.entry
	now := time.Now()
	e.Status, e.Expires = resp.StatusCode, now.Add(freshness(resp.Header(), now))
	a.after = retryAfter(resp.HeaderValue("Retry-After"), now)
	switch {
	case redirects(e.Status):
		t, err := u.Resolve([]byte(resp.HeaderValue("Location")))
		if err != nil || resp.HeaderValue("Location") == "" {
			return "", nil
		}
		return t.String(), nil
	case e.Status/100 == 2:
		// One that broke off may have lost the rule that matters.
		e.Body, err = resp.AppendBody(nil)
	case kept != nil:
		_, _ = resp.AppendBody(nil) // for the cache alone
	}
	return "", err
}

// awaitForeign waits for a host that nobody has leased, and leaves it a pause
// after the request that is going to be made.
func (v *visit) awaitForeign(ctx context.Context, a *robotsAnswer, u weburl.URL) error {
	delay, now := v.pause(), time.Now()
	if delay == 0 {
		return nil
	}
	known, err := v.front.Lookup(ctx, frontier.Request{Host: u.Host(), URL: u.String()})
	if err != nil {
		return err
	}
	delay = max(delay, known.Host.Delay)
	wait := max(v.robots.bookForeign(u.Host(), delay, now), known.Host.Next.Sub(now), known.Host.Blocked.Sub(now))
	if wait > robotsForeignWait {
		return fmt.Errorf("%w: %s, where robots.txt is redirected to, is asked too often", httpclient.ErrServerTimeout, u.Host())
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return ctx.Err()
	}
	a.hosts = append(a.hosts, frontier.HostChange{Host: u.Host(), BlockedUntil: time.Now().Add(delay)})
	return nil
}

// unwatched is the watch of a request to a host that is not leased.
type unwatched struct{}

func (unwatched) Started(time.Time)  {}
func (unwatched) Answered(time.Time) {}

// freshness is how long a robots.txt counts: what its header says (RFC 9111,
// 4.2.1), but an hour at least, and a day at most, which is also the default.
func freshness(h http.Header, now time.Time) time.Duration {
	fresh, told := lifetime(h, now)
	if !told {
		fresh = robotsMaxAge - ageIn(h)
	}
	return min(max(fresh, robotsMinAge), robotsMaxAge)
}
