package crawler

// Reason says why a URL was left out: it was found, and will not be fetched.
type Reason string

const (
	ReasonScope             Reason = "out of scope"
	ReasonDepth             Reason = "too deep"
	ReasonExcluded          Reason = "excluded"
	ReasonNotIncluded       Reason = "not included"
	ReasonNofollow          Reason = "nofollow"
	ReasonNoHTTP            Reason = "not http"
	ReasonInvalid           Reason = "invalid URL"
	ReasonRobots            Reason = "forbidden by robots.txt"
	ReasonRobotsUnreachable Reason = "robots.txt unreachable"
	ReasonRedirects         Reason = "too many redirects"
	ReasonPrivate           Reason = "private address"
	ReasonLinks             Reason = "too many links on a page"
	ReasonNovelty           Reason = "brings nothing new"
	ReasonHostDown          Reason = "host does not answer"
	ReasonRule              Reason = "left out by a rule"
	ReasonKind              Reason = "kind of link not followed"
	ReasonLength            Reason = "URL too long"
	ReasonPathDepth         Reason = "path too deep"
	ReasonRepeats           Reason = "path repeats itself"
	ReasonSitemaps          Reason = "too many sitemaps"
	ReasonHostPages         Reason = "host has had its pages"
	ReasonHostBytes         Reason = "host has had its bytes"
	ReasonHostTime          Reason = "host has had its time"
	ReasonLogin             Reason = "login failed"
	ReasonHostDropped       Reason = "host was dropped"
	ReasonHostClosed        Reason = "host is closed" // by another program that works on the frontier
	ReasonUnmodified        Reason = "unchanged by its sitemap"
)

// Flag names the setting of the crawl command that changes what was left out for
// this reason, or is empty if none does.
func (r Reason) Flag() string {
	switch r {
	case ReasonScope:
		return "--scope domain or --scope any"
	case ReasonDepth:
		return "--max-depth"
	case ReasonExcluded:
		return "--exclude"
	case ReasonNotIncluded:
		return "--include"
	case ReasonRobots, ReasonRobotsUnreachable:
		return "--robots ignore"
	case ReasonNofollow:
		return "--nofollow"
	case ReasonHostPages:
		return "--host-pages"
	case ReasonHostBytes:
		return "--host-bytes"
	case ReasonHostTime:
		return "--host-time"
	case ReasonPrivate:
		return "--allow-private"
	case ReasonRule:
		return "rules in the configuration file"
	case ReasonLength:
		return "--max-url-length"
	case ReasonPathDepth:
		return "--max-path-depth"
	case ReasonNovelty:
		return "--novelty"
	case ReasonRepeats:
		return "--max-repeats"
	case ReasonLogin:
		return "login of sites in the configuration file"
	case ReasonHostDown:
		return "--host-failures"
	case ReasonUnmodified:
		return "--trust-lastmod=false"
	default:
		return ""
	}
}
