package sitemap

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/html"
)

// dialect names the elements that matter in one kind of XML file. Names are in lower case.
type dialect struct {
	entry string
	index bool // entries are sitemaps
	loc   string
	href  bool // loc is not text but the href attribute of an alternate link
	date  []string
}

// dialects has the kinds of files, by their root element.
var dialects = map[string]dialect{
	"urlset":       {entry: "url", loc: "loc", date: []string{"lastmod"}},
	"sitemapindex": {entry: "sitemap", index: true, loc: "loc", date: []string{"lastmod"}},
	"rss":          {entry: "item", loc: "link", date: []string{"pubdate", "dc:date"}},
	"rdf:rdf":      {entry: "item", loc: "link", date: []string{"dc:date"}},
	"feed":         {entry: "entry", loc: "link", href: true, date: []string{"updated", "published", "modified"}},
}

// xmlReader is the state of reading an XML file.
type xmlReader struct {
	z      *html.Tokenizer
	limits Limits
	yield  func(Entry) bool

	dialect
	root    string
	prefix  string // of the root's and its children's names, with ":"
	inside  bool   // of an entry
	current Entry
	guid    string // stands in for the entry's URL if it has none
	field   string // the child of the entry whose text comes in; "" if it does not matter
	text    []byte // of the field
}

func readXML(r io.Reader, limits Limits, yield func(Entry) bool) error {
	x := xmlReader{z: html.NewTokenizer(r), limits: limits, yield: yield}
	x.z.SetMaxBuf(limits.Token)
	x.z.AllowCDATA(true)
	for {
		var err error
		switch x.z.Next() {
		case html.ErrorToken:
			return x.end()
		case html.StartTagToken:
			err = x.start(false)
		case html.SelfClosingTagToken:
			err = x.start(true)
		case html.EndTagToken:
			name, _ := x.z.TagName()
			if string(name) == x.root {
				return x.flush()
			}
			err = x.close(x.local(name))
		case html.TextToken:
			x.appendText()
		}
		if err != nil {
			return err
		}
	}
}

// end is what the end of the input means.
func (x *xmlReader) end() error {
	switch err := x.z.Err(); {
	case errors.Is(err, html.ErrBufferExceeded):
		return &LimitError{"token", int64(x.limits.Token)}
	case err != io.EOF:
		return err
	case x.root == "":
		return ErrFormat
	default:
		return io.ErrUnexpectedEOF // before the end of the root; the entry at hand may be incomplete
	}
}

func (x *xmlReader) start(empty bool) error {
	raw, hasAttr := x.z.TagName()
	x.z.NextIsNotRawText() // whatever <title> or <script> mean in HTML
	if x.root == "" {
		return x.open(string(raw), empty)
	}
	name := x.local(raw)
	switch {
	case name == x.entry:
		if err := x.flush(); err != nil { // an end tag was missing
			return err
		}
		x.inside = true
		x.current, x.guid = Entry{Index: x.index, Priority: defaultPriority}, ""
	case !x.inside:
	case x.href && name == x.loc:
		x.link(hasAttr)
	case x.wants(name) && !(name == "guid" && x.attr(hasAttr, "ispermalink") == "false"):
		x.field, x.text = name, x.text[:0]
	}
	if empty {
		return x.close(name)
	}
	return nil
}

// open takes the root element.
func (x *xmlReader) open(name string, empty bool) error {
	dialect, ok := dialects[name]
	if prefix, local, found := strings.Cut(name, ":"); !ok && found {
		dialect, ok = dialects[local]
		x.prefix = prefix + ":"
	}
	if !ok {
		return ErrFormat
	}
	x.root, x.dialect = name, dialect
	if empty {
		return errStopped
	}
	return nil
}

// local returns the name of an element without the prefix of the root; "" if no dialect has it.
func (x *xmlReader) local(name []byte) string {
	if x.prefix != "" {
		name = bytes.TrimPrefix(name, []byte(x.prefix))
	}
	return names[string(name)]
}

// names has the names of all elements below the root that matter, so that reading them allocates nothing.
var names = func() map[string]string {
	known := map[string]string{"guid": "guid", "changefreq": "changefreq", "priority": "priority"}
	for _, d := range dialects {
		for _, name := range append([]string{d.entry, d.loc}, d.date...) {
			known[name] = name
		}
	}
	return known
}()

// wants tells whether the text of a child of an entry matters.
func (x *xmlReader) wants(name string) bool {
	switch name {
	case x.loc, "guid", "changefreq", "priority":
		return true
	}
	return slices.Contains(x.date, name)
}

// attr returns the value of an attribute of the tag at hand, in lower case.
func (x *xmlReader) attr(has bool, name string) (value string) {
	for has {
		var key, val []byte
		key, val, has = x.z.TagAttr()
		if string(key) == name {
			value = strings.ToLower(string(val))
		}
	}
	return value
}

// link takes the URL of an Atom link to the entry's page.
func (x *xmlReader) link(hasAttr bool) {
	href, rel := "", "alternate"
	for hasAttr {
		var key, val []byte
		key, val, hasAttr = x.z.TagAttr()
		switch string(key) {
		case "href":
			href = string(val)
		case "rel":
			rel = string(val)
		}
	}
	if rel == "alternate" {
		x.setLoc(href)
	}
}

// setLoc sets the entry's URL, which is the first that it names.
func (x *xmlReader) setLoc(loc string) {
	if x.current.Loc == "" {
		x.current.setLoc(strings.Trim(loc, space), x.limits)
	}
}

func (x *xmlReader) appendText() {
	if x.field == "" {
		return
	}
	raw := x.z.Raw()
	if data, ok := bytes.CutPrefix(raw, []byte("<![CDATA[")); ok {
		x.text = append(x.text, bytes.TrimSuffix(data, []byte("]]>"))...)
	} else {
		x.text = appendUnescaped(x.text, raw)
	}
	if trimmed := bytes.TrimLeft(x.text, space); len(trimmed) < len(x.text) {
		x.text = append(x.text[:0], trimmed...)
	}
	if len(x.text) > x.limits.Field {
		if x.field == x.loc {
			x.setLoc(string(x.text))
		}
		x.field = ""
	}
}

// close takes an end tag, or the end of a tag that closes itself.
func (x *xmlReader) close(name string) error {
	switch {
	case name == x.entry:
		return x.flush()
	case x.inside && name == x.field:
		x.set(string(bytes.Trim(x.text, space)))
		x.field = ""
	}
	return nil
}

// set takes the value of the field at hand.
func (x *xmlReader) set(value string) {
	switch x.field {
	case x.loc:
		x.setLoc(value)
	case "guid":
		if isWebURL(value) {
			x.guid = value
		}
	case "changefreq":
		x.current.ChangeFreq = changeFreq(value)
	case "priority":
		if p, err := strconv.ParseFloat(value, 32); err == nil && p >= 0 && p <= 1 {
			x.current.Priority = float32(p)
		}
	default: // a date
		if x.current.LastMod.IsZero() {
			x.current.LastMod = parseTime(value)
		}
	}
}

func changeFreq(s string) ChangeFreq {
	switch f := ChangeFreq(strings.ToLower(s)); f {
	case Always, Hourly, Daily, Weekly, Monthly, Yearly, Never:
		return f
	}
	return ""
}

// flush hands out the entry at hand, if there is one.
func (x *xmlReader) flush() error {
	inside := x.inside
	x.setLoc(x.guid)
	x.inside, x.field = false, ""
	if inside && !x.yield(x.current) {
		return errStopped
	}
	return nil
}

// appendUnescaped appends text with XML's own entities and character references decoded. An ampersand that begins
// neither is kept as it is.
func appendUnescaped(dst, text []byte) []byte {
	for {
		i := bytes.IndexByte(text, '&')
		if i < 0 {
			return append(dst, text...)
		}
		dst, text = append(dst, text[:i]...), text[i+1:]
		end := bytes.IndexByte(text[:min(len(text), 10)], ';')
		char, ok := rune(0), false
		if end > 0 {
			char, ok = reference(string(text[:end]))
		}
		if ok {
			dst, text = utf8.AppendRune(dst, char), text[end+1:]
		} else {
			dst = append(dst, '&')
		}
	}
}

// reference returns the character that "&name;" stands for.
func reference(name string) (rune, bool) {
	switch name {
	case "amp":
		return '&', true
	case "lt":
		return '<', true
	case "gt":
		return '>', true
	case "quot":
		return '"', true
	case "apos":
		return '\'', true
	}
	number, ok := strings.CutPrefix(name, "#")
	base := 10
	if hex, isHex := strings.CutPrefix(number, "x"); isHex {
		number, base = hex, 16
	}
	n, err := strconv.ParseUint(number, base, 32)
	return rune(n), ok && err == nil && n > 0 && utf8.ValidRune(rune(n))
}
