package crawler

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"go.etcd.io/bbolt"
	"golang.org/x/sys/unix"
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
		const room = 16 << 20 // for what else this process does meanwhile
		all, files, err := residentMemory()
		if err != nil {
			return err
		}
		if err := j.trim(all + room); err != nil {
			return err
		}
		if _, same, err := residentMemory(); err != nil || same < files {
			t.Errorf("%d bytes of files are resident, %v; before, %d were, and that was within the limit", same, err, files)
		}
		if err := j.trim(all - room); err != nil {
			return err
		}
		if after, _, err := residentMemory(); err != nil || after > all {
			t.Errorf("%d bytes are resident, %v; before, %d were, 64 MiB of them the database's", after, err, all)
		}
		if err := j.trim(0); err != nil {
			return err
		}
		if _, least, err := residentMemory(); err != nil || least < leastMapped/2 || least > leastMapped {
			t.Errorf("%d bytes of files are resident, %v; %d may be whatever the limit is", least, err, int64(leastMapped))
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

// TestTrimBesideOthers leaves the database what is its due when other mapped files alone are above the limit.
func TestTrimBesideOthers(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "other"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	const size = 64 << 20
	if err := file.Truncate(size); err != nil {
		t.Fatal(err)
	}
	other, err := unix.Mmap(int(file.Fd()), 0, size, unix.PROT_READ, unix.MAP_SHARED|unix.MAP_POPULATE)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Munmap(other)
	j, err := createJob(filepath.Join(t.TempDir(), "job"))
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	const large = 8 << 20
	if err := j.db.Update(func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucket([]byte("large"))
		if err != nil {
			return err
		}
		return b.Put([]byte("key"), make([]byte, large))
	}); err != nil {
		t.Fatal(err)
	}
	resident := func() int64 {
		if err := j.db.View(func(tx *bbolt.Tx) error {
			sum := 0
			for _, c := range tx.Bucket([]byte("large")).Get([]byte("key")) {
				sum += int(c)
			}
			if sum != 0 {
				t.Error("it is another value")
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		_, files, err := residentMemory()
		if err != nil {
			t.Fatal(err)
		}
		return files
	}
	before := resident()
	if err := j.trim(0); err != nil {
		t.Fatal(err)
	}
	if _, files, err := residentMemory(); err != nil || files > before-large/2 {
		t.Errorf("at first, %d bytes of files stay of %d, %v", files, before, err)
	}
	before = resident()
	if err := j.trim(0); err != nil {
		t.Fatal(err)
	}
	if _, files, err := residentMemory(); err != nil || files < before {
		t.Errorf("then %d bytes of files stay of %d, %v", files, before, err)
	}
}

// TestTrimGrowing lets go of a database while it grows beyond its mapping several times.
func TestTrimGrowing(t *testing.T) {
	j, err := createJob(filepath.Join(t.TempDir(), "job"))
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	done := make(chan struct{})
	var trimming sync.WaitGroup
	trimming.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
				if err := j.trim(0); err != nil {
					t.Error(err)
				}
			}
		}
	})
	defer trimming.Wait()
	defer close(done)
	for i := range 40 {
		if err := j.db.Update(func(tx *bbolt.Tx) error {
			b, err := tx.CreateBucketIfNotExists([]byte("large"))
			if err != nil {
				return err
			}
			err = b.ForEach(func(k, v []byte) error {
				if len(v) != 1<<20 || v[0] != k[0] || v[len(v)-1] != k[0] {
					return fmt.Errorf("value %d is another", k[0])
				}
				return nil
			})
			if err != nil {
				return err
			}
			return b.Put([]byte{byte(i)}, bytes.Repeat([]byte{byte(i)}, 1<<20))
		}); err != nil {
			t.Fatal(err)
		}
	}
}
