package boltstore

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/bbolt"

	"github.com/orbweaver/orbweaver/storage"
)

// withItems makes records of which every third has two items.
func withItems(n int) (recs []*storage.Record) {
	for i := range n {
		r := &storage.Record{URL: fmt.Sprintf("http://h.example/%d", i), Host: "h.example", Status: 200, Head: make([]byte, 300)}
		if i%3 == 0 {
			r.Items = []json.RawMessage{[]byte(`"` + r.URL + `"`), []byte("2")}
		}
		recs = append(recs, r)
	}
	return recs
}

// salvaged is what Salvage and SalvageItems read and tell of.
func salvaged(t *testing.T, s *Store) (records, badRecords, items, badItems []uint64, err error) {
	t.Helper()
	note := func(bad *[]uint64) func(*storage.Record, error) {
		return func(r *storage.Record, err error) {
			*bad = append(*bad, r.Seq)
			if !errors.Is(err, storage.ErrCorrupt) {
				t.Error(err)
			}
		}
	}
	for r, e := range storage.Salvage(t.Context(), s, 0, note(&badRecords)) {
		if e != nil {
			err = errors.Join(err, e)
			break
		}
		records = append(records, r.Seq)
	}
	for item, e := range storage.SalvageItems(t.Context(), s, 0, note(&badItems)) {
		if e != nil {
			err = errors.Join(err, e)
			break
		}
		items = append(items, item.Seq)
	}
	return records, badRecords, items, badItems, err
}

func TestSalvageRecords(t *testing.T) {
	s := newStore(t)
	append1(t, s, withItems(10)...)
	if err := s.db.Update(func(tx *bbolt.Tx) error {
		records := tx.Bucket([]byte(rootName)).Bucket([]byte(recordsName))
		var errs []error
		for _, seq := range []uint64{1, 4, 5, 10} {
			errs = append(errs, change(seqBytes(seq), flip)(records))
		}
		return errors.Join(errs...)
	}); err != nil {
		t.Fatal(err)
	}
	records, badRecords, items, badItems, err := salvaged(t, s)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []struct {
		name      string
		got, want []uint64
	}{
		{"records", records, []uint64{2, 3, 6, 7, 8, 9}},
		{"damaged records", badRecords, []uint64{1, 4, 5, 10}},
		{"items", items, []uint64{7, 7}},
		{"records of damaged items", badItems, []uint64{1, 4, 10}}, // 5 has none
	} {
		if diff := cmp.Diff(v.want, v.got); diff != "" {
			t.Errorf("%s: %s", v.name, diff)
		}
	}
	n := 0
	for _, err := range storage.Salvage(t.Context(), s, 1, nil) {
		if n++; n == 3 {
			wantError(t, err, storage.ErrCorrupt)
		}
	}
	if n != 3 {
		t.Errorf("%d records and errors with nobody to tell", n)
	}
}

// TestSalvagePages overwrites one page after another: whatever it held, each record
// is either read or told of.
func TestSalvagePages(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sound.db")
	db := openDB(t, path)
	s := openStore(t, db)
	s.minPending = 1 // Open reads what is not indexed, and fails when it cannot
	recs := withItems(201)
	append1(t, s, recs[:100]...)
	append1(t, s, recs[100:200]...)
	append1(t, s, recs[200])
	if err := errors.Join(s.Close(), db.Close()); err != nil {
		t.Fatal(err)
	}
	sound, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	partly := 0
	for page := 2; page < len(sound)/4096; page++ {
		bad := slices.Clone(sound)
		for i := range 4096 {
			bad[page*4096+i] ^= 0xa5
		}
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		var db *bbolt.DB
		if guard(func() (err error) {
			db, err = bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true})
			return err
		}) != nil {
			continue
		}
		s, err := Open(db, Config{})
		if err == nil {
			records, badRecords, items, badItems, err := salvaged(t, s)
			if err == nil && len(badRecords)+len(badItems) > 0 && len(records) > 0 {
				partly++
			}
			for _, r := range recs {
				if err == nil && slices.Contains(records, r.Seq) == slices.Contains(badRecords, r.Seq) {
					t.Errorf("page %d: record %d is not told of once", page, r.Seq)
				}
				n := 0
				for _, seq := range items {
					if seq == r.Seq {
						n++
					}
				}
				if err == nil && n < len(r.Items) && !slices.Contains(badItems, r.Seq) {
					t.Errorf("page %d: record %d has lost items, and is not told of", page, r.Seq)
				}
			}
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if partly < 10 {
		t.Errorf("of only %d files something was saved", partly)
	}
}
