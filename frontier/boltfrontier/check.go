package boltfrontier

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"

	"go.etcd.io/bbolt"

	"github.com/orbweaver/orbweaver/frontier"
)

const (
	// checkSet bounds the memory of Check: of a host with more requests, that many fingerprints are compared at a time.
	checkSet = 1 << 20

	// checkErrors is how many contradictions Check tells of.
	checkErrors = 100
)

// Check implements frontier.Backend. It reads the whole database, in one transaction. Its memory is bounded.
func (b *Backend) Check(ctx context.Context) error {
	c := checking{key: b.key}
	err := b.view(func(t *tree) error {
		c.t = t
		return c.run(ctx)
	})
	return errors.Join(append(c.errs, err)...)
}

// checking is a Check under way.
type checking struct {
	t    *tree
	key  uint64
	errs []error

	inbox   map[uint32][]posted    // of each host
	recent  map[recentKey]struct{} // the log
	log     map[uint32]uint64      // how many of it each host has
	found   counts                 // as counted
	dropped uint64                 // by the hosts
	due     int                    // hosts that must be in the due index
}

var errEnough = errors.New("boltfrontier: there may be more; the check has ended here")

// wrong notes a contradiction. It returns an error when there have been too many.
func (c *checking) wrong(bucket, key []byte, format string, args ...any) error {
	c.errs = append(c.errs, corrupt(bucket, key, fmt.Sprintf(format, args...)))
	if len(c.errs) >= checkErrors {
		return errEnough
	}
	return nil
}

// note is wrong for an error that tells of damage; other errors are returned.
func (c *checking) note(err error) error {
	var damage *CorruptError
	if errors.As(err, &damage) && len(c.errs) < checkErrors {
		c.errs = append(c.errs, err)
		return nil
	}
	return err
}

func (c *checking) run(ctx context.Context) error {
	counts, err := readCounts(c.t.meta)
	if err != nil {
		return err
	}
	if err := errors.Join(c.readLog(), c.readInbox()); err != nil {
		return err
	}
	var h host
	cursor := c.t.hosts.Cursor()
	for k, v := cursor.First(); k != nil; k, v = cursor.Next() {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := hostAt(&h, k, v); err != nil {
			if err := c.note(err); err != nil {
				return err
			}
			continue
		}
		if err := c.note(c.host(ctx, &h)); err != nil {
			return err
		}
	}
	for why, n := range counts.dropped {
		c.dropped -= n
		if !frontier.Closure(why).Keeps() {
			c.found.dropped[why] = n // a host does not know what for, only how many
		}
	}
	if c.found != counts || c.dropped != 0 {
		if err := c.wrong(metaBucket, countsKey, "hosts, known, pending, done, paused, closed, dropped are %v, found %v and %d more dropped",
			counts, c.found, int64(c.dropped)); err != nil {
			return err
		}
	}
	return errors.Join(c.orphans(), c.dueIndex(), c.names())
}

// readLog reads the log of fingerprints, of which each is there once.
func (c *checking) readLog() error {
	if _, err := readVersion(c.t); err != nil {
		return err
	}
	c.recent, c.log = make(map[recentKey]struct{}), make(map[uint32]uint64)
	var stop error
	err := c.t.eachRecent(func(seq uint64, k recentKey) bool {
		if _, twice := c.recent[k]; twice {
			stop = c.wrong(recentBucket, seqKey(seq), "fingerprint %x of host %d is there twice", k.fp(), k.id)
		}
		if key := idKey(k.id); c.t.hosts.Get(key) == nil {
			stop = errors.Join(stop, c.wrong(recentBucket, seqKey(seq), "host %d is not there", k.id))
		}
		c.recent[k] = struct{}{}
		c.log[k.id]++
		return stop == nil
	})
	return errors.Join(stop, c.note(err))
}

// readInbox reads the inbox.
func (c *checking) readInbox() error {
	c.inbox = make(map[uint32][]posted)
	var h host
	err := c.t.eachArrival(func(position uint64, id uint32, class byte, chunk []byte) error {
		if err := c.t.host(&h, id); err != nil {
			return err
		}
		if position > h.merged {
			c.inbox[id] = append(c.inbox[id], posted{position, class, chunk})
		}
		return nil
	})
	return c.note(err)
}

// knows reports whether fp was added to host id.
func (c *checking) knows(id uint32, fp uint64) (bool, error) {
	if _, found := c.recent[recentKeyOf(id, fp)]; found {
		return true, nil
	}
	return c.t.hasSeen(id, fp)
}

// host checks all that belongs to one host.
func (c *checking) host(ctx context.Context, h *host) error {
	key := idKey(h.id)
	inbox := c.inbox[h.id]
	if len(inbox) > 0 && !h.posts() {
		if err := c.wrong(inboxBucket, seqKey(inbox[0].position), "the host may have nothing here"); err != nil {
			return err
		}
	}
	all := *h
	for _, p := range inbox {
		all.receive(p.chunk)
	}
	c.found.hosts++
	c.found.known += all.known
	c.found.pending += all.pending
	c.found.done += all.known - all.pending - all.dropped
	c.found.dropped[h.closed] += all.kept
	c.dropped += all.dropped
	if h.is(flagPaused) {
		c.found.paused++
	}
	if h.closed != frontier.NotClosed {
		c.found.closed++
	}
	if id, err := c.t.hostID(string(h.name)); err != nil {
		return err
	} else if id != h.id {
		return c.wrong(hostsBucket, key, "name %q has id %d", h.name, id)
	}
	due, err := c.t.dueAt(h)
	if err != nil {
		return err
	}
	if due != h.due {
		if err := c.wrong(hostsBucket, key, "is due at %d, noted %d", due, h.due); err != nil {
			return err
		}
	}
	if h.due != 0 {
		c.due++
		if k := dueKey(h.due, h.id); c.t.due.Get(k[:]) == nil {
			if err := c.wrong(dueBucket, k[:], "is missing"); err != nil {
				return err
			}
		}
	}
	if err := c.seenOf(h); err != nil {
		return err
	}
	if err := c.chunksOf(h); err != nil {
		return err
	}
	return c.requestsOf(ctx, h)
}

// seenOf checks that the fingerprints of a host are in order and as many as are counted.
func (c *checking) seenOf(h *host) error {
	id := idKey(h.id)
	var last uint64
	known, both := uint64(0), uint64(0) // both: in the log, too
	cursor := c.t.seen.Cursor()
	for k, v := cursor.Seek(id); bytes.HasPrefix(k, id); k, v = cursor.Next() {
		_, lower, err := parseSeenKey(k)
		if err != nil {
			return err
		}
		if len(v) == 0 || len(v)%8 != 0 || (known == 0) != (lower == 0) || (known > 0 && prefix(last) >= lower) {
			return corrupt(seenBucket, k, "not a set of fingerprints")
		}
		for ; len(v) > 0; v = v[8:] {
			fp := binary.BigEndian.Uint64(v)
			if prefix(fp) < lower || (known > 0 && fp <= last) {
				return corrupt(seenBucket, k, "fingerprints out of order")
			}
			last = fp
			known++
			if _, found := c.recent[recentKeyOf(h.id, fp)]; found {
				both++
			}
		}
	}
	for _, p := range c.inbox[h.id] {
		known -= uint64(p.chunk[0])
	}
	if known += c.log[h.id] - both; known != h.known {
		return c.wrong(hostsBucket, id, "has %d fingerprints, counts %d", known, h.known)
	}
	return nil
}

// chunksOf checks what the host's record says of its chunks.
func (c *checking) chunksOf(h *host) error {
	for i, o := range h.open {
		key := o.ref.key(h.id)
		v := c.t.queue.Get(key)
		if len(v) == 0 || o.bits == 0 || bits.Len64(o.bits) > int(v[0]) || bits.OnesCount64(o.bits) >= int(v[0]) ||
			bitsOf(h.open[:i], o.ref) != 0 {
			if err := c.wrong(queueBucket, key, "bits %b do not fit the chunk", o.bits); err != nil {
				return err
			}
		}
	}
	return nil
}

// requestsOf checks that each request of a host waits once and was added, and that they are as many as are counted.
func (c *checking) requestsOf(ctx context.Context, h *host) error {
	passes := (h.pending+h.kept)/checkSet + 1
	step := ^uint64(0)/passes + 1 // 0 when there is one pass
	if passes == 1 {
		step = 0
	}
	for pass := range passes {
		waiting := make(map[uint64]struct{})
		var queued, later uint64
		var stop error
		err := c.t.eachRequest(ctx, h, c.inbox[h.id], func(ref chunkRef, d *decoder) bool {
			queued++
			if ref.seq == 0 {
				queued-- // not counted in the record
			}
			if ref.kind == kindLater {
				later++
			}
			if ref.seq > h.seq {
				stop = c.wrong(queueBucket, ref.key(h.id), "seq is greater than the host's last")
			}
			if (ref.kind == kindLater && d.notBefore != ref.at) || (ref.kind == kindQueue && classOf(d.priority) != ref.class) {
				stop = errors.Join(stop, c.wrong(queueBucket, ref.key(h.id), "%s is in the wrong place", d.url))
			}
			fp := frontier.Fingerprint(c.key, string(d.url))
			if step != 0 && fp/step != pass {
				return stop == nil
			}
			if _, twice := waiting[fp]; twice {
				stop = c.wrong(queueBucket, ref.key(h.id), "%s waits twice", d.url)
			}
			waiting[fp] = struct{}{}
			if ok, err := c.knows(h.id, fp); err != nil {
				stop = err
			} else if !ok {
				stop = c.wrong(queueBucket, ref.key(h.id), "%s waits and was never added", d.url)
			}
			return stop == nil
		})
		if err = errors.Join(stop, err); err != nil {
			return err
		}
		if queued != h.pending+h.kept || later != h.later {
			return c.wrong(hostsBucket, idKey(h.id), "has %d requests, %d later, counts %d waiting, %d kept, %d later",
				queued, later, h.pending, h.kept, h.later)
		}
	}
	return nil
}

// orphans checks that nothing belongs to a host without a record.
func (c *checking) orphans() error {
	for _, b := range [...]struct {
		name   []byte
		bucket *bbolt.Bucket
	}{{seenBucket, c.t.seen}, {queueBucket, c.t.queue}} {
		cursor := b.bucket.Cursor()
		for k, _ := cursor.First(); k != nil; {
			if len(k) < 4 {
				return corrupt(b.name, k, "no id")
			}
			id := binary.BigEndian.Uint32(k)
			if c.t.hosts.Get(k[:4]) == nil {
				if err := c.wrong(b.name, k, "belongs to no host"); err != nil {
					return err
				}
			}
			if id == ^uint32(0) {
				break
			}
			k, _ = cursor.Seek(idKey(id + 1))
		}
	}
	return nil
}

// dueIndex checks that the due index has no other entries than those of the hosts.
func (c *checking) dueIndex() error {
	n := 0
	cursor := c.t.due.Cursor()
	for k, _ := cursor.First(); k != nil; k, _ = cursor.Next() {
		if n++; len(k) != 12 {
			return corrupt(dueBucket, k, "not 12 bytes")
		}
	}
	if n != c.due {
		return c.wrong(dueBucket, nil, "has %d entries for %d hosts", n, c.due)
	}
	return nil
}

// names checks that there are as many names as hosts; that they belong together was seen with the hosts.
func (c *checking) names() error {
	n := uint64(0)
	cursor := c.t.names.Cursor()
	for k, _ := cursor.First(); k != nil; k, _ = cursor.Next() {
		n++
	}
	if n != c.found.hosts {
		return c.wrong(namesBucket, nil, "has %d names for %d hosts", n, c.found.hosts)
	}
	return nil
}
