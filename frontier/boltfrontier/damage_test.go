package boltfrontier

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/orbweaver/orbweaver/frontier"
)

func openDB(t testing.TB, path string, o bbolt.Options) *bbolt.DB {
	t.Helper()
	o.NoSync = true
	db, err := bbolt.Open(path, 0o600, &o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// fill makes a frontier with all that one can have in it, and crashes.
func fill(t testing.TB, path string) {
	t.Helper()
	ctx := context.Background()
	db := openDB(t, path, bbolt.Options{})
	b, err := Open(db, Config{})
	if err != nil {
		t.Fatal(err)
	}
	f, err := frontier.New(b, frontier.Config{LeaseSize: 8})
	if err != nil {
		t.Fatal(err)
	}
	var reqs []frontier.Request
	for h := range 6 {
		for n := range 150 {
			r := frontier.Request{URL: fmt.Sprintf("https://host%d.example/%d", h, n), Host: fmt.Sprintf("host%d.example", h), Priority: int8(n % 3)}
			if n%20 == 7 {
				r.NotBefore = time.Now().Add(time.Hour)
			}
			reqs = append(reqs, r)
		}
	}
	for _, part := range [][]frontier.Request{reqs[:600], reqs[600:]} { // one in the sets, one in the log
		if _, err := f.Put(ctx, part); err != nil {
			t.Fatal(err)
		}
	}
	for range 30 {
		l, err := f.Lease(ctx)
		if err != nil {
			t.Fatal(err)
		}
		l.Release()
		if _, err := f.Commit(ctx, &frontier.Batch{Done: l.Requests[:4], Retry: l.Requests[4:]}); err != nil {
			t.Fatal(err)
		}
	}
	if b, err = Open(db, Config{}); err != nil { // which has claimed nothing
		t.Fatal(err)
	}
	reqs = reqs[:0]
	for h := range 6 {
		for n := range 3 {
			reqs = append(reqs, frontier.Request{URL: fmt.Sprintf("https://host%d.example/new/%d", h, n), Host: fmt.Sprintf("host%d.example", h)})
		}
	}
	if _, err := b.Apply(ctx, &frontier.Batch{Add: reqs}); err != nil {
		t.Fatal(err)
	}
	shut := frontier.Batch{Hosts: []frontier.HostChange{{Host: "shut.example", Closed: new(frontier.ClosedPages)}}}
	for n := range 33 {
		shut.Add = append(shut.Add, frontier.Request{URL: fmt.Sprintf("https://shut.example/%d", n), Host: "shut.example"})
	}
	for _, batch := range []frontier.Batch{{Hosts: shut.Hosts, Add: shut.Add[:30]}, {Add: shut.Add[30:]}} {
		if _, err := b.Apply(ctx, &batch); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(b.logs.inbox.entries); n != 7 {
		t.Fatalf("%d entries in the inbox, want 7", n)
	}
	if err := b.Check(ctx); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// use does all that one can do with a backend, and returns the errors.
func use(db *bbolt.DB) (checked error, others error) {
	ctx := context.Background()
	b, err := Open(db, Config{})
	if err != nil {
		return err, err
	}
	checked = b.Check(ctx)
	var errs []error
	add := func(err error) { errs = append(errs, err) }
	for h := range 6 {
		for _, n := range []int{0, 7, 149, 200} {
			_, err := b.Lookup(ctx, fmt.Sprintf("host%d.example", h), fmt.Sprintf("https://host%d.example/%d", h, n))
			add(err)
		}
	}
	f, err := frontier.New(b, frontier.Config{LeaseSize: 8})
	add(err)
	for h := range 7 {
		var reqs []frontier.Request
		for n := range 200 {
			reqs = append(reqs, frontier.Request{URL: fmt.Sprintf("https://host%d.example/%d", h, n), Host: fmt.Sprintf("host%d.example", h)})
		}
		_, err := f.Put(ctx, reqs)
		add(err)
	}
	short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	for range 40 {
		l, err := f.Lease(short)
		add(err)
		if err != nil {
			break
		}
		_, err = f.Commit(ctx, &frontier.Batch{Done: l.Requests})
		add(err)
		l.Release(l.Requests...)
	}
	add(f.Close())
	return checked, errors.Join(errs...)
}

// TestDamage changes stored bytes in every way that is likely: whatever comes of it, it is an error, or goes unnoticed, but is no panic.
func TestDamage(t *testing.T) {
	whole := filepath.Join(t.TempDir(), "whole")
	fill(t, whole)
	content, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 200 {
		random := rand.New(rand.NewPCG(uint64(i), 5))
		path := filepath.Join(t.TempDir(), "damaged")
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		db := openDB(t, path, bbolt.Options{})
		what, obvious := damage(t, db, random)
		checked, others := use(db)
		if obvious && checked == nil {
			t.Errorf("%s: not seen by Check", what)
		}
		var corrupt *CorruptError
		var format *frontier.FormatError
		if checked != nil && !errors.As(checked, &corrupt) && !errors.As(checked, &format) {
			t.Errorf("%s: %v names no key", what, checked)
		}
		_ = others // how much of a damaged frontier still works is not promised
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}
}

// damage changes one random entry. obvious says that Check must see it.
func damage(t *testing.T, db *bbolt.DB, random *rand.Rand) (what string, obvious bool) {
	t.Helper()
	buckets := [][]byte{metaBucket, namesBucket, hostsBucket, hostsBucket, inboxBucket, recentBucket, seenBucket, queueBucket, queueBucket, dueBucket}
	name := buckets[random.IntN(len(buckets))]
	err := db.Update(func(tx *bbolt.Tx) error {
		b := tx.Bucket(rootBucket).Bucket(name)
		n := random.IntN(b.Stats().KeyN)
		c := b.Cursor()
		k, v := c.First()
		for range n {
			k, v = c.Next()
		}
		k, v = append([]byte(nil), k...), append([]byte(nil), v...)
		what = fmt.Sprintf("%s %x: ", name, k)
		obvious = string(k) != string(cleanKey)
		switch random.IntN(5) {
		case 0:
			what += "deleted"
			return b.Delete(k)
		case 1:
			if len(v) > 0 {
				what += "cut short"
				return b.Put(k, v[:random.IntN(len(v))])
			}
		case 2:
			what += "with bytes after it"
			if len(v) == 0 {
				obvious = false
			}
			if string(name) == string(seenBucket) {
				obvious = true
			}
			return b.Put(k, append(v, make([]byte, 1+random.IntN(9))...))
		case 3:
			what += "under another key"
			if err := b.Delete(k); err != nil {
				return err
			}
			at := random.IntN(len(k))
			k[at] ^= byte(1 + random.IntN(255))
			if string(name) == string(queueBucket) && at >= len(k)-8 {
				obvious = false // seq says only what is first
			}
			if string(name) == string(recentBucket) {
				obvious = false // so does its seq
			}
			if string(name) == string(seenBucket) && at >= 4 {
				obvious = false // where a set begins may lie between two fingerprints
			}
			return b.Put(k, v)
		}
		what += "with other bits"
		obvious = false
		for range 1 + random.IntN(3) {
			if len(v) > 0 {
				v[random.IntN(len(v))] ^= byte(1 + random.IntN(255))
			}
		}
		return b.Put(k, v)
	})
	if err != nil {
		t.Fatal(err)
	}
	return what, obvious
}

func TestFormat(t *testing.T) {
	db := openDB(t, filepath.Join(t.TempDir(), "db"), bbolt.Options{})
	if _, err := Open(db, Config{ReadOnly: true}); !errors.Is(err, ErrNone) {
		t.Errorf("read-only and empty: %v, want ErrNone", err)
	}
	b, err := Open(db, Config{})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if err := db.Update(func(tx *bbolt.Tx) error {
		return tx.Bucket(rootBucket).Bucket(metaBucket).Put(formatKey, []byte{format + 1})
	}); err != nil {
		t.Fatal(err)
	}
	for _, cfg := range []Config{{}, {ReadOnly: true}} {
		_, err = Open(db, cfg)
		var newer *frontier.FormatError
		if !errors.Is(err, frontier.ErrFormat) || !errors.As(err, &newer) || newer.Found != format+1 || newer.Known != format {
			t.Errorf("Open of a newer format: %v", err)
		}
	}
}

// TestReadOnly looks at a crawl that crashed, and leaves the crash to be found by the next one.
func TestReadOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	fill(t, path)
	ctx := context.Background()
	for _, o := range []bbolt.Options{{ReadOnly: true}, {}} {
		db := openDB(t, path, o)
		b, err := Open(db, Config{ReadOnly: !o.ReadOnly})
		if err != nil {
			t.Fatal(err)
		}
		if err := b.Check(ctx); err != nil {
			t.Error(err)
		}
		want := frontier.Stats{Waiting: 798, Done: 120, Known: 951, Hosts: 7, Closed: 1}
		want.Drop(frontier.ClosedPages, 33)
		if s, err := b.Stats(ctx); err != nil || s != want {
			t.Errorf("%+v, %v", s, err)
		}
		for _, path := range []string{"7", "new/2"} {
			s, err := b.Lookup(ctx, "host0.example", "https://host0.example/"+path)
			if err != nil || s.State != frontier.StateWaiting || s.Host.Waiting+20 != s.Host.Known || s.Host.Known != 153 {
				t.Errorf("%s: %+v, %v", path, s, err)
			}
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}
	before := time.Now()
	b, err := Open(openDB(t, path, bbolt.Options{}), Config{})
	if err != nil {
		t.Fatal(err)
	}
	if b.floor.Before(before) {
		t.Errorf("the crash was forgotten: floor is %v", b.floor)
	}
}

// TestApplyTxRollback proves that a transaction rolled back leaves memory as it was, and one committed does not.
func TestApplyTxRollback(t *testing.T) {
	ctx := context.Background()
	db := openDB(t, filepath.Join(t.TempDir(), "db"), bbolt.Options{})
	b, err := Open(db, Config{})
	if err != nil {
		t.Fatal(err)
	}
	f, err := frontier.New(b, frontier.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Put(ctx, []frontier.Request{{URL: "https://a.example/", Host: "a.example"}}); err != nil {
		t.Fatal(err)
	}
	l, err := f.Lease(ctx)
	if err != nil {
		t.Fatal(err)
	}
	l.Release()
	late := errors.New("what the caller adds to the transaction fails")
	batch := &frontier.Batch{Done: l.Requests, Add: []frontier.Request{{URL: "https://b.example/", Host: "b.example"}}}
	for _, fail := range []error{late, nil} {
		before := f.Stats()
		_, err := f.CommitWith(batch, func(batch *frontier.Batch) (c frontier.Committed, err error) {
			err = db.Update(func(tx *bbolt.Tx) error {
				if c, err = b.ApplyTx(tx, batch); err != nil {
					return err
				}
				return fail
			})
			return c, err
		})
		if !errors.Is(err, fail) {
			t.Fatalf("CommitWith: %v, want %v", err, fail)
		}
		if fail != nil && f.Stats() != before {
			t.Fatalf("%+v after a rollback, want %+v", f.Stats(), before)
		}
		if err := f.Check(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if s := f.Stats(); s != (frontier.Stats{Waiting: 1, Done: 1, Known: 2, Hosts: 2}) {
		t.Errorf("%+v", s)
	}
}
