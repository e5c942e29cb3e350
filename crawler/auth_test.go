package crawler_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/orbweaver/orbweaver/crawler"
	"github.com/orbweaver/orbweaver/httpclient"
)

// asked notes what servers were asked for, with the credentials.
type asked struct {
	mu  sync.Mutex
	got map[string]string // URL → Authorization
}

func (a *asked) note(r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.got == nil {
		a.got = make(map[string]string)
	}
	scheme := "http://"
	if r.TLS != nil {
		scheme = "https://"
	}
	a.got[scheme+r.Host+r.URL.Path] = r.Header.Get("Authorization")
}

// TestAuthStaysWithItsOrigin follows links and redirects from an origin with
// credentials to other ports, names and schemes, none of which may see them.
func TestAuthStaysWithItsOrigin(t *testing.T) {
	var log asked
	var own, port, secure *httptest.Server
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		log.note(r)
		switch r.URL.Path {
		case "/":
			w.Header().Set("Content-Type", "text/html")
			localhost := strings.Replace(own.URL, "127.0.0.1", "localhost", 1)
			fmt.Fprintf(w, `<a href="/page"></a><a href="%s/p"></a><a href="%s/p"></a><a href="%s/p"></a>
				<a href="/to-port"></a><a href="/to-secure"></a>`, port.URL, localhost, strings.Replace(own.URL, "127.0.0.1", "sub.localhost", 1))
		case "/to-port":
			http.Redirect(w, r, port.URL+"/redirected", http.StatusFound)
		case "/to-secure":
			http.Redirect(w, r, secure.URL+"/redirected", http.StatusTemporaryRedirect)
		case "/robots.txt":
			if strings.HasSuffix(own.URL, r.Host) {
				http.Redirect(w, r, port.URL+"/robots-elsewhere", http.StatusFound)
			}
		}
	})
	own, port, secure = httptest.NewServer(handler), httptest.NewServer(handler), httptest.NewTLSServer(handler)
	defer own.Close()
	defer port.Close()
	defer secure.Close()
	session := insecure(t)
	dir := filepath.Join(t.TempDir(), "job")
	_, job := run(t, crawler.Config{
		Dir: dir, Seeds: []string{own.URL, port.URL, secure.URL}, Scope: crawler.ScopeAny, Session: session,
		Sites: []crawler.Site{{
			Hosts: []string{"*"}, Auth: &crawler.Auth{User: "user", Password: "hunter2", Origins: []string{own.URL}},
		}},
	})
	basic := (&httpclient.BasicAuth{Login: "user", Password: "hunter2"})
	want, _ := basic.Header()
	if len(log.got) < 10 {
		t.Errorf("only %d requests: %v", len(log.got), log.got)
	}
	for u, auth := range log.got {
		if belongs := strings.HasPrefix(u, own.URL+"/"); belongs && auth != want || !belongs && auth != "" {
			t.Errorf("%s was sent %q", u, auth)
		}
	}
	for _, u := range []string{"/page", "/robots.txt", "/to-port"} {
		if _, ok := log.got[own.URL+u]; !ok {
			t.Errorf("%s was not asked for", u)
		}
	}
	e, err := job.Explain(t.Context(), own.URL+"/page")
	if err != nil || e.Auth != "basic, as user" {
		t.Errorf("explained as %q, %v", e.Auth, err)
	}
	if e, err = job.Explain(t.Context(), port.URL+"/p"); err != nil || e.Auth != "" {
		t.Errorf("explained as %q, %v", e.Auth, err)
	}
	db, err := os.ReadFile(filepath.Join(dir, "job.db"))
	if err != nil || bytes.Contains(db, []byte("hunter2")) {
		t.Errorf("the password is in the job: %v", err)
	}
}

// insecure returns a session that takes any certificate.
func insecure(t *testing.T) *httpclient.Session {
	t.Helper()
	connector, err := httpclient.NewTCPConnector(httpclient.TCPConfig{Insecure: true})
	if err != nil {
		t.Fatal(err)
	}
	s, err := httpclient.New(httpclient.Config{Connector: connector, Jar: httpclient.DummyJar{}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// TestAuthByDefaultIsForHTTPS sends credentials given for a host alone by https.
func TestAuthByDefaultIsForHTTPS(t *testing.T) {
	var log asked
	handler := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { log.note(r) })
	plain, secure := httptest.NewServer(handler), httptest.NewTLSServer(handler)
	defer plain.Close()
	defer secure.Close()
	hosts := []string{strings.TrimPrefix(plain.URL, "http://"), strings.TrimPrefix(secure.URL, "https://")}
	run(t, crawler.Config{
		Seeds: []string{plain.URL, secure.URL}, Session: insecure(t), Robots: crawler.RobotsPolicy{Ignore: true},
		Sites: []crawler.Site{{Hosts: hosts, Auth: &crawler.Auth{Bearer: "t0k~n"}}},
	})
	if got := log.got[plain.URL+"/"]; got != "" {
		t.Errorf("http was sent %q", got)
	}
	if got := log.got[secure.URL+"/"]; got != "Bearer t0k~n" {
		t.Errorf("https was sent %q", got)
	}
}

func TestBadAuth(t *testing.T) {
	for name, site := range map[string]crawler.Site{
		"nothing":         {Hosts: []string{"a.org"}, Auth: &crawler.Auth{}},
		"both":            {Hosts: []string{"a.org"}, Auth: &crawler.Auth{User: "u", Bearer: "b"}},
		"colon":           {Hosts: []string{"a.org"}, Auth: &crawler.Auth{User: "u:v"}},
		"line end":        {Hosts: []string{"a.org"}, Auth: &crawler.Auth{Bearer: "b\r\nX: y"}},
		"too many hosts":  {Hosts: []string{".a.org"}, Auth: &crawler.Auth{Bearer: "b"}},
		"no origin":       {Hosts: []string{"a.org"}, Auth: &crawler.Auth{Bearer: "b", Origins: []string{"https://a.org/x"}}},
		"scheme":          {Hosts: []string{"a.org"}, Auth: &crawler.Auth{Bearer: "b", Origins: []string{"ftp://a.org"}}},
		"the same origin": {Hosts: []string{"a.org"}, Auth: &crawler.Auth{Bearer: "b", Origins: []string{"https://a.org", "https://A.org:443"}}},
	} {
		if _, err := crawler.New(crawler.Config{Sites: []crawler.Site{site}}); err == nil || strings.Contains(err.Error(), "u:v") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, a := range []any{crawler.Auth{User: "u", Password: "hunter2"}, crawler.Auth{Bearer: "hunter2"}, &crawler.Auth{Bearer: "hunter2"}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
			if text := fmt.Sprintf(verb, a); strings.Contains(text, "hunter2") {
				t.Errorf("%s: %s", verb, text)
			}
		}
	}
}

// TestKeptCookies goes on with the cookies of the run before, session cookies
// included, unless the jar has newer ones.
func TestKeptCookies(t *testing.T) {
	var mu sync.Mutex
	var sent []string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		sent = append(sent, r.URL.Path+" "+r.Header.Get("Cookie"))
		mu.Unlock()
		if r.URL.Path == "/1" {
			w.Header().Add("Set-Cookie", "session=s; HttpOnly")
			w.Header().Add("Set-Cookie", "other=o; Max-Age=3600")
		}
	}))
	defer srv.Close()
	dir := filepath.Join(t.TempDir(), "job")
	cfg := crawler.Config{Dir: dir, Seeds: []string{srv.URL + "/1"}, KeepCookies: true, Delay: crawler.NoDelay, Robots: crawler.RobotsPolicy{Ignore: true}}
	crawl := func(path string, jar httpclient.CookieJar) {
		cfg.Seeds, cfg.Jar = []string{srv.URL + path}, jar
		c, err := crawler.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Run(t.Context()); err != nil {
			t.Error(err)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
	crawl("/1", nil)
	info, err := os.Stat(filepath.Join(dir, "cookies.jsonl"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", info, err)
	}
	if _, _, err := crawler.Compact(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	cfg.Dir = copied
	crawl("/2", nil)
	jar := httpclient.NewCookieJar(httpclient.JarConfig{AllowIP: true})
	at, _ := url.Parse(srv.URL)
	jar.SetFromHeader(at, []string{"session=newer; Path=/"})
	crawl("/3", jar)
	crawl("/4", nil)
	want := "/1 |/2 session=s; other=o|/3 session=newer; other=o|/4 session=newer; other=o"
	if got := strings.Join(sent, "|"); got != want {
		t.Errorf("sent %q, want %q", got, want)
	}
	if err := os.WriteFile(filepath.Join(copied, "cookies.jsonl"), []byte("{\"nam\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := crawler.New(crawler.Config{Dir: copied, KeepCookies: true}); err == nil || !strings.Contains(err.Error(), "cookies.jsonl") {
		t.Errorf("damaged file: %v", err)
	}
}

// TestKeepCookiesIsRefused where it would have no effect.
func TestKeepCookiesIsRefused(t *testing.T) {
	dir := t.TempDir()
	for name, cfg := range map[string]crawler.Config{
		"no directory":   {KeepCookies: true},
		"foreign jar":    {Dir: dir, KeepCookies: true, Jar: httpclient.DummyJar{}},
		"user's session": {Dir: dir, KeepCookies: true, Session: insecure(t)},
	} {
		var bad *crawler.ConfigError
		if _, err := crawler.New(cfg); !errors.As(err, &bad) || bad.Field != "KeepCookies" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestArchivedCredentials are in an archive only if that is asked for.
func TestArchivedCredentials(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, _ *http.Request) {}))
	defer srv.Close()
	at, _ := url.Parse(srv.URL)
	for _, keep := range []bool{false, true} {
		jar := httpclient.NewCookieJar(httpclient.JarConfig{AllowIP: true})
		jar.SetFromHeader(at, []string{"session=hunter1; Path=/"})
		dir := filepath.Join(t.TempDir(), "job")
		run(t, crawler.Config{
			Dir: dir, Seeds: []string{srv.URL + "/page"}, Jar: jar, Header: http.Header{"X-Api-Key": {"hunter3"}},
			Sites: []crawler.Site{{Hosts: []string{"*"}, Auth: &crawler.Auth{Bearer: "hunter2", Origins: []string{srv.URL}}}},
			WARC:  &crawler.WARC{Credentials: keep},
		})
		requests := 0
		for _, rec := range archived(t, filepath.Join(dir, "warc")) {
			if rec.Header.Get("WARC-Type") != "request" {
				continue
			}
			requests++
			block := string(rec.Block)
			for _, secret := range []string{"hunter1", "hunter2", "hunter3"} {
				if strings.Contains(block, secret) != keep {
					t.Errorf("credentials %v: the archive has %q", keep, block)
				}
			}
			if !strings.HasPrefix(block, "GET /") || !strings.Contains(block, "Authorization: ") || !strings.HasSuffix(block, "\r\n\r\n") {
				t.Errorf("no request: %q", block)
			}
		}
		if requests != 2 {
			t.Errorf("%d requests are archived", requests)
		}
	}
}

func TestSecretField(t *testing.T) {
	for name, want := range map[string]bool{
		"Authorization": true, "X-API-Key": true, "x-jwt": true, "X-Pass": true, "Cookie": true, "X-CSRF": true, "Cf-Access-Jwt-Assertion": true,
		"Accept": false, "Accept-Language": false, "User-Agent": false, "Referer": false, "X-Requested-With": false, "From": false,
	} {
		if got := crawler.SecretField(name); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
