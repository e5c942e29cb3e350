package crawler

import (
	"fmt"
	"math/bits"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/orbweaver/orbweaver/crawler/weburl"
)

func urlOf(t testing.TB, s string) weburl.URL {
	t.Helper()
	u, err := weburl.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func htmlPage(text string) *Page { return &Page{ContentType: "text/html", Body: []byte(text)} }

func TestNovelty(t *testing.T) {
	const pages = 9_500
	for name, tt := range map[string]struct {
		cfg     Novelty
		url     func(i int) string
		page    func(i int) string
		repeats bool
	}{
		"articles": {
			url:  func(i int) string { return fmt.Sprintf("http://h.example/article/%d", i) },
			page: func(i int) string { return fmt.Sprintf("<h1>%s</h1>", fakeWords(uint64(i), 5)) },
		},
		"the same but for numbers": {
			url:     func(i int) string { return fmt.Sprintf("http://h.example/day/%d", i) },
			page:    func(i int) string { return fmt.Sprintf("<h1>Day %d</h1><a href=/day/%d>next</a>", i, i+1) },
			repeats: true,
		},
		"other pictures": {
			url:  func(i int) string { return fmt.Sprintf("http://h.example/photo/%d", i) },
			page: func(i int) string { return fmt.Sprintf("<h1>Photo %d</h1><IMG src=/p/%d.jpg>", i, i) },
		},
		"half of them new": {
			url:  func(i int) string { return fmt.Sprintf("http://h.example/a/%d", i) },
			page: func(i int) string { return fakeWords(uint64(i)&^1%pages*uint64(i&1), 5) },
		},
		"sessions of five pages": {
			url:     func(i int) string { return fmt.Sprintf("http://h.example/(S(%08xabcd%d))/x", i*7919, i) },
			page:    func(i int) string { return fakeWords(uint64(i%5), 5) },
			repeats: true,
		},
		"whatever path": {
			url:     func(i int) string { return "http://h.example/" + fakeWord(uint64(i)) + "/" },
			page:    func(i int) string { return "nothing here" },
			repeats: true,
		},
		"never": {
			cfg:  Novelty{Pages: -1},
			url:  func(i int) string { return fmt.Sprintf("http://h.example/day/%d", i) },
			page: func(i int) string { return "nothing" },
		},
		"later": {
			cfg:  Novelty{Pages: pages},
			url:  func(i int) string { return fmt.Sprintf("http://h.example/day/%d", i) },
			page: func(i int) string { return "nothing" },
		},
		"nearly the same": {
			url:  func(i int) string { return fmt.Sprintf("http://h.example/offer/%d", i) },
			page: func(i int) string { return fakeWords(1, 200) + fakeWords(uint64(i), 2) + fakeWords(2, 200) },
		},
		"nearly the same, and similar": {
			cfg:     Novelty{Similar: true},
			url:     func(i int) string { return fmt.Sprintf("http://h.example/offer/%d", i) },
			page:    func(i int) string { return fakeWords(1, 200) + fakeWords(uint64(i), 2) + fakeWords(2, 200) },
			repeats: true,
		},
		"articles, and similar": {
			cfg:  Novelty{Similar: true},
			url:  func(i int) string { return fmt.Sprintf("http://h.example/article/%d", i) },
			page: func(i int) string { return fakeWords(uint64(i), 50) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newNoveltyWatch(tt.cfg, nil)
			at := -1
			for i := range pages {
				u := urlOf(t, tt.url(i))
				if at < 0 && r.lacks(u) {
					at = i
				}
				r.saw(u, htmlPage(tt.page(i)))
			}
			if (at >= 0) != tt.repeats {
				t.Errorf("left alone after %d pages", at)
			}
			if elsewhere := urlOf(t, "http://other.example/day/1"); r.lacks(elsewhere) {
				t.Error("another site is left alone, too")
			}
		})
	}
}

// A part of a site that repeats itself does not take the others with it.
func TestNoveltyIsOfParts(t *testing.T) {
	r := newNoveltyWatch(Novelty{}, nil)
	for i := range 3000 {
		r.saw(urlOf(t, fmt.Sprintf("http://www.h.example/calendar/%d", i)), htmlPage("no events"))
		r.saw(urlOf(t, fmt.Sprintf("http://h.example/blog/%d", i)), htmlPage(fakeWords(uint64(i), 9)))
	}
	for u, want := range map[string]bool{
		"http://h.example/calendar/9999": true, "https://m.h.example/calendar/1/2": true, // over all hosts of the domain
		"http://h.example/calendar": false, "http://h.example/calendar/1?view=x": false, // another part, with a life of its own
		"http://h.example/blog/1": false, "http://h.example/": false,
	} {
		if got := r.lacks(urlOf(t, u)); got != want {
			t.Errorf("%s: %v", u, got)
		}
	}
}

// Parts that are forgotten are no longer counted as given up, here and in the job.
func TestNoveltyForgets(t *testing.T) {
	r := newNoveltyWatch(Novelty{Pages: 8}, nil)
	job := make(map[string]bool)
	sees := func(site int) {
		for i := range 100 {
			for _, n := range r.saw(urlOf(t, fmt.Sprintf("http://h%d.example/day/%d", site, i)), htmlPage("nothing")) {
				if job[n.name] == n.givenUp {
					t.Errorf("%+v is no news", n)
				}
				job[n.name] = n.givenUp
			}
		}
	}
	sees(-1)
	if !r.lacks(urlOf(t, "http://h-1.example/day/7")) {
		t.Fatal("not noticed")
	}
	for i := range noveltyParts {
		sees(i)
	}
	if r.lacks(urlOf(t, "http://h-1.example/day/7")) {
		t.Error("not forgotten")
	}
	givenUp := 0
	for _, p := range r.parts.Values() {
		if p.givenUp != "" {
			givenUp++
			if !job[p.givenUp] {
				t.Errorf("the job does not know of %s", p.givenUp)
			}
		}
	}
	kept := 0
	for _, there := range job {
		if there {
			kept++
		}
	}
	if kept != givenUp {
		t.Errorf("the job knows of %d parts, the watch of %d", kept, givenUp)
	}
	if got := r.givenUp.Load(); got != int64(givenUp) || r.parts.Len() > noveltyParts {
		t.Errorf("%d parts are given up, counted are %d; %d are kept", givenUp, got, r.parts.Len())
	}
}

// What a job knows of is left alone from the first page on, unless nothing is judged.
func TestNoveltyKept(t *testing.T) {
	long := strings.Repeat("x", 2*noveltyName)
	given := []string{"h.example/calendar", "site.example", ("h.example/" + long)[:noveltyName], "127.0.0.1/?ab"}
	for u, want := range map[string]bool{
		"http://www.h.example/calendar/3": true, "http://h.example/calendar?d=3": false, "http://h.example/": false,
		"http://h.example/" + long + "y/": true, "http://h.example/" + long[:noveltyName/2] + "/": false,
		"http://a.site.example/any/where?x=y": true,
		"http://127.0.0.1:8080/a7b?x=1":       true, "http://127.0.0.1/abc?x=1": false,
	} {
		if got := newNoveltyWatch(Novelty{}, given).lacks(urlOf(t, u)); got != want {
			t.Errorf("%s: %v, want %v", u, got, want)
		}
		if newNoveltyWatch(Novelty{Pages: -1}, given).lacks(urlOf(t, u)) {
			t.Errorf("%s is left alone though nothing is judged", u)
		}
	}
}

func TestVisible(t *testing.T) {
	for in, want := range map[string]string{
		"":                                     "",
		"a 12 b3":                              "a  b",
		"<p class=x9>a</p>b":                   "ab",
		`<IMG src="1.png" alt=x>a`:             `<IMG src="1.png" alt=x>a`,
		"a<img>":                               "a<img>",
		"a<im":                                 "a",
		"a<":                                   "a",
		"<image x>a":                           "a",
		"<b><i>7</i></b>":                      "",
		"text <!-- 1 > 2 --> more":             "text   --> more",
		strings.Repeat("<", 1000) + ">visible": "visible",
	} {
		var b strings.Builder
		visible(&b, []byte(in))
		if got := b.String(); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestSimhash(t *testing.T) {
	r := newNoveltyWatch(Novelty{}, nil)
	random := rand.New(rand.NewPCG(1, 1))
	far, near := 64, 0
	for range 200 {
		text := fakeWords(random.Uint64(), 300)
		changed := strings.Replace(text, " ", " another ", 1)
		near = max(near, bits.OnesCount64(simhash(r.seed, []byte(text))^simhash(r.seed, []byte(changed))))
		other := fakeWords(random.Uint64(), 300)
		far = min(far, bits.OnesCount64(simhash(r.seed, []byte(text))^simhash(r.seed, []byte(other))))
	}
	if near > 12 || far < 12 {
		t.Errorf("texts that differ in a word are up to %d bits apart, others at least %d", near, far)
	}
}

func FuzzVisible(f *testing.F) {
	f.Add([]byte("<img src=1>a1<b"))
	f.Fuzz(func(t *testing.T, body []byte) {
		var b strings.Builder
		if visible(&b, body); b.Len() > len(body) {
			t.Fatalf("%d bytes of %d", b.Len(), len(body))
		}
	})
}

// BenchmarkNovelty is what a page costs on average, whose links are judged once,
// while nothing repeats itself.
func BenchmarkNovelty(b *testing.B) {
	r := newNoveltyWatch(Novelty{}, nil)
	body := htmlPage(strings.Repeat("<p class=text><a href=/page/17>"+fakeWords(1, 20)+"</a></p>\n", 150))
	urls := make([]weburl.URL, 1000)
	for i := range urls {
		urls[i] = urlOf(b, fmt.Sprintf("http://h%d.example/section/%d.html", i%100, i))
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i++
		u := urls[i%len(urls)]
		for range 50 {
			if r.lacks(u) {
				r = newNoveltyWatch(Novelty{}, nil) // all pages are the same here
			}
		}
		r.saw(u, body)
	}
}

func fakeWord(n uint64) string {
	random := rand.New(rand.NewPCG(n, 7))
	b := make([]byte, 4+random.IntN(6))
	for i := range b {
		b[i] = byte('a' + random.IntN(26))
	}
	return string(b)
}

func fakeWords(seed uint64, n int) string {
	random := rand.New(rand.NewPCG(seed, 3))
	var b strings.Builder
	for range n {
		b.WriteString(fakeWord(random.Uint64N(500)))
		b.WriteByte(' ')
	}
	return b.String()
}

// TestNoveltySparesSitemaps: a sitemap that waits while its part of the site is given up
// is read all the same.
func TestNoveltySparesSitemaps(t *testing.T) {
	var mu sync.Mutex
	var asked []string
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		asked = append(asked, r.URL.Path)
		mu.Unlock()
		switch r.URL.Path {
		case "/robots.txt":
			fmt.Fprint(w, "Sitemap: /day/sitemap.txt\n")
		case "/day/sitemap.txt":
			fmt.Fprintf(w, "http://%[1]s/day/1\nhttp://%[1]s/night/1\n", r.Host)
		}
	}))
	defer site.Close()
	c, err := New(Config{Dir: t.TempDir(), Seeds: []string{site.URL + "/day/0"}, Delay: NoDelay})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.novelty = newNoveltyWatch(Novelty{}, []string{"127.0.0.1/day"})
	s, err := c.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(asked)
	if want := []string{"/day/0", "/day/sitemap.txt", "/night/1", "/robots.txt"}; !slices.Equal(asked, want) || s.LeftOut[ReasonNovelty] != 1 {
		t.Errorf("asked for %q, want %q; left out %v", asked, want, s.LeftOut)
	}
}
