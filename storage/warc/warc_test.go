package warc

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/orbweaver/orbweaver/storage"
	"github.com/orbweaver/orbweaver/storage/memstore"
)

func now() time.Time { return time.Date(2024, 3, 1, 10, 0, 0, 5e6, time.UTC) }

func page(i int) *storage.Record {
	return &storage.Record{
		Seq: uint64(i), URL: fmt.Sprintf("https://example.org/%d", i), Status: 200, ContentType: "text/plain",
		Head:      []byte("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\n"),
		FetchedAt: now(), WireBytes: 5, Body: []byte("hello"),
	}
}

// read is an archived record with its block.
type read struct {
	fields []Field
	block  string
}

func readAll(t *testing.T, archive io.Reader) (all []read) {
	t.Helper()
	r := NewReader(archive)
	for {
		rec, err := r.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		block, err := io.ReadAll(rec.Block)
		if err != nil || int64(len(block)) != rec.Length {
			t.Fatalf("block of %d bytes, want %d, %v", len(block), rec.Length, err)
		}
		all = append(all, read{rec.Fields, string(block)})
	}
}

// TestBytes compares an uncompressed archive with the format.
func TestBytes(t *testing.T) {
	var out bytes.Buffer
	w, err := NewWriter(&out, Options{Uncompressed: true, Now: now, Info: []Field{{"operator", "a\r\nb"}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.WriteInfo("x.warc"); err != nil {
		t.Fatal(err)
	}
	if written, err := w.WriteResponse(page(1), []byte("hello")); err != nil || !written {
		t.Fatal(written, err)
	}
	want := strings.Join([]string{
		"WARC/1.1",
		"WARC-Type: warcinfo",
		"WARC-Record-ID: <urn:uuid:INFO>",
		"WARC-Date: 2024-03-01T10:00:00.005Z",
		"WARC-Filename: x.warc",
		"Content-Type: application/warc-fields",
		"WARC-Block-Digest: sha1:INFOBLOCK",
		"Content-Length: 159",
		"",
		"software: orbweaver",
		"format: WARC File Format 1.1",
		"conformsTo: http://iipc.github.io/warc-specifications/specifications/warc-format/warc-1.1/",
		"operator: a  b",
		"", "",
		"WARC/1.1",
		"WARC-Type: response",
		"WARC-Record-ID: <urn:uuid:PAGE>",
		"WARC-Date: 2024-03-01T10:00:00.005Z",
		"WARC-Target-URI: https://example.org/1",
		"WARC-Block-Digest: sha1:BLOCK",
		"WARC-Payload-Digest: sha1:VL2MMHO4YXUKFWV63YHTWSBM3GXKSQ2N", // of hello, known from elsewhere
		"Content-Type: application/http;msgtype=response",
		"Content-Length: 69",
		"",
		"HTTP/1.1 200 OK",
		"Content-Type: text/plain",
		"Content-Length: 5",
		"",
		"hello",
		"",
		"WARC/1.1",
		"WARC-Type: metadata",
		"WARC-Record-ID: <urn:uuid:META>",
		"WARC-Date: 2024-03-01T10:00:00.005Z",
		"WARC-Target-URI: https://example.org/1",
		"WARC-Concurrent-To: <urn:uuid:PAGE>",
		"WARC-Block-Digest: sha1:METABLOCK",
		"Content-Type: application/warc-fields",
		"Content-Length: 16",
		"",
		"fetchTimeMs: 0",
		"",
		"", "",
	}, "\r\n")
	recs := readAll(t, bytes.NewReader(out.Bytes()))
	value := func(i int, name string) string { return (&Record{Fields: recs[i].fields}).Get(name) }
	want = strings.ReplaceAll(want, "<urn:uuid:INFO>", value(0, "WARC-Record-ID"))
	want = strings.ReplaceAll(want, "<urn:uuid:PAGE>", value(1, "WARC-Record-ID"))
	want = strings.ReplaceAll(want, "sha1:BLOCK", newHasher(false).digest([]byte("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello")))
	want = strings.ReplaceAll(want, "<urn:uuid:META>", value(2, "WARC-Record-ID"))
	want = strings.ReplaceAll(want, "sha1:INFOBLOCK", newHasher(false).digest([]byte(recs[0].block)))
	want = strings.ReplaceAll(want, "sha1:METABLOCK", newHasher(false).digest([]byte(recs[2].block)))
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
}

func TestRecordID(t *testing.T) {
	id := recordID("response", "https://example.org/", now(), 1)
	if len(id) != len("<urn:uuid:00000000-0000-5000-8000-000000000000>") || id[24] != '5' || !strings.Contains("89ab", id[29:30]) {
		t.Errorf("%s is not a version 5 UUID", id)
	}
	if again := recordID("response", "https://example.org/", now(), 1); again != id {
		t.Errorf("%s and %s for the same", id, again)
	}
	for _, other := range []string{
		recordID("response", "https://example.org/a", now(), 1), recordID("request", "https://example.org/", now(), 1),
		recordID("response", "https://example.org/", now().Add(1), 1), recordID("response", "https://example.org/", now(), 2),
	} {
		if other == id {
			t.Errorf("%s twice", id)
		}
	}
}

func TestResponseHead(t *testing.T) {
	for _, test := range []struct{ name, head, want string }{
		{"as received", "HTTP/1.1 200 OK\r\nA: b\r\ncontent-length: 7\r\n\r\n", "HTTP/1.1 200 OK\r\nA: b\r\ncontent-length: 7\r\n\r\n"},
		{"chunked", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nA: b\r\n\r\n",
			"HTTP/1.1 200 OK\r\nX-Orig-transfer-encoding: chunked\r\nA: b\r\nContent-Length: 5\r\n\r\n"},
		{"both", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding : gzip,\r\n\tchunked\r\n\r\n",
			"HTTP/1.1 200 OK\r\nX-Orig-Content-Length: 3\r\nX-Orig-Transfer-Encoding : gzip,\r\n\tchunked\r\nContent-Length: 5\r\n\r\n"},
		{"neither", "HTTP/1.0 200 OK\r\n\r\n", "HTTP/1.0 200 OK\r\n\r\n"},
		{"no end", "HTTP/1.0 200 OK\r\nA: b", "HTTP/1.0 200 OK\r\nA: b\r\n\r\n"},
		{"bare line feeds", "HTTP/1.0 200 OK\nA: b\n\nbody", "HTTP/1.0 200 OK\r\nA: b\r\n\r\n"},
		{"no fields", "HTTP/1.0 200", "HTTP/1.0 200\r\n\r\n"},
		{"no colon", "HTTP/1.0 200\r\nTransfer-Encoding\r\n\r\n", "HTTP/1.0 200\r\nTransfer-Encoding\r\n\r\n"},
		{"none", "", "HTTP/1.1 404 Not Found\r\nContent-Type: text/html; charset=utf-8\r\nContent-Encoding: gzip\r\n\r\n"},
	} {
		r := &storage.Record{Status: 404, Head: []byte(test.head), ContentType: "text/html", Charset: "utf-8", Encoding: "gzip"}
		if got := string(responseHead(r, 5)); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

func TestParseHead(t *testing.T) {
	for text, want := range map[string]head{
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n":                       {status: 200, chunked: true},
		"HTTP/1.1 200 OK\r\nTransfer-Encoding:\r\n chunked\r\n\r\n":                   {status: 200, chunked: true},
		"HTTP/1.1 200 OK\nTransfer-Encoding: gzip,\n\tchunked\n\n":                    {status: 200, chunked: true, codings: true},
		"HTTP/1.1 200 OK\r\nContent-Type:\r\n text/html\r\n\t; charset=x\r\n\r\n":     {status: 200, mime: "text/html"},
		"HTTP/1.1 200 OK\r\nA: b\r\n\r\n\tTransfer-Encoding: chunked is the body":     {status: 200, location: 25},
		"HTTP/1.1 200 OK\r\n\r\n Content-Type: text/html":                             {status: 200, location: 19},
		"HTTP/1.1 200 OK\r\n folded: from nowhere\r\nContent-Type: text/html\r\n\r\n": {status: 200, mime: "text/html"},
		"HTTP/1.0 404": {status: 404, old: true},
	} {
		if want.location == 0 {
			want.location = len(text)
		}
		if got := parseHead([]byte(text)); got != want {
			t.Errorf("%q: %+v, want %+v", text, got, want)
		}
	}
}

func TestTruncated(t *testing.T) {
	for want, r := range map[string]*storage.Record{
		"":            {WireBytes: 5, Body: []byte("12345")},
		"time":        {Truncated: true, ErrorClass: "timeout", Body: []byte("1")},
		"unspecified": {Truncated: true, ErrorClass: "body", Body: []byte("1")},
		"length":      {Truncated: true, ErrorClass: storage.ErrorClassLimit, Error: "body cut at 1 bytes", Body: []byte("1")},
	} {
		if got := truncated(r, r.Body); got != want {
			t.Errorf("%+v: %q, want %q", r, got, want)
		}
	}
	if got := truncated(&storage.Record{WireBytes: 5}, nil); got != "unspecified" {
		t.Errorf("a body that was not kept: %q", got)
	}
	if got := truncated(&storage.Record{Bytes: 5, Change: storage.ChangeUnchanged}, nil); got != "unspecified" {
		t.Errorf("an unchanged body that was not kept: %q", got)
	}
	if got := truncated(&storage.Record{}, nil); got != "" {
		t.Errorf("no body: %q", got)
	}
}

func TestOptions(t *testing.T) {
	for _, level := range []int{-1, 10} {
		if _, err := NewWriter(io.Discard, Options{Level: level}); err == nil {
			t.Errorf("level %d was accepted", level)
		}
	}
	for _, opts := range []FilesOptions{{MaxSize: -1}, {Prefix: "a/b"}, {Options: Options{Level: 10}}} {
		if _, err := OpenFiles(t.TempDir(), opts); err == nil {
			t.Errorf("%+v was accepted", opts)
		}
	}
}

func TestExport(t *testing.T) {
	s := memstore.New()
	long := page(4)
	long.Body = bytes.Repeat([]byte("long "), 100_000)
	noBody := page(5)
	noBody.Body = nil
	hostile := page(6)
	hostile.URL = "http://h/\r\nWARC-Type: x"
	if err := s.Append(t.Context(), []*storage.Record{page(1), {URL: "http://gone/", Error: "dns"}, page(3), long, noBody, hostile}); err != nil {
		t.Fatal(err)
	}
	for _, uncompressed := range []bool{false, true} {
		var out bytes.Buffer
		n, err := Export(t.Context(), &out, s, ExportOptions{
			Options: Options{Now: now, Uncompressed: uncompressed}, Dedup: -1,
			Where: func(r *storage.Record) bool { return r.Seq != 3 },
		})
		if err != nil || n != 4 {
			t.Fatal(n, err)
		}
		recs := readAll(t, iotest.OneByteReader(&out))
		var urls []string
		for _, r := range recs {
			urls = append(urls, (&Record{Fields: r.fields}).Get("warc-target-uri"))
		}
		var want []string
		for _, u := range []string{"https://example.org/1", "https://example.org/4", "https://example.org/5", "http://h/%0D%0AWARC-Type:%20x"} {
			want = append(want, u, u) // response and metadata
		}
		want = append([]string{""}, want...)
		if diff := cmp.Diff(want, urls); diff != "" {
			t.Error(diff)
		}
		if !strings.HasSuffix(recs[3].block, "\r\n\r\n"+string(long.Body)) {
			t.Errorf("the long body came back as %d bytes", len(recs[3].block))
		}
	}
}

// TestExportWithoutUser: no password of a seed's URL gets into an archive.
func TestExportWithoutUser(t *testing.T) {
	s := memstore.New()
	if err := s.Append(t.Context(), []*storage.Record{
		{URL: "http://bob:p@ss@h.example/a@b", Status: 200, FetchedAt: now(), Referrer: "http://bob:p@ss@h.example?@"},
		{URL: "http://bob:p@ss@h.example#@", Status: 200, FetchedAt: now(), Referrer: "http://h.example/x@y"},
	}); err != nil {
		t.Fatal(err)
	}
	var out, index bytes.Buffer
	if _, err := Export(t.Context(), &out, s, ExportOptions{Options: Options{Uncompressed: true}, Requests: true, Index: &index}); err != nil {
		t.Fatal(err)
	}
	text := out.String() + index.String()
	if strings.Contains(text, "bob") || strings.Contains(text, "p@ss") {
		t.Error(text)
	}
	for _, want := range []string{
		"WARC-Target-URI: http://h.example/a@b\r\n", "WARC-Target-URI: http://h.example#@\r\n", "via: http://h.example?@\r\n", "via: http://h.example/x@y\r\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in %s", want, text)
		}
	}
}

type failing struct{}

var errFull = errors.New("disk full")

func (failing) Write([]byte) (int, error) { return 0, errFull }

func TestWriteFails(t *testing.T) {
	if _, err := Export(t.Context(), failing{}, memstore.New(), ExportOptions{}); !errors.Is(err, errFull) {
		t.Errorf("error %v", err)
	}
}

func archives(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// exchange is a page as it came over the wire.
func exchange(i int, body string) *Exchange {
	return &Exchange{
		URL: fmt.Sprintf("https://example.org/%d", i), Date: now().Add(time.Duration(i) * time.Second),
		Request: fmt.Appendf(nil, "GET /%d HTTP/1.1\r\nHost: example.org\r\n\r\n", i),
		Head:    fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n", len(body)),
		Body:    []byte(body), Metadata: []Field{{"fetchTimeMs", "1"}},
	}
}

// types lists the types of records.
func types(recs []read) (list []string) {
	for _, r := range recs {
		list = append(list, (&Record{Fields: r.fields}).Get("WARC-Type"))
	}
	return list
}

func readFile(t *testing.T, dir, name string) []read {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return readAll(t, bytes.NewReader(data))
}

func TestFilesRotate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "warcs")
	opts := FilesOptions{Options: Options{Now: now}, Prefix: "job", Host: "a.b/c", MaxSize: 2500}
	total := 0
	for run := range 2 { // the second Files finds the names of the first taken
		f, err := OpenFiles(dir, opts)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 7 {
			if err := f.Write(exchange(i, fmt.Sprint("hello", run, i))); err != nil {
				t.Fatal(err)
			}
			total++
		}
		if err := f.Sync(); err != nil {
			t.Error(err)
		}
		for range 2 {
			if err := f.Close(); err != nil {
				t.Error(err)
			}
		}
		if err := f.Write(exchange(1, "")); !errors.Is(err, os.ErrClosed) {
			t.Errorf("Write after Close: %v", err)
		}
	}
	names := archives(t, dir)
	if len(names) < 8 || names[1] != "job-20240301100000-00001-a.b_c.warc.gz" || names[0] != "job-20240301100000-00001-a.b_c.cdxj" {
		t.Errorf("archives %v", names)
	}
	indexed := 0
	for _, name := range names {
		if strings.HasSuffix(name, indexSuffix) {
			continue
		}
		recs := readFile(t, dir, name)
		if len(recs) < 4 || (&Record{Fields: recs[0].fields}).Get("WARC-Filename") != name {
			t.Errorf("%s has %d records", name, len(recs))
		}
		total -= (len(recs) - 1) / 3
		indexed += checkIndex(t, dir, name)
	}
	if total != 0 || indexed != 14 {
		t.Errorf("%d pages are missing, %d are indexed", total, indexed)
	}
}

// checkIndex compares an archive's index with what the archive holds, and
// returns the number of lines.
func checkIndex(t *testing.T, dir, name string) int {
	t.Helper()
	index, err := os.ReadFile(filepath.Join(dir, indexName(name)))
	if err != nil {
		t.Fatal(err)
	}
	archive, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(strings.TrimSuffix(string(index), "\n"), "\n")
	if !slices.IsSorted(lines) {
		t.Errorf("%s: the index is not sorted", name)
	}
	for _, line := range lines {
		e, err := ParseEntry([]byte(line))
		if err != nil {
			t.Fatal(err)
		}
		recs := readAll(t, bytes.NewReader(archive[e.Offset:e.Offset+e.Length]))
		if len(recs) != 1 {
			t.Fatalf("%d records where %s should be", len(recs), e.URL)
		}
		rec := &Record{Fields: recs[0].fields}
		if rec.Get("WARC-Target-URI") != e.URL || rec.Get("WARC-Date") != formatDate(e.Date) ||
			rec.Get("WARC-Payload-Digest") != e.Digest || e.Filename != name || e.Key != SURT(e.URL) {
			t.Errorf("%s does not fit %v", line, rec.Fields)
		}
	}
	// What the archive itself tells is the same.
	lines2 := newSorter(t.TempDir(), "")
	if _, err := scan(bytes.NewReader(archive), name, func(e *Entry) error { return lines2.add(e.Append(nil)) }); err != nil {
		t.Fatal(err)
	}
	var again bytes.Buffer
	if err := lines2.writeTo(&again); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(index), again.String()); diff != "" {
		t.Errorf("%s, written and scanned: %s", name, diff)
	}
	return len(lines)
}

// TestMend leaves archives open that are cut at every size they could have.
func TestMend(t *testing.T) {
	for _, uncompressed := range []bool{false, true} {
		var out bytes.Buffer
		w, err := NewWriter(&out, Options{Now: now, Uncompressed: uncompressed})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.WriteInfo("x"); err != nil {
			t.Fatal(err)
		}
		ends := []int{0, out.Len()}
		for i := range 2 {
			x := exchange(i, "hello")
			x.Request, x.Metadata = nil, nil // a record a page
			if err := w.WriteExchange(x); err != nil {
				t.Fatal(err)
			}
			ends = append(ends, out.Len())
		}
		whole := 0
		for size := range out.Len() + 1 {
			if slices.Contains(ends, size) {
				whole = size
			}
			got, err := scan(bytes.NewReader(out.Bytes()[:size]), "x", func(*Entry) error { return nil })
			if err != nil || got != int64(whole) {
				t.Fatalf("cut to %d: %d are whole records, want %d, %v", size, got, whole, err)
			}
		}
		for i, end := range ends {
			for _, size := range []int{end, end + 1} {
				testMendFile(t, out.Bytes()[:min(size, out.Len())], out.Bytes()[:ends[i]])
			}
		}
	}
}

// testMendFile opens a directory with an open archive, of which the whole
// records should be left.
func testMendFile(t *testing.T, open, whole []byte) {
	t.Helper()
	dir := t.TempDir()
	const own, other = "crawl-20240301100000-00001-x", "crawl-news-20240301100000-00001-x"
	others := []string{runPrefix + other + "-1", other + ".cdxj" + openSuffix, other + ".warc" + openSuffix}
	for _, name := range append([]string{own + ".warc" + openSuffix, own + ".cdxj" + openSuffix, runPrefix + own + ".warc-1"}, others...) {
		if err := os.WriteFile(filepath.Join(dir, name), open, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := OpenFiles(dir, FilesOptions{}); err != nil {
		t.Fatal(err)
	}
	want := others
	if len(whole) > 0 {
		want = append([]string{own + ".cdxj", own + ".warc"}, others...)
		slices.Sort(want)
	}
	if got, err := os.ReadFile(filepath.Join(dir, own+".warc")); len(whole) > 0 && (err != nil || !bytes.Equal(got, whole)) {
		t.Errorf("%d of %d bytes are left, want %d, %v", len(got), len(open), len(whole), err)
	}
	if got := archives(t, dir); !slices.Equal(got, want) {
		t.Errorf("%d bytes became %v, want %v", len(open), got, want)
	}
}

// TestPrefixOfPrefix has two Files in one directory, of which one's prefix begins with the other's.
func TestPrefixOfPrefix(t *testing.T) {
	dir := t.TempDir()
	open := func(prefix string) *Files {
		files, err := OpenFiles(dir, FilesOptions{Prefix: prefix, Host: "here"})
		if err != nil {
			t.Fatal(err)
		}
		return files
	}
	write := func(files *Files, i int) {
		x := &Exchange{URL: fmt.Sprint("http://a/", i), Date: now(), Head: []byte("HTTP/1.1 200 OK\r\n\r\n"), Body: []byte("same")}
		if err := errors.Join(files.Write(x), files.Sync()); err != nil {
			t.Error(err)
		}
	}
	long := open("crawl-news")
	write(long, 1)
	short := open("crawl")
	write(short, 2)
	write(long, 3)
	if err := errors.Join(short.Close(), long.Close()); err != nil {
		t.Error(err)
	}
	if err := Check(t.Context(), dir); err != nil {
		t.Error(err)
	}
	names := archives(t, dir)
	if len(names) != 4 {
		t.Errorf("files %v", names)
	}
	if short = open("crawl"); short.seen.cache.Len() != 1 {
		t.Errorf("%d payloads are known", short.seen.cache.Len())
	}
	if err := short.Close(); err != nil {
		t.Error(err)
	}
}

func TestReaderRejects(t *testing.T) {
	const good = "WARC/1.1\r\nContent-Length: 2\r\n\r\nab\r\n\r\n"
	if recs := readAll(t, strings.NewReader(good+good)); len(recs) != 2 || recs[1].block != "ab" {
		t.Errorf("read %v", recs)
	}
	for name, archive := range map[string]string{
		"text":        "hello world",
		"version":     strings.Replace(good, "1.1", "9.9", 1),
		"no length":   "WARC/1.1\r\nA: b\r\n\r\n",
		"bad length":  strings.Replace(good, "2", "x", 1),
		"negative":    strings.Replace(good, "2", "-2", 1),
		"too long":    strings.Replace(good, "2", "20", 1),
		"too short":   strings.Replace(good, "2", "1", 1),
		"no colon":    "WARC/1.1\r\nA\r\n\r\n",
		"endless":     "WARC/1.1\r\nA: " + strings.Repeat("b", 300_000),
		"many fields": "WARC/1.1\r\n" + strings.Repeat("A: b\r\n", 100_000),
		"gzip magic":  "\x1f\x8b",
		"gzip header": "\x1f\x8bxxxxxxxxxxxxxxxx",
		"cut":         good[:len(good)-1],
	} {
		r := NewReader(strings.NewReader(archive))
		var err error
		for err == nil {
			_, err = r.Next()
		}
		var format *FormatError
		if !errors.As(err, &format) || !errors.Is(err, ErrFormat) {
			t.Errorf("%s: error %v", name, err)
		}
		if _, again := r.Next(); again == nil {
			t.Errorf("%s: went on after %v", name, err)
		}
	}
	errBroken := errors.New("broken disk")
	r := NewReader(io.MultiReader(strings.NewReader(good[:20]), iotest.ErrReader(errBroken)))
	if _, err := r.Next(); !errors.Is(err, errBroken) || errors.Is(err, ErrFormat) {
		t.Errorf("an error of the input: %v", err)
	}
}

func FuzzReader(f *testing.F) {
	f.Add([]byte("WARC/1.1\r\nContent-Length: 2\r\n\r\nab\r\n\r\n"))
	var out bytes.Buffer
	w, err := NewWriter(&out, Options{Now: now})
	if err != nil {
		f.Fatal(err)
	}
	if err := w.WriteInfo("x"); err != nil {
		f.Fatal(err)
	}
	f.Add(out.Bytes())
	f.Fuzz(func(t *testing.T, archive []byte) {
		r := NewReader(bytes.NewReader(archive))
		for last := int64(-1); ; {
			rec, err := r.Next()
			if err != nil {
				if !errors.Is(err, io.EOF) && !errors.Is(err, ErrFormat) {
					t.Errorf("error %v", err)
				}
				return
			}
			if rec.Offset <= last {
				t.Fatalf("record at %d after one at %d", rec.Offset, last)
			}
			last = rec.Offset
		}
	})
}

// FuzzResponse archives a response with any head and reads it back.
func FuzzResponse(f *testing.F) {
	f.Add("http://h/\r\n", []byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"), []byte("body"))
	f.Add("", []byte("\n\n \n:"), []byte(nil))
	f.Fuzz(func(t *testing.T, url string, head, body []byte) {
		var out bytes.Buffer
		w, err := NewWriter(&out, Options{Uncompressed: true})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.WriteResponse(&storage.Record{URL: url, Status: 200, Head: head}, body); err != nil {
			t.Fatal(err)
		}
		recs := readAll(t, &out)
		if len(recs) != 2 || !strings.HasSuffix(recs[0].block, "\r\n\r\n"+string(body)) {
			t.Errorf("read back as %q", recs)
		}
	})
}

func BenchmarkWriteResponse(b *testing.B) {
	w, err := NewWriter(io.Discard, Options{})
	if err != nil {
		b.Fatal(err)
	}
	body := bytes.Repeat([]byte("0123456789abcdef"), 13<<10/16)
	r := page(1)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := w.WriteResponse(r, body); err != nil {
			b.Fatal(err)
		}
	}
}
