// Session crawls behind a login: before the first page, and again when the session
// is over, the crawler fills in the site's form, and its jar keeps the cookie.
//
//	go run ./examples/session -login https://example.org/login -user me -password secret https://example.org/
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"net/url"
	"time"

	"github.com/orbweaver/orbweaver/crawler"
)

func main() {
	login := flag.String("login", "", "address of the page with the login form")
	user := flag.String("user", "", "user name")
	password := flag.String("password", "", "password")
	delay := flag.Duration("delay", time.Second, "pause between two requests")
	flag.Parse()
	if err := run(context.Background(), *login, *user, *password, flag.Args(), *delay); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, form, user, password string, seeds []string, delay time.Duration) error {
	u, err := url.Parse(form)
	if err != nil {
		return err
	}
	login := crawler.FormLogin{
		URL:    form,
		Fields: map[string]string{"user": user, "password": password},
	}
	config := crawler.Config{
		Seeds: seeds,
		Delay: delay,
		Sites: []crawler.Site{{Hosts: []string{u.Host}, Login: login.Login()}},
	}
	for page, err := range crawler.Crawl(ctx, config) {
		if err != nil {
			return err
		}
		fmt.Println(page.URL, page.Title())
	}
	return nil
}
