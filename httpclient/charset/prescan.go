package charset

import "bytes"

// prescan reads the encoding declared in b, the beginning of an HTML page, after
// the HTML Standard, section "prescan a byte stream to determine its encoding".
// It returns "" if there is none, or if b ends within the tag that declares it.
func prescan(b []byte) string {
	switch {
	case bytes.HasPrefix(b, []byte("<\x00?\x00x\x00")):
		return "utf-16le"
	case bytes.HasPrefix(b, []byte("\x00<\x00?\x00x")):
		return "utf-16be"
	}
	if name := metaEncoding(b); name != "" {
		return name
	}
	return xmlEncoding(b)
}

// metaEncoding is the loop of the algorithm: it goes from "<" to "<", blind to
// what scripts and the like contain.
func metaEncoding(b []byte) string {
	s := scanner{b: b}
	for s.nextTag() {
		rest := s.b[s.pos:]
		switch {
		case bytes.HasPrefix(rest, []byte("<!--")):
			s.skipPast("-->", len("<!")) // the dashes may be those of "<!--"
		case isMeta(rest):
			if name := s.meta(); name != "" {
				return name
			}
			s.pos++
		case isTagOpen(rest):
			s.pos++
			for !s.done() && !isSpace(s.b[s.pos]) && s.b[s.pos] != '>' {
				s.pos++
			}
			for {
				if _, _, ok := s.attribute(); !ok {
					break
				}
			}
			s.pos++
		case len(rest) > 1 && (rest[1] == '!' || rest[1] == '/' || rest[1] == '?'):
			s.skipPast(">", 1)
		default:
			s.pos++
		}
	}
	return ""
}

// lateMetaEncoding reads the encoding that a meta element further into the page
// declares. Other tags are not read, so that it costs little; but the text of
// scripts and the like is left out.
func lateMetaEncoding(b []byte) string {
	s := scanner{b: b}
	for s.nextTag() {
		rest := s.b[s.pos:]
		switch {
		case bytes.HasPrefix(rest, []byte("<!--")):
			s.skipPast("-->", len("<!"))
		case isMeta(rest):
			if name := s.meta(); name != "" {
				return name
			}
		default:
			s.pos++
			s.skipText(textElement(rest[1:]))
		}
	}
	return ""
}

// textElement returns the name of the element that contains text only and whose
// start tag has rest after its "<"; else "".
func textElement(rest []byte) string {
	if len(rest) == 0 {
		return ""
	}
	switch asciiLower(rest[0]) {
	case 's', 't', 'x', 'i', 'n':
	default:
		return ""
	}
	for _, name := range [...]string{"script", "style", "title", "textarea", "xmp", "iframe", "noembed", "noframes"} {
		if len(rest) > len(name) && equalFold(rest[:len(name)], name) && (isSpaceOrSlash(rest[len(name)]) || rest[len(name)] == '>') {
			return name
		}
	}
	return ""
}

// skipText moves to the end tag of the element called name; "" is none.
func (s *scanner) skipText(name string) {
	if name == "" {
		return
	}
	for s.nextTag() {
		rest := s.b[s.pos:]
		if len(rest) >= 2+len(name) && rest[1] == '/' && equalFold(rest[2:2+len(name)], name) {
			return
		}
		s.pos++
	}
}

func isMeta(b []byte) bool {
	return len(b) > len("<meta") && equalFold(b[:len("<meta")], "<meta") && isSpaceOrSlash(b[len("<meta")])
}

func isTagOpen(b []byte) bool {
	if len(b) > 1 && b[1] == '/' {
		b = b[1:]
	}
	return len(b) > 1 && 'a' <= b[1]|0x20 && b[1]|0x20 <= 'z'
}

// scanner walks over the first bytes of a page.
type scanner struct {
	b   []byte
	pos int
}

func (s *scanner) done() bool { return s.pos >= len(s.b) }

// end gives up: the bytes ended within something that had to be complete.
func (s *scanner) end() { s.pos = len(s.b) }

// nextTag moves to the next "<", and reports whether there is one.
func (s *scanner) nextTag() bool {
	if s.done() {
		return false
	}
	i := bytes.IndexByte(s.b[s.pos:], '<')
	if i < 0 {
		s.end()
		return false
	}
	s.pos += i
	return true
}

// skipPast moves behind the first end at or after pos+from.
func (s *scanner) skipPast(end string, from int) {
	start := min(s.pos+from, len(s.b))
	i := bytes.Index(s.b[start:], []byte(end))
	if i < 0 {
		s.end()
		return
	}
	s.pos = start + i + len(end)
}

// meta reads the meta element at pos up to its ">" and returns the encoding that
// its attributes declare, "" if none.
func (s *scanner) meta() string {
	s.pos += len("<meta")
	var (
		seenEquiv, seenContent, seenCharset bool
		gotPragma                           bool
		fromCharset, fromContent            string
	)
	for {
		name, value, ok := s.attribute()
		if !ok {
			break
		}
		switch {
		case equalFold(name, "http-equiv") && !seenEquiv:
			seenEquiv = true
			gotPragma = equalFold(value, "content-type")
		case equalFold(name, "content") && !seenContent:
			seenContent = true
			fromContent = contentEncoding(value)
		case equalFold(name, "charset") && !seenCharset:
			seenCharset = true
			fromCharset, _ = Lookup(string(value))
		}
	}
	switch {
	case s.done(): // the tag is cut
		return ""
	case seenCharset:
		return inMarkup(fromCharset)
	case gotPragma:
		return inMarkup(fromContent)
	}
	return ""
}

// inMarkup corrects names that cannot be true of a page in which they could be
// read as ASCII.
func inMarkup(name string) string {
	switch name {
	case "utf-16le", "utf-16be":
		return "utf-8"
	case "x-user-defined":
		return "windows-1252"
	}
	return name
}

// attribute reads the next attribute of a tag: "get an attribute" of the
// standard. There is none at ">" and at the end of the bytes, when done tells the
// difference.
func (s *scanner) attribute() (name, value []byte, ok bool) {
	for !s.done() && isSpaceOrSlash(s.b[s.pos]) {
		s.pos++
	}
	if s.done() || s.b[s.pos] == '>' {
		return nil, nil, false
	}
	start := s.pos
	for ; ; s.pos++ {
		if s.done() {
			return nil, nil, false
		}
		c := s.b[s.pos]
		if c == '/' || c == '>' {
			return s.b[start:s.pos], nil, true
		}
		if c == '=' && s.pos > start || isSpace(c) {
			break
		}
	}
	name = s.b[start:s.pos]
	s.skipSpace()
	if s.done() {
		return nil, nil, false
	}
	if s.b[s.pos] != '=' {
		return name, nil, true
	}
	s.pos++
	value, ok = s.value()
	return name, value, ok
}

// value reads an attribute's value, after the equals sign.
func (s *scanner) value() ([]byte, bool) {
	s.skipSpace()
	if s.done() {
		return nil, false
	}
	if q := s.b[s.pos]; q == '"' || q == '\'' {
		s.pos++
		n := bytes.IndexByte(s.b[s.pos:], q)
		if n < 0 {
			s.end()
			return nil, false
		}
		value := s.b[s.pos : s.pos+n]
		s.pos += n + 1
		return value, true
	}
	start := s.pos
	for ; !s.done(); s.pos++ {
		if c := s.b[s.pos]; isSpace(c) || c == '>' {
			return s.b[start:s.pos], true
		}
	}
	return nil, false
}

func (s *scanner) skipSpace() {
	for !s.done() && isSpace(s.b[s.pos]) {
		s.pos++
	}
}

func isSpace(c byte) bool {
	return c == ' ' || c == '\t' || c == '\n' || c == '\f' || c == '\r'
}

func isSpaceOrSlash(c byte) bool { return isSpace(c) || c == '/' }

// contentEncoding reads the charset in a content attribute: "extracting a
// character encoding from a meta element" of the standard.
func contentEncoding(content []byte) string {
	s := string(content)
	for {
		i := indexFold(s, "charset")
		if i < 0 {
			return ""
		}
		s = trimSpaceLeft(s[i+len("charset"):])
		if s != "" && s[0] == '=' {
			break
		}
	}
	s = trimSpaceLeft(s[1:])
	if s == "" {
		return ""
	}
	end := 0
	if q := s[0]; q == '"' || q == '\'' {
		s = s[1:]
		for end < len(s) && s[end] != q {
			end++
		}
		if end == len(s) {
			return ""
		}
	} else {
		for end < len(s) && !isSpace(s[end]) && s[end] != ';' {
			end++
		}
	}
	name, _ := Lookup(s[:end])
	return name
}

func trimSpaceLeft(s string) string {
	for s != "" && isSpace(s[0]) {
		s = s[1:]
	}
	return s
}

// xmlEncoding reads the encoding of an XML declaration: "get an XML encoding" of
// the standard.
func xmlEncoding(b []byte) string {
	if !bytes.HasPrefix(b, []byte("<?xml")) {
		return ""
	}
	end := bytes.IndexByte(b, '>')
	if end < 0 {
		return ""
	}
	b = b[:end]
	i := bytes.Index(b, []byte("encoding"))
	if i < 0 {
		return ""
	}
	b = trimControlLeft(b[i+len("encoding"):])
	if len(b) == 0 || b[0] != '=' {
		return ""
	}
	b = trimControlLeft(b[1:])
	if len(b) == 0 || b[0] != '"' && b[0] != '\'' {
		return ""
	}
	n := bytes.IndexByte(b[1:], b[0])
	if n < 0 {
		return ""
	}
	label := b[1 : 1+n]
	for _, c := range label {
		if c <= ' ' {
			return ""
		}
	}
	name, _ := Lookup(string(label))
	if name == "utf-16le" || name == "utf-16be" {
		return "utf-8"
	}
	return name
}

func trimControlLeft(b []byte) []byte {
	for len(b) > 0 && b[0] <= ' ' {
		b = b[1:]
	}
	return b
}
