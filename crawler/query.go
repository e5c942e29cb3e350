package crawler

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/htmlindex"
)

// queryEncoder writes the queries of links as browsers do: in the encoding of the
// document if that is a legacy one, since that is what its server reads them in (WHATWG
// URL, "percent-encode after encoding"). All else of a URL is in UTF-8.
type queryEncoder struct {
	enc *encoding.Encoder
	out []byte
}

// newQueryEncoder returns nil for documents whose queries are in UTF-8, which those in
// UTF-16 belong to.
func newQueryEncoder(charset string) *queryEncoder {
	output := outputCharset(charset)
	if output == "utf-8" {
		return nil
	}
	enc, err := htmlindex.Get(output)
	if err != nil {
		return nil
	}
	return &queryEncoder{enc: enc.NewEncoder()}
}

// encode returns a reference, in UTF-8, with the query's characters beyond ASCII
// percent-encoded. It is valid until the next call; without such characters it is ref. A
// nil q changes nothing.
func (q *queryEncoder) encode(ref []byte) []byte {
	if q == nil {
		return ref
	}
	start := bytes.IndexAny(ref, "?#")
	if start < 0 || ref[start] == '#' {
		return ref
	}
	end := len(ref)
	if i := bytes.IndexByte(ref[start:], '#'); i >= 0 {
		end = start + i
	}
	query := ref[start:end]
	at := bytes.IndexFunc(query, beyondASCII)
	if at < 0 {
		return ref
	}
	q.out = append(q.out[:0], ref[:start]...)
	for ; at >= 0; at = bytes.IndexFunc(query, beyondASCII) {
		q.out = append(q.out, query[:at]...)
		query = query[at:]
		n := bytes.IndexFunc(query, func(r rune) bool { return !beyondASCII(r) })
		if n < 0 {
			n = len(query)
		}
		q.escape(query[:n])
		query = query[n:]
	}
	q.out = append(q.out, query...)
	q.out = append(q.out, ref[end:]...)
	return q.out
}

// escape appends text without ASCII.
func (q *queryEncoder) escape(text []byte) {
	if legacy, err := q.enc.Bytes(text); err == nil {
		q.escapeBytes(legacy)
		return
	}
	for _, r := range string(text) { // something has no place in the encoding
		if legacy, err := q.enc.String(string(r)); err == nil {
			q.escapeBytes([]byte(legacy))
		} else {
			q.out = fmt.Appendf(q.out, "%%26%%23%d%%3B", r)
		}
	}
}

func (q *queryEncoder) escapeBytes(legacy []byte) {
	const hex = "0123456789ABCDEF"
	for _, c := range legacy {
		if c > ' ' && c < 0x7f && strings.IndexByte("\"#<>'", c) < 0 {
			q.out = append(q.out, c)
		} else {
			q.out = append(q.out, '%', hex[c>>4], hex[c&15])
		}
	}
}

func beyondASCII(r rune) bool { return r >= utf8.RuneSelf }
