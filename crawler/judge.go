package crawler

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/orbweaver/orbweaver/crawler/links"
	"github.com/orbweaver/orbweaver/crawler/weburl"
)

// rule is a compiled Rule.
type rule struct {
	Rule
	leaveOut bool
	applies  condition
	unless   []condition // one or none
	from     string      // what of the Config it is: "Rules[2]", "MaxDepth"
}

func compileRule(r Rule, followed links.Kind) (out rule, err error) {
	out = rule{Rule: r, leaveOut: r.LeaveOut != nil}
	c := r.Take
	switch {
	case r.Take != nil && r.LeaveOut != nil:
		return out, errTwoOpinion
	case r.LeaveOut != nil:
		c = r.LeaveOut
	case r.Take == nil:
		return out, errNoOpinion
	}
	switch {
	case r.Reason != "" && !out.leaveOut:
		return out, errNoReason
	case r.Priority != 0 && out.leaveOut:
		return out, errNoPriority
	case out.leaveOut && r.Reason == "":
		out.Reason = ReasonRule
	}
	if out.applies, err = compileCondition(c); err != nil {
		return out, err
	}
	if r.Unless != nil {
		exception, err := compileCondition(r.Unless)
		if err != nil {
			return out, fmt.Errorf("unless: %w", err)
		}
		out.unless = []condition{exception}
	}
	if !out.leaveOut && c.Kinds == 0 {
		out.applies.facts |= factKind
		out.applies.kinds = followed
	}
	return out, nil
}

// about says whether the rule has an opinion of s.
func (r *rule) about(j *judge, s *subject) bool {
	if r.applies.failing(j, s) != 0 {
		return false
	}
	for i := range r.unless {
		if r.unless[i].failing(j, s) == 0 {
			return false
		}
	}
	return true
}

// uses says whether the rule looks at one of the facts.
func (r *rule) uses(f facts) bool {
	found := r.applies.facts & f
	for i := range r.unless {
		found |= r.unless[i].facts & f
	}
	return found != 0
}

// scope decides which URLs belong: the rules that a Config makes, in order, and
// the roots that its seeds are. Its methods may be called at once.
type scope struct {
	*roots
	rules []rule
	kinds links.Kind // of the links that a rule may take
	facts facts      // that some rule looks at
	site  ScopeKind  // what counts as the seeds' site, for hops

	harmless harmless

	sites   sites
	sitesAt int // the rules of a site come before this one
}

// harmless are URLs so short that no rule of Config.URLLimits has an opinion of
// them: nearly all, so that it pays to pass over those rules together.
type harmless struct {
	first, last int // the rules
	length      int // most bytes
	slashes     int // most of them in the path
}

func (h *harmless) has(u weburl.URL) bool {
	return len(u.String()) <= h.length && strings.Count(u.Path(), "/") <= h.slashes
}

func (l URLLimits) harmless(rules []rule) harmless {
	h := harmless{length: math.MaxInt, slashes: math.MaxInt}
	for i := range rules {
		if !strings.HasPrefix(rules[i].from, limitsField) {
			continue
		}
		if h.last = i; h.first == 0 {
			h.first = i
		}
	}
	l = l.complete()
	if l.Length >= 0 {
		h.length = l.Length
	}
	if l.PathDepth >= 0 { // a path has at least as many slashes as segments
		h.slashes = l.PathDepth
	}
	if l.Repeats >= 0 { // and at least as many segments as one of them is repeated
		h.slashes = min(h.slashes, l.Repeats)
	}
	return h
}

// newScope compiles the rules. The error is a *ConfigError.
func newScope(cfg *Config) (*scope, error) {
	s := &scope{roots: newRoots(), site: ScopeHost}
	if cfg.Scope == ScopeDomain {
		s.site = ScopeDomain
	}
	followed := cfg.kinds()
	s.kinds = followed | cfg.kindsOfRules()
	compile := func(text Rule, from string) (rule, error) {
		r, err := compileRule(text, followed|links.Anchor) // which is what a handler asks for
		if err != nil {
			return r, &ConfigError{from, err.Error()}
		}
		r.from = from
		s.use(&r)
		return r, nil
	}
	for _, n := range cfg.ruleList(followed) {
		r, err := compile(n.Rule, n.from)
		if err != nil {
			return nil, err
		}
		s.rules = append(s.rules, r)
	}
	var err error
	if s.sites, err = compileSites(cfg, compile); err != nil {
		return nil, err
	}
	s.sitesAt = slices.IndexFunc(s.rules, func(r rule) bool { return r.from == "Include" || r.from == "Exclude" || r.from == "MaxDepth" })
	if s.sitesAt < 0 {
		s.sitesAt = len(s.rules)
	}
	s.harmless = cfg.URLLimits.harmless(s.rules)
	return s, nil
}

// use notes what a rule needs to know.
func (s *scope) use(r *rule) {
	all := []*condition{&r.applies}
	for i := range r.unless {
		all = append(all, &r.unless[i])
	}
	for _, c := range all {
		s.facts |= c.facts
		if c.facts&factWithin != 0 {
			s.roots.uses[c.within] = true
		}
		if c.facts&factHops != 0 {
			s.roots.uses[s.site] = true
		}
	}
}

// namedRule is a Rule and what of the Config it is.
type namedRule struct {
	Rule
	from string
}

// resourceDepth is how many links resources may be deeper than pages: the style
// sheet, and what it names.
const resourceDepth = 2

// ruleList is all that the Config says of which URLs belong, as rules.
func (cfg *Config) ruleList(followed links.Kind) []namedRule {
	list := []namedRule{
		{Rule{Name: "everything else", LeaveOut: &Condition{}, Reason: ReasonScope}, "Scope"},
		{Rule{Name: "scope " + cfg.Scope.String(), Take: &Condition{Within: &cfg.Scope}}, "Scope"},
	}
	if others := cfg.kindsOfRules() &^ followed; others != 0 {
		list = append(list, namedRule{Rule{LeaveOut: &Condition{Kinds: others}, Reason: ReasonKind}, "Follow"})
	}
	list = append(list, cfg.URLLimits.rules()...)
	for i, r := range cfg.Rules {
		list = append(list, namedRule{cfg.URLLimits.within(r), fmt.Sprintf("Rules[%d]", i)})
	}
	if len(cfg.Include) > 0 {
		r := Rule{LeaveOut: &Condition{}, Unless: &Condition{Match: cfg.Include}, Reason: ReasonNotIncluded}
		list = append(list, namedRule{r, "Include"})
	}
	if len(cfg.Exclude) > 0 {
		list = append(list, namedRule{Rule{LeaveOut: &Condition{Match: cfg.Exclude}, Reason: ReasonExcluded}, "Exclude"})
	}
	if cfg.MaxDepth > 0 {
		depth := min(cfg.MaxDepth, maxBound)
		pages := &Condition{Depth: beyond(depth), Kinds: links.All &^ links.Resources}
		resources := &Condition{Depth: beyond(depth + resourceDepth), Kinds: links.Resources}
		for _, c := range []*Condition{pages, resources} {
			list = append(list, namedRule{Rule{LeaveOut: c, Reason: ReasonDepth}, "MaxDepth"})
		}
	}
	return list
}

// kindsOfRules are the kinds of links that the user's rules may take.
func (cfg *Config) kindsOfRules() (k links.Kind) {
	add := func(rules []Rule) {
		for _, r := range rules {
			if r.Take != nil {
				k |= r.Take.Kinds & links.All
			}
		}
	}
	add(cfg.Rules)
	for i := range cfg.Sites {
		add(cfg.Sites[i].Rules)
	}
	return k
}

const limitsField = "URLLimits."

// complete returns the limits in force, each a number or negative.
func (l URLLimits) complete() URLLimits {
	return URLLimits{
		Length:    orDefault(l.Length, DefaultMaxURLLength),
		PathDepth: orDefault(l.PathDepth, DefaultMaxPathDepth),
		Repeats:   orDefault(l.Repeats, DefaultMaxRepeats),
	}
}

// rules are the limits as rules.
func (l URLLimits) rules() (list []namedRule) {
	l = l.complete()
	add := func(field string, most int, c *Condition, reason Reason) {
		if most >= 0 {
			list = append(list, namedRule{Rule{LeaveOut: c, Reason: reason}, limitsField + field})
		}
	}
	add("Repeats", l.Repeats, &Condition{Repeats: beyond(l.Repeats)}, ReasonRepeats)
	add("PathDepth", l.PathDepth, &Condition{PathDepth: beyond(l.PathDepth)}, ReasonPathDepth)
	add("Length", l.Length, &Condition{Length: beyond(l.Length)}, ReasonLength)
	return list
}

// within returns the rule with the limits as part of what it takes, as far as it
// says nothing of them itself.
func (l URLLimits) within(r Rule) Rule {
	if r.Take == nil {
		return r
	}
	take := *r.Take
	l = l.complete()
	for _, f := range []struct {
		of   *Range
		most int
	}{{&take.Length, l.Length}, {&take.PathDepth, l.PathDepth}, {&take.Repeats, l.Repeats}} {
		if *f.of == (Range{}) && f.most >= 0 {
			*f.of = AtMost(f.most)
		}
	}
	if r.Name == "" {
		r.Name = r.String()
	}
	r.Take = &take
	return r
}

// judge asks the rules about the links of one page. It remembers what it found
// out about the last host, as most links of a page lead to one. It is used by one
// goroutine at a time.
type judge struct {
	*scope
	pageDepth int
	pageHops  int

	last [ScopePrefix]struct { // by ScopeKind
		host   string
		within bool
	}
}

// from returns a judge of the links of a page.
func (s *scope) from(page *subject) judge {
	j := judge{scope: s, pageDepth: page.depth}
	if s.facts&factHops != 0 {
		j.pageHops = j.hops(page)
	}
	return j
}

// ruleFor returns the rule that decides on x.
func (s *scope) ruleFor(x *subject) *rule {
	j := judge{scope: s}
	return j.ask(x)
}

// link judges a link of the page.
func (j *judge) link(u weburl.URL, k links.Kind) verdict {
	return j.decide(&subject{url: u, depth: j.pageDepth + 1, hops: j.pageHops + 1, kind: k})
}

// redirect judges where the page leads instead of being one.
func (j *judge) redirect(u weburl.URL, k links.Kind) verdict {
	return j.decide(&subject{url: u, depth: j.pageDepth, hops: max(1, j.pageHops), kind: k})
}

// verdict is what was decided on a URL.
type verdict struct {
	*rule      // which decided
	hops  byte // for the URL's envelope: 0 if nobody asks, or the URL itself tells
}

// raise adds the rule's priority to another.
func (v verdict) raise(p int8) int8 {
	return int8(min(max(int(p)+int(v.Priority), math.MinInt8), math.MaxInt8))
}

// decide returns the verdict on s.
func (j *judge) decide(s *subject) verdict {
	v := verdict{rule: j.ask(s)}
	if j.facts&factHops != 0 && !v.leaveOut {
		if n := j.hops(s); n > 1 {
			v.hops = byte(min(n, math.MaxUint8))
		}
	}
	return v
}

// ask returns the last rule with an opinion of s. There is one: the first rule has
// an opinion of everything.
func (j *judge) ask(s *subject) *rule {
	for i := len(j.rules) - 1; i >= j.sitesAt; i-- {
		if r := &j.rules[i]; r.about(j, s) {
			return r
		}
	}
	if j.sites.haveRules {
		rules := j.sites.of(s.url.Host()).rules
		for i := len(rules) - 1; i >= 0; i-- {
			if r := &rules[i]; r.about(j, s) {
				return r
			}
		}
	}
	for i := j.sitesAt - 1; i > 0; i-- {
		if i == j.harmless.last && j.harmless.has(s.url) {
			i = j.harmless.first
			continue
		}
		if r := &j.rules[i]; r.about(j, s) {
			return r
		}
	}
	return &j.rules[0]
}

// hops is how many links ago the crawl left the seeds' site.
func (j *judge) hops(s *subject) int {
	if j.within(j.site, s.url) {
		return 0
	}
	return max(1, s.hops)
}

// within says whether u lies within the hosts, domains or directories of the
// seeds.
func (j *judge) within(k ScopeKind, u weburl.URL) bool {
	switch k {
	case ScopeAny:
		return true
	case ScopePrefix:
		return j.under(u.Host(), u.Path())
	}
	host := u.Host()
	if last := &j.last[k]; last.host == host {
		return last.within
	}
	root := host
	if k == ScopeDomain {
		root = weburl.Domain(u.Hostname())
	}
	in := j.has(k, root)
	j.last[k].host, j.last[k].within = host, in
	return in
}
