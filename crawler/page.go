package crawler

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/PuerkitoBio/goquery"

	"github.com/orbweaver/orbweaver/crawler/extract"
	"github.com/orbweaver/orbweaver/crawler/links"
	"github.com/orbweaver/orbweaver/crawler/weburl"
	"github.com/orbweaver/orbweaver/frontier"
	"github.com/orbweaver/orbweaver/httpclient/charset"
	"github.com/orbweaver/orbweaver/storage"
)

const (
	maxItem  = 1 << 20 // bytes of JSON in one item
	maxItems = 10_000  // items of one page
	maxData  = frontier.MaxData - maxEnvelope
)

// ErrLimit is wrapped by what Page.Emit and Page.Follow return when a page has
// more, or larger, items or links than a page may have.
var ErrLimit = errors.New("limit reached")

// Page is a response with its body read, as a Handler sees it. It belongs to
// one handler at a time, and its methods must not be called at once, nor after
// the handler returned; its fields and its body may be kept.
type Page struct {
	URL         string
	Status      int
	Depth       int    // links from a seed to this page
	Referrer    string // the page on which it was found; "" for seeds
	Label       string // of the Request that asked for it
	Data        []byte // of the Request that asked for it
	ContentType string // lower-case, without parameters; "" if unknown
	Body        []byte // decoded from its content coding, cut at Config.MaxBody
	Truncated   bool   // the body was cut, by the limit or by the server
	Attempts    int    // tries made, this one counted
	FetchedAt   time.Time
	Duration    time.Duration

	header    http.Header
	head      head       // what the fields say
	typeField string     // the Content-Type field
	kinds     links.Kind // of links to look for
	agent     string     // the crawler's name
	url       weburl.URL
	urls      *weburl.Parser              // reads its links
	judge     judge                       // of its links
	tell      func(link string, r Reason) // told what was left out

	change storage.Change // from what was known of the page

	text    []byte // Body as UTF-8; nil: not yet
	encoded string // encoding found for Body
	doc     *goquery.Document
	found   *findings
	room    *buffer           // for what is found
	values  map[string]string // of the Mux's wildcards

	follows []frontier.Request
	items   []json.RawMessage
	left    few[Reason] // what the handler asked for and was left out
	faults  []error     // what the handler reported
}

// Request asks for a URL with more than its address.
type Request struct {
	// URL may be relative to the page.
	URL string
	// Label becomes Page.Label, which a Mux can route by; up to 1 KiB.
	Label string
	// Priority: higher is fetched earlier within its host. Zero is the usual.
	Priority int8
	// Data becomes Page.Data; up to 32 bytes less than 64 KiB.
	Data []byte
}

// Link is a link of a page.
type Link struct {
	URL      string // absolute and canonical
	Kind     links.Kind
	Rel      links.Rel
	Nofollow bool // Rel has nofollow, ugc or sponsored
}

// Header returns the response's header fields.
func (p *Page) Header() http.Header { return p.header }

// PathValue returns what the named wildcard of the Mux's route stands for, without
// its percent-encoding, or "".
func (p *Page) PathValue(name string) string { return p.values[name] }

// Charset returns the name of the encoding that the body was found to be in,
// after the byte order mark, the header, and the document itself.
func (p *Page) Charset() string {
	p.decode()
	return p.encoded
}

// Text returns the body as UTF-8. Bytes that are wrong in the page's encoding
// are replaced by U+FFFD.
func (p *Page) Text() string { return string(p.decode()) }

func (p *Page) decode() []byte {
	if p.text != nil {
		return p.text
	}
	p.encoded, _ = charset.Detect(p.Body, p.typeField)
	text, err := charset.Decode(p.Body, p.encoded)
	if err != nil {
		text = bytes.ToValidUTF8(p.Body, []byte("\uFFFD"))
	}
	p.text = text
	return text
}

// utf8 returns the body as UTF-8; the body itself if it is in UTF-8, whether or
// not all of its bytes are right.
func (p *Page) utf8() []byte {
	if p.Charset() != "utf-8" {
		return p.decode()
	}
	return p.Body
}

// Document returns the body parsed as HTML. It is parsed once, when it is first
// asked for.
func (p *Page) Document() (*goquery.Document, error) {
	if p.doc != nil {
		return p.doc, nil
	}
	doc, err := goquery.NewDocumentFromReader(bytes.NewReader(p.decode()))
	if err != nil {
		return nil, fmt.Errorf("crawler: parse %s: %w", p.URL, err)
	}
	doc.Url, err = url.Parse(p.URL)
	if err != nil {
		return nil, fmt.Errorf("crawler: parse %s: %w", p.URL, err)
	}
	p.doc = doc
	return doc, nil
}

// Unmarshal fills the struct that v points to from the document, by the CSS
// selectors in its field tags; see package extract. Fields that fail are listed
// in an *extract.Error, and the others are filled.
func (p *Page) Unmarshal(v any) error {
	doc, err := p.Document()
	if err != nil {
		return err
	}
	return extract.Unmarshal(doc.Selection, doc.Url, v)
}

// Title returns the document's title, or "".
func (p *Page) Title() string { return p.find().title }

// Robots returns what the page asks of robots, in X-Robots-Tag and in meta
// elements for robots in general and for this one.
func (p *Page) Robots() links.Robots { return p.find().robots }

// Links returns the http and https links of the kinds that are followed, each
// once, those of the head first and then in the order of the document; links out
// of scope too. Several to one URL are what the first of them is, but that Nofollow
// is set only if each of them is one not to follow.
func (p *Page) Links() []Link {
	f := p.find()
	out := make([]Link, len(f.links))
	for i, l := range f.links {
		out[i] = Link{URL: l.url.String(), Kind: l.kind, Rel: l.rel, Nofollow: l.rel&qualified != 0}
	}
	return out
}

// find extracts the links, once.
func (p *Page) find() *findings {
	if p.found == nil {
		p.found = findIn(p)
	}
	return p.found
}

// Follow asks for URLs, which may be relative to the page. Those out of scope,
// or known already, are left out in silence, and counted; for those that are no
// http or https URLs the errors are joined.
func (p *Page) Follow(urls ...string) error {
	var errs []error
	for _, u := range urls {
		if err := p.FollowRequest(Request{URL: u}); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// FollowRequest asks for a URL as Follow does, with a label, a priority or
// data.
func (p *Page) FollowRequest(r Request) error {
	u, err := p.urls.Resolve(p.find().base, []byte(r.URL))
	if err != nil {
		return fmt.Errorf("crawler: follow %q from %s: %w", r.URL, p.URL, err)
	}
	if len(p.follows) >= maxLinks {
		return fmt.Errorf("crawler: follow %q from %s: %w: %d links", r.URL, p.URL, ErrLimit, maxLinks)
	}
	if len(r.Data) > maxData || len(r.Label) > frontier.MaxLabel {
		return fmt.Errorf("crawler: follow %q from %s: %w: a label may have %d bytes, data %d",
			r.URL, p.URL, ErrLimit, frontier.MaxLabel, maxData)
	}
	verdict := p.judge.link(u, links.Anchor)
	if verdict.leaveOut {
		p.tell(u.String(), verdict.Reason)
		return nil
	}
	p.follows = append(p.follows, frontier.Request{
		URL: u.String(), Host: u.Host(), Referrer: p.URL, Depth: p.Depth + 1,
		Priority: verdict.raise(r.Priority), Label: r.Label, Data: envelope{hops: verdict.hops, user: r.Data}.encode(),
	})
	return nil
}

// Emit stores v, encoded as JSON, as an item of the page. An item may have 1
// MiB, and a page 10,000 of them.
func (p *Page) Emit(v any) error {
	text, err := json.Marshal(v)
	switch {
	case err != nil:
		return fmt.Errorf("crawler: emit from %s: %w", p.URL, err)
	case len(text) > maxItem:
		return fmt.Errorf("crawler: emit from %s: %w: an item of %d bytes", p.URL, ErrLimit, len(text))
	case len(p.items) >= maxItems:
		return fmt.Errorf("crawler: emit from %s: %w: %d items", p.URL, ErrLimit, maxItems)
	}
	p.items = append(p.items, text)
	return nil
}

// maxFaults bounds what is kept of the faults of a page.
const maxFaults = 10

// Report notes a fault of the page, such as an item without a price, that does
// not undo what the handler did otherwise, as returning an error would. It is
// kept as the result's error, with the class "content", and counted. A nil err is
// no fault; of more than ten the first are kept.
func (p *Page) Report(err error) {
	if err != nil && len(p.faults) < maxFaults {
		p.faults = append(p.faults, err)
	}
}
