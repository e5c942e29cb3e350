package crawler

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"go.etcd.io/bbolt"
)

// openBolt opens the database at path and locks it, shared if readOnly. The file
// that it has locked is the one that path names, and stays so while it is open:
// who waited for the lock while [Compact] put another file in its place opens
// that one. What killed processes have left beside it is removed by the next who
// may write.
func openBolt(path string, readOnly bool) (*bbolt.DB, error) {
	if info, err := os.Stat(path); err == nil && info.Size() > 0 {
		if info.Size() < smallestDatabase {
			return nil, fmt.Errorf("%w: the file has %d bytes", ErrCorrupt, info.Size())
		}
		if !readOnly {
			if err := checkWhole(path); err != nil {
				return nil, err
			}
		}
	}
	for {
		db, file, err := openFile(path, readOnly)
		if err != nil {
			return nil, err
		}
		current, err := isAt(file, path)
		if err == nil && current && !readOnly {
			// A killed process may have written the page that makes its last transaction
			// count, and not synced it. The next transaction writes over what the one
			// before that needs, so the last one must be there should the power fail.
			err = errors.Join(db.Sync(), removeLeft(path))
		}
		if err == nil && current {
			return db, nil
		}
		if err = errors.Join(err, db.Close()); err != nil {
			return nil, err
		}
	}
}

// checkWhole refuses a database that was cut. Opened to be written, it is read as far
// as its list of free pages, which would be a fault, with no word of the cause.
func checkWhole(path string) error {
	db, file, err := openFile(path, true)
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err == nil {
		err = checkSize(db, info)
	}
	return errors.Join(err, db.Close())
}

// checkSize refuses a file that was cut: reading past its end through the memory map
// would be a fault.
func checkSize(db *bbolt.DB, file fs.FileInfo) error {
	return db.View(func(tx *bbolt.Tx) error {
		if file.Size() < tx.Size() {
			return fmt.Errorf("%w: the file has %d bytes of %d", ErrCorrupt, file.Size(), tx.Size())
		}
		return nil
	})
}

// openFile opens the database at path, with the file that it uses.
func openFile(path string, readOnly bool) (db *bbolt.DB, file *os.File, err error) {
	defer func() {
		if db == nil && file != nil {
			_ = file.Close() // bbolt keeps it, and its lock, when it panics at a damaged page
		}
	}()
	db, err = bbolt.Open(path, 0o600, &bbolt.Options{
		Timeout:      lockTimeout,
		ReadOnly:     readOnly,
		FreelistType: bbolt.FreelistMapType,
		OpenFile: func(name string, flag int, mode os.FileMode) (_ *os.File, err error) {
			file, err = os.OpenFile(name, flag, mode)
			return file, err
		},
	})
	return db, file, err
}

// makeBolt makes an empty database at path if nothing is there. It gets its name
// when it is whole and durable, so that no crash and no full disk leaves a file
// that is neither a database nor nothing.
func makeBolt(path string) (err error) {
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	dir, name := filepath.Split(path)
	file, err := os.CreateTemp(dir, name+newSuffix+"*")
	if err != nil {
		return err
	}
	temp := file.Name()
	defer func() {
		if e := os.Remove(temp); e != nil && !errors.Is(e, fs.ErrNotExist) {
			err = errors.Join(err, e)
		}
	}()
	if err := file.Close(); err != nil {
		return err
	}
	db, err := bbolt.Open(temp, 0o600, &bbolt.Options{Timeout: lockTimeout, FreelistType: bbolt.FreelistMapType})
	if err != nil {
		return err
	}
	if err := db.Close(); err != nil {
		return err
	}
	// A link replaces nothing: of two processes at once, one makes the job.
	if err := os.Link(temp, path); err != nil {
		if _, e := os.Lstat(path); e == nil {
			return nil
		}
		if err := os.Rename(temp, path); err != nil { // a file system without links
			return err
		}
	}
	return syncDir(dir)
}

// syncDir makes names in a directory durable.
func syncDir(dir string) error {
	d, err := os.Open(filepath.Clean(dir))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// isAt reports whether file is the one that path names.
func isAt(file *os.File, path string) (bool, error) {
	opened, err := file.Stat()
	if err != nil {
		return false, err
	}
	named, err := os.Stat(path)
	if err != nil {
		return false, err
	}
	return os.SameFile(opened, named), nil
}

// What the names of Compact's copy and of a database that is being made have
// more than the database's.
const (
	copySuffix = ".compact"
	newSuffix  = ".new-"
)

// removeLeft removes what killed processes have left beside the database at path:
// Compact's copy, and databases that were being made. Who calls it has the
// database's lock.
func removeLeft(path string) error {
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	left := []string{path + copySuffix}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), filepath.Base(path)+newSuffix) {
			left = append(left, filepath.Join(filepath.Dir(path), e.Name()))
		}
	}
	for _, name := range left {
		if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
