package sitemap_test

import (
	"fmt"
	"strings"

	"github.com/orbweaver/orbweaver/crawler/sitemap"
)

func ExampleEntries() {
	file := `<?xml version="1.0" encoding="UTF-8"?>
<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">
  <url><loc>https://example.org/</loc><lastmod>2026-11-22</lastmod><priority>1.0</priority></url>
  <url><loc>https://example.org/search?q=a&amp;page=2</loc><changefreq>daily</changefreq></url>
</urlset>`
	for entry, err := range sitemap.Entries(strings.NewReader(file), sitemap.Limits{}) {
		if err != nil {
			fmt.Println(err)
			break
		}
		fmt.Println(entry.Loc, entry.LastMod.Format("2 Jan 2006"), entry.ChangeFreq, entry.Priority)
	}
	// Output:
	// https://example.org/ 22 Nov 2026  1
	// https://example.org/search?q=a&page=2 1 Jan 0001 daily 0.5
}
