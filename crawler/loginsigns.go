package crawler

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/PuerkitoBio/goquery"
	"github.com/andybalholm/cascadia"

	"github.com/orbweaver/orbweaver/crawler/weburl"
	"github.com/orbweaver/orbweaver/httpclient"
)

// LoginSigns are what a response is known by.
type LoginSigns struct {
	Selector string // CSS: there is such an element
	Missing  string // CSS: there is none
	Cookie   string // the jar has a cookie of this name for the page; of Success alone
	Status   []int  // one of these
	Redirect string // what it is redirected to, or came from, begins with this; a path, or a URL
}

// signs are compiled LoginSigns.
type signs struct {
	LoginSigns
	selector, missing goquery.Matcher
	redirect          string
}

func (s LoginSigns) zero() bool {
	return s.Selector == "" && s.Missing == "" && s.Cookie == "" && len(s.Status) == 0 && s.Redirect == ""
}

func (s LoginSigns) compile(base weburl.URL) (c signs, err error) {
	c.LoginSigns = s
	if c.selector, err = compileSelector(s.Selector); err != nil {
		return c, err
	}
	if c.missing, err = compileSelector(s.Missing); err != nil {
		return c, err
	}
	if s.Redirect != "" {
		u, err := base.ResolveString(s.Redirect)
		if err != nil {
			return c, fmt.Errorf("%q is no URL: %w", s.Redirect, err)
		}
		c.redirect = u.String()
	}
	return c, nil
}

// compileSelector returns nil for "".
func compileSelector(text string) (goquery.Matcher, error) {
	if text == "" {
		return nil, nil
	}
	m, err := cascadia.Compile(text)
	if err != nil {
		return nil, fmt.Errorf("%q is no CSS selector: %w", text, err)
	}
	return m, nil
}

// judge says whether the page after the form is that of a login that worked.
func (c *formLogin) judge(s *httpclient.Session, page *loginPage) error {
	sign := &c.success
	if sign.zero() {
		switch {
		case page.status >= 400:
			return failedAt(page.url, "the server answered %d", page.status)
		case c.find(page.doc) != nil:
			return failedAt(page.url, "the form is there again")
		}
		return nil
	}
	switch {
	case len(sign.Status) > 0 && !slices.Contains(sign.Status, page.status):
		return failedAt(page.url, "the server answered %d", page.status)
	case sign.selector != nil && page.doc.FindMatcher(sign.selector).Length() == 0:
		return failedAt(page.url, "there is no %s on the page", sign.Selector)
	case sign.missing != nil && page.doc.FindMatcher(sign.missing).Length() > 0:
		return failedAt(page.url, "there is a %s on the page", sign.Missing)
	case sign.redirect != "" && !strings.HasPrefix(page.url.String(), sign.redirect):
		return failedAt(page.url, "it does not lead to %s", sign.redirect)
	case sign.Cookie != "" && !hasCookie(s.Jar(), page.url, sign.Cookie):
		return failedAt(page.url, "there is no cookie %s", sign.Cookie)
	}
	return nil
}

// isOver says whether a page is one without a session.
func (c *formLogin) isOver(p *Page) bool {
	if p.URL == c.url.String() {
		return false // which looks like this whoever asks
	}
	location, sign := p.location(), &c.ended
	switch {
	case sign.zero() && (p.Status == http.StatusUnauthorized || samePage(location, c.url)):
		return true
	case sign.zero():
		return p.isHTML() && c.onPage(p, func(d *goquery.Document) bool { return c.find(d) != nil })
	case slices.Contains(sign.Status, p.Status):
		return true
	case sign.redirect != "" && strings.HasPrefix(location, sign.redirect):
		return true
	case sign.selector == nil && sign.missing == nil || !p.isHTML():
		return false
	}
	return c.onPage(p, func(d *goquery.Document) bool {
		return sign.selector != nil && d.FindMatcher(sign.selector).Length() > 0 ||
			sign.missing != nil && d.FindMatcher(sign.missing).Length() == 0
	})
}

// location is where a page is redirected to; "" if it is not.
func (p *Page) location() string {
	text := p.Header().Get("Location")
	if !redirects(p.Status) || text == "" {
		return ""
	}
	u, err := p.url.ResolveString(text)
	if err != nil {
		return ""
	}
	return u.String()
}

// samePage says whether location is u, whatever its query.
func samePage(location string, u weburl.URL) bool {
	path, _, _ := strings.Cut(location, "?")
	want, _, _ := strings.Cut(u.String(), "?")
	return path == want
}

func (c *formLogin) onPage(p *Page, holds func(*goquery.Document) bool) bool {
	if c.ended.zero() && c.form == nil && !containsFold(p.Body, "password") {
		return false // without a tree of each page
	}
	doc, err := p.Document()
	return err == nil && holds(doc)
}

func (p *Page) isHTML() bool {
	return !redirects(p.Status) && isHTML(p.ContentType)
}

// containsFold says whether text has a word of lower-case letters, in letters of
// either case.
func containsFold(text []byte, word string) bool {
	for i := 0; i+len(word) <= len(text); i++ {
		if text[i]|0x20 == word[0] && strings.EqualFold(string(text[i:i+len(word)]), word) {
			return true
		}
	}
	return false
}

func hasCookie(jar httpclient.CookieJar, u weburl.URL, name string) bool {
	at, err := url.Parse(u.String())
	if err != nil {
		return false
	}
	return slices.ContainsFunc(jar.Cookies(at), func(c *http.Cookie) bool { return c.Name == name })
}
