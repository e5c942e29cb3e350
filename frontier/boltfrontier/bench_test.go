package boltfrontier_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/orbweaver/orbweaver/frontier"
	"github.com/orbweaver/orbweaver/frontier/boltfrontier"
)

// benchFrontier returns a Frontier over a new database, synced as a crawl's is.
func benchFrontier(b *testing.B, cfg frontier.Config) (*frontier.Frontier, *bbolt.DB) {
	b.Helper()
	db, err := bbolt.Open(filepath.Join(b.TempDir(), "db"), 0o600, &bbolt.Options{
		NoFreelistSync: true, FreelistType: bbolt.FreelistMapType, InitialMmapSize: 1 << 30,
	})
	if err != nil {
		b.Fatal(err)
	}
	backend, err := boltfrontier.Open(db, boltfrontier.Config{})
	if err != nil {
		b.Fatal(err)
	}
	f, err := frontier.New(backend, cfg)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := errors.Join(f.Close(), db.Close()); err != nil {
			b.Error(err)
		}
	})
	return f, db
}

// benchURL is URL n of a host, of usual length; with the path of a page and a number in front, so that neighbours differ early.
func benchURL(host string, n int) string {
	return fmt.Sprintf("https://%s/section-%d/%x/some-article-title", host, n%37, uint32(n)*2654435761)
}

// benchLinks makes what pages find: lists of links on pages of hosts, of which most are known; fresh is how many of 100 are new.
// Each page links mostly to its own host.
type benchLinks struct {
	random *rand.Rand
	hosts  int
	next   []int // URLs of each host so far
	fresh  int
	pages  int
}

func newBenchLinks(hosts, fresh int) *benchLinks {
	return &benchLinks{random: rand.New(rand.NewPCG(3, 4)), hosts: hosts, next: make([]int, hosts), fresh: fresh}
}

func (l *benchLinks) page(reqs []frontier.Request, n int) []frontier.Request {
	host := l.random.IntN(l.hosts)
	l.pages++
	referrer := benchURL(fmt.Sprintf("www.site-%d.example", host), l.pages)
	for range n {
		to := host
		if l.random.IntN(10) == 0 {
			to = l.random.IntN(l.hosts)
		}
		at := l.next[to]
		if at > 0 && l.random.IntN(100) >= l.fresh {
			at = l.random.IntN(at)
		} else {
			l.next[to]++
		}
		name := fmt.Sprintf("www.site-%d.example", to)
		reqs = append(reqs, frontier.Request{URL: benchURL(name, at), Host: name, Referrer: referrer, Depth: 3})
	}
	return reqs
}

// cpu is the processor time of this process so far: with others on the machine, the only time that tells something.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkPut puts what pages of 50 links find, 100 pages at a time, each time synced. An operation is one URL.
func BenchmarkPut(b *testing.B) {
	for _, hosts := range []int{1, 100, 10_000} {
		for _, fresh := range []int{100, 20, 1} {
			b.Run(fmt.Sprintf("hosts=%d/new=%d%%", hosts, fresh), func(b *testing.B) {
				f, _ := benchFrontier(b, frontier.Config{})
				links := newBenchLinks(hosts, fresh)
				ctx := context.Background()
				const known = 400_000 // URLs to begin with
				var reqs []frontier.Request
				for n := range known / hosts {
					for i := range links.next {
						name := fmt.Sprintf("www.site-%d.example", i)
						reqs = append(reqs, frontier.Request{URL: benchURL(name, n), Host: name})
						links.next[i]++
					}
				}
				if _, err := f.Put(ctx, reqs); err != nil {
					b.Fatal(err)
				}
				b.ReportAllocs()
				reqs = reqs[:0]
				var used time.Duration
				n, added := 0, 0
				for b.Loop() {
					if n%5000 == 0 {
						b.StopTimer()
						reqs = reqs[:0]
						for range 100 {
							reqs = links.page(reqs, 50)
						}
						b.StartTimer()
						before := cpu()
						got, err := f.Put(ctx, reqs)
						used += cpu() - before
						if err != nil {
							b.Fatal(err)
						}
						added += got
					}
					n++
				}
				puts := (n + 4999) / 5000 * 5000
				b.ReportMetric(float64(used.Nanoseconds())/float64(puts), "cpu-ns/URL")
				b.ReportMetric(100*float64(added)/float64(puts), "%new")
			})
		}
	}
}

// BenchmarkCycle leases, fetches nothing, and commits a page with 50 links, 20 of 100 new, until 100 pages are in a batch.
// An operation is one page; run it a multiple of 100 times.
func BenchmarkCycle(b *testing.B) {
	for _, bench := range []struct {
		name  string
		cfg   frontier.Config
		hosts int
	}{
		{"hosts=100", frontier.Config{}, 100},
		{"hosts=10000", frontier.Config{}, 10_000},
		{"hosts=10000/delay", frontier.Config{Delay: time.Nanosecond}, 10_000},
		{"hosts=10000/front=1000", frontier.Config{Front: 1000}, 10_000},
	} {
		b.Run(bench.name, func(b *testing.B) {
			f, _ := benchFrontier(b, bench.cfg)
			ctx := context.Background()
			links := newBenchLinks(bench.hosts, 20)
			var reqs []frontier.Request
			for range 20_000 {
				reqs = links.page(reqs, 5)
			}
			if _, err := f.Put(ctx, reqs); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			var lease *frontier.Lease
			var batch frontier.Batch
			var committing, leasing time.Duration
			i, n := 0, 0
			for b.Loop() {
				if n%100 == 0 {
					b.StopTimer()
					batch = frontier.Batch{Done: batch.Done[:0], Add: batch.Add[:0]}
					for range 100 {
						batch.Add = links.page(batch.Add, 50)
					}
					b.StartTimer()
					leasing -= cpu()
				}
				if lease == nil || i == len(lease.Requests) {
					if lease != nil {
						lease.Release()
					}
					var err error
					if lease, err = f.Lease(ctx); err != nil {
						b.Fatal(err)
					}
					i = 0
				}
				now := time.Now()
				lease.Started(now)
				lease.Answered(now)
				batch.Done = append(batch.Done, lease.Requests[i])
				i++
				if n++; n%100 == 0 {
					between := cpu()
					leasing += between
					if _, err := f.Commit(ctx, &batch); err != nil {
						b.Fatal(err)
					}
					committing += cpu() - between
				}
			}
			n -= n % 100
			b.ReportMetric(float64(committing.Nanoseconds())/float64(n), "cpu-ns/commit")
			b.ReportMetric(float64(leasing.Nanoseconds())/float64(n), "cpu-ns/lease")
		})
	}
}

// BenchmarkDisk tells how many bytes of disk a URL takes that waits, and one that is done. An operation is one URL known.
func BenchmarkDisk(b *testing.B) {
	for _, hosts := range []int{100, 10_000} {
		b.Run(fmt.Sprintf("hosts=%d", hosts), func(b *testing.B) {
			f, db := benchFrontier(b, frontier.Config{LeaseSize: 64})
			ctx := context.Background()
			links := newBenchLinks(hosts, 100)
			var reqs []frontier.Request
			n := 0
			for b.Loop() {
				if n++; n%20 == 0 {
					reqs = links.page(reqs, 20)
				}
				if len(reqs) == 2000 {
					if _, err := f.Put(ctx, reqs); err != nil {
						b.Fatal(err)
					}
					reqs = reqs[:0]
				}
			}
			if _, err := f.Put(ctx, reqs); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(used(b, db))/float64(n), "B/queued")
			var batch frontier.Batch
			for {
				l, err := f.Lease(ctx)
				if errors.Is(err, frontier.ErrDone) {
					break
				}
				if err != nil {
					b.Fatal(err)
				}
				batch.Done = append(batch.Done, l.Requests...)
				l.Release()
				if len(batch.Done) > 2000 || f.Stats().Waiting == 0 {
					if _, err := f.Commit(ctx, &batch); err != nil {
						b.Fatal(err)
					}
					batch.Done = batch.Done[:0]
				}
			}
			b.ReportMetric(float64(used(b, db))/float64(n), "B/seen")
		})
	}
}

// used is the size of the pages in use.
func used(b *testing.B, db *bbolt.DB) int64 {
	b.Helper()
	info, err := os.Stat(db.Path())
	if err != nil {
		b.Fatal(err)
	}
	s := db.Stats()
	var pages int64
	if err := db.View(func(tx *bbolt.Tx) error {
		pages = tx.Size() / int64(info.Sys().(*syscall.Stat_t).Blksize) //nolint:unconvert // an int32 on other systems
		return nil
	}); err != nil {
		b.Fatal(err)
	}
	return (pages - int64(s.FreePageN) - int64(s.PendingPageN)) * int64(db.Info().PageSize)
}

// BenchmarkHeap tells how much memory a Frontier takes with b.N URLs of one host waiting, and hosts at hand.
func BenchmarkHeap(b *testing.B) {
	f, _ := benchFrontier(b, frontier.Config{})
	ctx := context.Background()
	links := newBenchLinks(1, 100)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var reqs []frontier.Request
	for b.Loop() {
		if reqs = links.page(reqs, 1); len(reqs) == 10_000 {
			if _, err := f.Put(ctx, reqs); err != nil {
				b.Fatal(err)
			}
			reqs = reqs[:0]
		}
	}
	l, err := f.Lease(ctx)
	if err == nil {
		l.Release(l.Requests...)
	}
	reqs = nil
	runtime.GC()
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(after.HeapAlloc)-float64(before.HeapAlloc), "heap-B")
}
