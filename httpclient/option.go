package httpclient

import (
	"crypto/sha256"
	"crypto/tls"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// RequestOption changes a request of [Session.Request] and its family, or of
// [Fetch]. Those that only set a field of [Request] are named for it.
type RequestOption func(*pending) error

// pending is a request in the making.
type pending struct {
	rawURL    string
	req       *Request
	connector Connector
	session   *Session
}

func option(set func(*Request)) RequestOption {
	return func(p *pending) error {
		set(p.req)
		return nil
	}
}

// Verbatim requests the URL's bytes as they are. It must come first among options
// that change the query.
func Verbatim() RequestOption {
	return func(p *pending) (err error) {
		p.req.target, err = parseTarget(p.rawURL, true)
		return err
	}
}

// Params appends to the URL's query, keys sorted.
func Params(v url.Values) RequestOption {
	return func(p *pending) error { return p.req.target.addQuery(v.Encode()) }
}

// ParamPairs appends keys and values, which alternate, to the URL's query in this order.
func ParamPairs(kv ...string) RequestOption {
	return func(p *pending) error {
		if len(kv)%2 != 0 {
			return &InvalidRequestError{Reason: "ParamPairs with a key that has no value"}
		}
		var b strings.Builder
		for i := 0; i < len(kv); i += 2 {
			if i > 0 {
				b.WriteByte('&')
			}
			b.WriteString(url.QueryEscape(kv[i]) + "=" + url.QueryEscape(kv[i+1]))
		}
		return p.req.target.addQuery(b.String())
	}
}

// RawQuery appends an encoded string to the URL's query.
func RawQuery(q string) RequestOption {
	return func(p *pending) error { return p.req.target.addQuery(q) }
}

// WithBody sets the body. It excludes another one.
func WithBody(b Body) RequestOption {
	return func(p *pending) error {
		if p.req.Body != nil {
			return &InvalidRequestError{Reason: "two bodies"}
		}
		p.req.Body = b
		return nil
	}
}

// JSON sends v as application/json, by the session's serializer. It excludes
// another body.
func JSON(v any) RequestOption {
	return func(p *pending) error {
		data, err := p.marshalJSON(v)
		if err != nil {
			return &InvalidRequestError{Reason: "JSON", Err: err}
		}
		return WithBody(&memoryBody{data: data, contentType: "application/json"})(p)
	}
}

// Header sets a field of the request.
func Header(name, value string) RequestOption {
	return option(func(r *Request) { r.Header.Set(name, value) })
}

// Headers sets fields of the request, names sorted.
func Headers(h http.Header) RequestOption {
	return option(func(r *Request) {
		for name := range h {
			r.Header.Del(name)
		}
		r.Header = append(r.Header, headerList(h)...)
	})
}

// HeaderOrder sets the header, in this order and with these letters.
func HeaderOrder(h HeaderList) RequestOption {
	return option(func(r *Request) { r.Header = append(HeaderList(nil), h...) })
}

// SkipAutoHeaders adds to the names that the client must not add.
func SkipAutoHeaders(names ...string) RequestOption {
	return option(func(r *Request) { r.SkipAutoHeaders = append(r.SkipAutoHeaders, names...) })
}

// Auth sets credentials.
func Auth(a *BasicAuth) RequestOption { return option(func(r *Request) { r.Auth = a }) }

// Cookies adds cookies to this request.
func Cookies(cookies ...*http.Cookie) RequestOption {
	return option(func(r *Request) { r.Cookies = append(r.Cookies, cookies...) })
}

// NoRedirects returns redirects like other responses.
func NoRedirects() RequestOption { return option(func(r *Request) { r.NoRedirects = true }) }

// MaxRedirects sets the limit of redirects; negative: none.
func MaxRedirects(n int) RequestOption { return option(func(r *Request) { r.MaxRedirects = n }) }

// OnRedirect sets a function to be called before each redirect.
func OnRedirect(f func(*Response, *Request) error) RequestOption {
	return option(func(r *Request) { r.OnRedirect = f })
}

// Compress codes the body.
func Compress(c Compression) RequestOption { return option(func(r *Request) { r.Compress = c }) }

// Chunked sends the body in chunks.
func Chunked() RequestOption { return option(func(r *Request) { r.Chunked = true }) }

// DefaultExpectWait is how long a server is waited for that was asked whether it
// wants the body.
const DefaultExpectWait = time.Second

// Expect100 asks the server before sending the body; 0 waits 1 s.
func Expect100(wait time.Duration) RequestOption {
	if wait <= 0 {
		wait = DefaultExpectWait
	}
	return option(func(r *Request) { r.Expect100 = wait })
}

// NoReadUntilEOF takes an undelimited body for none.
func NoReadUntilEOF() RequestOption { return option(func(r *Request) { r.NoReadUntilEOF = true }) }

// NoDecompress leaves the content coding.
func NoDecompress() RequestOption { return option(func(r *Request) { r.NoDecompress = true }) }

// MaxBody sets the limit of bytes kept of the body.
func MaxBody(n int64) RequestOption { return option(func(r *Request) { r.MaxBody = n }) }

// TeeRawBody writes the body as transferred to w.
func TeeRawBody(w io.Writer) RequestOption { return option(func(r *Request) { r.RawBody = w }) }

// TeeWire writes all bytes of the response to w.
func TeeWire(w io.Writer) RequestOption { return option(func(r *Request) { r.Wire = w }) }

// TeeWireOut writes all bytes of the request to w.
func TeeWireOut(w io.Writer) RequestOption { return option(func(r *Request) { r.WireOut = w }) }

// WithTimeout sets limits of time.
func WithTimeout(t Timeout) RequestOption { return option(func(r *Request) { r.Timeout = t }) }

// Proxy sends the request through a proxy; [NoProxy]: directly.
func Proxy(u *url.URL) RequestOption { return option(func(r *Request) { r.Proxy = u }) }

// ProxyAuth sets credentials for the proxy.
func ProxyAuth(a *BasicAuth) RequestOption { return option(func(r *Request) { r.ProxyAuth = a }) }

// ProxyHeader sets header fields for the proxy.
func ProxyHeader(h http.Header) RequestOption {
	return option(func(r *Request) { r.ProxyHeader = h })
}

// TLS sets the TLS settings.
func TLS(c *tls.Config) RequestOption { return option(func(r *Request) { r.TLS = c }) }

// Insecure accepts any certificate.
func Insecure() RequestOption { return option(func(r *Request) { r.Insecure = true }) }

// Fingerprint pins the SHA-256 of the server's certificate.
func Fingerprint(sum [sha256.Size]byte) RequestOption {
	return option(func(r *Request) { r.Fingerprint = &sum })
}

// ServerName sets the name in the TLS handshake.
func ServerName(name string) RequestOption { return option(func(r *Request) { r.ServerName = name }) }

// Isolate separates connections by token.
func Isolate(token string) RequestOption { return option(func(r *Request) { r.Isolate = token }) }

// WithTrace watches the request.
func WithTrace(t *Trace) RequestOption { return option(func(r *Request) { r.Trace = t }) }

// HTTPVersion sets the version to speak.
func HTTPVersion(v Version) RequestOption { return option(func(r *Request) { r.Version = v }) }

// WithMiddleware replaces the session's middleware.
func WithMiddleware(m ...Middleware) RequestOption {
	return option(func(r *Request) { r.Middleware = append([]Middleware{}, m...) })
}

// CheckResponse sets a check of the final response, in place of the session's.
func CheckResponse(f func(*Response) error) RequestOption {
	return option(func(r *Request) { r.CheckResponse = f })
}

// RaiseForStatus makes a final response of status 400 or more a *[ResponseError].
func RaiseForStatus() RequestOption { return CheckResponse((*Response).RaiseForStatus) }

// UseConnector makes a call without session use c, which stays open.
func UseConnector(c Connector) RequestOption {
	return func(p *pending) error {
		if p.session != nil {
			return &InvalidRequestError{Reason: "UseConnector is for calls without a session"}
		}
		p.connector = c
		return nil
	}
}
