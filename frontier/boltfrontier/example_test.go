package boltfrontier_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"go.etcd.io/bbolt"

	"github.com/orbweaver/orbweaver/frontier"
	"github.com/orbweaver/orbweaver/frontier/boltfrontier"
)

// What was fetched and what comes next is committed in one transaction of the caller's database.
func ExampleBackend_ApplyTx() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	db, err := bbolt.Open(filepath.Join(dir, "job.db"), 0o600, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer db.Close()
	backend, err := boltfrontier.Open(db, boltfrontier.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	f, err := frontier.New(backend, frontier.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer f.Close() // before the database

	ctx := context.Background()
	if _, err := f.Put(ctx, []frontier.Request{{URL: "https://example.org/", Host: "example.org"}}); err != nil {
		fmt.Println(err)
		return
	}
	for {
		lease, err := f.Lease(ctx)
		if errors.Is(err, frontier.ErrDone) {
			break
		}
		if err != nil {
			fmt.Println(err)
			return
		}
		lease.Release()
		_, err = f.CommitWith(&frontier.Batch{Done: lease.Requests}, func(b *frontier.Batch) (c frontier.Committed, err error) {
			err = db.Update(func(tx *bbolt.Tx) error {
				results, err := tx.CreateBucketIfNotExists([]byte("results"))
				if err != nil {
					return err
				}
				for _, r := range b.Done {
					if err := results.Put([]byte(r.URL), []byte("its page")); err != nil {
						return err
					}
				}
				c, err = backend.ApplyTx(tx, b)
				return err
			})
			return c, err
		})
		if err != nil {
			fmt.Println(err)
			return
		}
	}
	status, err := f.Lookup(ctx, frontier.Request{URL: "https://example.org/", Host: "example.org"})
	fmt.Println(status.State, err)
	// Output: done <nil>
}
