package crawler

import (
	"math/rand/v2"
	"testing"
)

func TestHashSet(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var s hashSet
	for _, n := range []int{0, 1, 200, 10_000, 3} {
		model := make(map[uint64]bool)
		for range n {
			h := random.Uint64() >> random.IntN(64) // also few different ones, and such as follow one another
			if got := s.add(h); got == model[max(h, 1)] {
				t.Fatalf("of %d: %x is new: %t", n, h, got)
			}
			model[max(h, 1)] = true
		}
		if s.used != len(model) {
			t.Errorf("of %d: %d, want %d", n, s.used, len(model))
		}
		s.clear()
	}
}

func BenchmarkHashSet(b *testing.B) {
	random := rand.New(rand.NewPCG(1, 2))
	hashes := make([]uint64, 100)
	for i := range hashes {
		hashes[i] = random.Uint64()
	}
	b.Run("set", func(b *testing.B) {
		var s hashSet
		for b.Loop() {
			for _, h := range hashes {
				s.add(h)
			}
			s.clear()
		}
	})
	b.Run("map", func(b *testing.B) {
		m := make(map[uint64]struct{})
		for b.Loop() {
			for _, h := range hashes {
				m[h] = struct{}{}
			}
			clear(m)
		}
	})
}
