// Package links finds the links of a web page in its bytes.
//
// A [Link] is a reference that a document makes to another resource: where an anchor leads, what a frame shows,
// which page the document calls its canonical one, which image or script it loads. Each has a [Kind], the element
// and attribute it was found in, and the link relations ([Rel]) stated there. [Extract] reads HTML; it also
// reports what a crawler must know of the page as a whole ([Page]): its base URL, its title, and what its robots
// meta elements ask for.
//
//	page := links.Extract(body, links.Options{}, func(l links.Link) bool {
//		if l.Rel&links.RelNoFollow == 0 && links.Web(l.URL) {
//			found = append(found, l)
//		}
//		return true
//	})
//	// Only now is the base known against which the found URLs are resolved: page.Base.
//
// [CSS] reads style sheets, [PlainText] plain text, [CodeStrings] scripts and JSON, [PDF] documents, [Header] the fields of a response's head, [LinkField],
// [ParseRefresh] and [ParseRobotsTag] single values.
//
// # How HTML is read
//
// Extract follows the tokenization part of the HTML standard (section 13.2.5) and builds no tree: it moves from
// one "<" to the next, and what it returns are slices of the body wherever the body says the value literally.
// Comments, CDATA sections, raw text (style, script with its escapes, iframe, noembed, noframes, xmp), title and
// textarea, plaintext, and SVG and MathML with their integration points are honoured. Scripting is taken to be
// off: the content of noscript counts.
//
// What a browser decides while it builds the tree is not decided here. A link whose element the tree would drop
// for standing where it must not is reported all the same: most elements within a select, all but frames within a
// frameset and frames outside of one, parts of tables outside of tables, a form within a form, a second body or
// html element. A link that the tree would show several times, an anchor left open and opened again by the parser,
// is reported once. Where the end tag of an element around a template or an svg stands within it, what is inside
// and what is outside may be taken for each other. A base element in a srcdoc document is not honoured.
//
// XHTML that is served as XML is read in the same way, but for what [Options.XML] says: case and prefixes of names
// make no more difference than in HTML.
//
// # Encodings
//
// The body may be in UTF-8 or in any encoding in which the bytes of ASCII mean ASCII; UTF-16 must be transcoded
// first. URLs and the title come in the body's encoding, but what a character reference stands for is written in
// UTF-8, so transcode the body to UTF-8 if text beyond ASCII matters.
package links
