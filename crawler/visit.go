package crawler

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/orbweaver/orbweaver/crawler/links"
	"github.com/orbweaver/orbweaver/crawler/robots"
	"github.com/orbweaver/orbweaver/crawler/weburl"
	"github.com/orbweaver/orbweaver/frontier"
	"github.com/orbweaver/orbweaver/httpclient"
	"github.com/orbweaver/orbweaver/storage"
)

// watch is told when a request was written and when its answer began, from
// which the host's next start follows.
type watch interface {
	Started(at time.Time)
	Answered(at time.Time)
}

// visit is one leased URL's way through the crawler. It ends in a change that
// is submitted, or with the URL given back to the frontier.
type visit struct {
	*Crawler
	w        *worker
	lease    watch
	req      frontier.Leased
	env      envelope
	url      weburl.URL
	site     *site
	agent    string       // the name that robots.txt and pages of the site know the crawler by
	rules    *robots.File // of the URL's origin; nil: they are not to be obeyed
	foreseen int          // links that forbids has asked them for

	extra    bool   // besides the one that the page's time brings: see extraMark
	asLeased string // the URL of the request then

	known known         // of the page, from earlier visits
	asked bool          // whether it has changed since
	hint  time.Duration // between two visits; 0: none

	turn    int  // number of the login's session
	outside bool // the page is that for those who are not logged in

	ch    *change // what the visit does; nil: the URL goes back unfetched
	spent bool    // the URL became a page, which counts for MaxPages
}

// run does the visit and reports whether it came to an end, which it does not
// when the crawl is stopped or the host wants a pause first.
func (v *visit) run(ctx context.Context) (ended bool) {
	u, err := weburl.Parse(v.req.URL)
	if err != nil {
		v.leaveOut(ReasonInvalid)
		return true
	}
	if page, extra := splitExtra(v.req.URL); extra {
		v.extra, v.asLeased, v.req.URL = true, v.req.URL, page
	}
	v.url, v.site = u, v.scope.sites.of(v.req.Host)
	v.agent = orDefault(v.site.agent, v.Crawler.agent)
	down, err := v.silent.down(v.req.Host, time.Now())
	if err != nil {
		v.commits.fail(err)
		return false
	}
	if down {
		v.leaveOutSeed(ReasonHostDown, "%d requests in a row failed", v.cfg.HostFailures)
		return true
	}
	if v.rejudge && v.env.judged(&v.req.Request) {
		if r := v.scope.ruleFor(v.subject()); r.leaveOut {
			v.leaveOut(r.Reason)
			return true
		}
	}
	if !v.env.spared() && v.novelty.lacks(u) {
		v.leaveOut(ReasonNovelty)
		return true
	}
	if v.cfg.Robots.Ignore || v.site.IgnoreRobots || v.obeyRobots(ctx) {
		if !v.loggedIn(ctx) {
			return v.ch != nil
		}
		if v.env.kind == links.Sitemap {
			v.readSitemap(ctx)
		} else {
			v.fetch(ctx)
		}
	}
	return v.ch != nil
}

// subject is the URL as the rules see it.
func (v *visit) subject() *subject {
	return &subject{url: v.url, depth: v.req.Depth, hops: int(v.env.hops), kind: orDefault(v.env.kind, links.Anchor)}
}

// finish makes and returns the change that finishes the URL.
func (v *visit) finish() *change {
	v.ch = &change{done: []frontier.Leased{v.leased()}}
	return v.ch
}

// leaveOut finishes the URL unfetched.
func (v *visit) leaveOut(r Reason) {
	v.finish().tally.leftOut.add(r, 1)
	v.tellLeftOut(v.req.URL, v.req.Referrer, r)
}

// leaveOutSeed is leaveOut, and reports why if the URL is a seed.
func (v *visit) leaveOutSeed(r Reason, why string, args ...any) {
	if v.env.has(flagSeed) {
		v.problem("seed %s: %s: %s%s", v.req.URL, r, fmt.Sprintf(why, args...), wayOut(r))
	}
	v.leaveOut(r)
}

// fetch makes the request and turns the answer into a change.
func (v *visit) fetch(ctx context.Context) {
	req, err := v.newRequest(v.req.URL, v.lease)
	if err != nil {
		v.giveUp(classify(err).class, err)
		return
	}
	v.site.dress(req)
	req.NoRedirects = true
	req.MaxBody = v.cfg.MaxBody
	if v.w.traffic.reached() {
		return // it goes back
	}
	if !v.look(ctx) || v.visited() {
		return
	}
	if v.cfg.TrustLastmod && v.unmodified.since(v.req.URL, v.known.newest) {
		v.leaveOut(ReasonUnmodified)
		return
	}
	v.conditional(req)
	body := newBody(v.Crawler)
	if !v.cfg.NoBodies || v.archives != nil {
		req.RawBody = &body.raw
	}
	tape := v.archives.record(req)
	began := time.Now()
	resp, cached, err := v.do(ctx, req)
	if err == nil && v.unwanted(resp) {
		body.release()
		resp.Release()
		return
	}
	if err == nil {
		buf := v.takeBuffer()
		defer v.giveBuffer(buf)
		body.decoded, err = resp.AppendBody(buf.bytes[:0])
		buf.bytes, body.room = body.decoded, buf
		cached.keep(resp, err)
		defer resp.Release()
	}
	took := time.Since(began)
	archived := v.archive(ctx, tape, &fetched{began: began, took: took, err: err, original: v.known.archived()})
	switch {
	case !archived, ctx.Err() != nil:
		body.release() // cut by the stop, not by the server: it goes back
	case resp == nil:
		body.release()
		v.failed(err, began)
	default:
		spoke := v.silent.answered(v.req.Host)
		v.answered(ctx, &answer{resp: resp, body: body, err: err, began: began, took: took})
		if spoke && v.ch != nil {
			v.ch.silence = &keptSilence{host: v.req.Host}
		}
	}
}

// unwanted ends the visit if a rule leaves out what the response's head says it
// is.
func (v *visit) unwanted(resp *httpclient.Response) bool {
	if v.scope.facts&factTypes == 0 || resp.StatusCode/100 != 2 {
		return false
	}
	s := v.subject()
	s.mediaType = mediaType(resp.HeaderValue("Content-Type"))
	r := v.scope.ruleFor(s)
	if !r.leaveOut || !r.uses(factTypes) {
		return false
	}
	spoke := v.silent.answered(v.req.Host)
	v.leaveOutSeed(r.Reason, "its type is %s", s.mediaType)
	if spoke {
		v.ch.silence = &keptSilence{host: v.req.Host}
	}
	return true
}

// answer is a response with its body read as far as it came.
type answer struct {
	resp  *httpclient.Response
	body  *body
	err   error // why the body is not whole; nil if it is, or was cut at MaxBody
	began time.Time
	took  time.Duration
}

// failed deals with a fetch without a response.
func (v *visit) failed(err error, began time.Time) {
	if errors.Is(err, errAddress) || errors.Is(err, errNoProxy) {
		return // it goes back, for a later turn
	}
	kind := classify(err)
	switch kind.class {
	case classPrivate:
		v.leaveOutSeed(ReasonPrivate, "%v", err)
		return
	case classLocal:
		v.putOff(err)
		return
	}
	if v.env.has(flagGuessed) || !kind.retry || !v.retry(0, err, time.Time{}) {
		v.giveUp(kind.class, err)
	}
	if !silentClass(kind.class) || v.env.has(flagGuessed) {
		return
	}
	until, all := v.silent.failed(v.req.Host, began, time.Now())
	v.ch.silence = &keptSilence{v.req.Host, all}
	if !until.IsZero() {
		v.ch.hosts = []frontier.HostChange{{Host: v.req.Host, BlockedUntil: until}}
	}
}

// giveUp finishes the URL with the error as its result.
func (v *visit) giveUp(class string, err error) {
	if v.env.has(flagGuessed) {
		v.guessHTTP(err)
		return
	}
	ch := v.finish()
	ch.record = v.newRecord()
	ch.record.FetchedAt = time.Now()
	ch.record.Error, ch.record.ErrorClass = err.Error(), class
	v.limits.Clip(ch.record)
	v.count(ch)
	if v.env.has(flagSecond) {
		v.problem("seed %s: tried https first (%s), then %s (%v)", v.url.Host(), v.env.user, v.req.URL, err)
	} else if v.env.has(flagSeed) {
		v.problem("seed %s: %v", v.req.URL, err)
	}
	v.tellFetched(ch.record, 0, err)
}

// maxTried bounds what is remembered of why https did not work, in bytes: the
// frontier refuses a request with too much data, and with it a whole commit.
const maxTried = 1 << 10

// guessHTTP goes on with http for a seed whose scheme was guessed to be https.
func (v *visit) guessHTTP(err error) {
	u, perr := weburl.Parse("http" + strings.TrimPrefix(v.url.String(), "https"))
	if perr != nil {
		v.leaveOut(ReasonInvalid)
		return
	}
	why := err.Error()
	why = why[:min(len(why), maxTried)]
	ch := v.finish()
	ch.add = []frontier.Request{{
		URL: u.String(), Host: u.Host(), Depth: v.req.Depth, Label: v.req.Label,
		Data: envelope{flags: flagSeed | flagSecond, user: []byte(why)}.encode(),
	}}
}

// answered deals with a response.
func (v *visit) answered(ctx context.Context, a *answer) {
	status := a.resp.StatusCode
	switch {
	case retryStatus(status) && v.retry(status, nil, retryAfter(a.resp.HeaderValue("Retry-After"), a.began)):
		a.body.release()
		return
	case a.err != nil && classify(a.err).retry && v.retry(status, a.err, time.Time{}):
		a.body.release()
		return
	case status == http.StatusNotModified && v.asked:
		a.body.release()
		v.keepKnown(a)
		return
	}
	v.suggest(a.resp.Header)
	page := v.newPage(a)
	if v.loggedOut(page) {
		a.body.release()
		return
	}
	target := v.redirect(a, page)
	page.change = v.compare(a, target)
	var handlerErr error
	if target == "" && !v.unchanged(page) && v.handler != nil && !v.outside && v.wants(status) && !v.drops(page) {
		handlerErr = call(ctx, v.handler, page)
		if handlerErr != nil && (ctx.Err() != nil || errors.Is(handlerErr, errNotTaken)) {
			a.body.release() // cut by the stop: it goes back
			return
		}
	}
	v.store(a, page, target, handlerErr)
}

// store makes the change of a page.
func (v *visit) store(a *answer, page *Page, target string, handlerErr error) {
	ch := v.finish()
	v.spent = true
	rec := v.newRecord()
	ch.record = rec
	rec.Status, rec.Proto = a.resp.StatusCode, a.resp.Proto
	rec.Head = append(rec.Head, a.resp.RawHead()...)
	rec.ContentType, rec.Charset = page.ContentType, a.resp.Charset()
	rec.Encoding = a.resp.ContentEncoding()
	rec.FetchedAt, rec.Duration = page.FetchedAt, page.Duration
	rec.Bytes, rec.WireBytes = int64(len(page.Body)), a.resp.WireBytes()
	rec.Truncated = page.Truncated
	if !v.cfg.NoBodies && !v.drops(page) {
		rec.Body = notNil(a.body.raw.Bytes())
	}
	rec.Robots = words(page.head.robots)
	rec.Change, rec.Digest = page.change, digest(page.Body)
	switch {
	case target != "":
		rec.FinalURL = target
		v.followRedirect(ch, page, target)
	case v.unchanged(page):
		v.likeBefore(rec)
		v.sameBody(rec)
	default:
		if rec.Status/100 == 2 {
			ch.parts = v.novelty.saw(v.url, page)
		}
		v.followLinks(ch, page, rec)
	}
	if v.drops(page) {
		rec.Title = ""
	}
	v.takeHandled(ch, page, rec, handlerErr)
	v.explainCut(a, rec)
	v.limits.Clip(rec) // a hostile page must not fail the whole commit
	ch.weight = int64(len(rec.Body)+len(rec.Head)+len(rec.Data)) + requestWeight + weigh(ch.add...)
	for _, item := range rec.Items {
		ch.weight += int64(len(item))
	}
	ch.release = a.body.release
	v.count(ch)
	v.tellFetched(rec, len(rec.Items), a.err)
	if v.env.has(flagSeed) && rec.Status >= 400 {
		v.problem("seed %s: the server answered %d", v.req.URL, rec.Status)
	}
}

// notNil makes an empty body of nil, which to a store is one that was not kept: a buffer
// that nothing was ever written to gives that.
func notNil(body []byte) []byte {
	if body == nil {
		return []byte{}
	}
	return body
}

// takeHandled adds what the handler did, all of it or, if it failed, the error
// alone.
func (v *visit) takeHandled(ch *change, page *Page, rec *storage.Record, err error) {
	if err != nil {
		rec.Error, rec.ErrorClass = "handler: "+err.Error(), classHandler
		v.events.HandlerFailed(HandlerFailedEvent{URL: rec.URL, Err: err})
		v.cfg.Logger.Error("handler failed", "url", rec.URL, "error", err)
		return
	}
	if err := errors.Join(page.faults...); err != nil {
		rec.Error, rec.ErrorClass = err.Error(), classContent
	}
	rec.Items = page.items
	ch.add = append(ch.add, page.follows...)
	ch.tally.leftOut.addAll(page.left)
}

// explainCut says why a body is not whole.
func (v *visit) explainCut(a *answer, rec *storage.Record) {
	switch {
	case v.outside:
		rec.Error, rec.ErrorClass = errLoggedOut.Error(), classLogin
	case a.err != nil:
		rec.Error, rec.ErrorClass = a.err.Error(), classify(a.err).class
	case rec.Truncated && rec.Error == "":
		rec.Error, rec.ErrorClass = fmt.Sprintf("body cut at %d bytes", v.cfg.MaxBody), storage.ErrorClassLimit
	}
}

func (v *visit) newRecord() *storage.Record {
	return &storage.Record{
		URL: v.req.URL, FinalURL: v.req.URL, Host: v.req.Host, Referrer: v.req.Referrer,
		Label: v.req.Label, Data: v.env.given(), Depth: v.req.Depth, Attempts: v.req.Attempt + 1, Redirects: v.req.Redirects,
		Kind: words(v.env.kind), Rel: words(v.env.rel),
	}
}

func (v *visit) newPage(a *answer) *Page {
	p := &Page{
		URL: v.req.URL, Status: a.resp.StatusCode, Depth: v.req.Depth, Referrer: v.req.Referrer,
		Label: v.req.Label, Data: v.env.given(), Body: a.body.decoded,
		Truncated: a.resp.Truncated() || a.err != nil, Attempts: v.req.Attempt + 1,
		FetchedAt: a.began, Duration: a.took,
		typeField: a.resp.HeaderValue("Content-Type"), url: v.url,
		head: v.readHead(a.resp), kinds: v.kinds, agent: v.agent, urls: &v.urls,
		judge: v.scope.from(v.subject()), room: a.body.room,
	}
	p.ContentType = v.w.readType(p.typeField)
	if p.ContentType == "" {
		p.ContentType = sniff(p.Body)
	}
	p.tell = func(link string, r Reason) {
		p.left.add(r, 1)
		v.tellLeftOut(link, p.URL, r)
	}
	if v.handler != nil || v.site.login != nil {
		p.header = a.resp.Header()
	}
	return p
}

// retry puts the URL off and reports false when it was tried often enough. An
// answer that asked for a pause blocks the whole host.
func (v *visit) retry(status int, cause error, after time.Time) bool {
	if v.req.Attempt >= v.cfg.Retries {
		return false
	}
	now := time.Now()
	next := now.Add(backoff(v.req.Attempt))
	if after.After(next) {
		next = after
	}
	again := v.leased()
	again.Attempt++
	again.NotBefore = next
	v.ch = &change{retry: []frontier.Leased{again}}
	v.ch.tally.Retried = 1
	if status == 429 || status == 503 {
		v.ch.hosts = []frontier.HostChange{{Host: v.req.Host, BlockedUntil: next}}
	}
	v.events.Retried(RetriedEvent{URL: v.req.URL, Status: status, Err: cause, Attempt: again.Attempt, Next: next})
	return true
}

// putOff lets the URL wait a while, its try not counted, as it failed for want of
// something on this machine.
func (v *visit) putOff(err error) {
	again := v.leased()
	again.NotBefore = time.Now().Add(localPause)
	v.ch = &change{retry: []frontier.Leased{again}}
	v.ch.tally.Retried = 1
	v.cfg.Logger.Warn("no room for a connection", "url", v.req.URL, "error", err)
	v.events.Retried(RetriedEvent{URL: v.req.URL, Err: err, Attempt: again.Attempt, Next: again.NotBefore})
}

// count adds a result to the change's tally.
func (v *visit) count(ch *change) {
	rec, t := ch.record, &ch.tally
	if rec.Status == 0 {
		t.Failed = 1
	} else {
		t.Fetched = 1
		t.statuses.add(rec.Status, 1)
	}
	t.Items = int64(len(rec.Items))
	t.Bytes, t.WireBytes = rec.Bytes, rec.WireBytes
	if rec.Change != storage.ChangeNone {
		t.changes.add(rec.Change.String(), 1)
	}
	if rec.ErrorClass != "" {
		t.errors.add(rec.ErrorClass, 1)
	}
}
