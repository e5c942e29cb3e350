package warc

import (
	"hash"
	"net/netip"
	"time"
)

// The profiles of revisit records.
const (
	ProfileIdenticalPayload = "http://netpreserve.org/warc/1.1/revisit/identical-payload-digest"
	ProfileNotModified      = "http://netpreserve.org/warc/1.1/revisit/server-not-modified"
)

// The reasons of WARC-Truncated.
const (
	TruncatedLength      = "length"      // a limit on its size
	TruncatedTime        = "time"        // a limit of time
	TruncatedDisconnect  = "disconnect"  // the connection was lost
	TruncatedUnspecified = "unspecified" // for another reason, or one not known
)

// Exchange is a request and what came of it, as it is archived: as a response or
// revisit record, a request record and a metadata record, those for which there is
// something.
type Exchange struct {
	// URL is the target of all records; required.
	URL string
	// Date is when the request began; required.
	Date time.Time

	// Request is the request as it was sent; nil: no request record.
	Request []byte
	// Head is the head of the final response, from the status line to the empty
	// line, and Body what followed, transfer coding included. A nil Head: there
	// was no response.
	Head, Body []byte
	// Truncated is why Body is not whole, one of the constants above; "": it is,
	// or it ends within a chunk, which is then noticed.
	Truncated string

	// NotModified makes a revisit record of the profile server-not-modified of a
	// response that says (status 304) that what it refers to is still so. Nil: it
	// is a response like others.
	NotModified *Original

	// IP is the server's address, Protocols the protocols spoken, such as
	// "http/1.1" and "tls/1.3", and Cipher the cipher suite's name. Zero: not told.
	IP        netip.Addr
	Protocols []string
	Cipher    string

	// Metadata is the content of the metadata record, such as via, hopsFromSeed
	// and fetchTimeMs; nil: none.
	Metadata []Field

	serial uint64 // tells exchanges of the same URL and time apart
}

// Original is the record that a revisit record refers to.
type Original struct {
	URL  string
	Date time.Time // of the record, exactly
}

// exchange makes the records of x. known looks up a payload that was archived
// before; nil: nothing is known. fresh is the payload that is archived now and was
// not known; nil: there is none.
func (e *encoder) exchange(x *Exchange, known func(payload) (Original, bool)) (fresh *payload, err error) {
	var first string // the record that the others are concurrent to
	if x.Head != nil {
		first = recordID("response", x.URL, x.Date, x.serial)
		if fresh, err = e.response(x, first, known); err != nil {
			return nil, err
		}
	}
	if x.Request != nil {
		id := recordID("request", x.URL, x.Date, x.serial)
		e.start("request", id, x, first)
		e.connection(x)
		e.header = appendField(e.header, "WARC-Block-Digest", e.hash.digest(x.Request))
		e.header = appendField(e.header, "Content-Type", "application/http;msgtype=request")
		if err := e.record(x.Request, nil, false); err != nil {
			return nil, err
		}
		if first == "" {
			first = id
		}
	}
	if x.Metadata == nil {
		return fresh, nil
	}
	var block []byte
	for _, f := range x.Metadata {
		block = appendField(block, f.Name, f.Value)
	}
	e.start("metadata", recordID("metadata", x.URL, x.Date, x.serial), x, first)
	e.header = appendField(e.header, "WARC-Block-Digest", e.hash.digest(block))
	e.header = appendField(e.header, "Content-Type", "application/warc-fields")
	return fresh, e.record(block, nil, false)
}

// start begins the header of a record of x.
func (e *encoder) start(kind, id string, x *Exchange, concurrent string) {
	e.header = startHead(e.header[:0], kind, id, x.Date)
	e.header = appendField(e.header, "WARC-Target-URI", uri(x.URL))
	if concurrent != "" {
		e.header = appendField(e.header, "WARC-Concurrent-To", concurrent)
	}
}

// connection adds what is known of the connection.
func (e *encoder) connection(x *Exchange) {
	if x.IP.IsValid() {
		e.header = appendField(e.header, "WARC-IP-Address", x.IP.Unmap().WithZone("").String())
	}
	for _, p := range x.Protocols {
		e.header = appendField(e.header, "WARC-Protocol", p)
	}
	if x.Cipher != "" {
		e.header = appendField(e.header, "WARC-Cipher-Suite", x.Cipher)
	}
}

// payload is what a payload is known by. Its framing belongs to it, as a revisit
// record's head is read together with the body of the original.
type payload struct {
	digest  string
	chunked bool
}

// countedHash counts what it hashes.
type countedHash struct {
	hash.Hash
	n int
}

func (h *countedHash) Write(p []byte) (int, error) {
	h.n += len(p)
	return h.Hash.Write(p)
}

// response makes the response or revisit record.
func (e *encoder) response(x *Exchange, id string, known func(payload) (Original, bool)) (fresh *payload, err error) {
	h := parseHead(x.Head)
	body, truncated := x.Body, x.Truncated
	p, size := payload{chunked: h.framed()}, len(body)
	if p.chunked {
		content := &countedHash{Hash: e.hash.h}
		content.Reset()
		in := dechunker{w: content}
		_, _ = in.Write(body)
		if !in.whole() && truncated == "" {
			truncated = TruncatedUnspecified
		}
		size = content.n
		p.digest = e.hash.sum()
	} else {
		p.digest = e.hash.digest(body)
	}
	if h.codings {
		p.digest = "" // the payload is what lies below a coding that is left as it is
	}
	kind := "response"
	var original Original
	profile := ""
	switch {
	case x.NotModified != nil:
		kind, profile, original = "revisit", ProfileNotModified, *x.NotModified
		p.digest = "" // of the original, which is not known here
	case known != nil && p.digest != "" && size > 0 && truncated == "":
		var found bool
		if original, found = known(p); found {
			kind, profile, body = "revisit", ProfileIdenticalPayload, nil
		} else {
			fresh = &p
		}
	}
	offset := e.buf.Len()
	e.start(kind, id, x, "")
	e.connection(x)
	if profile != "" {
		e.header = appendField(e.header, "WARC-Profile", profile)
		e.header = appendField(e.header, "WARC-Refers-To-Target-URI", uri(original.URL))
		e.header = appendField(e.header, "WARC-Refers-To-Date", formatDate(original.Date))
	}
	if truncated != "" {
		e.header = appendField(e.header, "WARC-Truncated", truncated)
	}
	e.header = appendField(e.header, "WARC-Block-Digest", e.hash.digest(x.Head, body))
	if p.digest != "" {
		e.header = appendField(e.header, "WARC-Payload-Digest", p.digest)
	}
	e.header = appendField(e.header, "Content-Type", "application/http;msgtype=response")
	if err := e.record(x.Head, body, h.incompressible()); err != nil {
		return nil, err
	}
	e.entries = append(e.entries, Entry{
		Key: SURT(uri(x.URL)), Date: x.Date, URL: uri(x.URL), MIME: indexMIME(kind, h.mime), Status: h.status,
		Digest: p.digest, Chunked: p.chunked, Offset: int64(offset), Length: int64(e.buf.Len() - offset),
	})
	return fresh, nil
}
