package httpclient

import (
	"bufio"
	"crypto/md5"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
)

// TestDigestAnswer: the examples of RFC 7616 section 3.9, RFC 2617 and RFC 2069 with its errata.
func TestDigestAnswer(t *testing.T) {
	for _, v := range []struct {
		name, challenge                           string
		login, password, uri, cnonce, want, named string
	}{
		{
			"MD5", `Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=MD5, nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"`,
			"Mufasa", "Circle of Life", "/dir/index.html", "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", "8ca523f5e9506fed4657c9700eebdbec", `username="Mufasa"`,
		},
		{
			"SHA-256", `Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=SHA-256, nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"`,
			"Mufasa", "Circle of Life", "/dir/index.html", "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1", `username="Mufasa"`,
		},
		{
			"no algorithm", `Digest realm="testrealm@host.com",qop="auth,auth-int",nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093",opaque="5ccc069c403ebaf9f0171e9517f40e41"`,
			"Mufasa", "Circle Of Life", "/dir/index.html", "0a4f113b", "6629fae49393a05397450978507c4ef1", `opaque="5ccc069c403ebaf9f0171e9517f40e41"`,
		},
		{
			"RFC 2069", `Digest realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093"`,
			"Mufasa", "CircleOfLife", "/dir/index.html", "", "1949323746fe6a43ef61f9606e7febea", `username="Mufasa"`,
		},
	} {
		c, err := digestChallengeOf([]string{v.challenge}, 401)
		if c == nil || err != nil {
			t.Errorf("%s: not understood: %v", v.name, err)
			continue
		}
		got := c.answer(v.login, v.password, "GET", v.uri, c.hash(""), v.cnonce, 1)
		if !strings.Contains(got, `response="`+v.want+`"`) || !strings.Contains(got, v.named) || (c.qop != "") != strings.Contains(got, "qop="+c.qop+", nc=00000001, cnonce=") {
			t.Errorf("%s: %s", v.name, got)
		}
	}
	session := &digestChallenge{realm: `a"b\`, nonce: "n", sum: md5.New, session: true, algorithm: "MD5-sess"}
	got := session.answer("caf\u00e9 1", "p", "GET", "/", "", "c", 1)
	hidden := &digestChallenge{realm: "r", nonce: "n", sum: session.sum, userhash: true}
	if got := hidden.answer("who", "p", "GET", "/", "", "c", 1); !strings.Contains(got, `username="`+hidden.hash("who", "r")+`", userhash=true`) {
		t.Error(got)
	}
	secret := session.hash(session.hash("caf\u00e9 1", `a"b\`, "p"), "n", "c")
	for _, want := range []string{`username*=UTF-8''caf%C3%A9%201`, `realm="a\"b\\"`, `algorithm=MD5-sess`, `cnonce="c"`, session.hash(secret, "n", session.hash("GET", "/"))} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in %s", want, got)
		}
	}
}

func TestParseChallenges(t *testing.T) {
	for in, want := range map[string][]challenge{
		``:                     nil,
		`Basic realm="a, b=c"`: {{"Basic", map[string]string{"realm": "a, b=c"}}},
		`Digest realm=x, nonce="n\"", Basic realm="y"`:       {{"Digest", map[string]string{"realm": "x", "nonce": `n"`}}, {"Basic", map[string]string{"realm": "y"}}},
		`Negotiate, Digest NONCE = "n" , nonce=second`:       {{"Negotiate", map[string]string{}}, {"Digest", map[string]string{"nonce": "n"}}},
		`Negotiate YWJj==, Digest nonce=n`:                   {{"Negotiate", map[string]string{}}, {"YWJj", map[string]string{}}, {"Digest", map[string]string{"nonce": "n"}}},
		`=,"x", Basic realm=a b, c`:                          {{"Basic", map[string]string{"realm": "a"}}, {"b", map[string]string{}}, {"c", map[string]string{}}},
		`Digest nonce="open, Basic realm="y"`:                {{"Digest", map[string]string{"nonce": "open, Basic realm="}}, {"y", map[string]string{}}},
		"Digest\tnonce=n,,\t, realm=r":                       {{"Digest", map[string]string{"nonce": "n", "realm": "r"}}},
		`Digest nonce=n` + "\x00" + `, algorithm=SHA-256, x`: {{"Digest", map[string]string{"nonce": "n\x00", "algorithm": "SHA-256"}}, {"x", map[string]string{}}},
	} {
		if got := parseChallenges([]string{in}); !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	const none = "none"
	for in, want := range map[string]string{ // the protection, or what is unknown
		`Digest nonce=n`: "", `Digest realm=r`: "no nonce", `Digest nonce=n, algorithm=SHA-512-256`: "", `Digest nonce=n, algorithm=SHA-3`: `unknown algorithm "SHA-3"`,
		`Digest nonce=n, qop=auth-int`: "auth-int", `Digest nonce=n, qop="auth-int, auth"`: "auth", `Digest nonce=n, qop="auth,auth-int"`: "auth",
		`Digest nonce=n, qop=""`: `unknown protection ""`, `Digest nonce=n, qop=auth-conf`: `unknown protection "auth-conf"`, `Basic nonce=n`: none, ``: none,
		`Digest nonce=a, algorithm=X, Digest nonce=b`: "", `digest nonce=n, algorithm=md5-SESS, qop=AUTH`: "auth", `Digest realm=r, Digest nonce=n, algorithm=X`: "no nonce",
		`Digest nonce=` + strings.Repeat("n", maxChallenge): "", `Digest nonce=` + strings.Repeat("n", maxChallenge) + `, realm=r`: "too long",
	} {
		c, err := digestChallengeOf([]string{in}, 401)
		var ce *ChallengeError
		switch {
		case c != nil:
			if c.qop != want || err != nil {
				t.Errorf("%.80s: %q, %v", in, c.qop, err)
			}
		case err == nil:
			if want != none {
				t.Errorf("%.80s: no challenge, want %q", in, want)
			}
		case !errors.As(err, &ce) || ce.Reason != want || ce.StatusCode != 401:
			t.Errorf("%.80s: %v, want %q", in, err, want)
		}
	}
}

// digestServer asks for credentials as RFC 7616 has it, and counts.
type digestServer struct {
	*rawServer

	mu       sync.Mutex
	nonce    string
	used     map[string]bool // nc of the nonce
	asked    int
	fields   string // further fields of the 401
	accepted string // further fields of a 200
}

func newDigestServer(t *testing.T, params string) *digestServer {
	d := &digestServer{nonce: "first", used: map[string]bool{}}
	d.rawServer = answer(t, func(request string) string {
		d.mu.Lock()
		defer d.mu.Unlock()
		method, uri, _ := strings.Cut(requestLine(request), " ")
		uri, _, _ = strings.Cut(uri, " ")
		challenge := fmt.Sprintf(`Digest realm="r", nonce="%s"%s`, d.nonce, params)
		_, rest, _ := strings.Cut(request, "\r\nAuthorization: ")
		value, _, _ := strings.Cut(rest, "\r\n")
		p := parseAuthParams(strings.TrimPrefix(value, "Digest "))
		c, _ := digestChallengeOf([]string{challenge}, 401)
		_, body, _ := strings.Cut(request, "\r\n\r\n")
		var count uint32
		_, _ = fmt.Sscanf(p["nc"], "%x", &count)
		switch {
		case value == "" || p["nonce"] != d.nonce || d.used[p["nc"]] || !strings.Contains(c.answer("who", "secret", method, uri, c.hash(body), p["cnonce"], count), `response="`+p["response"]+`"`):
			d.asked++
			return "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"r\"\r\nWWW-Authenticate: " + challenge + "\r\n" + d.fields + "Content-Length: 2\r\n\r\nno"
		}
		d.used[p["nc"]] = true
		if d.accepted != "" {
			d.nonce, d.used = "next", map[string]bool{}
		}
		return ok("in "+uri+" "+body, strings.Fields(d.accepted)...)
	})
	return d
}

func (d *digestServer) renew(nonce string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.nonce, d.used = nonce, map[string]bool{}
}

func TestDigestAuth(t *testing.T) {
	d := newDigestServer(t, `, qop="auth", algorithm=SHA-256`)
	auth, err := DigestAuth(d.URL, "who", "secret")
	if err != nil {
		t.Fatal(err)
	}
	s := newSession(t, Config{Middleware: []Middleware{auth}})
	for i := range 3 {
		if text := fetch(t, s, d.URL+"/a?b=%2F"); text != "in /a?b=%2F " {
			t.Errorf("%d: %q", i, text)
		}
	}
	resp, err := s.Post(t.Context(), d.URL+"/form", StringBody("body"))
	if err != nil {
		t.Fatal(err)
	}
	if text, _ := resp.Text(); text != "in /form body" {
		t.Errorf("%q", text)
	}
	if requests, conns := d.count(); d.asked != 1 || requests != 5 || conns != 1 {
		t.Errorf("asked %d times in %d requests over %d connections", d.asked, requests, conns)
	}
	d.renew("second")
	if text := fetch(t, s, d.URL+"/"); text != "in / " || d.asked != 2 {
		t.Errorf("%q after a new nonce, asked %d times", text, d.asked)
	}
	d.renew("third")
	resp, err = s.Post(t.Context(), d.URL+"/", ReaderBody(io.MultiReader(strings.NewReader("once")), 4))
	if err != nil || resp.StatusCode != 401 {
		t.Errorf("a body that cannot be sent again: %v", err)
	}
	resp.Release()
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if text := fetch(t, s, d.URL+"/"); text != "in / " {
				t.Errorf("many at once: %q", text)
			}
		})
	}
	wg.Wait()
}

// TestDigestAuthLeavesAlone: what is not answered.
func TestDigestAuthLeavesAlone(t *testing.T) {
	d := newDigestServer(t, "")
	wrong, err := DigestAuth(d.URL+"/", "who", "wrong")
	if err != nil {
		t.Fatal(err)
	}
	s := newSession(t, Config{Middleware: []Middleware{wrong}})
	for i, want := range []int{2, 3} {
		resp, text := get(t, s, d.URL)
		if requests, _ := d.count(); resp.StatusCode != 401 || text != "no" || requests != want {
			t.Errorf("%d: wrong password: %d %q after %d requests", i, resp.StatusCode, text, requests)
		}
	}
	before, _ := d.count()
	for _, opt := range []RequestOption{Auth(&BasicAuth{Login: "a"}), Header("Authorization", "Bearer x")} {
		if resp, _ := get(t, s, d.URL, opt); resp.StatusCode != 401 {
			t.Errorf("%d", resp.StatusCode)
		}
	}
	if after, _ := d.count(); after != before+2 {
		t.Errorf("%d requests with credentials of their own", after-before)
	}
	there := newDigestServer(t, "")
	away := answer(t, func(string) string { return redirectTo(302, there.URL) })
	right, err := DigestAuth(away.URL, "who", "secret")
	if err != nil {
		t.Fatal(err)
	}
	s = newSession(t, Config{Middleware: []Middleware{right}})
	if resp, _ := get(t, s, away.URL); resp.StatusCode != 401 {
		t.Errorf("another origin gets %d", resp.StatusCode)
	}
	if requests, _ := there.count(); requests != 1 {
		t.Errorf("%d requests to another origin", requests)
	}
	for _, origin := range []string{"", "example.org", "ftp://example.org", "http://example.org/path", "http://a:b@example.org", "http://example.org?x"} {
		if _, err := DigestAuth(origin, "a", "b"); !errors.Is(err, ErrInvalidURL) {
			t.Errorf("%q: %v", origin, err)
		}
	}
}

// TestDigestAuthNonces: a nonce for each request, and answers that went stale.
func TestDigestAuthNonces(t *testing.T) {
	d := newDigestServer(t, `, qop=auth`)
	d.accepted = `Authentication-Info:nextnonce="next"`
	auth, err := DigestAuth(d.URL, "who", "secret")
	if err != nil {
		t.Fatal(err)
	}
	s := newSession(t, Config{Middleware: []Middleware{auth}})
	for range 3 {
		fetch(t, s, d.URL)
	}
	if d.asked != 1 {
		t.Errorf("asked %d times though the next nonce was told", d.asked)
	}
	stale := newDigestServer(t, `, qop=auth, stale=true`)
	if auth, err = DigestAuth(stale.URL, "who", "secret"); err != nil {
		t.Fatal(err)
	}
	s = newSession(t, Config{Middleware: []Middleware{auth}})
	fetch(t, s, stale.URL)
	stale.renew("first") // the count begins anew as well
	stale.used["00000002"] = true
	if text := fetch(t, s, stale.URL); text != "in / " || stale.asked != 2 {
		t.Errorf("%q, asked %d times", text, stale.asked)
	}
}

// FuzzChallenges: what was read is read again from its plain form.
func FuzzChallenges(f *testing.F) {
	for _, seed := range []string{
		`Digest realm="r", nonce="n", qop="auth,auth-int", algorithm=SHA-256-sess, Basic realm="x"`, `Negotiate abc==, Digest nonce="a\"b`, `,,=x, Basic`, "a b\tc=d e = f",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, field string) {
		list := parseChallenges([]string{field})
		var plain []string
		for _, c := range list {
			var params []string
			for _, name := range slices.Sorted(maps.Keys(c.params)) {
				params = append(params, name+`="`+quoted(c.params[name])+`"`)
			}
			plain = append(plain, c.scheme+" "+strings.Join(params, ", "))
		}
		if again := parseChallenges([]string{strings.Join(plain, ", ")}); !reflect.DeepEqual(again, list) {
			t.Fatalf("%q\n%q\n%q", plain, list, again)
		}
		if d, err := digestChallengeOf([]string{field}, 401); d != nil {
			if err != nil {
				t.Fatal(err)
			}
			answer := d.answer("login", "password", "GET", "/", "", "cnonce", 1)
			p := parseAuthParams(strings.TrimPrefix(answer, "Digest "))
			if p["nonce"] != d.nonce || p["realm"] != d.realm || p["uri"] != "/" {
				t.Fatalf("%q for %q", answer, field)
			}
		}
	})
}

// TestDigestAuthInt: the body is part of the answer where the server insists on it.
func TestDigestAuthInt(t *testing.T) {
	d := newDigestServer(t, `, qop="auth-int", algorithm=SHA-512-256`)
	auth, err := DigestAuth(d.URL, "who", "secret")
	if err != nil {
		t.Fatal(err)
	}
	s := newSession(t, Config{Middleware: []Middleware{auth}})
	if text := fetch(t, s, d.URL+"/a"); text != "in /a " {
		t.Errorf("no body: %q", text)
	}
	long := strings.Repeat("body ", 50_000)
	var form FormData
	form.Add("a", "b")
	for _, body := range []Body{StringBody("body"), BytesBody([]byte(long)), FormBody(nil), &form} {
		resp, err := s.Post(t.Context(), d.URL+"/form", body)
		if err != nil {
			t.Fatal(err)
		}
		if text, _ := resp.Text(); !strings.HasPrefix(text, "in /form ") {
			t.Errorf("%.80q", text)
		}
	}
	if requests, _ := d.count(); d.asked != 1 || requests != 6 {
		t.Errorf("asked %d times in %d requests", d.asked, requests)
	}
	resp, err := s.Post(t.Context(), d.URL, ReaderBody(io.MultiReader(strings.NewReader("once")), 4))
	if err != nil || resp.StatusCode != 401 || d.asked != 2 {
		t.Errorf("a body that cannot be read beforehand: %v, asked %d times", err, d.asked)
	}
	resp.Release()
	cause := errors.New("no more ink")
	if _, err := s.Post(t.Context(), d.URL, PipeBody(func(io.Writer) error { return cause })); !errors.Is(err, cause) || !errors.Is(err, ErrPayload) {
		t.Error(err)
	}

	// By RFC 7616 section 3.4 written out, with a body that is sent in a coding.
	h := func(s string) string { return fmt.Sprintf("%x", md5.Sum([]byte(s))) }
	plain := answer(t, func(r string) string {
		_, rest, _ := strings.Cut(r, "\r\nAuthorization: Digest ")
		value, _, found := strings.Cut(rest, "\r\n")
		if !found {
			return "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Digest realm=\"r\", nonce=\"n\", qop=\"auth-int\"\r\nContent-Length: 0\r\n\r\n"
		}
		p := parseAuthParams(value)
		_, sent, _ := strings.Cut(r, "\r\n\r\n")
		resp, err := http.ReadResponse(bufio.NewReader(strings.NewReader("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"+sent)), nil)
		if err != nil {
			t.Error(err)
			return ""
		}
		coded, _ := io.ReadAll(resp.Body)
		want := h(h("who:r:secret") + ":n:" + p["nc"] + ":" + p["cnonce"] + ":auth-int:" + h("PUT:/x:"+h(string(coded))))
		if p["response"] != want || p["qop"] != "auth-int" || p["nc"] != "00000001" || len(coded) == 0 {
			t.Errorf("%q, want response %s", p, want)
		}
		return ok("")
	})
	if auth, err = DigestAuth(plain.URL, "who", "secret"); err != nil {
		t.Fatal(err)
	}
	resp, err = newSession(t, Config{Middleware: []Middleware{auth}}).Put(t.Context(), plain.URL+"/x", StringBody("text"), Compress(Gzip))
	if err != nil || resp.StatusCode != 200 {
		t.Error(err)
	}
	resp.Release()
}

// TestDigestAuthHostile: whatever a server asks, and however often, a call sends its request twice at most.
func TestDigestAuthHostile(t *testing.T) {
	for _, v := range []struct {
		name, challenge string // with %d for a new number each time
		typed           bool
		sends           int // of the first call, and of later ones
		later           int
	}{
		{"endless nonces", `Digest realm="r", nonce="%d"`, false, 2, 2},
		{"endless nonces, stale", `Digest realm="r", nonce="%d", stale=true, qop="auth"`, false, 2, 2},
		{"one nonce, stale", `Digest realm="r", nonce="n", stale=true, qop="auth" %d`, false, 2, 2},
		{"one nonce", `Digest realm="r", nonce="n", qop="auth" %d`, false, 2, 1},
		{"changing algorithms", `Digest realm="r", nonce="n", stale=true, algorithm="MD5", opaque="%d"`, false, 2, 2},
		{"unknown algorithm", `Digest realm="r", nonce="%d", algorithm="MD7"`, true, 1, 1},
		{"unknown protection", `Digest realm="r", nonce="%d", qop="auth-conf"`, true, 1, 1},
		{"no nonce", `Digest realm="%d"`, true, 1, 1},
		{"too long", `Digest realm="r%d", nonce="` + strings.Repeat("n", maxChallenge) + `"`, true, 1, 1},
		{"no scheme that is known", `Negotiate, Basic realm="%d"`, false, 1, 1},
	} {
		n := 0
		srv := answer(t, func(string) string {
			n++
			return "HTTP/1.1 401 Unauthorized\r\nAuthentication-Info: nextnonce=\"" + strings.Repeat("x", maxChallenge+1) + "\"\r\nWWW-Authenticate: " + fmt.Sprintf(v.challenge, n) + "\r\nContent-Length: 2\r\n\r\nno"
		})
		auth, err := DigestAuth(srv.URL, "who", "secret")
		if err != nil {
			t.Fatal(err)
		}
		s := newSession(t, Config{Middleware: []Middleware{auth}})
		for i := range 4 {
			before := n
			resp, err := s.Get(t.Context(), srv.URL)
			want := v.later
			if i == 0 {
				want = v.sends
			}
			if n-before != want {
				t.Errorf("%s: call %d sent %d requests, want %d", v.name, i, n-before, want)
			}
			if v.typed {
				var ce *ChallengeError
				if !errors.As(err, &ce) || ce.StatusCode != 401 || ce.Reason == "" || !errors.Is(err, ErrChallenge) || !errors.Is(err, ErrResponse) {
					t.Errorf("%s: %v", v.name, err)
				}
				continue
			}
			if err != nil {
				t.Errorf("%s: %v", v.name, err)
				continue
			}
			if text, err := resp.Text(); resp.StatusCode != 401 || text != "no" || err != nil {
				t.Errorf("%s: %d %q, %v", v.name, resp.StatusCode, text, err)
			}
		}
		if st := s.Connector().Stats(); st.Held() != 0 || st.Dials != 1 {
			t.Errorf("%s: %+v", v.name, st)
		}
	}
}
