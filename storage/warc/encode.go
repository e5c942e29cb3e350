package warc

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strconv"

	"github.com/klauspost/compress/flate"
)

// maxKept is the largest buffer that is used again: one huge page must not hold
// its memory for the rest of the crawl.
const maxKept = 1 << 20

// encoder makes records, each a gzip member, one after another in a buffer. It is
// not for several goroutines at once.
type encoder struct {
	opts   Options
	hash   hasher
	flate  *flate.Writer
	header []byte // of the record being made

	buf     bytes.Buffer
	entries []Entry // of records in buf that an index has, with their offsets there
}

func newEncoder(opts Options) (*encoder, error) {
	e := &encoder{opts: opts, hash: newHasher(opts.SHA256)}
	var err error
	if e.flate, err = flate.NewWriter(&e.buf, max(opts.Level, 1)); err != nil {
		return nil, fmt.Errorf("warc: %w", err)
	}
	return e, nil
}

// reset forgets the records made so far.
func (e *encoder) reset() {
	if e.buf.Cap() > maxKept {
		e.buf = bytes.Buffer{}
	}
	e.buf.Reset()
	e.entries = e.entries[:0]
}

// The fixed parts of a member: RFC 1952 without name and time, and what follows
// a record's block.
var (
	memberStart = []byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255}
	recordEnd   = []byte("\r\n\r\n")
)

// record appends a record with e.header, to which it adds the length and the
// empty line, and a block in two parts. Of a packed one the second part is
// compressed already, and is stored as it is.
func (e *encoder) record(first, second []byte, packed bool) error {
	e.header = append(e.header, "Content-Length: "...)
	e.header = strconv.AppendInt(e.header, int64(len(first)+len(second)), 10)
	e.header = append(e.header, "\r\n\r\n"...)
	if e.opts.Uncompressed {
		for _, part := range [...][]byte{e.header, first, second, recordEnd} {
			e.buf.Write(part)
		}
		return nil
	}
	e.buf.Write(memberStart)
	parts := [...][]byte{e.header, first, second, recordEnd}
	crc, size := uint32(0), 0
	for _, part := range parts {
		crc, size = crc32.Update(crc, crc32.IEEETable, part), size+len(part)
	}
	deflated := parts[:]
	switch packed = packed && len(second) > 0; {
	case e.opts.Level == 0 && (packed || size <= smallRecord):
		deflated = nil
	case packed:
		deflated = parts[:2]
	}
	if err := e.deflate(deflated, len(deflated) == len(parts)); err != nil {
		return fmt.Errorf("warc: %w", err)
	}
	e.store(parts[len(deflated):])
	tail := binary.LittleEndian.AppendUint32(e.buf.AvailableBuffer(), crc)
	e.buf.Write(binary.LittleEndian.AppendUint32(tail, uint32(size))) // modulo 2^32, as the format has it
	return nil
}

// smallRecord is the size up to which Level 0 compresses nothing.
const smallRecord = 2 << 10

// deflate appends parts in compressed blocks, up to the last or to a whole byte.
func (e *encoder) deflate(parts [][]byte, last bool) error {
	if len(parts) == 0 {
		return nil
	}
	e.flate.Reset(&e.buf)
	for _, part := range parts {
		if _, err := e.flate.Write(part); err != nil {
			return err
		}
	}
	if last {
		return e.flate.Close()
	}
	return e.flate.Flush()
}

// store appends parts in stored blocks up to the last one, RFC 1951 section 3.2.4.
func (e *encoder) store(parts [][]byte) {
	const most = 1<<16 - 1
	left := 0
	for _, p := range parts {
		left += len(p)
	}
	room := 0 // in the block
	for _, p := range parts {
		for len(p) > 0 {
			if room == 0 {
				room = min(left, most)
				start := [5]byte{}
				if room == left {
					start[0] = 1
				}
				binary.LittleEndian.PutUint16(start[1:], uint16(room))
				binary.LittleEndian.PutUint16(start[3:], ^uint16(room))
				e.buf.Write(start[:])
			}
			n := min(len(p), room)
			e.buf.Write(p[:n])
			p, room, left = p[n:], room-n, left-n
		}
	}
}

// info makes a warcinfo record for an archive called filename; "": without a name.
func (e *encoder) info(filename string) error {
	var block []byte
	for _, f := range append([]Field{
		{"software", e.opts.Software},
		{"format", "WARC File Format 1.1"},
		{"conformsTo", "http://iipc.github.io/warc-specifications/specifications/warc-format/warc-1.1/"},
	}, e.opts.Info...) {
		block = appendField(block, f.Name, f.Value)
	}
	date := e.opts.Now()
	e.header = startHead(e.header[:0], "warcinfo", recordID("warcinfo", filename, date, 0), date)
	if filename != "" {
		e.header = appendField(e.header, "WARC-Filename", filename)
	}
	e.header = appendField(e.header, "Content-Type", "application/warc-fields")
	e.header = appendField(e.header, "WARC-Block-Digest", e.hash.digest(block))
	return e.record(block, nil, false)
}
