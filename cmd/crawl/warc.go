package main

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"runtime/debug"

	"github.com/orbweaver/orbweaver/crawler"
	"github.com/orbweaver/orbweaver/storage"
	"github.com/orbweaver/orbweaver/storage/warc"
)

// archives is how a crawl writes archives.
func (s *settings) archives() *crawler.WARC {
	w := &crawler.WARC{Software: softwareName(), MaxSize: int64(s.WARCSize), Prefix: string(s.WARCName), Credentials: s.WARCCredentials}
	for _, f := range s.WARCInfo {
		w.Info = append(w.Info, warc.Field{Name: f.name, Value: f.value})
	}
	return w
}

func softwareName() string {
	info, _ := debug.ReadBuildInfo()
	return "Orbweaver: " + versionText(info)
}

// exportWARC writes the responses of s to w as one archive, its index to --index, and
// tells what is not in it.
func (c *exportCommand) exportWARC(ctx context.Context, con *console, w io.Writer, s storage.Store, damaged *damagedBodies) error {
	if c.Index == "" {
		return c.exportArchive(ctx, con, w, nil, s, damaged)
	}
	return writeFile(c.Index, 0o666, func(index io.Writer) error { return c.exportArchive(ctx, con, w, index, s, damaged) })
}

func (c *exportCommand) exportArchive(ctx context.Context, con *console, w, index io.Writer, s storage.Store, damaged *damagedBodies) error {
	opts := warc.ExportOptions{
		Options: warc.Options{
			Software: softwareName(),
			Info:     []warc.Field{{Name: "description", Value: "responses of a crawl; requests were not stored and are made up from the URLs"}},
		},
		Requests: true,
		Damaged:  damaged.tell(con),
		Index:    index,
	}
	if c.Where.Filter != nil {
		opts.Where = c.Where.Match
	}
	if name := archiveName(c.Output); name == "" {
		w = struct{ io.Writer }{w} // or standard output would tell a name
	} else {
		w = archive{w, name}
	}
	n, err := warc.Export(ctx, w, s, opts)
	if err != nil || opts.Where != nil {
		return err
	}
	stats, err := s.Stats(ctx)
	if err != nil {
		return err
	}
	if left := stats.Records - int64(n) - damaged.n; left > 0 {
		con.display.problem("not in the archive: " + plural(left, "URL") + " without a response")
	}
	if bare := stats.Responses - stats.Bodies; bare > 0 {
		con.display.problem("in the archive without a body, as none was kept: " + plural(bare, "response"))
	}
	return nil
}

// exportIndex writes the index of the archives that a crawl wrote.
func exportIndex(ctx context.Context, w io.Writer, job *crawler.Job) error {
	dir, err := job.Archives()
	if err != nil {
		return err
	}
	if dir == "" {
		dir = filepath.Join(job.Dir(), crawler.DefaultArchives)
	}
	_, err = warc.Index(ctx, w, dir)
	if errors.Is(err, fs.ErrNotExist) {
		return &failure{exitFailed, errors.New("there are no archives in " + quote(dir)),
			"crawl run --warc writes them; crawl export --format warc --index FILE makes one with its index"}
	}
	return err
}

// archive is a writer of an archive that knows by which name it will be found.
type archive struct {
	io.Writer
	name string
}

func (a archive) Name() string { return a.name }

// archiveName is what an archive written to output calls itself; "" if it has no
// name.
func archiveName(output string) string {
	if output == "" || output == "-" {
		return ""
	}
	return filepath.Base(output)
}
