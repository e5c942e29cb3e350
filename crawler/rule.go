package crawler

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/orbweaver/orbweaver/crawler/links"
)

// Rule is an opinion on which URLs belong to a crawl. Rules are asked in order,
// and the last that has an opinion of a URL decides. See Config.Rules for where
// they stand among the other settings, which are rules too.
//
// A rule has an opinion of the URLs for which Take, or LeaveOut, holds and Unless
// does not. Exactly one of Take and LeaveOut is set: &Condition{} holds for every
// URL.
//
// Rules are asked of every link, when it is found: of those on a page, those that
// a handler follows, and targets of redirects. Seeds belong without being asked
// about.
type Rule struct {
	Name     string     `json:"name,omitempty"`      // what explanations call it; empty: what it says, see String
	Take     *Condition `json:"take,omitempty"`      // URLs that belong,
	LeaveOut *Condition `json:"leave-out,omitempty"` // or that do not,
	Unless   *Condition `json:"unless,omitempty"`    // but for these. Nil: no exception
	Reason   Reason     `json:"reason,omitempty"`    // what LeaveOut is counted as; empty: ReasonRule
	Priority int8       `json:"priority,omitempty"`  // of what Take lets in, beside what a handler asks for: higher is fetched earlier within its host
}

// Condition holds for a URL if each of its fields that is set does. A field that
// is a list does if one of its elements does. The zero value holds for every URL.
type Condition struct {
	// Hosts are patterns of host names, without regard to case: "example.org" is
	// that host alone, ".example.org" that and all below it, and "*" stands for any
	// number of characters: "*.example.org", "shop-*.example.*". A pattern that
	// ends with ":8080" is for that port, any other for every port; "[::1]" is an
	// IPv6 address.
	Hosts []string `json:"host,omitempty"`

	// Domains are registrable domains, as "example.co.uk": they hold with all
	// below them, and a public suffix, as "co.uk", is refused.
	Domains []string `json:"domain,omitempty"`

	// Prefixes are how URLs begin: "https://example.org/docs/", or
	// "example.org/docs/" with either scheme.
	Prefixes []string `json:"prefix,omitempty"`

	// Match are regular expressions looked for in the canonical URL.
	Match []*regexp.Regexp `json:"match,omitempty"`

	// Within is how far from the seeds a URL is, whatever Config.Scope says. Nil:
	// any distance.
	Within *ScopeKind `json:"within,omitempty"`

	// Kinds are those of the link. Zero: for Take those that Config.Follow follows,
	// for LeaveOut and Unless all. A Take with other kinds makes the crawler look
	// for them too. What a handler follows is an anchor, and what a link is
	// redirected to is of its kind.
	Kinds links.Kind `json:"kind,omitzero"`

	// Types are media types, as "text/html", "image/*". They are known when the
	// response's head is there: until then a rule that names some has no opinion.
	// A response of status 2xx that is left out then is not read on, not stored,
	// not shown to the handler, and not counted as fetched; that goes for seeds,
	// too. A response without a type never matches.
	Types []string `json:"type,omitempty"`

	Depth Range `json:"depth,omitzero"` // links from a seed
	// Hops are the links since the crawl left the seeds' hosts, or with ScopeDomain
	// their domains: 0 on them, 1 on what they link to elsewhere.
	Hops   Range `json:"hops,omitzero"`
	Params Range `json:"params,omitzero"` // parameters of the query

	// Of these, what a Take does not set are Config.URLLimits: one that sets them
	// goes beyond.
	Length    Range `json:"length,omitzero"`     // bytes of the URL
	PathDepth Range `json:"path-depth,omitzero"` // segments of the path: 0 in "/", 2 in "/a/b" and "/a/b/"
	Repeats   Range `json:"repeats,omitzero"`    // how often the most frequent segment of the path is in it: 2 in "/a/b/a"
}

// URLLimits are the defences that keep a crawl out of the traps that make ever
// new URLs. They are far from what pages of people need. Zero fields are the
// defaults, negative ones no limit.
type URLLimits struct {
	Length    int `json:"length,omitzero"`     // most bytes of a URL, which never has more than 8,192; 0: DefaultMaxURLLength
	PathDepth int `json:"path-depth,omitzero"` // most segments of a path; 0: DefaultMaxPathDepth
	Repeats   int `json:"repeats,omitzero"`    // most times that one segment is in a path; 0: DefaultMaxRepeats
}

// What a zero field of URLLimits means.
const (
	DefaultMaxURLLength = 4096 // servers commonly take 8 KiB, site maps may list 2 KiB
	DefaultMaxPathDepth = 32
	DefaultMaxRepeats   = 5
)

// maxBound is the greatest bound of a range. What ranges are of is far below.
const maxBound = 1 << 30

// Range is a range of whole numbers. The zero Range has all of them. A bound above
// 2³⁰ counts as that.
type Range struct {
	min, over int // from min up to over-1; over 0: no end
}

// AtMost is the range from 0 to n.
func AtMost(n int) Range { return Between(0, n) }

// AtLeast is the range from n up.
func AtLeast(n int) Range { return Range{min: min(max(0, n), maxBound)} }

// beyond is the range from n+1 up.
func beyond(n int) Range { return AtLeast(min(n, maxBound) + 1) }

// Between is the range from a to b, both included. It is empty if b is less than
// a, or than 0.
func Between(a, b int) Range {
	if a = max(0, a); b < a {
		return Range{1, 1}
	}
	return Range{min(a, maxBound), min(b, maxBound) + 1}
}

// Has says whether n is in the range.
func (r Range) Has(n int) bool { return n >= r.min && (r.over == 0 || n < r.over) }

// String returns the range as ParseRange reads it; "" if it is zero.
func (r Range) String() string {
	switch {
	case r == Range{}:
		return ""
	case r.over == 0:
		return ">=" + strconv.Itoa(r.min)
	case r.over == r.min: // empty
		return "<0"
	case r.over == r.min+1:
		return strconv.Itoa(r.min)
	case r.min == 0:
		return "<=" + strconv.Itoa(r.over-1)
	}
	return strconv.Itoa(r.min) + "-" + strconv.Itoa(r.over-1)
}

// ParseRange reads "3", "2-5", "<=3", "<4", ">=2" or ">1"; "<0" is the empty range.
func ParseRange(s string) (Range, error) {
	digits := strings.TrimLeft(s, "<>=")
	sign := s[:len(s)-len(digits)]
	from, to, two := strings.Cut(digits, "-")
	a, err := strconv.ParseUint(strings.TrimSpace(from), 10, 31)
	b := a
	if two && err == nil {
		b, err = strconv.ParseUint(strings.TrimSpace(to), 10, 31)
	}
	n := int(a)
	switch {
	case err != nil || two && (sign != "" || b < a):
	case sign == "":
		return Between(n, int(b)), nil
	case sign == "<=":
		return AtMost(n), nil
	case sign == "<":
		return AtMost(n - 1), nil
	case sign == ">=":
		return AtLeast(n), nil
	case sign == ">":
		return beyond(n), nil
	}
	return Range{}, fmt.Errorf("crawler: %q is no range: write 3, 2-5, <=3, <4, >=2 or >1", s)
}

// MarshalText returns the range as String does.
func (r Range) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads the range as ParseRange does, and the empty text as the
// zero Range.
func (r *Range) UnmarshalText(text []byte) (err error) {
	*r = Range{}
	if len(text) > 0 {
		*r, err = ParseRange(string(text))
	}
	return err
}

// Validate says what is wrong with the rule, or returns nil.
func (r Rule) Validate() error {
	_, err := compileRule(r, links.Pages)
	return err
}

var (
	errNoOpinion  = errors.New("neither takes nor leaves out anything: the condition that holds for every URL is {}")
	errTwoOpinion = errors.New("sets both Take and LeaveOut")
	errNoReason   = errors.New("has a Reason, and leaves nothing out")
	errNoPriority = errors.New("has a Priority, and takes nothing")
)

// String says what the rule says, in one line.
func (r Rule) String() string {
	text, c := "take", r.Take
	if r.LeaveOut != nil {
		text, c = "leave out", r.LeaveOut
	}
	text += " " + c.String()
	if r.Unless != nil {
		text += " unless " + r.Unless.String()
	}
	return text
}

// String says what the condition says, in one line.
func (c *Condition) String() string {
	var parts []string
	add := func(name string, values ...string) {
		text := strings.Join(values, ", ")
		switch len(values) {
		case 0:
			return
		case 1:
		default:
			text = "[" + text + "]"
		}
		parts = append(parts, name+" "+text)
	}
	if c == nil {
		return "nothing"
	}
	add("host", c.Hosts...)
	add("domain", c.Domains...)
	add("prefix", c.Prefixes...)
	var patterns []string
	for _, re := range c.Match {
		if re == nil {
			continue // Validate tells
		}
		patterns = append(patterns, re.String())
	}
	add("match", patterns...)
	if c.Within != nil {
		add("within", c.Within.String())
	}
	if c.Kinds != 0 {
		add("kind", c.Kinds.String())
	}
	add("type", c.Types...)
	for _, f := range c.ranges() {
		if *f.of != (Range{}) {
			add(f.name, f.of.String())
		}
	}
	if len(parts) == 0 {
		return "everything"
	}
	return strings.Join(parts, ", ")
}

type namedRange struct {
	name string
	of   *Range
}

func (c *Condition) ranges() []namedRange {
	return []namedRange{
		{"depth", &c.Depth}, {"hops", &c.Hops}, {"length", &c.Length},
		{"path-depth", &c.PathDepth}, {"repeats", &c.Repeats}, {"params", &c.Params},
	}
}
