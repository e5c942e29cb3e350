package crawler_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/orbweaver/orbweaver/crawler"
	"github.com/orbweaver/orbweaver/internal/faultfile"
	"github.com/orbweaver/orbweaver/storage/warc"
)

// victimEnv makes this test binary a process that crawls into the directory that it names, from the seeds in victimSeeds. With
// victimPatient it waits when the disk is full, with victimArchives it writes archives.
const (
	victimEnv      = "CRAWLER_TEST_VICTIM"
	victimSeeds    = "CRAWLER_TEST_SEEDS"
	victimPatient  = "CRAWLER_TEST_PATIENT"
	victimArchives = "CRAWLER_TEST_ARCHIVES"
)

// Exit statuses of the victim.
const (
	victimDone   = 0
	victimFailed = 3 // with an error that it printed
)

// victim crawls when this process is one. It prints "seeded" after its seeds are acknowledged, "stored URL" for each result after the
// commit that made it durable, and "failed ERROR" when the job could not be written.
func victim() {
	beWeb()
	dir := os.Getenv(victimEnv)
	if dir == "" {
		return
	}
	if err := faultfile.Attach(); err != nil {
		fmt.Println("failed", err)
		os.Exit(1)
	}
	if err := beVictim(dir, strings.Fields(os.Getenv(victimSeeds))); err != nil {
		var job *crawler.JobError
		if !errors.As(err, &job) {
			fmt.Println("failed without a *JobError:", err)
			os.Exit(1)
		}
		fmt.Println("failed", strings.ReplaceAll(err.Error(), "\n", "; "))
		os.Exit(victimFailed)
	}
	os.Exit(victimDone)
}

func beVictim(dir string, seeds []string) error {
	told := uint64(0) // last Seq printed
	var c *crawler.Crawler
	started := make(chan struct{})
	tell := func() {
		var lines strings.Builder
		for r, err := range c.Job().Store().Records(context.Background(), told) {
			if err != nil {
				fmt.Println("failed to read what was committed:", err)
				os.Exit(1)
			}
			told = r.Seq
			fmt.Fprintln(&lines, "stored", r.URL)
		}
		_, _ = os.Stdout.WriteString(lines.String()) // one write: all lines, or none
	}
	reserve := int64(-1)
	if os.Getenv(victimPatient) != "" {
		reserve = 1
	}
	var archives *crawler.WARC
	if os.Getenv(victimArchives) != "" {
		archives = &crawler.WARC{MaxSize: 30_000} // several of them
	}
	c, err := crawler.New(crawler.Config{
		Dir: dir, Seeds: seeds, Delay: crawler.NoDelay, Concurrency: 4, Retries: -1, DiskReserve: reserve, WARC: archives,
		Events: crawler.Events{Committed: func(crawler.CommittedEvent) {
			select {
			case <-started:
				tell()
			default: // the seeds
			}
		}},
	})
	if err != nil {
		return err
	}
	fmt.Println("seeded")
	stats, err := c.Job().Store().Stats(context.Background())
	if err != nil {
		return err
	}
	told = uint64(stats.Records)
	close(started)
	_, err = c.Run(context.Background())
	return errors.Join(err, c.Close())
}

// crashWeb is a few hosts whose pages link to each other, and which remember every request.
type crashWeb struct {
	pages   int // of each host
	servers []*httptest.Server
	filler  string

	mu    sync.Mutex
	asked []string // URLs in the order in which they were asked for
}

func startCrashWeb(t *testing.T, hosts, pages int) *crashWeb {
	w := &crashWeb{pages: pages, filler: strings.Repeat("All work and no play makes a page long. ", 50)}
	for range hosts {
		s := httptest.NewServer(w)
		t.Cleanup(s.Close)
		w.servers = append(w.servers, s)
	}
	return w
}

func (w *crashWeb) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	n, err := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/"))
	if err != nil {
		http.NotFound(rw, r)
		return
	}
	url := "http://" + r.Host + r.URL.Path
	w.mu.Lock()
	w.asked = append(w.asked, url)
	w.mu.Unlock()
	rw.Header().Set("Content-Type", "text/html")
	for _, link := range w.links(url) {
		fmt.Fprintf(rw, "<a href=%q>%d</a>\n", link, n)
	}
	_, _ = io.WriteString(rw, w.filler[:n*7%len(w.filler)])
}

// links are those of a page: three below it, and the same one of the next host.
func (w *crashWeb) links(url string) (links []string) {
	at := strings.LastIndexByte(url, '/')
	n, err := strconv.Atoi(url[at+1:])
	if err != nil {
		return nil
	}
	for child := 3*n + 1; child <= 3*n+3 && child < w.pages; child++ {
		links = append(links, fmt.Sprintf("%s/%d", url[:at], child))
	}
	for i, s := range w.servers {
		if s.URL == url[:at] {
			links = append(links, fmt.Sprintf("%s/%d", w.servers[(i+1)%len(w.servers)].URL, n))
		}
	}
	return links
}

func (w *crashWeb) seeds() (seeds []string) {
	for _, s := range w.servers {
		seeds = append(seeds, s.URL+"/0")
	}
	return seeds
}

func (w *crashWeb) size() int { return len(w.servers) * w.pages }

// takeAsked returns what was asked for since the last call.
func (w *crashWeb) takeAsked() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	asked := w.asked
	w.asked = nil
	return asked
}

// ordeal is a job that processes die on, and what they said of it.
type ordeal struct {
	t      *testing.T
	web    *crashWeb
	dir    string
	disk   *faultfile.Disk
	warc   bool            // with archives
	seeded bool            // the seeds were acknowledged
	stored map[string]bool // results that were acknowledged

	killed bool   // how the last process ended:
	failed string // with this error
	ops    int    // of it
}

func newOrdeal(t *testing.T, web *crashWeb, archives bool) *ordeal {
	t.Helper()
	// What is synced is known without waiting for a real disk.
	temp, err := os.MkdirTemp("/dev/shm", "crash-")
	if err != nil {
		temp = t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(temp) })
	dir := filepath.Join(temp, "job")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	watched := dir
	if !archives {
		watched = filepath.Join(dir, "job.db")
	}
	disk, err := faultfile.OpenDisk(watched)
	if err != nil {
		t.Fatal(err)
	}
	web.takeAsked()
	return &ordeal{t: t, web: web, dir: dir, disk: disk, warc: archives, stored: make(map[string]bool)}
}

// process lets a process crawl until it ends or decide ends it. What was stored before must not be asked for again.
func (o *ordeal) process(decide func(int, faultfile.Op) faultfile.Verdict) {
	o.t.Helper()
	self, err := os.Executable()
	if err != nil {
		o.t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), victimEnv+"="+o.dir, victimSeeds+"="+strings.Join(o.web.seeds(), " "))
	if o.warc {
		cmd.Env = append(cmd.Env, victimArchives+"=yes")
	}
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		o.t.Fatal(err)
	}
	p, err := faultfile.Start(cmd, o.disk, decide)
	if err != nil {
		o.t.Fatal(err)
	}
	o.failed = ""
	var stored []string
	for lines := bufio.NewScanner(out); lines.Scan(); {
		switch word, rest, _ := strings.Cut(lines.Text(), " "); word {
		case "seeded":
			o.seeded = true
		case "stored":
			stored = append(stored, rest)
		default:
			o.failed = lines.Text()
		}
	}
	o.killed, err = p.Wait()
	o.ops = p.Ops()
	if exit := (*exec.ExitError)(nil); err != nil && (!errors.As(err, &exit) || exit.ExitCode() != victimFailed) {
		o.t.Fatalf("the process ended with %v: %s", err, o.failed)
	}
	for _, url := range o.web.takeAsked() {
		if o.stored[url] {
			o.t.Errorf("%s was stored and is asked for again", url)
		}
	}
	for _, url := range stored {
		if o.stored[url] {
			o.t.Errorf("%s is stored twice", url)
		}
		o.stored[url] = true
	}
}

// check opens the job as it was left and compares it with what was said of it. It returns its figures.
func (o *ordeal) check() (s crawler.Stats) {
	o.t.Helper()
	job, err := crawler.OpenJob(o.dir)
	if errors.Is(err, crawler.ErrNotJob) && !o.seeded {
		return s // it died while it made the job
	}
	if err != nil {
		o.t.Fatal(err)
	}
	defer func() {
		if err := job.Close(); err != nil {
			o.t.Error(err)
		}
	}()
	if err := job.Check(o.t.Context()); err != nil {
		o.t.Fatal(err)
	}
	if s, err = job.Stats(); err != nil {
		o.t.Fatal(err)
	}
	results := make(map[string]bool)
	for r, err := range job.Store().Records(o.t.Context(), 0) {
		if err != nil {
			o.t.Fatal(err)
		}
		if results[r.URL] {
			o.t.Errorf("%s has two results", r.URL)
		}
		results[r.URL] = true
	}
	for url := range o.stored {
		if !results[url] {
			o.t.Errorf("the result of %s was acknowledged and is lost", url)
		}
	}
	if o.seeded {
		o.wantStates(job, results)
	}
	if o.warc {
		o.wantArchives(job)
	}
	return s
}

// wantArchives mends a copy of the archives as a run that resumes the job would, and checks that all that is stored is in them, as a
// revisit perhaps of what is.
func (o *ordeal) wantArchives(job *crawler.Job) {
	o.t.Helper()
	dir := filepath.Join(o.dir, crawler.DefaultArchives)
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
		return
	}
	whole := o.t.TempDir()
	if err := os.CopyFS(whole, os.DirFS(dir)); err != nil {
		o.t.Fatal(err)
	}
	files, err := warc.OpenFiles(whole, warc.FilesOptions{})
	if err != nil {
		o.t.Fatal(err)
	}
	if err := files.Close(); err != nil {
		o.t.Fatal(err)
	}
	wantArchived(o.t, job.Store(), archived(o.t, whole))
}

// wantStates checks, of a sample, that what is stored is done, and that what seeds and stored pages lead to is done or waits.
func (o *ordeal) wantStates(job *crawler.Job, results map[string]bool) {
	o.t.Helper()
	want := make(map[string]string) // "": any but unknown
	for _, seed := range o.web.seeds() {
		want[seed] = ""
	}
	for url := range results { // in random order
		if len(want) > 200 {
			break
		}
		for _, link := range o.web.links(url) {
			want[link] = ""
		}
	}
	for url := range want {
		e, err := job.Explain(o.t.Context(), url)
		if err != nil {
			o.t.Fatal(err)
		}
		if state := "waiting"; e.State != state {
			if state = "done"; e.State != state {
				o.t.Errorf("%s is %s", url, e.State)
			}
		}
		if (e.State == "done") != results[url] {
			o.t.Errorf("%s is %s; stored: %t", url, e.State, results[url])
		}
	}
}

// finish lets a process without faults come to the end, with every page stored once.
func (o *ordeal) finish() {
	o.t.Helper()
	o.process(proceed)
	s := o.check()
	if o.killed || o.failed != "" || s.Waiting != 0 || s.Leased != 0 || s.Fetched != int64(o.web.size()) {
		o.t.Fatalf("killed %t, failed %q; %d fetched, %d waiting at the end; want %d and 0", o.killed, o.failed, s.Fetched, s.Waiting, o.web.size())
	}
}

// TestDiskFullForAWhile fills the disk for two calls of the crawl, which waits for room and goes on by itself. One that comes when there
// is nothing to wait with yet fails, and the job is resumed.
func TestDiskFullForAWhile(t *testing.T) {
	t.Setenv(victimPatient, "yes")
	web := startCrashWeb(t, 2, 20)
	for _, archives := range []bool{false, true} {
		waited := 0
		for at := 20; at <= 80; at += 12 {
			o := newOrdeal(t, web, archives)
			refused := 0
			o.process(func(n int, op faultfile.Op) faultfile.Verdict {
				if n >= at && op.Kind == faultfile.Write && refused < 2 {
					if refused++; refused == 1 {
						return faultfile.FailShort(syscall.ENOSPC)
					}
					return faultfile.Fail(syscall.ENOSPC)
				}
				return faultfile.Proceed
			})
			if o.failed == "" {
				waited++
			} else if !strings.Contains(o.failed, syscall.ENOSPC.Error()) {
				t.Errorf("%s; want an error that tells of the full disk", o.failed)
			}
			o.check()
			o.finish()
		}
		if waited == 0 {
			t.Error("no crawl waited for room")
		}
	}
}

// TestArchiveSyncFails makes syncs of a crawl with archives fail, of which nobody then knows what they have made durable: it writes that
// again and goes on, and what it says is stored survives that the power fails.
func TestArchiveSyncFails(t *testing.T) {
	t.Setenv(victimPatient, "yes")
	random := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0))
	web := startCrashWeb(t, 2, 60)
	for at := 1; at <= 3; at++ {
		o := newOrdeal(t, web, true)
		syncs, end := 0, 0
		o.process(func(n int, op faultfile.Op) faultfile.Verdict {
			switch {
			case op.Kind == faultfile.Sync && strings.Contains(op.Name, "/warc/"):
				if syncs++; syncs == at {
					end = n + 40
					return faultfile.Fail(syscall.EIO)
				}
			case end > 0 && n >= end:
				return faultfile.Kill
			}
			return faultfile.Proceed
		})
		if syncs <= at || o.failed != "" {
			t.Errorf("%d syncs of archives, of which the %dth failed, and then %q", syncs, at, o.failed)
		}
		if err := o.disk.LosePower(random); err != nil {
			t.Fatal(err)
		}
		o.check()
		o.finish()
	}
}

func proceed(int, faultfile.Op) faultfile.Verdict { return faultfile.Proceed }

// rounds is a number of rounds: as the environment says, all of them on a build server, which sets CI, or a tenth, also with
// the race detector, which has no more to find in the others.
func rounds(t *testing.T, all int) int {
	t.Helper()
	text := os.Getenv("CRAWLER_CRASHES")
	switch {
	case text != "":
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		return n
	case os.Getenv("CI") != "" && !raceDetector:
		return all
	default:
		return all / 10
	}
}

// TestCrashes ends crawls before a random one of their calls on the database, by a kill or by a power failure that loses what was not
// synced. CRAWLER_CRASHES=5000 does so that often.
func TestCrashes(t *testing.T) { testCrashes(t, false, rounds(t, 200)) }

// TestCrashesWithArchives is TestCrashes for crawls with archives: what is stored is archived.
func TestCrashesWithArchives(t *testing.T) { testCrashes(t, true, rounds(t, 100)) }

func testCrashes(t *testing.T, archives bool, kills int) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	web := startCrashWeb(t, 4, 300)
	o := newOrdeal(t, web, archives)
	for n := range kills {
		at := 1 + random.IntN(60)
		if random.IntN(3) == 0 {
			at = 1 + random.IntN(1000)
		}
		o.process(func(n int, _ faultfile.Op) faultfile.Verdict {
			if n >= at {
				return faultfile.Kill
			}
			return faultfile.Proceed
		})
		if o.killed && random.IntN(2) == 0 {
			if err := o.disk.LosePower(random); err != nil {
				t.Fatal(err)
			}
		}
		s := o.check()
		if t.Failed() {
			t.Fatalf("in round %d, killed before call %d", n, at)
		}
		if !o.killed {
			if s.Fetched != int64(web.size()) || s.Waiting != 0 {
				t.Fatalf("in round %d the crawl ended with %d pages, %d waiting, %s", n, s.Fetched, s.Waiting, o.failed)
			}
			o = newOrdeal(t, web, archives)
		}
	}
	o.finish()
}

// TestPowerFailsAfterKill kills a process that has written the page that makes a transaction count and not synced it, and cuts the power of
// the next one, which builds upon that transaction, before it has synced anything that it wrote itself.
func TestPowerFailsAfterKill(t *testing.T) {
	const metaPages = 2 * 4096 // their offsets are below
	random := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0))
	web := startCrashWeb(t, 2, 300)
	o := newOrdeal(t, web, false)
	for rounds := 0; rounds < 10; {
		meta := false
		o.process(func(n int, op faultfile.Op) faultfile.Verdict {
			if meta && op.Kind == faultfile.Sync && n > 20 {
				return faultfile.Kill
			}
			meta = op.Kind == faultfile.Write && op.Offset < metaPages
			return faultfile.Proceed
		})
		first := o.killed
		written := false
		o.process(func(_ int, op faultfile.Op) faultfile.Verdict {
			if written && op.Kind == faultfile.Sync {
				return faultfile.Kill
			}
			written = written || op.Kind == faultfile.Write
			return faultfile.Proceed
		})
		if !first || !o.killed { // the crawl has ended
			o.finish()
			o = newOrdeal(t, web, false)
			continue
		}
		if err := o.disk.LosePower(random); err != nil {
			t.Fatal(err)
		}
		if o.check(); t.Failed() {
			t.Fatalf("in round %d", rounds)
		}
		rounds++
	}
	o.finish()
}

// TestDiskFaults makes each call on the database in turn fail, once as a disk that breaks and once as one that is full from then on: the
// crawl ends with a typed error, nothing is damaged, and with a sound disk it goes on.
func TestDiskFaults(t *testing.T) { testDiskFaults(t, false) }

// TestDiskFaultsWithArchives is TestDiskFaults for crawls with archives, of which some faults are mended at once: an archive
// that could not be completed is later.
func TestDiskFaultsWithArchives(t *testing.T) { testDiskFaults(t, true) }

func testDiskFaults(t *testing.T, archives bool) {
	web := startCrashWeb(t, 2, 20)
	whole := newOrdeal(t, web, archives)
	whole.finish()
	t.Logf("%d calls in all", whole.ops)
	random := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0))
	step := max(1, 200/rounds(t, 200))
	for _, fault := range []struct {
		name   string
		decide func(n, at int) faultfile.Verdict
		power  bool // fails afterwards
	}{
		{"broken", func(n, at int) faultfile.Verdict {
			if n == at {
				return faultfile.Fail(syscall.EIO)
			}
			return faultfile.Proceed
		}, true},
		{"full", func(n, at int) faultfile.Verdict {
			switch {
			case n == at:
				return faultfile.FailShort(syscall.ENOSPC)
			case n > at:
				return faultfile.Fail(syscall.ENOSPC)
			default:
				return faultfile.Proceed
			}
		}, false},
	} {
		t.Run(fault.name, func(t *testing.T) {
			for at := 1; at <= whole.ops; at += step {
				o := newOrdeal(t, web, archives)
				o.process(func(n int, _ faultfile.Op) faultfile.Verdict { return fault.decide(n, at) })
				if o.ops >= at && o.failed == "" && !archives {
					t.Errorf("call %d failed and the crawl did not", at)
				}
				o.check()
				if fault.power {
					if err := o.disk.LosePower(random); err != nil {
						t.Fatal(err)
					}
					o.check()
				}
				o.finish()
				if t.Failed() {
					t.Fatalf("when call %d failed", at)
				}
			}
		})
	}
}
