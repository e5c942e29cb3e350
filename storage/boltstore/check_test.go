package boltstore

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/orbweaver/orbweaver/storage"
)

// damaged makes a store with some of everything, changes the named bucket
// below the root ("" is the root) by hand, and opens the result again, which
// fails when what Open reads was changed.
func damaged(t *testing.T, bucket string, damage func(b *bbolt.Bucket) error) (*Store, error) {
	t.Helper()
	s := newStore(t)
	s.minPending = 4
	for i := range 6 {
		r := sampleRecord()
		r.URL = fmt.Sprintf("https://example.org/%d", i)
		r.Body = bytes.Repeat([]byte("body"), 50_000) // four parts
		r.Items = []json.RawMessage{[]byte("1"), []byte("2")}
		append1(t, s, r)
	}
	check(t, s)
	if err := s.db.Update(func(tx *bbolt.Tx) error {
		b := tx.Bucket([]byte(rootName))
		if bucket != "" {
			b = b.Bucket([]byte(bucket))
		}
		return damage(b)
	}); err != nil {
		t.Fatal(err)
	}
	return Open(s.db, Config{})
}

// change replaces the value of a key.
func change(key []byte, edit func(v []byte) []byte) func(*bbolt.Bucket) error {
	return func(b *bbolt.Bucket) error {
		v := b.Get(key)
		if v == nil {
			return fmt.Errorf("there is no key %x", key)
		}
		return b.Put(key, edit(bytes.Clone(v)))
	}
}

func remove(key []byte) func(*bbolt.Bucket) error {
	return func(b *bbolt.Bucket) error {
		if b.Get(key) == nil {
			return fmt.Errorf("there is no key %x", key)
		}
		return b.Delete(key)
	}
}

func insert(key, value []byte) func(*bbolt.Bucket) error {
	return func(b *bbolt.Bucket) error { return b.Put(key, value) }
}

func flip(v []byte) []byte {
	v[len(v)/2] ^= 1
	return v
}

func seqBytes(seq uint64) []byte {
	key := seqKey(seq)
	return key[:]
}

func partBytes(seq uint64, part uint32) []byte {
	key := partKey(seq, part)
	return key[:]
}

func TestCheckFindsDamage(t *testing.T) {
	lowest := make([]byte, entrySize)
	for _, test := range []struct {
		name   string
		bucket string // that is damaged and that the error names
		damage func(*bbolt.Bucket) error
	}{
		{"record flipped", recordsName, change(seqBytes(2), flip)},
		{"record empty", recordsName, change(seqBytes(2), func([]byte) []byte { return nil })},
		{"record missing", recordsName, remove(seqBytes(2))},
		{"record with odd key", recordsName, insert([]byte("abc"), []byte("x"))},
		{"last record missing", recordsName, remove(seqBytes(6))},
		{"body flipped", bodiesName, change(partBytes(3, 1), flip)},
		{"body cut", bodiesName, change(partBytes(3, 3), func(v []byte) []byte { return v[1:] })},
		{"first part missing", bodiesName, remove(partBytes(3, 0))},
		{"middle part missing", bodiesName, remove(partBytes(3, 1))},
		{"last part missing", bodiesName, remove(partBytes(3, 3))},
		{"part too many", bodiesName, insert(partBytes(3, 4), []byte("x"))},
		{"body without record", bodiesName, insert(partBytes(9, 0), []byte("x"))},
		{"body of record 0", bodiesName, insert(partBytes(0, 0), []byte("x"))},
		{"body with odd key", bodiesName, insert(append(partBytes(3, 0), 1), []byte("x"))},
		{"item not JSON", itemsName, change(partBytes(4, 1), func([]byte) []byte { return []byte("{") })},
		{"item missing", itemsName, remove(partBytes(4, 1))},
		{"first item missing", itemsName, remove(partBytes(4, 0))},
		{"item too many", itemsName, insert(partBytes(4, 2), []byte("3"))},
		{"item without record", itemsName, insert(partBytes(7, 0), []byte("3"))},
		{"item with odd key", itemsName, insert([]byte("x"), []byte("3"))},
		{"entry flipped", urlsName, change(lowest, func(v []byte) []byte { v[7] ^= 1; return v })},
		{"entry missing", urlsName, change(lowest, func(v []byte) []byte { return v[entrySize:] })},
		{"entry twice", urlsName, change(lowest, func(v []byte) []byte { return append(v, v[len(v)-entrySize:]...) })},
		{"entry without record", urlsName, change(lowest, func(v []byte) []byte { return append(v, bytes.Repeat([]byte{0xff}, entrySize)...) })},
		{"entry cut", urlsName, change(lowest, func(v []byte) []byte { return v[1:] })},
		{"entries swapped", urlsName, change(lowest, func(v []byte) []byte {
			return append(v[entrySize:2*entrySize:2*entrySize], append(v[:entrySize:entrySize], v[2*entrySize:]...)...)
		})},
		{"chunk with odd key", urlsName, insert([]byte{1}, nil)},
		{"chunk missing", urlsName, remove(lowest)},
		{"counters flipped", "", change([]byte(countersKey), flip)},
		{"counters wrong", "", change([]byte(countersKey), func(v []byte) []byte {
			c, err := decodeCounters(v)
			if err != nil {
				return nil
			}
			c.Items++
			return c.append(nil)
		})},
		{"counters missing", "", remove([]byte(countersKey))},
		{"format missing", "", remove([]byte(formatKey))},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, err := damaged(t, test.bucket, test.damage)
			if err == nil {
				err = s.Check(t.Context())
				readEverything(t, s)
			}
			where := rootName
			if test.bucket != "" {
				where += "/" + test.bucket
			}
			if !slices.Contains(corruptBuckets(err), where) {
				t.Errorf("error %v, want corruption in %s", err, where)
			}
		})
	}
}

// corruptBuckets returns the buckets that the CorruptErrors in err name.
func corruptBuckets(err error) (buckets []string) {
	switch e := err.(type) {
	case *storage.CorruptError:
		return []string{e.Bucket}
	case interface{ Unwrap() []error }:
		for _, err := range e.Unwrap() {
			buckets = append(buckets, corruptBuckets(err)...)
		}
	case interface{ Unwrap() error }:
		return corruptBuckets(e.Unwrap())
	}
	return buckets
}

// readEverything uses all methods on a damaged store: they may fail, as
// corruption, and must not panic or go on for ever.
func readEverything(t *testing.T, s *Store) {
	t.Helper()
	acceptable := func(err error) {
		if err != nil && !errors.Is(err, storage.ErrCorrupt) && !errors.Is(err, storage.ErrNotFound) {
			t.Errorf("error %v", err)
		}
	}
	for _, err := range s.Records(t.Context(), 0) {
		acceptable(err)
	}
	for _, err := range s.Items(t.Context(), 0) {
		acceptable(err)
	}
	for i := range 8 {
		_, err := s.Get(t.Context(), fmt.Sprintf("https://example.org/%d", i))
		acceptable(err)
		_, err = s.Body(t.Context(), uint64(i))
		acceptable(err)
	}
	_, err := s.Stats(t.Context())
	acceptable(err)
	acceptable(s.Append(t.Context(), []*storage.Record{{URL: "u"}}))
}

func TestBucketMissing(t *testing.T) {
	for _, name := range []string{recordsName, bodiesName, itemsName, urlsName} {
		_, err := damaged(t, "", func(b *bbolt.Bucket) error { return b.DeleteBucket([]byte(name)) })
		if want := []string{rootName + "/" + name}; !slices.Equal(corruptBuckets(err), want) {
			t.Errorf("error %v, want corruption in %v", err, want)
		}
	}
}

// TestRottenTail has the newest record rotten, one that urls still lacks.
func TestRottenTail(t *testing.T) {
	s, err := damaged(t, recordsName, change(seqBytes(6), flip))
	if err != nil {
		t.Fatalf("one rotten record keeps the store from opening: %v", err)
	}
	s.minPending = 4
	for i := range 8 {
		append1(t, s, &storage.Record{URL: fmt.Sprint(i)})
		if r, err := s.Get(t.Context(), fmt.Sprint(i)); err != nil || r.Seq != uint64(i)+7 {
			t.Errorf("%+v, %v", r, err)
		}
	}
	if n := len(s.pending.entries); n >= 4 {
		t.Errorf("urls does not catch up: %d entries are waiting", n)
	}
	for i, want := range []error{nil, nil, nil, nil, nil, storage.ErrNotFound} {
		_, err := s.Get(t.Context(), fmt.Sprintf("https://example.org/%d", i))
		wantError(t, err, want)
	}
	wantError(t, s.Check(t.Context()), storage.ErrCorrupt)
}

// TestDamageNamed looks at the errors that readers give.
func TestDamageNamed(t *testing.T) {
	ctx := t.Context()
	want := func(err error, bucket string, key []byte) {
		t.Helper()
		var corrupt *storage.CorruptError
		if !errors.As(err, &corrupt) || corrupt.Bucket != bucket || !bytes.Equal(corrupt.Key, key) {
			t.Errorf("error %v, want corruption in %s at %x", err, bucket, key)
		}
	}

	s, err := damaged(t, recordsName, change(seqBytes(2), flip))
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Get(ctx, "https://example.org/1")
	want(err, "storage/records", seqBytes(2))
	read := 0
	for r, err := range s.Records(ctx, 0) {
		if err != nil {
			want(err, "storage/records", seqBytes(2))
			continue
		}
		if read++; r.Seq != 1 {
			t.Errorf("got record %d", r.Seq)
		}
	}
	if read != 1 {
		t.Errorf("%d records before the damaged one, want 1", read)
	}

	s, err = damaged(t, bodiesName, change(partBytes(3, 2), flip))
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Body(ctx, 3)
	want(err, "storage/bodies", seqBytes(3))
	if _, err := s.Body(ctx, 2); err != nil {
		t.Errorf("the body beside it: %v", err)
	}

	_, err = damaged(t, "", change([]byte(countersKey), flip))
	want(err, "storage", []byte(countersKey))
}

func TestCheckStopsAfterManyProblems(t *testing.T) {
	s, err := damaged(t, itemsName, func(b *bbolt.Bucket) error {
		for i := range 1000 {
			if err := b.Put(partBytes(1000+uint64(i), 0), []byte("1")); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	err = s.Check(t.Context())
	if !errors.Is(err, errTooMany) || !errors.Is(err, storage.ErrCorrupt) {
		t.Errorf("error %.300v", err)
	}
}

func TestNewerFormat(t *testing.T) {
	_, err := damaged(t, "", change([]byte(formatKey), func([]byte) []byte { return []byte{formatVersion + 1} }))
	var format *storage.FormatError
	if !errors.As(err, &format) || format.Have != formatVersion+1 || format.Known != formatVersion {
		t.Errorf("a newer store: %v", err)
	}

	newer := appendRecord(nil, &storage.Record{URL: "u"})
	newer[0] = recordVersion + 1
	newer = newer[:len(newer)-crcSize]
	sum := checksum(newer)
	newer = append(newer, byte(sum>>24), byte(sum>>16), byte(sum>>8), byte(sum))
	s, err := damaged(t, recordsName, change(seqBytes(2), func([]byte) []byte { return newer }))
	if err != nil {
		t.Fatal(err)
	}
	wantError(t, s.Check(t.Context()), storage.ErrFormat)
	_, err = s.Get(t.Context(), "https://example.org/1")
	wantError(t, err, storage.ErrFormat)
}

func FuzzChunk(f *testing.F) {
	e := entry{hash: 1, seq: 2}.bytes()
	f.Add(e[:], e[:], uint64(1), uint64(3))
	f.Add(make([]byte, entrySize), bytes.Repeat(e[:], 130), uint64(1), uint64(2))
	f.Add([]byte{}, []byte{1}, uint64(0), uint64(0))
	f.Fuzz(func(t *testing.T, key, value []byte, hash, seq uint64) {
		c, err := chunkOf(key, value)
		if err != nil {
			wantError(t, err, storage.ErrCorrupt)
			return
		}
		added := entry{hash: hash, seq: seq}
		inOrder := c.follows(entry{}, entryOf(key))
		if i := c.find(added); i < 0 || i > c.len() {
			t.Fatalf("found at %d of %d", i, c.len())
		}
		i := c.find(added)
		isNew := i == c.len() || c.at(i) != added
		merged := c.merge([]entry{added})
		if want := c.len(); merged.len() != want && !isNew || merged.len() != want+1 && isNew {
			t.Errorf("%d entries after merging one into %d, new: %t", merged.len(), c.len(), isNew)
		}
		if inOrder && isNew && added != (entry{}) && !merged.follows(entry{}, entry{}) {
			t.Errorf("not in order after merging %v into %v", added, c)
		}
	})
}
