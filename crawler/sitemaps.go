package crawler

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/orbweaver/orbweaver/crawler/links"
	"github.com/orbweaver/orbweaver/crawler/sitemap"
	"github.com/orbweaver/orbweaver/crawler/weburl"
	"github.com/orbweaver/orbweaver/frontier"
)

const (
	// maxSitemaps bounds the sitemaps that one robots.txt leads to, however deep
	// they name one another, and sitemapLevels how deep.
	maxSitemaps   = 10_000
	sitemapLevels = 3
	// sitemapBatch is how many URLs of a sitemap are committed at once. If the
	// crawl ends within a sitemap, it is read again from its start.
	sitemapBatch = 1000
)

// owesSitemaps says whether the visit is to add the sitemaps that a host's robots.txt
// names. The first does that is one to a page of a site that belongs to the crawl, and
// not so deep that what they list would be too deep.
func (v *visit) owesSitemaps(e *robotsEntry) bool {
	switch {
	case e.Sitemaps, v.cfg.Sitemaps == SitemapsNone, len(e.file.Sitemaps()) == 0 && v.cfg.Sitemaps != SitemapsGuessed,
		v.cfg.NoFollow, v.env.kind == links.Sitemap, v.cfg.MaxDepth > 0 && v.req.Depth+2 > v.cfg.MaxDepth:
		return false
	}
	return v.onSite()
}

// addOwedSitemaps adds the sitemaps of a robots.txt that another visit has fetched, which did
// not owe them.
func (v *visit) addOwedSitemaps(e *robotsEntry) {
	if v.owesSitemaps(e) && v.robots.beginSitemaps(e) {
		ch := &change{sitemap: e.Origin}
		v.addSitemaps(ch, e)
		v.commits.submit(ch)
	}
}

// addSitemaps adds the sitemaps that a host's robots.txt names. A sitemap is a link away
// from what led to the host, and its pages one more.
func (v *visit) addSitemaps(ch *change, e *robotsEntry) {
	var named []weburl.URL
	for _, text := range e.file.Sitemaps() {
		if u, err := v.url.Resolve([]byte(text)); err == nil {
			named = append(named, u)
		} else {
			v.leaveOutLink(ch, text, reasonOf(err))
		}
	}
	if u, err := v.url.Resolve([]byte("/sitemap.xml")); len(named) == 0 && v.cfg.Sitemaps == SitemapsGuessed && err == nil {
		named = append(named, u)
	}
	from := sitemapSource{url: e.Origin + "/robots.txt", depth: v.req.Depth + 1, quota: quota{maxSitemaps, sitemapLevels}}
	v.putSitemaps(ch, from, named)
}

// sitemapSource is what names sitemaps.
type sitemapSource struct {
	url   string
	depth int   // of the sitemaps
	quota quota // for them and what they name
}

// putSitemaps adds sitemaps, as many as the quota allows, and shares among them
// what is left of it.
func (v *visit) putSitemaps(ch *change, from sitemapSource, named []weburl.URL) {
	n := min(len(named), int(from.quota.sitemaps))
	if from.quota.levels == 0 {
		n = 0
	}
	for _, u := range named[n:] {
		v.leaveOutLink(ch, u.String(), ReasonSitemaps)
	}
	if n == 0 {
		return
	}
	e := envelope{kind: links.Sitemap, quota: quota{(from.quota.sitemaps - uint64(n)) / uint64(n), from.quota.levels - 1}}
	data := e.encode()
	for _, u := range named[:n] {
		ch.add = append(ch.add, frontier.Request{URL: u.String(), Host: u.Host(), Referrer: from.url, Depth: from.depth, Data: data})
	}
	ch.weight += weigh(ch.add[len(ch.add)-n:]...)
}

// sitemapVisit is the reading of one sitemap.
type sitemapVisit struct {
	*visit
	judge judge
	ch    *change      // what is to be committed next
	index []weburl.URL // sitemaps that it names
	count int          // entries
}

// readSitemap fetches a sitemap and reads it while it arrives. Its URLs are
// committed in batches, the last with its result. One that is read again is asked
// for by the validators of its last reading, if that was a whole one.
func (v *visit) readSitemap(ctx context.Context) {
	if v.w.traffic.reached() {
		return // it goes back
	}
	req, err := v.newRequest(v.req.URL, v.lease)
	if err != nil {
		v.giveUp(classify(err).class, err)
		return
	}
	req.NoRedirects = true
	if !v.look(ctx) {
		return
	}
	if !v.trustsLastmod() { // else what it says of each page is to be known
		v.conditional(req)
	}
	kept := &keptBody{most: v.cfg.MaxBody, dropped: v.cfg.NoBodies && v.archives == nil}
	req.RawBody = kept
	tape := v.archives.record(req)
	began := time.Now()
	resp, cached, err := v.do(ctx, req)
	if err != nil {
		if v.archive(ctx, tape, &fetched{began: began, took: time.Since(began), err: err}) && ctx.Err() == nil {
			v.failed(err, began)
		}
		return
	}
	defer resp.Release()
	if v.silent.answered(v.req.Host) {
		defer func() {
			if v.ch != nil {
				v.ch.silence = &keptSilence{host: v.req.Host}
			}
		}()
	}
	a := &answer{resp: resp, began: began}
	s := &sitemapVisit{visit: v, judge: v.scope.from(v.subject()), ch: &change{}}
	in := counted{r: resp.Body}
	if resp.StatusCode/100 == 2 {
		a.err = s.entries(ctx, &in)
	} else {
		_, a.err = io.Copy(io.Discard, io.LimitReader(&in, v.cfg.MaxBody))
	}
	a.took = time.Since(began)
	cached.keep(resp, a.err)
	if !v.archive(ctx, tape, &fetched{began: began, took: a.took, err: a.err, original: v.known.archived()}) || ctx.Err() != nil || v.commits.lost() != nil {
		return // it goes back
	}
	if kind := classify(a.err); a.err != nil && kind.retry && v.retry(resp.StatusCode, a.err, time.Time{}) {
		return
	}
	if status := resp.StatusCode; retryStatus(status) && v.retry(status, nil, retryAfter(resp.HeaderValue("Retry-After"), began)) {
		return
	}
	if resp.StatusCode == http.StatusNotModified && v.asked {
		v.keepKnown(a)
		return
	}
	s.store(a, kept, in.n)
}

// entries takes the entries of a sitemap, and returns why it is not whole.
func (s *sitemapVisit) entries(ctx context.Context, r io.Reader) error {
	for e, err := range sitemap.Entries(r, sitemap.Limits{}) {
		if err != nil {
			return err
		}
		s.count++
		s.entry(ctx, &e)
		if len(s.ch.add) >= sitemapBatch {
			next := &change{}
			next.tally, s.ch.tally = s.ch.tally, next.tally // which counts with the result: before that all may be read again
			s.commits.submit(s.ch)
			s.ch = next
		}
		if ctx.Err() != nil || s.commits.lost() != nil {
			return nil
		}
	}
	return nil
}

func (s *sitemapVisit) entry(ctx context.Context, e *sitemap.Entry) {
	u, err := s.url.Resolve([]byte(e.Loc))
	switch {
	case e.Cut:
		s.leaveOutLink(s.ch, e.Loc, ReasonLength)
		return
	case err != nil:
		s.leaveOutLink(s.ch, e.Loc, reasonOf(err))
		return
	case e.Index && !s.mayName(u):
		s.leaveOutLink(s.ch, u.String(), ReasonScope)
		return
	case e.Index:
		s.index = append(s.index, u)
		return
	}
	verdict := s.judge.link(u, links.Listed)
	if verdict.leaveOut {
		s.leaveOutLink(s.ch, u.String(), verdict.Reason)
		return
	}
	priority := verdict.raise(priorityOf(e))
	s.ch.add = append(s.ch.add, frontier.Request{
		URL: u.String(), Host: u.Host(), Referrer: s.req.URL, Depth: s.req.Depth + 1,
		Priority: priority,
		Data:     envelope{kind: links.Listed, listing: listingOf(e), hops: verdict.hops}.encode(),
	})
	s.ch.weight += weigh(s.ch.add[len(s.ch.add)-1])
	s.news(ctx, u, e, priority, verdict.hops)
}

// mayName says whether a sitemap may lead to another one: within its domain, or
// within the crawl.
func (s *sitemapVisit) mayName(u weburl.URL) bool {
	if weburl.Domain(u.Hostname()) == weburl.Domain(s.url.Hostname()) {
		return true
	}
	return !s.judge.link(u, links.Sitemap).leaveOut
}

// store makes the change that ends the visit.
func (s *sitemapVisit) store(a *answer, kept *keptBody, size int64) {
	v := s.visit
	s.putSitemaps(s.ch, sitemapSource{url: v.req.URL, depth: v.req.Depth, quota: v.env.quota}, s.index)
	ch := v.finish()
	ch.add, ch.tally, ch.weight = s.ch.add, s.ch.tally, s.ch.weight
	v.spent = true
	rec := v.newRecord()
	ch.record = rec
	rec.Status, rec.Proto = a.resp.StatusCode, a.resp.Proto
	rec.Head = append(rec.Head, a.resp.RawHead()...)
	rec.ContentType, rec.Encoding = mediaType(a.resp.HeaderValue("Content-Type")), a.resp.ContentEncoding()
	rec.FetchedAt, rec.Duration = a.began, a.took
	rec.Bytes, rec.WireBytes = size, a.resp.WireBytes()
	rec.Links = s.count
	if !kept.dropped && !v.cfg.NoBodies {
		rec.Body = notNil(kept.Bytes())
	}
	if a.err != nil {
		rec.Error, rec.ErrorClass, rec.Truncated = a.err.Error(), sitemapClass(a.err), true
	}
	if target := v.redirect(a, &Page{url: v.url}); target != "" {
		rec.FinalURL = target
		v.redirectSitemap(ch, target)
	}
	v.limits.Clip(rec)
	ch.weight += int64(len(rec.Body)+len(rec.Head)) + requestWeight
	v.count(ch)
	v.tellFetched(rec, 0, a.err)
}

// redirectSitemap follows a redirect of a sitemap, which is as free to leave its
// host as robots.txt is to name one elsewhere.
func (v *visit) redirectSitemap(ch *change, target string) {
	u, err := weburl.Parse(target)
	switch {
	case err != nil:
		v.leaveOutLink(ch, target, reasonOf(err))
	case v.req.Redirects >= v.cfg.MaxRedirects:
		v.leaveOutLink(ch, target, ReasonRedirects)
	default:
		ch.add = append(ch.add, frontier.Request{
			URL: u.String(), Host: u.Host(), Referrer: v.req.URL, Depth: v.req.Depth, Redirects: v.req.Redirects + 1, Data: v.env.encode(),
		})
	}
}

// sitemapClass is the class of what is wrong with a sitemap.
func sitemapClass(err error) string {
	var limit *sitemap.LimitError
	if errors.As(err, &limit) || errors.Is(err, sitemap.ErrFormat) || errors.Is(err, io.ErrUnexpectedEOF) {
		return classSitemap
	}
	return classify(err).class
}

// onSite says whether the visit is one within what the seeds stand for.
func (v *visit) onSite() bool {
	j := v.scope.from(v.subject())
	return j.within(v.cfg.Scope, v.url)
}

// counted counts what is read.
type counted struct {
	r io.Reader
	n int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// keptBody keeps what is written to it, up to a size; of more it keeps nothing.
type keptBody struct {
	bytes.Buffer
	most    int64
	dropped bool
}

func (k *keptBody) Write(p []byte) (int, error) {
	if !k.dropped && int64(k.Len()+len(p)) > k.most {
		k.dropped, k.Buffer = true, bytes.Buffer{}
	}
	if k.dropped {
		return len(p), nil
	}
	return k.Buffer.Write(p)
}
