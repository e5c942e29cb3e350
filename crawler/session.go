package crawler

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"slices"

	"github.com/orbweaver/orbweaver/crawler/weburl"
	"github.com/orbweaver/orbweaver/httpclient"
)

// openSession makes the session that all workers share, unless the user brought
// one.
func (c *Crawler) openSession() error {
	if c.cfg.Session != nil {
		c.session = c.cfg.Session.With(httpclient.Timeout{}, append(slices.Clone(c.cfg.Middleware), c.introduce)...)
		return nil
	}
	pool := httpclient.PoolConfig{Limit: httpclient.Unlimited} // the workers are the limit
	if n, ok := descriptors(); ok {
		asked := c.cfg.Concurrency
		if c.cfg.Concurrency, pool.MaxIdle = connections(asked, n); c.cfg.Concurrency < asked {
			c.cfg.Logger.Warn("fewer workers than asked for: each needs three open files (see ulimit -n)",
				"workers", c.cfg.Concurrency, "asked", asked, "files", n)
		}
	}
	tcp := httpclient.TCPConfig{PoolConfig: pool}
	tcp.Guard = func(ctx context.Context, host string, addr netip.AddrPort) error {
		if !c.cfg.AllowPrivate {
			if err := c.guard.check(ctx, host, addr); err != nil {
				return err
			}
		}
		return awaitAddress(ctx, host, addr.Addr())
	}
	connector, err := httpclient.NewTCPConnector(tcp)
	if err != nil {
		return err
	}
	jar, err := c.openCookies()
	if err != nil {
		return errors.Join(err, connector.Close())
	}
	cfg := httpclient.Config{
		Connector:  connector,
		Jar:        jar,
		Header:     c.header(),
		Timeout:    httpclient.Timeout{Total: c.cfg.Timeout},
		Middleware: slices.Clone(c.cfg.Middleware),
	}
	if c.openProxies(); c.proxies != nil {
		cfg.Middleware = append(cfg.Middleware, c.proxies.through)
	}
	c.session, err = httpclient.New(cfg)
	c.ownSession = err == nil
	return err
}

// introduce sends the name that robots.txt is judged by with what goes through a session
// of the user's.
func (c *Crawler) introduce(next httpclient.Handler) httpclient.Handler {
	return func(ctx context.Context, req *httpclient.Request) (*httpclient.Response, error) {
		if !req.Header.Has("User-Agent") {
			req.Header.Set("User-Agent", c.cfg.UserAgent)
		}
		return next(ctx, req)
	}
}

func (c *Crawler) header() http.Header {
	h := c.cfg.Header.Clone()
	if h == nil {
		h = make(http.Header)
	}
	if h.Get("User-Agent") == "" {
		h.Set("User-Agent", c.cfg.UserAgent)
	}
	if h.Get("Accept") == "" {
		h.Set("Accept", "text/html,application/xhtml+xml,*/*;q=0.8")
	}
	return h
}

// newRequest makes a GET request that tells the watch when it was written and
// answered.
func (c *Crawler) newRequest(rawURL string, w watch) (*httpclient.Request, error) {
	req, err := httpclient.NewRequest(http.MethodGet, rawURL)
	if err != nil {
		return nil, err
	}
	if c.scope.sites.any {
		if u, err := weburl.Parse(rawURL); err == nil {
			if agent := c.scope.sites.of(u.Host()).UserAgent; agent != "" {
				req.Header = append(req.Header, httpclient.Field{Name: "User-Agent", Value: agent})
			}
			c.scope.sites.authorize(req, u)
		}
	}
	req.Trace = &httpclient.Trace{WroteRequest: w.Started, GotFirstByte: w.Answered}
	return req, nil
}

// The classes that errors are counted by.
const (
	classDNS      = "dns"      // the host's name was not resolved
	classConnect  = "connect"  // no connection
	classTLS      = "tls"      // no secure connection
	classTimeout  = "timeout"  // too slow, in any phase
	classClosed   = "closed"   // the server hung up
	classProtocol = "protocol" // the response made no sense
	classBody     = "body"     // the body is not whole
	classPrivate  = "private"  // a private address
	classProxy    = "proxy"    // the proxy refused
	classRobots   = "robots"   // robots.txt could not be had
	classSitemap  = "sitemap"  // a sitemap is none, or not whole
	classLogin    = "login"    // the page wants a login
	classHandler  = "handler"  // the handler failed
	classContent  = "content"  // the handler found fault with the page
	classLocal    = "local"    // this machine had no room for a connection
	classOther    = "other"
)

// errorKind is what is made of an error: how it is counted, and whether another
// try may go better.
type errorKind struct {
	class string
	retry bool
}

// classify is the one place that decides about errors of the client.
func classify(err error) errorKind {
	var private *PrivateAddressError
	var dns *httpclient.DNSError
	var payload *httpclient.PayloadError
	class := classOther
	switch {
	case errors.As(err, &private):
		class = classPrivate
	case exhausted(err):
		class = classLocal
	case errors.As(err, &dns):
		return errorKind{classDNS, !dns.NotFound}
	case errors.Is(err, httpclient.ErrServerTimeout):
		class = classTimeout
	case errors.Is(err, httpclient.ErrHTTPProxy), errors.Is(err, httpclient.ErrProxyConnection):
		class = classProxy
	case errors.Is(err, httpclient.ErrCertificate):
		return errorKind{classTLS, false}
	case errors.Is(err, httpclient.ErrTLS), errors.Is(err, httpclient.ErrFingerprintMismatch):
		class = classTLS
	case errors.Is(err, httpclient.ErrConnector):
		class = classConnect
	case errors.Is(err, httpclient.ErrProtocol):
		class = classProtocol
	case errors.As(err, &payload):
		// A body that broke off may come whole the next time; one that is packed
		// wrongly, or to burst, will not be another one then.
		return errorKind{classBody, payload.Kind == httpclient.PayloadTruncated}
	case errors.Is(err, httpclient.ErrConnection):
		class = classClosed
	}
	return errorKind{class, retryClass(class)}
}

// silentClass says whether errors of a class mean that the host did not answer.
func silentClass(class string) bool {
	switch class {
	case classDNS, classConnect, classTLS, classTimeout, classClosed:
		return true
	}
	return false
}

// retryClass says whether errors of a class are worth another try.
func retryClass(class string) bool {
	switch class {
	case classDNS, classConnect, classTLS, classTimeout, classClosed, classBody, classProxy, classRobots:
		return true
	}
	return false
}
