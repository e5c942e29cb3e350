package crawler_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/orbweaver/orbweaver/crawler"
	"github.com/orbweaver/orbweaver/crawler/links"
)

// fetchedFrom crawls a site and returns the paths of its results, sorted.
func fetchedFrom(t *testing.T, site string, cfg crawler.Config) []string {
	t.Helper()
	cfg.Seeds = []string{site}
	_, job := run(t, cfg)
	var paths []string
	for u := range results(t, job.Store()) {
		paths = append(paths, strings.TrimPrefix(u, site))
	}
	slices.Sort(paths)
	return paths
}

// TestFollowKinds has a page with a link of each kind, and what they lead to.
func TestFollowKinds(t *testing.T) {
	site := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/":
			w.Header().Add("Link", `</linked>; rel=next, </style.css>; rel=stylesheet`)
			w.Header().Set("Refresh", "9; url=/refreshed")
			w.Header().Set("Content-Location", "/located")
			html(w, `<a href=/page>p</a><img src=/img.png srcset="/img2.png 2x"><script src=/app.js></script><form action=/search></form>
				<form action=/post method=post></form><iframe src=/frame></iframe><iframe srcdoc="&lt;a href=/inner&gt;"></iframe>
				<link rel=stylesheet href=/style.css><a href=/data>d</a><a href=/doc.pdf>d</a><script>load("/from-script")</script><p style="background:url(/bg.png)"> see http://`+r.Host+`/written.`)
		case "/style.css":
			w.Header().Set("Content-Type", "text/css")
			fmt.Fprint(w, `@import "/more.css"; body { background: url(/deep.png) }`)
		case "/img.png":
			w.Header().Set("Content-Type", "image/png")
			fmt.Fprint(w, "http://"+r.Host+"/in-image")
		case "/robots.txt":
			w.WriteHeader(404)
		case "/data":
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, `{"next":"\/from-json"}`)
		case "/doc.pdf":
			w.Header().Set("Content-Type", "application/pdf")
			fmt.Fprint(w, "%PDF-1.4 <</S/URI/URI(http://"+r.Host+"/from-pdf)>>")
		case "/page":
			w.Header().Set("Content-Type", "text/plain")
			fmt.Fprint(w, "see http://"+r.Host+"/plain.")
		default:
			html(w, "")
		}
	})
	pages := []string{"/", "/data", "/doc.pdf", "/frame", "/inner", "/linked", "/located", "/page", "/refreshed"}
	with := func(more ...string) []string {
		all := append(slices.Clone(pages), more...)
		slices.Sort(all)
		return all
	}
	resources := []string{"/app.js", "/bg.png", "/deep.png", "/img.png", "/img2.png", "/more.css", "/style.css"}
	for _, test := range []struct {
		cfg  crawler.Config
		want []string
	}{
		{crawler.Config{}, pages},
		{crawler.Config{Follow: links.Anchor}, []string{"/", "/data", "/doc.pdf", "/inner", "/page"}},
		{crawler.Config{Follow: links.Pages | links.Resources}, with(resources...)},
		{crawler.Config{Follow: links.Pages | links.Resources, MaxDepth: 1}, with(resources...)},
		{crawler.Config{Follow: links.Pages | links.Form}, with("/search")},
		{crawler.Config{Follow: links.Pages | links.Text}, with("/plain", "/written")},
		{crawler.Config{Follow: links.Pages | links.Code}, with("/from-json", "/from-script")},
		{crawler.Config{Follow: links.Pages | links.Document}, with("/from-pdf")},
		{crawler.Config{Follow: links.Stylesheet}, []string{"/", "/more.css", "/style.css"}},
	} {
		if got := fetchedFrom(t, site, test.cfg); !slices.Equal(got, test.want) {
			t.Errorf("follow %v: %v, want %v", test.cfg.Follow, got, test.want)
		}
	}
}

// TestPagePolicies has pages that ask robots for something.
func TestPagePolicies(t *testing.T) {
	site := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/":
			html(w, `<a href=/meta>1</a><a href=/named>2</a><a href=/head>3</a><a href=/other>4</a><a href=/noindex>5</a>
				<a href=/ad rel="sponsored nofollow">6</a><a href=/comment rel=UGC>7</a>`)
		case "/meta":
			html(w, `<meta name=robots content="index, NOFOLLOW"><a href=/from-meta>x</a>`)
		case "/named":
			html(w, `<meta name=Weaver content=none><a href=/from-named>x</a>`)
		case "/head":
			w.Header().Add("X-Robots-Tag", "otherbot: noindex")
			w.Header().Add("X-Robots-Tag", "weaver: nofollow, noarchive")
			html(w, `<a href=/from-head>x</a>`)
		case "/other":
			w.Header().Set("X-Robots-Tag", "otherbot: noindex, nofollow")
			html(w, `<meta name=otherbot content=nofollow><a href=/from-other>x</a>`)
		case "/noindex":
			w.Header().Set("X-Robots-Tag", "noindex")
			html(w, `<title>Secret</title><a href=/from-noindex>x</a>`)
		case "/robots.txt":
			w.WriteHeader(404)
		case "/from-noindex":
			w.Header().Set("X-Robots-Tag", "noindex")
			w.WriteHeader(404)
			fmt.Fprint(w, "secret, too")
		default:
			html(w, "")
		}
	})
	usual := []string{"/", "/ad", "/comment", "/from-noindex", "/from-other", "/head", "/meta", "/named", "/noindex", "/other"}
	for _, test := range []struct {
		policy crawler.RobotsPolicy
		want   []string
		left   int64
	}{
		{crawler.RobotsPolicy{}, usual, 3},
		{crawler.RobotsPolicy{DropNoindex: true}, usual, 3},
		{crawler.RobotsPolicy{Nofollow: crawler.NofollowLinks},
			[]string{"/", "/from-noindex", "/from-other", "/head", "/meta", "/named", "/noindex", "/other"}, 5},
		{crawler.RobotsPolicy{Nofollow: crawler.NofollowIgnore},
			append([]string{"/", "/ad", "/comment", "/from-head", "/from-meta", "/from-named"}, usual[3:]...), 0},
	} {
		var mu sync.Mutex
		var shown []string
		s, job := run(t, crawler.Config{
			Seeds: []string{site}, UserAgent: "Weaver/1.0 (+https://example.org)", Robots: test.policy,
			Handler: crawler.HandlerFunc(func(_ context.Context, p *crawler.Page) error {
				mu.Lock()
				defer mu.Unlock()
				shown = append(shown, strings.TrimPrefix(p.URL, site))
				return nil
			}),
		})
		all := results(t, job.Store())
		var got []string
		for u := range all {
			got = append(got, strings.TrimPrefix(u, site))
		}
		slices.Sort(got)
		if !slices.Equal(got, test.want) || s.LeftOut[crawler.ReasonNofollow] != test.left {
			t.Errorf("%+v: fetched %v, want %v; left out %v", test.policy, got, test.want, s.LeftOut)
		}
		for path, want := range map[string]string{
			"/": "", "/meta": "nofollow", "/named": "noindex,nofollow", "/head": "nofollow,noarchive", "/other": "", "/noindex": "noindex",
		} {
			if rec := all[site+path]; rec == nil || rec.Robots != want {
				t.Errorf("%s: %+v, want robots %q", path, rec, want)
			}
		}
		if ad := all[site+"/ad"]; ad != nil && (ad.Rel != "nofollow,sponsored" || all[site+"/comment"].Rel != "ugc") {
			t.Errorf("rel of results: %q, %q", ad.Rel, all[site+"/comment"].Rel)
		}
		if _, err := job.Store().Body(t.Context(), all[site+"/from-noindex"].Seq); (err != nil) != test.policy.DropNoindex {
			t.Errorf("body of a 404 with noindex: %v", err)
		}
		noindex := all[site+"/noindex"]
		_, err := job.Store().Body(t.Context(), noindex.Seq)
		if dropped := err != nil && noindex.Title == ""; dropped != test.policy.DropNoindex || dropped == slices.Contains(shown, "/noindex") {
			t.Errorf("%+v: title %q, body %v, shown %v", test.policy, noindex.Title, err, shown)
		}
	}
}

// TestFeedsAndSitemapSeeds: what lists pages is read as such when it is met like
// a page.
func TestFeedsAndSitemapSeeds(t *testing.T) {
	site := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/":
			html(w, `<link rel=alternate type=application/atom+xml href=/feed>`)
		case "/feed":
			w.Header().Set("Content-Type", "application/atom+xml")
			fmt.Fprint(w, `<feed xmlns="http://www.w3.org/2005/Atom"><entry><link href="entry"/></entry></feed>`)
		case "/robots.txt":
			w.WriteHeader(404)
		default:
			html(w, "")
		}
	})
	if got, want := fetchedFrom(t, site, crawler.Config{}), []string{"/", "/entry", "/feed"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if got, want := fetchedFrom(t, site, crawler.Config{Sitemaps: crawler.SitemapsNone}), []string{"/", "/feed"}; !slices.Equal(got, want) {
		t.Errorf("without sitemaps %v, want %v", got, want)
	}
}

// TestWrongPolicies: each wrong value is refused by name.
func TestWrongPolicies(t *testing.T) {
	for field, cfg := range map[string]crawler.Config{
		"Follow":          {Follow: 1 << 31},
		"Sitemaps":        {Sitemaps: 9},
		"Robots.Nofollow": {Robots: crawler.RobotsPolicy{Nofollow: -1}},
	} {
		if _, err := crawler.New(cfg); err == nil || !strings.Contains(err.Error(), "Config."+field+":") {
			t.Errorf("%s: %v", field, err)
		}
	}
}

// TestFollowsLinksOfXHTML: what closes itself in XHTML hides no link that comes after it,
// as it does where the same is served as HTML.
func TestFollowsLinksOfXHTML(t *testing.T) {
	for contentType, want := range map[string]int64{"application/xhtml+xml; charset=utf-8": 2, "text/html": 1} {
		site := serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", contentType)
			fmt.Fprint(w, `<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><head><title>t</title><script src="/a.js"/></head>`+
				`<body><a href="/next">next</a></body></html>`)
		})
		if s, _ := run(t, crawler.Config{Seeds: []string{site}}); s.Fetched != want {
			t.Errorf("%s: %d fetched, want %d", contentType, s.Fetched, want)
		}
	}
}

// TestLinksToOneURL: of several links of a page to one URL each may be the one for which
// it is followed, whatever their order and however they are written.
func TestLinksToOneURL(t *testing.T) {
	nofollow := crawler.Config{Robots: crawler.RobotsPolicy{Nofollow: crawler.NofollowLinks}}
	noAlternates := crawler.Config{Rules: []crawler.Rule{{LeaveOut: &crawler.Condition{Kinds: links.Alternate}}}}
	for name, test := range map[string]struct {
		cfg  crawler.Config
		html string
		want bool
	}{
		"nofollow first":              {nofollow, `<a rel=nofollow href=/x>x</a><a href=/x>x</a>`, true},
		"nofollow last":               {nofollow, `<a href=/x>x</a><a rel=nofollow href=/x>x</a>`, true},
		"nofollow, written otherwise": {nofollow, `<a rel=nofollow href=/x>x</a><a href=x#top>x</a><a rel=ugc href=/x>x</a>`, true},
		"each nofollow":               {nofollow, `<a rel=nofollow href=/x>x</a><a rel=ugc href=x>x</a><a rel="sponsored nofollow" href=/x>x</a>`, false},
		"after what is no link":       {nofollow, `<a href=mailto:x>x</a><a rel=nofollow href=/x>x</a><a href=mailto:x>x</a>`, false},
		"kind first":                  {noAlternates, `<link rel=alternate href=/x><a href=/x>x</a>`, true},
		"kind last":                   {noAlternates, `<a href=/x>x</a><link rel=alternate href=/x>`, true},
		"kind, written otherwise":     {noAlternates, `<link rel=alternate href=/x><link rel=alternate href=x><a href=x>x</a>`, true},
		"each of the kind":            {noAlternates, `<link rel=alternate href=/x><link rel=alternate href=x>`, false},
	} {
		t.Run(name, func(t *testing.T) {
			site := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/" {
					html(w, test.html)
				}
			})
			test.cfg.Seeds = []string{site}
			_, job := run(t, test.cfg)
			rec := results(t, job.Store())[site+"/x"]
			if (rec != nil) != test.want || test.want && rec.Kind != "" { // else it is no anchor
				t.Errorf("followed: %+v, want %v", rec, test.want)
			}
		})
	}
}

// TestLongLinksAreCounted: a link that is too long counts as that, and a long one of another
// scheme, such as an image in its own URL, as any of that.
func TestLongLinksAreCounted(t *testing.T) {
	long := strings.Repeat("x", 9000)
	site := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			html(w, "<a href=/"+long+">x</a><a href='/short#"+long[:8000]+"'>x</a><img src='data:image/png;base64,"+long+"'>")
		}
	})
	s, _ := run(t, crawler.Config{Seeds: []string{site}, Follow: links.Anchor | links.Image})
	want := map[crawler.Reason]int64{crawler.ReasonLength: 1, crawler.ReasonNoHTTP: 1}
	if s.Fetched != 2 || !maps.Equal(s.LeftOut, want) {
		t.Errorf("%d fetched, left out %v, want %v", s.Fetched, s.LeftOut, want)
	}
}
