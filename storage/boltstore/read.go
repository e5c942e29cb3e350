package boltstore

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"math"

	"github.com/orbweaver/orbweaver/storage"
)

// A read transaction keeps bbolt from using freed pages again, so iterations
// take one for each batch of at most so many entries, and about so many bytes.
const (
	maxBatch      = 256
	maxBatchBytes = 1 << 20
)

// Records implements [storage.Store]. A read transaction is open only while it
// fetches the next few hundred records, never while one is yielded.
func (s *Store) Records(ctx context.Context, after uint64) iter.Seq2[*storage.Record, error] {
	return func(yield func(*storage.Record, error) bool) {
		for after != math.MaxUint64 {
			recs, err := s.readRecords(ctx, after)
			for _, r := range recs {
				if !yield(r, nil) {
					return
				}
				after = r.Seq
			}
			if err != nil {
				yield(nil, fmt.Errorf("storage: records: %w", err))
				return
			}
			if len(recs) == 0 {
				return
			}
		}
	}
}

// readRecords returns the batch that follows after; with an error, what was
// read before it.
func (s *Store) readRecords(ctx context.Context, after uint64) (recs []*storage.Record, err error) {
	err = s.view(ctx, func(b *buckets) error {
		start, last, size := seqKey(after+1), after, 0
		c := b.records.Cursor()
		for k, v := c.Seek(start[:]); k != nil && len(recs) < maxBatch && size < maxBatchBytes; k, v = c.Next() {
			r, err := readRecord(k, v)
			if err != nil {
				return err
			}
			if r.Seq <= last {
				return disordered(recordsName, k)
			}
			last = r.Seq
			recs = append(recs, &r.Record)
			size += len(v)
		}
		return nil
	})
	return recs, err
}

// Items implements [storage.Store], in batches as Records does.
func (s *Store) Items(ctx context.Context, after uint64) iter.Seq2[storage.Item, error] {
	return func(yield func(storage.Item, error) bool) {
		if after == math.MaxUint64 {
			return
		}
		start := partKey(after+1, 0)
		for next := start[:]; ; {
			items, following, err := s.readItems(ctx, next)
			for _, item := range items {
				if !yield(item, nil) {
					return
				}
			}
			if err != nil {
				yield(storage.Item{}, fmt.Errorf("storage: items: %w", err))
				return
			}
			if len(items) == 0 {
				return
			}
			next = following
		}
	}
}

// readItems returns the batch of items from the key start on, and the key
// where the one after it starts; with an error, what was read before it.
func (s *Store) readItems(ctx context.Context, start []byte) (items []storage.Item, next []byte, err error) {
	err = s.view(ctx, func(b *buckets) error {
		var page *stored
		size := 0
		c := b.items.Cursor()
		for k, v := c.Seek(start); k != nil && len(items) < maxBatch && size < maxBatchBytes; k, v = c.Next() {
			if len(k) != partKeySize {
				return corrupt(itemsName, k, "not the key of an item")
			}
			if bytes.Compare(k, start) < 0 {
				return disordered(itemsName, k)
			}
			if page == nil || page.Seq != seqOf(k) {
				if page, err = b.record(seqOf(k)); err != nil {
					return orphaned(err, itemsName, k)
				}
			}
			items = append(items, storage.Item{Seq: page.Seq, URL: page.URL, Label: page.Label, Data: bytes.Clone(v)})
			next = append(append(next[:0], k...), 0) // the smallest key after k
			start = next
			size += len(v)
		}
		return nil
	})
	return items, next, err
}

// Body implements [storage.Store].
func (s *Store) Body(ctx context.Context, seq uint64) ([]byte, error) {
	var body []byte
	err := s.view(ctx, func(b *buckets) error {
		r, err := b.record(seq)
		if err != nil {
			return err
		}
		if r.BodySeq != 0 && r.BodySeq != seq {
			if r, err = b.record(r.BodySeq); err != nil {
				key := seqKey(seq)
				return orphaned(err, recordsName, key[:])
			}
		}
		body, err = b.body(r)
		return err
	})
	if err == nil && body == nil {
		err = storage.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("storage: body of record %d: %w", seq, err)
	}
	return body, nil
}

// body reads the body of r; nil when it was not kept.
func (b *buckets) body(r *stored) ([]byte, error) {
	if !r.hasBody {
		return nil, nil
	}
	// The size is compared with what is there before memory is taken for it.
	if err := b.checkBody(r); err != nil {
		return nil, err
	}
	body := make([]byte, 0, r.bodySize)
	for _, value := range parts(b.bodies, r.Seq) {
		body = append(body, value...)
	}
	return body, nil
}

// Stats implements [storage.Store].
func (s *Store) Stats(ctx context.Context) (stats storage.Stats, err error) {
	err = s.view(ctx, func(b *buckets) error {
		c, err := b.counters()
		if err != nil {
			return err
		}
		stats = c.Stats
		return nil
	})
	if err != nil {
		return storage.Stats{}, fmt.Errorf("storage: stats: %w", err)
	}
	return stats, nil
}
