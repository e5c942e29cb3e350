package links

import "bytes"

// Classes of bytes, as the tokenizer tells them apart.
const (
	letter  = 1 << iota // ASCII letters: what a tag's name begins with
	space               // HTML's white space: tab, line feed, form feed, carriage return, space
	nameEnd             // what ends a tag's name: white space, "/", ">"
	keyEnd              // what ends an attribute's name: the same and "="
	odd                 // what keeps an attribute's value from being a URL as it stands: "&", NUL, tab, line breaks
)

var class = func() (t [256]uint8) {
	for c := range t {
		if 'a' <= c|0x20 && c|0x20 <= 'z' && c < 0x80 {
			t[c] |= letter
		}
	}
	for _, c := range "\t\n\f\r " {
		t[c] |= space | nameEnd | keyEnd
	}
	for _, c := range "/>" {
		t[c] |= nameEnd | keyEnd
	}
	t['='] |= keyEnd
	for _, c := range "&\x00\t\n\r" {
		t[c] |= odd
	}
	return t
}()

var lower = func() (t [256]byte) {
	for c := range t {
		t[c] = byte(c)
		if 'A' <= c && c <= 'Z' {
			t[c] += 'a' - 'A'
		}
	}
	return t
}()

// A token is what the tokenizer has come upon.
type token uint8

const (
	endOfFile token = iota
	startTag
	endTag
	markup // a comment, a doctype, a CDATA section or a processing instruction
)

// A span is a part of the document. Unlike a slice it is kept without work for the garbage collector.
type span struct{ start, end int }

// A tokenizer finds the tags of an HTML document. It knows the states of the standard's section 13.2.5 that decide
// what is a tag. Which elements hold raw text is for its user to know, who then calls rawText.
type tokenizer struct {
	in    []byte
	pos   int  // the next byte to read
	cdata bool // CDATA sections are allowed: the current element is one of SVG or MathML

	text span // before the token
	name span // of the tag, as written

	key, value  span // of the attribute, as written
	selfClosing bool // after the last attribute: the tag ended with "/>"
	unfinished  bool // the document ended within the tag, which is then no tag
}

// at returns a part of the document.
func (z *tokenizer) at(s span) []byte { return z.in[s.start:s.end] }

// next moves to the next token. After a tag, its attributes must be read to their end by nextAttribute or skip.
func (z *tokenizer) next() token {
	in, start := z.in, z.pos
	i := start
	for {
		n := bytes.IndexByte(in[i:], '<')
		if n < 0 || i+n+1 == len(in) {
			z.text, z.pos = span{start, len(in)}, len(in)
			return endOfFile
		}
		i += n + 1
		c := in[i]
		if class[c]&letter != 0 {
			z.text = span{start, i - 1}
			z.readName(i)
			return startTag
		}
		switch c {
		case '/':
			if i+1 == len(in) {
				continue // and find nothing
			}
			z.text = span{start, i - 1}
			if class[in[i+1]]&letter != 0 {
				z.readName(i + 1)
				return endTag
			}
			z.pos = i + 1
			z.skipPast('>')
			return markup
		case '!':
			z.text = span{start, i - 1}
			z.pos = i + 1
			z.declaration()
			return markup
		case '?':
			z.text = span{start, i - 1}
			z.pos = i
			z.skipPast('>')
			return markup
		}
	}
}

func (z *tokenizer) readName(start int) {
	i := start + 1
	for i < len(z.in) && class[z.in[i]]&nameEnd == 0 {
		i++
	}
	z.name, z.pos = span{start, i}, i
}

// skipPast moves behind the next c, or to the end.
func (z *tokenizer) skipPast(c byte) {
	n := bytes.IndexByte(z.in[z.pos:], c)
	if n < 0 {
		z.pos = len(z.in)
		return
	}
	z.pos += n + 1
}

// declaration moves behind what began with "<!".
func (z *tokenizer) declaration() {
	rest := z.in[z.pos:]
	switch {
	case bytes.HasPrefix(rest, []byte("--")):
		z.pos += len("--")
		z.comment()
	case z.cdata && bytes.HasPrefix(rest, []byte("[CDATA[")):
		end := bytes.Index(rest, []byte("]]>"))
		if end < 0 {
			z.pos = len(z.in)
			return
		}
		z.pos += end + len("]]>")
	default: // A doctype, or what the standard calls a bogus comment: whatever they hold, ">" ends them.
		z.skipPast('>')
	}
}

// comment moves behind a comment whose "<!--" was read. It ends with "-->" or "--!>", of which "<!-->" and
// "<!--->" may be all there is.
func (z *tokenizer) comment() {
	start := z.pos
	for i := start; ; i++ {
		n := bytes.IndexByte(z.in[i:], '>')
		if n < 0 {
			z.pos = len(z.in)
			return
		}
		i += n
		body := z.in[start:i]
		if len(body) == 0 || len(body) == 1 && body[0] == '-' ||
			bytes.HasSuffix(body, []byte("--")) || bytes.HasSuffix(body, []byte("--!")) {
			z.pos = i + 1
			return
		}
	}
}

// nextAttribute moves to the tag's next attribute and reports whether there was one. Otherwise the tag is over.
func (z *tokenizer) nextAttribute() bool {
	in, i := z.in, z.pos
	slash := false
	for i < len(in) && class[in[i]]&(space|nameEnd) != 0 && in[i] != '>' {
		slash = in[i] == '/'
		i++
	}
	if i < len(in) && in[i] == '>' {
		z.pos = i + 1
		z.selfClosing, z.unfinished = slash, false
		return false
	}

	start := i
	i++ // An attribute's name may begin with "=".
	for i < len(in) && class[in[i]]&keyEnd == 0 {
		i++
	}
	if i >= len(in) {
		return z.endWithinTag()
	}
	z.key, z.value = span{start, i}, span{}
	for i < len(in) && class[in[i]]&space != 0 {
		i++
	}
	if i >= len(in) {
		return z.endWithinTag()
	}
	if in[i] == '=' {
		return z.readValue(i + 1)
	}
	z.pos = i
	return true
}

// readValue reads what follows the "=" of an attribute.
func (z *tokenizer) readValue(i int) bool {
	in := z.in
	for i < len(in) && class[in[i]]&space != 0 {
		i++
	}
	if i >= len(in) {
		return z.endWithinTag()
	}
	switch quote := in[i]; quote {
	case '"', '\'':
		i++
		n := bytes.IndexByte(in[i:], quote)
		if n < 0 {
			return z.endWithinTag()
		}
		z.value, z.pos = span{i, i + n}, i+n+1
	default: // ">" too: it leaves the value empty.
		start := i
		for i < len(in) && class[in[i]]&space == 0 && in[i] != '>' {
			i++
		}
		if i >= len(in) {
			return z.endWithinTag()
		}
		z.value, z.pos = span{start, i}, i
	}
	return true
}

func (z *tokenizer) endWithinTag() bool {
	z.pos = len(z.in)
	z.selfClosing, z.unfinished = false, true
	return false
}

// skip moves behind the tag.
func (z *tokenizer) skip() {
	if z.pos < len(z.in) && z.in[z.pos] == '>' {
		z.pos++
		z.selfClosing, z.unfinished = false, false
		return
	}
	for z.nextAttribute() {
	}
}

// rawText returns what stands before the end tag of the given name, which is in lower case, and moves to that end
// tag. Without one it is the rest of the document.
func (z *tokenizer) rawText(name string) []byte {
	start := z.pos
	if name == "script" {
		z.pos = scriptEnd(z.in, start)
		return z.in[start:z.pos]
	}
	for i := start; ; {
		n := bytes.IndexByte(z.in[i:], '<')
		if n < 0 {
			z.pos = len(z.in)
			return z.in[start:]
		}
		i += n
		if isTag(z.in[i:], "</", name) {
			z.pos = i
			return z.in[start:i]
		}
		i++
	}
}

// isTag reports whether in begins with open, "<" or "</", and a tag's name that ends there.
func isTag(in []byte, open, name string) bool {
	end := len(open) + len(name)
	return len(in) > end && string(in[:len(open)]) == open && equalFold(in[len(open):end], name) && class[in[end]]&nameEnd != 0
}

// scriptEnd returns where the script that begins at i ends: before its "</script", or at the end of the document.
// Within "<!--" and "-->" a "<script" opens a script of its own (script data double escaped state), whose
// "</script" ends only that.
func scriptEnd(in []byte, i int) int {
	for {
		n := bytes.IndexByte(in[i:], '<')
		if n < 0 {
			return len(in)
		}
		i += n
		switch {
		case isTag(in[i:], "</", "script"):
			return i
		case bytes.HasPrefix(in[i:], []byte("<!--")):
			// Its dashes may be those of the closing "-->".
			end, closed := escapedScript(in, i+len("<!"))
			if !closed {
				return end
			}
			i = end
		default:
			i++
		}
	}
}

// escapedScript reads on after the "<!" of a "<!--" within a script. It returns the place behind the closing
// "-->", or, with closed false, where the script itself ends.
func escapedScript(in []byte, i int) (end int, closed bool) {
	double := false
	for ; i < len(in); i++ {
		switch in[i] {
		case '-':
			if bytes.HasPrefix(in[i:], []byte("-->")) {
				return i + len("-->"), true
			}
		case '<':
			switch {
			case !double && isTag(in[i:], "</", "script"):
				return i, false
			case !double && isTag(in[i:], "<", "script"):
				double = true
			case double && isTag(in[i:], "</", "script"):
				double = false
			}
		}
	}
	return len(in), false
}
