package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/orbweaver/orbweaver/internal/simweb"
)

// webSpec is one of the webs that contenders are measured on.
type webSpec struct {
	name         string
	hosts, bytes int
	pages        int // over all hosts; startWeb rounds down to as many for each
	tls          bool
	connRequests int      // 0: connections are kept
	unlisted     bool     // no list of all URLs is made, of a web that is too large for one
	taped        bool     // its pages are recorded, for offliners
	only         []string // contenders; empty: all but those elsewhere
}

var (
	// ours are the floor, the client alone, and the crawls.
	ours = []string{"bare", "session", "crawl", "no-bodies"}

	// handshakers show what new connections cost, with and without resumption of sessions.
	handshakers = []string{"bare", "resuming", "session", "forgetful", "crawl"}

	// offliners have the pages in memory, which leaves both cores of a small machine to them.
	offliners = []string{"one-core", "two-cores"}

	// elsewhere are those that run only on webs that name them.
	elsewhere = []string{"resuming", "forgetful", "thousand", "one-core", "two-cores"}

	// A round over all webs takes about five minutes on a quiet machine of 2026. What fewer rounds can do without comes last.
	webs = []webSpec{
		{name: "usual", hosts: 100, bytes: 30_000, pages: 12_000},
		{name: "offline", hosts: 500, bytes: 30_000, pages: 30_000, taped: true, only: offliners},
		{name: "small pages", hosts: 100, bytes: 12_000, pages: 12_000, only: append(ours, "thousand")},
		// A host costs a connection and its robots.txt, whatever its pages do: four pages each would measure that.
		{name: "many hosts", hosts: 10_000, bytes: 30_000, pages: 100_000, only: []string{"bare", "crawl"}},
		{name: "large pages", hosts: 100, bytes: 140_000, pages: 4_000, only: ours},
		{name: "one host", hosts: 1, bytes: 30_000, pages: 12_000, only: ours},
		{name: "TLS", hosts: 100, bytes: 30_000, pages: 10_000, tls: true, only: ours},
		{name: "short connections", hosts: 100, bytes: 30_000, pages: 6_000, tls: true, connRequests: 4, only: handshakers},
	}
)

// wants tells whether a contender is of interest on this web.
func (s webSpec) wants(name string) bool {
	if len(s.only) == 0 {
		return !slices.Contains(elsewhere, name)
	}
	return slices.Contains(s.only, name)
}

func (s webSpec) title() string {
	hosts := fmt.Sprintf("%d hosts", s.hosts)
	if s.hosts == 1 {
		hosts = "one host"
	}
	text := fmt.Sprintf("%s: %d pages of %d KB with %d links, gzip, %s", s.name, s.pages, s.bytes/1000, links, hosts)
	if s.tls {
		text += ", TLS"
	}
	if s.connRequests > 0 {
		text += fmt.Sprintf(", connections closed after %d requests", s.connRequests)
	}
	return text
}

const (
	links       = 50
	concurrency = 64

	serverCore = 1 // of the web; contenders run on the other
	crawlCore  = 0
)

// web is a running test web.
type web struct {
	spec    webSpec // with the pages that it really has
	cmd     *exec.Cmd
	control string
	seeds   string // file with a seed for each host
	urls    string // file with all URLs
	ca      string // file with the certificate to trust; empty without TLS
}

// startWeb serves the web from a process of its own.
func startWeb(ctx context.Context, tools tools, spec webSpec, dir string) (*web, error) {
	perHost := max(1, spec.pages/spec.hosts)
	spec.pages = perHost * spec.hosts
	w := &web{spec: spec, seeds: filepath.Join(dir, "seeds.txt"), urls: filepath.Join(dir, "urls.txt")}
	args := []string{
		"-hosts", strconv.Itoa(spec.hosts), "-pages", strconv.Itoa(perHost), "-links", strconv.Itoa(links),
		"-bytes", strconv.Itoa(spec.bytes), "-gzip", "-conn-requests", strconv.Itoa(spec.connRequests),
	}
	if spec.tls {
		w.ca = filepath.Join(dir, "ca.pem")
		args = append(args, "-tls", "-ca", w.ca)
	}
	w.cmd = exec.Command(tools.simwebd, args...)
	w.cmd.Stderr = os.Stderr
	stdout, err := w.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := startOn(1, serverCore, w.cmd); err != nil {
		return nil, err
	}
	if err := w.greet(ctx, stdout); err != nil {
		return nil, errors.Join(err, w.stop())
	}
	return w, nil
}

// greet reads what simwebd prints until it is ready, and writes the files that contenders read.
func (w *web) greet(ctx context.Context, stdout io.Reader) error {
	lines := bufio.NewScanner(stdout)
	var seeds strings.Builder
	for lines.Scan() && lines.Text() != "# ready" {
		if control, ok := strings.CutPrefix(lines.Text(), "# control "); ok {
			w.control = control
			continue
		}
		seeds.WriteString(lines.Text() + "\n")
	}
	if w.control == "" || seeds.Len() == 0 {
		return errors.New("simwebd did not start")
	}
	if err := os.WriteFile(w.seeds, []byte(seeds.String()), 0o644); err != nil {
		return err
	}
	if w.spec.unlisted {
		return nil
	}
	list, err := w.ask(ctx, http.MethodGet, "/urls")
	if err != nil {
		return err
	}
	if err := os.WriteFile(w.urls, list, 0o644); err != nil || !w.spec.taped {
		return err
	}
	return recordTape(ctx, filepath.Dir(w.urls), strings.Fields(string(list)), strings.Fields(seeds.String()))
}

// ask calls the web's control handler.
func (w *web) ask(ctx context.Context, method, path string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, w.control+path, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", path, resp.Status)
	}
	return body, err
}

func (w *web) counts(ctx context.Context) (c simweb.Counts, err error) {
	text, err := w.ask(ctx, http.MethodGet, "/counts")
	if err == nil {
		err = json.Unmarshal(text, &c)
	}
	return c, err
}

func (w *web) stop() error {
	http.DefaultClient.CloseIdleConnections()
	if err := w.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	return w.cmd.Wait()
}

// measure runs a contender once, from a fresh start of the web's counters, with an empty directory for what it stores.
func (w *web) measure(ctx context.Context, c contender, tools tools, job string, patience time.Duration) (measured, error) {
	if _, err := w.ask(ctx, http.MethodPost, "/reset"); err != nil {
		return measured{}, err
	}
	if err := os.MkdirAll(job, 0o755); err != nil {
		return measured{}, err
	}
	if c.most > 0 {
		patience = min(patience, c.most)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	args, err := c.args(tools, w, job)
	if err != nil {
		return measured{}, err
	}
	cmd := w.command(ctx, args, job)
	var output bytes.Buffer
	var complaints tail
	cmd.Stderr = &complaints
	if c.counts {
		cmd.Stdout = &output
	}
	began := time.Now()
	if err := startOn(max(1, c.cores), crawlCore, cmd); err != nil {
		return measured{}, err
	}
	err = cmd.Wait()
	m := measured{wall: time.Since(began), stopped: ctx.Err() != nil}
	if err != nil && !m.stopped && !c.mayFail {
		return m, fmt.Errorf("%w\n%s", err, complaints.text)
	}
	if m.stopped && !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return m, ctx.Err()
	}
	usage := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	m.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	m.rss = usage.Maxrss << 10
	if m.disk, err = diskUsage(job); err != nil {
		return m, err
	}
	if c.counts {
		var t taped
		err := json.Unmarshal(output.Bytes(), &t)
		m.counts, m.wall = t.Counts, t.Took
		return m, err
	}
	m.counts, err = w.counts(context.WithoutCancel(ctx))
	return m, err
}

// command is a program that fetches from the web, and is asked to end when ctx does.
func (w *web) command(ctx context.Context, args []string, dir string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir = dir
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 20 * time.Second
	cmd.Env = append(os.Environ(), "GOMAXPROCS=", "CRAWL_JOB=")
	if w.ca != "" {
		cmd.Env = append(cmd.Env, "SSL_CERT_FILE="+w.ca)
	}
	return cmd
}

// tail keeps the end of what a contender complains of.
type tail struct{ text []byte }

func (t *tail) Write(b []byte) (int, error) {
	t.text = append(t.text, b...)
	t.text = t.text[max(0, len(t.text)-4096):]
	return len(b), nil
}
