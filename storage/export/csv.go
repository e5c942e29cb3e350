package export

import (
	"strconv"
	"strings"
	"time"

	"github.com/orbweaver/orbweaver/storage"
)

// csvWriter appends a record as a line of CSV.
type csvWriter struct {
	fields   []field
	verbatim bool
}

func (w *csvWriter) appendHeader(dst []byte) []byte {
	for i, f := range w.fields {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, f.name...)
	}
	return append(dst, '\r', '\n')
}

func (w *csvWriter) appendRecord(dst []byte, r *storage.Record) []byte {
	start := len(dst)
	for i := range w.fields {
		if i > 0 {
			dst = append(dst, ',')
		}
		switch f := &w.fields[i]; {
		case f.text != nil:
			dst = w.appendText(dst, f.text(r))
		case f.raw != nil:
			dst = w.appendText(dst, string(f.raw(r)))
		case f.num != nil:
			dst = strconv.AppendInt(dst, f.num(r), 10)
		case f.flag != nil:
			dst = strconv.AppendBool(dst, f.flag(r))
		case f.time != nil:
			dst = f.time(r).UTC().AppendFormat(dst, time.RFC3339Nano)
		}
	}
	if len(dst) == start {
		dst = append(dst, '"', '"') // else the line would be empty, and no record
	}
	return append(dst, '\r', '\n')
}

// appendText appends a cell of text that anybody may have chosen.
func (w *csvWriter) appendText(dst []byte, s string) []byte {
	s = strings.ToValidUTF8(s, "\uFFFD")
	guard := !w.verbatim && s != "" && strings.IndexByte("=+-@\t\r", s[0]) >= 0
	if !guard && !needsQuotes(s) {
		return append(dst, s...)
	}
	dst = append(dst, '"')
	if guard {
		dst = append(dst, '\'')
	}
	for {
		before, after, found := strings.Cut(s, `"`)
		dst = append(dst, before...)
		if !found {
			return append(dst, '"')
		}
		dst = append(dst, '"', '"')
		s = after
	}
}

// needsQuotes reports whether s would be read as something else without
// quotes. Some readers also trim spaces of cells without.
func needsQuotes(s string) bool {
	return strings.ContainsAny(s, "\",\r\n") || s != strings.TrimSpace(s)
}
