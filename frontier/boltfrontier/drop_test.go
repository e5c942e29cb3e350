package boltfrontier

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/orbweaver/orbweaver/frontier"
)

// TestClosedMeanwhile closes a host for its budget in the moments when memory and database do not agree.
func TestClosedMeanwhile(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	db := openDB(t, filepath.Join(t.TempDir(), "db"), bbolt.Options{})
	b, err := Open(db, Config{})
	if err != nil {
		t.Fatal(err)
	}
	f, err := frontier.New(b, frontier.Config{LeaseSize: 3})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var reqs []frontier.Request
	for n := range 12 {
		reqs = append(reqs, frontier.Request{URL: fmt.Sprintf("https://a.example/%d", n), Host: "a.example"})
	}
	if _, err := f.Put(ctx, reqs[:10]); err != nil {
		t.Fatal(err)
	}
	l, err := f.Lease(ctx)
	if err != nil {
		t.Fatal(err)
	}

	// What was taken when Drop looked has ended when its transaction begins.
	taken := slices.Clone(b.claims[1].taken)
	if _, err := f.Commit(ctx, &frontier.Batch{Done: l.Requests[:1]}); err != nil {
		t.Fatal(err)
	}
	for _, why := range []frontier.Closure{frontier.ClosedPages, frontier.ClosedByCaller} {
		_ = db.Update(func(tx *bbolt.Tx) error {
			tree, err := openTree(tx)
			if err != nil {
				t.Fatal(err)
			}
			var h host
			if err := tree.host(&h, 1); err != nil {
				t.Fatal(err)
			}
			h.closed = why
			if d, err := tree.drop(&h, taken, 100); err != nil || d.Dropped != 7 || d.More || h.pending != 2 {
				t.Errorf("%+v, %v, %d are left; want 7 dropped of 9, of which 2 are leased", d, err, h.pending)
			}
			return errors.New("rolled back")
		})
	}

	// The host is closed, and some are dropped, when Take looks, and the Frontier does not know it yet.
	batch := &frontier.Batch{Hosts: []frontier.HostChange{{Host: "a.example", Closed: new(frontier.ClosedPages)}}, Add: reqs[10:]}
	_, err = f.CommitWith(batch, func(batch *frontier.Batch) (frontier.Committed, error) {
		c, err := b.Apply(ctx, batch)
		if err != nil {
			return c, err
		}
		taken, err := b.Take(ctx, frontier.Claim{Host: "a.example", Token: l.Requests[0].Token()}, time.Now(), 5, 1)
		if err != nil || len(taken.Requests) != 0 || !taken.More {
			t.Errorf("%d taken, more: %t, %v; want none, but more", len(taken.Requests), taken.More, err)
		}
		return c, err
	})
	if err != nil {
		t.Fatal(err)
	}
	l.Release(l.Requests[1:]...)
	if _, err := f.Lease(ctx); !errors.Is(err, frontier.ErrDone) {
		t.Errorf("Lease: %v, want ErrDone", err)
	}
	if s := f.Stats(); s.Dropped != 11 || s.Done != 1 {
		t.Errorf("%+v, want 11 dropped", s)
	}
	if err := f.Check(ctx); err != nil {
		t.Error(err)
	}
}

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
