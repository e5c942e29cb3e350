package crawler

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/PuerkitoBio/goquery"

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

// LoginError says at which step of a FormLogin something was not as it should be.
type LoginError struct {
	URL    string // of the page; without a query, which may hold a secret
	Reason string
}

func (e *LoginError) Error() string { return "login at " + e.URL + ": " + e.Reason }

// ErrLogin is wrapped by what Validate returns.
var ErrLogin = errors.New("crawler: FormLogin")

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
