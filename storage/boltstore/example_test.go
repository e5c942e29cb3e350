package boltstore_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"go.etcd.io/bbolt"

	"github.com/orbweaver/orbweaver/storage"
	"github.com/orbweaver/orbweaver/storage/boltstore"
)

// The results of a page, and what the program itself keeps about it, are
// committed together.
func ExampleStore_AppendTx() {
	ctx := context.Background()
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
	store, err := boltstore.Open(db, boltstore.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer store.Close()

	rec := &storage.Record{URL: "https://example.org/", Status: 200}
	err = db.Update(func(tx *bbolt.Tx) error {
		if err := store.AppendTx(tx, []*storage.Record{rec}); err != nil {
			return err
		}
		b, err := tx.CreateBucketIfNotExists([]byte("mine"))
		if err != nil {
			return err
		}
		return b.Put([]byte("last page"), []byte(rec.URL))
	})
	fmt.Println(rec.Seq, err)

	stats, err := store.Stats(ctx)
	fmt.Println(stats.Records, stats.Responses, err)
	fmt.Println(store.Check(ctx))
	// Output:
	// 1 <nil>
	// 1 1 <nil>
	// <nil>
}
