package charset

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/japanese"
)

// datCase is one case of an html5lib .dat file.
type datCase struct {
	data     []byte
	encoding string
}

func readDat(t *testing.T, path string) []datCase {
	t.Helper()
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var cases []datCase
	for _, part := range bytes.Split(append([]byte("\n"), file...), []byte("\n#data\n"))[1:] {
		data, rest, ok := bytes.Cut(part, []byte("\n#encoding\n"))
		if !ok {
			t.Fatalf("%s: case without #encoding: %q", path, part)
		}
		name, _, _ := bytes.Cut(rest, []byte("\n"))
		cases = append(cases, datCase{data, strings.ToLower(string(bytes.TrimSpace(name)))})
	}
	return cases
}

func TestHTML5LibEncoding(t *testing.T) {
	files, err := filepath.Glob("testdata/html5lib/*.dat")
	if err != nil || len(files) == 0 {
		t.Fatal("no test data", err)
	}
	passed, total := 0, 0
	for _, file := range files {
		for i, c := range readDat(t, file) {
			total++
			name, source := Sniff(c.data, "text/html")
			if name != c.encoding {
				t.Errorf("%s, case %d: got %s (from %v), want %s\n%.300q", file, i+1, name, source, c.encoding, c.data)
				continue
			}
			passed++
		}
	}
	t.Logf("%d of %d cases of html5lib-tests agree", passed, total)
	if total != 82 {
		t.Errorf("%d cases read, the files have 82", total)
	}
	for _, c := range readDat(t, "testdata/html5lib/scripted/tests1.dat") {
		name, _ := Sniff(c.data, "text/html")
		t.Logf("scripted case, not counted: a script writes the declaration of %s; without scripts %s", c.encoding, name)
	}
}

func TestSniff(t *testing.T) {
	pad := strings.Repeat(" ", 1024)
	for _, tc := range []struct {
		body, contentType string
		name              string
		source            Source
	}{
		{"", "", "windows-1252", FromFallback},
		{"plain ascii", "text/html", "windows-1252", FromFallback},
		{"gr\xc3\xbc\xc3\x9fe", "text/html", "utf-8", FromContent},
		{"gr\xfc\xdfe", "text/html", "windows-1252", FromFallback},
		{"cut \xe4\xba\xac\xe4\xba", "", "utf-8", FromContent},
		{"only \xe4", "", "windows-1252", FromFallback},
		{pad + pad + "\xd0\x9f\xd1\x80", "", "utf-8", FromContent},

		{"\xef\xbb\xbf<meta charset=koi8-r>", "text/html; charset=koi8-r", "utf-8", FromBOM},
		{"\xff\xfeh\x00", "text/html; charset=utf-8", "utf-16le", FromBOM},
		{"\xfe\xff\x00h", "", "utf-16be", FromBOM},

		{"x", "text/html; charset=Shift_JIS", "shift_jis", FromHeader},
		{"x", "text/html;charset=\"latin1\"", "windows-1252", FromHeader},
		{"x", "text/html; charset=utf-8,charset=utf-8", "utf-8", FromHeader},
		{"x", "text/html; charset='utf-8", "utf-8", FromHeader},
		{"x", "text/html, text/html; CHARSET = EUC-KR", "euc-kr", FromHeader},
		{"x", "text/html; charset=none; charset=gb2312", "gbk", FromHeader},
		{"x", "text/html; charset=utf-16", "utf-16le", FromHeader},
		{"x", "charset=big5", "windows-1252", FromFallback},
		{"<meta charset=koi8-r>", "text/html; charset=bogus", "koi8-r", FromMeta},
		{"<meta charset=koi8-r>", "text/html; xcharset=utf-8", "koi8-r", FromMeta},
		{"<meta charset=koi8-r>", "garbage \xff\x00", "koi8-r", FromMeta},

		{"<meta charset=utf-16be>", "", "utf-8", FromMeta},
		{"<meta charset=x-user-defined>", "", "windows-1252", FromMeta},
		{"<META CHARSET=\"x-sjis\"/>", "application/xhtml+xml", "shift_jis", FromMeta},
		{"<meta charset=\"\xc5\xbfjis\">", "", "utf-8", FromContent},
		{pad + "<meta charset=koi8-r>", "", "koi8-r", FromLateMeta},
		{pad + "<meta charset=koi8-r> gr\xc3\xbc", "", "koi8-r", FromLateMeta},
		{pad + "<script>'<meta charset=koi8-r></style>'</SCRIPT><p><Meta Charset=koi8-u>", "", "koi8-u", FromLateMeta},
		{pad + "<title><meta charset=koi8-r>", "", "windows-1252", FromFallback},
		{pad + "<meta charset=koi8-r>", "text/plain", "windows-1252", FromFallback},
		{strings.Repeat(pad, 64) + "<meta charset=koi8-r>", "", "windows-1252", FromFallback},
		{"<!--><meta charset=koi8-r>", "", "koi8-r", FromMeta},
		{"<!-- <meta charset=koi8-r>", "", "windows-1252", FromFallback},
		{"<a title='<meta charset=koi8-r>'><meta charset=koi8-u>", "", "koi8-u", FromMeta},
		{"<? <meta charset=koi8-r>", "", "windows-1252", FromFallback},
		{"<meta http-equiv=refresh content='0; charset=koi8-r'>", "", "windows-1252", FromFallback},
		{"<meta content='charset=koi8-r' http-equiv=Content-Type>", "", "koi8-r", FromMeta},
		{"<meta content='charset charset = \"koi8-r\" x' http-equiv=content-type>", "", "koi8-r", FromMeta},
		{"<meta charset=bogus http-equiv=content-type content='charset=koi8-r'>", "", "windows-1252", FromFallback},
		{"<meta charset=koi8-r charset=koi8-u>", "", "koi8-r", FromMeta},
		{"<meta charset=koi8-r>", "text/plain", "windows-1252", FromFallback},

		{"<?xml version='1.0' encoding='iso-8859-2'?><a/>", "application/rss+xml", "iso-8859-2", FromMeta},
		{"<?xml version='1.0' encoding='iso-8859-2'?><a/>", "text/html", "iso-8859-2", FromMeta},
		{"<?xml version='1.0' encoding='utf-16'?><a/>", "text/xml", "utf-8", FromMeta},
		{"<?xml version='1.0' encoding=iso-8859-2?><a/>", "text/xml", "windows-1252", FromFallback},
		{"<\x00?\x00x\x00m\x00l\x00", "text/html", "utf-16le", FromMeta},
		{"{\"a\":1}", "application/json", "utf-8", FromType},
		{"{\"a\":1}", "application/ld+json; charset=koi8-r", "koi8-r", FromHeader},
	} {
		name, source := Sniff([]byte(tc.body), tc.contentType)
		if name != tc.name || source != tc.source {
			t.Errorf("Sniff(%.60q, %q) = %s from %v, want %s from %v", tc.body, tc.contentType, name, source, tc.name, tc.source)
		}
		detected, certain := Detect([]byte(tc.body), tc.contentType)
		if want := tc.source == FromBOM || tc.source == FromHeader; detected != tc.name || certain != want {
			t.Errorf("Detect(%.60q, %q) = %s, %t", tc.body, tc.contentType, detected, certain)
		}
	}
}

func TestLookup(t *testing.T) {
	for label, want := range map[string]string{
		"utf8": "utf-8", " UTF-8\t": "utf-8", "latin1": "windows-1252", "ascii": "windows-1252",
		"x-gbk": "gbk", "gb18030": "gb18030", "sjis": "shift_jis", "ks_c_5601-1987": "euc-kr",
		"iso-2022-kr": "replacement", "hz-gb-2312": "replacement", "unicode": "utf-16le",
		"": "", "utf-7": "", "utf_8": "", "\u212aoi8-r": "", "utf-8\u00a0": "", "none": "",
	} {
		got, ok := Lookup(label)
		if got != want || ok != (want != "") {
			t.Errorf("Lookup(%q) = %q, %t; want %q", label, got, ok, want)
		}
	}
}

func TestDecode(t *testing.T) {
	for _, tc := range []struct{ body, name, want string }{
		{"", "utf-8", ""},
		{"gr\xc3\xbc\xc3\x9fe", "utf-8", "grüße"},
		{"gr\xfc\xdfe", "latin1", "grüße"},
		{"\x80\x81\x8d\x9f", "windows-1252", "\u20ac\u0081\u008d\u0178"},
		{"\xcf\xf0\xe8\xe2\xe5\xf2, web", "windows-1251", "Привет, web"},
		{"\x93\xfa\x96\x7b", "shift_jis", "日本"},
		{"\xc6\xfc\xcb\xdc", "euc-jp", "日本"},
		{"\x1b$BF|K\\\x1b(B.", "iso-2022-jp", "日本."},
		{"\xd6\xd0\xb9\xfa", "gb2312", "中国"},
		{"h\x00i\x00", "utf-16le", "hi"},
		{"\x00h\x00i\x00", "utf-16be", "hi\ufffd"},
		{"\xd8\x3d\xde\x00\xd8\x3d\x00h", "utf-16be", "😀\ufffdh"},

		// A byte order mark outranks the name and goes.
		{"\xef\xbb\xbfgr\xc3\xbc", "koi8-r", "grü"},
		{"\xff\xfeh\x00", "utf-8", "h"},
		{"\xfe\xff\x00h", "utf-16le", "h"},

		// One U+FFFD for each maximal subpart, as the standard has it.
		{"a\xffb", "utf-8", "a\ufffdb"},
		{"a\xe4\xba b\xe4", "utf-8", "a\ufffd b\ufffd"},
		{"\xf0\x9f\x98\xf0\x9f\x98\x80", "utf-8", "\ufffd😀"},
		{"\xed\xa0\x80\xc0\xaf", "utf-8", "\ufffd\ufffd\ufffd\ufffd\ufffd"},
		{"a\xd2", "windows-1253", "a\ufffd"},
		{"whatever", "iso-2022-kr", "\ufffd"},
	} {
		got, err := Decode([]byte(tc.body), tc.name)
		if err != nil || string(got) != tc.want {
			t.Errorf("Decode(%q, %s) = %q, %v; want %q", tc.body, tc.name, got, err, tc.want)
		}
	}
	for _, label := range []string{"", "utf-7", "x"} {
		if _, err := Decode([]byte("abc"), label); !errors.Is(err, ErrUnknown) {
			t.Errorf("Decode as %q: error %v", label, err)
		}
		if _, err := NewReaderAs(strings.NewReader("abc"), label); !errors.Is(err, ErrUnknown) {
			t.Errorf("NewReaderAs %q: error %v", label, err)
		}
	}
}

// Every encoding of the standard decodes every byte without an error, and the
// table walk agrees with the library's own decoder.
func TestDecodeEverything(t *testing.T) {
	var all []byte
	for i := range 256 {
		all = append(all, "text between "...)
		all = append(all, byte(i), byte(i))
	}
	for _, label := range []string{
		"utf-8", "ibm866", "iso-8859-2", "iso-8859-3", "iso-8859-4", "iso-8859-5", "iso-8859-6", "iso-8859-7",
		"iso-8859-8", "iso-8859-8-i", "iso-8859-10", "iso-8859-13", "iso-8859-14", "iso-8859-15", "iso-8859-16",
		"koi8-r", "koi8-u", "macintosh", "windows-874", "windows-1250", "windows-1251", "windows-1252", "windows-1253",
		"windows-1254", "windows-1255", "windows-1256", "windows-1257", "windows-1258", "x-mac-cyrillic", "gbk",
		"gb18030", "big5", "euc-jp", "iso-2022-jp", "shift_jis", "euc-kr", "replacement", "utf-16be", "utf-16le",
		"x-user-defined",
	} {
		enc, err := htmlindex.Get(label)
		if err != nil {
			t.Fatal(label, err)
		}
		want, err := enc.NewDecoder().Bytes(all)
		if err != nil {
			t.Fatal(label, err)
		}
		if strings.HasPrefix(label, "windows") || strings.HasPrefix(label, "iso-8859") {
			// The library leaves C1 bytes undefined where the standard has the controls.
			parts := bytes.SplitAfter(want, []byte("between "))
			for c := 0x80; c < 0xa0; c++ {
				parts[c+1] = bytes.ReplaceAll(parts[c+1], []byte("\ufffd"), []byte(string(rune(c))))
			}
			want = bytes.Join(parts, nil)
		}
		streamed, err := NewReaderAs(bytes.NewReader(all), label)
		if err != nil {
			t.Fatal(label, err)
		}
		if got, err := io.ReadAll(streamed); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s by reader: %v, %q", label, err, got)
		}
		got, err := Decode(all, label)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %v, %q", label, err, got)
		}
		if name, ok := Lookup(label); !ok || name != label {
			t.Errorf("Lookup(%q) = %q, %t: not its own canonical name", label, name, ok)
		}
	}
}

func TestDecodeSharesValidUTF8(t *testing.T) {
	body := []byte("\xef\xbb\xbfgrüße, " + strings.Repeat("日本 ", 1000))
	allocs := testing.AllocsPerRun(20, func() {
		name, _ := Sniff(body, "text/html; charset=UTF-8")
		if _, err := Decode(body, name); err != nil {
			t.Fatal(err)
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations for a page in UTF-8, want none", allocs)
	}
}

func TestReader(t *testing.T) {
	eucJP, _ := japanese.EUCJP.NewEncoder().String(strings.Repeat("日本最大級 ", 3000))
	latin, _ := charmap.Windows1252.NewEncoder().String(strings.Repeat("grüße ", 3000))
	ascii := strings.Repeat("plain text. ", 5000)
	for _, tc := range []struct {
		what, body, contentType string
		want                    string
		name                    string
		source                  Source
	}{
		{"empty", "", "", "", "", Undecided},
		{"ascii", ascii, "", ascii, "", Undecided},
		{"utf-8 far in", ascii + "grüße", "", ascii + "grüße", "utf-8", FromContent},
		{"latin1 far in", ascii + latin, "", ascii + strings.Repeat("grüße ", 3000), "windows-1252", FromFallback},
		{"bom", "\xef\xbb\xbfgrüße", "text/html; charset=koi8-r", "grüße", "utf-8", FromBOM},
		{"header", eucJP, "text/html; charset=euc-jp", strings.Repeat("日本最大級 ", 3000), "euc-jp", FromHeader},
		{"meta", "<meta charset=euc-jp>" + eucJP, "", "<meta charset=euc-jp>" + strings.Repeat("日本最大級 ", 3000), "euc-jp", FromMeta},
		{"bad bytes", "<meta charset=utf-8>a\xffb", "", "<meta charset=utf-8>a\ufffdb", "utf-8", FromMeta},
	} {
		for how, wrap := range map[string]func(io.Reader) io.Reader{
			"whole":   func(r io.Reader) io.Reader { return r },
			"by byte": iotest.OneByteReader,
			"by half": iotest.HalfReader,
		} {
			r := NewReader(wrap(strings.NewReader(tc.body)), tc.contentType)
			got, err := io.ReadAll(r)
			if err != nil || string(got) != tc.want {
				t.Errorf("%s read %s: %d bytes, %v; want %d", tc.what, how, len(got), err, len(tc.want))
			}
			if name, source := r.Charset(); name != tc.name || source != tc.source {
				t.Errorf("%s read %s: %s from %v, want %s from %v", tc.what, how, name, source, tc.name, tc.source)
			}
		}
	}
	broken := errors.New("broken")
	for _, body := range []string{"", "abc", ascii, "grüße", ascii + "grüße"} {
		got, err := io.ReadAll(NewReader(io.MultiReader(strings.NewReader(body), iotest.ErrReader(broken)), ""))
		if err != broken || string(got) != body {
			t.Errorf("reader broken after %d bytes: got %d, error %v", len(body), len(got), err)
		}
	}
	r, err := NewReaderAs(strings.NewReader("gr\xfc\xdfe"), "latin1")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(r); err != nil || string(got) != "grüße" {
		t.Errorf("NewReaderAs: %q, %v", got, err)
	}
}

func ExampleDecode() {
	body := []byte("<meta charset=koi8-r><p>\xf0\xd2\xc9\xd7\xc5\xd4")
	name, certain := Detect(body, "text/html")
	text, err := Decode(body, name)
	fmt.Printf("%s %t %s %v\n", name, certain, text, err)
	// Output: koi8-r false <meta charset=koi8-r><p>Привет <nil>
}

func ExampleNewReader() {
	page := strings.NewReader("gr\xfc\xdfe")
	text, err := io.ReadAll(NewReader(page, "text/html; charset=ISO-8859-1"))
	fmt.Printf("%s %v\n", text, err)
	// Output: grüße <nil>
}

func FuzzSniff(f *testing.F) {
	for _, body := range []string{
		"<meta charset=utf-8>", "<!-- --><meta http-equiv=content-type content='x; charset=koi8-r'>",
		"<?xml encoding='utf-16'?>", "\xff\xfe<\x00", "<a b='c' d=e /f><meta charset", "<\x00?\x00x\x00",
	} {
		f.Add([]byte(body), "text/html; charset=\"x")
	}
	f.Fuzz(func(t *testing.T, body []byte, contentType string) {
		name, source := Sniff(body, contentType)
		if canonical, ok := Lookup(name); !ok || canonical != name {
			t.Fatalf("%q from %v is not a canonical name", name, source)
		}
		want, err := Decode(body, name)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(NewReader(iotest.HalfReader(bytes.NewReader(body)), contentType))
		if err != nil {
			t.Fatal(err)
		}
		if len(body) < readerLook && source != FromLateMeta && !bytes.Equal(got, want) {
			t.Fatalf("reader gives %q, Decode %q", got, want)
		}
	})
}

func BenchmarkDetectAndDecode(b *testing.B) {
	ascii := "<!DOCTYPE html><html><head><title>x</title>" + strings.Repeat("<p>plain text <a href=x>of a page</a>\n", 700)
	latin, _ := charmap.Windows1252.NewEncoder().String(strings.Repeat("<p>größere Straße <a href=x>of a page</a>\n", 700))
	for _, page := range []struct{ name, contentType, body string }{
		{"utf-8-header", "text/html; charset=utf-8", ascii + "日本"},
		{"utf-8-undeclared", "text/html", strings.Repeat("<p>größere Straße 日本 <a href=x>of a page</a>\n", 600)},
		{"windows-1252", "text/html; charset=latin1", latin},
	} {
		b.Run(page.name, func(b *testing.B) {
			body := []byte(page.body)
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				name, _ := Detect(body, page.contentType)
				if _, err := Decode(body, name); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
