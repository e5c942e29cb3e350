package httpclient

import (
	"io"
	"net/http"
	"strconv"
)

// RoundTripper returns the session as an http.RoundTripper: one request, redirects
// and response cookies left to the http.Client above it, bodies decoded only as the
// session does, with Content-Encoding and Content-Length then left out.
func (s *Session) RoundTripper() http.RoundTripper { return roundTripper{s} }

type roundTripper struct{ s *Session }

// RoundTrip implements http.RoundTripper.
func (rt roundTripper) RoundTrip(hr *http.Request) (*http.Response, error) {
	req, err := standardRequest(hr)
	if err != nil {
		if hr.Body != nil {
			_ = hr.Body.Close()
		}
		return nil, err
	}
	resp, err := rt.s.Do(hr.Context(), req)
	if err != nil {
		return nil, err
	}
	major, minor := resp.Version()
	out := &http.Response{
		Status: resp.statusText(), StatusCode: resp.StatusCode, Proto: resp.Proto,
		ProtoMajor: major, ProtoMinor: minor, Header: resp.Header().Clone(), Request: hr,
		ContentLength: resp.Body.length,
	}
	if resp.StatusCode == http.StatusSwitchingProtocols {
		nc, br := resp.Detach()
		out.Body = upgraded{Reader: br, WriteCloser: nc}
		return out, nil
	}
	body := &standardBody{resp: resp, out: out}
	if resp.Body.dec != nil {
		out.Header.Del("Content-Encoding")
		out.Header.Del("Content-Length")
		out.ContentLength, out.Uncompressed = -1, true
	}
	if out.Header.Get("Transfer-Encoding") != "" {
		out.TransferEncoding = []string{"chunked"}
		out.Header.Del("Transfer-Encoding")
	}
	out.Body = body
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
	req.Header = headerList(hr.Header)
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
		req.Body = &standardRequestBody{hr}
		if ct := hr.Header.Get("Content-Type"); ct == "" {
			req.SkipAutoHeaders = []string{"Content-Type"}
		}
	}
	return req, nil
}

// standardRequestBody is the body of an http.Request.
type standardRequestBody struct{ hr *http.Request }

func (b *standardRequestBody) Open() (io.ReadCloser, error) {
	return b.hr.Body, nil
}

func (b *standardRequestBody) Size() int64 {
	if b.hr.ContentLength > 0 {
		return b.hr.ContentLength
	}
	return -1
}
func (b *standardRequestBody) ContentType() string { return b.hr.Header.Get("Content-Type") }
func (b *standardRequestBody) Replayable() bool    { return false }

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
