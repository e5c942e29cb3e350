package export

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/orbweaver/orbweaver/storage"
)

// standardJSON is what encoding/json makes of v without escaping for HTML.
func standardJSON(t testing.TB, v any) string {
	t.Helper()
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestJSONStringOfEveryCharacter(t *testing.T) {
	for r := rune(0); r <= utf8.MaxRune; r++ {
		if r > 0x3000 {
			r += 96 // of the many that are alike, some
		}
		s := "a" + string(r) + "z"
		if got, want := string(appendJSONString(nil, s))+"\n", standardJSON(t, s); got != want {
			t.Fatalf("%U: %s, want %s", r, got, want)
		}
	}
	for i := range 1 << 16 {
		s := string([]byte{byte(i >> 8), byte(i)})
		if got, want := string(appendJSONString(nil, s))+"\n", standardJSON(t, s); got != want {
			t.Fatalf("%q: %s, want %s", s, got, want)
		}
	}
}

// standardRecord has the fields of a line in their order, for encoding/json.
type standardRecord struct {
	URL         string    `json:"url"`
	Status      int       `json:"status"`
	FinalURL    string    `json:"final_url"`
	ContentType string    `json:"content_type"`
	Depth       int       `json:"depth"`
	Referrer    string    `json:"referrer"`
	FetchedAt   time.Time `json:"fetched_at"`
	DurationMS  int64     `json:"duration_ms"`
	Bytes       int64     `json:"bytes"`
	Title       string    `json:"title"`
	Links       int       `json:"links"`
	Truncated   bool      `json:"truncated"`
	Error       string    `json:"error"`
	ErrorClass  string    `json:"error_class"`
	Host        string    `json:"host"`
	Label       string    `json:"label"`
	Attempts    int       `json:"attempts"`
	Redirects   int       `json:"redirects"`
	Proto       string    `json:"proto"`
	Charset     string    `json:"charset"`
	Encoding    string    `json:"encoding"`
	WireBytes   int64     `json:"wire_bytes"`
	Seq         uint64    `json:"seq"`
	Kind        string    `json:"kind"`
	Rel         string    `json:"rel"`
	Robots      string    `json:"robots"`
	Change      string    `json:"change"`
	Head        string    `json:"head"`
}

func FuzzJSON(f *testing.F) {
	f.Add("https://example.org/?a=1&b=<2>", "Title \xff\u2028\x00\"", []byte("HTTP/1.1 200 OK\r\n"), int64(1700000000123456789), int64(-5), true)
	f.Add("", "", []byte(nil), int64(0), int64(0), false)
	f.Add("\xed\xa0\x80\xf4\x90\x80\x80", "\\u0000\b\f", []byte{0xc3}, int64(-1), int64(1)<<62, true)
	f.Fuzz(func(t *testing.T, a, b string, head []byte, when, n int64, flag bool) {
		r := &storage.Record{
			Seq: uint64(n) >> 1, URL: a, FinalURL: b, Host: a, Referrer: b, Label: a, Depth: int(n), Attempts: int(n), Redirects: int(n),
			Status: int(n), Proto: a, Head: head, ContentType: b, Charset: a, Encoding: b, FetchedAt: time.Unix(0, when).UTC(),
			Duration: time.Duration(n), Bytes: n, WireBytes: -n, Title: b, Links: int(n), Truncated: flag, Error: a + b, ErrorClass: b + a,
			Kind: b, Rel: a, Robots: a + b,
		}
		want := standardJSON(t, standardRecord{
			URL: r.URL, Status: r.Status, FinalURL: r.FinalURL, ContentType: r.ContentType, Depth: r.Depth, Referrer: r.Referrer,
			FetchedAt: r.FetchedAt, DurationMS: r.Duration.Milliseconds(), Bytes: r.Bytes, Title: r.Title, Links: r.Links,
			Truncated: r.Truncated, Error: r.Error, ErrorClass: r.ErrorClass, Host: r.Host, Label: r.Label, Attempts: r.Attempts,
			Redirects: r.Redirects, Proto: r.Proto, Charset: r.Charset, Encoding: r.Encoding, WireBytes: r.WireBytes, Seq: r.Seq,
			Kind: r.Kind, Rel: r.Rel, Robots: r.Robots, Head: string(r.Head),
		})
		if got := string(newJSONWriter(fields()).appendRecord(nil, r)); got != want {
			t.Errorf("got  %swant %s", got, want)
		}
	})
}

func FuzzCSV(f *testing.F) {
	f.Add("=1", "a,\"b\"")
	f.Add("\r\n", " ")
	f.Add("", "\xff")
	f.Fuzz(func(t *testing.T, title, label string) {
		w := csvWriter{verbatim: true}
		for _, field := range fields() {
			if field.name == "title" || field.name == "label" {
				w.fields = append(w.fields, field)
			}
		}
		line := w.appendRecord(nil, &storage.Record{Title: title, Label: label})
		row, err := csv.NewReader(bytes.NewReader(line)).Read()
		if err != nil || len(row) != 2 {
			t.Fatalf("%q: %q, %v", line, row, err)
		}
		for i, s := range []string{title, label} {
			s = strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\r\n", "\n") // as csv.Reader does
			if row[i] != s {
				t.Errorf("%q came back as %q", s, row[i])
			}
		}
		w.verbatim = false
		if row, err = csv.NewReader(bytes.NewReader(w.appendRecord(nil, &storage.Record{Title: title, Label: label}))).Read(); err != nil {
			t.Fatal(err)
		}
		for _, cell := range row {
			if cell != "" && strings.ContainsAny(cell[:1], "=+-@\t\r") {
				t.Errorf("cell %q would be a formula", cell)
			}
		}
	})
}
