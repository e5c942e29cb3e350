package weburl

import (
	"cmp"
	"strings"
	"unsafe"
)

// Parser reads URLs. The zero value is what the functions of the package use.
type Parser struct {
	MaxLength int   // of what is read and of what it becomes, in bytes; longer ones are TooLong. 0: 8,192
	Rules     Rules // applied to every URL. Zero: none
}

const defaultMaxLength = 8192

// Parse reads an absolute URL. The error is an *[Error]. The URL of a string that is canonical already shares its memory.
func Parse(raw string) (URL, error) { return Parser{}.Parse(raw) }

// Resolve reads a link on the page u: an absolute URL or one relative to u. The error is an *[Error]. The zero URL
// resolves absolute ones only. Resolve keeps nothing of ref.
func (u URL) Resolve(ref []byte) (URL, error) { return Parser{}.Resolve(u, ref) }

// ResolveString is Resolve for a string.
func (u URL) ResolveString(ref string) (URL, error) { return Parser{}.ResolveString(u, ref) }

// Parse is the function [Parse] by p.
func (p Parser) Parse(raw string) (URL, error) { return p.ResolveString(URL{}, raw) }

// Resolve is [URL.Resolve] by p.
func (p Parser) Resolve(base URL, ref []byte) (URL, error) {
	return p.resolve(base, view(ref), "")
}

// view is ref as a string, for as long as nobody writes to it.
func view(ref []byte) string { return unsafe.String(unsafe.SliceData(ref), len(ref)) }

// ResolveString is [URL.ResolveString] by p.
func (p Parser) ResolveString(base URL, ref string) (URL, error) { return p.resolve(base, ref, ref) }

// resolve reads ref. If that makes the string same, the URL shares its memory.
func (p Parser) resolve(base URL, ref, same string) (u URL, err error) {
	var stack [256]byte
	buf, o, reason := assemble(stack[:0], base, ref, cmp.Or(p.MaxLength, defaultMaxLength), false)
	switch {
	case reason != "":
		return URL{}, newError(ref, reason)
	case string(buf) == base.s:
		u = base
	case string(buf) == same:
		u = URL{same, o}
	default:
		u = URL{string(buf), o}
	}
	return p.Rules.Apply(u), nil
}

// assemble appends the URL that ref means on the page base to buf, which is empty. If exact it stops where the URL
// Standard does, and keeps the fragment. The reason is "" when all is well.
func assemble(buf []byte, base URL, ref string, maxLength int, exact bool) ([]byte, offsets, Reason) {
	ref = trim(ref)
	scheme, rest := cutScheme(ref)
	switch {
	case scheme == "" && base.s == "":
		return nil, offsets{}, NotAbsolute
	case scheme != "" && scheme != "http" && scheme != "https":
		return nil, offsets{}, UnsupportedScheme
	case len(ref) > maxLength:
		return nil, offsets{}, TooLong
	}
	rest, fragment, hasFragment := strings.Cut(rest, "#")

	var o offsets
	var reason Reason
	if base.s == "" || scheme != "" && (scheme != base.Scheme() || strings.HasPrefix(rest, "//")) {
		buf, o, reason = appendAuthority(buf, scheme, rest, exact)
	} else {
		buf, o, reason = appendRelative(buf, base, rest, exact)
	}
	if exact && hasFragment {
		buf = append(buf, '#')
		buf = appendEscaped(buf, fragment, &fragmentSet, exact)
	}
	if reason == "" && len(buf) > maxLength {
		reason = TooLong
	}
	return buf, o, reason
}

// trim drops control characters and spaces around s, and tabs and line ends inside.
func trim(s string) string {
	for s != "" && s[0] <= ' ' {
		s = s[1:]
	}
	for s != "" && s[len(s)-1] <= ' ' {
		s = s[:len(s)-1]
	}
	if strings.IndexByte(s, '\n') < 0 && strings.IndexByte(s, '\t') < 0 && strings.IndexByte(s, '\r') < 0 {
		return s
	}
	return strings.NewReplacer("\n", "", "\t", "", "\r", "").Replace(s)
}

// cutScheme splits s after its scheme. The scheme is "" if there is none, "http" or "https" if it is that in any case,
// and otherwise as it stands there.
func cutScheme(s string) (scheme, rest string) {
	switch {
	case s == "" || !isLetter(s[0]):
		return "", s
	case strings.HasPrefix(s, "https://"):
		return "https", s[len("https:"):]
	case strings.HasPrefix(s, "http://"):
		return "http", s[len("http:"):]
	}
	i := 1
	for i < len(s) && (isLetter(s[i]) || s[i] >= '0' && s[i] <= '9' || s[i] == '+' || s[i] == '-' || s[i] == '.') {
		i++
	}
	if i == len(s) || s[i] != ':' {
		return "", s
	}
	scheme, rest = s[:i], s[i+1:]
	switch {
	case strings.EqualFold(scheme, "https"):
		scheme = "https"
	case strings.EqualFold(scheme, "http"):
		scheme = "http"
	}
	return scheme, rest
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

func isSlash(c byte) bool { return c == '/' || c == '\\' }

// appendRelative appends the URL that s, which has neither scheme nor fragment, means on the page base.
func appendRelative(buf []byte, base URL, s string, exact bool) ([]byte, offsets, Reason) {
	o := base.offsets
	switch {
	case s == "":
		return append(buf, base.s...), o, ""
	case s[0] == '?':
		buf = append(buf, base.s[:o.query]...)
		return appendQuery(buf, s, exact), o, ""
	case !isSlash(s[0]):
		folder := strings.LastIndexByte(base.s[:o.query], '/') + 1
		buf = append(buf, base.s[:folder]...)
	case len(s) > 1 && isSlash(s[1]):
		return appendAuthority(buf, base.Scheme(), s, exact)
	default:
		buf = append(buf, base.s[:o.path]...)
		buf = append(buf, '/')
		s = s[1:]
	}
	buf, s = appendPath(buf, int(o.path), s, exact)
	o.query = uint32(len(buf))
	return appendQuery(buf, s, exact), o, ""
}

// appendAuthority appends a URL of which s is what follows the scheme and its colon.
func appendAuthority(buf []byte, scheme, s string, exact bool) (_ []byte, o offsets, _ Reason) {
	for s != "" && isSlash(s[0]) {
		s = s[1:]
	}
	buf = append(buf, scheme...)
	buf = append(buf, "://"...)

	end, hasUpper := plainHost(s)
	plain := end == len(s) || isSlash(s[end]) || s[end] == '?' // there is nothing but a host
	for !plain && end < len(s) && !isSlash(s[end]) && s[end] != '?' {
		end++
	}
	host, port := s[:end], ""
	if !plain {
		if at := strings.LastIndexByte(host, '@'); at >= 0 {
			buf = appendUser(buf, host[:at], exact)
			host = host[at+1:]
		}
		host, port = cutPort(host)
		var n int
		n, hasUpper = plainHost(host)
		plain = n == len(host)
	}
	if host == "" {
		return nil, o, NoHost
	}
	o.host = uint32(len(buf))
	var ok bool
	if plain && (!mayBeNumber(host) || isDottedQuad(host)) {
		buf = append(buf, host...)
		if hasUpper {
			lower(buf[o.host:])
		}
	} else if buf, ok = appendHost(buf, host); !ok {
		return nil, o, InvalidHost
	}
	if !exact {
		buf = trimDot(buf, int(o.host))
	}
	o.name = uint32(len(buf))
	if port != "" {
		if buf, ok = appendPort(buf, scheme, port); !ok {
			return nil, o, InvalidPort
		}
	}
	o.path = uint32(len(buf))
	buf = append(buf, '/')
	if s = s[end:]; s != "" && isSlash(s[0]) {
		s = s[1:]
	}
	buf, s = appendPath(buf, int(o.path), s, exact)
	o.query = uint32(len(buf))
	return appendQuery(buf, s, exact), o, ""
}

// appendUser appends user name and password with an "@", unless both are empty.
func appendUser(buf []byte, s string, exact bool) []byte {
	name, password, _ := strings.Cut(s, ":")
	if name == "" && password == "" {
		return buf
	}
	buf = appendEscaped(buf, name, &userSet, exact)
	if password != "" {
		buf = append(buf, ':')
		buf = appendEscaped(buf, password, &userSet, exact)
	}
	return append(buf, '@')
}

// cutPort splits s at its first colon that is not in the brackets of an IPv6 address.
func cutPort(s string) (host, port string) {
	from := 0
	if strings.HasPrefix(s, "[") {
		from = strings.IndexByte(s, ']') + 1
	}
	if i := strings.IndexByte(s[from:], ':'); i >= 0 && !(from == 0 && s[0] == '[') {
		return s[:from+i], s[from+i+1:]
	}
	return s, ""
}

// appendPort appends ":" and the port, unless it is the default of the scheme.
func appendPort(buf []byte, scheme, port string) (_ []byte, ok bool) {
	n := 0
	for i := range len(port) {
		if port[i] < '0' || port[i] > '9' {
			return nil, false
		}
		if n = n*10 + int(port[i]-'0'); n > 65535 {
			return nil, false
		}
	}
	if n == 80 && scheme == "http" || n == 443 && scheme == "https" {
		return buf, true
	}
	if port[0] == '0' {
		port = strings.TrimLeft(port[:len(port)-1], "0") + port[len(port)-1:]
	}
	buf = append(buf, ':')
	return append(buf, port...), true
}

// appendPath appends path segments up to the query, resolving dot segments. The path begins at start, and buf ends with the
// slash that the first segment follows. The rest of s is the query.
func appendPath(buf []byte, start int, s string, exact bool) (_ []byte, rest string) {
	for s != "" && s[0] == '.' {
		if strings.HasPrefix(s, "./") {
			s = s[len("./"):]
		} else if strings.HasPrefix(s, "../") {
			buf, s = toParent(buf, start), s[len("../"):]
		} else {
			break
		}
	}
	segment := len(buf)
	if i := plainPath(s); i == len(s) || s[i] == '?' {
		return append(buf, s[:i]...), s[i:]
	}
	for i := 0; ; {
		j := i
		for j < len(s) && s[j] != '/' && !pathSet[s[j]] {
			j++
		}
		buf = append(buf, s[i:j]...)
		i = j
		switch {
		case i == len(s) || s[i] == '?':
			return endSegment(buf, start, segment, false), s[i:]
		case isSlash(s[i]):
			buf = endSegment(buf, start, segment, true)
			segment = len(buf)
			i++
		default:
			var n int
			buf, n = appendByte(buf, s[i:], exact)
			i += n
		}
	}
}

// plainPath returns how many bytes at the beginning of s are of a path that can be copied as it is: all, usually.
func plainPath(s string) int {
	for i := range len(s) {
		if plainPathStops[s[i]] && (s[i] != '.' || i == 0 || s[i-1] == '/') {
			return i
		}
	}
	return len(s)
}

// endSegment ends the segment that begins at the given place: a "/" is appended if another follows, and "." and ".."
// are taken for what they mean.
func endSegment(buf []byte, start, segment int, another bool) []byte {
	switch dots(buf[segment:]) {
	case 1:
		return buf[:segment]
	case 2:
		return toParent(buf[:segment], start)
	default:
		if another {
			buf = append(buf, '/')
		}
		return buf
	}
}

// toParent drops the last segment of a path that ends with a slash, unless there is none.
func toParent(buf []byte, start int) []byte {
	for i := len(buf) - 2; i > start; i-- {
		if buf[i] == '/' {
			return buf[:i+1]
		}
	}
	return buf[:start+1]
}

// dots returns 1 for a single-dot segment, 2 for a double-dot segment, else 0.
func dots(segment []byte) int {
	if len(segment) == 0 || segment[0] != '.' && segment[0] != '%' || len(segment) > len("%2e%2e") {
		return 0
	}
	n := 0
	for len(segment) > 0 {
		switch {
		case segment[0] == '.':
			segment = segment[1:]
		case len(segment) >= 3 && segment[0] == '%' && segment[1] == '2' && segment[2]|0x20 == 'e':
			segment = segment[3:]
		default:
			return 0
		}
		n++
	}
	if n > 2 {
		return 0
	}
	return n
}

// appendQuery appends s, which is empty or begins with "?".
func appendQuery(buf []byte, s string, exact bool) []byte {
	if s == "" || s == "?" && !exact {
		return buf
	}
	buf = append(buf, '?')
	return appendEscaped(buf, s[1:], &querySet, exact)
}
