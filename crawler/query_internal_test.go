package crawler

import (
	"testing"

	"golang.org/x/text/encoding/charmap"

	"github.com/orbweaver/orbweaver/crawler/links"
	"github.com/orbweaver/orbweaver/crawler/weburl"
)

// TestQueryEncoding: what browsers make of the same references.
func TestQueryEncoding(t *testing.T) {
	for _, test := range []struct{ charset, ref, want string }{
		{"utf-8", "?q=привет", "?q=привет"},
		{"utf-16le", "?q=привет", "?q=привет"},
		{"windows-1251", "/путь?q=привет&x=1#якорь", "/путь?q=%EF%F0%E8%E2%E5%F2&x=1#якорь"},
		{"windows-1251", "/путь#a?q=привет", "/путь#a?q=привет"},
		{"windows-1251", "/путь", "/путь"},
		{"windows-1251", "?q=%D0%BF&a=b", "?q=%D0%BF&a=b"},
		{"windows-1252", "?caf\u00e9=\u20ac&\u043f", "?caf%E9=%80&%26%231087%3B"},
		{"shift_jis", "?q=表示", `?q=%95\%8E%A6`},
		{"gbk", "?wd=中文", "?wd=%D6%D0%CE%C4"},
		{"iso-2022-jp", "?q=表", "?q=%1B$BI=%1B(B"},
		{"windows-1252", "?\xff\xfe", "?%26%2365533%3B%26%2365533%3B"},
	} {
		if got := newQueryEncoder(test.charset).encode([]byte(test.ref)); string(got) != test.want {
			t.Errorf("%s: %s becomes %s, want %s", test.charset, test.ref, got, test.want)
		}
	}
}

// TestLegacyQueries finds a link in a page, whose base has a query of its own.
func TestLegacyQueries(t *testing.T) {
	body, err := charmap.Windows1251.NewEncoder().String(`<base href="/д/?б=я"><a href="поиск?q=мир#x">1</a><a href="#top">2</a>`)
	if err != nil {
		t.Fatal(err)
	}
	at, err := weburl.Parse("https://a.example/")
	if err != nil {
		t.Fatal(err)
	}
	p := &Page{URL: at.String(), ContentType: "text/html", Body: []byte(body), url: at, urls: new(weburl.Parser), kinds: links.Pages, room: new(buffer), typeField: "text/html; charset=cp1251"}
	var got []string
	for _, l := range p.Links() {
		got = append(got, l.URL)
	}
	want := "https://a.example/%D0%B4/%D0%BF%D0%BE%D0%B8%D1%81%D0%BA?q=%EC%E8%F0"
	if len(got) != 2 || got[0] != want || got[1] != "https://a.example/%D0%B4/?%E1=%FF" {
		t.Errorf("found %q", got)
	}
}

func FuzzQueryEncoding(f *testing.F) {
	f.Add("windows-1251", []byte("/путь?q=привет&x=1#якорь"))
	f.Add("iso-2022-jp", []byte("?表\x00'表"))
	f.Add("gb18030", []byte("??\xff\U0001F600"))
	f.Fuzz(func(t *testing.T, charset string, ref []byte) {
		q := newQueryEncoder(charset)
		got := string(q.encode(ref))
		if again := string(q.encode([]byte(got))); again != got {
			t.Errorf("%q becomes %q and then %q", ref, got, again)
		}
		if len(got) > 16*len(ref) {
			t.Errorf("%d bytes become %d", len(ref), len(got))
		}
	})
}
