package crawler_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/text/encoding/htmlindex"

	"github.com/orbweaver/orbweaver/crawler"
	"github.com/orbweaver/orbweaver/httpclient"
)

// loginSite is a site whose pages are for those who have logged in by its form,
// and whose sessions end after some pages.
type loginSite struct {
	*httptest.Server
	pages int // that a session is good for; 0: any number

	mu       sync.Mutex
	sessions map[string]int // pages seen
	logins   int
	sending  int // logins under way
	wrong    []string
	times    []time.Time
}

func startLoginSite(t *testing.T, address string, pages int) *loginSite {
	t.Helper()
	s := &loginSite{pages: pages, sessions: map[string]int{}}
	s.Server = listenAt(t, address, s)
	return s
}

func (s *loginSite) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.times = append(s.times, time.Now())
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	switch {
	case r.URL.Path == "/robots.txt":
		fmt.Fprint(w, "User-agent: *\nDisallow: /login\n") // which is asked for all the same
	case r.URL.Path == "/login" && r.Method == http.MethodGet:
		if s.sending++; s.sending > 1 {
			s.wrong = append(s.wrong, "two logins at once")
		}
		token := fmt.Sprintf("token-%d", len(s.times))
		http.SetCookie(w, &http.Cookie{Name: "csrf", Value: token})
		fmt.Fprintf(w, `<form action=/search><input name=q></form>
			<form method=post><input type=hidden name=csrf value=%s><input name=user><input type=password name=password>
			<input type=checkbox name=stay checked><button name=go value=in>Log in</button></form>`, token)
	case r.URL.Path == "/login":
		s.sending--
		csrf, err := r.Cookie("csrf")
		if err != nil || r.FormValue("csrf") != csrf.Value || r.FormValue("user") != "älice" || r.FormValue("password") != "hunter2" || r.FormValue("stay") != "on" || r.FormValue("go") != "in" {
			fmt.Fprintf(w, `wrong! <form method=post><input name=user><input type=password name=password></form>`)
			return
		}
		s.logins++
		id := fmt.Sprintf("s%d", s.logins)
		s.sessions[id] = 0
		http.SetCookie(w, &http.Cookie{Name: "session", Value: id, Path: "/"})
		http.Redirect(w, r, "/home", http.StatusSeeOther)
	default:
		c, err := r.Cookie("session")
		n, known := 0, false
		if err == nil {
			n, known = s.sessions[c.Value]
		}
		if !known || s.pages > 0 && n >= s.pages {
			http.Redirect(w, r, "/login?next="+url.QueryEscape(r.URL.Path), http.StatusFound)
			return
		}
		s.sessions[c.Value]++
		for i := range 30 {
			fmt.Fprintf(w, `<a href="/page/%d">`, i)
		}
		fmt.Fprint(w, "for members; your password is well kept")
	}
}

func listenAt(t *testing.T, address string, h http.Handler) *httptest.Server {
	t.Helper()
	srv := httptest.NewUnstartedServer(h)
	relisten(t, srv, address)
	srv.Start()
	t.Cleanup(srv.Close)
	return srv
}

func (s *loginSite) form(password string) crawler.FormLogin {
	return crawler.FormLogin{URL: s.URL + "/login", Fields: map[string]string{"user": "älice", "password": password}}
}

func (s *loginSite) hosts() []string { return []string{strings.TrimPrefix(s.URL, "http://")} }

// TestFormLogin crawls two sites for members, with sessions that end again and
// again while several workers are at it.
func TestFormLogin(t *testing.T) {
	a, b := startLoginSite(t, "127.0.0.2:0", 9), startLoginSite(t, "127.0.0.3:0", 0)
	s, job := run(t, crawler.Config{
		Seeds: []string{a.URL + "/", b.URL + "/"}, PerHost: 3,
		Sites: []crawler.Site{
			{Hosts: a.hosts(), Login: a.form("hunter2").Login()}, {Hosts: b.hosts(), Login: b.form("hunter2").Login()},
		},
	})
	if s.Fetched != 2*31 || s.Failed != 0 || s.Statuses[200] != 2*31 || len(s.LeftOut) != 0 {
		t.Errorf("%+v", s.Stats)
	}
	for u, rec := range results(t, job.Store()) {
		if rec.Error != "" || strings.Contains(u, "/login") {
			t.Errorf("%s: %s", u, rec.Error)
		}
	}
	if a.logins < 4 || b.logins != 1 || int64(a.logins+b.logins) != s.Logins || s.LoginFailures != 0 || s.LoginRequests != 3*s.Logins {
		t.Errorf("%d and %d logins: %+v", a.logins, b.logins, s.Stats)
	}
	if len(a.wrong)+len(b.wrong) > 0 {
		t.Error(a.wrong, b.wrong)
	}
	e, err := job.Explain(t.Context(), a.URL+"/x")
	if err != nil || e.Login != "form at "+a.URL+"/login" {
		t.Errorf("explained as %q, %v", e.Login, err)
	}
}

// TestLoginKeepsTheDelay of the host between its own requests and those for pages.
func TestLoginKeepsTheDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const delay = time.Second
		site := &loginSite{Server: &httptest.Server{URL: livingURL}, pages: 2, sessions: map[string]int{}}
		s, _ := run(t, crawler.Config{
			Session: served(t, site), Seeds: []string{site.URL + "/"}, MaxPages: 5, Delay: delay, PerHost: 2,
			Sites: []crawler.Site{{Hosts: site.hosts(), Login: site.form("hunter2").Login()}},
		})
		if s.Fetched != 5 || s.Logins < 2 {
			t.Errorf("%+v", s.Stats)
		}
		for i, at := range site.times[1:] {
			if gap := at.Sub(site.times[i]); gap < delay {
				t.Errorf("request %d came %v after the one before", i+1, gap)
			}
		}
	})
}

// TestLoginFails leaves the pages out with a reason, and nothing of others.
func TestLoginFails(t *testing.T) {
	site, other := startLoginSite(t, "127.0.0.2:0", 0), startHosts(t, 3)[2]
	var mu sync.Mutex
	var told []error
	form := site.form("wrong")
	form.Tries = 2
	s, _ := run(t, crawler.Config{
		Seeds: []string{site.URL + "/", site.URL + "/2", other},
		Sites: []crawler.Site{{Hosts: site.hosts(), Login: form.Login()}},
		Events: crawler.Events{LoggedIn: func(e crawler.LoginEvent) {
			mu.Lock()
			defer mu.Unlock()
			told = append(told, e.Err)
		}},
	})
	if s.Fetched != 11 || s.LeftOut[crawler.ReasonLogin] != 2 || s.Logins != 0 || s.LoginFailures != 2 {
		t.Errorf("%+v", s.Stats)
	}
	if len(s.Problems) == 0 || !strings.Contains(s.Problems[0], "the form is there again") || strings.Contains(s.Problems[0], "wrong") {
		t.Errorf("problems: %q", s.Problems)
	}
	var le *crawler.LoginError
	if len(told) != 2 || !errors.As(told[0], &le) || le.URL != site.URL+"/login" {
		t.Errorf("told %v", told)
	}
}

// TestLoginHook logs in by a function, which may fail, panic, or not be enough.
func TestLoginHook(t *testing.T) {
	srv := listenAt(t, "127.0.0.2:0", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := r.Cookie("token")
		switch {
		case r.URL.Path == "/token":
			http.SetCookie(w, &http.Cookie{Name: "token", Value: "t", Path: "/"})
		case err != nil || c.Value != "t" || r.URL.Path == "/never":
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	calls := 0
	login := func(l crawler.Login) crawler.Config {
		return crawler.Config{
			Seeds: []string{srv.URL + "/1", srv.URL + "/2", srv.URL + "/never"}, Retries: -1, Robots: crawler.RobotsPolicy{Ignore: true},
			Sites: []crawler.Site{{Hosts: []string{"127.0.0.2"}, Login: &l}},
		}
	}
	s, job := run(t, login(crawler.Login{Do: func(ctx context.Context, s *httpclient.Session) error {
		if calls++; calls == 1 {
			panic("at first")
		}
		resp, err := s.Get(ctx, srv.URL+"/token")
		if err == nil {
			resp.Release()
		}
		return err
	}}))
	// The page that is never good is asked for three times.
	if s.Statuses[200] != 2 || s.Statuses[401] != 1 || s.Errors["login"] != 1 || s.LoginFailures != 1 || s.Logins < 1 || s.Logins > 4 {
		t.Errorf("%+v", s.Stats)
	}
	rec, err := job.Store().Get(t.Context(), srv.URL+"/never")
	if err != nil || rec.Attempts != 3 || rec.ErrorClass != "login" {
		t.Errorf("%+v, %v", rec, err)
	}

	// A login without effect is given up.
	s, _ = run(t, login(crawler.Login{Do: func(context.Context, *httpclient.Session) error { return nil }, Tries: 2}))
	if s.Fetched > 1 || s.Logins != 2 || s.LeftOut[crawler.ReasonLogin] < 2 {
		t.Errorf("without effect: %+v", s.Stats)
	}
	// One that asks for ever is, too.
	s, _ = run(t, login(crawler.Login{Tries: 1, Do: func(ctx context.Context, s *httpclient.Session) error {
		for {
			resp, err := s.Get(ctx, srv.URL+"/token")
			if err != nil {
				return err
			}
			resp.Release()
		}
	}}))
	if s.LoginRequests != 20 || s.LeftOut[crawler.ReasonLogin] != 3 {
		t.Errorf("endless: %+v", s.Stats)
	}
}

// TestKeptLogin goes on with the session of the run before, and logs in again when
// that is over.
func TestKeptLogin(t *testing.T) {
	site := startLoginSite(t, "127.0.0.2:0", 0)
	dir := filepath.Join(t.TempDir(), "job")
	crawl := func(path string) {
		c, err := crawler.New(crawler.Config{
			Dir: dir, Seeds: []string{site.URL + path}, NoFollow: true, KeepCookies: true, Delay: crawler.NoDelay,
			Sites: []crawler.Site{{Hosts: site.hosts(), Login: site.form("hunter2").Login()}},
		})
		if err != nil {
			t.Fatal(err)
		}
		if s, err := c.Run(t.Context()); err != nil || s.Waiting != 0 {
			t.Errorf("%+v, %v", s, err)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
	crawl("/1")
	crawl("/2")
	if site.logins != 1 {
		t.Errorf("%d logins", site.logins)
	}
	site.mu.Lock()
	clear(site.sessions)
	site.mu.Unlock()
	crawl("/3")
	if site.logins != 2 {
		t.Errorf("%d logins after the session was over", site.logins)
	}
	if s := results(t, reopen(t, dir).Store()); len(s) != 3 || s[site.URL+"/3"].Status != 200 {
		t.Errorf("%v", s)
	}
}

// TestForms fills in forms as browsers do, and sends them nowhere else.
func TestForms(t *testing.T) {
	var page, sent string
	other := listenAt(t, "127.0.0.3:0", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseMultipartForm(1 << 20)
		sent = "ELSEWHERE " + r.Form.Encode()
	}))
	srv := listenAt(t, "127.0.0.2:0", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		switch {
		case r.URL.Path == "/form":
			fmt.Fprint(w, strings.ReplaceAll(page, "OTHER", other.URL))
		case r.URL.Path == "/leave":
			http.Redirect(w, r, other.URL+"/", http.StatusTemporaryRedirect)
		default:
			_ = r.ParseMultipartForm(1 << 20)
			var names []string
			for name, values := range r.PostForm {
				names = append(names, name+"="+strings.Join(values, "+"))
			}
			slices.Sort(names)
			sent = r.URL.Path + " " + strings.Join(names, " ")
			w.Header().Set("Set-Cookie", "in=1")
			fmt.Fprint(w, `<a class=out>log out</a>`)
		}
	}))
	const input = `<input name=u><input type=password name=p>`
	for name, tt := range map[string]struct {
		page string
		edit func(*crawler.FormLogin)
		want string // what is sent; or
		err  string
	}{
		"plain":       {page: `<form method=post action=go>` + input + `</form>`, want: "/go p=x u=me"},
		"to itself":   {page: `<form method=POST>` + input + `</form>`, want: "/FORM"},
		"base":        {page: `<base href=/a/b/><form method=post action=c>` + input + `</form>`, want: "/a/b/c p=x u=me"},
		"multipart":   {page: `<form method=post action=go enctype=multipart/form-data><input type=hidden name=h value="ä b">` + input + `</form>`, want: "/go h=ä b p=x u=me"},
		"other form":  {page: `<form method=post action=no><input name=q></form><form method=post action=go>` + input + `</form>`, want: "/go p=x u=me"},
		"by selector": {page: `<form method=post action=no>` + input + `</form><form class=l method=post action=go>` + input + `</form>`, want: "/go p=x u=me", edit: func(f *crawler.FormLogin) { f.Form = "form.l" }},
		"outside":     {page: `<form id=f method=post action=go>` + input + `</form><input form=f name=far value=1><input name=no value=1>`, want: "/go far=1 p=x u=me"},
		"kinds": {page: `<form method=post action=go>` + input + `<input type=checkbox name=c1 checked><input type=checkbox name=c2><input type=radio name=r value=1><input type=radio name=r value=2 checked>
			<select name=s><option value=a><option selected>b  c</select><select name=first><option>x<option>y</select><textarea name=t>
text</textarea><input name=off disabled value=1><fieldset disabled><input name=off2></fieldset><input type=reset name=x><input type=file name=file><button type=button name=no>n</button></form>`,
			want: "/go c1=on first=x p=x r=2 s=b c t=text u=me"},
		"buttons":                {page: `<form method=post action=go>` + input + `<button name=b value=1>1</button><input type=submit name=b value=2></form>`, want: "/go b=1 p=x u=me"},
		"chosen button":          {page: `<form method=post action=go>` + input + `<button name=b value=1>1</button><input type=submit id=two name=b value=2></form>`, want: "/go b=2 p=x u=me", edit: func(f *crawler.FormLogin) { f.Submit = "#two" }},
		"no button":              {page: `<form method=post action=go>` + input + `</form>`, err: "no such button", edit: func(f *crawler.FormLogin) { f.Submit = "#two" }},
		"extra":                  {page: `<form method=post action=go>` + input + `</form>`, want: "/go js=1 p=x u=me", edit: func(f *crawler.FormLogin) { f.Extra = map[string]string{"js": "1"} }},
		"unknown field":          {page: `<form method=post action=go><input name=user><input type=password name=p></form>`, err: "has no field u; it has p, user"},
		"no form":                {page: `<form method=post><input name=u></form>`, err: "no such form"},
		"no page":                {page: ``, err: "no such form"},
		"GET":                    {page: `<form action=go>` + input + `</form>`, err: "has the method GET"},
		"elsewhere":              {page: `<form method=post action=OTHER/go>` + input + `</form>`, err: "it may be sent to " + srv.URL + " alone"},
		"elsewhere, by redirect": {page: `<form method=post action=/leave>` + input + `</form>`, err: "the form is redirected there"},
		"elsewhere, allowed":     {page: `<form method=post action=/leave>` + input + `</form>`, want: "ELSEWHERE p=x&u=me", edit: func(f *crawler.FormLogin) { f.Origins = []string{other.URL} }},
		"no URL":                 {page: `<form method=post action="http://[">` + input + `</form>`, err: "action is no URL"},
		"success": {page: `<form method=post action=go>` + input + `</form>`, want: "/go p=x u=me", edit: func(f *crawler.FormLogin) {
			f.Success = crawler.LoginSigns{Selector: "a.out", Missing: "form", Cookie: "in", Status: []int{200}, Redirect: "/go"}
		}},
		"no selector": {page: `<form method=post action=go>` + input + `</form>`, err: "there is no .in", edit: func(f *crawler.FormLogin) { f.Success.Selector = ".in" }},
		"not missing": {page: `<form method=post action=go>` + input + `</form>`, err: "there is a a.out", edit: func(f *crawler.FormLogin) { f.Success.Missing = "a.out" }},
		"no cookie":   {page: `<form method=post action=go>` + input + `</form>`, err: "no cookie out", edit: func(f *crawler.FormLogin) { f.Success.Cookie = "out" }},
		"status":      {page: `<form method=post action=go>` + input + `</form>`, err: "answered 200", edit: func(f *crawler.FormLogin) { f.Success.Status = []int{201} }},
		"redirect":    {page: `<form method=post action=go>` + input + `</form>`, err: "does not lead to " + srv.URL + "/home", edit: func(f *crawler.FormLogin) { f.Success.Redirect = "/home" }},
	} {
		t.Run(name, func(t *testing.T) {
			page, sent = tt.page, ""
			f := crawler.FormLogin{URL: srv.URL + "/form", Fields: map[string]string{"u": "me", "p": "x"}}
			if tt.edit != nil {
				tt.edit(&f)
			}
			if err := f.Validate(); err != nil {
				t.Fatal(err)
			}
			s, err := httpclient.New(httpclient.Config{Jar: httpclient.NewCookieJar(httpclient.JarConfig{AllowIP: true})})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			err = f.Login().Do(t.Context(), s)
			if tt.want == "/FORM" { // it is served again, so that the login has failed
				tt.err = "the form is there again"
			}
			if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
				t.Errorf("%v, want %q", err, tt.err)
			}
			if tt.err == "" && sent != tt.want || strings.Contains(sent, "ELSEWHERE") && !strings.Contains(tt.want, "ELSEWHERE") {
				t.Errorf("sent %q, want %q", sent, tt.want)
			}
		})
	}
}

// TestFormEncodings: a form is sent in the encoding that it accepts, or else in that of
// its page, with what has no place there as browsers write it.
func TestFormEncodings(t *testing.T) {
	var charset, page, sent string
	srv := listenAt(t, "127.0.0.2:0", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			enc, err := htmlindex.Get(charset)
			if err != nil {
				t.Error(err)
			}
			body, err := enc.NewEncoder().String(page)
			if err != nil {
				t.Error(err)
			}
			w.Header().Set("Content-Type", "text/html; charset="+charset)
			fmt.Fprint(w, body)
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), "boundary=")
		sent = fmt.Sprintf("%s %s %s", kind, r.URL.RequestURI(), body)
	}))
	const input = `<input name=имя><input type=password name=p><input type=hidden name=_charset_></form>`
	for name, tt := range map[string]struct{ charset, page, user, want string }{
		"windows-1251": {"windows-1251", `<form method=post action="/вход?из=мир">` + input, "Анна €表",
			"application/x-www-form-urlencoded /%D0%B2%D1%85%D0%BE%D0%B4?%E8%E7=%EC%E8%F0 %E8%EC%FF=%C0%ED%ED%E0+%88%26%2334920%3B&p=x&_charset_=windows-1251"},
		"shift_jis": {"shift_jis", `<form method=post action=/in>` + input, "表示",
			"application/x-www-form-urlencoded /in %84y%84%7D%84%91=%95%5C%8E%A6&p=x&_charset_=shift_jis"},
		"accepts UTF-8": {"shift_jis", `<form method=post action=/in accept-charset="none UTF-8 koi8-r">` + input, "表",
			"application/x-www-form-urlencoded /in %D0%B8%D0%BC%D1%8F=%E8%A1%A8&p=x&_charset_=utf-8"},
		"accepts another": {"utf-8", `<form method=post action=/in accept-charset=koi8-r>` + input, "Анна",
			"application/x-www-form-urlencoded /in %C9%CD%D1=%E1%CE%CE%C1&p=x&_charset_=koi8-r"},
		"UTF-16 is read only": {"utf-16le", `<form method=post action=/in>` + input, "Анна",
			"application/x-www-form-urlencoded /in %D0%B8%D0%BC%D1%8F=%D0%90%D0%BD%D0%BD%D0%B0&p=x&_charset_=utf-8"},
	} {
		t.Run(name, func(t *testing.T) {
			charset, page, sent = tt.charset, tt.page, ""
			f := crawler.FormLogin{
				URL: srv.URL + "/form", Fields: map[string]string{"имя": tt.user, "p": "x"}, Success: crawler.LoginSigns{Status: []int{200}},
			}
			s, err := httpclient.New(httpclient.Config{})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if err := f.Login().Do(t.Context(), s); err != nil {
				t.Error(err)
			}
			if sent != tt.want {
				t.Errorf("sent\n%s, want\n%s", sent, tt.want)
			}
		})
	}
}

func TestBadLogin(t *testing.T) {
	good := crawler.FormLogin{URL: "https://a.org/login", Fields: map[string]string{"u": "v"}}
	for name, edit := range map[string]func(*crawler.FormLogin){
		"URL": func(f *crawler.FormLogin) { f.URL = "login" }, "Fields": func(f *crawler.FormLogin) { f.Fields = nil },
		"Form": func(f *crawler.FormLogin) { f.Form = "[" }, "Submit": func(f *crawler.FormLogin) { f.Submit = ">" },
		"Origins": func(f *crawler.FormLogin) { f.Origins = []string{"https://a.org/x"} },
		"Success": func(f *crawler.FormLogin) { f.Success.Selector = "[" }, "Ended": func(f *crawler.FormLogin) { f.Ended.Redirect = "http://[" },
	} {
		f := good
		edit(&f)
		if err := f.Validate(); !errors.Is(err, crawler.ErrLogin) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
		if err := f.Login().Do(t.Context(), nil); !errors.Is(err, crawler.ErrLogin) {
			t.Errorf("%s: done with %v", name, err)
		}
	}
	good.Fields["u"] = "hunter2"
	for _, verb := range []string{"%v", "%+v", "%#v"} {
		if text := fmt.Sprintf(verb, good); strings.Contains(text, "hunter2") {
			t.Errorf("%s: %s", verb, text)
		}
	}
	for name, l := range map[string]crawler.Login{"no Do": {}, "tries": {Do: good.Login().Do, Tries: -1}} {
		if _, err := crawler.New(crawler.Config{Sites: []crawler.Site{{Hosts: []string{"a.org"}, Login: &l}}}); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}
