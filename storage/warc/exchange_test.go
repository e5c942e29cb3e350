package warc

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http/httputil"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/orbweaver/orbweaver/internal/warccheck"
)

// checked writes exchanges to one archive and reads it by other means.
func checked(t *testing.T, opts Options, list ...*Exchange) []warccheck.Record {
	t.Helper()
	var out bytes.Buffer
	w, err := NewWriter(&out, opts)
	if err != nil {
		t.Fatal(err)
	}
	w.seen = newDedup(100)
	if err := w.WriteInfo("x.warc.gz"); err != nil {
		t.Fatal(err)
	}
	for i, x := range list {
		x.serial = uint64(i)
		if err := w.WriteExchange(x); err != nil {
			t.Fatal(err)
		}
	}
	recs, err := warccheck.Read(out.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return recs[1:]
}

func response(head, body string) *Exchange {
	return &Exchange{URL: "http://h/", Date: now(), Head: []byte("HTTP/1.1 " + head + "\r\n\r\n"), Body: []byte(body)}
}

func TestExchangeRecords(t *testing.T) {
	x := exchange(1, "hello")
	x.IP, x.Protocols, x.Cipher = netip.MustParseAddr("::ffff:192.0.2.1"), []string{"http/1.1", "tls/1.3"}, "TLS_AES_128_GCM_SHA256"
	recs := checked(t, Options{}, x)
	if len(recs) != 3 || recs[0].Type != "response" || recs[1].Type != "request" || recs[2].Type != "metadata" {
		t.Fatalf("%d records", len(recs))
	}
	for i, rec := range recs {
		concurrent, ip := "", "192.0.2.1"
		if i > 0 {
			concurrent = recs[0].ID
		}
		if i == 2 {
			ip = ""
		}
		if rec.Header.Get("WARC-Concurrent-To") != concurrent || rec.Header.Get("WARC-IP-Address") != ip || rec.URI != x.URL {
			t.Errorf("%s: %v", rec.Type, rec.Header)
		}
	}
	if diff := cmp.Diff(x.Protocols, recs[1].Header["Warc-Protocol"]); diff != "" || recs[0].Header.Get("WARC-Cipher-Suite") != x.Cipher {
		t.Error(diff, recs[0].Header)
	}
	if string(recs[1].Block) != string(x.Request) || string(recs[0].Block) != string(x.Head)+"hello" {
		t.Errorf("%q, %q", recs[0].Block, recs[1].Block)
	}

	x = &Exchange{URL: "http://h/", Date: now(), Request: x.Request, Metadata: FetchMetadata("", 0, 0, 0, "connection reset")}
	recs = checked(t, Options{}, x)
	if len(recs) != 2 || recs[1].Header.Get("WARC-Concurrent-To") != recs[0].ID || !strings.Contains(string(recs[1].Block), "error: connection reset") {
		t.Errorf("without a response: %v", recs)
	}
}

// TestPayloads: what the payload is, whether it is whole, and whether it is
// compressed again.
func TestPayloads(t *testing.T) {
	big := strings.Repeat("0123456789", 20_000)
	for name, v := range map[string]struct {
		x                  *Exchange
		payload, truncated string
	}{
		"plain":              {response("200 OK", "hi"), "hi", ""},
		"empty":              {response("204 No Content", ""), "", ""},
		"chunked":            {response("200 OK\r\nTransfer-Encoding: chunked", "2;a=b\r\nhi\r\n3\r\n ho\r\n0\r\nA: b\r\n\r\n"), "hi ho", ""},
		"chunked, cut":       {response("200 OK\r\ntransfer-encoding:Chunked", "2\r\nhi\r\n9\r\n ho"), "hi ho", "unspecified"},
		"chunked, cut later": {response("200 OK\r\nTransfer-Encoding: chunked", "2\r\nhi\r\n0\r\n"), "hi", "unspecified"},
		"packed and large":   {response("200 OK\r\nContent-Encoding: gzip", big), big, ""},
		"image":              {response("200 OK\r\nContent-Type: image/png", big), big, ""},
		"large":              {response("200 OK\r\nContent-Type: text/html", big), big, ""},
		"cut":                {&Exchange{URL: "http://h/", Date: now(), Head: []byte("HTTP/1.1 200 OK\r\n\r\n"), Body: []byte("h"), Truncated: TruncatedTime}, "h", "time"},
	} {
		t.Run(name, func(t *testing.T) {
			rec := checked(t, Options{}, v.x)[0]
			if string(rec.Payload) != v.payload || rec.Header.Get("WARC-Truncated") != v.truncated || rec.Header.Get("WARC-Payload-Digest") == "" {
				t.Errorf("payload of %d bytes, want %d; %v", len(rec.Payload), len(v.payload), rec.Header)
			}
			small := len(v.payload) < 1000 || name == "large"
			if small != (rec.Length < 2000) {
				t.Errorf("the record has %d bytes", rec.Length)
			}
		})
	}
	for _, coding := range []string{"gzip, chunked", "gzip"} {
		rec := checked(t, Options{}, response("200 OK\r\nTransfer-Encoding: "+coding, "2\r\nhi\r\n0\r\n\r\n"))[0]
		if got := rec.Header.Get("WARC-Payload-Digest"); got != "" {
			t.Errorf("%s: payload digest %s of a transfer coding that is not undone", coding, got)
		}
	}
}

func TestRevisits(t *testing.T) {
	first, second := exchange(1, "same"), exchange(2, "same")
	other := exchange(3, "other")
	cut := exchange(4, "same")
	cut.Truncated = TruncatedLength
	empty, empty2 := exchange(5, ""), exchange(6, "")
	framed := response("200 OK\r\nTransfer-Encoding: chunked", "4\r\nsame\r\n0\r\n\r\n")
	framed2 := response("200 OK\r\nTransfer-Encoding: chunked", "2\r\nsa\r\n2\r\nme\r\n0\r\n\r\n")
	unchanged := exchange(7, "")
	unchanged.Head, unchanged.NotModified = []byte("HTTP/1.1 304 Not Modified\r\n\r\n"), &Original{first.URL, first.Date}
	var got []string
	for _, rec := range checked(t, Options{}, first, second, other, cut, empty, empty2, framed, framed2, unchanged) {
		switch {
		case rec.Type == "revisit":
			got = append(got, rec.Header.Get("WARC-Profile")+" "+rec.Header.Get("WARC-Refers-To-Target-URI")+" "+rec.Header.Get("WARC-Refers-To-Date"))
			if !bytes.HasSuffix(rec.Block, []byte("\r\n\r\n")) || rec.Header.Get("WARC-Truncated") != "" {
				t.Errorf("revisit %q", rec.Block)
			}
		case rec.Type == "response":
			got = append(got, string(rec.Payload))
		}
	}
	want := []string{
		"same", ProfileIdenticalPayload + " https://example.org/1 " + formatDate(first.Date), "other", "same", "", "",
		"same", ProfileIdenticalPayload + " http://h/ " + formatDate(now()),
		ProfileNotModified + " https://example.org/1 " + formatDate(first.Date),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestRecall: payloads are known again by the next Files, also those of an archive
// that was left open.
func TestRecall(t *testing.T) {
	dir := t.TempDir()
	write := func(i int, body string, complete bool) {
		t.Helper()
		f, err := OpenFiles(dir, FilesOptions{})
		if err != nil {
			t.Fatal(err)
		}
		x := exchange(i, body)
		x.Date = x.Date.Add(123456789)
		if err := f.Write(x); err != nil {
			t.Fatal(err)
		}
		if complete {
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	write(1, "one", true)
	write(2, "two", false)
	write(3, "one", true)
	write(4, "two", true)
	var got []string
	names, err := filepath.Glob(filepath.Join(dir, "*.warc.gz"))
	if err != nil || len(names) != 4 {
		t.Fatal(names, err)
	}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		recs, err := warccheck.Read(data)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, recs[1].Type+" "+recs[1].Header.Get("WARC-Refers-To-Target-URI")+" "+recs[1].Header.Get("WARC-Refers-To-Date"))
	}
	at := func(i int) string { return formatDate(now().Add(time.Duration(i)*time.Second + 123456789)) }
	want := []string{"response  ", "response  ", "revisit https://example.org/1 " + at(1), "revisit https://example.org/2 " + at(2)}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}

	f, err := OpenFiles(dir, FilesOptions{Dedup: 1})
	if err != nil {
		t.Fatal(err)
	}
	if n := f.seen.cache.Len(); n != 1 {
		t.Errorf("%d payloads are remembered, want 1", n)
	}
	if f, err = OpenFiles(dir, FilesOptions{Dedup: -1}); err != nil || f.seen != nil {
		t.Error("payloads are remembered", err)
	}
}

func TestFetchMetadata(t *testing.T) {
	for _, v := range []struct {
		links, redirects int
		want             string
	}{{0, 0, ""}, {2, 1, "LLR"}, {60, 2, "12+" + strings.Repeat("L", 48) + "RR"}, {1, 70, "1+" + strings.Repeat("R", 50)}} {
		got := ""
		for _, f := range FetchMetadata("http://h/ ", v.links, v.redirects, 1500*time.Microsecond, "") {
			switch f.Name {
			case "hopsFromSeed":
				got = f.Value
			case "via":
				if f.Value != "http://h/%20" {
					t.Error(f.Value)
				}
			case "fetchTimeMs":
				if f.Value != "1" {
					t.Error(f.Value)
				}
			}
		}
		if got != v.want {
			t.Errorf("%d links, %d redirects: %q, want %q", v.links, v.redirects, got, v.want)
		}
	}
}

// TestWriteAtOnce writes by many goroutines.
func TestWriteAtOnce(t *testing.T) {
	dir := t.TempDir()
	f, err := OpenFiles(dir, FilesOptions{MaxSize: 20_000})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	const writers, each = 8, 30
	for w := range writers {
		go func() {
			for i := range each {
				if err := f.Write(exchange(w*each+i, fmt.Sprint(w, i%10))); err != nil {
					done <- err
					return
				}
			}
			done <- f.Sync()
		}()
	}
	for range writers {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	kinds := map[string]int{}
	for _, name := range archives(t, dir) {
		if strings.HasSuffix(name, indexSuffix) {
			continue
		}
		checkIndex(t, dir, name)
		for _, kind := range types(readFile(t, dir, name)) {
			kinds[kind]++
		}
	}
	if kinds["response"]+kinds["revisit"] != writers*each || kinds["revisit"] == 0 || kinds["request"] != writers*each {
		t.Errorf("%v", kinds)
	}
	var index bytes.Buffer
	if n, err := Index(t.Context(), &index, dir); err != nil || n != writers*each || int(n) != strings.Count(index.String(), "\n") {
		t.Errorf("%d lines, %v", n, err)
	}
}

// FuzzChunks compares with the standard library's reader of chunks, and one piece
// with pieces.
// TestNoBodyInChunks: after 204 and 304 there is no body that could lack its end, whatever the head says.
func TestNoBodyInChunks(t *testing.T) {
	for status, want := range map[string]string{"204 No Content": "", "304 Not Modified": "", "200 OK": TruncatedUnspecified} {
		var out bytes.Buffer
		w, err := NewWriter(&out, Options{})
		if err != nil {
			t.Fatal(err)
		}
		x := &Exchange{URL: "http://a/", Date: now(), Head: []byte("HTTP/1.1 " + status + "\r\nTransfer-Encoding: chunked\r\n\r\n")}
		if err := w.WriteExchange(x); err != nil {
			t.Fatal(err)
		}
		if got := (&Record{Fields: readAll(t, &out)[0].fields}).Get("WARC-Truncated"); got != want {
			t.Errorf("%s: WARC-Truncated %q, want %q", status, got, want)
		}
	}
}

func FuzzChunks(f *testing.F) {
	f.Add([]byte("2;a=b\r\nhi\r\n0\r\nA: b\r\n\r\n"), 1)
	f.Add([]byte("fffffffffffffff0\r\n"), 2)
	f.Add([]byte("2\nhi\n0\n\n"), 3)
	f.Fuzz(func(t *testing.T, body []byte, piece int) {
		var got, pieces bytes.Buffer
		whole, cut := dechunker{w: &got}, dechunker{w: &pieces}
		_, _ = whole.Write(body)
		for rest := body; len(rest) > 0; {
			n := min(max(piece, 1), len(rest))
			_, _ = cut.Write(rest[:n])
			rest = rest[n:]
		}
		if !bytes.Equal(got.Bytes(), pieces.Bytes()) || whole.whole() != cut.whole() {
			t.Errorf("%q, in pieces %q", got.Bytes(), pieces.Bytes())
		}
		want, err := io.ReadAll(httputil.NewChunkedReader(bufio.NewReader(bytes.NewReader(body))))
		if err == nil && !bytes.Equal(got.Bytes(), want) && !bytes.Contains(body, []byte("\x00")) {
			t.Errorf("%q, want %q", got.Bytes(), want)
		}
		if whole.whole() && err == nil && got.Len() != len(want) {
			t.Errorf("whole with %d bytes, want %d", got.Len(), len(want))
		}
	})
}

// FuzzExchange archives any response, in memory, and reads and checks it.
func FuzzExchange(f *testing.F) {
	f.Add("http://h/", []byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"), []byte("2\r\nhi\r\n0\r\n\r\n"), true)
	f.Add("http://h/\r\n", []byte("HTTP/1.1 200 OK\r\nContent-Encoding: br\r\n\r\n"), bytes.Repeat([]byte("x"), 1000), false)
	f.Add("http://h/?<>", []byte(nil), []byte("x"), true)
	opts, err := Options{Now: now}.withDefaults()
	if err != nil {
		f.Fatal(err)
	}
	enc, err := newEncoder(opts)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, url string, head, body []byte, twice bool) {
		enc.reset()
		seen := newDedup(1)
		x := &Exchange{URL: url, Date: now(), Head: head, Body: body}
		n := 1
		if twice {
			n = 2
		}
		for i := range n {
			x.serial = uint64(i)
			fresh, err := enc.exchange(x, seen.find)
			if err != nil {
				t.Fatal(err)
			}
			if fresh != nil {
				seen.add(*fresh, Original{x.URL, x.Date})
			}
		}
		if head == nil {
			n = 0
		}
		recs := readAll(t, bytes.NewReader(enc.buf.Bytes()))
		if len(recs) != n {
			t.Fatalf("%d records, want %d", len(recs), n)
		}
		if n > 0 && recs[0].block != string(head)+string(body) {
			t.Errorf("block %q", recs[0].block)
		}
		var v *verifier
		if h := parseHead(head); h.location == len(head) && headEnds(head, len(head)) {
			v = newVerifier(func(err error) { t.Error(err) })
		}
		lines, want := 0, enc.entries
		size, broken, err := walk(bytes.NewReader(enc.buf.Bytes()), "", v, func(e *Entry) error {
			if v == nil || strings.ContainsAny(url, "<>") {
				return nil // no head can be read back, or the URL has what WARC/1.0 had around it
			}
			if lines < len(want) {
				if diff := cmp.Diff(string(want[lines].Append(nil)), string(e.Append(nil))); diff != "" {
					t.Error(diff)
				}
			}
			lines++
			return nil
		})
		if size != int64(enc.buf.Len()) || broken != nil || err != nil {
			t.Errorf("%d of %d bytes are whole, %v, %v", size, enc.buf.Len(), broken, err)
		}
	})
}

func BenchmarkExchange(b *testing.B) {
	page := make([]byte, 30<<10)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range page {
		page[i] = "abcdefgh <>/=\n"[r.IntN(14)]
	}
	for _, coding := range []string{"", "\r\nContent-Encoding: gzip"} {
		name, body := "plain", page
		if coding != "" {
			name, body = "gzip", page[:13<<10]
		}
		b.Run(name, func(b *testing.B) {
			f, err := OpenFiles(b.TempDir(), FilesOptions{MaxSize: 1 << 40, Dedup: -1})
			if err != nil {
				b.Fatal(err)
			}
			defer f.Close()
			x := exchange(1, string(body))
			x.Head = []byte("HTTP/1.1 200 OK\r\nContent-Type: text/html" + coding + "\r\nContent-Length: 13312\r\n\r\n")
			b.ReportAllocs()
			for b.Loop() {
				if err := f.Write(x); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(f.part.size)/float64(b.N), "bytes/op")
		})
	}
}
