package links

import (
	"fmt"
	"math/bits"
	"slices"
	"strings"
)

// A Link is one reference found in a document or in a response's head.
//
// Its byte slices point into the document where the document says them literally, else into memory of their own.
// They stay valid, and must not be written to, as long as the document is left unchanged.
type Link struct {
	// URL is the reference as written, neither resolved nor judged: character references are decoded, white space
	// and control characters around it and tabs and line breaks within it are removed, as a browser does before it
	// parses a URL. It is never empty.
	URL []byte

	// Type is the media type that the link states for its target, as written; nil when it states none, or one of
	// more than 256 bytes.
	Type []byte

	// Charset is the accept-charset of a form that is sent by GET, as written, or the first 64 bytes of it: the
	// encodings that its server reads queries in, of which the first that is known is to be used, and UTF-8 if none
	// is. Nil when the form has none.
	Charset []byte

	// Tag and Attr are the lower-case names of the element and the attribute, such as "a" and "href". Attr is
	// empty for a URL in the text of an element, as of style; Tag is empty for the style attribute of an element
	// that states no links otherwise. In a style sheet Tag is empty and Attr "url" or "@import"; for a field of a
	// response's head Tag is empty and Attr the field's name in lower case; in text both are empty.
	Tag, Attr string

	Kind Kind // exactly one
	Rel  Rel  // the link relations that the element states
}

// A Kind says what a link is for. Each kind is a bit, so that a Kind also serves as a set of kinds.
type Kind uint32

const (
	Anchor     Kind = 1 << iota // a and area: where a reader may go
	Frame                       // frame and iframe: a page shown within this one
	Refresh                     // a meta element or header field that moves the reader on to another page
	Redirect                    // the Location field of a response
	Form                        // a form that is sent by GET, without its fields; a button with an action of its own
	Canonical                   // link rel=canonical: the URL under which the page wants to be known
	Alternate                   // link rel=alternate and rel=amphtml: the page in another language or format, a feed; a Content-Location field
	Next                        // link rel=next
	Prev                        // link rel=prev
	Stylesheet                  // a style sheet
	Script                      // a script
	Image                       // an image
	Media                       // audio, video and their sources and tracks
	Object                      // embed and object
	Icon                        // an icon of the site
	Manifest                    // a web application manifest
	Asset                       // url() in a style: an image, a font, a cursor
	Preload                     // link rel=preload, modulepreload, prefetch and prerender
	Connect                     // link rel=preconnect and dns-prefetch: names an origin, nothing to fetch
	Ping                        // an address that is told when a link is followed
	Reference                   // cite, longdesc and link with another relation, such as author, license, search
	Text                        // a URL written out in text
	Code                        // a URL in a string of a script or of JSON
	Document                    // a link out of a document that is no web page: PDF
	Sitemap                     // a sitemap, named by robots.txt or by another sitemap
	Listed                      // a URL that a sitemap or a feed lists
	kindEnd

	// Pages are the kinds by which one page leads to another without its reader's input. They are the default.
	Pages = Anchor | Frame | Refresh | Redirect | Canonical | Alternate | Next | Prev
	// Resources are the kinds of what a browser loads to show a page, frames aside.
	Resources = Stylesheet | Script | Image | Media | Object | Icon | Manifest | Asset | Preload
	// Lists are the kinds by which sites list what they have. [Extract] reports none of them; see package sitemap.
	Lists = Sitemap | Listed
	// All is every kind.
	All = kindEnd - 1
)

var kindNames = [...]string{
	"anchor", "frame", "refresh", "redirect", "form", "canonical", "alternate", "next", "prev", "stylesheet", "script", "image",
	"media", "object", "icon", "manifest", "asset", "preload", "connect", "ping", "reference", "text",
	"code", "document", "sitemap", "listed",
}

// KindNames returns the names that [ParseKinds] knows: those of sets first.
func KindNames() []string {
	return append([]string{"pages", "resources", "lists", "all"}, kindNames[:]...)
}

// ParseKinds reads names of kinds and of the sets pages, resources, lists and all, parted by commas, "|" or spaces.
func ParseKinds(text string) (set Kind, err error) {
	for _, name := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == '|' || r == ' ' }) {
		i := slices.Index(kindNames[:], name)
		switch {
		case i >= 0:
			set |= 1 << i
		case name == "pages":
			set |= Pages
		case name == "resources":
			set |= Resources
		case name == "lists":
			set |= Lists
		case name == "all":
			set |= All
		default:
			return 0, fmt.Errorf("links: %q is no kind of link", name)
		}
	}
	return set, nil
}

// String returns the kind's name in lower case. The names of a set are joined by "|", and "none" names the empty set.
func (k Kind) String() string { return bitNames(uint64(k), kindNames[:]) }

// bitNames joins the names of the set bits.
func bitNames(set uint64, names []string) string {
	var text []byte
	for ; set != 0; set &= set - 1 {
		i := bits.TrailingZeros64(set)
		if i >= len(names) {
			break
		}
		if text != nil {
			text = append(text, '|')
		}
		text = append(text, names[i]...)
	}
	if text == nil {
		return "none"
	}
	return string(text)
}

// Scheme returns the scheme of an absolute URL as written and without its colon, and nil for a relative reference.
// It takes a cleaned URL, as in [Link].
func Scheme(url []byte) []byte {
	for i, c := range url {
		switch {
		case class[c]&letter != 0:
		case c == ':' && i > 0:
			return url[:i]
		case i > 0 && ('0' <= c && c <= '9' || c == '+' || c == '-' || c == '.'):
		default:
			return nil
		}
	}
	return nil
}

// Web reports whether a URL can lead to something that is fetched by HTTP: it is relative, or its scheme is http
// or https. It is false for javascript:, mailto:, tel:, data: and the like.
func Web(url []byte) bool {
	s := Scheme(url)
	return s == nil || equalFold(s, "http") || equalFold(s, "https")
}

// equalFold reports whether b is s, which is in lower case, when ASCII's upper case is taken for lower case.
func equalFold(b []byte, s string) bool {
	if len(b) != len(s) {
		return false
	}
	for i, c := range b {
		if lower[c] != s[i] {
			return false
		}
	}
	return true
}

// trim removes white space and control characters from both ends, as the URL standard's parser does. NUL stays: in
// HTML it stands for U+FFFD.
func trim(b []byte) []byte {
	for len(b) > 0 && b[0] <= ' ' && b[0] != 0 {
		b = b[1:]
	}
	for len(b) > 0 && b[len(b)-1] <= ' ' && b[len(b)-1] != 0 {
		b = b[:len(b)-1]
	}
	return b
}

// cutSpace returns the first word of b, words being parted by HTML's white space, and the rest.
func cutSpace(b []byte) (word, rest []byte) {
	for len(b) > 0 && class[b[0]]&space != 0 {
		b = b[1:]
	}
	end := 0
	for end < len(b) && class[b[end]]&space == 0 {
		end++
	}
	return b[:end], b[end:]
}
