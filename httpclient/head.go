package httpclient

import (
	"bytes"
	"iter"
	"strconv"
	"strings"
)

// Limits on the head of a response.
const (
	DefaultMaxLine   = 64 << 10  // a status line, a header field
	DefaultMaxHeader = 256 << 10 // a whole head
	maxFields        = 2000
	maxInterim       = 32 // 1xx responses before the final one
)

// Defect is a way in which a response's head breaks the rules of HTTP and can be
// read nevertheless. A response may have several.
type Defect uint32

const (
	DefectLeadingBlank     Defect = 1 << iota // blank lines before the status line
	DefectBareLF                              // a line ends without CR
	DefectStatusLine                          // odd spacing, case or number of digits in the status line
	DefectVersion                             // a version that does not exist, or ICY
	DefectNoColon                             // a line without a colon was skipped
	DefectFieldName                           // a name with characters not allowed in it, or none
	DefectSpaceBeforeColon                    // white space between name and colon
	DefectFolded                              // a value continued on the next line, RFC 9112 section 5.2
	DefectControl                             // a control character within a value
	DefectLeadingSpace                        // white space before the first field
	DefectContentLength                       // Content-Length is no number, or there are several that differ: ignored
	DefectRepeatedLength                      // the same Content-Length several times
	DefectTransferCoding                      // Transfer-Encoding that is unknown, repeated, or not chunked at last
	DefectLengthAndChunked                    // Content-Length beside Transfer-Encoding: ignored
	DefectChunkLine                           // a line before, between or after chunks ends without CR, or has one elsewhere
	DefectNoFarewell                          // a body that ends with the TLS connection, which was cut rather than closed: it may be short
)

var defectNames = [...]string{
	"blank lines before the status line", "bare line feed", "odd status line", "odd version", "line without colon",
	"odd field name", "space before colon", "folded value", "control character", "leading space", "bad content length",
	"repeated content length", "odd transfer coding", "content length beside transfer coding", "odd chunk line",
	"TLS connection cut at the end of the body",
}

// String lists the defects, separated by commas.
func (d Defect) String() string {
	var list []string
	for i, name := range defectNames {
		if d&(1<<i) != 0 {
			list = append(list, name)
		}
	}
	return strings.Join(list, ", ")
}

// field is the place of a header field in the head.
type field struct {
	name, nameEnd   uint32
	value, valueEnd uint32 // white space trimmed; with line breaks inside if folded
}

// head is a parsed response head. Names and values stay where they are in raw.
type head struct {
	raw     []byte // from the status line to the empty line that ends it
	major   int
	minor   int
	status  int
	reason  [2]uint32
	fields  []field
	inline  [24]field // what fields is at first
	lengths uint64    // which lengths there are among the names of fields, see mayHave
	defects Defect
	folded  bool
}

// mayHave reports whether there may be a field whose name is of that length. Of most
// fields that are looked for there is none.
func (h *head) mayHave(length int) bool { return h.lengths&(1<<(length&63)) != 0 }

// headEnd finds the empty line that ends a head in b, given that the lines before
// from were looked at. It returns the length of the head, or 0 and where to go on.
func headEnd(b []byte, from int) (end, next int) {
	for {
		i := bytes.IndexByte(b[from:], '\n')
		if i < 0 {
			return 0, from
		}
		line := b[from : from+i]
		if len(line) == 0 || len(line) == 1 && line[0] == '\r' {
			return from + i + 1, 0
		}
		from += i + 1
	}
}

// skipBlank returns how many bytes of empty lines b starts with.
func skipBlank(b []byte) int {
	n := 0
	for n < len(b) && (b[n] == '\r' || b[n] == '\n') {
		n++
	}
	return n
}

// looksLikeHTTP reports whether b, the start of an answer, can become a status
// line, so that something else is not waited for to its end.
func looksLikeHTTP(b []byte) bool {
	for _, prefix := range [...]string{"http/", "icy "} {
		if n := min(len(b), len(prefix)); equalFold(b[:n], prefix[:n]) {
			return true
		}
	}
	return false
}

// parse reads raw, which ends with its empty line. It keeps raw. The reason why
// it cannot be read is a *ProtocolError.
func (h *head) parse(raw []byte, maxLine int) error {
	h.raw = raw
	h.fields = h.inline[:0]
	start, end, next := h.line(0)
	if err := h.parseStatusLine(start, end); err != nil {
		return err
	}
	return h.parseFields(next, 1, maxLine)
}

// parseFields reads the fields from pos, which is after that many lines, to the
// empty line or the end.
func (h *head) parseFields(pos, line, maxLine int) error {
	for pos < len(h.raw) {
		line++
		start, end, next := h.line(pos)
		pos = next
		if start == end {
			break
		}
		if next-start > maxLine {
			return h.fail(line, "header field too long")
		}
		if err := h.parseField(start, end, line); err != nil {
			return err
		}
	}
	return nil
}

// line returns where the line at pos starts and ends, and where the next starts.
func (h *head) line(pos int) (start, end, next int) {
	i := bytes.IndexByte(h.raw[pos:], '\n')
	if i < 0 {
		return pos, len(h.raw), len(h.raw)
	}
	end, next = pos+i, pos+i+1
	if end > pos && h.raw[end-1] == '\r' {
		return pos, end - 1, next
	}
	h.defects |= DefectBareLF
	return pos, end, next
}

func (h *head) fail(line int, reason string) error {
	return &ProtocolError{Raw: bytes.Clone(h.raw[:min(len(h.raw), 4096)]), Line: line, Reason: reason}
}

// parseStatusLine reads "HTTP/1.1 200 OK" and what servers make of it.
func (h *head) parseStatusLine(start, end int) error {
	s := h.raw[start:end]
	i := bytes.IndexByte(s, ' ')
	if i < 0 {
		i = len(s)
	}
	version, rest := s[:i], s[i:]
	switch {
	case string(version) == "HTTP/1.1":
		h.major, h.minor = 1, 1
	case string(version) == "HTTP/1.0":
		h.major, h.minor = 1, 0
	case bytes.EqualFold(version, []byte("ICY")):
		h.major, h.minor = 1, 0
		h.defects |= DefectVersion
	default:
		if !h.parseVersion(version) {
			return h.fail(1, "no HTTP version")
		}
		h.defects |= DefectVersion
	}
	trimmed := bytes.TrimLeft(rest, " \t")
	if len(rest)-len(trimmed) != 1 {
		h.defects |= DefectStatusLine
	}
	digits := 0
	for digits < len(trimmed) && trimmed[digits] >= '0' && trimmed[digits] <= '9' {
		h.status = h.status*10 + int(trimmed[digits]-'0')
		if digits++; digits > 4 {
			return h.fail(1, "status code too long")
		}
	}
	if digits == 0 {
		return h.fail(1, "no status code")
	}
	if digits != 3 {
		h.defects |= DefectStatusLine
	}
	reason := trimmed[digits:]
	if len(reason) > 0 && reason[0] != ' ' {
		h.defects |= DefectStatusLine
	}
	reason = bytes.TrimLeft(reason, " \t")
	h.reason = [2]uint32{uint32(end - len(reason)), uint32(end)}
	return nil
}

// parseVersion reads HTTP/major.minor leniently: any case, any numbers.
func (h *head) parseVersion(b []byte) bool {
	if len(b) < 6 || !bytes.EqualFold(b[:5], []byte("HTTP/")) {
		return false
	}
	major, minor, dotted := bytes.Cut(b[5:], []byte("."))
	var err error
	if h.major, err = strconv.Atoi(string(major)); err != nil || h.major < 0 || h.major > 9 {
		return false
	}
	if dotted {
		if h.minor, err = strconv.Atoi(string(minor)); err != nil || h.minor < 0 || h.minor > 99 {
			return false
		}
	}
	return true
}

// parseField reads one line of the head: a field, or the continuation of the one before.
func (h *head) parseField(start, end, line int) error {
	b := h.raw
	if c := b[start]; c == ' ' || c == '\t' {
		if n := len(h.fields); n > 0 {
			h.fold(&h.fields[n-1], start, end)
			return nil
		}
		h.defects |= DefectLeadingSpace
		for start < end && (b[start] == ' ' || b[start] == '\t') {
			start++
		}
		if start == end {
			return nil
		}
	}
	colon := bytes.IndexByte(b[start:end], ':')
	if colon < 0 {
		h.defects |= DefectNoColon
		return nil
	}
	nameEnd := start + colon
	for i := start; i < nameEnd; i++ {
		if !tokenChars[b[i]] {
			for nameEnd > start && (b[nameEnd-1] == ' ' || b[nameEnd-1] == '\t') {
				nameEnd--
				h.defects |= DefectSpaceBeforeColon
			}
			if i < nameEnd {
				h.defects |= DefectFieldName
			}
			break
		}
	}
	if nameEnd == start {
		h.defects |= DefectFieldName
		return nil
	}
	if len(h.fields) >= maxFields {
		return h.fail(line, "too many header fields")
	}
	f := field{name: uint32(start), nameEnd: uint32(nameEnd), value: uint32(start + colon + 1), valueEnd: uint32(end)}
	h.trim(&f)
	h.fields = append(h.fields, f)
	h.lengths |= 1 << ((nameEnd - start) & 63)
	return nil
}

// trim takes white space off the ends of a value and looks at what remains.
func (h *head) trim(f *field) {
	b := h.raw
	for f.value < f.valueEnd && (b[f.value] == ' ' || b[f.value] == '\t') {
		f.value++
	}
	for f.value < f.valueEnd && (b[f.valueEnd-1] == ' ' || b[f.valueEnd-1] == '\t' || b[f.valueEnd-1] == '\r') {
		f.valueEnd--
	}
	for _, c := range b[f.value:f.valueEnd] {
		if c < ' ' && c != '\t' || c == 0x7f {
			h.defects |= DefectControl
			return
		}
	}
}

// fold appends a continuation line to f.
func (h *head) fold(f *field, start, end int) {
	h.folded = true
	h.defects |= DefectFolded
	rest := bytes.Trim(h.raw[start:end], " \t")
	if len(rest) == 0 {
		return
	}
	if f.value == f.valueEnd {
		f.value = uint32(end - len(bytes.TrimLeft(h.raw[start:end], " \t")))
	}
	f.valueEnd = uint32(start + len(bytes.TrimRight(h.raw[start:end], " \t")))
}

func (h *head) name(f *field) []byte { return h.raw[f.name:f.nameEnd] }

// value returns a field's value, its lines joined by a space if it is folded. The
// bytes belong to the head unless it is folded.
func (h *head) value(f *field) []byte {
	v := h.raw[f.value:f.valueEnd]
	if h.folded && bytes.IndexByte(v, '\n') >= 0 {
		lines := bytes.Split(v, []byte("\n"))
		for i := range lines {
			lines[i] = bytes.Trim(lines[i], " \t\r")
		}
		v = bytes.Join(lines, []byte(" "))
	}
	return v
}

// values iterates over the values of the fields called name, in whatever case.
func (h *head) values(name string) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		if !h.mayHave(len(name)) {
			return
		}
		for i := range h.fields {
			if f := &h.fields[i]; int(f.nameEnd-f.name) == len(name) && equalFold(h.name(f), name) && !yield(h.value(f)) {
				return
			}
		}
	}
}

// get returns the first value of name.
func (h *head) get(name string) ([]byte, bool) {
	for v := range h.values(name) {
		return v, true
	}
	return nil, false
}

// equalFold compares b to a name of the same length, in whatever case.
func equalFold(b []byte, name string) bool {
	for i, c := range b {
		if d := name[i]; c != d && (c|0x20 != d|0x20 || c|0x20 < 'a' || c|0x20 > 'z') {
			return false
		}
	}
	return true
}

// hasToken reports whether one of the fields called name lists token, both in lower case.
func (h *head) hasToken(name, token string) bool {
	for v := range h.values(name) {
		for len(v) > 0 {
			var item []byte
			item, v, _ = bytes.Cut(v, []byte(","))
			if item = bytes.Trim(item, " \t"); len(item) == len(token) && equalFold(item, token) {
				return true
			}
		}
	}
	return false
}

// framing is how the end of a body is found.
type framing uint8

const (
	noBody framing = iota
	byLength
	byChunks
	byClose
	byReader // from the HTTP/2 engine
)

// frame decides how the body is delimited, RFC 9112 section 6.3. codings are
// transfer codings to be undone besides chunked.
func (h *head) frame(method string, readUntilEOF bool) (f framing, length int64, codings string) {
	if method == "HEAD" || h.status/100 == 1 || h.status == 204 || h.status == 304 {
		return noBody, 0, ""
	}
	length, hasLength := h.contentLength()
	chunked, final, codings, hasCoding := h.transferEncoding()
	if hasCoding && h.major == 1 && h.minor == 0 {
		// HTTP/1.0 knows no transfer codings; the field was put there by something between.
		h.defects |= DefectTransferCoding
		hasCoding = false
	}
	switch {
	case hasCoding:
		if hasLength {
			h.defects |= DefectLengthAndChunked
		}
		if chunked && final {
			return byChunks, -1, codings
		}
		return byClose, -1, codings
	case hasLength && length >= 0:
		if length == 0 {
			return noBody, 0, ""
		}
		return byLength, length, ""
	case !readUntilEOF:
		return noBody, 0, ""
	}
	return byClose, -1, ""
}

// contentLength returns the length announced: -1 if there is none that can be
// believed. present tells whether the field is there at all.
func (h *head) contentLength() (n int64, present bool) {
	n = -1
	for v := range h.values("content-length") {
		for more := true; more; {
			var item []byte
			item, v, more = bytes.Cut(v, []byte(","))
			length, ok := parseLength(bytes.Trim(item, " \t"))
			switch {
			case !ok, n >= 0 && n != length:
				h.defects |= DefectContentLength
				return -1, true
			case n >= 0:
				h.defects |= DefectRepeatedLength
			}
			n, present = length, true
		}
	}
	return n, present
}

// parseLength reads digits only.
func parseLength(b []byte) (n int64, ok bool) {
	if len(b) == 0 || len(b) > 18 {
		return 0, false
	}
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}

// transferEncoding reads the transfer codings: whether chunked is among them, and
// is the last, and those that lie below it.
func (h *head) transferEncoding() (chunked, final bool, codings string, present bool) {
	for v := range h.values("transfer-encoding") {
		for more := true; more; {
			var item []byte
			item, v, more = bytes.Cut(v, []byte(","))
			item, _, _ = bytes.Cut(item, []byte(";"))
			switch item = bytes.Trim(item, " \t\""); {
			case len(item) == 0:
				h.defects |= DefectTransferCoding
			case len(item) == 7 && equalFold(item, "chunked"):
				if chunked {
					h.defects |= DefectTransferCoding
				}
				chunked, final, present = true, true, true
			case len(item) == 8 && equalFold(item, "identity"):
				h.defects |= DefectTransferCoding
			default:
				if codings != "" {
					codings += ","
				}
				codings += strings.ToLower(string(item))
				final, present = false, true
			}
		}
	}
	if present && !final {
		h.defects |= DefectTransferCoding
	}
	return chunked, final, codings, present
}

// keepsAlive reports whether the peer means to leave the connection open.
func (h *head) keepsAlive() bool {
	if h.major != 1 || h.defects&(DefectVersion|DefectLengthAndChunked|DefectTransferCoding|DefectContentLength) != 0 {
		return false
	}
	if h.minor == 0 {
		return h.hasToken("connection", "keep-alive") && !h.hasToken("connection", "close")
	}
	return !h.hasToken("connection", "close")
}
