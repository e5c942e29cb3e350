package httpclient

import (
	"net/http"
	"slices"
	"strings"
)

// Field is one header field.
type Field struct{ Name, Value string }

// HeaderList is a list of header fields that go out in this order and with these
// letters. Names are compared without regard to case. The zero value is empty.
type HeaderList []Field

// Get returns the first value of name, or "".
func (h HeaderList) Get(name string) string {
	for i := range h {
		if strings.EqualFold(h[i].Name, name) {
			return h[i].Value
		}
	}
	return ""
}

// Has reports whether there is a field of that name.
func (h HeaderList) Has(name string) bool {
	return slices.ContainsFunc(h, func(f Field) bool { return strings.EqualFold(f.Name, name) })
}

// Add appends a field.
func (h *HeaderList) Add(name, value string) { *h = append(*h, Field{name, value}) }

// Set replaces all fields of that name by one, in the place of the first.
func (h *HeaderList) Set(name, value string) {
	i := slices.IndexFunc(*h, func(f Field) bool { return strings.EqualFold(f.Name, name) })
	if i < 0 {
		h.Add(name, value)
		return
	}
	(*h)[i] = Field{name, value}
	rest := (*h)[i+1:]
	rest = slices.DeleteFunc(rest, func(f Field) bool { return strings.EqualFold(f.Name, name) })
	*h = (*h)[:i+1+len(rest)]
}

// Del removes all fields of that name.
func (h *HeaderList) Del(name string) {
	*h = slices.DeleteFunc(*h, func(f Field) bool { return strings.EqualFold(f.Name, name) })
}

// Header returns the list as an http.Header.
func (h HeaderList) Header() http.Header {
	m := make(http.Header, len(h))
	for _, f := range h {
		m.Add(f.Name, f.Value)
	}
	return m
}

// headerList returns the fields of m, names sorted.
func headerList(m http.Header) HeaderList {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	var list HeaderList
	for _, name := range names {
		for _, v := range m[name] {
			list.Add(name, v)
		}
	}
	return list
}

// validField reports whether a field can be sent as it is: the name is a token,
// and the value cannot end the line.
func validField(f Field) bool {
	return isToken(f.Name) && !strings.ContainsAny(f.Value, "\r\n\x00")
}

// isToken knows the tokens of RFC 9110 section 5.6.2.
func isToken(s string) bool {
	for i := range len(s) {
		if !tokenChars[s[i]] {
			return false
		}
	}
	return s != ""
}

// tokenChars tells which bytes may stand in a token.
var tokenChars = func() (t [256]bool) {
	for _, c := range "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz" {
		t[c] = true
	}
	return t
}()
