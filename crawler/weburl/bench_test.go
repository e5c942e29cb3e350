package weburl

import (
	"net/url"
	"testing"
)

func BenchmarkResolve(b *testing.B) {
	base, err := Parse("https://www.example.org/news/2026/11/a-page-about-something.html?from=front")
	if err != nil {
		b.Fatal(err)
	}
	for _, c := range []struct{ name, ref string }{
		{"path", "/news/2026/11/another-page-of-the-site.html"},
		{"relative", "../10/another-page.html?page=2"},
		{"absolute", "https://other.example.com/some/path/to/a/page?id=1234567&lang=en"},
		{"query", "?page=2"},
		{"fragment", "#top"},
		{"escapes", "/wiki/Caf%C3%A9_%28Paris%29"},
		{"upper-case host", "HTTPS://Other.Example.com/Some/Path"},
		{"non-ASCII path", "/wiki/Größe"},
		{"non-ASCII host", "https://bücher.example/a"},
		{"IPv4", "http://127.0.0.1:8080/a/b"},
		{"refused", "mailto:joe@example.org"},
	} {
		ref := []byte(c.ref)
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				base.Resolve(ref)
			}
		})
	}
}

// BenchmarkBatch resolves fifty links of a page together.
func BenchmarkBatch(b *testing.B) {
	base, err := Parse("https://www.example.org/news/2026/11/a-page-about-something.html?from=front")
	if err != nil {
		b.Fatal(err)
	}
	ref := []byte("/news/2026/11/another-page-of-the-site.html")
	b.ReportAllocs()
	var batch Batch
	for b.Loop() {
		for range 50 {
			batch.Add(Parser{}, base, ref)
		}
		batch.Take(Parser{}, func(int, URL) {})
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/50, "ns/link")
}

func BenchmarkParse(b *testing.B) {
	const canonical = "https://www.example.org/news/2026/11/a-page-about-something.html?from=front"
	b.Run("canonical", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			Parse(canonical)
		}
	})
	b.Run("whatwg-url", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			reference.Parse(canonical)
		}
	})
}

func BenchmarkDomain(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		Domain("www.example.co.uk")
	}
}

// BenchmarkNetURL is the usual way, which does less, for comparison.
func BenchmarkNetURL(b *testing.B) {
	base, _ := url.Parse("https://www.example.org/news/2026/11/a-page-about-something.html?from=front")
	for _, c := range []struct{ name, ref string }{
		{"path", "/news/2026/11/another-page-of-the-site.html"},
		{"relative", "../10/another-page.html?page=2"},
		{"absolute", "https://other.example.com/some/path/to/a/page?id=1234567&lang=en"},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				u, _ := base.Parse(c.ref)
				_ = u.String()
			}
		})
	}
}
