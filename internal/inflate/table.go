package inflate

import "sync"

// A table translates the next bits of the input to an entry. The codes that are longer than the table's index have
// entries in tables of a second level, which lie behind it.
//
// The parts of an entry, from the lowest bit on:
//
//	6 bits  how many bits it takes from the input, extra bits included
//	1 bit   pair: two literals
//	1 bit   literal
//	6 bits  where the extra bits begin; of a pair, the bits of the first; of an entry that leads deeper, the bits of
//	        that table's index
//	1 bit   deeper
//	1 bit   special: neither literal nor length nor distance
//	16 bits the literal, above it the second of a pair; the least length or distance; where the deeper table begins
//
// A special entry that is neither deeper nor endOfBlock stands for bits without meaning.
const (
	pair       = 1 << 6
	literal    = 1 << 7
	deeper     = 1 << 14
	special    = 1 << 15
	endOfBlock = 1 << 16 // its value, which others that are special and not deeper do not have
)

// The alphabets of RFC 1951: symbols in use, bits of a table's index, and the room for tables of both levels, which is
// a power of two above what any code needs.
const (
	maxLit, maxDist = 286, 30
	maxBits         = 15

	litBits, litSize   = 11, 4096
	distBits, distSize = 8, 512
	codeBits, codeSize = 7, 128
)

type (
	litTable  [litSize]uint32
	distTable [distSize]uint32
	codeTable [codeSize]uint32
)

// codeOrder is the order in which the lengths of the code of code lengths are sent.
var codeOrder = [19]uint8{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}

// The entries of symbols, but for their codes: literals and lengths, distances, code lengths.
var (
	litSymbols = func() (s [288]uint32) {
		for i := range 256 {
			s[i] = uint32(i)<<16 | literal
		}
		s[256] = special | endOfBlock
		least := uint32(3)
		for i := range uint32(28) {
			extra := max(i/4, 1) - 1
			s[257+i] = least<<16 | extra
			least += 1 << extra
		}
		s[285] = 258 << 16
		s[286], s[287] = special, special
		return s
	}()
	distSymbols = func() (s [32]uint32) {
		least := uint32(1)
		for i := range uint32(30) {
			extra := max(i/2, 1) - 1
			s[i] = least<<16 | extra
			least += 1 << extra
		}
		s[30], s[31] = special, special
		return s
	}()
	codeSymbols = func() (s [19]uint32) {
		for i := range s {
			s[i] = uint32(i) << 16
		}
		return s
	}()
)

// fixedTables are those of RFC 1951 section 3.2.6.
var fixedTables = sync.OnceValue(func() *struct {
	lit  litTable
	dist distTable
} {
	t := new(struct {
		lit  litTable
		dist distTable
	})
	var b builder
	for symbol := range 288 {
		n := 8
		switch {
		case symbol >= 144 && symbol < 256:
			n = 9
		case symbol >= 256 && symbol < 280:
			n = 7
		}
		b.add(symbol, n)
	}
	b.build(t.lit[:], litBits, litSymbols[:])
	for symbol := range 32 {
		b.add(symbol, 5)
	}
	b.build(t.dist[:], distBits, distSymbols[:])
	return t
})

// perBit is what a bit of code adds to an entry: to the bits it takes, and to where the extra bits begin.
const perBit = 1 | 1<<8

// builder builds the table of a canonical code from the lengths of its symbols' codes.
type builder struct {
	lengths [288]uint16 // of n symbols: the symbol<<4 | the bits of its code
	n       int
	sorted  [288]uint32 // by the lengths of their codes: the symbol<<16 | its code, reversed, once that is placed
}

// add adds a symbol, the next that has a code, with the bits of that.
func (b *builder) add(symbol, bits int) {
	b.lengths[b.n] = uint16(symbol<<4 | bits)
	b.n++
}

// build fills table, whose index has the given number of bits, for the symbols that were added, and forgets them. It
// reports whether they make a code: one that leaves no bits without meaning, or has a single symbol of one bit, or no
// symbol at all.
func (b *builder) build(table []uint32, indexBits int, symbols []uint32) bool {
	lengths := b.lengths[:b.n]
	b.n = 0
	var count [maxBits + 1]int
	for _, l := range lengths {
		count[l&maxBits]++
	}
	shortest, longest, space := 1, 0, 0
	var ends [maxBits + 1]int // of each length, in sorted
	for n := 1; n <= maxBits; n++ {
		ends[n] = ends[n-1] + count[n-1]
		if space = space<<1 + count[n]; space > 1<<n {
			return false
		}
		if count[n] > 0 {
			longest = n
		}
		if longest == 0 {
			shortest = n + 1
		}
	}
	switch {
	case longest == 0:
		for i := range 1 << indexBits {
			table[i] = special
		}
		return true
	case space != 1<<maxBits && (longest != 1 || count[1] != 1):
		return false
	}
	for _, l := range lengths {
		n := l & maxBits
		b.sorted[ends[n]] = uint32(l) >> 4 << 16
		ends[n]++
	}

	// The entries of codes up to a length fill a table with an index of that many bits. It is doubled for the next
	// length, whose codes then take the places that were left, and two literals' together that of one.
	table[0] = special | perBit // in a code of one symbol, the bits without meaning
	code := uint16(0)
	var literals [maxBits + 1][]uint32 // of each length, in sorted
	for n := 1; n <= indexBits; n++ {
		size := 1 << (n - 1)
		copy(table[size:2*size], table[:size])
		code <<= 1
		sorted := b.sorted[ends[n-1]:ends[n]]
		lits := 0
		for i, s := range sorted {
			at := reverse(code, n)
			e := symbols[s>>16] + uint32(n)*perBit
			table[at] = e
			sorted[i] = s | uint32(at)
			if e&literal != 0 {
				lits = i + 1
			}
			code++
		}
		literals[n] = sorted[:lits]
		for n1 := shortest; n1 <= n-shortest; n1++ {
			pairs(table, literals[n1], literals[n-n1], n1, n)
		}
	}
	sub := subtables{table: table, indexBits: indexBits, end: 1 << indexBits, prefix: -1}
	for n := indexBits + 1; n <= longest; n++ {
		code <<= 1
		for i, s := range b.sorted[ends[n-1]:ends[n]] {
			sub.place(reverse(code, n), n, symbols[s>>16]+uint32(n)*perBit, count[n]-i, &count)
			code++
		}
	}
	return true
}

// pairs places entries that stand for two literals, whose codes have n bits together, of which the first has n1.
func pairs(table []uint32, firsts, seconds []uint32, n1, n int) {
	for _, s := range seconds {
		at := s & 0xffff << n1
		e := s>>16<<24 + literal + pair + uint32(n) + uint32(n1)<<8
		for _, s := range firsts {
			table[s&0xffff|at] = s>>16<<16 + e
		}
	}
}

// subtables are the tables of the second level, as far as they are filled.
type subtables struct {
	table     []uint32
	indexBits int
	prefix    int // the index that led to the last table
	start     int // of the last table
	end       int
}

// place puts e, of the code at (reversed) with n bits, into its table, making that if it is the first there. left is
// how many codes of that length are still to come, this one included.
func (s *subtables) place(at, n int, e uint32, left int, count *[maxBits + 1]int) {
	if prefix := at & (1<<s.indexBits - 1); prefix != s.prefix {
		more := n - s.indexBits
		for used := left; used < 1<<more; { // the table must hold the longest code with this prefix
			more++
			used = used<<1 + count[s.indexBits+more]
		}
		s.prefix, s.start = prefix, s.end
		s.end += 1 << more
		s.table[prefix] = uint32(s.start)<<16 | special | deeper | uint32(more)<<8 | uint32(s.indexBits)
	}
	e -= uint32(s.indexBits) * perBit
	for i := s.start + at>>s.indexBits; i < s.end; i += 1 << (n - s.indexBits) {
		s.table[i] = e
	}
}
