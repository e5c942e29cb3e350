package crawler

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"time"

	"github.com/orbweaver/orbweaver/storage"
)

// ErrNoRound says that a job has no such round, or that there is none before it to
// compare it with.
var ErrNoRound = errors.New("no such pair of rounds")

// Diff iterates over the results of a round that differ from what was known before
// it: those whose Change is new, changed or gone, in the order of fetching. The
// round is its number, 0 for the last one. Memory does not grow with the job. An
// error, which is ErrNoRound if there is no such round or it is the first, ends the
// iteration; its record is nil.
func (j *Job) Diff(ctx context.Context, round int) iter.Seq2[*storage.Record, error] {
	return func(yield func(*storage.Record, error) bool) {
		after, last, err := j.span(round)
		if err != nil {
			yield(nil, err)
			return
		}
		for rec, err := range j.store.Records(ctx, after) {
			if err != nil {
				yield(nil, j.wrap("read", err))
				return
			}
			if rec.Seq > last {
				return
			}
			if differs(rec) && !yield(rec, nil) {
				return
			}
		}
	}
}

// DiffSince iterates over the results of fetches since a time that differ from what was
// known before them, as Diff does for a round. It is for a crawl with Config.Revisit,
// in which a page may come up more than once.
func (j *Job) DiffSince(ctx context.Context, since time.Time) iter.Seq2[*storage.Record, error] {
	return func(yield func(*storage.Record, error) bool) {
		for rec, err := range storage.Select(ctx, j.store, storage.Query{From: since}) {
			if err != nil {
				yield(nil, j.wrap("read", err))
				return
			}
			if differs(rec) && !yield(rec, nil) {
				return
			}
		}
	}
}

// differs says whether a result is another than what was known before.
func differs(rec *storage.Record) bool {
	switch rec.Change {
	case storage.ChangeNew, storage.ChangeChanged, storage.ChangeGone:
		return true
	}
	return false
}

// span returns the Seq before a round's first result, and that of its last.
func (j *Job) span(round int) (after, last uint64, err error) {
	rounds, err := j.Rounds()
	if err != nil {
		return 0, 0, err
	}
	if round == 0 {
		round = max(len(rounds), 1)
	}
	switch {
	case round < 0 || round > max(len(rounds), 1):
		return 0, 0, fmt.Errorf("%w: there is no round %d", ErrNoRound, round)
	case round == 1:
		return 0, 0, fmt.Errorf("%w: there is none before round 1", ErrNoRound)
	case round == len(rounds):
		return rounds[round-1].After, math.MaxUint64, nil
	}
	return rounds[round-1].After, rounds[round].After, nil
}
