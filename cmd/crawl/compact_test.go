package main

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"go.etcd.io/bbolt"
)

// bloat adds 40 MB of free pages to a job, as a long crawl does.
func bloat(dir string) error {
	db, err := bbolt.Open(filepath.Join(dir, "job.db"), 0, nil)
	if err != nil {
		return err
	}
	fill := func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucketIfNotExists([]byte("chunks"))
		if err != nil {
			return err
		}
		for i := range byte(40) {
			if err := b.Put([]byte{i}, make([]byte, 1<<20)); err != nil {
				return err
			}
		}
		return nil
	}
	empty := func(tx *bbolt.Tx) error { return tx.DeleteBucket([]byte("chunks")) }
	return errors.Join(db.Update(fill), db.Update(empty), db.Close())
}

// TestCompactKilled kills "crawl compact" ten times at random moments: the job is
// sound and the same each time, and the last one finds nothing in its way.
func TestCompactKilled(t *testing.T) {
	web := growTree(t, 4, 100)
	dir := filepath.Join(t.TempDir(), "job")
	if text, err := crawlCommand("run", "--job", dir, "--delay", "0s", "--seeds", write(t, "seeds.txt", web.seeds())).CombinedOutput(); err != nil {
		t.Fatalf("run: %v\n%s", err, text)
	}
	want := exported(t, dir)
	started := time.Now()
	if text, err := crawlCommand("compact", dir).CombinedOutput(); err != nil {
		t.Fatalf("compact: %v\n%s", err, text)
	}
	usual := time.Since(started)
	leftovers := 0
	for range 10 {
		if err := bloat(dir); err != nil {
			t.Fatal(err)
		}
		cmd := crawlCommand("compact", dir)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(rand.N(usual)) // when in its work is what the test varies
		cmd.Process.Kill()
		cmd.Wait()
		if !isMissing(filepath.Join(dir, "job.db.compact")) {
			leftovers++
		}
		soundJob(t, dir)
		if got := exported(t, dir); !slices.Equal(got, want) {
			t.Fatalf("%d URLs are stored, want %d", len(got), len(want))
		}
	}
	t.Logf("killed with a copy under way %d times of 10", leftovers)
	if text, err := crawlCommand("compact", dir).CombinedOutput(); err != nil {
		t.Errorf("compact: %v\n%s", err, text)
	}
	soundJob(t, dir)
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 3 {
		t.Errorf("the job has %v, %v; want job.db, pid and status.json", entries, err)
	}
}
