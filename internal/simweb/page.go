package simweb

import (
	"bytes"
	"strconv"
)

// place is what the links of a page are resolved against: the page's own URL or its base element's.
type place struct {
	host  int
	dir   []byte // path up to its last slash
	depth int    // directories in dir
	list  int    // section whose list page this is, whose siblings differ in the query only; -1: none
	based bool   // by a base element: fragments and empty links do not lead to the page itself
}

// page renders HTML of a site into its stream. It is reused from answer to answer.
type page struct {
	stream
	site *site
	from place
	dir  []byte // holds from.dir
	path []byte // scratch: path of a link's target
	ref  []byte // scratch: the link as meant, before it is written as an attribute
}

// groups is how many times a page alternates between links and filler.
const groups = 8

// render writes the page's HTML, with as much filler as brings it near the size asked for.
func (p *page) render(host, number int) {
	s := p.site
	p.start()
	p.open()
	p.appendHead(host, number)
	filler := s.draw(host, number, drawFiller)
	links := s.cfg.Links
	for g := range groups {
		for k := links * g / groups; k < links*(g+1)/groups; k++ {
			p.appendLink(host, number, k)
			if len(p.buf)-p.text > maxText/2 {
				p.close()
				p.open()
			}
		}
		p.appendOddity(host, number, g)
		if g == groups-1 {
			p.buf = append(p.buf, "</body></html>\n"...)
		}
		p.close()
		for want := s.cfg.Bytes * (g + 1) / groups; p.size+p.filler.length/2 < want; filler++ {
			p.fill(filler)
		}
		if g < groups-1 {
			p.open()
		}
	}
	p.end()
}

func (p *page) appendHead(host, number int) {
	p.buf = append(p.buf, "<!DOCTYPE html>\n<html lang=en><head><meta charset=\"utf-8\">\n<title>Page "...)
	p.buf = strconv.AppendInt(p.buf, int64(number), 10)
	p.buf = append(p.buf, " of "...)
	p.buf = append(p.buf, p.site.names[host]...)
	p.buf = append(p.buf, " &amp; more</title>\n"...)
	p.appendBase(host, number)
	p.buf = append(p.buf, `<link rel="stylesheet" href="/static/style.css">
<style>/* <a href="/trap/style">no link</a> */ body { background: url(/static/paper.png) }</style>
<script>var s = '<a href="/trap/script">no link</a>';</script>
</head><body>
`...)
}

// appendBase sets the place of the page, which on some pages is moved by a base element.
func (p *page) appendBase(host, number int) {
	p.dir = appendPath(p.dir[:0], number, false)
	p.from = place{host: host, list: -1}
	if isList(number) {
		p.from.list = section(number)
	}
	if d := p.site.draw(host, number, drawBase); d%16 == 0 {
		p.from.based = true
		p.from.list = int(d >> 4 & 3)
		p.dir = strconv.AppendInt(append(p.dir[:0], "/s"...), int64(p.from.list), 10)
		p.dir = append(p.dir, "/list"...)
		p.buf = append(p.buf, `<BASE HREF='`...)
		if d>>6&1 == 0 {
			p.buf = append(append(append(p.buf, p.site.scheme...), "://"...), p.site.names[host]...)
		}
		p.buf = append(p.buf, p.dir...)
		// Only the first base element counts.
		p.buf = append(p.buf, "?id=0#x'><base href=\"/trap/base/\">\n"...)
	}
	if q := bytes.IndexByte(p.dir, '?'); q >= 0 {
		p.dir = p.dir[:q]
	}
	p.dir = p.dir[:bytes.LastIndexByte(p.dir, '/')+1]
	p.from.dir = p.dir
	p.from.depth = bytes.Count(p.dir, []byte("/")) - 1
}

// appendLink writes the page's k-th link. The first ones lead to its children in the tree that reaches every page, the
// others anywhere.
func (p *page) appendLink(host, number, k int) {
	s := p.site
	d := s.draw(host, number, drawLink+k)
	toHost, to := host, number*s.fan+1+k
	if k >= s.fan || to >= s.cfg.Pages {
		if c := s.draw(host, number, -1-k); c < s.cross {
			toHost = (host + 1 + int(c%uint64(s.cfg.Hosts-1))) % s.cfg.Hosts
		}
		to = int(d >> 32 % uint64(s.cfg.Pages))
	}
	form := d & 0xffff
	p.appendAnchor(toHost, to, form)
	if form>>9&15 == 0 {
		p.appendAnchor(toHost, to, form^0xff^1<<15) // the same again, spelled otherwise
	}
}

// anchors are the ways to write the tag around a link.
var anchors = [...]struct {
	open, end string
	quoted    bool // the URL may hold white space
}{
	{`<a href="`, `">`, true},
	{`<a href='`, `'>`, true},
	{`<A CLASS="nav" HREF="`, `">`, true},
	{`<li><a href=`, ` rel=bookmark>`, false},
	{`<a href=`, `>`, false},
	{`<A HREF = '`, `'>`, true},
	{"<a\n\tclass=x\n\thref = \"", "\"\n>", true},
	{`<a href=" `, "\n\">", true},
	{`<a title="2 > 1" href="`, `">`, true},
	{`<a title='<a href="/trap/title">' href="`, `">`, true},
	{`<a data-href="/trap/data" href="`, `">`, true},
	{`<a href="`, `" href="/trap/second">`, true},
	{`<a href="`, `"/>`, true},
	{`<a id=l href="`, `"class=tight>`, true},
	{`<p>See <a target=_blank href="`, `">`, true},
}

// appendAnchor writes a link to a page, or to its redirect if it has one; form's bits decide how.
func (p *page) appendAnchor(host, number int, form uint64) {
	a := &anchors[form%uint64(len(anchors))]
	if p.site.redirectStatus(host, number) != 0 {
		p.path = strconv.AppendInt(append(p.path[:0], redirectPrefix...), int64(number), 10)
	} else {
		p.path = appendPath(p.path[:0], number, a.quoted && form>>8&1 == 0)
	}
	p.appendRef(host, form>>4)
	if form>>13&3 == 0 {
		p.ref = append(p.ref, "#part-"...)
		p.ref = strconv.AppendUint(p.ref, form>>15&1, 10)
	}
	p.buf = append(p.buf, a.open...)
	p.appendAttr(form >> 10)
	p.buf = append(p.buf, a.end...)
	p.buf = append(p.buf, "page <b>"...)
	p.buf = strconv.AppendInt(p.buf, int64(number), 10)
	p.buf = append(p.buf, "</b></a>\n"...)
}

// appendRef makes p.ref a reference to p.path on a host, as form's lowest bits say.
func (p *page) appendRef(host int, form uint64) {
	path, ref := p.path, p.ref[:0]
	form %= 10
	if host != p.from.host {
		form %= 3
	}
	switch form {
	case 0:
		ref = append(append(ref, "//"...), p.site.names[host]...)
		ref = append(ref, path...)
	case 1:
		ref = append(append(append(ref, p.site.scheme...), "://"...), p.site.names[host]...)
		ref = append(ref, path...)
	case 2:
		ref = append(append(append(ref, p.site.shouted...), "://"...), p.site.names[host]...)
		ref = append(ref, path...)
	case 3:
		ref = append(append(ref, "/s9/./../"...), path[1:]...)
	case 4, 5, 6, 7:
		ref = p.appendRelative(ref, path, form == 4)
	default:
		ref = append(ref, path...)
	}
	p.ref = ref
}

// appendRelative refers to a path on the same host without naming its first directories.
func (p *page) appendRelative(ref, path []byte, short bool) []byte {
	if q := bytes.IndexByte(path, '?'); q >= 0 && p.from.list >= 0 {
		var list [32]byte
		if string(path[:q]) == string(append(strconv.AppendInt(append(list[:0], "/s"...), int64(p.from.list), 10), "/list"...)) {
			return append(ref, path[q:]...)
		}
	}
	if rest, ok := bytes.CutPrefix(path, p.from.dir); ok {
		if len(rest) > 0 && short {
			return append(ref, rest...)
		}
		return append(append(ref, "./"...), rest...)
	}
	for range p.from.depth {
		ref = append(ref, "../"...)
	}
	return append(ref, path[1:]...)
}

// appendAttr writes p.ref as an attribute value. form decides whether ampersands and the first slash are written as
// character references.
func (p *page) appendAttr(form uint64) {
	slash := [...]string{"/", "/", "/", "/", "/", "/", "&#47;", "&#x2F;"}[form&7]
	amp := "&amp;"
	if form>>3&1 == 0 {
		amp = "&" // "&copy=no" is not the copyright sign in an attribute
	}
	rest := p.ref
	if i := bytes.IndexByte(rest, '/'); i >= 0 {
		p.buf = append(append(p.buf, rest[:i]...), slash...)
		rest = rest[i+1:]
	}
	if i := bytes.IndexByte(rest, '&'); i >= 0 { // there is no second one
		p.buf = append(append(p.buf, rest[:i]...), amp...)
		rest = rest[i+1:]
	}
	p.buf = append(p.buf, rest...)
}

// appendOddity writes what is no link to a page, a different thing in each group.
func (p *page) appendOddity(host, number, group int) {
	switch group {
	case 0:
		p.buf = append(p.buf, "<!-- <a href=\"/trap/comment\">no link</a> -- > <a href=/trap/comment2> -->\n"...)
	case 1:
		p.buf = append(p.buf, "<a href=\"mailto:a@example.org\">mail</a> <a href=\"javascript:void(0)\">script</a> <a name=here>named</a>\n"...)
	case 2:
		p.buf = append(p.buf, "<textarea><a href=\"/trap/textarea\">no link</a></textarea><img src=\"/static/paper.png\" alt=''>\n"...)
	case 3:
		if !p.from.based {
			p.buf = append(p.buf, "<a href=\"#top\">top</a> <a href=\"\">again</a>\n"...)
		}
	case 4:
		if !p.site.cfg.NoRobots {
			p.appendForbidden(number)
		}
	case 5:
		if p.site.brokenStatus(host, number) != 0 {
			p.buf = append(p.buf, "<a href=\""...)
			p.buf = append(p.buf, numbered(brokenPrefix, number)...)
			p.buf = append(p.buf, "\">broken</a>\n"...)
		}
	case 6:
		p.buf = append(p.buf, "<script type=module>if (1 < 2) { document.write(\"<a href=/trap/write>\" + \"<\\/a>\") } //<!--\n</script>\n"...)
	case 7:
		p.buf = append(p.buf, "<form action=/trap/form><input name=q></form>\n"...)
	}
}

// appendForbidden writes links that robots.txt forbids, each by another kind of rule.
func (p *page) appendForbidden(number int) {
	p.buf = append(p.buf, "<a href=\"/private/p"...)
	p.buf = strconv.AppendInt(p.buf, int64(number%50), 10)
	p.buf = append(p.buf, ".html\">private</a> <a href='/s0/p1.html?session="...)
	p.buf = strconv.AppendInt(p.buf, int64(number), 10)
	p.buf = append(p.buf, "'>session</a> <a href=/static/doc-"...)
	p.buf = strconv.AppendInt(p.buf, int64(number%50), 10)
	p.buf = append(p.buf, ".pdf>document</a>\n"...)
}
