package weburl

import (
	"math"
	"net/netip"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// Classes of the bytes of a host.
const (
	plainByte = 1 << iota // "-", "." and "_" and what follows
	upperByte             // "A" to "Z"
)

var hostClass = func() (t [256]uint8) {
	for c := range t {
		switch {
		case c >= 'A' && c <= 'Z':
			t[c] = plainByte | upperByte
		case unreserved[c] && c != '~':
			t[c] = plainByte
		}
	}
	return t
}()

// plainHost returns how many bytes at the beginning of s need nothing but lower case in a host, and whether they do.
func plainHost(s string) (n int, hasUpper bool) {
	var seen uint8
	for n < len(s) && hostClass[s[n]] != 0 {
		seen |= hostClass[s[n]]
		n++
	}
	return n, seen&upperByte != 0
}

// mayBeNumber tells whether the last label of a plain host begins with a digit, as that of any IPv4 address does.
func mayBeNumber(host string) bool {
	label := strings.LastIndexByte(host[:len(host)-1], '.') + 1 // but for a dot at the end
	return host[label] >= '0' && host[label] <= '9'
}

// isDottedQuad tells whether host is an IPv4 address as the URL Standard writes it.
func isDottedQuad(host string) bool {
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Is4()
}

func lower(b []byte) {
	for i, c := range b {
		if hostClass[c]&upperByte != 0 {
			b[i] = c | 0x20
		}
	}
}

// trimDot drops the dot at the end of the host that begins at start.
func trimDot(buf []byte, start int) []byte {
	if n := len(buf); n-start > 1 && buf[n-1] == '.' && buf[n-2] != '.' {
		return buf[:n-1]
	}
	return buf
}

// appendHost appends any host as the URL Standard's host parser writes it.
func appendHost(buf []byte, host string) (_ []byte, ok bool) {
	host, ok = parseHost(host)
	return append(buf, host...), ok
}

// maxIDNA is the length of the longest host name that goes through IDNA. The standard knows no limit, but the time that
// Punycode takes grows with the square of the length, and in the DNS no name has more than 253 bytes.
const maxIDNA = 512

// parseHost is the host parser of the URL Standard, for special schemes.
func parseHost(host string) (string, bool) {
	if strings.HasPrefix(host, "[") {
		return parseIPv6(host)
	}
	host = unescape(host)
	if isASCII(host) {
		host = strings.ToLower(host)
	} else if len(host) > maxIDNA {
		return "", false
	} else {
		var err error
		if host, err = profile.ToASCII(mapNewer(host)); err != nil || !utf8.ValidString(host) {
			return "", false
		}
	}
	if host == "" || strings.IndexFunc(host, forbidden) >= 0 {
		return "", false
	}
	if endsInNumber(host) {
		return parseIPv4(host)
	}
	return host, true
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// forbidden tells the forbidden domain code points.
func forbidden(r rune) bool {
	return r <= ' ' || r == 0x7F || strings.ContainsRune("#%/:<>?@[\\]^|", r)
}

// profile is "domain to ASCII" of the URL Standard, with beStrict false, for domains that are not ASCII already.
var profile = idna.New(
	idna.MapForLookup(),
	idna.Transitional(false),
	idna.BidiRule(),
	idna.CheckJoiners(true),
	idna.CheckHyphens(false),
	idna.StrictDomainName(false),
	idna.VerifyDNSLength(false),
)

// mapNewer maps the characters that UTS #46 of Unicode 16 and 17 maps or ignores, and Unicode 15, which package idna has for
// Go before 1.27, does not.
func mapNewer(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r < 0x04C0:
			return r
		case r == 0x04C0:
			return 0x04CF
		case r >= 0x10A0 && r <= 0x10C5:
			return r - 0x10A0 + 0x2D00
		case r == 0x1E9E:
			return 0x00DF
		case r == 0x2132:
			return 0x214E
		case r == 0x2183:
			return 0x2184
		case r == 0x2F868:
			return 0x36FC
		case r == 0x2F874:
			return 0x5F53
		case r == 0x2F91F:
			return 0x243AB
		case r == 0x2F95F:
			return 0x7AEE
		case r == 0x2F9BF:
			return 0x45D7
		case r == 0x115F, r == 0x1160, r == 0x17B4, r == 0x17B5, r == 0x180E, r >= 0x2061 && r <= 0x2063,
			r >= 0x206A && r <= 0x206F, r == 0x3164, r == 0xFFA0, r >= 0x1D173 && r <= 0x1D17A:
			return -1
		}
		return r
	}, s)
}

// parseIPv6 reads an IPv6 address in brackets.
func parseIPv6(host string) (string, bool) {
	if !strings.HasSuffix(host, "]") || strings.IndexByte(host, '%') >= 0 {
		return "", false
	}
	addr, err := netip.ParseAddr(host[1 : len(host)-1])
	if err != nil || !addr.Is6() {
		return "", false
	}
	text := addr.String()
	if addr.Is4In6() { // the URL Standard knows no dotted quads here
		b := addr.As16()
		text = "::ffff:" + hexPiece(b[12], b[13]) + ":" + hexPiece(b[14], b[15])
	}
	return "[" + text + "]", true
}

func hexPiece(hi, lo byte) string { return strconv.FormatUint(uint64(hi)<<8|uint64(lo), 16) }

// endsInNumber tells whether the last label of a domain is a number, which only an IPv4 address may have.
func endsInNumber(host string) bool {
	host = strings.TrimSuffix(host, ".")
	last := host[strings.LastIndexByte(host, '.')+1:]
	if last != "" && strings.Trim(last, "0123456789") == "" {
		return true
	}
	_, ok := parseIPv4Number(last)
	return ok
}

// parseIPv4 reads an IPv4 address in any of the ways the URL Standard allows, and writes it with four decimal numbers.
func parseIPv4(host string) (string, bool) {
	parts := strings.Split(strings.TrimSuffix(host, "."), ".")
	if len(parts) > 4 {
		return "", false
	}
	var addr uint64
	for i, part := range parts {
		n, ok := parseIPv4Number(part)
		if !ok {
			return "", false
		}
		most, shift := uint64(255), 8*(3-i)
		if i == len(parts)-1 {
			most, shift = 1<<(8*(4-i))-1, 0
		}
		if n > most {
			return "", false
		}
		addr |= n << shift
	}
	return netip.AddrFrom4([4]byte{byte(addr >> 24), byte(addr >> 16), byte(addr >> 8), byte(addr)}).String(), true
}

// parseIPv4Number reads a decimal, octal or hexadecimal number. One too large for anything is the largest there is.
func parseIPv4Number(s string) (uint64, bool) {
	if s == "" {
		return 0, false
	}
	base := 10
	switch {
	case strings.HasPrefix(s, "0x"): // hosts are in lower case by now
		s, base = s[2:], 16
	case len(s) > 1 && s[0] == '0':
		s, base = s[1:], 8
	}
	if s == "" {
		return 0, true
	}
	for i := range len(s) {
		if !isHex(s[i]) { // ParseUint would take a sign
			return 0, false
		}
	}
	n, err := strconv.ParseUint(s, base, 64)
	if err != nil && n == math.MaxUint64 {
		return n, true // out of range
	}
	return n, err == nil
}
