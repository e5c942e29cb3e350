package links

import "bytes"

// srcset yields the URLs of a srcset attribute as the standard's section 4.8.4.3.10 parts them. Their descriptors
// are passed over, not judged.
func srcset(value []byte, yield func(url []byte)) {
	for {
		for len(value) > 0 && (value[0] == ',' || class[value[0]]&space != 0) {
			value = value[1:]
		}
		var url []byte
		if url, value = cutSpace(value); len(url) == 0 {
			return
		}
		if bare := bytes.TrimRight(url, ","); len(bare) < len(url) {
			yield(bare)
			continue
		}
		yield(url)
		value = value[descriptorsEnd(value):]
	}
}

// descriptorsEnd returns where the descriptors of a candidate end: at a comma outside of parentheses.
func descriptorsEnd(value []byte) int {
	inParens := false
	for i, c := range value {
		switch c {
		case '(':
			inParens = true
		case ')':
			inParens = false
		case ',':
			if !inParens {
				return i
			}
		}
	}
	return len(value)
}
