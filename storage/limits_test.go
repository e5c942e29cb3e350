package storage

import (
	"errors"
	"strings"
	"testing"
)

func TestLimitsWithDefaults(t *testing.T) {
	got, err := Limits{Item: 7}.WithDefaults()
	want := Limits{Text: DefaultMaxText, Head: DefaultMaxHead, Data: DefaultMaxData, Item: 7, Items: DefaultMaxItems, Body: DefaultMaxBody}
	if err != nil || got != want {
		t.Errorf("got %+v, %v", got, err)
	}
	for _, bad := range []Limits{{Text: -1}, {Head: -1}, {Data: -1}, {Item: -1}, {Items: -1}, {Body: -1}} {
		if _, err := bad.WithDefaults(); err == nil {
			t.Errorf("%+v was accepted", bad)
		}
	}
}

func TestLimitsCheckBody(t *testing.T) {
	l, _ := Limits{Body: 3}.WithDefaults()
	if err := l.Check([]*Record{{URL: "u", Body: make([]byte, 3)}}); err != nil {
		t.Error(err)
	}
	err := l.Check([]*Record{{URL: "u"}, {URL: "v", Body: make([]byte, 4)}})
	var refused *RecordError
	if !errors.As(err, &refused) || refused.Index != 1 || refused.URL != "v" || !errors.Is(err, ErrLimit) {
		t.Errorf("error %v", err)
	}
}

func TestLimitsClip(t *testing.T) {
	l, _ := Limits{Text: 100, Head: 10}.WithDefaults()
	url := "https://example.org/"
	for _, test := range []struct {
		name string
		rec  Record
		cut  bool
	}{
		{"small", Record{URL: url, Title: "t", Head: make([]byte, 10)}, false},
		{"head", Record{URL: url, Head: make([]byte, 11)}, true},
		{"title", Record{URL: url, Title: strings.Repeat("x", 200)}, true},
		{"title between characters", Record{URL: url, Title: strings.Repeat("€", 60)}, true},
		{"not text", Record{URL: url, Title: strings.Repeat("\x80", 200)}, true},
		{"all", Record{URL: url, Title: strings.Repeat("t", 99), Error: strings.Repeat("e", 99),
			ContentType: strings.Repeat("c", 99), Charset: strings.Repeat("h", 99),
			Encoding: strings.Repeat("n", 99), Proto: strings.Repeat("p", 99)}, true},
	} {
		r := test.rec
		if got := l.Clip(&r); got != test.cut {
			t.Errorf("%s: Clip reported %v", test.name, got)
		}
		if err := l.Check([]*Record{&r}); err != nil {
			t.Errorf("%s: still refused: %v", test.name, err)
		}
		if strings.HasPrefix(r.Title, "€") && strings.Trim(r.Title, "€") != "" {
			t.Errorf("%s: half a character is left in %q", test.name, r.Title)
		}
		if len(r.Title) < 80-3 && len(test.rec.Title) > 80 && test.rec.Error == "" {
			t.Errorf("%s: more was cut than needed: %d bytes are left", test.name, len(r.Title))
		}
	}
}
