package httpclient

import (
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"golang.org/x/net/idna"
)

// target is where a request goes. The path and query are kept as they were given,
// save for bytes that HTTP cannot carry.
type target struct {
	url      string // scheme://host[:port]/path?query, as requested
	scheme   string // "http" or "https"
	host     string // lower-case ASCII, without brackets and trailing dot
	port     uint16
	hostport string // host[:port] for the Host field; the scheme's own port is left out
	path     string // request target in origin-form
	userinfo string // as written in the URL; may be empty though hasUser
	hasUser  bool
	fragment string // without #
}

// parseTarget reads an absolute http or https URL. Unless verbatim, it trims
// blanks, drops line breaks and tabs (as browsers do), and percent-encodes what is
// illegal in a path or query; verbatim refuses those instead.
func parseTarget(raw string, verbatim bool) (target, error) {
	var t target
	bad := func(reason string) (target, error) { return target{}, &URLError{URL: raw, Reason: reason} }
	s := raw
	if !verbatim {
		s = strings.TrimFunc(s, func(r rune) bool { return r <= ' ' })
		if strings.ContainsAny(s, "\t\r\n") {
			s = strings.NewReplacer("\t", "", "\r", "", "\n", "").Replace(s)
		}
	}
	s, t.fragment, _ = strings.Cut(s, "#")

	scheme, rest, found := strings.Cut(s, ":")
	switch {
	case !found || !isScheme(scheme):
		return bad("no scheme")
	case strings.EqualFold(scheme, "http"):
		t.scheme, t.port = "http", 80
	case strings.EqualFold(scheme, "https"):
		t.scheme, t.port = "https", 443
	default:
		return target{}, &URLError{URL: raw, Reason: "scheme " + strconv.Quote(scheme) + " is not http or https", NonHTTP: true}
	}
	rest, found = strings.CutPrefix(rest, "//")
	if !found {
		return bad("no host")
	}
	authority := rest
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		authority, t.path = rest[:i], rest[i:]
	} else {
		t.path = ""
	}
	hostport := authority
	if i := strings.LastIndexByte(authority, '@'); i >= 0 {
		t.userinfo, hostport, t.hasUser = authority[:i], authority[i+1:], true
	}
	if reason := t.setHost(hostport); reason != "" {
		return bad(reason)
	}
	path, ok := legalPath(t.path, verbatim)
	if !ok {
		return bad("illegal character in path or query")
	}
	t.path = path
	if t.isWritten(s) {
		t.url = s // share the caller's string
	} else {
		t.url = t.scheme + "://" + t.hostport + t.path
	}
	return t, nil
}

// isWritten reports whether s is the URL of t to the letter.
func (t *target) isWritten(s string) bool {
	rest, found := strings.CutPrefix(s, t.scheme)
	if !found {
		return false
	}
	if rest, found = strings.CutPrefix(rest, "://"); !found {
		return false
	}
	rest, found = strings.CutPrefix(rest, t.hostport)
	return found && rest == t.path
}

func isScheme(s string) bool {
	for i := range len(s) {
		c := s[i] | 0x20
		if !(c >= 'a' && c <= 'z' || i > 0 && (s[i] >= '0' && s[i] <= '9' || s[i] == '+' || s[i] == '-' || s[i] == '.')) {
			return false
		}
	}
	return s != ""
}

// setHost reads host[:port] and returns what is wrong with it, or "".
func (t *target) setHost(s string) (reason string) {
	host, port := s, ""
	if strings.HasPrefix(s, "[") {
		end := strings.IndexByte(s, ']')
		if end < 0 {
			return "missing ] in host"
		}
		host, port = s[1:end], s[end+1:]
		addr, err := netip.ParseAddr(host)
		if err != nil || !addr.Is6() || addr.Zone() != "" {
			return "invalid IPv6 address"
		}
		if host = addr.String(); port != "" && port[0] != ':' {
			return "invalid port"
		}
		port = strings.TrimPrefix(port, ":")
		t.host, t.hostport = host, "["+host+"]"
	} else {
		if i := strings.LastIndexByte(s, ':'); i >= 0 {
			host, port = s[:i], s[i+1:]
		}
		if host, reason = parseHost(host); reason != "" {
			return reason
		}
		t.host, t.hostport = host, host
	}
	if port == "" {
		return ""
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || port[0] == '+' {
		return "invalid port"
	}
	if uint16(n) == t.port {
		return ""
	}
	t.port = uint16(n)
	if written, found := strings.CutPrefix(s, t.hostport); found && len(written) == len(port)+1 && port[0] != '0' {
		t.hostport = s
	} else {
		t.hostport += ":" + strconv.Itoa(int(n))
	}
	return ""
}

// parseHost returns a registered name in lower-case ASCII without the dot at
// its end, or an IPv4 address, and else the reason why it is neither.
func parseHost(host string) (name, reason string) {
	if strings.IndexByte(host, '%') >= 0 {
		decoded, err := url.PathUnescape(host)
		if err != nil {
			return "", "invalid percent-encoding in host"
		}
		host = decoded
	}
	ascii, upper := true, false
	for i := range len(host) {
		switch c := host[i]; {
		case c >= 0x80:
			ascii = false
		case c >= 'A' && c <= 'Z':
			upper = true
		case noHostChars[c]:
			return "", "invalid character in host"
		}
	}
	if !ascii {
		var err error
		if host, err = idna.Lookup.ToASCII(host); err != nil {
			return "", "host is no internationalized name: " + err.Error()
		}
	} else if upper {
		host = strings.ToLower(host)
	}
	host = strings.TrimSuffix(host, ".")
	if host == "" || len(host) > 253 || strings.Contains(host, "..") || host[0] == '.' || host[len(host)-1] == '.' {
		return "", "no host"
	}
	if last := host[strings.LastIndexByte(host, '.')+1:]; last[0] >= '0' && last[0] <= '9' && isNumeric(last) {
		if _, err := netip.ParseAddr(host); err != nil {
			return "", "host is no IPv4 address in dotted decimal form"
		}
	}
	return host, ""
}

// noHostChars are the bytes of ASCII that no host has in a URL.
var noHostChars = func() (t [256]bool) {
	for c := range byte(' ' + 1) {
		t[c] = true
	}
	for _, c := range "\x7f\"#%/:<>?@[\\]^|`{}" {
		t[c] = true
	}
	return t
}()

// isNumeric reports whether a label would be taken for a number by inet_aton.
func isNumeric(label string) bool {
	if hex, ok := strings.CutPrefix(label, "0x"); ok {
		_, err := strconv.ParseUint("0"+hex, 16, 64)
		return err == nil
	}
	return strings.Trim(label, "0123456789") == ""
}

// legalPath returns path and query as an origin-form request target.
func legalPath(s string, verbatim bool) (string, bool) {
	illegal := 0
	for i := range len(s) {
		if isIllegal(s[i]) {
			illegal++
			if verbatim && (s[i] <= ' ' || s[i] == 0x7f) {
				return "", false
			}
		}
	}
	if s == "" || s[0] != '/' {
		s = "/" + s
	}
	if illegal == 0 || verbatim {
		return s, true
	}
	const hex = "0123456789ABCDEF"
	b := make([]byte, 0, len(s)+2*illegal)
	for i := range len(s) {
		if c := s[i]; isIllegal(c) {
			b = append(b, '%', hex[c>>4], hex[c&15])
		} else {
			b = append(b, c)
		}
	}
	return string(b), true
}

func isIllegal(c byte) bool { return c <= ' ' || c >= 0x7f }

// resolve returns the target that ref means when seen at t, RFC 3986 section 5.2.
// The bytes of ref are kept; dot segments are removed only where paths are merged.
func (t *target) resolve(ref string, verbatim bool) (target, error) {
	ref = strings.TrimFunc(ref, func(r rune) bool { return r <= ' ' })
	if scheme, _, found := strings.Cut(ref, ":"); found && isScheme(scheme) {
		return parseTarget(ref, verbatim)
	}
	origin := t.scheme + "://" + t.hostport
	path, query, _ := strings.Cut(t.path, "?")
	switch {
	case strings.HasPrefix(ref, "//"):
		return parseTarget(t.scheme+":"+ref, verbatim)
	case strings.HasPrefix(ref, "/"):
		return parseTarget(origin+ref, verbatim)
	case strings.HasPrefix(ref, "?"):
		return parseTarget(origin+path+ref, verbatim)
	case ref == "", strings.HasPrefix(ref, "#"):
		if query != "" {
			query = "?" + query
		}
		return parseTarget(origin+path+query+ref, verbatim)
	}
	end := len(ref)
	if i := strings.IndexAny(ref, "?#"); i >= 0 {
		end = i
	}
	merged := removeDotSegments(path[:strings.LastIndexByte(path, '/')+1] + ref[:end])
	return parseTarget(origin+merged+ref[end:], verbatim)
}

// removeDotSegments is RFC 3986 section 5.2.4 for an absolute path.
func removeDotSegments(path string) string {
	var out []string
	segments := strings.Split(path[1:], "/")
	for i, s := range segments {
		last := i == len(segments)-1
		switch s {
		case ".", "%2e", "%2E":
			if last {
				out = append(out, "")
			}
		case "..":
			if len(out) > 0 {
				out = out[:len(out)-1]
			}
			if last {
				out = append(out, "")
			}
		default:
			out = append(out, s)
		}
	}
	return "/" + strings.Join(out, "/")
}

// addQuery appends an encoded query to the one that is there.
func (t *target) addQuery(query string) error {
	if query == "" {
		return nil
	}
	sep := "?"
	if strings.IndexByte(t.path, '?') >= 0 {
		sep = "&"
		if strings.HasSuffix(t.path, "?") || strings.HasSuffix(t.path, "&") {
			sep = ""
		}
	}
	path, ok := legalPath(t.path+sep+query, false)
	if !ok {
		return &URLError{URL: t.url, Reason: "illegal character in query"}
	}
	t.path = path
	t.url = t.scheme + "://" + t.hostport + path
	return nil
}

// sameOrigin reports whether two targets have scheme, host and port in common.
func (t *target) sameOrigin(o *target) bool {
	return t.scheme == o.scheme && t.host == o.host && t.port == o.port
}

// toURL returns the target in the standard library's form. Path holds the decoded
// path if it can be decoded, and the bytes as they are otherwise.
func (t *target) toURL() *url.URL {
	path, query, _ := strings.Cut(t.path, "?")
	u := &url.URL{Scheme: t.scheme, Host: t.hostport, Path: path, RawPath: path, RawQuery: query, Fragment: t.fragment}
	if decoded, err := url.PathUnescape(path); err == nil {
		u.Path = decoded
	}
	return u
}

// credentials returns the user name and password in the URL.
func (t *target) credentials() (*BasicAuth, bool) {
	if !t.hasUser || t.userinfo == "" {
		return nil, false
	}
	user, password, _ := strings.Cut(t.userinfo, ":")
	return &BasicAuth{Login: unescapeOr(user), Password: unescapeOr(password), Charset: "utf-8"}, true
}

func unescapeOr(s string) string {
	if u, err := url.PathUnescape(s); err == nil {
		return u
	}
	return s
}
