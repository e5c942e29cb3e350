package warc

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

const (
	// DefaultMaxSize is the size at which [Files] begins another archive: the
	// usual one, of which tools and file systems think nothing.
	DefaultMaxSize = 1 << 30
	// DefaultDedup is how many payloads Files remember, in some 20 MB.
	DefaultDedup = 50_000
)

// openSuffix marks an archive that is being written.
const openSuffix = ".open"

// FilesOptions say how [Files] are written. The zero value is a good one.
type FilesOptions struct {
	Options

	// Prefix begins the names of files, which go on with the time, a serial
	// number, Host and the extension; "": "crawl".
	Prefix string

	// Host is the name of the machine that crawls; "": its host name.
	Host string

	// MaxSize is the number of bytes after which the next archive begins; the
	// records that reach it are still written whole. 0: 1 GiB.
	MaxSize int64

	// Dedup is how many payloads are remembered, those written or met again most
	// recently: a response with one of them becomes a revisit record. 0:
	// DefaultDedup; negative: none.
	Dedup int
}

func (o FilesOptions) withDefaults() (_ FilesOptions, err error) {
	if o.Options, err = o.Options.withDefaults(); err != nil {
		return o, err
	}
	if o.Prefix == "" {
		o.Prefix = "crawl"
	}
	if o.Host == "" {
		o.Host, _ = os.Hostname()
	}
	o.Host = strings.Map(namePart, o.Host)
	switch {
	case strings.ContainsAny(o.Prefix, "/\\\x00"):
		return o, fmt.Errorf("warc: FilesOptions.Prefix %q is not part of a file name", o.Prefix)
	case o.MaxSize < 0:
		return o, fmt.Errorf("warc: FilesOptions.MaxSize is negative: %d", o.MaxSize)
	case o.MaxSize == 0:
		o.MaxSize = DefaultMaxSize
	}
	if o.Dedup == 0 {
		o.Dedup = DefaultDedup
	}
	return o, nil
}

// namePart leaves in a host's name what every file system takes.
func namePart(c rune) rune {
	switch {
	case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '.', c == '-', c == '_':
		return c
	}
	return '_'
}

// Files writes archives into a directory, one after another. Its methods may
// be called by several goroutines at once, of which each compresses what it
// writes. One Files at a time may be open for a directory and prefix.
type Files struct {
	dir      string
	opts     FilesOptions
	encoders chan *encoder // free ones, nil if not made yet; as many as can run at once
	seen     *dedup        // nil: none
	serials  atomic.Uint64

	mu     sync.Mutex
	part   *part // nil: none yet, or the last one is complete
	number int   // of archives begun
	closed bool

	wrap func(diskFile) diskFile // around the files of archives, for tests; nil: nothing
}

// OpenFiles makes dir if there is none, and completes archives of the same
// prefix that a killed process has left open: what is not whole is cut off. It
// reads the indexes of the newest archives, to know their payloads again. No
// archive is begun before the first record.
func OpenFiles(dir string, opts FilesOptions) (*Files, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	if err := makeDir(filepath.Clean(dir)); err != nil {
		return nil, fmt.Errorf("warc: %w", err)
	}
	f := &Files{dir: dir, opts: opts, encoders: make(chan *encoder, runtime.GOMAXPROCS(0)), seen: newDedup(opts.Dedup)}
	for range cap(f.encoders) {
		f.encoders <- nil
	}
	if err := f.mend(); err != nil {
		return nil, err
	}
	if f.seen != nil {
		if err := f.recall(); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// Write writes the records of x, one behind the other in one archive. They are
// not durable before the next Sync. When it fails, nothing of them is left
// behind, as far as the file system allows.
func (f *Files) Write(x *Exchange) error {
	e, err := f.encoder()
	if err != nil {
		return err
	}
	defer func() { f.encoders <- e }()
	e.reset()
	unique := *x
	unique.serial = f.serials.Add(1)
	var known func(payload) (Original, bool)
	if f.seen != nil {
		known = f.seen.find
	}
	fresh, err := e.exchange(&unique, known)
	if err != nil {
		return err
	}
	if err := f.append(e); err != nil {
		return err
	}
	if fresh != nil && f.seen != nil {
		f.seen.add(*fresh, Original{x.URL, x.Date})
	}
	return nil
}

// encoder waits for a free one.
func (f *Files) encoder() (*encoder, error) {
	e := <-f.encoders
	if e != nil {
		return e, nil
	}
	e, err := newEncoder(f.opts.Options)
	if err != nil {
		f.encoders <- nil
	}
	return e, err
}

// append writes what e has made to the archive.
func (f *Files) append(e *encoder) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return fmt.Errorf("warc: %w", fs.ErrClosed)
	}
	if err := f.ready(); err != nil {
		return fmt.Errorf("warc: %w", err)
	}
	if err := f.part.append(e.buf.Bytes(), e.entries); err != nil {
		return fmt.Errorf("warc: %w", err)
	}
	// What cannot be completed now is when the next record comes, which then fails.
	_ = f.rotate()
	return nil
}

// ready sees to it that there is an archive with room.
func (f *Files) ready() error {
	if err := f.rotate(); err != nil || f.part != nil {
		return err
	}
	return f.begin()
}

// rotate completes the archive if it has reached its size.
func (f *Files) rotate() error {
	if f.part == nil || f.part.size < f.opts.MaxSize {
		return nil
	}
	return f.complete()
}

func (f *Files) complete() error {
	err := f.part.complete()
	if err == nil {
		f.part = nil
	}
	return err
}

// Sync makes durable what was written by calls of Write that have returned. When
// it fails, what it was to make durable is kept, and the next Sync writes it again.
func (f *Files) Sync() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.part == nil {
		return nil
	}
	if err := f.part.sync(); err != nil {
		return fmt.Errorf("warc: %w", err)
	}
	return nil
}

// Close completes the last archive. When that fails, the archive stays open, for the
// next OpenFiles to mend. A second Close does nothing.
func (f *Files) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	if f.part == nil {
		return nil
	}
	err := f.complete()
	if err != nil {
		err = fmt.Errorf("warc: %w", errors.Join(err, f.part.abandon()))
		f.part = nil
	}
	return err
}

// begin starts an archive with its warcinfo record.
func (f *Files) begin() error {
	e, err := newEncoder(f.opts.Options)
	if err != nil {
		return err
	}
	extension := ".warc.gz"
	if f.opts.Uncompressed {
		extension = ".warc"
	}
	stamp := f.opts.Now().UTC().Format(stampLayout)
	for {
		f.number++
		name := fmt.Sprintf("%s-%s-%05d-%s%s", f.opts.Prefix, stamp, f.number, f.opts.Host, extension)
		path := filepath.Join(f.dir, name)
		if _, err := os.Lstat(path); err == nil {
			continue // of another run in the same second
		}
		file, err := os.OpenFile(path+openSuffix, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return err
		}
		f.part = &part{file: file, path: path + openSuffix, name: name, index: newSorter(f.dir, name)}
		if f.wrap != nil {
			f.part.file = f.wrap(file)
		}
		if err = e.info(name); err == nil {
			err = f.part.append(e.buf.Bytes(), nil)
		}
		if err == nil {
			err = syncDir(f.dir)
		}
		if err != nil {
			err = errors.Join(err, f.part.abandon(), os.Remove(path+openSuffix))
			f.part = nil
		}
		return err
	}
}

// stampLayout is the form of the time in the names of archives.
const stampLayout = "20060102150405"

// owns reports whether name begins as those of f's archives do: with the prefix and
// the time, so that they are told from those of another Files whose longer prefix
// begins alike.
func (f *Files) owns(name string) bool {
	rest, found := strings.CutPrefix(name, f.opts.Prefix+"-")
	stamp, _, more := strings.Cut(rest, "-")
	return found && more && len(stamp) == len(stampLayout) && strings.Trim(stamp, "0123456789") == ""
}

// mend completes the archives that were left open, and removes what else a killed
// process has left.
func (f *Files) mend() error {
	entries, err := os.ReadDir(f.dir)
	if err != nil {
		return fmt.Errorf("warc: %w", err)
	}
	for _, e := range entries {
		name := e.Name()
		path := filepath.Join(f.dir, name)
		switch {
		case strings.HasPrefix(name, runPrefix) && f.owns(strings.TrimPrefix(name, runPrefix)):
			err = os.Remove(path)
		case !f.owns(name):
			continue
		case strings.HasSuffix(name, indexSuffix+openSuffix):
			err = os.Remove(path)
		case isArchive(name) && strings.HasSuffix(name, openSuffix):
			err = mendFile(path)
		case isArchive(name):
			err = mendIndex(path)
		}
		if err != nil {
			return mendError(name, err)
		}
	}
	return nil
}

// errEnough ends the reading of an index.
var errEnough = errors.New("enough")

// recall fills the memory of payloads from the indexes of the newest archives.
func (f *Files) recall() error {
	entries, err := os.ReadDir(f.dir) // by time and number
	if err != nil {
		return fmt.Errorf("warc: %w", err)
	}
	for _, entry := range slices.Backward(entries) {
		name := entry.Name()
		if !f.owns(name) || !strings.HasSuffix(name, indexSuffix) {
			continue
		}
		err := readLines(filepath.Join(f.dir, name), func(line []byte) error {
			if f.seen.cache.Len() >= f.opts.Dedup {
				return errEnough
			}
			e, err := ParseEntry(line)
			if err == nil && e.MIME != "warc/revisit" && e.Digest != "" {
				f.seen.add(payload{e.Digest, e.Chunked}, Original{e.URL, e.Date})
			}
			return nil // a line that another has spoilt is of no use, and no harm
		})
		switch {
		case errors.Is(err, errEnough):
			return nil
		case err != nil && !errors.Is(err, bufio.ErrTooLong):
			return fmt.Errorf("warc: %s: %w", name, err)
		}
	}
	return nil
}
