package extract_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/PuerkitoBio/goquery"

	"github.com/orbweaver/orbweaver/crawler/extract"
)

const teaShop = `<html><head><title>Shop</title><meta property="og:site_name" content="Tea &amp; Co">
<script type="application/ld+json">
{"@context":"https://schema.org","@graph":[
  {"@type":"BreadcrumbList"},
  {"@type":["Thing","Product"],"name":"Green","offers":{"@type":"Offer","price":"4.50"}},
  {"@type":"https://schema.org/Product","name":"Black","isRelatedTo":{"@type":"Product","name":"Oolong"}}
]}</script>
<script type="Application/LD+JSON">{"@type":"Product","name":"White"} trailing</script></head><body>
<div class=tea><h2>Green <b>tea</b></h2><span class=price data-amount=4.5>€ 4.50</span><a href=/green>more</a>
  <i>new</i><ul><li>leaf<li>bag</ul><p class=r><b>Ann</b> <q>good</q></p><p class=r><b>Bob</b> <q>bad</q></p><time datetime=2026-11-22>today</time></div>
<div class=tea><h2>Black tea</h2><span class=price data-amount=cheap>?</span></div>
<div class=tea><span class=price data-amount=1>no name</span></div>
</body></html>`

func parse(t testing.TB, text string) *goquery.Document {
	t.Helper()
	doc, err := goquery.NewDocumentFromReader(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func items(t testing.TB, s extract.Schema, text string) ([]json.RawMessage, error) {
	t.Helper()
	e, err := extract.NewExtractor(s)
	if err != nil {
		t.Fatal(err)
	}
	return e.Items(parse(t, text).Selection, &url.URL{Scheme: "https", Host: "tea.example", Path: "/list/"})
}

func TestExtractor(t *testing.T) {
	got, err := items(t, extract.Schema{Name: "tea", Each: ".tea", Fields: map[string]extract.Field{
		"name":    {CSS: "h2", Required: true},
		"price":   {CSS: ".price", Attr: "data-amount", Type: "number"},
		"euros":   {CSS: ".price", RE: `(\d+)`, Type: "int", Default: new("0")},
		"more":    {CSS: "a", Type: "url"},
		"new":     {CSS: "i", Type: "bool"},
		"kinds":   {CSS: "li", List: true},
		"date":    {CSS: "time", Attr: "datetime", Type: "time"},
		"reviews": {CSS: ".r", List: true, Fields: map[string]extract.Field{"by": {CSS: "b"}, "text": {CSS: "q"}}},
		"first":   {CSS: ".r", Fields: map[string]extract.Field{"by": {CSS: "b"}}},
	}}, teaShop)
	want := []string{
		`{"item":"tea","date":"2026-11-22T00:00:00Z","euros":4,"first":{"by":"Ann"},"kinds":["leaf","bag"],"more":"https://tea.example/green",` +
			`"name":"Green tea","new":true,"price":4.5,"reviews":[{"by":"Ann","text":"good"},{"by":"Bob","text":"bad"}]}`,
		`{"item":"tea","date":null,"euros":0,"first":null,"kinds":null,"more":null,"name":"Black tea","new":false,"price":null,"reviews":null}`,
	}
	if len(got) != len(want) {
		t.Fatalf("%d items: %s", len(got), got)
	}
	for i := range want {
		if string(got[i]) != want[i] {
			t.Errorf("item %d is %s\nwant %s", i, got[i], want[i])
		}
	}
	// The price of the second, the name of the third.
	var fields []string
	for _, e := range err.(interface{ Unwrap() []error }).Unwrap() {
		for _, f := range e.(*extract.Error).Fields {
			fields = append(fields, f.Path)
		}
	}
	if strings.Join(fields, " ") != "price name" || !errors.Is(err, extract.ErrMissing) {
		t.Errorf("errors of %q: %v", fields, err)
	}
}

func TestExtractorWholePage(t *testing.T) {
	got, err := items(t, extract.Schema{Fields: map[string]extract.Field{
		"site":     {Meta: "og:site_name"},
		"products": {JSONLD: "Product", List: true},
		"offer":    {JSONLD: "Offer"},
		"none":     {JSONLD: "Recipe"},
	}}, teaShop)
	if err != nil || len(got) != 1 {
		t.Fatalf("%s, %v", got, err)
	}
	const want = `{"none":null,"offer":{"@type":"Offer","price":"4.50"},"products":[` +
		`{"@type":["Thing","Product"],"name":"Green","offers":{"@type":"Offer","price":"4.50"}},` +
		`{"@type":"https://schema.org/Product","name":"Black","isRelatedTo":{"@type":"Product","name":"Oolong"}},` +
		`{"@type":"Product","name":"Oolong"},{"@type":"Product","name":"White"}],"site":"Tea \u0026 Co"}`
	if string(got[0]) != want {
		t.Errorf("got  %s\nwant %s", got[0], want)
	}
	if got, err := items(t, extract.Schema{Fields: map[string]extract.Field{"x": {CSS: "x", Required: true}}}, teaShop); got != nil || !errors.Is(err, extract.ErrMissing) {
		t.Errorf("%s, %v", got, err)
	}
}

func TestJSONLDTags(t *testing.T) {
	var page struct {
		Products []struct{ Name string } `jsonld:"Product"`
		Offer    *struct{ Price string } `jsonld:"Offer"`
		Raw      json.RawMessage         `jsonld:"BreadcrumbList" required:"true"`
	}
	if err := extract.Unmarshal(parse(t, teaShop).Selection, nil, &page); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(page.Products, page.Offer.Price, string(page.Raw)); got != `[{Green} {Black} {Oolong} {White}]4.50{"@type":"BreadcrumbList"}` {
		t.Error(got)
	}
}

// A property belongs to the innermost item around it, and to one that names its element.
func TestMicrodataItems(t *testing.T) {
	const text = `<div itemscope itemtype="https://schema.org/Product https://example.org/Tea" itemref="extra nowhere">
<div itemprop=brand itemscope itemtype=https://schema.org/Brand><b itemprop=name>Leaf &amp; Co</b></div>
<b itemprop=name>Green</b></div>
<p id=extra><i itemprop=price>4</i><span itemprop=other itemscope><i itemprop=price>5</i></span></p>
<div itemscope itemtype=http://schema.org/Product><b itemprop=name>Black</b></div>
<div itemscope itemtype=http://schema.org/ProductGroup><b itemprop=name>All</b></div>`
	type brand struct {
		Name string `itemprop:"name"`
	}
	var page struct {
		Products []struct {
			Name   string   `itemprop:"name"`
			Brand  brand    `itemprop:"brand"`
			Prices []string `itemprop:"price"`
		} `itemtype:"Product"`
		Full *brand `itemtype:"https://schema.org/Brand"`
		Tea  *brand `itemtype:"Tea"`
	}
	if err := extract.Unmarshal(parse(t, text).Selection, nil, &page); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(page.Products, *page.Full, *page.Tea); got != "[{Green {Leaf & Co} [4]} {Black {} []}] {Leaf & Co} {Green}" {
		t.Error(got)
	}
}

func TestSchemaRefused(t *testing.T) {
	deep := extract.Field{CSS: "p"}
	for range 20 {
		deep = extract.Field{CSS: "p", Fields: map[string]extract.Field{"f": deep}}
	}
	wide := map[string]extract.Field{}
	for i := range 1001 {
		wide[fmt.Sprint("f", i)] = extract.Field{CSS: "p"}
	}
	one := func(f extract.Field) map[string]extract.Field { return map[string]extract.Field{"f": f} }
	for name, c := range map[string]struct {
		schema extract.Schema
		field  string
	}{
		"no fields":       {extract.Schema{}, ""},
		"each":            {extract.Schema{Each: "p[", Fields: one(extract.Field{CSS: "p"})}, ""},
		"selector":        {extract.Schema{Fields: one(extract.Field{CSS: "p["})}, "f"},
		"type":            {extract.Schema{Fields: one(extract.Field{CSS: "p", Type: "float"})}, "f"},
		"pattern":         {extract.Schema{Fields: one(extract.Field{CSS: "p", RE: "("})}, "f"},
		"default":         {extract.Schema{Fields: one(extract.Field{CSS: "p", Type: "int", Default: new("x")})}, "f"},
		"two places":      {extract.Schema{Fields: one(extract.Field{CSS: "p", Meta: "m"})}, "f"},
		"nested":          {extract.Schema{Fields: one(extract.Field{CSS: "p", Fields: one(extract.Field{As: "x"})})}, "f.f"},
		"nested no field": {extract.Schema{Fields: one(extract.Field{CSS: "p", Fields: map[string]extract.Field{}})}, "f"},
		"typed object":    {extract.Schema{Fields: one(extract.Field{CSS: "p", Type: "int", Fields: one(extract.Field{})})}, "f"},
		"name":            {extract.Schema{Fields: map[string]extract.Field{"a b": {CSS: "p"}}}, "a b"},
		"item":            {extract.Schema{Name: "n", Fields: map[string]extract.Field{"item": {CSS: "p"}}}, "item"},
		"pattern in JSON": {extract.Schema{Fields: one(extract.Field{JSONLD: "X", RE: "x"})}, "f"},
		"deep":            {extract.Schema{Fields: one(deep)}, strings.TrimSuffix(strings.Repeat("f.", 16), ".")},
		"wide":            {extract.Schema{Fields: wide}, "f999"},
	} {
		_, err := extract.NewExtractor(c.schema)
		var e *extract.SchemaError
		if !errors.As(err, &e) || e.Field != c.field {
			t.Errorf("%s: %v, field %q, want %q", name, err, e.Field, c.field)
		}
	}
}

// FuzzExtractor reads foreign pages: items are JSON, whatever a page says.
func FuzzExtractor(f *testing.F) {
	e, err := extract.NewExtractor(extract.Schema{Name: "it", Each: "div, p", Fields: map[string]extract.Field{
		"a": {CSS: "b", List: true}, "b": {JSONLD: "T", List: true}, "c": {Itemprop: "x", Type: "url"}, "d": {As: "json"},
		"e": {Itemtype: "T", List: true, Fields: map[string]extract.Field{"x": {Itemprop: "x"}, "n": {Attr: "id", Type: "number"}}},
	}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(teaShop)
	f.Add(`<div id=a itemscope itemtype=/T itemref="a b"><script type="application/ld+json">[{"@type":"T","x":[{"@type":["T"]}]},`)
	f.Add(`<p>{"a":1}</p><div><b id=b itemprop=x>1</b></div>`)
	f.Fuzz(func(t *testing.T, text string) {
		got, _ := e.Items(parse(t, text).Selection, &url.URL{Scheme: "http", Host: "h"})
		for _, item := range got {
			if !json.Valid(item) {
				t.Fatalf("%q", item)
			}
		}
	})
}

func ExampleExtractor() {
	doc, _ := goquery.NewDocumentFromReader(strings.NewReader(`<div class=tea><b>Green</b> <i>4.50</i></div><div class=tea><b>Black</b></div>`))
	e, err := extract.NewExtractor(extract.Schema{Each: ".tea", Fields: map[string]extract.Field{
		"name":  {CSS: "b"},
		"price": {CSS: "i", Type: "number"},
	}})
	if err != nil {
		panic(err)
	}
	items, err := e.Items(doc.Selection, nil)
	if err != nil {
		panic(err)
	}
	for _, item := range items {
		fmt.Println(string(item))
	}
	// Output:
	// {"name":"Green","price":4.5}
	// {"name":"Black","price":null}
}
