package httpclient

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/klauspost/compress/gzip"
)

var quietLog = log.New(io.Discard, "", 0)

var responseRows = []parityRow{
	{name: "G/version_status_reason", prove: func(t *testing.T) {
		srv := answer(t, func(string) string { return "HTTP/1.1 299 Quite  so\r\nContent-Length: 0\r\n\r\n" })
		resp, _ := get(t, newSession(t, Config{}), srv.URL)
		if resp.StatusCode != 299 || resp.Reason() != "Quite  so" || resp.Proto != "HTTP/1.1" || !resp.OK() {
			t.Errorf("%d %q", resp.StatusCode, resp.Reason())
		}
	}},
	{name: "G/method_url", prove: func(t *testing.T) {
		srv := answer(t, func(r string) string {
			if strings.HasPrefix(r, "GET /from") {
				return redirectTo(302, "/to")
			}
			return ok("")
		})
		resp, _ := get(t, newSession(t, Config{}), srv.URL+"/from#part")
		if resp.Method != "GET" || resp.URL != srv.URL+"/to" || resp.RequestURL != srv.URL+"/from#part" || resp.History[0].URL != srv.URL+"/from" {
			t.Errorf("%+v", resp)
		}
	}},
	{name: "G/connection", prove: func(t *testing.T) {
		srv := answer(t, func(string) string { return ok("body") })
		resp, err := newSession(t, Config{}).Get(t.Context(), srv.URL)
		if err != nil {
			t.Fatal(err)
		}
		if resp.Conn() == nil {
			t.Error("no connection before the body is read")
		}
		if _, _ = resp.Bytes(); resp.Conn() != nil {
			t.Error("a connection after the body was read")
		}
	}},
	{name: "G/content", prove: func(t *testing.T) {
		srv := answer(t, func(string) string { return ok("body") })
		resp, err := newSession(t, Config{}).Get(t.Context(), srv.URL)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(iotest.OneByteReader(resp.Body))
		if string(b) != "body" || err != nil {
			t.Error(string(b), err)
		}
	}},
	{name: "G/cookies", prove: func(t *testing.T) {
		srv := answer(t, func(string) string { return ok("", `Set-Cookie: a={"x":1}; Path=/`, "Set-Cookie: name{}=v") })
		resp, _ := get(t, newSession(t, Config{}), srv.URL)
		c := resp.Cookies()
		if len(c) != 2 || c[0].Value != `{"x":1}` || c[1].Name != "name{}" {
			t.Error(c)
		}
	}},
	{name: "G/headers", prove: func(t *testing.T) {
		const raw = "HTTP/1.1 200 OK\r\nx-B:  2\t\r\nX-a: 1\r\nX-A: \xe9\r\nContent-Length: 0\r\n\r\n"
		srv := answer(t, func(string) string { return raw })
		resp, _ := get(t, newSession(t, Config{}), srv.URL)
		var pairs []string
		for name, value := range resp.RawHeader() {
			pairs = append(pairs, string(name)+"="+string(value))
		}
		if strings.Join(pairs, ",") != "x-B=2,X-a=1,X-A=\xe9,Content-Length=0" || string(resp.RawHead()) != raw ||
			len(resp.Header()["X-A"]) != 2 || resp.HeaderValue("x-a") != "1" || len(resp.HeaderValues("x-A")) != 2 {
			t.Error(pairs, resp.Header())
		}
	}},
	{name: "G/content_type", prove: func(t *testing.T) {
		srv := answer(t, func(r string) string {
			if strings.HasPrefix(r, "GET /none") {
				return ok("")
			}
			return ok("", "content-type: TEXT/Html ; Charset=\"UTF-8\"")
		})
		s := newSession(t, Config{})
		if resp, _ := get(t, s, srv.URL); resp.ContentType() != "text/html" {
			t.Error(resp.ContentType())
		}
		if resp, _ := get(t, s, srv.URL+"/none"); resp.ContentType() != "application/octet-stream" {
			t.Error(resp.ContentType())
		}
	}},
	{name: "G/charset", prove: func(t *testing.T) {
		for in, want := range map[string]string{
			"text/html; charset=UTF-8": "utf-8", "text/html": "", "text/html;charset='x'": "x", "text/html; charset=utf-8,charset=utf-8": "utf-8",
			`text/html; a="b;charset=no"; charset=yes`: "yes", "text/html;;charset=a": "a", "text/html; charset": "",
		} {
			if _, got := ParseContentType(in); got != want {
				t.Errorf("%q: %q, want %q", in, got, want)
			}
		}
	}},
	{name: "G/history", prove: func(t *testing.T) {
		srv := answer(t, func(r string) string {
			switch {
			case strings.HasPrefix(r, "GET /1"):
				return redirectTo(301, "/2")
			case strings.HasPrefix(r, "GET /2"):
				return redirectTo(302, "/3")
			}
			return ok("end")
		})
		resp, _ := get(t, newSession(t, Config{}), srv.URL+"/1")
		if h := resp.History; len(h) != 2 || h[0].StatusCode != 301 || h[1].StatusCode != 302 || h[1].HeaderValue("Location") != "/3" || h[1].Conn() != nil {
			t.Error(h)
		}
	}},
	{name: "G/close", prove: func(t *testing.T) {
		srv := answer(t, func(string) string { return ok("body") })
		s := newSession(t, Config{})
		resp, err := s.Get(t.Context(), srv.URL)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Close()
		_ = resp.Close()
		if st := s.Connector().Stats(); st.Idle != 0 || st.Held() != 0 {
			t.Errorf("%+v", st)
		}
		if _, err := resp.Bytes(); !errors.Is(err, ErrBodyClosed) {
			t.Error(err)
		}
	}},
	{name: "G/release", prove: func(t *testing.T) {
		srv := answer(t, func(string) string { return ok(strings.Repeat("x", 5000)) })
		s := newSession(t, Config{})
		resp, err := s.Get(t.Context(), srv.URL)
		if err != nil {
			t.Fatal(err)
		}
		resp.Release()
		if st := s.Connector().Stats(); st.Idle != 1 {
			t.Errorf("a short rest was not read: %+v", st)
		}
		strict := newSession(t, Config{Drain: -1})
		if resp, err = strict.Get(t.Context(), srv.URL); err != nil {
			t.Fatal(err)
		}
		resp.Release()
		if st := strict.Connector().Stats(); st.Idle != 0 || st.Held() != 0 {
			t.Errorf("%+v", st)
		}
	}},
	{name: "G/read", prove: func(t *testing.T) {
		srv := answer(t, func(string) string { return ok("body") })
		s := newSession(t, Config{})
		resp, err := s.Get(t.Context(), srv.URL)
		if err != nil {
			t.Fatal(err)
		}
		a, _ := resp.Bytes()
		b, err := resp.Bytes()
		if string(a) != "body" || &a[0] != &b[0] || err != nil || s.Connector().Stats().Idle != 1 {
			t.Errorf("%q, %v", b, err)
		}
	}},
	{name: "G/raise_for_status", prove: func(t *testing.T) {
		srv := answer(t, func(string) string { return "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\ngone" })
		s := newSession(t, Config{})
		resp, err := s.Get(t.Context(), srv.URL)
		if err != nil {
			t.Fatal(err)
		}
		err = resp.RaiseForStatus()
		var re *ResponseError
		if !errors.As(err, &re) || !errors.Is(err, ErrResponse) || re.RequestInfo.URL != srv.URL+"/" || string(re.Body) != "gone" {
			t.Error(err)
		}
		if _, err := s.Get(t.Context(), srv.URL, RaiseForStatus()); !errors.Is(err, ErrResponse) {
			t.Error(err)
		}
	}},
	{name: "G/text", prove: func(t *testing.T) {
		bodies := map[string][2]string{
			"GET /latin":    {ok("\xe9", "Content-Type: text/plain; charset=iso-8859-1"), "é"},
			"GET /meta":     {ok("<meta charset=windows-1251>\xe9", "Content-Type: text/html"), "<meta charset=windows-1251>й"},
			"GET /bom":      {ok("\xef\xbb\xbfé", "Content-Type: text/html; charset=iso-8859-1"), "é"},
			"GET /utf":      {ok("é", "Content-Type: text/plain"), "é"},
			"GET /json":     {ok(`"é"`, "Content-Type: application/json"), `"é"`},
			"GET /replaced": {ok("a\uFFFD", "Content-Type: text/plain; charset=utf-8"), "a\uFFFD"},
			"GET /wide":     {ok("\x00a\x00\xe9", "Content-Type: text/plain; charset=utf-16be"), "a\u00e9"},
			"GET /halved":   {ok("\x00a\xd8\x00", "Content-Type: text/plain; charset=utf-16be"), "a\uFFFD"},
			"GET /broken":   {ok("a\xff", "Content-Type: text/plain; charset=utf-8"), "a\uFFFD"},
		}
		srv := answer(t, func(r string) string {
			request, _, _ := strings.Cut(r, " HTTP")
			return bodies[request][0]
		})
		s := newSession(t, Config{FallbackCharset: func(*Response, []byte) string { return "koi8-r" }})
		for request, v := range bodies {
			resp, err := s.Get(t.Context(), srv.URL+strings.TrimPrefix(request, "GET "))
			if err != nil {
				t.Fatal(err)
			}
			if text, err := resp.Text(); err != nil || text != v[1] {
				t.Errorf("%s: %q, %v, want %q", request, text, err, v[1])
			}
		}
		resp, _ := get(t, s, srv.URL+"/latin")
		if text, err := resp.TextAs("windows-1251"); err != nil || text != "й" {
			t.Error(text, err)
		}
		for _, read := range []func(string) (string, error){resp.TextAs, resp.TextStrict} {
			if _, err := read("no-such"); err == nil {
				t.Error("an unknown charset was taken")
			}
		}
		for raw, sound := range map[string]bool{
			"/utf": true, "/latin": true, "/broken": false, "/replaced": true, "/wide": true, "/halved": false,
		} {
			resp, _ := get(t, s, srv.URL+raw)
			lenient, _ := resp.Text()
			text, err := resp.TextStrict("")
			var pe *PayloadError
			if text != lenient || sound && err != nil || !sound && (!errors.As(err, &pe) || pe.Kind != PayloadCharset) {
				t.Errorf("%s: %q, %v", raw, text, err)
			}
		}
	}},
	{name: "G/json", prove: func(t *testing.T) {
		replies := map[string]string{
			"/ok": ok(`{"a":1}`, "Content-Type: application/json; charset=utf-8"), "/plus": ok(`{"a":1}`, "Content-Type: application/ld+json"),
			"/absent": ok(`{"a":1}`), "/html": ok(`{"a":1}`, "Content-Type: text/html"), "/blank": ok(" \n", "Content-Type: application/json"),
			"/latin": ok("{\"a\":1,\"b\":\"\xe9\"}", "Content-Type: application/json; charset=iso-8859-1"),
		}
		srv := answer(t, func(r string) string { return replies[strings.Fields(r)[1]] })
		s := newSession(t, Config{})
		for path, want := range map[string]error{"/ok": nil, "/plus": nil, "/absent": nil, "/latin": nil, "/html": ErrContentType, "/blank": ErrEmptyBody} {
			resp, err := s.Get(t.Context(), srv.URL+path)
			if err != nil {
				t.Fatal(err)
			}
			var v struct{ A int }
			if err := resp.JSON(&v); !errors.Is(err, want) || want == nil && v.A != 1 {
				t.Errorf("%s: %+v, %v", path, v, err)
			}
		}
		resp, _ := get(t, s, srv.URL+"/html")
		var v struct{ A int }
		if err := resp.JSON(&v, AnyContentType()); err != nil || v.A != 1 {
			t.Error(err)
		}
		if err := resp.JSON(&v, Expect("text/html")); err != nil {
			t.Error(err)
		}
		if err := resp.JSON(&v, AnyContentType(), JSONDecoder(func([]byte, any) error { return io.ErrNoProgress })); err != io.ErrNoProgress {
			t.Error(err)
		}
		var ce *ContentTypeError
		if err := resp.JSON(&v); !errors.As(err, &ce) || ce.StatusCode != 200 || ce.Got != "text/html" || string(ce.Body) != `{"a":1}` {
			t.Error(err)
		}
		page := strings.Repeat("x", 10_000)
		resp, err := s.Get(t.Context(), answer(t, func(string) string { return ok(page, "Content-Type: text/html") }).URL)
		if err != nil {
			t.Fatal(err)
		}
		if err := resp.JSON(&v); !errors.As(err, &ce) || len(ce.Body) != enoughBody {
			t.Error(err)
		}
		if text, err := resp.Text(); text != page || err != nil || resp.Truncated() {
			t.Errorf("%d bytes are left, %v", len(text), err)
		}
	}},
	{name: "G/read_after_streaming", prove: func(t *testing.T) {
		srv := answer(t, func(string) string { return ok("body") })
		resp, err := newSession(t, Config{}).Get(t.Context(), srv.URL)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Release()
		_, _ = resp.Body.ReadAvailable()
		if _, err := resp.Bytes(); !errors.Is(err, ErrBodyStreamed) {
			t.Error(err)
		}
	}},
	{name: "G/context_manager", reason: "defer resp.Release()"},
	{name: "G/interim", prove: func(t *testing.T) {
		srv := answer(t, func(r string) string {
			if strings.HasPrefix(r, "GET /up") {
				return "HTTP/1.1 101 Switching Protocols\r\nUpgrade: own\r\nConnection: Upgrade\r\n\r\nhello"
			}
			return "HTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n" + ok("done")
		})
		s := newSession(t, Config{})
		var seen []int
		_, body := get(t, s, srv.URL, WithTrace(&Trace{Got1xx: func(status int, h http.Header) { seen = append(seen, status) }}))
		if body != "done" || len(seen) != 2 || seen[0] != 103 {
			t.Error(body, seen)
		}
		resp, err := s.Get(t.Context(), srv.URL+"/up")
		if err != nil || resp.StatusCode != 101 {
			t.Fatal(resp, err)
		}
		nc, r := resp.Detach()
		defer nc.Close()
		b := make([]byte, 5)
		if _, err := io.ReadFull(r, b); err != nil || string(b) != "hello" {
			t.Error(string(b), err)
		}
	}},
	{name: "G/bodiless", prove: func(t *testing.T) {
		srv := answer(t, func(r string) string {
			switch {
			case strings.HasPrefix(r, "HEAD"):
				return "HTTP/1.1 200 OK\r\nContent-Length: 10\r\nContent-Encoding: gzip\r\n\r\n"
			case strings.HasPrefix(r, "GET /204"):
				return "HTTP/1.1 204 No Content\r\nContent-Encoding: gzip\r\n\r\n"
			case strings.HasPrefix(r, "GET /304"):
				return "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n"
			}
			return ok("", "Content-Encoding: gzip")
		})
		s := newSession(t, Config{})
		for _, path := range []string{"/204", "/304", "/empty"} {
			if _, body := get(t, s, srv.URL+path); body != "" {
				t.Errorf("%s: %q", path, body)
			}
		}
		resp, err := s.Head(t.Context(), srv.URL)
		if err != nil {
			t.Fatal(err)
		}
		if b, err := resp.Bytes(); len(b) != 0 || err != nil {
			t.Error(b, err)
		}
		if st := s.Connector().Stats(); st.Dials != 1 || st.Idle != 1 {
			t.Errorf("%+v", st)
		}
	}},
	{name: "G/limits", prove: func(t *testing.T) {
		srv := answer(t, func(r string) string {
			switch {
			case strings.HasPrefix(r, "GET /field"):
				return "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 70<<10) + "\r\n\r\n"
			case strings.HasPrefix(r, "GET /many"):
				return "HTTP/1.1 200 OK\r\n" + strings.Repeat("X: "+strings.Repeat("x", 1000)+"\r\n", 300) + "\r\n"
			}
			return ok("", "X: "+strings.Repeat("x", 60<<10))
		})
		s := newSession(t, Config{})
		fetch(t, s, srv.URL)
		for _, path := range []string{"/field", "/many"} {
			var pe *ProtocolError
			if _, err := s.Get(t.Context(), srv.URL+path); !errors.As(err, &pe) || !errors.Is(err, ErrServerConnection) || len(pe.Raw) == 0 {
				t.Error(path, err)
			}
		}
		wide := newSession(t, Config{MaxLine: 1 << 20, MaxHeader: 1 << 20})
		if resp, err := wide.Get(t.Context(), srv.URL+"/many"); err != nil || len(resp.HeaderValues("x")) != 300 {
			t.Error(err)
		} else {
			_ = resp.Close()
		}
	}},
	{name: "G/decoding", prove: func(t *testing.T) {
		var once, twice bytes.Buffer
		w := gzip.NewWriter(&once)
		_, _ = w.Write([]byte("text"))
		_ = w.Close()
		w = gzip.NewWriter(&twice)
		_, _ = w.Write(once.Bytes())
		_ = w.Close()
		replies := map[string]string{
			"/gzip": ok(once.String(), "Content-Encoding: GZip"), "/twice": ok(twice.String(), "Content-Encoding: gzip, gzip"),
			"/label": ok("text", "Content-Encoding: gzip"), "/chunked": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Encoding: gzip\r\n\r\n" +
				chunk(once.String()[:5]) + chunk(once.String()[5:]) + "0\r\n\r\n",
			"/te": "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n" + chunk(once.String()) + "0\r\n\r\n",
		}
		srv := answer(t, func(r string) string { return replies[strings.Fields(r)[1]] })
		s := newSession(t, Config{})
		for path := range replies {
			resp, body := get(t, s, srv.URL+path)
			if body != "text" || (len(resp.CodingDefects()) > 0) != (path == "/label") {
				t.Errorf("%s: %q %v", path, body, resp.CodingDefects())
			}
		}
	}},
}

func chunk(s string) string { return strings.ToUpper(hexLength(s)) + "\r\n" + s + "\r\n" }

func hexLength(s string) string {
	const digits = "0123456789abcdef"
	out := ""
	for n := len(s); n > 0; n /= 16 {
		out = string(digits[n%16]) + out
	}
	return out
}

// stream returns a body that is sent as it stands.
func stream(t *testing.T, raw string, opts ...RequestOption) *Stream {
	resp, err := newSession(t, Config{}).Get(t.Context(), say(t, raw).URL, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Close() })
	return resp.Body
}

var streamRows = []parityRow{
	{name: "H/read", prove: func(t *testing.T) {
		s := stream(t, ok("one\ntwo\nthree"))
		line, err := s.ReadLine(0)
		if string(line) != "one\n" || err != nil {
			t.Errorf("%q, %v", line, err)
		}
		if _, err := s.ReadLine(2); !errors.Is(err, ErrLineTooLong) {
			t.Error(err)
		}
		b, err := s.ReadFull(4)
		if string(b) != "two\n" || err != nil {
			t.Errorf("%q, %v", b, err)
		}
		if b, err := s.ReadFull(-1); len(b) != 0 || err != nil {
			t.Errorf("%q, %v", b, err)
		}
		if b, err := s.ReadFull(99); string(b) != "three" || err != io.ErrUnexpectedEOF {
			t.Errorf("%q, %v", b, err)
		}
		if _, err := s.ReadAvailable(); err != io.EOF {
			t.Error(err)
		}
	}},
	{name: "H/readchunk", prove: func(t *testing.T) {
		s := stream(t, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n"+chunk(strings.Repeat("z", 5000))+"0\r\nX-T: v\r\n\r\n")
		data, end, err := s.ReadChunk()
		if string(data) != "abc" || !end || err != nil {
			t.Errorf("%q %v %v", data, end, err)
		}
		n, ends := 0, 0
		for c, err := range s.Chunks() {
			if err != nil {
				t.Fatal(err)
			}
			if n += len(c.Data); c.End {
				ends++
			}
		}
		if n != 5000 || ends != 1 || s.resp.Trailer().Get("X-T") != "v" {
			t.Error(n, ends, s.resp.Trailer())
		}
		plain := stream(t, ok("abc"))
		if data, end, err := plain.ReadChunk(); string(data) != "abc" || end || err != nil {
			t.Errorf("%q %v %v", data, end, err)
		}
	}},
	{name: "H/iterate", prove: func(t *testing.T) {
		collect := func(seq func(func([]byte, error) bool)) (list []string) {
			for b, err := range seq {
				if err != nil {
					t.Error(err)
				}
				list = append(list, string(b))
			}
			return list
		}
		if got := collect(stream(t, ok("a\nb\nc")).Lines(0)); strings.Join(got, "|") != "a\n|b\n|c" {
			t.Error(got)
		}
		if got := collect(stream(t, ok("abcde")).Chunked(2)); strings.Join(got, "|") != "ab|cd|e" {
			t.Error(got)
		}
		if got := collect(stream(t, ok("abcde")).Chunked(0)); strings.Join(got, "|") != "abcde" {
			t.Error(got)
		}
		if got := collect(stream(t, ok("abcde")).Any()); strings.Join(got, "") != "abcde" {
			t.Error(got)
		}
	}},
	{name: "H/state", prove: func(t *testing.T) {
		s := stream(t, ok("abc"))
		if s.EOF() || s.AtEOF() || s.Err() != nil || s.Buffered() != 3 {
			t.Error("wrong at the start", s.Buffered())
		}
		b, _ := s.ReadAvailable()
		s.Unread(b)
		if !s.EOF() || s.AtEOF() || s.Buffered() != 3 {
			t.Error("wrong after Unread")
		}
		if err := s.WaitEOF(context.Background()); err != nil || !s.AtEOF() || s.RawBytes() != 3 {
			t.Error(err)
		}
		cut := stream(t, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")
		_, _ = io.ReadAll(cut)
		if !errors.Is(cut.Err(), ErrPayload) || cut.EOF() {
			t.Error(cut.Err())
		}
	}},
	{name: "H/flow_control", prove: func(t *testing.T) {
		sent := make(chan int, 1)
		srv := serveRaw(t, func(s *rawServer, c net.Conn) {
			if _, err := s.read(bufio.NewReader(c)); err != nil {
				return
			}
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n")
			n, block := 0, make([]byte, 64<<10)
			for range 1000 {
				m, err := c.Write(block)
				if n += m; err != nil {
					break
				}
			}
			sent <- n
		})
		resp, err := newSession(t, Config{}).Get(t.Context(), srv.URL)
		if err != nil {
			t.Fatal(err)
		}
		if n := resp.Body.Buffered(); n > inputSize {
			t.Errorf("%d bytes read ahead", n)
		}
		_ = resp.Close()
		if n := <-sent; n >= 1000*(64<<10) {
			t.Error("the server could send it all to a reader that does not read")
		}
	}},
}
