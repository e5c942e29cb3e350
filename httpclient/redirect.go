package httpclient

import (
	"context"
	"net/http"
)

// DefaultMaxRedirects is the redirect at which a chain of them ends.
const DefaultMaxRedirects = 10

// follow sends req and those that redirects lead to.
func (s *Session) follow(ctx context.Context, req *Request, send Handler) (*Response, error) {
	var history []*Response
	given := req.target.url
	if req.target.fragment != "" {
		given += "#" + req.target.fragment
	}
	for {
		resp, err := send(ctx, req)
		if err != nil {
			return nil, err
		}
		resp.History, resp.RequestURL = history, given
		location := resp.location()
		if req.NoRedirects || location == "" {
			return resp, nil
		}
		resp.Release()
		limit := req.MaxRedirects
		if limit == 0 {
			limit = DefaultMaxRedirects
		}
		if limit > 0 && len(history)+1 >= limit {
			return nil, req.wrap(&TooManyRedirectsError{Limit: limit, Response: resp, History: history})
		}
		next, err := s.redirected(req, resp, location)
		if err != nil {
			return nil, req.wrap(&RedirectError{Location: location, Response: resp, History: history, Err: err})
		}
		if req.OnRedirect != nil {
			if err := req.OnRedirect(resp, next); err != nil {
				return nil, req.wrap(&RedirectError{Location: location, Response: resp, History: history, Err: err})
			}
		}
		if t := req.effective.trace; t != nil && t.Redirect != nil {
			t.Redirect(resp, next)
		}
		history = append(history[:len(history):len(history)], resp)
		req = next
	}
}

// location returns where a redirect leads: "" for other responses, and for those
// that do not say.
func (r *Response) location() string {
	switch r.StatusCode {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther,
		http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
	default:
		return ""
	}
	if l := r.HeaderValue("Location"); l != "" {
		return l
	}
	return r.HeaderValue("URI")
}

// redirected returns the request that follows resp, the answer to req. As browsers
// do, a POST becomes a GET at 301 and 302, and all but HEAD at 303; other requests
// are repeated with their bodies. Nothing that was meant for the origin alone goes
// to another.
func (s *Session) redirected(req *Request, resp *Response, location string) (*Request, error) {
	t, err := req.target.resolve(location, req.RawRedirects || s.cfg.RawRedirects)
	if err != nil {
		return nil, err
	}
	next := req.clone(t)
	if code := resp.StatusCode; code == http.StatusSeeOther && req.Method != http.MethodHead && req.Method != http.MethodGet ||
		(code == http.StatusMovedPermanently || code == http.StatusFound) && req.Method == http.MethodPost {
		next.Method = http.MethodGet
		next.Body, next.Compress, next.Chunked, next.Expect100 = nil, "", false, 0
		for _, name := range [...]string{"Content-Length", "Content-Type", "Content-Encoding", "Content-Language", "Content-Location", "Transfer-Encoding"} {
			next.Header.Del(name)
		}
	}
	if next.Body != nil && !next.Body.Replayable() {
		return nil, &PayloadError{Kind: PayloadRequest, Want: -1, Err: errOneShot}
	}
	next.effective.pass(&req.target, &t)
	if !t.sameOrigin(&req.target) {
		resp.DroppedHeaders = req.originFields()
		next.leaveOrigin()
	} else if !t.hasUser {
		next.target.userinfo, next.target.hasUser = req.target.userinfo, req.target.hasUser
	}
	return next, nil
}

// originFields names what r carries that only its origin may see.
func (r *Request) originFields() (names []string) {
	for _, name := range originFields {
		switch {
		case r.says(name),
			name == "Authorization" && (r.ownAuth() != nil || r.sessionAuth() != nil),
			name == "Cookie" && len(r.Cookies) > 0:
			names = append(names, name)
		}
	}
	return names
}

// leaveOrigin takes from r what only the origin before may see. The jar and a netrc
// know by themselves what goes where.
func (r *Request) leaveOrigin() {
	for _, name := range originFields {
		r.Header.Del(name)
	}
	r.Auth, r.Cookies = nil, nil
}
