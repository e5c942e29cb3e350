package links

import (
	"bytes"
	"encoding/binary"
	"math/bits"
)

// Most tags of a page say nothing of its links, and are not read but passed over. That is most of the time of Extract,
// and most of that the processor waits: for the place where to read on, or after a branch that it guessed wrong.

// passOver sets the elements whose start tags pass moves past.
func (x *extractor) passOver(passed elementSet) {
	x.passed, x.heads = passed, noTags
	for e := elemA; e < elemCount; e++ {
		if passed.has(e) {
			continue
		}
		name := elementNames[e]
		bit := ^uint32(0) // whatever follows a name that is shorter than a head
		if len(name) >= 3 {
			bit = headBit(uint64(name[1])<<8 | uint64(name[2])<<16)
		}
		x.heads[name[0]] |= bit
		x.heads[name[0]-'a'+'A'] |= bit
	}
}

// noTags are the heads of what is neither a start tag nor, by its first byte, an end tag.
var noTags = func() (heads [256]uint32) {
	for c := range heads {
		if class[c]&letter == 0 && c != '/' {
			heads[c] = ^uint32(0)
		}
	}
	return heads
}()

// headBit returns a bit for the second and third of the bytes behind a "<", the lowest of w first, in which the case of
// letters makes no difference. With the first byte it tells nearly all names apart, whatever their length.
func headBit(w uint64) uint32 { return 1 << ((w>>8 ^ w>>17&15) & 31) }

// pass moves past end tags and the start tags of the elements in passed. It returns the element of the first other
// start tag, whose name it has read. Before all that it cannot tell at a glance it stops and returns 0: that is for
// next.
func (x *extractor) pass() element {
	const glance = 9 // bytes looked at behind a "<"
	in, i, end := x.in, x.pos, x.pos
	for {
		// This searches from the begin of the last tag, and not from its end, which then need not be known yet. Few tags
		// have a "<" within.
		n := bytes.IndexByte(in[i:], '<')
		if n < 0 || i+n+1+glance > len(in) {
			x.pos = max(i, end)
			return 0
		}
		tag := i + n
		if tag < end {
			i = end
			continue
		}
		i = tag + 1
		w := binary.LittleEndian.Uint64(in[i:])
		first := byte(w)
		if x.heads[first]&headBit(w) != 0 {
			if class[first]&letter == 0 {
				x.pos = tag
				return 0
			}
			x.readName(i)
			if e := elementOf(x.at(x.name)); !x.passed.has(e) {
				return e
			}
			end = x.pos
		} else {
			if in[i+tagBytes(w)] == '>' { // without a "=", which alone makes room for another ">"
				continue
			}
			if first == '/' && class[in[i+1]]&letter == 0 {
				x.pos = tag
				return 0
			}
			end = i + 1
			for end < len(in) && class[in[end]]&nameEnd == 0 {
				end++
			}
		}
		if end = tagEnd(in, end); end < 0 {
			x.pos = tag
			return 0
		}
	}
}

// tagBytes returns how many bytes of w, the lowest first, stand before the first "<", "=", ">" or "?".
func tagBytes(w uint64) int {
	const each, high = 0x01_01_01_01_01_01_01_01, 0x80_80_80_80_80_80_80_80
	w = w&(0xFC*each) ^ '<'*each // The four, which differ in their lowest bits only, are zero now.
	return bits.TrailingZeros64((w-each)&^w&high) / 8
}

// tagEnd returns the place of the ">" that ends the tag whose name ends at i, and a negative number when there is none
// or it takes nextAttribute to find it.
func tagEnd(in []byte, i int) int {
	for start := i; i < len(in); i++ {
		if c := in[i]; c > '>' || c < '=' {
			continue
		} else if c == '>' {
			return i
		}
		if i == start || class[in[i-1]]&keyEnd != 0 || i+1 == len(in) || class[in[i+1]]&space != 0 {
			return -1 // This "=" begins a name, or has white space around it.
		}
		i++
		if quote := in[i]; quote == '"' || quote == '\'' {
			n := bytes.IndexByte(in[i+1:], quote)
			if n < 0 {
				return -1
			}
			i += n + 1
		} else {
			for i < len(in) && class[in[i]]&space == 0 && in[i] != '>' {
				i++
			}
			i--
		}
		start = i + 1
	}
	return -1
}
