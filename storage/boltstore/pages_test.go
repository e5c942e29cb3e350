package boltstore

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/orbweaver/orbweaver/storage"
)

// TestDamagedPages overwrites pages of the file, which bbolt meets by panicking:
// reading then is an error, or finds nothing wrong, but never a panic.
func TestDamagedPages(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sound.db")
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(db, Config{})
	if err != nil {
		t.Fatal(err)
	}
	var recs []*storage.Record
	for i := range 500 {
		recs = append(recs, &storage.Record{URL: fmt.Sprintf("http://h%d.example/%d", i%7, i), Host: "h", Status: 200, Body: make([]byte, 3000)})
	}
	if err := errors.Join(s.Append(t.Context(), recs), s.Close(), db.Close()); err != nil {
		t.Fatal(err)
	}
	sound, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	corrupt := 0
	for round := range 60 {
		bad := append([]byte(nil), sound...)
		for range 3 + round%20 {
			page := 2 + rnd.IntN(len(bad)/4096-2)
			for i := range 4096 {
				bad[page*4096+i] = byte(rnd.Uint32())
			}
		}
		if readAll(t, bad) != nil {
			corrupt++
		}
	}
	if corrupt < 30 {
		t.Errorf("only %d of 60 damaged files were noticed", corrupt)
	}
}

// TestAppendToDamagedPage overwrites one page after another: appending then is an error, or succeeds, but never a panic.
func TestAppendToDamagedPage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sound.db")
	db, err := bbolt.Open(path, 0o600, nil) // with its list of free pages, or opening it would read all pages
	if err != nil {
		t.Fatal(err)
	}
	s := openStore(t, db)
	var recs []*storage.Record
	for i := range 200 {
		recs = append(recs, &storage.Record{URL: fmt.Sprintf("http://h/%d", i), Host: "h", Status: 200, Body: make([]byte, 3000)})
	}
	append1(t, s, recs...)
	if err := errors.Join(s.Close(), db.Close()); err != nil {
		t.Fatal(err)
	}
	sound, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	refused := 0
	for page := 2; page < len(sound)/4096; page++ {
		bad := bytes.Clone(sound)
		for i := range 4096 {
			bad[page*4096+i] ^= 0xa5
		}
		for name, write := range map[string]func(*bbolt.DB, *Store, []*storage.Record) error{
			"Append": func(_ *bbolt.DB, s *Store, recs []*storage.Record) error { return s.Append(t.Context(), recs) },
			"AppendTx": func(db *bbolt.DB, s *Store, recs []*storage.Record) error {
				tx, err := db.Begin(true)
				if err != nil {
					return err
				}
				return errors.Join(s.AppendTx(tx, recs), tx.Rollback())
			},
		} {
			path := filepath.Join(t.TempDir(), "bad.db") // one that cannot be opened stays locked
			if err := os.WriteFile(path, bad, 0o600); err != nil {
				t.Fatal(err)
			}
			var db *bbolt.DB
			if guard(func() (err error) {
				db, err = bbolt.Open(path, 0o600, &bbolt.Options{NoSync: true})
				return err
			}) != nil {
				continue
			}
			if s, err := Open(db, Config{}); err == nil {
				err := write(db, s, []*storage.Record{{URL: "http://h/new", Body: make([]byte, 100_000)}})
				if errors.Is(err, storage.ErrCorrupt) {
					refused++
				} else if err != nil {
					t.Errorf("page %d, %s: %v", page, name, err)
				}
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if refused == 0 {
		t.Error("no damage was met")
	}
}

// TestDisorderedKeys has a record under the key of an earlier one: whoever goes by keys is led back, but not for ever.
func TestDisorderedKeys(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(db, Config{})
	if err != nil {
		t.Fatal(err)
	}
	var recs []*storage.Record
	for i := range 300 {
		recs = append(recs, &storage.Record{URL: fmt.Sprintf("http://h.example/%d", i), Host: "h", Status: 200, Items: []json.RawMessage{[]byte("1")}})
	}
	if err := s.Append(t.Context(), recs); err != nil {
		t.Fatal(err)
	}
	from, to := seqKey(200), seqKey(100)
	itemFrom, itemTo := partKey(200, 0), partKey(100, 0)
	var record, item []byte // as they lie in their pages
	if err := db.View(func(tx *bbolt.Tx) error {
		b, err := openBuckets(tx)
		if err != nil {
			return err
		}
		record = append(from[:], b.records.Get(from[:])...)
		item = append(itemFrom[:], b.items.Get(itemFrom[:])...)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Close(), db.Close()); err != nil {
		t.Fatal(err)
	}
	sound, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range []struct{ whole, key []byte }{{record, to[:]}, {item, itemTo[:]}} {
		bad := bytes.Clone(sound)
		at := bytes.Index(bad, d.whole)
		if at < 0 {
			t.Fatal("not in the file")
		}
		copy(bad[at:], d.key)
		if err := readAll(t, bad); !errors.Is(err, storage.ErrCorrupt) {
			t.Errorf("%v, want that it is corrupt", err)
		}
	}
}

// readAll reads everything of a store in a file with that content.
func readAll(t *testing.T, file []byte) error {
	t.Helper()
	path := filepath.Join(t.TempDir(), "damaged.db")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	var db *bbolt.DB
	err := guard(func() (err error) {
		db, err = bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true})
		return err
	})
	if err != nil {
		return err
	}
	defer db.Close()
	s, err := Open(db, Config{})
	if err != nil {
		return err
	}
	var errs []error
	for rec, err := range s.Records(t.Context(), 0) {
		if err != nil {
			errs = append(errs, err)
			break
		}
		if _, err := s.Body(t.Context(), rec.Seq); err != nil {
			errs = append(errs, err)
		}
	}
	for _, err := range s.Items(t.Context(), 0) {
		errs = append(errs, err)
	}
	for _, err := range s.Select(t.Context(), storage.Query{}) {
		errs = append(errs, err)
	}
	_, err = s.Get(t.Context(), "http://h3.example/3")
	return errors.Join(append(errs, err)...)
}
