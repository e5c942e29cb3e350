package httpclient

import (
	"bytes"
	"errors"
	"io"
	"math"
	"sync"

	"github.com/orbweaver/orbweaver/internal/inflate"
)

// Bodies in gzip and deflate that are wanted whole are gathered as they are transferred and decoded at once, which
// costs a third of decoding them piece by piece. One that turns out too long for that goes on as a stream.
const (
	maxWhole    = 1 << 20  // transferred bytes that are gathered
	wholeExcess = 64 << 10 // of them beyond the content that is wanted; a page hardly ever grows by its coding
	gatherRead  = 64 << 10 // room made on the word of a Content-Length
)

// wholeBuffers hold bodies as transferred while they are decoded.
var wholeBuffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// inflates reports whether all that d decodes can be given to appendWhole: nothing was read yet, and there is one
// coding, gzip or deflate.
func (d *decoder) inflates() bool {
	return d.below == nil && d.engine == unstarted && d.err == nil && (d.coding == gzipCoding || d.coding == deflateCoding)
}

// appendWhole appends what body decodes to, within the limits of d. complete says that nothing of body is missing. The
// error is a *DecodeError, or nil.
func (d *decoder) appendWhole(dst, body []byte, complete bool) ([]byte, error) {
	most, over := d.limit.Size, ErrDecodedSize
	if factor := int64(len(body)) + 1; d.limit.Ratio <= math.MaxInt64/factor {
		if n := max(ratioFloor, factor*d.limit.Ratio-1); n < most {
			most, over = n, ErrDecodeRatio
		}
	}
	limit := int(min(most, math.MaxInt))
	start := len(dst)
	var n int
	var err error
	switch engine := sniff(d.coding, body[:min(len(body), 4)]); engine {
	case gzipEngine:
		dst, n, err = inflate.AppendGzip(dst, body, limit)
	case zlibEngine:
		dst, n, err = inflate.AppendZlib(dst, body, limit)
	case flateEngine:
		dst, n, err = inflate.Append(dst, body, limit)
	default:
		return d.appendRaw(dst, body)
	}
	gave := len(dst) - start
	switch {
	case err == nil:
		d.trailing = n < len(body)
		return dst, nil
	case err == inflate.ErrLimit:
		err = over
	case !isGzip(body) && (complete || err != io.ErrUnexpectedEOF) && deniesLabel(gave, min(len(body), encodedRead), err):
		return d.appendRaw(dst[:start], body)
	}
	return dst, &DecodeError{Coding: d.coding.String(), Err: err}
}

// appendRaw appends a body that does not have the coding it is labelled with.
func (d *decoder) appendRaw(dst, body []byte) ([]byte, error) {
	d.mislabelled = len(body) > 0
	if d.limit.Size < int64(len(body)) {
		return append(dst, body[:d.limit.Size]...), &DecodeError{Coding: d.coding.String(), Err: ErrDecodedSize}
	}
	return append(dst, body...), nil
}

// appendWhole appends the content to dst, at most left bytes, decoding it at once. It reports false, and has appended
// nothing, if the body is too long for that, and has to be read as a stream from then on.
func (r *Response) appendWhole(dst []byte, left int64) ([]byte, bool, error) {
	s, d := &r.stream, r.stream.dec
	if s.begin() != nil {
		return dst, false, nil // reading says why
	}
	defer s.end()
	buf, kept := s.tee.(*bytes.Buffer)
	if !kept {
		buf = wholeBuffers.Get().(*bytes.Buffer)
		buf.Reset()
	}
	before := buf.Len()
	s.gather(buf, kept, int(min(maxWhole, max(left, left+wholeExcess))))
	body := buf.Bytes()[before:]
	if s.wireErr == nil {
		if kept {
			body = bytes.Clone(body) // its owner's buffer goes on being written
		}
		d.in.lead = body
		return dst, false, nil
	}
	d.limit.Size = left
	start := len(dst)
	dst, err := d.appendWhole(dst, body, s.wireErr == io.EOF)
	s.given += int64(len(dst) - start)
	if !kept {
		wholeBuffers.Put(buf)
	}
	switch {
	case err == nil:
		s.settle(io.EOF)
	case errors.Is(err, ErrDecodedSize):
		r.cut = true
		r.Release()
		return dst, true, nil
	case errors.Is(err, ErrDecodeRatio):
		s.wireErr = nil // as a stream it would not have been read to its end, however that looks
		s.settle(err)
	default:
		s.settle(err)
	}
	return dst, true, s.Err()
}

// gather reads the body as transferred into buf, up to its end or until there are most bytes of it. kept says that buf
// is RawBody, into which everything that is read goes anyway.
func (s *Stream) gather(buf *bytes.Buffer, kept bool, most int) {
	for left := most; s.wireErr == nil && left > 0; {
		room := inputSize
		if s.frame == byLength {
			room = int(min(s.left, gatherRead))
		}
		buf.Grow(room)
		p := buf.AvailableBuffer()
		p = p[:min(cap(p), left)]
		n, _ := s.readWire(p)
		if !kept {
			buf.Write(p[:n])
		}
		left -= n
	}
}
