package httpclient

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"testing"
)

// TestErrorTree: each error is of its own class and of those above it, of no other, and leads to its cause.
func TestErrorTree(t *testing.T) {
	tree := map[error][]error{ // a class and its parents
		ErrPayload: {ErrClient}, ErrTee: {ErrClient}, ErrInvalidURL: {ErrClient}, ErrNonHTTPURL: {ErrInvalidURL}, ErrInvalidRequest: {ErrClient},
		ErrResponse: {ErrClient}, ErrHTTPProxy: {ErrResponse}, ErrChallenge: {ErrResponse}, ErrContentType: {ErrResponse}, ErrWSHandshake: {ErrResponse},
		ErrTooManyRedirects: {ErrResponse}, ErrRedirect: {ErrResponse},
		ErrConnection: {ErrClient}, ErrOS: {ErrConnection}, ErrConnector: {ErrOS}, ErrDNS: {ErrConnector}, ErrProxyConnection: {ErrConnector},
		ErrTLS: {ErrConnector}, ErrTLSHandshake: {ErrTLS}, ErrCertificate: {ErrTLS},
		ErrServerConnection: {ErrConnection}, ErrProtocol: {ErrServerConnection}, ErrServerDisconnected: {ErrServerConnection},
		ErrServerTimeout: {ErrServerConnection, context.DeadlineExceeded, os.ErrDeadlineExceeded}, ErrFingerprintMismatch: {ErrServerConnection},
		ErrWSClosed: {ErrClient},
	}
	above := map[error]map[error]bool{}
	var climb func(class, to error)
	climb = func(class, to error) {
		above[class][to] = true
		for _, parent := range tree[to] {
			climb(class, parent)
		}
	}
	all := []error{ErrClient, context.DeadlineExceeded, os.ErrDeadlineExceeded}
	for class := range tree {
		above[class] = map[error]bool{}
		climb(class, class)
		all = append(all, class)
	}
	cause := fs.ErrInvalid
	for _, v := range []struct {
		err     error
		classes []error
		cause   bool // it unwraps to cause
	}{
		{&PayloadError{Kind: PayloadTruncated, Err: cause}, []error{ErrPayload}, true},
		{&TeeError{"Wire", cause}, []error{ErrTee}, true},
		{&URLError{}, []error{ErrInvalidURL}, false}, {&URLError{NonHTTP: true}, []error{ErrNonHTTPURL}, false},
		{&InvalidRequestError{Err: cause}, []error{ErrInvalidRequest}, true},
		{&ResponseError{}, []error{ErrResponse}, false}, {&ProxyResponseError{}, []error{ErrHTTPProxy}, false},
		{&ContentTypeError{}, []error{ErrContentType}, false}, {&ChallengeError{Err: cause}, []error{ErrChallenge}, true}, {&WSHandshakeError{}, []error{ErrWSHandshake}, false},
		{&TooManyRedirectsError{}, []error{ErrTooManyRedirects}, false}, {&RedirectError{Err: cause}, []error{ErrRedirect}, true},
		{&OSError{"read", cause}, []error{ErrOS}, true}, {&ConnectorError{Err: cause}, []error{ErrConnector}, true},
		{&ConnectorError{Addrs: []AddrError{{netip.AddrPort{}, cause}}}, []error{ErrConnector}, true},
		{&DNSError{Err: cause}, []error{ErrDNS}, true}, {&ProxyConnectionError{Err: cause}, []error{ErrProxyConnection}, true},
		{&TLSError{Err: cause}, []error{ErrTLSHandshake}, true}, {&CertificateError{Err: cause}, []error{ErrCertificate}, true},
		{&ProtocolError{}, []error{ErrProtocol}, false}, {&DisconnectedError{Err: cause}, []error{ErrServerDisconnected}, true},
		{&FingerprintError{}, []error{ErrFingerprintMismatch}, false}, {&WSError{Err: cause}, []error{ErrWSClosed}, true},
		{&TimeoutError{Phase: PhaseTotal, Err: cause}, []error{ErrServerTimeout}, true}, {&TimeoutError{Phase: PhaseDNS}, []error{ErrServerTimeout, ErrDNS}, false},
		{&TimeoutError{Phase: PhaseDial}, []error{ErrServerTimeout, ErrConnector}, false}, {&TimeoutError{Phase: PhaseTLS}, []error{ErrServerTimeout, ErrConnector}, false},
		{&TimeoutError{Phase: PhaseProxy}, []error{ErrServerTimeout, ErrConnector}, false}, {&TimeoutError{Phase: PhaseIdle}, []error{ErrServerTimeout}, false},
	} {
		for _, err := range []error{v.err, &RequestError{Method: "GET", URL: "http://h.test/", Err: v.err}} {
			for _, class := range all {
				want := class == ErrClient
				for _, own := range v.classes {
					want = want || above[own][class]
				}
				if got := errors.Is(err, class); got != want {
					t.Errorf("%T: is %v: %v", err, class, got)
				}
			}
			if errors.Is(err, cause) != v.cause {
				t.Errorf("%T: leads to its cause: %v", v.err, !v.cause)
			}
		}
		if strings.TrimSpace(v.err.Error()) == "" {
			t.Errorf("%T says nothing", v.err)
		}
	}
}

// TestInvalidRequests: what cannot be sent is refused before anything is, and named.
func TestInvalidRequests(t *testing.T) {
	srv := serveHTTP2(t, nil)
	foreign := &BasicAuth{Login: "\u20ac"} // not in latin1
	for _, version := range []Version{HTTP11, HTTP2} {
		s := newSession(t, Config{Connector: newTCP(t, TCPConfig{TLS: rootsOf(srv)}), Version: version})
		for _, opts := range [][]RequestOption{
			{Auth(foreign)}, {Header("X", "a\nb")}, {ParamPairs("a")}, {JSON(make(chan int))}, {UseConnector(nil)},
			{Auth(&BasicAuth{}), Header("Authorization", "x")}, {Cookies(&http.Cookie{Name: "a"}), Header("Cookie", "b=1")},
			{WithBody(BodyAs(StringBody("x"), "a/b\r\nX: y"))},
		} {
			_, err := s.Get(t.Context(), srv.URL, opts...)
			var ire *InvalidRequestError
			var re *RequestError
			if !errors.As(err, &ire) || ire.Reason == "" || !errors.As(err, &re) {
				t.Errorf("%v: %v", version, err)
			}
		}
		if st := s.Connector().Stats(); st.Held() != 0 {
			t.Errorf("%+v", st)
		}
	}
	proxy := mirror(t)
	for _, target := range []string{"http://h.test/", "https://h.test/"} {
		for _, o := range []RequestOption{ProxyAuth(foreign), ProxyHeader(http.Header{"X": {"a\r\nY: b"}})} {
			_, err := newSession(t, Config{}).Get(t.Context(), target, Proxy(&url.URL{Scheme: "http", Host: proxy.Addr}), o)
			if !errors.Is(err, ErrInvalidRequest) || errors.Is(err, ErrProxyConnection) {
				t.Errorf("%s: %v", target, err)
			}
		}
	}
	if n, _ := proxy.count(); n != 0 {
		t.Errorf("the proxy got %q", proxy.last())
	}
}

// TestOwnFraming: fields of the caller that tell where a body ends are sent, once, if it ends there, and else refused.
func TestOwnFraming(t *testing.T) {
	srv := mirror(t)
	s := newSession(t, Config{})
	hello, unknown := WithBody(StringBody("hello")), WithBody(ReaderBody(strings.NewReader("hello"), -1))
	length := func(n string) RequestOption { return Header("Content-Length", n) }
	coding := func(c string) RequestOption { return Header("Transfer-Encoding", c) }
	twice := HeaderOrder(HeaderList{{"content-length", "5"}, {"Content-Length", "5"}})
	for _, opts := range [][]RequestOption{
		{length("3")}, {coding("chunked")},
		{hello, length("3")}, {hello, length("+5")}, {hello, coding("chunked")}, {hello, length("5"), coding("chunked")}, {hello, twice},
		{unknown, length("5")}, {unknown, coding("gzip, chunked")}, {hello, Compress(Gzip), length("5")},
	} {
		if _, err := s.Post(t.Context(), srv.URL, nil, opts...); !errors.Is(err, ErrInvalidRequest) {
			t.Errorf("%v, got by the server: %q", err, srv.last())
		}
	}
	for _, v := range []struct {
		opts        []RequestOption
		name, value string
	}{
		{[]RequestOption{length("0")}, "Content-Length", "0"}, {[]RequestOption{hello, length("5")}, "Content-Length", "5"},
		{[]RequestOption{unknown, coding("chunked")}, "Transfer-Encoding", "chunked"},
	} {
		resp, err := s.Post(t.Context(), srv.URL, nil, v.opts...)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := resp.Text()
		once(t, text, v.name, v.value)
	}
	for _, name := range []string{"content-length", "Transfer-Encoding"} {
		if _, err := New(Config{Header: http.Header{name: {"5"}}}); err == nil {
			t.Errorf("%s was taken for all requests", name)
		}
	}
}
