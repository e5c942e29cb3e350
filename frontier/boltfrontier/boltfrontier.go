package boltfrontier

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"go.etcd.io/bbolt"

	"github.com/orbweaver/orbweaver/frontier"
)

// Config says how Open opens. Its zero value is right for a crawl.
type Config struct {
	// ReadOnly is for looking on: Open and Close write nothing, so that a crawl that crashed is still known to have crashed. Only
	// Stats, Lookup and Check work. It is implied when the database is opened read-only.
	ReadOnly bool
}

// Backend is a frontier.Backend in a bbolt database.
type Backend struct {
	db       *bbolt.DB
	readOnly bool
	key      uint64    // of fingerprints
	floor    time.Time // see meta.go

	scratch scratch // of ApplyTx; bbolt has one writing transaction at a time
	logs    logs    // likewise; others read its inbox's index under mu

	mu     sync.Mutex
	claims map[uint32]*claim
	token  uint32              // last given
	freed  map[uint32]struct{} // hosts given back since the Claim under way began; nil when none is
}

var _ frontier.Backend = (*Backend)(nil)

// Open returns the frontier in db, made if missing. What an earlier process had leased is waiting again; if that
// process did not close it, each host waits one delay from now before its next start. Another format
// is a *frontier.FormatError, other bytes a *CorruptError.
func Open(db *bbolt.DB, cfg Config) (*Backend, error) {
	b := &Backend{db: db, readOnly: cfg.ReadOnly || db.IsReadOnly(), claims: make(map[uint32]*claim)}
	if b.readOnly {
		return b, view(db, func(tx *bbolt.Tx) error {
			if tx.Bucket(rootBucket) == nil {
				return ErrNone
			}
			t, err := openTree(tx)
			if err != nil {
				return err
			}
			return b.load(t.meta)
		})
	}
	err := update(db, func(tx *bbolt.Tx) error {
		if tx.Bucket(rootBucket) == nil {
			if err := create(tx); err != nil {
				return err
			}
		}
		t, err := openTree(tx)
		if err != nil {
			return err
		}
		if err := b.load(t.meta); err != nil {
			return err
		}
		if err := b.begin(t.meta); err != nil {
			return err
		}
		return b.loadLogs(t)
	})
	if err != nil {
		return nil, fmt.Errorf("boltfrontier: open: %w", err)
	}
	return b, nil
}

// tree is the frontier's buckets in a transaction.
type tree struct {
	meta, names, hosts, inbox, recent, seen, queue, due *bbolt.Bucket

	logs *logs // of a writing transaction
}

// queueFill is how full a page of the queue is left when it is split. A page has room for four or five chunks, which come in
// the order of their hosts at first, so that cut in halves most pages would keep two for good.
const queueFill = 0.9

func openTree(tx *bbolt.Tx) (*tree, error) {
	t := new(tree)
	err := t.open(tx,
		bucket{&t.meta, metaBucket}, bucket{&t.names, namesBucket}, bucket{&t.hosts, hostsBucket}, bucket{&t.inbox, inboxBucket},
		bucket{&t.recent, recentBucket}, bucket{&t.seen, seenBucket}, bucket{&t.queue, queueBucket}, bucket{&t.due, dueBucket})
	if err != nil {
		return nil, err
	}
	t.queue.FillPercent = queueFill
	return t, nil
}

// openQueue opens what is needed to read the queue of a host. Each bucket is a search, and this is done for each lease.
func openQueue(tx *bbolt.Tx) (*tree, error) {
	t := new(tree)
	return t, t.open(tx, bucket{&t.hosts, hostsBucket}, bucket{&t.queue, queueBucket})
}

// bucket is one of a tree, and its name.
type bucket struct {
	to   **bbolt.Bucket
	name []byte
}

func (t *tree) open(tx *bbolt.Tx, buckets ...bucket) error {
	root := tx.Bucket(rootBucket)
	if root == nil {
		return corrupt(rootBucket, nil, "is missing")
	}
	for _, b := range buckets {
		if *b.to = root.Bucket(b.name); *b.to == nil {
			return corrupt(b.name, nil, "is missing")
		}
	}
	return nil
}

// view calls fn with the buckets of a reading transaction.
func (b *Backend) view(fn func(*tree) error) error {
	return view(b.db, func(tx *bbolt.Tx) error {
		t, err := openTree(tx)
		if err != nil {
			return err
		}
		return fn(t)
	})
}

// view and update are those of db, but a panic or a memory fault, which is how bbolt meets a damaged page of its own, is a
// *CorruptError: whoever waits for the call to end would wait for ever.
func view(db *bbolt.DB, fn func(*bbolt.Tx) error) error {
	return guard(func() error { return db.View(fn) })
}

func update(db *bbolt.DB, fn func(*bbolt.Tx) error) error {
	return guard(func() error { return db.Update(fn) })
}

func guard(fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = corrupt(rootBucket, nil, fmt.Sprintf("a page of the file: %v", p))
		}
	}()
	return fn()
}

// Stats implements frontier.Backend.
func (b *Backend) Stats(context.Context) (s frontier.Stats, err error) {
	err = b.view(func(t *tree) error {
		c, err := readCounts(t.meta)
		s = c.stats()
		return err
	})
	return s, err
}

// Lifetime implements frontier.Backend: claims hold for as long as the database is open, by this process alone.
func (b *Backend) Lifetime() time.Duration { return 0 }

// Renew implements frontier.Backend.
func (b *Backend) Renew(_ context.Context, claims []frontier.Claim) ([]frontier.Claim, error) {
	return claims, nil
}

// Reap implements frontier.Backend.
func (b *Backend) Reap(context.Context) error { return nil }

// Close marks the end as clean. It does not close the database.
func (b *Backend) Close() error {
	b.mu.Lock()
	clear(b.claims)
	b.mu.Unlock()
	if b.readOnly {
		return nil
	}
	return update(b.db, func(tx *bbolt.Tx) error {
		t, err := openTree(tx)
		if err != nil {
			return err
		}
		return t.meta.Put(cleanKey, []byte{1})
	})
}
