package extract_test

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/PuerkitoBio/goquery"

	"github.com/orbweaver/orbweaver/crawler/extract"
)

func ExampleUnmarshal() {
	doc, err := goquery.NewDocumentFromReader(strings.NewReader(`
		<h1>Green tea</h1>
		<p class="price" data-amount="4.50">€ 4,50</p>
		<p class="stock">Only 7 left</p>
		<a class="related" href="/coffee">Coffee</a> <a class="related" href="cocoa">Cocoa</a>
		<div class="review"><b>Ann</b> Very good.</div>
		<div class="review"><b>Bob</b> Quite good.</div>`))
	if err != nil {
		panic(err)
	}
	var product struct {
		Name    string   `css:"h1" required:"true"`
		Price   float64  `css:".price" attr:"data-amount"`
		Stock   int      `css:".stock" re:"(\\d+) left" default:"0"`
		Related []string `css:"a.related" attr:"href,absolute"`
		Reviews []struct {
			Author string `css:"b"`
			Text   string `as:"own"`
		} `css:".review"`
	}
	base, _ := url.Parse("https://shop.example/tea/green")
	if err := extract.Unmarshal(doc.Selection, base, &product); err != nil {
		panic(err)
	}
	fmt.Println(product.Name, product.Price, product.Stock)
	fmt.Println(product.Related)
	fmt.Println(product.Reviews)
	// Output:
	// Green tea 4.5 7
	// [https://shop.example/coffee https://shop.example/tea/cocoa]
	// [{Ann Very good.} {Bob Quite good.}]
}

func ExampleError() {
	doc, _ := goquery.NewDocumentFromReader(strings.NewReader(`<h1>Green tea</h1><p class="price">on request</p>`))
	var product struct {
		Name  string  `css:"h1"`
		Price float64 `css:".price"`
		SKU   string  `css:".sku" required:"true"`
	}
	err := extract.Unmarshal(doc.Selection, nil, &product)
	var e *extract.Error
	if errors.As(err, &e) {
		for _, f := range e.Fields {
			fmt.Println(f.Path, f.Selector, f.Err)
		}
	}
	fmt.Println(errors.Is(err, extract.ErrMissing), product.Name)
	// Output:
	// Price .price invalid syntax
	// SKU .sku required value is missing
	// true Green tea
}

// JSON-LD in a script, and OpenGraph in meta elements.
func ExampleUnmarshal_metadata() {
	doc, _ := goquery.NewDocumentFromReader(strings.NewReader(`
		<meta property="og:title" content="Green tea">
		<script type="application/ld+json">{"@type": "Product", "offers": {"price": 4.5}}</script>`))
	var page struct {
		Title   string `meta:"og:title"`
		Product struct {
			Type   string `json:"@type"`
			Offers struct{ Price float64 }
		} `css:"script[type='application/ld+json']" as:"json"`
	}
	if err := extract.Unmarshal(doc.Selection, nil, &page); err != nil {
		panic(err)
	}
	fmt.Println(page.Title, page.Product.Type, page.Product.Offers.Price)
	// Output:
	// Green tea Product 4.5
}
