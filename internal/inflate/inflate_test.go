package inflate_test

import (
	"bufio"
	"bytes"
	stdflate "compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"testing"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"

	"github.com/orbweaver/orbweaver/internal/inflate"
	"github.com/orbweaver/orbweaver/internal/simweb"
)

// simPage returns a page of the test web, as it is and as the web compresses it: small blocks of all three types.
func simPage(tb testing.TB, size int) (body, coded []byte) {
	tb.Helper()
	web, err := simweb.New(simweb.Config{Hosts: 1, Links: 50, Bytes: size, Gzip: true})
	if err != nil {
		tb.Fatal(err)
	}
	defer web.Close()
	u, err := url.Parse(web.Seeds()[0])
	if err != nil {
		tb.Fatal(err)
	}
	conn, err := web.DialContext(tb.Context(), "tcp", u.Hostname()+":80")
	if err != nil {
		tb.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n", u.Path, u.Host)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		tb.Fatal(err)
	}
	if coded, err = io.ReadAll(resp.Body); err != nil {
		tb.Fatal(err)
	}
	_ = resp.Body.Close()
	r, err := gzip.NewReader(bytes.NewReader(coded))
	if err != nil {
		tb.Fatal(err)
	}
	if body, err = io.ReadAll(r); err != nil {
		tb.Fatal(err)
	}
	return body, coded
}

func gzipped(tb testing.TB, body []byte, level int) []byte {
	tb.Helper()
	var buf bytes.Buffer
	w, err := gzip.NewWriterLevel(&buf, level)
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

func zlibbed(tb testing.TB, body []byte) []byte {
	tb.Helper()
	var buf bytes.Buffer
	w := zlib.NewWriter(&buf)
	if _, err := w.Write(body); err != nil {
		tb.Fatal(err)
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return buf.Bytes()
}

// deflated compresses body, in pieces that each end with a flush if rng says so.
func deflated(tb testing.TB, body []byte, level int, rng *rand.Rand) []byte {
	tb.Helper()
	var buf bytes.Buffer
	w, err := flate.NewWriter(&buf, level)
	if err != nil {
		tb.Fatal(err)
	}
	for len(body) > 0 {
		n := 1 + rng.IntN(len(body))
		if _, err := w.Write(body[:n]); err != nil {
			tb.Fatal(err)
		}
		if rng.IntN(3) == 0 {
			if err := w.Flush(); err != nil {
				tb.Fatal(err)
			}
		}
		body = body[n:]
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return buf.Bytes()
}

// sample makes n bytes of one of several kinds.
func sample(rng *rand.Rand, n int) []byte {
	b := make([]byte, 0, n+300)
	kind, alphabet := rng.IntN(5), 1+rng.IntN(256)
	for len(b) < n {
		switch {
		case kind == 0 && len(b) > 0: // matches at all distances
			from := len(b) - 1 - rng.IntN(min(len(b), 1<<rng.IntN(16)))
			for i := range 3 + rng.IntN(256) {
				b = append(b, b[from+i])
			}
			b = append(b, byte(rng.IntN(alphabet)))
		case kind == 1: // runs
			b = append(b, bytes.Repeat([]byte{byte(rng.IntN(alphabet))}, 1+rng.IntN(600))...)
		case kind == 2: // skewed, for long codes
			b = append(b, byte(int(rng.ExpFloat64()*8)))
		case kind == 3:
			b = append(b, "<a href=\"/page/"...)
			b = append(b, fmt.Sprint(rng.IntN(1000))...)
			b = append(b, "\">more</a>\n"...)
		default:
			b = append(b, byte(rng.IntN(alphabet)))
		}
	}
	return b[:n]
}

func TestRoundTrips(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		body := sample(rng, rng.IntN(1<<rng.IntN(18)))
		level := rng.IntN(12) - 2 // -2: Huffman codes only; 0: stored
		coded := deflated(t, body, level, rng)
		var prefix []byte
		if rng.IntN(2) == 0 {
			prefix = append(make([]byte, 0, rng.IntN(2*len(body)+5)+5), "kept "...)
		}
		tail := []byte("what follows")[:rng.IntN(13)]
		got, n, err := inflate.Append(prefix, append(coded, tail...), -1)
		if err != nil || n != len(coded) || !bytes.Equal(got[len(prefix):], body) || string(got[:len(prefix)]) != string(prefix) {
			t.Fatalf("level %d, %d bytes: %d of %d bytes read, %d given, %v", level, len(body), n, len(coded), len(got)-len(prefix), err)
		}
		for name, c := range map[string]struct {
			coded  []byte
			append func(dst, src []byte, limit int) ([]byte, int, error)
		}{
			"gzip": {gzipped(t, body, level), inflate.AppendGzip},
			"zlib": {zlibbed(t, body), inflate.AppendZlib},
		} {
			got, n, err := c.append(prefix, append(c.coded, tail...), len(body))
			if err != nil || n != len(c.coded) || !bytes.Equal(got[len(prefix):], body) {
				t.Fatalf("%s, level %d, %d bytes: %d of %d bytes read, %d given, %v", name, level, len(body), n, len(c.coded), len(got)-len(prefix), err)
			}
		}
	}
}

func TestLimit(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		body := sample(rng, 1+rng.IntN(1<<rng.IntN(16)))
		limit := rng.IntN(len(body))
		coded := gzipped(t, append(bytes.Clone(body), sample(rng, rng.IntN(1000))...), rng.IntN(12)-2)
		got, _, err := inflate.AppendGzip(nil, coded, limit)
		if err != inflate.ErrLimit || !bytes.Equal(got, body[:limit]) {
			t.Fatalf("limit %d: %d bytes, %v", limit, len(got), err)
		}
	}
	// A limit holds for all members together.
	two := append(gzipped(t, []byte("first"), 6), gzipped(t, []byte("second"), 6)...)
	for limit := range 12 {
		got, n, err := inflate.AppendGzip([]byte("x"), two, limit)
		if want := "xfirstsecond"[:1+limit]; string(got) != want || (err == inflate.ErrLimit) != (limit < 11) || limit == 11 && n != len(two) {
			t.Errorf("limit %d: %q, %d, %v", limit, got, n, err)
		}
	}
}

// A bomb costs the memory of its limit, and not more.
func TestBomb(t *testing.T) {
	bomb := gzipped(t, make([]byte, 64<<20), 9)
	got, _, err := inflate.AppendGzip(nil, bomb, 1<<20)
	if err != inflate.ErrLimit || len(got) != 1<<20 || cap(got) > 1<<20+1<<19 {
		t.Errorf("%d bytes in a buffer of %d, %v", len(got), cap(got), err)
	}
	// The trailer's word is not taken for how much room to make.
	small := gzipped(t, []byte("small"), 6)
	binary.LittleEndian.PutUint32(small[len(small)-4:], 1<<30)
	got, _, err = inflate.AppendGzip(nil, small, -1)
	if err != inflate.ErrChecksum || string(got) != "small" || cap(got) > 4<<10 {
		t.Errorf("%q in a buffer of %d, %v", got, cap(got), err)
	}
}

func TestTruncated(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	body := sample(rng, 5000)
	for name, c := range map[string]struct {
		coded  []byte
		append func(dst, src []byte, limit int) ([]byte, int, error)
	}{
		"deflate": {deflated(t, body, 6, rng), inflate.Append},
		"fixed":   {deflated(t, body[:40], 6, rng), inflate.Append},
		"stored":  {deflated(t, body, 0, rng), inflate.Append},
		"gzip":    {gzipped(t, body, 6), inflate.AppendGzip},
		"zlib":    {zlibbed(t, body), inflate.AppendZlib},
	} {
		last := 0
		for i := range c.coded {
			got, n, err := c.append(nil, c.coded[:i], -1)
			if err != io.ErrUnexpectedEOF || !bytes.HasPrefix(body, got) || len(got) < last || n > i {
				t.Fatalf("%s cut to %d of %d bytes: %d bytes, %d, %v", name, i, len(c.coded), len(got), n, err)
			}
			last = len(got)
		}
		if most := len(c.coded); last < min(len(body), 40)-300 {
			t.Errorf("%s of %d bytes but one: %d of %d bytes decoded", name, most, last, len(body))
		}
	}
}

func TestGzipHeader(t *testing.T) {
	body := []byte("the content")
	bare := gzipped(t, body, 6)
	stream := bare[10:]
	with := func(flags byte, fields string, checksum bool) []byte {
		b := append([]byte{0x1f, 0x8b, 8, flags, 1, 2, 3, 4, 5, 6}, fields...)
		if checksum {
			b = binary.LittleEndian.AppendUint16(b, uint16(crc32.ChecksumIEEE(b)))
		}
		return append(b, stream...)
	}
	change := func(b []byte, at int) []byte {
		b = bytes.Clone(b)
		b[at] ^= 1
		return b
	}
	long := string(bytes.Repeat([]byte("n"), 511)) + "\x00"
	for name, c := range map[string]struct {
		coded []byte
		err   error
	}{
		"bare":             {bare, nil},
		"extra":            {with(4, "\x03\x00abc", false), nil},
		"name":             {with(8, "file\x00", false), nil},
		"comment":          {with(16, "\x00", false), nil},
		"header checksum":  {with(2, "", true), nil},
		"all":              {with(31, "\x01\x00xname\x00comment\x00", true), nil},
		"long name":        {with(8, long, false), nil},
		"too long name":    {with(8, "n"+long, false), inflate.ErrHeader},
		"magic":            {change(bare, 0), inflate.ErrHeader},
		"method":           {change(bare, 2), inflate.ErrHeader},
		"reserved flags":   {with(0x20, "", false), inflate.ErrHeader},
		"wrong header sum": {change(with(2, "", true), 10), inflate.ErrHeader},
		"cut extra":        {with(4, "\xff\xff", false), io.ErrUnexpectedEOF},
		"cut name":         {with(8, "name", false)[:14], io.ErrUnexpectedEOF},
		"checksum":         {change(bare, len(bare)-8), inflate.ErrChecksum},
		"length":           {change(bare, len(bare)-4), inflate.ErrChecksum},
		"empty":            {nil, io.ErrUnexpectedEOF},
		"garbage behind":   {append(bytes.Clone(bare), "\x1f\x8b\x08 no member"...), nil},
		"header behind":    {append(bytes.Clone(bare), bare[:10]...), io.ErrUnexpectedEOF},
	} {
		got, _, err := inflate.AppendGzip(nil, c.coded, -1)
		if err != c.err {
			t.Errorf("%s: %q, %v", name, got, err)
		}
		r, kerr := gzip.NewReader(bytes.NewReader(c.coded))
		if kerr == nil {
			r.Multistream(false)
			_, kerr = io.ReadAll(r)
		}
		if name != "header behind" && (kerr == nil) != (err == nil) {
			t.Errorf("%s: %v, by klauspost %v", name, err, kerr)
		}
	}
}

func TestZlibHeader(t *testing.T) {
	good := zlibbed(t, []byte("the content"))
	sum := bytes.Clone(good)
	sum[len(sum)-1] ^= 1
	for name, c := range map[string]struct {
		coded []byte
		err   error
	}{
		"good":       {good, nil},
		"checksum":   {sum, inflate.ErrChecksum},
		"check bits": {append([]byte{0x78, 0x9d}, good[2:]...), inflate.ErrHeader},
		"method":     {append([]byte{0x77, 0x85}, good[2:]...), inflate.ErrHeader},
		"window":     {append([]byte{0x88, 0x1c}, good[2:]...), inflate.ErrHeader},
		"dictionary": {append([]byte{0x78, 0xbb}, good[2:]...), inflate.ErrDictionary},
		"one byte":   {good[:1], io.ErrUnexpectedEOF},
	} {
		if _, _, err := inflate.AppendZlib(nil, c.coded, -1); err != c.err {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// bitWriter puts hostile streams together.
type bitWriter struct {
	b []byte
	n uint
}

func (w *bitWriter) bits(v, n uint) {
	for i := range n {
		if w.n&7 == 0 {
			w.b = append(w.b, 0)
		}
		w.b[len(w.b)-1] |= byte(v>>i&1) << (w.n & 7)
		w.n++
	}
}

// code writes a Huffman code, which goes from its highest bit on.
func (w *bitWriter) code(v, n uint) {
	for i := range n {
		w.bits(v>>(n-1-i), 1)
	}
}

func TestCorrupt(t *testing.T) {
	fixed := func(f func(w *bitWriter)) []byte {
		w := new(bitWriter)
		w.bits(1|1<<1, 3)
		f(w)
		w.bits(0, 64)
		w.bits(0, 64)
		return w.b
	}
	for name, coded := range map[string][]byte{
		"block type":             {7, 0, 0, 0},
		"stored length":          {1, 1, 0, 1, 0, 'x'},
		"distance of nothing":    fixed(func(w *bitWriter) { w.code(1, 7); w.code(0, 5) }),
		"distance too far":       fixed(func(w *bitWriter) { w.code(0x30, 8); w.code(1, 7); w.code(1, 5) }),
		"length symbol 286":      fixed(func(w *bitWriter) { w.code(0x30, 8); w.code(0xc6, 8); w.code(0, 5) }),
		"distance symbol 30":     fixed(func(w *bitWriter) { w.code(0x30, 8); w.code(1, 7); w.code(30, 5) }),
		"287 literals":           dynamic(30, 0, nil),
		"31 distances":           dynamic(0, 30, nil),
		"no code of lengths":     dynamic(0, 0, []uint{0, 0, 0, 0}),
		"incomplete code":        dynamic(0, 0, []uint{2, 2, 2, 0}),
		"too many codes":         dynamic(0, 0, []uint{1, 1, 1, 0}),
		"repeat without a first": dynamic(0, 0, []uint{1, 0, 0, 0}),
	} {
		out := append(make([]byte, 0, 600), "before"...)
		got, n, err := inflate.Append(out, coded, -1)
		var ce inflate.CorruptError
		if !errors.As(err, &ce) || !bytes.HasPrefix(got, out) || n > len(coded) {
			t.Errorf("%s: %q, %d, %v", name, got, n, err)
		}
		_, serr := io.ReadAll(stdflate.NewReader(bytes.NewReader(coded)))
		if ce := stdflate.CorruptInputError(0); !errors.As(serr, &ce) {
			t.Errorf("%s: compress/flate says %v", name, serr)
		}
	}
}

// dynamic begins a dynamic block with these counts and lengths of the code of code lengths.
func dynamic(nlit, ndist uint, lengths []uint) []byte {
	w := new(bitWriter)
	w.bits(1|2<<1, 3)
	w.bits(nlit, 5)
	w.bits(ndist, 5)
	w.bits(uint(max(len(lengths), 4)-4), 4)
	for _, n := range lengths {
		w.bits(n, 3)
	}
	w.bits(0, 64)
	w.bits(0, 64)
	return w.b
}

// TestCodes decodes with random codes of all shapes, which no compressor makes: those that fill the second level of the
// tables most, and those with one symbol or none.
func TestCodes(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	for range 1500 {
		coded := randomBlock(rng)
		want, serr := io.ReadAll(stdflate.NewReader(bytes.NewReader(coded)))
		got, _, err := inflate.Append(nil, coded, -1)
		if (serr == nil) != (err == nil) || serr == nil && !bytes.Equal(got, want) || !bytes.HasPrefix(got, want) {
			t.Fatalf("%x: %d bytes, %v; by compress/flate %d bytes, %v", coded, len(got), err, len(want), serr)
		}
	}
}

// randomBlock is a dynamic block with random codes, and random bits as its symbols.
func randomBlock(rng *rand.Rand) []byte {
	w := new(bitWriter)
	w.bits(1|2<<1, 3)
	nlit, ndist := 257+rng.IntN(30), 1+rng.IntN(30)
	w.bits(uint(nlit-257), 5)
	w.bits(uint(ndist-1), 5)
	w.bits(15, 4)
	// The code of code lengths: all 16 lengths in 4 bits each, no runs.
	for _, symbol := range []int{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15} {
		if symbol < 16 {
			w.bits(4, 3)
		} else {
			w.bits(0, 3)
		}
	}
	lengths := append(randomCode(rng, nlit), randomCode(rng, ndist)...)
	for _, n := range lengths {
		w.code(uint(n), 4)
	}
	for range rng.IntN(400) {
		w.bits(uint(rng.Uint64()), 64)
	}
	return w.b
}

// randomCode returns the lengths of a complete code for some of n symbols: leaves of a tree that is split at random.
func randomCode(rng *rand.Rand, n int) []int {
	lengths := make([]int, n)
	leaves := []int{0}
	want := 1 + rng.IntN(n)
	deep := rng.IntN(3)
	for tries := 0; len(leaves) < want && tries < 5000; tries++ {
		i := rng.IntN(len(leaves))
		if deep == 0 {
			i = len(leaves) - 1
		} else if deep == 1 {
			i = max(0, len(leaves)-1-rng.IntN(4))
		}
		if leaves[i] == 15 {
			i = rng.IntN(len(leaves))
		}
		if leaves[i] < 15 {
			leaves[i]++
			leaves = append(leaves, leaves[i])
		}
	}
	if len(leaves) == 1 {
		leaves[0] = rng.IntN(2) // a code of one symbol, or of none
	}
	for i, at := range rng.Perm(n)[:len(leaves)] {
		lengths[at] = leaves[i]
	}
	if n > 256 && lengths[256] == 0 && rng.IntN(4) > 0 { // mostly with an end
		for at, l := range lengths {
			if l > 0 {
				lengths[at], lengths[256] = 0, l
				break
			}
		}
	}
	return lengths
}

func ExampleAppendGzip() {
	var body bytes.Buffer
	w := gzip.NewWriter(&body)
	fmt.Fprint(w, "<title>As it was transferred</title>")
	w.Close()

	page, n, err := inflate.AppendGzip(nil, body.Bytes(), 1<<20)
	fmt.Println(string(page), n == body.Len(), err)
	// Output: <title>As it was transferred</title> true <nil>
}
