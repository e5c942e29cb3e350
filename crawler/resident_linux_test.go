package crawler

import (
	"os"
	"path/filepath"
	"testing"

	"go.etcd.io/bbolt"
)

// TestTrim reads a database, lets go of it in the middle of a transaction, and reads it again.
func TestTrim(t *testing.T) {
	j, err := createJob(filepath.Join(t.TempDir(), "job"))
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	if err := j.db.Update(func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucket([]byte("large"))
		for i := 0; err == nil && i < 64; i++ {
			err = b.Put([]byte{byte(i)}, make([]byte, 1<<20))
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	err = j.db.View(func(tx *bbolt.Tx) error {
		sum := func() (n int) {
			_ = tx.Bucket([]byte("large")).ForEach(func(_, v []byte) error {
				for at := 0; at < len(v); at += os.Getpagesize() {
					n += len(v) + int(v[at])
				}
				return nil
			})
			return n
		}
		before := sum()
		full, err := residentFiles()
		if err != nil {
			return err
		}
		if err := j.trim(full); err != nil {
			return err
		}
		if same, err := residentFiles(); err != nil || same < full {
			t.Errorf("%d bytes are resident, %v; they were within the limit of %d", same, err, full)
		}
		if err := j.trim(full - 1); err != nil {
			return err
		}
		if after, err := residentFiles(); err != nil || after > full/4*3 {
			t.Errorf("%d bytes are resident, %v; before, %d were, 64 MiB of them the database's", after, err, full)
		}
		if again := sum(); again != before {
			t.Errorf("read %d, then %d", before, again)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
