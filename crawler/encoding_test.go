package crawler_test

import (
	"net/http"
	"testing"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/unicode"

	"github.com/orbweaver/orbweaver/crawler"
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
