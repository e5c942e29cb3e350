package httpclient

import (
	"context"
	"crypto/md5"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"net/http"
	"net/url"
	"strings"
	"sync"
)

// DigestAuth returns a [Middleware] that answers challenges of the Digest scheme, RFC 7616, of one origin, such as
// "https://example.org". Other origins learn nothing, wherever redirects lead. It knows MD5 and SHA-256, their
// session variants, and the protection "auth", also as in RFC 2069; the first such challenge of a response is answered.
// Proxies are not.
//
// The first request is sent as it is, and a second time when it is challenged; later ones bring their answer along, until
// the server wants another. A request with credentials of its own, or whose body cannot be sent twice when it is
// challenged, is left alone, and so is the response that refuses the answer.
//
// It may be used by many goroutines, and sessions. The error says what is wrong with origin.
func DigestAuth(origin, login, password string) (Middleware, error) {
	t, err := parseTarget(origin, false)
	if err != nil {
		return nil, err
	}
	if t.path != "/" || t.hasUser {
		return nil, &URLError{URL: origin, Reason: "not an origin"}
	}
	d := &digest{origin: t, login: login, password: password}
	return func(next Handler) Handler {
		return func(ctx context.Context, req *Request) (*Response, error) { return d.send(ctx, req, next) }
	}, nil
}

// digest are credentials for an origin, and what it asked for last.
type digest struct {
	origin          target
	login, password string

	mu    sync.Mutex
	asked *digestChallenge // nil: nothing yet
	count uint32           // answers to it
}

func (d *digest) send(ctx context.Context, req *Request, next Handler) (*Response, error) {
	_, inURL := req.target.credentials()
	if !d.origin.sameOrigin(&req.target) || inURL || req.Auth != nil || req.Header.Has("Authorization") {
		return next(ctx, req)
	}
	answered, err := d.answer(req)
	if err != nil {
		return nil, err
	}
	first := req
	if answered != "" {
		first = withAuthorization(req, answered)
	}
	resp, err := next(ctx, first)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusUnauthorized {
		d.proceed(resp)
		return resp, nil
	}
	asked := digestChallengeOf(resp.HeaderValues("WWW-Authenticate"))
	if asked == nil || req.Body != nil && !req.Body.Replayable() || answered != "" && !d.asksAnew(asked, answered) {
		return resp, nil
	}
	d.mu.Lock()
	if d.asked == nil || d.asked.nonce != asked.nonce { // else another request has come first
		d.asked, d.count = asked, 0
	}
	d.mu.Unlock()
	if answered, err = d.answer(req); err != nil {
		resp.Release()
		return nil, err
	}
	resp.Release()
	if resp, err = next(ctx, withAuthorization(req, answered)); err == nil {
		d.proceed(resp)
	}
	return resp, err
}

// asksAnew reports whether a challenge that came in spite of an answer is about its nonce, not about the password.
func (d *digest) asksAnew(c *digestChallenge, answered string) bool {
	return c.stale || !strings.Contains(answered, `nonce="`+quoted(c.nonce)+`"`)
}

// proceed takes the nonce for the next answer, if the server names one, RFC 7616 section 3.5.
func (d *digest) proceed(resp *Response) {
	for _, v := range resp.HeaderValues("Authentication-Info") {
		nonce := parseAuthParams(v)["nextnonce"]
		if nonce == "" {
			continue
		}
		d.mu.Lock()
		if d.asked != nil {
			next := *d.asked
			next.nonce = nonce
			d.asked, d.count = &next, 0
		}
		d.mu.Unlock()
	}
}

func withAuthorization(req *Request, value string) *Request {
	r := req.clone(req.target)
	r.Header.Set("Authorization", value)
	return r
}

// answer returns the value of Authorization, "" if nothing was asked yet.
func (d *digest) answer(req *Request) (string, error) {
	d.mu.Lock()
	asked := d.asked
	d.count++
	count := d.count
	d.mu.Unlock()
	if asked == nil {
		return "", nil
	}
	var random [16]byte
	_, _ = rand.Read(random[:])
	v := asked.answer(d.login, d.password, req.Method, req.target.path, hex.EncodeToString(random[:]), count)
	if !validField(Field{"Authorization", v}) {
		return "", &InvalidRequestError{Reason: "login or challenge of DigestAuth cannot be sent in a header field"}
	}
	return v, nil
}

// digestChallenge is a challenge that can be answered.
type digestChallenge struct {
	realm, nonce, opaque string
	algorithm            string // as the server wrote it; "" means MD5
	sum                  func() hash.Hash
	session              bool // a variant -sess
	qop                  bool // protection "auth"; else none, as in RFC 2069
	stale                bool
	userhash             bool
}

// digestChallengeOf returns the first challenge among fields that can be answered, nil if there is none.
func digestChallengeOf(fields []string) *digestChallenge {
	for _, c := range parseChallenges(fields) {
		if strings.EqualFold(c.scheme, "Digest") {
			if d := newDigestChallenge(c.params); d != nil {
				return d
			}
		}
	}
	return nil
}

func newDigestChallenge(params map[string]string) *digestChallenge {
	d := &digestChallenge{
		realm: params["realm"], nonce: params["nonce"], opaque: params["opaque"], algorithm: params["algorithm"],
		stale: strings.EqualFold(params["stale"], "true"), userhash: strings.EqualFold(params["userhash"], "true"),
	}
	name := strings.ToUpper(d.algorithm)
	name, d.session = strings.CutSuffix(name, "-SESS")
	switch name {
	case "", "MD5":
		d.sum = md5.New
	case "SHA-256":
		d.sum = sha256.New
	default:
		return nil
	}
	if qop, ok := params["qop"]; ok {
		for _, v := range strings.Split(qop, ",") {
			d.qop = d.qop || strings.EqualFold(strings.TrimSpace(v), "auth")
		}
		if !d.qop {
			return nil
		}
	}
	if d.nonce == "" {
		return nil
	}
	return d
}

// hash is the function H of RFC 7616 over the parts, joined by colons.
func (c *digestChallenge) hash(parts ...string) string {
	h := c.sum()
	_, _ = h.Write([]byte(strings.Join(parts, ":")))
	return hex.EncodeToString(h.Sum(nil))
}

// answer is the value of Authorization, RFC 7616 section 3.4.
func (c *digestChallenge) answer(login, password, method, uri, cnonce string, count uint32) string {
	secret := c.hash(login, c.realm, password)
	if c.session {
		secret = c.hash(secret, c.nonce, cnonce)
	}
	nc := fmt.Sprintf("%08x", count)
	var response string
	if c.qop {
		response = c.hash(secret, c.nonce, nc, cnonce, "auth", c.hash(method, uri))
	} else {
		response = c.hash(secret, c.nonce, c.hash(method, uri))
	}
	var b strings.Builder
	switch {
	case c.userhash:
		fmt.Fprintf(&b, `Digest username="%s", userhash=true`, c.hash(login, c.realm))
	case isASCII(login):
		fmt.Fprintf(&b, `Digest username="%s"`, quoted(login))
	default:
		fmt.Fprintf(&b, `Digest username*=UTF-8''%s`, strings.ReplaceAll(url.QueryEscape(login), "+", "%20"))
	}
	fmt.Fprintf(&b, `, realm="%s", nonce="%s", uri="%s", response="%s"`, quoted(c.realm), quoted(c.nonce), quoted(uri), response)
	if c.algorithm != "" {
		fmt.Fprintf(&b, `, algorithm=%s`, c.algorithm)
	}
	if c.opaque != "" {
		fmt.Fprintf(&b, `, opaque="%s"`, quoted(c.opaque))
	}
	if c.qop {
		fmt.Fprintf(&b, `, qop=auth, nc=%s`, nc)
	}
	if c.qop || c.session {
		fmt.Fprintf(&b, `, cnonce="%s"`, cnonce)
	}
	return b.String()
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// quoted escapes the inside of a quoted-string.
func quoted(s string) string {
	if !strings.ContainsAny(s, `"\`) {
		return s
	}
	return strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s)
}
