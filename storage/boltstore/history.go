package boltstore

import (
	"context"
	"fmt"
	"iter"
	"math"
	"slices"

	"github.com/orbweaver/orbweaver/storage"
)

// Get implements [storage.Store].
func (s *Store) Get(ctx context.Context, url string) (*storage.Record, error) {
	recs, err := s.visits(ctx, url, math.MaxUint64, 1)
	if err == nil && len(recs) == 0 {
		err = storage.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("storage: get %s: %w", url, err)
	}
	return recs[0], nil
}

// firstVisits is how many records of a history are read at first.
const firstVisits = 4

// History implements [storage.Historian].
func (s *Store) History(ctx context.Context, url string) iter.Seq2[*storage.Record, error] {
	return func(yield func(*storage.Record, error) bool) {
		// Who asks for a history often wants the newest of it.
		limit := firstVisits
		for before := uint64(math.MaxUint64); ; limit = min(2*limit, maxBatch) {
			recs, err := s.visits(ctx, url, before, limit)
			for _, r := range recs {
				if !yield(r, nil) {
					return
				}
				before = r.Seq
			}
			if err != nil {
				yield(nil, fmt.Errorf("storage: history of %s: %w", url, err))
				return
			}
			if len(recs) == 0 {
				return
			}
		}
	}
}

// visits returns records of url with a smaller Seq than before, the newest first:
// up to limit, and no more than a batch may hold; with an error, those found until
// then.
func (s *Store) visits(ctx context.Context, url string, before uint64, limit int) ([]*storage.Record, error) {
	hash := s.hash(url)
	var recs []*storage.Record
	size := 0
	// Entries leave pending only after they were committed to urls, so none is
	// missed when pending is read before the transaction begins.
	waiting := s.pendingVisits(hash, before)
	err := s.view(ctx, func(b *buckets) error {
		for seq, err := range b.candidates(hash, before, waiting) {
			if err != nil {
				return err
			}
			r, err := b.record(seq)
			if err != nil {
				key := entry{hash: hash, seq: seq}.bytes()
				return orphaned(err, urlsName, key[:])
			}
			if r.URL == url {
				recs = append(recs, &r.Record)
				size += r.size
			}
			if len(recs) == limit || size >= maxBatchBytes {
				break
			}
		}
		return nil
	})
	return recs, err
}

// pendingVisits returns what pending holds of hash before a Seq, newest first.
func (s *Store) pendingVisits(hash, before uint64) (seqs []uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range slices.Backward(s.pending.entries) {
		if e.hash == hash && e.seq < before {
			seqs = append(seqs, e.seq)
		}
	}
	return seqs
}

// candidates iterates over the records with the hash, newest first: those
// waiting, then those before them in urls.
func (b *buckets) candidates(hash, before uint64, waiting []uint64) iter.Seq2[uint64, error] {
	return func(yield func(uint64, error) bool) {
		for _, seq := range waiting {
			if !yield(seq, nil) {
				return
			}
			before = seq
		}
		limit := entry{hash: hash, seq: before}
		start := limit.bytes()
		cursor := b.urls.Cursor()
		back := cursor.Prev // all entries of the chunk sought are at or above the limit
		if k, _ := cursor.Seek(start[:]); k == nil {
			back = cursor.Last
		}
		for k, v := back(); k != nil; k, v = cursor.Prev() {
			c, err := chunkOf(k, v)
			if err != nil {
				yield(0, err)
				return
			}
			for i := c.find(limit) - 1; i >= 0; i-- {
				e := c.at(i)
				if e.hash != hash || !yield(e.seq, nil) {
					return
				}
			}
		}
	}
}
