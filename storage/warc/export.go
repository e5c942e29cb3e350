package warc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/orbweaver/orbweaver/storage"
)

// ExportOptions say what [Export] writes and how. The zero value writes the
// responses of all records, with their metadata.
type ExportOptions struct {
	Options

	// Where selects records: those for which it returns true; nil: all. It must
	// not keep or change the record.
	Where func(*storage.Record) bool

	// After leaves out the records with a Seq up to it.
	After uint64

	// Requests adds request records. They are made up, as a storage has no
	// requests: request line, Host, and UserAgent if it is not "".
	Requests  bool
	UserAgent string

	// Dedup is how many payloads are remembered to make revisit records of
	// identical ones. 0: DefaultDedup; negative: none.
	Dedup int

	// Damaged is told of each record that cannot be read, or whose body cannot, with an
	// error that is [storage.ErrCorrupt]; it is left out, and the others are written.
	// The record has nothing but its Seq, if that is all that can be read of it. nil:
	// the first of them ends it all with its error.
	Damaged func(r *storage.Record, err error)

	// Index gets the archive's CDXJ index at the end; nil: nothing does.
	Index io.Writer
}

// Export writes the responses of s to w as one archive and returns how many it
// wrote. Memory does not grow with the store: one body at a time is held. When
// w tells its name, as an *os.File does, the archive names itself. URLs are written
// without the user and password that they may have.
func Export(ctx context.Context, w io.Writer, s storage.Store, opts ExportOptions) (n int, err error) {
	ww, err := NewWriter(w, opts.Options)
	if err != nil {
		return 0, err
	}
	if opts.Dedup == 0 {
		opts.Dedup = DefaultDedup
	}
	ww.seen = newDedup(opts.Dedup)
	lines := newSorter("", "")
	defer func() { err = errors.Join(err, lines.close()) }()
	if opts.Index != nil {
		ww.index = func(e *Entry) error { return lines.add(e.Append(nil)) }
	}
	name := ""
	if file, ok := w.(interface{ Name() string }); ok {
		name = filepath.Base(file.Name())
	}
	if err := ww.WriteInfo(name); err != nil {
		return 0, err
	}
	for r, err := range storage.Salvage(ctx, s, opts.After, opts.Damaged) {
		if err != nil {
			return n, fmt.Errorf("warc: %w", err)
		}
		if r.Status == 0 || opts.Where != nil && !opts.Where(r) {
			continue
		}
		body, err := s.Body(ctx, r.Seq)
		if opts.Damaged != nil && errors.Is(err, storage.ErrCorrupt) {
			opts.Damaged(r, err)
			continue
		}
		if err != nil && !errors.Is(err, storage.ErrNotFound) {
			return n, fmt.Errorf("warc: %w", err)
		}
		x := fromRecord(r, body)
		if opts.Requests {
			x.Request = madeRequest(r.URL, opts.UserAgent)
		}
		if err := ww.WriteExchange(x); err != nil {
			return n, err
		}
		n++
	}
	if opts.Index != nil {
		if err := lines.writeTo(opts.Index); err != nil {
			return n, fmt.Errorf("warc: %w", err)
		}
	}
	return n, nil
}
