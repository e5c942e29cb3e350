package robots

import "strings"

// What becomes of an octet in a pattern or a path. Zero: it stays.
const (
	encode     = 1 << iota // no URL has it as it is, or only some parts of one
	mark                   // "-._~": unreserved whoever writes it
	alnum                  // letter or digit
	pathEncode             // has a meaning in patterns, so a path writes it encoded
)

var class = func() (t [256]uint8) {
	for c := range t {
		switch {
		case c <= ' ' || c >= 0x7F || strings.IndexByte("\"'<>\\^`{|}", byte(c)) >= 0:
			t[c] = encode
		case c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z':
			t[c] = alnum
		case strings.IndexByte("-._~", byte(c)) >= 0:
			t[c] = mark
		case c == '*' || c == '$':
			t[c] = pathEncode
		}
	}
	return t
}()

// normalizePath gives a path and query the form in which it is compared. With alnums, letters and digits that it has
// percent-encoded are decoded.
func normalizePath(path string, alnums bool) string {
	n := normalizer{decode: mark, encode: encode | pathEncode}
	if alnums {
		n.decode |= alnum
	}
	return n.normalize(path)
}

// normalizePattern gives a rule's pattern the form in which it is compared: stars in a row become one, and a "$"
// before the end, which is an ordinary character, is encoded.
func normalizePattern(pattern string, allow bool) string {
	for strings.Contains(pattern, "**") {
		pattern = collapseStars(pattern)
	}
	pattern, anchored := strings.CutSuffix(pattern, "$")
	if strings.IndexByte(pattern, '$') >= 0 {
		pattern = strings.ReplaceAll(pattern, "$", "%24")
	}
	n := normalizer{decode: mark, encode: encode}
	if !allow {
		n.decode |= alnum
	}
	pattern = n.normalize(pattern)
	if anchored {
		pattern += "$"
	}
	return pattern
}

func collapseStars(s string) string {
	b := make([]byte, 0, len(s))
	for i := range len(s) {
		if s[i] != '*' || i == 0 || s[i-1] != '*' {
			b = append(b, s[i])
		}
	}
	return string(b)
}

type normalizer struct {
	decode uint8 // classes of which an encoded octet is decoded
	encode uint8 // classes of which an octet is encoded
}

// normalize returns s itself if nothing is to be done.
func (n normalizer) normalize(s string) string {
	for i := range len(s) {
		if s[i] == '%' && n.changes(s[i:]) || class[s[i]]&n.encode != 0 {
			return n.rewrite(s, i)
		}
	}
	return s
}

// changes tells whether the percent-encoded octet at the beginning of s is not written as it should be.
func (n normalizer) changes(s string) bool {
	c, ok := octet(s)
	return ok && (class[c]&n.decode != 0 || s[1] >= 'a' || s[2] >= 'a')
}

// rewrite normalizes s, of which the first i bytes are well.
func (n normalizer) rewrite(s string, i int) string {
	b := make([]byte, 0, len(s)+16)
	b = append(b, s[:i]...)
	for ; i < len(s); i++ {
		c, encoded := octet(s[i:])
		switch {
		case encoded && class[c]&n.decode != 0 && !completes(b, c):
			b = append(b, c)
		case encoded:
			b = appendEncoded(b, c)
		case class[s[i]]&n.encode != 0:
			b = appendEncoded(b, s[i])
		default:
			b = append(b, s[i])
		}
		if encoded {
			i += 2
		}
	}
	return string(b)
}

// completes tells whether c behind b, which ends with a "%" that begins no encoded octet, would make it begin one.
func completes(b []byte, c byte) bool {
	if _, ok := hexDigit(c); !ok {
		return false
	}
	n := len(b)
	if n >= 1 && b[n-1] == '%' {
		return true
	}
	if n < 2 || b[n-2] != '%' {
		return false
	}
	_, ok := hexDigit(b[n-1])
	return ok
}

// octet reads a percent-encoded octet at the beginning of s.
func octet(s string) (c byte, ok bool) {
	if len(s) < 3 || s[0] != '%' {
		return 0, false
	}
	hi, ok1 := hexDigit(s[1])
	lo, ok2 := hexDigit(s[2])
	return hi<<4 | lo, ok1 && ok2
}

func hexDigit(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10, true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	}
	return 0, false
}

func appendEncoded(b []byte, c byte) []byte {
	const digits = "0123456789ABCDEF"
	return append(b, '%', digits[c>>4], digits[c&15])
}
