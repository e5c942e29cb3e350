package boltstore

import (
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
	_, err = s.Get(t.Context(), "http://h3.example/3")
	return errors.Join(append(errs, err)...)
}
