package httpclient

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// CookieJar keeps cookies between requests. It is an [http.CookieJar] that can
// also pass cookies on in the very bytes in which they came: values are neither
// quoted nor cut to a stricter grammar. [Jar] is the usual one, [DummyJar] keeps
// nothing, and [WrapJar] makes one of any http.CookieJar.
//
// Its methods may be called from many goroutines. URLs are not kept or changed.
type CookieJar interface {
	http.CookieJar

	// SetFromHeader stores the cookies of the Set-Cookie field values that a
	// response from u carried. What cannot be stored is left out.
	SetFromHeader(u *url.URL, lines []string)

	// SetShared stores cookies that go to every host.
	SetShared(cookies ...*http.Cookie)

	// AppendHeader appends the value of the Cookie field for a request to u to
	// dst: nothing, if no cookie goes there.
	AppendHeader(dst []byte, u *url.URL) []byte
}

// DummyJar is a CookieJar that keeps nothing, which is what a crawl of many sites
// usually wants.
type DummyJar struct{}

// SetCookies keeps nothing.
func (DummyJar) SetCookies(*url.URL, []*http.Cookie) {}

// Cookies returns nil.
func (DummyJar) Cookies(*url.URL) []*http.Cookie { return nil }

// SetFromHeader keeps nothing.
func (DummyJar) SetFromHeader(*url.URL, []string) {}

// SetShared keeps nothing.
func (DummyJar) SetShared(...*http.Cookie) {}

// AppendHeader returns dst as it is.
func (DummyJar) AppendHeader(dst []byte, _ *url.URL) []byte { return dst }

// ErrCookie is the class of errors of [ParseSetCookie].
var ErrCookie = errors.New("httpclient: unusable Set-Cookie value")

// Limits on one cookie, RFC 6265bis section 5.6.
const (
	maxCookieSize    = 4096 // name and value
	maxAttributeSize = 1024 // beyond it an attribute is ignored
)

// ParseSetCookie reads one Set-Cookie field value as user agents do (RFC 6265
// section 5.2, with the limits of RFC 6265bis): names and values are any bytes but
// control characters and ";", quotes are part of the value, and an attribute that
// makes no sense is ignored. Value, Path and Domain are as received, save that a
// leading dot of Domain is dropped and its letters are in lower case; a Path that
// does not start with "/" is "". MaxAge and Expires are as in [http.Cookie].
//
// Its error wraps [ErrCookie].
func ParseSetCookie(line string) (*http.Cookie, error) {
	sc, refused := parseSetCookie(line)
	if refused != accepted {
		return nil, &cookieError{refused}
	}
	c := &http.Cookie{
		Name: sc.name, Value: sc.value, Path: sc.path, Domain: sc.domain,
		Secure: sc.secure, HttpOnly: sc.httpOnly, SameSite: sc.sameSite,
		Partitioned: sc.partitioned, Raw: line,
	}
	if sc.hasExpires {
		c.Expires, c.RawExpires = sc.expires, sc.rawExpires
	}
	switch {
	case sc.hasMaxAge && sc.maxAge <= 0:
		c.MaxAge = -1
	case sc.hasMaxAge:
		c.MaxAge = int(sc.maxAge / time.Second)
	}
	return c, nil
}

type cookieError struct{ reason Refusal }

func (e *cookieError) Error() string { return ErrCookie.Error() + ": " + e.reason.String() }
func (e *cookieError) Unwrap() error { return ErrCookie }

// setCookie is a parsed Set-Cookie value.
type setCookie struct {
	name, value string
	domain      string // lower case, without a leading dot; "": none
	path        string // "": none, or not starting with "/"
	maxAge      time.Duration
	expires     time.Time
	rawExpires  string
	sameSite    http.SameSite

	hasMaxAge, hasExpires, secure, httpOnly, partitioned bool
}

// maxCookieAge keeps a Max-Age of any length a time.Duration.
const maxCookieAge = 100 * 365 * 24 * time.Hour

func parseSetCookie(line string) (sc setCookie, refused Refusal) {
	if hasControl(line) {
		return sc, RefusedMalformed
	}
	pair, attributes, _ := strings.Cut(line, ";")
	name, value, ok := strings.Cut(pair, "=")
	sc.name, sc.value = trimBlank(name), trimBlank(value)
	if !ok || sc.name == "" {
		return sc, RefusedMalformed
	}
	if len(sc.name)+len(sc.value) > maxCookieSize {
		return sc, RefusedTooLarge
	}
	for attributes != "" {
		var av string
		av, attributes, _ = strings.Cut(attributes, ";")
		name, value, _ := strings.Cut(av, "=")
		if value = trimBlank(value); len(value) <= maxAttributeSize {
			sc.setAttribute(trimBlank(name), value)
		}
	}
	return sc, accepted
}

func (sc *setCookie) setAttribute(name, value string) {
	switch {
	case equalFoldASCII(name, "expires"):
		if t, ok := parseCookieDate(value); ok {
			sc.expires, sc.rawExpires, sc.hasExpires = t, value, true
		}
	case equalFoldASCII(name, "max-age"):
		if d, ok := parseMaxAge(value); ok {
			sc.maxAge, sc.hasMaxAge = d, true
		}
	case equalFoldASCII(name, "domain"):
		if value != "" {
			sc.domain = strings.ToLower(strings.TrimPrefix(value, "."))
		}
	case equalFoldASCII(name, "path"):
		sc.path = ""
		if strings.HasPrefix(value, "/") {
			sc.path = value
		}
	case equalFoldASCII(name, "secure"):
		sc.secure = true
	case equalFoldASCII(name, "httponly"):
		sc.httpOnly = true
	case equalFoldASCII(name, "partitioned"):
		sc.partitioned = true
	case equalFoldASCII(name, "samesite"):
		switch {
		case equalFoldASCII(value, "lax"):
			sc.sameSite = http.SameSiteLaxMode
		case equalFoldASCII(value, "strict"):
			sc.sameSite = http.SameSiteStrictMode
		case equalFoldASCII(value, "none"):
			sc.sameSite = http.SameSiteNoneMode
		default:
			sc.sameSite = http.SameSiteDefaultMode
		}
	}
}

// parseMaxAge reads "-"? DIGIT*, as far as it can be told from a huge number.
func parseMaxAge(value string) (time.Duration, bool) {
	digits := strings.TrimPrefix(value, "-")
	if digits == "" || strings.Trim(digits, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(value, 10, 64)
	switch {
	case digits != value:
		return 0, true
	case err != nil || n > int64(maxCookieAge/time.Second):
		return maxCookieAge, true
	}
	return time.Duration(n) * time.Second, true
}

// hasControl finds the characters for which RFC 6265bis drops the whole cookie:
// control characters other than the tab.
func hasControl(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return true
		}
	}
	return false
}

// equalFoldASCII is strings.EqualFold without the letters beyond ASCII that fold
// into it, such as "ſ".
func equalFoldASCII(a, b string) bool {
	return len(a) == len(b) && strings.EqualFold(a, b)
}

func trimBlank(s string) string { return strings.Trim(s, " \t") }

// parseCookieDate reads the value of Expires by the algorithm of RFC 6265 section
// 5.1.1, which takes nearly anything that has a time, a day, a month and a year.
func parseCookieDate(s string) (time.Time, bool) {
	const found = 1 << 8 // marks a field that is set
	var hour, minute, second, day, month, year int
	var hasTime bool
	for s != "" {
		i := 0
		for i < len(s) && isDateDelimiter(s[i]) {
			i++
		}
		s = s[i:]
		for i = 0; i < len(s) && !isDateDelimiter(s[i]); i++ {
		}
		token := s[:i]
		s = s[i:]
		if token == "" {
			break
		}
		if !hasTime {
			if h, m, sec, ok := parseDateTime(token); ok {
				hour, minute, second, hasTime = h, m, sec, true
				continue
			}
		}
		if day == 0 {
			if n, ok := leadingNumber(token, 1, 2); ok {
				day = n | found
				continue
			}
		}
		if month == 0 {
			if month = parseMonth(token); month != 0 {
				continue
			}
		}
		if year == 0 {
			if n, ok := leadingNumber(token, 2, 4); ok {
				year = n | found<<8
			}
		}
	}
	if !hasTime || day == 0 || month == 0 || year == 0 {
		return time.Time{}, false
	}
	day, year = day&^found, year&^(found<<8)
	switch {
	case year >= 70 && year <= 99:
		year += 1900
	case year <= 69:
		year += 2000
	}
	if year < 1601 || day < 1 || hour > 23 || minute > 59 || second > 59 {
		return time.Time{}, false
	}
	t := time.Date(year, time.Month(month), day, hour, minute, second, 0, time.UTC)
	return t, t.Day() == day
}

func isDateDelimiter(c byte) bool {
	return c == '\t' || ' ' <= c && c <= '/' || ';' <= c && c <= '@' || '[' <= c && c <= '`' || '{' <= c && c <= '~'
}

// parseDateTime reads h:m:s of one or two digits each, with anything after it
// that is not a digit.
func parseDateTime(token string) (h, m, s int, ok bool) {
	first, rest, ok1 := strings.Cut(token, ":")
	second, third, ok2 := strings.Cut(rest, ":")
	h, okH := shortNumber(first)
	m, okM := shortNumber(second)
	s, okS := leadingNumber(third, 1, 2)
	return h, m, s, ok1 && ok2 && okH && okM && okS
}

func shortNumber(s string) (int, bool) {
	if n, ok := leadingNumber(s, 1, 2); ok && strings.Trim(s, "0123456789") == "" {
		return n, true
	}
	return 0, false
}

// leadingNumber reads the digits that s starts with, which must be least to most.
func leadingNumber(s string, least, most int) (n int, ok bool) {
	i := 0
	for ; i < len(s) && '0' <= s[i] && s[i] <= '9'; i++ {
		if i == most {
			return 0, false
		}
		n = n*10 + int(s[i]-'0')
	}
	return n, i >= least
}

func parseMonth(token string) int {
	if len(token) < 3 {
		return 0
	}
	const months = "janfebmaraprmayjunjulaugsepoctnovdec"
	prefix := strings.ToLower(token[:3])
	if i := strings.Index(months, prefix); i >= 0 && i%3 == 0 {
		return i/3 + 1
	}
	return 0
}

// WrapJar makes a CookieJar of any [http.CookieJar], and returns jar itself if it
// is one. The jar gets its cookies parsed by [ParseSetCookie]; what it makes of
// names and values that its own rules forbid is up to it. Shared cookies are kept
// beside it.
func WrapJar(jar http.CookieJar) CookieJar {
	if j, ok := jar.(CookieJar); ok {
		return j
	}
	return &wrappedJar{jar: jar, shared: NewCookieJar(JarConfig{})}
}

type wrappedJar struct {
	jar    http.CookieJar
	shared *Jar
}

func (w *wrappedJar) SetCookies(u *url.URL, cookies []*http.Cookie) { w.jar.SetCookies(u, cookies) }

func (w *wrappedJar) Cookies(u *url.URL) []*http.Cookie {
	return append(w.jar.Cookies(u), w.shared.Cookies(u)...)
}

func (w *wrappedJar) SetShared(cookies ...*http.Cookie) { w.shared.SetShared(cookies...) }

func (w *wrappedJar) SetFromHeader(u *url.URL, lines []string) {
	cookies := make([]*http.Cookie, 0, len(lines))
	for _, line := range lines {
		if c, err := ParseSetCookie(line); err == nil {
			cookies = append(cookies, c)
		}
	}
	w.jar.SetCookies(u, cookies)
}

func (w *wrappedJar) AppendHeader(dst []byte, u *url.URL) []byte {
	start := len(dst)
	for _, c := range w.jar.Cookies(u) {
		dst = appendPair(dst, start, c.Name, rawValue(c))
	}
	if len(dst) == start {
		return w.shared.AppendHeader(dst, u)
	}
	mark := len(dst)
	dst = append(dst, "; "...)
	if dst = w.shared.AppendHeader(dst, u); len(dst) == mark+len("; ") {
		dst = dst[:mark]
	}
	return dst
}

// rawValue gives back the quotes that net/http takes off a value.
func rawValue(c *http.Cookie) string {
	if c.Quoted {
		return `"` + c.Value + `"`
	}
	return c.Value
}

// appendPair appends "name=value" to the field value that starts at dst[start].
func appendPair(dst []byte, start int, name, value string) []byte {
	if len(dst) > start {
		dst = append(dst, "; "...)
	}
	dst = append(dst, name...)
	dst = append(dst, '=')
	return append(dst, value...)
}
