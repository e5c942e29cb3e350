package crawler

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/PuerkitoBio/goquery"
	"github.com/andybalholm/cascadia"

	"github.com/orbweaver/orbweaver/crawler/weburl"
	"github.com/orbweaver/orbweaver/httpclient"
)

// FormLogin logs in by an HTML form, as a browser without scripts would: it fetches
// the page, fills in the form, keeps what is hidden in it (such as a token against
// forgery), and sends it.
//
//	Login: crawler.FormLogin{
//		URL:    "https://example.org/login",
//		Fields: map[string]string{"user": "alice", "password": secret},
//	}.Login()
type FormLogin struct {
	// URL is that of the page with the form.
	URL string

	// Form is a CSS selector of the form. "": the first one with a password field.
	Form string

	// Fields are what is filled in, by the names of the form's fields. One that the
	// form does not have is an error that names those it has.
	Fields map[string]string

	// Extra is sent besides, as if it were in the form: what a script would add.
	Extra map[string]string

	// Submit is a CSS selector of the button that sends the form. "": the first one.
	Submit string

	// Origins are further ones, besides that of URL, such as
	// "https://login.example.org", on which the form may be, and to which it may be
	// sent. To no other one is it sent, by no redirect either.
	Origins []string

	// Success says how the page that comes after the form shows that the login has
	// worked: all of what is set must hold. The zero value: a status below 400, and the
	// form is not there again.
	Success LoginSigns

	// Ended says how a page shows that the session is over: any of what is set. The
	// zero value: status 401, a redirect to URL, or a page with the form.
	Ended LoginSigns

	// Tries is Login.Tries.
	Tries int
}

// String tells where the form is, and no secret.
func (f FormLogin) String() string { return "form at " + f.URL }

// GoString is String, so that no way of printing tells more.
func (f FormLogin) GoString() string { return f.String() }

// LoginSigns are what a response is known by.
type LoginSigns struct {
	Selector string // CSS: there is such an element
	Missing  string // CSS: there is none
	Cookie   string // the jar has a cookie of this name for the page; of Success alone
	Status   []int  // one of these
	Redirect string // what it is redirected to, or came from, begins with this; a path, or a URL
}

// LoginError says at which step of a FormLogin something was not as it should be.
type LoginError struct {
	URL    string // of the page; without a query, which may hold a secret
	Reason string
}

func (e *LoginError) Error() string { return "login at " + e.URL + ": " + e.Reason }

// ErrLogin is wrapped by what Validate returns.
var ErrLogin = errors.New("crawler: FormLogin")

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

// formLogin is a compiled FormLogin.
type formLogin struct {
	FormLogin
	url            weburl.URL
	origins        []string
	form, submit   goquery.Matcher
	success, ended signs
}

// Validate says what is wrong with the settings, or returns nil. The error wraps
// ErrLogin.
func (f FormLogin) Validate() error {
	_, err := f.compile()
	return err
}

func (f FormLogin) compile() (c *formLogin, err error) {
	c = &formLogin{FormLogin: f}
	wrong := func(field string, err error) error { return fmt.Errorf("%w: %s: %w", ErrLogin, field, err) }
	if c.url, err = weburl.Parse(f.URL); err != nil {
		return nil, wrong("URL", err)
	}
	if len(f.Fields) == 0 {
		return nil, wrong("Fields", errors.New("there are none"))
	}
	if c.origins, err = (&Auth{Origins: f.Origins}).origins(nil); err != nil {
		return nil, wrong("Origins", err)
	}
	c.origins = append(c.origins, c.url.Origin())
	if c.form, err = compileSelector(f.Form); err != nil {
		return nil, wrong("Form", err)
	}
	if c.submit, err = compileSelector(f.Submit); err != nil {
		return nil, wrong("Submit", err)
	}
	if c.success, err = f.Success.compile(c.url); err != nil {
		return nil, wrong("Success", err)
	}
	if c.ended, err = f.Ended.compile(c.url); err != nil {
		return nil, wrong("Ended", err)
	}
	return c, nil
}

// Login returns the login for a Site. When the settings are wrong, as Validate
// tells, each try fails with that error.
func (f FormLogin) Login() *Login {
	c, err := f.compile()
	if err != nil {
		return &Login{Tries: 1, Do: func(context.Context, *httpclient.Session) error { return err }}
	}
	about := "form at " + c.url.Origin() + c.url.Path()
	return &Login{Do: c.do, Ended: c.isOver, Tries: f.Tries, About: about, settings: c.settings}
}

// settings are all of them, secrets too.
func (c *formLogin) settings() []byte {
	text, err := json.Marshal(c.FormLogin)
	if err != nil {
		panic(err) // strings and numbers have JSON
	}
	return text
}

// do logs in.
func (c *formLogin) do(ctx context.Context, s *httpclient.Session) error {
	u, doc, _, err := c.fetch(ctx, s, c.url.String())
	if err != nil {
		return err
	}
	form := c.find(doc)
	if form == nil {
		return failedAt(u, "there is no such form on the page")
	}
	req, err := c.fill(u, doc, form)
	if err != nil {
		return err
	}
	after, doc, status, err := c.send(ctx, s, req)
	if err != nil {
		return err
	}
	return c.judge(s, after, doc, status)
}

func failedAt(u weburl.URL, format string, args ...any) error {
	return &LoginError{URL: u.Origin() + u.Path(), Reason: fmt.Sprintf(format, args...)}
}

func (c *formLogin) fetch(ctx context.Context, s *httpclient.Session, rawURL string) (weburl.URL, *goquery.Document, int, error) {
	req, err := httpclient.NewRequest(http.MethodGet, rawURL)
	if err != nil {
		return weburl.URL{}, nil, 0, err
	}
	return c.send(ctx, s, req)
}

// maxLoginPage bounds the pages of a login, in bytes.
const maxLoginPage = 4 << 20

// send makes a request, follows redirects as far as they may see what is sent, and
// returns the page and its URL.
func (c *formLogin) send(ctx context.Context, s *httpclient.Session, req *httpclient.Request) (u weburl.URL, doc *goquery.Document, status int, err error) {
	req.MaxBody = maxLoginPage
	req.OnRedirect = func(_ *httpclient.Response, next *httpclient.Request) error {
		u, err := weburl.Parse(next.URL())
		if err != nil {
			return err
		}
		if next.Body != nil && !slices.Contains(c.origins, u.Origin()) {
			return failedAt(u, "the form is redirected there; it may be sent to %s alone", strings.Join(c.origins, ", "))
		}
		return nil
	}
	resp, err := s.Do(ctx, req)
	if err != nil {
		return u, nil, 0, err
	}
	defer resp.Release()
	if u, err = weburl.Parse(resp.URL); err != nil {
		return u, nil, 0, err
	}
	text, err := resp.Text()
	if err != nil {
		return u, nil, 0, err
	}
	doc, err = goquery.NewDocumentFromReader(strings.NewReader(text))
	return u, doc, resp.StatusCode, err
}

// find returns the form of a page; nil if it has none.
func (c *formLogin) find(doc *goquery.Document) *goquery.Selection {
	var found *goquery.Selection
	doc.Find("form").EachWithBreak(func(_ int, form *goquery.Selection) bool {
		if c.form != nil && form.IsMatcher(c.form) || c.form == nil && controls(doc, form).Is("input[type=password i]") {
			found = form
		}
		return found == nil
	})
	return found
}

// controls are the fields of a form, in their order: those within it that belong to
// no other, and those elsewhere that name it.
func controls(doc *goquery.Document, form *goquery.Selection) *goquery.Selection {
	id, named := form.Attr("id")
	return doc.Find("input, select, textarea, button").FilterFunction(func(_ int, s *goquery.Selection) bool {
		if owner, ok := s.Attr("form"); ok {
			return named && id != "" && owner == id
		}
		owner := s.Closest("form")
		return owner.Length() > 0 && owner.Get(0) == form.Get(0)
	})
}

// fill makes the request that sends the form.
func (c *formLogin) fill(page weburl.URL, doc *goquery.Document, form *goquery.Selection) (*httpclient.Request, error) {
	action, err := c.action(page, doc, form)
	if err != nil {
		return nil, err
	}
	data, err := c.data(page, doc, form)
	if err != nil {
		return nil, err
	}
	if method, _ := form.Attr("method"); !strings.EqualFold(strings.TrimSpace(method), http.MethodPost) {
		return nil, failedAt(page, "the form has the method GET, which would put the password into URLs")
	}
	req, err := httpclient.NewRequest(http.MethodPost, action.String())
	if err != nil {
		return nil, err
	}
	req.Header.Set("Referer", page.String())
	req.Header.Set("Origin", page.Origin())
	body := new(httpclient.FormData)
	for _, field := range data {
		f := httpclient.FormField{Name: field.name, Value: field.value}
		if strings.EqualFold(form.AttrOr("enctype", ""), "multipart/form-data") {
			f.Body = httpclient.BytesBody([]byte(field.value)) // which makes it multipart
		}
		if err := body.AddField(f); err != nil {
			return nil, err
		}
	}
	req.Body = body
	return req, nil
}

// action is where the form goes, if it may.
func (c *formLogin) action(page weburl.URL, doc *goquery.Document, form *goquery.Selection) (weburl.URL, error) {
	base := page
	if href, ok := doc.Find("base[href]").First().Attr("href"); ok {
		if u, err := page.ResolveString(href); err == nil {
			base = u
		}
	}
	action := page
	if text, _ := form.Attr("action"); strings.TrimSpace(text) != "" {
		var err error
		if action, err = base.ResolveString(text); err != nil {
			return action, failedAt(page, "the form's action is no URL: %v", err)
		}
	}
	for _, u := range []weburl.URL{page, action} {
		if !slices.Contains(c.origins, u.Origin()) {
			return action, failedAt(page, "the form is one of %s; it may be sent to %s alone", u.Origin(), strings.Join(c.origins, ", "))
		}
	}
	return action, nil
}

type formValue struct{ name, value string }

// data is what the form sends (HTML, 4.10.21.4), filled in.
func (c *formLogin) data(page weburl.URL, doc *goquery.Document, form *goquery.Selection) (data []formValue, err error) {
	left := maps.Clone(c.Fields)
	var names []string
	submitted := false
	controls(doc, form).Each(func(_ int, s *goquery.Selection) {
		name, _ := s.Attr("name")
		if isSubmit(s) {
			chosen := c.submit == nil && !submitted || c.submit != nil && s.IsMatcher(c.submit)
			submitted = submitted || chosen
			if chosen && name != "" && !disabled(s) {
				data = append(data, formValue{name, s.AttrOr("value", "")})
			}
			return
		}
		if name == "" || disabled(s) || goquery.NodeName(s) == "button" {
			return
		}
		names = append(names, name)
		if value, ok := c.Fields[name]; ok {
			if _, first := left[name]; first {
				data = append(data, formValue{name, value})
				delete(left, name)
			}
			return
		}
		for _, value := range given(s) {
			data = append(data, formValue{name, value})
		}
	})
	if len(left) > 0 {
		slices.Sort(names)
		return nil, failedAt(page, "the form has no field %s; it has %s",
			strings.Join(slices.Sorted(maps.Keys(left)), ", "), strings.Join(slices.Compact(names), ", "))
	}
	if c.submit != nil && !submitted {
		return nil, failedAt(page, "the form has no such button")
	}
	for _, name := range slices.Sorted(maps.Keys(c.Extra)) {
		data = append(data, formValue{name, c.Extra[name]})
	}
	return data, nil
}

func isSubmit(s *goquery.Selection) bool {
	kind := strings.ToLower(s.AttrOr("type", ""))
	switch goquery.NodeName(s) {
	case "button":
		return kind != "button" && kind != "reset"
	case "input":
		return kind == "submit" || kind == "image"
	}
	return false
}

func disabled(s *goquery.Selection) bool {
	return s.Is("[disabled]") || s.Closest("fieldset[disabled]").Length() > 0
}

// given are the values that a field has as the page comes.
func given(s *goquery.Selection) []string {
	switch goquery.NodeName(s) {
	case "textarea":
		return []string{strings.TrimPrefix(s.Text(), "\n")}
	case "select":
		return chosenOptions(s)
	}
	switch strings.ToLower(s.AttrOr("type", "")) {
	case "checkbox", "radio":
		if !s.Is("[checked]") {
			return nil
		}
		return []string{s.AttrOr("value", "on")}
	case "file", "button", "reset":
		return nil
	}
	return []string{s.AttrOr("value", "")}
}

func chosenOptions(s *goquery.Selection) (values []string) {
	options := s.Find("option").Not("[disabled]")
	options.Filter("[selected]").Each(func(_ int, o *goquery.Selection) { values = append(values, optionValue(o)) })
	switch {
	case s.Is("[multiple]"):
		return values
	case len(values) > 0:
		return values[len(values)-1:]
	case options.Length() > 0:
		return []string{optionValue(options.First())}
	}
	return nil
}

func optionValue(o *goquery.Selection) string {
	return o.AttrOr("value", strings.Join(strings.Fields(o.Text()), " "))
}

// judge says whether the page after the form is that of a login that worked.
func (c *formLogin) judge(s *httpclient.Session, u weburl.URL, doc *goquery.Document, status int) error {
	sign := &c.success
	if sign.zero() {
		switch {
		case status >= 400:
			return failedAt(u, "the server answered %d", status)
		case c.find(doc) != nil:
			return failedAt(u, "the form is there again")
		}
		return nil
	}
	switch {
	case len(sign.Status) > 0 && !slices.Contains(sign.Status, status):
		return failedAt(u, "the server answered %d", status)
	case sign.selector != nil && doc.FindMatcher(sign.selector).Length() == 0:
		return failedAt(u, "there is no %s on the page", sign.Selector)
	case sign.missing != nil && doc.FindMatcher(sign.missing).Length() > 0:
		return failedAt(u, "there is a %s on the page", sign.Missing)
	case sign.redirect != "" && !strings.HasPrefix(u.String(), sign.redirect):
		return failedAt(u, "it does not lead to %s", sign.redirect)
	case sign.Cookie != "" && !hasCookie(s.Jar(), u, sign.Cookie):
		return failedAt(u, "there is no cookie %s", sign.Cookie)
	}
	return nil
}

// isOver says whether a page is one without a session.
func (c *formLogin) isOver(p *Page) bool {
	if p.URL == c.url.String() {
		return false // which looks like this whoever asks
	}
	location := ""
	if text := p.Header().Get("Location"); redirects(p.Status) && text != "" {
		if u, err := p.url.ResolveString(text); err == nil {
			location = u.String()
		}
	}
	sign := &c.ended
	switch {
	case sign.zero():
		return p.Status == http.StatusUnauthorized || samePage(location, c.url) || p.isHTML() && c.onPage(p, func(d *goquery.Document) bool { return c.find(d) != nil })
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
	return !redirects(p.Status) && (p.ContentType == "text/html" || p.ContentType == "application/xhtml+xml")
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
