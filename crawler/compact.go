package crawler

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"go.etcd.io/bbolt"
)

// copyGroup is how many bytes of keys and values one transaction copies.
const copyGroup = 16 << 20

// Compact gives disk back that the job in dir has no more use for: it copies the
// database without its free pages into a new file beside it, proves that the
// copy is sound and equal key for key, and puts it in the old one's place. It
// returns the sizes of the file before and after, in bytes.
//
// What is left of hosts that have had their budgets is of use, unless they are
// dropped: see Config.HostPages.
//
// It needs the job for itself, and as much room on the disk as the job's content
// takes. When it fails, when ctx ends, and when it is killed at any moment, the
// job is as it was; what is then left of the copy is removed by the next Compact
// or crawl. The system must be able to rename a file that is open, which Windows
// is not. The error is a *JobError.
func Compact(ctx context.Context, dir string) (before, after int64, err error) {
	err = guard(func() (err error) {
		before, after, err = compact(ctx, dir)
		return err
	})
	if err != nil {
		return 0, 0, &JobError{"compact", dir, explainOpen(err, dir)}
	}
	return before, after, nil
}

// compact holds the lock of the old file until the new one has its name, so that
// nobody writes in between, and that of the new one, so that who opens it finds
// the job in use until the rename is durable.
func compact(ctx context.Context, dir string) (before, after int64, err error) {
	if err := findJob(dir); err != nil {
		return 0, 0, err
	}
	named := filepath.Join(dir, databaseName)
	src, err := openBolt(named, false)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, src.Close()) }()
	if err := (&Job{dir: dir, db: src}).checkLayout(); err != nil {
		return 0, 0, err
	}
	if err := writePID(dir); err != nil {
		return 0, 0, err
	}
	path, err := filepath.EvalSymlinks(named)
	if err != nil {
		return 0, 0, err
	}
	old, err := os.Stat(path)
	if err != nil {
		return 0, 0, err
	}

	if err := src.View(checkTree); err != nil {
		return 0, 0, firstOf(err)
	}
	temp := path + copySuffix
	renamed := false
	defer func() {
		if renamed {
			return // what is called so now is the next one's, who may have begun
		}
		if e := os.Remove(temp); e != nil && !errors.Is(e, fs.ErrNotExist) {
			err = errors.Join(err, e)
		}
	}()
	if err := makeCopy(ctx, temp, src, old); err != nil {
		return 0, 0, err
	}
	dst, err := openBolt(temp, false)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, dst.Close()) }()
	if err := verifyCopy(ctx, dir, dst, src); err != nil {
		return 0, 0, err
	}
	compacted, err := os.Stat(temp)
	if err != nil {
		return 0, 0, err
	}
	if err := os.Rename(temp, path); err != nil {
		return 0, 0, err
	}
	renamed = true
	if err := syncDir(filepath.Dir(path)); err != nil {
		return 0, 0, err
	}
	return old.Size(), compacted.Size(), nil
}

// firstOf is the first of the errors that were joined.
func firstOf(err error) error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()[0]
	}
	return err
}

// checkLayout checks what has to be known before anything is read.
func (j *Job) checkLayout() error {
	if err := j.checkSize(); err != nil {
		return err
	}
	return j.db.View(checkFormat)
}

// makeCopy writes what src holds to a new file at path, with permissions and owner
// of the old file, and makes it durable.
func makeCopy(ctx context.Context, path string, src *bbolt.DB, old os.FileInfo) error {
	if err := checkRoom(filepath.Dir(path), src); err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer file.Close() // what counts has been synced
	if err := likeOld(file, old); err != nil {
		return err
	}
	size, err := fill(ctx, path, src)
	if err != nil {
		return err
	}
	// bbolt lets a file grow in large steps, or end in a page that was never
	// written.
	if err := file.Truncate(size); err != nil {
		return err
	}
	return file.Sync()
}

// likeOld gives file the permissions and the owner of the old one.
func likeOld(file *os.File, old os.FileInfo) error {
	if err := keepOwner(file, old); err != nil {
		return err
	}
	return file.Chmod(old.Mode().Perm())
}

// checkRoom refuses to begin a copy that cannot fit.
func checkRoom(dir string, src *bbolt.DB) error {
	free, known := freeSpace(dir)
	if !known {
		return nil
	}
	var need int64
	if err := src.View(func(tx *bbolt.Tx) error {
		need = tx.Size() - int64(src.Stats().FreePageN)*int64(src.Info().PageSize)
		return nil
	}); err != nil {
		return err
	}
	if need > free {
		return fmt.Errorf("%w: a copy of %d bytes is needed, and %d are free", syscall.ENOSPC, need, free)
	}
	return nil
}

// fill copies src into the empty file at path and returns how many bytes of it
// count. They are not durable yet.
func fill(ctx context.Context, path string, src *bbolt.DB) (size int64, err error) {
	dst, err := bbolt.Open(path, 0o600, &bbolt.Options{
		Timeout:      lockTimeout,
		NoSync:       true,
		NoGrowSync:   true,
		FreelistType: bbolt.FreelistMapType,
		PageSize:     src.Info().PageSize,
	})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, dst.Close()) }()
	if err := src.View(func(tx *bbolt.Tx) error { return copyAll(ctx, dst, tx) }); err != nil {
		return 0, err
	}
	err = dst.View(func(tx *bbolt.Tx) error { size = tx.Size(); return nil })
	return size, err
}

// tree is what a transaction and a bucket have in common for reading.
type tree interface {
	Cursor() *bbolt.Cursor
	Bucket(name []byte) *bbolt.Bucket
}

// copier writes to dst in transactions of bounded size. It is bbolt.Compact, but
// for a context that ends it.
type copier struct {
	ctx  context.Context // of the one call of copyAll
	dst  *bbolt.DB
	tx   *bbolt.Tx // of dst
	size int       // of what tx has been given
}

func copyAll(ctx context.Context, dst *bbolt.DB, src *bbolt.Tx) (err error) {
	c := copier{ctx: ctx, dst: dst}
	if c.tx, err = dst.Begin(true); err != nil {
		return err
	}
	defer func() {
		if c.tx != nil {
			err = errors.Join(err, c.tx.Rollback())
		}
	}()
	if err := c.copy(nil, src); err != nil {
		return err
	}
	return c.commit()
}

func (c *copier) commit() error {
	tx := c.tx
	c.tx = nil
	return tx.Commit() // which rolls back when it fails
}

// copy copies the bucket at path; none is the root, which holds only buckets.
func (c *copier) copy(path [][]byte, src tree) error {
	dst, err := c.bucket(path)
	if err != nil {
		return err
	}
	cursor := src.Cursor()
	for k, v := cursor.First(); k != nil; k, v = cursor.Next() {
		if v == nil {
			if err := c.copyBucket(append(path[:len(path):len(path)], k), src.Bucket(k)); err != nil {
				return err
			}
		}
		if v == nil || c.size > copyGroup {
			if dst, err = c.next(path); err != nil {
				return err
			}
		}
		if v == nil {
			continue
		}
		if err := dst.Put(k, v); err != nil {
			return err
		}
		c.size += len(k) + len(v)
	}
	return c.ctx.Err()
}

func (c *copier) copyBucket(path [][]byte, src *bbolt.Bucket) error {
	dst, err := c.bucket(path)
	if err != nil {
		return err
	}
	if err := dst.SetSequence(src.Sequence()); err != nil {
		return err
	}
	return c.copy(path, src)
}

// next begins a new transaction if the one before is large enough, and returns
// the bucket at path in it.
func (c *copier) next(path [][]byte) (*bbolt.Bucket, error) {
	if err := c.ctx.Err(); err != nil {
		return nil, err
	}
	if c.size > copyGroup {
		if err := c.commit(); err != nil {
			return nil, err
		}
		tx, err := c.dst.Begin(true)
		if err != nil {
			return nil, err
		}
		c.tx, c.size = tx, 0
	}
	return c.bucket(path)
}

// bucket returns the bucket at path, and makes it if it is not there; nil for the
// root.
func (c *copier) bucket(path [][]byte) (b *bbolt.Bucket, err error) {
	var in interface {
		CreateBucketIfNotExists(name []byte) (*bbolt.Bucket, error)
	} = c.tx
	for _, name := range path {
		if b, err = in.CreateBucketIfNotExists(name); err != nil {
			return nil, err
		}
		in = b
	}
	if b != nil {
		b.FillPercent = 1
	}
	return b, nil
}

// verifyCopy proves that dst holds what src holds, and that this is a sound job:
// a damaged one may have lost something on the way, and has to stay as it is.
func verifyCopy(ctx context.Context, dir string, dst, src *bbolt.DB) error {
	err := src.View(func(a *bbolt.Tx) error {
		return dst.View(func(b *bbolt.Tx) error { return sameTree(ctx, a, b) })
	})
	if err != nil {
		return err
	}
	j := &Job{dir: dir, db: dst}
	if err := j.openRooms(true); err != nil {
		return err
	}
	if err := j.Check(ctx); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		first, _, _ := strings.Cut(errors.Unwrap(err).Error(), "\n")
		return fmt.Errorf("%w and stays as it is: %s", ErrCorrupt, first)
	}
	return nil
}

// errUnequal is a mistake of ours or of the disk's.
var errUnequal = errors.New("the copy differs from the database")

func sameTree(ctx context.Context, a, b tree) error {
	ca, cb := a.Cursor(), b.Cursor()
	ka, va := ca.First()
	kb, vb := cb.First()
	for ka != nil || kb != nil {
		if err := ctx.Err(); err != nil {
			return err
		}
		if !bytes.Equal(ka, kb) || !bytes.Equal(va, vb) || (va == nil) != (vb == nil) {
			return errUnequal
		}
		if va == nil {
			ba, bb := a.Bucket(ka), b.Bucket(kb)
			if ba.Sequence() != bb.Sequence() {
				return errUnequal
			}
			if err := sameTree(ctx, ba, bb); err != nil {
				return err
			}
		}
		ka, va = ca.Next()
		kb, vb = cb.Next()
	}
	return nil
}
