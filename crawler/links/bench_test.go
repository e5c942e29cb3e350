package links_test

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/orbweaver/orbweaver/crawler/links"
	"github.com/orbweaver/orbweaver/internal/simweb"
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

// portal is a page of about 90 KB such as shops and newspapers have: long attributes, scripts, comments, icons in SVG
// and few words, of which no two parts are alike.
func portal() []byte {
	var b bytes.Buffer
	random := rand.New(rand.NewPCG(1, 2))
	words := func(most int) string {
		w := strings.Fields("a the news of markets today Zürich coffee &amp; tea &ndash; longer interesting offers 24 in for")
		random.Shuffle(len(w), func(i, j int) { w[i], w[j] = w[j], w[i] })
		return strings.Join(w[:1+random.IntN(min(most, len(w)))], " ")
	}
	b.WriteString(`<!DOCTYPE html>
<html lang="en" class="no-js" prefix="og: https://ogp.me/ns#"><head>
<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><meta name="robots" content="index, follow">
<title>A portal &#8211; of news and offers</title>
<link rel="canonical" href="https://www.example.com/"><link rel="alternate" hreflang="de" href="https://www.example.com/de/">
<!--[if lt IE 9]><script src="/html5shiv.js"></script><![endif]-->
`)
	for i := range 12 {
		fmt.Fprintf(&b, "<meta property=\"og:p%d\" content=\"%s\">\n<link rel=\"preload\" as=\"script\" href=\"/assets/%08x.js\" crossorigin>\n",
			i, words(16), random.Uint32())
	}
	fmt.Fprintf(&b, "<style>%s</style>\n", strings.Repeat(".card > a:hover{color:#123456;background:url(/x.png)}", 150))
	fmt.Fprintf(&b, "<script>window.state=%s</script>\n</head><body class=\"home page-id-1\" data-track='{\"page\":\"home\"}'>\n",
		strings.Repeat(`{"id":1234,"html":"<p>text<\/p>","next":[1,2,3]};`, 200))
	for i := range 120 {
		if i%10 == 0 {
			fmt.Fprintf(&b, "<section id=\"s%d\" class=\"row row--wide\" aria-labelledby=\"h%[1]d\">\n  <h2 id=\"h%[1]d\">%s</h2>\n", i, words(4))
		}
		fmt.Fprintf(&b, "  <article class=\"card card--%d\" data-id=\"%d\" data-tracking='{\"pos\":%[1]d,\"list\":\"a > b\"}'>\n", random.IntN(5), random.IntN(1e6))
		if random.IntN(2) == 0 {
			fmt.Fprintf(&b, "    <!-- teaser <b>%s</b> -->\n", words(8))
		}
		fmt.Fprintf(&b, "    <a class=\"card__link\" href=\"/%x/%d.html?from=home&amp;pos=%d\" title=\"%s\" rel=\"noopener\">", random.Uint32(), random.IntN(1e6), i, words(6))
		fmt.Fprintf(&b, "<img class=\"card__image\" loading=\"lazy\" width=320 height=180 src=\"/img/%x.jpg\" srcset=\"/img/%[1]x-2x.jpg 2x\" alt=\"%s\"/>", random.Uint32(), words(5))
		fmt.Fprintf(&b, "<h3>%s</h3></a>\n    <p class=\"card__text\">%s</p>\n", words(6), words(16))
		if random.IntN(3) == 0 {
			b.WriteString("    <button type=\"button\" class=\"icon\" aria-label=\"Save\" onclick=\"save(this, 'a')\"><svg width=\"24\" height=\"24\" viewBox=\"0 0 24 24\"><path d=\"M12 2l3 6 6 1-4 5 1 6-6-3-6 3 1-6-4-5 6-1z\" fill=\"none\"/></svg></button>\n")
		}
		for range random.IntN(4) {
			fmt.Fprintf(&b, "    <span class=\"tag\"><a href=\"/tag/%x\">%s</a></span>\n", random.IntN(1e4), words(2))
		}
		b.WriteString("  </article>\n")
		if i%10 == 9 {
			b.WriteString("</section>\n")
		}
	}
	b.WriteString("<footer><ul>\n")
	for i := range 40 {
		fmt.Fprintf(&b, "<li><a href=\"/about/%d\">%s</a></li>\n", i, words(3))
	}
	b.WriteString("</ul></footer></body></html>\n")
	return b.Bytes()
}

// crawled are pages of the test web, all different.
func crawled(b *testing.B) (pages [][]byte) {
	b.Helper()
	web, err := simweb.New(simweb.Config{Hosts: 1, Pages: 64, Links: 50, Bytes: 30_000})
	if err != nil {
		b.Fatal(err)
	}
	defer web.Close()
	transport := &http.Transport{DialContext: web.DialContext}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	for u := range web.URLs() {
		resp, err := client.Get(u)
		if err != nil {
			b.Fatal(err)
		}
		page, err := io.ReadAll(resp.Body)
		if err != nil {
			b.Fatal(err)
		}
		pages = append(pages, page)
		resp.Body.Close()
	}
	return pages
}

func BenchmarkExtract(b *testing.B) {
	for _, bench := range []struct {
		name  string
		pages [][]byte
		kinds links.Kind
	}{
		{"article", [][]byte{article()}, 0},
		{"crawled", crawled(b), 0},
		{"portal", [][]byte{portal()}, 0},
		{"portal/all", [][]byte{portal()}, links.All},
	} {
		b.Run(bench.name, func(b *testing.B) {
			size := 0
			for _, page := range bench.pages {
				size += len(page)
			}
			b.SetBytes(int64(size / len(bench.pages)))
			b.ReportAllocs()
			n := 0
			for i := 0; b.Loop(); i++ {
				links.Extract(bench.pages[i%len(bench.pages)], links.Options{Kinds: bench.kinds}, func(links.Link) bool {
					n++
					return true
				})
			}
			if n == 0 {
				b.Fatal("no links")
			}
			b.ReportMetric(float64(n)/float64(b.N), "links/op")
		})
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
