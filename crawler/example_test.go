package crawler_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/orbweaver/orbweaver/crawler"
)

// bookshop is the site of the examples; its address is replaced in what they
// print.
func bookshop() *httptest.Server {
	pages := map[string]string{
		"/":              `<title>Books</title><a href="/book/1">Emma</a> <a href="/book/2">Dracula</a>`,
		"/book/1":        `<title>Emma</title><h1>Emma</h1><b class=price>£ 9.50</b><a href="/author/austen">Jane Austen</a>`,
		"/book/2":        `<title>Dracula</title><h1>Dracula</h1><b class=price>£ 7</b>`,
		"/author/austen": `<title>Jane Austen</title>`,
	}
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		page, ok := pages[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, page)
	}))
}

func ExampleCrawl() {
	site := bookshop()
	defer site.Close()
	ctx := context.Background()
	var titles []string
	for page, err := range crawler.Crawl(ctx, crawler.Config{Seeds: []string{site.URL}, Delay: crawler.NoDelay}) {
		if err != nil {
			log.Fatal(err)
		}
		titles = append(titles, page.Title())
	}
	slices.Sort(titles)
	fmt.Println(titles)
	// Output: [Books Dracula Emma Jane Austen]
}

func ExampleNew() {
	site := bookshop()
	defer site.Close()
	dir, err := os.MkdirTemp("", "job")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)

	c, err := crawler.New(crawler.Config{
		Dir:      dir,
		Seeds:    []string{site.URL},
		MaxDepth: 1,
		Delay:    crawler.NoDelay,
	})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	summary, err := c.Run(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(summary.Ended, summary.Fetched, "pages, left out:", summary.LeftOut)
	// Output: done 3 pages, left out: map[too deep:1]
}

func ExamplePage_Unmarshal() {
	site := bookshop()
	defer site.Close()
	type book struct {
		Title string  `css:"h1" required:"true"`
		Price float64 `css:".price" re:"([0-9.]+)"`
	}
	cfg := crawler.Config{Seeds: []string{site.URL + "/book/1"}, Delay: crawler.NoDelay, NoFollow: true}
	for page, err := range crawler.Crawl(context.Background(), cfg) {
		if err != nil {
			log.Fatal(err)
		}
		var b book
		if err := page.Unmarshal(&b); err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%+v\n", b)
	}
	// Output: {Title:Emma Price:9.5}
}

func ExampleMux() {
	site := bookshop()
	defer site.Close()
	mux := crawler.NewMux()
	mux.On("/book/{id}", func(_ context.Context, p *crawler.Page) error {
		return p.Emit(map[string]string{"id": p.PathValue("id"), "title": p.Title()})
	})
	c, err := crawler.New(crawler.Config{Seeds: []string{site.URL}, Handler: mux, Delay: crawler.NoDelay, Concurrency: 1})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
	for item, err := range c.Job().Store().Items(context.Background(), 0) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(string(item.Data))
	}
	// Output:
	// {"id":"1","title":"Emma"}
	// {"id":"2","title":"Dracula"}
}

func ExamplePage_FollowRequest() {
	site := bookshop()
	defer site.Close()
	handler := crawler.HandlerFunc(func(_ context.Context, p *crawler.Page) error {
		if p.Label == "book" {
			return p.Emit(p.Title() + " " + string(p.Data))
		}
		return p.FollowRequest(crawler.Request{URL: "/book/2", Label: "book", Data: []byte("(found on the front page)")})
	})
	c, err := crawler.New(crawler.Config{Seeds: []string{site.URL}, Handler: handler, NoFollow: true, Delay: crawler.NoDelay})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
	for item, err := range c.Job().Store().Items(context.Background(), 0) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(string(item.Data))
	}
	// Output: "Dracula (found on the front page)"
}

func ExampleChain() {
	site := bookshop()
	defer site.Close()
	loud := func(next crawler.Handler) crawler.Handler {
		return crawler.HandlerFunc(func(ctx context.Context, p *crawler.Page) error {
			fmt.Println("before", p.Title())
			err := next.Handle(ctx, p)
			fmt.Println("after", p.Title())
			return err
		})
	}
	handler := crawler.HandlerFunc(func(context.Context, *crawler.Page) error { return nil })
	c, err := crawler.New(crawler.Config{
		Seeds: []string{site.URL}, Handler: crawler.Chain(handler, loud), MaxPages: 1, Delay: crawler.NoDelay,
	})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
	// Output:
	// before Books
	// after Books
}

func ExampleRule() {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, `<title>Review</title><a href="/more">more reviews</a>`)
	}))
	defer elsewhere.Close()
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, `<title>Shop</title><a href="%s/review">review</a> <a href="/cart/add?id=1">buy</a>`, elsewhere.URL)
	}))
	defer site.Close()

	cfg := crawler.Config{
		Seeds: []string{site.URL},
		Rules: []crawler.Rule{
			{Take: &crawler.Condition{Hops: crawler.AtMost(1)}}, // one link out of the seeds' hosts
			{LeaveOut: &crawler.Condition{Match: []*regexp.Regexp{regexp.MustCompile("/cart/")}}, Reason: "cart"},
		},
		Sites:        []crawler.Site{{Hosts: []string{"127.0.0.1"}, Delay: crawler.NoDelay}},
		AllowPrivate: true, // the example's servers are on loopback
		Events: crawler.Events{LeftOut: func(e crawler.LeftOutEvent) {
			u, _ := url.Parse(e.URL)
			fmt.Println("left out:", u.Path, e.Reason)
		}},
	}
	for page, err := range crawler.Crawl(context.Background(), cfg) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(page.Title())
	}
	// Unordered output:
	// Shop
	// left out: /cart/add cart
	// Review
	// left out: /more out of scope
}

func ExampleJob_Explain() {
	site := bookshop()
	defer site.Close()
	dir, err := os.MkdirTemp("", "job")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	c, err := crawler.New(crawler.Config{Dir: dir, Seeds: []string{site.URL}, Delay: crawler.NoDelay})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := c.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
	if err := c.Close(); err != nil {
		log.Fatal(err)
	}

	job, err := crawler.OpenJob(dir)
	if err != nil {
		log.Fatal(err)
	}
	defer job.Close()
	e, err := job.Explain(context.Background(), "https://www.example.org/about")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(e.State, e.InScope, e.Reason)
	e, err = job.Explain(context.Background(), site.URL+"/book/1#reviews")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(e.State, e.InScope, e.Result.Status, strings.TrimPrefix(e.Result.Referrer, site.URL))
	// Output:
	// unknown false out of scope
	// done true 200 /
}

// A job is controlled from another process, or as here from the same one, by its
// directory.
func ExampleControl() {
	site := bookshop()
	defer site.Close()
	dir, err := os.MkdirTemp("", "job")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	c, err := crawler.New(crawler.Config{Dir: dir, Seeds: []string{site.URL}, Delay: crawler.NoDelay, Control: true})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()

	ctx := context.Background()
	job := crawler.Control{Dir: dir}
	if _, err := job.Pause(ctx); err != nil {
		log.Fatal(err)
	}
	added, err := job.Add(ctx, slices.Values([]string{site.URL + "/book/1", site.URL + "/book/2"}))
	if err != nil {
		log.Fatal(err)
	}
	host, err := job.Host(ctx, site.URL)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("added", added, "URLs;", host.Waiting, "wait")
	status, err := job.Resume(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("the crawler is", status.State)

	summary, err := c.Run(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(summary.Fetched, "pages, ended:", summary.Ended)
	// Output:
	// added 2 URLs; 3 wait
	// the crawler is open
	// 4 pages, ended: done
}

// A job at rest can be looked at, paused and added to in the same way.
func ExampleControl_Add() {
	dir, err := os.MkdirTemp("", "job")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	c, err := crawler.New(crawler.Config{Dir: dir, Seeds: []string{"https://example.org/"}})
	if err != nil {
		log.Fatal(err)
	}
	if err := c.Close(); err != nil {
		log.Fatal(err)
	}

	job := crawler.Control{Dir: dir}
	added, err := job.Add(context.Background(), slices.Values([]string{"https://example.org/", "example.com", "not a URL"}))
	fmt.Println(added, "good;", err)
	status, err := job.Status(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(status.State, "with", status.Stats.Waiting, "waiting")
	// Output:
	// 2 good; seed 3: "not a URL": weburl: "not a URL": not a URL
	// at rest with 2 waiting
}

// A crawl that goes on: pages are visited again when they are due.
func ExampleRevisit() {
	site := bookshop()
	defer site.Close()
	c, err := crawler.New(crawler.Config{
		Seeds: []string{site.URL}, Delay: crawler.NoDelay,
		Revisit:  crawler.Revisit{Min: time.Second, Max: 30 * 24 * time.Hour, First: time.Second},
		MaxPages: 8, // else it goes on until it is stopped
	})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	s, err := c.Run(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(s.Ended, s.Changes, s.Waiting)
	// Output: max-pages map[new:4 unchanged:4] 4
}

// While a crawl is being written, what was fetched once is replayed.
func ExampleCache() {
	site := bookshop()
	defer site.Close()
	dir, err := os.MkdirTemp("", "cache")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	for range 2 {
		c, err := crawler.New(crawler.Config{
			Seeds: []string{site.URL}, Delay: crawler.NoDelay, Cache: crawler.Cache{Dir: dir, MaxAge: 24 * time.Hour},
		})
		if err != nil {
			log.Fatal(err)
		}
		s, err := c.Run(context.Background())
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%d pages, %d replayed, %d stored\n", s.Fetched, s.Cache.Hits, s.Cache.Stored)
		c.Close()
	}
	// With robots.txt:
	// Output:
	// 4 pages, 0 replayed, 5 stored
	// 4 pages, 5 replayed, 0 stored
}
