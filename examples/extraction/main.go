// Extraction crawls a shop and writes its products as JSON lines.
//
//	go run ./examples/extraction https://shop.example/ > products.jsonl
package main

import (
	"context"
	"errors"
	"flag"
	"log"
	"os"
	"os/signal"
	"regexp"
	"time"

	"github.com/orbweaver/orbweaver/crawler"
	"github.com/orbweaver/orbweaver/storage/export"
)

// Product is what a product page says; the tags are CSS selectors.
type Product struct {
	Name   string   `css:"h1" required:"true" json:"name"`
	Price  float64  `css:".price" re:"([0-9.]+)" json:"price"`
	Images []string `css:"img.product" attr:"src" json:"images"`
	URL    string   `json:"url"`
}

func main() {
	delay := flag.Duration("delay", time.Second, "pause between two requests")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, flag.Args(), *delay); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, seeds []string, delay time.Duration) (err error) {
	if delay == 0 {
		delay = crawler.NoDelay
	}
	c, err := crawler.New(crawler.Config{
		Seeds:    seeds,
		Delay:    delay,
		Exclude:  []*regexp.Regexp{regexp.MustCompile(`/cart`)},
		NoBodies: true,
		Handler:  crawler.HandlerFunc(product),
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	if _, err := c.Run(ctx); err != nil {
		return err
	}
	_, err = export.Items(ctx, os.Stdout, c.Job().Store(), export.Options{})
	return err
}

// product emits the page's product, if it is about one. An error is stored with
// the page, and the crawl goes on.
func product(_ context.Context, p *crawler.Page) error {
	doc, err := p.Document()
	if err != nil || doc.Find(".price").Length() == 0 {
		return err
	}
	item := Product{URL: p.URL}
	if err := p.Unmarshal(&item); err != nil {
		return err
	}
	return p.Emit(item)
}
