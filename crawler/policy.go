package crawler

import (
	"fmt"
	"strings"
	"time"

	"github.com/orbweaver/orbweaver/crawler/links"
)

// What a zero field of RobotsPolicy means.
const (
	// DefaultRobotsTries leaves a host that answers nothing but 5xx a minute and
	// a half to come back.
	DefaultRobotsTries = 5
	// DefaultRobotsStale is the time that RFC 9309, 2.3.1.4, suggests.
	DefaultRobotsStale = 30 * 24 * time.Hour
)

// RobotsPolicy says what is made of what sites and pages ask of robots. The zero
// value obeys robots.txt after RFC 9309, follows no links of a page that asks
// for nofollow, and keeps with each result what its page asked for
// (storage.Record.Robots) and how the link to it was qualified
// (storage.Record.Rel).
type RobotsPolicy struct {
	// Ignore fetches without asking robots.txt. What pages ask is another matter.
	Ignore bool

	// Tries is how often in a row robots.txt is asked for, after 1 s, 4 s, 16 s, …
	// or when Retry-After says, while the URLs of the host wait. If there is still
	// no answer, or none but 429 or 5xx, the host counts as forbidding everything:
	// its URLs are left out (ReasonRobotsUnreachable), or fail with the error of
	// the connection, until robots.txt, asked for again after a minute, two, four,
	// … and then each hour, is answered. An error that no second try can mend has
	// only one. Zero: DefaultRobotsTries if the host answers, and else as often as
	// Config.Retries says. Negative: once.
	Tries int

	// MaxStale is how old the last good robots.txt may be to be used in place of
	// one that cannot be had. It is kept in the job. Zero: DefaultRobotsStale.
	// Negative: none is used.
	MaxStale time.Duration

	// Nofollow says which links are left out, and counted as ReasonNofollow, for
	// being marked nofollow. The zero value is NofollowPage.
	Nofollow Nofollow

	// DropNoindex keeps neither body nor title of a page that asks for noindex,
	// and does not show it to the handler. Its links are followed.
	DropNoindex bool
}

// Nofollow says whose nofollow is obeyed.
type Nofollow int

const (
	// NofollowPage follows no links of pages that ask for it: in a meta element
	// named robots or as the crawler, or in X-Robots-Tag.
	NofollowPage Nofollow = iota
	// NofollowLinks also follows no link with rel=nofollow, ugc or sponsored.
	NofollowLinks
	// NofollowIgnore follows all links.
	NofollowIgnore
)

var nofollowNames = []string{"page", "links", "ignore"}

// String returns the name as ParseNofollow reads it.
func (n Nofollow) String() string { return nameOf("Nofollow", nofollowNames, int(n)) }

// ParseNofollow reads "page", "links" or "ignore".
func ParseNofollow(s string) (Nofollow, error) {
	n, err := parseName("nofollow", nofollowNames, s)
	return Nofollow(n), err
}

// Sitemaps says which sitemaps are read: the lists of URLs that sites publish
// for crawlers. See the package's documentation.
type Sitemaps int

const (
	// SitemapsNamed reads those that the robots.txt of a host names, and those
	// that they name.
	SitemapsNamed Sitemaps = iota
	// SitemapsGuessed also reads /sitemap.xml of hosts whose robots.txt names
	// none.
	SitemapsGuessed
	// SitemapsNone reads none.
	SitemapsNone
)

var sitemapsNames = []string{"named", "guessed", "none"}

// String returns the name as ParseSitemaps reads it.
func (s Sitemaps) String() string { return nameOf("Sitemaps", sitemapsNames, int(s)) }

// ParseSitemaps reads "named", "guessed" or "none".
func ParseSitemaps(s string) (Sitemaps, error) {
	n, err := parseName("sitemaps", sitemapsNames, s)
	return Sitemaps(n), err
}

// kinds are the kinds of links that are looked for: those that are followed.
func (cfg *Config) kinds() links.Kind {
	follow := orDefault(cfg.Follow, links.Pages)
	if cfg.Sitemaps == SitemapsNone {
		return follow &^ links.Sitemap
	}
	return follow | links.Lists
}

func (p RobotsPolicy) check() error {
	if p.Nofollow < 0 || int(p.Nofollow) >= len(nofollowNames) {
		return &ConfigError{"Robots.Nofollow", fmt.Sprintf("%d is none", int(p.Nofollow))}
	}
	return nil
}

func nameOf(typ string, names []string, i int) string {
	if i < 0 || i >= len(names) {
		return fmt.Sprintf("%s(%d)", typ, i)
	}
	return names[i]
}

func parseName(what string, names []string, s string) (int, error) {
	for i, name := range names {
		if s == name {
			return i, nil
		}
	}
	return 0, fmt.Errorf("crawler: %s: %q is none of %s", what, s, strings.Join(names, ", "))
}
