package crawler

import (
	"math/rand/v2"
	"testing"
)

func TestHashMap(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var m hashMap
	for _, n := range []int{0, 1, 200, 10_000, 3} {
		model := make(map[uint64]int32)
		for i := range n {
			h := random.Uint64() >> random.IntN(64) // also few different ones, and such as follow one another
			number, isNew := m.of(h)
			want, known := model[max(h, 1)]
			if isNew == known || *number != want {
				t.Fatalf("of %d: %x is new: %t, has %d, want %d", n, h, isNew, *number, want)
			}
			*number = int32(i)
			model[max(h, 1)] = int32(i)
		}
		if m.used != len(model) {
			t.Errorf("of %d: %d, want %d", n, m.used, len(model))
		}
		m.clear()
	}
}

func BenchmarkHashMap(b *testing.B) {
	random := rand.New(rand.NewPCG(1, 2))
	hashes := make([]uint64, 100)
	for i := range hashes {
		hashes[i] = random.Uint64()
	}
	b.Run("hashMap", func(b *testing.B) {
		var m hashMap
		for b.Loop() {
			for i, h := range hashes {
				number, _ := m.of(h)
				*number = int32(i)
			}
			m.clear()
		}
	})
	b.Run("map", func(b *testing.B) {
		m := make(map[uint64]int32)
		for b.Loop() {
			for i, h := range hashes {
				m[h] = int32(i)
			}
			clear(m)
		}
	})
}
