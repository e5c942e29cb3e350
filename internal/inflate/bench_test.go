package inflate_test

import (
	"bytes"
	stdgzip "compress/gzip"
	"io"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/klauspost/compress/gzip"

	"github.com/orbweaver/orbweaver/internal/inflate"
)

// BenchmarkGzip decodes into a buffer that is used again, as all three can.
func BenchmarkGzip(b *testing.B) {
	page, coded := simPage(b, 30_000)
	source, noise, zeros := text(b), random(30_000), make([]byte, 1<<20)
	for _, bc := range []struct {
		name  string
		body  []byte
		coded []byte
	}{
		{"simweb=30KB", page, coded}, // the page in the web's own small blocks
		{"page=30KB", page, gzipped(b, page, 6)},
		{"text", source, gzipped(b, source, 6)},
		{"random=30KB", noise, gzipped(b, noise, 6)},
		{"zeros=1MB", zeros, gzipped(b, zeros, 6)},
	} {
		coded := bc.coded
		out := make([]byte, 0, len(bc.body)+1024)
		b.Run(bc.name+"/by=inflate", func(b *testing.B) {
			b.SetBytes(int64(len(bc.body)))
			b.ReportAllocs()
			for b.Loop() {
				got, _, err := inflate.AppendGzip(out, coded, -1)
				if err != nil || len(got) != len(bc.body) {
					b.Fatal(len(got), err)
				}
			}
		})
		in := bytes.NewReader(nil)
		readAll := func(b *testing.B, r interface {
			io.Reader
			Reset(io.Reader) error
		}) {
			b.Helper()
			b.SetBytes(int64(len(bc.body)))
			b.ReportAllocs()
			for b.Loop() {
				in.Reset(coded)
				if err := r.Reset(in); err != nil {
					b.Fatal(err)
				}
				got := out[:cap(out)]
				n, err := io.ReadFull(r, got)
				if err != io.ErrUnexpectedEOF || n != len(bc.body) {
					b.Fatal(n, err)
				}
			}
		}
		b.Run(bc.name+"/by=klauspost", func(b *testing.B) { readAll(b, new(gzip.Reader)) })
		b.Run(bc.name+"/by=compress", func(b *testing.B) { readAll(b, new(stdgzip.Reader)) })
	}
}

func random(n int) []byte {
	b := make([]byte, n)
	rng := rand.NewChaCha8([32]byte{1})
	_, _ = rng.Read(b)
	return b
}

// text is the source of a Go package's test: English, names and punctuation.
func text(tb testing.TB) []byte {
	tb.Helper()
	var all []byte
	for _, name := range []string{"inflate.go", "table.go", "wrapping.go", "inflate_test.go"} {
		b, err := os.ReadFile(name)
		if err != nil {
			tb.Fatal(err)
		}
		all = append(all, b...)
	}
	return all
}
