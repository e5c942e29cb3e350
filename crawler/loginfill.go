package crawler

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/PuerkitoBio/goquery"

	"github.com/orbweaver/orbweaver/crawler/weburl"
	"github.com/orbweaver/orbweaver/httpclient"
)

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

// filling is a form that is being filled in.
type filling struct {
	*formLogin
	body      *httpclient.FormData
	left      map[string]string // of Fields: those that have found no place yet
	names     []string          // of the form's fields
	submitted bool              // by a button
}

// data adds what the form sends (HTML, 4.10.21.4), filled in.
func (c *formLogin) data(body *httpclient.FormData, page *loginPage, form *goquery.Selection) error {
	f := filling{formLogin: c, body: body, left: maps.Clone(c.Fields)}
	controls(page.doc, form).Each(func(_ int, s *goquery.Selection) { f.add(s) })
	if len(f.left) > 0 {
		slices.Sort(f.names)
		return failedAt(page.url, "the form has no field %s; it has %s",
			strings.Join(slices.Sorted(maps.Keys(f.left)), ", "), strings.Join(slices.Compact(f.names), ", "))
	}
	if c.submit != nil && !f.submitted {
		return failedAt(page.url, "the form has no such button")
	}
	for _, name := range slices.Sorted(maps.Keys(c.Extra)) {
		body.Add(name, c.Extra[name])
	}
	return nil
}

// add adds what one of the controls sends.
func (f *filling) add(s *goquery.Selection) {
	name := s.AttrOr("name", "")
	switch {
	case isSubmit(s):
		f.press(s, name)
	case name == "" || disabled(s) || goquery.NodeName(s) == "button":
	default:
		f.names = append(f.names, name)
		f.field(s, name)
	}
}

// press takes a button, if it is the one that sends the form.
func (f *filling) press(s *goquery.Selection, name string) {
	if f.submit == nil && f.submitted || f.submit != nil && !s.IsMatcher(f.submit) {
		return
	}
	f.submitted = true
	if name != "" && !disabled(s) {
		f.body.Add(name, s.AttrOr("value", ""))
	}
}

// field takes a field: once with the value of Fields, or as it is.
func (f *filling) field(s *goquery.Selection, name string) {
	if _, ours := f.Fields[name]; ours {
		if value, first := f.left[name]; first {
			f.body.Add(name, value)
			delete(f.left, name)
		}
		return
	}
	if isCharset(s, name) {
		f.body.Add(name, f.body.Charset)
		return
	}
	for _, value := range given(s) {
		f.body.Add(name, value)
	}
}
