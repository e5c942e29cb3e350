package httpclient_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
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

// Proxies can ask for Digest too, of what they forward and for tunnels.
func ExampleProxyDigestAuth() {
	auth, err := httpclient.ProxyDigestAuth("http://proxy.example:3128", "somebody", "secret")
	if err != nil {
		log.Fatal(err)
	}
	s, err := httpclient.New(httpclient.Config{
		Proxy:      httpclient.ProxyURL(&url.URL{Scheme: "http", Host: "proxy.example:3128"}),
		Middleware: []httpclient.Middleware{auth},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
}

func ExampleAuth() {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		login, password, _ := r.BasicAuth()
		_, _ = fmt.Fprint(w, login, " ", password)
	}))
	defer srv.Close()
	resp, err := httpclient.Fetch(context.Background(), "GET", srv.URL,
		httpclient.Auth(&httpclient.BasicAuth{Login: "somebody", Password: "secret"}))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(resp.Text())
	// Output: somebody secret <nil>
}

// A body that is written while it is sent takes no memory, whatever its length.
func ExamplePipeBody() {
	srv := site()
	defer srv.Close()
	s, err := httpclient.New(httpclient.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	numbers := httpclient.PipeBody(func(w io.Writer) error {
		for i := range 5 {
			if _, err := fmt.Fprint(w, i, ";"); err != nil {
				return err
			}
		}
		return nil
	})
	resp, err := s.Put(context.Background(), srv.URL+"/echo", numbers)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(resp.Text())
	// Output: PUT  0;1;2;3;4; <nil>
}

// A status of 400 or more becomes an error where that is wanted.
func ExampleRaiseForStatus() {
	srv := site()
	defer srv.Close()
	_, err := httpclient.Fetch(context.Background(), "GET", srv.URL+"/whoami", httpclient.RaiseForStatus())
	var refused *httpclient.ResponseError
	if errors.As(err, &refused) {
		fmt.Printf("%d %s: %s", refused.StatusCode, refused.Message, refused.Body)
	}
	// Output: 403 Forbidden: who are you?
}

// A body that ends before its time is given as far as it came.
func ExamplePayloadError() {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, "the first words")
	}))
	defer srv.Close()
	resp, err := httpclient.Fetch(context.Background(), "GET", srv.URL)
	if err != nil {
		log.Fatal(err)
	}
	body, err := resp.Bytes()
	var cut *httpclient.PayloadError
	if errors.As(err, &cut) {
		fmt.Printf("%q, %d of %d bytes, truncated: %v\n", body, cut.Got, cut.Want, resp.Truncated())
	}
	// Output: "the first words", 15 of 100 bytes, truncated: true
}

// Where a redirect leads can be looked at, changed and refused.
func ExampleOnRedirect() {
	srv := site()
	defer srv.Close()
	errStay := errors.New("not there")
	_, err := httpclient.Fetch(context.Background(), "GET", srv.URL+"/moved",
		httpclient.OnRedirect(func(from *httpclient.Response, to *httpclient.Request) error {
			fmt.Println(from.StatusCode, strings.TrimPrefix(to.URL(), srv.URL))
			return errStay
		}))
	fmt.Println(errors.Is(err, errStay), errors.Is(err, httpclient.ErrRedirect))
	// Output:
	// 302 /hello
	// true true
}

// An archive keeps what was transferred, and an index reads what it means.
func ExampleRequest_rawBody() {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		_, _ = io.WriteString(z, strings.Repeat("spider ", 100))
		_ = z.Close()
	}))
	defer srv.Close()
	s, err := httpclient.New(httpclient.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	req, err := httpclient.NewRequest("GET", srv.URL)
	if err != nil {
		log.Fatal(err)
	}
	var archive bytes.Buffer
	req.RawBody = &archive // Wire gets the head and the framing too
	resp, err := s.Do(context.Background(), req)
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Release()
	text, err := resp.Text()
	fmt.Println(len(text), int64(archive.Len()) == resp.WireBytes(), archive.Len() < 100, err)
	// Output: 700 true true <nil>
}

// Cookies outlive the program in a file, which curl and wget read as well if its name
// ends in .txt.
func ExampleJar_SaveFile() {
	dir, err := os.MkdirTemp("", "jar")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	name := filepath.Join(dir, "cookies.txt")
	site := &url.URL{Scheme: "https", Host: "www.example.org", Path: "/"}
	jar := httpclient.NewCookieJar(httpclient.JarConfig{})
	jar.SetFromHeader(site, []string{"user=spider; Domain=example.org; Max-Age=86400; Secure"})
	if err := jar.SaveFile(name); err != nil {
		log.Fatal(err)
	}

	again := httpclient.NewCookieJar(httpclient.JarConfig{})
	if err := again.LoadFile(name); err != nil {
		log.Fatal(err)
	}
	for e := range again.All() {
		fmt.Println(e.Domain, e.Name, e.Value, e.Secure)
	}
	// Output: example.org user spider true
}

// A connector over a function leads anywhere, here to a server in memory.
func ExampleNewPool() {
	pool := httpclient.NewPool(httpclient.PoolConfig{}, func(_ context.Context, key httpclient.ConnKey) (net.Conn, error) {
		client, server := net.Pipe()
		go func() {
			defer server.Close()
			if _, err := http.ReadRequest(bufio.NewReader(server)); err == nil {
				_, _ = fmt.Fprintf(server, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello from %s", key.Addr())
			}
		}()
		return client, nil
	})
	s, err := httpclient.New(httpclient.Config{Connector: pool})
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	resp, err := s.Get(context.Background(), "http://nowhere.test/")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(resp.Text())
	// Output: hello from nowhere.test:80 <nil>
}

// HTTP/2 is spoken with servers that agree to it by TLS.
func ExampleHTTPVersion() {
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Proto) }))
	srv.EnableHTTP2 = true
	srv.StartTLS()
	defer srv.Close()
	sum := sha256.Sum256(srv.Certificate().Raw)
	resp, err := httpclient.Fetch(context.Background(), "GET", srv.URL,
		httpclient.HTTPVersion(httpclient.HTTP2), httpclient.Insecure(), httpclient.Fingerprint(sum)) // this one certificate
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(resp.Text())
	// Output: HTTP/2.0 <nil>
}

// The middleware that repeats what failed for the moment.
func ExampleMiddleware_retry() {
	tries := 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if tries++; tries < 3 {
			http.Error(w, "busy", http.StatusServiceUnavailable)
		}
	}))
	defer srv.Close()
	retry := func(next httpclient.Handler) httpclient.Handler {
		return func(ctx context.Context, req *httpclient.Request) (*httpclient.Response, error) {
			for wait := time.Millisecond; ; wait *= 2 {
				resp, err := next(ctx, req)
				if err != nil || resp.StatusCode != http.StatusServiceUnavailable || wait > time.Second {
					return resp, err
				}
				resp.Release() // or its connection would be held
				select {
				case <-time.After(wait):
				case <-ctx.Done():
					return nil, ctx.Err()
				}
			}
		}
	}
	s, err := httpclient.New(httpclient.Config{Middleware: []httpclient.Middleware{retry}})
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	resp, err := s.Get(context.Background(), srv.URL)
	if err != nil {
		log.Fatal(err)
	}
	resp.Release()
	fmt.Println(resp.StatusCode, tries)
	// Output: 200 3
}
