package links

import "slices"

// How much memory an arena allocates at a time: little for a page that has an escape here and there, more when that was
// not enough.
const (
	arenaFirst = 1 << 10
	arenaNext  = 4 << 10
)

// An arena holds values that are not in the document as they are meant. What it has returned is never moved or
// overwritten. Its zero value is empty and ready.
type arena struct {
	free []byte // of length 0
}

// hold returns what fill appends to the slice that it is given, which is expected to be no more than size bytes.
func (a *arena) hold(size int, fill func(dst []byte) []byte) []byte {
	if cap(a.free) < size {
		usual := arenaFirst
		if a.free != nil {
			usual = arenaNext
		}
		a.free = make([]byte, 0, max(size, usual))
	}
	b := fill(a.free)
	a.free = b[len(b):]
	return b[:len(b):len(b)]
}

// decoded returns text with its character references decoded.
func (a *arena) decoded(text []byte, attribute bool) []byte {
	return a.hold(len(text)+len(text)/2, func(dst []byte) []byte { return appendDecoded(dst, text, attribute) })
}

// clean makes a URL of an attribute's value as written: see Link.URL.
func (a *arena) clean(value []byte) []byte {
	value = trim(value)
	for _, c := range value {
		if class[c]&odd != 0 {
			return a.unbroken(trim(a.decoded(value, true)))
		}
	}
	return value
}

// unbroken returns url without tabs and line breaks.
func (a *arena) unbroken(url []byte) []byte {
	if !slices.ContainsFunc(url, isBreak) {
		return url
	}
	return a.hold(len(url), func(dst []byte) []byte {
		for _, c := range url {
			if !isBreak(c) {
				dst = append(dst, c)
			}
		}
		return dst
	})
}

func isBreak(c byte) bool { return c == '\t' || c == '\n' || c == '\r' }

// collapsed returns text without white space around it and with single spaces within.
func (a *arena) collapsed(text []byte) []byte {
	text = trimSpace(text)
	if isCollapsed(text) {
		return text
	}
	return a.hold(len(text), func(dst []byte) []byte {
		for {
			var word []byte
			if word, text = cutSpace(text); len(word) == 0 {
				return dst
			}
			if len(dst) > 0 {
				dst = append(dst, ' ')
			}
			dst = append(dst, word...)
		}
	})
}

func isCollapsed(text []byte) bool {
	before := byte(0)
	for _, c := range text {
		if class[c]&space != 0 && (c != ' ' || before == ' ') {
			return false
		}
		before = c
	}
	return true
}

func trimSpace(b []byte) []byte {
	b = skipSpace(b)
	for len(b) > 0 && class[b[len(b)-1]]&space != 0 {
		b = b[:len(b)-1]
	}
	return b
}
