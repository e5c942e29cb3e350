package warc

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// indexSuffix is the extension of an archive's index, in place of .warc.gz.
const indexSuffix = ".cdxj"

// isArchive reports whether a file called so is an archive, or one being written.
func isArchive(name string) bool {
	name = strings.TrimSuffix(name, openSuffix)
	return strings.HasSuffix(name, ".warc.gz") || strings.HasSuffix(name, ".warc")
}

// indexName is the name of the index of an archive.
func indexName(archive string) string {
	archive = strings.TrimSuffix(archive, openSuffix)
	return strings.TrimSuffix(strings.TrimSuffix(archive, ".gz"), ".warc") + indexSuffix
}

// Index writes the index of the archives in dir to w: the lines of all of them,
// sorted. It takes an archive's own index where there is one, and reads those
// archives that have none, such as one that a killed process has left open, of
// which it takes the whole records. Memory does not grow with the archives.
// n counts the lines.
func Index(ctx context.Context, w io.Writer, dir string) (n int64, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return 0, fmt.Errorf("warc: %w", err)
	}
	lines := newSorter("", "")
	defer func() { err = errors.Join(err, lines.close()) }()
	add := func(line []byte) error {
		n++
		return lines.add(line)
	}
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		if !isArchive(e.Name()) || e.IsDir() {
			continue
		}
		if err := indexLines(filepath.Join(dir, e.Name()), add); err != nil {
			return 0, fmt.Errorf("warc: index %s: %w", e.Name(), err)
		}
	}
	if err := lines.writeTo(w); err != nil {
		return 0, fmt.Errorf("warc: %w", err)
	}
	return n, nil
}

// indexLines calls add with the lines of the index of the archive at path.
func indexLines(path string, add func([]byte) error) error {
	if !strings.HasSuffix(path, openSuffix) {
		err := readLines(indexName(path), add)
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	var line []byte
	_, _, err = walk(file, strings.TrimSuffix(filepath.Base(path), openSuffix), newTearFinder(path), func(e *Entry) error {
		line = e.Append(line[:0])
		return add(line)
	})
	return err
}

// maxLine bounds a line of an index that is read.
const maxLine = 1 << 20

// readLines calls each with the lines of a file, with their line feeds.
func readLines(path string, each func([]byte) error) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, maxLine)
	var line []byte
	for lines.Scan() {
		if len(lines.Bytes()) == 0 {
			continue
		}
		line = append(append(line[:0], lines.Bytes()...), '\n')
		if err := each(line); err != nil {
			return err
		}
	}
	return lines.Err()
}

// walk reads an archive called filename and calls each with an entry of every
// response and revisit record. It ends where a record is not whole, without an
// error, and returns the size of the whole records. broken tells why it ended before
// the end; nil: it did not. A v that is not nil looks at every record, may find it
// torn, and is left with what is wrong with the one that is not whole.
func walk(r io.Reader, filename string, v *verifier, each func(*Entry) error) (size int64, broken *FormatError, err error) {
	reader := NewReader(r)
	var last *Entry // waits for its length
	for {
		rec, err := reader.Next()
		end := reader.in.n
		broken = nil
		switch {
		case errors.As(err, &broken):
			end = broken.Offset
		case err == nil:
			end = rec.Offset
		case !errors.Is(err, io.EOF):
			return 0, nil, err
		}
		if last != nil && last.Offset < end {
			last.Length = end - last.Offset
			if err := each(last); err != nil {
				return 0, nil, err
			}
		}
		if v != nil {
			v.tell(end)
		}
		if err != nil {
			return end, broken, nil
		}
		if v != nil {
			v.begin(rec)
		}
		last = nil
		if kind := rec.Get("WARC-Type"); kind == "response" || kind == "revisit" {
			last = describe(rec, kind, filename)
		}
		if v == nil {
			continue
		}
		if v.end(); v.torn && len(v.wrongs) > 0 {
			return rec.Offset, v.wrongs[0], nil
		}
	}
}

// describe makes the entry of a record; nil if it cannot be found again.
func describe(rec *Record, kind, filename string) *Entry {
	date, err := time.Parse(time.RFC3339Nano, rec.Get("WARC-Date"))
	url := strings.Trim(rec.Get("WARC-Target-URI"), "<>") // which WARC/1.0 had around it
	if err != nil || url == "" {
		return nil
	}
	e := &Entry{
		Key: SURT(url), Date: date, URL: url, Digest: rec.Get("WARC-Payload-Digest"),
		Offset: rec.Offset, Filename: filename,
	}
	var start bytes.Buffer
	_, _ = io.CopyN(&start, rec.Block, maxHead) // an error comes again with the next record
	if strings.HasPrefix(rec.Get("Content-Type"), "application/http") {
		h := parseHead(start.Bytes())
		e.Status, e.MIME, e.Chunked = h.status, h.mime, h.framed()
	} else {
		e.MIME = rec.Get("Content-Type")
	}
	e.MIME = indexMIME(kind, e.MIME)
	return e
}
