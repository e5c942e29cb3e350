package boltstore

import (
	"bytes"
	"fmt"
	"slices"
	"sort"
)

// The entries of urls are stored in order, in chunks. A chunk's key is an entry
// that is not above the chunk's first and above all entries before; the first
// chunk has the lowest key possible, so that there is a chunk for every entry.

const (
	// maxChunk is the largest number of entries in a chunk: two such chunks,
	// the fewest that bbolt puts there, fill a page of 4 KiB.
	maxChunk = 124
	// newChunk is the number in those that a full one is split into, which
	// leaves them room to grow.
	newChunk = 90
)

// chunk is the value of a key in urls: entries of entrySize bytes each.
type chunk []byte

func (c chunk) len() int       { return len(c) / entrySize }
func (c chunk) at(i int) entry { return entryOf(c[i*entrySize:]) }

// find returns the place of the first entry that is not below e.
func (c chunk) find(e entry) int {
	return sort.Search(c.len(), func(i int) bool { return compareEntries(c.at(i), e) >= 0 })
}

// merge returns a new chunk, of any size, with the entries of c and due, both
// in order. An entry in both is there once.
func (c chunk) merge(due []entry) chunk {
	merged := make(chunk, 0, len(c)+len(due)*entrySize)
	for _, e := range due {
		n := c.find(e) * entrySize
		merged = append(merged, c[:n]...)
		if c = c[n:]; c.len() > 0 && c.at(0) == e {
			continue
		}
		b := e.bytes()
		merged = append(merged, b[:]...)
	}
	return append(merged, c...)
}

// chunkOf verifies what was found in urls.
func chunkOf(key, value []byte) (chunk, error) {
	if len(key) != entrySize || len(value)%entrySize != 0 {
		return nil, corrupt(urlsName, key, fmt.Sprintf("not a chunk: a key of %d and %d bytes", len(key), len(value)))
	}
	return value, nil
}

// addEntries puts due, which is in order, into urls.
func (b *buckets) addEntries(due []entry) error {
	for len(due) > 0 {
		key, old, next, err := b.chunkFor(due[0])
		if err != nil {
			return err
		}
		n := len(due)
		if next != nil {
			n = sort.Search(len(due), func(i int) bool { return compareEntries(due[i], *next) >= 0 })
		}
		if err := b.putChunk(key, old.merge(due[:n])); err != nil {
			return err
		}
		due = due[n:]
	}
	return nil
}

// chunkFor finds the chunk that has or should have e, which may be one not
// there yet, and the key of the chunk after it, if there is one.
func (b *buckets) chunkFor(e entry) (key entry, c chunk, next *entry, err error) {
	cursor := b.urls.Cursor()
	want := e.bytes()
	k, v := cursor.Seek(want[:])
	if !bytes.Equal(k, want[:]) { // it is above e: the one before is wanted
		if k != nil {
			if _, err := chunkOf(k, v); err != nil {
				return entry{}, nil, nil, err
			}
			above := entryOf(k)
			next = &above
			k, v = cursor.Prev()
		} else {
			k, v = cursor.Last()
		}
	} else if after, value := cursor.Next(); after != nil {
		if _, err := chunkOf(after, value); err != nil {
			return entry{}, nil, nil, err
		}
		above := entryOf(after)
		next = &above
	}
	if k == nil {
		return entry{}, nil, next, nil
	}
	c, err = chunkOf(k, v)
	if err != nil {
		return entry{}, nil, nil, err
	}
	return entryOf(k), c, next, nil
}

// putChunk writes c under key, or if it is too large, in pieces of which the
// first has key.
func (b *buckets) putChunk(key entry, c chunk) error {
	pieces := []chunk{c}
	if c.len() > maxChunk {
		pieces = slices.Collect(slices.Chunk(c, newChunk*entrySize))
	}
	for i, piece := range pieces {
		if i > 0 {
			key = entryOf(piece)
		}
		k := key.bytes()
		if err := b.urls.Put(k[:], piece); err != nil {
			return err
		}
	}
	return nil
}
