package httpclient

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"strings"
)

// The classes of errors, for use with [errors.Is]. Each error answers for its
// own class and for those above it; the tree is
//
//	ErrClient
//	├── ErrPayload                a body is damaged, cut, or not what it claims
//	├── ErrTee                    a writer given to the request failed
//	├── ErrInvalidURL
//	│   └── ErrNonHTTPURL
//	├── ErrInvalidRequest         it contradicts itself, or has what HTTP cannot carry
//	├── ErrResponse               a response came, and is not what was asked for
//	│   ├── ErrHTTPProxy          a proxy refused to connect
//	│   ├── ErrChallenge          credentials are wanted in a way that is not known
//	│   ├── ErrContentType
//	│   ├── ErrWSHandshake
//	│   ├── ErrTooManyRedirects
//	│   └── ErrRedirect           a redirect that cannot be followed
//	└── ErrConnection
//	    ├── ErrOS
//	    │   └── ErrConnector      no connection could be made
//	    │       ├── ErrDNS
//	    │       ├── ErrProxyConnection
//	    │       └── ErrTLS
//	    │           ├── ErrTLSHandshake
//	    │           └── ErrCertificate
//	    └── ErrServerConnection
//	        ├── ErrProtocol       the response's head is not HTTP
//	        ├── ErrServerDisconnected
//	        ├── ErrServerTimeout  also context.DeadlineExceeded, os.ErrDeadlineExceeded
//	        └── ErrFingerprintMismatch
//
// The concrete types below carry the facts, for use with [errors.As], and unwrap
// to what caused them. All come inside a [*RequestError], which names the request,
// but those of making one: a *URLError, or an *InvalidRequestError for the method;
// and those of a closed session.
var (
	ErrClient = class("httpclient")

	ErrPayload        = class("bad response body", ErrClient)
	ErrTee            = class("tee failed", ErrClient)
	ErrInvalidURL     = class("invalid URL", ErrClient)
	ErrNonHTTPURL     = class("URL is not http or https", ErrInvalidURL)
	ErrInvalidRequest = class("invalid request", ErrClient)

	ErrResponse         = class("unwanted response", ErrClient)
	ErrHTTPProxy        = class("proxy refused", ErrResponse)
	ErrChallenge        = class("challenge cannot be answered", ErrResponse)
	ErrContentType      = class("unexpected content type", ErrResponse)
	ErrWSHandshake      = class("WebSocket handshake refused", ErrResponse)
	ErrTooManyRedirects = class("too many redirects", ErrResponse)
	ErrRedirect         = class("redirect cannot be followed", ErrResponse)

	ErrConnection          = class("connection error", ErrClient)
	ErrOS                  = class("system error", ErrConnection)
	ErrConnector           = class("cannot connect", ErrOS)
	ErrDNS                 = class("cannot resolve host", ErrConnector)
	ErrProxyConnection     = class("cannot connect to proxy", ErrConnector)
	ErrTLS                 = class("TLS error", ErrConnector)
	ErrTLSHandshake        = class("TLS handshake failed", ErrTLS)
	ErrCertificate         = class("certificate not accepted", ErrTLS)
	ErrServerConnection    = class("server connection error", ErrConnection)
	ErrProtocol            = class("malformed response", ErrServerConnection)
	ErrServerDisconnected  = class("server disconnected", ErrServerConnection)
	ErrServerTimeout       = class("server timeout", ErrServerConnection, context.DeadlineExceeded, os.ErrDeadlineExceeded)
	ErrFingerprintMismatch = class("certificate fingerprint differs", ErrServerConnection)
)

// Misuse of something that is closed or consumed.
var (
	ErrSessionClosed   = errors.New("httpclient: session is closed")
	ErrConnectorClosed = errors.New("httpclient: connector is closed")
	ErrBodyClosed      = errors.New("httpclient: response body is closed")
	ErrBodyStreamed    = errors.New("httpclient: response body was read as a stream before")
	ErrEmptyBody       = errors.New("httpclient: response body is empty")
)

// ErrProxyCredentials is wrapped by the *[ProxyConnectionError] of a SOCKS5 proxy
// that wants credentials, or others. An HTTP proxy says so with status 407.
var ErrProxyCredentials = errors.New("credentials refused")

// errorClass is a sentinel that stands for itself and its ancestors.
type errorClass struct {
	text    string
	parents []error
}

func class(text string, parents ...error) error { return &errorClass{text, parents} }

func (c *errorClass) Error() string {
	if len(c.parents) == 0 {
		return c.text
	}
	return "httpclient: " + c.text
}

// Is reports whether target is one of the ancestors.
func (c *errorClass) Is(target error) bool {
	for _, p := range c.parents {
		if errors.Is(p, target) {
			return true
		}
	}
	return false
}

// RequestError says which request failed. Every error of [Session.Do] and of
// reading a response's body comes in one, save io.EOF and the errors of misuse.
type RequestError struct {
	Method string
	URL    string // without credentials and fragment
	Err    error
}

func (e *RequestError) Error() string        { return e.Method + " " + e.URL + ": " + e.Err.Error() }
func (e *RequestError) Unwrap() error        { return e.Err }
func (e *RequestError) Is(target error) bool { return target == ErrClient }

// Timeout reports whether the request failed for want of time.
func (e *RequestError) Timeout() bool { return errors.Is(e.Err, context.DeadlineExceeded) }

// PayloadKind says what is wrong with a body.
type PayloadKind uint8

const (
	PayloadTruncated PayloadKind = iota + 1 // the connection ended before the body did
	PayloadChunking                         // chunked framing is broken
	PayloadEncoding                         // content coding is broken or expands beyond its limits
	PayloadTooLarge                         // longer than the limit of a method that needs the whole
	PayloadRequest                          // the request's own body cannot be sent (again)
	PayloadCharset                          // a text is not in its charset
)

func (k PayloadKind) String() string {
	switch k {
	case PayloadTruncated:
		return "body is cut short"
	case PayloadChunking:
		return "chunked framing is broken"
	case PayloadEncoding:
		return "content coding is broken"
	case PayloadTooLarge:
		return "body is too large"
	case PayloadRequest:
		return "request body cannot be sent"
	case PayloadCharset:
		return "text is not in its charset"
	}
	return "PayloadKind(" + strconv.Itoa(int(k)) + ")"
}

// PayloadError is a body that is not whole. What came before the fault has been
// given to the reader.
type PayloadError struct {
	Kind PayloadKind
	Got  int64 // body bytes that came, as transferred
	Want int64 // body bytes announced; -1: unknown
	Err  error
}

func (e *PayloadError) Error() string {
	s := e.Kind.String()
	if e.Want >= 0 && e.Kind == PayloadTruncated {
		s += fmt.Sprintf(" after %d of %d bytes", e.Got, e.Want)
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}
func (e *PayloadError) Unwrap() error        { return e.Err }
func (e *PayloadError) Is(target error) bool { return errors.Is(ErrPayload, target) }

// TeeError is the error of a writer that was to get a copy of what is transferred:
// the copy ends before the fault. The connection is closed then, and the request
// is not repeated.
type TeeError struct {
	Field string // of [Request]: "Wire", "WireOut" or "RawBody"
	Err   error  // the writer's; io.ErrShortWrite if it wrote less without one
}

func (e *TeeError) Error() string        { return "tee " + e.Field + ": " + e.Err.Error() }
func (e *TeeError) Unwrap() error        { return e.Err }
func (e *TeeError) Is(target error) bool { return errors.Is(ErrTee, target) }

// tee writes b to w, the named field of a request.
func tee(w io.Writer, field string, b []byte) error {
	n, err := w.Write(b)
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	if err == nil {
		return nil
	}
	return &TeeError{field, err}
}

func isTeeError(err error) bool {
	if err == nil { // mostly; te would be allocated
		return false
	}
	var te *TeeError
	return errors.As(err, &te)
}

// URLError is a URL that cannot be requested.
type URLError struct {
	URL     string
	Reason  string
	NonHTTP bool // well-formed, but of another scheme: ErrNonHTTPURL
}

func (e *URLError) Error() string { return "invalid URL " + strconv.Quote(e.URL) + ": " + e.Reason }
func (e *URLError) Is(target error) bool {
	if e.NonHTTP {
		return target == ErrNonHTTPURL || errors.Is(ErrNonHTTPURL, target)
	}
	return target == ErrInvalidURL || errors.Is(ErrInvalidURL, target)
}

// InvalidRequestError is a request that was not sent: it contradicts itself, or has what
// HTTP cannot carry.
type InvalidRequestError struct {
	Reason string
	Err    error // what is wrong with the part that Reason names; may be nil
}

func (e *InvalidRequestError) Error() string {
	if e.Err != nil {
		return "invalid request: " + e.Reason + ": " + e.Err.Error()
	}
	return "invalid request: " + e.Reason
}
func (e *InvalidRequestError) Unwrap() error { return e.Err }
func (e *InvalidRequestError) Is(target error) bool {
	return target == ErrInvalidRequest || errors.Is(ErrInvalidRequest, target)
}

// ResponseError is a final response whose status says that the request failed.
type ResponseError struct {
	RequestInfo RequestInfo
	StatusCode  int
	Message     string // the reason phrase
	Header      http.Header
	History     []*Response
	Body        []byte // its first 4 KiB, decoded
}

func (e *ResponseError) Error() string {
	return "status " + strconv.Itoa(e.StatusCode) + " " + e.Message
}
func (e *ResponseError) Is(target error) bool { return target == ErrResponse || target == ErrClient }

// ChallengeError is a server or a proxy that wants credentials in a way that [DigestAuth]
// or [ProxyDigestAuth] does not know.
type ChallengeError struct {
	StatusCode int    // 401, or 407 of a proxy
	Reason     string // what is not known
	Err        error  // of a proxy that was to connect: its *ProxyResponseError; else nil
}

func (e *ChallengeError) Error() string {
	return fmt.Sprintf("status %d: Digest challenge: %s", e.StatusCode, e.Reason)
}
func (e *ChallengeError) Unwrap() error { return e.Err }
func (e *ChallengeError) Is(target error) bool {
	return target == ErrChallenge || errors.Is(ErrChallenge, target)
}

// ContentTypeError is a response of another media type than the caller expected.
type ContentTypeError struct {
	StatusCode int
	Got, Want  string
	Body       []byte // its first 4 KiB, decoded
}

func (e *ContentTypeError) Error() string {
	return fmt.Sprintf("status %d: content type %q, want %q", e.StatusCode, e.Got, e.Want)
}
func (e *ContentTypeError) Is(target error) bool {
	return target == ErrContentType || errors.Is(ErrContentType, target)
}

// WSHandshakeError is an answer to a WebSocket handshake that does not accept it.
type WSHandshakeError struct {
	StatusCode int
	Reason     string
	Header     http.Header
}

func (e *WSHandshakeError) Error() string {
	return fmt.Sprintf("WebSocket handshake: status %d: %s", e.StatusCode, e.Reason)
}
func (e *WSHandshakeError) Is(target error) bool {
	return target == ErrWSHandshake || errors.Is(ErrWSHandshake, target)
}

// ProxyResponseError is a proxy's refusal to open a tunnel.
type ProxyResponseError struct {
	Proxy      string // without credentials
	StatusCode int    // of an HTTP proxy; the reply code of a SOCKS5 proxy
	Reason     string
	Header     http.Header // nil from a SOCKS5 proxy
}

func (e *ProxyResponseError) Error() string {
	return fmt.Sprintf("proxy %s: %d %s", e.Proxy, e.StatusCode, e.Reason)
}
func (e *ProxyResponseError) Is(target error) bool {
	return target == ErrHTTPProxy || errors.Is(ErrHTTPProxy, target)
}

// TooManyRedirectsError ends a chain of redirects at its limit.
type TooManyRedirectsError struct {
	Limit    int
	Response *Response   // the last redirect, its body read and released
	History  []*Response // those before it
}

func (e *TooManyRedirectsError) Error() string {
	return fmt.Sprintf("stopped after %d redirects", e.Limit)
}
func (e *TooManyRedirectsError) Is(target error) bool {
	return target == ErrTooManyRedirects || errors.Is(ErrTooManyRedirects, target)
}

// RedirectError is a redirect to something that cannot be requested.
type RedirectError struct {
	Location string
	Response *Response   // the redirect, its body read and released
	History  []*Response // those before it
	Err      error       // commonly a *URLError
}

func (e *RedirectError) Error() string {
	return "redirect to " + strconv.Quote(e.Location) + ": " + e.Err.Error()
}
func (e *RedirectError) Unwrap() error { return e.Err }
func (e *RedirectError) Is(target error) bool {
	return target == ErrRedirect || errors.Is(ErrRedirect, target)
}

// OSError is a failure of the network below HTTP on a connection that was made.
type OSError struct {
	Op  string // "read" or "write"
	Err error
}

func (e *OSError) Error() string        { return e.Op + ": " + e.Err.Error() }
func (e *OSError) Unwrap() error        { return e.Err }
func (e *OSError) Is(target error) bool { return target == ErrOS || errors.Is(ErrOS, target) }

// AddrError is one address that was tried in vain.
type AddrError struct {
	Addr netip.AddrPort
	Err  error
}

func (e AddrError) Error() string { return e.Addr.String() + ": " + e.Err.Error() }
func (e AddrError) Unwrap() error { return e.Err }

// ConnectorError says that no connection to a host could be made.
type ConnectorError struct {
	Key   ConnKey
	Addrs []AddrError // what was tried, in order; empty when it did not come to that
	Err   error       // the cause when no address was tried
}

func (e *ConnectorError) Error() string {
	var b strings.Builder
	b.WriteString("connect to " + e.Key.Addr())
	if e.Err != nil {
		b.WriteString(": " + e.Err.Error())
	}
	for _, a := range e.Addrs {
		b.WriteString(": " + a.Err.Error())
	}
	return b.String()
}

func (e *ConnectorError) Unwrap() []error {
	var errs []error
	if e.Err != nil {
		errs = append(errs, e.Err)
	}
	for _, a := range e.Addrs {
		errs = append(errs, a)
	}
	return errs
}
func (e *ConnectorError) Is(target error) bool {
	return target == ErrConnector || errors.Is(ErrConnector, target)
}

// ProxyConnectionError says that the proxy could not be reached, or broke off.
type ProxyConnectionError struct {
	Proxy   string // without credentials
	Reached bool   // there was a connection to the proxy; it failed to make one to the host
	Err     error
}

func (e *ProxyConnectionError) Error() string { return "proxy " + e.Proxy + ": " + e.Err.Error() }
func (e *ProxyConnectionError) Unwrap() error { return e.Err }
func (e *ProxyConnectionError) Is(target error) bool {
	return target == ErrProxyConnection || errors.Is(ErrProxyConnection, target)
}

// DNSError says that a host name has no address, or that nobody could tell.
type DNSError struct {
	Host      string
	NotFound  bool // the name does not exist or has no address
	Temporary bool // asking later may help
	Err       error
}

func (e *DNSError) Error() string        { return "resolve " + e.Host + ": " + e.Err.Error() }
func (e *DNSError) Unwrap() error        { return e.Err }
func (e *DNSError) Is(target error) bool { return target == ErrDNS || errors.Is(ErrDNS, target) }

// TLSError is a handshake that failed for another reason than the certificate.
type TLSError struct {
	Host string // host:port
	Err  error
}

func (e *TLSError) Error() string { return "TLS handshake with " + e.Host + ": " + e.Err.Error() }
func (e *TLSError) Unwrap() error { return e.Err }
func (e *TLSError) Is(target error) bool {
	return target == ErrTLSHandshake || errors.Is(ErrTLSHandshake, target)
}

// CertificateError is a certificate that was not accepted. It unwraps to
// *tls.CertificateVerificationError and the x509 error below.
type CertificateError struct {
	Host string // host:port
	Err  error
}

func (e *CertificateError) Error() string { return "certificate of " + e.Host + ": " + e.Err.Error() }
func (e *CertificateError) Unwrap() error { return e.Err }
func (e *CertificateError) Is(target error) bool {
	return target == ErrCertificate || errors.Is(ErrCertificate, target)
}

// FingerprintError is a certificate other than the pinned one.
type FingerprintError struct {
	Host      string // host:port
	Want, Got [32]byte
}

func (e *FingerprintError) Error() string {
	return fmt.Sprintf("certificate of %s has SHA-256 %x, want %x", e.Host, e.Got, e.Want)
}
func (e *FingerprintError) Is(target error) bool {
	return target == ErrFingerprintMismatch || errors.Is(ErrFingerprintMismatch, target)
}

// ProtocolError is an answer whose head is not HTTP, or too long.
type ProtocolError struct {
	Raw    []byte // what came, at most 4 KiB
	Line   int    // of the head, from 1, where it goes wrong; 0: not known
	Reason string
}

func (e *ProtocolError) Error() string {
	shown := e.Raw
	if len(shown) > 80 {
		shown = shown[:80]
	}
	return fmt.Sprintf("malformed response: %s (%q)", e.Reason, shown)
}
func (e *ProtocolError) Is(target error) bool {
	return target == ErrProtocol || errors.Is(ErrProtocol, target)
}

// DisconnectedError says that the peer closed the connection before the head of
// the response was complete.
type DisconnectedError struct {
	Partial []byte // what came of the head, at most 4 KiB
	Reused  bool   // the connection had served a request before
	Err     error

	answered bool // an interim response or a part of the head had come
}

func (e *DisconnectedError) Error() string {
	s := "server disconnected"
	if e.Reused {
		s += " (kept-alive connection)"
	}
	if len(e.Partial) > 0 {
		s += fmt.Sprintf(" within the head of the response, after %d bytes", len(e.Partial))
	}
	return s + ": " + e.Err.Error()
}
func (e *DisconnectedError) Unwrap() error { return e.Err }
func (e *DisconnectedError) Is(target error) bool {
	return target == ErrServerDisconnected || errors.Is(ErrServerDisconnected, target)
}
