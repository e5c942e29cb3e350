package links

import (
	"bytes"
	"unicode/utf8"

	"golang.org/x/net/html" // for its table of names; the standard library's lacks two
)

// appendDecoded appends text to dst with its character references decoded and its NULs replaced, as the standard's
// section 13.2.5.72 and following demand. In an attribute's value a named reference without its semicolon is left
// alone where a query string may be meant ("?a=1&copy=2").
func appendDecoded(dst, text []byte, attribute bool) []byte {
	for {
		i := bytes.IndexByte(text, '&')
		if i < 0 {
			return appendWithoutNUL(dst, text)
		}
		dst = appendWithoutNUL(dst, text[:i])
		var n int
		dst, n = appendReference(dst, text[i:], attribute)
		text = text[i+n:]
	}
}

func appendWithoutNUL(dst, text []byte) []byte {
	for {
		i := bytes.IndexByte(text, 0)
		if i < 0 {
			return append(dst, text...)
		}
		dst = append(dst, text[:i]...)
		dst = utf8.AppendRune(dst, utf8.RuneError)
		text = text[i+1:]
	}
}

// appendReference appends what the reference at the begin of text stands for and returns how long the reference
// was. An "&" that begins none stands for itself.
func appendReference(dst, text []byte, attribute bool) ([]byte, int) {
	if len(text) > 1 && text[1] == '#' {
		return appendNumeric(dst, text)
	}
	end := 1
	for end < len(text) && (class[text[end]]&letter != 0 || isDigit(text[end])) {
		end++
	}
	name := text[1:end]
	semicolon := end < len(text) && text[end] == ';'
	if attribute && !semicolon && end < len(text) && text[end] == '=' {
		return append(dst, '&'), 1
	}
	if c, ok := basicReference(name); ok {
		if semicolon {
			end++
		}
		return append(dst, c), end
	}
	return appendNamed(dst, name, semicolon, attribute)
}

// basicReference knows the names that make up nearly all references in URLs.
func basicReference(name []byte) (byte, bool) {
	switch string(name) {
	case "amp", "AMP":
		return '&', true
	case "lt", "LT":
		return '<', true
	case "gt", "GT":
		return '>', true
	case "quot", "QUOT":
		return '"', true
	}
	return 0, false
}

// longestReference is more than the length of the longest name in the standard's table,
// CounterClockwiseContourIntegral.
const longestReference = 40

// appendNamed looks up the character of the given name.
func appendNamed(dst, name []byte, semicolon, attribute bool) ([]byte, int) {
	if len(name) < 2 || len(name) > longestReference && attribute {
		return append(dst, '&'), 1
	}
	head := name[:min(len(name), longestReference)] // In text, the begin of a longer name may be one.
	whole := len(head) == len(name)
	ref := "&" + string(head)
	if semicolon && whole {
		ref += ";"
	}
	text := html.UnescapeString(ref)
	if text == ref {
		return append(dst, '&'), 1
	}
	if attribute && !decodedWhole(text, string(name), semicolon) {
		return append(dst, '&'), 1
	}
	// Where only the begin of the name was a reference, text ends with what was left of it.
	dst = append(dst, text...)
	if semicolon && whole {
		return dst, 1 + len(head) + 1
	}
	return dst, 1 + len(head)
}

// decodedWhole reports whether text, made of a reference, holds nothing left over from its name.
func decodedWhole(text, name string, semicolon bool) bool {
	if semicolon {
		return name == "semi" || text[len(text)-1] != ';'
	}
	// Every name that may go without its semicolon stands for one character.
	return utf8.RuneCountInString(text) == 1
}

// appendNumeric decodes a reference that begins with "&#".
func appendNumeric(dst, text []byte) ([]byte, int) {
	i, base := 2, rune(10)
	if i < len(text) && text[i]|0x20 == 'x' {
		i, base = 3, 16
	}
	start, r := i, rune(0)
	for ; i < len(text); i++ {
		digit, ok := digitValue(text[i], base)
		if !ok {
			break
		}
		if r <= utf8.MaxRune {
			r = r*base + digit
		}
	}
	if i == start {
		return append(dst, '&'), 1
	}
	if i < len(text) && text[i] == ';' {
		i++
	}
	switch {
	case r == 0:
		r = utf8.RuneError
	case 0x80 <= r && r < 0xA0:
		r = windows1252[r-0x80]
	}
	return utf8.AppendRune(dst, r), i // which writes U+FFFD for surrogates and what is beyond Unicode
}

func digitValue(c byte, base rune) (rune, bool) {
	switch {
	case isDigit(c):
		return rune(c - '0'), true
	case base == 16 && 'a' <= c|0x20 && c|0x20 <= 'f':
		return rune(c|0x20-'a') + 10, true
	}
	return 0, false
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// windows1252 tells what numeric references to U+0080 to U+009F stand for.
var windows1252 = [32]rune{
	0x20AC, 0x81, 0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160, 0x2039, 0x0152, 0x8D, 0x017D, 0x8F,
	0x90, 0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0x9D, 0x017E, 0x0178,
}
