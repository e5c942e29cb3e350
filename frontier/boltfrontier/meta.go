package boltfrontier

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"go.etcd.io/bbolt"

	"github.com/orbweaver/orbweaver/frontier"
)

// format is the version of everything below the bucket "frontier".
const format = 5

var (
	rootBucket   = []byte("frontier")
	metaBucket   = []byte("meta")
	namesBucket  = []byte("names")
	hostsBucket  = []byte("hosts")
	inboxBucket  = []byte("inbox")
	recentBucket = []byte("recent")
	seenBucket   = []byte("seen")
	queueBucket  = []byte("queue")
	dueBucket    = []byte("due")
)

// The bucket meta:
//
//	format  1 byte
//	key     8 bytes, the random key of fingerprints
//	clean   1 byte, 1 after Close, 0 while open
//	floor   8 bytes, Unix nanoseconds: any host may have been asked as late as this
//	counts  22 × 8 bytes: hosts (and last host id), known, pending (waiting or leased), done, paused hosts, closed hosts, and URLs
//	        dropped by what their hosts were closed for
//	logs    8 bytes, the version of the two logs, see logs.go
//	inbox   8 bytes, the position at which the inbox goes on, see inbox.go
var (
	formatKey  = []byte("format")
	keyKey     = []byte("key")
	cleanKey   = []byte("clean")
	floorKey   = []byte("floor")
	countsKey  = []byte("counts")
	versionKey = []byte("logs")
	inboxKey   = []byte("inbox")
)

// ErrNone tells that a database that may not be written has no frontier in it.
var ErrNone = errors.New("boltfrontier: no frontier in the database")

// CorruptError tells of bytes in the database that this package did not write.
type CorruptError struct {
	Bucket string // under "frontier"
	Key    []byte // nil when the bucket as a whole is meant
	Reason string
}

func (e *CorruptError) Error() string {
	at := ""
	if len(e.Key) > 0 {
		at = fmt.Sprintf(", key %.32x", e.Key)
	}
	return fmt.Sprintf("boltfrontier: bucket %s%s: %s", e.Bucket, at, e.Reason)
}

func corrupt(bucket, key []byte, reason string) error {
	return &CorruptError{Bucket: string(bucket), Key: append([]byte(nil), key...), Reason: reason}
}

// counts are the frontier's counters.
type counts struct {
	hosts, known, pending, done, paused, closed uint64
	dropped                                     [frontier.MaxClosure + 1]uint64
}

const countsSize = 8 * (6 + int(frontier.MaxClosure) + 1)

func (c *counts) encode(dst []byte) []byte {
	for _, n := range [...]uint64{c.hosts, c.known, c.pending, c.done, c.paused, c.closed} {
		dst = binary.BigEndian.AppendUint64(dst, n)
	}
	for _, n := range c.dropped {
		dst = binary.BigEndian.AppendUint64(dst, n)
	}
	return dst
}

func readCounts(meta *bbolt.Bucket) (c counts, err error) {
	v := meta.Get(countsKey)
	if len(v) != countsSize {
		return c, corrupt(metaBucket, countsKey, fmt.Sprintf("not %d bytes", countsSize))
	}
	r := reader{rest: v}
	for _, n := range [...]*uint64{&c.hosts, &c.known, &c.pending, &c.done, &c.paused, &c.closed} {
		*n = r.uint64()
	}
	for i := range c.dropped {
		c.dropped[i] = r.uint64()
	}
	return c, nil
}

// stats are the counters as the frontier knows them.
func (c *counts) stats() frontier.Stats {
	s := frontier.Stats{
		Waiting: int(c.pending), Done: int(c.done), Known: int(c.known),
		Hosts: int(c.hosts), Paused: int(c.paused), Closed: int(c.closed),
	}
	for why, n := range c.dropped {
		s.Drop(frontier.Closure(why), int(n))
	}
	return s
}

// undrop counts n requests as dropped for good no more. What for, their host does not know.
func (c *counts) undrop(n uint64) {
	for why := frontier.ClosedByCaller; why <= frontier.MaxClosure; why++ {
		some := min(n, c.dropped[why])
		c.dropped[why] -= some
		n -= some
	}
}

// since is by how much the counters have changed from what they were.
func (c *counts) since(before *counts) frontier.Stats {
	d := *c
	d.hosts -= before.hosts
	d.known -= before.known
	d.pending -= before.pending // which may wrap around, and back in an int
	d.done -= before.done
	d.paused -= before.paused
	d.closed -= before.closed
	for i, n := range before.dropped {
		d.dropped[i] -= n
	}
	return d.stats()
}

// create makes an empty frontier.
func create(tx *bbolt.Tx) error {
	root, err := tx.CreateBucket(rootBucket)
	if err != nil {
		return err
	}
	for _, name := range [...][]byte{metaBucket, namesBucket, hostsBucket, inboxBucket, recentBucket, seenBucket, queueBucket, dueBucket} {
		if _, err := root.CreateBucket(name); err != nil {
			return err
		}
	}
	meta := root.Bucket(metaBucket)
	return errors.Join(
		meta.Put(formatKey, []byte{format}),
		meta.Put(keyKey, binary.BigEndian.AppendUint64(nil, rand.Uint64())),
		meta.Put(cleanKey, []byte{1}),
		meta.Put(floorKey, make([]byte, 8)),
		meta.Put(countsKey, new(counts).encode(nil)),
		meta.Put(versionKey, make([]byte, 8)),
		meta.Put(inboxKey, binary.BigEndian.AppendUint64(nil, 1)),
	)
}

// load reads what does not change while the database is open.
func (b *Backend) load(meta *bbolt.Bucket) error {
	if v := meta.Get(formatKey); len(v) != 1 {
		return corrupt(metaBucket, formatKey, "not 1 byte")
	} else if v[0] != format {
		return &frontier.FormatError{Found: int(v[0]), Known: format}
	}
	key, floor := meta.Get(keyKey), meta.Get(floorKey)
	if len(key) != 8 {
		return corrupt(metaBucket, keyKey, "not 8 bytes")
	}
	if len(floor) != 8 {
		return corrupt(metaBucket, floorKey, "not 8 bytes")
	}
	b.key = binary.BigEndian.Uint64(key)
	b.floor = fromNanos(int64(binary.BigEndian.Uint64(floor)))
	_, err := readCounts(meta)
	return err
}

// begin marks the frontier as at work.
func (b *Backend) begin(meta *bbolt.Bucket) error {
	if v := meta.Get(cleanKey); len(v) != 1 || v[0] != 1 {
		b.floor = time.Now()
		if err := meta.Put(floorKey, binary.BigEndian.AppendUint64(nil, uint64(nanos(b.floor)))); err != nil {
			return err
		}
	}
	return meta.Put(cleanKey, []byte{0})
}

// latest is the latest time that is stored, in the year 2242: beyond 2262 nanoseconds do not fit.
const latest = (1 << 33) * int64(time.Second)

// nanos is t as it is stored: Unix nanoseconds, 0 for the zero time and for all before 1970.
func nanos(t time.Time) int64 {
	switch {
	case t.IsZero() || t.Unix() < 0:
		return 0
	case t.Unix() >= latest/int64(time.Second):
		return latest
	}
	return t.UnixNano()
}

func fromNanos(n int64) time.Time {
	if n <= 0 {
		return time.Time{}
	}
	return time.Unix(0, n)
}
