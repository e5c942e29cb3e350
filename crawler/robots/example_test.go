package robots_test

import (
	"fmt"

	"github.com/orbweaver/orbweaver/crawler/robots"
)

func Example() {
	body := []byte(`
User-agent: *
Disallow: /private    # except
Allow: /private/open
Crawl-delay: 1.5

Sitemap: https://example.org/sitemap.xml
`)
	f, unreachable := robots.ForStatus(200, body)
	fmt.Println("unreachable:", unreachable)
	for _, path := range []string{"/", "/private/x?page=2", "/private/open/x"} {
		v := f.Allowed("orbweaver", path)
		fmt.Printf("%s: %v, line %d %q\n", path, v.Allowed, v.Line, v.Rule)
	}
	delay, _ := f.CrawlDelay("orbweaver")
	fmt.Println(delay, f.Sitemaps())
	// Output:
	// unreachable: false
	// /: true, line 0 ""
	// /private/x?page=2: false, line 3 "Disallow: /private"
	// /private/open/x: true, line 4 "Allow: /private/open"
	// 1.5s [https://example.org/sitemap.xml]
}

func ExampleForStatus() {
	for _, status := range []int{404, 503} {
		f, unreachable := robots.ForStatus(status, nil)
		fmt.Println(status, f.Allowed("orbweaver", "/").Allowed, unreachable)
	}
	// Output:
	// 404 true false
	// 503 false true
}

func ExampleLimits() {
	f := robots.Limits{Bytes: 30}.Parse([]byte("User-agent: *\nDisallow: /a\nDisallow: /b\n"))
	fmt.Println(f.Allowed("orbweaver", "/a").Allowed, f.Allowed("orbweaver", "/b").Allowed, f.Truncated())
	// Output: false true true
}
