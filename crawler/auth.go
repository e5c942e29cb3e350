package crawler

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/orbweaver/orbweaver/crawler/weburl"
	"github.com/orbweaver/orbweaver/httpclient"
)

// Auth are the credentials that some origins want: a name and a password (HTTP's
// Basic scheme, RFC 7617, in UTF-8), or a token (Bearer, RFC 6750). They go with
// each request to those origins, for robots.txt and sitemaps too, and to nobody
// else: not to another port, scheme or sub-domain, wherever a page links or
// redirects. They are printed nowhere, and are not kept in the job.
type Auth struct {
	// Origins are scheme, host and port, such as "https://example.org" or
	// "http://127.0.0.1:8080". Nil: those of Site.Hosts by https; these must then be
	// hosts without a wildcard.
	Origins []string

	User, Password string // Basic
	Bearer         string // the token; it excludes User and Password
}

// String tells the kind and the user, but no secret.
func (a Auth) String() string {
	if a.Bearer != "" {
		return "bearer token"
	}
	return "basic, as " + a.User
}

// GoString is String, so that no way of printing tells more.
func (a Auth) GoString() string { return a.String() }

// field is the value of the Authorization field.
func (a *Auth) field() (string, error) {
	switch {
	case a.Bearer != "" && a.User+a.Password != "":
		return "", errors.New("auth: takes a user and a password, or a bearer token")
	case a.Bearer == "" && a.User == "":
		return "", errors.New("auth: has neither a user nor a bearer token")
	case a.Bearer == "":
		basic := httpclient.BasicAuth{Login: a.User, Password: a.Password, Charset: "utf-8"}
		return basic.Header()
	case !httpguts.ValidHeaderFieldValue(a.Bearer) || strings.ContainsAny(a.Bearer, " \t"):
		return "", errors.New("auth: the bearer token has characters that cannot be sent")
	}
	return "Bearer " + a.Bearer, nil
}

// origins are where the credentials of a site go.
func (a *Auth) origins(hosts []string) (list []string, err error) {
	for _, text := range a.Origins {
		u, err := weburl.Parse(text)
		if err != nil || u.PathAndQuery() != "/" || u.User() != "" {
			return nil, fmt.Errorf("auth: %q is no origin: write https://example.org or http://example.org:8080", text)
		}
		list = append(list, u.Origin())
	}
	if len(a.Origins) > 0 {
		return list, nil
	}
	for _, text := range hosts {
		p, err := parseHostPattern(text)
		if err != nil {
			return nil, err
		}
		if p.shape != hostExact {
			return nil, fmt.Errorf("auth: %q is more than one host: name the origins that get the credentials", text)
		}
		u, err := weburl.Parse("https://" + text + "/")
		if err != nil {
			return nil, err
		}
		list = append(list, u.Origin())
	}
	return list, nil
}

// credential is what goes to one origin.
type credential struct {
	field string // of Authorization
	text  string // for people
}

// addAuth compiles the credentials of one site.
func (s *sites) addAuth(one *Site) error {
	if one.Auth == nil {
		return nil
	}
	field, err := one.Auth.field()
	if err != nil {
		return err
	}
	origins, err := one.Auth.origins(one.Hosts)
	if err != nil {
		return err
	}
	for _, origin := range origins {
		if _, known := s.auth[origin]; known {
			return fmt.Errorf("auth: %s has credentials already", origin)
		}
		if s.auth == nil {
			s.auth = make(map[string]credential)
		}
		s.auth[origin] = credential{field, one.Auth.String()}
	}
	return nil
}

// authorize adds what the origin of u wants.
func (s *sites) authorize(req *httpclient.Request, u weburl.URL) {
	if len(s.auth) == 0 {
		return
	}
	if c, ok := s.auth[u.Origin()]; ok {
		req.Header.Add("Authorization", c.field)
	}
}

// secretNames are parts of the names of header fields whose values may be
// credentials.
var secretNames = []string{
	"auth", "cookie", "token", "key", "secret", "pass", "session", "credential", "signature", "jwt", "csrf", "xsrf", "access", "assertion", "login",
}

// SecretField says whether a header field of that name may hold a credential, so
// that its value is better not printed.
func SecretField(name string) bool {
	name = strings.ToLower(name)
	for _, part := range secretNames {
		if strings.Contains(name, part) {
			return true
		}
	}
	return false
}
