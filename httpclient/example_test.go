package httpclient_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/orbweaver/orbweaver/httpclient"
)

// site is a server to make requests to.
func site() *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/moved":
			http.Redirect(w, r, "/hello", http.StatusFound)
		case "/json":
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"name": "orbweaver", "legs": 8}`)
		case "/login":
			http.SetCookie(w, &http.Cookie{Name: "user", Value: "spider"})
		case "/whoami":
			c, err := r.Cookie("user")
			if err != nil {
				http.Error(w, "who are you?", http.StatusForbidden)
				return
			}
			_, _ = io.WriteString(w, c.Value)
		case "/slow":
			<-r.Context().Done()
		case "/echo":
			_, _ = fmt.Fprintf(w, "%s %s ", r.Method, r.URL.RawQuery)
			_, _ = io.Copy(w, r.Body)
		case "/lines":
			_, _ = io.WriteString(w, "one\ntwo\nthree\n")
		default:
			_, _ = io.WriteString(w, "hello")
		}
	}))
}

func Example() {
	srv := site()
	defer srv.Close()

	s, err := httpclient.New(httpclient.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	resp, err := s.Get(context.Background(), srv.URL+"/moved")
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Release()
	text, err := resp.Text()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(resp.StatusCode, text, strings.TrimPrefix(resp.URL, srv.URL), len(resp.History))
	// Output: 200 hello /hello 1
}

func ExampleSession_Do() {
	srv := site()
	defer srv.Close()
	s, err := httpclient.New(httpclient.Config{Jar: httpclient.DummyJar{}})
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()

	req, err := httpclient.NewRequest("GET", srv.URL+"/moved")
	if err != nil {
		log.Fatal(err)
	}
	req.NoRedirects = true
	req.MaxBody = 1 << 20
	resp, err := s.Do(context.Background(), req)
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Release()
	var buf []byte // kept for the next page
	buf, err = resp.AppendBody(buf[:0])
	fmt.Println(resp.StatusCode, resp.HeaderValue("Location"), len(buf) > 0, resp.Truncated(), err)
	// Output: 302 /hello true false <nil>
}

func ExampleSession_Post() {
	srv := site()
	defer srv.Close()
	s, err := httpclient.New(httpclient.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	form := httpclient.FormBody(url.Values{"q": {"silk"}})
	resp, err := s.Post(context.Background(), srv.URL+"/echo", form, httpclient.ParamPairs("page", "2"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(resp.Text())
	// Output: POST page=2 q=silk <nil>
}

func ExampleResponse_JSON() {
	srv := site()
	defer srv.Close()
	resp, err := httpclient.Fetch(context.Background(), "GET", srv.URL+"/json")
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Release()
	var animal struct {
		Name string
		Legs int
	}
	if err := resp.JSON(&animal); err != nil {
		log.Fatal(err)
	}
	fmt.Println(animal.Name, animal.Legs)
	// Output: orbweaver 8
}

func ExampleConfig_cookies() {
	srv := site()
	defer srv.Close()
	// Test servers have addresses for names, which the usual jar does not serve.
	jar := httpclient.NewCookieJar(httpclient.JarConfig{AllowIP: true})
	s, err := httpclient.New(httpclient.Config{Jar: jar})
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	for _, path := range []string{"/login", "/whoami"} {
		resp, err := s.Get(context.Background(), srv.URL+path)
		if err != nil {
			log.Fatal(err)
		}
		text, _ := resp.Text()
		fmt.Printf("%s %q\n", path, text)
	}
	// Output:
	// /login ""
	// /whoami "spider"
}

func ExampleTimeoutError() {
	srv := site()
	defer srv.Close()
	s, err := httpclient.New(httpclient.Config{Timeout: httpclient.Timeout{FirstByte: 20 * time.Millisecond}})
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	_, err = s.Get(context.Background(), srv.URL+"/slow")
	var timeout *httpclient.TimeoutError
	if errors.As(err, &timeout) {
		fmt.Println(timeout.Phase, timeout.Limit, errors.Is(err, context.DeadlineExceeded))
	}
	// Output: first byte 20ms true
}

func ExampleTCPConfig_guard() {
	srv := site()
	defer srv.Close()
	errPrivate := errors.New("private address")
	c, err := httpclient.NewTCPConnector(httpclient.TCPConfig{
		PoolConfig: httpclient.PoolConfig{Limit: 50, LimitPerHost: 2},
		Guard: func(_ context.Context, host string, addr netip.AddrPort) error {
			if a := addr.Addr(); a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() {
				return errPrivate
			}
			return nil
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	s, err := httpclient.New(httpclient.Config{Connector: c})
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	_, err = s.Get(context.Background(), srv.URL)
	fmt.Println(errors.Is(err, errPrivate), errors.Is(err, httpclient.ErrConnector))
	// Output: true true
}

func ExampleMiddleware() {
	srv := site()
	defer srv.Close()
	logged := func(next httpclient.Handler) httpclient.Handler {
		return func(ctx context.Context, req *httpclient.Request) (*httpclient.Response, error) {
			resp, err := next(ctx, req)
			if err == nil {
				fmt.Println(req.Method, strings.TrimPrefix(req.URL(), srv.URL), resp.StatusCode)
			}
			return resp, err
		}
	}
	s, err := httpclient.New(httpclient.Config{Middleware: []httpclient.Middleware{logged}})
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	resp, err := s.Get(context.Background(), srv.URL+"/moved")
	if err != nil {
		log.Fatal(err)
	}
	resp.Release()
	// Output:
	// GET /moved 302
	// GET /hello 200
}

func ExampleStream_Lines() {
	srv := site()
	defer srv.Close()
	resp, err := httpclient.Fetch(context.Background(), "GET", srv.URL+"/lines")
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Release()
	for line, err := range resp.Body.Lines(0) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%q\n", line)
	}
	// Output:
	// "one\n"
	// "two\n"
	// "three\n"
}

// A request without a session keeps neither cookies nor its connection.
func ExampleFetch() {
	srv := site()
	defer srv.Close()
	resp, err := httpclient.Fetch(context.Background(), "GET", srv.URL+"/echo", httpclient.ParamPairs("q", "silk"))
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Release()
	fmt.Println(resp.Text())
	// Output: GET q=silk  <nil>
}

func ExampleSession_Post_upload() {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		file, head, err := r.FormFile("page")
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		defer file.Close()
		content, _ := io.ReadAll(file)
		_, _ = fmt.Fprintf(w, "%s: %s is %s, %q", r.FormValue("title"), head.Filename, head.Header.Get("Content-Type"), content)
	}))
	defer srv.Close()
	s, err := httpclient.New(httpclient.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()

	var form httpclient.FormData
	form.Add("title", "A page")
	err = form.AddField(httpclient.FormField{
		Name: "page", Filename: "page.html", ContentType: "text/html", Value: "<p>",
	})
	if err != nil {
		log.Fatal(err)
	}
	resp, err := s.Post(context.Background(), srv.URL, &form)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(resp.Text())
	// Output: A page: page.html is text/html, "<p>" <nil>
}

func ExampleJSON() {
	srv := site()
	defer srv.Close()
	s, err := httpclient.New(httpclient.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	resp, err := s.Post(context.Background(), srv.URL+"/echo", nil, httpclient.JSON(map[string]int{"legs": 8}))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(resp.Text())
	// Output: POST  {"legs":8} <nil>
}

func ExampleProxy() {
	// A proxy for plain requests gets their whole URLs.
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintf(w, "%s for %s", r.RequestURI, r.Header.Get("Proxy-Authorization"))
	}))
	defer proxy.Close()
	s, err := httpclient.New(httpclient.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	at, err := url.Parse(proxy.URL) // socks5:// and https:// are as good
	if err != nil {
		log.Fatal(err)
	}
	resp, err := s.Get(context.Background(), "http://example.com/page",
		httpclient.Proxy(at), httpclient.ProxyAuth(&httpclient.BasicAuth{Login: "user", Password: "secret"}))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(resp.Text())
	// Output: http://example.com/page for Basic dXNlcjpzZWNyZXQ= <nil>
}

func ExampleSession_RoundTripper() {
	srv := site()
	defer srv.Close()
	s, err := httpclient.New(httpclient.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	client := &http.Client{Transport: s.RoundTripper()}
	resp, err := client.Get(srv.URL + "/moved")
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	fmt.Println(resp.StatusCode, string(body), err)
	// Output: 200 hello <nil>
}

func ExampleTrace() {
	srv := site()
	defer srv.Close()
	trace := &httpclient.Trace{
		GotConn:  func(c httpclient.GotConn) { fmt.Println("connection reused:", c.Reused) },
		Redirect: func(_ *httpclient.Response, next *httpclient.Request) { fmt.Println("redirected by", next.Method) },
		BodyEnd:  func(resp *httpclient.Response, err error) { fmt.Println(resp.StatusCode, "ends:", err) },
	}
	s, err := httpclient.New(httpclient.Config{Trace: trace})
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	resp, err := s.Get(context.Background(), srv.URL+"/moved")
	if err != nil {
		log.Fatal(err)
	}
	if _, err := resp.Bytes(); err != nil {
		log.Fatal(err)
	}
	// Output:
	// connection reused: false
	// 302 ends: <nil>
	// redirected by GET
	// connection reused: true
	// 200 ends: <nil>
}

// Credentials of the Digest scheme are given for one origin, and go nowhere else.
func ExampleDigestAuth() {
	auth, err := httpclient.DigestAuth("https://example.org", "somebody", "secret")
	if err != nil {
		log.Fatal(err)
	}
	s, err := httpclient.New(httpclient.Config{Middleware: []httpclient.Middleware{auth}})
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
}

// A netrc file has credentials by host.
func ExampleReadNetrc() {
	netrc, err := httpclient.ReadNetrc(strings.NewReader("machine example.org login somebody password secret"))
	if err != nil {
		log.Fatal(err)
	}
	s, err := httpclient.New(httpclient.Config{Netrc: netrc})
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	fmt.Println(netrc.Auth("example.org").Login)
	// Output: somebody
}
