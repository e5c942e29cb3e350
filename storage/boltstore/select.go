package boltstore

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"math"
	"slices"

	"github.com/orbweaver/orbweaver/storage"
)

const (
	// maxScan is how many records one read transaction looks at that may not be
	// wanted.
	maxScan = 4 << 10

	// maxSeqs bounds the memory of a walk through a host's records: of one with
	// more, the index is read again for each so many.
	maxSeqs = 64 << 10
)

// Select implements [storage.Selector]. By time it reads what lies in blocks with
// records of that time; by host, the host's part of the index and what that leads
// to.
func (s *Store) Select(ctx context.Context, q storage.Query) iter.Seq2[*storage.Record, error] {
	next := s.selectAny
	if q.Host != "" {
		next = (&hostWalk{s: s}).next
	}
	return func(yield func(*storage.Record, error) bool) {
		for q.After != math.MaxUint64 {
			recs, last, err := next(ctx, q)
			for _, r := range recs {
				if !yield(r, nil) {
					return
				}
			}
			if err != nil {
				yield(nil, fmt.Errorf("storage: select: %w", err))
				return
			}
			if last == 0 {
				return
			}
			q.After = last
		}
	}
}

// selectAny returns the first of the records that q wants, and the last seq that
// it has looked at; 0 at the end.
func (s *Store) selectAny(ctx context.Context, q storage.Query) (recs []*storage.Record, last uint64, err error) {
	err = s.view(ctx, func(b *buckets) error {
		c, size := b.records.Cursor(), 0
		start := seqKey(q.After + 1)
		k, v := c.Seek(start[:])
		for block, scanned := uint64(0), 0; k != nil; scanned++ {
			if len(k) != seqKeySize {
				return corrupt(recordsName, k, "not a sequence number")
			}
			seq := seqOf(k)
			if seq <= max(last, q.After) {
				return disordered(recordsName, k)
			}
			if at := blockOf(seq); at != block {
				block = at
				span, err := b.span(block)
				if err != nil {
					return err
				}
				if !span.overlaps(q) {
					last = lastOf(block)
					after := seqKey(last + 1)
					k, v = c.Seek(after[:])
					continue
				}
			}
			r, err := readRecord(k, v)
			if err != nil {
				return err
			}
			if q.Matches(&r.Record) {
				recs = append(recs, &r.Record)
				size += len(v)
			}
			last = seq
			if len(recs) == maxBatch || size >= maxBatchBytes || scanned >= maxScan {
				return nil
			}
			k, v = c.Next()
		}
		last = 0
		return nil
	})
	return recs, last, err
}

// hostWalk goes through the records of one host.
type hostWalk struct {
	s    *Store
	seqs []uint64 // of records to come; some may be of other hosts
	more bool     // there are others after them
	read bool     // seqs has been filled
}

// next is like selectAny.
func (w *hostWalk) next(ctx context.Context, q storage.Query) (recs []*storage.Record, last uint64, err error) {
	if len(w.seqs) == 0 {
		if w.read && !w.more {
			return nil, 0, nil
		}
		if err := w.fill(ctx, q.Host, q.After); err != nil || len(w.seqs) == 0 {
			return nil, 0, err
		}
	}
	n := 0
	err = w.s.view(ctx, func(b *buckets) error {
		for size := 0; n < min(len(w.seqs), maxBatch) && size < maxBatchBytes; n++ {
			seq := w.seqs[n]
			r, err := b.record(seq)
			if err != nil {
				key := seqKey(seq)
				return orphaned(err, urlsName, key[:])
			}
			if q.Matches(&r.Record) {
				recs = append(recs, &r.Record)
				size += r.size
			}
		}
		return nil
	})
	if err != nil {
		return recs, 0, err
	}
	last = w.seqs[n-1]
	w.seqs = w.seqs[n:]
	return recs, last, nil
}

// fill gathers what the index has of a host after a seq, the first maxSeqs of it.
func (w *hostWalk) fill(ctx context.Context, host string, after uint64) error {
	part := w.s.hash("://"+host) >> hostShift
	var seqs []uint64
	w.read, w.more = true, false
	add := func(e entry) {
		if e.hash>>hostShift != part || e.seq <= after {
			return
		}
		if seqs = append(seqs, e.seq); len(seqs) == 2*maxSeqs {
			slices.Sort(seqs)
			seqs, w.more = slices.Compact(seqs), true
			seqs = seqs[:min(len(seqs), maxSeqs)]
		}
	}
	// Before the transaction begins: see visits.
	w.s.mu.Lock()
	for _, e := range w.s.pending.entries {
		add(e)
	}
	w.s.mu.Unlock()
	err := w.s.view(ctx, func(b *buckets) error {
		return b.eachEntry(part<<hostShift, func(e entry) bool {
			add(e)
			return e.hash>>hostShift <= part
		})
	})
	slices.Sort(seqs)
	if seqs = slices.Compact(seqs); len(seqs) > maxSeqs {
		seqs, w.more = seqs[:maxSeqs], true
	}
	w.seqs = seqs
	return err
}

// eachEntry calls fn for the entries of urls from a hash on, and perhaps some
// before it, until it returns false.
func (b *buckets) eachEntry(hash uint64, fn func(entry) bool) error {
	from := entry{hash: hash}
	start := from.bytes()
	cursor := b.urls.Cursor()
	k, v := cursor.Seek(start[:])
	if !bytes.Equal(k, start[:]) { // the chunk before may have some
		back := cursor.Prev
		if k == nil {
			back = cursor.Last
		}
		if before, value := back(); before != nil {
			k, v = before, value
		} else {
			k, v = cursor.First()
		}
	}
	for ; k != nil; k, v = cursor.Next() {
		c, err := chunkOf(k, v)
		if err != nil {
			return err
		}
		for i := range c.len() {
			if !fn(c.at(i)) {
				return nil
			}
		}
	}
	return nil
}
