package crawler

import (
	"encoding/binary"
	"math/bits"
	"time"

	"github.com/orbweaver/orbweaver/crawler/links"
	"github.com/orbweaver/orbweaver/crawler/sitemap"
	"github.com/orbweaver/orbweaver/frontier"
)

// envelope is what the crawler keeps in a frontier.Request's Data: its
// flags (uvarint), what they say is there, in the order of the flags, and the user's data
// after it. Nothing at all is nothing at all, which is by far the most frequent.
type envelope struct {
	flags   uint16
	kind    links.Kind // of the link that led to the URL; 0: an anchor, a seed or a handler
	rel     links.Rel  // of that link, as far as it is in qualified
	listing listing    // what a sitemap says of the URL
	quota   quota      // of a sitemap
	hops    byte       // links since the crawl left the seeds' site; 0: as few as the URL tells
	plan    plan       // of a page that is visited again
	user    []byte
}

// maxEnvelope is what an envelope of a handler's request adds at most to the
// user's data, in bytes, now or when it is visited again.
const maxEnvelope = 32

const (
	// flagSeed marks a seed: what becomes of it is reported.
	flagSeed = 1 << iota
	// flagGuessed marks a seed whose https was guessed: http comes next.
	flagGuessed
	// flagSecond marks a seed whose https was tried: user holds the error.
	flagSecond
	flagKind
	flagRel
	flagListing
	flagQuota
	flagHops
	// flagRevisit marks what was visited, or should have been, and is to be again.
	flagRevisit

	// What encode sets and decodeEnvelope takes off.
	flagsOfParts = flagKind | flagRel | flagListing | flagQuota | flagHops
)

// qualified are the relations by which a page says that it does not vouch for
// where its link leads.
const qualified = links.RelNoFollow | links.RelUGC | links.RelSponsored

// listing is what a sitemap says of a URL besides its priority. It is a hint for
// when to come again.
type listing struct {
	lastMod int64 // when the page changed last, in seconds since 1970; 0: not told
	freq    uint8 // how often it changes, as an index of changeFreqs
}

var changeFreqs = [...]sitemap.ChangeFreq{
	"", sitemap.Always, sitemap.Hourly, sitemap.Daily, sitemap.Weekly, sitemap.Monthly, sitemap.Yearly, sitemap.Never,
}

// listingOf keeps what an entry says.
func listingOf(e *sitemap.Entry) (l listing) {
	if !e.LastMod.IsZero() {
		l.lastMod = e.LastMod.Unix()
	}
	for i, f := range changeFreqs {
		if f == e.ChangeFreq {
			l.freq = uint8(i)
		}
	}
	return l
}

// modified is when the page changed last; zero: the sitemap does not say.
func (l listing) modified() time.Time {
	if l.lastMod == 0 {
		return time.Time{}
	}
	return time.Unix(l.lastMod, 0).UTC()
}

// changeFreq is how often the page changes; "" if the sitemap does not say.
func (l listing) changeFreq() sitemap.ChangeFreq { return changeFreqs[l.freq] }

// quota bounds what a sitemap may lead to: how many more sitemaps, what they
// name included, and how many more levels of them.
type quota struct {
	sitemaps uint64
	levels   uint64
}

func (e envelope) encode() []byte {
	flags := e.flags
	if e.kind&^links.Anchor != 0 {
		flags |= flagKind
	}
	if e.rel&qualified != 0 {
		flags |= flagRel
	}
	if e.listing != (listing{}) {
		flags |= flagListing
	}
	if e.quota != (quota{}) {
		flags |= flagQuota
	}
	if e.hops != 0 {
		flags |= flagHops
	}
	if flags == 0 && len(e.user) == 0 {
		return nil
	}
	data := binary.AppendUvarint(make([]byte, 0, 8+len(e.user)), uint64(flags))
	if flags&flagKind != 0 {
		data = append(data, byte(bits.TrailingZeros32(uint32(e.kind))))
	}
	if flags&flagRel != 0 {
		data = append(data, byte(e.rel&qualified))
	}
	if flags&flagListing != 0 {
		data = append(binary.AppendVarint(data, e.listing.lastMod), e.listing.freq)
	}
	if flags&flagQuota != 0 {
		data = binary.AppendUvarint(data, e.quota.sitemaps)
		data = binary.AppendUvarint(data, e.quota.levels)
	}
	if flags&flagHops != 0 {
		data = append(data, e.hops)
	}
	if flags&flagRevisit != 0 {
		data = e.plan.append(data)
	}
	return append(data, e.user...)
}

// decodeEnvelope reads what encode wrote. Of data that is cut it takes what is
// there.
func decodeEnvelope(data []byte) envelope {
	if len(data) == 0 {
		return envelope{}
	}
	d := dataReader{data}
	flags := uint16(d.uvarint())
	e := envelope{flags: flags &^ flagsOfParts}
	if flags&flagKind != 0 {
		e.kind = links.All & (1 << (d.byte() & 31))
	}
	if flags&flagRel != 0 {
		e.rel = links.Rel(d.byte()) & qualified
	}
	if flags&flagListing != 0 {
		e.listing = listing{lastMod: d.varint(), freq: d.byte() % uint8(len(changeFreqs))}
	}
	if flags&flagQuota != 0 {
		e.quota = quota{sitemaps: d.uvarint(), levels: d.uvarint()}
	}
	if flags&flagHops != 0 {
		e.hops = d.byte()
	}
	if flags&flagRevisit != 0 {
		e.plan = d.plan()
	}
	e.user = d.rest
	return e
}

func (e envelope) has(flag uint16) bool { return e.flags&flag != 0 }

// seeds says whether the request, whose envelope this is, is for a seed: one that is new,
// or comes again. A seed belongs whatever the rules say.
func (e envelope) seeds(r *frontier.Request) bool {
	return e.has(flagSeed) || r.Depth == 0 && r.Referrer == ""
}

// judged says whether the rules are asked of the request. Sitemaps are the sites' own word
// for what they have, and only their entries are judged.
func (e envelope) judged(r *frontier.Request) bool { return e.kind != links.Sitemap && !e.seeds(r) }

// spared says whether the URL is fetched although its part of the site brings nothing new.
// A sitemap is no page of it, and may list what lies elsewhere.
func (e envelope) spared() bool { return e.has(flagSeed|flagRevisit) || e.kind == links.Sitemap }

// given is what the user gave along with the request.
func (e envelope) given() []byte {
	if e.has(flagSecond) {
		return nil
	}
	return e.user
}

func (p plan) append(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(p.interval/time.Second))
	dst = binary.AppendUvarint(dst, uint64(p.since))
	return append(dst, p.gone, p.failed)
}

func (d *dataReader) plan() (p plan) {
	p.interval = time.Duration(min(d.uvarint(), uint64(greatestInterval/time.Second))) * time.Second
	p.since = int64(min(d.uvarint(), 1<<40))
	p.gone, p.failed = d.byte(), d.byte()
	return p
}

// dataReader takes values off the front of rest; zeros if there is nothing left.
type dataReader struct{ rest []byte }

func (d *dataReader) byte() (b byte) {
	if len(d.rest) > 0 {
		b, d.rest = d.rest[0], d.rest[1:]
	}
	return b
}

func (d *dataReader) varint() int64 {
	n, size := binary.Varint(d.rest)
	d.rest = d.rest[max(size, 0):]
	return n
}

func (d *dataReader) uvarint() uint64 {
	n, size := binary.Uvarint(d.rest)
	d.rest = d.rest[max(size, 0):]
	return n
}
