package warc

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/klauspost/compress/gzip"
)

// ErrFormat is what every [*FormatError] is.
var ErrFormat = errors.New("warc: not a valid archive")

// FormatError says where and why an archive could not be read.
type FormatError struct {
	Offset int64 // of the record, in the file as it is (compressed or not)
	Reason string
}

func (e *FormatError) Error() string {
	return fmt.Sprintf("warc: record at offset %d: %s", e.Offset, e.Reason)
}

// Is reports whether target is [ErrFormat].
func (e *FormatError) Is(target error) bool { return target == ErrFormat }

// Record is a record that was read.
type Record struct {
	Offset int64   // where it begins in the file as it is (compressed or not)
	Fields []Field // of the header, in their order
	// Block is the content. It can be read until the next call of Next.
	Block io.Reader
	// Length is the size of the block.
	Length int64
}

// Get returns the value of the first field called name, in any case; "" when
// there is none.
func (r *Record) Get(name string) string {
	for _, f := range r.Fields {
		if strings.EqualFold(f.Name, name) {
			return f.Value
		}
	}
	return ""
}

// Reader reads the records of an archive, compressed by record or not at all.
// It is not for several goroutines at once.
type Reader struct {
	in     counter
	gz     *gzip.Reader      // kept for the next compressed record
	unzip  *bufio.Reader     // of gz
	text   byteReader        // the current record from where it was read to; nil: none
	block  *io.LimitedReader // of text
	record int64             // offset of the current record
	err    error             // sticky
}

type byteReader interface {
	io.Reader
	io.ByteReader
}

// counter counts what is taken from a buffered input, and keeps its error.
type counter struct {
	buf *bufio.Reader
	n   int64
	err error // other than io.EOF
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.buf.Read(p)
	c.n += int64(n)
	return n, c.keep(err)
}

func (c *counter) ReadByte() (byte, error) {
	b, err := c.buf.ReadByte()
	if err == nil {
		c.n++
	}
	return b, c.keep(err)
}

func (c *counter) keep(err error) error {
	if err != nil && !errors.Is(err, io.EOF) {
		c.err = err
	}
	return err
}

// NewReader returns a Reader of r. It reads ahead.
func NewReader(r io.Reader) *Reader {
	return &Reader{in: counter{buf: bufio.NewReaderSize(r, 64<<10)}}
}

// Next returns the next record, io.EOF after the last one, or a
// [*FormatError]. It skips what was not read of the block before.
func (r *Reader) Next() (*Record, error) {
	if r.err != nil {
		return nil, r.err
	}
	rec, err := r.next()
	if err != nil {
		r.err = err
		return nil, err
	}
	return rec, nil
}

func (r *Reader) next() (*Record, error) {
	if err := r.finish(); err != nil {
		return nil, err
	}
	r.record = r.in.n
	magic, err := r.in.buf.Peek(2)
	if len(magic) == 0 {
		if errors.Is(err, io.EOF) {
			return nil, io.EOF
		}
		return nil, fmt.Errorf("warc: %w", err)
	}
	if err := r.open(bytes.Equal(magic, []byte{0x1f, 0x8b})); err != nil {
		return nil, err
	}
	rec := &Record{Offset: r.record}
	if rec.Fields, err = r.readHead(); err != nil {
		return nil, err
	}
	rec.Length, err = strconv.ParseInt(rec.Get("Content-Length"), 10, 64)
	if err != nil || rec.Length < 0 {
		return nil, r.bad("no Content-Length")
	}
	r.block = &io.LimitedReader{R: r.text, N: rec.Length}
	rec.Block = r.block
	return rec, nil
}

// open prepares text for the record that begins here.
func (r *Reader) open(compressed bool) error {
	if !compressed {
		r.text = &r.in
		return nil
	}
	if r.gz == nil {
		r.gz = new(gzip.Reader)
		r.unzip = bufio.NewReader(r.gz)
	}
	if err := r.gz.Reset(&r.in); err != nil {
		return r.failed(err)
	}
	r.gz.Multistream(false) // ends with the member, and reads no further
	r.unzip.Reset(r.gz)
	r.text = r.unzip
	return nil
}

// finish reads the rest of the current record.
func (r *Reader) finish() error {
	if r.text == nil {
		return nil
	}
	if _, err := io.Copy(io.Discard, r.block); err != nil {
		return r.failed(err)
	}
	var end [4]byte
	if _, err := io.ReadFull(r.text, end[:]); err != nil {
		return r.failed(err)
	}
	if string(end[:]) != "\r\n\r\n" {
		return r.bad("no empty lines after the block")
	}
	if r.text != &r.in {
		if n, err := io.Copy(io.Discard, r.text); err != nil {
			return r.failed(err)
		} else if n > 0 {
			return r.bad("more than a record in its gzip member")
		}
	}
	r.text = nil
	return nil
}

func (r *Reader) readHead() (fields []Field, err error) {
	size := 0
	for first := true; ; first = false {
		line, err := r.readLine(maxHead - size)
		if err != nil {
			return nil, err
		}
		size += len(line) + 2
		if first {
			if line != version && line != "WARC/1.0" {
				return nil, r.bad(fmt.Sprintf("version line %.20q", line))
			}
			continue
		}
		if line == "" {
			return fields, nil
		}
		name, value, found := strings.Cut(line, ":")
		if !found {
			return nil, r.bad(fmt.Sprintf("header line %.20q", line))
		}
		fields = append(fields, Field{Name: name, Value: strings.Trim(value, " \t")})
	}
}

// readLine reads a line of at most limit bytes, without its end.
func (r *Reader) readLine(limit int) (string, error) {
	var line []byte
	for {
		b, err := r.text.ReadByte()
		if err != nil {
			return "", r.failed(err)
		}
		if b == '\n' {
			return string(bytes.TrimSuffix(line, []byte("\r"))), nil
		}
		if len(line) >= limit {
			return "", r.bad("header is too large")
		}
		line = append(line, b)
	}
}

func (r *Reader) bad(reason string) error {
	return &FormatError{Offset: r.record, Reason: reason}
}

// failed tells an error of the input from one of what it holds.
func (r *Reader) failed(err error) error {
	switch {
	case r.in.err != nil:
		return fmt.Errorf("warc: %w", r.in.err)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return r.bad("cut short")
	}
	return r.bad(err.Error())
}
