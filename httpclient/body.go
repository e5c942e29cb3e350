package httpclient

import (
	"bytes"
	"errors"
	"io"
	"net/url"
	"os"
	"sync"
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

// ReaderBody sends what r gives from where it stands: size bytes, or with a negative
// size all there is, in chunks. If r is an io.Seeker it can be sent again, from the same
// place; else a closer is closed.
func ReaderBody(r io.Reader, size int64) Body { return &readerBody{r: r, size: size} }

type readerBody struct {
	r      io.Reader
	size   int64
	opened atomic.Int64 // how often

	mu    sync.Mutex // over the use of an io.Seeker
	begun bool
	start int64 // then: where the content begins
}

var errOneShot = errors.New("body can be read only once")

func (b *readerBody) Open() (io.ReadCloser, error) {
	turn := b.opened.Add(1)
	if b.Replayable() {
		return io.NopCloser(&readerTurn{body: b, turn: turn}), nil
	}
	if turn > 1 {
		return nil, errOneShot
	}
	if c, ok := b.r.(io.ReadCloser); ok {
		return c, nil
	}
	return io.NopCloser(b.r), nil
}
func (b *readerBody) Size() int64         { return b.size }
func (b *readerBody) ContentType() string { return "" }
func (b *readerBody) Replayable() bool    { _, ok := b.r.(io.Seeker); return ok }

// readerTurn is the content of a readerBody until that is opened again. Who sends it may
// notice late that his request is over, even within a Read.
type readerTurn struct {
	body  *readerBody
	turn  int64
	begun bool
}

func (t *readerTurn) Read(p []byte) (int, error) {
	b := t.body
	b.mu.Lock()
	defer b.mu.Unlock()
	if t.turn != b.opened.Load() {
		return 0, os.ErrClosed
	}
	if !t.begun {
		if err := b.rewind(); err != nil {
			return 0, err
		}
		t.begun = true
	}
	return b.r.Read(p)
}

// rewind goes to where the content begins: at first, where r stands.
func (b *readerBody) rewind() (err error) {
	s := b.r.(io.Seeker)
	if b.begun {
		_, err = s.Seek(b.start, io.SeekStart)
		return err
	}
	b.begun = true
	b.start, _ = s.Seek(0, io.SeekCurrent) // fails for an *os.File that is a pipe, which can be sent once
	return nil
}

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
