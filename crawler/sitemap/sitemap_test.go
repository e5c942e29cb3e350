package sitemap

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"
	"unicode/utf16"
)

// all reads everything, one byte at a time.
func all(t *testing.T, file string, limits Limits) (entries []Entry, err error) {
	t.Helper()
	for e, eErr := range Entries(iotest.OneByteReader(strings.NewReader(file)), limits) {
		if err != nil {
			t.Fatal("something follows the error")
		}
		if err = eErr; err == nil {
			entries = append(entries, e)
		}
	}
	return entries, err
}

// show prints entries one a line, with what is not the default.
func show(entries []Entry) string {
	var b strings.Builder
	for _, e := range entries {
		b.WriteString(e.Loc)
		if e.Index {
			b.WriteString(" index")
		}
		if !e.LastMod.IsZero() {
			b.WriteString(" " + e.LastMod.Format(time.RFC3339))
		}
		if e.ChangeFreq != "" {
			b.WriteString(" " + string(e.ChangeFreq))
		}
		if e.Priority != 0.5 {
			fmt.Fprintf(&b, " %v", e.Priority)
		}
		b.WriteString("\n")
	}
	return b.String()
}

func packed(s string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Write([]byte(s))
	w.Close()
	return b.String()
}

func inUTF16(s string) string {
	b := []byte{0xFF, 0xFE}
	for _, u := range utf16.Encode([]rune(s)) {
		b = append(b, byte(u), byte(u>>8))
	}
	return string(b)
}

const urlset = `<?xml version="1.0" encoding="UTF-8"?>
<!-- a comment with <url><loc>http://no.example/</loc></url> -->
<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9" xmlns:image="http://www.google.com/schemas/sitemap-image/1.1">
 <url>
  <loc> http://a.example/?a=1&amp;b=2 </loc>
  <lastmod>2026-11-22</lastmod>
  <changefreq>Weekly</changefreq>
  <priority>0.8</priority>
  <image:image><image:loc>http://a.example/i.png</image:loc></image:image>
 </url>
 <url><loc><![CDATA[http://a.example/b?c&d]]></loc><priority>7</priority><changefreq>often</changefreq><lastmod>soon</lastmod></url>
 <url><priority>0</priority></url>
 <url><loc/></url>
</urlset>`

const urlsetEntries = "http://a.example/?a=1&b=2 2026-11-22T00:00:00Z weekly 0.8\nhttp://a.example/b?c&d\n"

func TestEntries(t *testing.T) {
	for _, c := range []struct{ name, file, want string }{
		{"urlset", urlset, urlsetEntries},
		{"gzip", packed(urlset), urlsetEntries},
		{"byte order mark", "\uFEFF" + urlset, urlsetEntries},
		{"UTF-16", inUTF16(urlset), urlsetEntries},
		{"packed UTF-16", packed(inUTF16(urlset)), urlsetEntries},
		{"windows-1251", "<?xml version='1.0' encoding='windows-1251'?><urlset><url><loc>http://a.example/\xFF</loc></url></urlset>", "http://a.example/я\n"},
		{"unknown encoding", "<?xml encoding='x'?><urlset><url><loc>http://a.example/я</loc></url></urlset>", "http://a.example/я\n"},
		{"index", `<sitemapindex><sitemap><loc>http://a.example/1.xml.gz</loc><lastmod>2026-11-22T10:00:00+02:00</lastmod></sitemap></sitemapindex>`,
			"http://a.example/1.xml.gz index 2026-11-22T08:00:00Z\n"},
		{"prefix", `<sm:urlset xmlns:sm="x"><sm:url><sm:loc>http://a.example/</sm:loc></sm:url></sm:urlset>`, "http://a.example/\n"},
		{"upper case", `<URLSET><URL><LOC>http://a.example/X</LOC></URL></URLSET>`, "http://a.example/X\n"},
		{"unescaped ampersands", `<urlset><url><loc>http://a.example/?a&copy=1&b;&#38;&#x26;&bogus;&#0;&#xD800;</loc></url></urlset>`,
			"http://a.example/?a&copy=1&b;&&&bogus;&#0;&#xD800;\n"},
		{"missing end tags", `<urlset><url><loc>http://a.example/1</loc><url><loc>http://a.example/2</loc></urlset>`, "http://a.example/1\nhttp://a.example/2\n"},
		{"first loc counts", `<urlset><url><loc>http://a.example/1</loc><loc>http://a.example/2</loc></url></urlset>`, "http://a.example/1\n"},
		{"comment in a value", `<urlset><url><loc>http://a.example/<!-- x -->1</loc></url></urlset>`, "http://a.example/1\n"},
		{"empty root", `<urlset/>`, ""},
		{"nothing", "", ""},
		{"white space", " \n ", ""},
		{"RSS", `<rss version="2.0"><channel><title/><link>http://a.example/channel</link>
			<item><title>A <b></title><guid isPermaLink="true">http://a.example/?p=1</guid><link>http://a.example/1</link><pubDate>Sun, 22 Nov 2026 10:00:00 +0200</pubDate></item>
			<item><guid>http://a.example/2</guid><dc:date>2026-11-22</dc:date></item>
			<item><guid isPermaLink="false">http://a.example/3</guid></item>
			<item><guid>urn:x</guid><description><![CDATA[<item><link>http://no.example/</link></item>]]></description></item>
			</channel></rss>`, "http://a.example/1 2026-11-22T08:00:00Z\nhttp://a.example/2 2026-11-22T00:00:00Z\n"},
		{"RSS 1.0", `<rdf:RDF><channel><link>http://a.example/</link></channel><item><link>http://a.example/1</link></item></rdf:RDF>`, "http://a.example/1\n"},
		{"Atom", `<feed><link href="http://a.example/"/><entry><link rel="edit" href="/edit"/><link href="/1?a&amp;b"/><updated>2026-11-22T10:00:00.5Z</updated></entry>
			<entry><link rel="alternate" type="text/html" href="/2"></link><published>2026-11-21T00:00:00Z</published></entry></feed>`,
			"/1?a&b 2026-11-22T10:00:00Z\n/2 2026-11-21T00:00:00Z\n"},
		{"list", "http://a.example/1\r\n\n  HTTPS://a.example/2  \nwhat?\nhttp://a.example/3", "http://a.example/1\nHTTPS://a.example/2\nhttp://a.example/3\n"},
		{"list after a gap", strings.Repeat("\n", 2000) + "http://a.example/", "http://a.example/\n"},
		{"packed list", packed("http://a.example/1\n"), "http://a.example/1\n"},
	} {
		entries, err := all(t, c.file, Limits{})
		if got := show(entries); got != c.want || err != nil {
			t.Errorf("%s: got\n%s%v, want\n%s", c.name, got, err, c.want)
		}
	}
}

func TestErrors(t *testing.T) {
	list := strings.Repeat("http://a.example/\n", 10)
	entry := "<url><loc>http://a.example/</loc></url>"
	for _, c := range []struct {
		name, file string
		limits     Limits
		want       error
		entries    int
	}{
		{"HTML", "<!DOCTYPE html><html><body>not found</body></html>", Limits{}, ErrFormat, 0},
		{"prose", "User-agent: *", Limits{}, ErrFormat, 0},
		{"no element", "<!-- nothing -->", Limits{}, ErrFormat, 0},
		{"cut", "<urlset>" + entry + "<url><loc>http://a.example/b</loc>", Limits{}, io.ErrUnexpectedEOF, 1},
		{"cut in a tag", "<urlset>" + entry + "<url><lo", Limits{}, io.ErrUnexpectedEOF, 1},
		{"gzip cut", packed(urlset)[:100], Limits{}, io.ErrUnexpectedEOF, 0},
		{"packed twice", packed(packed(urlset)), Limits{}, ErrFormat, 0},
		{"bytes of XML", "<urlset>" + entry + entry, Limits{Bytes: 60}, &LimitError{"bytes", 60}, 1},
		{"bytes of a list", list, Limits{Bytes: 40}, &LimitError{"bytes", 40}, 2},
		{"unpacked bytes", packed(list), Limits{Bytes: 40}, &LimitError{"bytes", 40}, 2},
		{"just enough bytes", list, Limits{Bytes: 180}, nil, 10},
		{"entries", list, Limits{Entries: 9}, &LimitError{"entries", 9}, 9},
		{"entries of XML", "<urlset>" + entry + entry + "</urlset>", Limits{Entries: 1}, &LimitError{"entries", 1}, 1},
		{"just enough entries", list, Limits{Entries: 10}, nil, 10},
		{"white space in pieces", "<urlset><url><loc>" + strings.Repeat(" <!---->", 100) + "http://a.example/</loc></url></urlset>", Limits{Field: 17}, nil, 1},
		{"long values of other fields", "<urlset><url><lastmod>" + strings.Repeat("1", 99) + "</lastmod>" + entry[5:] + "</urlset>", Limits{Field: 17}, nil, 1},
		{"token of a list", list + strings.Repeat("x", 9000), Limits{Token: 5000}, &LimitError{"token", 5000}, 9},
		{"token of XML", "<urlset>" + entry + "<!--" + strings.Repeat("x", 9000), Limits{Token: 5000}, &LimitError{"token", 5000}, 1},
		{"bomb", packed("<urlset>" + strings.Repeat(" ", 2<<20)), Limits{}, &LimitError{"ratio", 200}, 0},
		{"packed well", packed("<urlset>" + entry + strings.Repeat(" ", 1<<20-200) + "</urlset>"), Limits{}, nil, 1},
	} {
		entries, err := all(t, c.file, c.limits)
		var want, got *LimitError
		same := errors.Is(err, c.want)
		if errors.As(c.want, &want) {
			same = errors.As(err, &got) && *got == *want
		}
		if !same || len(entries) != c.entries {
			t.Errorf("%s: got %d entries and %v, want %d and %v", c.name, len(entries), err, c.entries, c.want)
		}
	}
	broken := errors.New("broken")
	for _, start := range []string{"", "<urlset>", "http://a.example/\n", packed(urlset)[:50]} {
		for _, err := range Entries(io.MultiReader(strings.NewReader(start), iotest.ErrReader(broken)), Limits{}) {
			if err != nil && !errors.Is(err, broken) {
				t.Errorf("%q: %v", start, err)
			}
		}
	}
}

// TestLongURLs: an entry whose URL is too long tells so, and all others are there.
func TestLongURLs(t *testing.T) {
	const short, long, cut = "http://a.example/", "http://a.example/long", "http://a.example/ (cut) "
	for name, c := range map[string]struct{ file, want string }{
		"XML":              {"<urlset><url><loc>" + long + "</loc></url><url><loc>" + short + "</loc></url></urlset>", cut + short + " "},
		"the first loc":    {"<urlset><url><loc>" + short + "</loc><loc>" + long + "</loc></url></urlset>", short + " "},
		"spaces around":    {"<urlset><url><loc>   " + short + "\n  </loc></url></urlset>", short + " "},
		"in pieces":        {"<urlset><url><loc>http://<!-- -->a.example/<!-- -->lon<!-- -->g</loc></url></urlset>", cut},
		"index":            {"<sitemapindex><sitemap><loc>" + long + "</loc></sitemap></sitemapindex>", cut},
		"Atom":             {`<feed><entry><link href="` + long + `"/></entry></feed>`, cut},
		"list":             {long + "\n" + short + "\n" + long, cut + short + " " + cut},
		"of other schemes": {short + "\nmailto:" + long, short + " "},
	} {
		entries, err := all(t, c.file, Limits{Field: len(short)})
		var got string
		for _, e := range entries {
			got += e.Loc + " "
			if e.Cut {
				got += "(cut) "
			}
		}
		if got != c.want || err != nil {
			t.Errorf("%s: got %s%v, want %s", name, got, err, c.want)
		}
	}
}

// TestBreak stops in the middle of each kind of file.
func TestBreak(t *testing.T) {
	for _, file := range []string{urlset, "http://a.example/1\nhttp://a.example/2\n", "http://a.example/1"} {
		n := 0
		for _, err := range Entries(strings.NewReader(file), Limits{}) {
			if n++; err != nil {
				t.Error(err)
			}
			break
		}
		if n != 1 {
			t.Errorf("%d entries", n)
		}
	}
}

func TestParseTime(t *testing.T) {
	for s, want := range map[string]string{
		"2026-11-22T10:20:30+02:00":       "2026-11-22T08:20:30Z",
		"2026-11-22T10:20:30.25Z":         "2026-11-22T10:20:30.25Z",
		"2026-11-22T10:20Z":               "2026-11-22T10:20:00Z",
		"2026-11-22T10:20:30":             "2026-11-22T10:20:30Z",
		"2026-11-22T10:20:30+0200":        "2026-11-22T08:20:30Z",
		"2026-11-22 10:20:30":             "2026-11-22T10:20:30Z",
		"2026-11-22":                      "2026-11-22T00:00:00Z",
		"2026-11":                         "2026-11-01T00:00:00Z",
		"2026":                            "2026-01-01T00:00:00Z",
		"Sun, 22 Nov 2026 10:20:30 +0200": "2026-11-22T08:20:30Z",
		"Sun,  1 Nov 2026 10:20:30 GMT":   "2026-11-01T10:20:30Z",
		"22 Nov 2026 10:20:30 GMT":        "2026-11-22T10:20:30Z",
		"22.11.2026":                      "0001-01-01T00:00:00Z",
		"":                                "0001-01-01T00:00:00Z",
	} {
		if got := parseTime(s).Format(time.RFC3339Nano); got != want {
			t.Errorf("%s: got %s, want %s", s, got, want)
		}
	}
}

func FuzzEntries(f *testing.F) {
	for _, file := range []string{
		urlset, packed(urlset), inUTF16("<urlset><url><loc>http://a.example/"), "http://a.example/1\nhttp://a.example/2\n",
		`<rss><item><guid isPermaLink="false">x</guid><link>/a&#x26;</link><pubDate>22 Nov 2026 10:20:30 GMT</pubDate></item></rss>`,
		`<feed><entry><link rel=alternate href="/x"/></entry></feed>`, `<?xml encoding="koi8-r"?><sitemapindex><sitemap><loc>`,
	} {
		f.Add([]byte(file))
	}
	limits := Limits{Bytes: 1 << 16, Entries: 100, Field: 100, Token: 5000}
	f.Fuzz(func(t *testing.T, file []byte) {
		n, failed := 0, false
		for e, err := range Entries(bytes.NewReader(file), limits) {
			if failed {
				t.Fatal("something follows the error")
			}
			if failed = err != nil; failed {
				continue
			}
			n++
			if e.Loc == "" || len(e.Loc) > 100 || strings.Trim(e.Loc, space) != e.Loc || !(e.Priority >= 0 && e.Priority <= 1) {
				t.Fatalf("%+v", e)
			}
		}
		if n > 100 {
			t.Fatalf("%d entries", n)
		}
	})
}

func BenchmarkEntries(b *testing.B) {
	var file strings.Builder
	file.WriteString("<urlset>\n")
	for i := range 1000 {
		fmt.Fprintf(&file, " <url>\n  <loc>https://www.example.org/news/2026/11/page-%d.html</loc>\n  <lastmod>2026-11-22</lastmod>\n </url>\n", i)
	}
	file.WriteString("</urlset>\n")
	for _, c := range []struct{ name, file string }{{"plain", file.String()}, {"gzip", packed(file.String())}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(file.Len()))
			for b.Loop() {
				for _, err := range Entries(strings.NewReader(c.file), Limits{}) {
					if err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}
