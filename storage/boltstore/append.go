package boltstore

import (
	"context"
	"errors"
	"fmt"

	"go.etcd.io/bbolt"

	"github.com/orbweaver/orbweaver/storage"
)

// maxPart is the largest part of a body under one key.
const maxPart = 64 << 10

// Append implements [storage.Store] with a transaction of its own. It waits
// for other writers of the file, and is not interrupted by ctx while it does.
func (s *Store) Append(ctx context.Context, recs []*storage.Record) error {
	err := ctx.Err()
	switch {
	case err != nil:
	case s.closed.Load():
		err = storage.ErrClosed
	default:
		err = guard(func() error {
			return s.db.Update(func(tx *bbolt.Tx) error { return s.appendTx(tx, recs) })
		})
	}
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

// AppendTx appends recs inside tx, a writable transaction of the store's file.
// They are stored when tx is committed, and not when it is rolled back; until
// then no other method sees them. Their Seq is set at once, and means nothing
// after a rollback.
//
// The Body and Items of recs must not be changed before tx has ended. When
// AppendTx fails, tx has to be rolled back, except after a
// [*storage.RecordError] or [storage.ErrClosed], which leave it as it was.
func (s *Store) AppendTx(tx *bbolt.Tx, recs []*storage.Record) error {
	if err := guard(func() error { return s.appendTx(tx, recs) }); err != nil {
		return fmt.Errorf("storage: append: %w", err)
	}
	return nil
}

func (s *Store) appendTx(tx *bbolt.Tx, recs []*storage.Record) error {
	if s.closed.Load() {
		return storage.ErrClosed
	}
	if err := s.limits.Check(recs); err != nil {
		return err
	}
	if len(recs) == 0 {
		return nil
	}
	b, err := openBuckets(tx)
	if err != nil {
		return err
	}
	if b == nil {
		return corrupt("", nil, "missing")
	}
	if err := b.checkRevisits(recs); err != nil {
		return err
	}
	c, err := b.counters()
	if err != nil {
		return err
	}
	before := c.indexed
	arena := s.takeArena()
	fresh := make([]entry, len(recs))
	var span span
	for i, r := range recs {
		r.Number(c.lastSeq() + 1)
		if arena, err = b.put(r, arena); err != nil {
			return err
		}
		if err := span.add(b, r); err != nil {
			return err
		}
		c.Add(r)
		fresh[i] = entry{hash: s.hash(r.URL), seq: r.Seq}
	}
	if err := span.put(b); err != nil {
		return err
	}
	done, err := s.index(b, c, len(fresh))
	if err != nil {
		return err
	}
	start := len(arena)
	arena = c.append(arena)
	if err := b.root.Put([]byte(countersKey), arena[start:]); err != nil {
		return err
	}
	tx.OnCommit(func() { s.committed(arena, fresh, before, c.indexed, done) })
	return nil
}

// checkRevisits refuses the first of recs whose body is said to be where it is
// not.
func (b *buckets) checkRevisits(recs []*storage.Record) error {
	for i, r := range recs {
		if r.Body != nil || r.BodySeq == 0 {
			continue
		}
		first, err := b.record(r.BodySeq)
		switch {
		case errors.Is(err, storage.ErrNotFound), err == nil && !first.holdsBodyOf(r.URL):
			return &storage.RecordError{Index: i, URL: r.URL, Err: storage.ErrBodySeq}
		case err != nil:
			return err
		}
	}
	return nil
}

// put writes r, its body and its items. Like bbolt, which keeps the values
// that it is given until the transaction ends, it needs arena as long as that.
func (b *buckets) put(r *storage.Record, arena []byte) ([]byte, error) {
	start := len(arena)
	arena = appendRecord(arena, r)
	key := seqKey(r.Seq)
	if err := b.records.Put(key[:], arena[start:len(arena):len(arena)]); err != nil {
		return arena, err
	}
	for part, body := uint32(0), r.Body; len(body) > 0; part++ {
		n := min(len(body), maxPart)
		key := partKey(r.Seq, part)
		if err := b.bodies.Put(key[:], body[:n]); err != nil {
			return arena, err
		}
		body = body[n:]
	}
	for i, item := range r.Items {
		key := partKey(r.Seq, uint32(i))
		if err := b.items.Put(key[:], item); err != nil {
			return arena, err
		}
	}
	return arena, nil
}

// takeArena gives away the memory that the last transaction encoded into. One
// that is rolled back never returns it.
func (s *Store) takeArena() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	arena := s.arena
	s.arena = nil
	return arena[:0]
}

// committed takes note of what a transaction has stored. bbolt calls it after
// it has let the next writer in, so calls may come in another order than the
// transactions. before and indexed are counters.indexed at the start and at the end
// of the transaction; done is how many of catch.entries were in urls when it ended.
func (s *Store) committed(arena []byte, fresh []entry, before, indexed uint64, done int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.arena = arena
	s.pending.add(fresh, indexed)
	if s.catch.from == before && s.catch.to > before {
		s.catch.done = max(s.catch.done, done)
	}
}
