package crawler

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/net/publicsuffix"

	"github.com/orbweaver/orbweaver/crawler/links"
	"github.com/orbweaver/orbweaver/crawler/weburl"
)

// facts are the conditions that a compiled condition has to look at.
type facts uint16

const (
	factKind facts = 1 << iota
	factDepth
	factLength
	factWithin
	factHosts
	factHops
	factPathDepth
	factRepeats
	factParams
	factPrefixes
	factMatch
	factTypes
)

// condition is a compiled Condition.
type condition struct {
	facts    facts
	kinds    links.Kind // all, if Kinds is not set
	within   ScopeKind
	hosts    hostTable[struct{}] // of Hosts and
	domains  hostTable[struct{}] // of Domains, either of which suffices
	prefixes prefixSet
	match    []*regexp.Regexp
	types    []string // "text/html", or "image/" for all of them

	depth, hops, length, pathDepth, repeats, params Range
}

// compileCondition fails with the field that is wrong.
func compileCondition(c *Condition) (_ condition, err error) {
	out := condition{
		kinds: orDefault(c.Kinds, links.All), match: c.Match,
		depth: c.Depth, hops: c.Hops, length: c.Length, pathDepth: c.PathDepth, repeats: c.Repeats, params: c.Params,
	}
	if c.Kinds&^links.All != 0 {
		return out, errors.New("kind is none")
	}
	if c.Within != nil {
		if out.within = *c.Within; !out.within.valid() {
			return out, fmt.Errorf("within: %d is no scope", int(out.within))
		}
	}
	for _, text := range c.Hosts {
		p, err := parseHostPattern(text)
		if err != nil {
			return out, fmt.Errorf("host: %w", err)
		}
		out.hosts.add(p, struct{}{})
	}
	for _, text := range c.Domains {
		p, err := parseDomain(text)
		if err != nil {
			return out, fmt.Errorf("domain: %w", err)
		}
		out.domains.add(p, struct{}{})
	}
	if slices.Contains(c.Match, nil) {
		return out, errors.New("match: an expression is nil")
	}
	if out.types, err = compileTypes(c.Types); err != nil {
		return out, fmt.Errorf("type: %w", err)
	}
	if out.prefixes, err = compilePrefixes(c.Prefixes); err != nil {
		return out, fmt.Errorf("prefix: %w", err)
	}
	for _, f := range []struct {
		set  bool
		fact facts
	}{
		{c.Kinds != 0, factKind},
		{c.Within != nil && *c.Within != ScopeAny, factWithin},
		{len(c.Hosts)+len(c.Domains) > 0, factHosts},
		{len(c.Prefixes) > 0, factPrefixes},
		{len(c.Match) > 0, factMatch},
		{len(c.Types) > 0, factTypes},
		{c.Depth != Range{}, factDepth},
		{c.Hops != Range{}, factHops},
		{c.Length != Range{}, factLength},
		{c.PathDepth != Range{}, factPathDepth},
		{c.Repeats != Range{}, factRepeats},
		{c.Params != Range{}, factParams},
	} {
		if f.set {
			out.facts |= f.fact
		}
	}
	return out, nil
}

func parseDomain(text string) (hostPattern, error) {
	p, err := parseHostPattern(text)
	if err != nil || p.shape != hostExact || p.port != "" {
		return p, fmt.Errorf("%q is no domain", text)
	}
	if suffix, _ := publicsuffix.PublicSuffix(p.name); suffix == p.name && strings.Contains(p.name, ".") {
		return p, fmt.Errorf("%q is a public suffix: whoever likes registers domains below it; a host pattern %q takes them all", text, "."+text)
	}
	if d := weburl.Domain(p.name); d != p.name {
		return p, fmt.Errorf("%q is below the domain %q; a host pattern %q takes what is below it", text, d, "."+text)
	}
	p.shape = hostTree
	return p, nil
}

func compileTypes(patterns []string) (types []string, err error) {
	for _, text := range patterns {
		t := strings.ToLower(strings.TrimSpace(text))
		major, minor, ok := strings.Cut(t, "/")
		if !ok || major == "" || minor == "" || strings.ContainsAny(major, "*;, ") || strings.ContainsAny(minor, ";, /") || minor != "*" && strings.Contains(minor, "*") {
			return nil, fmt.Errorf("%q is no media type: write text/html or image/*", text)
		}
		types = append(types, strings.TrimSuffix(t, "*"))
	}
	return types, nil
}

// prefixSet has beginnings of URLs, none of which begins with another, in order.
type prefixSet struct {
	whole   []string // with their scheme
	schemed []string // and without
}

func compilePrefixes(texts []string) (s prefixSet, err error) {
	for _, text := range texts {
		whole := strings.Contains(text, "://")
		raw := text
		if !whole {
			raw = "http://" + text
		}
		u, err := weburl.Parse(raw)
		if err != nil {
			return s, fmt.Errorf("%q is no beginning of a URL: %w", text, err)
		}
		if whole {
			s.whole = append(s.whole, u.String())
		} else {
			s.schemed = append(s.schemed, withoutScheme(u))
		}
	}
	s.whole, s.schemed = leastPrefixes(s.whole), leastPrefixes(s.schemed)
	return s, nil
}

func withoutScheme(u weburl.URL) string { return u.String()[len(u.Scheme())+len("://"):] }

func leastPrefixes(list []string) []string {
	slices.Sort(list)
	var last string
	return slices.DeleteFunc(list, func(p string) bool {
		if last != "" && strings.HasPrefix(p, last) {
			return true
		}
		last = p
		return false
	})
}

func (s *prefixSet) has(u weburl.URL) bool {
	return beginsWithOne(u.String(), s.whole) || len(s.schemed) > 0 && beginsWithOne(withoutScheme(u), s.schemed)
}

// beginsWithOne says whether text begins with one of the least prefixes: only the
// last of those that are not after it can be.
func beginsWithOne(text string, prefixes []string) bool {
	i, exact := slices.BinarySearch(prefixes, text)
	return exact || i > 0 && strings.HasPrefix(text, prefixes[i-1])
}

// subject is a URL that rules are asked about.
type subject struct {
	url       weburl.URL
	depth     int
	hops      int // if the URL is off the seeds' site
	kind      links.Kind
	mediaType string // "": not known, or none
}

// failing returns a fact for which the condition does not hold, or 0. Cheap ones
// are looked at first.
func (c *condition) failing(j *judge, s *subject) facts {
	if s.kind&c.kinds == 0 {
		return factKind
	}
	for left := c.facts &^ factKind; left != 0; left &= left - 1 {
		if f := left & -left; !c.holds(f, j, s) {
			return f
		}
	}
	return 0
}

func (c *condition) holds(f facts, j *judge, s *subject) bool {
	switch f {
	case factDepth:
		return c.depth.Has(s.depth)
	case factLength:
		return c.length.Has(len(s.url.String()))
	case factWithin:
		return j.within(c.within, s.url)
	case factHosts:
		return c.hasHost(s.url.Hostname(), s.url.Port())
	case factHops:
		return c.hops.Has(j.hops(s))
	case factPathDepth:
		return c.pathDepth.Has(pathDepth(s.url.Path()))
	case factRepeats:
		return holdsRepeats(c.repeats, s.url.Path())
	case factParams:
		return c.params.Has(params(s.url.Query()))
	case factPrefixes:
		return c.prefixes.has(s.url)
	case factMatch:
		return slices.ContainsFunc(c.match, func(re *regexp.Regexp) bool { return re.MatchString(s.url.String()) })
	default:
		return c.hasType(s.mediaType)
	}
}

func (c *condition) hasHost(name, port string) bool {
	if _, ok := c.hosts.find(name, port); ok {
		return true
	}
	_, ok := c.domains.find(name, "")
	return ok
}

func (c *condition) hasType(t string) bool {
	return t != "" && slices.ContainsFunc(c.types, func(want string) bool {
		return t == want || strings.HasSuffix(want, "/") && strings.HasPrefix(t, want)
	})
}

// pathDepth counts the segments of a path; a slash at its end begins none.
func pathDepth(path string) int {
	n := strings.Count(path, "/")
	if strings.HasSuffix(path, "/") {
		n--
	}
	return n
}

// holdsRepeats looks at the segments only if there are enough of them.
func holdsRepeats(r Range, path string) bool {
	if r.min > 1 && pathDepth(path) < r.min {
		return false
	}
	return r.Has(repeats(path))
}

// repeats is how often the most frequent segment of a path is in it.
func repeats(path string) int {
	path = strings.TrimSuffix(strings.TrimPrefix(path, "/"), "/")
	if path == "" {
		return 0
	}
	var buf [DefaultMaxPathDepth]string
	segments := buf[:0]
	for s := range strings.SplitSeq(path, "/") {
		segments = append(segments, s)
	}
	slices.Sort(segments)
	most, run := 1, 1
	for i := 1; i < len(segments); i++ {
		if run++; segments[i] != segments[i-1] {
			run = 1
		}
		most = max(most, run)
	}
	return most
}

// params counts the parameters of a query, those that have nothing between "&"
// aside.
func params(query string) int {
	n := 0
	for p := range strings.SplitSeq(query, "&") {
		if p != "" {
			n++
		}
	}
	return n
}
