package warc

import (
	"bytes"
	"net/http"
	"strconv"
)

// maxHead bounds the head of a response, and the header of a record, that is
// read.
const maxHead = 256 << 10

// head is what an archive has to know of the head of a response.
type head struct {
	status   int // 0: none
	old      bool
	mime     string // Content-Type without parameters
	packed   bool   // has a content coding
	chunked  bool   // is the last transfer coding
	codings  bool   // there are other transfer codings
	location int    // where the body begins: after the empty line
}

// parseHead reads b, a response from its status line on. A head without an end
// is all of b.
func parseHead(b []byte) head {
	statusLine, fields, location := splitHead(b)
	h := head{location: location}
	h.statusLine(statusLine)
	for _, f := range fields {
		h.field(f)
	}
	return h
}

// splitHead takes the head that b begins with apart into its lines, and tells where
// it ends: after the first empty one. A folded line (RFC 9112 section 5.2) stays with
// the field that it continues.
func splitHead(b []byte) (statusLine []byte, fields [][]byte, end int) {
	for n := 0; end < len(b); n++ {
		start := end
		for {
			line, _, found := bytes.Cut(b[end:], []byte("\n"))
			if end += len(line); found {
				end++
			}
			empty := len(bytes.TrimSuffix(line, []byte("\r"))) == 0
			if n == 0 || empty || end == len(b) || b[end] != ' ' && b[end] != '\t' {
				break
			}
		}
		line := bytes.TrimSuffix(bytes.TrimSuffix(b[start:end], []byte("\n")), []byte("\r"))
		switch {
		case n == 0:
			statusLine = line
		case len(line) == 0:
			return statusLine, fields, end
		default:
			fields = append(fields, line)
		}
	}
	return statusLine, fields, end
}

func (h *head) statusLine(line []byte) {
	version, rest, _ := bytes.Cut(line, []byte(" "))
	h.old = string(version) == "HTTP/1.0"
	code, _, _ := bytes.Cut(bytes.TrimLeft(rest, " \t"), []byte(" "))
	if n, err := strconv.Atoi(string(code)); err == nil && n > 0 {
		h.status = n
	}
}

// spaces are what surrounds parts of a value, which may be folded.
const spaces = " \t\r\n"

func (h *head) field(line []byte) {
	name, value, found := bytes.Cut(line, []byte(":"))
	if !found {
		return
	}
	name, value = bytes.TrimRight(name, " \t"), bytes.Trim(value, spaces)
	switch {
	case bytes.EqualFold(name, []byte("Content-Type")):
		if h.mime == "" {
			value, _, _ = bytes.Cut(value, []byte(";"))
			h.mime = string(bytes.TrimRight(value, spaces))
		}
	case bytes.EqualFold(name, []byte("Content-Encoding")):
		h.packed = h.packed || len(value) > 0 && !bytes.EqualFold(value, []byte("identity"))
	case bytes.EqualFold(name, []byte("Transfer-Encoding")):
		for item := range bytes.SplitSeq(value, []byte(",")) {
			h.coding(bytes.Trim(item, spaces+`"`))
		}
	}
}

func (h *head) coding(name []byte) {
	switch {
	case len(name) == 0, bytes.EqualFold(name, []byte("identity")):
	case bytes.EqualFold(name, []byte("chunked")):
		h.chunked = true
	default:
		h.codings, h.chunked = true, false
	}
}

// framed reports whether the body that follows is in chunks. HTTP/1.0 knows none,
// RFC 9112 section 6.1, and after 204 and 304 no body follows, section 6.3.
func (h *head) framed() bool {
	return h.chunked && !h.old && h.status != http.StatusNoContent && h.status != http.StatusNotModified
}

// incompressible reports whether deflate would find nothing in the body.
func (h *head) incompressible() bool {
	if h.packed {
		return true
	}
	kind, sub, _ := bytes.Cut(bytes.ToLower([]byte(h.mime)), []byte("/"))
	switch string(kind) {
	case "image":
		return string(sub) != "svg+xml" && string(sub) != "bmp" && string(sub) != "x-icon"
	case "video", "audio":
		return true
	case "font":
		return bytes.HasPrefix(sub, []byte("woff"))
	case "application":
		switch string(sub) {
		case "zip", "gzip", "x-gzip", "pdf", "zstd", "x-7z-compressed", "x-xz", "x-bzip2":
			return true
		}
	}
	return false
}
