package boltfrontier

import (
	"encoding/binary"
	"math"
	"math/bits"
	"slices"

	"github.com/orbweaver/orbweaver/frontier"
)

// host is a host's record:
//
//	uvarint  length of the name
//	         name
//	uvarint  the host's wish for its delay, nanoseconds
//	8 bytes  earliest next start, by the last Return
//	8 bytes  blocked until
//	8 bytes  its entry in the due index; 0: none
//	8 bytes  when the first of its requests was ended; 0: none was
//	1 byte   flags
//	1 byte   what it is closed for
//	uvarint  pages fetched
//	uvarint  bytes of these
//	uvarint  requests in its queue that wait or are leased
//	uvarint  the others in its queue, which were dropped and are kept
//	uvarint  of both, with a NotBefore of their own
//	uvarint  URLs that were dropped, those kept included
//	uvarint  URLs ever added
//	uvarint  last seq of a chunk
//	uvarint  position up to which its requests in the inbox are in its queue
//	uvarint  number of chunks that are done in part; for each:
//	         key of the chunk, without the id: 10 bytes, or 17
//	8 bytes  bit i: request i of the chunk is done
//
// Times are Unix nanoseconds, big-endian, 0 for none.
type host struct {
	id      uint32
	name    []byte
	delay   int64
	next    int64
	blocked int64
	due     int64
	since   int64
	flags   byte
	closed  frontier.Closure
	pages   int64
	bytes   int64
	pending uint64
	kept    uint64 // 0 unless closed.Keeps()
	later   uint64
	dropped uint64
	known   uint64
	seq     uint64
	merged  uint64
	open    []openChunk
}

// Flags of a host.
const (
	flagPaused   = 1 << iota
	flagReopened // some of its queue may have been kept while it was closed

	flagsOfHost = 1<<iota - 1
)

func (h *host) is(flag byte) bool { return h.flags&flag != 0 }

func (h *host) set(flag byte, on bool) {
	h.flags &^= flag
	if on {
		h.flags |= flag
	}
}

// settle notes when nothing waits any more of what was kept.
func (h *host) settle() {
	if h.pending == 0 {
		h.set(flagReopened, false)
	}
}

// openChunk is a chunk and some of its requests: those done, or those taken.
type openChunk struct {
	ref  chunkRef
	bits uint64
}

func (h *host) encode(dst []byte) []byte {
	be := binary.BigEndian
	dst = binary.AppendUvarint(dst, uint64(len(h.name)))
	dst = append(dst, h.name...)
	dst = binary.AppendUvarint(dst, uint64(h.delay))
	dst = be.AppendUint64(dst, uint64(h.next))
	dst = be.AppendUint64(dst, uint64(h.blocked))
	dst = be.AppendUint64(dst, uint64(h.due))
	dst = be.AppendUint64(dst, uint64(h.since))
	dst = append(dst, h.flags, byte(h.closed))
	for _, n := range [...]uint64{
		uint64(h.pages), uint64(h.bytes), h.pending, h.kept, h.later, h.dropped, h.known, h.seq, h.merged, uint64(len(h.open)),
	} {
		dst = binary.AppendUvarint(dst, n)
	}
	for _, o := range h.open {
		dst = be.AppendUint64(o.ref.append(dst), o.bits)
	}
	return dst
}

// decodeHost reads the record of host id. Its name is part of v.
func decodeHost(h *host, id uint32, v []byte) error {
	r := reader{rest: v}
	*h = host{id: id, open: h.open[:0]}
	h.name = r.bytes(r.uvarint())
	h.delay = r.int63()
	h.next, h.blocked, h.due = r.time(), r.time(), r.time()
	h.since = r.time()
	h.flags, h.closed = r.byte(), frontier.Closure(r.byte())
	h.pages, h.bytes = r.int63(), r.int63()
	h.pending, h.kept, h.later, h.dropped, h.known = r.uvarint(), r.uvarint(), r.uvarint(), r.uvarint(), r.uvarint()
	h.seq, h.merged = r.uvarint(), r.uvarint()
	for n := r.uvarint(); n > 0 && r.reason == ""; n-- {
		h.open = append(h.open, openChunk{r.ref(), r.uint64()})
	}
	switch {
	case r.reason != "":
	case len(r.rest) > 0:
		r.fail("bytes left over")
	case len(h.name) == 0:
		r.fail("no name")
	case h.flags&^flagsOfHost != 0 || h.closed > frontier.MaxClosure:
		r.fail("neither open nor closed")
	case h.pending > h.known || h.dropped > h.known-h.pending || h.kept > h.dropped || h.later > h.pending+h.kept:
		r.fail("counters contradict one another")
	case h.kept > 0 && !h.closed.Keeps():
		r.fail("keeps what it should not")
	}
	if r.reason != "" {
		return corrupt(hostsBucket, idKey(id), r.reason)
	}
	return nil
}

func idKey(id uint32) []byte { return binary.BigEndian.AppendUint32(nil, id) }

// hostID returns the id of a host, 0 if it has none.
func (t *tree) hostID(name string) (uint32, error) {
	v := t.names.Get([]byte(name))
	if v == nil {
		return 0, nil
	}
	if len(v) != 4 {
		return 0, corrupt(namesBucket, []byte(name), "not 4 bytes")
	}
	return binary.BigEndian.Uint32(v), nil
}

// host reads a record into h.
func (t *tree) host(h *host, id uint32) error {
	var key [4]byte
	binary.BigEndian.PutUint32(key[:], id)
	v := t.hosts.Get(key[:])
	if v == nil {
		return corrupt(hostsBucket, key[:], "is missing")
	}
	return decodeHost(h, id, v)
}

// dueKey is the key of an entry in the due index.
func dueKey(at int64, id uint32) [12]byte {
	var k [12]byte
	binary.BigEndian.PutUint64(k[:], uint64(at))
	binary.BigEndian.PutUint32(k[8:], id)
	return k
}

// newChunk makes ref that of a new chunk.
func (h *host) newChunk(ref *chunkRef) error {
	if h.seq == maxSeq {
		return corrupt(hostsBucket, idKey(h.id), "no seq is left")
	}
	h.seq++
	ref.seq = h.seq
	return nil
}

// place moves the host's entry in the due index to where the record says it belongs.
func (t *tree) place(h *host) error {
	due, err := t.dueAt(h)
	if err != nil || due == h.due {
		return err
	}
	if h.due != 0 {
		k := dueKey(h.due, h.id)
		if err := t.due.Delete(k[:]); err != nil {
			return err
		}
	}
	h.due = due
	if due == 0 {
		return nil
	}
	k := dueKey(due, h.id)
	return t.due.Put(k[:], nil)
}

// queued counts n requests that have come into its queue: they wait, or are dropped and kept.
func (h *host) queued(n uint64) {
	if h.closed.Keeps() {
		h.dropped += n
		h.kept += n
	} else {
		h.pending += n
	}
}

// usage is what the host has had of its budgets.
func (h *host) usage() frontier.Usage {
	return frontier.Usage{Pages: h.pages, Bytes: h.bytes, Since: fromNanos(h.since)}
}

// dueAt is when the host is due; 0: never, as it has nothing or is paused.
func (t *tree) dueAt(h *host) (int64, error) {
	switch {
	case h.pending == 0:
		return 0, nil
	case h.closed != frontier.NotClosed:
		return 1, nil
	case h.is(flagPaused):
		return 0, nil
	}
	due := max(h.next, h.blocked, 1)
	if h.pending > h.later {
		return due, nil
	}
	ready, err := t.firstLater(h.id)
	return max(due, ready), err
}

// firstLater is the earliest NotBefore in the queue of a host that has one.
func (t *tree) firstLater(id uint32) (int64, error) {
	start := chunkRef{kind: kindLater}.key(id)
	k, _ := t.queue.Cursor().Seek(start[:5])
	gotID, ref, err := parseChunkKey(k)
	if err != nil || gotID != id || ref.kind != kindLater {
		return 0, corrupt(queueBucket, start[:5], "the host's later requests are missing")
	}
	return ref.at, nil
}

// reader takes apart stored bytes. After the first failure all it returns is zero.
type reader struct {
	rest   []byte
	reason string // why it failed; "": it did not
}

func (r *reader) fail(reason string) {
	if r.reason == "" {
		r.reason = reason
	}
	r.rest = nil
}

func (r *reader) uvarint() uint64 {
	n, size := binary.Uvarint(r.rest)
	if size <= 0 {
		r.fail("number cut short")
		return 0
	}
	r.rest = r.rest[size:]
	return n
}

// int63 is a uvarint that fits in an int64.
func (r *reader) int63() int64 {
	n := r.uvarint()
	if n > math.MaxInt64 {
		r.fail("number too large")
		return 0
	}
	return int64(n)
}

// int31 is a uvarint that fits in an int32.
func (r *reader) int31() int {
	n := r.uvarint()
	if n > math.MaxInt32 {
		r.fail("number too large")
		return 0
	}
	return int(n)
}

func (r *reader) bytes(n uint64) []byte {
	if n > uint64(len(r.rest)) {
		r.fail("bytes cut short")
		return nil
	}
	b := r.rest[:n:n]
	r.rest = r.rest[n:]
	return b
}

func (r *reader) byte() byte {
	if b := r.bytes(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) uint64() uint64 {
	if b := r.bytes(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

func (r *reader) time() int64 {
	n := r.uint64()
	if n > uint64(latest) {
		r.fail("time out of range")
		return 0
	}
	return int64(n)
}

func (r *reader) ref() chunkRef {
	c := chunkRef{kind: r.byte()}
	switch c.kind {
	case kindLater:
		c.at = r.time()
	case kindQueue:
		c.class = r.byte()
	default:
		r.fail("unknown kind of chunk")
	}
	c.seq = r.uint64()
	if c.seq > maxSeq {
		r.fail("seq out of range")
	}
	return c
}

// bitsOf returns the bits kept for ref in open.
func bitsOf(open []openChunk, ref chunkRef) uint64 {
	for i := range open {
		if open[i].ref == ref {
			return open[i].bits
		}
	}
	return 0
}

// setBits keeps bits for ref in open, which forgets it when there are none.
func setBits(open []openChunk, ref chunkRef, set uint64) []openChunk {
	i := slices.IndexFunc(open, func(o openChunk) bool { return o.ref == ref })
	switch {
	case i < 0 && set != 0:
		return append(open, openChunk{ref, set})
	case i >= 0 && set == 0:
		return slices.Delete(open, i, i+1)
	case i >= 0:
		open[i].bits = set
	}
	return open
}

// countBits sums up the bits in open.
func countBits(open []openChunk) (n uint64) {
	for _, o := range open {
		n += uint64(bits.OnesCount64(o.bits))
	}
	return n
}

// hostAt reads the record that a cursor of the bucket hosts stands on.
func hostAt(h *host, k, v []byte) error {
	if len(k) != 4 {
		return corrupt(hostsBucket, k, "not 4 bytes")
	}
	return decodeHost(h, binary.BigEndian.Uint32(k), v)
}

// put writes the record. The value must stay as it is until the transaction ends.
func (t *tree) put(h *host, value []byte) error {
	var key [4]byte
	binary.BigEndian.PutUint32(key[:], h.id)
	return t.hosts.Put(key[:], value)
}
