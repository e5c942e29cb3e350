package extract_test

import (
	"encoding/json"
	"errors"
	"net/netip"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"
	"github.com/google/go-cmp/cmp"

	"github.com/orbweaver/orbweaver/crawler/extract"
)

func document(t testing.TB, html string) *goquery.Selection {
	t.Helper()
	doc, err := goquery.NewDocumentFromReader(strings.NewReader(html))
	if err != nil {
		t.Fatal(err)
	}
	return doc.Selection
}

var base = must(url.Parse("https://example.com/shop/tea"))

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// shop is the page of most tests.
const shop = `<!DOCTYPE html><html><head><title>Tea</title>
<meta property="og:title" content="Green tea"><meta name=description content=" Leaves ">
<script type="application/ld+json">{"@type":"Product",  "offers":{"price":"4.50"}}</script></head>
<body>
<h1>Green <b>te</b>a
  from&nbsp;Japan<script>no()</script></h1>
<p class=price data-amount=" 4.50 " data-flags='{"new":true}'>€ 4,50</p>
<p class=stock>Only 7 left of 20</p>
<time datetime=2024-05-06>6 May</time><time datetime="2024-05-06T07:08">later</time>
<div class=empty> </div>
<input type=checkbox checked name=a><input type=checkbox name=b>
<ul class=tags><li>green<li> loose <li><li>japan</ul>
<a class=rel href=" ../coffee?a=1&amp;b ">Coffee</a><a class=rel>none</a><a class=rel href="//other.example/x">Other</a>
<div class=review><span class=author>Ann</span><span class=stars>5</span><div class=review><span class=author>Reply</span></div></div>
<div class=review><span class=author>Bob</span><span class=stars>many</span></div>
<div itemscope><span itemprop=name>Tin</span><a itemprop=url href=/tin>Tin</a><meta itemprop="sku code" content=T1>
<time itemprop=made datetime=2020-01-02>then</time></div>
</body></html>`

func TestUnmarshalValues(t *testing.T) {
	type inner struct {
		Name string `css:".author"`
	}
	for _, test := range []struct {
		name string
		got  any // a pointer to a struct
		want any // its field V
	}{
		{"text", new(struct {
			V string `css:"h1"`
		}), "Green tea from Japan"},
		{"raw text", new(struct {
			V string `css:"h1 b" as:"raw"`
		}), "te"},
		{"own text", new(struct {
			V string `css:"h1" as:"own"`
		}), "Green a from Japan"},
		{"markup within", new(struct {
			V string `css:".stock" as:"html"`
		}), "Only 7 left of 20"},
		{"markup", new(struct {
			V string `css:"h1 b" as:"outerhtml"`
		}), "<b>te</b>"},
		{"script", new(struct {
			V string `css:"h1 script"`
		}), "no()"},
		{"attribute", new(struct {
			V string `css:".price" attr:"data-amount"`
		}), " 4.50 "},
		{"first element that has a value", new(struct {
			V string `css:".empty, .stock, h1"`
		}), "Green tea from Japan"},
		{"first element that the pattern matches", new(struct {
			V int `css:"p" re:"(\\d+) left"`
		}), 7},
		{"pattern without group", new(struct {
			V string `css:"p" re:"\\d+ left"`
		}), "7 left"},
		{"no value", new(struct {
			V string `css:".none"`
		}), ""},
		{"default", new(struct {
			V int `css:".none" default:"5"`
		}), 5},
		{"default not needed", new(struct {
			V int `css:".stock" re:"\\d+" default:"5"`
		}), 7},
		{"default of a slice", new(struct {
			V []string `css:".none" default:"x"`
		}), []string{"x"}},
		{"meta property", new(struct {
			V string `meta:"og:title"`
		}), "Green tea"},
		{"meta name", new(struct {
			V string `meta:"description"`
		}), " Leaves "},
		{"microdata text", new(struct {
			V string `itemprop:"name"`
		}), "Tin"},
		{"microdata URL", new(struct {
			V url.URL `itemprop:"url"`
		}), *must(url.Parse("https://example.com/tin"))},
		{"microdata string made absolute", new(struct {
			V string `itemprop:"url" attr:",absolute"`
		}), "https://example.com/tin"},
		{"microdata word", new(struct {
			V string `itemprop:"code"`
		}), "T1"},
		{"microdata time", new(struct {
			V time.Time `itemprop:"made"`
		}), time.Date(2020, 1, 2, 0, 0, 0, 0, time.UTC)},

		{"float", new(struct {
			V float32 `css:".price" attr:"data-amount"`
		}), float32(4.5)},
		{"small integer", new(struct {
			V int8 `css:".stars"`
		}), int8(5)},
		{"unsigned", new(struct {
			V uint16 `css:".stars"`
		}), uint16(5)},
		{"bytes", new(struct {
			V []byte `css:".stars"`
		}), []byte("5")},
		{"any", new(struct {
			V any `css:".stars"`
		}), "5"},
		{"named type", new(struct {
			V time.Month `css:".stars"`
		}), time.May},
		{"duration", new(struct {
			V time.Duration `css:".none" default:"90s"`
		}), 90 * time.Second},
		{"text unmarshaler", new(struct {
			V netip.Addr `css:".none" default:"10.0.0.1"`
		}), netip.MustParseAddr("10.0.0.1")},
		{"time by layout", new(struct {
			V time.Time `css:"time" layout:"Jan 2006|2 January"`
		}), time.Date(0, 5, 6, 0, 0, 0, 0, time.UTC)},
		{"times by HTML's forms", new(struct {
			V []time.Time `css:"time[datetime^='2024']" attr:"datetime"`
		}), []time.Time{time.Date(2024, 5, 6, 0, 0, 0, 0, time.UTC), time.Date(2024, 5, 6, 7, 8, 0, 0, time.UTC)}},
		{"raw JSON", new(struct {
			V json.RawMessage `css:"script[type$=json]"`
		}), json.RawMessage(`{"@type":"Product",  "offers":{"price":"4.50"}}`)},
		{"decoded JSON", new(struct {
			V struct {
				Offers struct{ Price string }
			} `css:"script[type$=json]" as:"json"`
		}), struct{ Offers struct{ Price string } }{struct{ Price string }{"4.50"}}},
		{"decoded JSON of an attribute", new(struct {
			V map[string]bool `css:".price" attr:"data-flags" as:"json"`
		}), map[string]bool{"new": true}},

		{"element exists", new(struct {
			V bool `css:".stock"`
		}), true},
		{"element does not exist", new(struct {
			V bool `css:".none"`
		}), false},
		{"attribute exists", new(struct {
			V bool `css:"[name=a]" attr:"checked"`
		}), true},
		{"attribute does not exist", new(struct {
			V bool `css:"[name=b]" attr:"checked"`
		}), false},
		{"pattern matches", new(struct {
			V bool `css:".stock" re:"\\bleft\\b"`
		}), true},
		{"pattern does not match", new(struct {
			V bool `css:".stock" re:"sold out"`
		}), false},
		{"boolean text", new(struct {
			V bool `css:".none" as:"text" default:"Yes"`
		}), true},
		{"booleans of a list", new(struct {
			V []bool `css:"input" attr:"checked"`
		}), []bool{true}},

		{"list", new(struct {
			V []string `css:".tags li"`
		}), []string{"green", "loose", "japan"}},
		{"list of pattern matches", new(struct {
			V []int `css:"p" re:"\\d+"`
		}), []int{4, 50, 7, 20}},
		{"empty list", new(struct {
			V []string `css:".none"`
		}), []string(nil)},
		{"list of absolute URLs", new(struct {
			V []string `css:"a.rel" attr:"href,absolute"`
		}), []string{"https://example.com/coffee?a=1&b", "https://other.example/x"}},
		{"list of pointers to URLs", new(struct {
			V []*url.URL `css:"a.rel" attr:"href"`
		}), []*url.URL{must(url.Parse("https://example.com/coffee?a=1&b")), must(url.Parse("https://other.example/x"))}},

		{"pointer", new(struct {
			V *int `css:".stars"`
		}), ptr(5)},
		{"nil pointer", new(struct {
			V *int `css:".none"`
		}), (*int)(nil)},
		{"nil pointer to boolean", new(struct {
			V *bool `css:".none"`
		}), (*bool)(nil)},
		{"pointer to default", new(struct {
			V *int `css:".none" default:"1"`
		}), ptr(1)},
		{"struct", new(struct {
			V inner `css:".review"`
		}), inner{"Ann"}},
		{"pointer to struct", new(struct {
			V *inner `css:".review"`
		}), &inner{"Ann"}},
		{"nil pointer to struct", new(struct {
			V *inner `css:".none"`
		}), (*inner)(nil)},
		{"structs", new(struct {
			V []inner `css:"body > .review"`
		}), []inner{{"Ann"}, {"Bob"}}},
		{"pointers to structs", new(struct {
			V []*inner `css:"body > .review"`
		}), []*inner{{"Ann"}, {"Bob"}}},
		{"scope itself", new(struct {
			V []struct {
				Text  string `as:"text"`
				Class string `attr:"class"`
			} `css:".author"`
		}), []struct {
			Text  string `as:"text"`
			Class string `attr:"class"`
		}{{"Ann", "author"}, {"Reply", "author"}, {"Bob", "author"}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if err := extract.Unmarshal(document(t, shop), base, test.got); err != nil {
				t.Error(err)
			}
			got := reflect.ValueOf(test.got).Elem().Field(0).Interface()
			if diff := cmp.Diff(test.want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

func ptr[T any](v T) *T { return &v }

type embedded struct {
	Title string `css:"h1"`
}

func TestUnmarshalEmbedded(t *testing.T) {
	var got struct {
		embedded
		Other   string
		ignored int
		Stock   int `css:".stock" re:"\\d+"`
	}
	got.Other, got.ignored = "kept", 3
	if err := extract.Unmarshal(document(t, shop), nil, &got); err != nil {
		t.Fatal(err)
	}
	if got.Title != "Green tea from Japan" || got.Stock != 7 || got.Other != "kept" || got.ignored != 3 {
		t.Errorf("%+v", got)
	}
}

// A comment may have comments below it.
type comment struct {
	Author  string    `css:"> .author"`
	Replies []comment `css:"> .review"`
}

func TestUnmarshalRecursive(t *testing.T) {
	var got struct {
		Comments []comment `css:"body > .review"`
	}
	if err := extract.Unmarshal(document(t, shop), nil, &got); err != nil {
		t.Fatal(err)
	}
	want := []comment{{"Ann", []comment{{"Reply", nil}}}, {"Bob", nil}}
	if diff := cmp.Diff(want, got.Comments); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestUnmarshalClears(t *testing.T) {
	got := struct {
		A string   `css:".none"`
		B []string `css:".none"`
		C *int     `css:".none"`
		D int      `css:"h1"`
	}{"a", []string{"b"}, ptr(1), 1}
	err := extract.Unmarshal(document(t, shop), nil, &got)
	if got.A != "" || got.B != nil || got.C != nil || got.D != 0 {
		t.Errorf("%+v", got)
	}
	if !errors.Is(err, strconv.ErrSyntax) {
		t.Error(err)
	}
	for _, sel := range []*goquery.Selection{nil, {}} {
		got.A = "a"
		if err := extract.Unmarshal(sel, nil, &got); err != nil || got.A != "" {
			t.Errorf("empty selection: %v, %+v", err, got)
		}
	}
}

func TestMicrodata(t *testing.T) {
	for _, test := range []struct{ html, want string }{
		{`<span itemprop=p>text</span>`, "text"},
		{`<span itemprop=p content=c>text</span>`, "c"},
		{`<meta itemprop=p content=c>`, "c"},
		{`<a itemprop=p href=h>text</a>`, "h"},
		{`<a itemprop=p>text</a>`, "text"},
		{`<link itemprop=p href=h>`, "h"},
		{`<img itemprop=p src=s alt=a>`, "s"},
		{`<object itemprop=p data=d></object>`, "d"},
		{`<data itemprop=p value=v>text</data>`, "v"},
		{`<time itemprop=p datetime=t>text</time>`, "t"},
		{`<time itemprop=p>text</time>`, "text"},
		{`<b itemprop=p> </b><b itemprop="o p">second</b>`, "second"},
	} {
		var v struct {
			P string `itemprop:"p"`
		}
		if err := extract.Unmarshal(document(t, test.html), nil, &v); err != nil || v.P != test.want {
			t.Errorf("%s: %q, %v", test.html, v.P, err)
		}
	}
}

func TestAttributeForms(t *testing.T) {
	html := `<svg><a xlink:href="/x">s</a></svg><p HIDDEN data-a=FALSE data-b=1 data-c>p</p><a href="a	b
c">l</a><ul><li class="a b" title="> x">1</li></ul>`
	var v struct {
		XLink  string   `css:"svg a" attr:"xlink:href,absolute"`
		Hidden bool     `css:"p" attr:"Hidden"`
		A      bool     `css:"p" attr:"data-a"`
		B      bool     `css:"p" attr:"data-b"`
		C      bool     `css:"p" attr:"data-c"`
		Text   bool     `css:"li" as:"text"`
		Broken string   `css:"body > a" attr:"href,absolute"`
		Child  []string `css:"ul"`
		List   struct {
			Item string `css:"> li:not(.c)[title='> x']"`
		} `css:"ul"`
	}
	if err := extract.Unmarshal(document(t, html), base, &v); err != nil {
		t.Fatal(err)
	}
	if v.XLink != "https://example.com/x" || !v.Hidden || v.A || !v.B || !v.C || !v.Text || v.Broken != "https://example.com/shop/abc" || v.List.Item != "1" {
		t.Errorf("%+v", v)
	}
}

func TestErrors(t *testing.T) {
	var got struct {
		Name    string  `css:"h1"`
		Price   float64 `css:".price"`
		Missing string  `css:".none" required:"true"`
		Small   int8    `css:".stock" re:"(7)" `
		Big     int8    `css:".none" attr:"x" required:"true"`
		Reviews []struct {
			Author string `css:".author"`
			Stars  int    `css:".stars" required:"true"`
		} `css:".review"`
		Numbers []int           `css:".stars, .author"`
		When    time.Time       `css:"h1" layout:"2006"`
		Raw     json.RawMessage `css:"title"`
		Flag    bool            `css:"h1" as:"text"`
		URL     *url.URL        `css:".stock" re:"(:)?Only"`
		Title   string          `css:"title"`
	}
	err := extract.Unmarshal(document(t, shop), base, &got)
	var e *extract.Error
	if !errors.As(err, &e) {
		t.Fatal(err)
	}
	var paths []string
	for _, f := range e.Fields {
		paths = append(paths, f.Error())
	}
	want := []string{
		`Price (.price) "€ 4,50": invalid syntax`,
		`Missing (.none): required value is missing`,
		`Big (.none): required value is missing`,
		`Reviews[1].Stars (.stars): required value is missing`,
		`Reviews[2].Stars (.stars) "many": invalid syntax`,
		`Numbers[0] (.stars, .author) "Ann": invalid syntax`,
		`Numbers[1] (.stars, .author) "Reply": invalid syntax`,
		`Numbers[1] (.stars, .author) "Bob": invalid syntax`,
		`Numbers[1] (.stars, .author) "many": invalid syntax`,
		`When (h1) "Green tea from Japan": parsing time "Green tea from Japan" as "2006": cannot parse "Green tea from Japan" as "2006"`,
		`Raw (title) "Tea": text is not JSON`,
		`Flag (h1) "Green tea from Japan": text is none of "true", "false", "yes", "no", "on", "off", "1", "0"`,
	}
	if diff := cmp.Diff(want, paths); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	for _, cause := range []error{extract.ErrMissing, extract.ErrNotJSON, extract.ErrNotABool, strconv.ErrSyntax} {
		if !errors.Is(err, cause) {
			t.Errorf("is not %v", cause)
		}
	}
	var syntax interface{ Unwrap() []error }
	if !errors.As(err, &syntax) || len(syntax.Unwrap()) != len(want) {
		t.Error("does not unwrap to its fields")
	}
	var f *extract.FieldError
	if !errors.As(err, &f) || f.Path != "Price" || f.Selector != ".price" || f.Text != "€ 4,50" {
		t.Errorf("first field: %+v", f)
	}
	if want := "extract: " + want[0] + "; " + want[1] + "; " + want[2] + "; and 9 more"; err.Error() != want {
		t.Errorf("got  %v\nwant %v", err, want)
	}
	// All else is filled.
	if got.Name != "Green tea from Japan" || got.Title != "Tea" || got.Small != 7 || len(got.Reviews) != 3 ||
		got.Reviews[2].Author != "Bob" || got.Reviews[0].Stars != 5 || !cmp.Equal(got.Numbers, []int{5}) || got.URL != nil {
		t.Errorf("%+v", got)
	}
}

func TestTypeErrors(t *testing.T) {
	type private struct {
		name string `css:"a"`
	}
	for _, test := range []struct {
		v    any
		want string
	}{
		{nil, "extract: <nil>: want a pointer to a struct that is not nil"},
		{embedded{}, "extract: extract_test.embedded: want a pointer to a struct that is not nil"},
		{(*embedded)(nil), "extract: *extract_test.embedded: want a pointer to a struct that is not nil"},
		{new(int), "extract: *int: want a pointer to a struct that is not nil"},
		{new(struct{ A string }), "no field has a tag"},
		{&private{name: "x"}, "field name of extract_test.private: tagged but not exported"},
		{new(struct {
			A string `css:"a["`
		}), `field A of struct`},
		{new(struct {
			A string `css:"> a b"`
		}), "what follows > must be a simple selector"},
		{new(struct {
			A string `css:"a" re:"("`
		}), "missing closing )"},
		{new(struct {
			A string `css:"a" attr:""`
		}), "attr names no attribute"},
		{new(struct {
			A string `css:"a" attr:"href,abs"`
		}), `unknown option "abs"`},
		{new(struct {
			A int `css:"a" attr:"href,absolute"`
		}), "absolute goes with strings and URLs only"},
		{new(struct {
			A string `css:"a" as:"xml"`
		}), `unknown kind "xml"`},
		{new(struct {
			A string `css:"a" attr:"x" as:"html"`
		}), `as:"html" does not go with an attribute`},
		{new(struct {
			A string `css:"a" meta:"b"`
		}), "more than one of the tags"},
		{new(struct {
			A string `css:"a" required:"yes"`
		}), `required must be "true" or "false"`},
		{new(struct {
			A string `css:"a" required:"true" default:"x"`
		}), "exclude each other"},
		{new(struct {
			A int `css:"a" default:"x"`
		}), `default "x": invalid syntax`},
		{new(struct {
			A string `css:"a" layout:"2006"`
		}), "layout goes with time.Time only"},
		{new(struct {
			A map[string]string `css:"a"`
		}), "type map[string]string cannot be filled"},
		{new(struct {
			A [][]string `css:"a"`
		}), "type [][]string cannot be filled"},
		{new(struct {
			A **int `css:"a"`
		}), "type **int cannot be filled"},
		{new(struct {
			A embedded `css:"a" re:"x"`
		}), "re does not go with a struct"},
		{new(struct {
			A []struct {
				B chan int `css:"b"`
			} `css:"a"`
		}), "field B of struct { B chan int"},
	} {
		err := extract.Unmarshal(document(t, shop), nil, test.v)
		var e *extract.TypeError
		if errors.As(err, &e) && e.Field != "" && errors.Unwrap(err) != e.Err {
			t.Errorf("%T: wraps %v", test.v, errors.Unwrap(err))
		}
		if !errors.As(err, &e) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%T: %v, want %q", test.v, err, test.want)
		}
	}
}

func TestLimits(t *testing.T) {
	// Each level of nesting finds all levels below it again.
	type nested struct {
		Inner []nested `css:"div"`
	}
	type page struct {
		All   []nested `css:"div"`
		Title string   `css:"h1"`
	}
	html := "<h1>T</h1>" + strings.Repeat("<div>", 100)
	for _, test := range []struct {
		decoder extract.Decoder
		want    error
	}{
		{extract.Decoder{MaxVisits: 10_000, MaxDepth: 1000}, extract.ErrTooMuch},
		{extract.Decoder{MaxBytes: 10_000, MaxDepth: 1000}, extract.ErrTooMuch},
		{extract.Decoder{MaxVisits: 1_000_000, MaxDepth: 2}, extract.ErrTooDeep},
	} {
		var v page
		err := test.decoder.Unmarshal(document(t, html), &v)
		if !errors.Is(err, test.want) {
			t.Errorf("%+v: %v", test.decoder, err)
		}
		var e *extract.Error
		if errors.As(err, &e) && (len(e.Fields) != extract.DefaultMaxErrors || e.Omitted == 0) {
			t.Errorf("%d errors listed, %d omitted", len(e.Fields), e.Omitted)
		}
	}

	var texts struct {
		Texts []string `css:"div"`
		First string   `css:"h1"`
		Match bool     `css:"h1" re:"T"`
		Count int      `css:".none" default:"3"`
	}
	d := extract.Decoder{MaxBytes: 1000, MaxErrors: 2}
	err := d.Unmarshal(document(t, html+strings.Repeat("x", 300)), &texts)
	var e *extract.Error
	if !errors.As(err, &e) || !errors.Is(err, extract.ErrTooMuch) || len(e.Fields) != 2 || e.Omitted != 1 {
		t.Errorf("%v", err)
	}
	if len(texts.Texts) != 2 || texts.Count != 3 {
		t.Errorf("%d texts, count %d", len(texts.Texts), texts.Count)
	}

	var letters struct {
		Letters []string `css:"div" re:"x"`
	}
	d = extract.Decoder{MaxBytes: 10_000}
	err = d.Unmarshal(document(t, "<div>"+strings.Repeat("x", 300)), &letters)
	if !errors.Is(err, extract.ErrTooMuch) || len(letters.Letters) == 0 || len(letters.Letters) > 10_000/64 {
		t.Errorf("%d letters, %v", len(letters.Letters), err)
	}

	// A struct that selects its own scope would never end.
	type self struct {
		Self *self `css:""`
	}
	if err := extract.Unmarshal(document(t, html), nil, new(self)); !errors.Is(err, extract.ErrTooDeep) {
		t.Error(err)
	}
}

func TestDistinct(t *testing.T) {
	sel := document(t, "<div><div><p>a</p></div><p>b</p></div>").Find("div")
	var v struct {
		P []string `css:"p"`
	}
	if err := extract.Unmarshal(sel, nil, &v); err != nil || !cmp.Equal(v.P, []string{"a", "b"}) {
		t.Errorf("%v, %q", err, v.P)
	}
}

func TestText(t *testing.T) {
	for _, test := range []struct{ html, want string }{
		{"<p>a</p><p>b</p>", "a b"},
		{"a<b>b</b>c<br>d", "abc d"},
		{" a <b> b </b> c ", "a b c"},
		{"a&nbsp;<b>c</b>", "a c"},
		{"a<b>&nbsp;</b>c", "a c"},
		{"<ul><li>a<li>b</ul>", "a b"},
		{"<table><tr><td>a<td>b</table>", "a b"},
		{"a<style>x</style><noscript>x</noscript><template>x</template><!-- x -->b", "ab"},
		{"a<img>b", "a b"},
		{"ä\n\u00a0\u3000ö", "ä ö"},
	} {
		var v struct {
			Text string `css:"body"`
		}
		if err := extract.Unmarshal(document(t, test.html), nil, &v); err != nil || v.Text != test.want {
			t.Errorf("%s: %q, %v; want %q", test.html, v.Text, err, test.want)
		}
	}
}

// What JSON has no number for is none to a page either: it could not be emitted.
func TestFloats(t *testing.T) {
	for text, want := range map[string]float64{"1.5": 1.5, " -2e3 ": -2000, "0x1p-2": 0.25, "NaN": 0, "inf": 0, "-Infinity": 0, "1e999": 0, "": 0} {
		var v struct {
			N float64 `css:"p" required:"true"`
		}
		err := extract.Unmarshal(document(t, "<p>"+text+"</p>"), nil, &v)
		if v.N != want || (err == nil) != (want != 0) {
			t.Errorf("%q: %v, %v", text, v.N, err)
		}
	}
}

// FuzzUnmarshal fills a struct with a field of each sort from any page.
func FuzzUnmarshal(f *testing.F) {
	f.Add(shop)
	f.Add(`<a href="%zz">1e999</a><time>x</time><svg><a xlink:href=":"></a></svg>`)
	type inner struct {
		Text  string  `as:"text"`
		Inner []inner `css:"> *"`
	}
	f.Fuzz(func(t *testing.T, html string) {
		type values struct {
			Own     string            `css:"*" as:"own"`
			HTML    string            `css:"body" as:"html"`
			Int     []int             `css:"*" re:"\\d+"`
			Float   []float64         `css:"*"`
			Time    []time.Time       `css:"time"`
			URL     []*url.URL        `css:"a, area" attr:"href"`
			Link    []string          `css:"[href]" attr:"href,absolute"`
			JSON    []json.RawMessage `css:"script"`
			Any     any               `css:"script" as:"json"`
			Prop    []string          `itemprop:"name"`
			Inner   []inner           `css:"body"`
			Missing string            `css:"missing" required:"true"`
		}
		var a, b values
		doc := document(t, html)
		errA := (&extract.Decoder{Base: base, MaxVisits: 100_000, MaxBytes: 1 << 20}).Unmarshal(doc, &a)
		errB := (&extract.Decoder{Base: base, MaxVisits: 100_000, MaxBytes: 1 << 20}).Unmarshal(doc, &b)
		var e *extract.Error
		if !errors.As(errA, &e) {
			t.Fatal(errA)
		}
		if errA.Error() != errB.Error() || !cmp.Equal(a, b, cmp.AllowUnexported(url.Userinfo{})) {
			t.Errorf("twice the same page: %v, %v", errA, errB)
		}
		for _, l := range a.Link {
			if u, err := url.Parse(l); err != nil || !u.IsAbs() {
				t.Errorf("link %q: %v", l, err)
			}
		}
	})
}

func BenchmarkUnmarshal(b *testing.B) {
	sel := document(b, shop)
	var v struct {
		Name    string   `css:"h1" required:"true"`
		Price   float64  `css:".price" attr:"data-amount"`
		Stock   int      `css:".stock" re:"(\\d+) left" default:"0"`
		Related []string `css:"a.rel" attr:"href,absolute"`
		Reviews []struct {
			Author string `css:".author"`
		} `css:".review"`
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := extract.Unmarshal(sel, base, &v); err != nil {
			b.Fatal(err)
		}
	}
}
