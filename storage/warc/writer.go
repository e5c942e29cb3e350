package warc

import (
	"fmt"
	"io"
	"time"

	"github.com/orbweaver/orbweaver/storage"
)

// Options say how archives are written. The zero value is a good one.
type Options struct {
	// Software names the program in the warcinfo record; "": "orbweaver".
	Software string

	// Info holds further fields of the warcinfo record, such as operator,
	// isPartOf or robots; they are written in this order.
	Info []Field

	// Level of gzip, 1 to 9, for all but bodies that are compressed already. 0: 1, the
	// fastest, for other bodies, and none for what is small, which saves a third of
	// the work and costs a few percent of size.
	Level int

	// Uncompressed writes plain WARC without gzip.
	Uncompressed bool

	// SHA256 makes digests by SHA-256 in place of SHA-1, which all tools know.
	SHA256 bool

	// Now tells the time for warcinfo records and file names; nil: time.Now.
	Now func() time.Time
}

func (o Options) withDefaults() (Options, error) {
	if o.Software == "" {
		o.Software = "orbweaver"
	}
	if o.Level < 0 || o.Level > 9 {
		return o, fmt.Errorf("warc: Options.Level is %d, not 0 to 9", o.Level)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o, nil
}

// Writer writes WARC records. It is not for several goroutines at once.
type Writer struct {
	w      io.Writer
	enc    *encoder
	offset int64              // bytes written
	seen   *dedup             // nil: none
	index  func(*Entry) error // nil: none
	name   string             // of the archive, for the index
}

// NewWriter returns a Writer to w, which it never closes. Nothing is written
// before the first record.
func NewWriter(w io.Writer, opts Options) (*Writer, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	enc, err := newEncoder(opts)
	if err != nil {
		return nil, err
	}
	return &Writer{w: w, enc: enc}, nil
}

// WriteInfo writes a warcinfo record, which is about the records after it.
// filename is the name of the archive; "" when it has none.
func (w *Writer) WriteInfo(filename string) error {
	w.enc.reset()
	w.name = filename
	if err := w.enc.info(filename); err != nil {
		return err
	}
	return w.flush()
}

// WriteExchange writes the records of x in one call of the underlying Write.
func (w *Writer) WriteExchange(x *Exchange) error {
	w.enc.reset()
	var known func(payload) (Original, bool)
	if w.seen != nil {
		known = w.seen.find
	}
	fresh, err := w.enc.exchange(x, known)
	if err != nil {
		return err
	}
	start := w.offset
	if err := w.flush(); err != nil {
		return err
	}
	if fresh != nil && w.seen != nil {
		w.seen.add(*fresh, Original{x.URL, x.Date})
	}
	if w.index == nil {
		return nil
	}
	for i := range w.enc.entries {
		entry := &w.enc.entries[i]
		entry.Offset += start
		entry.Filename = w.name
		if err := w.index(entry); err != nil {
			return err
		}
	}
	return nil
}

// WriteResponse writes the response that r tells of, with body as the storage
// has it: as transferred; nil when it was not kept. It reports whether there
// was one: without a status, nothing is written.
func (w *Writer) WriteResponse(r *storage.Record, body []byte) (written bool, err error) {
	if r.Status == 0 {
		return false, nil
	}
	return true, w.WriteExchange(fromRecord(r, body))
}

func (w *Writer) flush() error {
	n, err := w.w.Write(w.enc.buf.Bytes())
	w.offset += int64(n)
	if err == nil && n < w.enc.buf.Len() {
		err = io.ErrShortWrite
	}
	if err != nil {
		return fmt.Errorf("warc: %w", err)
	}
	return nil
}
