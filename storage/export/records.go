package export

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/orbweaver/orbweaver/storage"
)

// Options say what is exported and how. The zero value writes all records with
// the default fields as JSON lines.
type Options struct {
	// Format of records. Items are always JSON lines.
	Format Format

	// Fields selects and orders the fields of JSONL and CSV; empty: the
	// default ones. A name that is not one of [KnownFields] is an
	// [*UnknownError]. Items and URLs have no fields and ignore it.
	Fields []string

	// After leaves out the records, or the items of records, with a Seq up to
	// it: what an earlier export had already.
	After uint64

	// Where selects records, or the items of records: those for which it returns
	// true, such as the Match of a [Filter]; nil: all. It must not keep or change
	// the record.
	Where func(*storage.Record) bool

	// Latest leaves out the older records of a URL that was fetched more than
	// once. It costs a look-up of each record. It is for records only.
	Latest bool

	// Damaged is told of each record that cannot be read, with an error that is
	// [storage.ErrCorrupt]; it is left out, and the others are written. The record has
	// nothing but its Seq, if that is all that can be read of it. nil: the first of
	// them ends it all with its error.
	Damaged func(r *storage.Record, err error)

	// Verbatim leaves out the guard against formulas in CSV; see the package
	// comment.
	Verbatim bool

	// WhereItem selects items by themselves; nil: all.
	WhereItem func(*storage.Item) bool

	// Wrap writes each item as the "item" of an object that also tells the
	// page's "url" and "label"; false: the item alone, with nothing added.
	Wrap bool
}

// bufferSize is how much is collected for one Write.
const bufferSize = 64 << 10

// recordWriter is a format of records.
type recordWriter interface {
	appendHeader(dst []byte) []byte
	appendRecord(dst []byte, r *storage.Record) []byte
}

func newRecordWriter(opts Options) (recordWriter, error) {
	if opts.Format == URLs {
		return urlWriter{}, nil
	}
	fields, err := selectFields(opts.Fields)
	if err != nil {
		return nil, err
	}
	switch opts.Format {
	case JSONL:
		return newJSONWriter(fields), nil
	case CSV:
		return &csvWriter{fields: fields, verbatim: opts.Verbatim}, nil
	}
	return nil, &UnknownError{What: "format", Name: opts.Format.String(), Known: formatNames[:]}
}

// Records writes the records of s to w and returns how many it wrote. Options
// that make no sense are refused before anything is written. After another
// error w has received whole lines only, if it took all that it was given, and
// n counts those.
func Records(ctx context.Context, w io.Writer, s storage.Store, opts Options) (n int, err error) {
	rw, err := newRecordWriter(opts)
	if err != nil {
		return 0, err
	}
	out := lines{w: w}
	out.buf = rw.appendHeader(out.buf)
	for r, err := range storage.Salvage(ctx, s, opts.After, opts.Damaged) {
		if err != nil {
			return out.end(fmt.Errorf("export: %w", err))
		}
		if opts.Where != nil && !opts.Where(r) {
			continue
		}
		if opts.Latest {
			newest, err := s.Get(ctx, r.URL)
			if opts.Damaged != nil && errors.Is(err, storage.ErrCorrupt) {
				opts.Damaged(r, err) // nobody knows whether it is the newest
				continue
			}
			if err != nil {
				return out.end(fmt.Errorf("export: %w", err))
			}
			if newest.Seq != r.Seq {
				continue
			}
		}
		out.buf = rw.appendRecord(out.buf, r)
		if err := out.add(); err != nil {
			return out.written, err
		}
	}
	return out.end(nil)
}

// lines collects lines for a writer.
type lines struct {
	w       io.Writer
	buf     []byte // whole lines
	pending int    // number of those that are counted
	written int    // counted lines that w took
}

// add counts the line that was appended to buf.
func (l *lines) add() error {
	l.pending++
	if len(l.buf) < bufferSize {
		return nil
	}
	return l.flush()
}

func (l *lines) flush() error {
	if len(l.buf) == 0 {
		return nil
	}
	n, err := l.w.Write(l.buf)
	if err == nil && n < len(l.buf) {
		err = io.ErrShortWrite
	}
	if err != nil {
		return fmt.Errorf("export: %w", err)
	}
	l.written += l.pending
	l.buf, l.pending = l.buf[:0], 0
	return nil
}

// end writes what is left, also after a failure to read, and returns what an
// exporting function does.
func (l *lines) end(err error) (int, error) {
	if flushErr := l.flush(); err == nil {
		err = flushErr
	}
	return l.written, err
}

// urlWriter appends a record's URL.
type urlWriter struct{}

func (urlWriter) appendHeader(dst []byte) []byte { return dst }

func (urlWriter) appendRecord(dst []byte, r *storage.Record) []byte {
	for _, c := range []byte(r.URL) {
		if c <= ' ' || c == 0x7f {
			dst = append(dst, '%', "0123456789ABCDEF"[c>>4], "0123456789ABCDEF"[c&0xf])
			continue
		}
		dst = append(dst, c)
	}
	return append(dst, '\n')
}
