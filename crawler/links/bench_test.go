package links_test

import (
	"bytes"
	"fmt"
	"testing"

	"golang.org/x/net/html"

	"github.com/orbweaver/orbweaver/crawler/links"
)

// article is a page of about 30 KB with 50 links, the page of the project's measurements.
func article() []byte {
	var b bytes.Buffer
	b.WriteString(`<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>An article of middling length</title>
<link rel="stylesheet" href="/style.css"><link rel="canonical" href="/articles/1"><script src="/app.js" defer></script></head>
<body class="page"><header id="top"><nav class="main-nav"><ul>`)
	for i := range 10 {
		fmt.Fprintf(&b, "<li class=\"nav-item\"><a class=\"nav-link\" href=\"/section/%d\">Section %d</a></li>\n", i, i)
	}
	b.WriteString("</ul></nav></header><main><article>\n")
	for i := range 40 {
		fmt.Fprintf(&b, "<h2 id=\"h%d\">Heading %d</h2>\n<p>", i, i)
		for j := range 6 {
			fmt.Fprintf(&b, "Sentence %d of paragraph %d has <em>some</em> words &amp; a few <strong class=\"k\">tags</strong> in it.", j, i)
			if j == 4 {
				fmt.Fprintf(&b, " <a href=\"/articles/%d?ref=%d\" title=\"Article\">related</a>\n", i*37%1000, i)
			}
		}
		b.WriteString("</p>\n")
	}
	b.WriteString("</article></main><footer><p>End</p></footer></body></html>\n")
	return b.Bytes()
}

func BenchmarkExtract(b *testing.B) {
	body := article()
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		n = 0
		links.Extract(body, links.Options{}, func(l links.Link) bool {
			n++
			return true
		})
		if n != 51 {
			b.Fatal(n)
		}
	}
}

func BenchmarkNetHTMLTokenizer(b *testing.B) {
	body := article()
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		z := html.NewTokenizer(bytes.NewReader(body))
	tokens:
		for {
			switch z.Next() {
			case html.ErrorToken:
				break tokens
			case html.StartTagToken:
				name, more := z.TagName()
				isLink := string(name) == "a" || string(name) == "link"
				for more {
					var key []byte
					if key, _, more = z.TagAttr(); isLink && string(key) == "href" {
						n++
					}
				}
			}
		}
		if n != 52 {
			b.Fatal(n)
		}
	}
}
