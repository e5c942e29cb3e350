package traps

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

// Trap is a hostile site.
type Trap struct {
	Name string
	What string

	Pages int // real pages, which a crawl has to find
	Most  int // requests that a sane crawl may spend, robots.txt and all else included

	// Needs names the option of a crawler without which the site has no end, so that Most holds with it alone.
	Needs Option

	serve func(v *visitor)
}

// Option is what a crawler has to be told to get out of a trap.
type Option string

const (
	NeedsNothing Option = ""
	NeedsDomain  Option = "domain"  // a scope that takes all sub-domains, and so has the trap in it
	NeedsExclude Option = "exclude" // URLs of more than two parameters are excluded
	NeedsSimilar Option = "similar" // pages that are nearly alike count as the same
	NeedsTimeout Option = "timeout" // a short time-out: the site is slow, and tests are not to be
)

// Domain is the name of the site that has sub-domains; its hosts are to be resolved to the site's own address.
const Domain = "trap.example"

// Site is a running Trap.
type Site struct {
	Trap Trap
	Seed string // URL to start from

	server   *httptest.Server
	done     chan struct{}
	requests atomic.Int64
	once     atomic.Int64 // numbers that no page gets twice

	mu   sync.Mutex
	real map[string]bool
}

// Start serves a trap on loopback until Close.
func Start(t Trap) *Site {
	s := &Site{Trap: t, real: make(map[string]bool), done: make(chan struct{})}
	s.server = httptest.NewUnstartedServer(s)
	s.server.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		return context.WithValue(ctx, connKey{}, c)
	}
	s.server.Start()
	s.Seed = s.server.URL + "/"
	if t.Needs == NeedsDomain {
		_, port, _ := net.SplitHostPort(s.server.Listener.Addr().String()) // it is one of ours
		s.Seed = "http://www." + net.JoinHostPort(Domain, port) + "/"
	}
	return s
}

type connKey struct{}

// Requests is how many requests came, whatever for.
func (s *Site) Requests() int { return int(s.requests.Load()) }

// Found is how many real pages were fetched.
func (s *Site) Found() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.real)
}

// Close ends the site and all its answers.
func (s *Site) Close() {
	close(s.done)
	s.server.CloseClientConnections()
	s.server.Close()
}

// ServeHTTP answers a request.
func (s *Site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.requests.Add(1)
	s.Trap.serve(&visitor{ResponseWriter: w, site: s, r: r, path: r.URL.Path, host: r.Host})
}

// visitor is one request and its answer.
type visitor struct {
	http.ResponseWriter

	site *Site
	r    *http.Request
	path string
	host string
}

// page answers with an HTML page.
func (v *visitor) page(title, format string, args ...any) {
	v.Header().Set("Content-Type", "text/html; charset=utf-8")
	fmt.Fprintf(v, "<!DOCTYPE html><title>%s</title>\n<h1>%s</h1>\n", title, title)
	fmt.Fprintf(v, format, args...)
}

// realPage answers with a page that a crawl is there for.
func (v *visitor) realPage(name, format string, args ...any) {
	v.site.mu.Lock()
	v.site.real[name] = true
	v.site.mu.Unlock()
	v.page("About "+name, "<p>All that is to be known of %s: %s.</p>\n"+format, append([]any{name, prose(name)}, args...)...)
}

// homeAndEnd answers as a site of two pages, of which the first leads to the other.
func (v *visitor) homeAndEnd() {
	switch v.path {
	case "/":
		v.realPage("home", `<a href=/end>end</a>`)
	case "/end":
		v.realPage("end", "")
	default:
		v.notFound()
	}
}

// robots answers requests for robots.txt and reports whether it did.
func (v *visitor) robots(text string) bool {
	if v.path != "/robots.txt" {
		return false
	}
	v.Header().Set("Content-Type", "text/plain")
	fmt.Fprint(v, text)
	return true
}

// send sends as much of a body as the crawler takes.
func (v *visitor) send(body []byte) { _, _ = v.Write(body) }

func (v *visitor) notFound() { http.Error(v, "not found", http.StatusNotFound) }

// number reads the number that follows prefix in the path.
func (v *visitor) number(prefix string) (n int, ok bool) {
	text, ok := strings.CutPrefix(v.path, prefix)
	n, err := strconv.Atoi(text)
	return n, ok && err == nil
}

// fresh returns an identifier that nobody was given before.
func (v *visitor) fresh() string { return fmt.Sprintf("%016x", mix(uint64(v.site.once.Add(1)))) }

// mix spreads the bits of x.
func mix(x uint64) uint64 {
	x *= 0x9e3779b97f4a7c15
	x ^= x >> 29
	x *= 0xd1342543de82ef95
	return x ^ x>>32
}

var nouns = strings.Fields("river stone ladder copper window garden letter engine harbour winter button market feather candle mirror forest " +
	"basket bridge thunder velvet anchor pepper saddle lantern meadow cotton hammer island pillow ribbon")

// words returns n words that follow from seed.
func words(seed uint64, n int) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(nouns[mix(seed+uint64(i)*77)%uint64(len(nouns))])
	}
	return b.String()
}

// prose is a text that belongs to a name.
func prose(name string) string {
	var seed uint64
	for _, c := range []byte(name) {
		seed = mix(seed + uint64(c))
	}
	return words(seed, 40)
}
