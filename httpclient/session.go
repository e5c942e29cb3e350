package httpclient

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"

	"golang.org/x/net/http/httpproxy"
)

// DefaultUserAgent is sent when nothing else is said.
const DefaultUserAgent = "orbweaver-httpclient/1"

// DefaultMaxBody is how many decoded bytes of a body are kept.
const DefaultMaxBody = 32 << 20

// DefaultDrain is how many bytes [Response.Release] reads to save a connection.
const DefaultDrain = 64 << 10

// Config is what the requests of a [Session] have in common. Its zero value is a
// good client.
type Config struct {
	// Connector owns the connections. nil: a new TCPConnector of its own.
	Connector Connector
	// SharedConnector leaves the connector open when the session is closed.
	SharedConnector bool

	// Jar stores cookies and gives them back. nil: a Jar of its own; DummyJar{}:
	// no cookies. WrapJar makes a CookieJar of any http.CookieJar.
	Jar CookieJar
	// Cookies are sent with every request, to every host.
	Cookies []*http.Cookie
	// Header is sent with every request. A request's fields replace those of the
	// same name, its credentials an Authorization field, its cookies a Cookie field.
	// Such a field in turn replaces Auth and Netrc, or the jar. After a redirect to
	// another origin they are left out, and so is Host. Content-Length and
	// Transfer-Encoding are refused.
	Header http.Header
	// SkipAutoHeaders names fields that the client must not add: User-Agent,
	// Accept, Accept-Encoding, Content-Type, Host.
	SkipAutoHeaders []string
	// Auth is for servers whose request has no credentials of its own.
	Auth *BasicAuth
	// Netrc has credentials by host, which go before Auth. After a redirect to
	// another origin only an entry of that very host counts, and none after one
	// from https to http. See LoadNetrc; nil: none.
	Netrc *Netrc
	// BaseURL is what relative URLs given to Request and its family refer to.
	BaseURL string

	// Timeout limits the phases of requests.
	Timeout Timeout
	// Version is the HTTP version to speak; zero: HTTP/1.1.
	Version Version
	// NoRetryStale switches off that a request is repeated once when its
	// kept-alive connection turns out to be closed.
	NoRetryStale bool
	// CheckResponse is called with the final response to a request that has no check
	// of its own; its error ends the call. nil: all are taken. With
	// (*Response).RaiseForStatus a status of 400 or more is an error.
	CheckResponse func(*Response) error
	// RawRedirects requests the bytes of Location as they are.
	RawRedirects bool
	// NoDecompress gives bodies with their content coding.
	NoDecompress bool

	// Proxy chooses the proxy for a request; nil: see TrustEnv. A nil URL: none.
	// Schemes are http, https, socks5 (the client resolves) and socks5h (the proxy does).
	Proxy func(*Request) (*url.URL, error)
	// TrustEnv takes proxies from HTTP_PROXY, HTTPS_PROXY and NO_PROXY, as they are
	// when the session is made. Hosts called localhost and loopback addresses are
	// connected to directly. For credentials of a .netrc see Netrc.
	TrustEnv bool

	// MaxBody is how many decoded bytes AppendBody, Bytes and Text give. 0: 32
	// MiB; negative: no limit.
	MaxBody int64
	// DecodeRatio is how many times its transferred size a body may decode to,
	// after the first MiB. 0: 200; negative: no limit.
	DecodeRatio int64
	// MaxLine and MaxHeader limit a field and a whole head of a response, in
	// bytes. 0: 64 KiB and 256 KiB.
	MaxLine, MaxHeader int
	// Drain is how many unread bytes Release reads to save a connection. 0: 64
	// KiB; negative: none.
	Drain int64

	// MarshalJSON serializes for JSON. nil: json.Marshal.
	MarshalJSON func(any) ([]byte, error)
	// FallbackCharset names the charset of a body that does not tell. nil: it is guessed.
	FallbackCharset func(resp *Response, body []byte) string
	// Middleware wraps the sending of each request, the first outermost.
	Middleware []Middleware
	// Trace is told what happens. nil: nobody is.
	Trace *Trace
}

// settings are the parts of a Config that are needed while a response is read.
type settings struct {
	maxBody, drain, decodeRatio int64
	maxLine, maxHeader          int
	noDecompress                bool
	skipAuto                    map[string]bool // lower case
	fallbackCharset             func(*Response, []byte) string
}

var defaultSettings = settings{maxBody: DefaultMaxBody, drain: DefaultDrain, maxLine: DefaultMaxLine, maxHeader: DefaultMaxHeader}

// Session sends requests that have settings, cookies and connections in common.
// Its methods may be called from many goroutines.
type Session struct {
	cfg      Config // completed
	settings settings
	jar      CookieJar
	// noCookies spares the jar that keeps nothing.
	noCookies bool
	defaults  HeaderList // Config.Header and automatic fields
	block     []byte     // defaults as they are sent
	secrets   bool       // defaults name Authorization or Cookie
	handler   Handler
	envProxy  func(*url.URL) (*url.URL, error) // of Config.TrustEnv
	closed    atomic.Bool
}

// New returns a session. It copies cfg, but not what it points to. The caller
// must Close it.
func New(cfg Config) (*Session, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	s := &Session{cfg: cfg, jar: cfg.Jar}
	if s.cfg.Connector == nil {
		c, err := NewTCPConnector(TCPConfig{})
		if err != nil {
			return nil, err
		}
		s.cfg.Connector = c
	}
	if s.jar == nil {
		s.jar = NewCookieJar(JarConfig{})
	}
	s.jar.SetShared(cfg.Cookies...)
	s.cfg.Timeout = cfg.Timeout.or(&defaultTimeout)
	s.settings = settings{
		maxBody: cfg.MaxBody, drain: cfg.Drain, decodeRatio: cfg.DecodeRatio,
		maxLine: cfg.MaxLine, maxHeader: cfg.MaxHeader, noDecompress: cfg.NoDecompress,
		fallbackCharset: cfg.FallbackCharset,
	}
	s.settings.complete(cfg.SkipAutoHeaders)
	if s.cfg.MarshalJSON == nil {
		s.cfg.MarshalJSON = json.Marshal
	}
	if s.cfg.TrustEnv {
		s.envProxy = httpproxy.FromEnvironment().ProxyFunc()
	}
	_, s.noCookies = s.jar.(DummyJar)
	s.setDefaults()
	s.handler = wrapHandler(s.send, cfg.Middleware)
	return s, nil
}

func (c *Config) check() error {
	for name, values := range c.Header {
		switch http.CanonicalHeaderKey(name) {
		case "Content-Length", "Transfer-Encoding":
			return errors.New("httpclient: Config.Header: " + name + " is that of a body")
		}
		for _, v := range values {
			if !validField(Field{name, v}) {
				return errors.New("httpclient: Config.Header: field " + name + " cannot be sent")
			}
		}
	}
	if c.BaseURL != "" {
		if _, err := parseTarget(c.BaseURL, false); err != nil {
			return err
		}
	}
	if c.Auth != nil {
		if _, err := c.Auth.Header(); err != nil {
			return err
		}
	}
	if c.MaxLine < 0 || c.MaxHeader < 0 {
		return errors.New("httpclient: Config.MaxLine and MaxHeader cannot be negative")
	}
	return nil
}

func (s *settings) complete(skip []string) {
	for _, f := range []struct {
		field *int64
		def   int64
	}{{&s.maxBody, DefaultMaxBody}, {&s.drain, DefaultDrain}} {
		if *f.field == 0 {
			*f.field = f.def
		}
	}
	if s.maxLine == 0 {
		s.maxLine = DefaultMaxLine
	}
	if s.maxHeader == 0 {
		s.maxHeader = DefaultMaxHeader
	}
	if len(skip) > 0 {
		s.skipAuto = make(map[string]bool, len(skip))
		for _, name := range skip {
			s.skipAuto[strings.ToLower(name)] = true
		}
	}
}

// setDefaults prepares the fields that are the same for every request.
func (s *Session) setDefaults() {
	auto := HeaderList{{"User-Agent", DefaultUserAgent}, {"Accept", "*/*"}}
	if !s.cfg.NoDecompress {
		auto.Add("Accept-Encoding", AcceptEncoding)
	}
	configured := headerList(s.cfg.Header)
	for _, f := range auto {
		if !configured.Has(f.Name) && !s.settings.skipAuto[strings.ToLower(f.Name)] {
			s.defaults = append(s.defaults, f)
		}
	}
	s.defaults = append(s.defaults, configured...)
	for _, f := range s.defaults {
		s.block = appendField(s.block, f)
	}
	s.secrets = s.defaults.Has("Authorization") || s.defaults.Has("Cookie")
}

// Closed reports whether the session is closed or detached, or its connector closed.
func (s *Session) Closed() bool { return s.closed.Load() || s.cfg.Connector.Closed() }

// Connector returns what owns the session's connections.
func (s *Session) Connector() Connector { return s.cfg.Connector }

// Jar returns the session's cookie jar.
func (s *Session) Jar() CookieJar { return s.jar }

// Version returns the HTTP version that requests speak unless they choose.
func (s *Session) Version() Version {
	if s.cfg.Version == defaultVersion {
		return HTTP11
	}
	return s.cfg.Version
}

// Close closes the connector, unless it is shared. Responses still being read
// fail then. It may be called again.
func (s *Session) Close() error {
	if s.closed.Swap(true) || s.cfg.SharedConnector {
		return nil
	}
	return s.cfg.Connector.Close()
}

// With returns a session that shares everything with s, but has the limits of t
// where these are not zero, and sends each request through the given middleware
// before the session's own. It need not be closed: it works as long as the
// connector is open.
func (s *Session) With(t Timeout, m ...Middleware) *Session {
	cfg := s.cfg
	cfg.SharedConnector = true
	cfg.Timeout = t.or(&s.cfg.Timeout)
	return &Session{
		cfg: cfg, settings: s.settings, jar: s.jar, noCookies: s.noCookies,
		defaults: s.defaults, block: s.block, secrets: s.secrets,
		handler: wrapHandler(s.handler, m), envProxy: s.envProxy,
	}
}

// Detach lets go of the connector without closing it, and returns it. The session
// is closed afterwards.
func (s *Session) Detach() Connector {
	s.closed.Store(true)
	return s.cfg.Connector
}

// Request sends a request made of options. A relative URL refers to Config.BaseURL.
// The caller must read the response to its end, or Release or Close it: until
// then it holds a connection.
func (s *Session) Request(ctx context.Context, method, url string, opts ...RequestOption) (*Response, error) {
	req, err := s.newRequest(method, url, opts)
	if err != nil {
		return nil, err
	}
	return s.Do(ctx, req)
}

func (s *Session) newRequest(method, url string, opts []RequestOption) (*Request, error) {
	req, err := s.parse(method, url)
	if err != nil {
		return nil, err
	}
	p := &pending{rawURL: url, req: req, session: s}
	for _, o := range opts {
		if err := o(p); err != nil {
			return nil, req.wrap(err)
		}
	}
	return req, nil
}

func (s *Session) parse(method, url string) (*Request, error) {
	if s.cfg.BaseURL == "" {
		return NewRequest(strings.ToUpper(method), url)
	}
	base, err := parseTarget(s.cfg.BaseURL, false)
	if err != nil {
		return nil, err
	}
	t, err := base.resolve(url, false)
	if err != nil {
		return nil, err
	}
	return newRequest(strings.ToUpper(method), t)
}

func (p *pending) marshalJSON(v any) ([]byte, error) {
	if p.session != nil {
		return p.session.cfg.MarshalJSON(v)
	}
	return json.Marshal(v)
}

// Get requests url.
func (s *Session) Get(ctx context.Context, url string, opts ...RequestOption) (*Response, error) {
	return s.Request(ctx, http.MethodGet, url, opts...)
}

// Options asks for the methods of url.
func (s *Session) Options(ctx context.Context, url string, opts ...RequestOption) (*Response, error) {
	return s.Request(ctx, http.MethodOptions, url, opts...)
}

// Head requests url without body. It does not follow redirects.
func (s *Session) Head(ctx context.Context, url string, opts ...RequestOption) (*Response, error) {
	return s.Request(ctx, http.MethodHead, url, slices.Concat([]RequestOption{NoRedirects()}, opts)...)
}

// Post sends body, which may be nil, to url.
func (s *Session) Post(ctx context.Context, url string, body Body, opts ...RequestOption) (*Response, error) {
	return s.withBody(ctx, http.MethodPost, url, body, opts)
}

// Put is like Post with another method.
func (s *Session) Put(ctx context.Context, url string, body Body, opts ...RequestOption) (*Response, error) {
	return s.withBody(ctx, http.MethodPut, url, body, opts)
}

// Patch is like Post with another method.
func (s *Session) Patch(ctx context.Context, url string, body Body, opts ...RequestOption) (*Response, error) {
	return s.withBody(ctx, http.MethodPatch, url, body, opts)
}

// Delete is like Post with another method.
func (s *Session) Delete(ctx context.Context, url string, body Body, opts ...RequestOption) (*Response, error) {
	return s.withBody(ctx, http.MethodDelete, url, body, opts)
}

func (s *Session) withBody(ctx context.Context, method, url string, body Body, opts []RequestOption) (*Response, error) {
	if body != nil {
		opts = slices.Concat([]RequestOption{WithBody(body)}, opts)
	}
	return s.Request(ctx, method, url, opts...)
}

// Fetch sends one request without a session: no cookies are kept, and the
// connection is closed with the response, unless UseConnector gives one to use.
func Fetch(ctx context.Context, method, url string, opts ...RequestOption) (*Response, error) {
	s, req, err := newFetch(method, url, opts)
	if err != nil {
		return nil, err
	}
	resp, err := s.Do(ctx, req)
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	resp.owner = s
	resp.endOwner()
	return resp, nil
}

// newFetch returns a request and the session made for it alone.
func newFetch(method, url string, opts []RequestOption) (*Session, *Request, error) {
	req, err := NewRequest(strings.ToUpper(method), url)
	if err != nil {
		return nil, nil, err
	}
	p := &pending{rawURL: url, req: req}
	for _, o := range opts {
		if err := o(p); err != nil {
			return nil, nil, req.wrap(err)
		}
	}
	cfg := Config{Connector: p.connector, SharedConnector: p.connector != nil}
	if cfg.Connector == nil {
		c, err := NewTCPConnector(TCPConfig{PoolConfig: PoolConfig{ForceClose: true}, NoDNSCache: true})
		if err != nil {
			return nil, nil, err
		}
		cfg.Connector = c
	}
	s, err := New(cfg)
	return s, req, err
}

var _ io.Closer = (*Session)(nil)
