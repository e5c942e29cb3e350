package boltfrontier

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math/bits"
	"slices"
	"time"

	"go.etcd.io/bbolt"

	"github.com/orbweaver/orbweaver/frontier"
)

// claim is a host that the frontier has claimed. Under Backend.mu.
//
// Memory and database change one after the other, and a reading transaction sees the database as it was when it began. So
// whoever reads both looks at memory first: a request that is no longer taken is then seen to be done.
type claim struct {
	token uint64
	taken []openChunk
}

// A token is the host's id and a number that is never the same for two claims of it.
func tokenID(token uint64) uint32 { return uint32(token >> 32) }

// claimed returns the claim of c. Backend.mu is held.
func (b *Backend) claimed(c frontier.Claim) (*claim, error) {
	cl := b.claims[tokenID(c.Token)]
	if cl == nil || cl.token != c.Token {
		return nil, fmt.Errorf("boltfrontier: %w: %s", frontier.ErrStale, c.Host)
	}
	return cl, nil
}

// Claim implements frontier.Backend.
func (b *Backend) Claim(ctx context.Context, from, before time.Time, n int) (claims []frontier.Claim, next time.Time, err error) {
	b.mu.Lock()
	b.freed = make(map[uint32]struct{})
	b.mu.Unlock()
	next = frontier.Never
	var merged []uint64 // of each of claims
	err = b.view(func(t *tree) error {
		var h host
		c := t.due.Cursor()
		start := dueKey(nanos(from), 0)
		for k, _ := c.Seek(start[:]); k != nil; k, _ = c.Next() {
			if len(k) != 12 {
				return corrupt(dueBucket, k, "not 12 bytes")
			}
			at := fromNanos(int64(binary.BigEndian.Uint64(k)))
			id := binary.BigEndian.Uint32(k[8:])
			if !b.free(id) {
				continue
			}
			if len(claims) == n || !at.Before(before) {
				next = at
				break
			}
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := t.host(&h, id); err != nil {
				return err
			}
			claims = append(claims, frontier.Claim{
				Host: string(h.name), Token: uint64(id) << 32, Delay: time.Duration(h.delay),
				Next: fromNanos(h.next), Blocked: fromNanos(h.blocked), Last: b.floor,
				Paused: h.is(flagPaused), Closed: h.closed, Usage: h.usage(),
			})
			merged = append(merged, h.merged)
		}
		return nil
	})
	posted, err := b.register(claims, merged, err)
	if err == nil {
		err = b.deliver(posted)
	}
	if err != nil {
		b.forget(claims)
		return nil, frontier.Never, err
	}
	return claims, next, nil
}

// register notes claims, gives them their tokens, and returns the hosts that may have requests in the inbox; unless err says that
// there are no claims. From now on nothing is put there for these.
func (b *Backend) register(claims []frontier.Claim, merged []uint64, err error) (posted []uint32, _ error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.freed = nil
	if err != nil {
		return nil, err
	}
	for i := range claims {
		b.token++
		claims[i].Token |= uint64(b.token)
		id := tokenID(claims[i].Token)
		b.claims[id] = &claim{token: claims[i].Token}
		if b.logs.inbox.has(id, merged[i]) {
			posted = append(posted, id)
		}
	}
	return posted, nil
}

// forget ends claims of which nobody was told.
func (b *Backend) forget(claims []frontier.Claim) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range claims {
		delete(b.claims, tokenID(claims[i].Token))
	}
}

// deliver puts what the inbox has of hosts into their queues.
func (b *Backend) deliver(hosts []uint32) error {
	if len(hosts) == 0 {
		return nil
	}
	slices.Sort(hosts)
	return update(b.db, func(tx *bbolt.Tx) error {
		t, err := openTree(tx)
		if err != nil {
			return err
		}
		if err := b.beginLogs(t); err != nil {
			return err
		}
		var h host
		for _, id := range hosts {
			if err := t.host(&h, id); err != nil {
				return err
			}
			alloc := func(n int) []byte { return make([]byte, 0, n) }
			if n, err := t.deliver(&h, alloc); err != nil {
				return err
			} else if n == 0 {
				continue
			}
			if err := t.put(&h, h.encode(nil)); err != nil {
				return err
			}
		}
		b.logs.unchanged()
		return nil
	})
}

// free reports whether a host is not claimed now and was not when the Claim under way began.
func (b *Backend) free(id uint32) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	_, freed := b.freed[id]
	return b.claims[id] == nil && !freed
}

// Take implements frontier.Backend.
func (b *Backend) Take(_ context.Context, c frontier.Claim, now time.Time, n, share int) (frontier.Taken, error) {
	b.mu.Lock()
	cl, err := b.claimed(c)
	if err != nil {
		b.mu.Unlock()
		return frontier.Taken{}, err
	}
	w := walk{host: c.Host, id: tokenID(c.Token), taken: slices.Clone(cl.taken), n: n}
	b.mu.Unlock()
	err = view(b.db, func(tx *bbolt.Tx) error {
		t, err := openQueue(tx)
		if err != nil {
			return err
		}
		return w.run(t, nanos(now), share)
	})
	if err != nil {
		return frontier.Taken{}, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if cl, err = b.claimed(c); err != nil {
		return frontier.Taken{}, err
	}
	for i := range w.result.Requests {
		_, ref, i := parsePosition(w.result.Requests[i].Position)
		cl.taken = setBits(cl.taken, ref, bitsOf(cl.taken, ref)|1<<i)
	}
	return w.result, nil
}

// walk is the way of Take through a host's queue.
type walk struct {
	host  string
	id    uint32
	taken []openChunk // before the transaction began
	n     int         // wanted

	record host
	dec    decoder
	result frontier.Taken
	full   bool // there are n requests, and it is known what comes after them
}

func (w *walk) run(t *tree, now int64, share int) error {
	if err := t.host(&w.record, w.id); err != nil {
		return err
	}
	if w.record.kept > 0 { // it was closed just now: what waits is about to be dropped
		w.result.More = w.record.pending > t.stillOut(&w.record, w.taken)
		return nil
	}
	free := int(w.record.pending) - int(countBits(w.taken))
	w.n = max(1, min(w.n, (free-1)/share+1))
	c := t.queue.Cursor()
	if w.record.later > 0 {
		if err := w.later(c, now); err != nil || w.full {
			return err
		}
	}
	if w.record.pending == w.record.later {
		return nil
	}
	ready, more := w.result.Ready, w.result.More
	if err := w.queued(c); err != nil {
		return err
	}
	if !w.full { // nothing is left but what comes later
		w.result.Ready, w.result.More = ready, more
	}
	return nil
}

// later takes requests whose NotBefore has come, and notes the first that has not.
func (w *walk) later(c *bbolt.Cursor, now int64) error {
	prefix := chunkRef{kind: kindLater}.key(w.id)[:5]
	for k, v := c.Seek(prefix); bytes.HasPrefix(k, prefix); k, v = c.Next() {
		_, ref, err := parseChunkKey(k)
		if err != nil {
			return err
		}
		if ref.at > now {
			if free, err := w.free(k, v, ref); err != nil || free == 0 {
				if err != nil {
					return err
				}
				continue
			}
			w.result.Ready, w.result.More = fromNanos(ref.at), true
			return nil
		}
		if err := w.chunk(k, v, ref); err != nil || w.full {
			return err
		}
	}
	return nil
}

// queued takes requests that wait for nothing.
func (w *walk) queued(c *bbolt.Cursor) error {
	prefix := chunkRef{kind: kindQueue}.key(w.id)[:5]
	for k, v := c.Seek(prefix); bytes.HasPrefix(k, prefix); k, v = c.Next() {
		_, ref, err := parseChunkKey(k)
		if err != nil {
			return err
		}
		if err := w.chunk(k, v, ref); err != nil || w.full {
			return err
		}
	}
	return nil
}

// free returns the requests of a chunk that are neither done nor taken.
func (w *walk) free(k, v []byte, ref chunkRef) (uint64, error) {
	if len(v) == 0 || v[0] == 0 || v[0] > chunkRequests {
		return 0, corrupt(queueBucket, k, "number of requests out of range")
	}
	all := ^uint64(0) >> (chunkRequests - v[0])
	return all &^ (bitsOf(w.record.open, ref) | bitsOf(w.taken, ref)), nil
}

// chunk takes requests of a chunk.
func (w *walk) chunk(k, v []byte, ref chunkRef) error {
	free, err := w.free(k, v, ref)
	if err != nil || free == 0 {
		return err
	}
	if len(w.result.Requests) == w.n {
		w.result.Ready, w.result.More, w.full = time.Time{}, true, true
		return nil
	}
	w.dec.reset([]byte(w.host), v)
	w.result.Requests = slices.Grow(w.result.Requests, min(w.n-len(w.result.Requests), bits.OnesCount64(free)))
	for free != 0 && len(w.result.Requests) < w.n {
		if !w.dec.next() {
			if w.dec.reason == "" {
				w.dec.reason = "too few requests"
			}
			return corrupt(queueBucket, k, w.dec.reason)
		}
		bit := uint64(1) << w.dec.index
		if free&bit == 0 {
			continue
		}
		free &^= bit
		w.result.Requests = append(w.result.Requests, frontier.Queued{
			Request: w.dec.request(w.host), Position: ref.position(w.id, bits.TrailingZeros64(bit)),
		})
	}
	if free != 0 {
		w.result.Ready, w.result.More, w.full = time.Time{}, true, true
	}
	return nil
}

// Untake implements frontier.Backend.
func (b *Backend) Untake(_ context.Context, c frontier.Claim, at []frontier.Position) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	cl, err := b.claimed(c)
	if err != nil {
		return err
	}
	for _, p := range at {
		_, ref, i := parsePosition(p)
		cl.taken = setBits(cl.taken, ref, bitsOf(cl.taken, ref)&^(1<<i))
	}
	return nil
}

// Return implements frontier.Backend.
func (b *Backend) Return(_ context.Context, hosts []frontier.Returned) (time.Time, error) {
	first := frontier.Never
	hosts = slices.DeleteFunc(slices.Clone(hosts), func(r frontier.Returned) bool { return !b.holds(r.Claim) })
	keep := slices.ContainsFunc(hosts, func(r frontier.Returned) bool { return !r.Next.IsZero() })
	if keep {
		err := update(b.db, func(tx *bbolt.Tx) error {
			t, err := openTree(tx)
			if err != nil {
				return err
			}
			first, err = t.giveBack(hosts)
			return err
		})
		if err != nil {
			return frontier.Never, err
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range hosts {
		id := tokenID(r.Claim.Token)
		delete(b.claims, id)
		if b.freed != nil {
			b.freed[id] = struct{}{}
		}
	}
	return first, nil
}

func (b *Backend) holds(c frontier.Claim) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	_, err := b.claimed(c)
	return err == nil
}

// giveBack writes down the next starts of hosts and returns when the first of them is due.
func (t *tree) giveBack(hosts []frontier.Returned) (first time.Time, err error) {
	slices.SortFunc(hosts, func(r, s frontier.Returned) int { return bytes.Compare(tokenKey(r), tokenKey(s)) })
	first = frontier.Never
	var h host
	for _, r := range hosts {
		if r.Next.IsZero() {
			continue
		}
		if err := t.host(&h, tokenID(r.Claim.Token)); err != nil {
			return first, err
		}
		h.next = max(h.next, nanos(r.Next))
		if err := t.place(&h); err != nil {
			return first, err
		}
		if err := t.put(&h, h.encode(nil)); err != nil {
			return first, err
		}
		if due := fromNanos(h.due); h.due != 0 && due.Before(first) {
			first = due
		}
	}
	return first, nil
}

func tokenKey(r frontier.Returned) []byte {
	return binary.BigEndian.AppendUint64(nil, r.Claim.Token)
}
