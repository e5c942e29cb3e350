package crawler

import (
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/orbweaver/orbweaver/crawler/sitemap"
)

// What a zero field of a Revisit that is on means.
const (
	DefaultRevisitMinimum  = time.Hour
	DefaultRevisitFirst    = 24 * time.Hour
	DefaultRevisitSitemaps = 24 * time.Hour
	DefaultRevisitGone     = 5
)

// leastInterval and greatestInterval bound what a Revisit may say.
const (
	leastInterval    = time.Second
	greatestInterval = 10 * 365 * 24 * time.Hour
)

// Revisit makes a crawl continuous: each page is visited again and again, after an
// interval of its own that is halved whenever the page has changed, and doubled
// whenever it has not. It is on if Max is not zero. Times are approximate: a visit
// is planned up to a sixteenth of the interval later.
//
// A visit asks by the validators of the page that is stored. A page that is gone
// (404 or 410) is visited more and more seldom, and no more after some times. After
// an answer that tells nothing, such as a network error or a status of 500, the
// next visit is due after Min, then twice as long each time up to Max, and the page
// keeps its interval. A host that is given up, and a page that robots.txt has come
// to forbid, are tried again likewise, and after Max. Robots.txt itself is asked for
// as ever, once a day or as its header says, but not without a page that is due.
//
// New pages come first: of four requests to a host that has both, three are for new
// ones and one is for a page that is due, on average. So revisits take a quarter of
// a host at least while there is something new, and all of it when there is not. A
// page that is due and finds no turn waits; nothing is left out.
type Revisit struct {
	// Min and Max bound the interval between two visits of a page. Max also turns
	// revisits on. Zero Min: DefaultRevisitMinimum, or Max if that is less.
	Min, Max time.Duration

	// First is the interval after the first visit of a page of which nothing else
	// is known: neither how often it changes (changefreq) or when it did (lastmod,
	// Last-Modified; half its age counts), nor how long it is fresh by its header
	// (Cache-Control, Expires), which is the least. Zero: DefaultRevisitFirst,
	// within Min and Max.
	First time.Duration

	// Gone is after how many visits in a row that find a page gone it is not visited
	// any more. Zero: DefaultRevisitGone. Negative: it is visited for ever.
	Gone int

	// Sitemaps is the interval between two readings of a sitemap, which is sent only if
	// it has changed, where the server can tell. What is new in it is crawled; a page
	// that changed after its last visit, as its lastmod says, is due at once, or Min
	// after that visit. Zero: DefaultRevisitSitemaps, but no more than Max.
	Sitemaps time.Duration
}

func (r Revisit) on() bool { return r.Max > 0 }

// check says what is wrong with r; "" if nothing is.
func (r Revisit) check() string {
	switch {
	case r.Min < 0 || r.Max < 0 || r.First < 0 || r.Sitemaps < 0:
		return "must not be negative"
	case r == Revisit{}:
		return ""
	case !r.on():
		return "needs Max"
	case r.Min > r.Max:
		return "has a Min above its Max"
	case r.Max > greatestInterval:
		return fmt.Sprintf("has a Max above %v", greatestInterval)
	case r.Max < leastInterval || r.Min > 0 && r.Min < leastInterval || r.Sitemaps > 0 && r.Sitemaps < leastInterval:
		return fmt.Sprintf("has an interval below %v", leastInterval)
	}
	return ""
}

// complete fills in what is zero of a Revisit that is on.
func (r Revisit) complete() Revisit {
	if !r.on() {
		return r
	}
	r.Min = orDefault(r.Min, min(DefaultRevisitMinimum, r.Max))
	r.First = r.within(orDefault(r.First, DefaultRevisitFirst))
	r.Sitemaps = orDefault(r.Sitemaps, min(DefaultRevisitSitemaps, r.Max))
	r.Gone = orDefault(r.Gone, DefaultRevisitGone)
	return r
}

func (r Revisit) within(d time.Duration) time.Duration { return min(max(d, r.Min), r.Max) }

// ofSitemaps is the same for sitemaps, whose interval is always the same.
func (r Revisit) ofSitemaps() Revisit {
	r.Min, r.Max, r.First = r.Sitemaps, r.Sitemaps, r.Sitemaps
	return r
}

// plan is what a crawl remembers of a page from one visit to the next.
type plan struct {
	interval time.Duration // in whole seconds; 0: the page was not visited yet
	since    int64         // when the last visit was, or, of an extra one, the page changed, in seconds since 1970; 0: never
	gone     uint8         // visits in a row that found the page gone, or
	failed   uint8         // that found out nothing
}

// found is what a visit came to.
type found int

const (
	foundNothing   found = iota // no answer that tells whether the page is there
	foundSame                   // the page as it was
	foundChanged                // another page
	foundGone                   // that there is none
	foundForbidden              // that it may not be asked for
)

// next returns the plan after a visit, and how long to wait for the next one. It
// reports false if there is to be none. hint is the interval that a page suggests
// which was not visited before; 0: it suggests none.
func (r *Revisit) next(p plan, f found, hint time.Duration) (_ plan, wait time.Duration, again bool) {
	first := p.interval == 0
	if first {
		p.interval = r.within(orDefault(hint, r.First))
	}
	back := p.gone > 0
	p.gone, p.failed = up(p.gone, f == foundGone), up(p.failed, f == foundNothing)
	wait = 0
	switch {
	case f == foundNothing:
		wait = r.Min
		for n := uint8(1); n < p.failed && wait < r.Max; n++ {
			wait *= 2
		}
		wait = min(wait, r.Max)
	case f == foundForbidden:
		wait = r.Max
	case f == foundGone && r.Gone > 0 && int(p.gone) >= r.Gone:
		return p, 0, false
	case f == foundGone:
		p.interval = r.within(4 * p.interval)
	case back: // as if it were new
		p.interval = r.First
	case first:
	case f == foundChanged:
		p.interval = r.within(p.interval / 2)
	default:
		p.interval = r.within(2 * p.interval)
	}
	p.interval = p.interval.Truncate(time.Second)
	return p, orDefault(wait, p.interval), true
}

// up counts one more in a row, or begins again.
func up(n uint8, more bool) uint8 {
	if !more {
		return 0
	}
	return n + min(1, math.MaxUint8-n)
}

// dueAfter is when to come again that long after a visit: up to a sixteenth later,
// so that many pages wait for the same time, which takes less room than a time for
// each.
func dueAfter(visited time.Time, wait time.Duration) time.Time {
	step := int64(1) // seconds, a power of two
	for step*2*16 <= int64(wait/time.Second) {
		step *= 2
	}
	at := visited.Add(wait).Unix()
	return time.Unix((at/step+1)*step, 0).UTC()
}

// usualInterval is what a sitemap's changefreq says of the time between two changes; 0
// for one that says nothing.
func usualInterval(f sitemap.ChangeFreq, r *Revisit) time.Duration {
	const day = 24 * time.Hour
	switch f {
	case sitemap.Always:
		return r.Min
	case sitemap.Hourly:
		return time.Hour
	case sitemap.Daily:
		return day
	case sitemap.Weekly:
		return 7 * day
	case sitemap.Monthly:
		return 30 * day
	case sitemap.Yearly:
		return 365 * day
	case sitemap.Never:
		return r.Max
	}
	return 0
}

// suggested is the interval that a page suggests at its first visit: by its sitemap,
// else by its age, but no less than it is fresh; 0 if nothing is known.
func suggested(l listing, h http.Header, now time.Time, r *Revisit) time.Duration {
	hint := usualInterval(l.changeFreq(), r)
	if hint == 0 {
		modified := l.modified()
		if modified.IsZero() {
			modified, _ = http.ParseTime(h.Get("Last-Modified")) // the zero time, if it is none
		}
		if !modified.IsZero() {
			hint = max(0, now.Sub(modified)/2)
		}
	}
	fresh, _ := lifetime(h, now)
	if fresh == 0 {
		return hint
	}
	return max(fresh, orDefault(hint, r.First))
}

// lifetime is how much longer a response stays fresh by its header (RFC 9111, 4.2.1
// and 4.2.3), and whether that says anything of it.
func lifetime(h http.Header, now time.Time) (fresh time.Duration, told bool) {
	if expires := h.Get("Expires"); expires != "" {
		told = true
		if at, err := http.ParseTime(expires); err == nil { // else it is over, as "0" means
			date, err := http.ParseTime(h.Get("Date"))
			if err != nil {
				date = now
			}
			fresh = at.Sub(date)
		}
	}
	for _, field := range h.Values("Cache-Control") {
		for directive := range strings.SplitSeq(field, ",") {
			name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
			switch strings.ToLower(name) {
			case "no-store", "no-cache":
				return 0, true
			case "max-age":
				seconds, err := strconv.ParseUint(strings.Trim(value, `"`), 10, 31)
				if err != nil {
					return 0, true
				}
				fresh, told = time.Duration(seconds)*time.Second, true
			}
		}
	}
	return max(0, fresh-ageIn(h)), told
}

// ageIn is how old a response was when it came, as caches on the way say.
func ageIn(h http.Header) time.Duration {
	seconds, err := strconv.ParseUint(h.Get("Age"), 10, 31)
	if err != nil {
		return 0
	}
	return time.Duration(seconds) * time.Second
}
