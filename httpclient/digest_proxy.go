package httpclient

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// ProxyDigestAuth is [DigestAuth] for an HTTP proxy, such as "http://proxy.example:3128": it answers challenges with status
// 407, be it of a request that the proxy forwards or of the CONNECT for a tunnel. Servers, and other proxies, learn nothing.
// A request with credentials for the proxy of its own, also in the proxy's URL, is left alone.
func ProxyDigestAuth(proxy, login, password string) (Middleware, error) {
	u, err := url.Parse(proxy)
	switch {
	case err != nil || u.Host == "":
		return nil, &URLError{URL: proxy, Reason: "not the URL of a proxy"}
	case u.Scheme != "http" && u.Scheme != "https" || strings.Trim(u.Path, "/") != "" || u.User != nil:
		return nil, &URLError{URL: proxy, Reason: "not that of an HTTP proxy alone"}
	}
	d := &proxyDigest{digest: digest{login: login, password: password}, proxy: proxyOrigin(u)}
	return func(next Handler) Handler {
		return func(ctx context.Context, req *Request) (*Response, error) { return d.send(ctx, req, next) }
	}, nil
}

// proxyDigest are credentials for a proxy. Whether a request goes to it, and as what, is known when it is sent: so it takes
// them along.
type proxyDigest struct {
	digest
	proxy string // proxyOrigin
}

// proxyOrigin tells proxies apart.
func proxyOrigin(u *url.URL) string {
	port, _ := proxyPort(u)
	return u.Scheme + "://" + net.JoinHostPort(strings.ToLower(u.Hostname()), strconv.Itoa(int(port)))
}

func (d *proxyDigest) send(ctx context.Context, req *Request, next Handler) (*Response, error) {
	asked := d.latest()
	resp, err := next(ctx, d.given(req))
	fields, challenged := d.challenge(resp, err)
	if !challenged {
		d.proceed(resp, "Proxy-Authentication-Info")
		return resp, err
	}
	c, cerr := digestChallengeOf(fields, http.StatusProxyAuthRequired)
	switch {
	case cerr != nil:
		cerr.(*ChallengeError).Err = err
		if resp != nil {
			resp.Release()
		}
		return nil, req.wrap(cerr)
	case c == nil || !c.goesOn(asked), resp != nil && req.Body != nil && !req.Body.Replayable(): // a tunnel has taken nothing of the body
		return resp, err
	}
	d.learn(c)
	if resp != nil {
		resp.Release()
	}
	if resp, err = next(ctx, d.given(req)); err == nil {
		d.proceed(resp, "Proxy-Authentication-Info")
	}
	return resp, err
}

// given returns req with the credentials.
func (d *proxyDigest) given(req *Request) *Request {
	r := req.clone(req.target)
	r.proxyDigest = d
	return r
}

// challenge returns the challenges with which the proxy, and nobody else, has met a request. What comes through a tunnel
// is not the proxy's.
func (d *proxyDigest) challenge(resp *Response, err error) (fields []string, ok bool) {
	var refused *ProxyResponseError
	switch {
	case err == nil:
		if resp.StatusCode == http.StatusProxyAuthRequired && resp.req.absoluteForm() && d.isFor(resp.req) {
			return resp.HeaderValues("Proxy-Authenticate"), true
		}
	case errors.As(err, &refused):
		u, err := url.Parse(refused.Proxy)
		if err == nil && refused.StatusCode == http.StatusProxyAuthRequired && proxyOrigin(u) == d.proxy {
			return refused.Header.Values("Proxy-Authenticate"), true
		}
	}
	return nil, false
}

// isFor reports whether req goes through the proxy, and has no other credentials for it.
func (d *proxyDigest) isFor(req *Request) bool {
	p := req.effective.proxy
	return d != nil && p != nil && proxyOrigin(p) == d.proxy && p.User == nil && req.ProxyAuth == nil &&
		!headerHas(req.ProxyHeader, "Proxy-Authorization") && !req.says("Proxy-Authorization")
}

// authorization returns the value of Proxy-Authorization for req, sent to the proxy as method and uri; "" if nothing was
// asked yet, or what was asked cannot be answered for it.
func (d *proxyDigest) authorization(req *Request, method, uri string) (string, error) {
	if !d.isFor(req) {
		return "", nil
	}
	c := d.latest()
	switch {
	case c == nil:
		return "", nil
	case method == http.MethodConnect:
		req = &Request{} // which has no body
	case !c.covers(req):
		return "", nil
	}
	return d.answer(c, req, method, uri)
}
