package crawler

import (
	"context"
	"errors"
	"iter"
)

// errNotTaken is returned by the handler of Crawl for a page that the loop did
// not take any more: its URL goes back to the frontier.
var errNotTaken = errors.New("crawler: page not taken")

// Crawl runs a job and yields its pages, one at a time, while the workers go on
// in the background as far as cfg.Concurrency lets them. A page is committed,
// with what was followed and emitted, when the loop comes back for the next
// one. Breaking out of the loop stops the crawl cleanly, the last page being
// committed. If cfg.Handler is set it sees each page before it is yielded. An
// error is yielded with a nil page, as the last pair.
func Crawl(ctx context.Context, cfg Config) iter.Seq2[*Page, error] {
	return func(yield func(*Page, error) bool) {
		if err := crawl(ctx, cfg, yield); err != nil {
			yield(nil, err)
		}
	}
}

// delivery is a page on its way into the loop.
type delivery struct {
	page *Page
	back chan struct{} // closed when the loop is through with the page
}

// crawl is Crawl but for the error, which is nil if the loop was left.
func crawl(ctx context.Context, cfg Config, yield func(*Page, error) bool) (err error) {
	deliveries := make(chan delivery)
	left := make(chan struct{}) // closed when the loop was left
	cfg.Handler = deliver(cfg.Handler, deliveries, left)
	c, err := New(cfg)
	if err != nil {
		return err
	}
	var runErr error
	over := make(chan struct{})
	go func() {
		defer close(over)
		_, runErr = c.Run(ctx)
	}()
	finished := false // else the loop was left, be it by a panic
	defer func() {
		if !finished {
			c.Stop()
			close(left)
			<-over
		}
		closeErr := c.Close()
		if finished {
			err = errors.Join(runErr, ctx.Err(), closeErr)
		}
	}()
	for {
		select {
		case d := <-deliveries:
			if !give(d, yield) {
				return nil
			}
		case <-over:
			finished = true
			return nil
		}
	}
}

// give yields a page and lets its worker go on, even if the loop panics.
func give(d delivery, yield func(*Page, error) bool) bool {
	defer close(d.back)
	return yield(d.page, nil)
}

// deliver is a handler that sends pages into the loop and waits for them to
// come back.
func deliver(first Handler, deliveries chan<- delivery, left <-chan struct{}) Handler {
	h := HandlerFunc(func(ctx context.Context, p *Page) error {
		if first != nil {
			if err := first.Handle(ctx, p); err != nil {
				return err
			}
		}
		d := delivery{p, make(chan struct{})}
		select {
		case deliveries <- d:
			<-d.back
			return nil
		case <-left:
			return errNotTaken
		case <-ctx.Done():
			return errNotTaken
		}
	})
	if s, ok := first.(statusHandler); ok {
		return struct {
			Handler
			statusHandler
		}{h, s}
	}
	return h
}
