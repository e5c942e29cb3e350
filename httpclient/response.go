package httpclient

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"math"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/orbweaver/orbweaver/httpclient/charset"
)

// Response is what a server answered. Until its body is read to the end, or it is
// released or closed, it holds a connection. It is used by one goroutine at a time.
type Response struct {
	StatusCode int
	Proto      string  // "HTTP/1.1", as the server said it
	Method     string  // of the request that this answers
	URL        string  // of that request, without credentials and fragment
	RequestURL string  // as Do was given it, with its fragment, whatever redirects came after
	Body       *Stream // never nil
	// History are the redirects that led here, first first, their bodies released.
	History []*Response
	// DroppedHeaders names what the next request lost because this redirect led to
	// another origin.
	DroppedHeaders []string

	exchange      exchange // how the head came; here to share the allocation
	head          head
	trailer       []byte
	stream        Stream
	req           *Request
	owner         *Session // closed with the response: of Fetch
	header        http.Header
	contentType   string
	charset       string
	typeParsed    bool
	keepConn      bool
	truncated     bool
	cut           bool // by MaxBody
	streamed      bool // content was handed out for good
	cached        bool // body holds it all
	body          []byte
	bodyErr       error
	codingDefects []string
	timing        Timing
	netConn       *Conn
	remote        net.Addr
	upload        *upload
	sent          int64
}

// Timing tells how long the parts of a request took. Those of getting a
// connection are zero when a kept-alive one was used.
type Timing struct {
	Start    time.Time     // of the request, after any redirects
	PoolWait time.Duration // for a slot
	DNS      time.Duration
	Dial     time.Duration
	TLS      time.Duration
	// From Start on:
	Wrote     time.Duration // until the request was written
	FirstByte time.Duration // until the first byte of the response
	Done      time.Duration // until the end of the body; 0: not yet
	Reused    bool          // the connection was kept alive
}

// Timing returns what is known so far.
func (r *Response) Timing() Timing {
	t := r.timing
	if r.upload != nil {
		t.Wrote = time.Duration(r.upload.wrote.Load())
	} else if x := r.stream2(); x != nil {
		t.Wrote = time.Duration(x.wrote.Load())
	}
	return t
}

// OK reports whether the status is below 400.
func (r *Response) OK() bool { return r.StatusCode < 400 }

// Reason returns the reason phrase.
func (r *Response) Reason() string {
	return string(r.head.raw[r.head.reason[0]:r.head.reason[1]])
}

// Version returns the major and minor number of the response's HTTP version.
func (r *Response) Version() (major, minor int) { return r.head.major, r.head.minor }

// RawHead returns the head as it came: the status line, the fields, and the empty
// line. It must not be changed. An HTTP/2 head is put into this form.
func (r *Response) RawHead() []byte { return r.head.raw }

// RawHeader iterates over names and values as they came, in order.
func (r *Response) RawHeader() iter.Seq2[[]byte, []byte] {
	return func(yield func([]byte, []byte) bool) {
		for i := range r.head.fields {
			f := &r.head.fields[i]
			if !yield(r.head.name(f), r.head.value(f)) {
				return
			}
		}
	}
}

// Header returns the fields as a map, which is made at the first call.
func (r *Response) Header() http.Header {
	if r.header == nil {
		r.header = r.head.httpHeader()
	}
	return r.header
}

func (h *head) httpHeader() http.Header {
	m := make(http.Header, len(h.fields))
	for i := range h.fields {
		f := &h.fields[i]
		m.Add(string(h.name(f)), string(h.value(f)))
	}
	return m
}

// HeaderValue returns the first value of a field, or "". It needs no map.
func (r *Response) HeaderValue(name string) string {
	v, _ := r.head.get(name)
	return string(v)
}

// HeaderValues returns all values of a field, in order.
func (r *Response) HeaderValues(name string) []string {
	var list []string
	for v := range r.head.values(name) {
		list = append(list, string(v))
	}
	return list
}

// Trailer returns the fields after a chunked body; they are there at its end.
func (r *Response) Trailer() http.Header {
	t := head{raw: r.trailer}
	_ = t.parseFields(0, 0, len(r.trailer)+1)
	return t.httpHeader()
}

// Defects returns the ways in which the head breaks the rules.
func (r *Response) Defects() Defect { return r.head.defects }

// CodingDefects tells what was wrong with the body's content coding though it
// could be read. It is complete at the end of the body.
func (r *Response) CodingDefects() []string { return r.codingDefects }

// RequestInfo returns the request that this response answers.
func (r *Response) RequestInfo() RequestInfo {
	header, _ := r.req.sentHeader()
	return RequestInfo{Method: r.Method, URL: r.URL, Header: header}
}

// ContentType returns the media type in lower case, without parameters;
// application/octet-stream if the response does not say.
func (r *Response) ContentType() string {
	r.parseType()
	return r.contentType
}

// Charset returns the charset parameter of Content-Type in lower case, "" if there is none.
func (r *Response) Charset() string {
	r.parseType()
	return r.charset
}

func (r *Response) parseType() {
	if !r.typeParsed {
		r.typeParsed = true
		v, _ := r.head.get("content-type")
		r.contentType, r.charset = ParseContentType(string(v))
	}
}

// ContentEncoding returns the content codings in lower case, "" for none.
func (r *Response) ContentEncoding() string {
	return strings.ToLower(strings.Join(r.HeaderValues("Content-Encoding"), ", "))
}

// Cookies returns the cookies that this response sets.
func (r *Response) Cookies() []*http.Cookie {
	var list []*http.Cookie
	for _, line := range r.HeaderValues("Set-Cookie") {
		if c, err := ParseSetCookie(line); err == nil {
			list = append(list, c)
		}
	}
	return list
}

// Conn returns the connection while the body is being read, nil before and after.
func (r *Response) Conn() *Conn { return r.stream.conn }

// RemoteAddr returns the peer's address: the server's or the proxy's.
func (r *Response) RemoteAddr() netip.AddrPort {
	switch a := r.remote.(type) {
	case *net.TCPAddr:
		return a.AddrPort()
	case nil:
		return netip.AddrPort{}
	default:
		addr, _ := netip.ParseAddrPort(a.String())
		return addr
	}
}

// Truncated reports whether less than the whole body was given: it was cut by
// MaxBody, or its transfer failed. It is final once the body was read.
func (r *Response) Truncated() bool { return r.truncated || r.cut }

// WireBytes returns how many body bytes were transferred, without chunk framing.
func (r *Response) WireBytes() int64 { return r.stream.received }

// BytesSent returns how many bytes of the request's body went out. With HTTP/2 those
// count that are about to.
func (r *Response) BytesSent() int64 {
	if x := r.stream2(); x != nil && x.out != nil {
		return x.out.n.Load()
	}
	return r.sent + r.upload.sent()
}

// stream2 returns the exchange of HTTP/2, nil with HTTP/1.
func (r *Response) stream2() *stream2 {
	x, _ := r.stream.src.(*stream2)
	return x
}

// Detach takes the connection out of the client, after a 101 response above all:
// the caller owns the socket from then on, and what was read already comes from
// the reader. Both are nil if the connection is no longer the response's.
func (r *Response) Detach() (net.Conn, *bufio.Reader) {
	if r.stream.begin() != nil {
		return nil, nil
	}
	defer r.stream.end()
	c := r.stream.conn
	if c == nil || c.h2 != nil || !r.stream.stop() {
		return nil, nil
	}
	r.stream.conn = nil
	r.stream.wireErr = ErrBodyClosed
	nc, br := c.Detach()
	r.finished(time.Now(), io.EOF)
	return nc, br
}

// Release lets go of the response. A body that was not read is read on within
// small limits to save the connection; else the connection is closed. It may be
// called again, and after the end of the body does nothing.
func (r *Response) Release() {
	r.stream.drain(r.req.settings().drain)
	_ = r.Close()
}

// Close lets go of the response, and closes the connection if the body has not
// come to its end. It may be called again, and at any time from any goroutine: a
// read of the body that is waiting then ends with [ErrBodyClosed].
func (r *Response) Close() error { return r.stream.Close() }

// finished is called when the transfer has ended: io.EOF, or because of why.
func (r *Response) finished(at time.Time, why error) {
	r.timing.Done = at.Sub(r.timing.Start)
	r.upload.end()
	if t := r.req.effective.trace; t != nil && t.BodyEnd != nil {
		if why == io.EOF {
			why = nil
		}
		t.BodyEnd(r, r.req.wrap(why))
	}
	r.endOwner()
}

// endOwner closes the session that serves only this response, at its end.
func (r *Response) endOwner() {
	if r.owner != nil && r.stream.conn == nil && r.stream.wireErr != nil {
		owner := r.owner
		r.owner = nil
		_ = owner.Close()
	}
}

// limit returns how many bytes of content to keep.
func (r *Response) limit() int64 {
	n := r.req.MaxBody
	if n == 0 {
		n = r.req.settings().maxBody
	}
	if n < 0 {
		n = 1<<63 - 1
	}
	return n
}

// AppendBody appends the body, its content coding undone, to dst. What exceeds
// MaxBody is cut, and so is a body of which, before its content comes to so much, twice
// as many bytes were transferred, and 64 KiB: the response is then Truncated, which is no
// error. When the transfer or the coding fails, what came is returned with a
// *[RequestError].
func (r *Response) AppendBody(dst []byte) ([]byte, error) {
	if r.cached {
		return append(dst, r.body...), r.bodyErr
	}
	if r.streamed || r.stream.given > 0 {
		return dst, ErrBodyStreamed
	}
	r.streamed = true
	s := &r.stream
	left := r.limit()
	if s.dec != nil && left < math.MaxInt64/4 {
		s.most = 2*left + wholeExcess
	}
	if s.dec != nil && s.dec.inflates() && len(s.buf) == 0 && left > 0 {
		var done bool
		var err error
		if dst, done, err = r.appendWhole(dst, left); done {
			return dst, err
		}
	}
	if n := s.length; s.dec == nil && n > 0 {
		dst = slices.Grow(dst, int(min(n, left, 1<<20)))
	}
	for left > 0 {
		if len(dst) == cap(dst) {
			dst = slices.Grow(dst, max(len(dst)/2, streamBuffer))
		}
		n, err := s.Read(dst[len(dst) : len(dst)+int(min(int64(cap(dst)-len(dst)), left))])
		dst = dst[:len(dst)+n]
		left -= int64(n)
		switch {
		case err == io.EOF:
			return dst, nil
		case errors.Is(err, errPadded):
			r.cut = true
			return dst, nil
		case err != nil:
			return dst, err
		}
	}
	return dst, r.cutOff()
}

// cutOff ends a body at its limit; it may end there by itself.
func (r *Response) cutOff() error {
	var one [1]byte
	n, err := r.stream.Read(one[:])
	switch {
	case n > 0:
		r.cut = true
		r.Release()
	case errors.Is(err, errPadded):
		r.cut = true
	case err != io.EOF:
		return err
	}
	return nil
}

// Bytes returns the body as [Response.AppendBody] gives it. Later calls return the
// same; it must not be changed.
func (r *Response) Bytes() ([]byte, error) {
	if !r.cached {
		b, err := r.AppendBody(nil)
		if errors.Is(err, ErrBodyStreamed) || errors.Is(err, ErrBodyClosed) {
			return nil, err
		}
		r.body, r.bodyErr, r.cached = b, err, true
	}
	return r.body, r.bodyErr
}

// enoughBody is how much of a body an error shows.
const enoughBody = 4 << 10

// startOfBody returns the start of the body, for an error that leaves nothing else of it.
func (r *Response) startOfBody() []byte {
	if !r.cached {
		limit := r.req.MaxBody
		r.req.MaxBody = enoughBody
		_, _ = r.Bytes()
		r.req.MaxBody = limit
	}
	return r.body[:min(len(r.body), enoughBody)]
}

// Text returns the body in UTF-8. Its charset is told by a byte order mark, the
// Content-Type, the markup, or guessed; what cannot be decoded becomes U+FFFD.
func (r *Response) Text() (string, error) { return r.TextAs("") }

// TextAs is like Text for a body of the charset named; "": as Text finds it.
func (r *Response) TextAs(label string) (string, error) {
	b, err := r.Bytes()
	if err != nil && len(b) == 0 {
		return "", err
	}
	if label == "" {
		label = r.Encoding()
	}
	text, derr := charset.Decode(b, label)
	return string(text), errors.Join(err, derr)
}

// TextStrict is like TextAs, but what cannot be decoded is also an error, a
// *[PayloadError] of the kind PayloadCharset, which comes with the text.
func (r *Response) TextStrict(label string) (string, error) {
	text, err := r.TextAs(label)
	const replacement = "\uFFFD"
	// Where the body itself has the character, in UTF-8, nothing was replaced.
	if err == nil && strings.Count(text, replacement) > bytes.Count(r.body, []byte(replacement)) {
		err = r.req.wrap(&PayloadError{Kind: PayloadCharset, Got: r.WireBytes(), Want: r.stream.length})
	}
	return text, err
}

// Encoding returns the charset that Text decodes from.
func (r *Response) Encoding() string {
	b, _ := r.Bytes()
	name, source := charset.Sniff(b, r.HeaderValue("Content-Type"))
	if hook := r.req.settings().fallbackCharset; source == charset.FromFallback && hook != nil {
		if hooked := hook(r, b); hooked != "" {
			return hooked
		}
	}
	return name
}

// JSONOption changes how [Response.JSON] reads.
type JSONOption func(*jsonReader)

type jsonReader struct {
	want   string // media type; "" for the lenient check
	any    bool
	decode func([]byte, any) error
}

// AnyContentType reads JSON whatever the response says it is.
func AnyContentType() JSONOption { return func(j *jsonReader) { j.any = true } }

// Expect wants the media type to be exactly this.
func Expect(mediaType string) JSONOption {
	return func(j *jsonReader) { j.want = strings.ToLower(mediaType) }
}

// JSONDecoder decodes by another function than json.Unmarshal.
func JSONDecoder(f func([]byte, any) error) JSONOption {
	return func(j *jsonReader) { j.decode = f }
}

// JSON decodes the body into v. The media type must have json in its subtype, or
// be absent; otherwise the error is a *ContentTypeError, and Bytes and Text still give the
// body. A blank body is ErrEmptyBody. A body over MaxBody is a *PayloadError.
func (r *Response) JSON(v any, opts ...JSONOption) error {
	j := jsonReader{decode: json.Unmarshal}
	for _, o := range opts {
		o(&j)
	}
	b, err := r.Bytes()
	if got := r.ContentType(); !j.accepts(got, r.head.has("content-type")) {
		want := j.want
		if want == "" {
			want = "application/json"
		}
		return r.req.wrap(&ContentTypeError{StatusCode: r.StatusCode, Got: got, Want: want, Body: b[:min(len(b), enoughBody)]})
	}
	if err != nil {
		return err
	}
	if r.cut {
		return r.req.wrap(&PayloadError{Kind: PayloadTooLarge, Got: r.WireBytes(), Want: r.stream.length})
	}
	if b = bytes.TrimSpace(b); len(b) == 0 {
		return ErrEmptyBody
	}
	if cs := r.Charset(); cs != "" && cs != "utf-8" && cs != "utf8" {
		if b, err = charset.Decode(b, cs); err != nil {
			return err
		}
	}
	return j.decode(bytes.TrimPrefix(b, []byte("\xef\xbb\xbf")), v)
}

func (j *jsonReader) accepts(got string, present bool) bool {
	switch {
	case j.any:
		return true
	case j.want != "":
		return got == j.want
	}
	return !present || isJSONType(got)
}

func isJSONType(mediaType string) bool {
	_, sub, found := strings.Cut(mediaType, "/")
	if !found {
		sub = mediaType
	}
	return strings.Contains(sub, "json")
}

func (h *head) has(name string) bool { _, ok := h.get(name); return ok }

// RaiseForStatus returns a *ResponseError, with the start of the body, if the
// status is 400 or more. The response is released then.
func (r *Response) RaiseForStatus() error {
	if r.OK() {
		return nil
	}
	return r.req.wrap(&ResponseError{
		RequestInfo: r.RequestInfo(), StatusCode: r.StatusCode, Message: r.Reason(), Header: r.Header(),
		History: r.History, Body: r.startOfBody(),
	})
}
