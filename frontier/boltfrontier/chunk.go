package boltfrontier

import (
	"encoding/binary"
	"strings"

	"github.com/orbweaver/orbweaver/frontier"
)

// A chunk is up to 64 requests of one host that are to be fetched one after another:
//
//	1 byte   number of requests
//	         requests, oldest first
//
// A request repeats little of the one before it in its chunk. The first of a run, which is what one transaction adds,
// follows "https://" and the host's name (or "http://"), an empty referrer of the same beginning, and depth 0:
//
//	1 byte   flags: which of the following are there
//	uvarint  bytes that the URL shares with the URL before
//	uvarint  length of the rest
//	         rest
//	uvarint  flagReferrer: bytes that the referrer shares with the referrer before
//	uvarint                length of the rest
//	                       rest
//	uvarint  flagDepth: depth, if it is not the one before
//	1 byte   flagMore: which of the following are there
//	uvarint  moreRedirects
//	1 byte   morePriority
//	uvarint  moreAttempt
//	8 bytes  moreNotBefore
//	uvarint  moreLabel: length of the label
//	                    label
//	uvarint  moreData: length of the data
//	                   data
const (
	flagRun          = 1 << iota // first of a run
	flagHTTP                     // with flagRun: the URL before is "http://" and the host's name
	flagReferrer                 // has a referrer
	flagSameReferrer             // has the referrer before
	flagDepth
	flagMore

	flagsKnown = 1<<iota - 1
)

const (
	moreRedirects = 1 << iota
	morePriority
	moreAttempt
	moreNotBefore
	moreLabel
	moreData

	moreKnown = 1<<iota - 1
)

// A chunk is full at chunkRequests requests or chunkBytes bytes; one request may be larger alone. Two full chunks fill a page. By
// BenchmarkDisk and BenchmarkPut, half as many bytes make a URL that waits take 110 bytes of disk instead of 60 (of a
// hundred hosts; 92 instead of 83, of ten thousand), for 10 to 25 % less processor time of a Put; twice as many make it 80 in either
// case, for the same time.
const (
	chunkRequests = 64
	chunkBytes    = 1900
)

// chunkRef is the key of a chunk without the host's id. Requests with a NotBefore lie in chunks
// of those with the same; the others by class, which sorts the highest priority first.
type chunkRef struct {
	kind  byte
	class byte   // kindQueue
	at    int64  // kindLater
	seq   uint64 // ever growing in a host
}

const (
	kindLater = 1
	kindQueue = 2

	maxSeq = 1<<58 - 1 // 6 bits beside it in a Position
)

// classOf maps the highest priority to 0.
func classOf(priority int8) byte { return byte(127 - int(priority)) }

func (c chunkRef) append(dst []byte) []byte {
	dst = append(dst, c.kind)
	if c.kind == kindLater {
		dst = binary.BigEndian.AppendUint64(dst, uint64(c.at))
	} else {
		dst = append(dst, c.class)
	}
	return binary.BigEndian.AppendUint64(dst, c.seq)
}

func (c chunkRef) key(id uint32) []byte {
	return c.append(binary.BigEndian.AppendUint32(make([]byte, 0, 21), id))
}

func parseChunkKey(k []byte) (id uint32, ref chunkRef, err error) {
	r := reader{rest: k}
	if b := r.bytes(4); b != nil {
		id = binary.BigEndian.Uint32(b)
	}
	ref = r.ref()
	if len(r.rest) > 0 {
		r.fail("bytes left over")
	}
	if r.reason != "" {
		return 0, chunkRef{}, corrupt(queueBucket, k, r.reason)
	}
	return id, ref, nil
}

// position is where request i of a chunk is.
func (c chunkRef) position(id uint32, i int) frontier.Position {
	return frontier.Position{uint64(id)<<16 | uint64(c.kind)<<8 | uint64(c.class), uint64(c.at), c.seq<<6 | uint64(i)}
}

func parsePosition(p frontier.Position) (id uint32, ref chunkRef, i int) {
	return uint32(p[0] >> 16), chunkRef{byte(p[0] >> 8), byte(p[0]), int64(p[1]), p[2] >> 6}, int(p[2] & 63)
}

// before is what a request is coded against.
type before struct {
	url, referrer []byte
	depth         uint64
}

// run starts a run of requests of a host.
func (b *before) run(host []byte, plain bool) {
	scheme := "https://"
	if plain {
		scheme = "http://"
	}
	b.url = append(append(b.url[:0], scheme...), host...)
	b.referrer = append(b.referrer[:0], b.url...)
	b.depth = 0
}

// encoder writes requests of one host.
type encoder struct {
	before
	inRun bool
}

// restart makes the next request the first of a run.
func (e *encoder) restart() { e.inRun = false }

// append appends r to dst.
func (e *encoder) append(dst []byte, host []byte, r *frontier.Request) []byte {
	var flags byte
	if !e.inRun {
		e.inRun = true
		flags = flagRun
		plain := strings.HasPrefix(r.URL, "http://")
		if plain {
			flags |= flagHTTP
		}
		e.run(host, plain)
	} else if r.Referrer != "" && r.Referrer == string(e.referrer) {
		flags |= flagSameReferrer
	}
	if r.Referrer != "" && flags&flagSameReferrer == 0 {
		flags |= flagReferrer
	}
	if uint64(r.Depth) != e.depth {
		flags |= flagDepth
	}
	more := moreOf(r)
	if more != 0 {
		flags |= flagMore
	}

	dst = append(dst, flags)
	dst, e.url = appendShared(dst, e.url, r.URL)
	if flags&flagReferrer != 0 {
		dst, e.referrer = appendShared(dst, e.referrer, r.Referrer)
	}
	if flags&flagDepth != 0 {
		e.depth = uint64(r.Depth)
		dst = binary.AppendUvarint(dst, e.depth)
	}
	if more != 0 {
		dst = appendMore(dst, more, r)
	}
	return dst
}

// appendShared appends s as it differs from before, and returns s as the next before.
func appendShared(dst, before []byte, s string) (_, next []byte) {
	n := 0
	for n < len(before) && n < len(s) && before[n] == s[n] {
		n++
	}
	dst = binary.AppendUvarint(dst, uint64(n))
	dst = binary.AppendUvarint(dst, uint64(len(s)-n))
	return append(dst, s[n:]...), append(before[:n], s[n:]...)
}

func moreOf(r *frontier.Request) (more byte) {
	for _, m := range [...]struct {
		is  bool
		bit byte
	}{
		{r.Redirects != 0, moreRedirects},
		{r.Priority != 0, morePriority},
		{r.Attempt != 0, moreAttempt},
		{!r.NotBefore.IsZero(), moreNotBefore},
		{r.Label != "", moreLabel},
		{len(r.Data) != 0, moreData},
	} {
		if m.is {
			more |= m.bit
		}
	}
	return more
}

func appendMore(dst []byte, more byte, r *frontier.Request) []byte {
	dst = append(dst, more)
	if more&moreRedirects != 0 {
		dst = binary.AppendUvarint(dst, uint64(r.Redirects))
	}
	if more&morePriority != 0 {
		dst = append(dst, byte(r.Priority))
	}
	if more&moreAttempt != 0 {
		dst = binary.AppendUvarint(dst, uint64(r.Attempt))
	}
	if more&moreNotBefore != 0 {
		dst = binary.BigEndian.AppendUint64(dst, uint64(nanos(r.NotBefore)))
	}
	if more&moreLabel != 0 {
		dst = binary.AppendUvarint(dst, uint64(len(r.Label)))
		dst = append(dst, r.Label...)
	}
	if more&moreData != 0 {
		dst = binary.AppendUvarint(dst, uint64(len(r.Data)))
		dst = append(dst, r.Data...)
	}
	return dst
}

// decoder reads the requests of a chunk one after another. Until the next one is read, url and referrer are its own.
type decoder struct {
	before
	reader
	host     []byte
	count    int // requests in all
	index    int // of the request read last; -1: none
	referred bool

	redirects, attempt int
	priority           int8
	notBefore          int64
	label, data        []byte

	lastReferrer string // made last: many requests share one
}

// reset begins with chunk v of a host.
func (d *decoder) reset(host, v []byte) {
	d.reader = reader{rest: v}
	d.host = host
	d.index = -1
	d.count = int(d.byte())
	if d.count == 0 || d.count > chunkRequests {
		d.fail("number of requests out of range")
	}
}

// next reads the next request. It returns false at the end, or when the bytes are not a chunk: then d.reason tells why.
func (d *decoder) next() bool {
	if d.index+1 >= d.count || d.reason != "" {
		if len(d.rest) > 0 {
			d.fail("bytes left over")
		}
		return false
	}
	d.index++
	flags := d.byte()
	switch {
	case flags&^flagsKnown != 0:
		d.fail("unknown flags")
	case flags&flagRun != 0:
		d.run(d.host, flags&flagHTTP != 0)
	case d.index == 0:
		d.fail("first request goes on from another")
	}
	d.url = d.shared(d.url)
	d.referred = flags&(flagReferrer|flagSameReferrer) != 0
	if flags&flagReferrer != 0 {
		d.referrer = d.shared(d.referrer)
	}
	if flags&flagDepth != 0 {
		d.depth = uint64(d.int31())
	}
	d.redirects, d.attempt, d.priority, d.notBefore, d.label, d.data = 0, 0, 0, 0, nil, nil
	if flags&flagMore != 0 {
		d.more()
	}
	return d.reason == ""
}

// shared reads a string that begins as before does, in place of before.
func (d *decoder) shared(before []byte) []byte {
	n := d.uvarint()
	if n > uint64(len(before)) {
		d.fail("shares more than there is")
		return before
	}
	return append(before[:n], d.bytes(d.uvarint())...)
}

func (d *decoder) more() {
	more := d.byte()
	if more&^moreKnown != 0 {
		d.fail("unknown flags")
	}
	if more&moreRedirects != 0 {
		d.redirects = d.int31()
	}
	if more&morePriority != 0 {
		d.priority = int8(d.byte())
	}
	if more&moreAttempt != 0 {
		d.attempt = d.int31()
	}
	if more&moreNotBefore != 0 {
		d.notBefore = d.time()
	}
	if more&moreLabel != 0 {
		d.label = d.bytes(d.uvarint())
	}
	if more&moreData != 0 {
		d.data = d.bytes(d.uvarint())
	}
}

// request makes a Request of what was read last. host is the name of the host.
func (d *decoder) request(host string) frontier.Request {
	r := frontier.Request{
		URL: string(d.url), Host: host, Depth: int(d.depth), Redirects: d.redirects, Priority: d.priority, Attempt: d.attempt,
		NotBefore: fromNanos(d.notBefore), Label: string(d.label),
	}
	if d.referred {
		if d.lastReferrer != string(d.referrer) {
			d.lastReferrer = string(d.referrer)
		}
		r.Referrer = d.lastReferrer
	}
	if len(d.data) > 0 {
		r.Data = append([]byte(nil), d.data...)
	}
	return r
}
