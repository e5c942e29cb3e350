package boltstore

import (
	"encoding/binary"
	"time"

	"github.com/orbweaver/orbweaver/storage"
)

// The records are cut into blocks by their seq. For each, times has when its
// records were fetched: for the first and the last of these times the Unix
// seconds (8 bytes) and the nanoseconds (4). A reader who looks for a time leaves
// out whole blocks.
const (
	blockRecords = 256
	spanSize     = 24
)

// blockOf is the block of a record, counted from 1.
func blockOf(seq uint64) uint64 { return (seq-1)/blockRecords + 1 }

// lastOf is the last seq of a block.
func lastOf(block uint64) uint64 { return block * blockRecords }

// span is when the records of a block were fetched. The zero span has none.
type span struct {
	block    uint64
	from, to time.Time
	rotten   bool // some times are unknown; only in a check
}

// widen adds a record of the block, which is the span's own unless that has none.
func (s *span) widen(block uint64, at time.Time) {
	at = at.Round(0).UTC()
	if s.block == 0 {
		s.block, s.from, s.to = block, at, at
		return
	}
	if at.Before(s.from) {
		s.from = at
	}
	if at.After(s.to) {
		s.to = at
	}
}

// add adds a record that is being stored, and puts the block before it, if it is
// the first of one.
func (s *span) add(b *buckets, r *storage.Record) error {
	block := blockOf(r.Seq)
	if s.block != block {
		if err := s.put(b); err != nil {
			return err
		}
		*s = span{}
		if r.Seq > lastOf(block-1)+1 { // the block has others
			kept, err := b.span(block)
			if err != nil {
				return err
			}
			*s = *kept
		}
	}
	s.widen(block, r.FetchedAt)
	return nil
}

// put stores the span, if it has a block.
func (s *span) put(b *buckets) error {
	if s.block == 0 {
		return nil
	}
	value := make([]byte, 0, spanSize)
	for _, t := range [...]time.Time{s.from, s.to} {
		value = binary.BigEndian.AppendUint64(value, uint64(t.Unix()))
		value = binary.BigEndian.AppendUint32(value, uint32(t.Nanosecond()))
	}
	key := seqKey(s.block)
	return b.times.Put(key[:], value)
}

// span reads what is stored of a block.
func (b *buckets) span(block uint64) (*span, error) {
	key := seqKey(block)
	value := b.times.Get(key[:])
	if len(value) != spanSize {
		return nil, corrupt(timesName, key[:], "not the times of a block")
	}
	at := func(v []byte) time.Time {
		return time.Unix(int64(binary.BigEndian.Uint64(v)), int64(binary.BigEndian.Uint32(v[8:]))).UTC()
	}
	return &span{block: block, from: at(value), to: at(value[12:])}, nil
}

// overlaps reports whether a query may want records of the block.
func (s *span) overlaps(q storage.Query) bool {
	return (q.From.IsZero() || !s.to.Before(q.From)) && (q.To.IsZero() || s.from.Before(q.To))
}
