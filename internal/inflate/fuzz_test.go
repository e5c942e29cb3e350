package inflate_test

import (
	"bytes"
	stdflate "compress/flate"
	"errors"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"

	"github.com/orbweaver/orbweaver/internal/inflate"
)

// fuzzMost bounds what a fuzzed input may decode to.
const fuzzMost = 1 << 20

// cutOff is the longest output that may be decoded from the last bits of a stream that is cut, where the others wait
// for as many bits as the code of the end has: less than two bytes of matches of two bits each.
const cutOff = 8 * 258

// FuzzAppend decodes with three decoders, which must agree on what is a stream, what it decodes to, where it ends,
// and what is decoded of one that is damaged.
func FuzzAppend(f *testing.F) {
	rng := rand.New(rand.NewPCG(9, 10))
	for level := -2; level < 10; level++ {
		coded := deflated(f, sample(rng, 3000), level, rng)
		f.Add(coded, uint16(5000))
		f.Add(coded[:len(coded)/2], uint16(100))
	}
	for range 20 {
		f.Add(randomBlock(rng), uint16(60000))
	}
	f.Fuzz(func(t *testing.T, coded []byte, limit uint16) {
		in := bytes.NewReader(coded)
		want, serr := io.ReadAll(io.LimitReader(stdflate.NewReader(in), fuzzMost))
		if len(want) == fuzzMost {
			return
		}
		got, n, err := inflate.Append([]byte("x"), coded, -1)
		if got[0] != 'x' || n > len(coded) {
			t.Fatalf("%q, %d of %d bytes read", got[0], n, len(coded))
		}
		compare(t, "compress/flate", got[1:], want, err, serr)
		if serr == nil && n != len(coded)-in.Len() {
			t.Fatalf("%d bytes read, by compress/flate %d", n, len(coded)-in.Len())
		}
		other, kerr := io.ReadAll(flate.NewReader(bytes.NewReader(coded)))
		compareLoosely(t, "klauspost", got[1:], other, err, kerr)

		// The same with a limit, and in a buffer of other bytes that has room or not.
		dst := bytes.Repeat([]byte{0xaa}, int(limit))[:limit%7]
		some, _, lerr := inflate.Append(dst, coded, int(limit))
		some = some[limit%7:]
		switch {
		case len(got)-1 > int(limit):
			if lerr != inflate.ErrLimit || !bytes.Equal(some, got[1:1+int(limit)]) {
				t.Fatalf("limit %d of %d bytes: %d bytes, %v", limit, len(got)-1, len(some), lerr)
			}
		case lerr != err || !bytes.Equal(some, got[1:]):
			t.Fatalf("limit %d of %d bytes: %d bytes, %v, without one %v", limit, len(got)-1, len(some), lerr, err)
		}
	})
}

// compare holds what was decoded against what another decoder made of it.
func compare(t *testing.T, by string, got, want []byte, err, other error) {
	t.Helper()
	fail := func(why string) {
		t.Fatalf("%s: %d bytes, %v; by %s %d bytes, %v", why, len(got), err, by, len(want), other)
	}
	switch {
	case (err == nil) != (other == nil):
		fail("accepted and refused")
	case !errors.Is(other, io.ErrUnexpectedEOF):
		if !bytes.Equal(got, want) || errors.Is(err, io.ErrUnexpectedEOF) {
			fail("not the same")
		}
	case !bytes.HasPrefix(got, want) || len(got) > len(want)+cutOff:
		// Of a stream that is cut we look at the last bits too, and may find them wrong.
		fail("not the same of a cut stream")
	}
}

// compareLoosely is for a decoder that notices later that a stream is damaged or cut, or keeps less of it.
func compareLoosely(t *testing.T, by string, got, want []byte, err, other error) {
	t.Helper()
	if (err == nil) != (other == nil) || err == nil && len(got) != len(want) || !bytes.HasPrefix(got, want) && !bytes.HasPrefix(want, got) {
		t.Fatalf("%d bytes, %v; by %s %d bytes, %v", len(got), err, by, len(want), other)
	}
}

// FuzzWrapped does so with gzip and zlib.
func FuzzWrapped(f *testing.F) {
	rng := rand.New(rand.NewPCG(11, 12))
	body := sample(rng, 2000)
	one, two := gzipped(f, body, 6), gzipped(f, body[:10], 1)
	f.Add(one)
	f.Add(append(bytes.Clone(one), two...))
	f.Add(append(bytes.Clone(two), one[:20]...))
	f.Add(append([]byte("\x1f\x8b\x08\x1f\x00\x00\x00\x00\x00\x00\x01\x00xname\x00comment\x00\x33\x33"), two[10:]...))
	f.Add(zlibbed(f, body))
	f.Add([]byte("\x78\xbb\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, coded []byte) {
		want, kerr := gunzip(coded)
		if len(want) < fuzzMost {
			got, n, err := inflate.AppendGzip(nil, coded, fuzzMost)
			if n > len(coded) {
				t.Fatalf("%d of %d bytes read", n, len(coded))
			}
			compareLoosely(t, "klauspost's gzip", got, want, err, kerr)
		}
		var other []byte
		r, zerr := zlib.NewReader(bytes.NewReader(coded))
		if zerr == nil {
			other, zerr = io.ReadAll(io.LimitReader(r, fuzzMost))
		}
		if len(other) < fuzzMost {
			got, _, err := inflate.AppendZlib(nil, coded, fuzzMost)
			compareLoosely(t, "klauspost's zlib", got, other, err, zerr)
		}
	})
}

// gunzip decodes members as long as there is one.
func gunzip(coded []byte) (all []byte, err error) {
	in := bytes.NewReader(coded)
	r := new(gzip.Reader)
	if err := r.Reset(in); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	for {
		r.Multistream(false)
		member, err := io.ReadAll(io.LimitReader(r, fuzzMost))
		if all = append(all, member...); err != nil || len(all) >= fuzzMost {
			return all[:min(len(all), fuzzMost)], err
		}
		if err := r.Reset(in); err != nil {
			return all, nil
		}
	}
}

// TestHostileTime decodes the input that costs most for its length, blocks of nothing but their tables, and much of
// it: that must be work in proportion, which a test can only see as not hanging.
func TestHostileTime(t *testing.T) {
	w := new(bitWriter)
	for range 20_000 {
		w.bits(2<<1, 3)
		w.bits(0, 5)
		w.bits(0, 5)
		w.bits(15-1, 4)
		// Lengths of code lengths, in their order: 18 and 1 have one bit each.
		for _, symbol := range []int{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1} {
			if symbol == 18 || symbol == 1 {
				w.bits(1, 3)
			} else {
				w.bits(0, 3)
			}
		}
		// 256 literals of length 0, in runs of 138 and 118; the end and a distance of length 1.
		w.bits(1, 1)
		w.bits(127, 7)
		w.bits(1, 1)
		w.bits(107, 7)
		w.bits(0, 1)
		w.bits(0, 1)
		w.bits(0, 1) // the end
	}
	w.bits(1, 3) // an empty stored block, the last
	w.bits(0, -w.n&7)
	w.bits(0xffff0000, 32)
	got, n, err := inflate.Append(nil, w.b, 0)
	if err != nil || len(got) != 0 || n != len(w.b) {
		t.Errorf("%d of %d bytes read, %d given, %v", n, len(w.b), len(got), err)
	}
}
