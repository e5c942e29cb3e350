package main

import (
	"errors"
	"fmt"
	"math"
	"os"
	"strings"
)

// Between these lines the project's README quotes results.
const (
	quoteBegins = "<!-- written by internal/bench -->\n"
	quoteEnds   = "<!-- until here -->\n"
)

// quote replaces what a file quotes of the results.
func quote(file string, r results) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	before, rest, begins := strings.Cut(string(text), quoteBegins)
	_, after, ends := strings.Cut(rest, quoteEnds)
	if !begins || !ends {
		return fmt.Errorf("%s: %w", file, errNoQuote)
	}
	return os.WriteFile(file, []byte(before+quoteBegins+r.quotation()+quoteEnds+after), 0o644)
}

var errNoQuote = errors.New("there is no place for results")

// quotation is nothing but ratios, for other figures are true on one machine only.
func (r results) quotation() string {
	t := r.table("usual")
	crawl := t.row("crawl")
	var peers []string
	for _, peer := range []struct{ row, name string }{{"wget2", "GNU wget2's"}, {"colly", "Colly's"}, {"scrapy", "Scrapy's"}} {
		if v := crawl.ratio(t.row(peer.row), measured.cpuPerPage); !math.IsNaN(v) {
			peers = append(peers, fmt.Sprintf("%.2g of %s", v, peer.name))
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "- **CPU a page**, durable and with bodies kept: %.2f of what a loop of `net/http` takes that downloads and gunzips the same\n",
		crawl.ratio(t.row("bare"), measured.cpuPerPage))
	fmt.Fprintf(&b, "  pages and does nothing else; without bodies %.2f.\n", t.row("no-bodies").ratio(t.row("bare"), measured.cpuPerPage))
	if len(peers) > 0 {
		fmt.Fprintf(&b, "- **Next to other crawlers**: %s. Of these only wget2 stores pages.\n", strings.Join(peers, ", "))
	}
	fmt.Fprintf(&b, "- **The client session alone**: %.2f of `net/http`.\n", t.row("session").ratio(t.row("bare"), measured.cpuPerPage))
	return b.String()
}
