package boltstore

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/orbweaver/orbweaver/storage"
)

// crashFile is the environment variable that makes this program a writer to be
// killed.
const crashFile = "BOLTSTORE_TEST_CRASH_FILE"

func TestMain(m *testing.M) {
	if path := os.Getenv(crashFile); path != "" {
		fmt.Fprintln(os.Stderr, appendForever(path))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func crashRecord(i int) *storage.Record {
	r := &storage.Record{URL: fmt.Sprintf("https://h%d.example/%d", i%5, i), Depth: i}
	r.Body = []byte(r.URL)
	r.Items = []json.RawMessage{[]byte(strconv.Itoa(i))}
	return r
}

// appendForever appends batches and prints the last Seq of each.
func appendForever(path string) error {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{NoFreelistSync: true})
	if err != nil {
		return err
	}
	s, err := Open(db, Config{})
	if err != nil {
		return err
	}
	s.minPending = 20
	for i := 0; ; {
		var recs []*storage.Record
		for range 1 + i%7 {
			recs = append(recs, crashRecord(i))
			i++
		}
		if err := db.Update(func(tx *bbolt.Tx) error { return s.AppendTx(tx, recs) }); err != nil {
			return err
		}
		fmt.Println(recs[len(recs)-1].Seq)
	}
}

// TestKill kills a writer at some moment: everything it reported is there, and
// what it did not report is there as a whole batch or not at all.
func TestKill(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	for i := range 3 {
		path := filepath.Join(t.TempDir(), "store.db")
		acknowledged := killAfter(t, path, 10+i*37)
		db := openDB(t, path)
		s := openStore(t, db)
		check(t, s)
		stats, err := s.Stats(t.Context())
		if err != nil || uint64(stats.Records) < acknowledged {
			t.Fatalf("%d records of %d acknowledged, %v", stats.Records, acknowledged, err)
		}
		for i := range int(stats.Records) {
			want := crashRecord(i)
			r, err := s.Get(t.Context(), want.URL)
			if err != nil || r.Seq != uint64(i)+1 || r.Depth != want.Depth {
				t.Fatalf("record %d: %+v, %v", i, r, err)
			}
			if body, err := s.Body(t.Context(), r.Seq); err != nil || string(body) != want.URL {
				t.Fatalf("body of record %d: %q, %v", i, body, err)
			}
		}
		append1(t, s, crashRecord(int(stats.Records)))
		check(t, s)
	}
}

// killAfter runs a writer until it has reported some batches, kills it, and
// returns the last Seq that it reported.
func killAfter(t *testing.T, path string, batches int) (seq uint64) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), crashFile+"="+path)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for n := 0; lines.Scan(); n++ {
		if seq, err = strconv.ParseUint(lines.Text(), 10, 64); err != nil {
			t.Fatal(err)
		}
		if n == batches { // later lines may still be on their way
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); err == nil {
		t.Fatal("the writer ended by itself")
	}
	if seq == 0 {
		t.Fatal("the writer reported nothing")
	}
	return seq
}

// TestCopyAfterCommit copies the file between commits, as a crash of the
// machine would leave it, and opens the copies.
func TestCopyAfterCommit(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "store.db")
	s := openStore(t, openDB(t, path))
	s.minPending = 8
	for i := range 30 {
		append1(t, s, crashRecord(2*i), crashRecord(2*i+1))
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		copied := filepath.Join(dir, fmt.Sprint(i))
		if err := os.WriteFile(copied, data, 0o600); err != nil {
			t.Fatal(err)
		}
		c := openStore(t, openDB(t, copied))
		check(t, c)
		for j := range 2*i + 2 {
			if r, err := c.Get(t.Context(), crashRecord(j).URL); err != nil || r.Seq != uint64(j)+1 {
				t.Fatalf("copy %d, record %d: %+v, %v", i, j, r, err)
			}
		}
	}
}

// TestFull lets the file reach its largest size, as a full disk would: Append
// fails, nothing changes, and smaller records still fit.
func TestFull(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{NoSync: true, NoFreelistSync: true, MaxSize: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.AllocSize = 64 << 10
	s := openStore(t, db)
	s.minPending = 8

	n := 0
	for ; ; n++ {
		recs := []*storage.Record{crashRecord(2 * n), crashRecord(2*n + 1)}
		recs[0].Body = make([]byte, 30<<10)
		if err = s.Append(t.Context(), recs); err != nil {
			if recs[0].Seq != 0 || recs[1].Seq != 0 {
				t.Error("Seq set although nothing was stored")
			}
			break
		}
	}
	if !errors.Is(err, berrors.ErrMaxSizeReached) || n < 8 {
		t.Fatalf("after %d batches: %v", n, err)
	}
	stats, err := s.Stats(t.Context())
	if err != nil || stats.Records != int64(2*n) {
		t.Errorf("%d records, want %d, %v", stats.Records, 2*n, err)
	}
	_, err = s.Get(t.Context(), crashRecord(2*n).URL)
	wantError(t, err, storage.ErrNotFound)
	check(t, s)

	small := crashRecord(2 * n)
	append1(t, s, small)
	if r, err := s.Get(t.Context(), small.URL); err != nil || r.Seq != uint64(2*n)+1 {
		t.Errorf("%+v, %v", r, err)
	}
	check(t, s)
}
