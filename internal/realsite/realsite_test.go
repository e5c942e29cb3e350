//go:build realsite

package realsite

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

const docs = "/usr/share/doc/postgresql-doc-15/html"

// A crawl from the index page gives every page of the site, each fetched once and recorded once, and nothing else.
func TestCrawl(t *testing.T) {
	crawl := build(t)
	site := serve(t, docs)
	job := filepath.Join(t.TempDir(), "job")

	began := time.Now()
	run(t, crawl, "run", "--job", job, "--delay", "0", "--allow-private", "--quiet", site.url+"/index.html")
	t.Logf("crawled in %v", time.Since(began))
	run(t, crawl, "check", job)

	want := make(map[string]int)
	for _, name := range pages(t, docs) {
		want["/"+name] = 1
	}
	exported := make(map[string]int)
	for _, line := range lines(run(t, crawl, "export", job, "--format", "urls")) {
		exported[strings.TrimPrefix(line, site.url)]++
	}
	compare(t, "exported URLs", want, exported)
	compare(t, "exported pages", want, exportedPages(t, site, run(t, crawl, "export", job, "--format", "jsonl")))

	requests, rest := site.requests(t)
	compare(t, "requests answered with a page", want, requests)
	// There is no robots.txt, and whether a site has one is asked once.
	compare(t, "other requests", map[string]int{"404 GET /robots.txt": 1}, rest)
	t.Logf("%d pages", len(want))

	// A finished job has nothing left to do.
	run(t, crawl, "run", "--job", job, "--delay", "0", "--allow-private", "--quiet")
	again, _ := site.requests(t)
	compare(t, "requests after the job was run again", want, again)
}

// build builds the command and returns its path.
func build(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "crawl")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", path, "github.com/orbweaver/orbweaver/cmd/crawl").CombinedOutput()
	if err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return path
}

// run runs the command to its good end and returns its standard output.
func run(t *testing.T, crawl string, args ...string) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, crawl, args...)
	cmd.Dir = t.TempDir()
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("crawl %s: %v\n%s", strings.Join(args, " "), err, stderr.Bytes())
	}
	return stdout.Bytes()
}

// pages returns the names of the HTML files in a folder.
func pages(t *testing.T, dir string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*.html"))
	if err != nil {
		t.Fatal(err)
	}
	if len(paths) < 1000 { // the package has 1,169
		t.Fatalf("%s has %d pages: the package postgresql-doc-15 is missing or installed without its documentation", dir, len(paths))
	}
	for i := range paths {
		paths[i] = filepath.Base(paths[i])
	}
	return paths
}

func lines(out []byte) []string {
	return strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
}

// exportedPages counts the paths of the records that are an HTML page with status 200.
func exportedPages(t *testing.T, site *nginx, jsonl []byte) map[string]int {
	t.Helper()
	paths := make(map[string]int)
	for _, line := range lines(jsonl) {
		var r struct {
			URL         string `json:"url"`
			FinalURL    string `json:"final_url"`
			Status      int    `json:"status"`
			ContentType string `json:"content_type"`
			Title       string `json:"title"`
			Bytes       int64  `json:"bytes"`
			Truncated   bool   `json:"truncated"`
			Error       string `json:"error"`
		}
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		path := strings.TrimPrefix(r.URL, site.url)
		file, err := os.Stat(filepath.Join(docs, path))
		if err != nil {
			t.Fatal(err)
		}
		if r.Status != 200 || r.ContentType != "text/html" || r.Bytes != file.Size() || r.FinalURL != r.URL ||
			r.Title == "" || r.Truncated || r.Error != "" {
			t.Errorf("not the page as served: %s", line)
		}
		paths[path]++
	}
	return paths
}

// compare reports the keys whose counts differ.
func compare(t *testing.T, what string, want, got map[string]int) {
	t.Helper()
	keys := maps.Clone(want)
	maps.Copy(keys, got)
	var diff []string
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		if want[key] != got[key] {
			diff = append(diff, fmt.Sprintf("%s: %d times, want %d", key, got[key], want[key]))
		}
	}
	if len(diff) > 0 {
		t.Errorf("%s: %d differ:\n%s", what, len(diff), strings.Join(diff[:min(len(diff), 20)], "\n"))
	}
}

// nginx is a running nginx.
type nginx struct {
	url string
	log string // path of its access log: status, method and path of each request
}

// serve serves a folder by nginx on a free port of loopback until the test ends.
func serve(t *testing.T, root string) *nginx {
	t.Helper()
	path, err := exec.LookPath("nginx")
	if err != nil {
		path = "/usr/sbin/nginx" // often not in the PATH of those who are not root
	}
	// nginx gives up root for its workers, and they have to reach their folders.
	dir, err := os.MkdirTemp("", "realsite")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()

	config := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(config, fmt.Appendf(nil, `
daemon off;
pid %[1]s/pid;
error_log stderr warn;
events {}
http {
	include /etc/nginx/mime.types;
	log_format requests '$status $request_method $request_uri';
	access_log %[1]s/access.log requests;
	client_body_temp_path %[1]s/body;
	proxy_temp_path %[1]s/proxy;
	fastcgi_temp_path %[1]s/fastcgi;
	uwsgi_temp_path %[1]s/uwsgi;
	scgi_temp_path %[1]s/scgi;
	gzip on;
	server {
		listen %[2]s;
		root %[3]s;
	}
}
`, dir, address, root), 0o644); err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd := exec.Command(path, "-p", dir, "-c", config, "-e", "stderr")
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatalf("nginx-light is needed: %v", err)
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	t.Cleanup(func() {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
		if err := <-exited; err != nil {
			t.Errorf("nginx: %v\n%s", err, stderr.Bytes())
		}
	})
	n := &nginx{url: "http://" + address, log: filepath.Join(dir, "access.log")}
	for range 200 { // until it answers
		resp, err := http.Head(n.url + "/index.html")
		if err == nil {
			resp.Body.Close()
			return n
		}
		time.Sleep(25 * time.Millisecond)
	}
	t.Fatal("nginx does not answer")
	return nil
}

// requests counts what was asked for with GET: the paths that were answered with a page, and all the rest.
func (n *nginx) requests(t *testing.T) (pages, rest map[string]int) {
	t.Helper()
	f, err := os.Open(n.log)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	pages, rest = make(map[string]int), make(map[string]int)
	in := bufio.NewScanner(f)
	for in.Scan() {
		path, isPage := strings.CutPrefix(in.Text(), "200 GET ")
		switch {
		case isPage:
			pages[path]++
		case !strings.Contains(in.Text(), " HEAD "): // serve's own
			rest[in.Text()]++
		}
	}
	if err := in.Err(); err != nil {
		t.Fatal(err)
	}
	return pages, rest
}
