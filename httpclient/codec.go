package httpclient

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"sync"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"

	"github.com/orbweaver/orbweaver/internal/inflate"
)

// AcceptEncoding is the value of Accept-Encoding that names every content
// coding this package decodes.
const AcceptEncoding = "gzip, deflate, br, zstd"

// Limits of content decoding.
const (
	// DefaultDecodedSize is how many decoded bytes of one body are given when
	// no other limit is set.
	DefaultDecodedSize = 32 << 20

	// DefaultDecodeRatio is how many times the transferred size a body may
	// decode to, once it is over ratioFloor, when no other ratio is set. A page
	// of markup reaches 20, a body made to explode 1,000 and far more.
	DefaultDecodeRatio = 200

	ratioFloor  = 1 << 20  // decoded bytes below which the ratio is not looked at
	maxCodings  = 5        // codings stacked on one body
	zstdWindow  = 8 << 20  // RFC 9659: the most a sender may use with HTTP
	encodedRead = 16 << 10 // encoded bytes read at a time
)

// Why a body was not decoded to its end. They come wrapped in a *[DecodeError].
var (
	ErrDecodedSize = errors.New("decoded body exceeds the size limit")
	ErrDecodeRatio = errors.New("decoded body exceeds the ratio to its transferred size")
	ErrCodingStack = errors.New("too many content codings on one body")
)

// DecodeError tells that a body could not be decoded to its end. The bytes given
// before it are good. Errors of the reader below the decoder are not wrapped in it.
type DecodeError struct {
	Coding string // "gzip", "deflate", "br" or "zstd"; "" when no single coding is at fault
	Err    error  // ErrDecodedSize, ErrDecodeRatio, ErrCodingStack, io.ErrUnexpectedEOF, or the codec's own
}

func (e *DecodeError) Error() string {
	if e.Coding == "" {
		return "httpclient: decode: " + e.Err.Error()
	}
	return "httpclient: decode " + e.Coding + ": " + e.Err.Error()
}

func (e *DecodeError) Unwrap() error { return e.Err }

// decodeLimits bounds the decoding of one body. Zero fields mean the defaults,
// negative ones no limit.
type decodeLimits struct {
	Size  int64 // decoded bytes given
	Ratio int64 // decoded bytes for each transferred one
}

func (l decodeLimits) orDefaults() decodeLimits {
	return decodeLimits{Size: limitOr(l.Size, DefaultDecodedSize), Ratio: limitOr(l.Ratio, DefaultDecodeRatio)}
}

func limitOr(n, otherwise int64) int64 {
	switch {
	case n == 0:
		return otherwise
	case n < 0:
		return math.MaxInt64
	}
	return n
}

// Decode appends to dst the content of body, a stored body as it was
// transferred, undoing the codings that encoding lists (a Content-Encoding
// value, RFC 9110 section 8.4; "" for none). It gives at most limit bytes: 0
// means [DefaultDecodedSize], a negative limit none.
//
// A body that does not carry the coding it claims is appended as it is. When the
// body is damaged, cut or over a limit, what could be decoded is returned
// together with a *[DecodeError]. Decode may be called from many goroutines.
func Decode(dst, body []byte, encoding string, limit int64) ([]byte, error) {
	r := bytesReaders.Get().(*bytes.Reader)
	r.Reset(body)
	defer func() {
		r.Reset(nil)
		bytesReaders.Put(r)
	}()
	d, err := newDecoder(encoding, r, decodeLimits{Size: limit})
	if err != nil {
		return dst, err
	}
	defer d.Close()
	if d.inflates() {
		return d.appendWhole(dst, body, true)
	}
	for {
		if len(dst) == cap(dst) {
			dst = slices.Grow(dst, max(2*len(body), 512))
		}
		n, err := d.Read(dst[len(dst):cap(dst)])
		dst = dst[:len(dst)+n]
		if err == io.EOF {
			return dst, nil
		}
		if err != nil {
			return dst, err
		}
	}
}

var bytesReaders = sync.Pool{New: func() any { return new(bytes.Reader) }}

// coding is a content coding as registered with IANA.
type coding uint8

const (
	identity coding = iota
	gzipCoding
	deflateCoding
	brotliCoding
	zstdCoding
	unknownCoding
	codings // how many there are
)

func (c coding) String() string {
	return [...]string{"identity", "gzip", "deflate", "br", "zstd", "unknown", ""}[c]
}

func parseCoding(token string) coding {
	switch {
	case token == "", strings.EqualFold(token, "identity"), strings.EqualFold(token, "none"):
		return identity
	case strings.EqualFold(token, "gzip"), strings.EqualFold(token, "x-gzip"):
		return gzipCoding
	case strings.EqualFold(token, "deflate"), strings.EqualFold(token, "x-deflate"):
		return deflateCoding
	case strings.EqualFold(token, "br"):
		return brotliCoding
	case strings.EqualFold(token, "zstd"):
		return zstdCoding
	}
	return unknownCoding
}

// newDecoder returns a decoder that undoes the codings listed in encoding, last
// applied first, while it reads r. It reads nothing before the first Read, and
// takes its parts from pools: Close gives them back, and the decoder must not be
// used after it.
//
// An unknown coding ends the undoing: what lies below it is given as it is, and
// defects says so. More than five codings are refused with ErrCodingStack.
//
// The decoder may reach its end before r does (bytes after the coded body); who
// wants the connection back reads the rest of r.
func newDecoder(encoding string, r io.Reader, limit decodeLimits) (*decoder, error) {
	limit = limit.orDefaults()
	var top *decoder
	for rest, layers := encoding, 0; rest != ""; {
		var token string
		if i := strings.LastIndexByte(rest, ','); i >= 0 {
			rest, token = rest[:i], rest[i+1:]
		} else {
			rest, token = "", rest
		}
		c := parseCoding(strings.Trim(token, " \t\""))
		if c == identity {
			continue
		}
		if layers++; layers > maxCodings {
			top.Close()
			return nil, &DecodeError{Err: ErrCodingStack}
		}
		top = stackDecoder(c, r, top, limit)
		if c == unknownCoding {
			break
		}
	}
	if top == nil {
		top = stackDecoder(identity, r, nil, limit)
	}
	return top, nil
}

// decoderPools keep decoders with their tables and windows, one pool a coding.
var decoderPools [codings]sync.Pool

func stackDecoder(c coding, r io.Reader, below *decoder, limit decodeLimits) *decoder {
	d, _ := decoderPools[c].Get().(*decoder)
	if d == nil {
		d = &decoder{coding: c}
	}
	d.limit, d.below = limit, below
	if below != nil {
		d.in.r, d.in.wire = below, below.in.wire
	} else {
		d.in.r, d.in.wire = r, &d.in.n
	}
	return d
}

// decoder undoes one coding of what it reads from below.
type decoder struct {
	coding coding
	limit  decodeLimits
	in     encoded
	below  *decoder // whose output is in; nil for the lowest
	out    int64    // bytes given so far
	err    error    // what ended it

	engine engine
	br     *bufio.Reader // over in
	first  []byte        // what br held at the start: the way back when the label turns out wrong
	lead   []byte        // of first, still to be given raw

	mislabelled, trailing bool

	// Engines are made at first use and kept with the pooled decoder.
	gz   *gzip.Reader
	zl   io.ReadCloser
	fl   io.ReadCloser
	bro  *brotli.Reader
	brIn pieces // what bro reads
	zs   *zstd.Decoder
}

// engine says what is at work in a decoder.
type engine uint8

const (
	unstarted engine = iota
	rawEngine
	gzipEngine
	zlibEngine
	flateEngine
	brotliEngine
	zstdEngine
)

// encoded counts what is read, and keeps the error that ended it: nothing is read after.
type encoded struct {
	lead []byte // comes before r
	r    io.Reader
	n    int64
	wire *int64 // n of the lowest decoder: transferred bytes
	err  error
}

func (e *encoded) Read(p []byte) (int, error) {
	if e.err != nil {
		return 0, e.err
	}
	if len(e.lead) > 0 {
		n := copy(p, e.lead)
		e.lead = e.lead[n:]
		e.n += int64(n)
		return n, nil
	}
	n, err := e.r.Read(p)
	e.n += int64(n)
	e.err = err
	return n, err
}

// Read gives decoded bytes.
func (d *decoder) Read(p []byte) (int, error) {
	if d.err != nil {
		return 0, d.err
	}
	if len(p) == 0 {
		return 0, nil
	}
	if d.engine == unstarted {
		d.start()
	}
	left := d.limit.Size - d.out
	if left <= 0 {
		return 0, d.probe()
	}
	if int64(len(p)) > left {
		p = p[:left]
	}
	n, err := d.decode(p)
	d.out += int64(n)
	if err == nil && d.out > ratioFloor && d.out/d.limit.Ratio > *d.in.wire {
		err = &DecodeError{Coding: d.coding.String(), Err: ErrDecodeRatio}
	}
	d.err = err
	return n, err
}

// probe finds out, at the size limit, whether the body ends there or is cut.
func (d *decoder) probe() error {
	var one [1]byte
	for d.err == nil {
		n, err := d.decode(one[:])
		if n > 0 {
			err = &DecodeError{Coding: d.coding.String(), Err: ErrDecodedSize}
		}
		d.err = err
	}
	return d.err
}

// Close gives the decoder and those below back to their pools. A nil decoder is
// closed already.
func (d *decoder) Close() error {
	for d != nil {
		below := d.below
		if d.br != nil {
			d.br.Reset(nil)
		}
		if d.bro != nil {
			_ = d.bro.Reset(nil) // fails only for a reader
		}
		if d.zs != nil {
			_ = d.zs.Reset(nil)
		}
		*d = decoder{coding: d.coding, br: d.br, gz: d.gz, zl: d.zl, fl: d.fl, bro: d.bro, zs: d.zs}
		decoderPools[d.coding].Put(d)
		d = below
	}
	return nil
}

// defects lists what was wrong with the coding of the body though it could be
// read. It is complete at the end of the body, and nil for a sound one.
func (d *decoder) defects() []string {
	var list []string
	for ; d != nil; d = d.below {
		switch {
		case d.coding == unknownCoding:
			list = append(list, "content coding unknown: given as transferred")
		case d.mislabelled:
			list = append(list, fmt.Sprintf("content coding %v claimed but not applied: given as it came", d.coding))
		case d.trailing:
			list = append(list, fmt.Sprintf("content coding %v followed by other bytes: ignored", d.coding))
		}
	}
	return list
}

// start looks at the first bytes and chooses the engine that reads them.
func (d *decoder) start() {
	if d.coding == identity || d.coding == unknownCoding {
		d.engine = rawEngine
		return
	}
	if d.br == nil {
		d.br = bufio.NewReaderSize(&d.in, encodedRead)
	} else {
		d.br.Reset(&d.in)
	}
	magic, _ := d.br.Peek(4)
	d.first, _ = d.br.Peek(d.br.Buffered())
	if d.engine = sniff(d.coding, magic); d.engine == rawEngine {
		d.giveRaw()
		return
	}
	if err := d.reset(); err != nil {
		d.err = d.explain(err)
	}
}

// sniff returns the engine for a body that starts with the bytes magic (four, or
// all there are) and is labelled c.
func sniff(c coding, magic []byte) engine {
	switch c {
	case gzipCoding:
		if isGzip(magic) {
			return gzipEngine
		}
	case deflateCoding:
		switch {
		case isGzip(magic): // never valid deflate
			return gzipEngine
		case isZlib(magic):
			return zlibEngine
		case len(magic) > 0:
			return flateEngine
		}
	case brotliCoding:
		if len(magic) > 0 {
			return brotliEngine
		}
	case zstdCoding:
		if isZstd(magic) {
			return zstdEngine
		}
	}
	return rawEngine
}

func isGzip(b []byte) bool { return len(b) >= 2 && b[0] == 0x1f && b[1] == 0x8b }

// isZlib knows the header of RFC 1950: method 8, window at most 32 KiB, check bits.
func isZlib(b []byte) bool {
	return len(b) >= 2 && b[0]&0x0f == 8 && b[0]>>4 <= 7 && (uint(b[0])<<8|uint(b[1]))%31 == 0
}

// isZstd knows the magic numbers of frames and of skippable frames, RFC 8878 section 3.1.
func isZstd(b []byte) bool {
	if len(b) < 4 {
		return false
	}
	return (b[0] == 0x28 && b[1] == 0xb5 && b[2] == 0x2f && b[3] == 0xfd) ||
		(b[0]&0xf0 == 0x50 && b[1] == 0x2a && b[2] == 0x4d && b[3] == 0x18)
}

// giveRaw turns to handing out the encoded bytes from the first on.
func (d *decoder) giveRaw() {
	d.engine, d.lead = rawEngine, d.first
	d.mislabelled = len(d.first) > 0
}

// reset puts the chosen engine to the start of br, making it if there is none yet.
func (d *decoder) reset() (err error) {
	switch d.engine {
	case gzipEngine:
		if d.gz == nil {
			d.gz = new(gzip.Reader)
		}
		err = d.gz.Reset(d.br)
		d.gz.Multistream(false) // we look between the members ourselves
	case zlibEngine:
		if d.zl == nil {
			d.zl, err = zlib.NewReader(d.br)
		} else {
			err = d.zl.(zlib.Resetter).Reset(d.br, nil)
		}
	case flateEngine:
		if d.fl == nil {
			d.fl = flate.NewReader(d.br)
		} else {
			err = d.fl.(flate.Resetter).Reset(d.br, nil)
		}
	case brotliEngine:
		if d.bro == nil {
			d.bro = new(brotli.Reader)
		}
		d.brIn = pieces{r: d.br}
		err = d.bro.Reset(&d.brIn)
	case zstdEngine:
		if d.zs == nil {
			d.zs, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1),
				zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(zstdWindow))
			if err != nil {
				return err
			}
		}
		err = d.zs.Reset(d.br)
	}
	return err
}

// decode reads from the engine, and deals with the ends of members and with
// bodies that are not what they claim.
func (d *decoder) decode(p []byte) (int, error) {
	for d.err == nil {
		n, err := d.read(p)
		switch {
		case err == nil && n > 0:
			return n, nil
		case err == nil:
			continue
		case d.engine == rawEngine:
			return n, err
		case err == io.EOF:
			if err = d.endOfStream(); err == nil && n == 0 {
				continue
			}
			return n, err
		case d.endsEarly(err):
			return n, io.EOF
		case d.isMislabelled(n, err):
			d.giveRaw()
		default:
			return n, d.explain(err)
		}
	}
	return 0, d.err
}

func (d *decoder) read(p []byte) (int, error) {
	switch d.engine {
	case gzipEngine:
		return d.gz.Read(p)
	case zlibEngine:
		return d.zl.Read(p)
	case flateEngine:
		return d.fl.Read(p)
	case brotliEngine:
		return d.bro.Read(p)
	case zstdEngine:
		return d.zs.Read(p)
	}
	if len(d.lead) > 0 {
		n := copy(p, d.lead)
		d.lead = d.lead[n:]
		return n, nil
	}
	return d.in.Read(p)
}

// endOfStream looks at what follows a coded stream that ended well: nothing, a
// further gzip member (then it returns nil), or bytes that do not belong to it.
func (d *decoder) endOfStream() error {
	if d.engine == brotliEngine || d.engine == zstdEngine {
		return io.EOF // these report what follows by an error
	}
	next, _ := d.br.Peek(2)
	if d.engine == gzipEngine && isGzip(next) && d.reset() == nil {
		return nil
	}
	if d.belowFailed() {
		return d.in.err
	}
	d.trailing = len(next) > 0
	return io.EOF
}

// pieces remembers the length of the last piece read.
type pieces struct {
	r    io.Reader
	last int
}

func (p *pieces) Read(b []byte) (n int, err error) {
	p.last, err = p.r.Read(b)
	return p.last, err
}

// brotli.Reader has an unexported error for bytes after the last meta-block. It
// also gives it, wrongly, to a body that ends in a piece of a few bytes, which it
// takes in by way of a buffer of brotliTail bytes.
const (
	brotliExcess = "brotli: excessive input"
	brotliTail   = 8
)

// endsEarly reports whether err says only that other bytes follow the coded
// stream. Fewer than four bytes after a zstd frame are not told from a frame
// that was cut.
func (d *decoder) endsEarly(err error) bool {
	switch d.engine {
	case brotliEngine:
		if err.Error() != brotliExcess {
			return false
		}
		d.trailing = d.brIn.last > brotliTail
		if more, _ := d.br.Peek(1); len(more) > 0 {
			d.trailing = true
		}
		return true
	case zstdEngine:
		// The first frame's magic was seen at the start, so this is a later one's.
		d.trailing = errors.Is(err, zstd.ErrMagicMismatch)
		return d.trailing
	}
	return false
}

// isMislabelled decides, when decoding fails with n bytes in hand, whether the
// body never had the coding. Brotli and bare deflate have no magic number, so
// their engines are let loose on anything: a failure before the first byte went
// out, and while all that was read is still at hand, means the label was wrong.
func (d *decoder) isMislabelled(n int, err error) bool {
	switch d.engine {
	case zlibEngine, flateEngine, brotliEngine:
	default:
		return false
	}
	if d.out > 0 || d.in.n != int64(len(d.first)) || d.belowFailed() {
		return false
	}
	return deniesLabel(n, len(d.first), err)
}

// deniesLabel reports whether err, by which decoding a body of size bytes ended when it had given n, says that the body
// never had the coding. One whose checksum is read did, and what has none yields hardly anything.
func deniesLabel(n, size int, err error) bool {
	switch {
	case n == 0:
		return true
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, zlib.ErrChecksum), errors.Is(err, inflate.ErrChecksum):
		return false
	}
	return n <= size
}

func (d *decoder) belowFailed() bool { return d.in.err != nil && d.in.err != io.EOF }

// explain returns the error of the reader below if that is the cause, else err as
// a *DecodeError.
func (d *decoder) explain(err error) error {
	if d.belowFailed() {
		return d.in.err
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return &DecodeError{Coding: d.coding.String(), Err: err}
}
