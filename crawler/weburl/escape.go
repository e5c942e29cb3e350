package weburl

import "strings"

// A set tells the bytes of a part of a URL that need a closer look from those that are copied.
type set [256]bool

func setOf(bytes string) (s set) {
	for c := range s {
		s[c] = c <= ' ' || c >= 0x7F || strings.IndexByte(bytes, byte(c)) >= 0
	}
	return s
}

// The percent-encode sets of the URL Standard for special schemes, and "%".
var (
	fragmentSet = setOf("%\"<>`")
	querySet    = setOf("%\"#<>'")
	pathSet     = setOf("%\"#<>?^`{}\\") // and the backslash, which is a slash there
	userSet     = setOf("%\"#<>?^`{}/:;=@[\\]|")

	plainPathStops = setOf("%\"#<>?^`{}\\.") // pathSet, and what dot segments begin with
)

// unreserved has the characters that mean the same encoded or not (RFC 3986, section 2.3).
var unreserved = func() (s set) {
	for c := range s {
		s[c] = c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c == '-' || c == '.' || c == '_' || c == '~'
	}
	return s
}()

// appendEscaped appends s, with the bytes in set percent-encoded and, unless exact, its escapes normalized.
func appendEscaped(buf []byte, s string, set *set, exact bool) []byte {
	for i := 0; i < len(s); {
		j := i
		for j < len(s) && !set[s[j]] {
			j++
		}
		buf = append(buf, s[i:j]...)
		if i = j; i < len(s) {
			var n int
			buf, n = appendByte(buf, s[i:], exact)
			i += n
		}
	}
	return buf
}

// appendByte appends the byte in a percent-encode set, or the escape, that s begins with. It tells how much of s that was.
func appendByte(buf []byte, s string, exact bool) ([]byte, int) {
	if s[0] != '%' {
		return appendOctet(buf, s[0]), 1
	}
	if exact {
		return append(buf, '%'), 1
	}
	c, ok := octet(s)
	switch {
	case !ok:
		return append(buf, '%'), 1
	case unreserved[c] && !(isHex(c) && endsInStray(buf)):
		return append(buf, c), 3
	default:
		return appendOctet(buf, c), 3
	}
}

// endsInStray tells whether buf ends in a percent sign that begins no escape, or one and a digit: a digit decoded after
// it would make it begin one.
func endsInStray(buf []byte) bool {
	n := len(buf)
	return buf[n-1] == '%' || n > 1 && buf[n-2] == '%'
}

func appendOctet(buf []byte, c byte) []byte {
	const digits = "0123456789ABCDEF"
	return append(buf, '%', digits[c>>4], digits[c&15])
}

// octet returns the byte that the escape at the beginning of s stands for.
func octet(s string) (c byte, ok bool) {
	if len(s) < 3 || s[0] != '%' || !isHex(s[1]) || !isHex(s[2]) {
		return 0, false
	}
	return unhex(s[1])<<4 | unhex(s[2]), true
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c&0xF + 9
}

// unescape decodes all escapes of s.
func unescape(s string) string {
	if strings.IndexByte(s, '%') < 0 {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if c, ok := octet(s[i:]); ok {
			b.WriteByte(c)
			i += 2
		} else {
			b.WriteByte(s[i])
		}
	}
	return b.String()
}
