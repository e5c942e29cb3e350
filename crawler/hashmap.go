package crawler

// hashMap has a number for each of some hashes that nobody outside can choose. Its zero
// value is empty. It does what a map does, for a fifth of the time where it is emptied and
// filled again for each page.
type hashMap struct {
	slots []hashSlot // a power of two
	used  int
}

type hashSlot struct {
	hash   uint64 // 0: free
	number int32
}

// of returns the number of h, which is 0 if h is new. It can be set until the next call.
func (m *hashMap) of(h uint64) (number *int32, isNew bool) {
	if 2*m.used >= len(m.slots) {
		m.grow()
	}
	h = max(h, 1)
	mask := uint64(len(m.slots) - 1)
	for i := h & mask; ; i = (i + 1) & mask {
		switch s := &m.slots[i]; s.hash {
		case 0:
			s.hash = h
			m.used++
			return &s.number, true
		case h:
			return &s.number, false
		}
	}
}

func (m *hashMap) grow() {
	old := m.slots
	m.slots, m.used = make([]hashSlot, max(256, 2*len(old))), 0
	for _, s := range old {
		if s.hash != 0 {
			number, _ := m.of(s.hash)
			*number = s.number
		}
	}
}

// clear empties the map, which keeps its memory.
func (m *hashMap) clear() {
	clear(m.slots)
	m.used = 0
}
