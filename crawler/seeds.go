package crawler

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	"github.com/orbweaver/orbweaver/crawler/weburl"
	"github.com/orbweaver/orbweaver/frontier"
)

// seedBatch is how many seeds are handed over for a commit at once.
const seedBatch = 5000

// maxSeedErrors bounds how many bad seeds AddSeeds lists; all are counted.
const maxSeedErrors = 100

// SeedError is a seed that is no URL.
type SeedError struct {
	Line int    // which of the sequence, from 1
	Text string // as it was given
	Err  error
}

func (e *SeedError) Error() string { return fmt.Sprintf("seed %d: %q: %v", e.Line, e.Text, e.Err) }
func (e *SeedError) Unwrap() error { return e.Err }

// seedLinger is how long a seed waits for others before it is handed over.
const seedLinger = 200 * time.Millisecond

// AddSeeds adds URLs to start from, in batches, so that the sequence may be of
// any length, and may wait for the next seed as long as it likes: those it has
// yielded are crawled meanwhile, if Run is under way. It returns how many were good. They are durable unless the error
// is a *JobError. The others are joined in the error as *SeedError, the first
// hundred of them. When the context or the crawler ends, it ends with what it
// has.
//
// It may be called while the crawl runs, which will not end before it returns,
// but not from Events.Committed, which it waits for.
func (c *Crawler) AddSeeds(ctx context.Context, seeds iter.Seq[string]) (added int, err error) {
	if err := c.begin(); err != nil {
		return 0, err
	}
	defer c.calls.Done()
	defer c.front.Hold()()
	var (
		bad   badSeeds
		ended error
		line  int
	)
	batch := seedBatcher{submit: c.commits.submit}
	for text := range seeds {
		line++
		if ended = c.endOfSeeds(ctx); ended != nil {
			break
		}
		err := batch.add(func(ch *change) error { return c.addSeed(ch, text) })
		if err != nil {
			bad.addOne(&SeedError{line, text, err})
			continue
		}
		added++
	}
	if err := c.commits.commit(batch.take()); err != nil { // the last, so all before it are done
		return added, err
	}
	return added, errors.Join(bad.err(), ended)
}

// seedBatcher gathers seeds into changes and hands over those that are full, or
// wait too long for that.
type seedBatcher struct {
	submit func(*change)

	mu     sync.Mutex
	ch     *change // nil: none is begun
	linger *time.Timer
}

// add lets f add to the change that is being gathered.
func (b *seedBatcher) add(f func(*change) error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ch == nil {
		b.ch = &change{}
		b.linger = time.AfterFunc(seedLinger, b.flush)
	}
	if err := f(b.ch); err != nil {
		return err
	}
	if len(b.ch.add) == seedBatch {
		b.submit(b.end())
	}
	return nil
}

// flush hands over what there is, in its own goroutine.
func (b *seedBatcher) flush() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ch != nil {
		b.submit(b.end())
	}
}

// take returns what there is, which may be nothing, for the caller to hand over.
// The batcher is at its end then.
func (b *seedBatcher) take() *change {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ch == nil {
		return &change{}
	}
	return b.end()
}

func (b *seedBatcher) end() *change {
	ch := b.ch
	b.ch = nil
	b.linger.Stop()
	return ch
}

// badSeeds are those that are no URL, the first of them listed.
type badSeeds struct {
	listed []error
	all    int
}

func (b *badSeeds) addOne(e *SeedError) {
	if b.all++; b.all <= maxSeedErrors {
		b.listed = append(b.listed, e)
	}
}

// err joins them; nil if there are none.
func (b *badSeeds) err() error {
	if b.all > maxSeedErrors {
		return errors.Join(append(b.listed, &moreSeedsError{b.all - maxSeedErrors})...)
	}
	return errors.Join(b.listed...)
}

// moreSeedsError stands for the bad seeds that are not listed.
type moreSeedsError struct{ n int }

func (e *moreSeedsError) Error() string {
	return fmt.Sprintf("and %d seeds more that are no URL", e.n)
}

// splitSeedErrors takes the seeds that are no URL out of what AddSeeds returned.
func splitSeedErrors(err error) (bad []*SeedError, rest error) {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		if e, ok := err.(*SeedError); ok {
			return []*SeedError{e}, nil
		}
		if _, ok := err.(*moreSeedsError); ok {
			return nil, nil
		}
		return nil, err
	}
	var others []error
	for _, e := range joined.Unwrap() {
		b, other := splitSeedErrors(e)
		bad = append(bad, b...)
		others = append(others, other)
	}
	return bad, errors.Join(others...)
}

// endOfSeeds is why no more seeds are to be read, or nil.
func (c *Crawler) endOfSeeds(ctx context.Context) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case c.open.Err() != nil:
		return ErrClosed
	default:
		return c.commits.lost()
	}
}

// addSeed adds one seed to the change.
func (c *Crawler) addSeed(ch *change, text string) error {
	root, err := ch.addSeed(&c.urls, text)
	if err == nil && c.widen(root) {
		ch.roots = append(ch.roots, root)
	}
	return err
}

// addSeed adds one seed's request and returns what is kept of the seed itself.
func (ch *change) addSeed(urls *weburl.Parser, text string) (root string, err error) {
	candidates, err := urls.ParseSeed(text)
	if err != nil {
		return "", err
	}
	u := candidates[0]
	e := envelope{flags: flagSeed}
	if len(candidates) > 1 {
		e.flags |= flagGuessed
	}
	ch.add = append(ch.add, frontier.Request{URL: u.String(), Host: u.Host(), Data: e.encode()})
	ch.weight += weigh(ch.add[len(ch.add)-1])
	return seedKey(u), nil
}

// seedKey is what is kept of a seed: host and directory, from which the root of
// every kind of scope can be had.
func seedKey(u weburl.URL) string { return u.Host() + directory(u.Path()) }

// widen opens scope and address guard to a seed's host and directory, and says
// whether they were not open yet.
func (c *Crawler) widen(key string) bool {
	if !c.scope.add(key) {
		return false
	}
	c.guard.addSeed(hostOf(key))
	return true
}
