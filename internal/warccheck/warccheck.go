// Package warccheck reads web archives for tests, by other means than package
// warc: with the standard library's gzip and HTTP readers alone, strictly, and
// with all digests computed again.
package warccheck

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha1"
	"encoding/base32"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"
	"time"
)

// Record is a record whose digests are right.
type Record struct {
	Type, ID, URI string
	Date          time.Time
	Header        textproto.MIMEHeader
	Block         []byte
	Payload       []byte // of a response: without transfer coding; nil for others
	Offset        int64  // of its gzip member
	Length        int64  // of its gzip member
}

// Read returns the records of an archive in which each is a gzip member, or says
// what is wrong with the first that breaks a rule.
func Read(archive []byte) ([]Record, error) {
	var all []Record
	ids := map[string]bool{}
	in := bytes.NewReader(archive)
	for in.Len() > 0 {
		offset := int64(len(archive) - in.Len())
		gz, err := gzip.NewReader(in)
		if err != nil {
			return all, fmt.Errorf("offset %d: %w", offset, err)
		}
		gz.Multistream(false)
		text, err := io.ReadAll(gz)
		if err != nil {
			return all, fmt.Errorf("offset %d: %w", offset, err)
		}
		rec, err := parse(text)
		if err != nil {
			return all, fmt.Errorf("offset %d: %w in %.600q", offset, err, text)
		}
		if ids[rec.ID] {
			return all, fmt.Errorf("offset %d: the ID %s is there twice", offset, rec.ID)
		}
		ids[rec.ID] = true
		rec.Offset, rec.Length = offset, int64(len(archive)-in.Len())-offset
		all = append(all, rec)
	}
	return all, nil
}

func parse(text []byte) (rec Record, err error) {
	rest, found := bytes.CutPrefix(text, []byte("WARC/1.1\r\n"))
	if !found {
		return rec, errors.New("no version")
	}
	end := bytes.Index(rest, []byte("\r\n\r\n"))
	if end < 0 {
		return rec, errors.New("no end of the header")
	}
	rec.Header, err = textproto.NewReader(bufio.NewReader(bytes.NewReader(rest[:end+4]))).ReadMIMEHeader()
	if err != nil {
		return rec, err
	}
	length, err := strconv.Atoi(rec.Header.Get("Content-Length"))
	if err != nil || len(rest) != end+4+length+4 || string(rest[end+4+length:]) != "\r\n\r\n" {
		return rec, fmt.Errorf("%d bytes do not fit Content-Length %d", len(rest), length)
	}
	rec.Block = rest[end+4 : end+4+length]
	rec.Type, rec.ID, rec.URI = rec.Header.Get("WARC-Type"), rec.Header.Get("WARC-Record-ID"), rec.Header.Get("WARC-Target-URI")
	if rec.Date, err = time.Parse(time.RFC3339Nano, rec.Header.Get("WARC-Date")); err != nil {
		return rec, err
	}
	if !strings.HasPrefix(rec.ID, "<urn:uuid:") {
		return rec, fmt.Errorf("ID %q", rec.ID)
	}
	if got := rec.Header.Get("WARC-Block-Digest"); got != digest(rec.Block) {
		return rec, fmt.Errorf("block digest %s is not %s", got, digest(rec.Block))
	}
	return rec, rec.checkType()
}

func (rec *Record) checkType() error {
	if rec.Type != "warcinfo" && rec.URI == "" {
		return errors.New("no target")
	}
	switch rec.Type {
	case "warcinfo", "metadata":
		if rec.Header.Get("Content-Type") != "application/warc-fields" {
			return errors.New("no warc-fields")
		}
		_, err := textproto.NewReader(bufio.NewReader(io.MultiReader(bytes.NewReader(rec.Block), strings.NewReader("\r\n")))).ReadMIMEHeader()
		return err
	case "request":
		_, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(rec.Block)))
		return err
	case "response":
		return rec.checkPayload()
	case "revisit":
		for _, name := range []string{"WARC-Profile", "WARC-Refers-To-Target-URI", "WARC-Refers-To-Date"} {
			if rec.Header.Get(name) == "" {
				return errors.New("no " + name)
			}
		}
		return nil
	}
	return fmt.Errorf("type %q", rec.Type)
}

// checkPayload computes the digest of a response's payload. What the standard
// library cannot read, because the server broke a rule, must come without one, or
// with the digest of what follows the head.
func (rec *Record) checkPayload() error {
	if rec.Header.Get("Content-Type") != "application/http;msgtype=response" {
		return errors.New("not application/http")
	}
	want := rec.Header.Get("WARC-Payload-Digest")
	_, plain, found := bytes.Cut(rec.Block, []byte("\r\n\r\n"))
	if !found {
		return errors.New("no HTTP head")
	}
	resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(rec.Block)), nil)
	if err == nil && len(resp.TransferEncoding) > 0 {
		rec.Payload, err = io.ReadAll(resp.Body)
		if err != nil && rec.Header.Get("WARC-Truncated") == "" {
			return fmt.Errorf("a body that is not truncated: %w", err)
		}
	} else {
		rec.Payload = plain
	}
	if want != "" && want != digest(rec.Payload) {
		return fmt.Errorf("payload digest %s is not %s", want, digest(rec.Payload))
	}
	return nil
}

func digest(b []byte) string {
	sum := sha1.Sum(b)
	return "sha1:" + base32.StdEncoding.EncodeToString(sum[:])
}
