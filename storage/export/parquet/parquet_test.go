package parquet

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"iter"
	"runtime"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"

	"github.com/orbweaver/orbweaver/storage"
	"github.com/orbweaver/orbweaver/storage/export"
	"github.com/orbweaver/orbweaver/storage/memstore"
)

// TestColumns: they are the default fields of package export.
func TestColumns(t *testing.T) {
	var names []string
	for _, f := range parquet.SchemaOf(row{}).Fields() {
		names = append(names, f.Name())
	}
	if diff := cmp.Diff(export.DefaultFields(), names); diff != "" {
		t.Error(diff)
	}
}

func TestRecords(t *testing.T) {
	s := memstore.New()
	at := time.Date(2026, 5, 1, 12, 0, 0, 123_456_000, time.UTC)
	if err := s.Append(t.Context(), []*storage.Record{
		{URL: "http://a/", Status: 200, FetchedAt: at, Title: "a\xff", Links: 3, Truncated: true, Duration: time.Second},
		{URL: "http://gone/", Error: "dns", FetchedAt: at},
		{URL: "http://b/", Status: 404, Host: "b", Bytes: 1 << 40, FetchedAt: at},
	}); err != nil {
		t.Fatal(err)
	}
	filter, err := export.ParseFilter("status")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	n, err := Records(t.Context(), &out, s, Options{Where: filter, GroupRows: 1})
	if err != nil || n != 2 {
		t.Fatal(n, err)
	}
	got, err := parquet.Read[row](bytes.NewReader(out.Bytes()), int64(out.Len()))
	if err != nil {
		t.Fatal(err)
	}
	want := []row{
		{URL: "http://a/", Status: 200, FetchedAt: at, Title: "a\uFFFD", Links: 3, Truncated: true, DurationMS: 1000, Seq: 1},
		{URL: "http://b/", Status: 404, Host: "b", Bytes: 1 << 40, FetchedAt: at, Seq: 3},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if _, err := Records(t.Context(), io.Discard, s, Options{GroupRows: -1}); err == nil {
		t.Error("a negative number of rows was accepted")
	}
}

// many is a store of many records that are made as they are read.
type many struct {
	storage.Store
	n int
}

func (s many) Records(context.Context, uint64) iter.Seq2[*storage.Record, error] {
	return func(yield func(*storage.Record, error) bool) {
		for i := range s.n {
			if !yield(&storage.Record{Seq: uint64(i + 1), URL: fmt.Sprint("http://example.org/", i), Status: 200, Host: fmt.Sprint(i)}, nil) {
				return
			}
		}
	}
}

// liveHeap writes nowhere and looks how much memory is in use.
type liveHeap struct{ samples []uint64 }

func (w *liveHeap) Write(p []byte) (int, error) {
	if len(p) > 10_000 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		w.samples = append(w.samples, m.HeapAlloc)
	}
	return len(p), nil
}

// TestMemory: the memory in use does not grow with the number of row groups.
func TestMemory(t *testing.T) {
	w := &liveHeap{}
	if _, err := Records(t.Context(), w, many{n: 200_000}, Options{GroupRows: 5000}); err != nil {
		t.Fatal(err)
	}
	n := len(w.samples)
	if n < 20 {
		t.Fatalf("%d samples", n)
	}
	if early, late := w.samples[n/4], w.samples[n-1]; late > early+4<<20 {
		t.Errorf("%d bytes in use after a quarter, %d at the end", early, late)
	}
}
