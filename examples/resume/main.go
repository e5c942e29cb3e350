// Resume crawls into a job directory. Stop it, or kill it, and run it again: it
// goes on where it was, and fetches no page twice.
//
//	go run ./examples/resume -job ./job https://example.org/
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"time"

	"github.com/orbweaver/orbweaver/crawler"
)

func main() {
	dir := flag.String("job", "job", "the job's directory")
	delay := flag.Duration("delay", time.Second, "pause between two requests")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *dir, flag.Args(), *delay); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, dir string, seeds []string, delay time.Duration) (err error) {
	c, err := crawler.New(crawler.Config{
		Dir:   dir,
		Seeds: seeds, // those that the job has already are no harm
		Delay: delay,
		Events: crawler.Events{
			Fetched: func(e crawler.FetchedEvent) { fmt.Println(e.Status, e.URL) },
		},
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()

	// The first interrupt lets what is being fetched finish.
	defer context.AfterFunc(ctx, c.Stop)()
	summary, err := c.Run(context.WithoutCancel(ctx))
	if err != nil {
		return err
	}
	fmt.Printf("%s: %d pages, %d waiting\n", summary.Ended, summary.Fetched, summary.Waiting)
	return nil
}
