package httpclient

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
)

// encode applies one coding; "raw deflate" is deflate without the zlib wrapper.
func encode(tb testing.TB, coding string, body []byte) []byte {
	tb.Helper()
	var buf bytes.Buffer
	var w io.WriteCloser
	var err error
	switch coding {
	case "gzip", "x-gzip":
		w = gzip.NewWriter(&buf)
	case "deflate":
		w = zlib.NewWriter(&buf)
	case "raw deflate":
		w, err = flate.NewWriter(&buf, 6)
	case "br":
		w = brotli.NewWriterLevel(&buf, 5)
	case "zstd":
		w, err = zstd.NewWriter(&buf)
	default:
		tb.Fatalf("no encoder for %q", coding)
	}
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := w.Write(body); err != nil {
		tb.Fatal(err)
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return buf.Bytes()
}

// page makes n bytes that compress about as well as a web page.
func page(n int) []byte {
	words := strings.Fields(`<div class="item"> <a href="/catalogue/page- </a> </div> <p> the of and crawler
		frontier lease host batch href title <span> </span> price stock &nbsp; <li> </li> content`)
	rng := rand.New(rand.NewPCG(1, 2))
	var b bytes.Buffer
	for b.Len() < n {
		if rng.IntN(4) == 0 {
			fmt.Fprintf(&b, "%x", rng.Uint32())
		}
		b.WriteString(words[rng.IntN(len(words))])
		b.WriteByte(' ')
	}
	return b.Bytes()[:n]
}

func label(coding string) string { return strings.TrimPrefix(coding, "raw ") }

// decodeAll reads a body through a decoder and returns what it gave.
func decodeAll(encoding string, r io.Reader, limit decodeLimits) (got []byte, defects []string, err error) {
	d, err := newDecoder(encoding, r, limit)
	if err != nil {
		return nil, nil, err
	}
	defer d.Close()
	got, err = io.ReadAll(d)
	return got, d.defects(), err
}

var allCodings = []string{"gzip", "x-gzip", "deflate", "raw deflate", "br", "zstd"}

func TestDecoderCodings(t *testing.T) {
	readers := map[string]func(io.Reader) io.Reader{
		"whole": func(r io.Reader) io.Reader { return r },
		"bytes": iotest.OneByteReader,
		"err":   iotest.DataErrReader,
	}
	for _, coding := range allCodings {
		for _, size := range []int{0, 1, 3, 100, 30_000, 200_000} {
			body := page(size)
			coded := encode(t, coding, body)
			for how, wrap := range readers {
				got, defects, err := decodeAll(label(coding), wrap(bytes.NewReader(coded)), decodeLimits{})
				if err != nil || !bytes.Equal(got, body) || defects != nil {
					t.Errorf("%s of %d bytes, read %s: got %d bytes, %v, %v", coding, size, how, len(got), defects, err)
				}
			}
			got, err := Decode([]byte("x"), coded, label(coding), 0)
			if err != nil || string(got) != "x"+string(body) {
				t.Errorf("Decode %s of %d bytes: %d bytes, %v", coding, size, len(got), err)
			}
		}
	}
}

func TestDecoderStacked(t *testing.T) {
	body := page(20_000)
	for _, stack := range [][]string{
		{"gzip", "br"}, {"deflate", "gzip"}, {"raw deflate", "zstd"}, {"gzip", "gzip"},
		{"br", "br", "br"}, {"zstd", "br", "gzip", "deflate", "raw deflate"},
	} {
		coded, names := body, []string{}
		for _, c := range stack {
			coded = encode(t, c, coded)
			names = append(names, strings.ToUpper(label(c)))
		}
		value := strings.Join(names, " ,\t")
		got, defects, err := decodeAll(value, bytes.NewReader(coded), decodeLimits{})
		if err != nil || !bytes.Equal(got, body) || defects != nil {
			t.Errorf("%s: got %d bytes, %v, %v", value, len(got), defects, err)
		}
	}
	_, err := newDecoder("gzip,gzip,identity,gzip,gzip,gzip,gzip", nil, decodeLimits{})
	if de := (*DecodeError)(nil); !errors.Is(err, ErrCodingStack) || !errors.As(err, &de) {
		t.Errorf("six layers: %v", err)
	}
}

func TestDecoderIdentityAndUnknown(t *testing.T) {
	body := page(10_000)
	for _, tc := range []struct {
		encoding string
		coded    []byte
		defects  int
	}{
		{"", body, 0},
		{"identity", body, 0},
		{" , identity,none", body, 0},
		{"utf-8", body, 1},
		{"compress", body, 1},
		{"gzip, aws-chunked", body, 1},
		{"aws-chunked, gzip", encode(t, "gzip", body), 1},
	} {
		got, defects, err := decodeAll(tc.encoding, bytes.NewReader(tc.coded), decodeLimits{})
		if err != nil || !bytes.Equal(got, body) || len(defects) != tc.defects {
			t.Errorf("%q: got %d bytes, %q, %v", tc.encoding, len(got), defects, err)
		}
	}
}

func TestDecoderMislabelled(t *testing.T) {
	bodies := map[string][]byte{
		"html":   []byte("<!DOCTYPE html><title>x</title><p>plain"),
		"text":   []byte("hi"),
		"one":    []byte("h"),
		"json":   []byte(`{"a":[1,2,3],"b":"some text that is longer than four bytes"}`),
		"long":   append([]byte("<html>"), page(100_000)...),
		"binary": append([]byte("\x89PNG\r\n\x1a\n"), page(9_000)...),
		"xml":    []byte("\xef\xbb\xbf<?xml version=\"1.0\"?><rss></rss>"),
	}
	for _, coding := range []string{"gzip", "deflate", "br", "zstd"} {
		for name, body := range bodies {
			got, defects, err := decodeAll(coding, bytes.NewReader(body), decodeLimits{})
			if err != nil || !bytes.Equal(got, body) || len(defects) != 1 {
				t.Errorf("%s labelled %s: got %d of %d bytes, %q, %v", name, coding, len(got), len(body), defects, err)
			}
		}
		got, defects, err := decodeAll(coding, strings.NewReader(""), decodeLimits{})
		if err != nil || len(got) != 0 || defects != nil {
			t.Errorf("empty body labelled %s: %q, %q, %v", coding, got, defects, err)
		}
	}

	// Said twice, done once.
	got, defects, err := decodeAll("gzip, gzip", bytes.NewReader(encode(t, "gzip", bodies["long"])), decodeLimits{})
	if err != nil || !bytes.Equal(got, bodies["long"]) || len(defects) != 1 {
		t.Errorf("gzip said twice: %d bytes, %q, %v", len(got), defects, err)
	}
	// deflate said, gzip done.
	got, _, err = decodeAll("deflate", bytes.NewReader(encode(t, "gzip", bodies["long"])), decodeLimits{})
	if err != nil || !bytes.Equal(got, bodies["long"]) {
		t.Errorf("gzip labelled deflate: %d bytes, %v", len(got), err)
	}
}

func TestDecoderMembersAndTrailingBytes(t *testing.T) {
	a, b := page(5_000), page(7_000)
	both := append(append([]byte{}, a...), b...)
	for _, coding := range []string{"gzip", "zstd"} {
		coded := append(encode(t, coding, a), encode(t, coding, b)...)
		got, defects, err := decodeAll(coding, bytes.NewReader(coded), decodeLimits{})
		if err != nil || !bytes.Equal(got, both) || defects != nil {
			t.Errorf("two %s members: %d bytes, %q, %v", coding, len(got), defects, err)
		}
	}
	garbage := []string{"\n", "\x00\x00\x00\x00", "<!-- served in 3 ms -->", "\x1f\x8b", "\x1f\x8b\x09garbage that is no member"}
	for _, coding := range allCodings {
		for _, g := range garbage {
			coded := append(encode(t, coding, a), g...)
			got, defects, err := decodeAll(label(coding), iotest.HalfReader(bytes.NewReader(coded)), decodeLimits{})
			if coding == "zstd" && len(g) < 4 { // told as a cut frame; nothing is lost
				defects, err = []string{"cut"}, nil
			}
			if !bytes.Equal(got, a) || len(defects) != 1 || err != nil {
				t.Errorf("%s and %q: %d of %d bytes, %q, %v", coding, g, len(got), len(a), defects, err)
			}
		}
	}
}

func TestDecoderTruncated(t *testing.T) {
	body := page(200_000)
	for _, coding := range allCodings {
		coded := encode(t, coding, body)
		got, _, err := decodeAll(label(coding), bytes.NewReader(coded[:len(coded)*3/4]), decodeLimits{})
		if !errors.Is(err, io.ErrUnexpectedEOF) || !bytes.HasPrefix(body, got) {
			t.Errorf("%s cut: %d bytes, %v", coding, len(got), err)
		}
		if len(got) < len(body)/4 {
			t.Errorf("%s cut at 3/4: only %d of %d bytes kept", coding, len(got), len(body))
		}
		if de := (*DecodeError)(nil); !errors.As(err, &de) {
			t.Errorf("%s cut: error %T", coding, err)
		}
	}
}

// The error of the connection is passed on as it is, at once and whatever the coding.
func TestDecoderReaderError(t *testing.T) {
	reset := errors.New("connection reset")
	body := page(100_000)
	for _, coding := range allCodings {
		coded := encode(t, coding, body)
		for _, n := range []int{0, 1, 5, 3_000, len(coded) / 2, len(coded)} {
			r := io.MultiReader(bytes.NewReader(coded[:n]), iotest.ErrReader(reset))
			got, _, err := decodeAll(label(coding), r, decodeLimits{})
			if err != reset {
				t.Errorf("%s, reset after %d of %d bytes: %d bytes, error %v", coding, n, len(coded), len(got), err)
			}
		}
	}
}

func TestDecoderDamaged(t *testing.T) {
	body := page(100_000)
	for _, coding := range []string{"gzip", "deflate", "zstd"} {
		coded := encode(t, coding, body)
		coded[len(coded)-6] ^= 0xff // in the checksum or the last bytes before it
		_, _, err := decodeAll(coding, bytes.NewReader(coded), decodeLimits{})
		if de := (*DecodeError)(nil); !errors.As(err, &de) || de.Coding != coding {
			t.Errorf("%s with a flipped byte: %v", coding, err)
		}
	}
	// A header and nothing else.
	_, _, err := decodeAll("gzip", strings.NewReader("\x1f\x8b\x08"), decodeLimits{})
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("gzip cut in its header: %v", err)
	}
}

func TestDecoderSizeLimit(t *testing.T) {
	body := page(50_000)
	for _, coding := range allCodings {
		coded := encode(t, coding, body)
		got, _, err := decodeAll(label(coding), bytes.NewReader(coded), decodeLimits{Size: 50_000})
		if err != nil || !bytes.Equal(got, body) {
			t.Errorf("%s at its limit: %d bytes, %v", coding, len(got), err)
		}
		got, _, err = decodeAll(label(coding), bytes.NewReader(coded), decodeLimits{Size: 49_999})
		if !errors.Is(err, ErrDecodedSize) || !bytes.Equal(got, body[:49_999]) {
			t.Errorf("%s one over its limit: %d bytes, %v", coding, len(got), err)
		}
		got, err = Decode(nil, coded, label(coding), 1_000)
		if !errors.Is(err, ErrDecodedSize) || !bytes.Equal(got, body[:1_000]) {
			t.Errorf("Decode %s, limit 1000: %d bytes, %v", coding, len(got), err)
		}
	}
	got, err := Decode(nil, body, "", 1_000)
	if !errors.Is(err, ErrDecodedSize) || len(got) != 1_000 {
		t.Errorf("Decode identity, limit 1000: %d bytes, %v", len(got), err)
	}
	got, err = Decode(nil, body, "gzip", -1)
	if err != nil || len(got) != len(body) {
		t.Errorf("Decode mislabelled without limit: %d bytes, %v", len(got), err)
	}
}

func TestDecoderBombs(t *testing.T) {
	zeros := make([]byte, 4<<20)
	for _, coding := range allCodings {
		bomb := encode(t, coding, zeros)
		got, _, err := decodeAll(label(coding), bytes.NewReader(bomb), decodeLimits{Size: -1})
		if !errors.Is(err, ErrDecodeRatio) {
			t.Errorf("%s bomb of %d bytes: %v", coding, len(bomb), err)
		}
		if most := max(ratioFloor, len(bomb)*DefaultDecodeRatio) + 128<<10; len(got) > most {
			t.Errorf("%s bomb of %d bytes: %d bytes came out, want at most %d", coding, len(bomb), len(got), most)
		}
		got, _, err = decodeAll(label(coding), bytes.NewReader(bomb), decodeLimits{Size: 5 << 20, Ratio: -1})
		if err != nil || len(got) != len(zeros) {
			t.Errorf("%s bomb without a ratio: %d bytes, %v", coding, len(got), err)
		}
		// In a second layer of each coding: the ratio is to the transferred bytes.
		for _, outer := range allCodings {
			nested := encode(t, outer, bomb)
			got, _, err = decodeAll(label(coding)+","+label(outer), bytes.NewReader(nested), decodeLimits{Size: -1})
			if !errors.Is(err, ErrDecodeRatio) || len(got) >= len(zeros) {
				t.Errorf("%s bomb in %s, %d bytes: %d bytes came out, %v", coding, outer, len(nested), len(got), err)
			}
		}
	}
}

// A connection that breaks within the header of a later member is not taken for
// its end.
func TestDecoderReaderErrorBetweenMembers(t *testing.T) {
	reset := errors.New("connection reset")
	one, two := encode(t, "gzip", page(1_000)), encode(t, "gzip", page(500))
	for n := range 12 {
		r := io.MultiReader(bytes.NewReader(one), bytes.NewReader(two[:n]), iotest.ErrReader(reset))
		if got, defects, err := decodeAll("gzip", r, decodeLimits{}); err != reset || len(got) < 1_000 || defects != nil {
			t.Errorf("reset %d bytes into the second member: %d bytes, %q, %v", n, len(got), defects, err)
		}
	}
}

// An outer layer that explodes into members which decode to nothing must be
// stopped too, though nothing ever comes out of the top.
func TestDecoderBombOfNothing(t *testing.T) {
	empty := encode(t, "gzip", nil)
	coded := encode(t, "gzip", bytes.Repeat(empty, 1<<20))
	got, _, err := decodeAll("gzip, gzip", bytes.NewReader(coded), decodeLimits{})
	if len(got) != 0 || !errors.Is(err, ErrDecodeRatio) {
		t.Errorf("%d bytes decode to %d bytes, %v; want ErrDecodeRatio", len(coded), len(got), err)
	}
}

// A zstd frame that asks for more window than RFC 9659 allows is refused before
// memory is taken for it.
func TestDecoderZstdWindow(t *testing.T) {
	var buf bytes.Buffer
	w, err := zstd.NewWriter(&buf, zstd.WithWindowSize(64<<20), zstd.WithSingleSegment(false))
	if err != nil {
		t.Fatal(err)
	}
	body := page(100_000)
	for range 2 {
		_, _ = w.Write(body)
		_ = w.Flush()
	}
	_ = w.Close()
	_, _, err = decodeAll("zstd", &buf, decodeLimits{})
	if !errors.Is(err, zstd.ErrWindowSizeExceeded) {
		t.Errorf("window of 64 MiB: %v", err)
	}
}

// Decoders go back to their pools in whatever state; the next user must not notice.
func TestDecoderReuse(t *testing.T) {
	body := page(60_000)
	rng := rand.New(rand.NewPCG(3, 4))
	sound := make(map[string][]byte)
	for _, coding := range allCodings {
		sound[coding] = encode(t, coding, body)
	}
	for range 400 {
		coding := allCodings[rng.IntN(len(allCodings))]
		coded := sound[coding]
		bad := bytes.Clone(coded)
		for range 1 + rng.IntN(3) {
			bad[rng.IntN(len(bad))] ^= byte(1 + rng.IntN(255))
		}
		d, err := newDecoder(label(coding), bytes.NewReader(bad[:rng.IntN(len(bad))]), decodeLimits{})
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.CopyN(io.Discard, d, rng.Int64N(80_000))
		d.Close()
		got, defects, err := decodeAll(label(coding), bytes.NewReader(coded), decodeLimits{})
		if err != nil || !bytes.Equal(got, body) || defects != nil {
			t.Fatalf("%s after a damaged body: %d bytes, %q, %v", coding, len(got), defects, err)
		}
	}
}

func ExampleDecode() {
	var stored bytes.Buffer
	w := gzip.NewWriter(&stored)
	fmt.Fprint(w, "<title>Kept as it was transferred</title>")
	w.Close()

	body, err := Decode(nil, stored.Bytes(), "gzip", 1<<20)
	fmt.Println(string(body), err)
	// Output: <title>Kept as it was transferred</title> <nil>
}

func FuzzDecode(f *testing.F) {
	body := page(2_000)
	for _, coding := range allCodings {
		f.Add(label(coding), encode(f, coding, body), uint16(3_000))
	}
	f.Add("gzip, br", encode(f, "br", encode(f, "gzip", body)), uint16(100))
	f.Add("deflate,identity,x-gzip,foo", []byte("<html>"), uint16(10))
	f.Fuzz(func(t *testing.T, encoding string, coded []byte, limit uint16) {
		size := int64(limit) + 1
		got, err := Decode(nil, coded, encoding, size)
		if int64(len(got)) > size {
			t.Fatalf("%d bytes given with a limit of %d", len(got), size)
		}
		if de := (*DecodeError)(nil); err != nil && !errors.As(err, &de) {
			t.Fatalf("error %T: %v", err, err)
		}
		slow, _, slowErr := decodeAll(encoding, iotest.OneByteReader(bytes.NewReader(coded)), decodeLimits{Size: size})
		if err == nil && slowErr == nil && !bytes.Equal(got, slow) {
			t.Fatalf("byte by byte %d bytes, at once %d", len(slow), len(got))
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	body := page(30_000)
	for _, coding := range []string{"gzip", "deflate", "raw deflate", "br", "zstd"} {
		coded := encode(b, coding, body)
		b.Run(fmt.Sprintf("%s/%dKB", strings.ReplaceAll(coding, " ", "-"), len(coded)>>10), func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(body)))
			dst := make([]byte, 0, len(body)+1)
			for b.Loop() {
				var err error
				if dst, err = Decode(dst[:0], coded, label(coding), 0); err != nil || len(dst) != len(body) {
					b.Fatal(len(dst), err)
				}
			}
		})
	}
}
