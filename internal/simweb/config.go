package simweb

import (
	"fmt"
	"time"
)

// Config says what the web looks like. The zero value is ten hosts of a hundred pages without latency or failures.
type Config struct {
	Hosts int // number of hosts; 0: 10
	Pages int // pages of each host, its index page included; 0: 100
	Links int // links of each page to pages; 0: 20. A page has a few more that lead elsewhere or nowhere
	Bytes int // rough size of a page's HTML; 0: 8192. A page is never smaller than its links

	CrossLinks float64 // share of the links that leave for another host; 0: none
	Gzip       bool    // compress for clients that accept it

	Latency      time.Duration // between a request and its answer; 0: none
	ConnRequests int           // requests answered on one connection, the last with "Connection: close"; 0: any number

	ErrorRate    float64 // share of the pages that answer 500, 502 or 503 the first time and their page from then on
	BrokenRate   float64 // share of the pages that have a link to a URL that is 404, 410 or 500 for ever; see Web.Broken
	RedirectRate float64 // share of the pages whose links all lead to a redirect; see Web.Redirects

	NoRobots     bool          // no robots.txt (404), and no links to forbidden paths
	CrawlDelay   time.Duration // Crawl-delay in robots.txt; 0: none
	RobotsTxt    string        // served instead of the generated robots.txt; "": the generated one
	RobotsStatus int           // status of robots.txt; 0: 200

	TLS bool // https instead of http, with certificates signed by CA

	Sitemaps bool // robots.txt names a sitemap index that leads to all pages, by plain and by gzipped sitemaps

	Zoo  bool   // serve the misbehaving paths listed in Zoo
	Seed uint64 // other seeds give other webs of the same measures
	Port int    // the port of all hosts; 0: a free one for Start; 80, or 443 with TLS, for New
}

// maxHosts is how many addresses hostAddr can give.
const maxHosts = 250 * 250 * 250

// complete fills in the defaults and refuses what cannot be served.
func (c Config) complete() (Config, error) {
	c.Hosts = orDefault(c.Hosts, 10)
	c.Pages = orDefault(c.Pages, 100)
	c.Links = orDefault(c.Links, 20)
	c.Bytes = orDefault(c.Bytes, 8192)
	c.RobotsStatus = orDefault(c.RobotsStatus, 200)
	for _, f := range []struct {
		name     string
		value    int
		min, max int
	}{
		{"Hosts", c.Hosts, 1, maxHosts},
		{"Pages", c.Pages, 1, 1 << 30},
		{"Links", c.Links, 1, 100_000},
		{"Bytes", c.Bytes, 1, 1 << 30},
		{"ConnRequests", c.ConnRequests, 0, 1 << 30},
		{"RobotsStatus", c.RobotsStatus, 200, 599},
		{"Port", c.Port, 0, 65535},
	} {
		if f.value < f.min || f.value > f.max {
			return c, fmt.Errorf("simweb: Config.%s is %d, want %d to %d", f.name, f.value, f.min, f.max)
		}
	}
	for _, f := range []struct {
		name  string
		value float64
	}{
		{"CrossLinks", c.CrossLinks},
		{"ErrorRate", c.ErrorRate},
		{"BrokenRate", c.BrokenRate},
		{"RedirectRate", c.RedirectRate},
	} {
		if !(f.value >= 0 && f.value <= 1) {
			return c, fmt.Errorf("simweb: Config.%s is %v, want 0 to 1", f.name, f.value)
		}
	}
	if c.Latency < 0 || c.CrawlDelay < 0 {
		return c, fmt.Errorf("simweb: Config.Latency and Config.CrawlDelay must not be negative")
	}
	return c, nil
}

func orDefault(n, otherwise int) int {
	if n == 0 {
		return otherwise
	}
	return n
}
