package links

import (
	"bytes"
	"time"
	"unicode/utf8"
)

// Defaults of the limits in [Options].
const (
	DefaultMaxLinks   = 10_000
	DefaultMaxURL     = 8 << 10
	DefaultMaxTitle   = 1 << 10
	DefaultMaxNesting = 2
)

// Options choose what [Extract] finds. The zero value finds the links of [Pages] within the default limits.
type Options struct {
	// Kinds are the kinds of link to report. Zero means [Pages].
	Kinds Kind

	// Agent is the crawler's name; a meta element of that name is obeyed as one with the name robots is. Empty
	// means only robots.
	Agent string

	// Templates also reports what stands in template elements, which browsers do not show and in which URLs tend
	// to have holes for a script to fill. A template with a shadowrootmode is shown, and counts always.
	Templates bool

	// XML reads the document as XHTML that is XML: a tag that ends with "/>" is an element without content, whichever
	// it is, and CDATA sections may stand everywhere.
	XML bool

	MaxLinks   int // most links to report. 0 means DefaultMaxLinks, negative no limit
	MaxURL     int // longest URL to report, in bytes. 0 means DefaultMaxURL, negative no limit
	MaxTitle   int // longest title, in bytes; a longer one is cut. 0 means DefaultMaxTitle, negative no limit
	MaxNesting int // depth to which documents in srcdoc attributes are read. 0 means DefaultMaxNesting, negative not at all
}

func (o Options) withDefaults() Options {
	if o.Kinds == 0 {
		o.Kinds = Pages
	}
	for _, limit := range []struct {
		value    *int
		standard int
		none     int
	}{
		{&o.MaxLinks, DefaultMaxLinks, int(^uint(0) >> 1)},
		{&o.MaxURL, DefaultMaxURL, int(^uint(0) >> 1)},
		{&o.MaxTitle, DefaultMaxTitle, int(^uint(0) >> 1)},
		{&o.MaxNesting, DefaultMaxNesting, 0},
	} {
		switch {
		case *limit.value == 0:
			*limit.value = limit.standard
		case *limit.value < 0:
			*limit.value = limit.none
		}
	}
	return o
}

// A Page is what a document says of itself. Its byte slices are under the same rule as those of a [Link].
type Page struct {
	// Base is the href of the first base element that has one, as written (see [Link.URL]): the URL against which
	// all links of the page are resolved, those before the element included. It may be relative to the page's own
	// URL. Nil means the page's own URL.
	Base []byte

	// Title is the text of the first title element, with its white space collapsed. Nil means that there is none.
	Title []byte

	// Robots is the union of what all meta elements ask of robots in general and of Options.Agent.
	Robots Robots

	// Refresh is the URL to which the first meta refresh leads after RefreshDelay, nil when there is none or when
	// it loads the same page again.
	Refresh      []byte
	RefreshDelay time.Duration

	// Links is the number of links reported.
	Links int

	// Cut tells what the limits kept back.
	Cut Cut
}

// Cut counts what limits kept back.
type Cut struct {
	Links  int  // links beyond MaxLinks
	URLs   int  // links longer than MaxURL
	Nested int  // documents in srcdoc deeper than MaxNesting
	Title  bool // the title was longer than MaxTitle
}

// Extract finds the links of an HTML document and calls yield with each, in the order of the document, until yield
// returns false, at which it stops. It works on any bytes and never fails; in a document that ends within a tag
// that tag does not count.
//
// It allocates nothing for a link that the document says literally. It may be called from many goroutines at once.
func Extract(body []byte, opts Options, yield func(Link) bool) Page {
	var mem arena
	x := extractor{opts: opts.withDefaults(), yield: yield, arena: &mem}
	x.in = body
	x.run()
	return x.page
}

// An extractor reads one document.
type extractor struct {
	tokenizer
	foreign foreign
	opts    Options
	yield   func(Link) bool
	stopped bool // yield has returned false

	values [attrCount]span // of the current tag's attributes, as written
	seen   uint64          // which of them the tag has, a bit each

	templates int  // open template elements whose content is inert
	based     bool // the first base element with an href has been read
	titled    bool // the first title has been read
	refreshed bool // the first meta refresh has been read
	nesting   int  // depth of this document in srcdoc attributes

	post    bool   // the current form is not sent by GET
	charset []byte // its accept-charset; nil: it has none

	arena *arena
	page  Page

	passed elementSet  // the elements that pass moves past, set by passOver
	heads  [256]uint32 // of the tags of others, by their first byte: see headBit
}

func (x *extractor) run() {
	passing := x.opts.Kinds&(Asset|Text) == 0
	if passing {
		x.passOver(idle(x.opts.Kinds))
	}
	for !x.stopped {
		if passing && !x.matters() {
			if e := x.pass(); e != 0 {
				x.start(e)
				continue
			}
		}
		x.cdata = x.opts.XML || x.foreign.within()
		kind := x.next()
		if x.opts.Kinds&Text != 0 {
			x.textLinks(x.at(x.text))
		}
		switch kind {
		case endOfFile:
			return
		case startTag:
			x.start(elementOf(x.at(x.name)))
		case endTag:
			x.end()
		}
	}
}

// matters reports whether an element is open whose end has to be seen.
func (x *extractor) matters() bool {
	return x.foreign.depth > 0 || x.templates > 0 || x.post || x.charset != nil
}

func (x *extractor) end() {
	x.skip()
	if x.unfinished || !x.matters() {
		return
	}
	name := x.at(x.name)
	e := elementOf(name)
	if x.foreign.depth > 0 {
		x.foreign.end(name, e)
		return
	}
	x.close(e)
}

// close leaves an HTML element.
func (x *extractor) close(e element) {
	switch e {
	case elemTemplate:
		if x.templates > 0 {
			x.templates--
		}
	case elemForm:
		x.post, x.charset = false, nil
	}
}

// start reads a start tag and the raw text that may follow it.
func (x *extractor) start(e element) {
	if e == 0 && x.foreign.depth == 0 && x.opts.Kinds&Asset == 0 {
		x.skip()
		return
	}
	x.seen = 0
	if x.foreign.depth == 0 && !x.wants(e) {
		x.skip()
	} else {
		x.readAttributes()
	}
	if x.unfinished {
		return
	}
	if x.foreign.start(x, e) {
		x.foreignLinks(e)
		return
	}
	if e == 0 && x.seen == 0 {
		return
	}
	x.links(e)
	if x.opts.XML && x.selfClosing {
		x.close(e)
		return
	}
	x.content(e)
}

// wants reports whether the attributes of an element are to be looked at.
func (x *extractor) wants(e element) bool {
	switch e {
	case elemBase, elemMeta, elemTemplate:
		return true
	}
	return x.opts.Kinds&(elementKinds[e]|Asset) != 0
}

func (x *extractor) readAttributes() {
	for x.nextAttribute() {
		if a := attributeOf(x.at(x.key)); a != 0 && x.seen>>a&1 == 0 {
			x.seen |= 1 << a
			x.values[a] = x.value
		}
	}
}

// has reports whether the tag has one of the attributes.
func (x *extractor) has(attrs ...attribute) bool {
	for _, a := range attrs {
		if x.seen>>a&1 != 0 {
			return true
		}
	}
	return false
}

// attr returns an attribute's value, decoded, and nil when the tag has no such attribute.
func (x *extractor) attr(a attribute) []byte {
	if x.seen>>a&1 == 0 {
		return nil
	}
	v := x.at(x.values[a])
	for _, c := range v {
		if c == '&' || c == 0 {
			return x.arena.decoded(v, true)
		}
	}
	return v
}

// content reads the text of elements whose text holds no tags.
func (x *extractor) content(e element) {
	switch e {
	case elemTitle:
		x.title(x.rawText("title"))
	case elemStyle:
		x.styleLinks(elemStyle, 0, x.rawText("style"))
	case elemScript:
		x.codeLinks(x.rawText("script"))
	case elemIframe, elemNoembed, elemNoframes, elemTextarea, elemXMP:
		x.rawText(elementNames[e])
	case elemPlaintext:
		x.pos = len(x.in)
	}
}

func (x *extractor) title(text []byte) {
	if x.titled || x.templates > 0 {
		return
	}
	x.titled = true
	if most := x.opts.MaxTitle; len(text)/16 > most { // The title was perhaps never closed.
		text = text[:16*most]
		x.page.Cut.Title = true
	}
	if bytes.IndexByte(text, '&') >= 0 || bytes.IndexByte(text, 0) >= 0 {
		text = x.arena.decoded(text, false)
	}
	text = x.arena.collapsed(text)
	if len(text) > x.opts.MaxTitle {
		text = text[:x.opts.MaxTitle]
		for i := 0; i < utf8.UTFMax && len(text) > 0; i++ { // not within a character
			if r, n := utf8.DecodeLastRune(text); r != utf8.RuneError || n != 1 {
				break
			}
			text = text[:len(text)-1]
		}
		x.page.Cut.Title = true
	}
	x.page.Title = text
}
