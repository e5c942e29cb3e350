package inflate

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/adler32"
	"hash/crc32"
	"io"
)

// What the wrappings of gzip and zlib add to the errors of [Append].
var (
	ErrHeader     = errors.New("inflate: invalid header")
	ErrChecksum   = errors.New("inflate: checksum or length does not match")
	ErrDictionary = errors.New("inflate: unknown preset dictionary")
)

// AppendGzip is [Append] for gzip: one member or several, each with its header, checksum and length checked. What
// follows a member and does not begin with a whole and valid header ends the stream, without an error.
func AppendGzip(dst, src []byte, limit int) (out []byte, n int, err error) {
	d := decoders.Get().(*decoder)
	defer d.release()
	head, err := gzipHeader(src)
	if err != nil {
		return dst, 0, err
	}
	out = dst
	left := limit
	for {
		start := len(out)
		var m int
		out, m, err = d.decode(out, src[n+head:], left, gzipSize(src[n:]))
		n += head + m
		if err != nil {
			return out, n, err
		}
		trailer := src[n:]
		if len(trailer) < gzipTrailer {
			return out, len(src), io.ErrUnexpectedEOF
		}
		n += gzipTrailer
		content := out[start:]
		if binary.LittleEndian.Uint32(trailer) != crc32.ChecksumIEEE(content) || binary.LittleEndian.Uint32(trailer[4:]) != uint32(len(content)) {
			return out, n, ErrChecksum
		}
		if head, err = gzipHeader(src[n:]); err != nil {
			return out, n, nil
		}
		if limit >= 0 {
			left = limit - (len(out) - len(dst))
		}
	}
}

const (
	gzipFixed   = 10      // bytes of the header that are always there
	gzipTrailer = 8       // bytes behind the stream: checksum and length
	gzipText    = 512     // most bytes of a name or a comment, with its end
	gzipHint    = 1 << 20 // the most that is made room for on the word of a trailer
)

// gzipSize is how much src is likely to decode to: what its last bytes say if that can be, as they are the length if
// there is nothing but one member.
func gzipSize(src []byte) int {
	if len(src) < gzipFixed+gzipTrailer {
		return 0
	}
	size := binary.LittleEndian.Uint32(src[len(src)-4:])
	if size > gzipHint || int(size) > 64*len(src) {
		return min(4*len(src), gzipHint)
	}
	return int(size)
}

// gzipHeader returns the length of the header that src begins with, RFC 1952 section 2.3.
func gzipHeader(src []byte) (int, error) {
	const (
		hasChecksum = 1 << (iota + 1)
		hasExtra
		hasName
		hasComment
		reserved = 7 << 5
	)
	if len(src) < gzipFixed {
		return 0, io.ErrUnexpectedEOF
	}
	if src[0] != 0x1f || src[1] != 0x8b || src[2] != 8 || src[3]&reserved != 0 {
		return 0, ErrHeader
	}
	flags, n := src[3], gzipFixed
	if flags&hasExtra != 0 {
		if len(src) < n+2 {
			return 0, io.ErrUnexpectedEOF
		}
		n += 2 + int(binary.LittleEndian.Uint16(src[n:]))
		if len(src) < n {
			return 0, io.ErrUnexpectedEOF
		}
	}
	for _, flag := range [...]byte{hasName, hasComment} {
		if flags&flag == 0 {
			continue
		}
		text := src[n:]
		end := bytes.IndexByte(text[:min(len(text), gzipText)], 0)
		switch {
		case end >= 0:
			n += end + 1
		case len(text) >= gzipText:
			return 0, ErrHeader
		default:
			return 0, io.ErrUnexpectedEOF
		}
	}
	if flags&hasChecksum != 0 {
		if len(src) < n+2 {
			return 0, io.ErrUnexpectedEOF
		}
		if binary.LittleEndian.Uint16(src[n:]) != uint16(crc32.ChecksumIEEE(src[:n])) {
			return 0, ErrHeader
		}
		n += 2
	}
	return n, nil
}

// AppendZlib is [Append] for zlib, with its header and checksum checked. A stream that asks for a preset dictionary is
// refused with ErrDictionary.
func AppendZlib(dst, src []byte, limit int) (out []byte, n int, err error) {
	const (
		header, trailer = 2, 4
		preset          = 1 << 5
	)
	if len(src) < header {
		return dst, len(src), io.ErrUnexpectedEOF
	}
	switch {
	case src[0]&15 != 8 || src[0]>>4 > 7 || binary.BigEndian.Uint16(src)%31 != 0:
		return dst, 0, ErrHeader
	case src[1]&preset != 0:
		return dst, 0, ErrDictionary
	}
	out, n, err = Append(dst, src[header:], limit)
	n += header
	switch {
	case err != nil:
	case len(src)-n < trailer:
		n, err = len(src), io.ErrUnexpectedEOF
	default:
		if binary.BigEndian.Uint32(src[n:]) != adler32.Checksum(out[len(dst):]) {
			err = ErrChecksum
		}
		n += trailer
	}
	return out, n, err
}
