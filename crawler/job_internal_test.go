package crawler

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/orbweaver/orbweaver/internal/simweb"
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

// TestReadPID names only who may still be there: a job that somebody reads is
// locked as well, and has the number of the last crawl in it.
func TestReadPID(t *testing.T) {
	dir := t.TempDir()
	if err := writePID(dir); err != nil || readPID(dir) != os.Getpid() {
		t.Errorf("own process: %v, %d", err, readPID(dir))
	}
	ended := exec.Command(os.Args[0], "-test.run", "^$")
	if err := ended.Run(); err != nil {
		t.Fatal(err)
	}
	text := []byte(strconv.Itoa(ended.Process.Pid))
	if err := os.WriteFile(filepath.Join(dir, pidName), text, 0o600); err != nil || readPID(dir) != 0 {
		t.Errorf("ended process: %v, %d", err, readPID(dir))
	}
}

// TestSizeInTheEnd has a summary that tells how large the job is then, and not when
// somebody asked before.
func TestSizeInTheEnd(t *testing.T) {
	web, err := simweb.Start(simweb.Config{Hosts: 2, Pages: 100, Bytes: 8 << 10})
	if err != nil {
		t.Fatal(err)
	}
	defer web.Close()
	c, err := New(Config{Dir: t.TempDir(), Seeds: web.Seeds(), Delay: NoDelay})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	before := c.Stats().Disk.Size
	s, err := c.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if s.Disk.Size < before+s.WireBytes {
		t.Errorf("the job had %d bytes, took %d more, and has %d in the end", before, s.WireBytes, s.Disk.Size)
	}
}
