package links

import (
	"bytes"
	"unicode/utf8"
)

// CSS finds the links of a style sheet, or of the value of a style attribute, and calls yield with each until
// yield returns false: what @import names is a [Stylesheet], what url(), src() and the strings of image-set() name
// is an [Asset]. Comments, strings and escapes are read as CSS Syntax Level 3 says; a URL of @namespace is only a
// name and no link. URLs longer than [DefaultMaxURL], most of them images in data: URLs, are passed over. The body
// must be in UTF-8 or an encoding with ASCII in its place.
func CSS(body []byte, yield func(Link) bool) {
	s := styleSheet{in: body, arena: new(arena)}
	for s.next() {
		if len(s.link) > DefaultMaxURL {
			continue
		}
		attr := "url"
		if s.kind == Stylesheet {
			attr = "@import"
		}
		if !yield(Link{URL: s.link, Attr: attr, Kind: s.kind}) {
			return
		}
	}
}

// A styleSheet finds URLs among the tokens of CSS.
type styleSheet struct {
	in    []byte
	pos   int
	arena *arena

	link []byte // the last one found
	kind Kind

	rule  atRule // whose prelude is being read
	depth int    // of parentheses within image-set(), 0 outside
}

type atRule uint8

const (
	noRule        atRule = iota
	importRule           // up to the URL
	namespaceRule        // up to the semicolon
)

// next moves to the next link and reports whether there is one.
func (s *styleSheet) next() bool {
	for s.pos < len(s.in) {
		if url, ok := s.token(); ok && s.keep(url) {
			return true
		}
	}
	return false
}

// keep notes a URL, as an import if that is what its rule says, and reports whether it is a link at all.
func (s *styleSheet) keep(url []byte) bool {
	if s.rule == namespaceRule {
		return false
	}
	s.kind = Asset
	if s.rule == importRule {
		s.kind, s.rule = Stylesheet, noRule
	}
	s.link = s.arena.unbroken(trim(url))
	return len(s.link) > 0
}

// token reads one token, or a function up to its first argument, and returns the URL that it is.
func (s *styleSheet) token() (url []byte, ok bool) {
	switch c := s.in[s.pos]; {
	case c == '/' && bytes.HasPrefix(s.in[s.pos:], []byte("/*")):
		s.comment()
	case c == '"' || c == '\'':
		text, ok := s.quoted()
		return text, ok && (s.rule == importRule || s.depth > 0)
	case c == '@':
		s.pos++
		s.rule = noRule
		switch name := s.ident(); {
		case equalFold(name, "import"):
			s.rule = importRule
		case equalFold(name, "namespace"):
			s.rule = namespaceRule
		}
	case c == '#':
		s.pos++
		s.ident()
	case isIdent(c) || c == '\\':
		return s.identOrFunction()
	case c == ';' || c == '{' || c == '}':
		s.pos++
		s.rule, s.depth = noRule, 0
	default:
		s.pos++
		if s.depth > 0 && c == '(' {
			s.depth++
		} else if s.depth > 0 && c == ')' {
			s.depth--
		}
	}
	return nil, false
}

func (s *styleSheet) comment() {
	s.pos += len("/*")
	n := bytes.Index(s.in[s.pos:], []byte("*/"))
	if n < 0 {
		s.pos = len(s.in)
		return
	}
	s.pos += n + len("*/")
}

func isIdent(c byte) bool {
	return class[c]&letter != 0 || isDigit(c) || c == '-' || c == '_' || c >= 0x80
}

// ident reads the characters of a name and returns it, its escapes resolved.
func (s *styleSheet) ident() []byte {
	start, escaped := s.pos, false
	for s.pos < len(s.in) {
		c := s.in[s.pos]
		if c == '\\' && s.pos+1 < len(s.in) && !isNewline(s.in[s.pos+1]) {
			escaped = true
			s.pos += escapeLen(s.in[s.pos:])
			continue
		}
		if !isIdent(c) {
			break
		}
		s.pos++
	}
	name := s.in[start:s.pos]
	if escaped {
		name = s.unescaped(name)
	}
	return name
}

func (s *styleSheet) identOrFunction() (url []byte, ok bool) {
	start := s.pos
	name := s.ident()
	if s.pos == start { // a backslash that escapes nothing
		s.pos++
		return nil, false
	}
	if s.pos == len(s.in) || s.in[s.pos] != '(' {
		return nil, false
	}
	switch {
	case equalFold(name, "url"):
		s.pos++
		return s.url()
	case equalFold(name, "src"):
		s.pos++
		s.skipSpace()
		return s.quoted()
	case equalFold(name, "image-set"), equalFold(name, "-webkit-image-set"):
		s.pos++
		s.depth++
	case s.depth > 0 && equalFold(name, "type"): // whose string is a media type
		s.pos++
		s.skipSpace()
		s.quoted()
		s.depth++
	}
	return nil, false
}

func (s *styleSheet) skipSpace() {
	for s.pos < len(s.in) && class[s.in[s.pos]]&space != 0 {
		s.pos++
	}
}

// url reads what follows "url(".
func (s *styleSheet) url() ([]byte, bool) {
	s.skipSpace()
	if s.pos == len(s.in) {
		return nil, false
	}
	if c := s.in[s.pos]; c == '"' || c == '\'' {
		text, ok := s.quoted()
		if s.skipSpace(); s.pos < len(s.in) && s.in[s.pos] == ')' {
			s.pos++
		}
		return text, ok
	}
	start, escaped := s.pos, false
	for s.pos < len(s.in) {
		c := s.in[s.pos]
		switch {
		case c == ')':
			url := s.in[start:s.pos]
			s.pos++
			return s.maybeUnescaped(trimSpace(url), escaped), true
		case c == '\\' && s.pos+1 < len(s.in) && !isNewline(s.in[s.pos+1]):
			escaped = true
			s.pos += escapeLen(s.in[s.pos:])
		case class[c]&space != 0:
			end := s.pos
			if s.skipSpace(); s.pos < len(s.in) && s.in[s.pos] != ')' {
				return s.badURL()
			}
			if s.pos == len(s.in) {
				return s.maybeUnescaped(s.in[start:end], escaped), true
			}
		case c == '"' || c == '\'' || c == '(' || c == '\\' || c < ' ' && c != 0 || c == 0x7F:
			return s.badURL()
		default:
			s.pos++
		}
	}
	return s.maybeUnescaped(s.in[start:], escaped), true // The end of the style sheet closes what is open.
}

// badURL moves behind the remnants of a url() that is none.
func (s *styleSheet) badURL() ([]byte, bool) {
	for s.pos < len(s.in) && s.in[s.pos] != ')' {
		if s.in[s.pos] == '\\' {
			s.pos += escapeLen(s.in[s.pos:])
		} else {
			s.pos++
		}
	}
	return nil, false
}

// quoted reads a string. It is not ok when there is none or a line ends within it.
func (s *styleSheet) quoted() (text []byte, ok bool) {
	if s.pos == len(s.in) || s.in[s.pos] != '"' && s.in[s.pos] != '\'' {
		return nil, false
	}
	quote := s.in[s.pos]
	s.pos++
	start, escaped := s.pos, false
	for s.pos < len(s.in) {
		switch c := s.in[s.pos]; {
		case c == quote:
			text = s.in[start:s.pos]
			s.pos++
			return s.maybeUnescaped(text, escaped), true
		case c == '\\':
			escaped = true
			s.pos += escapeLen(s.in[s.pos:])
		case isNewline(c):
			return nil, false
		default:
			s.pos++
		}
	}
	return s.maybeUnescaped(s.in[start:], escaped), true
}

func isNewline(c byte) bool { return c == '\n' || c == '\r' || c == '\f' }

// escapeLen returns the length of the escape at the begin of in, a backslash.
func escapeLen(in []byte) int {
	if len(in) < 2 {
		return 1
	}
	i := 1
	for i < len(in) && i <= 6 {
		if _, ok := digitValue(in[i], 16); !ok {
			break
		}
		i++
	}
	switch {
	case i == 1 && in[1] == '\r' && len(in) > 2 && in[2] == '\n':
		return 3
	case i == 1:
		_, n := utf8.DecodeRune(in[1:])
		return 1 + n
	case bytes.HasPrefix(in[i:], []byte("\r\n")):
		return i + 2
	case i < len(in) && class[in[i]]&space != 0:
		return i + 1
	}
	return i
}

func (s *styleSheet) maybeUnescaped(text []byte, escaped bool) []byte {
	if escaped || bytes.IndexByte(text, 0) >= 0 {
		return s.unescaped(text)
	}
	return text
}

// unescaped returns text with its escapes resolved.
func (s *styleSheet) unescaped(text []byte) []byte {
	return s.arena.hold(len(text), func(dst []byte) []byte {
		for {
			i := bytes.IndexByte(text, '\\')
			if i < 0 {
				return appendWithoutNUL(dst, text)
			}
			dst = appendWithoutNUL(dst, text[:i])
			n := escapeLen(text[i:])
			dst = appendEscape(dst, text[i+1:i+n])
			text = text[i+n:]
		}
	})
}

// appendEscape appends what stands for an escape, whose backslash is left out.
func appendEscape(dst, escape []byte) []byte {
	if len(escape) == 0 || isNewline(escape[0]) {
		return dst // a line continued within a string, or the end of the style sheet
	}
	if _, ok := digitValue(escape[0], 16); !ok {
		return appendWithoutNUL(dst, escape)
	}
	r := rune(0)
	for _, c := range escape {
		if digit, ok := digitValue(c, 16); ok {
			r = r*16 + digit
		}
	}
	if r == 0 {
		r = utf8.RuneError
	}
	return utf8.AppendRune(dst, r)
}
