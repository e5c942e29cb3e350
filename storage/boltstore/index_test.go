package boltstore

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/orbweaver/orbweaver/storage"
)

func TestIndexHashKeepsHostsTogether(t *testing.T) {
	a, b := indexHash("https://example.org/a"), indexHash("https://example.org/b")
	other := indexHash("https://example.com/a")
	if a>>40 != b>>40 || a>>40 == other>>40 || a == b {
		t.Errorf("hashes %x and %x of one host, %x of another", a, b, other)
	}
}

func TestPendingOutOfOrder(t *testing.T) {
	var p pending
	seqs := func() (all []uint64) {
		for _, e := range p.after(0) {
			all = append(all, e.seq)
		}
		return all
	}
	p.add([]entry{{seq: 3}, {seq: 4}}, 0)
	p.add([]entry{{seq: 1}, {seq: 2}}, 0)
	if got := seqs(); !slices.Equal(got, []uint64{1, 2, 3, 4}) {
		t.Errorf("late entries: %v", got)
	}
	p.add([]entry{{seq: 5}, {seq: 6}}, 5)
	if got := seqs(); !slices.Equal(got, []uint64{6}) {
		t.Errorf("after those up to 5 were indexed: %v", got)
	}
	p.add([]entry{{seq: 5}}, 3) // reported by an older transaction, late
	if got := seqs(); !slices.Equal(got, []uint64{6}) {
		t.Errorf("an entry already indexed came back: %v", got)
	}
	if got := p.after(6); len(got) != 0 {
		t.Errorf("after the last: %v", got)
	}
}

// TestChunks adds random entries in random batches and compares urls with a
// sorted list.
func TestChunks(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	s := newStore(t)
	var want []entry
	for seq := uint64(1); seq < 20_000; {
		var due []entry
		for range 1 + rng.IntN(2000) {
			hash := rng.Uint64()
			if rng.IntN(3) > 0 {
				hash %= 5 // long runs of one hash, across chunks
			}
			due = append(due, entry{hash: hash, seq: seq})
			seq++
		}
		slices.SortFunc(due, compareEntries)
		want = append(want, due...)
		if err := s.db.Update(func(tx *bbolt.Tx) error {
			b, err := openBuckets(tx)
			if err != nil {
				return err
			}
			return b.addEntries(due)
		}); err != nil {
			t.Fatal(err)
		}
	}
	slices.SortFunc(want, compareEntries)

	var got []entry
	if err := s.db.View(func(tx *bbolt.Tx) error {
		b, err := openBuckets(tx)
		if err != nil {
			return err
		}
		if err := b.urls.ForEach(func(k, v []byte) error {
			c, err := chunkOf(k, v)
			if err != nil || c.len() == 0 || c.len() > maxChunk {
				t.Errorf("chunk of %d entries, %v", c.len(), err)
			}
			for i := range c.len() {
				got = append(got, c.at(i))
			}
			return nil
		}); err != nil {
			return err
		}
		for hash := range uint64(7) {
			before := uint64(rng.IntN(25_000))
			var seqs, wantSeqs []uint64
			for seq, err := range b.candidates(hash, before, nil) {
				if err != nil {
					return err
				}
				seqs = append(seqs, seq)
			}
			for _, e := range slices.Backward(want) {
				if e.hash == hash && e.seq < before {
					wantSeqs = append(wantSeqs, e.seq)
				}
			}
			if !slices.Equal(seqs, wantSeqs) {
				t.Errorf("hash %d before %d: %d candidates, want %d", hash, before, len(seqs), len(wantSeqs))
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got, want) {
		t.Errorf("%d entries in urls, want %d, or in another order", len(got), len(want))
	}
}

// TestCatchUp appends with every pattern of transactions, also ones that are
// rolled back, and finds all URLs at any time, while urls catches up step by
// step.
func TestCatchUp(t *testing.T) {
	s := newStore(t)
	const enough = 300
	s.minPending = enough
	next := 0
	some := func(n int) (recs []*storage.Record) {
		for i := range n {
			recs = append(recs, &storage.Record{URL: fmt.Sprintf("https://h%d.example/%d", (next+i)%3, next+i)})
		}
		return recs
	}
	findAll := func() {
		t.Helper()
		for i := range next {
			r, err := s.Get(t.Context(), fmt.Sprintf("https://h%d.example/%d", i%3, i))
			if err != nil || r.Seq != uint64(i)+1 {
				t.Fatalf("record %d of %d: %+v, %v", i+1, next, r, err)
			}
		}
		check(t, s)
	}
	errFail := errors.New("the caller changed its mind")
	steps, parts := 0, 0
	for next < 3000 {
		steps++
		err := s.db.Update(func(tx *bbolt.Tx) error {
			first := some(4)
			next += 4
			second := some(1 + steps%60)
			next -= 4
			err := errors.Join(s.AppendTx(tx, first), s.AppendTx(tx, nil), s.AppendTx(tx, second))
			if err == nil && steps%5 == 0 {
				return errFail
			}
			next += len(first) + len(second)
			return err
		})
		if err != nil && !errors.Is(err, errFail) {
			t.Fatal(err)
		}
		if steps%7 == 0 {
			findAll()
		}
		if s.catch.done > 0 && s.catch.done < len(s.catch.entries) {
			parts++
		}
		if n := len(s.pending.entries); n > 2*enough {
			t.Errorf("%d entries are waiting, want at most %d", n, 2*enough)
		}
		if steps%50 == 0 {
			s = openStore(t, s.db)
			s.minPending = enough
			findAll()
		}
	}
	if parts == 0 {
		t.Error("urls never caught up in parts")
	}
	findAll()
}

// TestRollback has a transaction fail after AppendTx, also while urls catches
// up, and compares with a store that never saw it.
func TestRollback(t *testing.T) {
	s := newStore(t)
	s.minPending = 6
	errFail := errors.New("the caller changed its mind")
	for i := range 30 {
		lost := []*storage.Record{{URL: "lost", Body: []byte("lost"), Items: nil}, {URL: "kept"}}
		err := s.db.Update(func(tx *bbolt.Tx) error {
			if err := s.AppendTx(tx, lost); err != nil {
				t.Error(err)
			}
			if lost[0].Seq != uint64(i)+1 {
				t.Errorf("Seq %d in the transaction, want %d", lost[0].Seq, i+1)
			}
			return errFail
		})
		wantError(t, err, errFail)
		kept := &storage.Record{URL: "kept", Depth: i, Body: []byte("kept")}
		append1(t, s, kept)
		if r, err := s.Get(t.Context(), "kept"); err != nil || r.Depth != i || r.Seq != uint64(i)+1 {
			t.Fatalf("%+v, %v", r, err)
		}
		_, err = s.Get(t.Context(), "lost")
		wantError(t, err, storage.ErrNotFound)
	}
	check(t, s)
	stats, err := s.Stats(t.Context())
	if err != nil || stats.Records != 30 || stats.BodyBytes != 30*4 {
		t.Errorf("%+v, %v", stats, err)
	}
}
