package storage

import (
	"context"
	"iter"
)

// Store keeps what was fetched. Its methods may be called by several
// goroutines at once.
type Store interface {
	// Append adds recs in the order given, with their bodies and items, and
	// sets each one's Seq. It is atomic: when it fails, none of recs is stored
	// and their Seq is 0. When it returns nil they are durable, as far as the
	// store can promise. A URL may come again.
	//
	// Nothing of recs is kept or changed after Append has returned. A record
	// that cannot be stored is refused with a [*RecordError], as is one whose
	// BodySeq names no earlier record of its URL that holds a body.
	Append(ctx context.Context, recs []*Record) error

	// Get returns the newest record of url, without Body and Items, or an
	// error that is [ErrNotFound].
	Get(ctx context.Context, url string) (*Record, error)

	// Records iterates over the records with a Seq greater than after, in the
	// order of Seq, without Body and Items. Records appended during the
	// iteration may or may not be seen, but never one without those before
	// it. An error ends the iteration; its record is nil. The records yielded
	// are the caller's to keep.
	Records(ctx context.Context, after uint64) iter.Seq2[*Record, error]

	// Body returns the body of the record seq as it was stored, with it or with
	// the earlier record that its BodySeq names: not nil, and the caller's to keep. It returns an error that is [ErrNotFound] when
	// there is no such record or its body was not kept.
	Body(ctx context.Context, seq uint64) ([]byte, error)

	// Items iterates over the items of the records with a Seq greater than
	// after, in the order of Seq and, within a record, as they were emitted.
	// Otherwise it is like Records.
	Items(ctx context.Context, after uint64) iter.Seq2[Item, error]

	// Stats returns the counters. Its cost does not grow with the store.
	Stats(ctx context.Context) (Stats, error)

	// Check proves the store's invariants by reading all of it, and returns
	// what is broken, joined.
	Check(ctx context.Context) error

	// Close releases the store. Methods called afterwards, and iterations
	// still going on, fail with [ErrClosed]. A second Close does nothing.
	Close() error
}

// Historian is a [Store] that also finds the older records of a URL.
type Historian interface {
	// History iterates over all records of url from the newest to the oldest,
	// without Body and Items. A URL never fetched has none, without an error.
	History(ctx context.Context, url string) iter.Seq2[*Record, error]
}

// Stats counts what a [Store] holds. Revisits count again.
type Stats struct {
	Records   int64 // also the newest Seq
	Responses int64 // records with a Status other than 0
	Truncated int64 // records whose body was cut
	Items     int64
	Bodies    int64 // records whose body was kept
	BodyBytes int64 // size of the kept bodies, as stored

	DecodedBytes int64 // sum of Record.Bytes
	WireBytes    int64 // sum of Record.WireBytes

	// ByClass counts records by the first digit of a three-digit status: 2
	// for 200 to 299. Index 0 counts those with any other status, no response
	// included.
	ByClass [10]int64
}

// Add counts r, with its body and items. It is for implementations of [Store].
func (s *Stats) Add(r *Record) {
	s.Records++
	if r.Status != 0 {
		s.Responses++
	}
	if r.Truncated {
		s.Truncated++
	}
	if r.Body != nil {
		s.Bodies++
		s.BodyBytes += int64(len(r.Body))
	}
	s.Items += int64(len(r.Items))
	s.DecodedBytes += r.Bytes
	s.WireBytes += r.WireBytes
	s.ByClass[statusClass(r.Status)]++
}

func statusClass(status int) int {
	if status < 100 || status > 999 {
		return 0
	}
	return status / 100
}
