package main

import (
	"context"
	"errors"
	"io"
	"iter"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"sync"
	"time"

	"github.com/orbweaver/orbweaver/crawler"
)

// crawl is one run of a job, from opening it to the summary.
type crawl struct {
	display  *display
	config   crawler.Config
	settings *settings
	cookies  cookies
	started  startMessage
	greeting string // tells what starts or is resumed
	passing  bool   // the job is removed in the end

	// seeds are added before the crawl begins; nil: there are none. reseed is how
	// a command line gives them again.
	seeds  func(ctx context.Context) *sources
	reseed string

	// streaming crawls while the seeds are read; else they are all in the job
	// first. seeded, unless nil, is told when all have been read.
	streaming bool
	seeded    func(*crawler.Crawler) error
	begun     func() // is told when the seeds begin to be read; nil: nobody is
	unread    bool   // not all seeds were read

	// ended, unless nil, looks at a run that ended by itself.
	ended func(ending) error
}

// run crawls until the job is done, a limit is reached or a signal comes.
func (c *crawl) run(ctx context.Context) (err error) {
	stopping := make(chan bool, 8) // more are the same
	c.config.Events.Stopping = func(e crawler.StoppingEvent) {
		select {
		case stopping <- e.Now:
		default:
		}
	}
	c.config.Events.Paused, c.config.Events.Resumed = c.tellPaused, c.tellResumed
	c.config.Logger = slog.New(&notices{display: c.display})
	cr, err := crawler.New(c.config)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cr.Close()) }()
	i := listen(ctx, cr, c.display, stopping)
	defer i.close()
	c.display.start(c.started, c.greeting)
	if c.config.Revisit.Max > 0 {
		c.display.notice("visits pages again and again (--revisit " + c.settings.Revisit.String() + "): it ends by Ctrl-C, crawl stop " +
			quote(c.config.Dir) + " or a limit")
	}
	s := cr.Stats()
	if c.config.Recrawl && s.Waiting > 0 {
		c.display.notice("--recrawl: " + stillWait(s.Waiting) + ", no new round")
	}
	if !s.Paused.IsZero() {
		c.display.notice("the job is paused since " + clock(s.Paused, time.Now()) + "; crawl resume " + quote(c.config.Dir) + " goes on")
	}

	e := ending{job: c.config.Dir, settings: c.settings}
	if c.passing {
		e.job = ""
	}
	e.Summary, err = c.work(i, cr)
	switch {
	case err == nil:
		if c.unread {
			e.reseed = c.reseed
		}
		if c.unread && e.Ended == crawler.Done { // with what had been read
			e.Ended = crawler.Stopped
		}
		return c.finish(e)
	case e.Summary == nil && i.soft.Err() != nil: // while seeds were added
		e.Summary = &crawler.Summary{Stats: cr.Stats(), Ended: crawler.Stopped}
		e.reseed = c.reseed
		return c.finish(e)
	case e.Summary != nil && !isUsage(err):
		c.display.summary(e)
	}
	return err
}

func isUsage(err error) bool {
	f, ok := errors.AsType[*failure](err)
	return ok && f.status == exitUsage
}

func (c *crawl) tellPaused(e crawler.PausedEvent) {
	if e.Cause == crawler.PauseDisk {
		text := waitsForRoom(crawler.Disk{Free: e.Free, Reserve: e.Reserve})
		if e.Err != nil && e.Free >= e.Reserve {
			text = "waits, as it cannot write: " + e.Err.Error()
		}
		c.display.notice(text)
		return
	}
	if e.Cause == crawler.PauseProxies {
		c.display.notice("every proxy is out, the crawl waits: " + e.Err.Error())
		return
	}
	c.display.notice("paused; crawl resume " + quote(c.config.Dir) + " goes on")
}

func (c *crawl) tellResumed(e crawler.ResumedEvent) {
	if e.Cause == crawler.PauseDisk {
		c.display.notice("there is room on the disk again")
		return
	}
	if e.Cause == crawler.PauseProxies {
		c.display.notice("a proxy answers again")
		return
	}
	c.display.notice("not paused any more")
}

// work adds the seeds and crawls, and shows the progress of both. The summary is
// nil if it did not come to crawling.
func (c *crawl) work(i *interrupts, cr *crawler.Crawler) (*crawler.Summary, error) {
	var watching sync.WaitGroup
	defer watching.Wait()
	over := make(chan struct{})
	defer close(over)
	watching.Go(func() { c.display.follow(over, cr.Stats) })
	watching.Go(func() { c.cookies.keepSaving(over, c.display.problem) })
	watching.Go(func() { boundGarbage(over, c.config.Memory) })

	var summary *crawler.Summary
	var err error
	if c.streaming {
		summary, err = c.crawlWhileSeeding(i, cr)
	} else if err = c.addSeeds(i.soft, cr); err == nil {
		summary, err = cr.Run(i.hard)
	}
	if summary == nil {
		return nil, err
	}
	return summary, errors.Join(err, c.cookies.save())
}

// crawlWhileSeeding crawls while the seeds are still being read, which may take
// as long as the crawl.
func (c *crawl) crawlWhileSeeding(i *interrupts, cr *crawler.Crawler) (*crawler.Summary, error) {
	reading, cancel := context.WithCancel(i.soft)
	defer cancel()
	var (
		seeding sync.WaitGroup
		seedErr error
	)
	running, end := context.WithCancel(i.hard)
	defer end()
	begun := make(chan struct{}) // from then on the crawl does not end before the seeds do
	c.begun = sync.OnceFunc(func() { close(begun) })
	seeding.Go(func() {
		defer c.begun()
		if seedErr = c.addSeeds(reading, cr); seedErr != nil && reading.Err() == nil {
			end()
		}
	})
	<-begun
	summary, err := cr.Run(running)
	cancel()
	seeding.Wait()
	switch {
	case seedErr == nil, errors.Is(seedErr, context.Canceled):
		c.unread = seedErr != nil
		return summary, err
	default:
		return summary, errors.Join(seedErr, err)
	}
}

// finish shows the summary and says what the run's ending means for the exit
// status.
func (c *crawl) finish(e ending) error {
	c.display.summary(e)
	switch {
	case e.Ended == crawler.Stopped, e.Ended == crawler.Cancelled:
		return &failure{status: exitInterrupted}
	case e.nothing():
		f := &failure{status: exitFailed}
		if c.display.mode == quiet || c.display.mode == lines { // others have seen it in the summary
			why := e.whyNothing()
			for i := range why {
				why[i] = strings.TrimSpace(why[i])
			}
			f.err = errors.New(strings.Join(why, " "))
		}
		return f
	case c.ended != nil:
		return c.ended(e)
	}
	return nil
}

// addSeeds adds the seeds that were given and tells of those that are none.
func (c *crawl) addSeeds(ctx context.Context, cr *crawler.Crawler) error {
	if c.seeds == nil {
		return nil
	}
	s := c.seeds(ctx)
	s.problem = c.display.problem
	seeds := s.seeds()
	if c.begun != nil {
		seeds = telling(seeds, c.begun)
	}
	_, err := cr.AddSeeds(ctx, seeds)
	switch {
	case err != nil:
		return err
	case s.err != nil:
		return s.err
	case s.good == 0 && s.bad == 0:
		return &failure{exitUsage, errors.New("no URL in " + s.names()), "write one URL a line"}
	case s.good == 0:
		return &failure{exitUsage, errors.New("no seed is a URL"), "write them as https://example.org/"}
	case s.bad > 0:
		c.display.notice(plural(int64(s.bad), "bad line") + " skipped, " + plural(int64(s.good), "seed") + " taken")
	}
	if c.seeded == nil {
		return nil
	}
	return c.seeded(cr)
}

// telling is seq, and tells when it begins.
func telling(seq iter.Seq[string], begun func()) iter.Seq[string] {
	return func(yield func(string) bool) {
		begun()
		seq(yield)
	}
}

// interrupts makes of the first signal a soft end of the crawl and of the
// second a hard one.
type interrupts struct {
	soft context.Context // ends with the first signal
	hard context.Context // ends with the second
	stop func()
	wg   sync.WaitGroup
}

// listen takes the process's signals to end, and what the crawler says of a
// stop, with true for one at once, until close is called.
func listen(ctx context.Context, cr *crawler.Crawler, d *display, stopping <-chan bool) *interrupts {
	hard, cancelHard := context.WithCancel(ctx)
	soft, cancelSoft := context.WithCancel(hard)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, endSignals()...)
	i := &interrupts{soft: soft, hard: hard, stop: func() {
		signal.Stop(signals)
		cancelHard()
	}}
	i.wg.Go(func() {
		for {
			select {
			case <-hard.Done():
				return
			case now := <-stopping: // by crawl stop
				if soft.Err() == nil {
					d.notice("stopped by crawl stop")
				}
				cancelSoft()
				if now {
					cancelHard()
				}
			case <-signals:
				if soft.Err() != nil {
					d.notice("stopping at once")
					cancelHard()
					return
				}
				d.notice("interrupted: what is being fetched finishes; press Ctrl-C again to stop at once")
				cancelSoft()
				cr.Stop()
			}
		}
	})
	return i
}

func (i *interrupts) close() {
	i.stop()
	i.wg.Wait()
}

// untilDone is r, of which a Read that waits fails when ctx ends. The goroutine
// that reads r stays until r returns, which for standard input may be never.
func untilDone(ctx context.Context, r io.Reader) io.Reader {
	out, in := io.Pipe()
	context.AfterFunc(ctx, func() { in.CloseWithError(ctx.Err()) })
	go func() {
		_, err := io.Copy(in, r)
		in.CloseWithError(err)
	}()
	return out
}
