package links_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/orbweaver/orbweaver/crawler/links"
)

func TestLinkField(t *testing.T) {
	for _, test := range []struct {
		field string
		want  []string // "kind url rel type"
	}{
		{`<https://example.com/2>; rel="next"`, []string{"next https://example.com/2 next "}},
		{`</1>;rel=prev,</3>;rel=next`, []string{"prev /1 prev ", "next /3 next "}},
		{` , <a> ; REL = "Canonical" ; title="x, <b>; rel=next" ,, <c>;rel=alternate;type="text/html"`,
			[]string{"canonical a canonical ", "alternate c alternate text/html"}},
		{`<a,b;c>; rel=preload; as=style; crossorigin; nopush`, []string{"preload a,b;c preload "}},
		{`<a>; rel="first"; rel=next`, []string{"reference a other "}},
		{`<a>; rel="up next"`, []string{"next a next|other "}},
		{`<a>, <b>; title=x, <c>; rel, <d>; rel=""`, nil},
		{`<a>; anchor="#x"; rel=next, <b>; anchor=""; rel=next`, []string{"next b next "}},
		{`<>; rel=next, < >; rel=next`, nil},
		{`garbage "a, b" ; c, <a>; rel=next`, []string{"next a next "}},
		{`<a> garbage; rel=x, <b>; rel=next`, []string{"next b next "}},
		{`<a>; title="x\"y, <c>"; rel="ne\xt"`, []string{"next a next "}},
		{`<a>; rel="next`, []string{"next a next "}},
		{`<a; rel=next`, nil},
		{`<a>;`, nil},
		{`<a>;;;rel=next;`, []string{"next a next "}},
		{`<a>; rel=next; =x; "`, []string{"next a next "}},
		{"< a\tb >; rel=next", []string{"next ab next "}},
	} {
		var got []string
		links.LinkField(test.field, func(l links.Link) bool {
			got = append(got, fmt.Sprintf("%v %s %v %s", l.Kind, l.URL, l.Rel, l.Type))
			return true
		})
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s\n-want +got\n%s", test.field, diff)
		}
	}
}

func FuzzLinkField(f *testing.F) {
	f.Add(`<https://example.com/2>; rel="next"; title="a\"b, c", <x>; rel=prev;;`)
	f.Add(`garbage "a, b", <a`)
	f.Fuzz(func(t *testing.T, field string) {
		var found []links.Link
		links.LinkField(field, func(l links.Link) bool {
			found = append(found, l)
			if len(l.URL) == 0 || l.Rel == 0 {
				t.Errorf("%+v", l)
			}
			return true
		})
		if len(found) > strings.Count(field, "<") {
			t.Errorf("%d links in %q", len(found), field)
		}
		// What was found is found again where it stands alone.
		for _, l := range found {
			if strings.Contains(string(l.URL), ">") {
				t.Errorf("%q", l.URL)
			}
			again := 0
			links.LinkField("<"+string(l.URL)+`>; rel=next`, func(a links.Link) bool {
				again++
				return string(a.URL) == string(l.URL)
			})
			if again != 1 {
				t.Errorf("%q: found %d times", l.URL, again)
			}
		}
	})
}

func TestHeader(t *testing.T) {
	h := http.Header{
		"Location":         {" /moved\tx "},
		"Content-Location": {"/page.en"},
		"Refresh":          {`0; url="/on"`},
		"Link":             {`</1>; rel=prev`, `</3>; rel=next, </c>; rel=canonical`},
		"X-Robots-Tag":     {"noindex"},
	}
	all := []string{"redirect location /movedx", "alternate content-location /page.en", "refresh refresh /on",
		"prev link /1", "next link /3", "canonical link /c"}
	for stop := 1; stop <= len(all)+1; stop++ {
		var got []string
		links.Header(h, func(l links.Link) bool {
			got = append(got, fmt.Sprintf("%v %s %s", l.Kind, l.Attr, l.URL))
			return len(got) < stop
		})
		if diff := cmp.Diff(all[:min(stop, len(all))], got); diff != "" {
			t.Errorf("stopping at %d: -want +got\n%s", stop, diff)
		}
	}
	links.Header(http.Header{"Refresh": {"5"}, "Location": {" "}}, func(l links.Link) bool {
		t.Errorf("%+v", l)
		return true
	})
}

func TestParseRefresh(t *testing.T) {
	for _, test := range []struct {
		value string
		delay time.Duration
		url   string
		ok    bool
	}{
		{"0; url=a", 0, "a", true},
		{"5;URL=a", 5 * time.Second, "a", true},
		{" 5 , Url = a ", 5 * time.Second, "a", true},
		{"5 url=a", 5 * time.Second, "a", true},
		{"5;a", 5 * time.Second, "a", true},
		{"5;'a'", 5 * time.Second, "a", true},
		{`5; url="a b" c`, 5 * time.Second, "a b", true},
		{`5; url='a"b`, 5 * time.Second, `a"b`, true},
		{"5; url=a'b'", 5 * time.Second, "a'b'", true},
		{"5; url", 5 * time.Second, "url", true},
		{"5; urn:x", 5 * time.Second, "urn:x", true},
		{"5; u", 5 * time.Second, "u", true},
		{"5; url a", 5 * time.Second, "url a", true},
		{"5; url=", 5 * time.Second, "", true},
		{"5; url==a", 5 * time.Second, "=a", true},
		{"5;;a", 5 * time.Second, ";a", true},
		{"5; url=''", 5 * time.Second, "", true},
		{"5", 5 * time.Second, "", true},
		{"5;", 5 * time.Second, "", true},
		{"5.9.1; url=a", 5 * time.Second, "a", true},
		{".5; url=a", 0, "a", true},
		{".; url=a", 0, "a", true},
		{"1e9; url=a", 0, "", false},
		{"-1; url=a", 0, "", false},
		{"; url=a", 0, "", false},
		{"url=a", 0, "", false},
		{"", 0, "", false},
		{"5x; url=a", 0, "", false},
		{strings.Repeat("9", 100) + ";a", 365 * 24 * time.Hour, "a", true},
	} {
		delay, url, ok := links.ParseRefresh([]byte(test.value))
		if !ok {
			delay, url = 0, nil
		}
		if delay != test.delay || string(url) != test.url || ok != test.ok || (url == nil) != (test.url == "") {
			t.Errorf("%q: %v, %q, %v; want %v, %q, %v", test.value, delay, url, ok, test.delay, test.url, test.ok)
		}
	}
}

func TestParseRobotsTag(t *testing.T) {
	for _, test := range []struct {
		value string
		want  links.Robots
	}{
		{"noindex, nofollow", links.NoIndex | links.NoFollow},
		{"NONE", links.NoIndex | links.NoFollow},
		{"all", 0},
		{"otherbot: noindex, nofollow", 0},
		{"Orbweaver: noindex, nofollow", links.NoIndex | links.NoFollow},
		{"otherbot: noindex, orbweaver: nofollow", links.NoFollow},
		{"nofollow, otherbot: noindex", links.NoFollow},
		{"unavailable_after: 25 Jun 2010 15:00:00 PST, noindex", links.NoIndex},
		{"unavailable_after: Friday, 25-Jun-10 15:00:00 UTC, noarchive", links.NoArchive},
		{"max-snippet:20, max-image-preview: large, noimageindex", links.NoImageIndex},
		{"noindex nofollow,nosnippet;", links.NoIndex | links.NoFollow},
		{": noindex", 0},
		{"", 0},
	} {
		if got := links.ParseRobotsTag(test.value, "orbweaver"); got != test.want {
			t.Errorf("%q: %v, want %v", test.value, got, test.want)
		}
	}
	if got := links.ParseRobotsTag("x: noindex, : nofollow", ""); got != 0 {
		t.Errorf("without a name: %v", got)
	}
}
