package crawler

import (
	"bytes"
	"hash/maphash"
	"io"
	"math/bits"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"

	lru "github.com/hashicorp/golang-lru/v2/simplelru"
	"go.etcd.io/bbolt"

	"github.com/orbweaver/orbweaver/crawler/weburl"
)

// Novelty says when a part of a site is left alone because it brings nothing new:
// a calendar without end, session identifiers in addresses, pages for whatever
// path is asked for. Its zero value is a watch that is on.
//
// A part of a site is what lies below one first segment of the path, digits and
// identifiers in that aside, with a query or without, over all hosts of a domain;
// the whole site is watched, too, for eight times as long. Of each, one page in
// eight, by chance, is compared with the others by its visible text, without digits, and by
// the addresses of its images. When of the last Pages pages of a part fewer than one
// in four differed from all others compared, its URLs are left out from then on, with
// ReasonNovelty, also in later runs of the job: until one has another Novelty, which
// begins to judge anew. A run that never judges leaves nothing out, and keeps what
// was judged. Of parts that are not given up, each run learns for itself. Seeds and
// sitemaps, and pages that are to be visited again, are never left out.
type Novelty struct {
	// Pages is after how many pages a part of a site is judged, again and again.
	// Zero: DefaultNoveltyPages. Negative: never.
	Pages int
	// Similar takes pages for the same that nearly are: of their words in threes
	// nearly all agree. Without it their texts must be equal.
	Similar bool
}

// DefaultNoveltyPages is what a Novelty.Pages of zero means.
const DefaultNoveltyPages = 1000

const (
	noveltySample = 8       // one page in as many is compared
	noveltyShare  = 4       // one in as many of them has to be new
	noveltyWhole  = 8       // the whole site is watched for as many times Pages
	noveltyParts  = 8 << 10 // parts of sites that are remembered, also in the job
	noveltyName   = 512     // bytes of a part's name that count
	noveltyMarks  = 256     // texts that are remembered of a part
	similarBits   = 6       // in which the hashes of similar texts may differ
)

// noveltyWatch watches what parts of sites bring. Its methods may be called at
// once. What it knows is of fixed size, and ends with the run but for the parts that
// are given up.
type noveltyWatch struct {
	cfg  Novelty
	seed maphash.Seed

	givenUp atomic.Int64 // parts that are: while there are none, nobody needs to ask

	mu    sync.Mutex
	parts *lru.LRU[uint64, *sitePart] // by the hash of their names
	news  []partNews                  // for the job
}

// sitePart is a part of a site, or the whole.
type sitePart struct {
	seen     int      // pages since it was last judged
	compared int      // of these
	fresh    int      // of these: unlike any of marks
	marks    []uint64 // hashes of what was fresh, also before
	givenUp  string   // its name, when it is
}

// partNews tells the job of a part that is given up, or of one that was and is
// forgotten.
type partNews struct {
	name    string
	givenUp bool
}

// newNoveltyWatch returns a watch that leaves alone the parts that were given up.
func newNoveltyWatch(cfg Novelty, givenUp []string) *noveltyWatch {
	w := &noveltyWatch{cfg: cfg, seed: maphash.MakeSeed()}
	// The size is positive, which is all that can be wrong.
	w.parts, _ = lru.NewLRU(noveltyParts, func(_ uint64, p *sitePart) {
		if p.givenUp != "" {
			w.givenUp.Add(-1)
			w.news = append(w.news, partNews{name: p.givenUp})
		}
	})
	if cfg.Pages >= 0 {
		for _, name := range givenUp {
			w.parts.Add(maphash.String(w.seed, name), &sitePart{givenUp: name})
			w.givenUp.Add(1)
		}
	}
	return w
}

// appendPart appends the name of the part of its site that u is in to an empty dst,
// and tells the length of the site's own name, which it begins with.
func appendPart(dst []byte, u weburl.URL) (name []byte, site int) {
	domain := weburl.Domain(u.Hostname())
	if domain == "" {
		domain = u.Host()
	}
	dst = append(dst, domain...)
	site = len(dst)
	dst = append(dst, '/')
	section, _, below := strings.Cut(strings.TrimPrefix(u.Path(), "/"), "/")
	if below {
		dst = appendShape(dst, section)
	}
	if u.Query() != "" {
		dst = append(dst, '?')
		if !below {
			dst = appendShape(dst, section)
		}
	}
	return dst[:min(len(dst), noveltyName)], min(site, noveltyName)
}

// appendShape appends a segment of a path with its digits, and all of it if it looks
// like an identifier, replaced.
func appendShape(dst []byte, segment string) []byte {
	digits := 0
	for i := range len(segment) {
		if c := segment[i]; c >= '0' && c <= '9' {
			digits++
		}
	}
	if len(segment) >= 12 && digits*8 >= len(segment) {
		return append(dst, '*')
	}
	for i := range len(segment) {
		if c := segment[i]; c < '0' || c > '9' {
			dst = append(dst, c)
		}
	}
	return dst
}

// lacks says whether u is in a part of its site that brings nothing new.
func (w *noveltyWatch) lacks(u weburl.URL) bool {
	if w.givenUp.Load() == 0 {
		return false
	}
	var room [128]byte
	name, site := appendPart(room[:0], u)
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, name := range [...][]byte{name, name[:site]} {
		if p, ok := w.parts.Get(maphash.Bytes(w.seed, name)); ok && p.givenUp != "" {
			return true
		}
	}
	return false
}

// saw is told of a page. It returns what the job has to be told then, with the page.
func (w *noveltyWatch) saw(u weburl.URL, p *Page) (news []partNews) {
	if w.cfg.Pages < 0 {
		return nil
	}
	// By chance, as pages may come in a rhythm.
	sampled := rand.Uint32N(noveltySample) == 0
	var mark uint64
	if sampled {
		mark = w.mark(p)
	}
	var room [128]byte
	name, site := appendPart(room[:0], u)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.count(name, 1, sampled, mark)
	w.count(name[:site], noveltyWhole, sampled, mark)
	news, w.news = w.news, nil
	return news
}

// count counts a page of a part of a site that is watched for weight times Pages.
func (w *noveltyWatch) count(name []byte, weight int, sampled bool, mark uint64) {
	key := maphash.Bytes(w.seed, name)
	p, ok := w.parts.Get(key)
	if !ok {
		p = &sitePart{}
		w.parts.Add(key, p)
	}
	if p.givenUp != "" {
		return
	}
	if p.seen >= orDefault(w.cfg.Pages, DefaultNoveltyPages)*weight {
		if p.fresh*noveltyShare < p.compared {
			*p = sitePart{givenUp: string(name)}
			w.givenUp.Add(1)
			w.news = append(w.news, partNews{p.givenUp, true})
			return
		}
		*p = sitePart{marks: p.marks}
	}
	p.seen++
	if sampled {
		p.compared++
		w.compare(p, mark)
	}
}

var bucketNovelty = []byte("novelty")

// put notes the part in the job, or takes the note away.
func (n *partNews) put(b *bbolt.Bucket) error {
	if !n.givenUp {
		return b.Delete([]byte(n.name))
	}
	return b.Put([]byte(n.name), nil)
}

// givenUp are the parts of sites that the job has given up.
func (j *Job) givenUp() (parts []string, err error) {
	err = j.view(func(b *bbolt.Bucket) error {
		return b.Bucket(bucketNovelty).ForEach(func(name, _ []byte) error {
			parts = append(parts, string(name))
			return nil
		})
	})
	return parts, err
}

// givenUpFor is the part of its site that u is in, or all of it, if the job has given that up; "" if not.
func (j *Job) givenUpFor(u weburl.URL) (part string, err error) {
	name, site := appendPart(nil, u)
	err = j.view(func(b *bbolt.Bucket) error {
		c := b.Bucket(bucketNovelty).Cursor()
		for _, name := range [...][]byte{name, name[:site]} {
			if found, _ := c.Seek(name); bytes.Equal(found, name) {
				part = string(name)
			}
		}
		return nil
	})
	return part, err
}

// takeUpAgain forgets which parts were given up.
func takeUpAgain(b *bbolt.Bucket) error {
	if err := b.DeleteBucket(bucketNovelty); err != nil {
		return err
	}
	_, err := b.CreateBucket(bucketNovelty)
	return err
}

// compare counts a page as new unless one like it was there.
func (w *noveltyWatch) compare(p *sitePart, mark uint64) {
	for _, m := range p.marks {
		if m == mark || w.cfg.Similar && bits.OnesCount64(m^mark) <= similarBits {
			return
		}
	}
	p.fresh++
	if len(p.marks) < noveltyMarks {
		p.marks = append(p.marks, mark)
	}
}

// mark is a hash of what can be seen of a page.
func (w *noveltyWatch) mark(p *Page) uint64 {
	if !isHTML(p.ContentType) {
		return maphash.Bytes(w.seed, p.Body)
	}
	if w.cfg.Similar {
		var text bytes.Buffer
		visible(&text, p.Body)
		return simhash(w.seed, text.Bytes())
	}
	var h maphash.Hash
	h.SetSeed(w.seed)
	visible(&h, p.Body)
	return h.Sum64()
}

// visible writes the text of an HTML page without its digits, and of the tags of
// images all. It is no parser: a page that it misreads is compared by a little more
// or less of itself. Writing to w cannot fail.
func visible(w io.Writer, body []byte) {
	buf := make([]byte, 0, 1024)
	write := func(part []byte) {
		for len(part) > cap(buf)-len(buf) {
			_, _ = w.Write(buf)
			n := min(len(part), cap(buf))
			buf, part = append(buf[:0], part[:n]...), part[n:]
		}
		buf = append(buf, part...)
	}
	for len(body) > 0 {
		text := body
		if i := bytes.IndexByte(body, '<'); i >= 0 {
			text = body[:i]
		}
		body = body[len(text):]
		written := 0
		for i, c := range text {
			if c >= '0' && c <= '9' {
				write(text[written:i])
				written = i + 1
			}
		}
		write(text[written:])
		tag := body
		if i := bytes.IndexByte(body, '>'); i >= 0 {
			tag = body[:i+1]
		}
		body = body[len(tag):]
		if len(tag) > 4 && isImage(tag[1:4]) {
			write(tag)
		}
	}
	_, _ = w.Write(buf)
}

func isImage(name []byte) bool {
	return name[0]|0x20 == 'i' && name[1]|0x20 == 'm' && name[2]|0x20 == 'g'
}

// simhash is a hash in which texts of nearly the same words differ in few bits:
// each bit is what the hashes of most runs of three words say (M. Charikar,
// "Similarity estimation techniques from rounding algorithms", 2002).
func simhash(seed maphash.Seed, text []byte) uint64 {
	var votes [64]int32
	var last [2]uint64
	for word := range strings.FieldsSeq(string(text)) {
		h := maphash.String(seed, word)
		run := h ^ bits.RotateLeft64(last[0], 21) ^ bits.RotateLeft64(last[1], 42)
		run *= 0x9e3779b97f4a7c15
		last[1], last[0] = last[0], h
		for i := range votes {
			votes[i] += int32(run>>i&1)*2 - 1
		}
	}
	var sum uint64
	for i, v := range votes {
		if v > 0 {
			sum |= 1 << i
		}
	}
	return sum
}
