package crawler

import (
	"bytes"
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
