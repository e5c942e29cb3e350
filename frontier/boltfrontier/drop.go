package boltfrontier

import (
	"bytes"
	"context"
	"math/bits"
	"slices"

	"go.etcd.io/bbolt"

	"github.com/orbweaver/orbweaver/frontier"
)

// Drop implements frontier.Backend. It drops chunk by chunk, so that n is rounded up; what is kept stays where it is, and costs
// nothing to drop.
func (b *Backend) Drop(_ context.Context, c frontier.Claim, n int) (d frontier.Dropped, err error) {
	b.mu.Lock()
	cl, err := b.claimed(c)
	if err != nil {
		b.mu.Unlock()
		return d, err
	}
	taken := slices.Clone(cl.taken) // before the transaction begins, see claim
	b.mu.Unlock()
	err = update(b.db, func(tx *bbolt.Tx) error {
		t, err := openTree(tx)
		if err != nil {
			return err
		}
		counts, err := readCounts(t.meta)
		if err != nil {
			return err
		}
		var h host
		if err := t.host(&h, tokenID(c.Token)); err != nil {
			return err
		}
		if d, err = t.drop(&h, taken, n); err != nil {
			return err
		}
		counts.pending -= uint64(d.Dropped)
		counts.dropped[d.Closed] += uint64(d.Dropped)
		h.settle()
		if err := t.place(&h); err != nil {
			return err
		}
		if err := t.put(&h, h.encode(nil)); err != nil {
			return err
		}
		return t.meta.Put(countsKey, counts.encode(nil))
	})
	if err != nil {
		return frontier.Dropped{}, err
	}
	return d, nil
}

// drop drops about n requests that are neither done nor taken of a host, if that is closed.
func (t *tree) drop(h *host, taken []openChunk, n int) (d frontier.Dropped, err error) {
	d.Closed = h.closed
	switch leased := t.stillOut(h, taken); {
	case leased > h.pending:
		return d, corrupt(hostsBucket, idKey(h.id), "counts fewer requests than there are")
	case h.closed == frontier.NotClosed:
		d.More = h.pending > leased
		return d, nil
	case h.closed.Keeps():
		d.Dropped = int(h.pending - leased)
		h.pending = leased
		h.queued(uint64(d.Dropped))
		return d, nil
	}
	prefix := idKey(h.id)
	var emptied [][]byte // deleted afterwards: a cursor loses its place by it
	c := t.queue.Cursor()
	for k, v := c.Seek(prefix); bytes.HasPrefix(k, prefix); k, v = c.Next() {
		_, ref, err := parseChunkKey(k)
		if err != nil {
			return d, err
		}
		if len(v) == 0 || v[0] == 0 || v[0] > chunkRequests {
			return d, corrupt(queueBucket, k, "number of requests out of range")
		}
		out := bitsOf(taken, ref) &^ bitsOf(h.open, ref) // a commit may have ended some of it since
		free := ^uint64(0) >> (chunkRequests - v[0]) &^ (bitsOf(h.open, ref) | out)
		if free == 0 {
			continue
		}
		if d.Dropped >= n {
			d.More = true
			break
		}
		dropped := bits.OnesCount64(free)
		if uint64(dropped) > h.pending || ref.kind == kindLater && uint64(dropped) > h.later {
			return d, corrupt(hostsBucket, prefix, "counts fewer requests than there are")
		}
		d.Dropped += dropped
		h.dropped += uint64(dropped)
		h.pending -= uint64(dropped)
		if ref.kind == kindLater {
			h.later -= uint64(dropped)
		}
		if out != 0 {
			h.open = setBits(h.open, ref, bitsOf(h.open, ref)|free)
			continue
		}
		h.open = setBits(h.open, ref, 0)
		emptied = append(emptied, bytes.Clone(k))
	}
	for _, k := range emptied {
		if err := t.queue.Delete(k); err != nil {
			return d, err
		}
	}
	return d, nil
}

// stillOut counts those of taken that are not done in t, which began after taken was read.
func (t *tree) stillOut(h *host, taken []openChunk) (n uint64) {
	for _, c := range taken {
		if t.queue.Get(c.ref.key(h.id)) != nil {
			n += uint64(bits.OnesCount64(c.bits &^ bitsOf(h.open, c.ref)))
		}
	}
	return n
}

// Closed implements frontier.Backend. It reads the records of all hosts, from the one with the id from on.
func (b *Backend) Closed(ctx context.Context, from uint64, n int) (hosts []frontier.ClosedHost, next uint64, err error) {
	err = b.view(func(t *tree) error {
		var h host
		c := t.hosts.Cursor()
		for k, v := c.Seek(idKey(uint32(from))); k != nil; k, v = c.Next() {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := hostAt(&h, k, v); err != nil {
				return err
			}
			if len(hosts) == n {
				next = uint64(h.id)
				break
			}
			if h.closed != frontier.NotClosed {
				hosts = append(hosts, frontier.ClosedHost{Host: string(h.name), Closed: h.closed, Usage: h.usage()})
			}
		}
		return nil
	})
	return hosts, next, err
}
