package links

import "bytes"

// links reports what an HTML element states.
func (x *extractor) links(e element) {
	if x.templates > 0 && e != elemTemplate {
		return
	}
	x.styleAttr(e)
	switch e {
	case elemA, elemArea:
		x.anchor(e, attrHref)
	case elemLink:
		x.link()
	case elemMeta:
		x.meta()
	case elemBase:
		if !x.based && x.has(attrHref) {
			x.based = true
			x.page.Base = x.arena.clean(x.at(x.values[attrHref]))
		}
	case elemTemplate:
		if !x.opts.Templates && (x.templates > 0 || !x.shown()) {
			x.templates++
		}
	case elemFrame, elemIframe:
		x.frame(e)
	case elemForm:
		x.post, x.charset = x.posts(attrMethod), nil
		if x.has(attrAcceptCharset) {
			accept := x.attr(attrAcceptCharset)
			x.charset = append([]byte{}, accept[:min(len(accept), maxCharset)]...) // not nil if it is empty
		}
		if !x.post {
			x.yieldAttr(e, attrAction, Form, 0)
		}
	case elemButton:
		x.formAction(e)
	case elemInput:
		x.formAction(e)
		if equalFold(x.attr(attrType), "image") {
			x.yieldAttr(e, attrSrc, Image, 0)
		}
	case elemScript:
		x.yieldAttr(e, attrSrc, Script, 0)
	case elemImg, elemImage:
		x.yieldAttr(elemImg, attrSrc, Image, 0)
		x.yieldSet(elemImg, attrSrcset, Image)
		x.yieldAttr(elemImg, attrLongdesc, Reference, 0)
	case elemSource:
		x.yieldAttr(e, attrSrc, Media, 0)
		x.yieldSet(e, attrSrcset, Image)
	case elemAudio, elemTrack, elemBgsound:
		x.yieldAttr(e, attrSrc, Media, 0)
	case elemVideo:
		x.yieldAttr(e, attrSrc, Media, 0)
		x.yieldAttr(e, attrPoster, Image, 0)
	case elemEmbed:
		x.yieldAttr(e, attrSrc, Object, 0)
	case elemObject:
		x.yieldAttr(e, attrData, Object, 0)
	case elemBody, elemTable, elemThead, elemTbody, elemTfoot, elemTR, elemTD, elemTH:
		x.yieldAttr(e, attrBackground, Image, 0)
	case elemBlockquote, elemQ, elemIns, elemDel:
		x.yieldAttr(e, attrCite, Reference, 0)
	case elemHTML:
		x.yieldAttr(e, attrManifest, Manifest, 0)
	}
}

// foreignLinks reports what an element of SVG or MathML states.
func (x *extractor) foreignLinks(e element) {
	if x.templates > 0 {
		return
	}
	x.styleAttr(e)
	href := attrHref
	if !x.has(attrHref) {
		href = attrXlinkHref
	}
	switch e {
	case elemA:
		x.anchor(e, href)
	case elemImage, elemUse, elemFeImage:
		x.yieldAttr(e, href, Image, 0)
	case elemScript:
		x.yieldAttr(e, href, Script, 0)
	}
}

func (x *extractor) anchor(e element, href attribute) {
	var rel Rel
	if x.has(attrRel) {
		rel = ParseRel(x.attr(attrRel))
	}
	x.yieldAttr(e, href, Anchor, rel)
	if x.opts.Kinds&Ping != 0 && x.has(attrPing) {
		urls := x.attr(attrPing)
		for {
			var url []byte
			if url, urls = cutSpace(urls); len(url) == 0 {
				break
			}
			x.yieldURL(e, attrPing, Ping, 0, url)
		}
	}
}

func (x *extractor) link() {
	rel := ParseRel(x.attr(attrRel))
	if rel == 0 {
		return // By the standard it links to nothing then.
	}
	x.yieldAttr(elemLink, attrHref, rel.kind(), rel)
	x.yieldSet(elemLink, attrImagesrcset, Preload)
}

func (x *extractor) meta() {
	if name := x.attr(attrName); equalFold(name, "robots") ||
		x.opts.Agent != "" && bytes.EqualFold(name, []byte(x.opts.Agent)) {
		x.page.Robots |= ParseRobots(x.attr(attrContent))
	}
	if !equalFold(x.attr(attrHTTPEquiv), "refresh") {
		return
	}
	delay, url, ok := ParseRefresh(x.attr(attrContent))
	if !ok {
		return
	}
	url = x.arena.unbroken(url)
	if !x.refreshed {
		x.refreshed = true
		x.page.Refresh, x.page.RefreshDelay = url, delay
	}
	x.yieldURL(elemMeta, attrContent, Refresh, 0, url)
}

// shown reports whether a template's content becomes part of the page.
func (x *extractor) shown() bool {
	mode := x.attr(attrShadowrootmode)
	return equalFold(mode, "open") || equalFold(mode, "closed")
}

func (x *extractor) frame(e element) {
	x.yieldAttr(e, attrSrc, Frame, 0)
	x.yieldAttr(e, attrLongdesc, Reference, 0)
	if e != elemIframe || !x.has(attrSrcdoc) {
		return
	}
	if x.nesting >= x.opts.MaxNesting {
		x.page.Cut.Nested++
		return
	}
	x.nested(x.attr(attrSrcdoc))
}

// nested reports the links of a document within this one.
func (x *extractor) nested(body []byte) {
	inner := extractor{opts: x.opts, yield: x.yield, nesting: x.nesting + 1, arena: x.arena}
	inner.in, inner.opts.XML = body, false // whatever the outer document is
	inner.page.Links, inner.page.Cut = x.page.Links, x.page.Cut
	inner.run()
	x.stopped = inner.stopped
	x.page.Links, x.page.Cut = inner.page.Links, inner.page.Cut
}

// styleAttr reports what a style attribute names.
func (x *extractor) styleAttr(e element) {
	if x.opts.Kinds&Asset != 0 && x.has(attrStyle) {
		x.styleLinks(e, attrStyle, x.attr(attrStyle))
	}
}

// styleLinks reports what CSS within the document names.
func (x *extractor) styleLinks(e element, a attribute, css []byte) {
	if x.opts.Kinds&(Asset|Stylesheet) == 0 || x.templates > 0 {
		return
	}
	s := styleSheet{in: css, arena: x.arena}
	for !x.stopped && s.next() {
		x.yieldURL(e, a, s.kind, 0, s.link)
	}
}

// textLinks reports the URLs written out in text.
func (x *extractor) textLinks(text []byte) {
	if x.templates > 0 || bytes.IndexByte(text, ':') < 0 {
		return
	}
	if bytes.IndexByte(text, '&') >= 0 {
		text = x.arena.decoded(text, false)
	}
	textURLs(text, func(url []byte) bool {
		x.yieldURL(0, 0, Text, 0, url)
		return !x.stopped
	})
}

// codeLinks reports the URLs in the strings of a script.
func (x *extractor) codeLinks(script []byte) {
	if x.opts.Kinds&Code == 0 || x.templates > 0 {
		return
	}
	codeURLs(script, x.arena, func(url []byte) bool {
		x.yieldURL(elemScript, 0, Code, 0, url)
		return !x.stopped
	})
}

// formAction reports where a button sends its form.
func (x *extractor) formAction(e element) {
	post := x.post
	if x.has(attrFormmethod) {
		post = x.posts(attrFormmethod)
	}
	if !post {
		x.yieldAttr(e, attrFormaction, Form, 0)
	}
}

// posts reports whether an attribute names a form method other than GET, which is also meant by a word that names
// none.
func (x *extractor) posts(method attribute) bool {
	m := x.attr(method)
	return equalFold(m, "post") || equalFold(m, "dialog")
}

// yieldAttr reports the URL that an attribute holds, if the tag has it.
func (x *extractor) yieldAttr(e element, a attribute, kind Kind, rel Rel) {
	if x.opts.Kinds&kind == 0 || !x.has(a) {
		return
	}
	x.report(e, a, kind, rel, x.arena.clean(x.at(x.values[a])))
}

// yieldSet reports the URLs of a srcset.
func (x *extractor) yieldSet(e element, a attribute, kind Kind) {
	if x.opts.Kinds&kind == 0 || !x.has(a) {
		return
	}
	srcset(x.attr(a), func(url []byte) { x.yieldURL(e, a, kind, 0, url) })
}

// yieldURL reports a URL out of a value that was decoded already.
func (x *extractor) yieldURL(e element, a attribute, kind Kind, rel Rel, url []byte) {
	if x.opts.Kinds&kind != 0 {
		x.report(e, a, kind, rel, trim(url))
	}
}

// maxCharset is how much of an accept-charset is reported, in bytes.
const maxCharset = 64

// maxType is the length of the longest media type that is reported; type has a meaning of its own for input and
// button.
const maxType = 256

func (x *extractor) report(e element, a attribute, kind Kind, rel Rel, url []byte) {
	switch {
	case x.stopped || len(url) == 0:
	case len(url) > x.opts.MaxURL:
		x.page.Cut.URLs++
	case x.page.Links >= x.opts.MaxLinks:
		x.page.Cut.Links++
	default:
		x.page.Links++
		l := Link{URL: url, Tag: elementNames[e], Attr: attributeNames[a], Kind: kind, Rel: rel}
		if t := x.values[attrType]; e != elemInput && e != elemButton && t.end-t.start <= maxType {
			l.Type = x.attr(attrType)
		}
		if kind == Form {
			l.Charset = x.charset
		}
		x.stopped = !x.yield(l)
	}
}
