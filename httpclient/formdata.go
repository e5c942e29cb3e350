package httpclient

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"mime"
	"mime/quotedprintable"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/htmlindex"
)

// FormData is the content of an HTML form as a [Body]: in
// application/x-www-form-urlencoded while it has plain values alone, and in
// multipart/form-data (RFC 7578) once a field has a file name, a media type or a
// transfer encoding, or where Multipart asks for it. The zero value is an empty
// form. It must not change, nor be copied, while a request uses it.
//
// The content is made as it is sent: of files, only a few kilobytes are in memory
// at a time.
type FormData struct {
	// Charset is the encoding of names and plain values, a label of the WHATWG
	// Encoding Standard; empty: UTF-8. Characters that it does not have are sent as
	// browsers do, as "&#233;". Where it is not UTF-8, the media types tell it.
	Charset string

	// Multipart has plain values alone sent in multipart/form-data, too. Adding a
	// field that needs that sets it.
	Multipart bool

	// PercentNames has names and file names in multipart forms percent-encoded,
	// and file names repeated in the form of RFC 8187. Without it they go out as
	// from browsers: as they are, except for line ends and quotes.
	PercentNames bool

	// Boundary separates the fields of a multipart form, and must not occur in
	// them. Empty: a random one.
	Boundary string

	fields []FormField
}

// FormField is a field of a [FormData].
type FormField struct {
	Name  string
	Value string // the content, unless Body is set

	// Body is the content of an uploaded file, say. Its ContentType counts if the
	// field's own is empty.
	Body Body

	Filename    string
	ContentType string

	// TransferEncoding is the field's Content-Transfer-Encoding: "base64" and
	// "quoted-printable" are applied to the content; "binary", "8bit" and "7bit"
	// are only said.
	TransferEncoding string
}

// Add appends a plain value.
func (f *FormData) Add(name, value string) {
	f.fields = append(f.fields, FormField{Name: name, Value: value})
}

// AddBytes appends content that is not text, with name as its file name.
func (f *FormData) AddBytes(name string, content []byte) {
	f.Multipart = true
	f.fields = append(f.fields, FormField{Name: name, Body: BytesBody(content), Filename: name})
}

// AddFile appends the file at path, which is opened when the form is sent. Its
// media type is told by the extension.
func (f *FormData) AddFile(name, path string) {
	f.Multipart = true
	f.fields = append(f.fields, FormField{
		Name: name, Body: FileBody(path),
		Filename: filepath.Base(path), ContentType: mime.TypeByExtension(filepath.Ext(path)),
	})
}

// AddField appends a field. It refuses an unknown TransferEncoding and a
// ContentType, its own or its Body's, with a line end.
func (f *FormData) AddField(field FormField) error {
	switch field.TransferEncoding {
	case "", "base64", "quoted-printable", "binary", "8bit", "7bit":
	default:
		return errors.New("httpclient: form field " + strconv.Quote(field.Name) + ": unknown transfer encoding " + strconv.Quote(field.TransferEncoding))
	}
	if strings.ContainsAny(f.typeOf(&field), "\r\n\x00") {
		return errors.New("httpclient: form field " + strconv.Quote(field.Name) + ": line end in its media type")
	}
	if field.Body != nil || field.Filename != "" || field.ContentType != "" || field.TransferEncoding != "" {
		f.Multipart = true
	}
	f.fields = append(f.fields, field)
	return nil
}

// ContentType returns the form's media type.
func (f *FormData) ContentType() string {
	if f.Multipart {
		return "multipart/form-data; boundary=" + f.boundary()
	}
	if f.inUTF8() {
		return "application/x-www-form-urlencoded"
	}
	return "application/x-www-form-urlencoded; charset=" + f.Charset
}

func (f *FormData) inUTF8() bool {
	return f.Charset == "" || strings.EqualFold(f.Charset, "utf-8") || strings.EqualFold(f.Charset, "utf8")
}

func (f *FormData) boundary() string {
	if f.Boundary == "" {
		var b [16]byte
		_, _ = rand.Read(b[:]) // never fails
		f.Boundary = hex.EncodeToString(b[:])
	}
	return f.Boundary
}

// Replayable reports whether all contents are.
func (f *FormData) Replayable() bool {
	for i := range f.fields {
		if b := f.fields[i].Body; b != nil && !b.Replayable() {
			return false
		}
	}
	return true
}

// Size returns the length of the form, negative if that of a content is not known.
func (f *FormData) Size() int64 {
	encode, err := f.encoder()
	if err != nil {
		return -1
	}
	if !f.Multipart {
		return int64(len(f.urlencoded(encode)))
	}
	total := int64(len(f.closing()))
	for i := range f.fields {
		n := f.fields[i].size(encode)
		if n < 0 {
			return -1
		}
		total += int64(len(f.head(&f.fields[i], encode))) + n + int64(len("\r\n"))
	}
	return total
}

// Open returns the form from its start.
func (f *FormData) Open() (io.ReadCloser, error) {
	encode, err := f.encoder()
	if err != nil {
		return nil, err
	}
	if !f.Multipart {
		return io.NopCloser(strings.NewReader(f.urlencoded(encode))), nil
	}
	return &formReader{form: f, encode: encode}, nil
}

// encoder returns the function that brings text into the form's charset.
func (f *FormData) encoder() (func(string) string, error) {
	if f.inUTF8() {
		return func(s string) string { return s }, nil
	}
	enc, err := htmlindex.Get(f.Charset)
	if err != nil {
		return nil, errors.New("httpclient: form: unknown charset " + strconv.Quote(f.Charset))
	}
	return func(s string) string {
		coded, err := encoding.HTMLEscapeUnsupported(enc.NewEncoder()).String(s)
		if err != nil { // s is not UTF-8: there is nothing to bring over
			return s
		}
		return coded
	}, nil
}

func (f *FormData) urlencoded(encode func(string) string) string {
	var b strings.Builder
	for i := range f.fields {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(url.QueryEscape(encode(f.fields[i].Name)))
		b.WriteByte('=')
		b.WriteString(url.QueryEscape(encode(f.fields[i].Value)))
	}
	return b.String()
}

func (f *FormData) closing() string { return "--" + f.boundary() + "--\r\n" }

// head returns a field's delimiter and header.
func (f *FormData) head(field *FormField, encode func(string) string) string {
	var b strings.Builder
	b.WriteString("--" + f.boundary() + "\r\nContent-Disposition: form-data")
	f.writeParameter(&b, "name", encode(field.Name))
	if field.Filename != "" {
		f.writeParameter(&b, "filename", encode(field.Filename))
		if f.PercentNames {
			b.WriteString("; filename*=utf-8''" + percentEncode(field.Filename))
		}
	}
	b.WriteString("\r\n")
	if t := f.typeOf(field); t != "" {
		b.WriteString("Content-Type: " + t + "\r\n")
	}
	if field.TransferEncoding != "" {
		b.WriteString("Content-Transfer-Encoding: " + field.TransferEncoding + "\r\n")
	}
	b.WriteString("\r\n")
	return b.String()
}

func (f *FormData) typeOf(field *FormField) string {
	switch {
	case field.ContentType != "":
		return field.ContentType
	case field.Body != nil && field.Body.ContentType() != "":
		return field.Body.ContentType()
	case field.Body != nil, field.Filename != "":
		return "application/octet-stream"
	case !f.inUTF8():
		return "text/plain; charset=" + f.Charset
	}
	return ""
}

// escapeName is the HTML Standard's "escape" for multipart names.
var escapeName = strings.NewReplacer("\r\n", "%0D%0A", "\r", "%0D", "\n", "%0A", `"`, "%22")

func (f *FormData) writeParameter(b *strings.Builder, name, value string) {
	if f.PercentNames {
		value = percentEncode(value)
	} else {
		value = escapeName.Replace(value)
	}
	b.WriteString("; " + name + `="` + value + `"`)
}

// percentEncode leaves only the unreserved characters of RFC 3986.
func percentEncode(s string) string {
	return strings.ReplaceAll(url.QueryEscape(s), "+", "%20")
}

// size returns the length of a field's content as it is sent; negative: not known.
func (field *FormField) size(encode func(string) string) int64 {
	n := int64(len(field.Value))
	if field.Body != nil {
		n = field.Body.Size()
	} else if field.isText() {
		n = int64(len(encode(field.Value)))
	}
	switch {
	case field.TransferEncoding == "quoted-printable":
		return -1
	case field.TransferEncoding == "base64" && n >= 0:
		n = (n + 2) / 3 * 4
		return n + max(n-1, 0)/base64Line*int64(len("\r\n"))
	}
	return n
}

// isText reports whether the content is in the form's charset.
func (field *FormField) isText() bool { return field.Body == nil && field.ContentType == "" }

// open returns a field's content as it is sent.
func (field *FormField) open(encode func(string) string) (io.ReadCloser, error) {
	content := io.NopCloser(strings.NewReader(field.Value))
	if field.Body != nil {
		var err error
		if content, err = field.Body.Open(); err != nil {
			return nil, err
		}
	} else if field.isText() {
		content = io.NopCloser(strings.NewReader(encode(field.Value)))
	}
	switch field.TransferEncoding {
	case "base64":
		lines := &lineWriter{}
		return &codedReader{src: content, coded: &lines.Buffer, w: base64.NewEncoder(base64.StdEncoding, lines)}, nil
	case "quoted-printable":
		coded := new(bytes.Buffer)
		return &codedReader{src: content, coded: coded, w: quotedprintable.NewWriter(coded)}, nil
	}
	return content, nil
}

// formReader gives the fields of a multipart form one after the other.
type formReader struct {
	form    *FormData
	encode  func(string) string
	next    int           // field to come
	text    string        // delimiters and header fields, to be given before content
	content io.ReadCloser // of the field at hand; nil: none
	done    bool
}

func (r *formReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for {
		switch {
		case r.text != "":
			n := copy(p, r.text)
			r.text = r.text[n:]
			return n, nil
		case r.content != nil:
			n, err := r.content.Read(p)
			if err == io.EOF {
				err = r.endField()
			}
			if n > 0 || err != nil {
				return n, err
			}
		case r.done:
			return 0, io.EOF
		default:
			if err := r.advance(); err != nil {
				return 0, err
			}
		}
	}
}

// advance goes to the next field, or to the end.
func (r *formReader) advance() (err error) {
	if r.next == len(r.form.fields) {
		r.text, r.done = r.form.closing(), true
		return nil
	}
	field := &r.form.fields[r.next]
	r.next++
	r.text = r.form.head(field, r.encode)
	r.content, err = field.open(r.encode)
	return err
}

func (r *formReader) endField() error {
	content := r.content
	r.content, r.text = nil, "\r\n"
	return content.Close()
}

// Close closes the content at hand.
func (r *formReader) Close() error {
	if r.content == nil {
		return nil
	}
	content := r.content
	r.content, r.done = nil, true
	return content.Close()
}

// codedReader gives what w makes of src.
type codedReader struct {
	src   io.ReadCloser
	w     io.WriteCloser // writes to coded
	coded *bytes.Buffer
	err   error
	buf   [1024]byte
}

func (r *codedReader) Read(p []byte) (int, error) {
	for r.coded.Len() == 0 && r.err == nil {
		var n int
		n, r.err = r.src.Read(r.buf[:])
		_, _ = r.w.Write(r.buf[:n]) // to a bytes.Buffer
		if r.err == io.EOF {
			_ = r.w.Close()
		}
	}
	if r.coded.Len() > 0 {
		return r.coded.Read(p)
	}
	return 0, r.err
}

func (r *codedReader) Close() error { return r.src.Close() }

// base64Line is the greatest length of a line in base64, RFC 2045 section 6.8.
const base64Line = 76

// lineWriter breaks what is written into lines.
type lineWriter struct {
	bytes.Buffer
	column int
}

func (w *lineWriter) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		if w.column == base64Line {
			w.WriteString("\r\n")
			w.column = 0
		}
		n := min(base64Line-w.column, len(rest))
		w.Buffer.Write(rest[:n])
		w.column += n
		rest = rest[n:]
	}
	return len(p), nil
}
