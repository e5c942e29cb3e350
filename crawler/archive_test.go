package crawler_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/orbweaver/orbweaver/crawler"
	"github.com/orbweaver/orbweaver/httpclient"
	"github.com/orbweaver/orbweaver/internal/simweb"
	"github.com/orbweaver/orbweaver/internal/warccheck"
	"github.com/orbweaver/orbweaver/storage"
	"github.com/orbweaver/orbweaver/storage/warc"
)

// archived reads the archives of a job, by other means than the package that wrote
// them.
func archived(t *testing.T, dir string) (all []warccheck.Record) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.warc.gz"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		recs, err := warccheck.Read(data)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if len(recs) == 0 || recs[0].Type != "warcinfo" {
			t.Errorf("%s does not begin with a warcinfo record", name)
		}
		all = append(all, recs...)
	}
	if open, _ := filepath.Glob(filepath.Join(dir, "*.open")); len(open) > 0 {
		t.Errorf("%v are left", open)
	}
	return all
}

// wantArchived compares what a job stores with the newest response of each URL in
// its archives.
func wantArchived(t *testing.T, store storage.Store, recs []warccheck.Record) {
	t.Helper()
	responses := map[string]*warccheck.Record{}
	requests := map[string]bool{}
	payloads := map[string][]byte{}
	for i := range recs {
		switch rec := &recs[i]; rec.Type {
		case "response", "revisit":
			if old := responses[rec.URI]; old == nil || !rec.Date.Before(old.Date) {
				responses[rec.URI] = rec
			}
			if rec.Type == "response" {
				payloads[rec.URI+" "+rec.Header.Get("WARC-Date")] = rec.Payload
			}
		case "request":
			requests[rec.Header.Get("WARC-Concurrent-To")] = true
		}
	}
	for r, err := range store.Records(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		if r.Status == 0 {
			continue
		}
		rec := responses[r.URL]
		if rec == nil {
			t.Errorf("%s is stored and not archived", r.URL)
			continue
		}
		if !bytes.HasPrefix(rec.Block, r.Head) || !rec.Date.Equal(r.FetchedAt) || !requests[rec.ID] {
			t.Errorf("%s: archived %v %.50q, request %v; stored %v %.50q", r.URL, rec.Date, rec.Block, requests[rec.ID], r.FetchedAt, r.Head)
		}
		body, err := store.Body(t.Context(), r.Seq)
		if err != nil && !errors.Is(err, storage.ErrNotFound) {
			t.Fatal(err)
		}
		payload := rec.Payload
		if rec.Type == "revisit" {
			var found bool
			payload, found = payloads[rec.Header.Get("WARC-Refers-To-Target-URI")+" "+rec.Header.Get("WARC-Refers-To-Date")]
			if !found {
				t.Errorf("%s: a revisit of what is not there: %v", r.URL, rec.Header)
			}
		}
		cut := rec.Header.Get("WARC-Truncated") != ""
		if !cut && r.ErrorClass == "" && body != nil && !bytes.Equal(payload, body) || cut && !r.Truncated {
			t.Errorf("%s: %d bytes are archived, truncated %v; %d are stored, truncated %v", r.URL, len(payload), cut, len(body), r.Truncated)
		}
	}
}

func TestArchive(t *testing.T) {
	web := startWeb(t, simweb.Config{
		Hosts: 3, Pages: 20, Links: 5, Gzip: true, RedirectRate: 0.2, BrokenRate: 0.2, ErrorRate: 0.1, Sitemaps: true,
	})
	dir := filepath.Join(t.TempDir(), "job")
	cfg := crawler.Config{Dir: dir, Seeds: web.Seeds(), Timeout: 10 * time.Second, Retries: 1, WARC: &crawler.WARC{
		MaxSize: 100_000, Prefix: "test", Info: []warc.Field{{Name: "operator", Value: "nobody"}},
	}}
	s, job := run(t, cfg)
	recs := archived(t, filepath.Join(dir, "warc"))
	wantArchived(t, job.Store(), recs)
	kinds, statuses := map[string]int{}, map[string]int{}
	for _, rec := range recs {
		kinds[rec.Type]++
		if rec.Type == "response" {
			statuses[string(rec.Block[9:12])]++
		}
		if strings.HasSuffix(rec.URI, "/robots.txt") {
			kinds["robots of "+rec.Type]++
		}
		if rec.Type == "warcinfo" && !bytes.Contains(rec.Block, []byte("operator: nobody\r\n")) {
			t.Errorf("warcinfo %q", rec.Block)
		}
	}
	fetches := kinds["request"]
	if int64(fetches) < s.Fetched+s.Retried+3 || kinds["response"]+kinds["revisit"] != fetches || kinds["metadata"] != fetches ||
		kinds["warcinfo"] < 2 || kinds["robots of request"] != 3 || kinds["robots of metadata"] != 3 {
		t.Errorf("%v of %d fetched, %d retried", kinds, s.Fetched, s.Retried)
	}
	if statuses["200"] == 0 || statuses["301"]+statuses["302"]+statuses["303"]+statuses["307"]+statuses["308"] == 0 || statuses["500"]+statuses["502"]+statuses["503"] == 0 {
		t.Errorf("statuses %v", statuses)
	}
	var index bytes.Buffer
	if n, err := warc.Index(t.Context(), &index, filepath.Join(dir, "warc")); err != nil || int(n) != fetches {
		t.Errorf("%d lines in the index, %v", n, err)
	}
}

// TestArchiveZoo archives what no parser should be shown.
func TestArchiveZoo(t *testing.T) {
	web := startWeb(t, simweb.Config{Hosts: 1, Pages: 1, Links: 1, Zoo: true})
	var seeds []string
	for _, e := range simweb.Zoo() {
		if !strings.Contains(e.Path, "stall") && !strings.Contains(e.Path, "drip") && !strings.Contains(e.Path, "maze") {
			seeds = append(seeds, strings.TrimSuffix(web.Seeds()[0], "/")+e.Path)
		}
	}
	dir := filepath.Join(t.TempDir(), "job")
	_, job := run(t, crawler.Config{
		Dir: dir, Seeds: seeds, NoFollow: true, PerHost: 8, Retries: -1, HostFailures: -1, MaxBody: 100_000, Timeout: 10 * time.Second, WARC: &crawler.WARC{Dedup: -1},
	})
	recs := archived(t, filepath.Join(dir, "warc"))
	wantArchived(t, job.Store(), recs)
	reasons := map[string]string{}
	for _, rec := range recs {
		if i := strings.Index(rec.URI, "/zoo/"); i >= 0 && rec.Type == "response" {
			reasons[rec.URI[i+5:]] = rec.Header.Get("WARC-Truncated")
		}
	}
	for path, want := range map[string]string{
		"endless": "length", "endless-close": "length", "endless-chunked": "length", "chunk-cut": "disconnect", "length-long": "disconnect",
		"hangup": "", "binary": "", "gzip-bad": "", "gzip-junk": "",
	} {
		if got, found := reasons[path]; got != want || !found {
			t.Errorf("%s: truncated %q, want %q (found %v)", path, got, want, found)
		}
	}
	if _, found := reasons["not-http"]; found {
		t.Error("what is not HTTP became a response")
	}
}

// TestArchiveRevisits: a payload that was archived by an earlier run is not archived
// again, and interim responses, chunks and what is not stored are no trouble.
func TestArchiveRevisits(t *testing.T) {
	var asked atomic.Int64
	address := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/robots.txt" {
			http.Redirect(w, r, "/robots2.txt", http.StatusFound)
			return
		}
		asked.Add(1)
		w.Header().Set("Link", "</x.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		for range 3 {
			fmt.Fprint(w, strings.Repeat("same ", 100))
			w.(http.Flusher).Flush()
		}
	})
	dir := filepath.Join(t.TempDir(), "job")
	for _, seed := range []string{"/1", "/2"} {
		runKeep(t, crawler.Config{Dir: dir, Seeds: []string{address + seed}, NoBodies: true, WARC: &crawler.WARC{Dir: "a/b", NoMetadata: true}})
	}
	var got []string
	for _, rec := range archived(t, filepath.Join(dir, "a/b")) {
		if rec.Type == "request" || rec.Type == "warcinfo" {
			continue
		}
		_, path, _ := strings.Cut(strings.TrimPrefix(rec.URI, "http://"), "/")
		got = append(got, fmt.Sprint(rec.Type, " ", path, " ", string(rec.Block[9:12]), " ", len(rec.Payload)))
	}
	want := []string{"response robots.txt 302", "response robots2.txt 200 1500", "response 1 200 1500", "revisit 2 200 0"}
	if len(got) != len(want) || asked.Load() != 3 {
		t.Fatalf("%q", got)
	}
	for i := range want {
		// The second of robots2.txt and 1 to be written is a revisit of the first.
		if i == 2 {
			want[i] = "revisit 1 200 0"
		}
		if !strings.HasPrefix(got[i], want[i]) {
			t.Errorf("%q, want %q", got[i], want[i])
		}
	}
}

func TestArchiveConfig(t *testing.T) {
	for _, cfg := range []crawler.Config{
		{WARC: &crawler.WARC{}},
		{Dir: "job", WARC: &crawler.WARC{Dir: "../x"}},
		{Dir: "job", WARC: &crawler.WARC{Dir: "/x"}},
		{Dir: "job", WARC: &crawler.WARC{MaxSize: -1}},
		{Dir: "job", WARC: &crawler.WARC{Level: 10}},
		{Dir: "job", WARC: &crawler.WARC{Prefix: "a/b"}},
	} {
		var wrong *crawler.ConfigError
		if _, err := crawler.New(cfg); !errors.As(err, &wrong) || wrong.Field != "WARC" {
			t.Errorf("%+v: %v", cfg.WARC, err)
		}
	}
}

// TestArchiveFails: a page that cannot be archived is not committed.
func TestArchiveFails(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "job")
	address := serve(t, func(w http.ResponseWriter, r *http.Request) {
		// The first response is archived after this: there is no folder for it then.
		os.RemoveAll(filepath.Join(dir, "warc"))
		html(w, "x")
	})
	c, err := crawler.New(crawler.Config{Dir: dir, Delay: crawler.NoDelay, Seeds: []string{address + "/"}, WARC: &crawler.WARC{}})
	if err != nil {
		t.Fatal(err)
	}
	s, err := c.Run(t.Context())
	var job *crawler.JobError
	if !errors.As(err, &job) || s.Ended != crawler.Failed || s.Fetched != 0 {
		t.Errorf("ended %v with %d pages, %v", s.Ended, s.Fetched, err)
	}
	_ = c.Close()
}

// TestArchiveHTTP2: a session that prefers HTTP/2 speaks HTTP/1.1 when it is
// archived, so that there are bytes on the wire to keep.
func TestArchiveHTTP2(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { html(w, r.Proto+r.URL.Path) }))
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	connector, err := httpclient.NewTCPConnector(httpclient.TCPConfig{Insecure: true})
	if err != nil {
		t.Fatal(err)
	}
	session, err := httpclient.New(httpclient.Config{Connector: connector, Version: httpclient.HTTP2})
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	dir := filepath.Join(t.TempDir(), "job")
	run(t, crawler.Config{Dir: dir, Seeds: []string{server.URL + "/"}, Session: session, NoBodies: true, WARC: &crawler.WARC{}})
	found := false
	for _, rec := range archived(t, filepath.Join(dir, "warc")) {
		if rec.Type != "response" || rec.URI != server.URL+"/" {
			continue
		}
		found = true
		if string(rec.Payload) != "HTTP/1.1/" || !slices.Equal(rec.Header["Warc-Protocol"], []string{"http/1.1", "tls/1.3"}) ||
			rec.Header.Get("WARC-Cipher-Suite") == "" || rec.Header.Get("WARC-IP-Address") != "127.0.0.1" || rec.Header.Get("WARC-Truncated") != "" {
			t.Errorf("%v %q", rec.Header, rec.Block)
		}
	}
	if !found {
		t.Error("there is no response")
	}
}
