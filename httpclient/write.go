package httpclient

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
)

// inlineBody is the size up to which a body in memory is sent before the response is
// looked for. Others are sent by a goroutine, since the server may answer early, and
// reading them may take any time.
const inlineBody = 64 << 10

// outBuffers hold requests while they are put together.
var outBuffers = sync.Pool{New: func() any {
	b := make([]byte, 0, 2<<10)
	return &b
}}

// outgoing is how the body of a request is sent.
type outgoing struct {
	body    Body
	size    int64 // -1: in chunks
	chunked bool
}

// inline returns a body that goes out along with the head.
func (o *outgoing) inline() (data []byte, ok bool) {
	body := o.body
	if typed, is := body.(typedBody); is {
		body = typed.Body
	}
	m, ok := body.(*memoryBody)
	if !ok || o.chunked || o.size > inlineBody {
		return nil, false
	}
	return m.data, true
}

// plan decides how the body is delimited.
func (r *Request) plan() (outgoing, error) {
	o := outgoing{body: r.Body}
	if o.body == nil {
		return o, nil
	}
	o.size = o.body.Size()
	if r.Compress != "" || r.Chunked || o.size < 0 {
		if r.version() == HTTP10 {
			return o, &PayloadError{Kind: PayloadRequest, Want: -1, Err: errors.New("HTTP/1.0 cannot send a body of unknown length")}
		}
		o.size, o.chunked = -1, true
	}
	return o, nil
}

// openBody returns the content to send, compressed if the request asks for it.
func (r *Request) openBody() (io.ReadCloser, error) {
	rc, err := r.Body.Open()
	if err != nil || r.Compress == "" {
		return rc, err
	}
	return compressed(rc, r.Compress)
}

// compressed returns the content of rc in the coding c.
func compressed(rc io.ReadCloser, c Compression) (io.ReadCloser, error) {
	pr, pw := io.Pipe()
	var w io.WriteCloser
	switch c {
	case Gzip:
		w = gzip.NewWriter(pw)
	case Deflate:
		w = zlib.NewWriter(pw)
	case Zstd:
		zw, err := zstd.NewWriter(pw, zstd.WithEncoderConcurrency(1))
		if err != nil {
			return nil, err
		}
		w = zw
	default:
		return nil, errors.New("unknown compression " + string(c))
	}
	go func() {
		_, err := io.Copy(w, rc)
		pw.CloseWithError(errors.Join(err, w.Close(), rc.Close()))
	}()
	return pr, nil
}

func appendField(b []byte, f Field) []byte {
	b = append(b, f.Name...)
	b = append(b, ": "...)
	b = append(b, f.Value...)
	return append(b, '\r', '\n')
}

// appendHead appends the request line and the header of r.
func (r *Request) appendHead(b []byte, o outgoing, forceClose bool) ([]byte, error) {
	b = append(b, r.Method...)
	b = append(b, ' ')
	absolute := r.absoluteForm()
	if absolute {
		b = append(b, r.target.url...)
	} else {
		b = append(b, r.target.path...)
	}
	if r.version() == HTTP10 {
		b = append(b, " HTTP/1.0\r\n"...)
	} else {
		b = append(b, " HTTP/1.1\r\n"...)
	}
	if !r.says("Host") && !r.skips("Host") {
		b = appendField(b, Field{"Host", r.target.hostport})
	}
	b = r.appendDefaults(b)
	b, err := r.appendCredentials(b, absolute)
	if err != nil {
		return b, err
	}
	b = r.appendCookies(b)
	b = r.appendBodyFields(b, o)
	if forceClose && !r.says("Connection") {
		b = append(b, "Connection: close\r\n"...)
	}
	for _, f := range r.Header {
		b = appendField(b, f)
	}
	return append(b, '\r', '\n'), nil
}

// absoluteForm reports whether the request goes to an HTTP proxy that forwards it.
func (r *Request) absoluteForm() bool {
	p := r.effective.proxy
	return p != nil && r.target.scheme == "http" && !r.tunnel && (p.Scheme == "http" || p.Scheme == "https")
}

// appendDefaults appends the session's fields, save those that the request has or skips.
func (r *Request) appendDefaults(b []byte) []byte {
	s := r.effective.session
	if s == nil {
		return b
	}
	if len(r.Header) == 0 && len(r.SkipAutoHeaders) == 0 && !r.effective.crossOrigin && !r.NoDecompress && !s.secrets {
		return append(b, s.block...)
	}
	for _, f := range s.defaults {
		switch {
		case r.Header.Has(f.Name):
		case strings.EqualFold(f.Name, "Authorization") && r.ownAuth() != nil:
		case strings.EqualFold(f.Name, "Cookie") && len(r.Cookies) > 0:
		case isAuto(f.Name) && !headerHas(s.cfg.Header, f.Name) && r.skips(f.Name):
		case r.effective.crossOrigin && isSensitive(f.Name):
		case r.NoDecompress && strings.EqualFold(f.Name, "Accept-Encoding") && !headerHas(s.cfg.Header, f.Name):
		default:
			b = appendField(b, f)
		}
	}
	return b
}

func isAuto(name string) bool {
	switch name {
	case "User-Agent", "Accept", "Accept-Encoding":
		return true
	}
	return false
}

// originFields are for one origin alone.
var originFields = [...]string{"Authorization", "Cookie", "Proxy-Authorization", "Host"}

func isSensitive(name string) bool {
	return slices.ContainsFunc(originFields[:], func(n string) bool { return strings.EqualFold(n, name) })
}

// says reports whether a field of that name comes from the caller: from the header of
// the request, or of the session.
func (r *Request) says(name string) bool { return r.Header.Has(name) || r.sessionSays(name) }

func (r *Request) sessionSays(name string) bool {
	s := r.effective.session
	return s != nil && s.defaults.Has(name) && !(r.effective.crossOrigin && isSensitive(name))
}

func headerHas(h http.Header, name string) bool { return len(h.Values(name)) > 0 }

// appendCredentials appends Authorization and, to a forwarding proxy, its fields.
func (r *Request) appendCredentials(b []byte, toProxy bool) ([]byte, error) {
	auth := r.ownAuth()
	if auth == nil {
		auth = r.sessionAuth()
	}
	if auth != nil && !r.Header.Has("Authorization") {
		v, err := auth.Header()
		if err != nil {
			return b, &InvalidRequestError{Reason: "credentials", Err: err}
		}
		b = appendField(b, Field{"Authorization", v})
	}
	if !toProxy {
		return b, nil
	}
	fields, err := r.proxyFields()
	for _, f := range fields {
		b = appendField(b, f)
	}
	if v := r.effective.proxyAnswer; v != "" {
		b = appendField(b, Field{"Proxy-Authorization", v})
	}
	return b, err
}

// ownAuth returns the credentials of the request itself, or of its URL.
func (r *Request) ownAuth() *BasicAuth {
	if r.Auth != nil {
		return r.Auth
	}
	inURL, _ := r.target.credentials()
	return inURL
}

// sessionAuth returns the credentials that the session has for the request.
func (r *Request) sessionAuth() *BasicAuth {
	s := r.effective.session
	if s == nil || r.sessionSays("Authorization") {
		return nil
	}
	if r.effective.wasSecure && r.target.scheme == "http" {
		return nil // whoever redirects to the clear does not bring them there
	}
	if auth := s.cfg.Netrc.own(r.target.host); auth != nil || r.effective.crossOrigin {
		return auth
	}
	if auth := s.cfg.Netrc.Auth(r.target.host); auth != nil {
		return auth
	}
	return s.cfg.Auth
}

// appendCookies appends the jar's cookies and the request's own, of which each takes
// the place of those in the jar with its name. A Cookie field stands for all of them.
func (r *Request) appendCookies(b []byte) []byte {
	s := r.effective.session
	hasJar := s != nil && !s.noCookies
	if !hasJar && len(r.Cookies) == 0 || r.Header.Has("Cookie") || len(r.Cookies) == 0 && r.sessionSays("Cookie") {
		return b
	}
	if r.effective.cookiesSent {
		return append(b, r.effective.cookies...)
	}
	start := len(b)
	b = append(b, "Cookie: "...)
	empty := len(b)
	if hasJar {
		b = s.jar.AppendHeader(b, r.target.toURL())
	}
	for _, c := range r.Cookies {
		b = dropCookie(b, empty, c.Name)
	}
	for _, c := range r.Cookies {
		if strings.ContainsAny(c.Name+c.Value, ";\r\n\x00") {
			continue
		}
		b = appendPair(b, empty, c.Name, c.Value)
	}
	if len(b) == empty {
		b = b[:start]
	} else {
		b = append(b, '\r', '\n')
	}
	r.effective.cookiesSent, r.effective.cookies = true, string(b[start:])
	return b
}

// dropCookie takes the pairs of that name out of the field value that starts at b[start].
func dropCookie(b []byte, start int, name string) []byte {
	value := string(b[start:])
	b = b[:start]
	for value != "" {
		var pair string
		pair, value, _ = strings.Cut(value, "; ")
		if n, _, _ := strings.Cut(pair, "="); n == name {
			continue
		}
		if len(b) > start {
			b = append(b, "; "...)
		}
		b = append(b, pair...)
	}
	return b
}

// appendBodyFields appends what describes the body.
func (r *Request) appendBodyFields(b []byte, o outgoing) []byte {
	if o.body == nil {
		switch r.Method {
		case http.MethodPost, http.MethodPut, http.MethodPatch:
			if !r.says("Content-Length") {
				b = append(b, "Content-Length: 0\r\n"...)
			}
		}
		return b
	}
	if !r.says("Content-Type") && !r.skips("Content-Type") {
		ct := o.body.ContentType()
		if ct == "" {
			ct = "application/octet-stream"
		}
		b = appendField(b, Field{"Content-Type", ct})
	}
	if r.Compress != "" {
		b = appendField(b, Field{"Content-Encoding", string(r.Compress)})
	}
	switch {
	case o.chunked && !r.says("Transfer-Encoding"):
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
	case !o.chunked && !r.says("Content-Length"):
		b = append(b, "Content-Length: "...)
		b = strconv.AppendInt(b, o.size, 10)
		b = append(b, '\r', '\n')
	}
	if r.Expect100 > 0 && r.version() != HTTP10 && !r.says("Expect") {
		b = append(b, "Expect: 100-continue\r\n"...)
	}
	return b
}

// sentHeader returns the header as it goes out, with an error as far as it can.
func (r *Request) sentHeader() (http.Header, error) {
	o, _ := r.plan()
	b, err := r.appendHead(nil, o, false)
	var h head
	h.raw = b
	h.fields = h.inline[:0]
	_ = h.parseFields(bytes.IndexByte(b, '\n')+1, 1, len(b))
	return h.httpHeader(), err
}

// errLongBody is the fault of a request's body.
var errLongBody = errors.New("body is longer than its size")

// upload is a body that a goroutine sends.
type upload struct {
	conn  *Conn
	req   *Request
	limit time.Duration
	n     atomic.Int64
	wrote atomic.Int64 // when the last byte was written, in nanoseconds since the request's start
	last  atomic.Bool  // the last bytes are being written, or were
	done  chan struct{}
	err   error // valid after done
	body  io.ReadCloser
}

func (u *upload) sent() int64 {
	if u == nil {
		return 0
	}
	return u.n.Load()
}

// busy reports whether the body has not been sent in full.
func (u *upload) busy() bool {
	if u == nil {
		return false
	}
	select {
	case <-u.done:
		return u.err != nil
	default:
		return true
	}
}

// failure returns what ended the upload, nil while it goes on or if it ended well.
func (u *upload) failure() error {
	if u == nil {
		return nil
	}
	select {
	case <-u.done:
		return u.err
	default:
		return nil
	}
}

// settle gives an upload whose last bytes the server has answered a moment to see
// that it is done.
func (u *upload) settle() {
	if u == nil || !u.last.Load() {
		return
	}
	t := time.NewTimer(drainTime)
	defer t.Stop()
	select {
	case <-u.done:
	case <-t.C:
	}
}

// end stops an upload whose response has ended.
func (u *upload) end() {
	if u != nil && u.busy() {
		_ = u.body.Close()
	}
}

// startUpload sends the body in a goroutine, which ends at the end of the body,
// when the connection is closed, or when reading the body fails.
func startUpload(c *Conn, req *Request, o outgoing, wrote func(*upload)) (*upload, error) {
	body, err := req.openBody()
	if err != nil {
		return nil, &PayloadError{Kind: PayloadRequest, Want: o.size, Err: err}
	}
	u := &upload{conn: c, req: req, limit: req.timeouts().Idle, done: make(chan struct{}), body: body}
	go func() {
		err := u.run(o)
		_ = body.Close()
		u.err = err
		switch {
		case err == nil:
			wrote(u)
		case mayHaveAnswered(err):
			// If there is no answer, the peer's end is there to be read.
			c.setHeadDeadline(req.phaseDeadline(time.Now(), req.timeouts().FirstByte))
		default:
			defer c.interrupt() // the reader must not wait for an answer to half a request
		}
		close(u.done) // of a whole body: the connection may be another's from now on
	}()
	return u, nil
}

func (u *upload) run(o outgoing) error {
	scratch := inputBuffers.Get().(*[inputSize]byte)
	defer inputBuffers.Put(scratch)
	w := &pieceWriter{conn: u.conn, tee: u.req.WireOut, limit: u.limit, chunked: o.chunked}
	left := o.size
	for {
		n, err := u.body.Read(scratch[:])
		if o.size >= 0 && int64(n) > left {
			return &PayloadError{Kind: PayloadRequest, Got: o.size, Want: o.size, Err: errLongBody}
		}
		if left -= int64(n); n > 0 {
			u.n.Add(int64(n))
			if left == 0 {
				u.last.Store(true)
			}
			if werr := w.write(scratch[:n]); werr != nil {
				u.n.Add(int64(-n))
				return werr
			}
			u.req.effective.trace.wroteBody(n)
		}
		if err == io.EOF {
			if o.size >= 0 && left > 0 {
				return &PayloadError{Kind: PayloadRequest, Got: o.size - left, Want: o.size, Err: io.ErrUnexpectedEOF}
			}
			u.last.Store(true)
			return w.end()
		}
		if err != nil {
			return &PayloadError{Kind: PayloadRequest, Got: u.n.Load(), Want: o.size, Err: err}
		}
	}
}

// pieceWriter writes pieces of a body, in chunks or as they are.
type pieceWriter struct {
	conn    *Conn
	tee     io.Writer // Request.WireOut
	limit   time.Duration
	chunked bool
	buf     []byte
}

func (w *pieceWriter) write(p []byte) error {
	if w.chunked {
		w.buf = strconv.AppendInt(w.buf[:0], int64(len(p)), 16)
		w.buf = append(w.buf, '\r', '\n')
		w.buf = append(w.buf, p...)
		w.buf = append(w.buf, '\r', '\n')
		p = w.buf
	}
	return w.send(p)
}

func (w *pieceWriter) end() error {
	if w.chunked {
		return w.send([]byte("0\r\n\r\n"))
	}
	return nil
}

func (w *pieceWriter) send(p []byte) error {
	if w.limit > 0 {
		w.conn.setWriteDeadline(time.Now().Add(w.limit))
	}
	err := w.conn.send(p, w.tee)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return &TimeoutError{Phase: PhaseWrite, Limit: w.limit, Err: err}
	}
	return err
}
