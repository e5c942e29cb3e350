package httpclient

import (
	"net/http"
	"strings"
	"testing"
)

// once checks that a request has a field of that name one time, with that value.
func once(t *testing.T, raw, name, value string) {
	t.Helper()
	head, _, _ := strings.Cut(raw, "\r\n\r\n")
	if n := strings.Count(strings.ToLower(head), "\r\n"+strings.ToLower(name)+": "); n != 1 {
		t.Errorf("%d fields %s in\n%s", n, name, head)
	}
	has(t, raw, name+": "+value)
}

// TestFieldsOnce: of what session, request and client have to say in the same field, one is sent.
func TestFieldsOnce(t *testing.T) {
	srv := mirror(t)
	named := strings.Replace(srv.URL, "//", "//u:p@", 1)
	s := newSession(t, Config{
		Jar: NewCookieJar(JarConfig{AllowIP: true}), Auth: &BasicAuth{Login: "session"}, Cookies: []*http.Cookie{{Name: "jar", Value: "1"}},
		Header: http.Header{"Authorization": {"Bearer s"}, "Cookie": {"s=1"}, "Content-Type": {"text/own"}, "Host": {"own.test"}, "Connection": {"keep-alive"}},
	})
	post := func(url string, opts ...RequestOption) string {
		t.Helper()
		resp, err := s.Post(t.Context(), url, StringBody("x"), opts...)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := resp.Text()
		return text
	}
	got := post(srv.URL)
	once(t, got, "Authorization", "Bearer s")
	once(t, got, "Cookie", "s=1")
	once(t, got, "Content-Type", "text/own")
	once(t, got, "Host", "own.test")
	once(t, got, "Connection", "keep-alive")
	once(t, post(named), "Authorization", "Basic dTpw")
	once(t, post(srv.URL, Auth(&BasicAuth{Login: "a"})), "Authorization", "Basic YTo=")
	once(t, post(srv.URL, Header("authorization", "own")), "authorization", "own")
	once(t, post(srv.URL, Cookies(&http.Cookie{Name: "r", Value: "2"})), "Cookie", "jar=1; r=2")
	once(t, post(srv.URL, Header("Cookie", "h=3")), "Cookie", "h=3")
	if _, err := s.Get(t.Context(), srv.URL, Header("Cookie", "h=3"), Cookies(&http.Cookie{Name: "r", Value: "2"})); err == nil {
		t.Error("cookies were taken together with a Cookie field")
	}
}

// TestCookiesOfARequest: they take the place of those in the jar with their names.
func TestCookiesOfARequest(t *testing.T) {
	srv := answer(t, func(r string) string {
		return ok(r, "Set-Cookie: a=jar", `Set-Cookie: b="x y"`, "Set-Cookie: a=path; Path=/p")
	})
	s := newSession(t, Config{Jar: NewCookieJar(JarConfig{AllowIP: true})})
	fetch(t, s, srv.URL)
	own := Cookies(&http.Cookie{Name: "a", Value: "own"}, &http.Cookie{Name: "c", Value: "1"}, &http.Cookie{Name: "a", Value: "twice"})
	once(t, fetch(t, s, srv.URL+"/p", own), "Cookie", `b="x y"; a=own; c=1; a=twice`)
	once(t, fetch(t, s, srv.URL+"/p"), "Cookie", `a=path; a=jar; b="x y"`)
}

// TestCredentialsAndRedirects: those of a URL hold for its origin, wherever in it a redirect leads; what the session says
// to an origin is not said to the next.
func TestCredentialsAndRedirects(t *testing.T) {
	other := mirror(t)
	var srv *rawServer
	srv = answer(t, func(r string) string {
		switch strings.Fields(r)[1] {
		case "/relative":
			return redirectTo(302, "/end")
		case "/absolute":
			return redirectTo(302, srv.URL+"/end")
		case "/others":
			return redirectTo(302, strings.Replace(srv.URL, "//", "//a:b@", 1)+"/end")
		case "/away":
			return redirectTo(302, other.URL)
		}
		return ok(r)
	})
	named := strings.Replace(srv.URL, "//", "//u:p@", 1)
	s := newSession(t, Config{Jar: DummyJar{}})
	for path, want := range map[string]string{"/relative": "dTpw", "/absolute": "dTpw", "/others": "YTpi"} {
		once(t, fetch(t, s, named+path), "Authorization", "Basic "+want)
	}
	secrets := http.Header{"Authorization": {"Bearer s"}, "Cookie": {"s=1"}, "Proxy-Authorization": {"p"}, "Host": {"own.test"}, "X-Own": {"1"}}
	for _, v := range []struct {
		cfg     Config
		url     string
		dropped string
	}{
		{Config{}, named, "Authorization"}, {Config{}, srv.URL, ""}, {Config{Header: secrets}, srv.URL, "Authorization,Cookie,Proxy-Authorization,Host"},
	} {
		resp, got := get(t, newSession(t, v.cfg), v.url+"/away")
		if dropped := strings.Join(resp.History[0].DroppedHeaders, ","); dropped != v.dropped {
			t.Errorf("dropped %q, want %q", dropped, v.dropped)
		}
		hasNot(t, got, "authorization")
		hasNot(t, got, "cookie")
		once(t, got, "Host", other.Addr)
		if v.cfg.Header != nil {
			once(t, got, "X-Own", "1")
		}
	}
}
