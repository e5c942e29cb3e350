package export

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/orbweaver/orbweaver/storage"
)

// BodyOptions say which bodies are written, and how. The zero value writes all, as
// they were transferred.
type BodyOptions struct {
	// Where selects the records whose bodies are written; nil: all.
	Where *Filter

	// Decode undoes the content coding of a body; nil: bodies are written as they
	// were transferred. Of a body that it cannot decode, it returns what it could
	// with the error, and that is written: the manifest says so.
	Decode func(body []byte, encoding string) ([]byte, error)

	// Damaged is told of each record that cannot be read, or whose body cannot, with an
	// error that is [storage.ErrCorrupt]; no file is written of it, and the others are.
	// The record has nothing but its Seq, if that is all that can be read of it. nil:
	// the first of them ends it all with its error. Those that an earlier Bodies found
	// are in the manifest, as lines without a file, and told again.
	Damaged func(r *storage.Record, err error)
}

// manifestName is the file in which Bodies tells what it wrote.
const manifestName = "manifest.jsonl"

// manifestHead is its first line, by which it is known again.
type manifestHead struct {
	Manifest string `json:"manifest"` // "orbweaver bodies"
	Decoded  bool   `json:"decoded"`
	Where    string `json:"where"`
}

const manifestKind = "orbweaver bodies"

// manifestLine tells of a body.
type manifestLine struct {
	Seq         uint64    `json:"seq"`
	URL         string    `json:"url"`
	File        string    `json:"file,omitempty"` // "": it is damaged, as Error says
	Bytes       int       `json:"bytes"`
	Status      int       `json:"status"`
	ContentType string    `json:"content_type"`
	Charset     string    `json:"charset,omitempty"`
	Encoding    string    `json:"encoding,omitempty"` // of the file
	FetchedAt   time.Time `json:"fetched_at"`         // zero in lines of earlier versions
	Truncated   bool      `json:"truncated,omitempty"`
	Error       string    `json:"error,omitempty"` // why it could not be decoded, or read
}

// damaged is what is told of a line without a file, each time.
func (l *manifestLine) damaged() (*storage.Record, error) {
	return &storage.Record{Seq: l.Seq, URL: l.URL, FetchedAt: l.FetchedAt}, notedDamage(l.Error)
}

// notedDamage is an error that a manifest tells of. It is a [storage.ErrCorrupt].
type notedDamage string

func (d notedDamage) Error() string        { return string(d) }
func (d notedDamage) Is(target error) bool { return target == storage.ErrCorrupt }

// ErrDirectory is why Bodies refuses a directory.
var ErrDirectory = errors.New("export: the directory holds something else than these bodies")

// Bodies writes the bodies of s as files below dir, which is made if there is none,
// and returns how many it wrote. A file is called HOST/SEQ.EXT, by the host's name,
// the record's Seq and the media type; HOST has none but letters, digits, dots, dashes
// and underscores. dir/manifest.jsonl tells of each file, an object a line.
//
// A directory must be empty, or have been written by Bodies with the same options out
// of the same store, which has to have the record of the manifest's last line: then
// only the bodies that it does not have yet are written, also if the process was
// killed. After a power failure, files that were written shortly before may be empty:
// only the manifest is synced, and that in the end. Anything else is refused with an
// error that is [ErrDirectory], and no file that is there is changed; nothing is
// written outside of dir, whatever links are in it. One body at a time is held in
// memory. One Bodies at a time may write to a directory.
func Bodies(ctx context.Context, dir string, s storage.Store, opts BodyOptions) (n int, err error) {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return 0, fmt.Errorf("export: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return 0, fmt.Errorf("export: %w", err)
	}
	defer root.Close()
	w := &bodyWriter{root: root, opts: opts, hosts: map[string]bool{}}
	last, err := w.open(ctx, s)
	if err != nil {
		return 0, err
	}
	n, err = w.writeAll(ctx, s, last.Seq)
	if err = errors.Join(err, w.close()); err != nil {
		return n, fmt.Errorf("export: %w", err)
	}
	return n, nil
}

type bodyWriter struct {
	root     *os.Root
	opts     BodyOptions
	manifest *os.File
	lines    *bufio.Writer // of manifest
	hosts    map[string]bool
}

// maxHosts bounds the folders that are remembered to be there.
const maxHosts = 10_000

// open opens the manifest behind its last whole line, and returns that.
func (w *bodyWriter) open(ctx context.Context, s storage.Store) (last manifestLine, err error) {
	head, err := json.Marshal(manifestHead{manifestKind, w.opts.Decode != nil, w.opts.Where.String()})
	if err != nil {
		return last, fmt.Errorf("export: %w", err)
	}
	head = append(head, '\n')
	file, err := w.root.OpenFile(manifestName, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return last, w.begin(head)
	}
	if err != nil {
		return last, fmt.Errorf("export: %w", err)
	}
	size, last, err := w.readManifest(file, head)
	if err == nil {
		err = checkSource(ctx, s, last)
	}
	if err == nil {
		err = file.Truncate(size)
	}
	if err == nil {
		_, err = file.Seek(size, io.SeekStart)
	}
	if err != nil {
		return last, errors.Join(err, file.Close())
	}
	w.manifest, w.lines = file, bufio.NewWriterSize(file, bufferSize)
	return last, nil
}

// checkSource refuses a store that is not the one of which the last line of a manifest
// tells, or has not got that far.
func checkSource(ctx context.Context, s storage.Store, last manifestLine) error {
	if last.Seq == 0 {
		return nil
	}
	for r, err := range s.Records(ctx, last.Seq-1) {
		switch {
		case errors.Is(err, storage.ErrCorrupt):
			return nil // nobody can tell
		case err != nil:
			return fmt.Errorf("export: %w", err)
		case r.Seq == last.Seq && r.URL == last.URL && (last.FetchedAt.IsZero() || r.FetchedAt.Equal(last.FetchedAt)):
			return nil
		}
		break
	}
	return fmt.Errorf("%w: %s tells of another job, whose page %d is %s of %s",
		ErrDirectory, manifestName, last.Seq, last.URL, last.FetchedAt.Format(time.RFC3339))
}

// begin makes the manifest, which appears with its head, in a directory that is empty.
func (w *bodyWriter) begin(head []byte) error {
	dir, err := w.root.Open(".")
	if err != nil {
		return fmt.Errorf("export: %w", err)
	}
	names, err := dir.Readdirnames(2) // one may be of the manifest itself
	if err = errors.Join(ignoreEOF(err), dir.Close()); err != nil {
		return fmt.Errorf("export: %w", err)
	}
	names = slices.DeleteFunc(names, func(name string) bool { return name == manifestName+partSuffix })
	if len(names) > 0 {
		return fmt.Errorf("%w, such as %s", ErrDirectory, names[0])
	}
	file, err := w.create(manifestName)
	if err != nil {
		return fmt.Errorf("export: %w", err)
	}
	if _, err = file.Write(head); err == nil {
		err = file.Sync()
	}
	if err == nil {
		err = w.root.Rename(manifestName+partSuffix, manifestName)
	}
	if err == nil {
		err = w.syncFolder(".")
	}
	if err != nil {
		return fmt.Errorf("export: %w", errors.Join(err, file.Close()))
	}
	w.manifest, w.lines = file, bufio.NewWriterSize(file, bufferSize)
	return nil
}

// partSuffix marks a file that is being written.
const partSuffix = ".part"

// create makes the file that is to become name.
func (w *bodyWriter) create(name string) (*os.File, error) {
	part := name + partSuffix
	if err := w.root.Remove(part); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return w.root.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
}

func (w *bodyWriter) syncFolder(name string) error {
	folder, err := w.root.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

func ignoreEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// readManifest returns the size of the whole lines of a manifest and the last one, and
// tells of the damage in it. A manifest must begin with head.
func (w *bodyWriter) readManifest(r io.Reader, head []byte) (size int64, last manifestLine, err error) {
	lines := bufio.NewReaderSize(r, bufferSize)
	for first := true; ; first = false {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) && !first {
			return size, last, nil
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return 0, last, fmt.Errorf("export: %w", err)
		}
		if first {
			if !bytes.Equal(line, head) {
				return 0, last, fmt.Errorf("%w: %s begins with %.200q, not with %q", ErrDirectory, manifestName, line, head)
			}
			size = int64(len(line))
			continue
		}
		last = manifestLine{}
		if err := json.Unmarshal(line, &last); err != nil {
			return 0, last, fmt.Errorf("%w: %s: %w", ErrDirectory, manifestName, err)
		}
		size += int64(len(line))
		if last.File == "" && w.opts.Damaged != nil {
			w.opts.Damaged(last.damaged())
		}
	}
}

func (w *bodyWriter) close() error {
	return errors.Join(w.lines.Flush(), w.manifest.Sync(), w.manifest.Close())
}

func (w *bodyWriter) writeAll(ctx context.Context, s storage.Store, after uint64) (n int, err error) {
	damaged := w.damaged
	if w.opts.Damaged == nil {
		damaged = nil
	}
	for r, err := range storage.Salvage(ctx, s, after, damaged) {
		if err != nil {
			return n, err
		}
		if !w.opts.Where.Match(r) {
			continue
		}
		body, err := s.Body(ctx, r.Seq)
		if errors.Is(err, storage.ErrNotFound) {
			continue
		}
		if damaged != nil && errors.Is(err, storage.ErrCorrupt) {
			damaged(r, err)
			continue
		}
		if err != nil {
			return n, err
		}
		if err := w.write(r, body); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// write writes a body and then the line about it.
func (w *bodyWriter) write(r *storage.Record, body []byte) error {
	line := manifestLine{
		Seq: r.Seq, URL: r.URL, Status: r.Status, ContentType: r.ContentType, Charset: r.Charset, Encoding: r.Encoding,
		FetchedAt: r.FetchedAt, Truncated: r.Truncated,
	}
	if w.opts.Decode != nil && r.Encoding != "" {
		decoded, err := w.opts.Decode(body, r.Encoding)
		if err != nil {
			line.Error = err.Error()
		}
		body, line.Encoding = decoded, ""
	}
	host := hostFolder(r.Host)
	if !w.hosts[host] {
		if err := w.root.Mkdir(host, 0o777); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		if len(w.hosts) == maxHosts {
			clear(w.hosts)
		}
		w.hosts[host] = true
	}
	line.File, line.Bytes = path.Join(host, fmt.Sprintf("%012d%s", r.Seq, extension(r.ContentType, line.Encoding))), len(body)
	if err := w.writeFile(line.File, body); err != nil {
		return err
	}
	return w.tell(&line)
}

// damaged notes what cannot be read, and tells of it.
func (w *bodyWriter) damaged(r *storage.Record, err error) {
	_ = w.tell(&manifestLine{Seq: r.Seq, URL: r.URL, FetchedAt: r.FetchedAt, Error: err.Error()}) // Flush returns the error, too
	w.opts.Damaged(r, err)
}

// tell adds a line to the manifest.
func (w *bodyWriter) tell(line *manifestLine) error {
	text, err := json.Marshal(line)
	if err != nil {
		return err
	}
	_, err = w.lines.Write(append(text, '\n'))
	return err
}

// writeFile makes a file, which appears when it is whole. One that is there already
// must be the same, as after a crash before its line was written.
func (w *bodyWriter) writeFile(name string, body []byte) error {
	if same, err := w.has(name, body); same || err != nil {
		return err
	}
	file, err := w.create(name)
	if err != nil {
		return err
	}
	_, err = file.Write(body)
	if err = errors.Join(err, file.Close()); err != nil {
		return errors.Join(err, w.root.Remove(name+partSuffix))
	}
	return w.root.Rename(name+partSuffix, name)
}

// has reports whether there is a file with that body; another one is refused.
func (w *bodyWriter) has(name string, body []byte) (bool, error) {
	info, err := w.root.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if !info.Mode().IsRegular() || info.Size() != int64(len(body)) {
		return false, fmt.Errorf("%w: %s is another file", ErrDirectory, name)
	}
	there, err := w.root.ReadFile(name)
	if err != nil {
		return false, err
	}
	if !bytes.Equal(there, body) {
		return false, fmt.Errorf("%w: %s is another file", ErrDirectory, name)
	}
	return true, nil
}

// maxFolder bounds the name of a host's folder.
const maxFolder = 200

// hostFolder is the name of the folder for a host's bodies: one that every file
// system takes, and that leads nowhere else.
func hostFolder(host string) string {
	name := strings.Map(func(c rune) rune {
		switch {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '.', c == '-', c == '_':
			return c
		case c >= 'A' && c <= 'Z':
			return c | 0x20
		}
		return '_'
	}, host[:min(len(host), maxFolder)])
	stem, _, _ := strings.Cut(name, ".")
	switch {
	case strings.Trim(name, ".") == "", name == manifestName:
		return "_"
	case deviceName(stem), strings.HasSuffix(name, "."), strings.HasPrefix(name, "."):
		return "_" + strings.Trim(name, ".")
	}
	return name
}

// deviceName reports whether Windows takes a file called so for a device.
func deviceName(name string) bool {
	switch name {
	case "con", "prn", "aux", "nul":
		return true
	}
	return len(name) == 4 && (strings.HasPrefix(name, "com") || strings.HasPrefix(name, "lpt")) && name[3] >= '0' && name[3] <= '9'
}

// extensions are those of the usual media types. Others get .bin: a server must not
// choose what a double click runs.
var extensions = map[string]string{
	"text/html": ".html", "application/xhtml+xml": ".xhtml", "text/plain": ".txt", "text/css": ".css", "text/csv": ".csv",
	"text/xml": ".xml", "application/xml": ".xml", "application/rss+xml": ".xml", "application/atom+xml": ".xml",
	"application/json": ".json", "application/ld+json": ".json", "text/markdown": ".md", "application/pdf": ".pdf",
	"text/javascript": ".js.txt", "application/javascript": ".js.txt",
	"image/png": ".png", "image/jpeg": ".jpg", "image/gif": ".gif", "image/webp": ".webp", "image/avif": ".avif", "image/svg+xml": ".svg",
	"image/x-icon": ".ico", "image/vnd.microsoft.icon": ".ico", "font/woff": ".woff", "font/woff2": ".woff2",
	"audio/mpeg": ".mp3", "video/mp4": ".mp4", "application/zip": ".zip", "application/gzip": ".gz",
}

// extension is that of a file with a media type, in a content coding.
func extension(contentType, encoding string) string {
	ext, known := extensions[contentType]
	if !known {
		ext = ".bin"
	}
	switch encoding {
	case "":
	case "gzip", "x-gzip":
		ext += ".gz"
	case "br", "zstd", "deflate":
		ext += "." + encoding
	default:
		ext += ".coded"
	}
	return ext
}
