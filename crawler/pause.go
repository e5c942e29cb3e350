package crawler

import (
	"context"
	"fmt"
	"sync"
	"time"

	"go.etcd.io/bbolt"
)

// PauseCause says why a crawl is paused.
type PauseCause string

const (
	// PauseAsked: Crawler.Pause or Control.Pause was called. It is kept in the
	// job and lasts until Resume, over restarts too.
	PauseAsked PauseCause = "asked"
	// PauseDisk: less is free on the job's disk, or that of its archives, than
	// Config.DiskReserve, or something could not be written for want of room. It ends
	// by itself when there is room again.
	PauseDisk PauseCause = "disk"
	// PauseProxies: every one of Config.Proxies is out. It ends when one answers again.
	PauseProxies PauseCause = "proxies"
)

// gate lets visits begin unless the crawl is paused. While it is, the frontier
// is held, so that a run does not end. Its methods may be called at once.
type gate struct {
	hold func() (release func()) // of the frontier

	mu      sync.Mutex
	causes  map[PauseCause]struct{}
	opened  chan struct{} // closed when the gate opens; nil while it is open
	release func()        // ends the hold; nil while it is open
	visits  int64         // begun and not ended
}

func newGate(hold func() func()) *gate {
	return &gate{hold: hold, causes: make(map[PauseCause]struct{})}
}

// pause closes the gate for a cause and reports whether it was not closed for it
// before.
func (g *gate) pause(cause PauseCause) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, ok := g.causes[cause]; ok {
		return false
	}
	g.causes[cause] = struct{}{}
	if g.opened == nil {
		g.opened, g.release = make(chan struct{}), g.hold()
	}
	return true
}

// resume takes a cause away and reports whether there was one. The gate opens
// with the last.
func (g *gate) resume(cause PauseCause) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, ok := g.causes[cause]; !ok {
		return false
	}
	delete(g.causes, cause)
	if len(g.causes) == 0 {
		close(g.opened)
		g.release()
		g.opened, g.release = nil, nil
	}
	return true
}

// wait returns when the gate is open, and false when the context ends before.
func (g *gate) wait(ctx context.Context) bool {
	for {
		g.mu.Lock()
		opened := g.opened
		g.mu.Unlock()
		if opened == nil {
			return ctx.Err() == nil
		}
		select {
		case <-opened:
		case <-ctx.Done():
			return false
		}
	}
}

// enter begins a visit, unless the gate is closed. A visit that was begun is to
// be ended by leave.
func (g *gate) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.opened != nil {
		return false
	}
	g.visits++
	return true
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.visits--
}

func (g *gate) closed() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.opened != nil
}

// underWay is how many visits are.
func (g *gate) underWay() int64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.visits
}

// Pause lets no new request start until Resume; what is being fetched ends as
// usual. The pause is kept in the job: a job that is opened again is still
// paused. A run does not end while it is paused, unless it is stopped or its
// context or Config.MaxTime ends it. Pause again does nothing. The error is
// ErrClosed, or a *JobError, and then the crawl is not paused.
func (c *Crawler) Pause() error { return c.setPaused(true) }

// Resume ends what Pause began. A pause for want of disk space goes on. The
// errors are those of Pause, and then the crawl stays paused.
func (c *Crawler) Resume() error { return c.setPaused(false) }

func (c *Crawler) setPaused(paused bool) error {
	if err := c.begin(); err != nil {
		return err
	}
	defer c.calls.Done()
	c.pausing.Lock() // what is kept and what is done agree
	defer c.pausing.Unlock()
	since, err := c.job.setPaused(paused, time.Now())
	if err != nil {
		return err
	}
	c.mu.Lock()
	c.pausedSince = since
	c.mu.Unlock()
	switch {
	case paused && c.gate.pause(PauseAsked):
		c.events.Paused(PausedEvent{Cause: PauseAsked})
	case !paused && c.gate.resume(PauseAsked):
		c.events.Resumed(ResumedEvent{Cause: PauseAsked})
	}
	return nil
}

// startPaused pauses a crawl whose job was paused when it was closed.
func (c *Crawler) startPaused() (err error) {
	c.gate = newGate(c.front.Hold)
	c.pausedSince, err = c.job.pausedSince()
	if err == nil && !c.pausedSince.IsZero() {
		c.gate.pause(PauseAsked)
	}
	return err
}

var keyPaused = []byte("paused")

// pausedSince is when the job was paused; zero if it is not.
func (j *Job) pausedSince() (since time.Time, err error) {
	err = j.view(func(b *bbolt.Bucket) error {
		text := b.Get(keyPaused)
		if text == nil {
			return nil
		}
		if err := since.UnmarshalText(text); err != nil {
			return fmt.Errorf("%w: when it was paused: %w", ErrCorrupt, err)
		}
		return nil
	})
	return since, err
}

// setPaused keeps in the job that it is paused, or not, and returns since when.
func (j *Job) setPaused(paused bool, now time.Time) (since time.Time, err error) {
	if since, err = j.pausedSince(); err != nil || paused == !since.IsZero() {
		return since, err
	}
	if !paused {
		return time.Time{}, j.update("write to", func(b *bbolt.Bucket) error { return b.Delete(keyPaused) })
	}
	now = now.Round(0)
	text, err := now.MarshalText()
	if err != nil {
		return since, err
	}
	return now, j.update("write to", func(b *bbolt.Bucket) error { return b.Put(keyPaused, text) })
}
