package warc

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestSURT(t *testing.T) {
	for url, want := range map[string]string{
		"http://www.Example.org/":                                         "org,example)/",
		"https://example.org":                                             "org,example)/",
		"https://www2.example.org:443/A/B/":                               "org,example)/a/b",
		"http://example.org:8080/x":                                       "org,example:8080)/x",
		"http://user:pw@example.org/?":                                    "org,example)/",
		"http://example.org/?b=2&a=1&b=1":                                 "org,example)/?a=1&b=1&b=2",
		"http://example.org//a/./b/../c#f":                                "org,example)/a/c",
		"http://example.org/%7Euser/%41%20b":                              "org,example)/~user/a%20b",
		"http://example.org/caf%C3%A9":                                    "org,example)/caf%c3%a9",
		"http://example.org/%2525":                                        "org,example)/%25",
		"http://127.0.0.1/":                                               "1,0,0,127)/",
		"http://[::1]:8080/x":                                             "[::1]:8080)/x",
		"http://wwwexample.org/":                                          "org,wwwexample)/",
		"http://h/p?x=1&PHPSESSID=0123456789abcdef0123456789abcdef&y=2":   "h)/p?x=1&y=2",
		"http://h/p?sid=9682993c8daa2c5497996114facdc805":                 "h)/p",
		"http://h/a/(S(4hqa0555fwsecu455xqckv45))/mileg.aspx":             "h)/a/mileg.aspx",
		"http://h/q?r?s":                                                  "h)/q?r?s",
		"ftp://h/x y":                                                     "ftp://h/x%20y",
		"mailto:a@b":                                                      "mailto:a@b",
		"http://xn--bcher-kva.ch/":                                        "ch,xn--bcher-kva)/",
		"http://h/a?url=http://x//y":                                      "h)/a?url=http://x//y",
		"http://h/" + strings.Repeat("a/", 3):                             "h)/a/a/a",
		"http://h/x?cfid=1&cftoken=2&z=3":                                 "h)/x?z=3",
		"http://h/x?a=1&jsessionid=0123456789abcdef0123456789abcdef":      "h)/x?&a=1",
		"http://h/x?aspsessionidabcdefgh=abcdefghijklmnopqrstuvwx&last=1": "h)/x?last=1",
	} {
		if got := SURT(url); got != want {
			t.Errorf("%s: %s, want %s", url, got, want)
		}
	}
}

func FuzzSURT(f *testing.F) {
	f.Add("http://www1.example.org:80/a/../%2525?b&a#c")
	f.Add("http://[::1]:8/%ff")
	f.Add("https://@:/?")
	f.Fuzz(func(t *testing.T, url string) {
		key := SURT(url)
		if strings.ContainsFunc(key, func(c rune) bool { return c <= ' ' || c == 0x7f }) {
			t.Errorf("%q is no key", key)
		}
	})
}

func FuzzEntry(f *testing.F) {
	e := Entry{Key: "org,example)/", Date: now(), URL: "http://example.org/", MIME: "text/html", Status: 200, Digest: "sha1:X", Length: 5, Offset: 7, Filename: "x", Chunked: true}
	f.Add(e.Append(nil))
	f.Add([]byte(`com,example)/ 20240101000000 {"url": "http://example.com/", "status": "-", "length": "1", "offset": "2", "filename": "a"}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		e, err := ParseEntry(line)
		if err != nil || e.Date.Year() < 1 || e.Date.Year() > 9999 {
			return
		}
		again, err := ParseEntry(e.Append(nil))
		if err != nil {
			t.Fatal(err)
		}
		if !utf8.ValidString(e.Key) {
			again.Key = e.Key
		}
		if diff := cmp.Diff(e, again); diff != "" {
			t.Error(diff)
		}
	})
}

// scan walks an archive without looking into its records.
func scan(r io.Reader, filename string, each func(*Entry) error) (size int64, err error) {
	size, _, err = walk(r, filename, nil, each)
	return size, err
}

// FuzzScan reads any file as an archive that is to be mended: what is left of it
// is an archive, all of whose records are whole.
func FuzzScan(f *testing.F) {
	var out bytes.Buffer
	w, err := NewWriter(&out, Options{Now: now})
	if err != nil {
		f.Fatal(err)
	}
	if err := w.WriteExchange(exchange(1, "hello")); err != nil {
		f.Fatal(err)
	}
	f.Add(out.Bytes())
	f.Add(out.Bytes()[:out.Len()-3])
	f.Add([]byte("WARC/1.1\r\nWARC-Type: response\r\nWARC-Date: 2024-01-01T00:00:00Z\r\nWARC-Target-URI: http://h/\r\nContent-Length: 2\r\n\r\nab\r\n\r\n"))
	f.Fuzz(func(t *testing.T, archive []byte) {
		end := int64(0)
		size, err := scan(bytes.NewReader(archive), "x", func(e *Entry) error {
			if e.Offset < end || e.Length <= 0 || e.Offset+e.Length > int64(len(archive)) {
				t.Errorf("record at %d of %d bytes after %d", e.Offset, e.Length, end)
			}
			end = e.Offset + e.Length
			return nil
		})
		if err != nil || size < end || size > int64(len(archive)) {
			t.Fatal(size, err)
		}
		if again, err := scan(bytes.NewReader(archive[:size]), "x", func(*Entry) error { return nil }); err != nil || again != size {
			t.Errorf("%d bytes of the %d that are whole are whole, %v", again, size, err)
		}
		// One that is not compressed ends earlier, perhaps.
		torn := func(size int64) int64 {
			t.Helper()
			size, _, err := walk(bytes.NewReader(archive[:size]), "x", newTearFinder("x.warc.open"), func(*Entry) error { return nil })
			if err != nil {
				t.Fatal(err)
			}
			return size
		}
		if sound := torn(int64(len(archive))); sound > size || torn(sound) != sound {
			t.Errorf("%d bytes are sound of %d, and %d of those", sound, size, torn(sound))
		}
	})
}

// TestSorter sorts more than it may hold, against sorting in memory.
func TestSorter(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, n := range []int{0, 1, 10, 5000, 50_000} {
		dir := t.TempDir()
		s := newSorter(dir, "")
		s.limit = 10_000
		var want []string
		for range n {
			line := fmt.Sprintf("%d %s\n", r.IntN(1000), strings.Repeat("x", r.IntN(50)))
			want = append(want, line)
			if err := s.add([]byte(line)); err != nil {
				t.Fatal(err)
			}
		}
		if len(s.runs) > mergedRuns {
			t.Errorf("%d files at once", len(s.runs))
		}
		slices.Sort(want)
		var got bytes.Buffer
		if err := s.writeTo(&got); err != nil {
			t.Fatal(err)
		}
		if got.String() != strings.Join(want, "") {
			t.Errorf("%d lines are not sorted", n)
		}
		if err := s.close(); err != nil {
			t.Error(err)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("%d files are left, %v", len(left), err)
		}
	}
}

func TestParseEntryRejects(t *testing.T) {
	for _, line := range []string{
		"", "a", "a b", "a 20240101000000", "a 2024 {}", `a 20240101000000 {"offset":"1"}`, `a 20240101000000 {"offset":"-1","length":"1"}`,
		`a 20240101000000 {"offset":"1","length":"1","status":"x"}`, `a 20240101000000 [`, ` 20240101000000 {}`,
	} {
		if e, err := ParseEntry([]byte(line)); err == nil {
			t.Errorf("%q became %v", line, e)
		}
	}
	e, err := ParseEntry([]byte(`a 20240101000000 {"offset":"1","length":"1","date":"2025-01-01T00:00:00Z"}`))
	if want := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC); err != nil || !e.Date.Equal(want) {
		t.Error("a date that contradicts the timestamp counts", e, err)
	}
}
