package httpclient

import (
	"bytes"
	"errors"
	"io"
	"net/url"
	"os"
	"sync/atomic"
)

// Body is what a request carries. A Body may be used by several requests, one
// after the other, as often as it is Replayable.
type Body interface {
	// Open returns the content from its start. The client closes it.
	Open() (io.ReadCloser, error)
	// Size is the length of the content; negative when it is not known.
	Size() int64
	// ContentType is the media type to announce; "" for application/octet-stream.
	ContentType() string
	// Replayable reports whether Open can be called again, which a redirect or a
	// retry asks for.
	Replayable() bool
}

// memoryBody is content that is all in memory.
type memoryBody struct {
	data        []byte
	contentType string
}

func (b *memoryBody) Open() (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(b.data)), nil
}
func (b *memoryBody) Size() int64         { return int64(len(b.data)) }
func (b *memoryBody) ContentType() string { return b.contentType }
func (b *memoryBody) Replayable() bool    { return true }

// BytesBody sends b, which must not change meanwhile.
func BytesBody(b []byte) Body { return &memoryBody{data: b} }

// StringBody sends s as text/plain in UTF-8.
func StringBody(s string) Body {
	return &memoryBody{data: []byte(s), contentType: "text/plain; charset=utf-8"}
}

// FormBody sends values as an HTML form would, application/x-www-form-urlencoded.
func FormBody(values url.Values) Body {
	return &memoryBody{data: []byte(values.Encode()), contentType: "application/x-www-form-urlencoded"}
}

// FileBody sends the file at path, which is opened when it is needed.
func FileBody(path string) Body { return fileBody(path) }

type fileBody string

func (b fileBody) Open() (io.ReadCloser, error) { return os.Open(string(b)) }
func (b fileBody) Size() int64 {
	info, err := os.Stat(string(b))
	if err != nil || !info.Mode().IsRegular() {
		return -1
	}
	return info.Size()
}
func (b fileBody) ContentType() string { return "" }
func (b fileBody) Replayable() bool    { return true }

// ReaderBody sends what r gives: size bytes, or with a negative size all there
// is, in chunks. A closer is closed. It can be sent again if r is an io.Seeker.
func ReaderBody(r io.Reader, size int64) Body { return &readerBody{r: r, size: size} }

type readerBody struct {
	r      io.Reader
	size   int64
	opened atomic.Bool
}

var errOneShot = errors.New("body can be read only once")

func (b *readerBody) Open() (io.ReadCloser, error) {
	if b.opened.Swap(true) {
		s, ok := b.r.(io.Seeker)
		if !ok {
			return nil, errOneShot
		}
		if _, err := s.Seek(0, io.SeekStart); err != nil {
			return nil, err
		}
		return io.NopCloser(b.r), nil
	}
	if c, ok := b.r.(io.ReadCloser); ok && !b.Replayable() {
		return c, nil
	}
	return io.NopCloser(b.r), nil
}
func (b *readerBody) Size() int64         { return b.size }
func (b *readerBody) ContentType() string { return "" }
func (b *readerBody) Replayable() bool    { _, ok := b.r.(io.Seeker); return ok }

// PipeBody sends what write writes, in chunks, while it is written. write runs in
// a goroutine of its own, once for each time the body is sent; its error, and the
// writer's when the request ends early, abort the other side.
func PipeBody(write func(io.Writer) error) Body { return pipeBody(write) }

type pipeBody func(io.Writer) error

func (b pipeBody) Open() (io.ReadCloser, error) {
	r, w := io.Pipe()
	go func() { w.CloseWithError(b(w)) }()
	return r, nil
}
func (b pipeBody) Size() int64         { return -1 }
func (b pipeBody) ContentType() string { return "" }
func (b pipeBody) Replayable() bool    { return true }

// typedBody is a Body under another media type.
type typedBody struct {
	Body
	contentType string
}

func (b typedBody) ContentType() string { return b.contentType }

// BodyAs sends b under another media type.
func BodyAs(b Body, contentType string) Body { return typedBody{b, contentType} }
