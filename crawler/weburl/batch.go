package weburl

import (
	"cmp"
	"slices"
)

// Batch resolves the links of a page together. Their URLs share one string, which is allocated once; who keeps a few of
// them for long should [URL.Clone] those. The zero value is empty. A batch that is used again keeps its memory. Its
// methods must not be called at once.
type Batch struct {
	text  []byte
	spans []span
}

// span is where a URL is in the text.
type span struct {
	from, to int
	offsets
}

// Add resolves ref as [Parser.Resolve] by p does, but for p.Rules, and keeps nothing of it. The reason is "" if ref is a
// URL, which then is in the batch.
func (b *Batch) Add(p Parser, base URL, ref []byte) Reason {
	from := len(b.text)
	b.text = slices.Grow(b.text, len(base.s)+len(ref)+len("https://")) // more only if something has to be escaped
	text, o, reason := assemble(b.text[from:], base, view(ref), cmp.Or(p.MaxLength, defaultMaxLength), false)
	if reason != "" {
		return reason
	}
	b.text = append(b.text, text...)
	b.spans = append(b.spans, span{from, len(b.text), o})
	return ""
}

// Len returns how many URLs are in the batch.
func (b *Batch) Len() int { return len(b.spans) }

// Size returns how many bytes they have.
func (b *Batch) Size() int { return len(b.text) }

// Cap returns for how many bytes there is memory already.
func (b *Batch) Cap() int { return cap(b.text) }

// Take calls yield for each URL in the order in which they were added, after p.Rules, and empties the batch.
func (b *Batch) Take(p Parser, yield func(i int, u URL)) {
	text := string(b.text)
	for i, s := range b.spans {
		yield(i, p.Rules.Apply(URL{text[s.from:s.to], s.offsets}))
	}
	b.text, b.spans = b.text[:0], b.spans[:0]
}
