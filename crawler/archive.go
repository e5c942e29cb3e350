package crawler

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/orbweaver/orbweaver/httpclient"
	"github.com/orbweaver/orbweaver/storage/warc"
)

// WARC says how a crawl writes web archives (WARC/1.1): what went over the wire,
// robots.txt, redirects, answers that are tried again and requests without an
// answer included. A page that is committed is in the archives, durably: they are
// synced before each commit. One that a crash took before its commit is fetched
// again, and may be in them twice. When their disk is full the crawl waits, as for
// its own (see PauseDisk), and Job.Check reads them.
//
// Request records hold what was sent, but "redacted" in place of credentials (see
// SecretField), as archives are made to be passed on; responses are as they came,
// Set-Cookie included. What a login sends and receives is not archived. The zero
// value is a good one.
type WARC struct {
	// Dir is where in the job's directory the archives are; "": "warc".
	Dir string

	// Prefix begins the names of files; "": "crawl".
	Prefix string

	// MaxSize is the number of bytes after which the next archive begins. Zero:
	// warc.DefaultMaxSize.
	MaxSize int64

	// Dedup is how many payloads are remembered, over restarts too, so that a
	// response with one of them becomes a revisit record. Zero:
	// warc.DefaultDedup. Negative: none.
	Dedup int

	// Software names the program in the warcinfo records; "": "Orbweaver". Info
	// holds further fields for them, such as operator, isPartOf or description.
	Software string
	Info     []warc.Field

	// Credentials keeps cookies and credentials in request records.
	Credentials bool

	// Level of gzip, as warc.Options.Level.
	Level int

	// NoMetadata leaves out the metadata record of each exchange: where its URL
	// was found, how far from a seed, how long it took, and why it failed.
	NoMetadata bool
}

// DefaultArchives is the name of the folder of archives in a job's directory, unless
// WARC.Dir says another.
const DefaultArchives = "warc"

func (w *WARC) dir() string { return orDefault(w.Dir, DefaultArchives) }

func (w *WARC) check(jobDir string) string {
	switch {
	case jobDir == "":
		return "needs Dir: archives in a temporary directory would be lost"
	case !filepath.IsLocal(w.dir()):
		return "its Dir must lie within the job's directory"
	case w.MaxSize < 0:
		return "its MaxSize must not be negative"
	case w.Level < 0 || w.Level > 9:
		return "its Level must be 0 to 9"
	case strings.ContainsAny(w.Prefix, "/\\\x00"):
		return "its Prefix is not part of a file name"
	}
	return ""
}

// archive writes what visits have sent and received. Its methods may be called at
// once.
type archive struct {
	files    *warc.Files
	metadata bool
	proxied  bool // the peer's address is a proxy's
	secrets  bool // are kept
	limit    int  // of bytes that are recorded of a fetch
	room     *reserve
	tapes    sync.Pool
}

// openArchive opens the archives of the job; nil if there are to be none.
func (c *Crawler) openArchive() (*archive, error) {
	w := c.cfg.WARC
	if w == nil {
		return nil, nil
	}
	robots := "obey"
	if c.cfg.Robots.Ignore {
		robots = "ignore"
	}
	host, _ := os.Hostname()
	info := []warc.Field{
		{Name: "hostname", Value: host},
		{Name: "robots", Value: robots},
		{Name: "http-header-user-agent", Value: c.cfg.UserAgent},
	}
	files, err := warc.OpenFiles(filepath.Join(c.job.dir, w.dir()), warc.FilesOptions{
		Options: warc.Options{Software: orDefault(w.Software, "Orbweaver"), Info: append(info, w.Info...), Level: w.Level},
		Prefix:  w.Prefix, Host: host, MaxSize: w.MaxSize, Dedup: w.Dedup,
	})
	if err != nil {
		return nil, c.job.wrap("archive", err)
	}
	// Framing and what is drained to save a connection come on top of a body.
	limit := int(min(c.cfg.MaxBody, 1<<40)) + 1<<20
	return &archive{files: files, metadata: !w.NoMetadata, proxied: len(c.cfg.Proxies) > 0, secrets: w.Credentials, limit: limit}, nil
}

// tape records what one fetch sends and receives: more than one exchange if a
// redirect is followed, or a request repeated on a fresh connection. It belongs to
// the goroutine of the fetch.
type tape struct {
	sent, received bytes.Buffer
	exchanges      []exchange
	limit          int
}

// exchange is a request and its response on a tape.
type exchange struct {
	began          time.Time
	sent, received int  // where its bytes begin
	full           bool // not all of its bytes were recorded
	peer           netip.Addr
	tls            *tls.ConnectionState
	url            string
	resp           *httpclient.Response // nil: none came
	err            error                // why not
}

// record returns a tape that records req; nil if there are no archives.
func (a *archive) record(req *httpclient.Request) *tape {
	if a == nil {
		return nil
	}
	t, ok := a.tapes.Get().(*tape)
	if !ok {
		t = &tape{limit: a.limit}
	}
	trace := *req.Trace
	trace.GotConn, trace.RequestEnd = t.begin, t.end
	req.Trace = &trace
	req.WireOut, req.Wire = sentTape{t}, receivedTape{t}
	return t
}

func (t *tape) begin(g httpclient.GotConn) {
	x := exchange{began: time.Now(), sent: t.sent.Len(), received: t.received.Len(), tls: g.Conn.TLS()}
	switch addr := g.Conn.NetConn().RemoteAddr().(type) {
	case *net.TCPAddr:
		x.peer = addr.AddrPort().Addr()
	case nil:
	default:
		ap, _ := netip.ParseAddrPort(addr.String())
		x.peer = ap.Addr()
	}
	t.exchanges = append(t.exchanges, x)
}

func (t *tape) end(req *httpclient.Request, resp *httpclient.Response, err error) {
	if n := len(t.exchanges); n > 0 {
		x := &t.exchanges[n-1]
		x.url, x.resp, x.err = req.URL(), resp, err
	}
}

type sentTape struct{ *tape }

func (t sentTape) Write(p []byte) (int, error) { return t.keep(&t.sent, p) }

type receivedTape struct{ *tape }

func (t receivedTape) Write(p []byte) (int, error) { return t.keep(&t.received, p) }

// keep appends p to one side, as far as the limit allows.
func (t *tape) keep(side *bytes.Buffer, p []byte) (int, error) {
	kept := p[:min(len(p), max(0, t.limit-side.Len()))]
	side.Write(kept)
	if n := len(t.exchanges); n > 0 && len(kept) < len(p) {
		t.exchanges[n-1].full = true
	}
	return len(p), nil
}

// release gives the tape to another fetch. What was made of it is invalid then.
func (a *archive) release(t *tape) {
	if t.sent.Cap()+t.received.Cap() > maxKept {
		return
	}
	t.sent.Reset()
	t.received.Reset()
	clear(t.exchanges)
	t.exchanges = t.exchanges[:0]
	a.tapes.Put(t)
}

// fetched is what an archive has to know of a fetch besides its tape.
type fetched struct {
	began     time.Time
	took      time.Duration
	err       error          // why there is no response, or no whole one
	via       string         // where the URL was found
	links     int            // from a seed
	redirects int            // followed
	original  *warc.Original // what a response with status 304 refers to; nil: not known
}

// write archives what is on the tape, and ends its use. A fetch of which nothing
// was sent leaves nothing.
func (a *archive) write(t *tape, f *fetched) error {
	if t == nil {
		return nil
	}
	defer a.release(t)
	redirects := 0 // so far
	for i := range t.exchanges {
		last := i == len(t.exchanges)-1
		x := a.exchange(t, i)
		if x == nil {
			continue
		}
		one := &t.exchanges[i]
		problem := one.err
		if last {
			problem = f.err
		}
		if redirects == 0 {
			x.Date = f.began // as the job has it, however often the request was repeated
		}
		if one.resp != nil {
			x.Truncated = truncation(one, x, problem)
			if one.resp.StatusCode == http.StatusNotModified {
				x.NotModified = f.original
			}
		}
		if a.metadata {
			took, text := f.took, ""
			if !last {
				took = t.exchanges[i+1].began.Sub(one.began)
			}
			if problem != nil {
				text = problem.Error()
			}
			x.Metadata = warc.FetchMetadata(f.via, f.links, f.redirects+redirects, took, text)
		}
		if one.resp != nil {
			redirects++
		}
		if err := a.persist(func() error { return a.files.Write(x) }); err != nil {
			return err
		}
	}
	return nil
}

// persist does what writes to the archives, again and again while they have no room.
func (a *archive) persist(write func() error) error {
	for tries := 0; ; tries++ {
		if err := write(); !a.room.archiveAgain(err, tries) {
			return err
		}
	}
}

// exchange is the tape's exchange i as it is archived; nil if there is nothing of
// it.
func (a *archive) exchange(t *tape, i int) *warc.Exchange {
	one := &t.exchanges[i]
	sent, received := t.sent.Bytes()[one.sent:], t.received.Bytes()[one.received:]
	if i+1 < len(t.exchanges) {
		next := &t.exchanges[i+1]
		sent, received = sent[:next.sent-one.sent], received[:next.received-one.received]
	}
	x := &warc.Exchange{URL: one.url, Date: one.began}
	if !a.proxied {
		x.IP = one.peer
	}
	if one.tls != nil {
		x.Cipher = tls.CipherSuiteName(one.tls.CipherSuite)
		x.Protocols = append(x.Protocols, strings.ToLower(strings.Replace(tls.VersionName(one.tls.Version), " ", "/", 1)))
	}
	if len(sent) > 0 {
		x.Request = sent
		if !a.secrets {
			x.Request = withoutSecrets(sent)
		}
	}
	if one.resp != nil {
		x.Protocols = append([]string{strings.ToLower(one.resp.Proto)}, x.Protocols...)
		x.Head = one.resp.RawHead()
		// Interim heads come before the one that counts.
		if at := bytes.Index(received, x.Head); at >= 0 {
			x.Head, x.Body = received[at:at+len(x.Head)], received[at+len(x.Head):]
		}
	}
	if x.URL == "" || x.Request == nil && x.Head == nil {
		return nil
	}
	return x
}

// truncation is why the body of an exchange is not whole, as WARC-Truncated says
// it; "": it is.
func truncation(one *exchange, x *warc.Exchange, err error) string {
	resp := one.resp
	switch {
	case one.full:
		return warc.TruncatedLength
	case resp.Body.EOF() && !shorter(resp, len(x.Body)):
		return ""
	case err == nil:
		return warc.TruncatedLength // no more was wanted
	}
	switch classify(err).class {
	case classTimeout:
		return warc.TruncatedTime
	case classBody, classClosed:
		var payload *httpclient.PayloadError
		if !errors.As(err, &payload) || payload.Kind == httpclient.PayloadTruncated {
			return warc.TruncatedDisconnect
		}
	}
	return warc.TruncatedUnspecified
}

// shorter reports whether a body is shorter than its length says: the rest of one
// whose content coding has come to its end is not always read.
func shorter(resp *httpclient.Response, size int) bool {
	if resp.StatusCode == http.StatusNoContent || resp.StatusCode == http.StatusNotModified || resp.HeaderValue("Transfer-Encoding") != "" {
		return false
	}
	n, err := strconv.Atoi(resp.HeaderValue("Content-Length"))
	return err == nil && n > size
}

// sync makes durable what was written.
func (a *archive) sync() error {
	if a == nil {
		return nil
	}
	return a.persist(a.files.Sync)
}

// archive writes the tape of the visit's fetch. If it could not, or the run was
// stopped meanwhile, it reports false, and the URL goes back.
func (v *visit) archive(ctx context.Context, t *tape, f *fetched) (written bool) {
	if ctx.Err() != nil {
		return false // what the stop has cut is fetched again
	}
	f.via, f.links, f.redirects = v.req.Referrer, v.req.Depth, v.req.Redirects
	return v.archiveFetch(t, f)
}

// archiveFetch writes the tape of any fetch, after its response was released, and
// reports whether it did. When it could not, the run fails, unless it ends anyhow
// while it waits for room.
func (c *Crawler) archiveFetch(t *tape, f *fetched) (written bool) {
	err := c.archives.write(t, f)
	if err != nil && !c.reserve.waits(err) {
		c.commits.fail(c.job.wrap("archive", err))
	}
	return err == nil
}

// withoutSecrets returns a request without the values of fields that may be
// credentials; the request itself if it has none.
func withoutSecrets(request []byte) []byte {
	head, body, whole := bytes.Cut(request, []byte("\r\n\r\n"))
	lines := bytes.Split(head, []byte("\r\n"))
	found := false
	for i, line := range lines {
		name, _, ok := bytes.Cut(line, []byte(":"))
		if i > 0 && ok && SecretField(string(name)) {
			lines[i] = append(name[:len(name):len(name)], ": redacted"...)
			found = true
		}
	}
	if !found {
		return request
	}
	out := bytes.Join(lines, []byte("\r\n"))
	if whole {
		out = append(append(out, "\r\n\r\n"...), body...)
	}
	return out
}
