package links_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/orbweaver/orbweaver/crawler/links"
)

// everything asks for all kinds that the tree reader knows, too.
var everything = links.Options{Kinds: links.All &^ (links.Form | links.Asset | links.Text | links.Code)}

func TestExtract(t *testing.T) {
	for _, test := range []struct {
		name, html string
		want       []string // the URLs of the anchors and frames, in order
	}{
		{"quotes", `<a href="1"><a href='2'><a href=3><a href = 4 ><a href="5"class=x><a href=6/>`, []string{"1", "2", "3", "4", "5", "6/"}},
		{"upper case", `<A HREF="1"><AREA Href=2><IFRAME SRC=3></iFrame><FRAME sRc=4>`, []string{"1", "2", "3", "4"}},
		{"attribute without value", `<a href><a href=><a href=""><a href="1">`, []string{"1"}},
		{"first of duplicate attributes", `<a href=1 HREF=2 href=3>`, []string{"1"}},
		{"attribute of another name", `<a data-href=1 hrefs=2 xhref=3 =href=4 "href=5 href.=6>`, nil},
		{"slashes between attributes", `<a/href=1><a///class/href=2 / href=3>`, []string{"1", "2"}},
		{"equals sign begins a name", `<a =href=1><a = href=2>`, []string{"2"}},
		{"greater-than in a value", `<a title=">" href="a>b"><a title='">' href=2>`, []string{"a>b", "2"}},
		{"quote within an unquoted value", `<a href=a"b'c href=2>`, []string{`a"b'c`}},
		{"quote within a name", `<a href"=1 x=2><a href=3>`, []string{"3"}},
		{"white space around", "<a href=\" \n\t 1 \f\r\n \">", []string{"1"}},
		{"line breaks within", "<a href='/a\n\t b\r\nc'>", []string{"/a bc"}},
		{"white space by reference", `<a href="&#32;1&#10;2&Tab;3&nbsp;&#9;">`, []string{"123\u00a0"}},
		{"references", `<a href="?a=1&amp;b=2&lt;&gt;&quot;&apos;&#x26;&#38;&#X41;">`, []string{`?a=1&b=2<>"'&&A`}},
		{"references without semicolon", `<a href="?a&amp&copy=1&notit;&not&lt&lt=&AMP">`, []string{`?a&&copy=1&notit;¬<&lt=&`}},
		{"references that are none", `<a href="&;&&#&#;&#x;&#xg&x;&nosuchname;&#12.">`, []string{"&;&&#&#;&#x;&#xg&x;&nosuchname;\f."}},
		{"numeric references", `<a href="&#0;&#x80;&#x9f;&#x81;&#xd800;&#x110000;&#99999999999;&#x1F600;">`,
			[]string{"\ufffd€Ÿ\u0081\ufffd\ufffd\ufffd😀"}},
		{"two characters for a name", `<a href="&nLt;&acE;&fjlig;">`, []string{"≪⃒∾̳fj"}},
		{"long name", `<a href="&CounterClockwiseContourIntegral;&` + strings.Repeat("a", 99) + `;">`,
			[]string{"∳&" + strings.Repeat("a", 99) + ";"}},
		{"NUL", "<a href='\x00a\x00b '><a hr\x00ef=2><a\x00 href=3>", []string{"\ufffda\ufffdb"}},
		{"bytes above ASCII", "<a href='\xe4\xff'>", []string{"\xe4\xff"}},

		{"tags without links", `<p title="><a href=1>" id='>'><li class=a"><a href=2><lin><em/><a href=3></em class='><a href=4>'><LI><BR/><a href=5>`,
			[]string{"2", "3", "5"}},
		{"equals sign within a tag's name", `<p="><a href=1>">`, []string{"1"}},
		{"equals sign begins a name in a tag without links", `<p ="><a href=1>"><p a=b ="><a href=2>"><p a="b"="><a href=3>">`, []string{"1", "2", "3"}},
		{"white space around an equals sign in a tag without links", `<p a ="><a href=1>"><p a= "><a href=2>"><p b a = '><a href=3>'><a href=4>`, []string{"4"}},
		{"equals sign in a bogus end tag", `</ a="><a href=1>"></1 a="><a href=2>"></><a href=3>`, []string{"1", "2", "3"}},

		{"no tags", `a < b href=1 <<3 <3 < a href=2>`, nil},
		{"less-than before a tag", `<<a href=1>`, []string{"1"}},
		{"tag in a tag", `<p <a href=1>`, nil},
		{"end tag with attributes", `</a href=1 x=">"><a href=2>`, []string{"2"}},
		{"empty and bogus end tags", `</><a href=1></ <a href=2>><a href=3>`, []string{"1", "3"}},
		{"end of file in a tag", `<a href=1><a href=2`, []string{"1"}},
		{"end of file in a value", `<a href=1><a href="2><a href=3>`, []string{"1"}},
		{"end of file after a solidus", `<a href=1></`, []string{"1"}},

		{"comment", `<!-- <a href=1> > -- > --><a href=2>`, []string{"2"}},
		{"empty comments", `<!--><a href=1><!---><a href=2><!----><a href=3>`, []string{"1", "2", "3"}},
		{"comment closed with a bang", `<!-- <a href=1> --!><a href=2><!----!><a href=3>`, []string{"2", "3"}},
		{"comment not closed with a bang", `<!---!><a href=1>-->`, nil},
		{"comment of many dashes", `<!------><a href=1><!-- --- ---><a href=2>`, []string{"1", "2"}},
		{"comment in a comment", `<!-- <!-- <a href=1> --><a href=2> -->`, []string{"2"}},
		{"comment with one dash", `<!- <a href=1> --><a href=2>`, []string{"2"}},
		{"comment without end", `<a href=1><!-- <a href=2>`, []string{"1"}},
		{"bogus comments", `<!x <a href=1><a href=2><?php <a href=3>?><a href=4><!><a href=5>`, []string{"2", "4", "5"}},
		{"doctype", `<!DOCTYPE html PUBLIC "<a href=1>"><a href=2>`, []string{"2"}},
		{"CDATA is a bogus comment in HTML", `<![CDATA[ <a href=1> ]]><a href=2>`, []string{"2"}},
		{"CDATA in SVG", `<svg><![CDATA[ <a href=1> > ]] > ]]><a href=2></svg><![CDATA[><a href=3>`, []string{"2", "3"}},

		{"script", `<script>"<a href=1>"</script><a href=2><script src=x /><a href=3></script >`, []string{"2"}},
		{"script with another end tag", `<script></scripty><a href=1></script/><a href=2>`, []string{"2"}},
		{"script escaped", `<script><!-- <a href=1></script><a href=2>`, []string{"2"}},
		{"script double escaped", `<script><!-- <script> </script> <a href=1> --></script><a href=2>`, []string{"2"}},
		{"script double escaped, no dashes", `<script><!-- <script> </script> <a href=1> </script><a href=2>`, []string{"2"}},
		{"script double escaped, not ended", `<script><!-- <script> <a href=1> </script><a href=2>`, nil},
		{"script escape closed at once", `<script><!--> <script> </script><a href=1>`, []string{"1"}},
		{"script escape closed at once with three dashes", `<script><!---> <script> </script><a href=1>`, []string{"1"}},
		{"script with a longer name in it", `<script><!-- <scripts> </script><a href=1>`, []string{"1"}},
		{"script without end", `<a href=1><script><a href=2>`, []string{"1"}},
		{"style", `<style><a href=1></STYLE><a href=2>`, []string{"2"}},
		{"title and textarea", `<title><a href=1></title><textarea><a href=2></textarea><a href=3>`, []string{"3"}},
		{"raw text", `<xmp><a href=1></xmp><iframe><a href=2></iframe><noembed><a href=3></noembed><noframes><a href=4></noframes><a href=5>`,
			[]string{"5"}},
		{"raw text ends with its own tag only", `<xmp></iframe><a href=1></xmp<a href=2></xmp ><a href=3>`, []string{"3"}},
		{"noscript counts", `<noscript><a href=1></noscript>`, []string{"1"}},
		{"plaintext", `<a href=1><plaintext><a href=2></plaintext><a href=3>`, []string{"1"}},
		{"template", `<template><a href=1><template><a href=2></template><a href=3></template><a href=4>`, []string{"4"}},
		{"template of a shadow root", `<template shadowrootmode=open><a href=1><template><a href=2></template><a href=3></template><a href=4>`,
			[]string{"1", "3", "4"}},

		{"SVG", `<svg><a href=1><a xlink:href=2></a><a xlink:href=3 href=4></svg><a xlink:href=5>`, []string{"1", "2", "4"}},
		{"SVG has no raw text", `<svg><style><a href=1></style><title><a href=2></title><script><a href=3></script></svg><style><a href=4></style>`,
			[]string{"1", "2", "3"}},
		{"HTML in SVG", `<svg><foreignObject><style><a href=1></style><a href=2></foreignObject><style><a href=3></style></svg>`,
			[]string{"2", "3"}},
		{"HTML ends SVG", `<svg><g><p><style><a href=1></style>`, nil},
		{"font in SVG", `<svg><font><style><a href=1></style></font><font color=red><style><a href=2></style>`, []string{"1"}},
		{"end tag ends SVG", `<div><svg><path></div><style><a href=1></style>`, nil},
		{"self-closing SVG", `<svg/><style><a href=1></style>`, nil},
		{"MathML", `<math><mi><style><a href=1></style></mi><style><a href=2></style></math>`, []string{"2"}},
		{"MathML annotation", `<math><annotation-xml encoding=text/html><style><a href=1></style></annotation-xml><annotation-xml><style><a href=2></style>`,
			[]string{"2"}},

		{"srcdoc", `<iframe srcdoc="<a href='1'><iframe srcdoc='&lt;a href=2&gt;&lt;iframe srcdoc=3&gt;'></iframe><a href=4>"></iframe><a href=5>`,
			[]string{"1", "2", "4", "5"}},
		{"frames", `<iframe src=1 longdesc=x></iframe><frameset><frame src=2></frameset>`, []string{"1", "2"}},
		{"schemes are the caller's", `<a href="javascript:void(0)"><a href="#top"><a href="mailto:a@b">`, []string{"javascript:void(0)", "#top", "mailto:a@b"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var got []string
			links.Extract([]byte(test.html), links.Options{Kinds: links.Anchor | links.Frame}, func(l links.Link) bool {
				got = append(got, string(l.URL))
				return true
			})
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("%s\n-want +got\n%s", test.html, diff)
			}
		})
	}
}

func TestKinds(t *testing.T) {
	for _, test := range []struct {
		html string
		want []string // "kind tag attr url rel type"
	}{
		{`<a href=1 rel="NoFollow  ugc x" ping=" p q">`, []string{"anchor a href 1 nofollow|ugc|other", "ping a ping p none", "ping a ping q none"}},
		{`<area href=1 rel=sponsored>`, []string{"anchor area href 1 sponsored"}},
		{`<a href=1 type=application/pdf>`, []string{"anchor a href 1 none application/pdf"}},
		{`<link href=1>`, nil},
		{`<link rel="" href=1>`, nil},
		{`<link rel=canonical href=1>`, []string{"canonical link href 1 canonical"}},
		{`<link rel="alternate" type="application/rss+xml" href=1>`, []string{"alternate link href 1 alternate application/rss+xml"}},
		{`<link rel="alternate stylesheet" href=1>`, []string{"stylesheet link href 1 alternate|stylesheet"}},
		{`<link rel=next href=1><link rel=prev href=2><link rel=previous href=3>`,
			[]string{"next link href 1 next", "prev link href 2 prev", "prev link href 3 prev"}},
		{`<link rel="shortcut icon" href=1><link rel=apple-touch-icon href=2>`,
			[]string{"icon link href 1 icon|other", "icon link href 2 icon"}},
		{`<link rel=manifest href=1><html manifest=2>`, []string{"manifest link href 1 manifest", "manifest html manifest 2 none"}},
		{`<link rel=preload as=image href=1 imagesrcset="2 1x, 3 2x">`,
			[]string{"preload link href 1 preload", "preload link imagesrcset 2 none", "preload link imagesrcset 3 none"}},
		{`<link rel=dns-prefetch href=//h><link rel=amphtml href=1><link rel=license href=2>`,
			[]string{"connect link href //h dns-prefetch", "alternate link href 1 amphtml", "reference link href 2 license"}},
		{`<script src=1></script><svg><script xlink:href=2></script></svg>`, []string{"script script src 1 none", "script script xlink:href 2 none"}},
		{`<img src=1 srcset="2 1x,3 2x" longdesc=4>`,
			[]string{"image img src 1 none", "image img srcset 2 none", "image img srcset 3 none", "reference img longdesc 4 none"}},
		{`<image src=1><svg><image href=2 src=3 /><use xlink:href=4#a /><feImage href=5 /></svg>`,
			[]string{"image img src 1 none", "image image href 2 none", "image use xlink:href 4#a none", "image feimage href 5 none"}},
		{`<input type=IMAGE src=1><input src=2>`, []string{"image input src 1 none"}},
		{`<video src=1 poster=2><source src=3><source srcset="4"><track src=5></video><audio src=6></audio>`,
			[]string{"media video src 1 none", "image video poster 2 none", "media source src 3 none", "image source srcset 4 none",
				"media track src 5 none", "media audio src 6 none"}},
		{`<embed src=1><object data=2 type=a/b></object>`, []string{"object embed src 1 none", "object object data 2 none a/b"}},
		{`<body background=1><table background=2><tr background=3><td background=4>`,
			[]string{"image body background 1 none", "image table background 2 none", "image tr background 3 none", "image td background 4 none"}},
		{`<blockquote cite=1><q cite=2><ins cite=3><del cite=4>`,
			[]string{"reference blockquote cite 1 none", "reference q cite 2 none", "reference ins cite 3 none", "reference del cite 4 none"}},
		{`<meta http-equiv=Refresh content="5; URL='1'">`, []string{"refresh meta content 1 none"}},
		{`<form action=1><form action=2 method=post><form action=3 method=GET><form action=4 method=dialog><form action=5 method=x>`,
			[]string{"form form action 1 none", "form form action 3 none", "form form action 5 none"}},
		{`<form action=1 method=post><button formaction=2><button formaction=3 formmethod=get><input formaction=4 formmethod=post></form><button formaction=5>`,
			[]string{"form button formaction 3 none", "form button formaction 5 none"}},
	} {
		var got []string
		links.Extract([]byte(test.html), links.Options{Kinds: links.All &^ (links.Text | links.Code)}, func(l links.Link) bool {
			s := fmt.Sprintf("%v %s %s %s %v", l.Kind, l.Tag, l.Attr, l.URL, l.Rel)
			if l.Type != nil {
				s += " " + string(l.Type)
			}
			got = append(got, s)
			return true
		})
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s\n-want +got\n%s", test.html, diff)
		}
	}
}

func TestPage(t *testing.T) {
	for _, test := range []struct {
		name, html string
		want       links.Page
	}{
		{"nothing", `<p>text</p>`, links.Page{}},
		{"first base with an href", `<base target=x><base href=" /a&amp;b/ "><base href=/c/>`, links.Page{Base: []byte("/a&b/")}},
		{"empty base is the first", `<base href=""><base href=/c/>`, links.Page{Base: []byte("")}},
		{"base in SVG and template", `<svg><base href=1></svg><template><base href=2></template>`, links.Page{}},
		{"title", `<TITLE>A b</Title><title>C</title>`, links.Page{Title: []byte("A b")}},
		{"title collapsed and decoded", "<title>\n A &amp\r\n\t b&copyx &lt;p> <b>\x00</title>", links.Page{Title: []byte("A & b©x <p> <b>\ufffd")}},
		{"title in SVG is another", `<svg><title>icon</title></svg><title>page</title>`, links.Page{Title: []byte("page")}},
		{"empty title is the first", `<title> </title><title>page</title>`, links.Page{Title: []byte("")}},
		{"title without end", `<title>all <a href=1>`, links.Page{Title: []byte("all <a href=1>")}},
		{"robots", `<meta name=ROBOTS content="NoIndex,nofollow , all"><meta name=robots content=noarchive><meta name=orbweaver content="nosnippet"><meta name=other content=noai>`,
			links.Page{Robots: links.NoIndex | links.NoFollow | links.NoArchive | links.NoSnippet}},
		{"robots none", `<meta content=none name=robots>`, links.Page{Robots: links.NoIndex | links.NoFollow}},
		{"refresh", `<meta http-equiv=refresh content="3;url=1"><meta http-equiv=refresh content="0;url=2">`,
			links.Page{Refresh: []byte("1"), RefreshDelay: 3 * time.Second, Links: 2}},
		{"refresh of the page itself", `<meta http-equiv=refresh content=60>`, links.Page{RefreshDelay: time.Minute}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := links.Extract([]byte(test.html), links.Options{Agent: "Orbweaver"}, func(links.Link) bool { return true })
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("%s\n-want +got\n%s", test.html, diff)
			}
		})
	}
}

func TestLimits(t *testing.T) {
	all := func(links.Link) bool { return true }

	body := strings.Repeat("<a href=1>", 7) + "<title>T</title>"
	page := links.Extract([]byte(body), links.Options{MaxLinks: 5}, all)
	if page.Links != 5 || page.Cut.Links != 2 || string(page.Title) != "T" {
		t.Errorf("links beyond MaxLinks: %+v", page)
	}

	body = "<a href='" + strings.Repeat("x", 11) + "'><a href='" + strings.Repeat("&amp;", 10) + "'>"
	page = links.Extract([]byte(body), links.Options{MaxURL: 10}, all)
	if page.Links != 1 || page.Cut.URLs != 1 {
		t.Errorf("URLs beyond MaxURL: %+v", page)
	}

	page = links.Extract([]byte("<title>aä€x</title>"), links.Options{MaxTitle: 5}, all)
	if string(page.Title) != "aä" || !page.Cut.Title {
		t.Errorf("title beyond MaxTitle: %q, %+v", page.Title, page.Cut)
	}
	page = links.Extract([]byte("<title>"+strings.Repeat(" x &amp; ", 1e5)), links.Options{MaxTitle: 5}, all)
	if string(page.Title) != "x & x" || !page.Cut.Title {
		t.Errorf("title without end: %q, %+v", page.Title, page.Cut)
	}

	body = `<iframe srcdoc="<a href=1><iframe srcdoc='<a href=2>'></iframe>"></iframe>`
	page = links.Extract([]byte(body), links.Options{MaxNesting: 1}, all)
	if page.Links != 1 || page.Cut.Nested != 1 {
		t.Errorf("srcdoc beyond MaxNesting: %+v", page)
	}
	page = links.Extract([]byte(body), links.Options{MaxNesting: -1}, all)
	if page.Links != 0 || page.Cut.Nested != 1 {
		t.Errorf("srcdoc without nesting: %+v", page)
	}

	page = links.Extract([]byte(strings.Repeat("<svg><desc>", 1000)+"<a href=1>"), links.Options{}, all)
	if page.Links != 1 {
		t.Errorf("deep SVG: %+v", page)
	}
	page = links.Extract([]byte(strings.Repeat("<a href=1>", 20_000)), links.Options{MaxLinks: -1}, all)
	if page.Links != 20_000 {
		t.Errorf("no limit: %+v", page)
	}
}

func TestStop(t *testing.T) {
	body := `<img srcset="1, 2"><iframe srcdoc="<a href=3><a href=4>"></iframe><a href=5 ping="6 7"><title>T</title>`
	for stop := 1; stop <= 7; stop++ {
		calls := 0
		page := links.Extract([]byte(body), links.Options{Kinds: links.All}, func(links.Link) bool {
			calls++
			return calls < stop
		})
		if calls != stop || page.Links != stop {
			t.Errorf("stopping at link %d: %d calls, %d links reported", stop, calls, page.Links)
		}
	}
}

// TestTree compares Extract with a tree on whole documents.
func TestTree(t *testing.T) {
	pages, err := filepath.Glob("testdata/pages/*.html")
	if err != nil || len(pages) == 0 {
		t.Fatal("no pages", err)
	}
	for _, name := range pages {
		body, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		want, err := readTree(body)
		if err != nil {
			t.Fatal(err)
		}
		if len(want.links) == 0 {
			t.Errorf("%s has no links", name)
		}
		if diff := cmp.Diff(want, extract(body, everything), cmp.AllowUnexported(findings{})); diff != "" {
			t.Errorf("%s: -tree +Extract\n%s", name, diff)
		}
	}
}

func TestAllocations(t *testing.T) {
	body := article()
	if n := testing.AllocsPerRun(20, func() {
		links.Extract(body, links.Options{}, func(l links.Link) bool { return true })
	}); n > 1 {
		t.Errorf("%v allocations for a page without references", n)
	}
	body = []byte(strings.Repeat(`<a href="?a=1&amp;b=2">`, 1000))
	if n := testing.AllocsPerRun(20, func() {
		links.Extract(body, links.Options{}, func(l links.Link) bool { return true })
	}); n > 8 {
		t.Errorf("%v allocations for a page of references", n)
	}
}

// TestHostile reads what would take very long if any of it were read again and again.
func TestHostile(t *testing.T) {
	const size = 128 << 10
	for _, part := range []string{
		"<", "<!--", "<!-- >", "<![CDATA[", "</", "<a ", "<a href=", "<a href='&amp;", "<svg>", "<svg><desc>", "<template>",
		"<title>", "<script>", "<script><!--", "<script><!--<script", "<style>@import url(", "<a style='a:url(\\", "<p style=url(x)>",
		"<iframe srcdoc='", "<iframe srcdoc='&lt;iframe srcdoc=", "http://)", "http://", "))))", "&", "&#", "&notanentity", "/*", "url(", "\\", "@import ",
		"<meta name=robots content=", "<img srcset='", "a(, ", "<a rel='nofollow ", "<textarea>", "<plaintext>", "\x00",
	} {
		body := []byte(strings.Repeat(part, size/len(part)))
		links.Extract(body, links.Options{Kinds: links.All}, func(links.Link) bool { return true })
		links.CSS(body, func(links.Link) bool { return true })
		links.PlainText(body, func(links.Link) bool { return true })
		for _, attr := range []string{"href", "srcset", "style", "srcdoc", "ping", "rel", "type", "content"} {
			body := fmt.Appendf(nil, `<meta http-equiv=refresh %s="%s"><a %[1]s="%[2]s" href=x><img %[1]s="%[2]s">`, attr, body)
			links.Extract(body, links.Options{Kinds: links.All, MaxURL: -1}, func(links.Link) bool { return true })
		}
	}
	// Each candidate of the set states the type.
	body := `<source type="` + strings.Repeat("&amp;", size/10) + `" srcset="` + strings.Repeat("x, ", size/6) + `">`
	links.Extract([]byte(body), links.Options{Kinds: links.All, MaxLinks: -1}, func(links.Link) bool { return true })
	for _, part := range []string{"<,", "<a>;", `<a>;"`, `"`, ",", "<a>;rel=next,", `\`, "<a>; rel=", "a"} {
		links.LinkField(strings.Repeat(part, size/len(part)), func(links.Link) bool { return true })
		links.ParseRobotsTag(strings.Repeat(part, size/len(part)), "a")
		links.ParseRefresh([]byte(strings.Repeat(part, size/len(part))))
	}
}

// TestXML: in XHTML each element may close itself, and CDATA stand everywhere.
func TestXML(t *testing.T) {
	for name, test := range map[string]struct {
		xml  string
		want []string
	}{
		"script":    {`<script src="1"/><a href="2"/><script>"<a href='3'>"</script><a href="4"/>`, []string{"1", "2", "4"}},
		"title":     {`<title/><a href="1"/><title>t<a href="2"/></title>`, []string{"1"}},
		"style":     {`<style type="text/css" /><a href="1"/><style>@import "2";</style>`, []string{"1", "2"}},
		"iframe":    {`<iframe src="1"/><a href="2"/><iframe src="3"></iframe>`, []string{"1", "2", "3"}},
		"srcdoc":    {`<iframe srcdoc="&lt;title/>&lt;a href=1>"/><a href="2"/>`, []string{"2"}},
		"textarea":  {`<textarea/><a href="1"/>`, []string{"1"}},
		"noframes":  {`<noframes/><noembed/><xmp/><plaintext/><a href="1"/>`, []string{"1"}},
		"template":  {`<template/><a href="1"/><template><template/><a href="2"/></template><a href="3"/>`, []string{"1", "3"}},
		"form":      {`<form action="1" method="post"/><button formaction="2"/>`, []string{"2"}},
		"svg":       {`<svg><title/><style/><a href="1"/></svg><svg/><title/><a href="2"/>`, []string{"1", "2"}},
		"CDATA":     {`<p><![CDATA[ <a href="1"/> > ]]></p><a href="2"/>`, []string{"2"}},
		"unquoted":  {`<iframe src=1/></iframe><a href="2"/>`, []string{"1/", "2"}},
		"not at it": {`<title>t</title><script></script><a href="1"></a>`, []string{"1"}},
	} {
		var got []string
		links.Extract([]byte(test.xml), links.Options{Kinds: links.All, XML: true}, func(l links.Link) bool {
			got = append(got, string(l.URL))
			return true
		})
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// TestFormCharset: a form's accept-charset goes with what is sent by it, and with nothing after it.
func TestFormCharset(t *testing.T) {
	long := strings.Repeat("utf-16 ", 100)
	body := `<form action=1><button formaction=2></form><form action=3 accept-charset="&#32;koi8-r utf-8"><a href=4>x</a><button formaction=5></form>
		<button formaction=6><form action=7 accept-charset></form><form method=post accept-charset=gbk><button formaction=8 formmethod=get></form>
		<form action=9 accept-charset="` + long + `">`
	var got []string
	links.Extract([]byte(body), links.Options{Kinds: links.All}, func(l links.Link) bool {
		got = append(got, fmt.Sprintf("%s %q %v", l.URL, l.Charset, l.Charset != nil))
		return true
	})
	want := []string{
		`1 "" false`, `2 "" false`, `3 " koi8-r utf-8" true`, `4 "" false`, `5 " koi8-r utf-8" true`,
		`6 "" false`, `7 "" true`, `8 "gbk" true`, fmt.Sprintf("9 %q true", long[:64]),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
