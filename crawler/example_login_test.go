package crawler_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"

	"github.com/orbweaver/orbweaver/crawler"
)

// A site whose pages are for members: the form is filled in before the first of
// them, with what is hidden in it.
func ExampleFormLogin() {
	members := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, err := r.Cookie("session")
		switch {
		case r.URL.Path == "/login" && r.Method == http.MethodPost && r.FormValue("token") == "t" && r.FormValue("password") == "secret":
			http.SetCookie(w, &http.Cookie{Name: "session", Value: "s", Path: "/"})
			http.Redirect(w, r, "/", http.StatusSeeOther)
		case r.URL.Path == "/login":
			fmt.Fprint(w, `<form method=post><input type=hidden name=token value=t><input name=user><input type=password name=password></form>`)
		case err != nil:
			http.Redirect(w, r, "/login", http.StatusFound)
		default:
			fmt.Fprint(w, "<title>For members</title>")
		}
	}))
	defer members.Close()

	login := crawler.FormLogin{
		URL:    members.URL + "/login",
		Fields: map[string]string{"user": "alice", "password": "secret"},
	}
	cfg := crawler.Config{
		Seeds: []string{members.URL + "/"},
		Delay: crawler.NoDelay,
		Sites: []crawler.Site{{Hosts: []string{strings.TrimPrefix(members.URL, "http://")}, Login: login.Login()}},
	}
	for page, err := range crawler.Crawl(context.Background(), cfg) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(page.Title())
	}
	// Output: For members
}

// Credentials for one origin: not for its other ports, its sub-domains, or by http.
func ExampleAuth() {
	cfg := crawler.Config{
		Seeds: []string{"https://api.example.org/v1/"},
		Sites: []crawler.Site{
			{Hosts: []string{"api.example.org"}, Auth: &crawler.Auth{Bearer: "token"}},
			{Hosts: []string{".intranet.example"}, Auth: &crawler.Auth{
				User: "alice", Password: "secret", Origins: []string{"http://wiki.intranet.example:8080"},
			}},
		},
	}
	for _, site := range cfg.Sites {
		fmt.Println(site.Validate(), site.Auth)
	}
	// Output:
	// <nil> bearer token
	// <nil> basic, as alice
}

// Two proxies share the hosts, and stand in for one another.
func ExampleProxyPolicy() {
	var proxies []*url.URL
	for _, text := range []string{"http://user:password@proxy1.example:3128", "socks5h://proxy2.example:1080"} {
		u, err := url.Parse(text)
		if err != nil {
			log.Fatal(err)
		}
		proxies = append(proxies, u)
	}
	cfg := crawler.Config{Seeds: []string{"https://example.org/"}, Proxies: proxies, ProxyPolicy: crawler.ProxySticky}
	fmt.Println(len(cfg.Proxies), cfg.ProxyPolicy)
	// Output: 2 sticky
}
