package boltstore

import (
	"encoding/json"
	"iter"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/orbweaver/orbweaver/storage"
	"github.com/orbweaver/orbweaver/storage/storagetest"
)

// openDB opens a file as a job would, but without waiting for the disk.
func openDB(t testing.TB, path string) *bbolt.DB {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{
		NoSync: true, NoFreelistSync: true, FreelistType: bbolt.FreelistMapType,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func openStore(t testing.TB, db *bbolt.DB) *Store {
	t.Helper()
	s, err := Open(db, Config{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func newStore(t testing.TB) *Store {
	t.Helper()
	return openStore(t, openDB(t, filepath.Join(t.TempDir(), "store.db")))
}

func append1(t testing.TB, s *Store, recs ...*storage.Record) {
	t.Helper()
	if err := s.Append(t.Context(), recs); err != nil {
		t.Fatal(err)
	}
}

func check(t testing.TB, s *Store) {
	t.Helper()
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

// runSuite runs the suite on stores that prepare has changed.
func runSuite(t *testing.T, prepare func(*Store)) {
	storagetest.Run(t, func(t *testing.T) (storage.Store, storagetest.Reopen) {
		path := filepath.Join(t.TempDir(), "store.db")
		open := func() storage.Store {
			db, err := bbolt.Open(path, 0o600, &bbolt.Options{NoSync: true, NoFreelistSync: true})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { db.Close() })
			s, err := Open(db, Config{})
			if err != nil {
				t.Fatal(err)
			}
			prepare(s)
			if err := s.open(); err != nil { // the list of pending entries with the changed hash
				t.Fatal(err)
			}
			return closer{s, db}
		}
		return open(), open
	})
}

// closer closes the file too, as its owner would after the store.
type closer struct {
	*Store
	db *bbolt.DB
}

func (c closer) Close() error {
	c.Store.Close()
	return c.db.Close()
}

func TestStore(t *testing.T) {
	runSuite(t, func(*Store) {})
}

// TestStoreCatchingUp writes to urls every few records.
func TestStoreCatchingUp(t *testing.T) {
	runSuite(t, func(s *Store) { s.minPending = 5 })
}

// TestStoreCollisions has so few hashes that most of what they lead to is the
// record of another URL.
func TestStoreCollisions(t *testing.T) {
	runSuite(t, func(s *Store) {
		s.minPending = 7
		s.hash = func(url string) uint64 { return uint64(len(storage.URLHost(url)))%3<<62 | uint64(len(url))%3 }
	})
}

func TestOpenRefusesLimits(t *testing.T) {
	db := openDB(t, filepath.Join(t.TempDir(), "store.db"))
	if _, err := Open(db, Config{Limits: storage.Limits{Head: -1}}); err == nil {
		t.Error("a negative limit was accepted")
	}
}

func TestConfiguredLimit(t *testing.T) {
	db := openDB(t, filepath.Join(t.TempDir(), "store.db"))
	s, err := Open(db, Config{Limits: storage.Limits{Body: 3}})
	if err != nil {
		t.Fatal(err)
	}
	append1(t, s, &storage.Record{URL: "u", Body: []byte("123")})
	err = s.Append(t.Context(), []*storage.Record{{URL: "u", Body: []byte("1234")}})
	wantError(t, err, storage.ErrLimit)
	check(t, s)
}

func TestReadOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	reopenReadOnly := func() *Store {
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		if db, err = bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { db.Close() })
		return openStore(t, db)
	}

	empty := reopenReadOnly()
	check(t, empty)
	if stats, err := empty.Stats(t.Context()); err != nil || stats != (storage.Stats{}) {
		t.Errorf("Stats of a file without a store: %+v, %v", stats, err)
	}
	_, err = empty.Get(t.Context(), "u")
	wantError(t, err, storage.ErrNotFound)

	db.Close()
	if db, err = bbolt.Open(path, 0o600, &bbolt.Options{NoSync: true}); err != nil {
		t.Fatal(err)
	}
	append1(t, openStore(t, db), &storage.Record{URL: "u"})
	full := reopenReadOnly()
	check(t, full)
	if r, err := full.Get(t.Context(), "u"); err != nil || r.Seq != 1 {
		t.Errorf("Get: %+v, %v", r, err)
	}
	wantError(t, full.Append(t.Context(), []*storage.Record{{URL: "v"}}), berrors.ErrDatabaseReadOnly)
}

// TestIterationsHoldNoTransaction looks at what is open while a caller has an
// element in its hands, and that appending then does not make the file grow
// for good.
func TestIterationsHoldNoTransaction(t *testing.T) {
	s := newStore(t)
	for range 3 {
		append1(t, s, sampleRecord(), sampleRecord())
	}
	look := func(err error) {
		t.Helper()
		if err != nil {
			t.Error(err)
		}
		if n := s.db.Stats().OpenTxN; n != 0 {
			t.Errorf("%d read transactions are open", n)
		}
	}
	for _, err := range s.Records(t.Context(), 0) {
		look(err)
	}
	for _, err := range s.Items(t.Context(), 0) {
		look(err)
	}
	for _, err := range s.History(t.Context(), sampleRecord().URL) {
		look(err)
	}
}

// TestBatchesAreBounded has large records and items come in small batches.
func TestBatchesAreBounded(t *testing.T) {
	s := newStore(t)
	var recs []*storage.Record
	for range 40 {
		recs = append(recs, &storage.Record{URL: "u", Head: make([]byte, 200<<10),
			Items: []json.RawMessage{[]byte(`"` + strings.Repeat("x", 200<<10) + `"`)}})
	}
	append1(t, s, recs...)
	batch, err := s.readRecords(t.Context(), 0)
	if err != nil || len(batch) > 6 {
		t.Errorf("%d records of 200 KiB in a batch, %v", len(batch), err)
	}
	start := partKey(1, 0)
	items, _, err := s.readItems(t.Context(), start[:])
	if err != nil || len(items) > 6 {
		t.Errorf("%d items of 200 KiB in a batch, %v", len(items), err)
	}
}

// TestCompact copies the file as bbolt's own compaction does.
func TestCompact(t *testing.T) {
	dir := t.TempDir()
	src, dst := openDB(t, filepath.Join(dir, "src.db")), openDB(t, filepath.Join(dir, "dst.db"))
	s := openStore(t, src)
	s.minPending = 4
	for i := range 50 {
		append1(t, s, crashRecord(i))
	}
	if err := bbolt.Compact(dst, src, 1<<10); err != nil {
		t.Fatal(err)
	}
	compacted := openStore(t, dst)
	check(t, compacted)
	for i := range 50 {
		if r, err := compacted.Get(t.Context(), crashRecord(i).URL); err != nil || r.Seq != uint64(i)+1 {
			t.Errorf("record %d: %+v, %v", i, r, err)
		}
	}
	append1(t, compacted, crashRecord(50))
	check(t, compacted)
}

// TestFirstOfManyLarge: to read the first of many large records does not read all of them.
func TestFirstOfManyLarge(t *testing.T) {
	s := newStore(t)
	for range 32 {
		var recs []*storage.Record
		for range 8 {
			recs = append(recs, &storage.Record{URL: "http://h.example/", Host: "h.example", Status: 200, Head: make([]byte, 200<<10)})
		}
		append1(t, s, recs...)
	}
	const n = 256
	for name, read := range map[string]iter.Seq2[*storage.Record, error]{
		"Records":        s.Records(t.Context(), 0),
		"History":        s.History(t.Context(), "http://h.example/"),
		"Select":         s.Select(t.Context(), storage.Query{}),
		"Select by host": s.Select(t.Context(), storage.Query{Host: "h.example"}),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		got := 0
		for _, err := range read {
			if err != nil {
				t.Fatal(err)
			}
			if got++; got > 1 {
				continue
			}
			runtime.ReadMemStats(&after)
			if took := after.TotalAlloc - before.TotalAlloc; took > 4*maxBatchBytes {
				t.Errorf("%s: the first record took %d kB", name, took>>10)
			}
		}
		if got != n {
			t.Errorf("%s: %d records", name, got)
		}
	}
}
