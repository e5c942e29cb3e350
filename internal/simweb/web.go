package simweb

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Web is a running test web. Its methods may be called at once from any goroutine.
type Web struct {
	site   *site
	hosts  []host
	pages  sync.Pool // of *page
	date   atomic.Pointer[date]
	signer *signer       // nil without Config.TLS
	done   chan struct{} // closed by Close
	served sync.WaitGroup

	listener net.Listener // nil: served by DialContext only

	mu     sync.Mutex
	conns  map[net.Conn]struct{} // nil after Close
	visits map[visit]bool        // to paths of the zoo that are busy at first
}

type visit struct {
	host int
	path string
}

// Start serves a web on loopback and returns when connections are accepted.
func Start(cfg Config) (*Web, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	// One listener for all hosts; accept turns away what does not come by loopback.
	l, err := net.Listen("tcp4", net.JoinHostPort("0.0.0.0", strconv.Itoa(cfg.Port)))
	if err != nil {
		return nil, fmt.Errorf("simweb: %w", err)
	}
	cfg.Port = l.Addr().(*net.TCPAddr).Port
	w, err := newWeb(cfg)
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	w.listener = l
	w.served.Go(w.accept)
	return w, nil
}

// New returns a web that listens nowhere and is reached by DialContext.
func New(cfg Config) (*Web, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	port := 80
	if cfg.TLS {
		port = 443
	}
	cfg.Port = orDefault(cfg.Port, port)
	return newWeb(cfg)
}

// newWeb takes a completed Config.
func newWeb(cfg Config) (*Web, error) {
	w := &Web{
		site:   newSite(cfg),
		hosts:  make([]host, cfg.Hosts),
		done:   make(chan struct{}),
		conns:  make(map[net.Conn]struct{}),
		visits: make(map[visit]bool),
	}
	for i := range w.hosts {
		w.hosts[i].number = i
	}
	filler := newFiller(cfg.Seed, min(max(cfg.Bytes/groups, 256), 4096))
	w.pages.New = func() any { return &page{stream: stream{filler: filler}, site: w.site} }
	if cfg.TLS {
		var err error
		if w.signer, err = newSigner(); err != nil {
			return nil, fmt.Errorf("simweb: %w", err)
		}
	}
	return w, nil
}

// Seeds returns the URL of each host's index page.
func (w *Web) Seeds() []string {
	seeds := make([]string, w.site.cfg.Hosts)
	for i := range seeds {
		seeds[i] = w.site.pageURL(i, 0)
	}
	return seeds
}

// Host returns the i-th host as URLs name it, "127.1.0.1:8080" or "127.1.0.1" when the port is 80.
func (w *Web) Host(i int) string { return w.site.names[i] }

// URLs yields the URL of every page that a correct crawl from all Seeds fetches, in canonical form, by host and page
// number. Pages that fail first and pages behind redirects are among them; redirects and broken URLs are not.
func (w *Web) URLs() iter.Seq[string] {
	return func(yield func(string) bool) {
		for i := range w.site.cfg.Hosts {
			for u := range w.HostURLs(i) {
				if !yield(u) {
					return
				}
			}
		}
	}
}

// HostURLs yields those of URLs that belong to the i-th host.
func (w *Web) HostURLs(i int) iter.Seq[string] {
	return func(yield func(string) bool) {
		for page := range w.site.cfg.Pages {
			if !yield(w.site.pageURL(i, page)) {
				return
			}
		}
	}
}

// Redirects yields the URLs that redirect to a page, with their status. A correct crawl follows each once.
func (w *Web) Redirects() iter.Seq2[string, int] {
	return w.site.statuses(w.site.redirectStatus, func(page int) []byte { return numbered(redirectPrefix, page) })
}

// Failing yields the pages that answer an error the first time, with its status, and their page from then on.
func (w *Web) Failing() iter.Seq2[string, int] {
	return w.site.statuses(w.site.failsFirst, func(page int) []byte { return appendPath(nil, page, false) })
}

// Broken yields the URLs that pages link to and that answer 404, 410 or 500 for ever, with their status.
func (w *Web) Broken() iter.Seq2[string, int] {
	return w.site.statuses(w.site.brokenStatus, func(page int) []byte { return numbered(brokenPrefix, page) })
}

// Want returns the counts of a correct crawl from all Seeds: robots.txt and the sitemaps once a host, every page and
// redirect once, a page that failed the first time once more, and every broken URL once, though a crawler may try those
// answering 500 again. What depends on how the crawl was run (connections, concurrency, gaps, bytes) is left at zero.
func (w *Web) Want() Counts {
	s := w.site
	var c Counts
	c.Robots = int64(s.cfg.Hosts)
	c.Pages = int64(s.cfg.Hosts) * int64(s.cfg.Pages)
	for range w.Failing() {
		c.Errors++
	}
	for range w.Redirects() {
		c.Redirects++
	}
	for range w.Broken() {
		c.Broken++
	}
	if s.cfg.Sitemaps {
		c.Sitemaps = int64(s.cfg.Hosts * (1 + s.sitemaps()))
	}
	c.Distinct = c.Pages
	c.Requests = c.Robots + c.Sitemaps + c.Pages + c.Errors + c.Redirects + c.Broken
	return c
}

// Counts returns what was counted since the start or the last Reset, over all hosts.
func (w *Web) Counts() Counts {
	var total Counts
	for i := range w.hosts {
		c := w.hosts[i].snapshot()
		total.add(&c)
	}
	return total
}

// HostCounts returns what the i-th host counted since the start or the last Reset.
func (w *Web) HostCounts(i int) Counts { return w.hosts[i].snapshot() }

// Reset forgets all counts and which pages were tried, so that the next crawl finds the web as new.
func (w *Web) Reset() {
	for i := range w.hosts {
		w.hosts[i].reset()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	clear(w.visits)
}

// Close closes all connections and waits for what served them. It may be called again.
func (w *Web) Close() error {
	w.mu.Lock()
	conns := w.conns
	w.conns = nil
	w.mu.Unlock()
	if conns == nil {
		return nil
	}
	close(w.done)
	var err error
	if w.listener != nil {
		err = w.listener.Close()
	}
	for c := range conns {
		_ = c.Close()
	}
	w.served.Wait()
	return err
}

func (w *Web) accept() {
	for {
		c, err := w.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // out of descriptors: some will be closed
			w.sleep(10 * time.Millisecond)
			continue
		}
		h := w.hostAt(c.LocalAddr().(*net.TCPAddr).AddrPort().Addr())
		if h == nil || !w.serve(c, h) {
			_ = c.Close()
		}
	}
}

// hostAt returns the host that has the address, or nil.
func (w *Web) hostAt(a netip.Addr) *host {
	i, ok := hostIndex(a)
	if !ok || i >= len(w.hosts) {
		return nil
	}
	return &w.hosts[i]
}

// serve answers the requests of a connection in a new goroutine, unless the web is closed.
func (w *Web) serve(c net.Conn, h *host) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.conns == nil {
		return false
	}
	w.conns[c] = struct{}{}
	w.served.Go(func() {
		h.connect()
		(&exchange{web: w, host: h, conn: w.secure(c, h)}).serve()
		h.disconnect()
		_ = c.Close()
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.conns, c)
	})
	return true
}

// DialContext connects to a host of the web through an in-memory pipe. The address has to be one of the hosts', with
// the port; any other is refused.
func (w *Web) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	refused := func(err error) error { return &net.OpError{Op: "dial", Net: network, Err: err} }
	addr, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, refused(err)
	}
	h := w.hostAt(addr.Addr())
	if h == nil || int(addr.Port()) != w.site.cfg.Port {
		return nil, refused(syscall.ECONNREFUSED)
	}
	client, server := net.Pipe()
	if !w.serve(server, h) {
		return nil, refused(syscall.ECONNREFUSED)
	}
	return pipe{client, net.TCPAddrFromAddrPort(addr)}, nil
}

// pipe is a net.Pipe that says whom it leads to.
type pipe struct {
	net.Conn
	remote net.Addr
}

func (p pipe) RemoteAddr() net.Addr { return p.remote }

// sleep waits, shorter if the web is closed meanwhile.
func (w *Web) sleep(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-w.done:
	}
}
