package boltstore

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/orbweaver/orbweaver/storage"
)

func wantError(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("error %v, want %v", err, want)
	}
}

func sampleRecord() *storage.Record {
	return &storage.Record{
		URL: "https://example.org/a", FinalURL: "https://example.org/b", Host: "example.org",
		Referrer: "https://example.org/", Label: "list", Data: []byte("data"), Depth: 1, Attempts: 2, Redirects: 3,
		Status: 200, Proto: "HTTP/1.1", Head: []byte("HTTP/1.1 200 OK\r\n\r\n"),
		ContentType: "text/html", Charset: "utf-8", Encoding: "gzip",
		FetchedAt: time.Unix(1700000000, 123456789), Duration: time.Second, Bytes: 30000, WireBytes: 13000,
		Title: "Title", Links: 50, Truncated: true, Error: "cut", ErrorClass: "body", Robots: "noindex",
		Body: []byte("body"), Items: []json.RawMessage{[]byte("{}")},
	}
}

func TestAuthority(t *testing.T) {
	for url, want := range map[string]string{
		"https://example.org/a?b":   "example.org",
		"http://127.0.0.1:8080":     "127.0.0.1:8080",
		"http://[::1]:80?x=://y":    "[::1]:80",
		"https://example.org#f":     "example.org",
		"":                          "",
		"mailto:a@example.org":      "",
		"://":                       "",
		"https://user@example.org/": "user@example.org",
	} {
		if got := storage.URLHost(url); got != want {
			t.Errorf("storage.URLHost(%q) = %q, want %q", url, got, want)
		}
	}
}

func TestDecodeRecordRejects(t *testing.T) {
	good := appendRecord(nil, sampleRecord())
	if _, err := decodeRecord(good); err != nil {
		t.Fatal(err)
	}
	payload := good[:len(good)-crcSize]
	for n := range payload {
		if _, err := decodePayload(payload[:n]); err == nil {
			t.Errorf("accepted when cut to %d of %d bytes", n, len(payload))
		}
	}
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 0x10
		if _, err := decodeRecord(bad); err == nil {
			t.Errorf("accepted with byte %d changed", i)
		}
	}
	if _, err := decodePayload(append(bytes.Clone(payload), 0)); err == nil {
		t.Error("accepted with a trailing byte")
	}
	for version, want := range map[byte]bool{0: false, recordVersion + 1: true} {
		bad := bytes.Clone(payload)
		bad[0] = version
		if _, err := decodePayload(bad); err == nil || errors.Is(err, storage.ErrFormat) != want {
			t.Errorf("version %d: error %v", version, err)
		}
	}
}

// TestDecodeRecordShares makes sure that a record does not keep alive, or see
// changes of, the page that it was read from.
func TestDecodeRecordShares(t *testing.T) {
	b := appendRecord(nil, sampleRecord())
	r, err := decodeRecord(b)
	if err != nil {
		t.Fatal(err)
	}
	clear(b)
	want := sampleRecord()
	want.Body, want.Items = nil, nil
	if diff := cmp.Diff(*want, r.Record); diff != "" {
		t.Error(diff)
	}
}

func FuzzDecodeRecord(f *testing.F) {
	for _, r := range []*storage.Record{sampleRecord(), {URL: "u"}, {URL: "http://h/", Host: "h", FinalURL: "http://h/", Body: []byte{}}} {
		b := appendRecord(nil, r)
		f.Add(b[:len(b)-crcSize])
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		r, err := decodePayload(payload)
		if err != nil {
			return
		}
		// What can be decoded can be written again, and then says the same.
		r.Body = make([]byte, min(r.bodySize, 1<<10))
		if !r.hasBody {
			r.Body = nil
		}
		r.Items = make([]json.RawMessage, min(r.items, 1<<10))
		again, err := decodeRecord(appendRecord(nil, &r.Record))
		if err != nil {
			t.Fatalf("written again: %v", err)
		}
		r.Body, r.Items = nil, nil
		if diff := cmp.Diff(r.Record, again.Record); diff != "" {
			t.Error(diff)
		}
		if again.hasBody != r.hasBody || again.items != min(r.items, 1<<10) {
			t.Errorf("body %v, items %d; before %v, %d", again.hasBody, again.items, r.hasBody, r.items)
		}
	})
}

func FuzzDecodeCounters(f *testing.F) {
	c := counters{indexed: 1}
	for i, n := range c.fields() {
		*n = int64(i * 1000)
	}
	c.Records = 7
	b := c.append(nil)
	f.Add(b[:len(b)-crcSize])
	f.Fuzz(func(t *testing.T, payload []byte) {
		c, err := decodeCounters(binary.BigEndian.AppendUint32(bytes.Clone(payload), checksum(payload)))
		if err != nil {
			return
		}
		if again, err := decodeCounters(c.append(nil)); err != nil || *again != *c {
			t.Errorf("%+v, %v; before %+v", again, err, c)
		}
	})
}

func TestCountersRoundTrip(t *testing.T) {
	c := counters{indexed: 5}
	for i, n := range c.fields() {
		*n = int64(i + 6)
	}
	got, err := decodeCounters(c.append(nil))
	if err != nil || *got != c {
		t.Errorf("%+v, %v; want %+v", got, err, c)
	}
	c.indexed = uint64(c.Records) + 1
	if _, err := decodeCounters(c.append(nil)); err == nil {
		t.Error("accepted more indexed records than there are")
	}
}
