package links

import (
	"bytes"
	"compress/zlib"
	"io"
)

const (
	maxPDFObjects = 32 << 20 // bytes of unpacked object streams that are looked at in one document
	maxPDFDict    = 4 << 10  // bytes before a stream in which its dictionary is looked for
)

// PDF finds the URLs to which the links of a PDF document lead, and calls yield with each until yield returns false.
// They are the URI actions (ISO 32000-2, 12.6.4.8) of annotations and outlines, in the document itself and in its
// object streams. It is a scan, not a reading of the document: what an update has replaced is found too, and what stands
// in object streams packed otherwise than by Flate, or with a predictor, is not. In an encrypted document nothing is
// found. Only absolute web URLs are reported, and none longer than [DefaultMaxURL].
func PDF(body []byte, yield func(Link) bool) {
	if !bytes.Contains(body[:min(len(body), 1024)], []byte("%PDF-")) || bytes.Contains(body, []byte("/Encrypt")) {
		return
	}
	p := pdfScanner{yield: yield, room: maxPDFObjects}
	for !p.stopped && len(body) > 0 {
		at := bytes.Index(body, []byte("stream"))
		if at < 0 {
			p.scan(body)
			return
		}
		p.scan(body[:at])
		dict := body[max(0, at-maxPDFDict):at]
		dict = dict[max(0, bytes.LastIndex(dict, []byte(" obj"))):]
		body = body[at+len("stream"):]
		end := bytes.Index(body, []byte("endstream"))
		if end < 0 {
			end = len(body)
		}
		if !p.stopped && isObjectStream(dict) {
			p.unpack(bytes.TrimLeft(body[:min(end, 2)], "\r\n"), body[min(end, 2):end])
		}
		body = body[end:]
		body = bytes.TrimPrefix(body, []byte("endstream"))
	}
}

// isObjectStream says whether a dictionary heads a stream of objects that can be read here.
func isObjectStream(dict []byte) bool {
	return bytes.Contains(dict, []byte("/ObjStm")) && bytes.Contains(dict, []byte("/FlateDecode")) &&
		!bytes.Contains(dict, []byte("/Predictor"))
}

type pdfScanner struct {
	yield   func(Link) bool
	stopped bool
	room    int64         // bytes that may still be unpacked
	z       io.ReadCloser // used again; nil: not yet
}

// unpack scans a stream of objects, given in two parts.
func (p *pdfScanner) unpack(head, packed []byte) {
	in := io.MultiReader(bytes.NewReader(head), bytes.NewReader(packed))
	var err error
	if p.z == nil {
		p.z, err = zlib.NewReader(in)
	} else {
		err = p.z.(zlib.Resetter).Reset(in, nil)
	}
	if err != nil {
		return
	}
	text, _ := io.ReadAll(io.LimitReader(p.z, p.room)) // of one that is damaged, what there is
	p.room -= int64(len(text))
	p.scan(text)
}

// scan finds the strings that follow the name URI.
func (p *pdfScanner) scan(text []byte) {
	for !p.stopped {
		_, rest, ok := bytes.Cut(text, []byte("/URI"))
		if !ok {
			return
		}
		text = bytes.TrimLeft(rest, "\x00\t\n\f\r ")
		var url []byte
		n := 0
		switch {
		case bytes.HasPrefix(text, []byte("(")):
			url, n = pdfString(text[1:])
		case bytes.HasPrefix(text, []byte("<")) && !bytes.HasPrefix(text, []byte("<<")):
			url, n = pdfHex(text[1:])
		}
		text = text[n:]
		if url = trim(url); Scheme(url) != nil && Web(url) && bytes.IndexByte(url, 0) < 0 {
			p.stopped = !p.yield(Link{URL: url, Kind: Document})
		}
	}
}

// pdfString reads a literal string (7.3.4.2) behind its opening parenthesis, and returns how much it has read; no text
// if the string is too long or does not end.
func pdfString(b []byte) (text []byte, n int) {
	depth := 1
	i := 0
	for ; i < len(b) && len(text) <= DefaultMaxURL && i <= 4*DefaultMaxURL; i++ {
		switch c := b[i]; c {
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return new(arena).unbroken(text), i
			}
		case '\\':
			n, char, ok := pdfEscape(b[i+1:])
			if i += n; ok {
				text = append(text, char)
			}
			continue
		}
		text = append(text, b[i])
	}
	return nil, min(i, len(b))
}

// pdfEscape reads what follows a backslash: how long it is, and the character, if it stands for one.
func pdfEscape(b []byte) (n int, char byte, ok bool) {
	if len(b) == 0 {
		return 0, 0, false
	}
	switch c := b[0]; {
	case c >= '0' && c <= '7':
		for n < min(3, len(b)) && b[n] >= '0' && b[n] <= '7' {
			char = char*8 + b[n] - '0'
			n++
		}
		return n, char, true
	case c == '\r' && len(b) > 1 && b[1] == '\n':
		return 2, 0, false
	case c == '\r', c == '\n', c == 'n', c == 'r', c == 't', c == 'b', c == 'f': // a line continued, or no part of a URL
		return 1, 0, false
	default:
		return 1, c, true
	}
}

// pdfHex is pdfString for a hexadecimal string (7.3.4.3) behind its opening bracket.
func pdfHex(b []byte) (url []byte, n int) {
	b = b[:min(len(b), 2*DefaultMaxURL+1)]
	end := bytes.IndexByte(b, '>')
	if end < 0 {
		return nil, len(b)
	}
	text := make([]byte, 0, end/2+1)
	half := false
	for _, c := range b[:end] {
		d, ok := digitValue(c, 16)
		switch {
		case !ok:
			continue
		case half:
			text[len(text)-1] |= byte(d)
		default:
			text = append(text, byte(d)<<4)
		}
		half = !half
	}
	return new(arena).unbroken(text), end
}
