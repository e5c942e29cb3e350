package links_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/orbweaver/orbweaver/crawler/links"
)

func css(body string) (found []string) {
	links.CSS([]byte(body), func(l links.Link) bool {
		found = append(found, l.Attr+" "+string(l.URL))
		return true
	})
	return found
}

func TestCSS(t *testing.T) {
	for _, test := range []struct {
		css  string
		want []string
	}{
		{`a { background: url(a.png) }`, []string{"url a.png"}},
		{`a { background: url( "a.png" ), url('b.png'), URL(	c.png
) }`, []string{"url a.png", "url b.png", "url c.png"}},
		{`@import "a.css"; @import 'b.css' screen; @IMPORT url(c.css) supports(x); @import url("d.css");`,
			[]string{"@import a.css", "@import b.css", "@import c.css", "@import d.css"}},
		{`@import/**/"a.css"layer(x);@import`, []string{"@import a.css"}},
		{`@import url(a.css) url(b.png); @import; "c.css"`, []string{"@import a.css", "url b.png"}},
		{`@namespace url(http://www.w3.org/1999/xhtml); @namespace svg "x"; a { b: url(c) }`, []string{"url c"}},
		{`@font-face { src: local("x"), url(a.woff2) format("woff2") }`, []string{"url a.woff2"}},
		{`/* url(a) */ a { b: /* " */ url(b) /* url(c) */ } /* url(d)`, []string{"url b"}},
		{`a::before { content: "url(a) /* "; b: url(b) }`, []string{"url b"}},
		{"a { content: \"no end\n; b: url(b) }", []string{"url b"}},
		{`a { content: "\"url(a)"; b: 'c\'url(d)' }`, nil},
		{`a { b: myurl(a) my-url(b) url-x(c) -url(d) 1url(e) #url(f) @url(g) \url(h) urlé(i) }`, []string{"url h"}},
		{`a { b: \75rl(a) u\52 l(b) \000075 rl(c) }`, []string{"url a", "url b", "url c"}},
		{`a { b: url(a\)b\ c\(d\"e\27 f) }`, []string{`url a)b c(d"e'f`}},
		{`a { b: url("a\
b\26 c\0 d\110000 e") }`, []string{"url ab&c\ufffdd\ufffde"}},
		{"a { b: url(a\x00b) url('c\x00') }", []string{"url a\ufffdb", "url c\ufffd"}},
		{`a { b: url(a b) url(c"d) url(e(f) url(g'h\)i) url(j) }`, []string{"url j"}},
		{"a { b: url(a\\\nb) url(c\x01) url(d) }", []string{"url d"}},
		{`a { b: url() url("") url( ) }`, nil},
		{`a { b: url(#g) url(data:image/gif;base64,AA==) }`, []string{"url #g", "url data:image/gif;base64,AA=="}},
		{`a { b: url(a.png`, []string{"url a.png"}},
		{`a { b: url("a.png`, []string{"url a.png"}},
		{`a { b: url(a.png `, []string{"url a.png"}},
		{`a { b: url(`, nil},
		{`a { b: image-set("a.png" type("image/png") 1x, url(b.png) 2x, "c.png" calc(1x + (1x))), "d" }`,
			[]string{"url a.png", "url b.png", "url c.png"}},
		{`a { b: -webkit-image-set("a.png" 1x); c: "b" } d { e: src("f") src(g) }`, []string{"url a.png", "url f"}},
		{`<!-- @import "a.css"; -->`, []string{"@import a.css"}},
		{`\`, nil},
		{"a { b: url(\"a\r\nb\") }", nil},
		{"a { b: url(\"a\\\r\nb\\26\r\nc\\e9 d\\ñ\") }", []string{"url ab&cédñ"}},
		{`a { b: url("a\`, []string{"url a"}},
		{`a { b: url("` + strings.Repeat("x", links.DefaultMaxURL+1) + `") url(c) }`, []string{"url c"}},
	} {
		if diff := cmp.Diff(test.want, css(test.css)); diff != "" {
			t.Errorf("%s\n-want +got\n%s", test.css, diff)
		}
	}
}

func TestCSSStops(t *testing.T) {
	calls := 0
	links.CSS([]byte("@import 'a'; @import 'b'; x{y:url(c)}"), func(links.Link) bool {
		calls++
		return calls < 2
	})
	if calls != 2 {
		t.Errorf("%d calls", calls)
	}
}

func TestStyleInHTML(t *testing.T) {
	body := `<style>@import "a&amp;b.css"; x { y: url(c.png) }</style>
<p style="background: url('d.png?x&amp;y')"><a style='b:url(e)' href=f><svg><g style="fill:url(#g)"/></svg><template><p style="b:url(h)"><style>x{y:url(i)}</style></template>`
	var got []string
	page := links.Extract([]byte(body), links.Options{Kinds: links.Stylesheet | links.Asset}, func(l links.Link) bool {
		got = append(got, l.Kind.String()+" "+l.Tag+" "+l.Attr+" "+string(l.URL))
		return true
	})
	want := []string{"stylesheet style  a&amp;b.css", "asset style  c.png", "asset  style d.png?x&y", "asset a style e", "asset  style #g"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if page.Links != len(want) {
		t.Errorf("%d links counted", page.Links)
	}
}

// FuzzCSS checks what holds of any style sheet: what is found is clean, and what was before does not matter.
func FuzzCSS(f *testing.F) {
	f.Add([]byte(`@import url("a\26 b"); @namespace x "y"; p { b: image-set("c" type("d")), u\72l(e\)f); /* " */ g: url( 'h' ) }`))
	f.Add([]byte("x { y: url(a\\\nb) \"c\n url(d"))
	f.Fuzz(func(t *testing.T, body []byte) {
		found := css(string(body))
		for _, l := range found {
			if strings.ContainsAny(l, "\t\r\n\x00") || strings.Trim(l, " \f") != l { // other space is part of a URL
				t.Errorf("%q", l)
			}
		}
		before := css("/* ' */ a { b: 'c' } \n" + string(body))
		if diff := cmp.Diff(found, before); diff != "" {
			t.Errorf("after another rule: %s", diff)
		}
	})
}
