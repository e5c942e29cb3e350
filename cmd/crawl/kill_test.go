package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/orbweaver/orbweaver/crawler"
	"github.com/orbweaver/orbweaver/internal/simweb"
	"github.com/orbweaver/orbweaver/internal/warccheck"
	"github.com/orbweaver/orbweaver/storage/warc"
)

// tree is a web of some hosts whose pages link to each other as a tree does, and
// which remembers every request in its order.
type tree struct {
	pages   int // of each host
	servers []*httptest.Server

	mu  sync.Mutex
	log []string // URLs of pages, as they were asked for
}

func growTree(t *testing.T, hosts, pages int) *tree {
	tr := &tree{pages: pages}
	for i := range hosts {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.%d:0", i+1))
		if err != nil {
			t.Fatal(err)
		}
		s := &httptest.Server{Listener: l, Config: &http.Server{Handler: tr}}
		s.Start()
		t.Cleanup(s.Close)
		tr.servers = append(tr.servers, s)
	}
	return tr
}

func (tr *tree) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n, err := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/"))
	if err != nil {
		http.NotFound(w, r)
		return
	}
	tr.mu.Lock()
	tr.log = append(tr.log, "http://"+r.Host+r.URL.Path)
	tr.mu.Unlock()
	time.Sleep(2 * time.Millisecond)
	w.Header().Set("Content-Type", "text/html")
	for child := 3*n + 1; child <= 3*n+3 && child < tr.pages; child++ {
		fmt.Fprintf(w, "<a href=%d>%d</a>\n", child, child)
	}
}

// served is the number of requests so far.
func (tr *tree) served() int {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return len(tr.log)
}

func (tr *tree) seeds() string {
	var b strings.Builder
	for _, s := range tr.servers {
		fmt.Fprintln(&b, s.URL+"/0")
	}
	return b.String()
}

// TestKilledAndResumed kills a crawl ten times without any warning, each time
// at a random moment of its work, and lets the eleventh run finish. Then every
// page is stored once, and none that was stored at a kill was asked for after it.
func TestKilledAndResumed(t *testing.T) {
	const (
		kills   = 10
		workers = 8
		// Two groups of pages may be on their way to the disk, one that is written
		// and one that is gathered, and each worker may have a page in hand.
		inFlight = 2*512 + workers
	)
	web := growTree(t, 8, 2000)
	dir := filepath.Join(t.TempDir(), "job")
	seeds := write(t, "seeds.txt", web.seeds())
	random := rand.New(rand.NewPCG(uint64(os.Getpid()), uint64(time.Now().UnixNano())))
	for range kills {
		before := web.served()
		// Two thirds of a server's pages are empty: a run that sees a thousand of them would take it for a trap.
		cmd := crawlCommand("run", "--job", dir, "--delay", "0s", "--novelty", "0", "--concurrency", strconv.Itoa(workers), "--seeds", seeds)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		// Between the start of the process and more pages than may be in flight.
		target := before + random.IntN(2500)
		for deadline := time.Now().Add(patience); web.served() < target && time.Now().Before(deadline); {
			time.Sleep(time.Duration(random.IntN(1000)) * time.Microsecond)
		}
		cmd.Process.Kill()
		if cmd.Wait() == nil {
			t.Log("finished before it was killed")
			break
		}
		if !begun(t, dir) {
			continue
		}
		soundJob(t, dir)
		asked := web.served()
		stored := exported(t, dir)
		t.Logf("killed after %d requests, %d pages are stored", asked, len(stored))
		defer web.wantNoneAgain(t, asked, stored)
		if lost := web.notStored(before, asked, stored); lost > inFlight {
			t.Errorf("%d pages were fetched and not stored at a kill, want at most %d", lost, inFlight)
		}
	}
	if text, err := crawlCommand("run", "--job", dir).CombinedOutput(); err != nil {
		t.Fatalf("the last run: %v\n%s", err, text)
	}
	soundJob(t, dir)
	var want []string
	for _, s := range web.servers {
		for n := range web.pages {
			want = append(want, fmt.Sprintf("%s/%d", s.URL, n))
		}
	}
	slices.Sort(want)
	if got := exported(t, dir); !slices.Equal(got, want) {
		t.Errorf("%d URLs are stored in the end, want each of the %d once", len(got), len(want))
	}
}

// TestArchivesOfKilled kills a crawl that writes archives: at every moment, whatever
// the job has is in the archives, and the next run mends what was left open.
func TestArchivesOfKilled(t *testing.T) {
	const kills = 6
	web := growTree(t, 4, 400)
	dir := filepath.Join(t.TempDir(), "job")
	args := []string{"run", "--job", dir, "--warc", "--warc-size", "60k", "--delay", "0s", "--concurrency", "8", "--seeds", write(t, "seeds.txt", web.seeds())}
	random := rand.New(rand.NewPCG(uint64(os.Getpid()), uint64(time.Now().UnixNano())))
	for range kills {
		cmd := crawlCommand(args...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		target := web.served() + random.IntN(250)
		for deadline := time.Now().Add(patience); web.served() < target && time.Now().Before(deadline); {
			time.Sleep(time.Duration(random.IntN(1000)) * time.Microsecond)
		}
		cmd.Process.Kill()
		if cmd.Wait() == nil {
			t.Log("finished before it was killed")
			break
		}
		if _, err := os.Stat(filepath.Join(dir, "warc")); err != nil || !begun(t, dir) {
			continue // killed while the job was made
		}
		wantIndexed(t, dir, exported(t, dir))
	}
	if text, err := crawlCommand(args...).CombinedOutput(); err != nil {
		t.Fatalf("the last run: %v\n%s", err, text)
	}
	soundJob(t, dir)
	wantIndexed(t, dir, exported(t, dir))
	names, err := filepath.Glob(filepath.Join(dir, "warc", "*"))
	if err != nil || len(names) < 4 {
		t.Fatalf("archives %v, %v", names, err)
	}
	found := map[string]bool{}
	for _, name := range names {
		if strings.HasSuffix(name, ".cdxj") {
			continue
		}
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		recs, err := warccheck.Read(data)
		if err != nil || !strings.HasSuffix(name, ".warc.gz") {
			t.Fatalf("%s: %v", name, err)
		}
		for _, rec := range recs {
			if rec.Type == "response" || rec.Type == "revisit" {
				found[rec.URI] = true
			}
		}
	}
	for _, url := range exported(t, dir) {
		if !found[url] {
			t.Errorf("%s is in the job and not in its archives", url)
		}
	}
}

// wantIndexed checks that the archives have what the job has, as they are.
func wantIndexed(t *testing.T, dir string, urls []string) {
	t.Helper()
	var text bytes.Buffer
	if _, err := warc.Index(t.Context(), &text, filepath.Join(dir, "warc")); err != nil {
		t.Fatal(err)
	}
	indexed := map[string]bool{}
	for line := range bytes.Lines(text.Bytes()) {
		e, err := warc.ParseEntry(line)
		if err != nil {
			t.Fatal(err)
		}
		indexed[e.URL] = true
	}
	for _, url := range urls {
		if !indexed[url] {
			t.Errorf("%s is in the job and not in its archives, as they were left", url)
		}
	}
	t.Logf("%d pages in the job, %d in the archives", len(urls), len(indexed))
}

// TestPoliteAcrossKills looks at the delay between two requests to a host as the
// host sees it, while the crawl is killed and resumed.
func TestPoliteAcrossKills(t *testing.T) {
	// A busy machine lets a server see a request so much later than the next. That delays are kept to the nanosecond is
	// for tests in virtual time.
	const delay, late = 250 * time.Millisecond, 100 * time.Millisecond
	web, err := simweb.Start(simweb.Config{Hosts: 6, Pages: 15})
	if err != nil {
		t.Fatal(err)
	}
	defer web.Close()
	dir := filepath.Join(t.TempDir(), "job")
	args := append([]string{"run", "--job", dir, "--quiet", "--delay", delay.String()}, web.Seeds()...)
	for range 4 {
		cmd := crawlCommand(args...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		before := web.Counts().Requests
		for deadline := time.Now().Add(patience); web.Counts().Requests < before+12 && time.Now().Before(deadline); {
			time.Sleep(time.Millisecond)
		}
		cmd.Process.Kill()
		if cmd.Wait() == nil {
			t.Error("finished before it was killed")
		}
	}
	if text, err := crawlCommand(args...).CombinedOutput(); err != nil {
		t.Fatalf("the last run: %v\n%s", err, text)
	}
	soundJob(t, dir)
	got := web.Counts()
	if got.Distinct != 6*15 || got.MaxConcurrent != 1 || got.MinGap < delay-late {
		t.Errorf("%d pages, %d requests to a host at once, %v between two; want 90, 1, at least %v",
			got.Distinct, got.MaxConcurrent, got.MinGap, delay-late)
	}
}

// wantNoneAgain reports pages that were stored and yet asked for later than the
// first so many requests.
func (tr *tree) wantNoneAgain(t *testing.T, asked int, stored []string) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	for _, url := range tr.log[asked:] {
		if _, found := slices.BinarySearch(stored, url); found {
			t.Errorf("%s was stored and is asked for again", url)
		}
	}
}

// notStored counts the pages among some requests that are not stored.
func (tr *tree) notStored(from, to int, stored []string) (n int) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	for _, url := range tr.log[from:to] {
		if _, found := slices.BinarySearch(stored, url); !found {
			n++
		}
	}
	return n
}

// exported returns the URLs that a job has stored, sorted.
func exported(t *testing.T, dir string) []string {
	t.Helper()
	text, err := crawlCommand("export", dir, "--format", "urls").Output()
	if err != nil {
		t.Fatal(err)
	}
	urls := strings.Fields(string(text))
	slices.Sort(urls)
	return urls
}

// soundJob runs "crawl check".
func soundJob(t *testing.T, dir string) {
	t.Helper()
	if text, err := crawlCommand("check", dir).CombinedOutput(); err != nil {
		t.Fatalf("check: %v\n%s", err, text)
	}
}

// begun reports whether a killed process had come as far as to make its job.
func begun(t *testing.T, dir string) bool {
	t.Helper()
	job, err := crawler.OpenJob(dir)
	if errors.Is(err, crawler.ErrNotJob) {
		return false
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := job.Close(); err != nil {
		t.Fatal(err)
	}
	return true
}

// crawlCommand is the command as a process of its own; TestMain put it in PATH.
func crawlCommand(args ...string) *exec.Cmd { return exec.Command("crawl", args...) }

// TestRevisitsOfKilled kills a crawl that visits its pages again and again: at every
// moment, each page that it knows waits or is being visited, so that none is ever
// forgotten, and visits go on.
func TestRevisitsOfKilled(t *testing.T) {
	const kills, pages = 5, 60
	web := growTree(t, 2, pages)
	dir := filepath.Join(t.TempDir(), "job")
	args := []string{"run", "--job", dir, "--delay", "0s", "--revisit", "1s..2s", "--revisit-first", "1s", "--seeds", write(t, "seeds.txt", web.seeds())}
	random := rand.New(rand.NewPCG(uint64(os.Getpid()), uint64(time.Now().UnixNano())))
	for range kills {
		cmd := crawlCommand(args...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		target := web.served() + 2*pages + random.IntN(3*pages)
		for deadline := time.Now().Add(patience); web.served() < target && time.Now().Before(deadline); {
			time.Sleep(time.Duration(random.IntN(1000)) * time.Microsecond)
		}
		cmd.Process.Kill()
		if cmd.Wait() == nil {
			t.Fatal("it ended by itself")
		}
		soundJob(t, dir)
		text, err := crawlCommand("status", "--json", dir).Output()
		var s struct{ Waiting, Known, Revisits int64 }
		if err == nil {
			err = json.Unmarshal(text, &s)
		}
		if err != nil || s.Known == 0 || s.Waiting != s.Known || s.Revisits > s.Waiting {
			t.Errorf("after a kill: %v\n%s", err, text)
		}
	}
	before := web.served()
	text, err := crawlCommand("run", "--job", dir, "--max-time", "5s").CombinedOutput()
	if err != nil {
		t.Fatalf("the last run: %v\n%s", err, text)
	}
	web.mu.Lock()
	visited := make(map[string]bool)
	for _, url := range web.log[before:] {
		visited[url] = true
	}
	web.mu.Unlock()
	if len(visited) != 2*pages {
		t.Errorf("the last run visited %d pages, want %d\n%s", len(visited), 2*pages, text)
	}
}
