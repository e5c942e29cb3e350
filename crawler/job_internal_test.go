package crawler

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"go.etcd.io/bbolt"
)

// TestJobBegun has jobs whose makers were killed after each step of making them:
// they are no jobs yet, and can be made whole.
func TestJobBegun(t *testing.T) {
	// What a whole job has, in the order in which it is made.
	for i, name := range []string{"", "frontier", "storage"} {
		dir := t.TempDir()
		j, err := createJob(dir)
		if err != nil {
			t.Fatal(err)
		}
		err = j.db.Update(func(tx *bbolt.Tx) error {
			for _, later := range []string{"frontier", "storage", "job"}[i:] {
				if err := tx.DeleteBucket([]byte(later)); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(j.db.Close(), os.Remove(filepath.Join(dir, pidName))); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenJob(dir); !errors.Is(err, ErrNotJob) {
			t.Errorf("killed after %q: %v", name, err)
		}
		if j, err = createJob(dir); err != nil {
			t.Errorf("killed after %q: %v", name, err)
			continue
		}
		if err := j.Close(); err != nil {
			t.Error(err)
		}
		if j, err = OpenJob(dir); err != nil {
			t.Errorf("killed after %q, made whole: %v", name, err)
			continue
		}
		if err := errors.Join(j.Check(t.Context()), j.Close()); err != nil {
			t.Errorf("killed after %q, made whole: %v", name, err)
		}
	}
}
