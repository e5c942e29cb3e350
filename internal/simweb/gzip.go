package simweb

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"hash/crc32"
	"math/rand/v2"
	"strconv"
)

// filler is prose that pages are padded with, compressed once. Each block is a sequence of deflate blocks that refers to
// nothing before it and ends on a byte boundary, so a gzip stream can be put together from blocks in any order:
//
//	gzip header | stored block (a page's own text) | filler | ... | stored block | filler | empty last block | CRC-32 | size
//
// The CRC of the whole comes from the CRCs of the parts; see shift.
type filler struct {
	length int // of each block's text
	blocks [32]fillerBlock
	shift  [4][256]uint32 // what length zero bytes do to a CRC, for each byte of it
}

type fillerBlock struct {
	text     []byte
	deflated []byte
	crc      uint32
}

func newFiller(seed uint64, length int) *filler {
	f := &filler{length: length}
	prose := newProse(seed)
	for i := range f.blocks {
		text := prose.block(length)
		f.blocks[i] = fillerBlock{text: text, deflated: deflate(text), crc: crc32.ChecksumIEEE(text)}
	}
	f.shift = crcShift(length)
	return f
}

// deflate compresses text into deflate blocks that end on a byte boundary, none of them the last.
func deflate(text []byte) []byte {
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.DefaultCompression)
	if err != nil {
		panic(err) // the level is a constant
	}
	// Writes to a bytes.Buffer cannot fail.
	_, _ = w.Write(text)
	_ = w.Flush()
	return b.Bytes()
}

// crcShift tabulates what n zero bytes do to a CRC-32. The checksum of A followed by n bytes B is then
// shift(crc(A)) ^ crc(B), as the register is linear in its bits.
func crcShift(n int) (shift [4][256]uint32) {
	zeros := make([]byte, n)
	offset := crc32.Update(0, crc32.IEEETable, zeros)
	var bit [32]uint32
	for i := range bit {
		bit[i] = crc32.Update(1<<i, crc32.IEEETable, zeros) ^ offset
	}
	for i := range shift {
		for value := range shift[i] {
			for j := range 8 {
				if value>>j&1 == 1 {
					shift[i][value] ^= bit[8*i+j]
				}
			}
		}
	}
	return shift
}

// stream builds a page body in buf, plain or as gzip, from text written between open and close, and filler.
type stream struct {
	buf    []byte
	filler *filler
	gzip   bool
	text   int    // where the open text starts in buf
	size   int    // of the closed body, decoded
	crc    uint32 // of the closed body, decoded
}

// maxText is how long a text may be: what a stored block holds.
const maxText = 1<<16 - 1

func (s *stream) start() {
	s.size, s.crc = 0, 0
	if s.gzip {
		s.buf = append(s.buf, 0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255)
	}
}

func (s *stream) open() {
	if s.gzip {
		s.buf = append(s.buf, 0, 0, 0, 0, 0)
	}
	s.text = len(s.buf)
}

func (s *stream) close() {
	text := s.buf[s.text:]
	s.size += len(text)
	if !s.gzip {
		return
	}
	binary.LittleEndian.PutUint16(s.buf[s.text-4:], uint16(len(text)))
	binary.LittleEndian.PutUint16(s.buf[s.text-2:], ^uint16(len(text)))
	s.crc = crc32.Update(s.crc, crc32.IEEETable, text)
}

// fill adds a block of filler; no text may be open.
func (s *stream) fill(block uint64) {
	f := s.filler
	b := &f.blocks[block%uint64(len(f.blocks))]
	s.size += f.length
	if !s.gzip {
		s.buf = append(s.buf, b.text...)
		return
	}
	s.buf = append(s.buf, b.deflated...)
	c := s.crc
	s.crc = f.shift[0][c&255] ^ f.shift[1][c>>8&255] ^ f.shift[2][c>>16&255] ^ f.shift[3][c>>24] ^ b.crc
}

func (s *stream) end() {
	if !s.gzip {
		return
	}
	s.buf = append(s.buf, 1, 0, 0, 0xff, 0xff) // an empty stored block, the last
	s.buf = binary.LittleEndian.AppendUint32(s.buf, s.crc)
	s.buf = binary.LittleEndian.AppendUint32(s.buf, uint32(s.size))
}

// prose invents paragraphs that compress about as well as real pages do.
type prose struct {
	rand  *rand.Rand
	zipf  *rand.Zipf
	words []string
}

func newProse(seed uint64) *prose {
	p := &prose{rand: rand.New(rand.NewPCG(seed, 1))}
	const letters = "etaoinshrdlucmfwypvbgk"
	for range 3000 {
		word := make([]byte, 2+p.rand.IntN(9))
		for i := range word {
			word[i] = letters[min(p.rand.IntN(len(letters)), p.rand.IntN(len(letters)))]
		}
		p.words = append(p.words, string(word))
	}
	p.zipf = rand.NewZipf(p.rand, 1.1, 4, uint64(len(p.words)-1))
	return p
}

// block returns exactly length bytes of HTML that stands on its own and has no links.
func (p *prose) block(length int) []byte {
	var b []byte
	for len(b) < length {
		b = append(b, "<p class=\"body-text c"...)
		b = strconv.AppendInt(b, int64(p.rand.IntN(9)), 10)
		b = append(b, "\">"...)
		for range 30 + p.rand.IntN(60) {
			b = append(b, p.words[p.zipf.Uint64()]...)
			b = append(b, [...]string{" ", " ", " ", " ", ", ", " &amp; ", " <em>and</em> ", ".<br>\n"}[p.rand.IntN(8)]...)
		}
		b = append(b, "</p>\n<div class=\"card\"><span class=\"label\">&nbsp;</span></div>\n"...)
	}
	// Cut before a tag or entity that would run over the end, and pad with blank lines.
	b = b[:length]
	if i := bytes.LastIndexAny(b, "<>;&"); i >= 0 && (b[i] == '<' || b[i] == '&') {
		b = b[:i]
	}
	for len(b) < length {
		b = append(b, '\n')
	}
	return b
}
