//go:build warcio

package warcio

import (
	"bufio"
	"bytes"
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/orbweaver/orbweaver/crawler"
	"github.com/orbweaver/orbweaver/httpclient"
	"github.com/orbweaver/orbweaver/internal/simweb"
	"github.com/orbweaver/orbweaver/internal/warccheck"
	"github.com/orbweaver/orbweaver/storage"
	"github.com/orbweaver/orbweaver/storage/warc"
)

// told is what read.mjs says of a record, or a line of its index.
type told struct {
	File, Type, URL, Block, Method, Content, Index string
	Status                                         int
	Offset, Length                                 int64
}

func readByWarcio(t *testing.T, files ...string) (records []told, index []warc.Entry) {
	t.Helper()
	dir := os.Getenv("WARCIO")
	if dir == "" {
		t.Fatal("WARCIO is not set: see the package's comment")
	}
	cmd := exec.Command("node", append([]string{filepath.Join(dir, "read.mjs")}, files...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("read.mjs: %v", err)
	}
	lines := bufio.NewScanner(bytes.NewReader(out))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var line told
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Fatal(err)
		}
		if line.Index == "" {
			records = append(records, line)
			continue
		}
		e, err := warc.ParseEntry([]byte(line.Index))
		if err != nil {
			t.Fatal(err)
		}
		index = append(index, e)
	}
	return records, index
}

// TestBothKinds crawls a web that compresses, redirects, fails and cuts its pages
// into chunks, and has all that was archived read.
func TestBothKinds(t *testing.T) {
	web, err := simweb.Start(simweb.Config{Hosts: 3, Pages: 40, Links: 8, Gzip: true, RedirectRate: 0.2, BrokenRate: 0.2, Zoo: true})
	if err != nil {
		t.Fatal(err)
	}
	defer web.Close()
	dir := filepath.Join(t.TempDir(), "job")
	seeds := web.Seeds()
	for _, path := range []string{"chain/20", "hangup", "cookies", "untyped", "length-long", "chunk-cut", "gzip-cut"} {
		seeds = append(seeds, "http://"+web.Host(0)+"/zoo/"+path)
	}
	c, err := crawler.New(crawler.Config{
		Dir: dir, Seeds: seeds, Delay: crawler.NoDelay, MaxDepth: 6, Retries: -1, MaxPages: 400, Timeout: 20 * time.Second,
		WARC: &crawler.WARC{MaxSize: 300_000},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	job, err := crawler.OpenJob(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer job.Close()

	t.Run("during the crawl", func(t *testing.T) {
		files, err := filepath.Glob(filepath.Join(dir, "warc", "*.warc.gz"))
		if err != nil || len(files) < 2 {
			t.Fatal(files, err)
		}
		var index bytes.Buffer
		if _, err := warc.Index(t.Context(), &index, filepath.Join(dir, "warc")); err != nil {
			t.Fatal(err)
		}
		wantRead(t, job.Store(), files, index.Bytes(), []string{"warcinfo", "response", "revisit", "request", "metadata"})
	})
	t.Run("afterwards", func(t *testing.T) {
		file, err := os.Create(filepath.Join(t.TempDir(), "pages.warc.gz"))
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		var index bytes.Buffer
		if _, err := warc.Export(t.Context(), file, job.Store(), warc.ExportOptions{Requests: true, Index: &index}); err != nil {
			t.Fatal(err)
		}
		wantRead(t, job.Store(), []string{file.Name()}, index.Bytes(), []string{"warcinfo", "response", "revisit", "request", "metadata"})
	})
}

// wantRead has the files read by warcio and by our own means, and compares both with
// each other, with the job, and the index with warcio's.
func wantRead(t *testing.T, store storage.Store, files []string, index []byte, kinds []string) {
	t.Helper()
	records, theirs := readByWarcio(t, files...)
	seen := map[string]int{}
	contents := map[string]told{}
	for _, r := range records {
		seen[r.Type]++
		if r.Type == "response" {
			contents[r.URL] = r
		}
		if r.Type == "request" && r.Method != "GET" {
			t.Errorf("%s: method %q", r.URL, r.Method)
		}
	}
	for _, kind := range kinds {
		if seen[kind] == 0 {
			t.Errorf("no %s records: %v", kind, seen)
		}
	}
	t.Logf("%d files: %v", len(files), seen)

	// The same records as the other reader finds, at the same places.
	var ours []told
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		recs, err := warccheck.Read(data)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range recs {
			ours = append(ours, told{File: filepath.Base(name), Type: r.Type, URL: r.URI, Block: r.Header.Get("WARC-Block-Digest"), Offset: r.Offset, Length: r.Length})
		}
	}
	if len(ours) != len(records) {
		t.Fatalf("warcio reads %d records of %d", len(records), len(ours))
	}
	for i, r := range records {
		r.Method, r.Content, r.Status = "", "", 0
		if r != ours[i] {
			t.Errorf("warcio reads %+v, want %+v", r, ours[i])
		}
	}

	// The pages as the job has them, decoded by warcio.
	compared := 0
	for r, err := range store.Records(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		got, found := contents[r.URL]
		if !found || r.ErrorClass != "" {
			continue // a revisit, or what was cut
		}
		body, err := store.Body(t.Context(), r.Seq)
		if err != nil && !errors.Is(err, storage.ErrNotFound) { // an empty one is not kept
			t.Fatal(err)
		}
		if body, err = httpclient.Decode(nil, body, r.Encoding, 0); err != nil {
			t.Fatal(err)
		}
		sum := sha1.Sum(body)
		if got.Status != r.Status || got.Content != hex.EncodeToString(sum[:]) {
			t.Errorf("%s: warcio has status %d and other content than the job, %d", r.URL, got.Status, r.Status)
		}
		compared++
	}
	if compared < 100 {
		t.Errorf("only %d pages were compared", compared)
	}
	wantIndex(t, index, theirs)
}

// wantIndex compares an index with the one that warcio makes of the same files.
func wantIndex(t *testing.T, index []byte, theirs []warc.Entry) {
	t.Helper()
	line := func(e warc.Entry) string {
		mime := e.MIME
		if mime == "unk" {
			mime = ""
		}
		key := strings.TrimSuffix(e.Key, "/") // which warcio leaves
		return fmt.Sprintln(key, e.Date.UTC().Format(time.DateTime), e.URL, mime, e.Status, e.Digest, e.Offset, e.Length, e.Filename)
	}
	var want, got []string
	for _, e := range theirs {
		want = append(want, line(e))
	}
	for text := range bytes.Lines(index) {
		e, err := warc.ParseEntry(text)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, line(e))
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		for i := range min(len(got), len(want)) {
			if got[i] != want[i] {
				t.Errorf("%d lines, warcio has %d; the first other one is\n%swarcio has\n%s", len(got), len(want), got[i], want[i])
				return
			}
		}
		t.Errorf("%d lines, warcio has %d", len(got), len(want))
	}
}
