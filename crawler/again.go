package crawler

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/orbweaver/orbweaver/crawler/links"
	"github.com/orbweaver/orbweaver/crawler/sitemap"
	"github.com/orbweaver/orbweaver/crawler/weburl"
	"github.com/orbweaver/orbweaver/frontier"
	"github.com/orbweaver/orbweaver/storage"
)

// lateEvery is how many leases of a host there are for one that prefers revisits to
// new pages: see Revisit.
const lateEvery = 4

func (cfg *Config) lateEvery() int {
	if cfg.Revisit.on() {
		return lateEvery
	}
	return 0
}

// extraMark begins, behind the URL of a page, what makes an extra visit of it a
// request of its own, besides the one that waits for the page's time: the mark, which
// is in no canonical URL, and the lastmod of the sitemap that says that the page has
// changed, so that the same news are followed once.
const extraMark = "#"

// splitExtra returns the page's URL, and whether the request is for an extra visit.
func splitExtra(url string) (page string, extra bool) {
	page, _, extra = strings.Cut(url, extraMark)
	return page, extra
}

// schedule is the Revisit that counts for the URL.
func (v *visit) schedule() Revisit {
	if v.env.kind == links.Sitemap {
		return v.cfg.Revisit.ofSitemaps()
	}
	return v.cfg.Revisit
}

// comeAgain lets the URL of a visit that is at its end wait for the next one, in
// the same change.
func (v *visit) comeAgain() {
	ch := v.ch
	if len(ch.done) == 0 || v.extra {
		return
	}
	planned := v.env.has(flagRevisit)
	if planned {
		ch.tally.Revisits--
	}
	if !v.cfg.Revisit.on() {
		return
	}
	next := v.env
	at, wait, again := time.Now(), time.Duration(0), false
	schedule := v.schedule()
	if rec := ch.record; rec != nil {
		at = rec.FetchedAt
		next.plan, wait, again = schedule.next(v.env.plan, v.foundBy(rec), v.hint)
		next.plan.since = max(0, at.Unix())
		next.flags = 0 // what became of a seed has been told
		next.listing, next.user = listing{}, v.env.given()
	} else if found, left := foundByNone(&ch.tally); left && (planned || found == foundNothing) {
		next.plan, wait, again = schedule.next(v.env.plan, found, 0)
	}
	if !again {
		return
	}
	next.flags |= flagRevisit
	req := v.req.Request
	req.Attempt, req.NotBefore, req.Data = 0, dueAfter(at, wait), next.encode()
	ch.again = append(ch.again, req)
	ch.tally.Revisits++
	ch.weight += weigh(req)
}

// foundBy is what a result says of a visit.
func (v *visit) foundBy(rec *storage.Record) found {
	switch {
	case gone(rec.Status):
		return foundGone
	case !present(rec):
		return foundNothing
	case v.env.kind == links.Sitemap:
		return foundSame
	}
	return foundOf(rec.Change)
}

func foundOf(c storage.Change) found {
	switch c {
	case storage.ChangeNew, storage.ChangeChanged:
		return foundChanged
	case storage.ChangeUnchanged:
		return foundSame
	case storage.ChangeGone:
		return foundGone
	}
	return foundNothing // it came in part
}

// foundByNone is what a visit without a result says, and false if its URL was not left
// out.
func foundByNone(t *tally) (found, bool) {
	for _, n := range t.leftOut {
		if n.key == ReasonHostDown || n.key == ReasonRobotsUnreachable {
			return foundNothing, true
		}
	}
	return foundForbidden, len(t.leftOut) > 0
}

// suggest notes when a page that was never visited wants to be visited again.
func (v *visit) suggest(h func() http.Header) {
	if v.cfg.Revisit.on() && v.env.plan.interval == 0 {
		v.hint = suggested(v.env.listing, h(), time.Now(), &v.cfg.Revisit)
	}
}

// visited ends a revisit whose page was visited meanwhile, as a sitemap said that it
// has changed: an extra visit is not needed any more, and a planned one waits for the
// time that follows from what that visit found. It reports false if the page is due.
func (v *visit) visited() bool {
	last := v.known.newest
	if !v.env.has(flagRevisit) || last == nil || last.FetchedAt.Unix() <= v.env.plan.since {
		return false
	}
	if v.extra {
		v.finish()
		return true
	}
	if !v.cfg.Revisit.on() {
		return false
	}
	p, wait, again := v.cfg.Revisit.next(v.env.plan, v.foundBy(last), 0)
	if !again {
		return false // the visit will tell
	}
	p.since = last.FetchedAt.Unix()
	v.env.plan = p
	due := dueAfter(last.FetchedAt, wait)
	if !due.After(time.Now()) {
		return false
	}
	later := v.leased()
	later.NotBefore, later.Data = due, v.env.encode()
	v.ch = &change{retry: []frontier.Leased{later}}
	return true
}

// leased is the visit's request as the frontier knows it.
func (v *visit) leased() frontier.Leased {
	l := v.req
	if v.extra {
		l.URL = v.asLeased
	}
	return l
}

// trustsLastmod says whether pages are left alone that a sitemap says have not changed.
func (v *visit) trustsLastmod() bool { return v.cfg.TrustLastmod && v.rounds > 1 }

// news deals with what a sitemap that is read again says of a page that may have been
// visited: when it has changed since, an extra visit is due, Min after the last one at
// the earliest, and not before the change. It is asked for now even if that is later,
// as the sitemap may not be sent again until it has changed. A change after Max is left
// to the visit that comes before it anyway. Priority and hops, which are not kept in
// results, are those of a page that the sitemap names.
func (s *sitemapVisit) news(ctx context.Context, u weburl.URL, e *sitemap.Entry, priority int8, hops byte) {
	revisits := s.cfg.Revisit
	if s.trustsLastmod() && !e.LastMod.IsZero() {
		s.unmodified.add(u.String(), e.LastMod)
	}
	if !revisits.on() || !s.env.has(flagRevisit) || e.LastMod.IsZero() || time.Until(e.LastMod) > revisits.Max {
		return
	}
	rec, err := s.commits.store.Get(ctx, u.String())
	if err != nil || !rec.FetchedAt.Before(e.LastMod) {
		if err != nil && !errors.Is(err, storage.ErrNotFound) && ctx.Err() == nil {
			s.commits.fail(s.job.wrap("read", err))
		}
		return
	}
	req := requestOf(rec)
	env := decodeEnvelope(req.Data)
	env.flags |= flagRevisit
	env.plan.since = max(0, e.LastMod.Unix())
	env.hops, req.Priority = hops, priority
	req.URL += extraMark + strconv.FormatInt(e.LastMod.Unix(), 10)
	if wait := max(time.Until(rec.FetchedAt.Add(revisits.Min)), time.Until(e.LastMod)); wait > 0 {
		req.NotBefore = dueAfter(time.Now(), wait)
	}
	req.Data = env.encode()
	s.ch.add = append(s.ch.add, req)
	s.ch.weight += weigh(req)
}

// PlannedRevisit is the next visit of a page: see Config.Revisit.
type PlannedRevisit struct {
	At       time.Time     `json:"at"`                // not before
	Last     time.Time     `json:"last,omitzero"`     // when it was visited; zero: it was not yet
	Interval time.Duration `json:"interval_ns"`       // that it has now
	Failed   int           `json:"failed,omitempty"`  // visits in a row that found out nothing
	Gone     int           `json:"gone,omitempty"`    // visits in a row that found it gone
	Sitemap  bool          `json:"sitemap,omitempty"` // it is one, and not a page
}

// plannedRevisit is what a waiting request says of a revisit; nil: it is for none.
func plannedRevisit(s *frontier.Status) *PlannedRevisit {
	env := decodeEnvelope(s.Request.Data)
	if s.State != frontier.StateWaiting && s.State != frontier.StateLeased || !env.has(flagRevisit) {
		return nil
	}
	p := &PlannedRevisit{
		At: s.Request.NotBefore, Interval: env.plan.interval, Failed: int(env.plan.failed), Gone: int(env.plan.gone),
		Sitemap: env.kind == links.Sitemap,
	}
	if env.plan.since > 0 {
		p.Last = time.Unix(env.plan.since, 0).UTC()
	}
	return p
}

// String tells when the page is visited next, and why then.
func (p *PlannedRevisit) String() string { return p.text(time.Now()) }

func (p *PlannedRevisit) text(now time.Time) string {
	s := "it is visited again"
	switch at := p.At.UTC().Format(time.RFC3339); {
	case p.At.After(now):
		s += " from " + at + " on"
	case !p.At.IsZero():
		s += " when its turn comes, due since " + at
	}
	switch {
	case p.Failed == 1:
		s += ", as the last visit found out nothing"
	case p.Failed > 1:
		s += fmt.Sprintf(", as the last %d visits found out nothing", p.Failed)
	case p.Gone > 0:
		s += fmt.Sprintf(", %v after it was found gone, for the %d. time", p.Interval, p.Gone)
	case p.Sitemap:
		s += fmt.Sprintf(", as sitemaps are every %v", p.Interval)
	default:
		s += fmt.Sprintf(", every %v as it has changed so far", p.Interval)
	}
	if !p.Last.IsZero() {
		s += "; last visit " + p.Last.Format(time.RFC3339)
	}
	return s
}
