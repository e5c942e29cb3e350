package crawler

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/orbweaver/orbweaver/httpclient"
)

// Cache keeps responses outside of the job, so that a crawl that is being written
// can be run again and again without asking the sites: what is in the cache is not
// asked for, whatever its header says of caches, and waits for no delay. Robots.txt
// and sitemaps are in it too. It is on if Dir is not empty.
//
// A response is kept under its URL and the header fields that are the crawl's own,
// but for cookies. It is kept if it came whole to a GET request and its status is
// one that lasts: not 206, 304, 408, 425, 429, or 500 and up. Replayed responses go
// past Middleware and web archives, set no cookies, and count for Rate and the
// budgets like others.
//
// Each is a file, written beside its place and renamed, so that several processes
// may share a directory, and a crash leaves no half of one. One that is damaged is
// asked for again, and counted.
type Cache struct {
	// Dir is a directory of the cache's own, created if it is missing.
	Dir string

	// MaxAge is how old a response may be to be replayed. Zero: any age.
	MaxAge time.Duration

	// MaxBytes is how many bytes the cache may take; when it has more, what was stored
	// first goes first. Several processes may exceed it for a while. Zero:
	// DefaultCacheBytes. Negative: no limit.
	MaxBytes int64
}

// DefaultCacheBytes is what a zero Cache.MaxBytes means.
const DefaultCacheBytes = 1 << 30

func (c Cache) check() string {
	switch {
	case c == Cache{}:
		return ""
	case c.Dir == "":
		return "needs Dir"
	case c.MaxAge < 0:
		return "its MaxAge must not be negative"
	}
	return ""
}

// CacheStats count what a crawl had from its Cache.
type CacheStats struct {
	Hits    int64 `json:"hits"`              // responses replayed, robots.txt included
	Stored  int64 `json:"stored"`            // responses put into it
	Damaged int64 `json:"damaged,omitempty"` // entries that could not be read, and were asked for
}

// cacheMargin is how much larger than the decoded limit a body as transferred may be.
const cacheMargin = 1 << 20

// cacheDir is the directory of a Cache. Its methods may be called at once.
type cacheDir struct {
	dir     string
	maxAge  time.Duration
	most    int64 // bytes of all; negative: no limit
	largest int64 // bytes of one body

	hits, stored, damaged atomic.Int64

	mu   sync.Mutex
	size int64 // of all, as far as it is known here
}

// openCache opens the cache that cfg asks for; nil if it asks for none.
func openCache(cfg *Config) (*cacheDir, error) {
	if cfg.Cache.Dir == "" {
		return nil, nil
	}
	c := &cacheDir{
		dir: cfg.Cache.Dir, maxAge: cfg.Cache.MaxAge, most: orDefault(cfg.Cache.MaxBytes, DefaultCacheBytes),
		largest: min(cfg.MaxBody, 1<<40) + cacheMargin,
	}
	if err := os.MkdirAll(c.dir, 0o700); err != nil { // what a login shows may be in it
		return nil, &ConfigError{"Cache", err.Error()}
	}
	if err := c.tidy(); err != nil {
		return nil, &ConfigError{"Cache", err.Error()}
	}
	return c, nil
}

func (c *cacheDir) stats() CacheStats {
	if c == nil {
		return CacheStats{}
	}
	return CacheStats{Hits: c.hits.Load(), Stored: c.stored.Load(), Damaged: c.damaged.Load()}
}

// An entry of the cache:
//
//	magic
//	8 bytes  when it was stored, in seconds since 1970
//	4 bytes  size of the key
//	4 bytes  size of the head
//	         key, head
//	         body as transferred, without its framing
//	4 bytes  CRC-32C of all before
type cacheEntry struct {
	stored     time.Time
	key        []byte // what the response answers
	head, body []byte
}

const (
	cacheMagic = "orbweaver response 1\n"
	cacheFixed = len(cacheMagic) + 8 + 4 + 4
	cacheCRC   = 4
	maxKeyHead = 1 << 20 // of key and head each
)

func (e *cacheEntry) encode() []byte {
	b := make([]byte, 0, cacheFixed+len(e.key)+len(e.head)+len(e.body)+cacheCRC)
	b = append(b, cacheMagic...)
	b = binary.BigEndian.AppendUint64(b, uint64(e.stored.Unix()))
	b = binary.BigEndian.AppendUint32(b, uint32(len(e.key)))
	b = binary.BigEndian.AppendUint32(b, uint32(len(e.head)))
	b = append(b, e.key...)
	b = append(b, e.head...)
	b = append(b, e.body...)
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

var errCacheEntry = errors.New("no entry of a cache")

// decodeCacheEntry reads what encode wrote. The entry refers to b.
func decodeCacheEntry(b []byte) (*cacheEntry, error) {
	if len(b) < cacheFixed+cacheCRC || string(b[:len(cacheMagic)]) != cacheMagic {
		return nil, errCacheEntry
	}
	payload, sum := b[:len(b)-cacheCRC], binary.BigEndian.Uint32(b[len(b)-cacheCRC:])
	if crc32.Checksum(payload, castagnoli) != sum {
		return nil, fmt.Errorf("%w: its checksum is wrong", errCacheEntry)
	}
	fixed, rest := payload[len(cacheMagic):cacheFixed], payload[cacheFixed:]
	key, head := int64(binary.BigEndian.Uint32(fixed[8:])), int64(binary.BigEndian.Uint32(fixed[12:]))
	if key > maxKeyHead || head > maxKeyHead || key+head > int64(len(rest)) {
		return nil, fmt.Errorf("%w: its sizes are wrong", errCacheEntry)
	}
	seconds := min(binary.BigEndian.Uint64(fixed), 1<<40)
	return &cacheEntry{
		stored: time.Unix(int64(seconds), 0), key: rest[:key], head: rest[key : key+head], body: rest[key+head:],
	}, nil
}

// key is what a request is kept under.
func (c *cacheDir) key(req *httpclient.Request, always http.Header) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s\n", req.Method, req.URL())
	var fields []string
	for name, values := range always {
		for _, v := range values {
			fields = append(fields, http.CanonicalHeaderKey(name)+": "+v)
		}
	}
	for _, f := range req.Header {
		switch name := http.CanonicalHeaderKey(f.Name); name {
		case "If-None-Match", "If-Modified-Since": // the cache answers with the page
		default:
			fields = append(fields, name+": "+f.Value)
		}
	}
	if req.Auth != nil {
		fields = append(fields, "Authorization: "+req.Auth.Login+":"+req.Auth.Password)
	}
	// Credentials are not for everybody who may read the directory.
	slices.Sort(fields)
	sum := sha256.Sum256([]byte(strings.Join(fields, "\n")))
	b.WriteString(hex.EncodeToString(sum[:16]))
	return b.Bytes()
}

// path is where the entry of a key is.
func (c *cacheDir) path(key []byte) string {
	sum := sha256.Sum256(key)
	name := hex.EncodeToString(sum[:])
	return filepath.Join(c.dir, name[:2], name[2:])
}

// load returns the entry of a key; nil if there is none that may be replayed.
func (c *cacheDir) load(key []byte, now time.Time) *cacheEntry {
	f, err := os.Open(c.path(key))
	if err != nil {
		return nil
	}
	defer f.Close()
	most := c.largest + int64(cacheFixed) + 2*maxKeyHead + cacheCRC
	text, err := io.ReadAll(io.LimitReader(f, most))
	if err != nil {
		c.damaged.Add(1)
		return nil
	}
	e, err := decodeCacheEntry(text)
	switch {
	case err != nil:
		c.damaged.Add(1)
		return nil
	case !bytes.Equal(e.key, key), c.maxAge > 0 && now.Sub(e.stored) > c.maxAge:
		return nil
	}
	return e
}

// store keeps an entry in the place of an earlier one.
func (c *cacheDir) store(e *cacheEntry) error {
	path := c.path(e.key)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), cacheTemp+"*")
	if err != nil {
		return err
	}
	text := e.encode()
	_, err = f.Write(text)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	c.stored.Add(1)
	c.mu.Lock()
	c.size += int64(len(text))
	full := c.most >= 0 && c.size > c.most
	c.mu.Unlock()
	if full {
		return c.tidy()
	}
	return nil
}

const (
	cacheTemp     = "new-"
	cacheTempLife = time.Hour // after which nobody is writing it any more
)

// tidy counts what there is, takes away what writers left that were killed, and, if
// there is too much, what was stored first.
func (c *cacheDir) tidy() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	type file struct {
		path string
		at   time.Time
		size int64
	}
	var files []file
	c.size = 0
	err := filepath.WalkDir(c.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return ignoreMissing(err)
		}
		info, err := d.Info()
		if err != nil {
			return ignoreMissing(err)
		}
		switch name := d.Name(); {
		case filepath.Dir(filepath.Dir(path)) != filepath.Clean(c.dir):
			return nil // not ours
		case strings.HasPrefix(name, cacheTemp) && time.Since(info.ModTime()) > cacheTempLife:
			return ignoreMissing(os.Remove(path))
		case len(name) != 2*sha256.Size-2:
			return nil
		}
		files = append(files, file{path, info.ModTime(), info.Size()})
		c.size += info.Size()
		return nil
	})
	if err != nil || c.most < 0 || c.size <= c.most {
		return err
	}
	slices.SortFunc(files, func(a, b file) int {
		return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.path, b.path))
	})
	for _, f := range files {
		if c.size <= c.most-c.most/10 {
			break
		}
		if err := ignoreMissing(os.Remove(f.path)); err != nil {
			return err
		}
		c.size -= f.size
	}
	return nil
}

// ignoreMissing forgives that another process was faster.
func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// lasting says whether a status may be kept.
func lasting(status int) bool {
	switch status {
	case http.StatusPartialContent, http.StatusNotModified, http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return false
	}
	return status >= 200 && status < 500
}

// whole says whether a body has the length that its head states.
func whole(resp *httpclient.Response, body int) bool {
	if resp.HeaderValue("Transfer-Encoding") != "" {
		return true
	}
	text := resp.HeaderValue("Content-Length")
	if text == "" {
		return true
	}
	n, err := strconv.Atoi(text)
	return err == nil && n == body
}
