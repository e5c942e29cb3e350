package sitemap

import (
	"bufio"
	"bytes"
	"io"

	"github.com/klauspost/compress/gzip"
	"golang.org/x/net/html/charset"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// counter counts the bytes that come through it.
type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// limiter fails when more than the limits allow comes through it.
type limiter struct {
	counter
	limits Limits
	packed *counter // what is unpacked; nil if nothing is
}

func (l *limiter) Read(p []byte) (int, error) {
	const always = 1 << 20
	n, err := l.counter.Read(p)
	switch {
	case l.n > l.limits.Bytes:
		over := int(min(l.n-l.limits.Bytes, int64(n)))
		return n - over, &LimitError{"bytes", l.limits.Bytes}
	case l.packed != nil && l.n > always && l.n/l.limits.Ratio > l.packed.n:
		return 0, &LimitError{"ratio", l.limits.Ratio}
	}
	return n, err
}

// open unpacks r if it is gzipped, and decodes it to UTF-8.
func open(r io.Reader, limits Limits) (*bufio.Reader, error) {
	in := &counter{r: r}
	limited := &limiter{counter: counter{r: in}, limits: limits}
	packed := bufio.NewReader(in)
	if magic, _ := packed.Peek(2); bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		z, err := gzip.NewReader(packed)
		if err != nil {
			return nil, err
		}
		limited.r, limited.packed = z, in
	} else {
		limited.r = packed
	}
	return decode(bufio.NewReader(limited))
}

// decode decodes what has a byte order mark or an encoding declared; all else is taken for UTF-8.
func decode(r *bufio.Reader) (*bufio.Reader, error) {
	head, _ := r.Peek(256) // what there is; a read error comes again
	switch {
	case bytes.HasPrefix(head, []byte{0xEF, 0xBB, 0xBF}):
		if _, err := r.Discard(3); err != nil {
			return nil, err
		}
	case bytes.HasPrefix(head, []byte{0xFE, 0xFF}), bytes.HasPrefix(head, []byte{0xFF, 0xFE}):
		utf16 := unicode.UTF16(unicode.BigEndian, unicode.ExpectBOM)
		return bufio.NewReader(transform.NewReader(r, utf16.NewDecoder())), nil
	default:
		encoding, name := charset.Lookup(declaredEncoding(head))
		if encoding != nil && name != "utf-8" && name != "utf-16le" && name != "utf-16be" {
			return bufio.NewReader(transform.NewReader(r, encoding.NewDecoder())), nil
		}
	}
	return r, nil
}

// declaredEncoding returns the encoding that an XML declaration names; "" without.
func declaredEncoding(head []byte) string {
	head = bytes.TrimLeft(head, space)
	end := bytes.IndexByte(head, '>')
	if !bytes.HasPrefix(head, []byte("<?xml")) || end < 0 {
		return ""
	}
	_, value, _ := bytes.Cut(head[:end], []byte("encoding"))
	value = bytes.TrimLeft(value, space+"=")
	if len(value) == 0 || value[0] != '"' && value[0] != '\'' {
		return ""
	}
	name, _, _ := bytes.Cut(value[1:], value[:1])
	return string(name)
}
