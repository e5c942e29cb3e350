package httpclient

import (
	"bytes"
	"errors"
	"io"
)

// readChunked gives bytes of one chunk, RFC 9112 section 7.1.
func (s *Stream) readChunked(p []byte) (int, error) {
	if !s.inData {
		size, err := s.chunkSize()
		if err != nil {
			return 0, err
		}
		if size == 0 {
			if err := s.readTrailer(); err != nil {
				return 0, err
			}
			s.chunks++
			s.finish()
			return 0, io.EOF
		}
		s.left, s.inData = size, true
	}
	n, err := s.receive(p[:min(int64(len(p)), s.left)])
	if s.left -= int64(n); s.left == 0 && err == nil {
		s.inData = false
		s.chunks++
		err = s.chunkEnd()
	}
	return n, err
}

// chunkSize reads the line before a chunk.
func (s *Stream) chunkSize() (int64, error) {
	line, err := s.frameLine()
	if err != nil {
		return 0, err
	}
	size, digits := int64(0), 0
	for ; digits < len(line); digits++ {
		v, ok := unhex(line[digits])
		if !ok {
			break
		}
		if size >= 1<<57 {
			return 0, s.chunkError("chunk size too large")
		}
		size = size<<4 | int64(v)
	}
	rest := bytes.TrimLeft(line[digits:], " \t")
	if digits == 0 || len(rest) > 0 && rest[0] != ';' {
		return 0, s.chunkError("no chunk size")
	}
	return size, nil
}

func unhex(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}

// chunkEnd reads the line break after a chunk's data.
func (s *Stream) chunkEnd() error {
	line, err := s.frameLine()
	if err == nil && len(line) > 0 {
		err = s.chunkError("chunk is longer than its size")
	}
	return err
}

// readTrailer reads the fields after the last chunk, and the empty line.
func (s *Stream) readTrailer() error {
	limit := s.resp.req.settings().maxHeader
	for {
		line, err := s.frameLine()
		if err != nil {
			return err
		}
		if len(line) == 0 {
			return nil
		}
		if len(s.resp.trailer)+len(line) > limit {
			return s.chunkError("trailer too long")
		}
		s.resp.trailer = append(append(s.resp.trailer, line...), '\n')
	}
}

func (s *Stream) chunkError(reason string) error {
	return &PayloadError{Kind: PayloadChunking, Got: s.received, Want: -1, Err: errors.New(reason)}
}

// frameLine reads a line of framing, without its end. It is valid until the next read.
func (s *Stream) frameLine() ([]byte, error) {
	c := s.conn
	looked := 0
	for {
		b := c.in.bytes()
		if i := bytes.IndexByte(b[looked:], '\n'); i >= 0 {
			n := looked + i + 1
			s.overhead += int64(n)
			if n > maxChunkLine || s.overhead > maxChunkOverhead+8*s.received {
				return nil, s.chunkError("too much framing")
			}
			line, found := bytes.CutSuffix(c.consume(n), []byte("\r\n"))
			if !found {
				line = line[:n-1]
			}
			if !found || bytes.IndexByte(line, '\r') >= 0 { // RFC 9112 section 2.2: such a CR may be taken for a space
				s.resp.head.defects |= DefectChunkLine
			}
			return line, nil
		}
		if looked = len(b); looked > maxChunkLine {
			return nil, s.chunkError("too much framing")
		}
		if err := s.await(func() error { return c.fill(inputSize) }); err != nil {
			return nil, err
		}
	}
}
