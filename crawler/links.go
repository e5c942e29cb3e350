package crawler

import (
	"fmt"

	"github.com/orbweaver/orbweaver/crawler/links"
	"github.com/orbweaver/orbweaver/crawler/weburl"
	"github.com/orbweaver/orbweaver/frontier"
	"github.com/orbweaver/orbweaver/storage"
)

// redirect returns where the response leads, as it is or as a canonical URL, or
// "" if it is no redirect.
func (v *visit) redirect(a *answer, p *Page) string {
	if !redirects(a.resp.StatusCode) {
		return ""
	}
	location := a.resp.HeaderValue("Location")
	if location == "" {
		return ""
	}
	u, err := p.url.Resolve([]byte(location))
	if err != nil {
		return location
	}
	return u.String()
}

// followRedirect adds the target of a redirect to the change. It is a URL like
// any other, with its own turn, but at the depth of the page that led there.
func (v *visit) followRedirect(ch *change, p *Page, target string) {
	reason, u, hops := v.judgeRedirect(p, target)
	if reason != "" {
		v.leaveOutLink(ch, target, reason)
		if v.env.has(flagSeed) {
			v.problem("seed %s: redirects to %s, %s%s", v.req.URL, target, reason, redirectWayOut(reason))
		}
		return
	}
	data := v.env // what was found there is found here, by the same link
	data.flags &= flagSeed
	data.hops, data.user = hops, v.env.given()
	ch.add = append(ch.add, frontier.Request{
		URL: u.String(), Host: u.Host(), Referrer: v.req.URL, Depth: v.req.Depth,
		Redirects: v.req.Redirects + 1, Priority: v.req.Priority, Label: v.req.Label, Data: data.encode(),
	})
}

func (v *visit) judgeRedirect(p *Page, target string) (r Reason, u weburl.URL, hops byte) {
	u, err := weburl.Parse(target)
	if err != nil {
		return reasonOf(err), u, 0
	}
	if v.req.Redirects >= v.cfg.MaxRedirects {
		return ReasonRedirects, u, 0
	}
	same := v.cfg.URLs.Apply(u)
	verdict := p.judge.redirect(same, orDefault(v.env.kind, links.Anchor))
	if same != v.url {
		u = same
	} // else the server insists on what Config.URLs take away, and shall have it
	return verdict.Reason, u, verdict.hops
}

func redirectWayOut(r Reason) string {
	if r == ReasonScope {
		return ": give that URL as the seed, or widen the scope (--scope domain, --scope any)"
	}
	return wayOut(r)
}

// wayOut names the flag that changes what was left out, as the end of a
// sentence.
func wayOut(r Reason) string {
	if flag := r.Flag(); flag != "" {
		return fmt.Sprintf(" (see %s)", flag)
	}
	return ""
}

// followLinks adds a page's title, and its links as far as they belong to the
// crawl.
func (v *visit) followLinks(ch *change, p *Page, rec *storage.Record) {
	if rec.Status/100 != 2 {
		return
	}
	f := p.find()
	rec.Title, rec.Links, rec.Robots = f.title, len(f.links), words(f.robots)
	if v.cfg.NoFollow || v.site.NoFollow {
		return
	}
	v.leaveOutMany(ch, ReasonInvalid, f.invalid)
	v.leaveOutMany(ch, ReasonNoHTTP, f.noHTTP)
	v.leaveOutMany(ch, ReasonLength, f.tooLong)
	v.leaveOutMany(ch, ReasonLinks, f.cut)
	if f.robots&links.NoFollow != 0 && v.cfg.Robots.Nofollow != NofollowIgnore {
		v.leaveOutMany(ch, ReasonNofollow, len(f.links))
		return
	}
	unknown := v.commits.recent.mark(f.links)
	ch.add = make([]frontier.Request, 0, min(unknown, 64)) // many may be out of scope
	for i := range f.links {
		l := &f.links[i]
		reason, verdict := v.judgeLink(p, l)
		switch {
		case reason != "":
			v.leaveOutLink(ch, l.url.String(), reason)
		case l.known:
			ch.known++
		case v.forbids(l.url):
			v.leaveOutLink(ch, l.url.String(), ReasonRobots)
		default:
			ch.add = append(ch.add, v.linkRequest(p, i, verdict))
		}
	}
}

// judgeLink returns why a link of the page is left out, "" if it is followed, and
// the verdict of the rules. A link is followed as what it is first, else as any other
// that it is.
func (v *visit) judgeLink(p *Page, l *foundLink) (Reason, verdict) {
	if v.cfg.Robots.Nofollow == NofollowLinks && l.rel&qualified != 0 {
		return ReasonNofollow, verdict{}
	}
	verdict := p.judge.link(l.url, l.kind)
	for also := l.also; verdict.leaveOut && also != 0; also &= also - 1 {
		kind := also & -also
		if other := p.judge.link(l.url, kind); !other.leaveOut {
			verdict, l.kind = other, kind
		}
	}
	switch {
	case verdict.leaveOut:
		return verdict.Reason, verdict
	case v.novelty.lacks(l.url):
		return ReasonNovelty, verdict
	}
	return "", verdict
}

// linkRequest asks for the page's i-th link, with what the page says of it and the
// priority that the user, a sitemap and the rules give it.
func (v *visit) linkRequest(p *Page, i int, verdict verdict) frontier.Request {
	l := &p.found.links[i]
	u := l.url.Clone() // the others of the page are not to wait with it
	req := frontier.Request{URL: u.String(), Host: u.Host(), Referrer: p.URL, Depth: p.Depth + 1}
	e := envelope{kind: l.kind, rel: l.rel, hops: verdict.hops}
	if p.found.listed != nil {
		e.listing, req.Priority = p.found.listed[i].listing, p.found.listed[i].priority
	}
	if v.cfg.Score != nil {
		req.Priority = priority(v.cfg.Score(ScoredLink{
			URL: req.URL, Referrer: req.Referrer, Depth: req.Depth, Kind: l.kind, Rel: l.rel,
		}))
	}
	if l.kind == links.Sitemap {
		e.quota = quota{maxSitemaps / uint64(len(p.found.links)), sitemapLevels - 1}
	}
	req.Priority, req.Data = verdict.raise(req.Priority), e.encode()
	return req
}

// drops says whether neither title nor body is kept of a page.
func (v *visit) drops(p *Page) bool {
	return v.cfg.Robots.DropNoindex && p.Robots()&links.NoIndex != 0
}

func (v *visit) leaveOutLink(ch *change, link string, r Reason) {
	ch.tally.leftOut.add(r, 1)
	v.tellLeftOut(link, v.req.URL, r)
}

func (v *visit) leaveOutMany(ch *change, r Reason, n int) {
	if n > 0 {
		ch.tally.leftOut.add(r, int64(n))
	}
}
