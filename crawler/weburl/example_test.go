package weburl_test

import (
	"errors"
	"fmt"

	"github.com/orbweaver/orbweaver/crawler/weburl"
)

func Example() {
	page, err := weburl.Parse("HTTP://Example.org:80/a/./b/%7ejoe")
	if err != nil {
		panic(err)
	}
	link, err := page.Resolve([]byte("../c?q=ü#top"))
	fmt.Println(page, link, err)
	// Output: http://example.org/a/b/~joe http://example.org/a/c?q=%C3%BC <nil>
}

func ExampleError() {
	page, _ := weburl.Parse("https://example.org/")
	_, err := page.ResolveString("mailto:joe@example.org")
	fmt.Println(err)
	fmt.Println(errors.Is(err, weburl.UnsupportedScheme))
	// Output:
	// weburl: "mailto:joe@example.org": scheme is neither http nor https
	// true
}

func ExampleParseSeed() {
	for _, line := range []string{"https://example.org", "localhost:8080/a", "what is this"} {
		candidates, err := weburl.ParseSeed(line)
		fmt.Println(candidates, err)
	}
	// Output:
	// [https://example.org/] <nil>
	// [https://localhost:8080/a http://localhost:8080/a] <nil>
	// [] weburl: "what is this": not a URL
}

func ExampleDomain() {
	fmt.Println(weburl.Domain("www.example.co.uk"))
	// Output: example.co.uk
}

func ExampleRules() {
	p := weburl.Parser{Rules: weburl.Rules{Tracking: true, SortQuery: true, StripWWW: true}}
	u, err := p.Parse("https://www.example.org/?page=2&utm_source=mail&lang=en")
	fmt.Println(u, err)
	// Output: https://example.org/?lang=en&page=2 <nil>
}
