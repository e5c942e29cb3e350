package crawler

import (
	"hash/maphash"
	"sync/atomic"
)

// recentURLs is how many URLs a recent remembers, in 8 bytes each.
const recentURLs = 1 << 17

// recent remembers URLs that the frontier knows, or will before what is handed over
// from now on, those added last. Most links of a page lead where others did, and
// what is found here need not go to the frontier to be found known there.
//
// Like the frontier it goes by fingerprints of 64 bits. It may be used from many
// goroutines.
type recent struct {
	seed  maphash.Seed
	slots []atomic.Uint64 // by the lowest bits of what they hold
}

func newRecent() *recent {
	return &recent{seed: maphash.MakeSeed(), slots: make([]atomic.Uint64, recentURLs)}
}

func (r *recent) slot(url string) (*atomic.Uint64, uint64) {
	h := maphash.String(r.seed, url)
	return &r.slots[h%recentURLs], max(h, 1) // 0 is a slot without URL
}

// has reports whether url need not be added.
func (r *recent) has(url string) bool {
	slot, h := r.slot(url)
	return slot.Load() == h
}

// mark notes which of the links need not be added, and returns how many have to be. It
// looks for all of a page in one go, as most slots have to come from memory: the
// processor then waits for several at once.
func (r *recent) mark(links []foundLink) (unknown int) {
	for i := range links {
		if links[i].known = r.has(links[i].url.String()); !links[i].known {
			unknown++
		}
	}
	return unknown
}

// add remembers url, which was added for good: see committer.ordered.
func (r *recent) add(url string) {
	slot, h := r.slot(url)
	slot.Store(h)
}
