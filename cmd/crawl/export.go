package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/orbweaver/orbweaver/crawler"
	"github.com/orbweaver/orbweaver/httpclient"
	"github.com/orbweaver/orbweaver/storage"
	"github.com/orbweaver/orbweaver/storage/export"
)

// exportCommand is "crawl export".
type exportCommand struct {
	Dir    string        `arg:"" optional:"" help:"The job's directory (${job})."`
	Format exportFormat  `default:"jsonl" placeholder:"FORMAT" help:"jsonl (an object a line), csv, urls; warc: WARC/1.1 of the responses, each record a gzip member, with request records made up from the URLs, for requests are not stored; cdxj: the index of the archives that the crawl wrote with --warc (${default})."`
	Output string        `short:"o" placeholder:"FILE" help:"Write to FILE, which appears when it is complete, instead of standard output."`
	Fields []exportField `placeholder:"NAME" help:"Only these fields, in this order. There are: ${fields}."`
	Where  whereFilter   `placeholder:"EXPR" help:"Only pages for which EXPR holds: fields compared by = != < <= > >=, ~ and !~ (regular expression) and contains, joined by and, or, not and parentheses, such as 'status >= 400 and not host ~ \"^www\"'. Values may be quoted, sizes (10k, 1MiB), durations (1.5s) and times (2026-05-01T12:00:00Z)."`
	Items  bool          `help:"Export what handlers emitted, as JSON lines, instead of pages."`
	Index  string        `placeholder:"FILE" help:"With --format warc: also write the archive's CDXJ index to FILE."`
	Bodies string        `placeholder:"DIR" help:"Write bodies as files below DIR, which is new, empty or what an earlier --bodies wrote, and tell of them in DIR/manifest.jsonl."`
	Raw    bool          `help:"With --bodies: as they were transferred, content codings not undone."`
}

// whereFilter selects pages.
type whereFilter struct{ *export.Filter }

func (f *whereFilter) UnmarshalText(text []byte) (err error) {
	f.Filter, err = export.ParseFilter(string(text))
	if wrong, ok := errors.AsType[*export.FilterError](err); ok {
		return fmt.Errorf("%s, at character %d of %.200q", wrong.Reason, wrong.Offset+1, text)
	}
	return err
}

// exportFormat is a form that pages are written in.
type exportFormat struct {
	export.Format
	warc, cdxj bool // instead of Format
}

func (f *exportFormat) UnmarshalText(text []byte) error {
	f.warc, f.cdxj = string(text) == "warc", string(text) == "cdxj"
	if f.warc || f.cdxj {
		return nil
	}
	err := f.Format.UnmarshalText(text)
	if unknown, ok := errors.AsType[*export.UnknownError](err); ok {
		return notOneOf(unknown.Name, append(slices.Clip(unknown.Known), "warc", "cdxj")...)
	}
	return err
}

// exportField is the name of a column.
type exportField string

func (f *exportField) UnmarshalText(text []byte) error {
	*f = exportField(text)
	if known := export.KnownFields(); !slices.Contains(known, string(text)) {
		return notOneOf(string(text), known...)
	}
	return nil
}

// check refuses flags that do not go together.
func (c *exportCommand) check() error {
	archive := c.Format.warc || c.Format.cdxj
	for _, wrong := range []struct {
		is   bool
		text string
	}{
		{archive && (c.Items || len(c.Fields) > 0), "--format warc, --format cdxj: an archive has neither --items nor --fields"},
		{c.Format.cdxj && c.Where.Filter != nil, "--format cdxj: an index is of all that was archived; --where cannot narrow it"},
		{c.Index != "" && (!c.Format.warc || c.Bodies != ""), "--index: goes with --format warc"},
		{c.Index != "" && sameFile(c.Index, c.Output), "--index: the archive and its index cannot be the same file"},
		{c.Bodies != "" && (archive || c.Items || len(c.Fields) > 0 || c.Format.Format != export.JSONL || c.Output != ""), "--bodies: goes with --where and --raw alone"},
		{c.Raw && c.Bodies == "", "--raw: goes with --bodies"},
		{c.Items && len(c.Fields) > 0, "--items: items have fields of their own; --fields chooses those of pages"},
		{len(c.Fields) > 0 && c.Format.Format == export.URLs, "--fields: goes with --format jsonl and csv; urls has nothing else"},
		{c.Items && c.Format.Format != export.JSONL, fmt.Sprintf("--items: items are written as jsonl, not as %v", c.Format.Format)},
	} {
		if wrong.is {
			return &failure{exitUsage, errors.New(wrong.text), ""}
		}
	}
	return nil
}

// options are what is exported and how.
func (c *exportCommand) options() (export.Options, error) {
	opts := export.Options{Format: c.Format.Format}
	if c.Where.Filter != nil {
		opts.Where = c.Where.Match
	}
	for _, f := range c.Fields {
		if slices.Contains(opts.Fields, string(f)) {
			return opts, &failure{exitUsage, fmt.Errorf("--fields: %s is named twice", f), ""}
		}
		opts.Fields = append(opts.Fields, string(f))
	}
	return opts, nil
}

// Run writes the job's results.
func (c *exportCommand) Run(ctx context.Context, con *console) error {
	if err := c.check(); err != nil {
		return err
	}
	opts, err := c.options()
	if err != nil {
		return err
	}
	ctx, stop := interruptible(ctx)
	defer stop()
	job, err := crawler.OpenJob(con.jobDir(c.Dir))
	if err != nil {
		return err
	}
	defer job.Close()
	if c.Bodies != "" {
		return c.exportBodies(ctx, con, job)
	}
	var damaged damagedBodies
	opts.Damaged = damaged.tell(con)
	write := func(w io.Writer) (err error) {
		switch {
		case c.Format.warc:
			err = c.exportWARC(ctx, con, w, job.Store(), &damaged)
		case c.Format.cdxj:
			err = exportIndex(ctx, w, job)
		case c.Items:
			_, err = export.Items(ctx, w, job.Store(), opts)
		default:
			_, err = export.Records(ctx, w, job.Store(), opts)
		}
		return err
	}
	if c.Output == "" || c.Output == "-" {
		err = write(con.stdout)
	} else {
		err = writeFile(c.Output, 0o666, write)
	}
	if err != nil {
		return err
	}
	return damaged.failure()
}

// damagedBodies are records that are left out of an export, because they or their
// bodies are damaged.
type damagedBodies struct{ n int64 }

// tell returns a function that is told of them.
func (d *damagedBodies) tell(con *console) func(*storage.Record, error) {
	return func(r *storage.Record, err error) {
		d.n++
		name := r.URL
		if name == "" {
			name = fmt.Sprintf("record %d", r.Seq)
		}
		con.display.problem(oneLine("left out: " + name + ": " + err.Error()))
	}
}

// failure is what an export ends with that is complete but for them.
func (d *damagedBodies) failure() error {
	if d.n == 0 {
		return nil
	}
	return &failure{exitFailed, errors.New("damaged, and not exported: " + plural(d.n, "page")),
		"crawl check DIR tells how much of the job is damaged"}
}

// maxDecoded bounds a body that is decoded; what is beyond was not seen by the crawl
// either, unless its --max-body was larger.
const maxDecoded = 1 << 30

// exportBodies writes bodies as files.
func (c *exportCommand) exportBodies(ctx context.Context, con *console, job *crawler.Job) error {
	var damaged damagedBodies
	opts := export.BodyOptions{Where: c.Where.Filter, Damaged: damaged.tell(con)}
	if !c.Raw {
		opts.Decode = func(body []byte, encoding string) ([]byte, error) {
			return httpclient.Decode(nil, body, encoding, maxDecoded)
		}
	}
	n, err := export.Bodies(ctx, c.Bodies, job.Store(), opts)
	if errors.Is(err, export.ErrDirectory) {
		return &failure{exitUsage, fmt.Errorf("--bodies: %w", err), "name a new directory"}
	}
	if err != nil {
		return err
	}
	con.display.problem("wrote " + plural(int64(n), "file") + " below " + quote(c.Bodies))
	return damaged.failure()
}
