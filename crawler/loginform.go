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
// forgery), and sends it, in the encoding that the form accepts, or else the page's.
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
	req, err := httpclient.NewRequest(http.MethodGet, c.url.String())
	if err != nil {
		return err
	}
	page, err := c.send(ctx, s, req)
	if err != nil {
		return err
	}
	form := c.find(page.doc)
	if form == nil {
		return failedAt(page.url, "there is no such form on the page")
	}
	if req, err = c.fill(page, form); err != nil {
		return err
	}
	if page, err = c.send(ctx, s, req); err != nil {
		return err
	}
	return c.judge(s, page)
}

func failedAt(u weburl.URL, format string, args ...any) error {
	return &LoginError{URL: u.Origin() + u.Path(), Reason: fmt.Sprintf(format, args...)}
}

// loginPage is a page that a login meets.
type loginPage struct {
	url     weburl.URL
	status  int
	charset string // that it is in
	doc     *goquery.Document
}

// maxLoginPage bounds the pages of a login, in bytes.
const maxLoginPage = 4 << 20

// send makes a request, follows redirects as far as they may see what is sent, and
// returns the page.
func (c *formLogin) send(ctx context.Context, s *httpclient.Session, req *httpclient.Request) (*loginPage, error) {
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
		return nil, err
	}
	defer resp.Release()
	page := &loginPage{status: resp.StatusCode, charset: resp.Encoding()}
	if page.url, err = weburl.Parse(resp.URL); err != nil {
		return nil, err
	}
	text, err := resp.TextAs(page.charset)
	if err != nil {
		return nil, err
	}
	page.doc, err = goquery.NewDocumentFromReader(strings.NewReader(text))
	return page, err
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
func (c *formLogin) fill(page *loginPage, form *goquery.Selection) (*httpclient.Request, error) {
	action, err := c.action(page, form)
	if err != nil {
		return nil, err
	}
	body := &httpclient.FormData{
		Charset:   formCharset(form, page.charset),
		Multipart: strings.EqualFold(form.AttrOr("enctype", ""), "multipart/form-data"),
	}
	if err := c.data(body, page, form); err != nil {
		return nil, err
	}
	if method, _ := form.Attr("method"); !strings.EqualFold(strings.TrimSpace(method), http.MethodPost) {
		return nil, failedAt(page.url, "the form has the method GET, which would put the password into URLs")
	}
	req, err := httpclient.NewRequest(http.MethodPost, action.String())
	if err != nil {
		return nil, err
	}
	req.Header.Set("Referer", page.url.String())
	req.Header.Set("Origin", page.url.Origin())
	if !body.Multipart {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded") // browsers do not tell the encoding
	}
	req.Body = body
	return req, nil
}

// formCharset is the encoding in which a form of a page sends its fields.
func formCharset(form *goquery.Selection, page string) string {
	if accept, ok := form.Attr("accept-charset"); ok {
		page = acceptedCharset(accept)
	}
	return outputCharset(page)
}

// action is where the form goes, if it may.
func (c *formLogin) action(page *loginPage, form *goquery.Selection) (weburl.URL, error) {
	queries := newQueryEncoder(page.charset)
	base := page.url
	if href, ok := page.doc.Find("base[href]").First().Attr("href"); ok {
		if u, err := base.Resolve(queries.encode([]byte(href))); err == nil {
			base = u
		}
	}
	action := page.url
	if text, _ := form.Attr("action"); strings.TrimSpace(text) != "" {
		var err error
		if action, err = base.Resolve(queries.encode([]byte(text))); err != nil {
			return action, failedAt(page.url, "the form's action is no URL: %v", err)
		}
	}
	for _, u := range []weburl.URL{page.url, action} {
		if !slices.Contains(c.origins, u.Origin()) {
			return action, failedAt(page.url, "the form is one of %s; it may be sent to %s alone", u.Origin(), strings.Join(c.origins, ", "))
		}
	}
	return action, nil
}

// data adds what the form sends (HTML, 4.10.21.4), filled in.
func (c *formLogin) data(body *httpclient.FormData, page *loginPage, form *goquery.Selection) error {
	left := maps.Clone(c.Fields)
	var names []string
	submitted := false
	controls(page.doc, form).Each(func(_ int, s *goquery.Selection) {
		name, _ := s.Attr("name")
		if isSubmit(s) {
			chosen := c.submit == nil && !submitted || c.submit != nil && s.IsMatcher(c.submit)
			submitted = submitted || chosen
			if chosen && name != "" && !disabled(s) {
				body.Add(name, s.AttrOr("value", ""))
			}
			return
		}
		if name == "" || disabled(s) || goquery.NodeName(s) == "button" {
			return
		}
		names = append(names, name)
		if value, ok := c.Fields[name]; ok {
			if _, first := left[name]; first {
				body.Add(name, value)
				delete(left, name)
			}
			return
		}
		if isCharset(s, name) {
			body.Add(name, body.Charset)
			return
		}
		for _, value := range given(s) {
			body.Add(name, value)
		}
	})
	if len(left) > 0 {
		slices.Sort(names)
		return failedAt(page.url, "the form has no field %s; it has %s",
			strings.Join(slices.Sorted(maps.Keys(left)), ", "), strings.Join(slices.Compact(names), ", "))
	}
	if c.submit != nil && !submitted {
		return failedAt(page.url, "the form has no such button")
	}
	for _, name := range slices.Sorted(maps.Keys(c.Extra)) {
		body.Add(name, c.Extra[name])
	}
	return nil
}

// isCharset says whether a field is one in which the form tells its encoding.
func isCharset(s *goquery.Selection, name string) bool {
	return strings.EqualFold(name, "_charset_") && strings.EqualFold(s.AttrOr("type", ""), "hidden")
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
