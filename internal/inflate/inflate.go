package inflate

import (
	"encoding/binary"
	"errors"
	"io"
	"math"
	"math/bits"
	"slices"
	"strconv"
	"sync"
)

// ErrLimit tells that the data decodes to more than the limit. As many bytes as it allows were appended.
var ErrLimit = errors.New("inflate: output exceeds the limit")

// CorruptError tells that the data breaks the rules of its format. It is the number of input bytes before the place,
// or a few more. What was decoded before it was appended.
type CorruptError int64

func (e CorruptError) Error() string {
	return "inflate: corrupt input before byte " + strconv.FormatInt(int64(e), 10)
}

// Append appends to dst what src decodes to, a deflate stream without wrapping, and returns the number of bytes of src
// that belong to the stream; others may follow it. At most limit bytes are appended; a negative limit is none.
//
// The error is nil, io.ErrUnexpectedEOF for a stream that is cut, a [CorruptError], or ErrLimit. Whatever it is, what
// could be decoded is appended, and n is how far the input was read.
//
// The capacity of dst is used, all of it, and grown as needed. A buffer that has 320 bytes more than the output is
// never grown.
func Append(dst, src []byte, limit int) (out []byte, n int, err error) {
	d := decoders.Get().(*decoder)
	out, n, err = d.decode(dst, src, limit, 4*len(src))
	d.release()
	return out, n, err
}

var decoders = sync.Pool{New: func() any { return new(decoder) }}

// slack is the room that the output must have left for a round of the fast loop: six literals, the longest match, and
// the bytes that are copied too many.
const slack = 320

// decoder decodes one stream. The bits taken from src up to pos and not used yet are the n lowest of b; higher ones
// are either zero or those that follow in src.
type decoder struct {
	src []byte
	pos int
	b   uint64
	n   uint

	dst   []byte // all of its capacity
	w     int    // where the output ends
	start int    // where it began: dst was not empty
	most  int    // where it must end

	lit   litTable
	dist  distTable
	code  codeTable
	lits  builder
	dists builder
}

// release gives d back to the pool, with its tables only.
func (d *decoder) release() {
	d.src, d.dst = nil, nil
	decoders.Put(d)
}

// decode decodes src, whose output is likely to have expected bytes.
func (d *decoder) decode(dst, src []byte, limit, expected int) ([]byte, int, error) {
	d.src, d.pos, d.b, d.n = src, 0, 0, 0
	d.start, d.w = len(dst), len(dst)
	d.most = math.MaxInt - slack
	if limit >= 0 && limit < d.most-d.start {
		d.most = d.start + limit
	}
	d.dst = dst[:cap(dst)]
	if expected = min(expected, d.most-d.start); cap(dst)-d.w < expected+slack {
		d.dst = slices.Grow(dst, expected+slack)
		d.dst = d.dst[:cap(d.dst)]
	}
	err := d.blocks()
	if d.w > d.most {
		d.w, err = d.most, ErrLimit
	}
	return d.dst[:d.w], d.pos - int(d.n/8), err
}

// grow makes room for the fast loop. It does not copy more than twice what came out in all.
func (d *decoder) grow() {
	d.dst = slices.Grow(d.dst[:d.w], min(max(d.w-d.start, slack), d.most-min(d.w, d.most))+slack)
	d.dst = d.dst[:cap(d.dst)]
}

func (d *decoder) corrupt() error { return CorruptError(d.pos - int(d.n/8)) }

// refill gets as many bits as there is room for: at least 56, but at the end of src.
func (d *decoder) refill() {
	if d.pos <= len(d.src)-8 {
		d.b |= binary.LittleEndian.Uint64(d.src[d.pos:]) << (d.n & 63)
		d.pos += int((63 - d.n) >> 3)
		d.n |= 56
		return
	}
	for d.n <= 56 && d.pos < len(d.src) {
		d.b |= uint64(d.src[d.pos]) << d.n
		d.pos++
		d.n += 8
	}
}

// take takes n bits, at most 16, and reports whether src has them.
func (d *decoder) take(n uint) (v uint, ok bool) {
	if d.n < n {
		if d.refill(); d.n < n {
			return 0, false
		}
	}
	v = uint(d.b) & (1<<n - 1)
	d.b >>= n
	d.n -= n
	return v, true
}

// The types of blocks, RFC 1951 section 3.2.3.
const (
	storedBlock = iota
	fixedBlock
	dynamicBlock
)

// blocks decodes all blocks of the stream.
func (d *decoder) blocks() error {
	for last := false; !last; {
		head, ok := d.take(3)
		if !ok {
			return io.ErrUnexpectedEOF
		}
		last = head&1 != 0
		var err error
		switch head >> 1 {
		case storedBlock:
			err = d.stored()
		case fixedBlock:
			fixed := fixedTables()
			err = d.compressed(&fixed.lit, &fixed.dist)
		case dynamicBlock:
			if err = d.readTables(); err == nil {
				err = d.compressed(&d.lit, &d.dist)
			}
		default:
			err = d.corrupt()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// stored copies a block that is not compressed.
func (d *decoder) stored() error {
	d.pos -= int(d.n / 8) // what is left of a byte is padding
	d.b, d.n = 0, 0
	in := d.src[d.pos:]
	if len(in) < 4 {
		d.pos = len(d.src)
		return io.ErrUnexpectedEOF
	}
	size := int(binary.LittleEndian.Uint16(in))
	if size != int(^binary.LittleEndian.Uint16(in[2:])) {
		return d.corrupt()
	}
	in = in[4:]
	n := min(size, len(in), d.most-min(d.w, d.most)+1) // a byte too much tells that there is more
	d.dst = append(d.dst[:d.w], in[:n]...)
	d.dst = d.dst[:cap(d.dst)]
	d.w += n
	d.pos += 4 + n
	switch {
	case d.w > d.most:
		return ErrLimit
	case n < size:
		return io.ErrUnexpectedEOF
	}
	return nil
}

// compressed decodes a block's symbols.
func (d *decoder) compressed(lit *litTable, dist *distTable) error {
	for {
		switch d.fast(lit, dist) {
		case blockEnds:
			return nil
		case blockCorrupt:
			return d.corrupt()
		}
		if d.w > d.most {
			return ErrLimit
		}
		if d.w > len(d.dst)-slack {
			d.grow()
		}
		if d.pos <= len(d.src)-lookahead {
			continue
		}
		if ended, err := d.symbol(lit, dist); ended || err != nil {
			return err
		}
	}
}

// What the fast loop ends with.
const (
	blockGoesOn = iota // room is short, in the input or the output
	blockEnds
	blockCorrupt
)

// lookahead is how much of the input a round of the fast loop may read: twice eight bytes, of which the second begin
// at most seven behind the first.
const lookahead = 16

// fast decodes symbols as long as there is room for a whole round: up to three entries of literals, or two and a match.
//
// A refill gives 56 bits at least. Two entries of literals take 22 of them (those from the second level of the table
// end the round), a length at most 20. The 28 that a distance may need are looked after in between.
//
// Each step waits for the entry of the one before: whole entries are subtracted from n, whose bits above the 6 lowest
// are noise until the end, and input, output and matches are cut to slices whose lengths the compiler knows.
func (d *decoder) fast(lit *litTable, dist *distTable) int {
	in, dst, w := d.src[d.pos:], d.dst, d.w
	b, n := d.b, d.n
	end := min(len(dst)-slack, d.most)
	state := blockGoesOn
round:
	for len(in) >= lookahead && w <= end {
		b |= binary.LittleEndian.Uint64(in) << (n & 63)
		in = in[^n>>3&7:]
		n |= 56

		e := lit[b&(1<<litBits-1)]
		if e&literal != 0 {
			b >>= e & 63
			n -= uint(e)
			dst[w], dst[w+1] = byte(e>>16), byte(e>>24)
			w += int(1 + e>>6&1)
			e = lit[b&(1<<litBits-1)]
			if e&literal != 0 {
				b >>= e & 63
				n -= uint(e)
				dst[w], dst[w+1] = byte(e>>16), byte(e>>24)
				w += int(1 + e>>6&1)
				e = lit[b&(1<<litBits-1)]
				if e&literal != 0 {
					b >>= e & 63
					n -= uint(e)
					dst[w], dst[w+1] = byte(e>>16), byte(e>>24)
					w += int(1 + e>>6&1)
					continue
				}
			}
		}
		if e&special != 0 {
			if e&deeper != 0 {
				b >>= litBits
				n -= litBits
				e = lit[(e>>16+uint32(b)&(1<<(e>>8&63)-1))&(litSize-1)]
			}
			if e&literal != 0 {
				b >>= e & 63
				n -= uint(e)
				dst[w] = byte(e >> 16)
				w++
				continue
			}
			if e&special != 0 {
				b >>= e & 63
				n -= uint(e)
				state = blockCorrupt
				if e&endOfBlock != 0 {
					state = blockEnds
				}
				break
			}
		}
		length := int(e>>16) + int(b&(1<<(e&63)-1)>>(e>>8&63))
		b >>= e & 63
		n -= uint(e)

		if n&63 < 28 {
			b |= binary.LittleEndian.Uint64(in) << (n & 63)
			in = in[^n>>3&7:]
			n |= 56
		}
		e = dist[b&(1<<distBits-1)]
		if e&special != 0 {
			if e&deeper != 0 {
				b >>= distBits
				n -= distBits
				e = dist[(e>>16+uint32(b)&(1<<(e>>8&63)-1))&(distSize-1)]
			}
			if e&special != 0 {
				state = blockCorrupt
				break
			}
		}
		distance := int(e>>16) + int(b&(1<<(e&63)-1)>>(e>>8&63))
		b >>= e & 63
		n -= uint(e)

		from := w - distance
		if from < d.start {
			state = blockCorrupt
			break round
		}
		// The bytes beyond the match are written again by what follows it.
		to := w + length
		switch {
		case length > 32:
			for w < to { // twice as much each time
				w += copy(dst[w:to], dst[from:w])
			}
		case distance >= 8:
			out, at := dst[w:w+16:w+16], dst[from:from+16:from+16]
			binary.LittleEndian.PutUint64(out, binary.LittleEndian.Uint64(at))
			binary.LittleEndian.PutUint64(out[8:], binary.LittleEndian.Uint64(at[8:]))
			for w += 16; w < to; w += 8 {
				binary.LittleEndian.PutUint64(dst[w:w+8:w+8], binary.LittleEndian.Uint64(dst[w-distance:w-distance+8:w-distance+8]))
			}
		case distance == 1:
			for run := uint64(dst[from]) * 0x0101010101010101; w < to; w += 8 {
				binary.LittleEndian.PutUint64(dst[w:], run)
			}
		default:
			for ; w < to; w++ {
				dst[w] = dst[w-distance]
			}
		}
		w = to
	}
	d.pos, d.w, d.b, d.n = len(d.src)-len(in), w, b, n&63
	return state
}

// symbol decodes one symbol, a match included, anywhere in the input. The output has room for it.
func (d *decoder) symbol(lit *litTable, dist *distTable) (ended bool, err error) {
	d.refill()
	e := lit[d.b&(1<<litBits-1)]
	if e&deeper != 0 {
		if d.n < litBits {
			return false, d.cut()
		}
		d.b >>= litBits
		d.n -= litBits
		e = lit[(e>>16+uint32(d.b)&(1<<(e>>8&63)-1))&(litSize-1)]
	}
	if e&literal != 0 {
		n := uint(e >> 8 & 63) // of a pair the first only, as the second may not be there
		if d.n < n {
			return false, d.cut()
		}
		d.dst[d.w] = byte(e >> 16)
		d.w++
		d.b >>= n
		d.n -= n
		return false, nil
	}
	if d.n < uint(e&63) {
		return false, d.cut()
	}
	length := int(e>>16) + int(d.b&(1<<(e&63)-1)>>(e>>8&63))
	d.b >>= e & 63
	d.n -= uint(e & 63)
	switch {
	case e&special != 0 && e&endOfBlock != 0:
		return true, nil
	case e&special != 0:
		return false, d.corrupt()
	}
	d.refill()
	e = dist[d.b&(1<<distBits-1)]
	if e&deeper != 0 {
		if d.n < distBits {
			return false, d.cut()
		}
		d.b >>= distBits
		d.n -= distBits
		e = dist[(e>>16+uint32(d.b)&(1<<(e>>8&63)-1))&(distSize-1)]
	}
	switch {
	case d.n < uint(e&63):
		return false, d.cut()
	case e&special != 0:
		return false, d.corrupt()
	}
	distance := int(e>>16) + int(d.b&(1<<(e&63)-1)>>(e>>8&63))
	d.b >>= e & 63
	d.n -= uint(e & 63)
	if distance > d.w-d.start {
		return false, d.corrupt()
	}
	for range length {
		d.dst[d.w] = d.dst[d.w-distance]
		d.w++
	}
	return false, nil
}

// cut is the error of a stream that ends early.
func (d *decoder) cut() error {
	d.pos, d.b, d.n = len(d.src), 0, 0
	return io.ErrUnexpectedEOF
}

// readTables reads the codes of a block, RFC 1951 section 3.2.7.
func (d *decoder) readTables() error {
	head, ok := d.take(14)
	if !ok {
		return d.cut()
	}
	nlit, ndist, ncode := int(head&31)+257, int(head>>5&31)+1, int(head>>10)+4
	if nlit > maxLit || ndist > maxDist {
		return d.corrupt()
	}
	d.lits.n, d.dists.n = 0, 0 // an error may have left some
	var order [len(codeOrder)]int
	for _, symbol := range codeOrder[:ncode] {
		v, ok := d.take(3)
		if !ok {
			return d.cut()
		}
		order[symbol] = int(v)
	}
	for symbol, n := range order {
		if n != 0 {
			d.lits.add(symbol, n)
		}
	}
	if !d.lits.build(d.code[:], codeBits, codeSymbols[:]) {
		return d.corrupt()
	}
	if err := d.readLengths(nlit, ndist); err != nil {
		return err
	}
	if !d.lits.build(d.lit[:], litBits, litSymbols[:]) || !d.dists.build(d.dist[:], distBits, distSymbols[:]) {
		return d.corrupt()
	}
	return nil
}

// readLengths reads the lengths of the codes, themselves in a code of runs.
func (d *decoder) readLengths(nlit, ndist int) error {
	previous := -1
	for i := 0; i < nlit+ndist; {
		if d.n < codeBits+7 {
			d.refill()
		}
		e := d.code[d.b&(1<<codeBits-1)]
		if d.n < uint(e&63) {
			return d.cut()
		}
		if e&special != 0 {
			return d.corrupt()
		}
		d.b >>= e & 63
		d.n -= uint(e & 63)
		length, run := int(e>>16), 1
		if length >= 16 {
			var extra uint
			switch length {
			case 16:
				if previous < 0 {
					return d.corrupt()
				}
				length, run, extra = previous, 3, 2
			case 17:
				length, run, extra = 0, 3, 3
			default:
				length, run, extra = 0, 11, 7
			}
			more, ok := d.take(extra)
			if !ok {
				return d.cut()
			}
			if run += int(more); run > nlit+ndist-i {
				return d.corrupt()
			}
		}
		previous = length
		if length == 0 {
			i += run
			continue
		}
		for range run {
			if i < nlit {
				d.lits.add(i, length)
			} else {
				d.dists.add(i-nlit, length)
			}
			i++
		}
	}
	return nil
}

// reverse turns the n lowest bits of code around: a code's first bit is sent, and looked up, as the lowest.
func reverse(code uint16, n int) int { return int(bits.Reverse16(code) >> (16 - n)) }
