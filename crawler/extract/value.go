package extract

import (
	"strings"
	"unicode"

	"github.com/PuerkitoBio/goquery"
	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// A source says what of an element is its value.
type source uint8

const (
	fromText source = iota
	fromRawText
	fromOwnText
	fromHTML
	fromOuterHTML
	fromAttribute
	fromMicrodata
)

// sources are the kinds that the tag as names, other than json.
var sources = map[string]source{
	"text": fromText, "raw": fromRawText, "own": fromOwnText, "html": fromHTML, "outerhtml": fromOuterHTML,
}

// value returns the value of an element, and whether it has one.
func (fd *field) value(n *html.Node) (string, bool) {
	switch fd.source {
	case fromAttribute:
		return attribute(n, fd.attr)
	case fromMicrodata:
		return microdata(n)
	}
	text := fd.text(n)
	return text, strings.TrimSpace(text) != ""
}

func (fd *field) text(n *html.Node) string {
	sel := goquery.Selection{Nodes: []*html.Node{n}}
	switch fd.source {
	case fromRawText:
		return sel.Text()
	case fromHTML:
		text, _ := sel.Html() // Rendering to memory does not fail.
		return text
	case fromOuterHTML:
		text, _ := goquery.OuterHtml(&sel)
		return text
	}
	var w words
	w.add(n, fd.source != fromOwnText)
	return w.String()
}

func attribute(n *html.Node, name string) (string, bool) {
	for _, a := range n.Attr {
		if a.Key == name || a.Namespace != "" && a.Namespace+":"+a.Key == name {
			return a.Val, true
		}
	}
	return "", false
}

// microdata returns the value of a microdata property (HTML standard, section 5.2.4).
func microdata(n *html.Node) (string, bool) {
	name := ""
	switch n.DataAtom {
	case atom.Meta:
		name = "content"
	case atom.Audio, atom.Embed, atom.Iframe, atom.Img, atom.Source, atom.Track, atom.Video:
		name = "src"
	case atom.A, atom.Area, atom.Link:
		name = "href"
	case atom.Object:
		name = "data"
	case atom.Data, atom.Meter:
		name = "value"
	case atom.Time:
		name = "datetime"
	}
	if text, ok := attribute(n, name); ok {
		return text, true
	}
	if text, ok := attribute(n, "content"); ok { // not in the standard, but common
		return text, true
	}
	var w words
	w.add(n, true)
	return w.String(), w.Len() > 0
}

// words collects text with single spaces between its words.
type words struct {
	strings.Builder
	space bool // between the last word and the next
}

// add adds the text of a node and, if deep, of the elements within that are shown as text.
func (w *words) add(n *html.Node, deep bool) {
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		switch {
		case c.Type == html.TextNode:
			w.addText(c.Data)
		case c.Type != html.ElementNode || hidden(c):
		case !deep:
			w.space = true
		case isInline(c):
			w.add(c, deep)
		default:
			w.space = true
			w.add(c, deep)
			w.space = true
		}
	}
}

func (w *words) addText(text string) {
	if strings.TrimLeftFunc(text, unicode.IsSpace) != text {
		w.space = true
	}
	for word := range strings.FieldsSeq(text) {
		if w.space && w.Len() > 0 {
			w.WriteByte(' ')
		}
		w.WriteString(word)
		w.space = true
	}
	if text != "" {
		w.space = strings.TrimRightFunc(text, unicode.IsSpace) != text
	}
}

// hidden reports whether an element's text is no text of the page.
func hidden(n *html.Node) bool {
	switch n.DataAtom {
	case atom.Script, atom.Style, atom.Noscript, atom.Template:
		return true
	}
	return false
}

// isInline reports whether an element stands within a line of text, so that it does not part words.
func isInline(n *html.Node) bool {
	switch n.DataAtom {
	case atom.A, atom.Abbr, atom.B, atom.Bdi, atom.Bdo, atom.Cite, atom.Code, atom.Data, atom.Del, atom.Dfn, atom.Em, atom.Font, atom.I,
		atom.Ins, atom.Kbd, atom.Label, atom.Mark, atom.Q, atom.S, atom.Samp, atom.Small, atom.Span, atom.Strike, atom.Strong,
		atom.Sub, atom.Sup, atom.Time, atom.Tt, atom.U, atom.Var, atom.Wbr:
		return true
	}
	return false
}
