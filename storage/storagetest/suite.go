package storagetest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/orbweaver/orbweaver/storage"
)

// Open returns an empty store for one test, and how to open it again: nil when
// nothing outlives Close. What else has to be cleaned up, it leaves to
// t.Cleanup.
type Open func(t *testing.T) (storage.Store, Reopen)

// Reopen opens a store on what the last one left. That one was closed.
type Reopen func() storage.Store

// Run tests the kind of store that open opens, with default [storage.Limits].
func Run(t *testing.T, open Open) {
	for _, test := range []struct {
		name string
		run  func(t *testing.T, f *fixture)
	}{
		{"Empty", testEmpty},
		{"RoundTrip", testRoundTrip},
		{"Body", testBody},
		{"Items", testItems},
		{"Revisit", testRevisit},
		{"BodySeq", testBodySeq},
		{"After", testAfter},
		{"Select", testSelect},
		{"Chain", testChain},
		{"Stats", testStats},
		{"Refused", testRefused},
		{"Limits", testLimits},
		{"Ownership", testOwnership},
		{"Canceled", testCanceled},
		{"Closed", testClosed},
		{"EarlyBreak", testEarlyBreak},
		{"AppendWhileReading", testAppendWhileReading},
		{"Concurrent", testConcurrent},
		{"Reopen", testReopen},
		{"Model", testModel},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := &fixture{}
			f.Store, f.reopen = open(t)
			test.run(t, f)
			if err := f.Check(t.Context()); err != nil && !errors.Is(err, storage.ErrClosed) {
				t.Errorf("Check after the test: %v", err)
			}
			if err := f.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		})
	}
}

// fixture is the store under test.
type fixture struct {
	storage.Store
	reopen Reopen
}

func (f *fixture) append(t *testing.T, recs ...*storage.Record) {
	t.Helper()
	if err := f.Append(t.Context(), recs); err != nil {
		t.Fatalf("Append: %v", err)
	}
}

func collect[T any](t *testing.T, seq iter.Seq2[T, error]) []T {
	t.Helper()
	var all []T
	for v, err := range seq {
		if err != nil {
			t.Fatalf("iterating: %v", err)
		}
		all = append(all, v)
	}
	return all
}

// bare is r as a reader should get it.
func bare(r *storage.Record) *storage.Record {
	c := *r
	c.Body, c.Items = nil, nil
	c.FetchedAt = c.FetchedAt.Round(0).UTC()
	if len(c.Head) == 0 {
		c.Head = nil
	}
	if len(c.Data) == 0 {
		c.Data = nil
	}
	return &c
}

func bares(recs ...*storage.Record) []*storage.Record {
	var all []*storage.Record
	for _, r := range recs {
		all = append(all, bare(r))
	}
	return all
}

func wantEqual(t *testing.T, what string, got, want any) {
	t.Helper()
	if reflect.DeepEqual(want, got) {
		return // much faster than to find no difference
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func wantError(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: error %v, want %v", what, err, want)
	}
}

// full is a record with nothing left out.
func full() *storage.Record {
	return &storage.Record{
		URL:         "https://example.org/a?b=c",
		FinalURL:    "https://example.org/d",
		Host:        "example.org",
		Referrer:    "https://example.org/",
		Label:       "product",
		Data:        []byte("\x00 of the user"),
		Depth:       3,
		Attempts:    2,
		Redirects:   1,
		Status:      200,
		Proto:       "HTTP/1.1",
		Head:        []byte("HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=UTF-8\r\n\r\n"),
		ContentType: "text/html",
		Charset:     "utf-8",
		Encoding:    "gzip",
		FetchedAt:   time.Date(2024, 2, 29, 23, 59, 58, 987654321, time.FixedZone("", 3600)),
		Duration:    1234567 * time.Nanosecond,
		Bytes:       1 << 33,
		WireBytes:   1 << 32,
		Title:       "A title, \"quoted\" – and \xff broken",
		Links:       51,
		Truncated:   true,
		Error:       "body is longer than 10 bytes",
		ErrorClass:  "body",
		Kind:        "listed",
		Rel:         "ugc,sponsored",
		Robots:      "noindex,nofollow",
		Body:        []byte("\x1f\x8b not really gzip"),
		Items:       []json.RawMessage{json.RawMessage(`{"price": 1.50}`), json.RawMessage(`[1,2]`)},
	}
}

func testEmpty(t *testing.T, f *fixture) {
	ctx := t.Context()
	_, err := f.Get(ctx, "https://example.org/")
	wantError(t, "Get", err, storage.ErrNotFound)
	for _, seq := range []uint64{0, 1, ^uint64(0)} {
		_, err = f.Body(ctx, seq)
		wantError(t, "Body", err, storage.ErrNotFound)
		if recs := collect(t, f.Records(ctx, seq)); recs != nil {
			t.Errorf("Records after %d: %v", seq, recs)
		}
		if items := collect(t, f.Items(ctx, seq)); items != nil {
			t.Errorf("Items after %d: %v", seq, items)
		}
	}
	stats, err := f.Stats(ctx)
	if err != nil || stats != (storage.Stats{}) {
		t.Errorf("Stats: %+v, %v", stats, err)
	}
	f.append(t)
	f.append(t, []*storage.Record{}...)
	if err := f.Check(ctx); err != nil {
		t.Error(err)
	}
}

func testRoundTrip(t *testing.T, f *fixture) {
	ctx := t.Context()
	recs := []*storage.Record{
		full(),
		{URL: "https://example.org/only-url"},
		{URL: "no url at all \x00\xff"},
		{URL: "https://example.org/same", FinalURL: "https://example.org/same", Host: "example.org"},
		{URL: "http://127.0.0.1:8080/x", Host: "127.0.0.1:8080", Status: 999, FetchedAt: time.Unix(-5, 7)},
		{URL: "https://example.org/odd", Status: -1, Depth: -2, Attempts: -3, Links: -4, Redirects: -5,
			Bytes: -6, WireBytes: -7, Duration: -8, Head: []byte{}},
	}
	f.append(t, recs...)
	for i, r := range recs {
		if r.Seq != uint64(i)+1 {
			t.Errorf("record %d got Seq %d", i, r.Seq)
		}
		got, err := f.Get(ctx, r.URL)
		if err != nil {
			t.Errorf("Get: %v", err)
			continue
		}
		wantEqual(t, "Get "+r.URL, got, bare(r))
		if !got.FetchedAt.Equal(r.FetchedAt) || got.FetchedAt.Location() != time.UTC {
			t.Errorf("FetchedAt %v of %v", got.FetchedAt, r.FetchedAt)
		}
	}
	wantEqual(t, "Records", collect(t, f.Records(ctx, 0)), bares(recs...))
}

func testBody(t *testing.T, f *fixture) {
	recs := []*storage.Record{{URL: "https://example.org/none"}}
	for _, size := range []int{0, 1, 4095, 13 << 10, 64<<10 - 1, 64 << 10, 64<<10 + 1, 3 << 20} {
		body := make([]byte, size)
		for i := range body {
			body[i] = byte(i * 7)
		}
		recs = append(recs, &storage.Record{URL: fmt.Sprintf("https://example.org/%d", size), Body: body})
	}
	f.append(t, recs...)
	for _, r := range recs[1:] {
		got, err := f.Body(t.Context(), r.Seq)
		if err != nil || got == nil || !bytes.Equal(got, r.Body) {
			t.Errorf("Body of %d bytes: %d bytes (nil: %v), %v", len(r.Body), len(got), got == nil, err)
		}
	}
	for _, seq := range []uint64{0, 1, uint64(len(recs)) + 1, ^uint64(0)} {
		_, err := f.Body(t.Context(), seq)
		wantError(t, "Body", err, storage.ErrNotFound)
	}
}

func testItems(t *testing.T, f *fixture) {
	var recs []*storage.Record
	var want []storage.Item
	for i := range 400 {
		r := &storage.Record{URL: fmt.Sprintf("https://example.org/%d", i), Label: fmt.Sprint(i % 3)}
		for j := range i % 4 {
			data := json.RawMessage(fmt.Sprintf(`{"page": %d, "n": %d}`, i, j))
			r.Items = append(r.Items, data)
			want = append(want, storage.Item{Seq: uint64(i) + 1, URL: r.URL, Label: r.Label, Data: data})
		}
		recs = append(recs, r)
	}
	many := &storage.Record{URL: "https://example.org/many"}
	for j := range 700 {
		data := json.RawMessage(fmt.Sprint(j))
		many.Items = append(many.Items, data)
		want = append(want, storage.Item{Seq: 401, URL: many.URL, Data: data})
	}
	f.append(t, append(recs, many)...)
	wantEqual(t, "Items", collect(t, f.Items(t.Context(), 0)), want)
	for i, item := range want {
		if item.Seq > 200 {
			wantEqual(t, "Items after 200", collect(t, f.Items(t.Context(), 200)), want[i:])
			break
		}
	}
	if late := collect(t, f.Items(t.Context(), 401)); late != nil {
		t.Errorf("Items after the last: %v", late)
	}
}

func testRevisit(t *testing.T, f *fixture) {
	ctx := t.Context()
	const url = "https://example.org/"
	first, second := &storage.Record{URL: url, Status: 500}, &storage.Record{URL: url, Status: 200}
	other, third := &storage.Record{URL: url + "x"}, &storage.Record{URL: url, Status: 304}
	for _, r := range []*storage.Record{first, second, other, third} {
		f.append(t, r)
		got, err := f.Get(ctx, r.URL)
		if err != nil || got.Seq != r.Seq || got.Status != r.Status {
			t.Errorf("Get after appending %+v: %+v, %v", r, got, err)
		}
	}
	both := []*storage.Record{{URL: url, Status: 301}, {URL: url, Status: 302}}
	f.append(t, both...)
	got, err := f.Get(ctx, url)
	if err != nil || got.Status != 302 {
		t.Errorf("Get after a batch with the URL twice: %+v, %v", got, err)
	}
	wantEqual(t, "Records", collect(t, f.Records(ctx, 0)), bares(first, second, other, third, both[0], both[1]))
	if h, ok := f.Store.(storage.Historian); ok {
		wantEqual(t, "History", collect(t, h.History(ctx, url)), bares(both[1], both[0], third, second, first))
		wantEqual(t, "History", collect(t, h.History(ctx, url+"x")), bares(other))
		if none := collect(t, h.History(ctx, url+"y")); none != nil {
			t.Errorf("History of an unknown URL: %v", none)
		}
	}
}

// testBodySeq stores visits that found a page unchanged: their body is that of the
// first.
func testBodySeq(t *testing.T, f *fixture) {
	ctx := t.Context()
	first := full()
	first.Body = []byte("the body")
	f.append(t, first)
	if first.BodySeq != first.Seq {
		t.Errorf("Append left BodySeq at %d, Seq is %d", first.BodySeq, first.Seq)
	}
	again := func() *storage.Record {
		r := full()
		r.Body, r.Items, r.BodySeq, r.Change = nil, nil, first.Seq, storage.ChangeUnchanged
		return r
	}
	f.append(t, again(), again())
	if f.reopen != nil {
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		f.Store = f.reopen()
	}
	got, err := f.Get(ctx, first.URL)
	if err != nil || got.Seq != 3 || got.BodySeq != 1 || got.Change != storage.ChangeUnchanged {
		t.Errorf("Get: %+v, %v", got, err)
	}
	for seq := uint64(1); seq <= 3; seq++ {
		if body, err := f.Body(ctx, seq); err != nil || string(body) != "the body" {
			t.Errorf("Body of %d: %q, %v", seq, body, err)
		}
	}
	stats, err := f.Stats(ctx)
	if err != nil || stats.Bodies != 1 || stats.BodyBytes != int64(len("the body")) || stats.Records != 3 {
		t.Errorf("Stats: %+v, %v", stats, err)
	}
	for name, bad := range map[string]*storage.Record{
		"of another URL":        {URL: "https://example.org/other", BodySeq: 1},
		"of itself":             {URL: first.URL, BodySeq: 4},
		"of a later record":     {URL: first.URL, BodySeq: 5},
		"of one without a body": {URL: first.URL, BodySeq: 2},
		"unknown change":        {URL: first.URL, Change: 99},
	} {
		if err := f.Append(ctx, []*storage.Record{bad}); !errors.Is(err, storage.ErrInvalid) {
			t.Errorf("%s: Append: %v", name, err)
		}
	}
}

func testAfter(t *testing.T, f *fixture) {
	var recs []*storage.Record
	for i := range 700 { // more than a reader would take at once
		recs = append(recs, &storage.Record{URL: fmt.Sprintf("https://example.org/%d", i)})
	}
	f.append(t, recs...)
	for _, after := range []uint64{0, 1, 255, 256, 257, 511, 512, 699, 700, 701, ^uint64(0)} {
		want := bares(recs[min(after, 700):]...)
		wantEqual(t, fmt.Sprint("Records after ", after), collect(t, f.Records(t.Context(), after)), want)
	}
}

func testStats(t *testing.T, f *fixture) {
	f.append(t,
		&storage.Record{URL: "1", Status: 200, Bytes: 10, WireBytes: 5, Body: []byte("12345"), Items: []json.RawMessage{[]byte("1"), []byte("2")}},
		&storage.Record{URL: "1", Status: 204, Body: []byte{}},
		&storage.Record{URL: "2", Status: 404, Bytes: 7, WireBytes: 8, Truncated: true},
		&storage.Record{URL: "3", Error: "no such host", ErrorClass: "dns"},
		&storage.Record{URL: "4", Status: 999},
		&storage.Record{URL: "5", Status: 1000},
		&storage.Record{URL: "6", Status: -7},
	)
	want := storage.Stats{Records: 7, Responses: 6, Truncated: 1, Items: 2, Bodies: 2, BodyBytes: 5, DecodedBytes: 17, WireBytes: 13}
	want.ByClass[2], want.ByClass[4], want.ByClass[9], want.ByClass[0] = 2, 1, 1, 3
	got, err := f.Stats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	wantEqual(t, "Stats", got, want)
}

func testRefused(t *testing.T, f *fixture) {
	good := func() *storage.Record {
		return &storage.Record{URL: "https://example.org/", Body: []byte("x"), Items: []json.RawMessage{[]byte("1")}}
	}
	f.append(t, good())
	before, _ := f.Stats(t.Context())
	for name, bad := range map[string]*storage.Record{
		"nil":         nil,
		"no URL":      {Host: "example.org"},
		"item":        {URL: "https://example.org/", Items: []json.RawMessage{[]byte("{}"), []byte("{")}},
		"empty item":  {URL: "https://example.org/", Items: []json.RawMessage{nil}},
		"item binary": {URL: "https://example.org/", Items: []json.RawMessage{[]byte("\x00")}},
		"two items":   {URL: "https://example.org/", Items: []json.RawMessage{[]byte("{}\n{}")}},
	} {
		recs := []*storage.Record{good(), bad, good()}
		err := f.Append(t.Context(), recs)
		var refused *storage.RecordError
		if !errors.As(err, &refused) || refused.Index != 1 || !errors.Is(err, storage.ErrInvalid) {
			t.Errorf("%s: error %v", name, err)
		}
		if recs[0].Seq != 0 || recs[2].Seq != 0 {
			t.Errorf("%s: Seq set although nothing was stored", name)
		}
	}
	after, _ := f.Stats(t.Context())
	wantEqual(t, "Stats", after, before)
	next := good()
	f.append(t, next)
	if next.Seq != 2 {
		t.Errorf("Seq %d after refused records, want 2", next.Seq)
	}
}

func testLimits(t *testing.T, f *fixture) {
	limits, err := storage.Limits{}.WithDefaults()
	if err != nil {
		t.Fatal(err)
	}
	many := make([]json.RawMessage, limits.Items+1)
	for i := range many {
		many[i] = json.RawMessage("0")
	}
	for field, r := range map[string]*storage.Record{
		"Text":  {URL: "u", Title: strings.Repeat("x", limits.Text)},
		"Head":  {URL: "u", Head: make([]byte, limits.Head+1)},
		"Data":  {URL: "u", Data: make([]byte, limits.Data+1)},
		"Item":  {URL: "u", Items: []json.RawMessage{[]byte(`"` + strings.Repeat("x", limits.Item) + `"`)}},
		"Items": {URL: "u", Items: many},
	} {
		var limit *storage.LimitError
		err := f.Append(t.Context(), []*storage.Record{r})
		if !errors.As(err, &limit) || limit.Field != field || limit.Size <= limit.Limit || !errors.Is(err, storage.ErrLimit) {
			t.Errorf("%s: error %v", field, err)
		}
	}
	f.append(t, &storage.Record{URL: "u", Title: strings.Repeat("x", limits.Text-1), Head: make([]byte, limits.Head), Data: make([]byte, limits.Data), Items: many[1:]})
}

// testOwnership changes everything that it gave and got.
func testOwnership(t *testing.T, f *fixture) {
	ctx := t.Context()
	given, want := full(), full()
	f.append(t, given)
	want.Number(1)
	scribble := func(b []byte) {
		for i := range b {
			b[i] = '#'
		}
	}
	for range 2 {
		scribble(given.Head)
		scribble(given.Data)
		scribble(given.Body)
		for _, item := range given.Items {
			scribble(item)
		}
		*given = storage.Record{}

		rec, err := f.Get(ctx, want.URL)
		if err != nil {
			t.Fatal(err)
		}
		wantEqual(t, "Get", rec, bare(want))
		scribble(rec.Head)
		scribble(rec.Data)
		for _, rec := range collect(t, f.Records(ctx, 0)) {
			wantEqual(t, "Records", rec, bare(want))
			scribble(rec.Head)
			scribble(rec.Data)
		}
		body, err := f.Body(ctx, 1)
		if err != nil || !bytes.Equal(body, want.Body) {
			t.Errorf("Body: %q, %v", body, err)
		}
		scribble(body)
		for i, item := range collect(t, f.Items(ctx, 0)) {
			wantEqual(t, "Item", string(item.Data), string(want.Items[i]))
			scribble(item.Data)
		}
	}
}

func testCanceled(t *testing.T, f *fixture) {
	f.append(t, full())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, err := range everyMethod(ctx, f.Store) {
		wantError(t, name, err, context.Canceled)
	}
	stats, err := f.Stats(t.Context())
	if err != nil || stats.Records != 1 {
		t.Errorf("after a canceled Append: %+v, %v", stats, err)
	}
}

func testClosed(t *testing.T, f *fixture) {
	f.append(t, full(), full())
	next, stop := iter.Pull2(f.Records(t.Context(), 0))
	defer stop()
	if _, err, ok := next(); err != nil || !ok {
		t.Fatal(err, ok)
	}
	for range 2 {
		if err := f.Close(); err != nil {
			t.Fatalf("Close: %v", err)
		}
	}
	for {
		_, err, ok := next()
		if !ok {
			t.Error("a running iteration ended without an error")
			break
		}
		if err != nil {
			wantError(t, "a running iteration", err, storage.ErrClosed)
			break
		}
	}
	for name, err := range everyMethod(t.Context(), f.Store) {
		wantError(t, name, err, storage.ErrClosed)
	}
}

// everyMethod calls all methods but Close, and returns what they returned.
func everyMethod(ctx context.Context, s storage.Store) map[string]error {
	errs := make(map[string]error)
	recs := []*storage.Record{full()}
	recs[0].Seq = 9
	errs["Append"] = s.Append(ctx, recs)
	if recs[0].Seq != 0 {
		errs["Append"] = errors.New("a failing Append set Seq")
	}
	_, errs["Get"] = s.Get(ctx, recs[0].URL)
	_, errs["Body"] = s.Body(ctx, 1)
	_, errs["Stats"] = s.Stats(ctx)
	errs["Check"] = s.Check(ctx)
	errs["Records"], errs["Items"] = firstError(s.Records(ctx, 0)), firstError(s.Items(ctx, 0))
	if h, ok := s.(storage.Historian); ok {
		errs["History"] = firstError(h.History(ctx, recs[0].URL))
	}
	return errs
}

func firstError[T any](seq iter.Seq2[T, error]) error {
	for _, err := range seq {
		if err != nil {
			return err
		}
	}
	return nil
}

// testEarlyBreak leaves iterations after one step; a store that held a lock
// for them would now be stuck.
func testEarlyBreak(t *testing.T, f *fixture) {
	f.append(t, full(), full(), full())
	for _, err := range f.Records(t.Context(), 0) {
		if err != nil {
			t.Error(err)
		}
		break
	}
	for _, err := range f.Items(t.Context(), 0) {
		if err != nil {
			t.Error(err)
		}
		break
	}
	f.append(t, full())
}

// testAppendWhileReading appends from inside the loops that read.
func testAppendWhileReading(t *testing.T, f *fixture) {
	for i := range 600 {
		f.append(t, &storage.Record{URL: fmt.Sprint(i), Items: []json.RawMessage{[]byte("1")}})
	}
	seen := uint64(0)
	for r, err := range f.Records(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		seen++
		if r.Seq != seen {
			t.Fatalf("record %d after %d", r.Seq, seen-1)
		}
		if seen <= 600 && seen%10 == 0 {
			f.append(t, &storage.Record{URL: "new"})
		}
	}
	if seen < 600 {
		t.Errorf("saw %d records, want at least the 600 of before", seen)
	}
	items := 0
	for _, err := range f.Items(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		if items++; items <= 600 && items%10 == 0 {
			f.append(t, &storage.Record{URL: "newer", Items: []json.RawMessage{[]byte("2")}})
		}
	}
	if items < 600 {
		t.Errorf("saw %d items, want at least the 600 of before", items)
	}
}

// testConcurrent lets writers and readers run together. Every batch has one
// record for each of its writer's URLs, so that a torn batch shows.
func testConcurrent(t *testing.T, f *fixture) {
	const writers, batches, size = 3, 20, 5
	ctx := t.Context()
	var writing, reading sync.WaitGroup
	done := make(chan struct{})
	for w := range writers {
		writing.Go(func() {
			for b := range batches {
				var recs []*storage.Record
				for i := range size {
					body := fmt.Appendf(nil, "%d/%d", w, i)
					recs = append(recs, &storage.Record{URL: string(body), Depth: b, Body: body, Items: []json.RawMessage{[]byte(fmt.Sprint(b))}})
				}
				if err := f.Append(ctx, recs); err != nil {
					t.Error(err)
					return
				}
				for i, r := range recs {
					if got, err := f.Get(ctx, r.URL); err != nil || got.Seq != r.Seq || r.Seq != recs[0].Seq+uint64(i) {
						t.Errorf("Get after Append of %d: %+v, %v", r.Seq, got, err)
					}
				}
			}
		})
	}
	for range 2 {
		reading.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				last := uint64(0)
				for r, err := range f.Records(ctx, 0) {
					if err != nil || r.Seq != last+1 {
						t.Errorf("record %+v after %d, %v", r, last, err)
						return
					}
					last = r.Seq
					if body, err := f.Body(ctx, r.Seq); err != nil || string(body) != r.URL {
						t.Errorf("body %q of %q, %v", body, r.URL, err)
					}
				}
				stats, err := f.Stats(ctx)
				if err != nil || stats.Records%size != 0 || stats.Items != stats.Records || uint64(stats.Records) < last {
					t.Errorf("stats %+v after record %d, %v", stats, last, err)
				}
				if err := f.Check(ctx); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writing.Wait()
	close(done)
	reading.Wait()
	if got := len(collect(t, f.Records(ctx, 0))); got != writers*batches*size {
		t.Errorf("%d records, want %d", got, writers*batches*size)
	}
}

// testSelect selects from a log that is fetched over some hours, by hosts in turn.
func testSelect(t *testing.T, f *fixture) {
	const hosts, records = 7, 3000
	start := time.Date(2024, 3, 1, 12, 0, 0, 0, time.UTC)
	var all []*storage.Record
	for i := range records {
		all = append(all, &storage.Record{
			URL: fmt.Sprintf("https://h%d.example:8080/%d", i%hosts, i/3), FetchedAt: start.Add(time.Duration(i+i%11) * time.Second),
		})
	}
	for i := 0; i < records; i += 100 {
		f.append(t, all[i:i+100]...)
	}
	check := func() {
		t.Helper()
		for _, q := range []storage.Query{
			{},
			{After: 1234},
			{Host: "h3.example:8080"},
			{Host: "h3.example:8080", After: 1234, From: start.Add(10 * time.Minute)},
			{Host: "h3.example"},
			{From: start.Add(20 * time.Minute), To: start.Add(25 * time.Minute)},
			{To: start.Add(time.Second)},
			{From: start.Add(24 * time.Hour)},
			{From: start.Add(time.Hour), To: start},
			{After: records},
		} {
			var want []*storage.Record
			for _, r := range all {
				if q.Matches(r) {
					want = append(want, bare(r))
				}
			}
			wantEqual(t, fmt.Sprintf("%+v", q), collect(t, storage.Select(t.Context(), f.Store, q)), want)
		}
	}
	check()
	if f.reopen != nil {
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		f.Store = f.reopen()
		check()
	}
	for _, err := range storage.Select(t.Context(), f.Store, storage.Query{Host: "h3.example:8080"}) {
		if err != nil {
			t.Error(err)
		}
		break
	}
}

// testChain follows redirects, to their end, to a URL that was not fetched, and in a circle.
func testChain(t *testing.T, f *fixture) {
	hop := func(url, to string) *storage.Record {
		return &storage.Record{URL: "http://a.example/" + url, Status: 301, FinalURL: "http://a.example/" + to}
	}
	f.append(t, hop("1", "2"), hop("2", "old"), hop("2", "3"), &storage.Record{URL: "http://a.example/3", Status: 200, FinalURL: "http://a.example/3"},
		hop("out", "away"), hop("x", "y"), hop("y", "x"))
	for _, tt := range []struct {
		url  string
		seqs []uint64
		err  error
	}{
		{"1", []uint64{1, 3, 4}, nil},
		{"3", []uint64{4}, nil},
		{"out", []uint64{5}, nil},
		{"x", []uint64{6, 7}, storage.ErrLoop},
		{"never", nil, storage.ErrNotFound},
	} {
		chain, err := storage.Chain(t.Context(), f.Store, "http://a.example/"+tt.url)
		var seqs []uint64
		for _, r := range chain {
			seqs = append(seqs, r.Seq)
		}
		wantEqual(t, "chain from "+tt.url, seqs, tt.seqs)
		if !errors.Is(err, tt.err) {
			t.Errorf("chain from %s: %v, want %v", tt.url, err, tt.err)
		}
	}
}

func testReopen(t *testing.T, f *fixture) {
	if f.reopen == nil {
		t.Skip("nothing outlives Close")
	}
	ctx := t.Context()
	first, second := full(), full()
	f.append(t, first)
	before, _ := f.Stats(ctx)
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	f.Store = f.reopen()
	after, err := f.Stats(ctx)
	if err != nil {
		t.Fatal(err)
	}
	wantEqual(t, "Stats", after, before)
	wantEqual(t, "Records", collect(t, f.Records(ctx, 0)), bares(first))
	f.append(t, second)
	if second.Seq != 2 {
		t.Errorf("Seq %d after reopening, want 2", second.Seq)
	}
	got, err := f.Get(ctx, second.URL)
	if err != nil || got.Seq != 2 {
		t.Errorf("Get: %+v, %v", got, err)
	}
}
