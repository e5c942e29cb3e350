package crawler

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/orbweaver/orbweaver/frontier"
	"github.com/orbweaver/orbweaver/storage"
)

// scale is how many URLs the benchmarks of large jobs know in the end: few, so that they stay in order, or what the environment says.
func scale(b *testing.B, usual int) int {
	b.Helper()
	text := os.Getenv("CRAWLER_SCALE")
	if text == "" {
		return usual
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		b.Fatal(err)
	}
	return n
}

// grower makes a job grow as a crawl does, without the network: it leases, and commits results with links.
type grower struct {
	b      *testing.B
	c      *Crawler
	random *rand.Rand
	next   []int // URLs of each host so far
	known  int
	body   []byte
	end    chan struct{}
}

func newGrower(b *testing.B, dir string, hosts int) *grower {
	b.Helper()
	c, err := New(Config{Dir: dir, Delay: NoDelay})
	if err != nil {
		b.Fatal(err)
	}
	g := &grower{b: b, c: c, random: rand.New(rand.NewPCG(1, 2)), next: make([]int, hosts), body: make([]byte, 13<<10), end: make(chan struct{})}
	for i := range g.body {
		g.body[i] = byte(g.random.Uint32())
	}
	go func() { // as boundMemory does
		tick := time.NewTicker(trimEvery)
		defer tick.Stop()
		for {
			select {
			case <-g.end:
				return
			case <-tick.C:
				if err := c.job.trim(c.job.memory); err != nil {
					b.Error(err)
				}
			}
		}
	}()
	return g
}

func (g *grower) close() {
	close(g.end)
	if err := g.c.Close(); err != nil {
		g.b.Fatal(err)
	}
}

func (g *grower) url(host, n int) frontier.Request {
	name := fmt.Sprintf("www.site-%d.example", host)
	return frontier.Request{
		URL: fmt.Sprintf("https://%s/section-%d/%x/some-article-title", name, n%37, uint32(n)*2654435761), Host: name,
		Referrer: fmt.Sprintf("https://%s/section-%d/", name, n%37), Depth: 3,
	}
}

// fresh is a URL not known yet, of a host.
func (g *grower) fresh(host int) frontier.Request {
	n := g.next[host]
	g.next[host]++
	g.known++
	return g.url(host, n)
}

// links are 50 of a page of a host: nine of ten to the host, four of five known.
func (g *grower) links(host int) (reqs []frontier.Request) {
	for range 50 {
		to := host
		if g.random.IntN(10) == 0 {
			to = g.random.IntN(len(g.next))
		}
		if g.next[to] == 0 || g.random.IntN(5) == 0 {
			reqs = append(reqs, g.fresh(to))
		} else {
			reqs = append(reqs, g.url(to, g.random.IntN(g.next[to])))
		}
	}
	return reqs
}

// lease returns n changes with a request done in each.
func (g *grower) lease(n int) (group []*change) {
	for len(group) < n {
		l, err := g.c.front.Lease(context.Background())
		if err != nil {
			g.b.Fatal(err)
		}
		for _, r := range l.Requests {
			group = append(group, &change{done: []frontier.Leased{r}})
		}
		l.Release()
	}
	return group
}

func (g *grower) write(group []*change) {
	if err := g.c.commits.write(group); err != nil {
		g.b.Fatal(err)
	}
}

// crawl does pages with all that belongs to them, and returns the processor time that each took.
func (g *grower) crawl(pages int) time.Duration {
	var used time.Duration
	for done := 0; done < pages; {
		before := processorTime(g.b)
		group := g.lease(100)
		used += processorTime(g.b) - before
		for _, ch := range group {
			r := ch.done[0]
			ch.record = &storage.Record{
				URL: r.URL, FinalURL: r.URL, Host: r.Host, Referrer: r.Referrer, Depth: r.Depth, Attempts: 1, Status: 200, Proto: "HTTP/1.1",
				ContentType: "text/html", FetchedAt: time.Now(), Bytes: 30_000, WireBytes: int64(len(g.body)), Links: 50, Body: g.body,
			}
			ch.tally.Fetched++
			var host int
			if _, err := fmt.Sscanf(r.Host, "www.site-%d.example", &host); err != nil {
				g.b.Fatal(err)
			}
			ch.add = g.links(host)
		}
		before = processorTime(g.b)
		g.write(group)
		used += processorTime(g.b) - before
		done += len(group)
	}
	return used / time.Duration(pages)
}

// grow adds URLs until so many are known, and ends others so that not more than queued wait.
func (g *grower) grow(known, queued int) {
	host := 0
	for g.known < known {
		ch := &change{}
		for len(ch.add) < 5000 && g.known < known {
			for range 20 {
				ch.add = append(ch.add, g.fresh(host))
			}
			host = (host + 7919) % len(g.next)
		}
		waiting := g.c.front.Stats().Waiting
		group := g.lease(min(waiting, waiting+len(ch.add)-queued))
		g.write(append(group, ch))
	}
}

func processorTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// peakResident is the most memory that this process has had since the last call, in bytes.
func peakResident(b *testing.B) (peak int64) {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if n, found := strings.CutPrefix(line, "VmHWM:"); found {
			kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(n), "kB")), 10, 64)
			if err != nil {
				b.Fatal(err)
			}
			peak = kib << 10
		}
	}
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil {
		b.Fatal(err)
	}
	return peak
}

// scaleRounds is how often BenchmarkScale measures pages of the large job, and as many of a small one.
const scaleRounds = 3

// BenchmarkScale grows a job to CRAWLER_SCALE URLs, 10,000 unless set, of which at most a tenth waits, on a hundredth as many
// hosts. It tells the peak of resident memory, what a page costs then to what it costs a job of a thousandth of the size, on the
// same web, and how long it takes to open the job. Of both sizes as many pages are measured; of small jobs several, before the
// large one and after it, as each is small for its first few thousand pages only.
//
//	CRAWLER_SCALE=10000000 go test -run '^$' -bench Scale -benchtime 1x -timeout 1h ./crawler
func BenchmarkScale(b *testing.B) {
	known := scale(b, 10_000)
	pages := max(100, min(known/1000, 5000))
	crawlSmall := func() time.Duration {
		g := newGrower(b, filepath.Join(b.TempDir(), "job"), known/100)
		defer g.close()
		start := max(known/1000, 1000)
		g.grow(start, start)
		return g.crawl(pages)
	}
	for b.Loop() {
		var small, large time.Duration
		for range scaleRounds {
			small += crawlSmall()
		}
		runtime.GC()
		peakResident(b)
		dir := filepath.Join(b.TempDir(), "job")
		g := newGrower(b, dir, known/100)
		g.grow(known, known/10)
		for range scaleRounds {
			large += g.crawl(pages)
		}
		peak := peakResident(b)
		g.close()
		for range scaleRounds {
			small += crawlSmall()
		}
		small /= 2

		began := time.Now()
		c, err := New(Config{Dir: dir, Delay: NoDelay})
		if err != nil {
			b.Fatal(err)
		}
		l, err := c.front.Lease(context.Background())
		if err != nil {
			b.Fatal(err)
		}
		opened := time.Since(began)
		l.Release(l.Requests...)
		if err := c.Close(); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(peak)/(1<<20), "peak-MiB")
		b.ReportMetric(float64(small.Microseconds())/scaleRounds, "cpu-µs/page-small")
		b.ReportMetric(float64(large.Microseconds())/scaleRounds, "cpu-µs/page-large")
		b.ReportMetric(float64(small)/float64(large), "speed-ratio")
		b.ReportMetric(float64(opened.Milliseconds()), "open-ms")
	}
}

// BenchmarkHotHost puts CRAWLER_SCALE URLs, 10,000 unless set, on one host, and tells how much more memory that takes than ten.
//
//	CRAWLER_SCALE=10000000 go test -run '^$' -bench HotHost -benchtime 1x -timeout 1h ./crawler
func BenchmarkHotHost(b *testing.B) {
	known := scale(b, 10_000)
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	for b.Loop() {
		var grown [2]int64
		for i, n := range []int{10, known} {
			runtime.GC()
			before := heap()
			g := newGrower(b, filepath.Join(b.TempDir(), "job"), 1)
			g.grow(n, n)
			group := g.lease(10)
			g.write(group)
			grown[i] = heap() - before
			g.close()
		}
		b.ReportMetric(float64(grown[0])/(1<<20), "ten-MiB")
		b.ReportMetric(float64(grown[1])/(1<<20), "all-MiB")
		b.ReportMetric(float64(grown[1]-grown[0])/(1<<20), "difference-MiB")
	}
}
