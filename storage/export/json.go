package export

import (
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/orbweaver/orbweaver/storage"
)

// jsonWriter appends a record as a line of JSON.
type jsonWriter struct {
	fields []field
	names  [][]byte // of fields, as they begin: {"url": and ,"status":
}

func newJSONWriter(fields []field) *jsonWriter {
	w := &jsonWriter{fields: fields}
	for i, f := range fields {
		name := []byte{','}
		if i == 0 {
			name[0] = '{'
		}
		w.names = append(w.names, append(appendJSONString(name, f.name), ':'))
	}
	return w
}

func (w *jsonWriter) appendHeader(dst []byte) []byte { return dst }

func (w *jsonWriter) appendRecord(dst []byte, r *storage.Record) []byte {
	for i := range w.fields {
		dst = append(dst, w.names[i]...)
		switch f := &w.fields[i]; {
		case f.text != nil:
			dst = appendJSONString(dst, f.text(r))
		case f.raw != nil:
			dst = appendJSONString(dst, f.raw(r))
		case f.num != nil:
			dst = strconv.AppendInt(dst, f.num(r), 10)
		case f.flag != nil:
			dst = strconv.AppendBool(dst, f.flag(r))
		case f.time != nil:
			dst = append(dst, '"')
			dst = f.time(r).UTC().AppendFormat(dst, time.RFC3339Nano)
			dst = append(dst, '"')
		}
	}
	return append(dst, '}', '\n')
}

const hexDigits = "0123456789abcdef"

// appendJSONString appends s as encoding/json does when it does not escape for
// HTML.
func appendJSONString[T string | []byte](dst []byte, s T) []byte {
	dst = append(dst, '"')
	start := 0 // of what is not appended yet
	for i := 0; i < len(s); {
		if c := s[i]; c < utf8.RuneSelf {
			if c >= ' ' && c != '"' && c != '\\' {
				i++
				continue
			}
			dst = append(dst, s[start:i]...)
			dst = appendEscape(dst, c)
			i++
			start = i
			continue
		}
		r, size := utf8.DecodeRuneInString(string(s[i:min(i+utf8.UTFMax, len(s))]))
		switch {
		case r == utf8.RuneError && size == 1:
			dst = append(append(dst, s[start:i]...), `\ufffd`...)
			start = i + size
		case r == '\u2028' || r == '\u2029': // ends of lines in JavaScript
			dst = append(append(dst, s[start:i]...), `\u202`...)
			dst = append(dst, hexDigits[r&0xf])
			start = i + size
		}
		i += size
	}
	return append(append(dst, s[start:]...), '"')
}

// appendEscape appends the escape of an ASCII character that needs one.
func appendEscape(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\b':
		return append(dst, `\b`...)
	case '\f':
		return append(dst, `\f`...)
	case '\n':
		return append(dst, `\n`...)
	case '\r':
		return append(dst, `\r`...)
	case '\t':
		return append(dst, `\t`...)
	}
	return append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&0xf])
}
