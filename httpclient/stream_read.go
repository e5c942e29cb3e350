package httpclient

import (
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
)

// Buffered returns how many bytes a Read gives without waiting for the peer.
func (s *Stream) Buffered() int {
	n := len(s.buf)
	if n == 0 && s.dec == nil && s.conn != nil {
		switch n = s.conn.in.len(); s.frame {
		case byLength:
			n = int(min(int64(n), s.left))
		case byChunks:
			if n = 0; s.inData {
				n = int(min(int64(s.conn.in.len()), s.left))
			}
		}
	}
	return n
}

// Unread puts b back before what is to be read next.
func (s *Stream) Unread(b []byte) {
	s.buf = append(bytes.Clone(b), s.buf...)
}

// more reads once into s.buf.
func (s *Stream) more() error {
	s.buf = append(make([]byte, 0, len(s.buf)+streamBuffer), s.buf...)
	n, err := s.read(s.buf[len(s.buf):cap(s.buf)])
	s.buf = s.buf[:len(s.buf)+n]
	return err
}

// ReadAvailable gives what is there without waiting, or waits for the first bytes
// if there are none. The slice is the caller's.
func (s *Stream) ReadAvailable() ([]byte, error) {
	if !s.hasBuffered() {
		if err := s.more(); err != nil {
			return nil, err
		}
	}
	b := s.buf
	s.buf = nil
	return b, nil
}

// ReadFull gives n bytes, none if n is negative. When the stream ends before, it gives
// those that came and io.ErrUnexpectedEOF, or what else ended it.
func (s *Stream) ReadFull(n int) ([]byte, error) {
	b := make([]byte, 0, max(min(n, 1<<20), 0))
	for len(b) < n {
		if len(b) == cap(b) {
			b = append(b, 0)[:len(b)]
		}
		got, err := s.Read(b[len(b):min(cap(b), n)])
		b = b[:len(b)+got]
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return b, err
		}
	}
	return b, nil
}

// DefaultMaxLineRead is the limit of ReadLine and Lines when none is given.
const DefaultMaxLineRead = 1 << 20

// ErrLineTooLong is a line beyond the limit of [Stream.ReadLine]. Nothing of it
// was taken from the stream, which can be used on.
var ErrLineTooLong = errors.New("httpclient: line too long")

// ReadLine gives the next line with its line feed, or what follows the last one;
// then io.EOF. limit is the most bytes a line may have; 0 means 1 MiB.
func (s *Stream) ReadLine(limit int) ([]byte, error) {
	if limit <= 0 {
		limit = DefaultMaxLineRead
	}
	s.hasBuffered()
	looked := 0
	for {
		if i := bytes.IndexByte(s.buf[looked:], '\n'); i >= 0 && looked+i < limit {
			line := s.buf[: looked+i+1 : looked+i+1]
			s.buf = s.buf[looked+i+1:]
			return line, nil
		}
		if looked = len(s.buf); looked >= limit {
			return nil, ErrLineTooLong
		}
		if len(s.buf) == cap(s.buf) {
			s.buf = append(make([]byte, 0, 2*len(s.buf)+streamBuffer), s.buf...)
		}
		n, err := s.read(s.buf[len(s.buf):cap(s.buf)])
		s.buf = s.buf[:len(s.buf)+n]
		if err != nil {
			if err == io.EOF && len(s.buf) > 0 {
				line := s.buf
				s.buf = nil
				return line, nil
			}
			return nil, err
		}
	}
}

// ReadChunk gives content up to the end of an HTTP chunk at most, and whether the
// chunk ended with it. Without chunked framing end is always false. With a content
// coding the ends are where the decoder stood when a chunk ended.
func (s *Stream) ReadChunk() (data []byte, end bool, err error) {
	before := s.chunks
	if s.hasBuffered() {
		data, s.buf = s.buf, nil
		return data, false, nil
	}
	data = make([]byte, streamBuffer)
	n, err := s.read(data)
	return data[:n], s.chunks > before && n > 0, err
}

// Lines iterates over the lines, each at most limit bytes (0: 1 MiB) and with its
// line feed. It ends after the last one, or after an error.
func (s *Stream) Lines(limit int) iter.Seq2[[]byte, error] {
	return until(func() ([]byte, error) { return s.ReadLine(limit) })
}

// Chunked iterates over pieces of n bytes (0: 4 KiB); the last may be shorter.
func (s *Stream) Chunked(n int) iter.Seq2[[]byte, error] {
	if n <= 0 {
		n = streamBuffer
	}
	return until(func() ([]byte, error) {
		b, err := s.ReadFull(n)
		if len(b) > 0 && err == io.ErrUnexpectedEOF {
			err = nil
		}
		if err == io.ErrUnexpectedEOF {
			err = io.EOF
		}
		return b, err
	})
}

// Any iterates over what there is, as it comes.
func (s *Stream) Any() iter.Seq2[[]byte, error] { return until(s.ReadAvailable) }

// Chunk is a piece of a body, see [Stream.ReadChunk].
type Chunk struct {
	Data []byte
	End  bool // of an HTTP chunk
}

// Chunks iterates as [Stream.ReadChunk] gives.
func (s *Stream) Chunks() iter.Seq2[Chunk, error] {
	return until(func() (Chunk, error) {
		data, end, err := s.ReadChunk()
		return Chunk{data, end}, err
	})
}

// until iterates over what next gives, up to io.EOF or with an error as the last.
func until[T any](next func() (T, error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for {
			v, err := next()
			if err == io.EOF {
				return
			}
			if !yield(v, err) || err != nil {
				return
			}
		}
	}
}

// WaitEOF reads and discards the rest, until the end, an error, or the end of ctx.
func (s *Stream) WaitEOF(ctx context.Context) error {
	stop := alwaysTrue
	if c := s.conn; c != nil && ctx.Done() != nil {
		stop = context.AfterFunc(ctx, func() { _ = c.Close() })
		defer stop()
	}
	s.buf = nil
	scratch := inputBuffers.Get().(*[inputSize]byte)
	defer inputBuffers.Put(scratch)
	for {
		if _, err := s.read(scratch[:]); err != nil {
			if err == io.EOF && stop() {
				return nil
			}
			if ctx.Err() != nil {
				return contextError(ctx)
			}
			return err
		}
	}
}
