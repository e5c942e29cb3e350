package httpclient

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Version is an HTTP version to speak.
type Version uint8

const (
	defaultVersion Version = iota
	HTTP10                 // HTTP/1.0: the connection is closed afterwards, unless a header field asks otherwise
	HTTP11                 // HTTP/1.1, the default
	HTTP2                  // HTTP/2 where a TLS server agrees to it, else HTTP/1.1
)

func (v Version) String() string {
	switch v {
	case HTTP10:
		return "HTTP/1.0"
	case HTTP2:
		return "HTTP/2.0"
	}
	return "HTTP/1.1"
}

// Compression is a content coding for a request's body.
type Compression string

const (
	Deflate Compression = "deflate" // in zlib format
	Gzip    Compression = "gzip"
	Zstd    Compression = "zstd"
)

// Request is one request, made by [NewRequest]. It must not change, nor be used
// by a second call, until the call it was given to has returned and the response
// is read. It can then be used again.
//
// Zero fields mean the session's settings, or what their comments say.
type Request struct {
	// Method is sent as it is.
	Method string
	// Header is sent in this order and with these letters, and replaces the
	// session's fields of the same names. Content-Length and Transfer-Encoding may
	// only say what holds for the body anyway.
	Header HeaderList
	// Body is sent with the request; nil: none.
	Body Body
	// Auth is for the server. It excludes credentials in the URL and an
	// Authorization field.
	Auth *BasicAuth
	// Cookies are sent besides those of the jar, in place of those with their names,
	// and dropped when a redirect leads to another origin. They exclude a Cookie
	// field.
	Cookies []*http.Cookie
	// SkipAutoHeaders names fields that are not to be added by the client.
	SkipAutoHeaders []string

	// NoRedirects returns redirects like other responses.
	NoRedirects bool
	// MaxRedirects is the number of redirects at which to give up with a
	// *TooManyRedirectsError. 0: 10; negative: no limit.
	MaxRedirects int
	// OnRedirect is called before a redirect is followed, with its response and
	// the next request, which it may change. Its error ends the call.
	OnRedirect func(*Response, *Request) error
	// RawRedirects requests the bytes of Location as they are.
	RawRedirects bool

	// Compress codes the body, which is then sent in chunks.
	Compress Compression
	// Chunked sends a body of known size in chunks too.
	Chunked bool
	// Expect100 asks the server whether it wants the body, and waits for its
	// answer at most this long before sending it. 0: sends it at once.
	Expect100 time.Duration

	// NoReadUntilEOF takes a response that has neither a length nor chunks to
	// have no body, instead of reading until the connection ends.
	NoReadUntilEOF bool
	// NoDecompress gives the body with its content coding.
	NoDecompress bool
	// MaxBody is how many decoded bytes AppendBody, Bytes and Text give; what is
	// longer is cut and Truncated. 0: the session's; negative: no limit.
	MaxBody int64
	// RawBody gets the body as it was transferred, still content-coded, while it
	// is read. Its error ends the reading with a *[TeeError]. nil: none.
	RawBody io.Writer
	// Wire gets every byte of the responses as it came, while they are read: the
	// heads of interim responses, the final head, the body with its framing and
	// trailers, and nothing that the server sent beyond. Of a call that takes several
	// exchanges it gets one after the other: each redirect's response, as far as its
	// body was read to save the connection, and when a request is repeated because a
	// kept-alive connection had been closed, the final one only, as nothing had come
	// of the first. Trace.GotConn tells where one ends and the next begins.
	//
	// Its error ends the call or the reading with a *[TeeError], and the connection
	// is closed. nil: none. A request with Wire or WireOut speaks HTTP/1.1 even when
	// Version is HTTP2, whose frames are not for archives.
	Wire io.Writer
	// WireOut gets every byte of the requests as it was sent, also of one that is
	// repeated, both times, and of redirected ones. A long body is written by another
	// goroutine, which may go on while the response is read. Its error is handled
	// like that of Wire. nil: none.
	WireOut io.Writer
	// CheckResponse is called with the final response; its error ends the call. nil:
	// the session's.
	CheckResponse func(*Response) error

	// Timeout replaces the session's limits where it is not zero.
	Timeout Timeout
	// Version is the HTTP version to speak.
	Version Version
	// NoRetryStale does not repeat a request that found its kept-alive connection
	// closed by the server.
	NoRetryStale bool

	// Proxy is used for this request; [NoProxy]: none. nil: the session's choice.
	Proxy *url.URL
	// ProxyAuth and ProxyHeader are for the proxy only.
	ProxyAuth   *BasicAuth
	ProxyHeader http.Header

	// TLS replaces the connector's settings. It must not change, and requests
	// share a connection only if they share the pointer.
	TLS *tls.Config
	// Insecure accepts any certificate. It excludes TLS.
	Insecure bool
	// Fingerprint is the SHA-256 of the certificate (DER) that the server must
	// have. It is looked at after the usual checks, unless Insecure leaves them out.
	Fingerprint *[sha256.Size]byte
	// ServerName replaces the host name in the handshake and its checks.
	ServerName string
	// Isolate separates connections: only requests with the same token share.
	Isolate string

	// Trace is told what happens, besides the session's.
	Trace *Trace
	// Middleware replaces the session's, if it is not nil.
	Middleware []Middleware

	target      target
	came        passage      // through the redirects that an http.Client followed
	tunnel      bool         // through an HTTP proxy by CONNECT, whatever the scheme
	proxyDigest *proxyDigest // nil: none
	effective   effective
}

// NoProxy as the Proxy of a request connects directly whatever the session says.
var NoProxy = new(url.URL)

// passage is what redirects went through on the way to a request.
type passage struct {
	crossOrigin bool // from another origin: no credentials that are not for this one
	wasSecure   bool // from https
}

// pass notes a redirect.
func (p *passage) pass(from, to *target) {
	p.crossOrigin = p.crossOrigin || !from.sameOrigin(to)
	p.wasSecure = p.wasSecure || from.scheme == "https"
}

// effective is what a request comes to in the session that sends it.
type effective struct {
	session     *Session
	limits      *Timeout // nil: see timeouts
	start       time.Time
	deadline    time.Time // from Timeout.Total; zero: none
	trace       *Trace
	proxy       *url.URL
	proxyAnswer string    // to the proxy's challenge, if it forwards the request
	fresh       bool      // no kept-alive connection
	got         time.Time // when a kept-alive connection was there at once; else zero
	passage
	cookiesSent bool
	cookies     string // then: the line that went out, whatever is in the jar by now
	poolWait    time.Duration
	dns         time.Duration
	dial        time.Duration
	tls         time.Duration
}

// NewRequest returns a request for an absolute http or https URL. Path and query
// are sent as given, but for bytes that are illegal there. The error is a *URLError, or an
// *InvalidRequestError for a method that is no token.
func NewRequest(method, rawURL string) (*Request, error) {
	t, err := parseTarget(rawURL, false)
	if err != nil {
		return nil, err
	}
	return newRequest(method, t)
}

func newRequest(method string, t target) (*Request, error) {
	if method == "" {
		method = http.MethodGet
	}
	if !isToken(method) {
		return nil, &InvalidRequestError{Reason: "method " + strconv.Quote(method) + " is not a token"}
	}
	return &Request{Method: method, target: t}, nil
}

// URL returns what is requested, without credentials and fragment.
func (r *Request) URL() string { return r.target.url }

// Host returns the host name or address, without port.
func (r *Request) Host() string { return r.target.host }

// clone returns a copy to be sent to t.
func (r *Request) clone(t target) *Request {
	c := *r
	c.Header = append(HeaderList(nil), r.Header...)
	c.target = t
	return &c
}

func (r *Request) version() Version {
	v := r.Version
	if s := r.effective.session; s != nil && v == defaultVersion {
		v = s.cfg.Version
	}
	if v == defaultVersion || v == HTTP2 && (r.Wire != nil || r.WireOut != nil) {
		return HTTP11
	}
	return v
}

// timeouts returns the limits in force.
func (r *Request) timeouts() *Timeout {
	if r.effective.limits == nil {
		d := &defaultTimeout
		if s := r.effective.session; s != nil {
			d = &s.cfg.Timeout
		}
		if r.Timeout != (Timeout{}) {
			own := r.Timeout.or(d)
			d = &own
		}
		r.effective.limits = d
	}
	return r.effective.limits
}

func (r *Request) settings() *settings {
	if s := r.effective.session; s != nil {
		return &s.settings
	}
	return &defaultSettings
}

// wrap names the request that failed with err.
func (r *Request) wrap(err error) error {
	switch err {
	case nil, ErrBodyClosed, ErrBodyStreamed:
		return err
	}
	if _, ok := err.(*RequestError); ok {
		return err
	}
	return &RequestError{Method: r.Method, URL: r.target.url, Err: err}
}

// skips reports whether the client must not add a field of that name.
func (r *Request) skips(name string) bool {
	for _, n := range r.SkipAutoHeaders {
		if strings.EqualFold(n, name) {
			return true
		}
	}
	skip := r.settings().skipAuto
	return len(skip) > 0 && skip[strings.ToLower(name)]
}

// RequestInfo is a request as it was sent.
type RequestInfo struct {
	Method string
	URL    string
	Header http.Header
}

// Handler sends a request and returns the response to it.
type Handler func(ctx context.Context, req *Request) (*Response, error)

// Middleware wraps the sending of each request, redirected ones included. The
// first of a list is the outermost.
type Middleware func(next Handler) Handler

func wrapHandler(h Handler, list []Middleware) Handler {
	for i := len(list) - 1; i >= 0; i-- {
		h = list[i](h)
	}
	return h
}
