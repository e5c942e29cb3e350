package crawler

import (
	"testing"
	"time"

	"github.com/orbweaver/orbweaver/crawler/links"
	"github.com/orbweaver/orbweaver/crawler/sitemap"
)

func TestEnvelope(t *testing.T) {
	if data := (envelope{kind: links.Anchor, rel: links.RelNoOpener}).encode(); data != nil {
		t.Errorf("an ordinary link costs %d bytes", len(data))
	}
	entry := sitemap.Entry{LastMod: time.Date(2026, 1, 31, 0, 0, 0, 0, time.UTC), ChangeFreq: sitemap.Weekly}
	e := envelope{
		flags: flagSeed | flagRevisit, kind: links.Listed, rel: links.RelUGC | links.RelNoFollow, listing: listingOf(&entry),
		quota: quota{sitemaps: 1000, levels: 2}, hops: 3, plan: plan{36 * time.Hour, 1772409600, 2, 200}, user: []byte("user"),
	}
	got := decodeEnvelope(e.encode())
	if got.flags != e.flags || got.kind != e.kind || got.rel != e.rel || got.listing != e.listing || got.quota != e.quota || got.hops != e.hops || got.plan != e.plan || string(got.user) != "user" {
		t.Errorf("%+v became %+v", e, got)
	}
	planned := envelope{flags: flagRevisit, kind: links.Image, rel: qualified, hops: 255,
		plan: plan{greatestInterval, 1 << 40, 255, 255}, user: make([]byte, 10)}
	if n := len(planned.encode()) - len(planned.user); n > maxEnvelope {
		t.Errorf("a planned revisit takes %d bytes", n)
	}
	if !got.listing.modified().Equal(entry.LastMod) || got.listing.changeFreq() != sitemap.Weekly {
		t.Errorf("listed as %v, %q", got.listing.modified(), got.listing.changeFreq())
	}
	if !(listing{}).modified().IsZero() {
		t.Error("an empty listing has a time")
	}
}

func FuzzDecodeEnvelope(f *testing.F) {
	f.Add([]byte{})
	f.Add(envelope{flags: flagSeed, user: []byte("x")}.encode())
	f.Add(envelope{kind: links.Sitemap, quota: quota{300, 2}, listing: listing{1e9, 3}, rel: links.RelUGC}.encode())
	f.Add(envelope{flags: flagRevisit, hops: 2, plan: plan{time.Hour, 1e9, 0, 1}}.encode())
	f.Fuzz(func(t *testing.T, data []byte) {
		e := decodeEnvelope(data)
		again := decodeEnvelope(e.encode())
		if again.flags != e.flags || again.listing != e.listing || again.quota != e.quota || again.rel != e.rel ||
			again.plan != e.plan || again.hops != e.hops ||
			again.kind != e.kind && e.kind != links.Anchor || string(again.user) != string(e.user) {
			t.Errorf("%+v became %+v", e, again)
		}
	})
}
