package crawler

import (
	"context"
	"errors"
	"fmt"
	"math/bits"
	"strings"
	"time"

	"github.com/orbweaver/orbweaver/crawler/links"
	"github.com/orbweaver/orbweaver/crawler/weburl"
	"github.com/orbweaver/orbweaver/frontier"
	"github.com/orbweaver/orbweaver/storage"
)

// Explanation is what a job knows of a URL, and would do with it.
type Explanation struct {
	URL      string    `json:"url"`                // canonical
	InScope  bool      `json:"in_scope"`           // by the rules of the last run; a seed belongs whatever they say
	Reason   Reason    `json:"reason,omitempty"`   // why not
	As       string    `json:"as"`                 // what the rules took the URL for
	Rules    []Opinion `json:"rules"`              // in the order in which they are asked; the last with an opinion decides
	GivenUp  string    `json:"given_up,omitempty"` // the part of its site, or the whole site, given up as it brings nothing new; "" of a seed, sitemap or revisit that waits all the same
	Robots   string    `json:"robots"`             // what robots.txt says, as far as it is known
	State    string    `json:"state"`              // "unknown", "waiting", "leased" or "done"
	Prospect string    `json:"prospect"`           // what will become of it next

	Host      string        `json:"host"`
	Site      string        `json:"site,omitempty"`       // which of Config.Sites the host belongs to: "Sites[2]"
	Auth      string        `json:"auth,omitempty"`       // credentials that its origin gets, without what is secret
	Proxy     string        `json:"proxy,omitempty"`      // what it is asked through
	Login     string        `json:"login,omitempty"`      // how the crawl logs in there, without what is secret, and why it does not now
	Waiting   int64         `json:"waiting"`              // URLs of the host that wait
	Delay     time.Duration `json:"delay_ns"`             // between two requests to the host
	DelayFrom string        `json:"delay_from"`           // who asks for that
	Next      time.Time     `json:"next,omitzero"`        // no request to the host starts before; zero: that is not what it waits for
	Blocked   time.Time     `json:"blocked,omitzero"`     // the host asked not to be asked before; zero: it did not, or that is over
	Paused    bool          `json:"paused,omitempty"`     // no request to the host starts until it is resumed
	Closed    Reason        `json:"closed,omitempty"`     // why no more of the host is fetched
	Dropped   int64         `json:"dropped,omitempty"`    // URLs of the host that were left out for that
	Pages     int64         `json:"host_pages,omitempty"` // what was fetched of the host,
	Bytes     int64         `json:"host_bytes,omitempty"` // as its budgets count

	Result *storage.Record `json:"result,omitempty"` // what was fetched last

	Revisit *PlannedRevisit `json:"revisit,omitempty"` // nil: none is planned
}

// Opinion is what one rule says of a URL.
type Opinion struct {
	From    string `json:"from"`              // the field of Config that makes it: "Scope", "Rules[2]"
	Rule    string `json:"rule"`              // its name, or what it says
	Says    string `json:"says"`              // "take", "leave out", or "" if it has no opinion
	Because string `json:"because,omitempty"` // the condition for which it has none
	Decides bool   `json:"decides,omitempty"` // it is the last that has one
}

// Explain tells what is known of a URL. The error is a *weburl.Error if it is
// none, and else a *JobError.
func (j *Job) Explain(ctx context.Context, rawURL string) (*Explanation, error) {
	return j.explain(ctx, rawURL, func(r frontier.Request) (frontier.Status, error) { return j.backend.Lookup(ctx, r.Host, r.URL) }, j.store)
}

// Explain is Job.Explain for the job that is being run. The error may be ErrClosed
// as well.
func (c *Crawler) Explain(ctx context.Context, rawURL string) (*Explanation, error) {
	if err := c.begin(); err != nil {
		return nil, err
	}
	defer c.calls.Done()
	return c.job.explain(ctx, rawURL, func(r frontier.Request) (frontier.Status, error) { return c.front.Lookup(ctx, r) }, c.commits.store)
}

func (j *Job) explain(ctx context.Context, rawURL string, lookup func(frontier.Request) (frontier.Status, error), store storage.Store) (*Explanation, error) {
	r, s, err := j.rules()
	if err != nil {
		return nil, err
	}
	u, err := weburl.Parser{Rules: r.URLs}.Parse(rawURL)
	if err != nil {
		return nil, err
	}
	e := &Explanation{URL: u.String(), Host: u.Host(), Auth: r.Auth[u.Origin()], Proxy: r.proxyFor(u.Host())}
	status, err := lookup(frontier.Request{Host: e.Host, URL: e.URL})
	if err != nil {
		return nil, j.wrap("read", err)
	}
	e.Result, err = store.Get(ctx, e.URL)
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		return nil, j.wrap("read", err)
	}
	seed := e.judge(s, u, &status)
	site := s.sites.of(e.Host)
	if e.Login, err = j.explainLogin(&r, strings.Join(site.Hosts, " "), time.Now()); err != nil {
		return nil, err
	}
	allowed, delay, err := e.askRobots(j, u, &r, site)
	if err != nil {
		return nil, err
	}
	if !r.NoNovelty && !exempt(&status) {
		if e.GivenUp, err = j.givenUpFor(u); err != nil {
			return nil, err
		}
	}
	now := time.Now()
	e.setHost(&status.Host, site, r.Delay, delay, now)
	e.State = status.State.String()
	e.Revisit = plannedRevisit(&status)
	belongs := e.InScope || seed
	if status.State == frontier.StateWaiting && !(r.Changed && decodeEnvelope(status.Request.Data).judged(&status.Request)) {
		belongs = true // it was judged when it was found, and will not be again
	}
	e.Prospect = e.prospect(status.State, belongs, allowed, now)
	return e, nil
}

// rules returns what the job was last run with, and the scope it makes.
func (j *Job) rules() (r rules, s *scope, err error) {
	if r, err = j.keptRules(); err != nil {
		return r, nil, err
	}
	s, err = newScope(&Config{
		Scope: r.Scope, Include: r.Include, Exclude: r.Exclude, Rules: r.Rules, URLLimits: r.URLLimits, MaxDepth: r.MaxDepth,
		Sites: r.Sites, Follow: r.Follow, Sitemaps: r.Sitemaps,
	})
	if err != nil {
		return r, nil, j.wrap("read", fmt.Errorf("%w: %w", ErrCorrupt, err))
	}
	return r, s, j.roots(func(key string) { s.add(key) })
}

// judge asks every rule, with as much as is known of how the URL was found, and
// says whether it is a seed.
func (e *Explanation) judge(s *scope, u weburl.URL, known *frontier.Status) (seed bool) {
	as := subject{url: u, depth: 1, hops: 1, kind: links.Anchor}
	referrer := ""
	switch {
	case known.State == frontier.StateWaiting || known.State == frontier.StateLeased || known.State == frontier.StateDropped:
		env := decodeEnvelope(known.Request.Data)
		seed = env.seeds(&known.Request)
		as.depth, referrer = known.Request.Depth, known.Request.Referrer
		as.hops, as.kind = int(env.hops), orDefault(env.kind, links.Anchor)
	case e.Result != nil:
		as.depth, referrer, as.mediaType = e.Result.Depth, e.Result.Referrer, e.Result.ContentType
		if k, err := links.ParseKinds(e.Result.Kind); err == nil {
			as.kind = orDefault(k, links.Anchor)
		}
		seed = as.depth == 0 && referrer == ""
	default:
		e.As = "a link of a seed"
	}
	if seed {
		e.As = "a seed, which belongs whatever the rules say"
	} else if e.As == "" {
		e.As = fmt.Sprintf("%s at depth %d", as.kind, as.depth)
		if referrer != "" {
			e.As += " on " + referrer
		}
	}
	if as.mediaType != "" {
		e.As += ", of type " + as.mediaType
	}
	j := s.from(&subject{url: u})
	last := -1
	for _, r := range j.inOrder(u) {
		o := Opinion{From: r.from, Rule: orDefault(r.Name, r.Rule.String())}
		if o.Because = r.silence(&j, &as); o.Because == "" {
			o.Says = r.says()
			last = len(e.Rules)
			e.Reason, e.InScope = r.Reason, !r.leaveOut
		}
		e.Rules = append(e.Rules, o)
	}
	e.Rules[last].Decides = true // the first has an opinion of everything
	return seed
}

// inOrder returns the rules for a URL in the order in which they are asked.
func (j *judge) inOrder(u weburl.URL) []*rule {
	var list []*rule
	add := func(rules []rule) {
		for i := range rules {
			list = append(list, &rules[i])
		}
	}
	add(j.rules[:j.sitesAt])
	add(j.sites.of(u.Host()).rules)
	add(j.rules[j.sitesAt:])
	return list
}

func (r *rule) says() string {
	if r.leaveOut {
		return "leave out"
	}
	return "take"
}

// silence says why the rule has no opinion of s; "" if it has one.
func (r *rule) silence(j *judge, s *subject) string {
	if f := r.applies.failing(j, s); f != 0 {
		return f.name() + " does not hold"
	}
	for i := range r.unless {
		if r.unless[i].failing(j, s) == 0 {
			return "its exception holds"
		}
	}
	return ""
}

var factNames = [...]string{
	"kind", "depth", "length", "within", "host", "hops", "path-depth", "repeats", "params", "prefix", "match", "type",
}

// name is how Condition.String calls a fact.
func (f facts) name() string { return factNames[bits.TrailingZeros16(uint16(f))] }

// askRobots tells what robots.txt says of the URL, whether that lets it be
// fetched, and the delay that it asks for.
func (e *Explanation) askRobots(j *Job, u weburl.URL, r *rules, site *site) (allowed bool, delay time.Duration, err error) {
	if r.IgnoreRobots || site.IgnoreRobots {
		e.Robots = "ignored, as the last run was told"
		return true, 0, nil
	}
	kept, err := j.robotsOf(u.Origin())
	switch {
	case err != nil:
		return false, 0, err
	case kept == nil:
		e.Robots = "not asked yet"
		return true, 0, nil
	case !kept.usable(time.Now(), r.MaxStale):
		e.Robots = fmt.Sprintf("cannot be had: %s; asked again after %s", kept.Error, kept.Expires.Format(time.RFC3339))
		return false, 0, nil
	}
	agent := orDefault(site.agent, r.Agent)
	v := kept.file.Allowed(agent, u.PathAndQuery())
	delay = kept.crawlDelay(agent)
	e.Robots = "allowed"
	if !v.Allowed {
		e.Robots = "forbidden"
	}
	group := kept.file.Group(agent)
	switch {
	case group == "":
		e.Robots += ": no group is for " + agent
	case v.Line == 0:
		e.Robots += fmt.Sprintf(": no rule of the group for %s is for it", group)
	default:
		e.Robots += fmt.Sprintf(" by line %d of the group for %s: %s", v.Line, group, v.Rule)
	}
	if kept.Tries > 0 {
		e.Robots += fmt.Sprintf(" (as of %s, as it cannot be had: %s)", kept.Fetched.Format(time.RFC3339), kept.Error)
	}
	return v.Allowed, delay, nil
}

// exempt reports whether the URL is fetched although its part of the site is given up.
func exempt(s *frontier.Status) bool {
	return s.State != frontier.StateUnknown && decodeEnvelope(s.Request.Data).spared()
}

// setHost tells how the host is treated, and what of it is still ahead.
func (e *Explanation) setHost(h *frontier.HostStatus, site *site, usual, robots time.Duration, now time.Time) {
	e.Delay, e.DelayFrom = site.delay(usual), "the settings"
	if site.index >= 0 {
		e.Site = fmt.Sprintf("Sites[%d]", site.index)
		if site.Delay != 0 {
			e.DelayFrom = e.Site
		}
	}
	if wish := min(h.Delay, robotsMaxDelay); wish > e.Delay {
		e.Delay, e.DelayFrom = wish, "a change to the host"
		if h.Delay == robots {
			e.DelayFrom = "robots.txt"
		}
	}
	e.Waiting, e.Paused = int64(h.Waiting), h.Paused
	if h.Next.After(now) {
		e.Next = h.Next
	}
	if h.Blocked.After(now) {
		e.Blocked = h.Blocked
	}
	e.Pages, e.Bytes = h.Usage.Pages, h.Usage.Bytes
	e.Closed, e.Dropped = closedReason(h.Closed), int64(h.Dropped)
}

// prospect is what will become of the URL next.
func (e *Explanation) prospect(state frontier.State, belongs, allowed bool, now time.Time) string {
	switch {
	case state == frontier.StateWaiting && !belongs:
		return "it is left out when its turn comes, by rules that are newer than the link"
	case e.Revisit != nil && e.Closed == "" && state == frontier.StateWaiting:
		return e.Revisit.text(now)
	case state == frontier.StateDone && e.Result != nil && gone(e.Result.Status):
		return "nothing: it is gone"
	case state == frontier.StateDone && e.Result != nil && e.Result.Status == 0:
		return "nothing: it was given up"
	case state == frontier.StateDone && e.Result != nil:
		return "nothing: it was fetched"
	case state == frontier.StateDone:
		return "nothing: it was left out when its turn came"
	case state == frontier.StateLeased:
		return "it is being fetched"
	case state == frontier.StateUnknown && !belongs:
		return "a link to it is left out"
	case state == frontier.StateDropped:
		return "it is left out until the host is opened, which is closed: " + string(e.Closed)
	case e.Closed != "":
		return "it is left out, as the host is closed: " + string(e.Closed)
	case e.GivenUp != "" && state == frontier.StateUnknown:
		return "a link to it is left out, as its part of the site is given up"
	case e.GivenUp != "":
		return "it is left out, as its part of the site is given up"
	}
	first := "when a link leads to it, it is "
	if state == frontier.StateWaiting {
		first = "it is "
	}
	switch {
	case e.Robots == "not asked yet":
		return first + "fetched after robots.txt, if that allows it" + e.when(now)
	case !allowed:
		return first + "left out, unless robots.txt has changed by then"
	}
	return first + "fetched" + e.when(now)
}

// when tells what the host's next request waits for.
func (e *Explanation) when(now time.Time) string {
	until := e.Next
	if e.Blocked.After(until) {
		until = e.Blocked
	}
	switch {
	case e.Paused:
		return ", once the host is resumed"
	case until.After(now):
		return ", not before " + until.Format(time.RFC3339)
	case e.State == "waiting" && e.Waiting > 1:
		return ", when its turn comes among those of the host"
	}
	return ", when its turn comes"
}

// String returns the explanation for people, a fact a line.
func (e *Explanation) String() string {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-10s%s\n", name, fmt.Sprintf(format, args...))
	}
	line("url", "%s", e.URL)
	if e.InScope {
		line("scope", "belongs to the crawl")
	} else {
		line("scope", "%s%s", e.Reason, wayOut(e.Reason))
	}
	line("judged as", "%s", e.As)
	for i, o := range e.Rules {
		name := ""
		if i == 0 {
			name = "rules"
		}
		line(name, "%s", o)
	}
	if e.GivenUp != "" {
		line("novelty", "%s %s%s", e.GivenUp, ReasonNovelty, wayOut(ReasonNovelty))
	}
	line("robots", "%s", e.Robots)
	line("state", "%s", e.State)
	line("host", "%s: %d waiting%s", e.Host, e.Waiting, e.pauses()+e.held())
	if e.Proxy != "" {
		line("proxy", "%s", e.Proxy)
	}
	if e.Login != "" {
		line("login", "%s", e.Login)
	}
	if e.Auth != "" {
		line("auth", "%s", e.Auth)
	}
	if r := e.Result; r != nil {
		line("result", "%s", describe(r))
	}
	line("next", "%s", e.Prospect)
	return b.String()
}

// String returns the opinion for people: "Rules[2]: leave out host a.org (decides)".
func (o Opinion) String() string {
	text := o.From + ": " + o.Rule
	switch {
	case o.Says == "":
		return text + ": no opinion, " + o.Because
	case !strings.HasPrefix(o.Rule, o.Says): // it has a name
		text += ": " + o.Says
	}
	if o.Decides {
		return text + " (decides)"
	}
	return text + " (overruled)"
}

func (e *Explanation) pauses() string {
	var s string
	if e.Pages > 0 {
		s += fmt.Sprintf(", %d pages and %d bytes fetched", e.Pages, e.Bytes)
	}
	if e.Delay > 0 {
		s += fmt.Sprintf(", delay %v by %s", e.Delay, e.DelayFrom)
	}
	if !e.Next.IsZero() {
		s += ", next start " + e.Next.Format(time.RFC3339)
	}
	if !e.Blocked.IsZero() {
		s += ", blocked until " + e.Blocked.Format(time.RFC3339)
	}
	if e.Site != "" {
		s += ", of " + e.Site
	}
	return s
}

func describe(r *storage.Record) string {
	s := fmt.Sprintf("status %d at %s, depth %d, %d bytes, %d links",
		r.Status, r.FetchedAt.Format(time.RFC3339), r.Depth, r.Bytes, r.Links)
	if r.FinalURL != r.URL {
		s += ", leads to " + r.FinalURL
	}
	if r.Error != "" {
		s += ", error: " + r.Error
	}
	if r.Referrer != "" {
		s += ", found on " + r.Referrer
	}
	return s
}
