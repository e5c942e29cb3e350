package storage

import (
	"encoding/json"
	"time"
)

// ErrorClassLimit is the [Record.ErrorClass] of a body that a limit on its size has cut.
const ErrorClassLimit = "limit"

// Record is the outcome of fetching one URL.
//
// Its zero value is not a valid record: a URL is required. Every other field
// may be left zero. The slices of a record that a Store hands out belong to
// the caller.
type Record struct {
	// Seq is the record's place in the order of fetching, counted from 1.
	// Append sets it and ignores what it held before.
	Seq uint64

	// URL is the canonical URL that was asked for: the record's identity.
	URL string
	// FinalURL is where the response led: the target of a redirect, else URL.
	FinalURL string
	// Host is the host whose politeness the fetch counted for.
	Host string
	// Referrer is the page on which URL was found; "" for a seed.
	Referrer string
	// Label is the user's route label.
	Label string
	// Data is what the user gave along with the request; nil, and not empty, if that
	// was nothing.
	Data []byte
	// Depth is the number of links between a seed and URL.
	Depth int
	// Attempts is the number of tries made, this one included.
	Attempts int
	// Redirects is the number of redirects followed before this response.
	Redirects int

	// Kind says how URL was found, if not by an anchor of a page: "sitemap" for
	// a sitemap, "listed" for a URL out of one, "image", "redirect", …
	Kind string
	// Rel are the relations with which a page qualified its link to URL, such as
	// "nofollow" or "ugc,sponsored".
	Rel string
	// Robots is what the page asks of robots in its head and its meta elements,
	// such as "noindex,nofollow".
	Robots string

	// Status is the HTTP status code; 0 when there was no response.
	Status int
	// Proto is the protocol of the response, such as "HTTP/1.1".
	Proto string
	// Head is the response head as received: status line and header fields.
	Head []byte
	// ContentType is the media type, in lower case and without parameters.
	ContentType string
	// Charset is the name of the body's character encoding.
	Charset string
	// Encoding is the content coding of Body as it is stored; "" is identity.
	Encoding string

	// FetchedAt is when the fetch began. Stores keep it to the nanosecond and
	// give it back in UTC.
	FetchedAt time.Time
	// Duration is how long the fetch took.
	Duration time.Duration
	// Bytes is the size of the decoded body.
	Bytes int64
	// WireBytes is the size of the body as transferred.
	WireBytes int64

	// Title is the title of the document.
	Title string
	// Links is the number of links found in it.
	Links int
	// Truncated says that the body was cut by a limit or by the peer; Error
	// says which.
	Truncated bool
	// Error is "" or why there was no response or no whole one, or what the
	// handler said.
	Error string
	// ErrorClass is the kind of Error in a word, such as "dns" or "timeout";
	// [ErrorClassLimit] is one.
	ErrorClass string

	// Change is what a revisit found, compared with what was known of URL before.
	Change Change
	// Digest is a checksum of the decoded body, by which a revisit sees whether it
	// changed: CRC-32C and CRC-32 (IEEE), 32 bits each. It is no proof against who
	// wants two bodies to look the same.
	Digest uint64

	// BodySeq is the Seq of the record that holds the body, which [Store.Body] gives
	// for this one too; 0: it is not kept. For a record with a Body, Append sets
	// it to the record's own Seq. Any other may name an earlier record of the same
	// URL that holds its body, as when a server says that the page was not modified.
	BodySeq uint64

	// Body is the body as transferred, still in its content coding. Nil means
	// that the body is not kept, which is not the same as an empty one.
	// Append stores it; reading gives it only through [Store.Body].
	Body []byte
	// Items are what the handler emitted for the page, each a JSON value.
	// Append stores them; reading gives them only through [Store.Items].
	Items []json.RawMessage
}

// Number gives r its place in a store, and its body, if it has one. It is for
// implementations of [Store].
func (r *Record) Number(seq uint64) {
	r.Seq = seq
	if r.Body != nil {
		r.BodySeq = seq
	}
}

// Unnumber takes back what Number did. It is for implementations of [Store].
func (r *Record) Unnumber() {
	r.Seq = 0
	if r.Body != nil {
		r.BodySeq = 0
	}
}

// Item is one value that a handler emitted, with the page it came from.
type Item struct {
	Seq   uint64 // of the page's record
	URL   string // of the page's record
	Label string // of the page's record
	Data  json.RawMessage
}
