package export_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/bbolt"

	"github.com/orbweaver/orbweaver/storage"
	"github.com/orbweaver/orbweaver/storage/boltstore"
	"github.com/orbweaver/orbweaver/storage/export"
	"github.com/orbweaver/orbweaver/storage/memstore"
)

func storeOf(t testing.TB, recs ...*storage.Record) storage.Store {
	t.Helper()
	s := memstore.New()
	if err := s.Append(t.Context(), recs); err != nil {
		t.Fatal(err)
	}
	return s
}

func full() *storage.Record {
	return &storage.Record{
		URL: "https://example.org/a", FinalURL: "https://example.org/b", Host: "example.org",
		Referrer: "https://example.org/", Label: "list", Depth: 1, Attempts: 2, Redirects: 3,
		Status: 200, Proto: "HTTP/1.1", Head: []byte("HTTP/1.1 200 OK\r\n\r\n"),
		ContentType: "text/html", Charset: "utf-8", Encoding: "gzip",
		FetchedAt: time.Date(2024, 3, 1, 10, 0, 0, 250e6, time.UTC), Duration: 1999 * time.Microsecond,
		Bytes: 30000, WireBytes: 13000, Title: `A "title", <b>`, Links: 50,
		Truncated: true, Error: "cut", ErrorClass: "body", Kind: "listed", Rel: "ugc", Robots: "noindex",
		Items: []json.RawMessage{[]byte(`{"a":1}`)},
	}
}

func records(t *testing.T, s storage.Store, opts export.Options) string {
	t.Helper()
	var out bytes.Buffer
	n, err := export.Records(t.Context(), &out, s, opts)
	if err != nil {
		t.Fatal(err)
	}
	if lines := strings.Count(out.String(), "\n"); opts.Format != export.CSV && n != lines {
		t.Errorf("n is %d with %d lines", n, lines)
	}
	return out.String()
}

func want(t *testing.T, got, want string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestRecordsJSONL(t *testing.T) {
	s := storeOf(t, full(), &storage.Record{URL: "https://example.org/gone", Error: "no such host", ErrorClass: "dns"})
	want(t, records(t, s, export.Options{}),
		`{"url":"https://example.org/a","status":200,"final_url":"https://example.org/b","content_type":"text/html",`+
			`"depth":1,"referrer":"https://example.org/","fetched_at":"2024-03-01T10:00:00.25Z","duration_ms":1,"bytes":30000,`+
			`"title":"A \"title\", <b>","links":50,"truncated":true,"error":"cut","error_class":"body","host":"example.org",`+
			`"label":"list","attempts":2,"redirects":3,"proto":"HTTP/1.1","charset":"utf-8","encoding":"gzip","wire_bytes":13000,"seq":1,`+
			`"kind":"listed","rel":"ugc","robots":"noindex","change":""}`+"\n"+
			`{"url":"https://example.org/gone","status":0,"final_url":"","content_type":"","depth":0,"referrer":"",`+
			`"fetched_at":"0001-01-01T00:00:00Z","duration_ms":0,"bytes":0,"title":"","links":0,"truncated":false,`+
			`"error":"no such host","error_class":"dns","host":"","label":"","attempts":0,"redirects":0,"proto":"","charset":"",`+
			`"encoding":"","wire_bytes":0,"seq":2,"kind":"","rel":"","robots":"","change":""}`+"\n")
}

func TestRecordsCSV(t *testing.T) {
	s := storeOf(t, full())
	want(t, records(t, s, export.Options{Format: export.CSV}),
		strings.Join(export.DefaultFields(), ",")+"\r\n"+
			`https://example.org/a,200,https://example.org/b,text/html,1,https://example.org/,2024-03-01T10:00:00.25Z,1,30000,`+
			`"A ""title"", <b>",50,true,cut,body,example.org,list,2,3,HTTP/1.1,utf-8,gzip,13000,1,listed,ugc,noindex,`+"\r\n")
	want(t, records(t, storeOf(t), export.Options{Format: export.CSV, Fields: []string{"url", "status"}}), "url,status\r\n")
}

func TestRecordsURLs(t *testing.T) {
	s := storeOf(t, full(), &storage.Record{URL: "http://h/a b\r\nhttp://evil/\x7f"}, &storage.Record{URL: "http://h/é"})
	want(t, records(t, s, export.Options{Format: export.URLs}),
		"https://example.org/a\nhttp://h/a%20b%0D%0Ahttp://evil/%7F\nhttp://h/é\n")
}

func TestRecordsFields(t *testing.T) {
	s := storeOf(t, full())
	fields := []string{"title", "head", "url"}
	want(t, records(t, s, export.Options{Fields: fields}),
		`{"title":"A \"title\", <b>","head":"HTTP/1.1 200 OK\r\n\r\n","url":"https://example.org/a"}`+"\n")
	for _, format := range []export.Format{export.JSONL, export.CSV} {
		if out := records(t, s, export.Options{Format: format, Fields: export.KnownFields()}); !strings.Contains(out, "head") {
			t.Errorf("all fields as %v: %s", format, out)
		}
	}

	var unknown *export.UnknownError
	n, err := export.Records(t.Context(), io.Discard, s, export.Options{Fields: []string{"url", "colour"}})
	if !errors.As(err, &unknown) || n != 0 || unknown.What != "field" || unknown.Name != "colour" || !cmp.Equal(unknown.Known, export.KnownFields()) {
		t.Errorf("unknown field: %v", err)
	}
	_, err = export.Records(t.Context(), io.Discard, s, export.Options{Fields: []string{"url", "url"}})
	if err == nil {
		t.Error("a field was accepted twice")
	}
	_, err = export.Records(t.Context(), io.Discard, s, export.Options{Format: 7})
	if !errors.As(err, &unknown) || unknown.What != "format" {
		t.Errorf("unknown format: %v", err)
	}
}

func TestFormat(t *testing.T) {
	for _, f := range []export.Format{export.JSONL, export.CSV, export.URLs} {
		text, err := f.MarshalText()
		var back export.Format
		if err != nil || back.UnmarshalText(text) != nil || back != f {
			t.Errorf("%v became %q and %v, %v", f, text, back, err)
		}
	}
	var unknown *export.UnknownError
	if _, err := export.ParseFormat("xml"); !errors.As(err, &unknown) || unknown.Name != "xml" || len(unknown.Known) != 3 {
		t.Errorf("error %v", err)
	}
	if _, err := export.Format(-1).MarshalText(); err == nil {
		t.Error("an unknown format was marshalled")
	}
}

func TestSelection(t *testing.T) {
	s := storeOf(t,
		&storage.Record{URL: "a", Status: 200}, &storage.Record{URL: "b", Status: 404},
		&storage.Record{URL: "a", Status: 304}, &storage.Record{URL: "c", Status: 200})
	ok := func(r *storage.Record) bool { return r.Status == 200 }
	for _, test := range []struct {
		name string
		opts export.Options
		want string
	}{
		{"all", export.Options{}, "abac"},
		{"Where", export.Options{Where: ok}, "ac"},
		{"After", export.Options{After: 1}, "bac"},
		{"After the last", export.Options{After: 4}, ""},
		{"Latest", export.Options{Latest: true}, "bac"},
		{"Latest and Where", export.Options{Latest: true, Where: ok}, "c"},
	} {
		test.opts.Format = export.URLs
		if got := strings.ReplaceAll(records(t, s, test.opts), "\n", ""); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

// TestHostileText has text that breaks lines, quotes and encodings, in every
// field that can hold it, and reads it back with the standard library.
func TestHostileText(t *testing.T) {
	hostile := []string{
		"", " ", "a,b", `"`, `""`, "a\nb", "\r\n", "\r", "\x00\x01\x1f\x7f", "\xff\xfe", "a\xc3", "\xed\xa0\x80",
		"=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "'=1", "\u2028\u2029", "</script>&", "\\", "\U0001F578", " x ", `=HYPERLINK("http://evil")`,
	}
	for _, text := range hostile {
		r := &storage.Record{URL: "u" + text, FinalURL: text, Host: text, Referrer: text, Label: text, Proto: text, Head: []byte(text),
			ContentType: text, Charset: text, Encoding: text, Title: text, Error: text, ErrorClass: text}
		s := storeOf(t, r)
		valid := strings.ToValidUTF8(text, "\uFFFD")
		perByte := string([]rune(text)) // encoding/json replaces each byte, strings.ToValidUTF8 each run

		line := records(t, s, export.Options{Fields: export.KnownFields()})
		if strings.Count(line, "\n") != 1 {
			t.Errorf("%q: JSON of several lines: %q", text, line)
		}
		var object map[string]any
		if err := json.Unmarshal([]byte(line), &object); err != nil {
			t.Errorf("%q: %v in %q", text, err, line)
		}
		for _, name := range []string{"final_url", "host", "title", "error", "head", "label"} {
			if object[name] != perByte {
				t.Errorf("%q: JSON field %s is %q", text, name, object[name])
			}
		}

		for _, verbatim := range []bool{false, true} {
			table, err := csv.NewReader(strings.NewReader(records(t, s, export.Options{
				Format: export.CSV, Fields: export.KnownFields(), Verbatim: verbatim}))).ReadAll()
			if err != nil || len(table) != 2 || len(table[1]) != len(export.KnownFields()) {
				t.Errorf("%q: CSV with %d lines, %v", text, len(table), err)
				continue
			}
			for i, name := range table[0] {
				if name != "title" && name != "head" && name != "error" {
					continue
				}
				expected := valid
				if !verbatim && text != "" && strings.ContainsAny(text[:1], "=+-@\t\r") {
					expected = "'" + expected
				}
				expected = strings.ReplaceAll(expected, "\r\n", "\n") // as csv.Reader does
				if table[1][i] != expected {
					t.Errorf("%q: CSV field %s is %q", text, name, table[1][i])
				}
			}
		}
	}
}

// TestCSVSingleField has lines that would be empty.
func TestCSVSingleField(t *testing.T) {
	s := storeOf(t, &storage.Record{URL: "u"}, &storage.Record{URL: "u", Title: "x"})
	want(t, records(t, s, export.Options{Format: export.CSV, Fields: []string{"title"}}), "title\r\n\"\"\r\nx\r\n")

	// A record that fills the buffer, so that the next one begins an empty one.
	long := strings.Repeat("x", 100_000)
	s = storeOf(t, &storage.Record{URL: "http://a/", Title: long}, &storage.Record{URL: "http://b/"})
	want(t, records(t, s, export.Options{Format: export.CSV, Fields: []string{"title"}}), "title\r\n"+long+"\r\n\"\"\r\n")
}

func TestItems(t *testing.T) {
	s := storeOf(t,
		&storage.Record{URL: `https://example.org/"`, Label: "list", Items: []json.RawMessage{[]byte(`{"b": 1, "a":  2}`), []byte("[\n 1,\r\n\t\"x y\"\n]")}},
		&storage.Record{URL: "https://example.org/2", Items: []json.RawMessage{[]byte("\"\xff\xff\""), []byte(`null`)}})
	items := func(opts export.Options) string {
		t.Helper()
		var out bytes.Buffer
		n, err := export.Items(t.Context(), &out, s, opts)
		if err != nil || n != strings.Count(out.String(), "\n") {
			t.Errorf("%d items in %q, %v", n, out.String(), err)
		}
		return out.String()
	}
	want(t, items(export.Options{}), `{"b": 1, "a":  2}`+"\n"+`[1,"x y"]`+"\n\"\uFFFD\"\nnull\n")
	want(t, items(export.Options{After: 1}), "\"\uFFFD\"\nnull\n")
	want(t, items(export.Options{Wrap: true}),
		`{"url":"https://example.org/\"","label":"list","item":{"b": 1, "a":  2}}`+"\n"+
			`{"url":"https://example.org/\"","label":"list","item":[1,"x y"]}`+"\n"+
			`{"url":"https://example.org/2","label":"","item":"`+"\uFFFD"+`"}`+"\n"+
			`{"url":"https://example.org/2","label":"","item":null}`+"\n")
	want(t, items(export.Options{WhereItem: func(i *storage.Item) bool { return i.Label == "list" && i.Data[0] == '{' }}), `{"b": 1, "a":  2}`+"\n")
	if _, err := export.Items(t.Context(), io.Discard, s, export.Options{Format: export.CSV}); err == nil {
		t.Error("items as CSV were accepted")
	}
}

// failingWriter takes some bytes, then fails.
type failingWriter struct {
	room int
	got  bytes.Buffer
}

var errFull = errors.New("disk full")

func (w *failingWriter) Write(p []byte) (int, error) {
	if len(p) > w.room {
		return 0, errFull
	}
	w.room -= len(p)
	return w.got.Write(p)
}

func TestWriterFails(t *testing.T) {
	var recs []*storage.Record
	for i := range 5000 {
		recs = append(recs, &storage.Record{URL: fmt.Sprintf("https://example.org/%d", i), Items: []json.RawMessage{[]byte(`"0123456789012345678901234567890123456789"`)}})
	}
	s := storeOf(t, recs...)
	for _, room := range []int{0, 100_000, 200_000} {
		w := &failingWriter{room: room}
		n, err := export.Records(t.Context(), w, s, export.Options{Fields: []string{"url", "status"}})
		if !errors.Is(err, errFull) || n != bytes.Count(w.got.Bytes(), []byte("\n")) {
			t.Errorf("room for %d: %d lines, %v", room, n, err)
		}
		w = &failingWriter{room: room}
		n, err = export.Items(t.Context(), w, s, export.Options{})
		if !errors.Is(err, errFull) || n != bytes.Count(w.got.Bytes(), []byte("\n")) {
			t.Errorf("room for %d: %d items, %v", room, n, err)
		}
	}
}

// TestReaderFails cancels an export in the middle: what was read is written.
func TestReaderFails(t *testing.T) {
	s := storeOf(t, full(), full(), full())
	ctx, cancel := context.WithCancel(t.Context())
	var out bytes.Buffer
	n, err := export.Records(ctx, &out, s, export.Options{Format: export.URLs, Where: func(r *storage.Record) bool {
		if r.Seq == 2 {
			cancel()
		}
		return true
	}})
	if !errors.Is(err, context.Canceled) || n != 2 || strings.Count(out.String(), "\n") != 2 {
		t.Errorf("%d records, %q, %v", n, out.String(), err)
	}
	n, err = export.Items(ctx, &out, s, export.Options{})
	if !errors.Is(err, context.Canceled) || n != 0 {
		t.Errorf("%d items, %v", n, err)
	}
}

func boltStore(t testing.TB) *boltstore.Store {
	t.Helper()
	db, err := bbolt.Open(filepath.Join(t.TempDir(), "store.db"), 0o600, &bbolt.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	s, err := boltstore.Open(db, boltstore.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestStoresAgree exports the same from both kinds of store.
func TestStoresAgree(t *testing.T) {
	var recs []*storage.Record
	for i := range 700 {
		r := full()
		r.URL = fmt.Sprintf("https://example.org/%d", i%650)
		recs = append(recs, r)
	}
	mem, bolt := storeOf(t, recs...), boltStore(t)
	if err := bolt.Append(t.Context(), recs); err != nil {
		t.Fatal(err)
	}
	for _, opts := range []export.Options{{Fields: export.KnownFields()}, {Format: export.CSV}, {Format: export.URLs, Latest: true}} {
		want(t, records(t, bolt, opts), records(t, mem, opts))
	}
	var a, b bytes.Buffer
	na, errA := export.Items(t.Context(), &a, mem, export.Options{Wrap: true})
	nb, errB := export.Items(t.Context(), &b, bolt, export.Options{Wrap: true})
	if errA != nil || errB != nil || na != 700 || nb != 700 || a.String() != b.String() {
		t.Errorf("items: %d, %v and %d, %v", na, errA, nb, errB)
	}
}

func BenchmarkRecords(b *testing.B) {
	s := boltStore(b)
	var recs []*storage.Record
	for range 1000 {
		recs = append(recs, full())
	}
	if err := s.Append(b.Context(), recs); err != nil {
		b.Fatal(err)
	}
	for _, format := range []export.Format{export.JSONL, export.CSV, export.URLs} {
		b.Run(format.String(), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() { // a thousand records
				if _, err := export.Records(b.Context(), io.Discard, s, export.Options{Format: format}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
