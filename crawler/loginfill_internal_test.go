package crawler

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/PuerkitoBio/goquery"

	"github.com/orbweaver/orbweaver/crawler/weburl"
)

// FuzzLoginForm shows any page to a FormLogin: what it fills in goes to the page's
// own origin or nowhere, by POST, and each field once.
func FuzzLoginForm(f *testing.F) {
	for _, seed := range []string{
		`<form method=post action=go><input name=u><input type=password name=p></form>`,
		`<base href=http://b.test/><form method=post action=go><input name=u><input type=password name=p></form>`,
		`<form method=post action=//b.test/ enctype=multipart/form-data><input name=u><input type=password name=p></form>`,
		`<form id=a method=post><form id=b><input form=a name=u><select name=p multiple><option selected>1<option selected>2</select><input type=password></form>`,
		`<form method=post action="http://a.test:80/x"><fieldset disabled><input type=password name=p></fieldset><textarea name=u></textarea><input type=password name=p><input name=u></form>`,
	} {
		f.Add(seed)
	}
	login, err := FormLogin{URL: "http://a.test/login", Fields: map[string]string{"u": "hunter1", "p": "hunter2"}}.compile()
	if err != nil {
		f.Fatal(err)
	}
	at, err := weburl.Parse("http://a.test/login")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		doc, err := goquery.NewDocumentFromReader(strings.NewReader(text))
		if err != nil {
			return
		}
		page := &loginPage{url: at, status: http.StatusOK, charset: "windows-1252", doc: doc}
		form := login.find(doc)
		if form == nil {
			return
		}
		req, err := login.fill(page, form)
		if err != nil {
			return
		}
		u, err := weburl.Parse(req.URL())
		if err != nil || req.Method != http.MethodPost || u.Origin() != "http://a.test" {
			t.Fatalf("%s %s, %v", req.Method, req.URL(), err)
		}
		r, err := req.Body.Open()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		body, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range []string{"hunter1", "hunter2"} {
			if strings.Count(string(body), secret) != 1 && !strings.Contains(text, "hunter") {
				t.Fatalf("sent %q", body)
			}
		}
	})
}
