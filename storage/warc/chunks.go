package warc

import (
	"bytes"
	"io"
	"strconv"
)

// maxChunkLine bounds the number at the start of a chunk, in bytes.
const maxChunkLine = 4 << 10

// dechunker takes a body in chunks, RFC 9112 section 7.1, in pieces of any size, and
// writes their content to w, as far as the body can be read. The zero value with a w
// is at the start of a body.
type dechunker struct {
	w     io.Writer // never fails
	state chunkState
	line  []byte // what came of a line, as far as it matters
	left  int    // bytes of the chunk
}

type chunkState int

const (
	chunkStart chunkState = iota // in the line before a chunk
	chunkData
	chunkEnd     // in the line after a chunk
	chunkTrailer // after the last chunk
	chunksDone
	chunksBad
)

// whole reports whether all of a body was there.
func (d *dechunker) whole() bool { return d.state == chunksDone }

// Write takes a piece. What comes after the end is nothing.
func (d *dechunker) Write(p []byte) (int, error) {
	size := len(p)
	for len(p) > 0 && d.state < chunksDone {
		if d.state == chunkData {
			n := min(d.left, len(p))
			_, _ = d.w.Write(p[:n])
			p, d.left = p[n:], d.left-n
			if d.left == 0 {
				d.state = chunkEnd
			}
			continue
		}
		line, rest, found := bytes.Cut(p, []byte("\n"))
		d.keep(line)
		p = rest
		if found {
			d.endLine(bytes.TrimSuffix(d.line, []byte("\r")))
			d.line = d.line[:0]
		}
	}
	return size, nil
}

// keep adds a part of a line. Extensions of a chunk and fields of the trailer have
// no limit, and are not looked at.
func (d *dechunker) keep(part []byte) {
	d.line = append(d.line, part[:min(len(part), maxChunkLine+1-min(len(d.line), maxChunkLine+1))]...)
}

// endLine looks at a line of which all is there, but for its end.
func (d *dechunker) endLine(line []byte) {
	switch d.state {
	case chunkStart:
		size, ok := chunkSize(line)
		switch {
		case !ok:
			d.state = chunksBad
		case size == 0:
			d.state = chunkTrailer
		default:
			d.state, d.left = chunkData, size
		}
	case chunkEnd:
		d.state = chunkStart
		if len(line) > 0 {
			d.state = chunksBad
		}
	case chunkTrailer:
		if len(line) == 0 {
			d.state = chunksDone
		}
	}
}

// chunkSize reads the line before a chunk.
func chunkSize(line []byte) (size int, ok bool) {
	line, _, extended := bytes.Cut(line, []byte(";"))
	if len(line) >= maxChunkLine && !extended {
		return 0, false
	}
	n, err := strconv.ParseUint(string(bytes.TrimRight(line, " \t")), 16, 62)
	if err != nil {
		return 0, false
	}
	return int(n), true
}
