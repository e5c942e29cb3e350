package crawler

import (
	"context"
	"net/http"
	"time"

	"github.com/orbweaver/orbweaver/httpclient"
)

// through is the middleware that sends each request through one of the proxies,
// and through others while it is the proxy that fails, as nothing has reached the
// host then.
func (ps *proxies) through(next httpclient.Handler) httpclient.Handler {
	return func(ctx context.Context, req *httpclient.Request) (*httpclient.Response, error) {
		r := proxied{proxies: ps, req: req}
		for {
			began := time.Now()
			p, err := r.pick(began)
			if err != nil {
				return nil, err
			}
			resp, err := p.send(ctx, req, next)
			if err == nil {
				ps.answered(p)
				r.doubt.settle(ps)
				return resp, nil
			}
			if ctx.Err() != nil || !r.learn(p, err, began) {
				return nil, err
			}
		}
	}
}

// send makes the request through the proxy.
func (p *proxy) send(ctx context.Context, req *httpclient.Request, next httpclient.Handler) (*httpclient.Response, error) {
	req.Proxy = p.url
	resp, err := next(ctx, req)
	if err == nil && resp.StatusCode == http.StatusProxyAuthRequired {
		err = &httpclient.ProxyResponseError{Proxy: p.name, StatusCode: resp.StatusCode, Reason: "credentials refused", Header: resp.Header()}
		_ = resp.Close()
	}
	return resp, err
}

// proxied is a request on its way.
type proxied struct {
	*proxies
	req   *httpclient.Request
	tried []*proxy
	doubt doubtful
}

// pick returns the proxy for the next try, or why there is none.
func (r *proxied) pick(now time.Time) (*proxy, error) {
	p := r.choose(r.req.Host(), r.tried, now)
	switch {
	case p != nil:
		r.tried = append(r.tried, p)
		return p, nil
	case r.doubt.p == nil:
		r.pauseIfOut(now)
		return nil, errNoProxy
	case r.doubt.again:
		return nil, r.doubt.err
	}
	r.doubt.again = true // there is no other: is it still there?
	return r.doubt.p, nil
}

// learn notes how a try failed, and reports whether there may be another one.
func (r *proxied) learn(p *proxy, err error, began time.Time) bool {
	switch f := r.judge(err, r.req); {
	case f == faultNone:
		r.doubt.settle(r.proxies)
		return false
	case f == faultProxy:
		r.failed(p, err, began, time.Now())
		if r.doubt.p == p {
			r.doubt = doubtful{}
		}
	case r.doubt.p != nil:
		return false // twice: it is the host
	default:
		r.doubt = doubtful{p: p, err: err, began: began, convict: f == faultMaybe}
	}
	return r.req.Body == nil || r.req.Body.Replayable()
}

// doubtful is a failure of which it is not known whose fault it is, until another
// proxy has been tried.
type doubtful struct {
	p       *proxy
	err     error
	began   time.Time
	convict bool // it is to be taken out if the other one does better
	again   bool // for want of another one, it was tried again
}

// settle takes the proxy out for which another one did better.
func (d *doubtful) settle(ps *proxies) {
	if d.p != nil && d.convict && !d.again {
		ps.failed(d.p, d.err, d.began, time.Now())
	}
}
