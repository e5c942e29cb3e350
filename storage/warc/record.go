package warc

import (
	"crypto/sha1" // WARC tools expect it; it identifies and does not protect
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"fmt"
	"hash"
	"strconv"
	"time"
)

// Field is a named field of a record's header, or of a block of fields.
type Field struct {
	Name, Value string
}

const version = "WARC/1.1"

// startHead begins a record's header with what every record needs.
func startHead(dst []byte, kind, id string, date time.Time) []byte {
	dst = append(dst, version+"\r\n"...)
	dst = appendField(dst, "WARC-Type", kind)
	dst = appendField(dst, "WARC-Record-ID", id)
	return appendField(dst, "WARC-Date", formatDate(date))
}

func formatDate(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

// appendField appends a line, in which value cannot begin another.
func appendField(dst []byte, name, value string) []byte {
	dst = append(append(dst, name...), ": "...)
	for i := range len(value) {
		c := value[i]
		if c < ' ' || c == 0x7f {
			c = ' '
		}
		dst = append(dst, c)
	}
	return append(dst, "\r\n"...)
}

// uri returns url without characters that a URI cannot have in a header field.
func uri(url string) string {
	dirty := 0
	for i := range len(url) {
		if url[i] <= ' ' || url[i] == 0x7f {
			dirty++
		}
	}
	if dirty == 0 {
		return url
	}
	clean := make([]byte, 0, len(url)+2*dirty)
	for i := range len(url) {
		if c := url[i]; c <= ' ' || c == 0x7f {
			clean = fmt.Appendf(clean, "%%%02X", c)
		} else {
			clean = append(clean, c)
		}
	}
	return string(clean)
}

// hasher makes digests as the fields of a record have them.
type hasher struct {
	h     hash.Hash
	label string
}

func newHasher(strong bool) hasher {
	if strong {
		return hasher{sha256.New(), "sha256:"}
	}
	return hasher{sha1.New(), labelSHA1}
}

// digest is the labelled digest of parts together.
func (h hasher) digest(parts ...[]byte) string {
	h.h.Reset()
	for _, p := range parts {
		h.h.Write(p) // never fails
	}
	return h.sum()
}

func (h hasher) sum() string {
	var sum [sha256.Size]byte
	return h.label + base32.StdEncoding.EncodeToString(h.h.Sum(sum[:0]))
}

// recordID makes a version 5 UUID in the URL namespace of RFC 9562.
func recordID(kind, url string, date time.Time, serial uint64) string {
	namespace := [16]byte{0x6b, 0xa7, 0xb8, 0x11, 0x9d, 0xad, 0x11, 0xd1, 0x80, 0xb4, 0x00, 0xc0, 0x4f, 0xd4, 0x30, 0xc8}
	name := append(make([]byte, 0, 128+len(url)), namespace[:]...)
	name = append(append(append(name, kind...), ' '), url...)
	name = strconv.AppendInt(append(name, ' '), date.UnixNano(), 10)
	id := sha1.Sum(strconv.AppendUint(append(name, ' '), serial, 10))
	id[6] = id[6]&0x0f | 0x50
	id[8] = id[8]&0x3f | 0x80
	text := append(make([]byte, 0, 48), "<urn:uuid:"...)
	for i, end := range [...]int{4, 6, 8, 10, 16} {
		if i > 0 {
			text = append(text, '-')
		}
		text = hex.AppendEncode(text, id[[...]int{0, 4, 6, 8, 10}[i]:end])
	}
	return string(append(text, '>'))
}
