package links

import (
	"bytes"
	"unicode/utf8"
)

// PlainText finds the URLs that are written out in plain text, and calls yield with each until yield returns
// false. Such a URL begins with http:// or https:// behind anything but a letter or digit and extends to the next
// white space or character that a URL does not hold. Punctuation at its end, and a closing bracket that it does
// not open, belong to the sentence around it. URLs longer than [DefaultMaxURL] are passed over.
func PlainText(body []byte, yield func(Link) bool) {
	textURLs(body, func(url []byte) bool {
		return len(url) > DefaultMaxURL || yield(Link{URL: url, Kind: Text})
	})
}

// textURLs calls yield with the URLs in text and reports whether yield asked for all of them.
func textURLs(text []byte, yield func(url []byte) bool) bool {
	const mark = "://"
	for pos := 0; ; {
		n := bytes.Index(text[pos:], []byte(mark))
		if n < 0 {
			return true
		}
		at := pos + n
		pos = at + len(mark)
		start := schemeStart(text[:at])
		if start < 0 {
			continue
		}
		end := pos + urlLen(text[pos:])
		end = pos + len(withoutPunctuation(text[pos:end]))
		if end > pos {
			if !yield(text[start:end]) {
				return false
			}
			pos = end
		}
	}
}

// schemeStart returns where the scheme of a web URL begins that ends the text, and -1 when there is none.
func schemeStart(text []byte) int {
	for _, scheme := range []string{"https", "http"} {
		start := len(text) - len(scheme)
		if start < 0 || !equalFold(text[start:], scheme) {
			continue
		}
		if start > 0 && (class[text[start-1]]&letter != 0 || isDigit(text[start-1])) {
			return -1
		}
		return start
	}
	return -1
}

// urlLen returns how many bytes of text can belong to a URL.
func urlLen(text []byte) int {
	for i := 0; i < len(text); {
		c := text[i]
		if c < utf8.RuneSelf {
			if c <= ' ' || c == 0x7F || bytes.IndexByte([]byte("<>\"`{}|\\^"), c) >= 0 {
				return i
			}
			i++
			continue
		}
		r, n := utf8.DecodeRune(text[i:])
		switch r {
		case '\u00a0', '\u200b', '\u2028', '\u2029', '\u3000', '\ufeff', // spaces
			'«', '»', '“', '”', '„', '‘', '’', '。', '，', '、', '）', '」', '』', '】':
			return i
		}
		i += n
	}
	return len(text)
}

// withoutPunctuation takes the end of a sentence off a URL.
func withoutPunctuation(url []byte) []byte {
	// How many more brackets are closed than opened.
	parens := bytes.Count(url, []byte(")")) - bytes.Count(url, []byte("("))
	squares := bytes.Count(url, []byte("]")) - bytes.Count(url, []byte("["))
	for len(url) > 0 {
		last := len(url) - 1
		switch url[last] {
		case '.', ',', ';', ':', '!', '?', '\'', '*', '_', '~':
		case ')':
			if parens <= 0 {
				return url
			}
			parens--
		case ']':
			if squares <= 0 {
				return url
			}
			squares--
		default:
			return url
		}
		url = url[:last]
	}
	return url
}
