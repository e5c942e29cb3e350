package simweb

import (
	"iter"
	"math"
	"net/netip"
	"strconv"
)

// site is the generator: it knows which URLs there are and what they lead to, as a pure function of its Config.
type site struct {
	cfg             Config
	scheme, shouted string   // "http" or "https", and the same in upper case
	names           []string // host:port of each host, as URLs have it
	fan             int      // children of a page in the tree that makes every page reachable

	errors, broken, redirects, cross uint64 // thresholds for draw
}

func newSite(cfg Config) *site {
	s := &site{
		cfg:    cfg,
		scheme: "http", shouted: "HTTP",
		names:     make([]string, cfg.Hosts),
		fan:       min(max(cfg.Links/2, 1), 10),
		errors:    threshold(cfg.ErrorRate),
		broken:    threshold(cfg.BrokenRate),
		redirects: threshold(cfg.RedirectRate),
		cross:     threshold(cfg.CrossLinks),
	}
	if cfg.Hosts == 1 {
		s.cross = 0
	}
	defaultPort := 80
	if cfg.TLS {
		s.scheme, s.shouted, defaultPort = "https", "HTTPS", 443
	}
	for i := range s.names {
		s.names[i] = hostAddr(i).String()
		if cfg.Port != defaultPort {
			s.names[i] += ":" + strconv.Itoa(cfg.Port)
		}
	}
	return s
}

// hostAddr is the address of a host: 127.1.0.1 to 127.1.0.250, then 127.1.1.1 and on. hostIndex is its inverse.
func hostAddr(host int) netip.Addr {
	return netip.AddrFrom4([4]byte{127, byte(1 + host/(250*250)), byte(host / 250 % 250), byte(1 + host%250)})
}

func hostIndex(a netip.Addr) (host int, ok bool) {
	if a = a.Unmap(); !a.Is4() || !a.IsLoopback() {
		return 0, false
	}
	b := a.As4()
	host = (int(b[1])-1)*250*250 + int(b[2])*250 + int(b[3]) - 1
	return host, host >= 0 && hostAddr(host) == a
}

// What a draw decides; each has its own random numbers.
const (
	drawError = iota
	drawBroken
	drawRedirect
	drawFiller
	drawBase
	drawLink // and all above it: one for each link of a page
)

// draw is a random number that depends on nothing but the seed and its arguments.
func (s *site) draw(host, page, what int) uint64 {
	return mix(s.cfg.Seed*0x9e3779b97f4a7c15 + uint64(host)*0xd1342543de82ef95 + uint64(page)*0xaf251af3b0f025b5 + uint64(what)*0x2545f4914f6cdd1d)
}

// mix spreads the bits of x over the whole of the result.
func mix(x uint64) uint64 {
	x ^= x >> 32
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 29
	x *= 0x94d049bb133111eb
	return x ^ x>>32
}

// threshold is the number that a share of all draws is below.
func threshold(share float64) uint64 {
	if share >= 1 {
		return math.MaxUint64
	}
	return uint64(share * (1 << 63) * 2)
}

// failsFirst returns the status of the page's first answer, or 0 when it is the page at once.
func (s *site) failsFirst(host, page int) int {
	d := s.draw(host, page, drawError)
	if d >= s.errors {
		return 0
	}
	return [...]int{500, 502, 503}[d%3]
}

// brokenStatus returns the status of the broken URL that the page links to, or 0 when it has none.
func (s *site) brokenStatus(host, page int) int {
	d := s.draw(host, page, drawBroken)
	if d >= s.broken {
		return 0
	}
	return [...]int{404, 410, 500}[d%3]
}

// redirectStatus returns the status of the redirect through which links reach the page, or 0 when they lead to it directly.
func (s *site) redirectStatus(host, page int) int {
	d := s.draw(host, page, drawRedirect)
	if page == 0 || d >= s.redirects {
		return 0
	}
	return [...]int{301, 302, 303, 307, 308}[d%5]
}

// section is the directory a page lies in.
func section(page int) int { return page >> 6 }

// isList reports whether pages of this number differ from others of their section in the query only.
func isList(page int) bool { return page&7 == 3 }

// appendPath appends the page's path, in the canonical spelling or as authors type it, with characters that a URL must
// not contain. pageOf reads the last number of a path without its query's end, so that must be the page's.
func appendPath(b []byte, page int, typed bool) []byte {
	if page == 0 {
		return append(b, '/')
	}
	if page&15 == 9 {
		b = append(b, openPrefix...)
		return append(strconv.AppendInt(append(b, 'p'), int64(page), 10), ".html"...)
	}
	b = strconv.AppendInt(append(b, "/s"...), int64(section(page)), 10)
	name, end := "/p", ".html"
	switch {
	case isList(page):
		name, end = "/list?id=", "&copy=no"
	case page&15 == 5:
		name, end = "/", "/"
	case page&15 == 7 && typed:
		name = "/café-"
	case page&15 == 7:
		name = "/caf%C3%A9-"
	case page&15 == 13 && typed:
		name = "/a b-"
	case page&15 == 13:
		name = "/a%20b-"
	}
	return append(strconv.AppendInt(append(b, name...), int64(page), 10), end...)
}

// Where URLs that are not pages lie. Pages below openPrefix are pages, which robots.txt allows by its longer rule.
const (
	openPrefix     = "/private/open/"
	privatePrefix  = "/private/" // forbidden by robots.txt
	redirectPrefix = "/r/"
	brokenPrefix   = "/gone/"
	assetPrefix    = "/static/"
	trapPrefix     = "/trap/" // only ever written where it is no link
	zooPrefix      = "/zoo/"
)

// pageOf returns the page that a path belongs to if appendPath spells it exactly like that.
func (s *site) pageOf(path []byte) (page int, ok bool) {
	page, ok = lastNumber(path)
	if len(path) == 1 && path[0] == '/' {
		page, ok = 0, true
	}
	if !ok || page >= s.cfg.Pages {
		return 0, false
	}
	var spelled [64]byte
	return page, string(appendPath(spelled[:0], page, false)) == string(path)
}

// lastNumber returns the last decimal number in b.
func lastNumber(b []byte) (n int, ok bool) {
	end := len(b)
	for end > 0 && (b[end-1] < '0' || b[end-1] > '9') {
		end--
	}
	start := end
	for start > 0 && b[start-1] >= '0' && b[start-1] <= '9' {
		start--
	}
	n, err := strconv.Atoi(string(b[start:end]))
	return n, err == nil
}

// url returns the absolute URL of a path on a host.
func (s *site) url(host int, path []byte) string {
	return s.scheme + "://" + s.names[host] + string(path)
}

func (s *site) pageURL(host, page int) string {
	var b [64]byte
	return s.url(host, appendPath(b[:0], page, false))
}

func numbered(prefix string, page int) []byte {
	return strconv.AppendInt([]byte(prefix), int64(page), 10)
}

// statuses yields the URL that path gives for each page that has a status, with that.
func (s *site) statuses(status func(host, page int) int, path func(page int) []byte) iter.Seq2[string, int] {
	return func(yield func(string, int) bool) {
		for host := range s.cfg.Hosts {
			for page := range s.cfg.Pages {
				if code := status(host, page); code != 0 && !yield(s.url(host, path(page)), code) {
					return
				}
			}
		}
	}
}
