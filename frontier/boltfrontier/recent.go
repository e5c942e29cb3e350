package boltfrontier

import (
	"cmp"
	"encoding/binary"
	"slices"
)

// New fingerprints fall all over the sets: written at once, nearly each would cost a page of its own. So a transaction appends
// those that it finds to a log, and they are merged into the sets later, many at a time and in the order of the sets, a
// few with each transaction. The bucket recent is the log:
//
//	seq (8 bytes, ever growing) -> fingerprints: for each 4 bytes host id, 8 bytes fingerprint
//
// A fingerprint of the log may be in its set already: merging it again changes nothing. When all of a part of the log has been
// merged, that part is deleted. What is in the log is also in memory, as long as the database is open.
const (
	recentSize  = 12
	recentBytes = 1900 // of a log entry, beyond which a new one begins

	// The log may hold a sixteenth of the known fingerprints before it is merged, within bounds: the second bounds
	// memory, to some 12 MB.
	recentShare = 16
	minRecent   = 512
	maxRecent   = 128 << 10
)

// recentKey is a fingerprint of a host.
type recentKey struct {
	id     uint32
	hi, lo uint32 // of the fingerprint; apart, so that a key has 12 bytes
}

func recentKeyOf(id uint32, fp uint64) recentKey { return recentKey{id, uint32(fp >> 32), uint32(fp)} }

func (k recentKey) fp() uint64 { return uint64(k.hi)<<32 | uint64(k.lo) }

func seqKey(seq uint64) []byte { return binary.BigEndian.AppendUint64(nil, seq) }

func compareRecent(a, b recentKey) int {
	return cmp.Or(cmp.Compare(a.id, b.id), cmp.Compare(a.hi, b.hi), cmp.Compare(a.lo, b.lo))
}

// recent is the log in memory.
type recent struct {
	before int                    // length of fresh when the transaction began
	known  map[recentKey]struct{} // all in the log
	last   uint64                 // seq of the last entry; 0: none
	room   int                    // bytes that still fit into it

	fresh   []recentKey // of the log after end
	merging []recentKey // of the log up to end, in order, without
	end     uint64      // those merged; nil: all are
}

// load makes r what the log is in the transaction of t.
func (r *recent) load(t *tree) error {
	*r = recent{known: make(map[recentKey]struct{})}
	return t.eachRecent(func(seq uint64, k recentKey) bool {
		r.known[k] = struct{}{}
		r.fresh = append(r.fresh, k)
		r.last = seq
		return true
	})
}

// add marks those of fps, which are sorted and of one host, that the log knows, and adds the others that are not marked
// already.
func (r *recent) add(id uint32, fps []fingerprint) {
	for i := range fps {
		f := &fps[i]
		if f.known {
			continue
		}
		k := recentKeyOf(id, f.fp)
		if _, f.known = r.known[k]; f.known {
			continue
		}
		r.known[k] = struct{}{}
		r.fresh = append(r.fresh, k)
	}
}

// finish writes down what was added since the transaction began, and merges some of the log into the sets. total is how many
// fingerprints are known.
func (r *recent) finish(t *tree, total uint64, s *scratch) (changed bool, err error) {
	added := len(r.fresh) - r.before
	if added == 0 && len(r.merging) == 0 {
		return false, nil
	}
	if err := r.append(t, r.fresh[r.before:], s); err != nil {
		return true, err
	}
	if len(r.merging) == 0 && uint64(len(r.fresh)) > min(max(total/recentShare, minRecent), maxRecent) {
		r.merging, r.fresh = r.fresh, nil
		r.end, r.room = r.last, 0
		slices.SortFunc(r.merging, compareRecent)
	}
	if len(r.merging) > 0 {
		return true, r.merge(t, 2*added+mergeLeast, s)
	}
	return true, nil
}

// append appends to the log.
func (r *recent) append(t *tree, keys []recentKey, s *scratch) error {
	for len(keys) > 0 {
		var key [8]byte
		var value []byte
		if r.room < recentSize {
			r.last++
			r.room = recentBytes
			value = s.alloc(min(r.room, recentSize*len(keys)))
			binary.BigEndian.PutUint64(key[:], r.last)
		} else {
			binary.BigEndian.PutUint64(key[:], r.last)
			old := t.recent.Get(key[:])
			value = append(s.alloc(min(recentBytes, len(old)+recentSize*len(keys))), old...)
		}
		n := min(len(keys), r.room/recentSize)
		for _, k := range keys[:n] {
			value = binary.BigEndian.AppendUint32(value, k.id)
			value = binary.BigEndian.AppendUint64(value, k.fp())
		}
		r.room -= n * recentSize
		keys = keys[n:]
		if err := t.recent.Put(key[:], value); err != nil {
			return err
		}
	}
	return nil
}

// merge merges about n fingerprints, and deletes their part of the log when these were the last of it.
func (r *recent) merge(t *tree, n int, s *scratch) error {
	done := 0
	for done < min(n, len(r.merging)) {
		id, host := r.merging[done].id, done
		s.fps = s.fps[:0]
		for ; done < len(r.merging) && r.merging[done].id == id && (done < n || done-host < seenSet); done++ {
			s.fps = append(s.fps, fingerprint{fp: r.merging[done].fp()})
		}
		if err := t.mergeSeen(id, s.fps, s.alloc); err != nil {
			return err
		}
	}
	for _, k := range r.merging[:done] {
		delete(r.known, k)
	}
	if r.merging = r.merging[done:]; len(r.merging) > 0 {
		return nil
	}
	r.merging = nil
	return r.cut(t)
}

// cut deletes the log up to end.
func (r *recent) cut(t *tree) error {
	var old [][8]byte // gathered first: a cursor loses its place when its page changes
	c := t.recent.Cursor()
	for k, _ := c.First(); len(k) == 8 && binary.BigEndian.Uint64(k) <= r.end; k, _ = c.Next() {
		old = append(old, [8]byte(k))
	}
	for _, k := range old {
		if err := t.recent.Delete(k[:]); err != nil {
			return err
		}
	}
	return nil
}

// eachRecent calls fn for each fingerprint of the log, until it returns false.
func (t *tree) eachRecent(fn func(seq uint64, k recentKey) bool) error {
	c := t.recent.Cursor()
	for k, v := c.First(); k != nil; k, v = c.Next() {
		if len(k) != 8 || len(v) == 0 || len(v)%recentSize != 0 {
			return corrupt(recentBucket, k, "not a list of fingerprints")
		}
		for ; len(v) > 0; v = v[recentSize:] {
			if !fn(binary.BigEndian.Uint64(k), recentKeyOf(binary.BigEndian.Uint32(v), binary.BigEndian.Uint64(v[4:]))) {
				return nil
			}
		}
	}
	return nil
}

// knows reports whether fp was added to host id. It reads the log from the database: readers may not look at a writer's memory.
func (t *tree) knows(id uint32, fp uint64) (found bool, err error) {
	if found, err = t.hasSeen(id, fp); found || err != nil {
		return found, err
	}
	want := recentKeyOf(id, fp)
	err = t.eachRecent(func(_ uint64, k recentKey) bool {
		found = k == want
		return !found
	})
	return found, err
}
