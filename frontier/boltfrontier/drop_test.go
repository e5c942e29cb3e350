package boltfrontier

import (
	"path/filepath"
	"slices"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/orbweaver/orbweaver/frontier"
)

// TestDropAfterEnd drops what waits of a host when a request that was out when Drop looked at the claim has ended by the time that its
// transaction begins.
func TestDropAfterEnd(t *testing.T) {
	db, err := bbolt.Open(filepath.Join(t.TempDir(), "db"), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	b, err := Open(db, Config{})
	if err != nil {
		t.Fatal(err)
	}
	f, err := frontier.New(b, frontier.Config{LeaseSize: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var reqs []frontier.Request
	for _, path := range []string{"/1", "/2", "/3"} {
		reqs = append(reqs, frontier.Request{URL: "https://a.example" + path, Host: "a.example"})
	}
	if _, err := f.Put(t.Context(), reqs); err != nil {
		t.Fatal(err)
	}
	l, err := f.Lease(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	id, _, _ := parsePosition(l.Requests[0].Position())
	taken := slices.Clone(b.claims[id].taken)
	closed := frontier.ClosedByCaller
	if _, err := f.Commit(t.Context(), &frontier.Batch{Done: l.Requests, Hosts: []frontier.HostChange{{Host: "a.example", Closed: &closed}}}); err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		tree, err := openTree(tx)
		if err != nil {
			return err
		}
		var h host
		if err := tree.host(&h, id); err != nil {
			return err
		}
		d, err := tree.drop(&h, taken, 100)
		if err != nil || d.Dropped != 2 || d.More || len(h.open) != 0 {
			t.Errorf("%+v, %v; chunks that are there in part: %v", d, err, h.open)
		}
		if k, _ := tree.queue.Cursor().First(); k != nil {
			t.Errorf("chunk %x is left", k)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	l.Release()
}
