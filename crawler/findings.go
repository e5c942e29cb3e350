package crawler

import (
	"bytes"
	"errors"
	"hash/maphash"
	"math"
	"mime"
	"slices"
	"strings"
	"sync"

	"github.com/orbweaver/orbweaver/crawler/links"
	"github.com/orbweaver/orbweaver/crawler/sitemap"
	"github.com/orbweaver/orbweaver/crawler/weburl"
)

// maxLinks and maxLinkBytes bound the links taken from one page, and their URLs: a page
// with a long URL makes each of its links as long. The rest is counted.
const (
	maxLinks     = 100_000
	maxLinkBytes = 16 << 20
)

// maxTitle bounds a stored title, in bytes.
const maxTitle = 1 << 10

// findings are what a page's bytes lead to.
type findings struct {
	urls    *weburl.Parser
	base    weburl.URL // what relative links are resolved against
	queries *queryEncoder
	title   string
	robots  links.Robots // what head and body ask of robots
	links   []foundLink  // each URL once
	listed  []listed     // what is said of links, as many; nil: nothing
	invalid int          // links that are no URL
	tooLong int          // links that are too long to be one
	noHTTP  int          // links of another scheme
	cut     int          // links beyond maxLinks and maxLinkBytes
	bytes   int          // of URLs
}

// foundLink is a link of a page, or several to one URL, of which the first counts.
type foundLink struct {
	url   weburl.URL
	kind  links.Kind
	also  links.Kind // of the others
	rel   links.Rel  // without what is in qualified, unless that of each has some of it
	known bool       // need not be added to the frontier
}

// join adds to the link another to the same URL.
func (l *foundLink) join(kinds links.Kind, rel links.Rel) {
	l.also |= kinds &^ l.kind
	if rel&qualified == 0 {
		l.rel &^= qualified
	}
}

// listed is what a sitemap or feed says of a URL.
type listed struct {
	listing
	priority int8
}

// findIn extracts the title and the links of the kinds that are asked for, as
// far as the page's type is one that is known to have them.
func findIn(p *Page) *findings {
	f := &findings{urls: p.urls, base: p.url, robots: p.head.robots, links: p.room.links[:0]}
	s := scratches.Get().(*scratch)
	defer s.release()
	for _, l := range p.head.links {
		f.take(s, l)
	}
	switch find := finderOf(p.ContentType, p.kinds); {
	case isHTML(p.ContentType):
		f.extract(s, p)
	case find != nil:
		body := p.Body
		if p.ContentType != pdfType {
			body = p.utf8()
			f.queries = newQueryEncoder(p.Charset())
		}
		find(body, func(l links.Link) bool {
			if l.Kind&p.kinds != 0 {
				f.take(s, l)
			}
			return s.batch.Len() < maxLinks
		})
	case p.kinds&links.Listed != 0 && mayList(p):
		f.list(s, p)
	}
	f.settle(s)
	p.room.links = f.links
	return f
}

// finderOf returns what finds the links in documents of a type, nil if they have
// none of the kinds.
func finderOf(contentType string, kinds links.Kind) func([]byte, func(links.Link) bool) {
	switch {
	case contentType == "text/css" && kinds&(links.Stylesheet|links.Asset) != 0:
		return links.CSS
	case contentType == "text/plain" && kinds&links.Text != 0:
		return links.PlainText
	case contentType == pdfType && kinds&links.Document != 0:
		return links.PDF
	case isCode(contentType) && kinds&links.Code != 0:
		return links.CodeStrings
	}
	return nil
}

const (
	pdfType   = "application/pdf"
	xhtmlType = "application/xhtml+xml" // HTML as XML
)

// isCode says whether a type is that of scripts or JSON.
func isCode(contentType string) bool {
	switch contentType {
	case "text/javascript", "application/javascript", "application/x-javascript", "text/ecmascript", "application/ecmascript",
		"application/json", "text/json":
		return true
	}
	return strings.HasSuffix(contentType, "+json")
}

// take resolves a link, or joins it to one that is written the same. It is kept by settle.
func (f *findings) take(s *scratch, l links.Link) {
	if l.Charset != nil { // in which the same text is another query
		f.add(s, l, newQueryEncoder(acceptedCharset(string(l.Charset))))
		return
	}
	at, first := s.seen.of(maphash.Bytes(s.seed, l.URL))
	switch {
	case first && f.add(s, l, f.queries):
		*at = int32(len(s.taken) - 1)
	case first:
		*at = notTaken
	case *at != notTaken:
		s.taken[*at].join(l.Kind, l.Rel)
	}
}

// notTaken is where in scratch.taken a link is that is none.
const notTaken = -1

// mayList says whether a page may be a sitemap or a feed.
func mayList(p *Page) bool {
	switch p.ContentType {
	case "application/xml", "text/xml", "application/rss+xml", "application/atom+xml", "application/rdf+xml":
		return true
	case "application/gzip", "application/x-gzip":
		return strings.HasSuffix(p.url.Path(), ".xml.gz")
	}
	return false
}

// list takes the entries of a sitemap or feed that was fetched like a page.
func (f *findings) list(s *scratch, p *Page) {
	f.listed = make([]listed, len(s.taken))
	for e, err := range sitemap.Entries(bytes.NewReader(p.Body), sitemap.Limits{}) {
		if err != nil {
			return // as it is cut, or something else
		}
		if e.Cut {
			f.tooLong++
			continue
		}
		f.take(s, links.Link{URL: []byte(e.Loc), Kind: entryKind(&e)})
		if len(s.taken) > len(f.listed) {
			f.listed = append(f.listed, listed{listingOf(&e), priorityOf(&e)})
		}
		if len(s.taken) == maxLinks {
			return
		}
	}
}

func entryKind(e *sitemap.Entry) links.Kind {
	if e.Index {
		return links.Sitemap
	}
	return links.Listed
}

// priorityOf is an entry's priority among the site's pages, from -5 to 5, for
// the frontier; 0 if it has none of its own.
func priorityOf(e *sitemap.Entry) int8 { return int8(math.Round(float64(e.Priority-0.5) * 10)) }

// scratch is the memory that extraction uses again for the next page.
type scratch struct {
	links []links.Link
	seen  hashMap // where links are: as written in taken, and resolved in findings.links
	seed  maphash.Seed
	batch weburl.Batch
	taken []foundLink // those in batch, without their URLs
}

var scratches = sync.Pool{New: func() any {
	return &scratch{seed: maphash.MakeSeed()}
}}

// release gives the memory to another page, unless one huge page needed too much.
func (s *scratch) release() {
	if s.seen.used > maxKeptLinks || s.batch.Cap() > maxKept {
		return
	}
	s.seen.clear()
	scratches.Put(s)
}

func (f *findings) extract(s *scratch, p *Page) {
	s.links = s.links[:0]
	opts := links.Options{
		Kinds: p.kinds, Agent: p.agent, XML: p.ContentType == xhtmlType,
		MaxLinks: maxLinks, MaxTitle: maxTitle, MaxURL: -1, // add knows better why a long one is none
	}
	page := links.Extract(p.utf8(), opts, func(l links.Link) bool {
		s.links = append(s.links, l)
		return true
	})
	f.title = string(page.Title)
	f.robots |= page.Robots
	f.cut += page.Cut.Links
	f.queries = newQueryEncoder(p.Charset())
	if base, err := f.base.Resolve(f.queries.encode(page.Base)); page.Base != nil && err == nil {
		f.base = base
	}
	for _, l := range s.links {
		f.take(s, l)
	}
	clear(s.links) // they hold the body
}

// add resolves a link and says whether it is one, which then is the last in s.taken.
func (f *findings) add(s *scratch, l links.Link, queries *queryEncoder) bool {
	switch {
	case !links.Web(l.URL):
		f.noHTTP++
		return false
	case f.bytes >= maxLinkBytes:
		f.cut++
		return false
	}
	before := s.batch.Size()
	switch s.batch.Add(*f.urls, f.base, queries.encode(l.URL)) {
	case "":
		f.bytes += s.batch.Size() - before
		s.taken = append(s.taken, foundLink{kind: l.Kind, rel: l.Rel})
		return true
	case weburl.UnsupportedScheme:
		f.noHTTP++
	case weburl.TooLong:
		f.tooLong++
	default:
		f.invalid++
	}
	return false
}

// settle keeps the links that were resolved, each URL once.
func (f *findings) settle(s *scratch) {
	f.links = slices.Grow(f.links, s.batch.Len())
	s.batch.Take(*f.urls, func(i int, u weburl.URL) {
		l := &s.taken[i]
		at, first := s.seen.of(^maphash.String(s.seed, u.String())) // not the hash of the same as written
		if !first {
			f.links[*at].join(l.kind|l.also, l.rel)
			return
		}
		*at = int32(len(f.links))
		if l.url = u; f.listed != nil {
			f.listed[*at] = f.listed[i]
		}
		f.links = append(f.links, *l)
	})
	s.taken = s.taken[:0]
	if f.listed != nil {
		f.listed = f.listed[:len(f.links)]
	}
}

// reasonOf says why a link that is no URL of the web was left out.
func reasonOf(err error) Reason {
	switch {
	case errors.Is(err, weburl.UnsupportedScheme):
		return ReasonNoHTTP
	case errors.Is(err, weburl.TooLong):
		return ReasonLength
	}
	return ReasonInvalid
}

func isHTML(contentType string) bool {
	return contentType == "text/html" || contentType == xhtmlType
}

// mediaType is the type of a Content-Type field: lower-case, without
// parameters, and "" if there is none.
func mediaType(field string) string {
	t, _, err := mime.ParseMediaType(field)
	if err != nil {
		t, _, _ = strings.Cut(field, ";")
	}
	return strings.ToLower(strings.TrimSpace(t))
}
