package boltfrontier

import (
	"bytes"
	"context"
	"math/bits"
	"slices"

	"go.etcd.io/bbolt"

	"github.com/orbweaver/orbweaver/frontier"
)

// Drop implements frontier.Backend. It drops chunk by chunk: n is rounded up.
func (b *Backend) Drop(_ context.Context, c frontier.Claim, n int) (d frontier.Dropped, err error) {
	b.mu.Lock()
	cl, err := b.claimed(c)
	if err != nil {
		b.mu.Unlock()
		return d, err
	}
	taken := slices.Clone(cl.taken) // before the transaction begins, see claim
	b.mu.Unlock()
	err = b.db.Update(func(tx *bbolt.Tx) error {
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

// drop takes about n requests that are neither done nor taken out of the queue of a host, if that is closed.
func (t *tree) drop(h *host, taken []openChunk, n int) (d frontier.Dropped, err error) {
	d.Closed = h.closed
	if h.closed == frontier.NotClosed {
		d.More = h.pending > countBits(taken)
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
