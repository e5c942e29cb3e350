package crawler

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/orbweaver/orbweaver/crawler/weburl"
	"github.com/orbweaver/orbweaver/frontier"
)

// errRobots is why a URL waits whose origin's robots.txt could not be had.
var errRobots = errors.New("robots.txt unreachable")

// obeyRobots reports whether the URL may be fetched now. If not, the visit has
// been ended, or the URL goes back for a later lease.
func (v *visit) obeyRobots(ctx context.Context) bool {
	e, asked := v.askIfDue(ctx)
	if e == nil || asked && v.gate.closed() {
		return false
	}
	now := time.Now()
	switch {
	case e.usable(now, v.cfg.Robots.MaxStale):
		v.addOwedSitemaps(e)
		if asked && e.Tries == 0 && max(e.crawlDelay(v.agent), v.pause()) > 0 {
			return false // the host wants a pause between robots.txt and the page
		}
		return v.judgeRobots(e)
	case e.Final:
		v.forbidden(e)
	case !asked:
		v.blockHost(e.Expires)
	}
	return false
}

// askIfDue returns what is known of the origin's robots.txt, after asking for it
// if that is due. It returns nil if it is not for this lease to know.
func (v *visit) askIfDue(ctx context.Context) (e *robotsEntry, asked bool) {
	origin := v.url.Origin()
	for {
		e, err := v.robots.get(origin)
		if err != nil {
			v.commits.fail(err)
			return nil, false
		}
		if e != nil && time.Now().Before(e.Expires) {
			return e, asked
		}
		if !v.robots.begin(ctx, origin) {
			if ctx.Err() != nil {
				return nil, false
			}
			continue // somebody else has asked
		}
		ok := v.askRobots(ctx, origin, e)
		v.robots.end(origin)
		if !ok {
			return nil, false
		}
		asked = true
	}
}

// askRobots fetches robots.txt and keeps what came of it. It reports false if
// the URL has been dealt with, or goes back.
func (v *visit) askRobots(ctx context.Context, origin string, old *robotsEntry) bool {
	answer, err := v.fetchRobots(ctx, origin)
	if err != nil {
		return false // the crawl ends, or redirects go on after a pause
	}
	if answer.entry.Class == classLocal {
		v.putOff(fmt.Errorf("%w: %s", errRobots, answer.entry.Error))
		return false
	}
	e, ch := answer.entry, &change{hosts: answer.hosts}
	if e.file == nil {
		if e, err = v.robotsFailed(answer, old, ch); err != nil {
			v.commits.fail(err)
			return false
		}
	}
	ch.robots, ch.weight = e, int64(len(e.Body))
	if e.Tries == 0 {
		other, err := v.otherDelay()
		if err != nil {
			v.commits.fail(err)
			return false
		}
		if delay := max(e.crawlDelay(v.agent), other); delay != max(old.crawlDelay(v.agent), other) {
			ch.hosts = append(ch.hosts, frontier.HostChange{Host: v.req.Host, Delay: &delay})
		}
	}
	if e.Tries == 0 && v.owesSitemaps(e) {
		e.Sitemaps = true
		v.addSitemaps(ch, e)
	}
	if len(ch.hosts) > 0 { // which have to count before the host is asked again
		err = v.commits.commit(ch)
	} else {
		v.commits.submit(ch)
	}
	v.robots.add(e)
	return err == nil
}

// otherDelay is the delay that the robots.txt of the URL's host asks for over the other
// scheme. To the frontier both are one host, and the longer delay counts.
func (v *visit) otherDelay() (time.Duration, error) {
	scheme := "https://"
	if v.url.Scheme() == "https" {
		scheme = "http://"
	}
	u, err := weburl.Parse(scheme + v.url.Host())
	if err != nil {
		return 0, nil // a port that the other scheme cannot have
	}
	e, err := v.robots.get(u.Origin())
	return e.crawlDelay(v.agent), err
}

const (
	robotsFirstPause = time.Minute // after the last of the tries,
	robotsLastPause  = time.Hour   // then twice as long each time up to this
)

// robotsFailed makes the entry of a robots.txt that could not be had: what the
// last answer was, and when to ask again.
func (v *visit) robotsFailed(a robotsAnswer, old *robotsEntry, ch *change) (*robotsEntry, error) {
	e, now := a.entry, time.Now()
	if old != nil {
		kept, err := v.job.robotsOf(e.Origin) // with its body
		if err != nil {
			return nil, err
		}
		if kept != nil {
			e.Fetched, e.Status, e.Body, e.file, e.size = kept.Fetched, kept.Status, kept.Body, kept.file, kept.size
			e.Sitemaps = kept.Sitemaps
		}
		e.Tries = old.Tries
	}
	tries := v.robotsTries(e)
	e.Tries++
	if e.Tries >= tries || e.usable(now, v.cfg.Robots.MaxStale) {
		e.Final = true
		pause := robotsLastPause
		if n := e.Tries - tries; n < 6 {
			pause = robotsFirstPause << max(n, 0)
		}
		e.Expires = now.Add(min(pause, robotsLastPause))
		v.cfg.Logger.Warn("robots.txt cannot be had", "origin", e.Origin, "error", e.Error, "last_good", e.Fetched, "next", e.Expires)
		return e, nil
	}
	e.Expires = now.Add(backoff(e.Tries - 1))
	if a.after.After(e.Expires) {
		e.Expires = a.after
	}
	if e.Tries == 2 { // the first may be an accident; from now on the host waits for longer
		v.cfg.Logger.Warn("robots.txt cannot be had, its host waits", "origin", e.Origin, "error", e.Error, "next", e.Expires)
	}
	ch.hosts = append(ch.hosts, frontier.HostChange{Host: v.req.Host, BlockedUntil: e.Expires})
	ch.tally.Retried = 1
	v.events.Retried(RetriedEvent{
		URL: e.Origin + "/robots.txt", Err: fmt.Errorf("%w: %s", errRobots, e.Error), Attempt: e.Tries, Next: e.Expires,
	})
	return e, nil
}

// robotsTries is how often in a row robots.txt is asked for while URLs wait.
func (v *visit) robotsTries(e *robotsEntry) int {
	answered := e.Class == classRobots
	switch {
	case v.cfg.Robots.Tries < 0, !retryClass(e.Class), v.env.has(flagGuessed) && !answered:
		return 1
	case v.cfg.Robots.Tries > 0:
		return v.cfg.Robots.Tries
	case v.cfg.Retries > 0 && answered:
		return max(DefaultRobotsTries, v.cfg.Retries+1)
	}
	return v.cfg.Retries + 1
}

// blockHost keeps the host from being leased again before a time; the URL goes
// back.
func (v *visit) blockHost(until time.Time) {
	err := v.commits.commit(&change{hosts: []frontier.HostChange{{Host: v.req.Host, BlockedUntil: until}}})
	if err != nil {
		v.commits.fail(err)
	}
}

// forbidden ends the visit for want of an answer to go by.
func (v *visit) forbidden(e *robotsEntry) {
	switch e.Class {
	case classPrivate:
		v.leaveOutSeed(ReasonPrivate, "%s", e.Error)
	case classRobots:
		v.leaveOutSeed(ReasonRobotsUnreachable, "%s", e.Error)
	default:
		v.giveUp(e.Class, errors.New(e.Error))
	}
}

// judgeRobots ends the visit if the entry forbids it.
func (v *visit) judgeRobots(e *robotsEntry) bool {
	v.rules = e.file
	verdict := e.file.Allowed(v.agent, v.url.PathAndQuery())
	if !verdict.Allowed {
		v.leaveOutSeed(ReasonRobots, "line %d says %q", verdict.Line, verdict.Rule)
	}
	return verdict.Allowed
}

// maxForeseen is for how many links of a page forbids asks robots.txt. With its most rules,
// and those the slowest, a question takes a third of a millisecond.
const maxForeseen = 256

// forbids reports whether robots.txt of the visit's origin, as it is now, forbids a link to
// it. Such a link is never to wait in the frontier, where some sites would have dozens for
// each page; others are judged by what robots.txt says when it is their turn. With
// Config.Revisit they wait as well, as they may be allowed one day.
func (v *visit) forbids(u weburl.URL) bool {
	if v.rules == nil || u.Host() != v.url.Host() || u.Scheme() != v.url.Scheme() || v.cfg.Revisit.on() || v.foreseen == maxForeseen {
		return false
	}
	v.foreseen++
	return !v.rules.Allowed(v.agent, u.PathAndQuery()).Allowed
}
