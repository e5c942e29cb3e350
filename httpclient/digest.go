package httpclient

import (
	"context"
	"crypto/md5"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
)

// DigestAuth returns a [Middleware] that answers challenges of the Digest scheme, RFC 7616, of one origin, such as
// "https://example.org". Other origins learn nothing, wherever redirects lead. It knows MD5, SHA-256 and SHA-512-256, their
// session variants, and the protections "auth" (also as in RFC 2069) and, where a server insists on it, "auth-int", for
// which the body is read once more beforehand. The first challenge of a response that it knows is answered; a response with
// challenges of the scheme none of which it knows is a *[ChallengeError].
//
// The first request is sent as it is, and a second time when it is challenged; later ones bring their answer along, until
// the server wants another. No call sends more than two. A request with credentials of its own, or whose body cannot be sent
// twice when it is challenged, is left alone, and so is the response that refuses the answer.
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
	d := &digest{login: login, password: password}
	return func(next Handler) Handler {
		return func(ctx context.Context, req *Request) (*Response, error) {
			if !t.sameOrigin(&req.target) || req.ownAuth() != nil || req.Header.Has("Authorization") {
				return next(ctx, req)
			}
			return d.send(ctx, req, next)
		}
	}, nil
}

// digest are credentials, and what was asked for last.
type digest struct {
	login, password string

	mu    sync.Mutex
	asked *digestChallenge // nil: nothing yet
}

func (d *digest) send(ctx context.Context, req *Request, next Handler) (*Response, error) {
	asked := d.latest()
	first, err := d.authorized(req, asked)
	if err != nil {
		return nil, err
	}
	resp, err := next(ctx, first)
	if err != nil || resp.StatusCode != http.StatusUnauthorized {
		d.proceed(resp, "Authentication-Info")
		return resp, err
	}
	c, err := digestChallengeOf(resp.HeaderValues("WWW-Authenticate"), resp.StatusCode)
	switch {
	case err != nil:
		resp.Release()
		return nil, req.wrap(err)
	case c == nil || !c.goesOn(asked), req.Body != nil && !req.Body.Replayable():
		return resp, nil
	}
	resp.Release()
	again, err := d.authorized(req, d.learn(c))
	if err != nil {
		return nil, err
	}
	if resp, err = next(ctx, again); err == nil {
		d.proceed(resp, "Authentication-Info")
	}
	return resp, err
}

// authorized returns req with its answer to a challenge; as it is, if there was none or it cannot be answered.
func (d *digest) authorized(req *Request, c *digestChallenge) (*Request, error) {
	if c == nil || !c.covers(req) {
		return req, nil
	}
	v, err := d.answer(c, req, req.Method, req.target.path)
	if err != nil {
		return nil, req.wrap(err)
	}
	r := req.clone(req.target)
	r.Header.Set("Authorization", v)
	return r, nil
}

func (d *digest) latest() *digestChallenge {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.asked
}

// learn makes c the challenge to answer from now on, and returns it; or the one it is a copy of, whose answers are counted
// on: many requests may be challenged at a time.
func (d *digest) learn(c *digestChallenge) *digestChallenge {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.asked == nil || !d.asked.same(c) {
		d.asked = c
	}
	return d.asked
}

// proceed takes the nonce for the next answer, if the response names one in that field, RFC 7616 section 3.5.
func (d *digest) proceed(resp *Response, field string) {
	if resp == nil {
		return
	}
	for _, v := range resp.HeaderValues(field) {
		nonce := parseAuthParams(v)["nextnonce"]
		if nonce == "" || len(nonce) > maxChallenge {
			continue
		}
		d.mu.Lock()
		if d.asked != nil {
			next := *d.asked
			next.nonce, next.count = nonce, 0
			d.asked = &next
		}
		d.mu.Unlock()
	}
}

// answer returns the value of Authorization for req, sent as method and uri.
func (d *digest) answer(c *digestChallenge, req *Request, method, uri string) (string, error) {
	body := ""
	if c.qop == "auth-int" {
		var err error
		if body, err = c.hashBody(req); err != nil {
			return "", err
		}
	}
	d.mu.Lock()
	c.count++
	count := c.count
	d.mu.Unlock()
	var random [16]byte
	_, _ = rand.Read(random[:])
	v := c.answer(d.login, d.password, method, uri, body, hex.EncodeToString(random[:]), count)
	if !validField(Field{"Authorization", v}) {
		return "", &InvalidRequestError{Reason: "login or challenge of Digest cannot be sent in a header field"}
	}
	return v, nil
}

// maxChallenge is how long the parts of a challenge that go back with each answer may be together, in bytes.
const maxChallenge = 8 << 10

// digestChallenge is a challenge that can be answered.
type digestChallenge struct {
	realm, nonce, opaque string
	algorithm            string // as the server wrote it; "" means MD5
	sum                  func() hash.Hash
	session              bool   // a variant -sess
	qop                  string // the protection: "auth", "auth-int", or "" as in RFC 2069
	stale                bool
	userhash             bool
	count                uint32 // of answers, under digest.mu
}

// covers reports whether the challenge can be answered for req: with "auth-int" its body has to be known beforehand.
func (c *digestChallenge) covers(req *Request) bool {
	return c.qop != "auth-int" || req.Body == nil || req.Body.Replayable()
}

// same reports whether answers to c and o differ in their counts only.
func (c *digestChallenge) same(o *digestChallenge) bool {
	return c.nonce == o.nonce && c.realm == o.realm && c.opaque == o.opaque && c.qop == o.qop &&
		c.algorithm == o.algorithm && c.userhash == o.userhash
}

// goesOn reports whether c, which came in spite of an answer to asked, is about its nonce, not about the password.
func (c *digestChallenge) goesOn(asked *digestChallenge) bool {
	return asked == nil || c.stale || c.nonce != asked.nonce
}

// digestChallengeOf returns the first challenge among fields that can be answered; nil if none is of the scheme, and a
// *ChallengeError if none of those is known.
func digestChallengeOf(fields []string, status int) (*digestChallenge, error) {
	var unknown error
	for _, c := range parseChallenges(fields) {
		if !strings.EqualFold(c.scheme, "Digest") {
			continue
		}
		d, reason := newDigestChallenge(c.params)
		if d != nil {
			return d, nil
		}
		if unknown == nil {
			unknown = &ChallengeError{StatusCode: status, Reason: reason}
		}
	}
	return nil, unknown
}

// newDigestChallenge returns the challenge, or why it cannot be answered.
func newDigestChallenge(params map[string]string) (d *digestChallenge, reason string) {
	d = &digestChallenge{
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
	case "SHA-512-256":
		d.sum = sha512.New512_256
	default:
		return nil, fmt.Sprintf("unknown algorithm %.40q", d.algorithm)
	}
	if offered, ok := params["qop"]; ok {
		for v := range strings.SplitSeq(offered, ",") {
			switch v = strings.ToLower(strings.TrimSpace(v)); {
			case v == "auth", v == "auth-int" && d.qop == "":
				d.qop = v
			}
		}
		if d.qop == "" {
			return nil, fmt.Sprintf("unknown protection %.40q", offered)
		}
	}
	switch {
	case d.nonce == "":
		return nil, "no nonce"
	case len(d.realm)+len(d.nonce)+len(d.opaque) > maxChallenge:
		return nil, "too long"
	}
	return d, ""
}

// hash is the function H of RFC 7616 over the parts, joined by colons.
func (c *digestChallenge) hash(parts ...string) string {
	h := c.sum()
	_, _ = h.Write([]byte(strings.Join(parts, ":")))
	return hex.EncodeToString(h.Sum(nil))
}

// hashBody is H of the body as it will be sent, RFC 7616 section 3.4.3.
func (c *digestChallenge) hashBody(req *Request) (string, error) {
	h := c.sum()
	if req.Body != nil {
		body, err := req.openBody()
		if err == nil {
			_, err = io.Copy(h, body)
			err = errors.Join(err, body.Close())
		}
		if err != nil {
			return "", &PayloadError{Kind: PayloadRequest, Want: -1, Err: err}
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// answer is the value of Authorization, RFC 7616 section 3.4. body is the hash of the body, for "auth-int".
func (c *digestChallenge) answer(login, password, method, uri, body, cnonce string, count uint32) string {
	secret := c.hash(login, c.realm, password)
	if c.session {
		secret = c.hash(secret, c.nonce, cnonce)
	}
	nc := fmt.Sprintf("%08x", count)
	var response string
	switch c.qop {
	case "":
		response = c.hash(secret, c.nonce, c.hash(method, uri))
	case "auth-int":
		response = c.hash(secret, c.nonce, nc, cnonce, c.qop, c.hash(method, uri, body))
	default:
		response = c.hash(secret, c.nonce, nc, cnonce, c.qop, c.hash(method, uri))
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
	if c.qop != "" {
		fmt.Fprintf(&b, `, qop=%s, nc=%s`, c.qop, nc)
	}
	if c.qop != "" || c.session {
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
