package crawler_test

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/unicode"

	"github.com/orbweaver/orbweaver/crawler"
	"github.com/orbweaver/orbweaver/crawler/links"
)

// TestEncodings: titles and links of pages in each way of saying, or not saying,
// an encoding.
func TestEncodings(t *testing.T) {
	const latin, kana, greek = "Größe – café", "日本語のページです", "Ελληνικά κείμενα"
	encode := func(enc interface{ String(string) (string, error) }, text string) string {
		t.Helper()
		out, err := enc.String(text)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	page := func(title, meta string) string {
		return meta + "<title>" + title + "</title><a href=/next>" + title + "</a>"
	}
	utf16 := unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewEncoder()
	for name, test := range map[string]struct{ header, body, want string }{
		"header":              {"text/html; charset=windows-1252", encode(charmap.Windows1252.NewEncoder(), page(latin, "")), latin},
		"meta":                {"text/html", encode(charmap.ISO8859_7.NewEncoder(), page(greek, "<meta charset=iso-8859-7>")), greek},
		"http-equiv":          {"text/html", encode(japanese.EUCJP.NewEncoder(), page(kana, `<meta http-equiv=content-type content="text/html; charset=euc-jp">`)), kana},
		"header before meta":  {"text/html; charset=shift_jis", encode(japanese.ShiftJIS.NewEncoder(), page(kana, "<meta charset=utf-8>")), kana},
		"mark before header":  {"text/html; charset=windows-1252", "\uFEFF" + page(greek, ""), greek},
		"UTF-16":              {"text/html", encode(utf16, page(kana, "")), kana},
		"a guess of UTF-8":    {"text/html", page(kana, ""), kana},
		"a guess of old":      {"text/html", encode(charmap.Windows1252.NewEncoder(), page("Größe, café", "")), "Größe, café"},
		"an unknown encoding": {"text/html; charset=none-such", page(greek, ""), greek},
	} {
		site := serve(t, func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case "/":
				w.Header().Set("Content-Type", test.header)
				_, _ = w.Write([]byte(test.body))
			case "/robots.txt":
				http.NotFound(w, r)
			default:
				html(w, "")
			}
		})
		_, job := run(t, crawler.Config{Seeds: []string{site}})
		all := results(t, job.Store())
		if rec := all[site+"/"]; rec == nil || rec.Title != test.want || all[site+"/next"] == nil {
			t.Errorf("%s: %+v, want title %q", name, rec, test.want)
		}
	}
}

// TestFormQueries: what the action of a form asks for is sent in the encoding that the
// form names, or the page is in.
func TestFormQueries(t *testing.T) {
	pages := map[string][]byte{}
	add := func(path string, enc encoding.Encoding, text string) {
		body, err := enc.NewEncoder().String(text)
		if err != nil {
			t.Fatal(err)
		}
		pages[path] = []byte(body)
	}
	add("/1251", charmap.Windows1251, `<meta charset=windows-1251><form action="/a?q=мир"><button formaction="/b?q=мир"></form>
		<form action="/c?q=мир" accept-charset="none UTF-8 koi8-r"></form><form action="/d?q=мир" accept-charset=koi8-r><button formaction="/e?q=мир"></form>
		<form action="/f?q=мир" accept-charset=""></form><form action="/g?q=мир"></form><a href="/h?q=мир">`)
	add("/sjis", japanese.ShiftJIS, `<meta charset=shift_jis><form action="/i?q=表示"></form><form action="/i?q=表示" accept-charset=euc-jp></form>
		<form action="/j?q=表示" accept-charset="windows-1251"></form>`)
	var mu sync.Mutex
	var asked []string
	site := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		switch {
		case r.URL.RawQuery != "":
			mu.Lock()
			defer mu.Unlock()
			asked = append(asked, r.URL.RequestURI())
		case r.URL.Path == "/":
			html(w, linksTo("/1251", "/sjis"))
		case pages[r.URL.Path] != nil:
			_, _ = w.Write(pages[r.URL.Path])
		default:
			http.NotFound(w, r)
		}
	})
	run(t, crawler.Config{Seeds: []string{site}, Follow: links.Pages | links.Form})
	slices.Sort(asked)
	const cp1251, koi8, utf8 = "%EC%E8%F0", "%CD%C9%D2", "%D0%BC%D0%B8%D1%80"
	want := []string{
		"/a?q=" + cp1251, "/b?q=" + cp1251, "/c?q=" + utf8, "/d?q=" + koi8, "/e?q=" + koi8, "/f?q=" + utf8, "/g?q=" + cp1251, "/h?q=" + cp1251,
		`/i?q=%95\%8E%A6`, "/i?q=%C9%BD%BC%A8", "/j?q=%26%2334920%3B%26%2331034%3B",
	}
	if !slices.Equal(asked, want) {
		t.Errorf("asked for\n%s\nwant\n%s", strings.Join(asked, "\n"), strings.Join(want, "\n"))
	}
}
