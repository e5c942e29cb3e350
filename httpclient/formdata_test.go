package httpclient

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
)

func readForm(t *testing.T, f *FormData) string {
	t.Helper()
	size := f.Size()
	r, err := f.Open()
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(iotest.OneByteReader(r))
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if size >= 0 && size != int64(len(b)) {
		t.Errorf("Size is %d, but %d bytes are sent:\n%s", size, len(b), b)
	}
	return string(b)
}

func TestFormDataURLEncoded(t *testing.T) {
	var f FormData
	if got := readForm(t, &f); got != "" || f.ContentType() != "application/x-www-form-urlencoded" || f.Size() != 0 {
		t.Errorf("empty form: %q as %s", got, f.ContentType())
	}
	f.Add("b", "ü &=+")
	f.Add("a", "2")
	f.Add("a", "1")
	if err := f.AddField(FormField{Name: "c"}); err != nil {
		t.Fatal(err)
	}
	got := readForm(t, &f)
	if want := "b=%C3%BC+%26%3D%2B&a=2&a=1&c="; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if v, err := url.ParseQuery(got); err != nil || v.Get("b") != "ü &=+" {
		t.Errorf("parsed %v, %v", v, err)
	}
	if !f.Replayable() || readForm(t, &f) != got {
		t.Error("a second reading differs")
	}
}

// TestFormDataPlainMultipart: plain values look as those from a browser do.
func TestFormDataPlainMultipart(t *testing.T) {
	f := FormData{Multipart: true, Boundary: "B"}
	f.Add("a", "ü")
	want := "--B\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nü\r\n--B--\r\n"
	if got := readForm(t, &f); got != want || f.ContentType() != "multipart/form-data; boundary=B" {
		t.Errorf("got %q as %s, want %q", got, f.ContentType(), want)
	}
}

func TestFormDataCharset(t *testing.T) {
	f := FormData{Charset: "latin1"}
	f.Add("grüße", "€ ü 日")
	if got, want := readForm(t, &f), "gr%FC%DFe=%80+%FC+%26%2326085%3B"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := f.ContentType(), "application/x-www-form-urlencoded; charset=latin1"; got != want {
		t.Errorf("content type %q, want %q", got, want)
	}
	f.Boundary = "B"
	f.AddBytes("x", []byte("\xfc"))
	want := "--B\r\nContent-Disposition: form-data; name=\"gr\xfc\xdfe\"\r\nContent-Type: text/plain; charset=latin1\r\n\r\n\x80 \xfc &#26085;\r\n" +
		"--B\r\nContent-Disposition: form-data; name=\"x\"; filename=\"x\"\r\nContent-Type: application/octet-stream\r\n\r\n\xfc\r\n--B--\r\n"
	if got := readForm(t, &f); got != want {
		t.Errorf("got\n%q\nwant\n%q", got, want)
	}
	unknown := FormData{Charset: "no-such"}
	if _, err := unknown.Open(); err == nil || unknown.Size() >= 0 {
		t.Errorf("unknown charset: %v, size %d", err, unknown.Size())
	}
}

func TestFormDataMultipart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "page one.html")
	if err := os.WriteFile(path, []byte("<p>x"), 0o600); err != nil {
		t.Fatal(err)
	}
	var f FormData
	f.Add("plain", "ü\r\n")
	f.AddFile("file", path)
	f.AddBytes("bytes", []byte{0, 1, 2})
	long := strings.Repeat("0123456789", 50)
	for _, field := range []FormField{
		{Name: "json", Value: `{"a":1}`, ContentType: "application/json"},
		{Name: "na\"me\r\n", Value: "x", Filename: "f\"\n.txt"},
		{Name: "b64", Value: long, TransferEncoding: "base64"},
		{Name: "b64 of a line", Value: long[:57], TransferEncoding: "base64"},
		{Name: "b64 of nothing", TransferEncoding: "base64"},
		{Name: "8bit", Body: StringBody("text"), TransferEncoding: "8bit"},
	} {
		if err := f.AddField(field); err != nil {
			t.Fatal(err)
		}
	}
	if f.Size() < 0 {
		t.Error("Size is not known")
	}
	body := readForm(t, &f)
	if again := readForm(t, &f); again != body || !f.Replayable() {
		t.Error("a second reading differs")
	}

	mediaType, params, err := mime.ParseMediaType(f.ContentType())
	if err != nil || mediaType != "multipart/form-data" {
		t.Fatal(f.ContentType(), err)
	}
	r := multipart.NewReader(strings.NewReader(body), params["boundary"])
	want := []struct{ name, filename, contentType, content string }{
		{"plain", "", "", "ü\r\n"},
		{"file", "page one.html", "text/html; charset=utf-8", "<p>x"},
		{"bytes", "bytes", "application/octet-stream", "\x00\x01\x02"},
		{"json", "", "application/json", `{"a":1}`},
		{"na%22me%0D%0A", "f%22%0A.txt", "application/octet-stream", "x"},
		{"b64", "", "", ""},
		{"b64 of a line", "", "", ""},
		{"b64 of nothing", "", "", ""},
		{"8bit", "", "text/plain; charset=utf-8", "text"},
	}
	for _, w := range want {
		part, err := r.NextRawPart()
		if err != nil {
			t.Fatalf("%s: %v\n%s", w.name, err, body)
		}
		content, err := io.ReadAll(part)
		if err != nil {
			t.Fatal(err)
		}
		if part.FormName() != w.name || part.FileName() != w.filename || part.Header.Get("Content-Type") != w.contentType {
			t.Errorf("%s: name %q, file name %q, type %q", w.name, part.FormName(), part.FileName(), part.Header.Get("Content-Type"))
		}
		if part.Header.Get("Content-Transfer-Encoding") == "base64" {
			for line := range strings.Lines(string(content)) {
				if len(strings.TrimRight(line, "\r\n")) > base64Line {
					t.Errorf("line of %d characters", len(line))
				}
			}
		} else if string(content) != w.content {
			t.Errorf("%s: content %q, want %q", w.name, content, w.content)
		}
	}
	if _, err := r.NextRawPart(); err != io.EOF {
		t.Errorf("after the last part: %v", err)
	}
}

func TestFormDataTransferEncodings(t *testing.T) {
	f := FormData{Boundary: "B"}
	for _, enc := range []string{"base64", "quoted-printable"} {
		if err := f.AddField(FormField{Name: enc, Value: "grün = gelb", TransferEncoding: enc}); err != nil {
			t.Fatal(err)
		}
	}
	if f.Size() >= 0 {
		t.Errorf("Size %d with a quoted-printable field", f.Size())
	}
	want := "--B\r\nContent-Disposition: form-data; name=\"base64\"\r\nContent-Transfer-Encoding: base64\r\n\r\nZ3LDvG4gPSBnZWxi\r\n" +
		"--B\r\nContent-Disposition: form-data; name=\"quoted-printable\"\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\ngr=C3=BCn =3D gelb\r\n--B--\r\n"
	if got := readForm(t, &f); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if err := f.AddField(FormField{Name: "x", TransferEncoding: "rot13"}); err == nil {
		t.Error("an unknown transfer encoding is taken")
	}
	if err := f.AddField(FormField{Name: "x", ContentType: "a/b\r\nX: y"}); err == nil {
		t.Error("a media type with a line end is taken")
	}
	if err := f.AddField(FormField{Name: "x", Body: BodyAs(StringBody(""), "a/b\r\nX: y")}); err == nil {
		t.Error("a body's media type with a line end is taken")
	}
}

func TestFormDataPercentNames(t *testing.T) {
	f := FormData{Boundary: "B", PercentNames: true}
	f.AddBytes("ü b", nil)
	want := "--B\r\nContent-Disposition: form-data; name=\"%C3%BC%20b\"; filename=\"%C3%BC%20b\"; filename*=utf-8''%C3%BC%20b\r\n" +
		"Content-Type: application/octet-stream\r\n\r\n\r\n--B--\r\n"
	if got := readForm(t, &f); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// closeCounter counts how often its content is closed.
type closeCounter struct {
	io.Reader
	closed int
}

func (c *closeCounter) Close() error { c.closed++; return nil }

func TestFormDataStreamsAndCloses(t *testing.T) {
	broken := errors.New("broken")
	src := &closeCounter{Reader: io.MultiReader(strings.NewReader("some"), iotest.ErrReader(broken))}
	var f FormData
	if err := f.AddField(FormField{Name: "r", Body: ReaderBody(src, -1), TransferEncoding: "base64"}); err != nil {
		t.Fatal(err)
	}
	if f.Replayable() || f.Size() >= 0 {
		t.Errorf("of a reader: replayable %t, size %d", f.Replayable(), f.Size())
	}
	r, err := f.Open()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(r); err != broken || !bytes.Contains(got, []byte("name=\"r\"")) {
		t.Errorf("%v after %q", err, got)
	}
	for range 2 {
		if err := r.Close(); err != nil || src.closed != 1 {
			t.Errorf("%v, closed %d times", err, src.closed)
		}
	}
	var missing FormData
	missing.AddFile("f", filepath.Join(t.TempDir(), "none"))
	r, err = missing.Open()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(r); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
}

func ExampleFormData() {
	form := FormData{Boundary: "boundary"} // random if not set
	form.Add("title", "A page")
	form.AddBytes("page.html", []byte("<p>"))
	content, _ := form.Open()
	body, _ := io.ReadAll(content)
	fmt.Println(form.ContentType())
	fmt.Println(strings.ReplaceAll(string(body), "\r", ""))
	// Output:
	// multipart/form-data; boundary=boundary
	// --boundary
	// Content-Disposition: form-data; name="title"
	//
	// A page
	// --boundary
	// Content-Disposition: form-data; name="page.html"; filename="page.html"
	// Content-Type: application/octet-stream
	//
	// <p>
	// --boundary--
}
