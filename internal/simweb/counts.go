package simweb

import (
	"sync"
	"time"
)

// Counts is what one host, or all of them together, saw since the start or the last Reset. Each request is counted in
// Requests and in exactly one of Robots, Sitemaps, Pages, Redirects, Errors, Broken, Assets, Forbidden, Trapped, NotFound, Zoo and
// Bad.
type Counts struct {
	Requests  int64 `json:"requests"`
	Robots    int64 `json:"robots"`    // for robots.txt
	Sitemaps  int64 `json:"sitemaps"`  // sitemaps and their index
	Pages     int64 `json:"pages"`     // answered with a page
	Redirects int64 `json:"redirects"` // answered with a redirect to a page
	Errors    int64 `json:"errors"`    // pages that failed the first time
	Broken    int64 `json:"broken"`    // URLs that are broken for ever, though a page links to them
	Assets    int64 `json:"assets"`    // style sheets and images
	Forbidden int64 `json:"forbidden"` // URLs that robots.txt forbids
	Trapped   int64 `json:"trapped"`   // URLs that appear only where they are no links
	NotFound  int64 `json:"not_found"` // URLs that no page has: a misread link
	Zoo       int64 `json:"zoo"`       // the misbehaving paths
	Bad       int64 `json:"bad"`       // requests that are no proper HTTP, or neither GET nor HEAD

	Distinct   int64 `json:"distinct"`   // pages answered at least once
	Duplicates int64 `json:"duplicates"` // answers with a page or redirect that had been given before

	Bytes      int64 `json:"bytes"`      // of answers, heads included
	Conns      int64 `json:"conns"`      // connections accepted
	Handshakes int64 `json:"handshakes"` // of TLS, those that resumed a session included
	Resumed    int64 `json:"resumed"`    // handshakes that resumed a session
	MaxConns   int64 `json:"max_conns"`  // greatest number open at once; of all together: of any one host

	// MaxConcurrent is the greatest number of requests in progress at once; of all together: of any one host. A request
	// is in progress from the moment its head was read to the moment its answer is about to be written, so that a client
	// that sends its next request on the answer is never blamed.
	MaxConcurrent int64 `json:"max_concurrent"`

	// MinGap is the smallest time between the starts of two requests as this process saw them, a little less or more
	// than the client's by the whims of schedulers; of all together: of any one host. 0: fewer than two requests.
	MinGap time.Duration `json:"min_gap_ns"`
}

// add adds c's counts to t, which stands for all hosts.
func (t *Counts) add(c *Counts) {
	for _, f := range []struct {
		sum  *int64
		part int64
	}{
		{&t.Requests, c.Requests}, {&t.Robots, c.Robots}, {&t.Sitemaps, c.Sitemaps}, {&t.Pages, c.Pages}, {&t.Redirects, c.Redirects},
		{&t.Errors, c.Errors}, {&t.Broken, c.Broken}, {&t.Assets, c.Assets}, {&t.Forbidden, c.Forbidden},
		{&t.Trapped, c.Trapped}, {&t.NotFound, c.NotFound}, {&t.Zoo, c.Zoo}, {&t.Bad, c.Bad},
		{&t.Distinct, c.Distinct}, {&t.Duplicates, c.Duplicates}, {&t.Bytes, c.Bytes}, {&t.Conns, c.Conns},
		{&t.Handshakes, c.Handshakes}, {&t.Resumed, c.Resumed},
	} {
		*f.sum += f.part
	}
	t.MaxConns = max(t.MaxConns, c.MaxConns)
	t.MaxConcurrent = max(t.MaxConcurrent, c.MaxConcurrent)
	if c.MinGap > 0 && (t.MinGap == 0 || c.MinGap < t.MinGap) {
		t.MinGap = c.MinGap
	}
}

// host is what one host remembers.
type host struct {
	number int

	mu         sync.Mutex
	counts     Counts
	conns      int64     // open now
	concurrent int64     // requests in progress now
	last       time.Time // start of the latest request
	failed     bits      // pages that had their first failure
	served     bits      // pages answered
	redirected bits      // redirects answered
}

func (h *host) connect() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.conns++
	h.counts.Conns++
	h.counts.MaxConns = max(h.counts.MaxConns, h.conns)
}

// handshake counts a secured connection.
func (h *host) handshake(resumed bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.counts.Handshakes++
	if resumed {
		h.counts.Resumed++
	}
}

func (h *host) disconnect() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.conns--
}

// begin counts a request that starts now.
func (h *host) begin(now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.counts.Requests++
	h.concurrent++
	h.counts.MaxConcurrent = max(h.counts.MaxConcurrent, h.concurrent)
	if gap := max(now.Sub(h.last), 1); !h.last.IsZero() && (h.counts.MinGap == 0 || gap < h.counts.MinGap) {
		h.counts.MinGap = gap
	}
	h.last = now
}

// end counts the answer to a request that begin counted: its kind, which page or redirect it was, and its length.
func (h *host) end(k kind, page int, length int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.concurrent--
	h.counts.Bytes += int64(length)
	*k.of(&h.counts)++
	switch {
	case k == kindPage && h.served.set(page):
		h.counts.Distinct++
	case k == kindPage, k == kindRedirect && !h.redirected.set(page):
		h.counts.Duplicates++
	}
}

// firstTry reports whether the page was not tried before.
func (h *host) firstTry(page int) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.failed.set(page)
}

func (h *host) snapshot() Counts {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.counts
}

// reset forgets everything but what is in progress.
func (h *host) reset() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.counts = Counts{MaxConns: h.conns, MaxConcurrent: h.concurrent}
	h.last = time.Time{}
	h.failed, h.served, h.redirected = nil, nil, nil
}

// bits is a set of page numbers, as long as its greatest one needs.
type bits []uint64

// set adds n and reports whether it was missing.
func (b *bits) set(n int) bool {
	if missing := n/64 + 1 - len(*b); missing > 0 {
		*b = append(*b, make([]uint64, missing)...)
	}
	word, bit := &(*b)[n/64], uint64(1)<<(n%64)
	added := *word&bit == 0
	*word |= bit
	return added
}

// kind is the one class a request is counted in.
type kind uint8

const (
	kindRobots kind = iota
	kindSitemap
	kindPage
	kindRedirect
	kindError
	kindBroken
	kindAsset
	kindForbidden
	kindTrap
	kindNotFound
	kindZoo
	kindBad
)

func (k kind) of(c *Counts) *int64 {
	return [...]*int64{
		&c.Robots, &c.Sitemaps, &c.Pages, &c.Redirects, &c.Errors, &c.Broken, &c.Assets, &c.Forbidden, &c.Trapped, &c.NotFound,
		&c.Zoo, &c.Bad,
	}[k]
}
