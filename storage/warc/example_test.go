package warc_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/orbweaver/orbweaver/storage"
	"github.com/orbweaver/orbweaver/storage/memstore"
	"github.com/orbweaver/orbweaver/storage/warc"
)

func ExampleExport() {
	ctx := context.Background()
	store := memstore.New()
	if err := store.Append(ctx, []*storage.Record{
		{URL: "https://example.org/", Status: 200, ContentType: "text/plain", Body: []byte("Hello")},
		{URL: "https://example.net/", Error: "no such host"},
	}); err != nil {
		fmt.Println(err)
	}

	var archive bytes.Buffer
	n, err := warc.Export(ctx, &archive, store, warc.ExportOptions{})
	fmt.Println(n, err)

	r := warc.NewReader(&archive)
	for {
		rec, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%s %q\n", rec.Get("WARC-Type"), rec.Get("WARC-Target-URI"))
	}
	// Output:
	// 1 <nil>
	// warcinfo ""
	// response "https://example.org/"
	// metadata "https://example.org/"
}

// Archives beside a crawl: what went over the wire, durable before it counts.
func ExampleFiles() {
	dir, err := os.MkdirTemp("", "warc")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	files, err := warc.OpenFiles(dir, warc.FilesOptions{Prefix: "mine", Host: "here"})
	if err != nil {
		fmt.Println(err)
		return
	}
	for i, path := range []string{"/", "/again"} {
		err = errors.Join(err, files.Write(&warc.Exchange{
			URL:      "https://example.org" + path,
			Date:     time.Date(2026, 5, 1, 12, 0, i, 0, time.UTC),
			Request:  []byte("GET " + path + " HTTP/1.1\r\nHost: example.org\r\n\r\n"),
			Head:     []byte("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"),
			Body:     []byte("Hello"),
			Metadata: warc.FetchMetadata("", 0, 0, 40*time.Millisecond, ""),
		}))
	}
	fmt.Println(errors.Join(err, files.Sync(), files.Close()))

	var index bytes.Buffer
	n, err := warc.Index(context.Background(), &index, dir)
	fmt.Println(n, err)
	for line := range bytes.Lines(index.Bytes()) {
		e, err := warc.ParseEntry(line)
		fmt.Println(e.Key, e.MIME, err)
	}
	// Output:
	// <nil>
	// 2 <nil>
	// org,example)/ unk <nil>
	// org,example)/again warc/revisit <nil>
}
