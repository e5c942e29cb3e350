package links

// maxForeign bounds how deep SVG, MathML and HTML within them may be nested; what is deeper is taken for HTML.
const maxForeign = 64

// foreign follows which parts of a document are SVG and MathML rather than HTML. It is the part of the standard's
// stack of open elements that bears on the tokenizer (section 13.2.6.5): svg, math, and the integration points
// within them at which HTML goes on.
type foreign struct {
	open  [maxForeign]element
	depth int
}

// within reports whether the current element is of SVG or MathML.
func (f *foreign) within() bool {
	return f.depth > 0 && (f.open[f.depth-1] == elemSVG || f.open[f.depth-1] == elemMath)
}

func (f *foreign) push(e element) {
	if f.depth < maxForeign {
		f.open[f.depth] = e
		f.depth++
	}
}

// start follows a start tag within a document and reports whether it is one of SVG or MathML. svg and math
// themselves are, too.
func (f *foreign) start(x *extractor, e element) bool {
	if !f.within() {
		if e == elemSVG || e == elemMath {
			f.pushUnless(x, e)
			return true
		}
		return false
	}
	if name := x.at(x.name); breaksOut(name) || equalFold(name, "font") && x.has(attrColor, attrFace, attrSize) {
		f.breakOut()
		return false
	}
	switch e {
	case elemSVG, elemMath:
		f.pushUnless(x, e)
	case elemForeignObject, elemDesc, elemTitle:
		if f.open[f.depth-1] == elemSVG {
			f.pushUnless(x, e)
		}
	case elemMI, elemMO, elemMN, elemMS, elemMText:
		if f.open[f.depth-1] == elemMath {
			f.pushUnless(x, e)
		}
	case elemAnnotationXML:
		encoding := x.attr(attrEncoding)
		if f.open[f.depth-1] == elemMath && (equalFold(encoding, "text/html") || equalFold(encoding, "application/xhtml+xml")) {
			f.pushUnless(x, e)
		}
	}
	return true
}

// pushUnless opens the element unless its tag has closed it.
func (f *foreign) pushUnless(x *extractor, e element) {
	if !x.selfClosing {
		f.push(e)
	}
}

// breakOut closes everything up to the HTML around.
func (f *foreign) breakOut() {
	for f.within() {
		f.depth--
	}
}

// end follows an end tag.
func (f *foreign) end(name []byte, e element) {
	if e != 0 {
		for i := f.depth - 1; i >= 0; i-- {
			if f.open[i] == e {
				f.depth = i
				return
			}
		}
	}
	// The end of an element that cannot be within SVG or MathML belongs to one around them, which ends them, too.
	if f.within() && breaksOut(name) {
		f.breakOut()
	}
}

// breaksOut reports whether the start tag of this name ends SVG and MathML.
func breaksOut(name []byte) bool {
	var buf [len("blockquote")]byte
	if len(name) > len(buf) {
		return false
	}
	for i, c := range name {
		buf[i] = lower[c]
	}
	switch string(buf[:len(name)]) {
	case "b", "big", "blockquote", "body", "br", "center", "code", "dd", "div", "dl", "dt", "em", "embed",
		"h1", "h2", "h3", "h4", "h5", "h6", "head", "hr", "i", "img", "li", "listing", "menu", "meta", "nobr", "ol", "p", "pre",
		"ruby", "s", "small", "span", "strong", "strike", "sub", "sup", "table", "tt", "u", "ul", "var":
		return true
	}
	return false
}
