package crawler_test

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/orbweaver/orbweaver/crawler"
	"github.com/orbweaver/orbweaver/internal/simweb"
)

// usage is what a process uses at a moment of its crawl.
type usage struct {
	fetched     int64
	goroutines  int
	descriptors int
	heap        int64 // live, in bytes
	resident    int64 // in bytes, but for what is mapped of files
	known       int64 // URLs
	disk        int64 // bytes of the job's database
}

func takeUsage(t *testing.T, c *crawler.Crawler) usage {
	t.Helper()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	var kilobytes int64
	_, after, _ := strings.Cut(string(status), "\nRssAnon:")
	if _, err := fmt.Sscan(after, &kilobytes); err != nil {
		t.Fatal(err)
	}
	database, err := os.Stat(filepath.Join(c.Job().Dir(), "job.db"))
	if err != nil {
		t.Fatal(err)
	}
	s := c.Stats()
	known := max(1, s.Waiting+s.Leased+s.Fetched+s.Failed)
	return usage{
		fetched: s.Fetched, goroutines: runtime.NumGoroutine(), descriptors: len(files), heap: int64(m.HeapAlloc),
		resident: kilobytes << 10, known: known, disk: database.Size() - s.Disk.Unused,
	}
}

// most is the most of each.
func most(all []usage) (m usage) {
	for _, u := range all {
		m.goroutines, m.descriptors = max(m.goroutines, u.goroutines), max(m.descriptors, u.descriptors)
		m.heap, m.resident = max(m.heap, u.heap), max(m.resident, u.resident)
		m.fetched, m.disk = max(m.fetched, u.fetched), max(m.disk, u.disk)
	}
	return m
}

// soakWebEnv makes this test binary a process that serves the web of TestSoak until its standard input ends.
const soakWebEnv = "CRAWLER_TEST_SOAK_WEB"

func beWeb() {
	if os.Getenv(soakWebEnv) == "" {
		return
	}
	web, err := simweb.Start(simweb.Config{
		Hosts: 500, Pages: 20_000, Links: 10, Bytes: 2048, Gzip: true, CrossLinks: 0.1,
		ErrorRate: 0.01, BrokenRate: 0.01, RedirectRate: 0.02, ConnRequests: 500,
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(strings.Join(web.Seeds(), " "))
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(0)
}

// startSoakWeb starts that process, and returns its seeds.
func startSoakWeb(t *testing.T) (seeds []string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), soakWebEnv+"=yes")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(line)
}

// warmed is the time after which caches of a soak are full, and what is live has to stay as it is but for what is in work.
const warmed = 2 * time.Minute

// TestSoak crawls a web without an end, which another process serves, for a few seconds, or for as long as CRAWLER_SOAK says ("10m"), and
// looks at what its own uses: after a while nothing grows any more, however many pages come.
//
//	CRAWLER_SOAK=10m go test -run Soak -v -timeout 20m ./crawler
func TestSoak(t *testing.T) {
	length := 6 * time.Second
	if text := os.Getenv("CRAWLER_SOAK"); text != "" {
		var err error
		if length, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
	}
	const samples, workers = 24, 32
	c, err := crawler.New(crawler.Config{
		Dir: filepath.Join(t.TempDir(), "job"), Seeds: startSoakWeb(t), Delay: crawler.NoDelay, Concurrency: workers, NoBodies: true, MaxTime: length,
		WARC: &crawler.WARC{MaxSize: 64 << 20, Dedup: 1000},
	})
	if err != nil {
		t.Fatal(err)
	}
	taken := make(chan []usage)
	go func() {
		var all []usage
		for range samples {
			time.Sleep(length / (samples + 1))
			all = append(all, takeUsage(t, c))
		}
		taken <- all
	}()
	if _, err := c.Run(t.Context()); err != nil {
		t.Error(err)
	}
	all := <-taken
	for _, u := range all {
		t.Logf("%8d pages: %d goroutines, %d descriptors, %.1f MiB live, %.1f MiB resident, %d URLs known, %.1f bytes of disk a page",
			u.fetched, u.goroutines, u.descriptors, float64(u.heap)/(1<<20), float64(u.resident)/(1<<20), u.known, float64(u.disk)/float64(u.fetched))
	}
	// What the middle of the time reached is not passed by more than what comes and goes: connections in work, what commits allocate,
	// and the steps in which the file grows.
	middle, last := most(all[samples/3:2*samples/3]), most(all[2*samples/3:])
	if last.goroutines > middle.goroutines+2*workers || last.descriptors > middle.descriptors+4*workers {
		t.Errorf("goroutines grew from %d to %d, descriptors from %d to %d", middle.goroutines, last.goroutines, middle.descriptors, last.descriptors)
	}
	more := int64(32 << 20)
	if length/3 >= warmed {
		// bbolt remembers of a page that it took from its free list which transaction that was for, as long as the page is in use:
		// in a map that doubles at once, and then has twice as many bytes for each page as before.
		const page, full, doubled = 4 << 10, 19, 39
		more = 4<<20 + doubled*last.disk/page - full*middle.disk/page
	}
	if last.heap > middle.heap+more || last.resident > middle.resident+more+32<<20 && !raceDetector {
		t.Errorf("live memory grew from %d to %d, resident memory from %d to %d", middle.heap, last.heap, middle.resident, last.resident)
	}
	if fair := float64(middle.disk) / float64(middle.fetched) * float64(last.fetched) * 1.1; float64(last.disk) > fair+40<<20 {
		t.Errorf("the job grew from %d bytes for %d pages to %d for %d", middle.disk, middle.fetched, last.disk, last.fetched)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}
