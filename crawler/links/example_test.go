package links_test

import (
	"fmt"
	"net/http"

	"github.com/orbweaver/orbweaver/crawler/links"
)

func ExampleExtract() {
	body := []byte(`<!DOCTYPE html>
<title>Tea &amp; coffee</title>
<base href="/shop/">
<link rel="next" href="?page=2">
<a href="tea?sort=price&amp;page=1">Tea</a>
<a href="/ad" rel="sponsored nofollow">Sponsored</a>
<a href="mailto:shop@example.com">Write to us</a>
<!-- <a href="old">Old</a> -->`)

	page := links.Extract(body, links.Options{}, func(l links.Link) bool {
		if links.Web(l.URL) && l.Rel&links.RelNoFollow == 0 {
			fmt.Printf("%v %s\n", l.Kind, l.URL)
		}
		return true
	})
	fmt.Printf("%d links in %q, relative to %s\n", page.Links, page.Title, page.Base)
	// Output:
	// next ?page=2
	// anchor tea?sort=price&page=1
	// 4 links in "Tea & coffee", relative to /shop/
}

func ExampleExtract_resources() {
	body := []byte(`<link rel=stylesheet href=s.css><img src=1.png srcset="1.png 1x, 2.png 2x"><p style="background: url(p.png)">`)
	links.Extract(body, links.Options{Kinds: links.Resources}, func(l links.Link) bool {
		fmt.Println(l.Kind, l.Tag, l.Attr, string(l.URL))
		return true
	})
	// Output:
	// stylesheet link href s.css
	// image img src 1.png
	// image img srcset 1.png
	// image img srcset 2.png
	// asset  style p.png
}

func ExampleCSS() {
	links.CSS([]byte(`@import "print.css"; body { background: url(tea.png) }`), func(l links.Link) bool {
		fmt.Println(l.Kind, string(l.URL))
		return true
	})
	// Output:
	// stylesheet print.css
	// asset tea.png
}

func ExamplePlainText() {
	links.PlainText([]byte("More at https://example.com/tea (and https://example.com/coffee)."), func(l links.Link) bool {
		fmt.Println(string(l.URL))
		return true
	})
	// Output:
	// https://example.com/tea
	// https://example.com/coffee
}

func ExampleHeader() {
	h := http.Header{"Link": {`</tea?page=2>; rel="next", </tea>; rel="canonical"`}}
	links.Header(h, func(l links.Link) bool {
		fmt.Println(l.Kind, string(l.URL))
		return true
	})
	// Output:
	// next /tea?page=2
	// canonical /tea
}
