package crawler

import (
	"net/http"
	"strings"

	"github.com/orbweaver/orbweaver/crawler/links"
	"github.com/orbweaver/orbweaver/httpclient"
)

// head is what a response's header fields say to a crawler.
type head struct {
	robots links.Robots // of X-Robots-Tag
	links  []links.Link // of the kinds that are looked for
}

// readHead reads the fields that count; most responses have none of them.
func (v *visit) readHead(resp *httpclient.Response) (h head) {
	for _, value := range resp.HeaderValues("X-Robots-Tag") {
		h.robots |= links.ParseRobotsTag(value, v.agent)
	}
	var fields http.Header
	for _, name := range [...]string{"Link", "Refresh", "Location", "Content-Location"} {
		if resp.HeaderValue(name) == "" {
			continue
		}
		if fields == nil {
			fields = make(http.Header, 1)
		}
		fields[name] = resp.HeaderValues(name)
	}
	if fields == nil {
		return h
	}
	links.Header(fields, func(l links.Link) bool {
		if l.Kind&v.kinds != 0 {
			h.links = append(h.links, l)
		}
		return len(h.links) < maxLinks
	})
	return h
}

// words writes a set of bits as it is kept in results: "noindex,nofollow", and
// nothing for the empty set.
func words[S interface {
	comparable
	String() string
}](set S) string {
	var none S
	if set == none {
		return ""
	}
	return strings.ReplaceAll(set.String(), "|", ",")
}
