package boltstore

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"go.etcd.io/bbolt"

	"github.com/orbweaver/orbweaver/storage"
)

// How many records urls may trail behind: a sixteenth of those that it has, so
// that catching up adds several entries to each chunk that it rewrites, within
// bounds. The upper one is a MiB of memory, and a fraction of a second to read
// those records again when the store is opened.
const (
	minPending = 8 << 10
	maxPending = 64 << 10
)

// Config holds the options of a [Store]. Its zero value is a good one.
type Config struct {
	// Limits bound what Append accepts; zero fields have the defaults.
	Limits storage.Limits
}

// Store keeps records in a bbolt file. It is a [storage.Store] and a
// [storage.Historian].
type Store struct {
	db     *bbolt.DB
	limits storage.Limits
	closed atomic.Bool

	// Tests set these to other values.
	hash       func(url string) uint64
	minPending uint64

	mu      sync.Mutex
	pending pending // entries that may not be in urls yet
	catch   catchUp // of them
	arena   []byte  // for the next transaction to encode into
}

var (
	_ storage.Store     = (*Store)(nil)
	_ storage.Historian = (*Store)(nil)
	_ storage.Selector  = (*Store)(nil)
)

// Open opens the store in db and makes one if there is none. A db opened only
// for reading may hold none, and is then an empty store. A store of a newer
// format is a [storage.ErrFormat].
//
// db stays the caller's and has to stay open until the store is closed.
func Open(db *bbolt.DB, cfg Config) (*Store, error) {
	limits, err := cfg.Limits.WithDefaults()
	if err != nil {
		return nil, err
	}
	s := &Store{db: db, limits: limits, hash: indexHash, minPending: minPending}
	if err := guard(s.open); err != nil {
		return nil, fmt.Errorf("storage: open: %w", err)
	}
	return s, nil
}

func (s *Store) open() error {
	found := false
	if err := s.db.View(func(tx *bbolt.Tx) error {
		found = tx.Bucket([]byte(rootName)) != nil
		return nil
	}); err != nil {
		return err
	}
	if !found && !s.db.IsReadOnly() {
		if err := s.db.Update(createBuckets); err != nil {
			return err
		}
	}
	return s.db.View(func(tx *bbolt.Tx) error {
		b, err := openBuckets(tx)
		if err != nil || b == nil {
			return err
		}
		return s.loadPending(b)
	})
}

// Close implements [storage.Store]. It leaves the bbolt file open.
func (s *Store) Close() error {
	s.closed.Store(true)
	return nil
}

// view runs fn in a read transaction; not at all on an empty read-only file.
func (s *Store) view(ctx context.Context, fn func(b *buckets) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.closed.Load() {
		return storage.ErrClosed
	}
	return guard(func() error {
		return s.db.View(func(tx *bbolt.Tx) error {
			b, err := openBuckets(tx)
			if err != nil || b == nil {
				return err
			}
			return fn(b)
		})
	})
}

// guard runs fn and turns a panic or a memory fault in it, which is how bbolt
// meets a damaged page of its own, into a [*storage.CorruptError].
func guard(fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = &storage.CorruptError{Bucket: rootName, Reason: fmt.Sprintf("a page of the file: %v", p)}
		}
	}()
	return fn()
}
