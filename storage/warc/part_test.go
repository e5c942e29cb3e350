package warc

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// badDisk is a disk whose calls fail when it is told so, and which forgets what it
// could not sync.
type badDisk struct {
	diskFile
	calls  *int
	fails  func(call int) bool
	synced []byte // what it would have after the power failed
	all    []byte
}

func (d *badDisk) fail() bool {
	*d.calls++
	return d.fails(*d.calls)
}

func (d *badDisk) WriteAt(p []byte, at int64) (int, error) {
	failed := d.fail()
	if failed {
		p = p[:len(p)/2] // like one that is full now
	}
	n, err := d.diskFile.WriteAt(p, at)
	d.all = append(d.all[:min(int(at), len(d.all))], p...)
	if failed {
		err = errors.Join(err, errFull)
	}
	return n, err
}

func (d *badDisk) Truncate(size int64) error {
	if d.fail() {
		return errFull
	}
	d.all = d.all[:size]
	return d.diskFile.Truncate(size)
}

func (d *badDisk) Sync() error {
	if d.fail() {
		copy(d.all[len(d.synced):], make([]byte, len(d.all))) // the dirty pages are clean now, and gone
		return errFull
	}
	d.synced = slices.Clone(d.all)
	return nil
}

// TestBadDisk makes each call in turn fail, alone and with the two after it. What
// fails is tried again, and nothing is lost or twice there; and what Sync has made
// durable is.
func TestBadDisk(t *testing.T) {
	for _, long := range []int{1, 3} {
		for at, reached := 1, true; reached; at++ {
			reached = testBadDisk(t, func(call int) bool { return call >= at && call < at+long }, at)
			if t.Failed() {
				t.Fatalf("when %d calls fail from the %dth on", long, at)
			}
		}
	}
}

func testBadDisk(t *testing.T, fails func(int) bool, at int) (reached bool) {
	t.Helper()
	dir := t.TempDir()
	f, err := OpenFiles(dir, FilesOptions{MaxSize: 2500, Dedup: -1})
	if err != nil {
		t.Fatal(err)
	}
	calls := 0
	disks := map[string]*badDisk{}
	f.wrap = func(file diskFile) diskFile {
		d := &badDisk{diskFile: file, calls: &calls, fails: fails}
		disks[strings.TrimSuffix(file.(*os.File).Name(), openSuffix)] = d
		return d
	}
	again := func(do func() error) {
		t.Helper()
		for tries := 0; ; tries++ {
			err := do()
			if err == nil {
				return
			}
			if !errors.Is(err, errFull) || tries > 5 {
				t.Fatal(err)
			}
		}
	}
	const pages = 8
	for i := range pages {
		again(func() error { return f.Write(exchange(i, fmt.Sprint("hello", i))) })
		if i%3 == 2 {
			again(f.Sync)
		}
	}
	again(f.Sync)
	if err := f.Close(); err != nil && !errors.Is(err, errFull) {
		t.Fatal(err)
	}
	for name, d := range disks {
		if _, err := os.Stat(name); err == nil {
			if err := os.WriteFile(name, d.synced, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	if f, err = OpenFiles(dir, FilesOptions{}); err != nil { // mends what Close could not
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	records, lines := 0, 0
	for _, name := range archives(t, dir) {
		if !strings.HasSuffix(name, indexSuffix) {
			records += len(readFile(t, dir, name)) - 1
			lines += checkIndex(t, dir, name)
		}
	}
	if records != 3*pages || lines != pages {
		t.Errorf("%d records of %d, %d lines of %d", records, 3*pages, lines, pages)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*"+openSuffix)); len(left) > 0 {
		t.Errorf("%v are left", left)
	}
	return calls >= at
}

// TestLostIndex writes the index of a complete archive that lost it, as a power
// failure may have it.
func TestLostIndex(t *testing.T) {
	dir := t.TempDir()
	f, err := OpenFiles(dir, FilesOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Write(exchange(1, "hello")), f.Close()); err != nil {
		t.Fatal(err)
	}
	names := archives(t, dir)
	if err := os.Remove(filepath.Join(dir, names[0])); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenFiles(dir, FilesOptions{}); err != nil {
		t.Fatal(err)
	}
	if got := archives(t, dir); !slices.Equal(got, names) {
		t.Errorf("%v, want %v", got, names)
	}
	if n := checkIndex(t, dir, names[1]); n != 1 {
		t.Errorf("%d lines", n)
	}
}
