package httpclient

import (
	"context"
	"errors"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
)

// Do sends req, follows redirects, and returns the final response. The caller must
// read its body to the end, or Release or Close it. The context governs the
// reading of the body too.
//
// An error is a *[RequestError] with one of the typed errors of this package, or
// with what the context was cancelled with.
func (s *Session) Do(ctx context.Context, req *Request) (*Response, error) {
	if s.closed.Load() {
		return nil, ErrSessionClosed
	}
	req.effective = effective{session: s, start: time.Now(), passage: req.came}
	e := &req.effective
	if total := req.timeouts().Total; total > 0 {
		e.deadline = e.start.Add(total)
	}
	e.trace = traceFor(ctx, req.Trace, s.cfg.Trace)
	handler := s.handler
	if req.Middleware != nil {
		handler = wrapHandler(s.send, req.Middleware)
	}
	resp, err := s.follow(ctx, req, handler)
	if err != nil {
		return nil, err
	}
	if err := s.checkResponse(req, resp); err != nil {
		resp.Release()
		return nil, err
	}
	return resp, nil
}

func (s *Session) checkResponse(req *Request, resp *Response) error {
	check := req.CheckResponse
	if check == nil {
		check = s.cfg.CheckResponse
	}
	if check == nil {
		return nil
	}
	return req.wrap(check(resp))
}

// send sends one request, not following redirects.
func (s *Session) send(ctx context.Context, req *Request) (resp *Response, err error) {
	if t := req.effective.trace; t != nil {
		if t.RequestStart != nil {
			t.RequestStart(req)
		}
		if t.RequestEnd != nil {
			defer func() { t.RequestEnd(req, resp, err) }()
		}
	}
	if err = req.check(); err != nil {
		return nil, req.wrap(err)
	}
	if err = s.chooseProxy(req); err != nil {
		return nil, req.wrap(err)
	}
	resp, err = s.attempt(ctx, req)
	if err != nil && s.mayRetry(req, err) {
		if t := req.effective.trace; t != nil && t.Retry != nil {
			t.Retry(req, err)
		}
		if p, ok := s.cfg.Connector.(interface{ countRetry() }); ok {
			p.countRetry()
		}
		req.effective.fresh = true
		resp, err = s.attempt(ctx, req)
		req.effective.fresh = false
	}
	if err != nil {
		return nil, req.wrap(err)
	}
	s.storeCookies(req, resp)
	return resp, nil
}

func (s *Session) attempt(ctx context.Context, req *Request) (*Response, error) {
	e := &req.effective
	e.poolWait, e.dns, e.dial, e.tls = 0, 0, 0, 0
	e.cookiesSent, e.cookies, e.got = false, "", time.Time{}
	if req.proxyDigest != nil && req.absoluteForm() {
		var err error
		if e.proxyAnswer, err = req.proxyDigest.authorization(req, req.Method, req.target.url); err != nil {
			return nil, err
		}
	}
	c, err := s.cfg.Connector.Connect(ctx, req)
	if err != nil {
		return nil, err
	}
	return c.roundTrip(ctx, req)
}

// mayRetry decides whether err is the fate of a kept-alive connection that the
// server closed while it was idle, of a request that can be sent again: nothing of
// a response came, and the method says that doing it twice is doing it once.
func (s *Session) mayRetry(req *Request, err error) bool {
	var de *DisconnectedError
	if s.cfg.NoRetryStale || req.NoRetryStale || !errors.As(err, &de) || !de.Reused || de.answered || len(de.Partial) > 0 {
		return false
	}
	if req.Body != nil && !req.Body.Replayable() {
		return false
	}
	switch req.Method {
	case "GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE":
		return true
	}
	return req.Header.Has("Idempotency-Key")
}

// check refuses what cannot be sent or contradicts itself.
func (r *Request) check() error {
	invalid := func(text string) error { return &InvalidRequestError{Reason: text} }
	for _, f := range r.Header {
		if !validField(f) {
			return invalid("header field " + strconv.Quote(f.Name) + " cannot be sent")
		}
	}
	hasAuth := r.Header.Has("Authorization")
	_, inURL := r.target.credentials()
	switch {
	case r.Auth != nil && hasAuth:
		return invalid("Auth together with an Authorization field")
	case r.Auth != nil && inURL:
		return invalid("Auth together with credentials in the URL")
	case len(r.Cookies) > 0 && r.Header.Has("Cookie"):
		return invalid("Cookies together with a Cookie field")
	case r.Insecure && r.TLS != nil:
		return invalid("Insecure together with TLS settings")
	case r.Compress != "" && r.Compress != Deflate && r.Compress != Gzip && r.Compress != Zstd:
		return invalid("unknown Compression " + strconv.Quote(string(r.Compress)))
	case r.Compress != "" && r.Header.Has("Content-Encoding"):
		return invalid("Compress together with a Content-Encoding field")
	case r.Chunked && (r.Header.Has("Transfer-Encoding") || r.Header.Has("Content-Length")):
		return invalid("Chunked together with a Transfer-Encoding or Content-Length field")
	case r.misframed():
		return invalid("Transfer-Encoding or Content-Length field that is not the body's")
	case r.Body != nil && !validField(Field{"Content-Type", r.Body.ContentType()}):
		return invalid("media type of the body that cannot be sent")
	}
	return nil
}

// misframed reports whether a field of the caller tells of another end of the body than
// plan, so that what follows would be taken for a request of its own.
func (r *Request) misframed() bool {
	var own HeaderList
	for _, f := range r.Header {
		if strings.EqualFold(f.Name, "Transfer-Encoding") || strings.EqualFold(f.Name, "Content-Length") {
			own = append(own, f)
		}
	}
	if len(own) == 0 {
		return false
	}
	o, err := r.plan()
	switch {
	case err != nil:
		return false // the exchange says so
	case len(own) > 1:
		return true
	case o.chunked:
		return !strings.EqualFold(own.Get("Transfer-Encoding"), "chunked")
	}
	return own.Get("Content-Length") != strconv.FormatInt(o.size, 10)
}

// chooseProxy settles which proxy the request goes through.
func (s *Session) chooseProxy(req *Request) (err error) {
	e := &req.effective
	switch {
	case req.Proxy == NoProxy:
		e.proxy = nil
	case req.Proxy != nil:
		e.proxy = req.Proxy
	case s.cfg.Proxy != nil:
		e.proxy, err = s.cfg.Proxy(req)
	case s.envProxy != nil:
		e.proxy, err = s.envProxy(req.target.toURL())
	}
	if err != nil {
		return &ProxyConnectionError{Err: err}
	}
	if e.proxy == nil {
		return nil
	}
	switch e.proxy.Scheme {
	case "http", "https", "socks5", "socks5h":
		return nil
	}
	return &ProxyConnectionError{Proxy: proxyName(e.proxy), Err: errors.New("unknown proxy scheme " + e.proxy.Scheme)}
}

// ProxyURL returns a Config.Proxy that always chooses u.
func ProxyURL(u *url.URL) func(*Request) (*url.URL, error) {
	return func(*Request) (*url.URL, error) { return u, nil }
}

func (s *Session) storeCookies(req *Request, resp *Response) {
	if s.noCookies || !resp.head.has("set-cookie") {
		return
	}
	s.jar.SetFromHeader(req.target.toURL(), resp.HeaderValues("Set-Cookie"))
}

// deadlineError is the error of a wait that ran into the deadline of phase.
func (r *Request) deadlineError(ctx context.Context, phase Phase, limit time.Duration) error {
	switch d := r.effective.deadline; {
	case ctx.Err() != nil:
		return contextError(ctx)
	case !d.IsZero() && !time.Now().Before(d):
		return &TimeoutError{Phase: PhaseTotal, Limit: r.timeouts().Total, Err: os.ErrDeadlineExceeded}
	}
	return &TimeoutError{Phase: phase, Limit: limit, Err: os.ErrDeadlineExceeded}
}

// overTotal reports whether the time for the whole call is over.
func (r *Request) overTotal() bool {
	d := r.effective.deadline
	return !d.IsZero() && !time.Now().Before(d)
}

// phaseDeadline returns when a phase that starts now must end; zero: never.
func (r *Request) phaseDeadline(now time.Time, limit time.Duration) time.Time {
	d := r.effective.deadline
	if limit > 0 {
		if t := now.Add(limit); d.IsZero() || t.Before(d) {
			d = t
		}
	}
	return d
}
