package storage

import (
	"context"
	"errors"
	"iter"
)

// Salvage iterates over the records of s as [Store.Records] does, but goes on behind
// one that cannot be read. damaged is told of each of those: of a record that has
// nothing but its Seq, and of an error that is [ErrCorrupt]. A nil damaged makes it
// like Records, for which the first of them is the end.
func Salvage(ctx context.Context, s Store, after uint64, damaged func(*Record, error)) iter.Seq2[*Record, error] {
	return salvage(ctx, s, after, damaged, s.Records, func(r *Record) uint64 { return r.Seq })
}

// SalvageItems iterates over the items of s as [Store.Items] does, but goes on behind
// those of a record that cannot be read, as [Salvage] does. Where a part of the store
// is damaged and nobody knows which records had items there, damaged is told of all
// that may have had some.
func SalvageItems(ctx context.Context, s Store, after uint64, damaged func(*Record, error)) iter.Seq2[Item, error] {
	// Another item of the same record may follow.
	return salvage(ctx, s, after, damaged, s.Items, func(i Item) uint64 { return i.Seq - 1 })
}

// salvage begins to read again behind whatever is damaged. done tells of what was
// read up to which Seq all is done with.
func salvage[T any](
	ctx context.Context, s Store, after uint64, damaged func(*Record, error),
	read func(context.Context, uint64) iter.Seq2[T, error], done func(T) uint64,
) iter.Seq2[T, error] {
	if damaged == nil {
		return read(ctx, after)
	}
	return func(yield func(T, error) bool) {
		for last := after + 1; after < last; {
			var broken error
			for v, err := range read(ctx, after) {
				if broken = err; err != nil {
					break
				}
				if !yield(v, nil) {
					return
				}
				after = done(v)
			}
			if broken == nil {
				return
			}
			stats, err := s.Stats(ctx)
			if last = uint64(stats.Records); err != nil || after >= last || !errors.Is(broken, ErrCorrupt) {
				var none T
				yield(none, broken)
				return
			}
			after++
			if c, ok := errors.AsType[*CorruptError](broken); ok && c.Seq <= last {
				after = max(after, c.Seq)
			}
			damaged(&Record{Seq: after}, broken)
		}
	}
}
