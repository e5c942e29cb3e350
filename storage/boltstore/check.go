package boltstore

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"

	"go.etcd.io/bbolt"

	"github.com/orbweaver/orbweaver/storage"
)

// maxProblems is the number of problems after which Check gives up.
const maxProblems = 100

var errTooMany = errors.New("storage: too many problems, more were not looked for")

// Check implements [storage.Store]. It proves that
//
//   - records are numbered without a gap and can be decoded,
//   - each body is there as its record says, each item is JSON, and neither
//     exists without a record,
//   - urls has exactly one entry for each record that is counted as indexed, and
//     no wrong one,
//   - times says of each block of records when they were fetched,
//   - the counters are what a count gives.
//
// It reads all in one transaction, so that bbolt can use no freed page again
// for as long as it takes. It does not check bbolt's own structure; for that
// there is [bbolt.Tx.Check].
func (s *Store) Check(ctx context.Context) error {
	err := s.view(ctx, func(b *buckets) error {
		c := checker{b: b, hash: s.hash}
		if err := c.run(ctx); err != nil {
			c.problems = append(c.problems, err)
		}
		return errors.Join(c.problems...)
	})
	if err != nil {
		return fmt.Errorf("storage: check: %w", err)
	}
	return nil
}

// checker collects what is broken. Its methods fail only to end the check.
type checker struct {
	b        *buckets
	hash     func(string) uint64
	counted  counters
	problems []error
}

// found adds a problem, unless it is nil.
func (c *checker) found(problem error) error {
	if problem == nil {
		return nil
	}
	if c.problems = append(c.problems, problem); len(c.problems) == maxProblems {
		return errTooMany
	}
	return nil
}

func (c *checker) run(ctx context.Context) error {
	kept, err := c.b.counters()
	if err != nil {
		// Without them, urls cannot be checked.
		if err := c.found(err); err != nil {
			return err
		}
		kept = nil
	} else {
		c.counted.indexed = kept.indexed
	}
	if err := c.checkRecords(ctx, kept != nil); err != nil || kept == nil {
		return err
	}
	if *kept != c.counted {
		reason := fmt.Sprintf("the counters are %+v, but a count gives %+v", *kept, c.counted)
		if err := c.found(corrupt("", []byte(countersKey), reason)); err != nil {
			return err
		}
	}
	return c.checkURLs(ctx, kept.indexed)
}

// checkRecords walks through records and, in step, through bodies and items.
func (c *checker) checkRecords(ctx context.Context, withURLs bool) error {
	bodies, items := newWalk(bodiesName, c.b.bodies), newWalk(itemsName, c.b.items)
	last := uint64(0)
	var span span
	cursor := c.b.records.Cursor()
	for k, v := cursor.First(); k != nil; k, v = cursor.Next() {
		if err := ctx.Err(); err != nil {
			return err
		}
		r, err := readRecord(k, v)
		if errors.Is(err, storage.ErrFormat) {
			return err
		}
		if err := c.found(err); err != nil {
			return err
		}
		if len(k) != seqKeySize {
			continue
		}
		seq := seqOf(k)
		if seq != last+1 {
			if err := c.found(corrupt(recordsName, k, fmt.Sprintf("follows record %d", last))); err != nil {
				return err
			}
		}
		last = seq
		if err := c.checkSpan(&span, r, seq); err != nil {
			return err
		}
		for _, w := range []*walk{bodies, items} {
			if err := w.forward(seq, c.found); err != nil {
				return err
			}
		}
		if r == nil {
			bodies.skip(seq)
			items.skip(seq)
			continue
		}
		if err := c.checkRecord(r, bodies, items, withURLs); err != nil {
			return err
		}
	}
	for _, w := range []*walk{bodies, items} {
		if err := w.forward(0, c.found); err != nil {
			return err
		}
	}
	return c.checkSpan(&span, nil, 0)
}

// checkSpan adds the record seq, nil if it is rotten, to the block that is
// checked, or ends the block before it. In the end, seq is 0.
func (c *checker) checkSpan(s *span, r *stored, seq uint64) error {
	if s.block != 0 && (seq == 0 || blockOf(seq) != s.block) {
		kept, err := c.b.span(s.block)
		if err == nil && !s.rotten && *kept != *s {
			key := seqKey(s.block)
			err = corrupt(timesName, key[:], fmt.Sprintf("from %v to %v, but the records are from %v to %v", kept.from, kept.to, s.from, s.to))
		}
		if err := c.found(err); err != nil {
			return err
		}
		*s = span{}
	}
	switch {
	case seq == 0:
	case r == nil:
		s.block, s.rotten = blockOf(seq), true
	default:
		s.widen(blockOf(seq), r.FetchedAt)
	}
	return nil
}

// checkRecord checks and counts what belongs to r; bodies and items have come
// to it and are moved past it.
func (c *checker) checkRecord(r *stored, bodies, items *walk, withURLs bool) error {
	c.counted.Add(&r.Record)
	if r.hasBody {
		c.counted.Bodies++
		c.counted.BodyBytes += int64(r.bodySize)
	}
	if err := c.found(c.b.checkBody(r)); err != nil {
		return err
	}
	if err := c.found(c.b.checkRevisit(r)); err != nil {
		return err
	}
	bodies.skip(r.Seq)
	n := uint64(0)
	for ; items.at(r.Seq); items.next() {
		if part := binary.BigEndian.Uint32(items.key[8:]); uint64(part) != n || !json.Valid(items.value) {
			if err := c.found(corrupt(itemsName, items.key, fmt.Sprintf("not JSON or not item %d", n))); err != nil {
				return err
			}
		}
		n++
	}
	c.counted.Items += int64(n)
	if n != r.items {
		key := seqKey(r.Seq)
		return c.found(corrupt(itemsName, key[:], fmt.Sprintf("%d items, but the record says %d", n, r.items)))
	}
	if withURLs {
		return c.checkEntry(r)
	}
	return nil
}

// checkBody compares what bodies holds for r with what r says.
func (b *buckets) checkBody(r *stored) error {
	size, next, crc := uint64(0), uint32(0), uint32(0)
	for part, value := range parts(b.bodies, r.Seq) {
		if part != next {
			key := partKey(r.Seq, part)
			return corrupt(bodiesName, key[:], fmt.Sprintf("part %d is missing", next))
		}
		next++
		size += uint64(len(value))
		crc = updateChecksum(crc, value)
	}
	if size != r.bodySize || crc != r.bodyCRC {
		key := seqKey(r.Seq)
		reason := fmt.Sprintf("%d bytes with CRC %08x, but the record says %d with %08x", size, crc, r.bodySize, r.bodyCRC)
		return corrupt(bodiesName, key[:], reason)
	}
	return nil
}

// checkRevisit checks that the earlier record that r's body is in holds it.
func (b *buckets) checkRevisit(r *stored) error {
	if r.BodySeq == 0 || r.BodySeq == r.Seq {
		return nil
	}
	key := seqKey(r.Seq)
	first, err := b.record(r.BodySeq)
	switch {
	case errors.Is(err, storage.ErrNotFound), err == nil && !first.holdsBodyOf(r.URL):
		return corrupt(recordsName, key[:], fmt.Sprintf("the body is in record %d, which has none of this URL", r.BodySeq))
	}
	return nil // what else is wrong with that record is found with it
}

// holdsBodyOf reports whether s is a record of url with a body of its own.
func (s *stored) holdsBodyOf(url string) bool { return s.hasBody && s.URL == url }

// checkEntry checks that r is in urls if it should be.
func (c *checker) checkEntry(r *stored) error {
	if r.Seq > c.counted.indexed {
		return nil
	}
	e := entry{hash: c.hash(r.URL), seq: r.Seq}
	_, chunk, _, err := c.b.chunkFor(e)
	if err == nil {
		if i := chunk.find(e); i == chunk.len() || chunk.at(i) != e {
			key := e.bytes()
			err = corrupt(urlsName, key[:], fmt.Sprintf("no entry for record %d", r.Seq))
		}
	}
	return c.found(err)
}

// checkURLs checks that urls is in order and has as many entries as there are
// indexed records. As checkEntry has found one for each, it has no others, but
// those of records that count as indexed only when all with them are there.
func (c *checker) checkURLs(ctx context.Context, indexed uint64) error {
	var last entry // of those before; no entry is as low
	n := uint64(0)
	cursor := c.b.urls.Cursor()
	for k, v := cursor.First(); k != nil; k, v = cursor.Next() {
		if err := ctx.Err(); err != nil {
			return err
		}
		chunk, err := chunkOf(k, v)
		if err == nil && !chunk.follows(last, entryOf(k)) {
			err = corrupt(urlsName, k, "entries out of order")
		}
		if err := c.found(err); err != nil {
			return err
		}
		if chunk.len() > 0 {
			last = chunk.at(chunk.len() - 1)
		}
		for i := range chunk.len() {
			e := chunk.at(i)
			if e.seq <= indexed {
				n++
			} else if err := c.found(c.checkEarly(e)); err != nil {
				return err
			}
		}
	}
	if n != indexed {
		return c.found(corrupt(urlsName, nil, fmt.Sprintf("%d entries for %d records", n, indexed)))
	}
	return nil
}

// checkEarly checks an entry of a record that does not count as indexed yet.
func (c *checker) checkEarly(e entry) error {
	key := e.bytes()
	r, err := c.b.record(e.seq)
	switch {
	case errors.Is(err, storage.ErrNotFound):
		return orphaned(err, urlsName, key[:])
	case err == nil && c.hash(r.URL) != e.hash:
		return corrupt(urlsName, key[:], fmt.Sprintf("record %d has another URL", e.seq))
	}
	return nil // what else is wrong with the record was found with it
}

// follows reports whether c, under key, is in order and continues after last.
func (c chunk) follows(last, key entry) bool {
	if last != (entry{}) && compareEntries(key, last) <= 0 {
		return false
	}
	for i := range c.len() {
		e := c.at(i)
		if compareEntries(e, last) <= 0 || compareEntries(e, key) < 0 {
			return false
		}
		last = e
	}
	return true
}

// walk goes through a bucket whose keys begin with the Seq of a record.
type walk struct {
	bucket     string
	cursor     *bbolt.Cursor
	key, value []byte
}

func newWalk(name string, bucket *bbolt.Bucket) *walk {
	w := &walk{bucket: name, cursor: bucket.Cursor()}
	w.key, w.value = w.cursor.First()
	return w
}

func (w *walk) next() { w.key, w.value = w.cursor.Next() }

// at reports whether the walk is at a key of the record seq.
func (w *walk) at(seq uint64) bool { return len(w.key) == partKeySize && seqOf(w.key) == seq }

// skip leaves the keys of the record seq behind.
func (w *walk) skip(seq uint64) {
	for w.at(seq) {
		w.next()
	}
}

// forward goes on to the keys of the record seq, or to the end if seq is 0,
// and reports the ones passed, which have no record.
func (w *walk) forward(seq uint64, found func(error) error) error {
	for w.key != nil && (len(w.key) != partKeySize || seq == 0 || seqOf(w.key) < seq) {
		if err := found(corrupt(w.bucket, w.key, "there is no such record")); err != nil {
			return err
		}
		w.next()
	}
	return nil
}
