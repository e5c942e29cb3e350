package crawler

import (
	"fmt"
	"regexp"
	"testing"

	"github.com/orbweaver/orbweaver/crawler/links"
	"github.com/orbweaver/orbweaver/crawler/weburl"
)

// BenchmarkJudge asks the rules about links: 7 of 8 lead to the page's host, as on
// most pages.
func BenchmarkJudge(b *testing.B) {
	images, err := links.ParseKinds("image")
	if err != nil {
		b.Fatal(err)
	}
	for _, bb := range []struct {
		name string
		cfg  Config
	}{
		{"default", Config{}},
		{"domain", Config{Scope: ScopeDomain}},
		{"rules", Config{Rules: []Rule{
			{Take: &Condition{Hosts: []string{"cdn.example.net", "*.static.example.net"}, Kinds: images, Hops: AtMost(1)}},
			{LeaveOut: &Condition{Prefixes: []string{"https://host7.example.org/private/"}}},
			{LeaveOut: &Condition{Match: []*regexp.Regexp{regexp.MustCompile(`\.(zip|exe)$`)}}, Unless: &Condition{Domains: []string{"example.net"}}},
		}}},
	} {
		b.Run(bb.name, func(b *testing.B) { benchmarkJudge(b, bb.cfg) })
	}
}

func benchmarkJudge(b *testing.B, cfg Config) {
	s, err := newScope(&cfg)
	if err != nil {
		b.Fatal(err)
	}
	for i := range 1000 {
		u, _ := weburl.Parse(fmt.Sprintf("https://host%d.example.org/", i))
		s.add(seedKey(u))
	}
	var urls []weburl.URL
	for i := range 64 {
		raw := fmt.Sprintf("https://host7.example.org/articles/2024/05/title-of-page-%d.html?id=%d", i, i)
		if i%8 == 7 {
			raw = fmt.Sprintf("https://elsewhere%d.example.net/x", i)
		}
		u, _ := weburl.Parse(raw)
		urls = append(urls, u)
	}
	page, err := weburl.Parse("https://host7.example.org/")
	if err != nil {
		b.Fatal(err)
	}
	j := s.from(&subject{url: page})
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		j.link(urls[i&63], links.Anchor)
		i++
	}
}
