package robots

import (
	"fmt"
	"strings"
	"testing"
)

// typical is shaped like the robots.txt of a shop or a forum: three groups, 40 rules, a quarter of them with wildcards.
func typical() []byte {
	var b strings.Builder
	b.WriteString("# robots.txt\nUser-agent: badbot\nDisallow: /\n\nUser-agent: *\nCrawl-delay: 2\n")
	for i := range 30 {
		fmt.Fprintf(&b, "Disallow: /section-%d/private\n", i)
	}
	for i := range 10 {
		fmt.Fprintf(&b, "Disallow: /*?*sort-%d=\n", i)
	}
	b.WriteString("Allow: /section-3/private/open\n\nSitemap: https://example.org/sitemap.xml\n")
	return []byte(b.String())
}

func BenchmarkParse(b *testing.B) {
	file := typical()
	b.ReportAllocs()
	b.SetBytes(int64(len(file)))
	for b.Loop() {
		Parse(file).Allowed("orbweaver", "/")
	}
}

func BenchmarkAllowed(b *testing.B) {
	many := strings.Builder{}
	many.WriteString("User-agent: *\n")
	for i := range 5000 {
		fmt.Fprintf(&many, "Disallow: /archive/%d/\n", i*7919)
	}
	hostile := strings.Builder{}
	hostile.WriteString("User-agent: *\n")
	for i := range 5000 {
		fmt.Fprintf(&hostile, "Disallow: /*a*a*a*a*a*%d$\n", i)
	}
	for _, c := range []struct{ name, file, path string }{
		{"typical", string(typical()), "/section-17/articles/2026/a-title-of-usual-length?page=2"},
		{"5000 plain rules", many.String(), "/archive/79190/x"},
		{"5000 hostile wildcards", hostile.String(), "/" + strings.Repeat("a", 200)},
	} {
		b.Run(c.name, func(b *testing.B) {
			f := Parse([]byte(c.file))
			b.ReportAllocs()
			for b.Loop() {
				f.Allowed("orbweaver", c.path)
			}
		})
	}
}
