package boltfrontier

import (
	"bytes"
	"context"
	"time"

	"github.com/orbweaver/orbweaver/frontier"
)

// Lookup implements frontier.Backend. For a URL that was added it reads the host's queue, until it finds it.
func (b *Backend) Lookup(ctx context.Context, name, url string) (frontier.Status, error) {
	var s frontier.Status
	var at frontier.Position
	taken := b.takenOf(name)
	err := b.view(func(t *tree) error {
		id, err := t.hostID(name)
		if err != nil || id == 0 {
			return err
		}
		var h host
		if err := t.host(&h, id); err != nil {
			return err
		}
		s.Host = frontier.HostStatus{
			Name: name, Delay: time.Duration(h.delay), Next: fromNanos(h.next), Blocked: fromNanos(h.blocked),
			Paused: h.is(flagPaused), Closed: h.closed,
			Usage: h.usage(),
		}
		posted, err := t.posted(&h)
		if err != nil {
			return err
		}
		for _, p := range posted {
			h.receive(p.chunk)
		}
		s.Host.Waiting, s.Host.Dropped, s.Host.Known = int(h.pending), int(h.dropped), int(h.known)
		if h.known == 0 {
			return nil
		}
		if ok, err := t.knows(id, frontier.Fingerprint(b.key, url)); err != nil || !ok {
			return err
		}
		s.State = frontier.StateDone
		return t.eachRequest(ctx, &h, posted, func(ref chunkRef, d *decoder) bool {
			if string(d.url) != url {
				return true
			}
			s.State, s.Request = frontier.StateWaiting, d.request(name)
			at = ref.position(id, d.index)
			return false
		})
	})
	if err != nil {
		return frontier.Status{}, err
	}
	if s.State == frontier.StateWaiting {
		if _, ref, i := parsePosition(at); bitsOf(taken, ref)&(1<<i) != 0 {
			s.State = frontier.StateLeased
		} else if s.Host.Closed.Keeps() { // if not yet, then in a moment
			s.State = frontier.StateDropped
		}
	}
	return s, nil
}

// takenOf returns what is taken of a host.
func (b *Backend) takenOf(name string) (taken []openChunk) {
	_ = b.view(func(t *tree) error {
		id, err := t.hostID(name)
		if err != nil {
			return err
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		if c := b.claims[id]; c != nil {
			taken = append(taken, c.taken...)
		}
		return nil
	})
	return taken
}

// posted is an entry of the inbox that counts.
type posted struct {
	position uint64
	class    byte
	chunk    []byte // good until the end of the transaction
}

// posted reads what the inbox has of a host. It reads the whole inbox: readers may not look at a writer's memory.
func (t *tree) posted(h *host) (all []posted, err error) {
	err = t.eachArrival(func(position uint64, id uint32, class byte, chunk []byte) error {
		if id == h.id && position > h.merged {
			all = append(all, posted{position, class, chunk})
		}
		return nil
	})
	return all, err
}

// eachRequest calls fn for each request of a host that is not done, until fn returns false: first for those of its queue, then, with a
// seq of 0, for those of what the inbox has of it.
func (t *tree) eachRequest(ctx context.Context, h *host, inbox []posted, fn func(chunkRef, *decoder) bool) error {
	var d decoder
	prefix := idKey(h.id)
	c := t.queue.Cursor()
	for k, v := c.Seek(prefix); bytes.HasPrefix(k, prefix); k, v = c.Next() {
		if err := ctx.Err(); err != nil {
			return err
		}
		_, ref, err := parseChunkKey(k)
		if err != nil {
			return err
		}
		done := bitsOf(h.open, ref)
		d.reset(h.name, v)
		for d.next() {
			if done&(1<<d.index) == 0 && !fn(ref, &d) {
				return nil
			}
		}
		if d.reason != "" {
			return corrupt(queueBucket, k, d.reason)
		}
	}
	for _, p := range inbox {
		d.reset(h.name, p.chunk)
		for d.next() {
			if !fn(chunkRef{kind: kindQueue, class: p.class}, &d) {
				return nil
			}
		}
		if d.reason != "" {
			return corrupt(inboxBucket, seqKey(p.position), d.reason)
		}
	}
	return nil
}
