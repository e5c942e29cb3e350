package parquet

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/orbweaver/orbweaver/storage"
	"github.com/orbweaver/orbweaver/storage/export"
)

// Options say what is written. The zero value writes all records.
type Options struct {
	// Where selects records; nil: all.
	Where *export.Filter

	// After leaves out the records with a Seq up to it.
	After uint64

	// GroupRows is the number of rows in a row group; 0: 10,000.
	GroupRows int
}

const defaultGroupRows = 10_000

// row is a record as it is written.
type row struct {
	URL         string    `parquet:"url"`
	Status      int32     `parquet:"status"`
	FinalURL    string    `parquet:"final_url"`
	ContentType string    `parquet:"content_type,dict"`
	Depth       int64     `parquet:"depth"`
	Referrer    string    `parquet:"referrer"`
	FetchedAt   time.Time `parquet:"fetched_at,timestamp(microsecond)"`
	DurationMS  int64     `parquet:"duration_ms"`
	Bytes       int64     `parquet:"bytes"`
	Title       string    `parquet:"title"`
	Links       int64     `parquet:"links"`
	Truncated   bool      `parquet:"truncated"`
	Error       string    `parquet:"error"`
	ErrorClass  string    `parquet:"error_class,dict"`
	Host        string    `parquet:"host,dict"`
	Label       string    `parquet:"label,dict"`
	Attempts    int64     `parquet:"attempts"`
	Redirects   int64     `parquet:"redirects"`
	Proto       string    `parquet:"proto,dict"`
	Charset     string    `parquet:"charset,dict"`
	Encoding    string    `parquet:"encoding,dict"`
	WireBytes   int64     `parquet:"wire_bytes"`
	Seq         int64     `parquet:"seq"`
	Kind        string    `parquet:"kind,dict"`
	Rel         string    `parquet:"rel,dict"`
	Robots      string    `parquet:"robots,dict"`
	Change      string    `parquet:"change,dict"`
}

// fill makes w the row of r. Bytes that are not UTF-8 become U+FFFD.
func (w *row) fill(r *storage.Record) {
	*w = row{
		URL: text(r.URL), Status: int32(min(max(r.Status, 0), 1<<30)), FinalURL: text(r.FinalURL), ContentType: text(r.ContentType),
		Depth: int64(r.Depth), Referrer: text(r.Referrer), FetchedAt: r.FetchedAt.UTC(), DurationMS: r.Duration.Milliseconds(),
		Bytes: r.Bytes, Title: text(r.Title), Links: int64(r.Links), Truncated: r.Truncated, Error: text(r.Error),
		ErrorClass: text(r.ErrorClass), Host: text(r.Host), Label: text(r.Label), Attempts: int64(r.Attempts),
		Redirects: int64(r.Redirects), Proto: text(r.Proto), Charset: text(r.Charset), Encoding: text(r.Encoding),
		WireBytes: r.WireBytes, Seq: int64(r.Seq), Kind: text(r.Kind), Rel: text(r.Rel), Robots: text(r.Robots), Change: r.Change.String(),
	}
}

func text(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

// Records writes the records of s to w as one file and returns how many it wrote.
// After an error w has no file that can be read.
func Records(ctx context.Context, w io.Writer, s storage.Store, opts Options) (n int, err error) {
	if opts.GroupRows < 0 {
		return 0, fmt.Errorf("parquet: Options.GroupRows is negative: %d", opts.GroupRows)
	}
	if opts.GroupRows == 0 {
		opts.GroupRows = defaultGroupRows
	}
	out := parquet.NewGenericWriter[row](w, parquet.Compression(&parquet.Zstd), parquet.MaxRowsPerRowGroup(int64(opts.GroupRows)))
	one := make([]row, 1)
	for r, err := range s.Records(ctx, opts.After) {
		if err != nil {
			return n, fmt.Errorf("parquet: %w", err)
		}
		if !opts.Where.Match(r) {
			continue
		}
		one[0].fill(r)
		if _, err := out.Write(one); err != nil {
			return n, fmt.Errorf("parquet: %w", err)
		}
		n++
	}
	if err := out.Close(); err != nil {
		return n, fmt.Errorf("parquet: %w", err)
	}
	return n, nil
}
