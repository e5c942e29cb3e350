package crawler

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/orbweaver/orbweaver/crawler/links"
	"github.com/orbweaver/orbweaver/crawler/weburl"
)

// A page with a long URL cannot make its many short links fill the memory.
func TestBytesOfLinksAreBounded(t *testing.T) {
	at, err := weburl.Parse("https://a.test/" + strings.Repeat("x", 8000) + "/")
	if err != nil {
		t.Fatal(err)
	}
	var body bytes.Buffer
	const n = 10_000
	for i := range n {
		body.WriteString(`<a href="`)
		body.WriteString(strings.Repeat("y", 1+i%50))
		body.WriteByte(byte('a' + i/50%26))
		body.WriteByte(byte('a' + i/50/26))
		body.WriteString(`">`)
	}
	p := &Page{ContentType: "text/html", Body: body.Bytes(), url: at, urls: new(weburl.Parser), kinds: links.Pages, room: new(buffer)}
	f := findIn(p)
	if f.bytes > maxLinkBytes+8192 || len(f.links)+f.cut != n || len(f.links) < maxLinkBytes/8192 {
		t.Errorf("%d links of %d bytes, %d cut", len(f.links), f.bytes, f.cut)
	}
	last := f.links[len(f.links)-1].url
	if !strings.HasPrefix(last.String(), at.String()) {
		t.Errorf("the last is %q", last)
	}
}

// TestListedOnce: what a list says of a URL stays with it, although others are there twice.
func TestListedOnce(t *testing.T) {
	at := urlOf(t, "https://a.test/feed")
	entry := func(loc, priority string) string {
		return "<url><loc>" + loc + "</loc><priority>" + priority + "</priority></url>"
	}
	p := &Page{
		ContentType: "text/xml", url: at, urls: new(weburl.Parser), kinds: links.Pages | links.Listed, room: new(buffer),
		head: head{links: []links.Link{{URL: []byte("/head"), Kind: links.Next}, {URL: []byte("head#x"), Kind: links.Next}}},
		Body: []byte("<urlset>" + entry("/1", "0.6") + entry("mailto:x", "1") + entry("https://a.test/1", "1") + entry("/head", "1") +
			entry("/2", "0.7") + entry("/2", "1") + entry("/3", "0.8") + "</urlset>"),
	}
	f := findIn(p)
	var got []string
	for i, l := range f.links {
		got = append(got, fmt.Sprint(l.url.Path(), " ", f.listed[i].priority, " ", l.kind, " ", l.also))
	}
	want := []string{"/head 0 next listed", "/1 1 listed none", "/2 2 listed none", "/3 3 listed none"}
	if !slices.Equal(got, want) || len(f.listed) != len(want) {
		t.Errorf("found %q, said of %d; want %q", got, len(f.listed), want)
	}
}

// BenchmarkFind takes the links of a page of 30 KB with 50 of them, a few of which stand
// there twice.
func BenchmarkFind(b *testing.B) {
	at, err := weburl.Parse("https://a.test/section/page-0.html")
	if err != nil {
		b.Fatal(err)
	}
	var body bytes.Buffer
	for i := range 50 {
		fmt.Fprintf(&body, `<p class="text">%s</p><a class=more href="/section/%d/page-%d.html">more</a>`, strings.Repeat("words ", 90), i%4, i%46)
	}
	room := new(buffer)
	b.ReportAllocs()
	for b.Loop() {
		p := &Page{ContentType: "text/html", typeField: "text/html; charset=utf-8", Body: body.Bytes(), url: at, urls: new(weburl.Parser), kinds: links.Pages, room: room}
		if f := findIn(p); len(f.links) < 40 {
			b.Fatal(len(f.links))
		}
	}
}
