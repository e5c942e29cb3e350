package warc

import (
	lru "github.com/hashicorp/golang-lru/v2"
)

// maxOriginal is the longest URL that is remembered, to bound a dedup's memory.
const maxOriginal = 2 << 10

// dedup knows payloads that were archived, the most recent ones. Its methods may
// be called at once.
type dedup struct {
	cache *lru.Cache[payload, Original]
}

// newDedup returns one for so many payloads; nil if that is not positive.
func newDedup(most int) *dedup {
	if most <= 0 {
		return nil
	}
	cache, err := lru.New[payload, Original](most)
	if err != nil {
		panic(err) // the size is positive
	}
	return &dedup{cache}
}

func (d *dedup) find(p payload) (Original, bool) { return d.cache.Get(p) }

// add remembers where p was archived, unless it is known already: revisits refer
// to the first.
func (d *dedup) add(p payload, o Original) {
	if len(o.URL) <= maxOriginal {
		d.cache.ContainsOrAdd(p, o)
	}
}
