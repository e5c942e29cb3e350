package boltfrontier

import (
	"bytes"
	"encoding/binary"
	"maps"
	"slices"

	"go.etcd.io/bbolt"

	"github.com/orbweaver/orbweaver/frontier"
)

// The inbox is the log of requests for hosts that nobody has claimed, and that have others waiting already or are closed and keep what
// they drop: a page links to one URL each of many hosts, and to append that to the host's last chunk would write that chunk's page,
// the one of the host's record, and those above them. Its bucket is
//
//	position (8 bytes) -> entries
//
// A position is that of a byte in all that was ever written to the inbox, from 1 on; the key is that of the first byte of its
// value. An entry is some requests of one host that came in one transaction and have one class:
//
//	4 bytes  host id
//	1 byte   class
//	uvarint  length of the rest
//	         requests, as a chunk (see chunk.go)
//
// An entry counts until the host's record says that what is at its position is merged: its requests are in the host's queue from then
// on, and counted in the record. Until then they are counted in meta only. They are merged when the inbox is full, many
// hosts at a time and in their order; when the host is claimed; and before anything else changes the host. So a
// claimed host has nothing in the inbox, no request in it is ever leased, and the host's entry in the due index is the same with and
// without it.
const (
	inboxRequests = 16      // of one entry; more go to the queue at once
	inboxEntry    = 1000    // bytes of one entry, likewise
	inboxValue    = 8 << 10 // bytes, beyond which a new value begins

	// The inbox may take two bytes for each known URL before it is merged, within bounds, and have maxInbox entries. As many again may
	// come until what is merged is deleted, which bounds memory to some 10 MB.
	inboxShare    = 2
	minInboxBytes = 64 << 10
	maxInboxBytes = 16 << 20
	maxInbox      = 128 << 10

	// inboxCut is how many more values than twice what it adds a transaction deletes, when all of them are merged.
	inboxCut = 64
)

// inbox is its index in memory, which others read under Backend.mu, and the rest is the one writing transaction's.
type inbox struct {
	entries []arrival        // in the order of positions; those of hosts merged meanwhile stay
	last    map[uint32]int32 // host id -> its last one in entries
	next    uint64           // position of the next entry
	first   uint64           // that of the first value

	before int    // length of entries when the transaction began
	part   []byte // entries not written yet, which end at next

	merging []uint32 // hosts still to be merged, in order
	end     uint64   // position from which on nothing of what is merged is; 0: nothing is being merged
	cut     bool     // all before end is merged and deleted
}

// arrival is an entry in the inbox.
type arrival struct {
	position uint64
	id       uint32
	before   int32 // index of the host's entry before; -1: none
}

func (in *inbox) index(id uint32, position uint64) {
	before, found := in.last[id]
	if !found {
		before = -1
	}
	in.last[id] = int32(len(in.entries))
	in.entries = append(in.entries, arrival{position, id, before})
}

// forget leaves what was cut out of the index.
func (in *inbox) forget() {
	kept := make([]arrival, 0, len(in.entries)/2)
	entries := in.entries
	end := in.end
	in.entries, in.last, in.first, in.end, in.cut = kept, make(map[uint32]int32), in.end, 0, false
	for _, e := range entries {
		if e.position >= end {
			in.index(e.id, e.position)
		}
	}
}

// has reports whether there may be something in the inbox of a host of which all up to merged is in its queue.
func (in *inbox) has(id uint32, merged uint64) bool {
	i, found := in.last[id]
	return found && in.entries[i].position > merged
}

// loadInbox reads the inbox.
func loadInbox(t *tree) (in inbox, err error) {
	in.last = make(map[uint32]int32)
	if in.next, err = t.number(inboxKey); err != nil {
		return in, err
	}
	in.first = in.next
	if k, _ := t.inbox.Cursor().First(); len(k) == 8 {
		in.first = binary.BigEndian.Uint64(k)
	}
	var h host
	err = t.eachArrival(func(position uint64, id uint32, _ byte, _ []byte) error {
		if err := t.host(&h, id); err != nil {
			return err
		}
		if position > h.merged {
			in.index(id, position)
		}
		return nil
	})
	return in, err
}

// eachArrival calls fn for each entry of the inbox, those merged included.
func (t *tree) eachArrival(fn func(position uint64, id uint32, class byte, chunk []byte) error) error {
	next, err := t.number(inboxKey)
	if err != nil {
		return err
	}
	c := t.inbox.Cursor()
	end := uint64(0) // of the value before
	for k, v := c.First(); k != nil; k, v = c.Next() {
		if len(k) != 8 || len(v) == 0 {
			return corrupt(inboxBucket, k, "not entries")
		}
		position := binary.BigEndian.Uint64(k)
		if position == 0 || end != 0 && position != end {
			return corrupt(inboxBucket, k, "does not go on where the value before ends")
		}
		end = position + uint64(len(v))
		for r := (reader{rest: v}); len(r.rest) > 0; {
			at := end - uint64(len(r.rest))
			id, class, chunk := r.arrival()
			if r.reason != "" {
				return corrupt(inboxBucket, k, r.reason)
			}
			if err := fn(at, id, class, chunk); err != nil {
				return err
			}
		}
	}
	if end != 0 && end != next {
		return corrupt(metaBucket, inboxKey, "is not where the inbox ends")
	}
	return nil
}

// arrival reads an entry.
func (r *reader) arrival() (id uint32, class byte, chunk []byte) {
	if b := r.bytes(4); b != nil {
		id = binary.BigEndian.Uint32(b)
	}
	class = r.byte()
	chunk = r.bytes(r.uvarint())
	if len(chunk) == 0 || chunk[0] == 0 || chunk[0] > inboxRequests {
		r.fail("number of requests out of range")
	}
	return id, class, chunk
}

// arrivalAt reads the entry of a host at a position.
func (t *tree) arrivalAt(c *bbolt.Cursor, position uint64, id uint32) (class byte, chunk []byte, err error) {
	want := seqKey(position)
	k, v := c.Seek(want)
	if k == nil {
		if k, _ = c.First(); k != nil { // see lastChunk
			k, v = c.Last()
		}
	} else if !bytes.Equal(k, want) {
		k, v = c.Prev()
	}
	if len(k) != 8 || position-binary.BigEndian.Uint64(k) >= uint64(len(v)) {
		return 0, nil, corrupt(inboxBucket, want, "is missing")
	}
	r := reader{rest: v[position-binary.BigEndian.Uint64(k):]}
	got, class, chunk := r.arrival()
	if got != id {
		r.fail("belongs to another host")
	}
	if r.reason != "" {
		return 0, nil, corrupt(inboxBucket, k, r.reason)
	}
	return class, chunk, nil
}

// deliver merges what the inbox has of a host into its queue and its record, which the caller writes. Values are made by alloc. It
// returns the number of entries.
func (t *tree) deliver(h *host, alloc func(int) []byte) (n int, err error) {
	in := &t.logs.inbox
	if !in.has(h.id, h.merged) {
		return 0, nil
	}
	var at [16]int32
	chain := at[:0]
	for i := in.last[h.id]; i >= 0 && in.entries[i].position > h.merged; i = in.entries[i].before {
		chain = append(chain, i)
	}
	slices.Reverse(chain)
	c := t.inbox.Cursor()
	to := tail{t: t, h: h, alloc: alloc}
	for _, i := range chain {
		e := in.entries[i]
		class, chunk, err := t.arrivalAt(c, e.position, h.id)
		if err != nil {
			return n, err
		}
		if err := to.append(class, chunk); err != nil {
			return n, err
		}
		h.merged = e.position
		h.receive(chunk)
	}
	return len(chain), to.flush()
}

// posts reports whether new requests of the host may go into the inbox.
func (h *host) posts() bool {
	return h.closed.Keeps() || h.closed == frontier.NotClosed && h.pending > h.later
}

// receive counts the requests of an entry of the inbox.
func (h *host) receive(chunk []byte) {
	n := uint64(chunk[0])
	h.known += n
	h.queued(n)
}

// tail is the last chunk of a class of a host's queue, while entries of the inbox are appended to it.
type tail struct {
	t     *tree
	h     *host
	alloc func(int) []byte

	ref     chunkRef
	chunk   []byte // in room
	changed bool
	room    [chunkBytes + inboxEntry]byte
}

// append appends the requests of part, a chunk, to the last chunk of their class, or makes them a new one.
func (a *tail) append(class byte, part []byte) error {
	if a.ref.kind == 0 || a.ref.class != class {
		if err := a.flush(); err != nil {
			return err
		}
		a.ref = chunkRef{kind: kindQueue, class: class}
		seq, chunk, err := a.t.lastChunk(a.h.id, a.ref)
		if err != nil {
			return err
		}
		a.ref.seq, a.chunk = seq, append(a.room[:0], chunk...)
	}
	if len(a.chunk) > 0 && int(a.chunk[0])+int(part[0]) <= chunkRequests && len(a.chunk)+len(part)-1 <= chunkBytes {
		a.chunk[0] += part[0]
		a.chunk = append(a.chunk, part[1:]...)
		a.changed = true
		return nil
	}
	if err := a.flush(); err != nil {
		return err
	}
	if err := a.h.newChunk(&a.ref); err != nil {
		return err
	}
	a.chunk, a.changed = append(a.room[:0], part...), true
	return nil
}

// flush writes the chunk.
func (a *tail) flush() error {
	if !a.changed {
		return nil
	}
	a.changed = false
	return a.t.queue.Put(a.ref.key(a.h.id), append(a.alloc(len(a.chunk)), a.chunk...))
}

// post puts requests of a host into the inbox, unless it is claimed or they are too many for it.
func (b *Backend) post(t *tree, id uint32, class byte, chunk []byte, s *scratch) (posted bool, err error) {
	if len(chunk) > inboxEntry {
		return false, nil
	}
	in := &b.logs.inbox
	b.mu.Lock()
	if posted = b.claims[id] == nil; posted {
		in.index(id, in.next)
	}
	b.mu.Unlock()
	if !posted {
		return false, nil
	}
	before := len(in.part)
	in.part = binary.BigEndian.AppendUint32(in.part, id)
	in.part = append(in.part, class)
	in.part = binary.AppendUvarint(in.part, uint64(len(chunk)))
	in.part = append(in.part, chunk...)
	in.next += uint64(len(in.part) - before)
	if len(in.part) < inboxValue {
		return true, nil
	}
	return true, in.flush(t, s)
}

// flush writes the entries that are not written yet.
func (in *inbox) flush(t *tree, s *scratch) error {
	if len(in.part) == 0 {
		return nil
	}
	key := seqKey(in.next - uint64(len(in.part)))
	value := s.keep(in.part)
	in.part = in.part[:0]
	return t.inbox.Put(key, value)
}

// finish writes down what was added since the transaction began, and merges some of the inbox into the queues. total is how many
// URLs are known.
func (in *inbox) finish(t *tree, total uint64, s *scratch) (changed bool, err error) {
	added := len(in.entries) - in.before
	if added == 0 && in.end == 0 {
		return false, nil
	}
	if added > 0 {
		if err := in.flush(t, s); err != nil {
			return true, err
		}
		if err := t.meta.Put(inboxKey, binary.BigEndian.AppendUint64(s.alloc(8), in.next)); err != nil {
			return true, err
		}
	}
	if in.end == 0 && (len(in.entries) > maxInbox || in.next-in.first > min(max(total*inboxShare, minInboxBytes), maxInboxBytes)) {
		in.end = in.next
		in.merging = slices.AppendSeq(in.merging[:0], maps.Keys(in.last))
		slices.Sort(in.merging)
	}
	if in.end == 0 {
		return true, nil
	}
	if err := in.merge(t, 2*added+mergeLeast, s); err != nil || len(in.merging) > 0 {
		return true, err
	}
	return true, in.delete(t, added)
}

// merge merges about n entries.
func (in *inbox) merge(t *tree, n int, s *scratch) error {
	for ; n > 0 && len(in.merging) > 0; in.merging = in.merging[1:] {
		h := &s.other
		if err := t.host(h, in.merging[0]); err != nil {
			return err
		}
		merged, err := t.deliver(h, s.alloc)
		if err != nil {
			return err
		}
		if n -= max(merged, 1); merged == 0 {
			continue
		}
		s.part = h.encode(s.part[:0])
		if err := t.put(h, s.keep(s.part)); err != nil {
			return err
		}
	}
	return nil
}

// delete deletes some of what is merged: of bytes about twice as many as the transaction has added, in so many entries, so that the
// inbox shrinks however large transactions are.
func (in *inbox) delete(t *tree, added int) error {
	most := inboxCut
	if added > 0 {
		most += 2 * int((in.next-in.entries[in.before].position)/inboxValue)
	}
	var old [][8]byte // gathered first: a cursor loses its place when its page changes
	c := t.inbox.Cursor()
	k, _ := c.First()
	for ; len(k) == 8 && binary.BigEndian.Uint64(k) < in.end && len(old) < most; k, _ = c.Next() {
		old = append(old, [8]byte(k))
	}
	in.cut = len(k) != 8 || binary.BigEndian.Uint64(k) >= in.end
	for _, k := range old {
		if err := t.inbox.Delete(k[:]); err != nil {
			return err
		}
	}
	return nil
}
