package weburl

import (
	"fmt"
	"testing"
)

func TestRules(t *testing.T) {
	id := "0123456789abcdef0123456789ABCDEF"
	for _, c := range []struct {
		rules     Rules
		raw, want string
	}{
		{Rules{}, "http://www.example.org/a/;jsessionid=1?utm_source=x&b&a=1", "http://www.example.org/a/;jsessionid=1?utm_source=x&b&a=1"},

		{Rules{SessionIDs: true}, "http://a.example/x;jsessionid=AB.node1?a=b", "http://a.example/x?a=b"},
		{Rules{SessionIDs: true}, "http://a.example/x;JSESSIONID=1;v=2/y;jsessionid=2", "http://a.example/x;v=2/y"},
		{Rules{SessionIDs: true}, "http://a.example/(S(4hqa0555fwsecu455xqckv45))/page.aspx", "http://a.example/page.aspx"},
		{Rules{SessionIDs: true}, "http://a.example/(S(x/y))/", "http://a.example/(S(x/y))/"},
		{Rules{SessionIDs: true}, "http://a.example/x/.;jsessionid=1", "http://a.example/x/"},
		{Rules{SessionIDs: true}, "http://a.example/?a=1&PHPSESSID=" + id + "&b=2", "http://a.example/?a=1&b=2"},
		{Rules{SessionIDs: true}, "http://a.example/?ASPSESSIONIDABCDEFGH=X&cfid=1&CFTOKEN=2", "http://a.example/"},
		{Rules{SessionIDs: true}, "http://a.example/?sid=" + id, "http://a.example/"},
		{Rules{SessionIDs: true}, "http://a.example/?sid=12", "http://a.example/?sid=12"},
		{Rules{SessionIDs: true}, "http://a.example/?utm_source=x", "http://a.example/?utm_source=x"},

		{Rules{Tracking: true}, "http://a.example/?UTM_Source=x&a=1&gclid=2&fbclid", "http://a.example/?a=1"},
		{Rules{Tracking: true}, "http://a.example/?utm=1&a=gclid", "http://a.example/?utm=1&a=gclid"},
		{Rules{Tracking: true}, "http://a.example/?jsessionid=1", "http://a.example/?jsessionid=1"},

		{Rules{DropParams: []string{"ref", "from"}}, "http://a.example/?ref=x&Ref=y&from", "http://a.example/?Ref=y"},

		{Rules{SortQuery: true}, "http://a.example/?b=1&a=2&b=0&a", "http://a.example/?a=2&a&b=1&b=0"},
		{Rules{SortQuery: true}, "http://a.example/?a&b", "http://a.example/?a&b"},

		{Rules{StripWWW: true}, "http://u@www.example.org:8080/www.", "http://u@example.org:8080/www."},
		{Rules{StripWWW: true}, "http://www.www.example.org/", "http://example.org/"},
		{Rules{StripWWW: true}, "http://www.co.uk/", "http://www.co.uk/"},
		{Rules{StripWWW: true}, "http://www.org/", "http://www.org/"},
		{Rules{StripWWW: true}, "http://wwww.example.org/", "http://wwww.example.org/"},

		{Rules{TrailingSlash: true}, "http://a.example/a/b//?x=/", "http://a.example/a/b?x=/"},
		{Rules{TrailingSlash: true}, "http://a.example/", "http://a.example/"},
		{Rules{TrailingSlash: true}, "http://a.example//", "http://a.example/"},
		{Rules{TrailingSlash: true}, "http://a.example//a/", "http://a.example//a"},

		{Rules{SessionIDs: true, TrailingSlash: true}, "http://a.example/x/.;jsessionid=1", "http://a.example/x"},
	} {
		got, err := Parser{Rules: c.rules}.Parse(c.raw)
		if err != nil || got.String() != c.want {
			t.Errorf("%+v: %s: got %s, %v, want %s", c.rules, c.raw, got, err, c.want)
		}
		if got != mustParse(t, c.want) {
			t.Errorf("%s: the offsets are wrong", got)
		}
	}
}

// TestRulesBeyondMaxLength applies rules to a URL longer than the usual limit.
func TestRulesBeyondMaxLength(t *testing.T) {
	raw := fmt.Sprintf("http://a.example/%09000d/?b&a", 0)
	got, err := Parser{MaxLength: 10000, Rules: Rules{SortQuery: true, TrailingSlash: true}}.Parse(raw)
	if want := fmt.Sprintf("http://a.example/%09000d?a&b", 0); err != nil || got.String() != want {
		t.Errorf("got %.40s, %v", got, err)
	}
}

func FuzzRules(f *testing.F) {
	f.Add("http://www.a.example/x;jsessionid=1/.;jsessionid=2/(S(a))/?sid=1&utm_x=2&&a=%41", uint8(31))
	f.Add("http://www.www.a.example//a//;JSessionID=/(s((S(x))))/..;jsessionid=", uint8(31))
	f.Fuzz(func(t *testing.T, raw string, on uint8) {
		u, err := Parse(raw)
		if err != nil {
			return
		}
		r := Rules{SessionIDs: on&1 != 0, Tracking: on&2 != 0, SortQuery: on&4 != 0, StripWWW: on&8 != 0, TrailingSlash: on&16 != 0}
		got := r.Apply(u)
		if again := r.Apply(got); again != got {
			t.Fatalf("%+v: %s becomes %s, and that %s", r, u, got, again)
		}
		if len(got.String()) > len(u.String()) {
			t.Fatalf("%s becomes %s", u, got)
		}
		if parsed, err := Parse(got.String()); err != nil || parsed != got {
			t.Fatalf("%s becomes %s, which parses as %s, %v", u, got, parsed, err)
		}
	})
}
