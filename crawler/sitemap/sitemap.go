package sitemap

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"time"
)

// Entry is one URL of a sitemap.
type Entry struct {
	Loc        string    // as written; in feeds it may be relative
	Cut        bool      // Loc is but the beginning of a URL that is longer than Limits.Field
	Index      bool      // Loc is a sitemap, not a page
	LastMod    time.Time // when the page changed last; zero: not told, or not in a form that could be read
	ChangeFreq ChangeFreq
	Priority   float32 // among the site's pages, 0 to 1; 0.5 if not told
}

// ChangeFreq tells how often a page changes, in the words of the protocol. "" if it is not told.
type ChangeFreq string

// The frequencies there are.
const (
	Always  ChangeFreq = "always"
	Hourly  ChangeFreq = "hourly"
	Daily   ChangeFreq = "daily"
	Weekly  ChangeFreq = "weekly"
	Monthly ChangeFreq = "monthly"
	Yearly  ChangeFreq = "yearly"
	Never   ChangeFreq = "never"
)

const defaultPriority = 0.5

// Limits bound what a hostile sitemap can cost. The zero value has those of the protocol.
type Limits struct {
	Bytes   int64 // of the file, unpacked. 0: 50 MiB
	Entries int   // 0: 50,000
	Field   int   // bytes of a URL, which is cut, or of a date or other value, which counts as not told. 0: 8,192
	Token   int   // bytes of a tag, a text, or a line, also of what is not of interest. 0: 1 MiB
	Ratio   int64 // how many times as large as itself a file may unpack, once that is 1 MiB. 0: 200
}

func (l Limits) withDefaults() Limits {
	return Limits{
		Bytes:   cmp.Or(l.Bytes, 50<<20),
		Entries: cmp.Or(l.Entries, 50_000),
		Field:   cmp.Or(l.Field, 8192),
		Token:   cmp.Or(l.Token, 1<<20),
		Ratio:   cmp.Or(l.Ratio, 200),
	}
}

// LimitError tells that a sitemap went over a limit. What came before it has been read.
type LimitError struct {
	Limit string // "bytes", "entries", "token" or "ratio"
	Most  int64
}

// Error tells the limit.
func (e *LimitError) Error() string {
	return fmt.Sprintf("sitemap: over the limit of %d (%s)", e.Most, e.Limit)
}

// ErrFormat tells that something is no sitemap of any kind: an HTML page, for example.
var ErrFormat = errors.New("sitemap: neither a sitemap, nor a feed, nor a list of URLs")

// Entries reads a sitemap, index, list or feed from r. The last pair may be an error and no entry: a *[LimitError], [ErrFormat],
// [io.ErrUnexpectedEOF] if the file ends in its middle, or what r or unpacking reported. An empty file has no entries
// and no error. Entries without a URL are skipped.
func Entries(r io.Reader, limits Limits) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		limits := limits.withDefaults()
		count := 0
		var overflow error
		err := read(r, limits, func(e Entry) bool {
			if e.Loc = strings.Trim(e.Loc, space); e.Loc == "" {
				return true
			}
			if count++; count > limits.Entries {
				overflow = &LimitError{"entries", int64(limits.Entries)}
				return false
			}
			return yield(e, nil)
		})
		if err = cmp.Or(overflow, err); err != nil && !errors.Is(err, errStopped) {
			yield(Entry{}, err)
		}
	}
}

const space = " \t\r\n"

// errStopped tells that the caller wants no more.
var errStopped = errors.New("stopped")

// read finds out what r has and reads it. It returns errStopped when yield returned false.
func read(r io.Reader, limits Limits, yield func(Entry) bool) error {
	in, err := open(r, limits)
	if err != nil {
		return err
	}
	head, err := in.Peek(512)
	if len(head) == 0 {
		if err == io.EOF {
			return nil
		}
		return err
	}
	text := bytes.TrimLeft(head, space)
	switch {
	case len(text) > 0 && text[0] == '<':
		return readXML(in, limits, yield)
	case len(text) == 0 || hasFoldPrefix(text, "http://") || hasFoldPrefix(text, "https://"):
		return readText(in, limits, yield)
	}
	return ErrFormat
}

func hasFoldPrefix(b []byte, prefix string) bool {
	return len(b) >= len(prefix) && strings.EqualFold(string(b[:len(prefix)]), prefix)
}
