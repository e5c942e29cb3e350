package traps

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// part is what a trap that repeats itself may cost: DefaultNoveltyPages of the crawler, what is under way when it is
// noticed, and what is fetched besides.
const part = 1300

// Zoo returns all traps.
func Zoo() []Trap {
	return []Trap{
		{Name: "calendar", What: "a calendar that goes on for ever, a page for each month and each day", Pages: 4, Most: 2 * part, serve: calendar},
		{Name: "session-query", What: "a new session identifier in the query of every link", Pages: 30, Most: 2 * part, serve: sessionQuery},
		{Name: "session-path", What: "a new session identifier in the path of every link", Pages: 30, Most: 2 * part, serve: sessionPath},
		{Name: "relative-loop", What: "relative links that nest themselves, and an answer for every path", Pages: 3, Most: 4 * part, serve: relativeLoop},
		{Name: "facets", What: "filters of a shop in all combinations, in whatever order they were chosen", Pages: 41, Most: part, Needs: NeedsExclude, serve: facets},
		{Name: "sub-domains", What: "a new sub-domain in every link", Pages: 3, Most: 3 * part, Needs: NeedsDomain, serve: subDomains},
		{Name: "soft-404", What: "an answer for every path, with links to others that do not exist", Pages: 3, Most: 9 * part, serve: soft404},
		{Name: "redirect-loop", What: "redirects in a circle", Pages: 2, Most: 20, serve: redirectLoop},
		{Name: "redirect-chain", What: "redirects without end", Pages: 2, Most: 20, serve: redirectChain},
		{Name: "mirror", What: "the whole site once more under another path, and so on", Pages: 20, Most: 2 * part, serve: mirror},
		{Name: "near-duplicates", What: "pages without end that differ in a word", Pages: 10, Most: 2 * part, Needs: NeedsSimilar, serve: nearDuplicates},
		{Name: "drip", What: "pages that arrive byte by byte", Pages: 2, Most: 20, Needs: NeedsTimeout, serve: drip},
		{Name: "tarpit", What: "pages that never begin to arrive", Pages: 2, Most: 20, Needs: NeedsTimeout, serve: tarpit},
		{Name: "links", What: "a page of a million links", Pages: 2, Most: 2 * part, serve: millionLinks},
		{Name: "nesting", What: "a page of a million elements inside each other", Pages: 2, Most: 4, serve: nesting},
		{Name: "huge-robots", What: "a robots.txt without end", Pages: 2, Most: 6, serve: hugeRobots},
		{Name: "huge-sitemap", What: "a sitemap without end, of pages that do not exist", Pages: 2, Most: 60_000, serve: hugeSitemap},
		{Name: "sitemap-bomb", What: "a small sitemap that unpacks to a gigabyte", Pages: 2, Most: 6, serve: sitemapBomb},
		{Name: "sitemap-index", What: "indexes of sitemaps that lead to indexes, without end", Pages: 2, Most: 20_000, serve: sitemapIndex},
		{Name: "cookie-gate", What: "a redirect to a new address for whoever sends no cookie", Pages: 1, Most: 60, serve: cookieGate},
		{Name: "type-lies", What: "content types that are not true", Pages: 3, Most: 12, serve: typeLies},
		{Name: "binary", What: "binary files that say they are HTML", Pages: 2, Most: 30, serve: binary},
	}
}

func calendar(v *visitor) {
	const first = 2026*12 + 10
	switch {
	case v.robots(""):
	case v.path == "/":
		v.realPage("home", `<a href=/about>about</a> <a href=/team>team</a> <a href=/prices>prices</a> <a href=/calendar/2026/11>calendar</a>`)
	case v.path == "/about" || v.path == "/team" || v.path == "/prices":
		v.realPage(v.path[1:], `<a href=/>home</a>`)
	default:
		var year, month, day int
		n, _ := fmt.Sscanf(v.path, "/calendar/%d/%d/%d", &year, &month, &day)
		if n < 2 || month < 1 || month > 12 {
			v.notFound()
			return
		}
		name := time.Month(month).String()
		if n == 3 {
			v.page("Calendar", "<p>No events on %d %s %d.</p><a href=/calendar/%d/%02d>month</a>", day, name, year, year, month)
			return
		}
		at := year*12 + month - 1
		v.page("Calendar", "<p>No events in %s %d.</p>\n", name, year)
		for d := 1; d <= 31; d++ {
			fmt.Fprintf(v, "<a href=/calendar/%d/%02d/%02d>%d</a>\n", year, month, d, d)
		}
		for _, to := range []int{at - 1, at + 1, at - 12, at + 12, first} {
			fmt.Fprintf(v, "<a href=/calendar/%d/%02d>go</a>\n", to/12, to%12+1)
		}
	}
}

func sessionQuery(v *visitor) {
	n, ok := v.number("/item/")
	switch {
	case v.robots(""):
	case v.path != "/" && (!ok || n < 1 || n > 29):
		v.notFound()
	default:
		v.realPage("item "+strconv.Itoa(n), `<a href="/item/%d?sid=%s">next</a> <a href="/item/%d?sid=%s">other</a>`, n%29+1, v.fresh(), (n*7+3)%29+1, v.fresh())
	}
}

func sessionPath(v *visitor) {
	rest := v.path
	if strings.HasPrefix(rest, "/(S(") {
		_, after, _ := strings.Cut(rest[1:], "/")
		rest = "/" + after
	}
	n, err := strconv.Atoi(strings.TrimPrefix(rest, "/page/"))
	switch {
	case v.robots(""):
	case rest != "/" && (err != nil || n < 1 || n > 29):
		v.notFound()
	default:
		v.realPage("page "+strconv.Itoa(n), `<a href="/(S(%s))/page/%d">next</a> <a href="/(S(%s))/page/%d">other</a>`, v.fresh(), n%29+1, v.fresh(), (n*7+3)%29+1)
	}
}

func relativeLoop(v *visitor) {
	switch {
	case v.robots(""):
	case v.path == "/":
		v.realPage("home", `<a href=/one.html>one</a> <a href=/two.html>two</a> <a href=news/>news</a>`)
	case v.path == "/one.html" || v.path == "/two.html":
		v.realPage(v.path, `<a href=/>home</a>`)
	default:
		v.page("News", `<p>There is no news.</p><a href="news/">news</a> <a href="archive/">archive</a> <a href="news/print/">print</a>`)
	}
}

func facets(v *visitor) {
	if v.robots("") {
		return
	}
	if n, ok := v.number("/product/"); ok && n >= 0 && n < 40 {
		v.realPage("product "+strconv.Itoa(n), `<a href=/shop>shop</a>`)
		return
	}
	switch v.path {
	case "/":
		v.realPage("home", `<a href=/shop>shop</a>`)
		return
	case "/shop":
	default:
		v.notFound()
		return
	}
	chosen := v.r.URL.RawQuery
	v.page("Shop", "")
	shown := 0
	for n := range 40 {
		matches := true
		for f := range 8 {
			if value, err := strconv.Atoi(v.r.URL.Query().Get("f" + strconv.Itoa(f))); err == nil && int(mix(uint64(n*8+f))%4) != value {
				matches = false
			}
		}
		if matches {
			shown++
			fmt.Fprintf(v, "<a href=/product/%d>%s</a>\n", n, words(uint64(n), 3))
		}
	}
	if shown == 0 {
		fmt.Fprint(v, "<p>Nothing matches.</p>\n")
	}
	for f := range 8 {
		if strings.Contains(chosen, fmt.Sprintf("f%d=", f)) {
			continue
		}
		for value := range 4 {
			fmt.Fprintf(v, "<a href=\"/shop?%s\">only %s</a>\n", strings.TrimPrefix(fmt.Sprintf("%s&f%d=%d", chosen, f, value), "&"), nouns[f*3+value%3])
		}
	}
}

func subDomains(v *visitor) {
	name, domain, _ := strings.Cut(v.host, ".")
	switch {
	case v.robots(""):
	case v.path != "/":
		v.notFound()
	case name == "www":
		v.realPage("home", `<a href=//blog.%s/>blog</a> <a href=//shop.%s/>shop</a> <a href=//w.%s/>more</a>`, domain, domain, domain)
	case name == "blog" || name == "shop":
		v.realPage(name, "")
	default:
		v.page("Welcome", `<p>This name can be yours.</p><a href=//%s.%s/>another</a> <a href=//%s.%s/>and another</a>`, v.fresh(), domain, v.fresh(), domain)
	}
}

func soft404(v *visitor) {
	switch {
	case v.robots(""):
	case v.path == "/":
		v.realPage("home", `<a href=/about.html>about</a> <a href=/team.html>team</a> <a href=/broken>broken</a>`)
	case v.path == "/about.html" || v.path == "/team.html":
		v.realPage(v.path, `<a href=/>home</a>`)
	default:
		v.page("Oops", "<p>We could not find that page. You may like:</p>\n")
		seed := mix(uint64(v.site.once.Add(1)))
		for i := range uint64(5) {
			fmt.Fprintf(v, "<a href=\"/%s/%s\">this</a>\n", strings.ReplaceAll(words(seed+i, 2), " ", "-"), strings.ReplaceAll(words(seed*3+i, 2), " ", "-"))
		}
	}
}

func redirectLoop(v *visitor) {
	switch {
	case v.robots(""):
	case v.path == "/":
		v.realPage("home", `<a href=/a>a</a> <a href=/self>self</a> <a href=/end>end</a>`)
	case v.path == "/end":
		v.realPage("end", "")
	default:
		to := map[string]string{"/a": "/b", "/b": "/c", "/c": "/a", "/self": "/self"}[v.path]
		if to == "" {
			v.notFound()
			return
		}
		http.Redirect(v, v.r, to, http.StatusFound)
	}
}

func redirectChain(v *visitor) {
	switch {
	case v.robots(""):
	case v.path == "/":
		v.realPage("home", `<a href=/away/1>away</a> <a href=/end>end</a>`)
	case v.path == "/end":
		v.realPage("end", "")
	default:
		n, ok := v.number("/away/")
		if !ok {
			v.notFound()
			return
		}
		http.Redirect(v, v.r, "/away/"+strconv.Itoa(n+1), http.StatusMovedPermanently)
	}
}

func mirror(v *visitor) {
	if v.robots("") {
		return
	}
	path := v.path
	for strings.HasPrefix(path, "/mirror/") {
		path = path[len("/mirror"):]
	}
	n, err := strconv.Atoi(strings.TrimPrefix(path, "/p"))
	if path != "/" && (err != nil || n < 1 || n > 19) {
		v.notFound()
		return
	}
	v.realPage("page "+strconv.Itoa(n), "")
	if n == 0 {
		fmt.Fprint(v, "<a href=mirror/>mirror</a>\n")
	}
	for to := 1; to < 20; to++ {
		fmt.Fprintf(v, "<a href=p%d>%d</a>\n", to, to)
	}
}

func nearDuplicates(v *visitor) {
	if v.robots("") {
		return
	}
	if n, ok := v.number("/text/"); ok && n >= 1 && n < 10 {
		v.realPage("text "+strconv.Itoa(n), "<a href=/>home</a>")
		return
	}
	n, ok := v.number("/offer/")
	switch {
	case v.path == "/":
		v.realPage("home", "<a href=/offer/1>offers</a>\n")
		for n := 1; n < 10; n++ {
			fmt.Fprintf(v, "<a href=/text/%d>text</a>\n", n)
		}
	case !ok:
		v.notFound()
	default:
		v.page("An offer for you", "<p>%s</p><p>Today it is %s that we offer. %s</p>", words(1, 150), words(uint64(n), 2), words(2, 150))
		fmt.Fprintf(v, "<a href=/offer/%d>next</a> <a href=/offer/%d>other</a>", n+1, n*2)
	}
}

func drip(v *visitor) {
	switch {
	case v.robots(""):
	case v.path == "/":
		v.realPage("home", `<a href=/slow/1>slow</a> <a href=/end>end</a>`)
	case v.path == "/end":
		v.realPage("end", "")
	default:
		v.Header().Set("Content-Type", "text/html")
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			if _, err := io.WriteString(v, "x"); err != nil || http.NewResponseController(v).Flush() != nil {
				return
			}
			select {
			case <-tick.C:
			case <-v.site.done:
				return
			case <-v.r.Context().Done():
				return
			}
		}
	}
}

func tarpit(v *visitor) {
	switch {
	case v.robots(""):
	case v.path == "/":
		v.realPage("home", `<a href=/end>end</a> <a href=/slow/1>slow</a> <a href=/slow/2>slow</a>`)
	case v.path == "/end":
		v.realPage("end", "")
	default:
		select {
		case <-v.site.done:
		case <-v.r.Context().Done():
		}
	}
}

func millionLinks(v *visitor) {
	switch {
	case v.robots(""):
	case v.path == "/":
		v.realPage("home", `<a href=/end>end</a> <a href=/list>list</a>`)
	case v.path == "/end":
		v.realPage("end", "")
	case v.path == "/list":
		v.page("List", "")
		for n := range 1_000_000 {
			fmt.Fprintf(v, "<a href=/n/%d>\n", n)
		}
	default:
		v.page("Number", "<p>A number like any other.</p>")
	}
}

func nesting(v *visitor) {
	switch {
	case v.robots(""):
	case v.path == "/":
		v.realPage("home", `<a href=/deep>deep</a>`)
		v.send([]byte(strings.Repeat("<div>", 1_000_000)))
	case v.path == "/deep":
		v.realPage("deep", "")
		v.send([]byte(strings.Repeat("<b><table><tr><td>", 200_000)))
	default:
		v.notFound()
	}
}

func hugeRobots(v *visitor) {
	switch v.path {
	case "/robots.txt":
		v.Header().Set("Content-Type", "text/plain")
		for n := 0; v.r.Context().Err() == nil && n < 1<<20; n++ {
			if _, err := fmt.Fprintf(v, "User-agent: *\nDisallow: /private/%d/*/x*y*z$\n", n); err != nil {
				return
			}
		}
	default:
		v.homeAndEnd()
	}
}

func hugeSitemap(v *visitor) {
	switch v.path {
	case "/robots.txt":
		v.robots("Sitemap: http://" + v.host + "/sitemap.xml\n")
	case "/sitemap.xml":
		v.Header().Set("Content-Type", "application/xml")
		fmt.Fprint(v, `<?xml version="1.0"?><urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">`)
		for n := 0; v.r.Context().Err() == nil && n < 1<<22; n++ {
			if _, err := fmt.Fprintf(v, "<url><loc>http://%s/none/%d</loc></url>\n", v.host, n); err != nil {
				return
			}
		}
	default:
		v.homeAndEnd()
	}
}

func sitemapBomb(v *visitor) {
	switch v.path {
	case "/robots.txt":
		v.robots("Sitemap: http://" + v.host + "/sitemap.xml.gz\n")
	case "/sitemap.xml.gz":
		v.Header().Set("Content-Type", "application/gzip")
		z, _ := gzip.NewWriterLevel(v, gzip.BestSpeed) // the level exists
		block := bytes.Repeat([]byte(" "), 1<<20)
		fmt.Fprint(z, `<?xml version="1.0"?><urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">`)
		for range 1024 {
			if _, err := z.Write(block); err != nil {
				return
			}
		}
		z.Close()
	default:
		v.homeAndEnd()
	}
}

func sitemapIndex(v *visitor) {
	n, ok := v.number("/sitemap-")
	switch {
	case v.robots("Sitemap: http://" + v.host + "/sitemap-1\n"):
	case ok:
		v.Header().Set("Content-Type", "application/xml")
		fmt.Fprint(v, `<?xml version="1.0"?><sitemapindex xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">`)
		for i := range 10 {
			fmt.Fprintf(v, "<sitemap><loc>http://%s/sitemap-%d</loc></sitemap>", v.host, n*10+i)
		}
		fmt.Fprint(v, `</sitemapindex>`)
	default:
		v.homeAndEnd()
	}
}

func cookieGate(v *visitor) {
	if v.robots("") {
		return
	}
	if _, err := v.r.Cookie("id"); err != nil && v.path != "/" {
		http.SetCookie(v, &http.Cookie{Name: "id", Value: v.fresh(), Path: "/"})
		http.Redirect(v, v.r, v.path+"?visitor="+v.fresh(), http.StatusFound)
		return
	}
	v.realPage("home", `<a href=/a>a</a> <a href=/b>b</a>`)
}

var png = []byte("\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00<a href=/fake>fake</a>\x00")

func typeLies(v *visitor) {
	switch v.path {
	case "/robots.txt":
		v.Header().Set("Content-Type", "image/png")
		fmt.Fprint(v, "User-agent: *\nDisallow: /forbidden\n")
	case "/":
		v.realPage("home", `<a href=/picture>picture</a> <a href=/page.png>page</a> <a href=/text>text</a> <a href=/end>end</a>`)
	case "/picture":
		v.Header().Set("Content-Type", "text/html")
		v.send(png)
	case "/page.png":
		v.Header().Set("Content-Type", "image/png")
		fmt.Fprint(v, `<!DOCTYPE html><a href=/fake>fake</a>`)
	case "/text":
		v.realPage("text", `<a href=/forbidden>no</a>`)
	case "/end":
		v.realPage("end", "")
	default:
		v.notFound()
	}
}

func binary(v *visitor) {
	switch {
	case v.robots(""):
	case v.path == "/":
		v.realPage("home", `<a href=/file/1>file</a> <a href=/file/2>file</a> <a href=/end>end</a>`)
	case v.path == "/end":
		v.realPage("end", "")
	case strings.HasPrefix(v.path, "/file/"):
		v.Header().Set("Content-Type", "text/html")
		junk := make([]byte, 1<<20)
		for i := range junk {
			junk[i] = byte(mix(uint64(i)))
		}
		v.send(junk)
	default:
		v.notFound()
	}
}
