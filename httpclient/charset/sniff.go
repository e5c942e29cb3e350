package charset

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// How far into a page a declaration counts: where it should stand, and where it
// still does, as in browsers, which start the page again when they meet one later.
const (
	prescanLimit = 1 << 10
	lateLimit    = 64 << 10
)

// Fallback is the encoding of pages that say nothing and are not UTF-8.
const Fallback = "windows-1252"

// Source tells how an encoding was found.
type Source uint8

// Sources, the surest first.
const (
	Undecided    Source = iota // not known yet; only a [Reader] says so
	FromBOM                    // byte order mark
	FromHeader                 // charset parameter of Content-Type
	FromMeta                   // meta element or XML declaration in the first 1024 bytes
	FromType                   // the content type has one encoding only (JSON)
	FromLateMeta               // meta element further on
	FromContent                // not ASCII alone, and valid UTF-8
	FromFallback               // nothing found: Fallback
)

func (s Source) String() string {
	return [...]string{"undecided", "bom", "header", "meta", "type", "late meta", "content", "fallback"}[s]
}

// Detect returns the canonical name of the encoding of body, a whole page or its
// beginning, received with the given Content-Type ("" for none). It is certain
// when a byte order mark or the header says so; see [Sniff] for the finer answer.
func Detect(body []byte, contentType string) (name string, certain bool) {
	name, source := Sniff(body, contentType)
	return name, source <= FromHeader
}

// Sniff returns the canonical name of the encoding of body and how it was found.
// Meta elements count in HTML, and in bodies whose contentType is empty or not a
// media type; XML declarations in these and in XML. A meta element beyond the first
// 1024 bytes outranks only the guesses, and counts within 64 KiB.
func Sniff(body []byte, contentType string) (name string, source Source) {
	if name, source, ok := declared(body, contentType); ok {
		return name, source
	}
	if len(body) > prescanLimit && kindOf(contentType) == html {
		if name := lateMetaEncoding(body[:min(len(body), lateLimit)]); name != "" {
			return name, FromLateMeta
		}
	}
	return guess(body)
}

// declared is the part of Sniff that needs only the beginning of the body.
func declared(body []byte, contentType string) (name string, source Source, ok bool) {
	if name, _ := bom(body); name != "" {
		return name, FromBOM, true
	}
	if name := FromContentType(contentType); name != "" {
		return name, FromHeader, true
	}
	head := body[:min(len(body), prescanLimit)]
	switch kindOf(contentType) {
	case html:
		name = prescan(head)
	case xml:
		name = xmlEncoding(head)
	case json:
		return "utf-8", FromType, true
	}
	return name, FromMeta, name != ""
}

// guess is the part of Sniff for a body that declares nothing.
func guess(body []byte) (name string, source Source) {
	if i := firstHigh(body); i < len(body) && utf8.Valid(wholeRunes(body[i:])) {
		return "utf-8", FromContent
	}
	return Fallback, FromFallback
}

// firstHigh returns the index of the first byte that is not ASCII, or len(b).
func firstHigh(b []byte) int {
	i := 0
	for ; i+8 <= len(b); i += 8 {
		if (b[i]|b[i+1]|b[i+2]|b[i+3]|b[i+4]|b[i+5]|b[i+6]|b[i+7])&0x80 != 0 {
			break
		}
	}
	for ; i < len(b); i++ {
		if b[i] >= utf8.RuneSelf {
			break
		}
	}
	return i
}

// wholeRunes leaves out a character that the end of b cuts, unless it is all
// there is.
func wholeRunes(b []byte) []byte {
	for i := len(b) - 1; i > 0 && i >= len(b)-utf8.UTFMax; i-- {
		if utf8.RuneStart(b[i]) {
			if !utf8.FullRune(b[i:]) {
				return b[:i]
			}
			break
		}
	}
	return b
}

// bom returns the encoding that a byte order mark stands for and its length.
func bom(b []byte) (name string, n int) {
	switch {
	case bytes.HasPrefix(b, []byte("\xef\xbb\xbf")):
		return "utf-8", 3
	case bytes.HasPrefix(b, []byte("\xff\xfe")):
		return "utf-16le", 2
	case bytes.HasPrefix(b, []byte("\xfe\xff")):
		return "utf-16be", 2
	}
	return "", 0
}

// kind says where a content type keeps its encoding.
type kind uint8

const (
	html kind = iota
	xml
	json
	other
)

func kindOf(contentType string) kind {
	mediaType, _, _ := strings.Cut(contentType, ";")
	mediaType = strings.ToLower(strings.TrimSpace(mediaType))
	switch {
	case mediaType == "text/html", mediaType == "application/xhtml+xml", !strings.Contains(mediaType, "/"):
		return html
	case strings.HasSuffix(mediaType, "/xml"), strings.HasSuffix(mediaType, "+xml"):
		return xml
	case strings.HasSuffix(mediaType, "/json"), strings.HasSuffix(mediaType, "+json"):
		return json
	}
	return other
}

// FromContentType returns the canonical name of the encoding that a Content-Type
// value names in its charset parameters: the first one that the standard knows,
// "" if none. It takes values that are not well formed, such as
// "text/html; charset=utf-8,charset=utf-8" or `text/html;charset="latin1`.
func FromContentType(contentType string) string {
	for s := contentType; ; {
		i := indexFold(s, "charset")
		if i < 0 {
			return ""
		}
		boundary := i > 0 && strings.IndexByte("; \t,", s[i-1]) >= 0
		s = s[i+len("charset"):]
		v := strings.TrimLeft(s, " \t")
		if !boundary || !strings.HasPrefix(v, "=") {
			continue
		}
		v = strings.TrimLeft(v[1:], " \t\"'")
		if end := strings.IndexAny(v, ";, \t\"'"); end >= 0 {
			v = v[:end]
		}
		if name, ok := Lookup(v); ok {
			return name
		}
	}
}

// indexFold finds lower, which is in lower case ASCII, in s whatever its case.
func indexFold(s, lower string) int {
	for i := 0; i+len(lower) <= len(s); i++ {
		if equalFold(s[i:i+len(lower)], lower) {
			return i
		}
	}
	return -1
}

// equalFold compares with lower, which is in lower case; only ASCII letters fold,
// unlike strings.EqualFold, to which "ſ" is an s.
func equalFold[S []byte | string](s S, lower string) bool {
	if len(s) != len(lower) {
		return false
	}
	for i := range len(lower) {
		if asciiLower(s[i]) != lower[i] {
			return false
		}
	}
	return true
}

func asciiLower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}
