package crawler

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"time"

	"go.etcd.io/bbolt"
	"golang.org/x/sync/semaphore"

	"github.com/orbweaver/orbweaver/frontier"
	"github.com/orbweaver/orbweaver/frontier/boltfrontier"
	"github.com/orbweaver/orbweaver/storage"
	"github.com/orbweaver/orbweaver/storage/boltstore"
)

const (
	// groupPages and groupBytes end a group. To write groups is a sixth to a fifth of
	// the CPU time of a whole crawl, be they of 256 pages or of 1024: larger ones let
	// workers run on for longer while one is synced, and cost memory.
	groupPages = 512
	groupBytes = 16 << 20
	// groupLinger is how long a group that is not full waits for more.
	groupLinger = 250 * time.Millisecond
	// pendingPages and pendingBytes bound the memory of pages that wait for their
	// commit, and what a crash takes: workers go on while a group is written.
	pendingPages = groupPages
	pendingBytes = 64 << 20
)

// change is what one visit does to the job: it is committed whole or not at
// all.
type change struct {
	record  *storage.Record // nil: nothing to store
	done    []frontier.Leased
	retry   []frontier.Leased
	add     []frontier.Request
	known   int // links left out of add because the frontier knows them
	again   []frontier.Request
	hosts   []frontier.HostChange
	robots  *robotsEntry // to be kept
	sitemap string       // origin of a robots.txt whose sitemaps are in add, to be kept; "": none
	silence *keptSilence // of the host, to be kept; nil: as it was
	parts   []partNews   // of sites, to be kept
	roots   []string     // of seeds, to be kept
	round   *Round       // to be kept
	login   *loginState  // to be kept as it is then
	tally   tally
	weight  int64        // bytes of memory that wait with it
	release func()       // called when it is committed or lost; may be nil
	result  chan<- error // told when it is committed or lost; may be nil
}

// minor reports whether ch does no more than finish URLs unfetched, which may wait for
// what comes next.
func (ch *change) minor() bool {
	return ch.record == nil && ch.silence == nil && ch.robots == nil && ch.round == nil && ch.login == nil && ch.sitemap == "" &&
		len(ch.retry)+len(ch.add)+len(ch.hosts)+len(ch.parts)+len(ch.roots) == 0 && ch.release == nil && ch.result == nil
}

// join makes ch do what a minor change does, too.
func (ch *change) join(minor *change) {
	ch.done = append(minor.done, ch.done...)
	ch.again = append(minor.again, ch.again...)
	ch.known += minor.known
	ch.tally.add(&minor.tally)
	ch.weight += minor.weight
}

// committer writes changes in groups, one transaction with one fsync each. It
// is the only writer of the job.
type committer struct {
	job     *Job
	front   *frontier.Frontier
	backend frontier.Backend
	store   storage.Store
	events  Events

	archives *archive // nil: none are written
	room     *reserve
	recent   *recent // URLs that need not be added again

	changes chan *change
	memory  *semaphore.Weighted
	hungry  chan struct{} // a worker waits, as nothing is due
	failed  chan struct{} // closed when a commit failed
	stopped chan struct{} // closed when run returned

	mu     sync.Mutex
	totals counters
	err    error // why failed is closed
}

func newCommitter(j *Job, backend frontier.Backend, store storage.Store, events Events) (*committer, error) {
	totals, err := j.counters()
	if err != nil {
		return nil, err
	}
	return &committer{
		job: j, backend: backend, store: store, events: events,
		recent:  newRecent(),
		changes: make(chan *change, pendingPages),
		memory:  semaphore.NewWeighted(pendingBytes),
		hungry:  make(chan struct{}, 1),
		failed:  make(chan struct{}),
		stopped: make(chan struct{}),
		totals:  totals,
	}, nil
}

// requestWeight is about what a request takes of memory until it is committed, besides
// what is in it.
const requestWeight = 256

func weigh(reqs ...frontier.Request) (bytes int64) {
	for i := range reqs {
		bytes += requestWeight + int64(len(reqs[i].URL)+len(reqs[i].Data))
	}
	return bytes
}

// submit hands a change over without waiting for its commit. It blocks while
// too many bytes wait.
func (c *committer) submit(ch *change) {
	ch.weight = min(ch.weight, pendingBytes)
	// The context has no end: the committer always comes round, even after a
	// failure, and a change that is left behind would leave a URL in no state.
	_ = c.memory.Acquire(context.Background(), ch.weight)
	add := ch.add
	c.changes <- ch
	if c.ordered() {
		for i := range add {
			c.recent.add(add[i].URL)
		}
	}
}

// ordered reports that changes count in the order in which they are handed over, and
// none without all before it: what finds the same URLs later can leave them out.
// With a frontier that others share, a change is dropped whose lease was lost.
func (c *committer) ordered() bool { return c.backend == c.job.backend }

// commit hands a change over and waits until it is durable.
func (c *committer) commit(ch *change) error {
	result := make(chan error, 1)
	ch.result = result
	c.submit(ch)
	return <-result
}

// starved is told when a worker waits, as nothing is due. If nothing will be before
// the group is written, the links that wait here are what it waits for.
func (c *committer) starved() {
	select {
	case c.hungry <- struct{}{}:
	default:
	}
}

// run writes until close. After a failed commit it loses what comes, so that
// no worker hangs.
func (c *committer) run() {
	defer close(c.stopped)
	for first := range c.changes {
		group := c.gather(first)
		err := c.lost()
		if err == nil {
			err = c.writeWithRoom(group)
		}
		c.settle(group, err)
	}
}

// close waits until all that was submitted is written, and returns why not.
func (c *committer) close() error {
	close(c.changes)
	<-c.stopped
	return c.lost()
}

// gather collects the group that begins with first.
func (c *committer) gather(first *change) []*change {
	group := []*change{first}
	bytes := first.weight
	end := time.Now().Add(groupLinger)
	linger := time.NewTimer(groupLinger)
	defer linger.Stop()
	for len(group) < groupPages && bytes < groupBytes {
		select {
		case ch, ok := <-c.changes:
			if !ok {
				return group
			}
			group = append(group, ch)
			bytes += ch.weight
			continue
		default:
		}
		if group[len(group)-1].result != nil {
			return group // somebody waits
		}
		select {
		case ch, ok := <-c.changes:
			if !ok {
				return group
			}
			group = append(group, ch)
			bytes += ch.weight
		case <-c.hungry:
			if c.front.Due().After(end) {
				return group
			}
		case <-linger.C:
			return group
		}
	}
	return group
}

// writeWithRoom is write, when the disk has room for it.
func (c *committer) writeWithRoom(group []*change) error {
	var bytes int64
	for _, ch := range group {
		bytes += ch.weight
	}
	c.room.await(bytes)
	for {
		before := c.job.lastTx()
		err := c.write(group)
		// Elsewhere than in the job's own database, a part may be written already. And
		// when the write or the sync of the page that makes a transaction count has
		// failed, it may count nevertheless: the next run will see.
		again := c.room.commitAgain(err)
		switch {
		case err == nil || !c.ownsAll() || c.job.lastTx() != before:
			return err
		case !again && c.room.waits(err):
			return roomError{err}
		case !again:
			return err
		}
	}
}

// roomError is why a commit failed that waited for room until the run was to end.
type roomError struct{ error }

func (e roomError) Unwrap() error { return e.error }

// ownsAll reports that a commit is one transaction.
func (c *committer) ownsAll() bool { return c.store == c.job.store && c.backend == c.job.backend }

// write commits a group.
func (c *committer) write(group []*change) error {
	began := time.Now()
	group = held(group)
	records := make([]*storage.Record, 0, len(group))
	totals := c.snapshot()
	known := 0
	for _, ch := range group {
		known += ch.known
		if ch.record != nil {
			records = append(records, ch.record)
		}
		totals.add(&ch.tally)
	}
	// What is committed must be in the archives, should the power fail.
	if err := c.archives.sync(); err != nil {
		return c.job.wrap("archive", err)
	}
	batch := batchOf(group, records)
	committed, err := c.apply(group, records, &batch, &totals)
	if err != nil {
		return c.job.wrap("commit to", err)
	}
	c.mu.Lock()
	c.totals = totals
	c.mu.Unlock()
	if !c.ordered() {
		for i := range batch.Add {
			c.recent.add(batch.Add[i].URL)
		}
	}
	_ = c.job.trim(c.job.memory) // for those outside of a run, as of seeds
	c.events.Committed(CommittedEvent{
		Pages: len(records), Added: committed.Added, Known: committed.Known + known, Took: time.Since(began),
	})
	return nil
}

// batchOf is what a group means to the frontier.
func batchOf(group []*change, records []*storage.Record) frontier.Batch {
	adds := 0
	for _, ch := range group {
		adds += len(ch.add)
	}
	batch := frontier.Batch{
		Done: make([]frontier.Leased, 0, len(group)),
		Add:  make([]frontier.Request, 0, adds),
	}
	for _, ch := range group {
		batch.Done = append(batch.Done, ch.done...)
		batch.Retry = append(batch.Retry, ch.retry...)
		batch.Add = append(batch.Add, ch.add...)
		batch.Again = append(batch.Again, ch.again...)
		batch.Hosts = append(batch.Hosts, ch.hosts...)
	}
	batch.Hosts = tallyHosts(batch.Hosts, records)
	return batch
}

// held are the changes of a group whose URLs are still leased: with a frontier
// shared by several processes, others may have been given them meanwhile.
func held(group []*change) []*change {
	lost := func(l frontier.Leased) bool { return l.Lost() }
	return slices.DeleteFunc(slices.Clone(group), func(ch *change) bool {
		return slices.ContainsFunc(ch.done, lost) || slices.ContainsFunc(ch.retry, lost)
	})
}

// acknowledge commits a batch whose results are stored, without what turns out
// to be somebody else's.
func (c *committer) acknowledge(group []*change, batch *frontier.Batch) (frontier.Committed, error) {
	for {
		committed, err := c.front.Commit(context.Background(), batch)
		rest := held(group)
		if !errors.Is(err, frontier.ErrStale) || len(rest) == len(group) {
			return committed, err
		}
		group = rest
		var records []*storage.Record
		for _, ch := range group {
			if ch.record != nil {
				records = append(records, ch.record)
			}
		}
		*batch = batchOf(group, records)
	}
}

// apply makes the group durable: in one transaction when frontier and store
// both live in the job's database, else results first, so that what is
// acknowledged is always stored.
func (c *committer) apply(group []*change, records []*storage.Record, batch *frontier.Batch, totals *counters) (frontier.Committed, error) {
	store, _ := c.store.(*boltstore.Store)
	backend, _ := c.backend.(*boltfrontier.Backend)
	if store != c.job.store {
		if err := c.store.Append(context.Background(), records); err != nil {
			return frontier.Committed{}, err
		}
	}
	inside := func(b *frontier.Batch, do func(*bbolt.Tx) (frontier.Committed, error)) (n frontier.Committed, err error) {
		err = guard(func() error {
			return c.job.db.Update(func(tx *bbolt.Tx) error {
				if store == c.job.store {
					if err := store.AppendTx(tx, records); err != nil {
						return err
					}
				}
				if n, err = do(tx); err != nil {
					return err
				}
				return keep(tx.Bucket(bucketJob), group, totals)
			})
		})
		return n, err
	}
	if backend == c.job.backend {
		return c.front.CommitWith(batch, func(b *frontier.Batch) (frontier.Committed, error) {
			return inside(b, func(tx *bbolt.Tx) (frontier.Committed, error) { return backend.ApplyTx(tx, b) })
		})
	}
	if _, err := inside(nil, func(*bbolt.Tx) (n frontier.Committed, err error) { return n, nil }); err != nil {
		return frontier.Committed{}, err
	}
	return c.acknowledge(group, batch)
}

// keep writes what belongs to the job itself: counters, seeds' roots, robots and so on.
func keep(b *bbolt.Bucket, group []*change, totals *counters) error {
	text, err := json.Marshal(totals)
	if err != nil {
		return err
	}
	if err := b.Put(keyCounters, text); err != nil {
		return err
	}
	for _, ch := range group {
		for _, root := range ch.roots {
			if err := b.Bucket(bucketRoots).Put([]byte(root), nil); err != nil {
				return err
			}
		}
		if ch.round != nil {
			if err := ch.round.put(b); err != nil {
				return err
			}
		}
		if ch.login != nil {
			if err := ch.login.put(b.Bucket(bucketLogins)); err != nil {
				return err
			}
		}
		if ch.silence != nil {
			if err := ch.silence.put(b.Bucket(bucketSilent)); err != nil {
				return err
			}
		}
		for i := range ch.parts {
			if err := ch.parts[i].put(b.Bucket(bucketNovelty)); err != nil {
				return err
			}
		}
		if ch.sitemap != "" {
			if err := noteSitemaps(b.Bucket(bucketRobots), ch.sitemap); err != nil {
				return err
			}
		}
		if ch.robots == nil {
			continue
		}
		if err := ch.robots.put(b.Bucket(bucketRobots)); err != nil {
			return err
		}
	}
	return nil
}

// settle tells everybody what became of the group.
func (c *committer) settle(group []*change, err error) {
	if err != nil {
		c.fail(err)
	}
	for _, ch := range group {
		c.memory.Release(ch.weight)
		if ch.release != nil {
			ch.release()
		}
		if ch.result != nil {
			ch.result <- err
		}
	}
}

func (c *committer) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = err
		close(c.failed)
	}
}

// lost returns why a commit failed, or nil.
func (c *committer) lost() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

func (c *committer) snapshot() counters {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.totals.clone()
}
