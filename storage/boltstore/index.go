package boltstore

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/cespare/xxhash/v2"

	"github.com/orbweaver/orbweaver/storage"
)

// entry leads from a URL to one of its records. Entries are ordered by hash,
// then seq.
type entry struct {
	hash uint64
	seq  uint64
}

const entrySize = 16

func compareEntries(a, b entry) int {
	return cmp.Or(cmp.Compare(a.hash, b.hash), cmp.Compare(a.seq, b.seq))
}

// bytes returns e in a form that is ordered like entries.
func (e entry) bytes() (b [entrySize]byte) {
	binary.BigEndian.PutUint64(b[:], e.hash)
	binary.BigEndian.PutUint64(b[8:], e.seq)
	return b
}

func entryOf(b []byte) entry {
	return entry{hash: binary.BigEndian.Uint64(b), seq: binary.BigEndian.Uint64(b[8:])}
}

// hostShift is the number of bits below those of the host.
const hostShift = 40

// indexHash puts the hash of url's host into the upper 3 bytes and that of url
// into the lower 5.
func indexHash(url string) uint64 {
	const lower = 1<<hostShift - 1
	return xxhash.Sum64String(storage.URLHost(url))&^lower | xxhash.Sum64String(url)&lower
}

// How many entries one transaction puts into urls when urls catches up, for each
// record that it adds and besides. It must be more than one for each.
const (
	catchUpShare = 2
	catchUpLeast = 64
)

// pending are the entries that committed records have and that do not count as
// indexed.
type pending struct {
	entries []entry // ordered by seq
	indexed uint64  // newest seq known to be in urls
}

// add adds the entries of a committed transaction, which had written those up
// to indexed into urls.
func (p *pending) add(fresh []entry, indexed uint64) {
	if indexed > p.indexed {
		p.indexed = indexed
		p.entries = slices.DeleteFunc(p.entries, func(e entry) bool { return e.seq <= indexed })
	}
	inOrder := true
	for _, e := range fresh {
		if e.seq > p.indexed {
			inOrder = inOrder && (len(p.entries) == 0 || p.entries[len(p.entries)-1].seq < e.seq)
			p.entries = append(p.entries, e)
		}
	}
	if !inOrder {
		slices.SortFunc(p.entries, func(a, b entry) int { return cmp.Compare(a.seq, b.seq) })
	}
}

// after returns a copy of the entries with a greater seq.
func (p *pending) after(seq uint64) []entry {
	i, _ := slices.BinarySearchFunc(p.entries, seq+1, func(e entry, seq uint64) int { return cmp.Compare(e.seq, seq) })
	return slices.Clone(p.entries[i:])
}

// catchUp is a number of pending entries on their way into urls.
type catchUp struct {
	entries []entry // in the order of urls
	from    uint64  // newest seq in urls before them
	to      uint64  // newest seq among them
	done    int     // of entries: those that committed transactions have put there
}

// index lets urls catch up when enough records are waiting for it: with each call
// by some entries more than it has fresh ones, so that no commit takes long. Only
// with the last of them do they count as indexed; until then they stay in
// pending, and putting them into urls once more does no harm. The fresh records
// are counted in c. It returns what committed is to be told.
func (s *Store) index(b *buckets, c *counters, fresh int) (done int, err error) {
	s.mu.Lock()
	s.catch.begin(c.indexed, max(s.minPending, min(c.indexed/16, maxPending)), &s.pending)
	due, to := s.catch.entries[s.catch.done:], s.catch.to
	done = s.catch.done
	s.mu.Unlock()
	if to <= c.indexed {
		return 0, nil // an earlier call has done it, whose commit we have not been told of
	}
	n := min(len(due), catchUpShare*fresh+catchUpLeast)
	if err := b.addEntries(due[:n]); err != nil {
		return 0, err
	}
	if n == len(due) {
		c.indexed = to
	}
	return done + n, nil
}

// begin gathers what is pending, if it is enough and nothing is under way.
func (u *catchUp) begin(indexed, enough uint64, p *pending) {
	if u.to > indexed && u.from == indexed {
		return
	}
	*u = catchUp{}
	due := p.after(indexed)
	n := uint64(len(due))
	if n == 0 || n < enough || due[0].seq != indexed+1 || due[n-1].seq != indexed+n {
		return // too few, or some are still to be told of
	}
	*u = catchUp{entries: due, from: indexed, to: indexed + n}
	slices.SortFunc(u.entries, compareEntries)
}

// loadPending reads the records that urls lacks. One that is rotten gets an
// entry too, so that it keeps neither the store from opening nor urls from
// catching up; only its URL is lost.
func (s *Store) loadPending(b *buckets) error {
	counters, err := b.counters()
	if err != nil {
		return err
	}
	var entries []entry
	next := counters.indexed + 1
	start := seqKey(next)
	c := b.records.Cursor()
	for k, v := c.Seek(start[:]); k != nil; k, v = c.Next() {
		if len(k) != seqKeySize || seqOf(k) != next {
			return corrupt(recordsName, k, fmt.Sprintf("in the place of record %d", next))
		}
		e := entry{seq: next}
		switch r, err := readRecord(k, v); {
		case err == nil:
			e.hash = s.hash(r.URL)
		case !errors.Is(err, storage.ErrCorrupt):
			return err
		}
		entries = append(entries, e)
		next++
	}
	if next != counters.lastSeq()+1 {
		return corrupt(recordsName, nil, fmt.Sprintf("the last record is %d, not %d", next-1, counters.lastSeq()))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pending = pending{entries: entries, indexed: counters.indexed}
	return nil
}
