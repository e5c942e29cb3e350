package httpclient

import (
	"io"
	"net/http"
	"strconv"
)

// RoundTripper returns the session as an http.RoundTripper: one request, redirects
// left to the http.Client above it, bodies decoded only as the session does, with
// Content-Encoding and Content-Length then left out. The session's credentials do not
// follow a redirect to another origin. Its cookies are the session's; an http.Client with
// a jar of its own wants a session with DummyJar.
func (s *Session) RoundTripper() http.RoundTripper { return roundTripper{s} }

type roundTripper struct{ s *Session }

// RoundTrip implements http.RoundTripper.
func (rt roundTripper) RoundTrip(hr *http.Request) (*http.Response, error) {
	req, err := standardRequest(hr)
	var resp *Response
	if err == nil {
		resp, err = rt.s.Do(hr.Context(), req)
	}
	if err != nil {
		if hr.Body != nil {
			_ = hr.Body.Close() // whether it was opened or not
		}
		return nil, err
	}
	return resp.standard(hr)
}

// standard is r as the answer to hr.
func (r *Response) standard(hr *http.Request) (*http.Response, error) {
	major, minor := r.Version()
	out := &http.Response{
		Status: r.statusText(), StatusCode: r.StatusCode, Proto: r.Proto,
		ProtoMajor: major, ProtoMinor: minor, Header: r.Header().Clone(), Request: hr,
		ContentLength: r.Body.length, TLS: r.netConn.TLS(),
	}
	switch {
	case r.StatusCode == http.StatusSwitchingProtocols:
		nc, br := r.Detach()
		if nc == nil {
			_ = r.Close()
			return nil, r.req.wrap(ErrBodyClosed)
		}
		out.Body = upgraded{Reader: br, WriteCloser: nc}
		return out, nil
	case hr.Method == http.MethodHead:
		out.ContentLength, _ = r.head.contentLength()
	case r.Body.dec != nil:
		out.Header.Del("Content-Encoding")
		out.Header.Del("Content-Length")
		out.ContentLength, out.Uncompressed = -1, true
	}
	if out.Header.Get("Transfer-Encoding") != "" {
		out.TransferEncoding = []string{"chunked"}
		out.Header.Del("Transfer-Encoding")
	}
	out.Body = &standardBody{resp: r, out: out}
	return out, nil
}

// statusText returns status code and reason.
func (r *Response) statusText() string { return strconv.Itoa(r.StatusCode) + " " + r.Reason() }

// standardRequest is hr as one of ours.
func standardRequest(hr *http.Request) (*Request, error) {
	req, err := NewRequest(hr.Method, hr.URL.String())
	if err != nil {
		return nil, err
	}
	req.NoRedirects = true
	for before := hr.Response; before != nil && before.Request != nil; before = before.Request.Response {
		from, _ := parseTarget(before.Request.URL.String(), false) // what is no target of ours is another origin
		req.came.pass(&from, &req.target)
	}
	req.Header = headerList(hr.Header)
	for _, name := range [...]string{"Content-Length", "Transfer-Encoding"} { // net/http knows these from the body, too
		req.Header.Del(name)
	}
	if hr.Host != "" && hr.Host != hr.URL.Host {
		req.Header.Set("Host", hr.Host)
	}
	if hr.Close {
		req.Header.Set("Connection", "close")
	}
	if req.Header.Has("Authorization") {
		req.target.hasUser = false
	}
	if hr.Body != nil && hr.Body != http.NoBody {
		req.Body = &standardRequestBody{hr: hr}
		if ct := hr.Header.Get("Content-Type"); ct == "" {
			req.SkipAutoHeaders = []string{"Content-Type"}
		}
	}
	return req, nil
}

// standardRequestBody is the body of an http.Request.
type standardRequestBody struct {
	hr     *http.Request
	opened bool
}

func (b *standardRequestBody) Open() (io.ReadCloser, error) {
	if !b.opened {
		b.opened = true
		return b.hr.Body, nil
	}
	if b.hr.GetBody == nil {
		return nil, errOneShot
	}
	return b.hr.GetBody()
}

func (b *standardRequestBody) Size() int64 {
	if b.hr.ContentLength > 0 {
		return b.hr.ContentLength
	}
	return -1
}
func (b *standardRequestBody) ContentType() string { return b.hr.Header.Get("Content-Type") }
func (b *standardRequestBody) Replayable() bool    { return b.hr.GetBody != nil }

// standardBody is the body of a response, which fills in the trailer at its end.
type standardBody struct {
	resp *Response
	out  *http.Response
}

func (b *standardBody) Read(p []byte) (int, error) {
	n, err := b.resp.Body.Read(p)
	if err == io.EOF {
		if len(b.resp.trailer) > 0 {
			b.out.Trailer = b.resp.Trailer()
		}
	}
	return n, err
}

func (b *standardBody) Close() error {
	b.resp.Release()
	return nil
}

// upgraded is a connection after 101.
type upgraded struct {
	io.Reader
	io.WriteCloser
}
