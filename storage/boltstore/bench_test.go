package boltstore

import (
	"math/rand/v2"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/orbweaver/orbweaver/storage"
)

// batchOf makes n records as a crawl of many hosts would: 13 KB bodies that do
// not compress, heads of ordinary size.
func batchOf(n int) []*storage.Record {
	rng := rand.New(rand.NewPCG(1, 2))
	recs := make([]*storage.Record, n)
	for i := range recs {
		body := make([]byte, 13<<10)
		for j := range body {
			body[j] = byte(rng.Uint32())
		}
		recs[i] = &storage.Record{Proto: "HTTP/1.1", ContentType: "text/html", Charset: "utf-8", Encoding: "gzip",
			Head: []byte("HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: Sat, 02 Mar 2024 10:00:00 GMT\r\n" +
				"Content-Type: text/html; charset=utf-8\r\nContent-Length: 13312\r\nContent-Encoding: gzip\r\n" +
				"Last-Modified: Fri, 01 Mar 2024 10:00:00 GMT\r\nVary: Accept-Encoding\r\nETag: \"65e1a1b2-3400\"\r\n" +
				"Cache-Control: max-age=600\r\nX-Frame-Options: SAMEORIGIN\r\n\r\n"),
			Status: 200, FetchedAt: time.Unix(1700000000, 5), Duration: 20 * time.Millisecond, Attempts: 1,
			Bytes: 30000, WireBytes: 13 << 10, Title: "A page of the benchmark", Links: 50, Body: body}
	}
	return recs
}

// rename gives each record the URL of a page not seen before, on one of 100
// hosts.
func rename(recs []*storage.Record, page int) {
	for i, r := range recs {
		host := "www" + strconv.Itoa((page+i)%100) + ".example.org"
		section := "https://" + host + "/section/"
		url := section + "page-" + strconv.Itoa(page+i) + ".html"
		r.URL, r.FinalURL, r.Host, r.Referrer = url, url, host, section
	}
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkAppend commits batches of 100 records; an operation is a batch, and
// the metrics are for one record.
func BenchmarkAppend(b *testing.B) {
	for _, mode := range []struct {
		name   string
		noSync bool
		bodies bool
	}{
		{"bodies", false, true},
		{"bodies-nosync", true, true},
		{"metadata-nosync", true, false},
	} {
		b.Run(mode.name, func(b *testing.B) {
			db, err := bbolt.Open(filepath.Join(b.TempDir(), "store.db"), 0o600, &bbolt.Options{
				NoSync: mode.noSync, NoFreelistSync: true, FreelistType: bbolt.FreelistMapType,
			})
			if err != nil {
				b.Fatal(err)
			}
			defer db.Close()
			s := openStore(b, db)
			const batch = 100
			recs := batchOf(batch)
			if !mode.bodies {
				for _, r := range recs {
					r.Body = nil
				}
			}
			page := 0
			b.ReportAllocs()
			start := cpuTime()
			for b.Loop() {
				rename(recs, page)
				page += batch
				if err := s.Append(b.Context(), recs); err != nil {
					b.Fatal(err)
				}
			}
			cpu := cpuTime() - start
			b.ReportMetric(float64(cpu.Microseconds())/float64(page), "cpu-µs/record")
			b.ReportMetric(float64(fileSize(b, db))/float64(page), "disk-B/record")
		})
	}
}

func fileSize(b *testing.B, db *bbolt.DB) (size int64) {
	b.Helper()
	if err := db.View(func(tx *bbolt.Tx) error { size = tx.Size(); return nil }); err != nil {
		b.Fatal(err)
	}
	return size
}

func BenchmarkEncode(b *testing.B) {
	recs := batchOf(1)
	rename(recs, 0)
	var arena []byte
	b.ReportAllocs()
	for b.Loop() {
		arena = appendRecord(arena[:0], recs[0])
	}
	b.ReportMetric(float64(len(arena)), "B/record")
}

func BenchmarkDecode(b *testing.B) {
	recs := batchOf(1)
	rename(recs, 0)
	data := appendRecord(nil, recs[0])
	b.ReportAllocs()
	for b.Loop() {
		if _, err := decodeRecord(data); err != nil {
			b.Fatal(err)
		}
	}
}

func filledStore(b *testing.B, batches int) *Store {
	b.Helper()
	s := newStore(b)
	recs := batchOf(100)
	for i := range batches {
		rename(recs, i*len(recs))
		append1(b, s, recs...)
	}
	return s
}

// BenchmarkRecords reads one record an operation.
func BenchmarkRecords(b *testing.B) {
	s := filledStore(b, 100)
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		if n%10000 != 0 {
			n++
			continue // already read by the iteration below
		}
		for _, err := range s.Records(b.Context(), 0) {
			if err != nil {
				b.Fatal(err)
			}
		}
		n++
	}
}

func BenchmarkGet(b *testing.B) {
	s := filledStore(b, 100)
	recs := batchOf(1)
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		rename(recs, n%10000)
		n++
		if _, err := s.Get(b.Context(), recs[0].URL); err != nil {
			b.Fatal(err)
		}
	}
}
