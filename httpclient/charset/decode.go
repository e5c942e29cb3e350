package charset

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/transform"
)

// ErrUnknown is the error for labels that are not in the Encoding Standard.
var ErrUnknown = errors.New("charset: unknown encoding label")

// Lookup returns the canonical name of the encoding that label stands for. Case
// and white space around it do not matter. ok is false if the standard does not
// know the label.
func Lookup(label string) (name string, ok bool) {
	if equalFold(label, "utf-8") { // nearly every page
		return "utf-8", true
	}
	enc, err := lookup(label)
	if err != nil {
		return "", false
	}
	name, err = htmlindex.Name(enc)
	return name, err == nil
}

func lookup(label string) (encoding.Encoding, error) {
	enc, err := htmlindex.Get(strings.Trim(label, "\t\n\f\r "))
	if err != nil || !isASCII(label) { // the index folds and trims all of Unicode
		return nil, fmt.Errorf("%w: %.40q", ErrUnknown, label)
	}
	return enc, nil
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// Decode returns body in UTF-8, where name is the name or a label of its
// encoding. As in the Encoding Standard, a byte order mark at the start of body
// outranks name, and is left out. Bytes that mean nothing become U+FFFD.
//
// When body is in valid UTF-8 already, the result shares its memory, and nothing
// is allocated. The error is [ErrUnknown] or nil.
func Decode(body []byte, name string) ([]byte, error) {
	if bomName, n := bom(body); bomName != "" {
		name, body = bomName, body[n:]
	}
	if equalFold(name, "utf-8") && utf8.Valid(body) {
		return body, nil
	}
	enc, err := lookup(name)
	if err != nil {
		return nil, err
	}
	t := decoder(enc)
	if t, ok := t.(table); ok {
		return t.decode(body), nil
	}
	out, _, err := transform.Bytes(t, body)
	if err != nil { // no decoder of the index has one
		return nil, fmt.Errorf("charset: decode %s: %w", name, err)
	}
	return out, nil
}

// decoder returns what decodes enc as the Encoding Standard has it.
func decoder(enc encoding.Encoding) transform.Transformer {
	if enc == charmap.ISO8859_8I { // differs in the direction of text only
		enc = charmap.ISO8859_8
	}
	if t, ok := enc.(*charmap.Charmap); ok {
		return table{t, transform.NopResetter{}}
	}
	return enc.NewDecoder()
}

// table decodes a single-byte encoding. All of them have ASCII in their lower
// half, whose runs are copied whole.
type table struct {
	*charmap.Charmap
	transform.NopResetter
}

// rune returns the character of a byte above ASCII. Where a code page leaves a
// byte of the C1 range open, the Encoding Standard puts the control character.
func (t table) rune(c byte) rune {
	r := t.DecodeByte(c)
	if r == utf8.RuneError && c < 0xa0 {
		r = rune(c)
	}
	return r
}

func (t table) decode(body []byte) []byte {
	first := firstHigh(body)
	if first == len(body) {
		return body
	}
	high := 0
	for _, c := range body[first:] {
		high += int(c >> 7)
	}
	out := make([]byte, 0, len(body)+2*high)
	for len(body) > 0 {
		n := firstHigh(body)
		out = append(out, body[:n]...)
		body = body[n:]
		for len(body) > 0 && body[0] >= utf8.RuneSelf {
			out = utf8.AppendRune(out, t.rune(body[0]))
			body = body[1:]
		}
	}
	return out
}

// Transform is for a [Reader].
func (t table) Transform(dst, src []byte, _ bool) (nDst, nSrc int, err error) {
	for nSrc < len(src) {
		if n := copy(dst[nDst:], src[nSrc:nSrc+firstHigh(src[nSrc:])]); n > 0 {
			nDst, nSrc = nDst+n, nSrc+n
			continue
		}
		if len(dst)-nDst < utf8.UTFMax {
			return nDst, nSrc, transform.ErrShortDst
		}
		nDst += utf8.EncodeRune(dst[nDst:], t.rune(src[nSrc]))
		nSrc++
	}
	return nDst, nSrc, nil
}

// Reader gives in UTF-8 what it reads in an encoding that it finds out itself.
type Reader struct {
	contentType string
	br          *bufio.Reader
	out         io.Reader // set when the encoding is known
	ascii       int       // bytes at the head of br known to be ASCII
	name        string
	source      Source
	looked      bool // for a declaration
}

// readerLook is how many bytes a Reader has before it when it must guess.
const readerLook = 4 << 10

// NewReader returns a Reader of r, which was received with the given Content-Type
// ("" for none). Nothing is read before the first Read. The answer is that of
// [Sniff], except that a declaration must stand within the first 1024 bytes and a
// guess is made from the 4 KiB that follow the first byte that is not ASCII.
func NewReader(r io.Reader, contentType string) *Reader {
	return &Reader{contentType: contentType, br: bufio.NewReaderSize(r, readerLook)}
}

// NewReaderAs returns a reader that decodes r from the encoding that label stands
// for, or from the one that a byte order mark names. Its error is [ErrUnknown].
func NewReaderAs(r io.Reader, label string) (*Reader, error) {
	name, ok := Lookup(label)
	if !ok {
		return nil, fmt.Errorf("%w: %.40q", ErrUnknown, label)
	}
	return NewReader(r, "text/plain; charset="+name), nil
}

// Charset returns the canonical name of the encoding and how it was found. The
// name is "" while that is open: before the first Read, and as long as a page
// that declares nothing is ASCII alone.
func (r *Reader) Charset() (name string, source Source) { return r.name, r.source }

// Read gives UTF-8. Its errors are those of the reader below.
func (r *Reader) Read(p []byte) (int, error) {
	for r.out == nil {
		if n := min(r.ascii, len(p)); n > 0 || len(p) == 0 {
			r.ascii -= n
			return r.br.Read(p[:n])
		}
		if err := r.look(); err != nil {
			return 0, err
		}
	}
	return r.out.Read(p)
}

// look decides on the encoding, or finds more ASCII that can be given without.
func (r *Reader) look() error {
	head, err := r.br.Peek(1)
	if len(head) == 0 {
		return err
	}
	if !r.looked {
		r.looked = true
		head, _ = r.br.Peek(prescanLimit)
		if name, source, ok := declared(head, r.contentType); ok {
			return r.decide(name, source)
		}
	}
	head, _ = r.br.Peek(r.br.Buffered())
	if r.ascii = firstHigh(head); r.ascii > 0 {
		return nil
	}
	head, _ = r.br.Peek(readerLook)
	return r.decide(guess(head))
}

func (r *Reader) decide(name string, source Source) error {
	enc, err := lookup(name)
	if err != nil {
		return err
	}
	r.name, r.source = name, source
	if source == FromBOM {
		head, _ := r.br.Peek(3)
		_, n := bom(head)
		_, _ = r.br.Discard(n)
	}
	r.out = transform.NewReader(r.br, decoder(enc))
	return nil
}
