package httpclient

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/mccutchen/go-httpbin/v2/httpbin"
)

// TestHTTPBin asks a server that other people wrote for what clients get wrong.
func TestHTTPBin(t *testing.T) {
	srv := httptest.NewServer(httpbin.New(httpbin.WithMaxDuration(time.Minute)))
	defer srv.Close()
	for _, v := range []struct {
		name string
		test func(t *testing.T, s *Session, base string)
	}{
		{"redirects", binRedirects}, {"cookies", binCookies}, {"credentials", binCredentials}, {"codings", binCodings},
		{"statuses", binStatuses}, {"bodies", binBodies}, {"requests", binRequests}, {"time", binTime}, {"caching", binCaching}, {"WebSocket", binWebSocket},
	} {
		t.Run(v.name, func(t *testing.T) {
			v.test(t, newSession(t, Config{Jar: NewCookieJar(JarConfig{AllowIP: true})}), srv.URL)
		})
	}
}

// binEcho is what httpbin tells about a request.
type binEcho struct {
	Method  string
	URL     string
	Args    map[string][]string
	Headers map[string][]string
	Form    map[string][]string
	Files   map[string][]string
	Data    string
	JSON    any
}

func echoOf(t *testing.T, resp *Response, err error) (e binEcho) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	if err := resp.JSON(&e); err != nil {
		t.Fatal(err)
	}
	return e
}

func binRedirects(t *testing.T, s *Session, base string) {
	for _, path := range []string{"/redirect/5", "/relative-redirect/5", "/absolute-redirect/5"} {
		if resp, _ := get(t, s, base+path); resp.StatusCode != 200 || len(resp.History) != 5 || resp.URL != base+"/get" {
			t.Errorf("%s: %d at %s after %d", path, resp.StatusCode, resp.URL, len(resp.History))
		}
	}
	_, err := s.Get(t.Context(), base+"/redirect/20")
	if te := (*TooManyRedirectsError)(nil); !errors.As(err, &te) || len(te.History) != 9 || te.Response.StatusCode != 302 {
		t.Errorf("too many: %v", err)
	}
	for _, v := range []struct {
		code         int
		method, want string
		keepsBody    bool
	}{
		{301, "POST", "GET", false}, {302, "POST", "GET", false}, {303, "POST", "GET", false}, {307, "POST", "POST", true}, {308, "POST", "POST", true},
		{301, "PUT", "PUT", true}, {303, "PUT", "GET", false}, {308, "DELETE", "DELETE", true}, {302, "HEAD", "HEAD", false}, {303, "HEAD", "HEAD", false},
	} {
		var opts []RequestOption
		if v.method != "HEAD" {
			opts = append(opts, WithBody(StringBody("carried along")))
		}
		resp, err := s.Request(t.Context(), v.method, fmt.Sprintf("%s/redirect-to?status_code=%d&url=/anything", base, v.code), opts...)
		if v.method == "HEAD" {
			if err != nil || resp.Method != "HEAD" || resp.StatusCode != 200 {
				t.Errorf("%d %s: %v", v.code, v.method, err)
			}
			continue
		}
		e := echoOf(t, resp, err)
		if e.Method != v.want || (e.Data != "") != v.keepsBody || (len(e.Headers["Content-Type"]) > 0) != v.keepsBody {
			t.Errorf("%d %s: became %s with %q of type %q", v.code, v.method, e.Method, e.Data, e.Headers["Content-Type"])
		}
	}
	for location, class := range map[string]error{"ftp://h.test/": ErrNonHTTPURL, "mailto:x@y.test": ErrNonHTTPURL, "http://": ErrInvalidURL} {
		_, err := s.Get(t.Context(), base+"/redirect-to?url="+url.QueryEscape(location))
		if re := (*RedirectError)(nil); !errors.As(err, &re) || !errors.Is(err, class) || !errors.Is(err, ErrRedirect) {
			t.Errorf("to %s: %v", location, err)
		}
	}
}

func binCookies(t *testing.T, s *Session, base string) {
	type answer struct{ Cookies map[string]string }
	var a answer
	resp, _ := get(t, s, base+"/cookies/set?one=1&two=a%3Db")
	if err := resp.JSON(&a); err != nil || a.Cookies["one"] != "1" || a.Cookies["two"] != "a=b" {
		t.Errorf("set: %v, %v", a, err)
	}
	resp, _ = get(t, s, base+"/cookies/delete?one")
	a = answer{}
	if err := resp.JSON(&a); err != nil || len(a.Cookies) != 1 || a.Cookies["two"] != "a=b" {
		t.Errorf("deleted: %v, %v", a, err)
	}
}

func binCredentials(t *testing.T, s *Session, base string) {
	right := Auth(&BasicAuth{Login: "who", Password: "secret"})
	if resp, _ := get(t, s, base+"/basic-auth/who/secret", right); resp.StatusCode != 200 {
		t.Errorf("right: %d", resp.StatusCode)
	}
	if resp, _ := get(t, s, strings.Replace(base, "://", "://who:secret@", 1)+"/basic-auth/who/secret"); resp.StatusCode != 200 || strings.Contains(resp.URL, "secret@") {
		t.Errorf("in the URL: %d at %s", resp.StatusCode, resp.URL)
	}
	for _, opts := range [][]RequestOption{nil, {Auth(&BasicAuth{Login: "who", Password: "wrong"})}} {
		_, err := s.Get(t.Context(), base+"/basic-auth/who/secret", append(opts, RaiseForStatus())...)
		if re := (*ResponseError)(nil); !errors.As(err, &re) || re.StatusCode != 401 || re.Header.Get("WWW-Authenticate") == "" {
			t.Errorf("wrong or none: %v", err)
		}
	}
	for _, algorithm := range []string{"MD5", "SHA-256"} {
		for password, want := range map[string]int{"secret": 200, "wrong": 401} {
			auth, err := DigestAuth(base, "who", password)
			if err != nil {
				t.Fatal(err)
			}
			digest := newSession(t, Config{Middleware: []Middleware{auth}})
			if resp, _ := get(t, digest, base+"/digest-auth/auth/who/secret/"+algorithm); resp.StatusCode != want {
				t.Errorf("digest, %s, %s: %d", algorithm, password, resp.StatusCode)
			}
		}
	}
	if resp, _ := get(t, s, base+"/bearer", Header("Authorization", "Bearer token")); resp.StatusCode != 200 {
		t.Errorf("bearer: %d", resp.StatusCode)
	}
}

func binCodings(t *testing.T, s *Session, base string) {
	for _, coding := range []string{"gzip", "deflate"} {
		resp, body := get(t, s, base+"/"+coding)
		if resp.ContentEncoding() != coding || !json.Valid([]byte(body)) || resp.Truncated() {
			t.Errorf("%s: %q, %.40q", coding, resp.ContentEncoding(), body)
		}
		resp, body = get(t, s, base+"/"+coding, NoDecompress())
		if json.Valid([]byte(body)) || int64(len(body)) != resp.WireBytes() {
			t.Errorf("%s as it came: %.40q", coding, body)
		}
	}
	resp, _ := get(t, s, base+"/encoding/utf8")
	if text, err := resp.Text(); err != nil || resp.Charset() != "utf-8" || !strings.Contains(text, "∮ E⋅da = Q") {
		t.Errorf("utf8: %v", err)
	}
}

func binStatuses(t *testing.T, s *Session, base string) {
	for _, code := range []int{200, 201, 204, 206, 304, 400, 404, 418, 429, 500, 503, 599} {
		resp, body := get(t, s, fmt.Sprintf("%s/status/%d", base, code))
		if resp.StatusCode != code || resp.OK() != (code < 400) || (code == 204 || code == 304) && body != "" {
			t.Errorf("%d: %d, %q", code, resp.StatusCode, body)
		}
	}
	var fields map[string][]string
	resp, _ := get(t, s, base+"/response-headers?X-Twice=1&X-Twice=2")
	if err := resp.JSON(&fields); err != nil || fmt.Sprint(resp.HeaderValues("x-twice")) != "[1 2]" {
		t.Errorf("response-headers: %v, %v", resp.HeaderValues("x-twice"), err)
	}
}

func binBodies(t *testing.T, s *Session, base string) {
	if _, body := get(t, s, base+"/stream-bytes/90000?seed=1&chunk_size=777"); len(body) != 90000 {
		t.Errorf("stream-bytes: %d", len(body))
	}
	a, b := fetch(t, s, base+"/bytes/5000?seed=7"), fetch(t, s, base+"/stream-bytes/5000?seed=7")
	if len(a) != 5000 || a != b {
		t.Error("the same bytes with a length and in chunks differ")
	}
	resp, err := s.Get(t.Context(), base+"/stream/20")
	if err != nil {
		t.Fatal(err)
	}
	lines := 0
	for line, err := range resp.Body.Lines(0) {
		if err != nil || !json.Valid(line) {
			t.Fatalf("line %d: %q, %v", lines, line, err)
		}
		lines++
	}
	if lines != 20 {
		t.Errorf("%d lines", lines)
	}
	whole := fetch(t, s, base+"/range/1000")
	resp, part := get(t, s, base+"/range/1000", Header("Range", "bytes=100-199"))
	if resp.StatusCode != 206 || part != whole[100:200] || resp.HeaderValue("Content-Range") != "bytes 100-199/1000" {
		t.Errorf("range: %d, %q", resp.StatusCode, part)
	}
	if resp, _ := get(t, s, base+"/range/1000", Header("Range", "bytes=5000-")); resp.StatusCode != 416 {
		t.Errorf("range beyond the end: %d", resp.StatusCode)
	}
	resp, _ = get(t, s, base+"/trailers?X-End=reached")
	if resp.Trailer().Get("X-End") != "reached" {
		t.Errorf("trailer %v", resp.Trailer())
	}
	if resp, body := get(t, s, base+"/image/png"); resp.ContentType() != "image/png" || !strings.HasPrefix(body, "\x89PNG") {
		t.Errorf("image: %s", resp.ContentType())
	}
	head, err := s.Head(t.Context(), base+"/bytes/5000")
	if err != nil {
		t.Fatal(err)
	}
	if b, err := head.Bytes(); err != nil || len(b) != 0 || head.HeaderValue("Content-Length") != "5000" {
		t.Errorf("HEAD: %q, %d bytes, %v", head.HeaderValue("Content-Length"), len(b), err)
	}
}

func binRequests(t *testing.T, s *Session, base string) {
	resp, err := s.Post(t.Context(), base+"/post", FormBody(url.Values{"a": {"1", "2"}, "b": {"ä&="}}))
	if e := echoOf(t, resp, err); fmt.Sprint(e.Form) != "map[a:[1 2] b:[ä&=]]" {
		t.Errorf("form: %v", e.Form)
	}
	form := new(FormData)
	form.Add("plain", "value")
	if err := form.AddField(FormField{Name: "file", Filename: "näme.txt", Body: BytesBody([]byte("content"))}); err != nil {
		t.Fatal(err)
	}
	resp, err = s.Post(t.Context(), base+"/post", form)
	if e := echoOf(t, resp, err); e.Form["plain"][0] != "value" || e.Files["file"][0] != "content" {
		t.Errorf("multipart: %v, %v", e.Form, e.Files)
	}
	resp, err = s.Request(t.Context(), "PUT", base+"/put", JSON(map[string]int{"x": 1}))
	if e := echoOf(t, resp, err); fmt.Sprint(e.JSON) != "map[x:1]" || e.Headers["Content-Type"][0] != "application/json" {
		t.Errorf("JSON: %v", e.JSON)
	}
	data := bytes.Repeat([]byte("0123456789"), 30_000)
	for _, opts := range [][]RequestOption{nil, {Chunked()}, {Expect100(5 * time.Second)}} {
		resp, err = s.Patch(t.Context(), base+"/patch", BodyAs(BytesBody(data), "text/plain"), opts...)
		if e := echoOf(t, resp, err); e.Data != string(data) {
			t.Errorf("%d bytes of %d came", len(e.Data), len(data))
		}
	}
	// More than it takes: the answer comes before all is sent, or instead of it.
	resp, err = s.Post(t.Context(), base+"/post", PipeBody(func(w io.Writer) error {
		for range 64 {
			if _, err := w.Write(make([]byte, 64<<10)); err != nil {
				return err
			}
		}
		return nil
	}))
	if err == nil {
		if resp.Release(); resp.StatusCode < 400 {
			t.Errorf("too large: %d", resp.StatusCode)
		}
	} else if !errors.Is(err, ErrConnection) {
		t.Errorf("too large: %v", err)
	}
	resp, err = s.Get(t.Context(), base+"/get?x=%2F&y=a+b", Params(url.Values{"z": {"ü"}}))
	if e := echoOf(t, resp, err); fmt.Sprint(e.Args) != "map[x:[/] y:[a b] z:[ü]]" || !strings.Contains(e.URL, "x=%2F&y=a+b&z=%C3%BC") {
		t.Errorf("query: %v of %s", e.Args, e.URL)
	}
}

func binTime(t *testing.T, s *Session, base string) {
	_, err := s.Get(t.Context(), base+"/delay/30", WithTimeout(Timeout{FirstByte: 50 * time.Millisecond}))
	if te := (*TimeoutError)(nil); !errors.As(err, &te) || te.Phase != PhaseFirstByte {
		t.Errorf("delay: %v", err)
	}
	if _, body := get(t, s, base+"/drip?numbytes=5&duration=5ms"); body != "*****" {
		t.Errorf("patience: %q", body)
	}
}

func binCaching(t *testing.T, s *Session, base string) {
	resp, _ := get(t, s, base+"/cache")
	if again, body := get(t, s, base+"/cache", Header("If-Modified-Since", resp.HeaderValue("Last-Modified"))); again.StatusCode != 304 || body != "" {
		t.Errorf("If-Modified-Since: %d, %q", again.StatusCode, body)
	}
	for field, code := range map[string]int{"If-None-Match": 304, "If-Match": 200} {
		if resp, _ := get(t, s, base+"/etag/abc", Header(field, `"abc"`)); resp.StatusCode != code || resp.HeaderValue("ETag") != `"abc"` {
			t.Errorf("%s: %d", field, resp.StatusCode)
		}
	}
	if resp, _ := get(t, s, base+"/etag/abc", Header("If-Match", `"other"`)); resp.StatusCode != 412 {
		t.Errorf("If-Match another: %d", resp.StatusCode)
	}
	if resp, _ := get(t, s, base+"/cache/60"); resp.HeaderValue("Cache-Control") != "public, max-age=60" {
		t.Errorf("Cache-Control: %s", resp.HeaderValue("Cache-Control"))
	}
}

func binWebSocket(t *testing.T, s *Session, base string) {
	w, err := s.DialWebSocket(t.Context(), "ws"+strings.TrimPrefix(base, "http")+"/websocket/echo?max_message_size=100000&max_fragment_size=100000", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"", "é", strings.Repeat("long ", 10_000)} {
		if err := w.SendText(t.Context(), text); err != nil {
			t.Fatal(err)
		}
		if got, err := w.ReceiveText(t.Context()); err != nil || got != text {
			t.Fatalf("%d bytes came back as %d, %v", len(text), len(got), err)
		}
	}
	if err := w.Close(t.Context(), WSNormalClosure, ""); err != nil {
		t.Error(err)
	}
	_, err = s.DialWebSocket(t.Context(), base+"/get", nil)
	if he := (*WSHandshakeError)(nil); !errors.As(err, &he) || he.StatusCode != 200 {
		t.Errorf("no WebSocket: %v", err)
	}
}
