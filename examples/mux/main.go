// Mux crawls two sites at once, each with handlers of its own.
//
//	go run ./examples/mux https://news.example/ https://shop.example/
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net/url"
	"os"
	"time"

	"github.com/orbweaver/orbweaver/crawler"
	"github.com/orbweaver/orbweaver/storage/export"
)

// Item is what both sites give.
type Item struct {
	Kind  string `json:"kind"`
	Title string `json:"title"`
}

func main() {
	delay := flag.Duration("delay", time.Second, "pause between two requests")
	flag.Parse()
	if flag.NArg() != 2 {
		log.Fatal("usage: mux NEWS-URL SHOP-URL")
	}
	if err := run(context.Background(), flag.Arg(0), flag.Arg(1), *delay); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, news, shop string, delay time.Duration) (err error) {
	mux := crawler.NewMux()
	mux.On(host(news)+"/{year}/{slug}", emit("article"))
	mux.On(host(shop)+"/item/{id}", emit("product"))
	mux.Add(crawler.Route{Status: 404, Handler: crawler.HandlerFunc(broken)})

	c, err := crawler.New(crawler.Config{
		Seeds:    []string{news, shop},
		Delay:    delay,
		Handler:  crawler.Chain(mux, timed),
		Statuses: mux.WantsStatus,
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

func emit(kind string) func(context.Context, *crawler.Page) error {
	return func(_ context.Context, p *crawler.Page) error {
		return p.Emit(Item{Kind: kind, Title: p.Title()})
	}
}

// broken emits links that lead nowhere.
func broken(_ context.Context, p *crawler.Page) error {
	return p.Emit(Item{Kind: "broken link on " + p.Referrer, Title: p.URL})
}

// timed is middleware: it reports handlers that take long.
func timed(next crawler.Handler) crawler.Handler {
	return crawler.HandlerFunc(func(ctx context.Context, p *crawler.Page) error {
		began := time.Now()
		err := next.Handle(ctx, p)
		if took := time.Since(began); took > time.Second {
			fmt.Fprintf(os.Stderr, "%s took %v\n", p.URL, took)
		}
		return err
	})
}

func host(rawURL string) string {
	u, err := url.Parse(rawURL)
	if err != nil {
		log.Fatal(err)
	}
	return u.Host
}
