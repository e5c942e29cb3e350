package links

import (
	"net/http"
	"strings"
)

// Header finds the links in the head of a response and calls yield with each until yield returns false: Location
// (as [Redirect]), Content-Location (as [Alternate]), Refresh and Link. What robots are asked for is another
// matter: [ParseRobotsTag].
func Header(h http.Header, yield func(Link) bool) {
	for _, field := range []struct {
		name, attr string
		kind       Kind
	}{
		{"Location", "location", Redirect},
		{"Content-Location", "content-location", Alternate},
	} {
		if url := Location(h.Get(field.name)); url != nil && !yield(Link{URL: url, Attr: field.attr, Kind: field.kind}) {
			return
		}
	}
	if _, url, ok := ParseRefresh([]byte(h.Get("Refresh"))); ok && url != nil {
		if !yield(Link{URL: url, Attr: "refresh", Kind: Refresh}) {
			return
		}
	}
	for _, value := range h.Values("Link") {
		if !LinkField(value, yield) {
			return
		}
	}
}

// Location returns the URL in the value of a Location or Content-Location field, cleaned as browsers do, and nil
// when there is none.
func Location(value string) []byte {
	url := new(arena).unbroken(trim([]byte(value)))
	if len(url) == 0 {
		return nil
	}
	return url
}

// LinkField finds the links in the value of a Link field (RFC 8288) and calls yield with each until yield returns
// false, which it then returns. Their kinds are those of link elements with the same relations. Links without a
// relation and links from another place than the response (those with an anchor) are left out, and what is
// malformed is passed over to the next comma.
func LinkField(value string, yield func(Link) bool) bool {
	p := fieldParser{rest: value}
	for p.next() {
		target, ok := p.target()
		if !ok {
			p.skipItem()
			continue
		}
		l := Link{URL: Location(target), Attr: "link"}
		hasRel, elsewhere := false, false
		for {
			name, value, ok := p.parameter()
			if !ok {
				break
			}
			switch {
			case strings.EqualFold(name, "rel") && !hasRel:
				hasRel = true
				l.Rel = ParseRel([]byte(value))
			case strings.EqualFold(name, "type") && l.Type == nil:
				l.Type = []byte(value)
			case strings.EqualFold(name, "anchor"):
				elsewhere = value != ""
			}
		}
		l.Kind = l.Rel.kind()
		if l.Rel != 0 && l.URL != nil && !elsewhere && !yield(l) {
			return false
		}
	}
	return true
}

// A fieldParser reads the value of a Link field as RFC 8288, appendix B.2, tells.
type fieldParser struct{ rest string }

const fieldSpace = " \t"

// next moves to the next link value and reports whether there is one.
func (p *fieldParser) next() bool {
	p.rest = strings.TrimLeft(p.rest, fieldSpace+",")
	return p.rest != ""
}

// target reads what stands in angle brackets.
func (p *fieldParser) target() (string, bool) {
	if p.rest[0] != '<' {
		return "", false
	}
	target, rest, ok := strings.Cut(p.rest[1:], ">")
	p.rest = rest // Without a ">" nothing that follows is a target either.
	return target, ok
}

// skipItem moves behind the next comma that is not quoted.
func (p *fieldParser) skipItem() {
	for p.rest != "" && p.rest[0] != ',' {
		if p.rest[0] == '"' {
			p.quoted()
		} else {
			p.rest = p.rest[1:]
		}
	}
}

// parameter reads one parameter with the semicolon before it.
func (p *fieldParser) parameter() (name, value string, ok bool) {
	p.rest = strings.TrimLeft(p.rest, fieldSpace)
	if p.rest == "" || p.rest[0] != ';' {
		p.skipItem()
		return "", "", false
	}
	p.rest = strings.TrimLeft(p.rest[1:], fieldSpace)
	name = p.until("=;, \t")
	p.rest = strings.TrimLeft(p.rest, fieldSpace)
	if p.rest == "" || p.rest[0] != '=' {
		return name, "", true
	}
	p.rest = strings.TrimLeft(p.rest[1:], fieldSpace)
	if p.rest != "" && p.rest[0] == '"' {
		return name, p.quoted(), true
	}
	return name, p.until(";,"), true
}

func (p *fieldParser) until(end string) string {
	n := strings.IndexAny(p.rest, end)
	if n < 0 {
		n = len(p.rest)
	}
	text := p.rest[:n]
	p.rest = p.rest[n:]
	return strings.TrimRight(text, fieldSpace)
}

// quoted reads a quoted string; one that is not closed extends to the end.
func (p *fieldParser) quoted() string {
	var text []byte
	for i := 1; i < len(p.rest); i++ {
		switch c := p.rest[i]; {
		case c == '"':
			p.rest = p.rest[i+1:]
			return string(text)
		case c == '\\' && i+1 < len(p.rest):
			i++
			text = append(text, p.rest[i])
		default:
			text = append(text, c)
		}
	}
	p.rest = ""
	return string(text)
}
