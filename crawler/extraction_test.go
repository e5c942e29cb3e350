package crawler_test

import (
	"errors"
	"fmt"
	"log"
	"net/http"
	"slices"
	"strings"
	"testing"

	"context"

	"github.com/orbweaver/orbweaver/crawler"
	"github.com/orbweaver/orbweaver/crawler/extract"
)

// shopExtractions are of the site that TestExtractItems serves.
var shopExtractions = []crawler.Extraction{
	{Route: crawler.Route{Path: "/p/{id}"}, Schema: extract.Schema{Name: "product", Fields: map[string]extract.Field{
		"name":  {CSS: "h1", Required: true},
		"price": {CSS: "b", Type: "number"},
	}}},
	{Schema: extract.Schema{Each: "a", Fields: map[string]extract.Field{"to": {Type: "url"}}}},
	{Route: crawler.Route{Status: 404}, Schema: extract.Schema{Name: "missing", Fields: map[string]extract.Field{"text": {CSS: "body"}}}},
}

func TestExtractItems(t *testing.T) {
	address := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/":
			html(w, `<a href=/p/1>1</a><a href=/p/2>2</a><a href=/p/3>3</a><a href=/gone>4</a><a href=/text>5</a>`)
		case "/p/1":
			html(w, `<h1>Cup</h1><b>4.5</b>`)
		case "/p/2":
			html(w, `<h1>Pot</h1><b>cheap</b><a href=/>back</a>`)
		case "/p/3":
			html(w, `<b>1</b><a href=/late>on</a>`)
		case "/late":
			html(w, "late")
		case "/text":
			w.Header().Set("Content-Type", "text/plain")
			fmt.Fprint(w, "<a href=/no>no</a>")
		case "/robots.txt":
		default:
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(404)
			fmt.Fprint(w, "nothing here")
		}
	})
	h, err := crawler.ExtractItems(shopExtractions...)
	if err != nil {
		t.Fatal(err)
	}
	s, job := run(t, crawler.Config{Seeds: []string{address}, Handler: h})
	var got []string
	for item, err := range job.Store().Items(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, strings.ReplaceAll(string(item.Data), address, ""))
	}
	slices.Sort(got)
	want := []string{
		`{"item":"missing","text":"nothing here"}`,
		`{"item":"product","name":"Cup","price":4.5}`,
		`{"item":"product","name":"Pot","price":null}`,
		`{"to":"/"}`, `{"to":"/gone"}`, `{"to":"/late"}`, `{"to":"/p/1"}`, `{"to":"/p/2"}`, `{"to":"/p/3"}`, `{"to":"/text"}`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("items %s\nwant  %s", got, want)
	}
	// A fault undoes neither the page's other items nor its links.
	for path, want := range map[string]string{
		"/p/1": "", "/p/2": "extract: price (b): strconv.ParseFloat", "/p/3": "extract: name (h1): required value is missing", "/late": "",
	} {
		rec, err := job.Store().Get(t.Context(), address+path)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		if class := rec.ErrorClass; (class == "content") != (want != "") || want == "" && rec.Error != "" {
			t.Errorf("%s: class %q, error %q, want %q", path, class, rec.Error, want)
		}
	}
	if s.Errors["content"] != 2 {
		t.Errorf("errors %v", s.Errors)
	}
}

func TestExtractItemsRefused(t *testing.T) {
	var schema *extract.SchemaError
	if _, err := crawler.ExtractItems(shopExtractions[0], crawler.Extraction{}); !errors.As(err, &schema) || !strings.Contains(err.Error(), "extraction 2") {
		t.Errorf("without fields: %v", err)
	}
	if _, err := crawler.ExtractItems(crawler.Extraction{Route: crawler.Route{Host: "http://a.example"}, Schema: shopExtractions[0].Schema}); err == nil {
		t.Error("a URL is no host")
	}
	if _, err := crawler.ExtractItems(crawler.Extraction{Route: crawler.Route{Path: "x"}, Schema: shopExtractions[0].Schema}); err == nil {
		t.Error("a wrong path was taken")
	}
}

func TestReportIsBounded(t *testing.T) {
	address := serve(t, func(w http.ResponseWriter, r *http.Request) { html(w, "x") })
	h := crawler.HandlerFunc(func(_ context.Context, p *crawler.Page) error {
		p.Report(nil)
		for i := range 1000 {
			p.Report(fmt.Errorf("fault %d", i))
		}
		return p.Emit("kept")
	})
	_, job := run(t, crawler.Config{Seeds: []string{address}, Handler: h})
	rec, err := job.Store().Get(t.Context(), address+"/")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(rec.Error, "fault 0\n") || strings.Contains(rec.Error, "fault 10") || rec.ErrorClass != "content" {
		t.Errorf("%q, %q", rec.Error, rec.ErrorClass)
	}
}

func ExampleExtractItems() {
	site := bookshop()
	defer site.Close()
	h, err := crawler.ExtractItems(crawler.Extraction{
		Route: crawler.Route{Path: "/book/{id}"},
		Schema: extract.Schema{Name: "book", Fields: map[string]extract.Field{
			"title": {CSS: "h1", Required: true},
			"price": {CSS: ".price", RE: `[\d.]+`, Type: "number"},
		}},
	})
	if err != nil {
		log.Fatal(err)
	}
	c, err := crawler.New(crawler.Config{Seeds: []string{site.URL}, Delay: crawler.NoDelay, Handler: h})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
	var items []string
	for item, err := range c.Job().Store().Items(context.Background(), 0) {
		if err != nil {
			log.Fatal(err)
		}
		items = append(items, string(item.Data))
	}
	slices.Sort(items)
	fmt.Println(strings.Join(items, "\n"))
	// Output:
	// {"item":"book","price":7,"title":"Dracula"}
	// {"item":"book","price":9.5,"title":"Emma"}
}
