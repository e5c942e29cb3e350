package weburl

import (
	"slices"
	"strings"
	"testing"
)

// batched resolves refs in a batch, leaving out what is no URL.
func batched(b *Batch, p Parser, base URL, refs ...string) (urls []URL) {
	for _, ref := range refs {
		b.Add(p, base, []byte(ref))
	}
	b.Take(p, func(_ int, u URL) { urls = append(urls, u) })
	return urls
}

func TestBatch(t *testing.T) {
	refs := []string{
		"b", "", "mailto:joe@a.test", "/c?utm_source=x&q=1", "//B.test:80/%7e", "/%zz\xff é", "#top", "http://[::1", "../..",
		strings.Repeat("x", 300), "https://a.test/d/e?utm_source=x",
	}
	base := mustParse(t, "https://a.test/d/e?f=1")
	var b Batch
	for _, p := range []Parser{{}, {MaxLength: 200}, {Rules: Rules{Tracking: true}}} {
		var want []URL
		for _, ref := range refs {
			if u, err := p.Resolve(base, []byte(ref)); err == nil {
				want = append(want, u)
			} else if got := new(Batch).Add(p, base, []byte(ref)); got != err.(*Error).Reason {
				t.Errorf("%q: %q, alone %v", ref, got, err)
			}
		}
		if got := batched(&b, p, base, refs...); !slices.Equal(got, want) {
			t.Errorf("%+v: together %q,\nalone %q", p, got, want)
		}
		if b.Len() != 0 || b.Size() != 0 {
			t.Errorf("%d URLs of %d bytes are left", b.Len(), b.Size())
		}
	}
}

// What was taken from a batch stays as it is when that is used again.
func TestBatchAgain(t *testing.T) {
	base := mustParse(t, "https://a.test/")
	var b Batch
	first := batched(&b, Parser{}, base, "/one", "/two")
	if batched(&b, Parser{}, base, "/xxx", "/yyy"); first[0].String() != "https://a.test/one" || first[1].Clone() != first[1] {
		t.Errorf("%q", first)
	}
}

func TestBatchAllocates(t *testing.T) {
	base := mustParse(t, "https://a.test/d/e?f=1")
	ref := []byte("/some/other/page?of=the&site")
	var b Batch
	one := testing.AllocsPerRun(100, func() {
		for range 50 {
			b.Add(Parser{}, base, ref)
		}
		b.Take(Parser{}, func(int, URL) {})
	})
	if one > 1 {
		t.Errorf("%v allocations for 50 links", one)
	}
}
