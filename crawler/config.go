package crawler

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/orbweaver/orbweaver/crawler/links"
	"github.com/orbweaver/orbweaver/crawler/weburl"
	"github.com/orbweaver/orbweaver/frontier"
	"github.com/orbweaver/orbweaver/httpclient"
	"github.com/orbweaver/orbweaver/storage"
)

// What a zero field of Config means.
const (
	DefaultDelay        = time.Second
	DefaultConcurrency  = 100
	DefaultUserAgent    = "Orbweaver/0 (+https://github.com/orbweaver/orbweaver)"
	DefaultRetries      = 2
	DefaultMaxRedirects = 10
	DefaultTimeout      = time.Minute
	DefaultHostFailures = 10
	DefaultMaxBody      = 10 << 20
	DefaultMemory       = 192 << 20
)

// maxRetries is more than anybody waits for.
const maxRetries = 1 << 20

// NoDelay as Config.Delay asks hosts without any pause.
const NoDelay time.Duration = -1

// maxConcurrency bounds the workers: each costs its stack and its buffers.
const maxConcurrency = 100_000

// Config is what a crawl is told. Its zero value, with a seed, is a polite and
// safe crawl of the seed's host.
type Config struct {
	// Dir is the job's directory, created if it is missing. A directory with a
	// job in it is resumed. Empty: a temporary directory that Close removes.
	Dir string

	// Seeds are the URLs to start from. One without a scheme, such as
	// "example.org/blog", is tried by https and then by http. More can be added
	// with Crawler.AddSeeds.
	Seeds []string

	// Handler sees the pages. Nil: none, results and links are all there is.
	Handler Handler

	// Statuses says which responses the handler sees. Nil: those that a Mux has
	// routes for, and for any other handler those with a status of 200 to 299. Redirects and responses that will be tried again are never
	// shown.
	Statuses func(status int) bool

	// Follow says which kinds of links are followed. Zero: links.Pages, by which
	// one page leads to another. Resources are what a browser loads to show a page;
	// Form, Text, Code and Document are for who wants to find more than a reader
	// would. What is fetched is read by its type, whatever kind of link led to it.
	// Resources may be two links deeper than MaxDepth: the style sheet of a page,
	// and what that names.
	Follow links.Kind

	// NoFollow leaves the links of a page alone: only what the handler asks for
	// with Page.Follow is fetched.
	NoFollow bool

	// Scope says, from the seeds, which URLs belong to the crawl. The zero value
	// is ScopeHost. Seeds themselves always belong.
	Scope ScopeKind

	// Include, if it is not empty, narrows the scope to URLs that one of these
	// matches, and Exclude takes away those that one of these matches.
	Include, Exclude []*regexp.Regexp

	// Rules say more exactly what belongs. The whole order in which the rules of a
	// Config are asked, the last opinion being the one that counts, is: nothing
	// belongs; Scope; URLLimits; Rules; those of Sites; Include; Exclude; MaxDepth.
	// A job that goes on with others asks those of what waits, at its turn. It does
	// not look again for links that the former ones left out.
	Rules []Rule

	// URLLimits leave out the URLs that only traps have. The zero value has limits.
	URLLimits URLLimits

	// Sites say what is different for some hosts: pace, budgets, header fields,
	// rules. Nil: nothing.
	Sites []Site

	// URLs are normalizations that make one URL of several which mostly, but not
	// always, are the same page: without session ids, tracking parameters and so
	// on. What they make of a link is what is fetched, unless the server redirects
	// it to what they took away. A job keeps those it was begun with: another run
	// with others is refused with ErrURLRules. The zero value has none.
	URLs weburl.Rules

	// Recrawl begins another round if the job has nothing left to fetch: each URL
	// with a result waits again, and is asked for by the validators (ETag,
	// Last-Modified) of the page that is stored. Of a page that is unchanged, by
	// the server's word (304) or by its digest, the new result refers to the stored
	// body, its links are not read again, and no handler sees it. So it is with a
	// sitemap that was read to its end; any other is read whole. URLs that were left
	// out before stay so, a host that is closed when the round begins has none begun
	// again, and a result does not keep the Priority of a Request. A job that has
	// URLs waiting finishes the round that it is in. It needs the job's own Frontier
	// and Store.
	Recrawl bool

	// TrustLastmod leaves pages alone in a later round that a sitemap says have not
	// changed since their last visit: one that was read in this run, before their turn
	// came. Sitemaps are read first of their host, and whole each time. Such pages count
	// as left out, with ReasonUnmodified. A million of them at most are remembered; the
	// others are asked for as usual. It works with Recrawl and the later runs of its
	// round.
	TrustLastmod bool

	// Revisit makes the crawl continuous: pages are visited again when they are due,
	// as long as there are any, so that a run ends by a limit, by Stop or by its
	// context. A handler sees a page when it is new or has changed. The interval of
	// each page is kept with it in the frontier. A job whose next run has it off makes
	// the visits that are planned once more, when they are due, and then ends. It
	// excludes Recrawl. The zero value is off.
	Revisit Revisit

	// MaxPages ends the run when the round has that many responses, of any status.
	// It holds exactly. Zero: no limit.
	MaxPages int64

	// MaxBytes ends the run when the bodies of the job's results have that many
	// bytes, as they were transferred (Stats.WireBytes). No request for a page
	// starts from then on; those under way, Concurrency at most, are finished and
	// kept. Zero: no limit.
	MaxBytes int64

	// HostPages, HostBytes and HostTime limit what is fetched of each host, over
	// all runs of the job: the responses of any status, which holds exactly; the
	// bytes of their bodies as they were transferred, after which no request of
	// the host starts, while those under way, PerHost at most, are finished; and
	// the time since its first result was stored, by the clock on the wall. What
	// waits of a host that has had enough is left out, and what is found of it
	// later as well, until a run has a larger limit: then all of it waits again. The
	// job keeps it that long, at 40 to 90 bytes of disk for each URL, which
	// HostChange.Dropped gives back. Zero: no limit.
	HostPages int64
	HostBytes int64
	HostTime  time.Duration

	// MaxDepth is the greatest number of links from a seed to a page. Zero: no
	// limit.
	MaxDepth int

	// MaxTime ends a run after that time; what is being fetched then is given
	// back to the frontier. Zero: no limit.
	MaxTime time.Duration

	// Delay is the least time between the starts of two requests to a host.
	// Robots' Crawl-delay can raise it. Zero: DefaultDelay. Negative: none.
	Delay time.Duration

	// AddressDelay is the least time between the starts of two requests to one IP
	// address, which any number of hosts may share. The first address of a name
	// counts. It works with a session of the crawler's own, and not through a
	// proxy, which finds the addresses itself. After a restart nothing starts
	// before one such delay has passed. Zero: addresses make no difference.
	AddressDelay time.Duration

	// Adaptive makes the delay of a host grow with the time that it takes to
	// answer. The zero value: it does not.
	Adaptive Adaptive

	// Score ranks the links that are found: within a host the URLs with the highest
	// score are fetched first, those with the same one in the order in which they
	// were found. It goes from -1 to 1, in 33 steps of a sixteenth; seeds, and what
	// handlers follow without a priority, have 0. Hosts still take turns,
	// whatever their scores. It is called by many workers at once. Nil: breadth first.
	Score func(ScoredLink) float64

	// PerHost is how many requests may be under way to one host. Zero: 1.
	PerHost int

	// Concurrency is how many requests may be under way in all, which is the
	// number of workers. With a session of the crawler's own there are no more
	// than a third of the files that the process may open. Zero:
	// DefaultConcurrency.
	Concurrency int

	// Rate limits the requests a second over all hosts. Zero: no limit.
	Rate float64

	// UserAgent is sent with each request, and its first word, up to a slash, is
	// the name looked for in robots.txt. Empty: DefaultUserAgent.
	UserAgent string

	// Robots says what is made of what sites and pages ask of robots. The zero
	// value obeys them.
	Robots RobotsPolicy

	// Sitemaps says which sitemaps are read. The zero value is SitemapsNamed.
	Sitemaps Sitemaps

	// Retries is how often a URL is tried again after a network error or one of
	// the statuses 408, 429, 500, 502, 503, 504. Zero: DefaultRetries. Negative:
	// never.
	Retries int

	// HostFailures is after how many requests in a row without any answer a host
	// is given up: its URLs are left out for the next hour. From the second
	// failure on the host is left alone for 1 s, 2 s, 4 s, … before the next
	// request, so that ten take more than four minutes. Zero: DefaultHostFailures.
	// Negative: never.
	HostFailures int

	// Novelty says when a part of a site is left alone because it brings nothing
	// new. The zero value is a watch that is on.
	Novelty Novelty

	// MaxRedirects is how many hops a chain of redirects may have. Each hop is a
	// URL of its own, subject to scope, robots, delay and dedup. Zero:
	// DefaultMaxRedirects.
	MaxRedirects int

	// NoBodies keeps no bodies in the store.
	NoBodies bool

	// Timeout limits one fetch from the connection to the last byte. Zero:
	// DefaultTimeout.
	Timeout time.Duration

	// MaxBody cuts bodies after that many decoded bytes; the result says so.
	// Zero: DefaultMaxBody.
	MaxBody int64

	// Memory is how many bytes of the process may be resident before it lets go of
	// what it has mapped of the job's database, of which it keeps some 32 MiB then. What
	// is let go of costs a page fault when it is read again, so that a job with millions
	// of URLs runs the faster the more there is. It bounds neither the heap nor what a
	// commit maps for a moment, so the process may have more, and needs Linux. Zero:
	// DefaultMemory.
	Memory int64

	// DiskReserve is how many bytes of the job's disk, and of the one that its
	// archives are on if that is another, the crawl leaves free. With
	// less, no new request starts until there is room again (see PauseDisk). It has
	// to cover what is being fetched when the crawl pauses: some hundred megabytes
	// at most, usually far less. Where the system does not tell what is free, or a
	// quota says less, a commit or an archive that finds no room pauses the crawl; so
	// does an error of the device (EIO) that an archive meets, for a minute. Zero:
	// DefaultDiskReserve or, if that is less, a twentieth of the disk. Negative: none,
	// and a full disk fails the run.
	DiskReserve int64

	// FreeSpace says how many bytes may still be written to the disk of a
	// directory, and whether that is known. It is asked about once a second. Nil: the
	// system is asked.
	FreeSpace func(dir string) (bytes int64, known bool)

	// Proxies take all requests, each one of them, as ProxyPolicy says: http, https,
	// socks5 (names are resolved here) or socks5h (by the proxy), with user and password
	// if it wants them. One that cannot be reached, or refuses its credentials, is left
	// alone for half a second, then twice as long each time up to five minutes, while
	// others take its requests; that is no failure of the host or the URL. When all are
	// out, the crawl pauses (see PauseProxies) until one may be tried again; a run in
	// which none has ever worked ends after four such pauses, with ErrProxies. Nil: none.
	Proxies []*url.URL

	// ProxyPolicy says which of Proxies takes a request. Zero: ProxySticky.
	ProxyPolicy ProxyPolicy

	// Header is sent with each page request. Nil: nothing more than usual. What tells
	// of a body, as Content-Length, is refused.
	Header http.Header

	// Jar keeps cookies. Nil: one is made if KeepCookies or a Login of Sites needs
	// it, and else none are kept.
	Jar httpclient.CookieJar

	// KeepCookies keeps the cookies in the job, those that end with the session
	// included, as the job is the session: the next run goes on with them. They are
	// written to the file cookies.jsonl in Dir, which its owner alone can read, five
	// seconds after they changed at the latest, when a login has succeeded, and at the
	// end of a run. After a crash the next run has them as they were then. Cookies that
	// Jar has when the job is opened win over kept ones. Jar must be nil or a
	// *httpclient.Jar.
	KeepCookies bool

	// AllowPrivate lets pages lead to private, loopback and link-local
	// addresses. Without it only seeds that name such an address themselves open
	// it, and only that address and port.
	AllowPrivate bool

	// Session makes the requests, which carry UserAgent and go through Middleware
	// first. Nil: one made from Proxies, Header, Jar, Timeout and AllowPrivate, which
	// else must be unset, as a session brings its own. The caller closes a session of
	// theirs.
	Session *httpclient.Session

	// Middleware wraps each fetch, the first outermost.
	Middleware []httpclient.Middleware

	// Cache replays responses of earlier runs, of any job, instead of asking for them
	// again: for while a crawl is being written. The zero value is off.
	Cache Cache

	// WARC writes web archives into the job's directory as the crawl goes. Nil:
	// none.
	WARC *WARC

	// Events are told what happens. Nil functions are skipped.
	Events Events

	// Logger gets what an operator should know. Nil: nothing is logged.
	Logger *slog.Logger

	// Frontier and Store replace the job's own, which live in its database and
	// are committed in one transaction. With either replaced, results are stored
	// first and acknowledged to the frontier second, so that a crash between the
	// two stores a page twice. The caller closes them. Nil: the job's own.
	Frontier frontier.Backend
	Store    storage.Store

	// Control opens a control socket in Dir while the crawler is open, through which
	// other processes of this user can act on it: see type Control, and the status,
	// pause, resume, stop, add and host commands of crawl. Why it could not be opened
	// is logged. It has no effect without Dir.
	Control bool

	// Settings is kept in the job as it is and handed back by Job.Settings: the
	// crawl command keeps its flags there. Nil: what the job has is left.
	Settings []byte
}

// Adaptive says how a host's delay follows from the time between a request and the
// first byte of its answer. The larger of it and the other delays counts.
type Adaptive = frontier.Adaptive

// ConfigError says which field of a Config is wrong.
type ConfigError struct {
	Field  string
	Reason string
}

func (e *ConfigError) Error() string { return fmt.Sprintf("crawler: Config.%s: %s", e.Field, e.Reason) }

// complete returns a copy of cfg with every zero field filled in, or says which
// field is wrong.
func (cfg Config) complete() (Config, error) {
	if err := cfg.check(); err != nil {
		return cfg, err
	}
	cfg.Delay = signed(cfg.Delay, DefaultDelay)
	cfg.Retries = min(signed(cfg.Retries, DefaultRetries), maxRetries)
	cfg.HostFailures = signed(cfg.HostFailures, DefaultHostFailures)
	cfg.PerHost = orDefault(cfg.PerHost, 1)
	cfg.Concurrency = orDefault(cfg.Concurrency, DefaultConcurrency)
	cfg.MaxRedirects = orDefault(cfg.MaxRedirects, DefaultMaxRedirects)
	cfg.Timeout = orDefault(cfg.Timeout, DefaultTimeout)
	cfg.MaxBody = orDefault(cfg.MaxBody, DefaultMaxBody)
	cfg.Memory = orDefault(cfg.Memory, DefaultMemory)
	cfg.UserAgent = orDefault(cfg.UserAgent, DefaultUserAgent)
	cfg.Follow = orDefault(cfg.Follow, links.Pages)
	cfg.Revisit = cfg.Revisit.complete()
	cfg.Robots.MaxStale = signed(cfg.Robots.MaxStale, DefaultRobotsStale)
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return cfg, nil
}

func (cfg Config) check() error {
	for _, f := range []struct {
		name     string
		negative bool
	}{
		{"MaxPages", cfg.MaxPages < 0},
		{"MaxBytes", cfg.MaxBytes < 0},
		{"HostPages", cfg.HostPages < 0},
		{"HostBytes", cfg.HostBytes < 0},
		{"HostTime", cfg.HostTime < 0},
		{"MaxDepth", cfg.MaxDepth < 0},
		{"MaxTime", cfg.MaxTime < 0},
		{"PerHost", cfg.PerHost < 0},
		{"Concurrency", cfg.Concurrency < 0},
		{"Rate", cfg.Rate < 0},
		{"MaxRedirects", cfg.MaxRedirects < 0},
		{"Timeout", cfg.Timeout < 0},
		{"MaxBody", cfg.MaxBody < 0},
		{"Memory", cfg.Memory < 0},
	} {
		if f.negative {
			return &ConfigError{f.name, "must not be negative"}
		}
	}
	if cfg.WARC != nil {
		if reason := cfg.WARC.check(cfg.Dir); reason != "" {
			return &ConfigError{"WARC", reason}
		}
	}
	switch {
	case cfg.AddressDelay < 0:
		return &ConfigError{"AddressDelay", "must not be negative"}
	case cfg.AddressDelay > 0 && (cfg.Session != nil || len(cfg.Proxies) > 0):
		return &ConfigError{"AddressDelay", "works without Proxies and with a session of the crawler's own"}
	case cfg.Concurrency > maxConcurrency:
		return &ConfigError{"Concurrency", fmt.Sprintf("%d is more than %d", cfg.Concurrency, maxConcurrency)}
	case cfg.Recrawl && (cfg.Frontier != nil || cfg.Store != nil):
		return &ConfigError{"Recrawl", "needs the job's own frontier and store"}
	case cfg.Recrawl && cfg.Revisit.on():
		return &ConfigError{"Revisit", "excludes Recrawl, as it makes no rounds"}
	case cfg.Revisit.check() != "":
		return &ConfigError{"Revisit", cfg.Revisit.check()}
	case cfg.Cache.check() != "":
		return &ConfigError{"Cache", cfg.Cache.check()}
	case !cfg.Scope.valid():
		return &ConfigError{"Scope", fmt.Sprintf("%d is no scope", int(cfg.Scope))}
	case cfg.Follow&^links.All != 0:
		return &ConfigError{"Follow", fmt.Sprintf("%#x is no set of kinds", uint32(cfg.Follow))}
	case cfg.Sitemaps < 0 || int(cfg.Sitemaps) >= len(sitemapsNames):
		return &ConfigError{"Sitemaps", fmt.Sprintf("%d is none", int(cfg.Sitemaps))}
	case strings.ContainsAny(cfg.UserAgent, "\r\n\x00"):
		return &ConfigError{"UserAgent", "must be one line"}
	case checkHeader(cfg.Header) != nil:
		return &ConfigError{"Header", checkHeader(cfg.Header).Error()}
	case checkProxies(cfg.Proxies) != "":
		return &ConfigError{"Proxies", checkProxies(cfg.Proxies)}
	case cfg.ProxyPolicy < 0 || int(cfg.ProxyPolicy) >= len(proxyPolicyNames):
		return &ConfigError{"ProxyPolicy", fmt.Sprintf("%d is none", int(cfg.ProxyPolicy))}
	case cfg.KeepCookies && cfg.Dir == "":
		return &ConfigError{"KeepCookies", "needs Dir: cookies in a temporary directory would be lost"}
	case cfg.KeepCookies && !keepable(cfg.Jar):
		return &ConfigError{"KeepCookies", "needs a jar that can be written to a file: leave Jar nil, or use a *httpclient.Jar"}
	case cfg.Session != nil && cfg.KeepCookies:
		return &ConfigError{"KeepCookies", "works with a session of the crawler's own"}
	case cfg.Session != nil && (len(cfg.Proxies) > 0 || cfg.Header != nil || cfg.Jar != nil || cfg.AllowPrivate || cfg.Timeout != 0):
		return &ConfigError{"Session", "brings its own proxy, header, jar, address guard and timeout: leave Proxies, Header, Jar, AllowPrivate and Timeout unset"}
	}
	return cfg.Robots.check()
}

// agentName is the product token of a user agent, which robots.txt groups are matched with.
func agentName(userAgent string) string {
	name, _, _ := strings.Cut(strings.TrimSpace(userAgent), "/")
	name, _, _ = strings.Cut(name, " ")
	return name
}

func orDefault[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}
	return v
}

// signed reads a setting in which zero is the default and a negative number
// means none.
func signed[T ~int | ~int64](v, def T) T {
	return max(0, orDefault(v, def))
}
