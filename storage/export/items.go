package export

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"unicode/utf8"

	"github.com/orbweaver/orbweaver/storage"
)

// Items writes the items of s to w as JSON lines, each as it was emitted, and
// returns how many it wrote. An item that takes several lines loses its white
// space, and bytes that are not UTF-8 become U+FFFD. Of opts only After, Where,
// WhereItem, Wrap and Damaged count; a Format other than JSONL is refused. Errors are
// as with [Records].
func Items(ctx context.Context, w io.Writer, s storage.Store, opts Options) (n int, err error) {
	if opts.Format != JSONL {
		return 0, &UnknownError{What: "format", Name: opts.Format.String(), Known: formatNames[:1]}
	}
	out := lines{w: w}
	pages := selection{where: opts.Where}
	if opts.Where != nil {
		damaged := opts.Damaged
		if damaged != nil {
			damaged = func(*storage.Record, error) {} // if it has items, they are told of below
		}
		next, stop := iter.Pull2(storage.Salvage(ctx, s, opts.After, damaged))
		defer stop()
		pages.next = next
	}
	for item, err := range storage.SalvageItems(ctx, s, opts.After, opts.Damaged) {
		if err != nil {
			return out.end(fmt.Errorf("export: %w", err))
		}
		if opts.WhereItem != nil && !opts.WhereItem(&item) {
			continue
		}
		if chosen, err := pages.has(item.Seq); err != nil {
			return out.end(fmt.Errorf("export: %w", err))
		} else if !chosen {
			continue
		}
		before := len(out.buf)
		if out.buf, err = appendItem(out.buf, &item, opts.Wrap); err != nil {
			out.buf = out.buf[:before]
			return out.end(fmt.Errorf("export: item of %s: %w", item.URL, err))
		}
		if err := out.add(); err != nil {
			return out.written, err
		}
	}
	return out.end(nil)
}

// selection tells which records are selected, asked in the order of their Seq.
type selection struct {
	where func(*storage.Record) bool            // nil: all are
	next  func() (*storage.Record, error, bool) // reads the records
	seq   uint64                                // of the one read last
	found bool                                  // whether that one is selected
}

func (s *selection) has(seq uint64) (bool, error) {
	if s.where == nil {
		return true, nil
	}
	for s.seq < seq {
		r, err, more := s.next()
		if err != nil {
			return false, err
		}
		if !more {
			return false, nil
		}
		s.seq, s.found = r.Seq, s.where(r)
	}
	return s.seq == seq && s.found, nil
}

func appendItem(dst []byte, item *storage.Item, wrap bool) (_ []byte, err error) {
	if wrap {
		dst = appendJSONString(append(dst, `{"url":`...), item.URL)
		dst = appendJSONString(append(dst, `,"label":`...), item.Label)
		dst = append(dst, `,"item":`...)
	}
	data := item.Data
	if !utf8.Valid(data) { // in strings: all else of JSON is ASCII
		data = bytes.ToValidUTF8(data, []byte("\uFFFD"))
	}
	if bytes.ContainsAny(data, "\r\n") { // white space: strings of JSON have none
		line := bytes.NewBuffer(dst)
		if err := json.Compact(line, data); err != nil {
			return dst, err
		}
		dst = line.Bytes()
	} else {
		dst = append(dst, data...)
	}
	if wrap {
		dst = append(dst, '}')
	}
	return append(dst, '\n'), nil
}
