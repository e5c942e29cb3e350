package links_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"

	"github.com/orbweaver/orbweaver/crawler/links"
)

func TestScheme(t *testing.T) {
	for _, test := range []struct {
		url, scheme string
		web         bool
	}{
		{"https://example.com/", "https", true},
		{"HTTP:a", "HTTP", true},
		{"javascript:void(0)", "javascript", false},
		{"mailto:a@b", "mailto", false},
		{"git+ssh.2-x:y", "git+ssh.2-x", false},
		{"/a:b", "", true},
		{"//example.com:80/", "", true},
		{"a/b:c", "", true},
		{"?a:b", "", true},
		{"#a:b", "", true},
		{"1:2", "", true},
		{":a", "", true},
		{"a b:c", "", true},
		{"page", "", true},
		{"", "", true},
	} {
		if got := string(links.Scheme([]byte(test.url))); got != test.scheme {
			t.Errorf("scheme of %q: %q, want %q", test.url, got, test.scheme)
		}
		if got := links.Web([]byte(test.url)); got != test.web {
			t.Errorf("Web(%q) = %v", test.url, got)
		}
	}
}

func TestNames(t *testing.T) {
	for _, test := range []struct{ got, want string }{
		{links.Kind(0).String(), "none"},
		{links.Text.String(), "text"},
		{(links.Anchor | links.Image).String(), "anchor|image"},
		{strings.Join(strings.Split(links.All.String(), "|")[:2], " "), "anchor frame"},
		{links.RelOther.String(), "other"},
		{(links.RelNext | links.RelUGC).String(), "ugc|next"},
		{(links.NoIndex | links.NoAI).String(), "noindex|noai"},
	} {
		if test.got != test.want {
			t.Errorf("got %q, want %q", test.got, test.want)
		}
	}
	if n := strings.Count(links.All.String(), "|") + 1; n != 26 {
		t.Errorf("%d kinds have names", n)
	}
}

func TestParseKinds(t *testing.T) {
	for _, test := range []struct {
		text string
		want links.Kind
	}{
		{"pages", links.Pages},
		{"pages,resources, form", links.Pages | links.Resources | links.Form},
		{"anchor|code", links.Anchor | links.Code},
		{"lists all", links.All},
		{"", 0},
	} {
		if got, err := links.ParseKinds(test.text); err != nil || got != test.want {
			t.Errorf("%q: %v, %v", test.text, got, err)
		}
	}
	for i := range 26 {
		kind := links.Kind(1) << i
		if got, err := links.ParseKinds(kind.String()); err != nil || got != kind || !slices.Contains(links.KindNames(), kind.String()) {
			t.Errorf("%v: %v, %v", kind, got, err)
		}
	}
	if got, err := links.ParseKinds("pages,picture"); err == nil || got != 0 {
		t.Errorf("an unknown kind: %v, %v", got, err)
	}
}

func TestParseRel(t *testing.T) {
	// The names of most relations are what they are parsed from.
	all := strings.Split(links.Rel(1<<28-1).String(), "|")
	if len(all) != 28 {
		t.Fatalf("%d relations have names", len(all))
	}
	for _, name := range all {
		if got := links.ParseRel([]byte(" \t" + strings.ToUpper(name) + "\n")).String(); got != name {
			t.Errorf("%q is parsed as %q", name, got)
		}
	}
	for _, test := range []struct {
		value string
		want  links.Rel
	}{
		{"", 0},
		{" \n", 0},
		{"nofollow\tnoopener\fugc", links.RelNoFollow | links.RelNoOpener | links.RelUGC},
		{"nofollow,ugc", links.RelOther},
		{"previous copyright modulepreload mask-icon", links.RelPrev | links.RelLicense | links.RelPreload | links.RelIcon},
		{"apple-touch-icon-precomposed", links.RelIcon},
		{"apple-touch-icon-precomposed-", links.RelOther},
		{"n\u00f6follow", links.RelOther},
	} {
		if got := links.ParseRel([]byte(test.value)); got != test.want {
			t.Errorf("%q: %v, want %v", test.value, got, test.want)
		}
	}
}

func TestParseRobots(t *testing.T) {
	all := []string{"noindex", "nofollow", "noarchive", "nosnippet", "noimageindex", "notranslate", "noai"}
	for i, name := range all {
		if got := links.ParseRobots([]byte(strings.ToUpper(name))); got != 1<<i || got.String() != name {
			t.Errorf("%s: %v", name, got)
		}
	}
	if got := links.ParseRobots([]byte("index, nocache noimageai,, nofollowx max-snippet:0")); got != links.NoArchive|links.NoAI {
		t.Error(got)
	}
}

func TestPlainText(t *testing.T) {
	for _, test := range []struct {
		text string
		want []string
	}{
		{"see http://example.com/a.", []string{"http://example.com/a"}},
		{"(http://example.com/a_(b)), [HTTPS://example.com/?c=d]!", []string{"http://example.com/a_(b)", "HTTPS://example.com/?c=d"}},
		{"<http://a.example>http://b.example\nhttp://c.example\"", []string{"http://a.example", "http://b.example", "http://c.example"}},
		{"http://a.example/,http://b.example/", []string{"http://a.example/,http://b.example/"}},
		{"xhttp://a 1http://b _http://c ahttps://d", []string{"http://c"}},
		{"ftp://a ://b http:// http://. http://?", nil},
		{"http:///x", []string{"http:///x"}},
		{"http://ä.example/日本。 «http://b.example»", []string{"http://ä.example/日本", "http://b.example"}},
		{"http://a.example/\xff\xfe x", []string{"http://a.example/\xff\xfe"}},
		{"[see http://a.example/[x]] (http://b.example/))", []string{"http://a.example/[x]", "http://b.example/"}},
		{"'http://a.example/it's'", []string{"http://a.example/it's"}},
		{"http://" + strings.Repeat("x", links.DefaultMaxURL), nil},
	} {
		var got []string
		links.PlainText([]byte(test.text), func(l links.Link) bool {
			if l.Kind != links.Text {
				t.Errorf("kind %v", l.Kind)
			}
			got = append(got, string(l.URL))
			return true
		})
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s\n-want +got\n%s", test.text, diff)
		}
	}
}

func TestPlainTextStops(t *testing.T) {
	calls := 0
	links.PlainText([]byte("http://a.example http://b.example http://c.example"), func(links.Link) bool {
		calls++
		return calls < 2
	})
	if calls != 2 {
		t.Errorf("%d calls", calls)
	}
}

func TestTextInHTML(t *testing.T) {
	body := `http://a.example/?b&amp;c<p>x http://d.example/<b>http://e.example</b><!-- http://no.example --><script>"http://no.example"</script>` +
		`<template>http://no.example</template><a href="http://no.example">http://f.example/</a> http://g.example`
	var got []string
	links.Extract([]byte(body), links.Options{Kinds: links.Text}, func(l links.Link) bool {
		got = append(got, string(l.URL))
		return true
	})
	want := []string{"http://a.example/?b&c", "http://d.example/", "http://e.example", "http://f.example/", "http://g.example"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func FuzzPlainText(f *testing.F) {
	f.Add([]byte("(http://example.com/a_(b)), [HTTPS://example.com/?c=d]! http://ä.example/日本。"))
	f.Fuzz(func(t *testing.T, text []byte) {
		links.PlainText(text, func(l links.Link) bool {
			if !bytes.Contains(text, l.URL) || !links.Web(l.URL) || links.Scheme(l.URL) == nil || bytes.ContainsAny(l.URL, " \t\r\n<>\"") {
				t.Errorf("%q in %q", l.URL, text)
			}
			return true
		})
	})
}

// FuzzTitle compares the decoding of text with that of golang.org/x/net/html.
func FuzzTitle(f *testing.F) {
	for _, text := range []string{"a &amp &copyx &#x80; &notit; &notin; &nLt; &#0;&#xd800;&#99999999999;", "&CounterClockwiseContourIntegral;&&;&#;"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.ContainsAny(text, "<\x00") {
			return
		}
		page := links.Extract([]byte("<title>"+text), links.Options{MaxTitle: -1}, func(links.Link) bool { return true })
		want := strings.Join(words(html.UnescapeString(text)), " ")
		if string(page.Title) != want {
			t.Errorf("%q: %q, want %q", text, page.Title, want)
		}
	})
}
