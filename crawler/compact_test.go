package crawler

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/orbweaver/orbweaver/internal/simweb"
)

// crawledJob is a job of some pages, of which some still wait.
func crawledJob(t *testing.T) (dir string) {
	t.Helper()
	web, err := simweb.Start(simweb.Config{Hosts: 3, Pages: 80, Links: 10, Bytes: 8 << 10, Gzip: true})
	if err != nil {
		t.Fatal(err)
	}
	defer web.Close()
	dir = filepath.Join(t.TempDir(), "job")
	c, err := New(Config{Dir: dir, Seeds: web.Seeds(), Delay: NoDelay, MaxPages: 200, Settings: []byte("settings")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Run(t.Context()); err != nil {
		t.Error(err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	return dir
}

// bloat makes a job's database larger by at least so many bytes of free pages,
// in the way in which a long crawl does: chunks are written and deleted again.
func bloat(t *testing.T, dir string, size int) {
	t.Helper()
	withDatabase(t, dir, func(db *bbolt.DB) error {
		const chunk = 32 << 10
		name := []byte("chunks")
		if err := db.Update(func(tx *bbolt.Tx) error {
			b, err := tx.CreateBucket(name)
			if err != nil {
				return err
			}
			for i := range size/chunk + 1 {
				if err := b.Put([]byte(strconv.Itoa(i)), make([]byte, chunk)); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			return err
		}
		return db.Update(func(tx *bbolt.Tx) error { return tx.DeleteBucket(name) })
	})
}

func withDatabase(t *testing.T, dir string, do func(*bbolt.DB) error) {
	t.Helper()
	db, err := bbolt.Open(filepath.Join(dir, databaseName), 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(do(db), db.Close()); err != nil {
		t.Fatal(err)
	}
}

// contents is all that a job's database holds, in order: path, sequence or
// value.
func contents(t *testing.T, dir string) (lines []string) {
	t.Helper()
	var walk func(path string, in tree)
	walk = func(path string, in tree) {
		c := in.Cursor()
		for k, v := c.First(); k != nil; k, v = c.Next() {
			key := fmt.Sprintf("%s/%x", path, k)
			if v != nil {
				lines = append(lines, fmt.Sprintf("%s=%x", key, v))
				continue
			}
			b := in.Bucket(k)
			lines = append(lines, fmt.Sprintf("%s #%d", key, b.Sequence()))
			walk(key, b)
		}
	}
	withDatabase(t, dir, func(db *bbolt.DB) error {
		return db.View(func(tx *bbolt.Tx) error { walk("", tx); return nil })
	})
	return lines
}

func wantSame(t *testing.T, dir string, want []string) {
	t.Helper()
	got := contents(t, dir)
	if len(got) != len(want) {
		t.Fatalf("the job has %d entries, want %d", len(got), len(want))
	}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("entry %d is %.200s, want %.200s", i, got[i], want[i])
		}
	}
}

func wantSound(t *testing.T, dir string) {
	t.Helper()
	j, err := OpenJob(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(j.Check(t.Context()), j.Close()); err != nil {
		t.Error(err)
	}
}

func fileSize(t *testing.T, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

func wantNoCopy(t *testing.T, dir string) {
	t.Helper()
	if _, err := os.Stat(filepath.Join(dir, databaseName+copySuffix)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a copy is left: %v", err)
	}
}

func TestCompact(t *testing.T) {
	dir := crawledJob(t)
	path := filepath.Join(dir, databaseName)
	bloat(t, dir, 40<<20)
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	want, size := contents(t, dir), fileSize(t, path)

	before, after, err := Compact(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if before != size || after != fileSize(t, path) || after > before-40<<20 {
		t.Errorf("from %d to %d bytes, the file had %d and has %d", before, after, size, fileSize(t, path))
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("permissions %v, %v", info.Mode(), err)
	}
	wantNoCopy(t, dir)
	wantSound(t, dir)
	wantSame(t, dir, want)

	// A second time there is nothing to gain, and nothing to lose.
	if before, again, err := Compact(t.Context(), dir); err != nil || before != after || again > after {
		t.Errorf("again: from %d to %d, %v", before, again, err)
	}
	wantSame(t, dir, want)

	// The job can go on: more is written to it.
	c, err := New(Config{Dir: dir, Seeds: []string{"http://127.0.0.1:9/new"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if len(contents(t, dir)) == len(want) {
		t.Error("nothing was added")
	}
	wantSound(t, dir)
}

// TestCompactGroups copies more than one transaction's worth, in nested buckets
// with sequences.
func TestCompactGroups(t *testing.T) {
	dir := crawledJob(t)
	withDatabase(t, dir, func(db *bbolt.DB) error {
		return db.Update(func(tx *bbolt.Tx) error {
			for i := range 3 {
				b, err := tx.CreateBucket(fmt.Append(nil, "outer", i))
				if err != nil {
					return err
				}
				inner, err := b.CreateBucket([]byte("m"))
				if err != nil {
					return err
				}
				if err := errors.Join(b.SetSequence(7), inner.SetSequence(8), b.Put([]byte("empty"), nil)); err != nil {
					return err
				}
				for k := range 300 {
					value := bytes.Repeat([]byte{byte(k)}, 30<<10)
					if err := errors.Join(b.Put(fmt.Append(nil, "z", k), value), inner.Put(fmt.Append(nil, k), value)); err != nil {
						return err
					}
				}
			}
			return nil
		})
	})
	want := contents(t, dir)
	if _, _, err := Compact(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	wantSound(t, dir)
	wantSame(t, dir, want)
}

// TestCompactEnds ends Compact at each look at its context in turn; the job is
// then what it was, and nothing is left beside it.
func TestCompactEnds(t *testing.T) {
	dir := crawledJob(t)
	want := contents(t, dir)
	ended := 0
	for looks := int64(0); ; looks = looks*5/4 + 1 {
		ctx := &shortContext{Context: t.Context()}
		ctx.left.Store(looks)
		_, _, err := Compact(ctx, dir)
		wantNoCopy(t, dir)
		wantSame(t, dir, want)
		if err == nil {
			break
		}
		ended++
		if job, ok := errors.AsType[*JobError](err); !ok || job.Op != "compact" || !errors.Is(err, context.Canceled) {
			t.Fatalf("after %d looks: %v", looks, err)
		}
	}
	wantSound(t, dir)
	if ended < 10 {
		t.Errorf("it ended early only %d times", ended)
	}
}

// shortContext ends after its Err has been asked for so many times.
type shortContext struct {
	context.Context
	left atomic.Int64
}

func (c *shortContext) Err() error {
	if c.left.Add(-1) < 0 {
		return context.Canceled
	}
	return nil
}

func TestCompactRefuses(t *testing.T) {
	t.Run("no job", func(t *testing.T) {
		dir := t.TempDir()
		if _, _, err := Compact(t.Context(), dir); !errors.Is(err, ErrNotJob) {
			t.Error(err)
		}
		if entries, _ := os.ReadDir(dir); len(entries) > 0 {
			t.Errorf("it made %s", entries[0].Name())
		}
	})
	t.Run("in use", func(t *testing.T) {
		dir := crawledJob(t)
		j, err := createJob(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer j.Close()
		_, _, err = Compact(t.Context(), dir)
		locked, ok := errors.AsType[*LockedError](err)
		if !ok || locked.PID != os.Getpid() || !errors.Is(err, ErrLocked) {
			t.Error(err)
		}
	})
	t.Run("being read", func(t *testing.T) {
		dir := crawledJob(t)
		j, err := OpenJob(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer j.Close()
		if _, _, err = Compact(t.Context(), dir); !errors.Is(err, ErrLocked) {
			t.Error(err)
		}
	})
	t.Run("newer", func(t *testing.T) {
		dir := crawledJob(t)
		changeJob(t, dir, func(job *bbolt.Bucket) error { return job.Put(keyFormat, []byte("999")) })
		want := contents(t, dir)
		if _, _, err := Compact(t.Context(), dir); !errors.Is(err, ErrFormat) {
			t.Error(err)
		}
		wantSame(t, dir, want)
	})
	t.Run("broken invariant", func(t *testing.T) {
		dir := crawledJob(t)
		changeJob(t, dir, func(job *bbolt.Bucket) error { return job.Put(keyCounters, []byte(`{"fetched":1}`)) })
		want := contents(t, dir)
		if _, _, err := Compact(t.Context(), dir); !errors.Is(err, ErrCorrupt) {
			t.Error(err)
		}
		wantNoCopy(t, dir)
		wantSame(t, dir, want)
	})
	t.Run("cut", func(t *testing.T) {
		dir := crawledJob(t)
		path := filepath.Join(dir, databaseName)
		if err := os.Truncate(path, 20000); err != nil {
			t.Fatal(err)
		}
		if _, _, err := Compact(t.Context(), dir); !errors.Is(err, ErrCorrupt) {
			t.Error(err)
		}
		if got := fileSize(t, path); got != 20000 {
			t.Errorf("the file has %d bytes, want the 20000 that were left", got)
		}
	})
}

func changeJob(t *testing.T, dir string, do func(job *bbolt.Bucket) error) {
	t.Helper()
	withDatabase(t, dir, func(db *bbolt.DB) error {
		return db.Update(func(tx *bbolt.Tx) error { return do(tx.Bucket(bucketJob)) })
	})
}

// TestCompactLeftovers has the copy of a Compact that was killed: who may write
// removes it, a reader lets it be.
func TestCompactLeftovers(t *testing.T) {
	dir := crawledJob(t)
	path := filepath.Join(dir, databaseName+copySuffix)
	leave := func() {
		t.Helper()
		if err := os.WriteFile(path, []byte("half a copy"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	leave()
	wantSound(t, dir)
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
	j, err := createJob(dir)
	if err != nil {
		t.Fatal(err)
	}
	wantNoCopy(t, dir)
	if err := j.Close(); err != nil {
		t.Error(err)
	}
	leave()
	if _, _, err := Compact(t.Context(), dir); err != nil {
		t.Error(err)
	}
	wantNoCopy(t, dir)
	wantSound(t, dir)
}

// TestCompactLink keeps a database that is a link to another disk.
func TestCompactLink(t *testing.T) {
	dir := crawledJob(t)
	path, target := filepath.Join(dir, databaseName), filepath.Join(t.TempDir(), "target.db")
	if err := errors.Join(os.Rename(path, target), os.Symlink(target, path)); err != nil {
		t.Fatal(err)
	}
	bloat(t, dir, 1<<20)
	_, after, err := Compact(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Lstat(path); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link is gone: %v %v", info, err)
	}
	if got := fileSize(t, target); got != after {
		t.Errorf("the file has %d bytes, want %d", got, after)
	}
	wantSound(t, dir)
}

// TestCompactAmongWriters lets writers come and go while the file is replaced
// again and again: none of what they were told is durable may be lost in a file
// that has no name any more.
func TestCompactAmongWriters(t *testing.T) {
	dir := crawledJob(t)
	key := []byte("count")
	var (
		wg      sync.WaitGroup
		over    atomic.Bool
		written atomic.Int64
	)
	for range 4 {
		wg.Go(func() {
			for !over.Load() {
				j, err := openDatabase("open", dir, false)
				if errors.Is(err, ErrLocked) {
					continue
				}
				if err != nil {
					t.Error(err)
					return
				}
				err = j.update("count", func(b *bbolt.Bucket) error {
					n, _ := strconv.Atoi(string(b.Get(key)))
					return b.Put(key, []byte(strconv.Itoa(n+1)))
				})
				if err == nil {
					written.Add(1)
				}
				if err := errors.Join(err, j.Close()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for done := 0; done < 5 && !t.Failed(); {
		_, _, err := Compact(t.Context(), dir)
		switch {
		case err == nil:
			done++
		case !errors.Is(err, ErrLocked):
			t.Error(err)
		}
	}
	over.Store(true)
	wg.Wait()
	var stored string
	withDatabase(t, dir, func(db *bbolt.DB) error {
		return db.View(func(tx *bbolt.Tx) error { stored = string(tx.Bucket(bucketJob).Get(key)); return nil })
	})
	if want := strconv.FormatInt(written.Load(), 10); stored != want {
		t.Errorf("%s writes are stored, want %s", stored, want)
	}
	wantSound(t, dir)
}
