package robots

import (
	"strings"
	"sync/atomic"
	"time"
)

// File is a parsed robots.txt. It keeps the text of the file. Its methods may be called concurrently.
type File struct {
	groups   []group
	sitemaps []string
	verdict  *Verdict // answers every question if set
	cut      bool

	// What was compiled for the agent asked about last: a file is seldom asked for more than one.
	compiled atomic.Pointer[ruleset]
}

// group is a run of User-agent lines and the lines that they head.
type group struct {
	agents []string // product tokens, "*" for every agent
	rules  []rule
	delays []delay
}

// delay is a Crawl-delay line, which binds the agents that its group had named by then.
type delay struct {
	agents int
	delay  time.Duration
}

// rule is an Allow or Disallow line.
type rule struct {
	pattern string // in the form of normalizePattern
	text    string // the line, without comment
	line    int
	allow   bool
}

// Verdict is the answer of a robots.txt about one URL.
type Verdict struct {
	Allowed bool
	Line    int    // line of the rule that decided, from 1; 0 when none did
	Rule    string // that rule as the file has it, e.g. "Disallow: /private"; "" when none did
}

// AllowAll and DisallowAll return files that answer every question alike, without a rule. The path /robots.txt is
// allowed by both.
func AllowAll() *File { return &File{verdict: &Verdict{Allowed: true}} }

// DisallowAll is the file that allows nothing. See [AllowAll].
func DisallowAll() *File { return &File{verdict: &Verdict{Allowed: false}} }

// ForStatus returns the file that the answer to a request for /robots.txt stands for (RFC 9309, section 2.3.1).
//
//   - 2xx: body, parsed.
//   - 3xx: everything is allowed. Redirects are for the caller to follow, at least five (section 2.3.1.2); a 3xx left
//     over counts as unavailable.
//   - 4xx other than 429: unavailable (section 2.3.1.3), everything is allowed. This includes 401 and 403.
//   - 429, 5xx, anything else, and 0 for no response at all: unreachable (section 2.3.1.4), nothing is allowed for now.
//
// When unreachable the caller should ask again later, may go on with a copy that it had before, and may after a long
// time (the RFC suggests 30 days) take the file for unavailable.
func ForStatus(status int, body []byte) (f *File, unreachable bool) {
	switch {
	case status >= 200 && status < 300:
		return Parse(body), false
	case status >= 300 && status < 500 && status != 429:
		return AllowAll(), false
	default:
		return DisallowAll(), true
	}
}

// Allowed tells whether agent may fetch the URL with the given path and query, and why. The agent is a product token,
// the value of a User-Agent header beginning with one, or a comma-separated list of tokens. The empty path is "/".
func (f *File) Allowed(agent, pathAndQuery string) Verdict {
	if path, _, _ := strings.Cut(pathAndQuery, "?"); path == "/robots.txt" {
		return Verdict{Allowed: true} // section 2.2.2
	}
	if f.verdict != nil {
		return *f.verdict
	}
	if !strings.HasPrefix(pathAndQuery, "/") {
		pathAndQuery = "/" + pathAndQuery
	}
	return f.rulesFor(agent).verdict(pathAndQuery)
}

// CrawlDelay returns the time that agent is asked to leave between two requests, and whether it is asked to at all. It
// comes from the groups that [File.Allowed] would use, the longest if there are several, and is at most [MaxCrawlDelay].
func (f *File) CrawlDelay(agent string) (time.Duration, bool) {
	if f.verdict != nil {
		return 0, false
	}
	rs := f.rulesFor(agent)
	return rs.delay, rs.hasDelay
}

// Group returns the name by which the groups that [File.Allowed] uses for agent call it, as the file has it: "*" if that
// speaks to all others, and "" if there are none.
func (f *File) Group(agent string) string {
	if f.verdict != nil {
		return ""
	}
	return f.rulesFor(agent).group
}

// Sitemaps returns the values of the Sitemap lines as they stand there: usually absolute URLs, but nothing has been
// checked. The slice is the file's own.
func (f *File) Sitemaps() []string { return f.sitemaps }

// Truncated tells whether a limit left a part of the file out.
func (f *File) Truncated() bool { return f.cut }

func (f *File) rulesFor(agent string) *ruleset {
	if rs := f.compiled.Load(); rs != nil && rs.agent == agent {
		return rs
	}
	rs := compile(f.groups, agent)
	f.compiled.Store(rs)
	return rs
}
