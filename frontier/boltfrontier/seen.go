package boltfrontier

import (
	"encoding/binary"
	"slices"

	"go.etcd.io/bbolt"
)

// The fingerprints of a host are sorted and cut into sets, one value each: 8 bytes a fingerprint, big-endian, without
// repeats. A set's key is the id and the first 4 bytes below which it has none; the set before it has none from there
// on. The first set of a host begins at 0. A set that grows beyond seenSet is cut into equal parts. By BenchmarkDisk and
// BenchmarkPut, sets half and twice as large take as many bytes of disk, and differ less in time than two runs do.
const seenSet = 128

func seenKey(id, prefix uint32) [8]byte {
	var k [8]byte
	binary.BigEndian.PutUint32(k[:], id)
	binary.BigEndian.PutUint32(k[4:], prefix)
	return k
}

// fingerprint is that of request index of what is being added.
type fingerprint struct {
	fp    uint64
	index int32
	known bool // it, or an equal one before it, was there
}

// addSeen marks those of fps, sorted by fp, that host id has, and adds the others to what it has. first says that it has none so
// far.
func (t *tree) addSeen(id uint32, first bool, fps []fingerprint) error {
	if first {
		markKnown(nil, fps)
	} else if err := t.eachSet(id, fps, func(_ uint32, set []byte, fps []fingerprint) error {
		markKnown(set, fps)
		return nil
	}); err != nil {
		return err
	}
	t.logs.recent.add(id, fps)
	return nil
}

// mergeSeen puts fps, sorted by fp, into the sets of host id, and marks those that are there already. Values are made by alloc.
func (t *tree) mergeSeen(id uint32, fps []fingerprint, alloc func(int) []byte) error {
	return t.eachSet(id, fps, func(lower uint32, set []byte, fps []fingerprint) error {
		fresh := markKnown(set, fps)
		if fresh == 0 {
			return nil
		}
		return t.putSeen(id, lower, merge(alloc(len(set)+8*fresh), set, fps))
	})
}

// eachSet calls fn with each set that has or should have some of fps, sorted by fp, of host id: with the prefix at which it
// begins, itself, and those of fps. A host without sets has one that is empty. fn may change the set.
func (t *tree) eachSet(id uint32, fps []fingerprint, fn func(lower uint32, set []byte, fps []fingerprint) error) error {
	c := t.seen.Cursor()
	for len(fps) > 0 {
		lower, upper, set, err := seenSetOf(c, id, prefix(fps[0].fp))
		if err != nil {
			return err
		}
		n := len(fps)
		if upper < 1<<32 {
			n, _ = slices.BinarySearchFunc(fps, upper<<32, func(f fingerprint, at uint64) int {
				if f.fp < at {
					return -1
				}
				return 1
			})
		}
		if err := fn(lower, set, fps[:n]); err != nil {
			return err
		}
		fps = fps[n:]
	}
	return nil
}

func prefix(fp uint64) uint32 { return uint32(fp >> 32) }

// seenSetOf returns the set of host id for a prefix, and the prefixes from which and below which it holds; of a host without sets, one
// that is empty and holds from 0 on.
func seenSetOf(c *bbolt.Cursor, id, p uint32) (lower uint32, upper uint64, set []byte, err error) {
	want := seenKey(id, p)
	k, v := c.Seek(want[:])
	upper = 1 << 32
	if k != nil && [8]byte(k) != want {
		if gotID, at, err := parseSeenKey(k); err != nil {
			return 0, 0, nil, err
		} else if gotID == id {
			upper = uint64(at)
		}
	}
	switch {
	case k == nil:
		k, v = c.Last()
	case [8]byte(k) != want:
		k, v = c.Prev()
	}
	if k == nil {
		return 0, upper, nil, nil
	}
	gotID, lower, err := parseSeenKey(k)
	if err != nil {
		return 0, 0, nil, err
	}
	if gotID != id && upper == 1<<32 {
		return 0, upper, nil, nil
	}
	if gotID != id || len(v) == 0 || len(v)%8 != 0 {
		return 0, 0, nil, corrupt(seenBucket, want[:], "no set of fingerprints holds this")
	}
	if lower == p { // found at once: the next key is still to be seen
		if next, _ := c.Next(); next != nil {
			if gotID, at, err := parseSeenKey(next); err != nil {
				return 0, 0, nil, err
			} else if gotID == id {
				upper = uint64(at)
			}
		}
	}
	return lower, upper, v, nil
}

func parseSeenKey(k []byte) (id, prefix uint32, err error) {
	if len(k) != 8 {
		return 0, 0, corrupt(seenBucket, k, "not 8 bytes")
	}
	return binary.BigEndian.Uint32(k), binary.BigEndian.Uint32(k[4:]), nil
}

// markKnown sets known in fps, which are sorted, by a set, and returns the number of the others.
func markKnown(set []byte, fps []fingerprint) (fresh int) {
	for i := range fps {
		f := &fps[i]
		switch {
		case i > 0 && fps[i-1].fp == f.fp:
			f.known = true
		default:
			at := search(set, f.fp)
			set = set[8*at:]
			f.known = len(set) > 0 && binary.BigEndian.Uint64(set) == f.fp
		}
		if !f.known {
			fresh++
		}
	}
	return fresh
}

// search returns the index of the first fingerprint in set that is not below fp.
func search(set []byte, fp uint64) int {
	low, high := 0, len(set)/8
	for low < high {
		mid := (low + high) / 2
		if binary.BigEndian.Uint64(set[8*mid:]) < fp {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low
}

// merge appends set and those of fps that are not known to dst, in order.
func merge(dst, set []byte, fps []fingerprint) []byte {
	for _, f := range fps {
		if f.known {
			continue
		}
		at := 8 * search(set, f.fp)
		dst = append(dst, set[:at]...)
		dst = binary.BigEndian.AppendUint64(dst, f.fp)
		set = set[at:]
	}
	return append(dst, set...)
}

// putSeen stores the set that begins at prefix lower, in equal parts if it is too large for one.
func (t *tree) putSeen(id, lower uint32, set []byte) error {
	parts := (len(set)/8 + seenSet - 1) / seenSet
	for ; parts > 0; parts-- {
		cut := cutSeen(set, len(set)/8/parts)
		k := seenKey(id, lower)
		if err := t.seen.Put(k[:], set[:cut:cut]); err != nil {
			return err
		}
		if set = set[cut:]; len(set) == 0 {
			break
		}
		lower = prefix(binary.BigEndian.Uint64(set))
	}
	return nil
}

// cutSeen returns where to cut set after n fingerprints or a few more: those with the same prefix stay together.
func cutSeen(set []byte, n int) int {
	cut := 8 * n
	for cut > 0 && cut < len(set) && [4]byte(set[cut:]) == [4]byte(set[cut-8:]) {
		cut += 8
	}
	return cut
}

// hasSeen reports whether fp is in the sets of host id.
func (t *tree) hasSeen(id uint32, fp uint64) (bool, error) {
	_, _, set, err := seenSetOf(t.seen.Cursor(), id, prefix(fp))
	if err != nil {
		return false, err
	}
	i := search(set, fp)
	return i < len(set)/8 && binary.BigEndian.Uint64(set[8*i:]) == fp, nil
}
