package simweb

import (
	"strconv"
	"strings"
)

// respondRobots answers with the robots.txt of the Config.
func (x *exchange) respondRobots() bool {
	cfg := &x.web.site.cfg
	if cfg.NoRobots {
		return x.respond(kindRobots, 0, 404, "", "not found\n")
	}
	body := cfg.RobotsTxt
	if body == "" {
		body = robotsTxt(cfg)
		if cfg.Sitemaps {
			body += "Sitemap: " + x.web.site.url(x.host.number, []byte(sitemapIndex)) + "\n"
		}
	}
	return x.respond(kindRobots, 0, cfg.RobotsStatus, "Content-Type: text/plain\r\n", body)
}

// robotsTxt forbids all that forbidden does, one path a kind of rule.
func robotsTxt(cfg *Config) string {
	var b strings.Builder
	b.WriteString(`# The rules of the test web
User-agent: unwelcome
Disallow: /

User-agent: *
Disallow: ` + privatePrefix + `
Disallow: /*?session=
Disallow: /*.pdf$
Allow: ` + openPrefix + `
`)
	if cfg.CrawlDelay > 0 {
		b.WriteString("Crawl-delay: " + strconv.FormatFloat(cfg.CrawlDelay.Seconds(), 'f', -1, 64) + "\n")
	}
	return b.String()
}

// forbidden reports whether robotsTxt forbids a path. Pages are never forbidden.
func forbidden(path string) bool {
	switch {
	case strings.HasPrefix(path, openPrefix):
		return false
	case strings.HasPrefix(path, privatePrefix):
		return true
	}
	return strings.Contains(path, "?session=") || strings.HasSuffix(path, ".pdf")
}
