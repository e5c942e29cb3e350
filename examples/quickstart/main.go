// Quickstart prints the title of every page of a site.
//
//	go run ./examples/quickstart https://example.org/
package main

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/orbweaver/orbweaver/crawler"
)

func main() {
	for page, err := range crawler.Crawl(context.Background(), crawler.Config{Seeds: os.Args[1:]}) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(page.URL, page.Title())
	}
}
