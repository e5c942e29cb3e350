package warc

import (
	"bytes"
	"context"
	"crypto/sha1" // as hasher
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// maxProblems ends the list of what Check finds.
const maxProblems = 20

// FileError is what is wrong with a file of a directory of archives.
type FileError struct {
	Path string
	Err  error // a *FormatError, or what its text says
}

func (e *FileError) Error() string {
	return e.Path + ": " + strings.TrimPrefix(e.Err.Error(), "warc: ")
}

func (e *FileError) Unwrap() error { return e.Err }

// Check reads all archives in dir and proves that each is whole: every record has
// the fields that it needs, a gzip member of its own, and the length and the digests
// that it says, and the index beside the archive is the one that would be made of it.
// Of an archive that was left open it reads the whole records, which the next
// OpenFiles keeps: without compression up to the first with something wrong, which is
// how a power failure leaves it. An index whose archive was taken away is left alone.
// Memory does not grow with the archives.
//
// The error joins a *FileError for each of the first problems, or is one of the file
// system or of ctx.
func Check(ctx context.Context, dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("warc: %w", err)
	}
	c := &checker{ctx: ctx, dir: dir}
	for _, e := range entries {
		if e.IsDir() || !isArchive(e.Name()) {
			continue
		}
		if err := c.archive(e.Name()); err != nil {
			return fmt.Errorf("warc: %w", err)
		}
	}
	return errors.Join(c.problems...)
}

// checker checks a directory.
type checker struct {
	ctx      context.Context
	dir      string
	problems []error
}

func (c *checker) problem(name string, err error) {
	switch n := len(c.problems); {
	case n < maxProblems:
		c.problems = append(c.problems, &FileError{filepath.Join(c.dir, name), err})
	case n == maxProblems:
		c.problems = append(c.problems, errors.New("warc: there are more problems with the archives"))
	}
}

// archive checks one, and its index.
func (c *checker) archive(name string) (err error) {
	file, err := os.Open(filepath.Join(c.dir, name))
	if err != nil {
		return err
	}
	defer file.Close()
	lines := newSorter("", "")
	defer func() { err = errors.Join(err, lines.close()) }()
	bad := func(err error) { c.problem(name, err) }
	v := newVerifier(bad)
	v.torn = mayBeTorn(name)
	var line []byte
	_, broken, err := walk(&untilDone{c.ctx, file}, strings.TrimSuffix(name, openSuffix), v, func(e *Entry) error {
		line = e.Append(line[:0])
		return lines.add(line)
	})
	switch {
	case err != nil || strings.HasSuffix(name, openSuffix):
		return err // a record that a crash has torn is no problem, whatever is wrong with it
	case broken != nil:
		v.tell(math.MaxInt64)
		bad(broken)
		return nil // its index would only say the same
	}
	return c.compare(name, lines)
}

// compare compares the index of an archive with the one that it should have.
func (c *checker) compare(name string, lines *sorter) error {
	index := filepath.Base(indexName(name))
	file, err := os.Open(filepath.Join(c.dir, index))
	if errors.Is(err, fs.ErrNotExist) {
		c.problem(name, errors.New("it has no index; the next run that writes archives makes it"))
		return nil
	}
	if err != nil {
		return err
	}
	defer file.Close()
	same := &comparison{want: file}
	if err := lines.writeTo(same); err != nil && !errors.Is(err, errDiffers) {
		return err
	}
	if n, _ := file.Read(make([]byte, 1)); n > 0 || same.differs {
		c.problem(index, fmt.Errorf("from offset %d on it is not the index of %s", same.at, name))
	}
	return nil
}

// comparison is a writer that compares what is written with what a reader has.
type comparison struct {
	want    io.Reader
	at      int64 // so many bytes are the same, up to the start of a line
	read    int64
	buf     []byte
	differs bool
}

var errDiffers = errors.New("differs")

func (c *comparison) Write(p []byte) (int, error) {
	if cap(c.buf) < len(p) {
		c.buf = make([]byte, len(p))
	}
	n, err := io.ReadFull(c.want, c.buf[:len(p)])
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return 0, err
	}
	same := 0
	for same < n && c.buf[same] == p[same] {
		same++
	}
	if end := bytes.LastIndexByte(p[:same], '\n'); end >= 0 {
		c.at = c.read + int64(end) + 1
	}
	c.read += int64(n)
	if same < len(p) {
		c.differs = true
		return 0, errDiffers
	}
	return len(p), nil
}

// untilDone is a reader that ends with a context.
type untilDone struct {
	ctx context.Context
	r   io.Reader
}

func (u *untilDone) Read(p []byte) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	return u.r.Read(p)
}

// verifier looks at records, one after another, and tells what is wrong with them.
type verifier struct {
	bad   func(error)
	torn  bool         // a record with something wrong is none: see mayBeTorn
	block [2]hash.Hash // sha1, sha256
	// Of the payload: with chunks undone, and as it is.
	payload, framed [2]hash.Hash

	rec    *Record
	wrongs []*FormatError // with it; bad is told when it is known to be whole
	seen   int64          // bytes of its block
	which  int            // of the hashes; -1: a digest that is not known, or none
	below  int            // of those of the payload
	http   bool           // the block is a response
	head   []byte         // of it, as far as its end is not found
	body   io.Writer
}

// mayBeTorn reports whether an archive called so was left open and is not compressed. A power failure may have left of a
// record in it what looks whole, but for what is wrong with it; of others the checksums of gzip tell.
func mayBeTorn(name string) bool {
	name, open := strings.CutSuffix(name, openSuffix)
	return open && !strings.HasSuffix(name, ".gz")
}

// newTearFinder returns a verifier for the whole records of the archive at path; nil if they are found without one.
func newTearFinder(path string) *verifier {
	if !mayBeTorn(path) {
		return nil
	}
	v := newVerifier(func(error) {})
	v.torn = true
	return v
}

func newVerifier(bad func(error)) *verifier {
	v := &verifier{bad: bad}
	for _, h := range []*[2]hash.Hash{&v.block, &v.payload, &v.framed} {
		*h = [2]hash.Hash{sha1.New(), sha256.New()}
	}
	return v
}

// begin is told of a record before its block is read, which then is seen by v.
func (v *verifier) begin(rec *Record) {
	v.rec, v.seen = rec, 0
	v.which, v.below = known(rec.Get("WARC-Block-Digest")), known(rec.Get("WARC-Payload-Digest"))
	kind := rec.Get("WARC-Type")
	v.http = v.below >= 0 && kind == "response" && strings.HasPrefix(rec.Get("Content-Type"), "application/http")
	v.head, v.body = v.head[:0], nil
	if v.which >= 0 {
		v.block[v.which].Reset()
	}
	rec.Block = io.TeeReader(rec.Block, v)
	for _, name := range []string{"WARC-Type", "WARC-Record-ID", "WARC-Date"} {
		if rec.Get(name) == "" {
			v.wrong("no %s", name)
		}
	}
	if date := rec.Get("WARC-Date"); date != "" {
		if _, err := time.Parse(time.RFC3339Nano, date); err != nil {
			v.wrong("WARC-Date is %.40q", date)
		}
	}
}

func (v *verifier) wrong(format string, args ...any) {
	v.wrongs = append(v.wrongs, &FormatError{Offset: v.rec.Offset, Reason: fmt.Sprintf(format, args...)})
}

// tell tells bad what is wrong with the record, if the whole records before end
// include it.
func (v *verifier) tell(end int64) {
	if v.rec == nil || v.rec.Offset >= end {
		return
	}
	for _, err := range v.wrongs {
		v.bad(err)
	}
	v.wrongs = v.wrongs[:0]
}

// Write sees a part of the block.
func (v *verifier) Write(p []byte) (int, error) {
	v.seen += int64(len(p))
	if v.which >= 0 {
		v.block[v.which].Write(p)
	}
	switch {
	case !v.http:
	case v.body != nil:
		_, _ = v.body.Write(p)
	default:
		v.head = append(v.head, p...)
		if len(v.head) >= maxHead || headEnds(v.head, len(p)) {
			v.split()
		}
	}
	return len(p), nil
}

// headEnds reports whether an empty line is in b, whose last n bytes are new.
func headEnds(b []byte, n int) bool {
	fresh := b[max(0, len(b)-n-3):]
	return bytes.Contains(fresh, []byte("\n\r\n")) || bytes.Contains(fresh, []byte("\n\n"))
}

// split takes the head off what was seen of the block.
func (v *verifier) split() {
	h := parseHead(v.head)
	payload, framed := v.payload[v.below], v.framed[v.below]
	payload.Reset()
	framed.Reset()
	v.body = payload
	if h.framed() {
		v.body = io.MultiWriter(&dechunker{w: payload}, framed)
	}
	_, _ = v.body.Write(v.head[h.location:])
}

// end reads what is left of the record's block, and compares the digests.
func (v *verifier) end() {
	if _, err := io.Copy(io.Discard, v.rec.Block); err != nil || v.seen < v.rec.Length {
		return // it is not whole, of which the next record tells
	}
	if v.http && v.body == nil {
		v.split()
	}
	if v.which >= 0 {
		if says := v.rec.Get("WARC-Block-Digest"); !isDigest(says, v.block[v.which]) {
			v.wrong("its block is not that of %s", says)
		}
	}
	if !v.http {
		return
	}
	says := v.rec.Get("WARC-Payload-Digest")
	if isDigest(says, v.payload[v.below]) {
		return
	}
	// Some tools take the chunks for the payload.
	if h := parseHead(v.head); !h.framed() || !isDigest(says, v.framed[v.below]) {
		v.wrong("its payload is not that of %s", says)
	}
}

// known says by which hash a digest was made; -1: another one, or none.
func known(digest string) int {
	label, _, _ := strings.Cut(digest, ":")
	switch strings.ToLower(label) {
	case "sha1":
		return 0
	case "sha256", "sha-256":
		return 1
	}
	return -1
}

// isDigest reports whether a labelled digest, in base32 or hexadecimal, is the sum
// of h.
func isDigest(digest string, h hash.Hash) bool {
	var buf [sha256.Size]byte
	sum := h.Sum(buf[:0])
	_, text, _ := strings.Cut(digest, ":")
	return strings.EqualFold(strings.TrimRight(text, "="), strings.TrimRight(base32.StdEncoding.EncodeToString(sum), "=")) ||
		strings.EqualFold(text, hex.EncodeToString(sum))
}
