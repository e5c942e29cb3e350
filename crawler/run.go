package crawler

import (
	"cmp"
	"context"
	"errors"
	"runtime/debug"
	"sync"
	"time"

	"github.com/orbweaver/orbweaver/frontier"
	"github.com/orbweaver/orbweaver/storage"
)

// Why the context of a run ends at Config.MaxTime, and by StopNow.
var (
	errMaxTime = errors.New("crawler: max time reached")
	errStopNow = errors.New("crawler: stopped at once")
)

// Run crawls until nothing is left, a limit is reached, Stop is called or the
// context ends, and all that was fetched is committed. When the context ends,
// what is being fetched is given back to the frontier. That is no error; the
// summary's Ended tells it, as it does when a commit waits for room on the disk
// until Stop is called or the context ends: what is in it is fetched again by the
// next run. The error is a *JobError when the job could not be written otherwise,
// and wraps ErrProxies when none of Config.Proxies works.
func (c *Crawler) Run(ctx context.Context) (*Summary, error) {
	if err := c.begin(); err != nil {
		return nil, err
	}
	defer c.calls.Done()
	if c.running.Swap(true) {
		return nil, ErrRunning
	}
	defer c.running.Store(false)

	hard, kill := context.WithCancelCause(ctx)
	defer kill(nil)
	defer context.AfterFunc(c.open, func() { kill(ErrClosed) })()
	if c.cfg.MaxTime > 0 {
		var cancel context.CancelFunc
		hard, cancel = context.WithTimeoutCause(hard, c.cfg.MaxTime, errMaxTime)
		defer cancel()
	}
	soft, stop := context.WithCancel(hard)
	defer stop()
	pages, traffic := c.beginRun(stop, kill)
	c.reserve.during(soft.Done())
	defer c.reserve.during(nil)

	if err := c.commits.lost(); err != nil {
		return c.endRun(Failed, err)
	}
	if c.commits.ownsAll() {
		if err := c.requeue(soft); err != nil {
			return c.endRun(Failed, err)
		}
	}
	var all sync.WaitGroup
	for range c.cfg.Concurrency {
		w := &worker{Crawler: c, pages: pages, traffic: traffic}
		all.Go(func() { w.runSafely(soft, hard) })
	}
	watched := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() { c.watchOver(kill, watched) })
	watching.Go(func() { c.boundMemory(watched) })
	all.Wait()
	close(watched)
	watching.Wait()

	err := cmp.Or(c.commits.commit(&change{}), c.job.inPlace(), c.job.wrap("write cookies of", c.cookies.save()))
	if cause := context.Cause(hard); errors.Is(cause, ErrProxies) {
		err = cmp.Or(err, cause)
	}
	if q := c.front.Stats(); err == nil && q.Waiting == 0 && q.Leased == 0 && c.round.Requeued == c.round.After {
		err = c.endRound()
	}
	why := ending(ctx, hard, soft, pages, traffic)
	if _, noRoom := errors.AsType[roomError](err); noRoom && (why == Stopped || why == Cancelled) {
		c.cfg.Logger.Warn("there was no room until the crawl was stopped; what was fetched last is fetched again by the next run", "error", err)
		err = nil
	}
	return c.endRun(why, err)
}

// beginRun notes the start of a run and returns what it may fetch.
func (c *Crawler) beginRun(stop context.CancelFunc, kill context.CancelCauseFunc) (*budget, *traffic) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.proxies != nil {
		c.proxies.begin()
	}
	c.base = c.commits.snapshot()
	c.started, c.ended = time.Now(), time.Time{}
	c.stop, c.kill = stop, kill
	if c.stopAsked {
		stop()
		c.stopAsked = false
	}
	return newBudget(c.cfg.MaxPages, c.base.Fetched-c.round.Fetched), newTraffic(c.cfg.MaxBytes, c.base.WireBytes, stop)
}

// endRun notes the end of a run and sums it up.
func (c *Crawler) endRun(why Ending, err error) (*Summary, error) {
	c.mu.Lock()
	c.ended, c.stop, c.kill = time.Now(), nil, nil
	c.mu.Unlock()
	c.usage.forget() // what is told of the job in the end is as it is then
	s := &Summary{Stats: c.Stats(), Ended: why}
	switch {
	case err != nil:
		s.Ended = Failed
	case s.Waiting+s.Leased == 0:
		s.Ended = Done
	}
	c.writeStatus(s.Stats, string(s.Ended))
	return s, err
}

// ending says why the workers have stopped.
func ending(ctx, hard, soft context.Context, pages *budget, traffic *traffic) Ending {
	switch {
	case ctx.Err() != nil:
		return Cancelled
	case errors.Is(context.Cause(hard), errMaxTime):
		return MaxTime
	case errors.Is(context.Cause(hard), ErrClosed), errors.Is(context.Cause(hard), errStopNow):
		return Cancelled
	case traffic.reached():
		return MaxBytes
	case soft.Err() != nil:
		return Stopped
	case pages.exhausted():
		return MaxPages
	default:
		return Done
	}
}

// How often boundMemory looks. Within one commit, some megabytes of the database
// can become resident in a millisecond.
const (
	trimEvery = 5 * time.Millisecond
	trimIdle  = time.Second // while nothing is fetched or waits for its commit
)

// boundMemory sees to Config.Memory until done. Where the system has no such
// thing, it does without.
func (c *Crawler) boundMemory(done <-chan struct{}) {
	tick := time.NewTicker(trimEvery)
	defer tick.Stop()
	for {
		select {
		case <-done:
			return
		case <-tick.C:
			_ = c.job.trim(c.job.memory)
			if c.front.Stats().Leased == 0 {
				tick.Reset(trimIdle)
			} else {
				tick.Reset(trimEvery)
			}
		}
	}
}

// watchOver ends the run when a commit fails or the job is taken away, and writes
// the status file now and then.
func (c *Crawler) watchOver(kill context.CancelCauseFunc, done <-chan struct{}) {
	tick := time.NewTicker(statusEvery)
	defer tick.Stop()
	cookies := time.NewTicker(cookiesEvery)
	defer cookies.Stop()
	disk := time.NewTicker(diskEvery)
	defer disk.Stop()
	failed := c.commits.failed
	for {
		select {
		case <-done:
			return
		case <-failed:
			kill(c.commits.lost())
			failed = nil
		case <-cookies.C:
			c.saveCookies()
		case <-disk.C:
			c.reserve.look()
		case <-tick.C:
			if err := c.job.inPlace(); err != nil {
				c.commits.fail(err)
			}
			c.writeStatus(c.Stats(), StateRunning)
		}
	}
}

// worker takes leases and does the visits, in its own goroutine.
type worker struct {
	*Crawler
	pages   *budget
	traffic *traffic

	typeField, mediaType string // the last Content-Type field, and what it means
}

// readType is mediaType, which most pages of a site have in common.
func (w *worker) readType(field string) string {
	if field != w.typeField {
		w.typeField, w.mediaType = field, mediaType(field)
	}
	return w.mediaType
}

// errGoexit is why a run fails whose worker's goroutine was ended from within.
var errGoexit = errors.New("crawler: a handler or an event ended its goroutine (runtime.Goexit)")

// runSafely is run, but a panic, as of a damaged database or a mistake of ours,
// or a goroutine that a handler ended, ends the run with an error.
func (w *worker) runSafely(soft, hard context.Context) {
	returned := false
	defer func() {
		if v := recover(); v != nil {
			w.commits.fail(&PanicError{Value: v, Stack: debug.Stack()})
		} else if !returned {
			w.commits.fail(errGoexit)
		}
	}()
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	w.run(soft, hard)
	returned = true
}

// run works until soft ends or nothing is left; hard ends what is under way.
func (w *worker) run(soft, hard context.Context) {
	for w.gate.wait(soft) && w.pages.acquire(soft) {
		lease, err := w.front.Lease(soft)
		if err != nil {
			w.pages.settle(false)
			if !errors.Is(err, frontier.ErrDone) && soft.Err() == nil {
				w.commits.fail(w.job.wrap("read", err))
			}
			return
		}
		w.events.Leased(LeasedEvent{Host: lease.Host, URLs: len(lease.Requests)})
		w.work(soft, hard, lease)
	}
}

// work does a lease's visits one after another, with one page slot in hand.
func (w *worker) work(soft, hard context.Context, lease *frontier.Lease) {
	var unfinished []frontier.Leased
	var left *change // of URLs that were left out: there may be several for each page
	for i, req := range lease.Requests {
		if i > 0 && (soft.Err() != nil || lease.Revoked() || !w.pages.try()) {
			unfinished = append(unfinished, lease.Requests[i:]...)
			break
		}
		v := &visit{Crawler: w.Crawler, w: w, lease: lease, req: req, env: decodeEnvelope(req.Data)}
		ended := v.runGated(hard, lease)
		w.pages.settle(v.spent)
		if v.spent {
			lease.Received(v.ch.record.WireBytes)
			w.traffic.add(v.ch.record.WireBytes)
		}
		if ended {
			v.comeAgain()
		} else {
			unfinished = append(unfinished, lease.Requests[i:]...)
			break
		}
		ch := v.ch
		if left != nil {
			ch.join(left)
			left = nil
		}
		if ch.minor() {
			left = ch
			continue
		}
		if blocked := len(ch.hosts) > 0; w.submit(ch, blocked) != nil || blocked {
			unfinished = append(unfinished, lease.Requests[i+1:]...)
			break
		}
	}
	if left != nil {
		w.commits.submit(left)
	}
	lease.Release(unfinished...)
}

// runGated is run, unless the crawl is paused.
func (v *visit) runGated(hard context.Context, lease *frontier.Lease) (ended bool) {
	if !v.gate.enter() {
		return false
	}
	defer v.gate.leave()
	return v.run(v.withAddressTurn(hard, lease))
}

// submit hands a visit's change over. One that blocks its host has to count
// before the host can be leased again.
func (w *worker) submit(ch *change, wait bool) error {
	if wait {
		return w.commits.commit(ch)
	}
	w.commits.submit(ch)
	return nil
}

// tellFetched reports a result.
func (c *Crawler) tellFetched(rec *storage.Record, items int, err error) {
	if rec.Status != 0 {
		c.meter.count(time.Now(), 1)
	}
	c.events.Fetched(FetchedEvent{
		URL: rec.URL, FinalURL: rec.FinalURL, Status: rec.Status, Depth: rec.Depth, Bytes: rec.Bytes,
		Links: rec.Links, Items: items, Attempts: rec.Attempts, Duration: rec.Duration, Err: err,
	})
}
