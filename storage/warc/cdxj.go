package warc

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Entry is a line of an index in the CDXJ format: where in which file a response
// or revisit record is. pywb and other tools for replay read it.
type Entry struct {
	Key      string // SURT of URL; lines are sorted by it, then by the date
	Date     time.Time
	URL      string
	MIME     string // of the response; "warc/revisit" for a revisit record
	Status   int    // 0: none
	Digest   string // of the payload, with its label; "": not known. A line has no label for SHA-1
	Chunked  bool   // the payload is in chunks, transfer coding being kept
	Offset   int64  // of the record in the file
	Length   int64  // of the record in the file
	Filename string
}

const indexStamp = "20060102150405"

// entryJSON is the object of a line: numbers are strings there. Date and transfer
// are ours; others ignore them.
type entryJSON struct {
	URL      string `json:"url"`
	MIME     string `json:"mime,omitempty"`
	Status   string `json:"status,omitempty"`
	Digest   string `json:"digest,omitempty"`
	Length   string `json:"length"`
	Offset   string `json:"offset"`
	Filename string `json:"filename"`
	Date     string `json:"date,omitempty"`
	Transfer string `json:"transfer,omitempty"`
}

// Append appends the line of e, with its line feed.
func (e *Entry) Append(dst []byte) []byte {
	dst = append(append(dst, e.Key...), ' ')
	dst = e.Date.UTC().AppendFormat(dst, indexStamp)
	object := entryJSON{
		URL: e.URL, MIME: e.MIME, Digest: bareDigest(e.Digest), Filename: e.Filename,
		Length: strconv.FormatInt(e.Length, 10), Offset: strconv.FormatInt(e.Offset, 10),
		Date: formatDate(e.Date),
	}
	if e.Status != 0 {
		object.Status = strconv.Itoa(e.Status)
	}
	if e.Chunked {
		object.Transfer = "chunked"
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(object) // strings can always be encoded
	return append(append(dst, ' '), buf.Bytes()...)
}

// ErrEntry is what an error of ParseEntry is.
var ErrEntry = errors.New("warc: not a line of a CDXJ index")

// ParseEntry reads a line, with or without its end, of an index that Entry.Append
// or another tool has written.
func ParseEntry(line []byte) (Entry, error) {
	line = bytes.TrimRight(line, "\r\n")
	key, rest, _ := bytes.Cut(line, []byte(" "))
	stamp, object, found := bytes.Cut(rest, []byte(" "))
	if !found || len(key) == 0 {
		return Entry{}, fmt.Errorf("%w: fewer than three fields", ErrEntry)
	}
	e := Entry{Key: string(key)}
	var err error
	if e.Date, err = time.Parse(indexStamp, string(stamp)); err != nil {
		return Entry{}, fmt.Errorf("%w: timestamp %.20q", ErrEntry, stamp)
	}
	var o entryJSON
	if err := json.Unmarshal(object, &o); err != nil {
		return Entry{}, fmt.Errorf("%w: %w", ErrEntry, err)
	}
	if exact, err := time.Parse(time.RFC3339Nano, o.Date); err == nil && exact.UTC().Format(indexStamp) == string(stamp) {
		e.Date = exact.UTC()
	}
	e.URL, e.MIME, e.Digest, e.Filename, e.Chunked = o.URL, o.MIME, labelledDigest(o.Digest), o.Filename, o.Transfer == "chunked"
	if o.Status != "" && o.Status != "-" {
		if e.Status, err = strconv.Atoi(o.Status); err != nil || e.Status < 0 {
			return Entry{}, fmt.Errorf("%w: status %.20q", ErrEntry, o.Status)
		}
	}
	for _, n := range []struct {
		to   *int64
		text string
	}{{&e.Offset, o.Offset}, {&e.Length, o.Length}} {
		if *n.to, err = strconv.ParseInt(n.text, 10, 64); err != nil || *n.to < 0 {
			return Entry{}, fmt.Errorf("%w: offset or length %.20q", ErrEntry, n.text)
		}
	}
	return e, nil
}

const labelSHA1 = "sha1:"

// bareDigest is a digest as the lines of an index have it: without the label of the
// usual one.
func bareDigest(s string) string {
	bare, found := strings.CutPrefix(s, labelSHA1)
	if !found || bare == "" || bare == "-" || strings.Contains(bare, ":") {
		return s
	}
	return bare
}

// labelledDigest undoes bareDigest.
func labelledDigest(s string) string {
	switch {
	case s == "", s == "-":
		return ""
	case strings.Contains(s, ":"):
		return s
	}
	return labelSHA1 + s
}

// indexMIME is what an index says of a record's type.
func indexMIME(kind, mime string) string {
	switch {
	case kind == "revisit":
		return "warc/revisit"
	case mime == "" || !utf8.ValidString(mime):
		return "unk"
	}
	return mime
}
