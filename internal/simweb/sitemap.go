package simweb

import (
	"bytes"
	"compress/gzip"
	"io"
	"strconv"
	"strings"
)

// A host's sitemaps: the index, and below it sitemaps of sitemapPages pages each, every other one gzipped.
const (
	sitemapPrefix = "/sitemap"
	sitemapIndex  = "/sitemap.xml"
	sitemapPages  = 1000
	sitemapHead   = `<?xml version="1.0" encoding="UTF-8"?>` + "\n"
	sitemapSpace  = ` xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">` + "\n"
)

// sitemaps is how many sitemaps a host has, at least a plain and a gzipped one.
func (s *site) sitemaps() int { return max(2, (s.cfg.Pages+sitemapPages-1)/sitemapPages) }

// sitemapPath is the path of the n-th sitemap.
func sitemapPath(n int) string {
	path := sitemapPrefix + "-" + strconv.Itoa(n) + ".xml"
	if n%2 == 1 {
		path += ".gz"
	}
	return path
}

// sitemap returns what is at a path, or "" if nothing is.
func (s *site) sitemap(host int, path string) string {
	if path == sitemapIndex {
		var b strings.Builder
		b.WriteString(sitemapHead + "<sitemapindex" + sitemapSpace)
		for n := range s.sitemaps() {
			b.WriteString("<sitemap><loc>" + s.url(host, []byte(sitemapPath(n))) + "</loc></sitemap>\n")
		}
		b.WriteString("</sitemapindex>\n")
		return b.String()
	}
	n, ok := lastNumber([]byte(path))
	if !ok || n >= s.sitemaps() || sitemapPath(n) != path {
		return ""
	}
	text := s.sitemapText(host, n)
	if n%2 == 0 {
		return text
	}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	// Writes to a bytes.Buffer cannot fail.
	_, _ = io.WriteString(z, text)
	_ = z.Close()
	return b.String()
}

// sitemapText lists the pages whose number leaves n when divided by the number of sitemaps.
func (s *site) sitemapText(host, n int) string {
	var b strings.Builder
	b.WriteString(sitemapHead + "<urlset" + sitemapSpace)
	for page := n; page < s.cfg.Pages; page += s.sitemaps() {
		loc := strings.ReplaceAll(s.pageURL(host, page), "&", "&amp;")
		b.WriteString("<url><loc>\n  " + loc + "\n</loc><lastmod>2026-01-31</lastmod><priority>0.5</priority></url>\n")
	}
	b.WriteString("</urlset>\n")
	return b.String()
}
