package memstore

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"sync"

	"github.com/orbweaver/orbweaver/storage"
)

// Store keeps records in memory. It is a [storage.Store] and a
// [storage.Historian].
type Store struct {
	limits storage.Limits

	mu     sync.RWMutex
	closed bool
	recs   []*storage.Record // by Seq-1; with Body and Items; never changed
	byURL  map[string][]uint64
	stats  storage.Stats
}

var (
	_ storage.Store     = (*Store)(nil)
	_ storage.Historian = (*Store)(nil)
)

// New returns an empty store with the default limits.
func New() *Store {
	limits, err := storage.Limits{}.WithDefaults()
	if err != nil {
		panic(err) // the zero Limits are valid
	}
	return &Store{limits: limits, byURL: make(map[string][]uint64)}
}

// Append implements [storage.Store].
func (s *Store) Append(ctx context.Context, recs []*storage.Record) error {
	err := s.append(ctx, recs)
	if err != nil {
		for _, r := range recs {
			if r != nil {
				r.Unnumber()
			}
		}
		return fmt.Errorf("storage: append: %w", err)
	}
	return nil
}

func (s *Store) append(ctx context.Context, recs []*storage.Record) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := s.limits.Check(recs); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return storage.ErrClosed
	}
	for i, r := range recs {
		if !s.holdsBody(r) {
			return &storage.RecordError{Index: i, URL: r.URL, Err: storage.ErrBodySeq}
		}
	}
	for _, r := range recs {
		r.Number(uint64(len(s.recs)) + 1)
		s.recs = append(s.recs, clone(r))
		s.byURL[r.URL] = append(s.byURL[r.URL], r.Seq)
		s.stats.Add(r)
	}
	return nil
}

// holdsBody reports whether the record that r's BodySeq names, if it has to name
// one, is of the same URL and holds a body.
func (s *Store) holdsBody(r *storage.Record) bool {
	if r.Body != nil || r.BodySeq == 0 {
		return true
	}
	if r.BodySeq > uint64(len(s.recs)) {
		return false
	}
	first := s.recs[r.BodySeq-1]
	return first.URL == r.URL && first.Body != nil
}

// Get implements [storage.Store].
func (s *Store) Get(ctx context.Context, url string) (*storage.Record, error) {
	for rec, err := range s.History(ctx, url) {
		return rec, err
	}
	return nil, fmt.Errorf("storage: get %s: %w", url, storage.ErrNotFound)
}

// History implements [storage.Historian].
func (s *Store) History(ctx context.Context, url string) iter.Seq2[*storage.Record, error] {
	return func(yield func(*storage.Record, error) bool) {
		var seqs []uint64 // only grows, so what is seen here stays as it is
		if err := s.read(ctx, func() error { seqs = s.byURL[url]; return nil }); err != nil {
			yield(nil, fmt.Errorf("storage: history of %s: %w", url, err))
			return
		}
		for i := len(seqs) - 1; i >= 0; i-- {
			rec, err := s.record(ctx, seqs[i])
			if err != nil {
				yield(nil, fmt.Errorf("storage: history of %s: %w", url, err))
				return
			}
			if !yield(bare(rec), nil) {
				return
			}
		}
	}
}

// Records implements [storage.Store].
func (s *Store) Records(ctx context.Context, after uint64) iter.Seq2[*storage.Record, error] {
	return func(yield func(*storage.Record, error) bool) {
		for seq := after + 1; seq != 0; seq++ {
			rec, err := s.record(ctx, seq)
			if err != nil {
				yield(nil, fmt.Errorf("storage: records: %w", err))
				return
			}
			if rec == nil || !yield(bare(rec), nil) {
				return
			}
		}
	}
}

// Body implements [storage.Store].
func (s *Store) Body(ctx context.Context, seq uint64) ([]byte, error) {
	rec, err := s.record(ctx, seq)
	if err == nil && rec != nil {
		rec, err = s.record(ctx, rec.BodySeq)
	}
	if err == nil && rec == nil {
		err = storage.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("storage: body of record %d: %w", seq, err)
	}
	return bytes.Clone(rec.Body), nil
}

// Items implements [storage.Store].
func (s *Store) Items(ctx context.Context, after uint64) iter.Seq2[storage.Item, error] {
	return func(yield func(storage.Item, error) bool) {
		for seq := after + 1; seq != 0; seq++ {
			rec, err := s.record(ctx, seq)
			if err != nil {
				yield(storage.Item{}, fmt.Errorf("storage: items: %w", err))
				return
			}
			if rec == nil {
				return
			}
			for _, data := range rec.Items {
				item := storage.Item{Seq: seq, URL: rec.URL, Label: rec.Label, Data: bytes.Clone(data)}
				if !yield(item, nil) {
					return
				}
			}
		}
	}
}

// Stats implements [storage.Store].
func (s *Store) Stats(ctx context.Context) (stats storage.Stats, err error) {
	err = s.read(ctx, func() error { stats = s.stats; return nil })
	if err != nil {
		return storage.Stats{}, fmt.Errorf("storage: stats: %w", err)
	}
	return stats, nil
}

// Check implements [storage.Store].
func (s *Store) Check(ctx context.Context) error {
	err := s.read(ctx, s.check)
	if err != nil {
		return fmt.Errorf("storage: check: %w", err)
	}
	return nil
}

func (s *Store) check() error {
	var counted storage.Stats
	for i, r := range s.recs {
		if r.Seq != uint64(i)+1 {
			return &storage.CorruptError{Bucket: "records", Reason: fmt.Sprintf("record %d has Seq %d", i+1, r.Seq)}
		}
		if r.Body != nil && r.BodySeq != r.Seq || r.BodySeq > r.Seq || !s.holdsBody(r) {
			return &storage.CorruptError{Bucket: "records", Reason: fmt.Sprintf("record %d has its body in %d", r.Seq, r.BodySeq)}
		}
		counted.Add(r)
	}
	if counted != s.stats {
		return &storage.CorruptError{Bucket: "counters", Reason: fmt.Sprintf("%+v, but counted %+v", s.stats, counted)}
	}
	indexed := 0
	for url, seqs := range s.byURL {
		for _, seq := range seqs {
			if s.recs[seq-1].URL != url {
				return &storage.CorruptError{Bucket: "urls", Key: []byte(url), Reason: fmt.Sprintf("record %d has another URL", seq)}
			}
		}
		indexed += len(seqs)
	}
	if indexed != len(s.recs) {
		return &storage.CorruptError{Bucket: "urls", Reason: fmt.Sprintf("%d entries for %d records", indexed, len(s.recs))}
	}
	return nil
}

// Close implements [storage.Store]. It also lets go of all records.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.recs, s.byURL = nil, nil
	return nil
}

// read calls fn with the lock held for reading.
func (s *Store) read(ctx context.Context, fn func() error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return storage.ErrClosed
	}
	return fn()
}

// record returns the stored record seq; nil when there is none.
func (s *Store) record(ctx context.Context, seq uint64) (rec *storage.Record, err error) {
	err = s.read(ctx, func() error {
		if seq >= 1 && seq <= uint64(len(s.recs)) {
			rec = s.recs[seq-1]
		}
		return nil
	})
	return rec, err
}

// clone copies r as deeply as a store must that keeps nothing of the caller's.
func clone(r *storage.Record) *storage.Record {
	c := *r
	c.FetchedAt = r.FetchedAt.Round(0).UTC()
	c.Head, c.Data, c.Body = bytes.Clone(r.Head), bytes.Clone(r.Data), bytes.Clone(r.Body)
	c.Items = make([]json.RawMessage, len(r.Items))
	for i, item := range r.Items {
		c.Items[i] = bytes.Clone(item)
	}
	return &c
}

// bare copies r as a reader gets it.
func bare(r *storage.Record) *storage.Record {
	c := *r
	c.Head, c.Data = append([]byte(nil), r.Head...), append([]byte(nil), r.Data...) // nil if empty
	c.Body, c.Items = nil, nil
	return &c
}
