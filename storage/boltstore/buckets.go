package boltstore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"

	"go.etcd.io/bbolt"

	"github.com/orbweaver/orbweaver/storage"
)

const formatVersion = 2

// Names of the buckets and keys; see the package comment.
const (
	rootName    = "storage"
	recordsName = "records"
	bodiesName  = "bodies"
	itemsName   = "items"
	urlsName    = "urls"
	timesName   = "times"

	seqKeySize  = 8
	partKeySize = 12

	formatKey   = "format"
	countersKey = "counters"
)

// buckets are the store's buckets in one transaction.
type buckets struct {
	root, records, bodies, items, urls, times *bbolt.Bucket
}

// createBuckets makes the buckets of an empty store.
func createBuckets(tx *bbolt.Tx) error {
	root, err := tx.CreateBucket([]byte(rootName))
	if err != nil {
		return err
	}
	for _, name := range []string{recordsName, bodiesName, itemsName, urlsName, timesName} {
		if _, err := root.CreateBucket([]byte(name)); err != nil {
			return err
		}
	}
	if err := root.Put([]byte(formatKey), binary.AppendUvarint(nil, formatVersion)); err != nil {
		return err
	}
	return root.Put([]byte(countersKey), new(counters).append(nil))
}

// openBuckets finds the buckets in tx. It returns nil without an error when
// there is no store: in a file that was opened only for reading.
func openBuckets(tx *bbolt.Tx) (*buckets, error) {
	root := tx.Bucket([]byte(rootName))
	if root == nil {
		return nil, nil
	}
	version, n := binary.Uvarint(root.Get([]byte(formatKey)))
	switch {
	case n <= 0 || version == 0:
		return nil, corrupt("", []byte(formatKey), "no format version")
	case version != formatVersion:
		return nil, &storage.FormatError{What: "boltstore", Have: version, Known: formatVersion}
	}
	b := &buckets{root: root}
	for name, bucket := range map[string]**bbolt.Bucket{
		recordsName: &b.records, bodiesName: &b.bodies, itemsName: &b.items, urlsName: &b.urls,
		timesName: &b.times,
	} {
		*bucket = root.Bucket([]byte(name))
		if *bucket == nil {
			return nil, corrupt(name, nil, "missing")
		}
	}
	// The keys of these only grow: no room need be left for others.
	b.records.FillPercent = 1
	b.bodies.FillPercent = 1
	b.items.FillPercent = 1
	b.times.FillPercent = 1
	return b, nil
}

func (b *buckets) counters() (*counters, error) {
	c, err := decodeCounters(b.root.Get([]byte(countersKey)))
	if err != nil {
		return nil, corrupt("", []byte(countersKey), err.Error())
	}
	return c, nil
}

// record reads the metadata of record seq, or returns ErrNotFound.
func (b *buckets) record(seq uint64) (*stored, error) {
	key := seqKey(seq)
	value := b.records.Get(key[:])
	if value == nil {
		return nil, storage.ErrNotFound
	}
	return readRecord(key[:], value)
}

// readRecord decodes an entry of the records bucket.
func readRecord(key, value []byte) (*stored, error) {
	if len(key) != seqKeySize {
		return nil, corrupt(recordsName, key, "not a sequence number")
	}
	r, err := decodeRecord(value)
	switch {
	case errors.Is(err, storage.ErrFormat):
		return nil, err
	case err != nil:
		return nil, corruptRecord(key, err.Error())
	}
	r.Seq, r.size = seqOf(key), len(value)
	switch {
	case r.hasBody:
		r.BodySeq = r.Seq
	case r.BodySeq >= r.Seq && r.BodySeq != 0:
		return nil, corruptRecord(key, fmt.Sprintf("the body is in record %d", r.BodySeq))
	}
	return r, nil
}

// parts iterates over the values that a record has in bodies or items, in
// order. They are valid as long as the transaction.
func parts(bucket *bbolt.Bucket, seq uint64) iter.Seq2[uint32, []byte] {
	return func(yield func(uint32, []byte) bool) {
		first := partKey(seq, 0)
		c := bucket.Cursor()
		for k, v := c.Seek(first[:]); len(k) == partKeySize && seqOf(k) == seq; k, v = c.Next() {
			if !yield(binary.BigEndian.Uint32(k[8:]), v) {
				return
			}
		}
	}
}

// seqOf is the number that a key of records, bodies or items begins with.
func seqOf(key []byte) uint64 { return binary.BigEndian.Uint64(key) }

func seqKey(seq uint64) (key [seqKeySize]byte) {
	binary.BigEndian.PutUint64(key[:], seq)
	return key
}

// partKey is a key of bodies and items.
func partKey(seq uint64, part uint32) (key [partKeySize]byte) {
	binary.BigEndian.PutUint64(key[:], seq)
	binary.BigEndian.PutUint32(key[8:], part)
	return key
}

// disordered is the damage of a key that does not come after those before it, which
// would lead a reader round in circles.
func disordered(bucket string, key []byte) error {
	return corrupt(bucket, key, "out of order")
}

// corrupt makes a CorruptError for a bucket within the root; "" is the root.
// The key is copied: it may be bbolt's.
func corrupt(bucket string, key []byte, reason string) error {
	name := rootName
	if bucket != "" {
		name += "/" + bucket
	}
	if key != nil {
		key = append([]byte{}, key...)
	}
	return &storage.CorruptError{Bucket: name, Key: key, Reason: reason}
}

// corruptRecord makes a CorruptError for one record, which the others do not need.
func corruptRecord(key []byte, reason string) error {
	return &storage.CorruptError{Bucket: rootName + "/" + recordsName, Key: bytes.Clone(key), Seq: seqOf(key), Reason: reason}
}

// orphaned turns ErrNotFound, the answer to looking for the record that a
// key belongs to, into corruption of the key.
func orphaned(err error, bucket string, key []byte) error {
	if errors.Is(err, storage.ErrNotFound) {
		return corrupt(bucket, key, "there is no such record")
	}
	return err
}
