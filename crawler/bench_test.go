package crawler

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/orbweaver/orbweaver/frontier"
	"github.com/orbweaver/orbweaver/storage"
)

// BenchmarkCommit writes groups of 100 pages as a crawl does: a body of 13 KB as
// transferred and 50 links each, four fifths of them known, in one transaction.
func BenchmarkCommit(b *testing.B) {
	const pages, hosts, links = 100, 100, 50
	c, err := New(Config{Dir: b.TempDir(), Delay: NoDelay})
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	random := rand.New(rand.NewPCG(1, 2))
	known := 0
	link := func(n int) frontier.Request {
		host := fmt.Sprintf("host%d.example", n%hosts)
		return frontier.Request{
			URL: fmt.Sprintf("http://%s/section/%d/page-%d.html", host, n/hosts/64, n), Host: host,
			Referrer: "http://" + host + "/section/0/page-0.html", Depth: 3,
		}
	}
	var seeds []frontier.Request
	for ; known < 10_000; known++ {
		seeds = append(seeds, link(known))
	}
	if _, err := c.front.Put(b.Context(), seeds); err != nil {
		b.Fatal(err)
	}
	body := make([]byte, 13<<10)
	for i := range body {
		body[i] = byte(random.Uint32())
	}
	page := func(r frontier.Leased) *change {
		ch := &change{done: []frontier.Leased{r}, record: &storage.Record{
			URL: r.URL, FinalURL: r.URL, Host: r.Host, Referrer: r.Referrer, Depth: r.Depth, Attempts: 1,
			Status: 200, Proto: "HTTP/1.1", Head: bytes.Repeat([]byte("Name: value\r\n"), 12), ContentType: "text/html",
			Encoding: "gzip", FetchedAt: time.Now(), Bytes: 30_000, WireBytes: int64(len(body)), Title: "A page", Links: links, Body: body,
		}}
		for range links {
			n := random.IntN(known)
			if random.IntN(5) == 0 {
				n, known = known, known+1
			}
			ch.add = append(ch.add, link(n))
		}
		return ch
	}
	lease := func() (group []*change) {
		for len(group) < pages {
			l, err := c.front.Lease(context.Background())
			if err != nil {
				b.Fatal(err)
			}
			for _, r := range l.Requests {
				group = append(group, page(r))
			}
			l.Release()
		}
		return group
	}
	b.ReportAllocs()
	committed := 0
	for b.Loop() {
		b.StopTimer()
		group := lease()
		b.StartTimer()
		if err := c.commits.write(group); err != nil {
			b.Fatal(err)
		}
		committed += len(group)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(committed), "ns/page")
}
