package links

import (
	"bytes"
	"unicode/utf8"
)

// CodeStrings finds the URLs in the strings of a script or of JSON and calls yield with each until yield returns false. It
// knows no grammar: a string is what stands between two quotes of a kind, without a line break unless they are
// backquotes, with the escapes that JSON and JavaScript share resolved. It is taken for a URL if it begins with
// http://, https://, // or, behind a slash, a letter, a digit or one of "-._~%", and holds only what a URL may. Strings
// longer than [DefaultMaxURL] are passed over.
func CodeStrings(body []byte, yield func(Link) bool) {
	codeURLs(body, new(arena), func(url []byte) bool { return yield(Link{URL: url, Kind: Code}) })
}

// codeURLs calls yield with the URLs in a script until yield returns false.
func codeURLs(body []byte, mem *arena, yield func(url []byte) bool) {
	for pos := 0; ; {
		n := bytes.IndexAny(body[pos:], "\"'`")
		if n < 0 {
			return
		}
		pos += n
		if pos > 0 && body[pos-1] == '\\' { // within a string whose begin was not seen
			pos++
			continue
		}
		text, escaped, ok := quotedString(body[pos:])
		if !ok { // an apostrophe, or the end of a string that began elsewhere
			pos++
			continue
		}
		pos += len(text) + 2
		if len(text) > DefaultMaxURL {
			continue
		}
		if escaped {
			text = mem.hold(len(text), func(dst []byte) []byte { return appendCodeUnescaped(dst, text) })
		}
		if isCodeURL(text) && !yield(text) {
			return
		}
	}
}

// quotedString returns what stands between the quote that b begins with and the next of its kind. When there is none,
// none of that kind follows before the line break either, so that all calls together take time linear in the body.
func quotedString(b []byte) (text []byte, escaped, ok bool) {
	quote := b[0]
	for i := 1; i < len(b); i++ {
		switch c := b[i]; {
		case c == quote:
			return b[1:i], escaped, true
		case c == '\\':
			escaped = true
			i++
		case (c == '\n' || c == '\r') && quote != '`':
			return nil, false, false
		}
	}
	return nil, false, false
}

// appendCodeUnescaped resolves \uXXXX and \xXX; of other escapes it keeps the character behind the backslash.
func appendCodeUnescaped(dst, text []byte) []byte {
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' || i+1 == len(text) {
			dst = append(dst, text[i])
			continue
		}
		i++
		digits := 0
		switch text[i] {
		case 'u':
			digits = 4
		case 'x':
			digits = 2
		}
		r, ok := hexNumber(text[i+1:], digits)
		if digits == 0 || !ok {
			dst = append(dst, text[i])
			continue
		}
		dst = utf8.AppendRune(dst, r)
		i += digits
	}
	return dst
}

func hexNumber(b []byte, digits int) (r rune, ok bool) {
	if len(b) < digits {
		return 0, false
	}
	for _, c := range b[:digits] {
		d, ok := digitValue(c, 16)
		if !ok {
			return 0, false
		}
		r = r*16 + d
	}
	return r, true
}

func isCodeURL(text []byte) bool {
	var rest []byte
	switch scheme := Scheme(text); {
	case equalFold(scheme, "http") || equalFold(scheme, "https"):
		rest = text[len(scheme)+1:]
		if !bytes.HasPrefix(rest, []byte("//")) {
			return false
		}
		rest = rest[2:]
	case bytes.HasPrefix(text, []byte("//")):
		rest = text[2:]
	case bytes.HasPrefix(text, []byte("/")):
		rest = text[1:]
	default:
		return false
	}
	if len(rest) == 0 || class[rest[0]]&letter == 0 && !isDigit(rest[0]) && bytes.IndexByte([]byte("-._~%["), rest[0]) < 0 && rest[0] < utf8.RuneSelf {
		return false
	}
	for _, c := range text {
		if c <= ' ' || c == 0x7F || bytes.IndexByte([]byte("<>\"'`{}|\\^$*"), c) >= 0 {
			return false
		}
	}
	return true
}
