package export_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/bbolt"

	"github.com/orbweaver/orbweaver/storage"
	"github.com/orbweaver/orbweaver/storage/boltstore"
	"github.com/orbweaver/orbweaver/storage/export"
	"github.com/orbweaver/orbweaver/storage/memstore"
	"github.com/orbweaver/orbweaver/storage/warc"
)

// tree is what is below a directory: contents by name.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		text, err := os.ReadFile(path)
		all[filepath.ToSlash(name)] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func bodyStore(t *testing.T) storage.Store {
	t.Helper()
	return storeOf(t,
		&storage.Record{URL: "http://a.org/", Host: "a.org", Status: 200, ContentType: "text/html", Body: []byte("one")},
		&storage.Record{URL: "http://gone/", Host: "gone", Error: "dns"},
		&storage.Record{URL: "http://a.org/x", Host: "a.org", Status: 404, ContentType: "image/png", Encoding: "upper", Body: []byte("two")},
		&storage.Record{URL: "http://evil/", Host: "../../etc", Status: 200, ContentType: "../../x", Body: []byte{}},
		&storage.Record{URL: "http://con/", Host: "CON.x:80", Status: 200, ContentType: "text/plain", Encoding: "broken", Body: []byte("three")},
		&storage.Record{URL: "http://m/", Host: "manifest.jsonl", Status: 200, ContentType: "application/x-sh", Body: []byte("four")},
	)
}

func decode(body []byte, encoding string) ([]byte, error) {
	if encoding == "broken" {
		return body[:2], errors.New("it is broken")
	}
	return bytes.ToUpper(body), nil
}

func TestBodies(t *testing.T) {
	s := bodyStore(t)
	for _, v := range []struct {
		opts export.BodyOptions
		want map[string]string
	}{
		{export.BodyOptions{}, map[string]string{
			"a.org/000000000001.html": "one", "a.org/000000000003.png.coded": "two", "_etc/000000000004.bin": "", "_con.x_80/000000000005.txt.coded": "three",
			"_/000000000006.bin": "four",
		}},
		{export.BodyOptions{Decode: decode}, map[string]string{
			"a.org/000000000001.html": "one", "a.org/000000000003.png": "TWO", "_etc/000000000004.bin": "", "_con.x_80/000000000005.txt": "th",
			"_/000000000006.bin": "four",
		}},
	} {
		dir := filepath.Join(t.TempDir(), "bodies")
		n, err := export.Bodies(t.Context(), dir, s, v.opts)
		if err != nil || n != 5 {
			t.Fatal(n, err)
		}
		got := tree(t, dir)
		lines := strings.SplitAfter(strings.TrimSuffix(got["manifest.jsonl"], "\n"), "\n")[1:]
		delete(got, "manifest.jsonl")
		want := map[string]string{}
		for name, text := range v.want {
			want[strings.Replace(name, "_etc", ".._.._etc", 1)] = text
		}
		// A name that begins with dots gets another beginning.
		want["__.._etc/000000000004.bin"] = want[".._.._etc/000000000004.bin"]
		delete(want, ".._.._etc/000000000004.bin")
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		for _, line := range lines {
			var told struct {
				File  string
				Bytes int
				Error string
			}
			if err := json.Unmarshal([]byte(line), &told); err != nil {
				t.Fatal(err)
			}
			text, found := got[told.File]
			if !found || len(text) != told.Bytes || (told.Error != "") != (text == "th") {
				t.Errorf("%s: %q", line, text)
			}
		}
	}
	filter, err := export.ParseFilter("status = 404")
	if err != nil {
		t.Fatal(err)
	}
	if n, err := export.Bodies(t.Context(), t.TempDir(), s, export.BodyOptions{Where: filter}); err != nil || n != 1 {
		t.Error(n, err)
	}
}

// TestBodiesResume cuts what was written at every place where a crash could.
func TestBodiesResume(t *testing.T) {
	s := bodyStore(t)
	first := t.TempDir()
	if _, err := export.Bodies(t.Context(), first, s, export.BodyOptions{}); err != nil {
		t.Fatal(err)
	}
	whole := tree(t, first)
	manifest := whole["manifest.jsonl"]
	for size := strings.Index(manifest, "\n") + 1; size <= len(manifest); size += 7 {
		dir := t.TempDir()
		for name, text := range whole {
			if name == "manifest.jsonl" {
				text = text[:size]
			}
			if strings.HasPrefix(name, "a.org") && size%2 == 0 {
				continue // not written yet
			}
			if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o777); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(dir, "_", "000000000006.bin.part"), []byte("fo"), 0o666); err != nil {
			t.Fatal(err)
		}
		if size%2 == 0 && size > len(manifest)/4 {
			continue // lines tell of files that are not there: nobody promised those
		}
		lines := strings.Count(manifest[:size], "\n") - 1
		n, err := export.Bodies(t.Context(), dir, s, export.BodyOptions{})
		if err != nil || n != 5-lines {
			t.Fatalf("cut to %d of %d: wrote %d, want %d, %v", size, len(manifest), n, 5-lines, err)
		}
		if lines > 0 {
			continue
		}
		got := tree(t, dir)
		delete(got, "_/000000000006.bin.part")
		if diff := cmp.Diff(whole, got); diff != "" {
			t.Errorf("cut to %d: %s", size, diff)
		}
	}
	if n, err := export.Bodies(t.Context(), first, s, export.BodyOptions{}); err != nil || n != 0 {
		t.Error("all was there", n, err)
	}
}

// killed is a store whose reader is killed before it gets a record behind the first few.
type killed struct {
	storage.Store
	after int
}

func (k killed) Records(ctx context.Context, after uint64) iter.Seq2[*storage.Record, error] {
	return func(yield func(*storage.Record, error) bool) {
		n := 0
		for r, err := range k.Store.Records(ctx, after) {
			if n++; n > k.after {
				panic("killed")
			}
			if !yield(r, err) {
				return
			}
		}
	}
}

// TestBodiesKilledEarly: a directory with the first few bodies, or with the start of a manifest alone, is gone on with.
func TestBodiesKilledEarly(t *testing.T) {
	s := bodyStore(t)
	for after := range 4 {
		dir := t.TempDir()
		if after == 3 {
			if err := os.WriteFile(filepath.Join(dir, "manifest.jsonl.part"), []byte(`{"mani`), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		func() {
			defer func() { _ = recover() }()
			_, err := export.Bodies(t.Context(), dir, killed{s, after}, export.BodyOptions{})
			t.Error("not killed", err)
		}()
		if _, err := export.Bodies(t.Context(), dir, s, export.BodyOptions{}); err != nil {
			t.Errorf("killed after %d: %v", after, err)
		}
		if got := tree(t, dir); len(got) != 6 || strings.Count(got["manifest.jsonl"], "\n") != 6 {
			t.Errorf("killed after %d: %v", after, got)
		}
	}
}

func TestBodiesRefuse(t *testing.T) {
	s := bodyStore(t)
	outside := filepath.Join(t.TempDir(), "outside")
	if err := os.Mkdir(outside, 0o777); err != nil {
		t.Fatal(err)
	}
	const head = `{"manifest":"orbweaver bodies","decoded":false,"where":""}` + "\n"
	for name, prepare := range map[string]func(dir string) error{
		"other files": func(dir string) error { return os.WriteFile(filepath.Join(dir, "mine"), nil, 0o666) },
		"other options": func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "manifest.jsonl"), []byte(strings.Replace(head, "false", "true", 1)), 0o666)
		},
		"no manifest": func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "manifest.jsonl"), []byte("mine"), 0o666)
		},
		"empty manifest": func(dir string) error { return os.WriteFile(filepath.Join(dir, "manifest.jsonl"), nil, 0o666) },
		"damaged manifest": func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "manifest.jsonl"), []byte(head+"{\n"), 0o666)
		},
		"a file of the name": func(dir string) error {
			return errors.Join(os.WriteFile(filepath.Join(dir, "manifest.jsonl"), []byte(head), 0o666),
				os.Mkdir(filepath.Join(dir, "a.org"), 0o777), os.WriteFile(filepath.Join(dir, "a.org", "000000000001.html"), []byte("own"), 0o666))
		},
		"a link that leads out": func(dir string) error {
			return errors.Join(os.WriteFile(filepath.Join(dir, "manifest.jsonl"), []byte(head), 0o666), os.Symlink(outside, filepath.Join(dir, "a.org")))
		},
	} {
		dir := t.TempDir()
		if err := prepare(dir); err != nil {
			t.Fatal(err)
		}
		before := map[string]string{}
		if name != "a link that leads out" {
			before = tree(t, dir)
		}
		_, err := export.Bodies(t.Context(), dir, s, export.BodyOptions{})
		if err == nil || !errors.Is(err, export.ErrDirectory) && !strings.Contains(name, "link") {
			t.Errorf("%s: %v", name, err)
		}
		if name != "a link that leads out" {
			if diff := cmp.Diff(before, tree(t, dir)); diff != "" {
				t.Errorf("%s: %s", name, diff)
			}
		}
	}
	if left, err := os.ReadDir(outside); err != nil || len(left) > 0 {
		t.Errorf("%v was written outside, %v", left, err)
	}
}

// TestBodiesOfAnotherJob are not mixed with those of the first.
func TestBodiesOfAnotherJob(t *testing.T) {
	record := func(url string, second int) *storage.Record {
		return &storage.Record{URL: url, Host: "h", FetchedAt: time.Date(2026, 5, 1, 12, 0, second, 0, time.UTC), Body: []byte(url)}
	}
	first := []*storage.Record{record("http://h/1", 1), record("http://h/2", 2)}
	more := append(slices.Clone(first), record("http://h/3", 3))
	dir := t.TempDir()
	if n, err := export.Bodies(t.Context(), dir, storeOf(t, first...), export.BodyOptions{}); n != 2 || err != nil {
		t.Fatal(n, err)
	}
	before := tree(t, dir)
	for name, recs := range map[string][]*storage.Record{
		"other URLs":       {record("http://h/1", 1), record("http://h/other", 2), record("http://h/3", 3)},
		"crawled anew":     {record("http://h/1", 1), record("http://h/2", 20), record("http://h/3", 3)},
		"not yet that far": {record("http://h/1", 1)},
		"empty":            nil,
	} {
		if n, err := export.Bodies(t.Context(), dir, storeOf(t, recs...), export.BodyOptions{}); n != 0 || !errors.Is(err, export.ErrDirectory) {
			t.Errorf("%s: wrote %d, %v", name, n, err)
		}
		if diff := cmp.Diff(before, tree(t, dir)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	if n, err := export.Bodies(t.Context(), dir, storeOf(t, more...), export.BodyOptions{}); n != 1 || err != nil {
		t.Error(n, err)
	}
}

// endless is a store of many records that are made as they are read.
type endless struct {
	storage.Store
	n    int
	body []byte
}

func (s endless) Records(_ context.Context, after uint64) iter.Seq2[*storage.Record, error] {
	return func(yield func(*storage.Record, error) bool) {
		for i := int(after) + 1; i <= s.n; i++ {
			r := &storage.Record{
				Seq: uint64(i), URL: fmt.Sprintf("http://example.org/%d?%s", i, strings.Repeat("x", 100)), Host: "example.org", Status: 200 + i%2*204,
				Head: []byte("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n"), Bytes: int64(len(s.body)), WireBytes: int64(len(s.body)),
			}
			if !yield(r, nil) {
				return
			}
		}
	}
}

func (s endless) Items(ctx context.Context, after uint64) iter.Seq2[storage.Item, error] {
	return func(yield func(storage.Item, error) bool) {
		for r := range s.Records(ctx, after) {
			if !yield(storage.Item{Seq: r.Seq, URL: r.URL, Data: []byte(`{"a":1}`)}, nil) {
				return
			}
		}
	}
}

func (s endless) Body(_ context.Context, seq uint64) ([]byte, error) {
	return append([]byte(fmt.Sprint(seq)), s.body...), nil
}

// spoiled is a store one of whose bodies is damaged.
type spoiled struct {
	storage.Store
	seq uint64
}

func (s spoiled) Body(ctx context.Context, seq uint64) ([]byte, error) {
	if seq == s.seq {
		return nil, &storage.CorruptError{Bucket: "bodies", Reason: "a bit is lost"}
	}
	return s.Store.Body(ctx, seq)
}

// TestDamagedBody: one that is damaged ends an export, unless somebody wants to be told of it.
func TestDamagedBody(t *testing.T) {
	s := spoiled{bodyStore(t), 3}
	for name, write := range map[string]func(damaged func(*storage.Record, error)) (int, error){
		"bodies": func(damaged func(*storage.Record, error)) (int, error) {
			return export.Bodies(t.Context(), t.TempDir(), s, export.BodyOptions{Damaged: damaged})
		},
		"warc": func(damaged func(*storage.Record, error)) (int, error) {
			return warc.Export(t.Context(), io.Discard, s, warc.ExportOptions{Damaged: damaged})
		},
	} {
		if n, err := write(nil); n != 1 || !errors.Is(err, storage.ErrCorrupt) {
			t.Errorf("%s: %d, %v", name, n, err)
		}
		var told []string
		n, err := write(func(r *storage.Record, err error) { told = append(told, fmt.Sprint(r.URL, " ", err)) })
		if n != 4 || err != nil {
			t.Errorf("%s, told of damage: %d, %v", name, n, err)
		}
		if diff := cmp.Diff([]string{"http://a.org/x corrupt data in bodies: a bit is lost"}, told); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// TestDamageIsRemembered: whoever goes on in a directory is told again of what was damaged.
func TestDamageIsRemembered(t *testing.T) {
	dir, s := t.TempDir(), rotten(t, []uint64{2}, damageable()...)
	var first []string
	for run, wrote := range []int{3, 0, 0} {
		var told []string
		n, err := export.Bodies(t.Context(), dir, spoiled{s, 4}, export.BodyOptions{Damaged: func(r *storage.Record, err error) {
			if !errors.Is(err, storage.ErrCorrupt) {
				t.Errorf("run %d: %v", run, err)
			}
			told = append(told, fmt.Sprint(r.Seq, " ", r.URL, " ", err))
		}})
		if n != wrote || err != nil {
			t.Errorf("run %d: wrote %d, %v", run, n, err)
		}
		if run == 0 {
			first = told
		}
		if diff := cmp.Diff(first, told); diff != "" || len(told) != 2 {
			t.Errorf("run %d: told of %q, %s", run, told, diff)
		}
	}
}

func damageable() (recs []*storage.Record) {
	for i := range 5 {
		recs = append(recs, &storage.Record{URL: fmt.Sprint("http://a.org/", i), Host: "a.org", Title: "a title", Body: []byte("a body")})
	}
	return recs
}

// rotten is a store whose records of those Seqs cannot be read.
func rotten(t *testing.T, seqs []uint64, recs ...*storage.Record) storage.Store {
	t.Helper()
	db, err := bbolt.Open(filepath.Join(t.TempDir(), "db"), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	s, err := boltstore.Open(db, boltstore.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Append(t.Context(), recs); err != nil {
		t.Fatal(err)
	}
	if err := db.Update(func(tx *bbolt.Tx) error {
		records := tx.Bucket([]byte("storage")).Bucket([]byte("records"))
		var errs []error
		for _, seq := range seqs {
			errs = append(errs, records.Put(binary.BigEndian.AppendUint64(nil, seq), []byte("rotten")))
		}
		return errors.Join(errs...)
	}); err != nil {
		t.Fatal(err)
	}
	return s
}

// TestDamagedRecord: no record that can be read is lost for one that cannot.
func TestDamagedRecord(t *testing.T) {
	var recs []*storage.Record
	for i := range 6 {
		recs = append(recs, &storage.Record{
			URL: fmt.Sprint("http://h/", i), Host: "h", Status: 200, Body: []byte("x"), Items: []json.RawMessage{[]byte("1")},
		})
	}
	s := rotten(t, []uint64{2, 3, 6}, recs...)
	all, err := export.ParseFilter("status = 200")
	if err != nil {
		t.Fatal(err)
	}
	for name, write := range map[string]func(damaged func(*storage.Record, error)) (int, error){
		"records": func(damaged func(*storage.Record, error)) (int, error) {
			return export.Records(t.Context(), io.Discard, s, export.Options{Damaged: damaged, Latest: true})
		},
		"items": func(damaged func(*storage.Record, error)) (int, error) {
			return export.Items(t.Context(), io.Discard, s, export.Options{Damaged: damaged})
		},
		"items of some": func(damaged func(*storage.Record, error)) (int, error) {
			return export.Items(t.Context(), io.Discard, s, export.Options{Damaged: damaged, Where: all.Match})
		},
		"bodies": func(damaged func(*storage.Record, error)) (int, error) {
			return export.Bodies(t.Context(), t.TempDir(), s, export.BodyOptions{Damaged: damaged})
		},
		"warc": func(damaged func(*storage.Record, error)) (int, error) {
			return warc.Export(t.Context(), io.Discard, s, warc.ExportOptions{Damaged: damaged})
		},
	} {
		if n, err := write(nil); n != 1 || !errors.Is(err, storage.ErrCorrupt) {
			t.Errorf("%s: %d, %v", name, n, err)
		}
		var told []uint64
		n, err := write(func(r *storage.Record, err error) {
			told = append(told, r.Seq)
			if !errors.Is(err, storage.ErrCorrupt) {
				t.Errorf("%s: told of %v", name, err)
			}
		})
		if n != 3 || err != nil {
			t.Errorf("%s, told of damage: %d, %v", name, n, err)
		}
		if diff := cmp.Diff([]uint64{2, 3, 6}, told); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// TestDamagedLatest: what cannot be known to be the newest record of its URL is left out.
func TestDamagedLatest(t *testing.T) {
	s := rotten(t, []uint64{3}, &storage.Record{URL: "http://a/"}, &storage.Record{URL: "http://b/"}, &storage.Record{URL: "http://a/"})
	var told []uint64
	n, err := export.Records(t.Context(), io.Discard, s, export.Options{
		Latest: true, Damaged: func(r *storage.Record, _ error) { told = append(told, r.Seq) },
	})
	if n != 1 || err != nil || !cmp.Equal(told, []uint64{1, 3}) {
		t.Errorf("%d, told of %d, %v", n, told, err)
	}
}

// liveHeap writes nowhere and looks, now and then, at how much memory is in use.
type liveHeap struct{ n, every, most, least int }

func (w *liveHeap) Write(p []byte) (int, error) {
	if w.n += len(p); w.n >= w.every {
		w.n = 0
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		used := int(m.HeapAlloc)
		w.most = max(w.most, used)
		if w.least == 0 {
			w.least = used
		}
		w.least = min(w.least, used)
	}
	return len(p), nil
}

// TestMemory: the memory that an export takes does not grow with the store. That
// of an archive reaches what its sorting and its known payloads may take, which is
// less than 30 MB.
func TestMemory(t *testing.T) {
	filter, err := export.ParseFilter("status >= 400")
	if err != nil {
		t.Fatal(err)
	}
	s := endless{n: 40_000, body: bytes.Repeat([]byte("body "), 20)}
	records := func(f export.Format) func(io.Writer) (int, error) {
		return func(w io.Writer) (int, error) {
			return export.Records(t.Context(), w, s, export.Options{Format: f, Where: filter.Match})
		}
	}
	for _, v := range []struct {
		name  string
		write func(io.Writer) (int, error)
		want  int
		limit int // in MB
	}{
		{"jsonl", records(export.JSONL), s.n / 2, 2},
		{"csv", records(export.CSV), s.n / 2, 2},
		{"urls", records(export.URLs), s.n / 2, 2},
		{"items", func(w io.Writer) (int, error) {
			return export.Items(t.Context(), w, s, export.Options{Where: filter.Match})
		}, s.n / 2, 2},
		{"warc", func(w io.Writer) (int, error) {
			return warc.Export(t.Context(), w, s, warc.ExportOptions{Dedup: 1000, Index: io.Discard})
		}, s.n, 16},
	} {
		w := &liveHeap{every: 1 << 20}
		if v.name == "items" {
			w.every = 100 << 10
		}
		n, err := v.write(w)
		if err != nil || n != v.want {
			t.Errorf("%s: %d, %v", v.name, n, err)
		}
		if grown := w.most - w.least; w.least == 0 || grown > v.limit<<20 {
			t.Errorf("%s: memory in use grew from %d to %d bytes", v.name, w.least, w.most)
		} else {
			t.Logf("%s: %d to %d kB", v.name, w.least>>10, w.most>>10)
		}
	}
}

func TestItemsWhere(t *testing.T) {
	s := memstore.New()
	var recs []*storage.Record
	for i := range 10 {
		r := &storage.Record{URL: fmt.Sprint("http://h/", i), Status: 200 + 200*(i%2)}
		for k := range i % 3 {
			r.Items = append(r.Items, json.RawMessage(fmt.Sprint(10*i+k)))
		}
		recs = append(recs, r)
	}
	if err := s.Append(t.Context(), recs); err != nil {
		t.Fatal(err)
	}
	filter, err := export.ParseFilter("status = 400")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	n, err := export.Items(t.Context(), &out, s, export.Options{Where: filter.Match, After: 2})
	if want := "50\n51\n70\n"; err != nil || out.String() != want || n != 3 {
		t.Errorf("%q, %v", out.String(), err)
	}
}
