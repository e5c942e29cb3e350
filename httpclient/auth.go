package httpclient

import (
	"encoding/base64"
	"errors"
	"net/url"
	"strings"
	"unicode/utf8"
)

// BasicAuth is a user name and password for HTTP's Basic scheme, RFC 7617.
type BasicAuth struct {
	Login    string // must not contain a colon
	Password string
	// Charset is how both are encoded: "latin1" or "utf-8". Empty: latin1.
	Charset string
}

// Header returns the value for an Authorization field. It fails if the login has
// a colon, or a character is not in the charset.
func (a *BasicAuth) Header() (string, error) {
	if strings.Contains(a.Login, ":") {
		return "", errors.New("httpclient: a colon is not allowed in the login of BasicAuth")
	}
	plain := a.Login + ":" + a.Password
	utf, err := isUTF8Label(a.Charset)
	if err != nil {
		return "", err
	}
	if !utf {
		if plain, err = toLatin1(plain); err != nil {
			return "", err
		}
	}
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(plain)), nil
}

// ParseBasicAuth reads the value of an Authorization field. Credentials that are
// not UTF-8 are taken for latin1.
func ParseBasicAuth(header string) (*BasicAuth, error) {
	scheme, encoded, _ := strings.Cut(strings.TrimSpace(header), " ")
	if !strings.EqualFold(scheme, "Basic") {
		return nil, errors.New("httpclient: authorization is not of the Basic scheme")
	}
	plain, err := base64.StdEncoding.DecodeString(strings.TrimSpace(encoded))
	if err != nil {
		return nil, errors.New("httpclient: Basic credentials are not base64: " + err.Error())
	}
	a := &BasicAuth{Charset: "utf-8"}
	s := string(plain)
	if !utf8.ValidString(s) {
		a.Charset, s = "latin1", fromLatin1(plain)
	}
	login, password, found := strings.Cut(s, ":")
	if !found {
		return nil, errors.New("httpclient: Basic credentials have no colon")
	}
	a.Login, a.Password = login, password
	return a, nil
}

// BasicAuthFromURL returns the credentials in u, and whether it has any.
func BasicAuthFromURL(u *url.URL) (*BasicAuth, bool) {
	if u.User == nil || u.User.String() == "" {
		return nil, false
	}
	password, _ := u.User.Password()
	return &BasicAuth{Login: u.User.Username(), Password: password, Charset: "utf-8"}, true
}

func isUTF8Label(charset string) (bool, error) {
	switch strings.ToLower(charset) {
	case "", "latin1", "latin-1", "iso-8859-1":
		return false, nil
	case "utf-8", "utf8":
		return true, nil
	}
	return false, errors.New("httpclient: BasicAuth knows the charsets latin1 and utf-8, not " + charset)
}

func toLatin1(s string) (string, error) {
	b := make([]byte, 0, len(s))
	for _, r := range s {
		if r > 0xff {
			return "", errors.New("httpclient: BasicAuth: a character is not in latin1")
		}
		b = append(b, byte(r))
	}
	return string(b), nil
}

func fromLatin1(b []byte) string {
	r := make([]rune, len(b))
	for i, c := range b {
		r[i] = rune(c)
	}
	return string(r)
}
