package links_test

import (
	"bytes"
	"compress/zlib"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/orbweaver/orbweaver/crawler/links"
)

// urlsOf collects what find reports, all of one kind.
func urlsOf(t *testing.T, find func([]byte, func(links.Link) bool), body string, kind links.Kind) (urls []string) {
	t.Helper()
	find([]byte(body), func(l links.Link) bool {
		if l.Kind != kind {
			t.Errorf("%s is of kind %v", l.URL, l.Kind)
		}
		urls = append(urls, string(l.URL))
		return true
	})
	return urls
}

func TestCodeStrings(t *testing.T) {
	for _, test := range []struct {
		code string
		want []string
	}{
		{`{"url": "https:\/\/a.example\/x?y=1\u0026z", "n": 1, "text": "see http://no.example now"}`, []string{"https://a.example/x?y=1&z"}},
		{`fetch('/api/items?page=2'); go("//cdn.example/x.js"); t = ` + "`/tpl/${id}`", []string{"/api/items?page=2", "//cdn.example/x.js"}},
		{"// it's a comment\nvar a = \"/a\";", []string{"/a"}},
		{`"/" "//" "/*" "/ a" "http:" "http://" "ftp://a/" "a/b" "./a" "</p>" "/>" "/[a-z]+$/"`, nil},
		{`"\x2fa\x2fb" "\u002"`, []string{"/a/b"}},
		{`"/` + strings.Repeat("a", links.DefaultMaxURL) + `" "/b"`, []string{"/b"}},
		{`"/unclosed`, nil},
	} {
		code := strings.ReplaceAll(test.code, `\\`, `\`)
		if got := urlsOf(t, links.CodeStrings, code, links.Code); !slices.Equal(got, test.want) {
			t.Errorf("%.80s: %q, want %q", code, got, test.want)
		}
	}
}

func TestCodeInHTML(t *testing.T) {
	body := `<script>go("/from-script")</script><p>"/no"<template><script>go("/no")</script></template><script src=/x>"/second"</script>`
	for kinds, want := range map[links.Kind][]string{
		links.Pages: nil,
		links.Code:  {"/from-script", "/second"},
	} {
		var got []string
		links.Extract([]byte(body), links.Options{Kinds: kinds}, func(l links.Link) bool {
			got = append(got, string(l.URL))
			return true
		})
		if !slices.Equal(got, want) {
			t.Errorf("%v: %q, want %q", kinds, got, want)
		}
	}
}

// pdfDocument has objects as they are and others in a stream.
func pdfDocument(dict, plain, packed string) string {
	var b bytes.Buffer
	z := zlib.NewWriter(&b)
	_, _ = z.Write([]byte(packed)) // to a buffer
	_ = z.Close()
	return "%PDF-1.7\n1 0 obj\n<<" + plain + ">>\nendobj\n2 0 obj\n<</Type/ObjStm" + dict + "/Length " + fmt.Sprint(b.Len()) +
		">>\nstream\r\n" + b.String() + "\nendstream\nendobj\n3 0 obj <</A <</S/URI/URI (http://last.example/)>> >> endobj\n%%EOF"
}

func TestPDF(t *testing.T) {
	last := "http://last.example/"
	for _, test := range []struct {
		name, body string
		want       []string
	}{
		{"both", pdfDocument("/Filter/FlateDecode", `/A<</Type/Action/S/URI/URI(http://a.example/\(x\))>>`, `<</S/URI /URI <68 7474703A2F2F622E6578616D706C652F>>>`),
			[]string{"http://a.example/(x)", "http://b.example/", last}},
		{"escapes", pdfDocument("", `/URI (http://a.example/\057b\
c(d)e) /URI(relative) /URIs (http://no.example) /URI(mailto:a@b) /URI 5 0 R`, ""), []string{"http://a.example//bc(d)e", last}},
		{"no filter", pdfDocument("", "", "/URI(http://no.example)"), []string{last}},
		{"a predictor", pdfDocument("/Filter/FlateDecode/DecodeParms<</Predictor 12>>", "", "/URI(http://no.example)"), []string{last}},
		{"encrypted", pdfDocument("", "/Encrypt 9 0 R", ""), nil},
		{"no PDF", "/URI(http://no.example)", nil},
		{"not closed", "%PDF-1.4 /URI(http://no.example", nil},
		{"too long", "%PDF-1.4 /URI(http://" + strings.Repeat("x", links.DefaultMaxURL) + ")", nil},
	} {
		body := strings.ReplaceAll(test.body, `\\`, `\`)
		if got := urlsOf(t, links.PDF, body, links.Document); !slices.Equal(got, test.want) {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

func TestPDFBomb(t *testing.T) {
	body := pdfDocument("/Filter/FlateDecode", "", strings.Repeat(" ", 40<<20)+"/URI(http://no.example)")
	if got := urlsOf(t, links.PDF, body, links.Document); len(got) != 1 {
		t.Errorf("%q", got)
	}
	for _, part := range []string{"/URI(", "/URI<", "stream", "/ObjStm/FlateDecode stream endstream"} { // each ends soon
		links.PDF([]byte("%PDF-"+strings.Repeat(part, 1<<20/len(part))), func(links.Link) bool { return true })
	}
}

func FuzzCodeStrings(f *testing.F) {
	f.Add([]byte(`{"url": "https:\/\/a.example\/x?y=1\u0026z"} '/a' ` + "`//b`"))
	f.Fuzz(func(t *testing.T, body []byte) {
		links.CodeStrings(body, func(l links.Link) bool {
			if len(l.URL) == 0 || len(l.URL) > 2*links.DefaultMaxURL || !links.Web(l.URL) || bytes.ContainsAny(l.URL, " \t\r\n<>\"'`\\") {
				t.Errorf("%q", l.URL)
			}
			return true
		})
	})
}

func FuzzPDF(f *testing.F) {
	f.Add([]byte(pdfDocument("/Filter/FlateDecode", `/URI(http://a.example/\(x\))`, `/URI <687474703A2F2F62>`)))
	f.Add([]byte("%PDF- stream endstream /URI((((((http:"))
	f.Fuzz(func(t *testing.T, body []byte) {
		links.PDF(body, func(l links.Link) bool {
			if len(l.URL) > links.DefaultMaxURL+1 || links.Scheme(l.URL) == nil || !links.Web(l.URL) {
				t.Errorf("%q", l.URL)
			}
			return true
		})
	})
}
