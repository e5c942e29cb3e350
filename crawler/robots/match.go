package robots

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// ruleset is what a file has to say to one agent.
type ruleset struct {
	agent    string
	group    string // how the file names the agent; "" if it does not
	delay    time.Duration
	hasDelay bool

	plain []plainRule // rules without wildcards, in order of pattern, each pattern once
	wild  []rule      // rules with them, the longest first, among equals Allow first
}

// plainRule is a rule without wildcards. The rules whose patterns are prefixes of its own form a chain of shorter and
// shorter ones, so that all those that match a path are found from the last one not greater than the path.
type plainRule struct {
	rule
	shorter int // index of the longest pattern that begins this one; -1: none
}

// compile gathers the rules of all groups that bind agent.
func compile(groups []group, agent string) *ruleset {
	rs := &ruleset{agent: agent}
	tokens := productTokens(agent)
	if !rs.gather(groups, func(name string) bool { return containsFold(tokens, name) }) {
		rs.gather(groups, func(name string) bool { return name == "*" })
	}
	slices.SortStableFunc(rs.wild, byPrecedence)
	rs.indexPlain()
	return rs
}

// gather adds what the groups say that name an agent for which named holds. It reports whether there was any.
func (rs *ruleset) gather(groups []group, named func(string) bool) (found bool) {
	for _, g := range groups {
		first := slices.IndexFunc(g.agents, named)
		if first < 0 {
			continue
		}
		if !found {
			rs.group = g.agents[first]
		}
		found = true
		for _, d := range g.delays {
			if first < d.agents {
				rs.delay, rs.hasDelay = max(rs.delay, d.delay), true
			}
		}
		for _, r := range g.rules {
			if hasWildcard(r.pattern) {
				rs.wild = append(rs.wild, r)
			} else {
				rs.plain = append(rs.plain, plainRule{rule: r})
			}
		}
	}
	return found
}

// byPrecedence puts the rule that counts before the one that does not, if both match (RFC 9309, section 2.2.2).
func byPrecedence(a, b rule) int {
	if c := cmp.Compare(len(b.pattern), len(a.pattern)); c != 0 {
		return c
	}
	switch {
	case a.allow == b.allow:
		return 0
	case a.allow:
		return -1
	default:
		return 1
	}
}

func (rs *ruleset) indexPlain() {
	slices.SortStableFunc(rs.plain, func(a, b plainRule) int {
		return cmp.Or(strings.Compare(a.pattern, b.pattern), byPrecedence(a.rule, b.rule))
	})
	rs.plain = slices.CompactFunc(rs.plain, func(a, b plainRule) bool { return a.pattern == b.pattern })
	for i := range rs.plain {
		rs.plain[i].shorter = rs.prefixOf(rs.plain[i].pattern, i-1)
	}
}

// prefixOf returns the longest pattern that begins s, where i is the last one less than s; -1: none does.
func (rs *ruleset) prefixOf(s string, i int) int {
	for i >= 0 && !strings.HasPrefix(s, rs.plain[i].pattern) {
		i = rs.plain[i].shorter
	}
	return i
}

func (rs *ruleset) verdict(path string) Verdict {
	decoded := normalizePath(path, true)
	best := rs.best(decoded)
	if best != nil && !best.allow {
		// Allow patterns keep the letters and digits that they write encoded, and may match what the URL had encoded.
		if written := normalizePath(path, false); written != decoded {
			best = rs.bestAllow(best, written)
		}
	}
	if best == nil {
		return Verdict{Allowed: true}
	}
	return Verdict{Allowed: best.allow, Line: best.line, Rule: best.text}
}

// best returns the rule that decides about path; nil: none matches.
func (rs *ruleset) best(path string) *rule {
	var best *rule
	n, found := slices.BinarySearchFunc(rs.plain, path, func(r plainRule, path string) int {
		return strings.Compare(r.pattern, path)
	})
	if !found {
		n--
	}
	if n = rs.prefixOf(path, n); n >= 0 {
		best = &rs.plain[n].rule
	}
	for i := range rs.wild {
		r := &rs.wild[i]
		if best != nil && byPrecedence(*r, *best) >= 0 {
			break
		}
		if matchWild(r.pattern, path) {
			return r
		}
	}
	return best
}

// bestAllow returns the Allow rule that matches path and counts more than best, or else best.
func (rs *ruleset) bestAllow(best *rule, path string) *rule {
	for i := range rs.plain {
		if r := &rs.plain[i].rule; r.allow && byPrecedence(*r, *best) < 0 && strings.HasPrefix(path, r.pattern) {
			best = r
		}
	}
	for i := range rs.wild {
		if r := &rs.wild[i]; r.allow && byPrecedence(*r, *best) < 0 && matchWild(r.pattern, path) {
			best = r
		}
	}
	return best
}

func hasWildcard(pattern string) bool {
	return strings.IndexByte(pattern, '*') >= 0 || strings.HasSuffix(pattern, "$")
}

// matchWild matches a pattern with "*" for any characters and, at its end, "$" for the end. Taking each piece between
// stars where it first occurs is enough, since what follows a star may begin anywhere later: one pass, no backtracking.
func matchWild(pattern, path string) bool {
	pattern, anchored := strings.CutSuffix(pattern, "$")
	piece, rest, star := strings.Cut(pattern, "*")
	if !strings.HasPrefix(path, piece) {
		return false
	}
	path = path[len(piece):]
	for star {
		piece, rest, star = strings.Cut(rest, "*")
		if anchored && !star {
			return strings.HasSuffix(path, piece)
		}
		i := strings.Index(path, piece)
		if i < 0 {
			return false
		}
		path = path[i+len(piece):]
	}
	return !anchored || path == ""
}
