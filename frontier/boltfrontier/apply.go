package boltfrontier

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"time"

	"go.etcd.io/bbolt"

	"github.com/orbweaver/orbweaver/frontier"
)

// Apply implements frontier.Backend in a transaction of its own.
func (b *Backend) Apply(_ context.Context, batch *frontier.Batch) (c frontier.Committed, err error) {
	err = update(b.db, func(tx *bbolt.Tx) error {
		c, err = b.ApplyTx(tx, batch)
		return err
	})
	return c, err
}

// ApplyTx makes batch part of tx, a writing transaction of the Backend's database: see frontier.Frontier.CommitWith.
// What is in memory changes when tx is committed; until then batch stays as it is. After an error tx must be rolled
// back.
func (b *Backend) ApplyTx(tx *bbolt.Tx, batch *frontier.Batch) (frontier.Committed, error) {
	t, err := openTree(tx)
	if err != nil {
		return frontier.Committed{}, err
	}
	counts, err := readCounts(t.meta)
	if err != nil {
		return frontier.Committed{}, err
	}
	if err := b.beginLogs(t); err != nil {
		return frontier.Committed{}, err
	}
	a := applying{b: b, t: t, batch: batch, counts: counts, hosts: counts.hosts, now: nanos(time.Now()), scratch: b.scratch.begin(tx)}
	if err := a.run(); err != nil {
		return frontier.Committed{}, err
	}
	a.result.Stats = a.counts.since(&counts)
	a.result.Hosts = a.result.Stats.Hosts
	tx.OnCommit(func() { b.committed(batch) })
	return a.result, nil
}

// committed forgets that what batch ended was taken.
func (b *Backend) committed(batch *frontier.Batch) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, ended := range [...][]frontier.Leased{batch.Done, batch.Retry} {
		for i := range ended {
			id, ref, n := parsePosition(ended[i].Position())
			if c := b.claims[id]; c != nil {
				c.taken = setBits(c.taken, ref, bitsOf(c.taken, ref)&^(1<<n))
			}
		}
	}
}

// scratch is memory that lives as long as a writing transaction and is used again by the next one.
type scratch struct {
	tx    int    // id of the transaction; the one after a rolled back one has the same, and goes on
	arena []byte // values given to bbolt, which must stay as they are until the end of the transaction
	part  []byte
	other host // than the one at work

	names map[string]int32
	works []work
	links []int32
	fps   []fingerprint
	order []int32
}

// Bounds of what is kept for the next transaction.
const (
	maxScratch      = 4 << 20 // bytes
	maxScratchItems = 1 << 17 // elements of the other slices
)

func (s *scratch) begin(tx *bbolt.Tx) *scratch {
	if id := tx.ID(); s.tx != id {
		s.tx = id
		s.arena = reuse(s.arena, maxScratch)
	}
	s.part = reuse(s.part, maxScratch)
	s.works = reuse(s.works, maxScratchItems)
	s.links = reuse(s.links, maxScratchItems)
	s.fps = reuse(s.fps, maxScratchItems)
	s.order = reuse(s.order, maxScratchItems)
	if s.names == nil || len(s.names) > maxScratchItems {
		s.names = make(map[string]int32)
	}
	clear(s.names)
	return s
}

// reuse empties s, or drops it if it has grown beyond most.
func reuse[T any](s []T, most int) []T {
	if cap(s) > most {
		return nil
	}
	return s[:0]
}

// alloc returns an empty slice of the arena with room for n bytes.
func (s *scratch) alloc(n int) []byte {
	if cap(s.arena)-len(s.arena) < n {
		s.arena = make([]byte, 0, max(n, 2*cap(s.arena), 64<<10)) // bbolt holds on to the old one as long as it must
	}
	at := len(s.arena)
	s.arena = s.arena[:at+n]
	return s.arena[at : at : at+n]
}

// keep copies v into the arena.
func (s *scratch) keep(v []byte) []byte { return append(s.alloc(len(v)), v...) }

// work is the part of a batch that concerns one host: linked lists of indexes into each of the batch's slices.
type work struct {
	name        string
	id          uint32
	new         bool             // nobody named it before
	first, last [workKinds]int32 // of each kind; -1: none
}

// Kinds of work, in the order in which they are done.
const (
	workChange = iota
	workDone
	workRetry
	workAgain
	workAdd
	workKinds
)

// applying is a batch on its way into a transaction.
type applying struct {
	*scratch
	b      *Backend
	t      *tree
	batch  *frontier.Batch
	starts [workKinds]int // of each kind's indexes in links
	counts counts
	hosts  uint64 // how many there were
	now    int64
	result frontier.Committed

	host  host    // at work
	only  bool    // all that changes of it is that requests are added
	enc   encoder // of its requests
	ready int64   // when the first of its new requests can be taken; MaxInt64: it has none
	known []byte  // its record as it was
}

func (a *applying) run() error {
	if err := a.group(); err != nil {
		return err
	}
	for i := range a.works {
		if err := a.apply(&a.works[i]); err != nil {
			return fmt.Errorf("boltfrontier: host %s: %w", a.works[i].name, err)
		}
	}
	if err := a.t.logs.finish(a.t, a.counts.known, a.hosts != a.counts.hosts, a.scratch); err != nil {
		return err
	}
	return a.t.meta.Put(countsKey, a.counts.encode(a.alloc(countsSize)))
}

// group sorts the batch by host, in the order of ids.
func (a *applying) group() error {
	b := a.batch
	kinds := [workKinds]struct {
		n    int
		host func(int) string
	}{
		workChange: {len(b.Hosts), func(i int) string { return b.Hosts[i].Host }},
		workDone:   {len(b.Done), func(i int) string { return b.Done[i].Host }},
		workRetry:  {len(b.Retry), func(i int) string { return b.Retry[i].Host }},
		workAgain:  {len(b.Again), func(i int) string { return b.Again[i].Host }},
		workAdd:    {len(b.Add), func(i int) string { return b.Add[i].Host }},
	}
	var last *work
	for kind, of := range kinds {
		a.starts[kind] = len(a.links)
		for i := range of.n {
			if name := of.host(i); last == nil || last.name != name {
				last = a.work(name)
			}
			a.link(last, kind)
		}
	}
	for i := range a.works {
		w := &a.works[i]
		var err error
		if w.id, err = a.b.hostID(a.t, w.name); err != nil {
			return err
		}
	}
	// New hosts, with id 0, come last: their ids grow.
	slices.SortStableFunc(a.works, func(v, w work) int { return cmp.Compare(v.id-1, w.id-1) })
	return nil
}

// link adds the next index to a kind of work.
func (a *applying) link(w *work, kind int) {
	at := int32(len(a.links))
	a.links = append(a.links, -1)
	if w.first[kind] < 0 {
		w.first[kind] = at
	} else {
		a.links[w.last[kind]] = at
	}
	w.last[kind] = at
}

// work returns the work for a host. The pointer is good until the next call.
func (a *applying) work(name string) *work {
	i, ok := a.names[name]
	if !ok {
		i = int32(len(a.works))
		a.names[name] = i
		none := [workKinds]int32{-1, -1, -1, -1, -1}
		a.works = append(a.works, work{name: name, first: none, last: none})
	}
	return &a.works[i]
}

// each calls fn for each index of a kind of work.
func (a *applying) each(w *work, kind int, fn func(int) error) error {
	for at := w.first[kind]; at >= 0; at = a.links[at] {
		if err := fn(int(at) - a.starts[kind]); err != nil {
			return err
		}
	}
	return nil
}

// apply does the work for one host.
func (a *applying) apply(w *work) error {
	// That nothing of it is new is the usual end of what links to a host: then not even its record is needed.
	a.only, a.fps = w.adds(), a.fps[:0]
	if a.only && w.id != 0 {
		if fresh, err := a.see(w, workAdd, a.batch.Add); err != nil || fresh == 0 {
			a.result.Known += len(a.fps)
			return err
		}
	}
	if err := a.open(w); err != nil {
		return err
	}
	a.ready = math.MaxInt64
	if !a.only {
		if err := a.deliver(); err != nil {
			return err
		}
	}
	idle, due, usage := a.host.pending == 0, a.host.due, a.host.usage()
	steps := [...]func(*work) error{a.change, a.done, a.retry, a.again, a.add}
	for _, step := range steps {
		if err := step(w); err != nil {
			return err
		}
	}
	if idle && a.host.pending > 0 {
		a.host.next = max(a.host.next, a.now) // a host that comes anew queues up behind the others
	}
	a.host.settle()
	if err := a.t.place(&a.host); err != nil {
		return err
	}
	if a.host.due != 0 && (due == 0 || a.host.due < due) || a.ready != math.MaxInt64 {
		ready := frontier.Ready{Host: w.name, Due: fromNanos(a.host.due)}
		if a.ready != math.MaxInt64 {
			ready.At = fromNanos(a.ready)
		}
		a.result.Ready = append(a.result.Ready, ready)
	}
	if now := a.host.usage(); now != usage {
		a.result.Usage = append(a.result.Usage, frontier.Used{Host: w.name, Usage: now})
	}
	return a.close()
}

// adds reports whether there is no other work than to add requests.
func (w *work) adds() bool {
	for kind, first := range w.first {
		if kind != workAdd && first >= 0 {
			return false
		}
	}
	return true
}

// deliver puts what the inbox has of the host into its queue, which must be before anything else changes there.
func (a *applying) deliver() error {
	_, err := a.t.deliver(&a.host, a.alloc)
	return err
}

// open reads the host's record or makes a new one.
func (a *applying) open(w *work) error {
	if w.id != 0 {
		key := idKey(w.id)
		if a.known = a.t.hosts.Get(key); a.known == nil {
			return corrupt(hostsBucket, key, "is missing")
		}
		return decodeHost(&a.host, w.id, a.known)
	}
	if a.counts.hosts >= math.MaxUint32 {
		return fmt.Errorf("%d hosts are all that can be told apart", a.counts.hosts)
	}
	a.counts.hosts++
	w.id, w.new = uint32(a.counts.hosts), true
	a.known = nil
	a.host = host{id: w.id, name: []byte(w.name), open: a.host.open[:0]}
	return a.t.names.Put(a.host.name, a.keep(idKey(w.id)))
}

// close writes the record if it has changed.
func (a *applying) close() error {
	a.part = a.host.encode(a.part[:0])
	if slices.Equal(a.part, a.known) {
		return nil
	}
	return a.t.put(&a.host, a.keep(a.part))
}

func (a *applying) done(w *work) error {
	return a.each(w, workDone, func(i int) error {
		a.counts.done++
		return a.end(&a.batch.Done[i])
	})
}

// end strikes a leased request out of its chunk, and deletes the chunk when it was the last.
func (a *applying) end(l *frontier.Leased) error {
	id, ref, i := parsePosition(l.Position())
	key := ref.key(a.host.id)
	chunk := a.t.queue.Get(key)
	struck := bitsOf(a.host.open, ref)
	switch {
	case id != a.host.id || len(chunk) == 0 || i >= int(chunk[0]) || struck&(1<<i) != 0:
		return fmt.Errorf("%w: %s", frontier.ErrNotLeased, l.URL)
	case a.host.pending == 0 || (ref.kind == kindLater && a.host.later == 0):
		return corrupt(hostsBucket, idKey(a.host.id), "counts fewer requests than there are")
	}
	a.host.pending--
	a.counts.pending--
	if ref.kind == kindLater {
		a.host.later--
	}
	if a.host.since == 0 {
		a.host.since = a.now
	}
	struck |= 1 << i
	if bits.OnesCount64(struck) < int(chunk[0]) {
		a.host.open = setBits(a.host.open, ref, struck)
		return nil
	}
	a.host.open = setBits(a.host.open, ref, 0)
	return a.t.queue.Delete(key)
}

func (a *applying) retry(w *work) error {
	a.order = a.order[:0]
	err := a.each(w, workRetry, func(i int) error {
		a.order = append(a.order, int32(i))
		return a.end(&a.batch.Retry[i])
	})
	if err != nil {
		return err
	}
	return a.queue(func(i int32) *frontier.Request { return &a.batch.Retry[i].Request })
}

// again queues requests that are done, and adds those that are not known.
func (a *applying) again(w *work) error {
	if w.first[workAgain] < 0 {
		return nil
	}
	if _, err := a.see(w, workAgain, a.batch.Again); err != nil {
		return err
	}
	a.order = a.order[:0]
	for i, f := range a.fps {
		if f.known && (i == 0 || a.fps[i-1].fp != f.fp) && a.mayBegin(w, a.batch.Again[f.index].URL) {
			a.order = append(a.order, f.index)
		}
	}
	n := uint64(len(a.order))
	done := a.host.known - a.host.pending - a.host.dropped
	lost := n - min(n, done) // of those that were dropped for good
	if lost > a.host.dropped-a.host.kept {
		return fmt.Errorf("%w: %d requests begin again, %d are done", frontier.ErrNotDone, n, done)
	}
	a.counts.done -= n - lost
	a.host.dropped -= lost
	a.counts.undrop(lost)
	if a.host.closed == frontier.NotClosed {
		a.result.Again += len(a.order)
	}
	slices.Sort(a.order)
	if err := a.queue(func(i int32) *frontier.Request { return &a.batch.Again[i] }); err != nil {
		return err
	}
	return a.queueNew(a.batch.Again)
}

// mayBegin reports whether a known URL of Again may be done: what a host has dropped, the caller does not know.
func (a *applying) mayBegin(w *work, url string) (ended bool) {
	if a.host.closed == frontier.NotClosed && !a.host.is(flagReopened) {
		return true
	}
	_ = a.each(w, workDone, func(i int) error {
		ended = ended || a.batch.Done[i].URL == url
		return nil
	})
	return ended
}

func (a *applying) add(w *work) error {
	if !a.only || len(a.fps) == 0 { // else apply has asked
		if _, err := a.see(w, workAdd, a.batch.Add); err != nil {
			return err
		}
	}
	known := a.counts.known
	err := a.queueNew(a.batch.Add)
	a.result.Known += len(a.fps) - int(a.counts.known-known)
	return err
}

// see adds the fingerprints of requests to what the host, which has an id, has seen: a.fps tells which were known. It returns the
// number of the others.
func (a *applying) see(w *work, kind int, reqs []frontier.Request) (fresh int, err error) {
	a.fps = a.fps[:0]
	_ = a.each(w, kind, func(i int) error {
		a.fps = append(a.fps, fingerprint{fp: frontier.Fingerprint(a.b.key, reqs[i].URL), index: int32(i)})
		return nil
	})
	slices.SortFunc(a.fps, func(f, g fingerprint) int {
		if c := cmp.Compare(f.fp, g.fp); c != 0 {
			return c
		}
		return cmp.Compare(f.index, g.index)
	})
	if err := a.t.addSeen(w.id, w.new, a.fps); err != nil {
		return 0, err
	}
	for _, f := range a.fps {
		if !f.known {
			fresh++
		}
	}
	return fresh, nil
}

// queueNew queues those of requests that a.fps tells to be new.
func (a *applying) queueNew(reqs []frontier.Request) error {
	a.order = a.order[:0]
	for _, f := range a.fps {
		if !f.known {
			a.order = append(a.order, f.index)
		}
	}
	added := len(a.order)
	if added == 0 {
		return nil
	}
	a.counts.known += uint64(added)
	if a.host.closed == frontier.NotClosed {
		a.result.Added += added
	}
	slices.Sort(a.order)
	if posted, err := a.post(reqs); posted || err != nil {
		return err
	}
	if err := a.deliver(); err != nil {
		return err
	}
	a.host.known += uint64(added)
	return a.queue(func(i int32) *frontier.Request { return &reqs[i] })
}

// post puts the requests of a.order into the inbox, if they and the host are of the kind that may be there.
func (a *applying) post(reqs []frontier.Request) (posted bool, err error) {
	h := &a.host
	if !a.only || len(a.order) > inboxRequests || !h.posts() {
		return false, nil
	}
	ref := a.refOf(&reqs[a.order[0]])
	a.part = append(a.part[:0], byte(len(a.order)))
	a.enc.restart()
	for _, i := range a.order {
		r := &reqs[i]
		if a.refOf(r) != ref || ref.kind != kindQueue {
			return false, nil
		}
		a.part = a.enc.append(a.part, h.name, r)
	}
	if posted, err = a.b.post(a.t, h.id, ref.class, a.part, a.scratch); posted {
		a.count(len(a.order), ref.at)
	}
	return posted, err
}

func (a *applying) change(w *work) error {
	return a.each(w, workChange, func(i int) error {
		c, h := &a.batch.Hosts[i], &a.host
		if c.Delay != nil {
			h.delay = max(0, int64(*c.Delay))
		}
		h.blocked = max(h.blocked, nanos(c.BlockedUntil))
		if c.Paused != nil && *c.Paused != h.is(flagPaused) {
			h.set(flagPaused, *c.Paused)
			if *c.Paused {
				a.counts.paused++
			} else {
				a.counts.paused--
			}
		}
		if c.Closed != nil {
			a.setClosed(h.closed.Then(*c.Closed))
		}
		h.pages = satAdd(h.pages, c.Fetched)
		h.bytes = satAdd(h.bytes, c.Bytes)
		return nil
	})
}

// setClosed changes what the host is closed for. What it has kept waits again, or waits to be dropped for the new reason.
func (a *applying) setClosed(why frontier.Closure) {
	h := &a.host
	if why == h.closed {
		return
	}
	if h.kept > 0 {
		h.pending += h.kept
		h.dropped -= h.kept
		a.counts.pending += h.kept
		a.counts.dropped[h.closed] -= h.kept
		h.kept = 0
		h.set(flagReopened, true)
		a.ready = 0
	}
	if h.closed != frontier.NotClosed {
		a.counts.closed--
	}
	if why != frontier.NotClosed {
		a.counts.closed++
	}
	h.closed = why
}

// satAdd is the sum of two numbers that are not negative, or the greatest number.
func satAdd(n, m int64) int64 {
	if n > math.MaxInt64-m {
		return math.MaxInt64
	}
	return n + m
}

// refOf tells where a request is to be queued.
func (a *applying) refOf(r *frontier.Request) chunkRef {
	if at := nanos(r.NotBefore); at > a.now {
		return chunkRef{kind: kindLater, at: at}
	}
	return chunkRef{kind: kindQueue, class: classOf(r.Priority)}
}

// queue appends the requests of a.order to the host's queue, or drops them if it is closed and does not keep them. Requests for
// the same place stay in order.
func (a *applying) queue(get func(int32) *frontier.Request) error {
	if why := a.host.closed; why != frontier.NotClosed && !why.Keeps() {
		a.host.dropped += uint64(len(a.order))
		a.count(len(a.order), 0)
		return nil
	}
	slices.SortStableFunc(a.order, func(i, j int32) int {
		p, q := a.refOf(get(i)), a.refOf(get(j))
		return cmp.Or(cmp.Compare(p.kind, q.kind), cmp.Compare(p.class, q.class), cmp.Compare(p.at, q.at))
	})
	for n := 0; n < len(a.order); {
		ref := a.refOf(get(a.order[n]))
		end := n + 1
		for end < len(a.order) && a.refOf(get(a.order[end])) == ref {
			end++
		}
		if err := a.appendChunks(ref, a.order[n:end], get); err != nil {
			return err
		}
		a.host.queued(uint64(end - n))
		if ref.kind == kindLater {
			a.host.later += uint64(end - n)
		}
		a.count(end-n, ref.at)
		n = end
	}
	return nil
}

// count counts n new requests of the host, of which the first can be taken from at on, unless it is closed and they are dropped.
func (a *applying) count(n int, at int64) {
	if why := a.host.closed; why != frontier.NotClosed {
		a.counts.dropped[why] += uint64(n)
		a.result.Dropped += n
		return
	}
	a.counts.pending += uint64(n)
	a.ready = min(a.ready, at)
}

// appendChunks appends requests at one place: to the last chunk there, as long as it has room, and to new ones.
func (a *applying) appendChunks(ref chunkRef, order []int32, get func(int32) *frontier.Request) error {
	a.part = a.part[:0]
	if last, chunk, err := a.t.lastChunk(a.host.id, ref); err != nil {
		return err
	} else if len(chunk) > 0 && len(chunk) < chunkBytes && chunk[0] < chunkRequests {
		ref.seq = last
		a.part = append(a.part, chunk...)
	}
	a.enc.restart()
	flush := func() error {
		err := a.t.queue.Put(ref.key(a.host.id), a.keep(a.part))
		a.part = a.part[:0]
		return err
	}
	for _, i := range order {
		if len(a.part) > 0 && (a.part[0] == chunkRequests || len(a.part) >= chunkBytes) {
			if err := flush(); err != nil {
				return err
			}
		}
		if len(a.part) == 0 {
			if err := a.host.newChunk(&ref); err != nil {
				return err
			}
			a.part = append(a.part, 0)
			a.enc.restart()
		}
		a.part[0]++
		a.part = a.enc.append(a.part, a.host.name, get(i))
	}
	return flush()
}

// lastChunk returns the seq and the bytes of the last chunk at a place of a host's queue; none if there is no chunk.
func (t *tree) lastChunk(id uint32, ref chunkRef) (seq uint64, chunk []byte, err error) {
	c := t.queue.Cursor()
	ref.seq = math.MaxUint64
	end := ref.key(id)
	k, v := c.Seek(end)
	if k == nil {
		// With all of its pages emptied by this transaction, Last would never return.
		if k, _ = c.First(); k != nil {
			k, v = c.Last()
		}
	} else {
		k, v = c.Prev()
	}
	if n := len(end) - 8; len(k) == len(end) && string(k[:n]) == string(end[:n]) {
		return binary.BigEndian.Uint64(k[n:]), v, nil
	}
	return 0, nil, nil
}
