package httpclient

import (
	"errors"
	"fmt"
	"io"
	"maps"
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
		c := digestChallengeOf([]string{v.challenge})
		if c == nil {
			t.Errorf("%s: not understood", v.name)
			continue
		}
		got := c.answer(v.login, v.password, "GET", v.uri, v.cnonce, 1)
		if !strings.Contains(got, `response="`+v.want+`"`) || !strings.Contains(got, v.named) || c.qop != strings.Contains(got, "qop=auth, nc=00000001, cnonce=") {
			t.Errorf("%s: %s", v.name, got)
		}
	}
	session := &digestChallenge{realm: `a"b\`, nonce: "n", sum: newDigestChallenge(map[string]string{"nonce": "n"}).sum, session: true, algorithm: "MD5-sess"}
	got := session.answer("caf\u00e9 1", "p", "GET", "/", "c", 1)
	hidden := &digestChallenge{realm: "r", nonce: "n", sum: session.sum, userhash: true}
	if got := hidden.answer("who", "p", "GET", "/", "c", 1); !strings.Contains(got, `username="`+hidden.hash("who", "r")+`", userhash=true`) {
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
	for in, known := range map[string]bool{
		`Digest nonce=n`: true, `Digest realm=r`: false, `Digest nonce=n, algorithm=SHA-512-256`: false, `Digest nonce=n, qop=auth-int`: false,
		`Digest nonce=n, qop=""`: false, `Basic nonce=n`: false, `Digest nonce=a, algorithm=X, Digest nonce=b`: true, `digest nonce=n, algorithm=md5-SESS, qop=AUTH`: true,
	} {
		if c := digestChallengeOf([]string{in}); (c != nil) != known {
			t.Errorf("%s: %+v", in, c)
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
		c := digestChallengeOf([]string{challenge})
		var count uint32
		_, _ = fmt.Sscanf(p["nc"], "%x", &count)
		switch {
		case value == "" || p["nonce"] != d.nonce || d.used[p["nc"]] || !strings.Contains(c.answer("who", "secret", method, uri, p["cnonce"], count), `response="`+p["response"]+`"`):
			d.asked++
			return "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"r\"\r\nWWW-Authenticate: " + challenge + "\r\n" + d.fields + "Content-Length: 2\r\n\r\nno"
		}
		d.used[p["nc"]] = true
		_, body, _ := strings.Cut(request, "\r\n\r\n")
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
		if d := digestChallengeOf([]string{field}); d != nil {
			answer := d.answer("login", "password", "GET", "/", "cnonce", 1)
			p := parseAuthParams(strings.TrimPrefix(answer, "Digest "))
			if p["nonce"] != d.nonce || p["realm"] != d.realm || p["uri"] != "/" {
				t.Fatalf("%q for %q", answer, field)
			}
		}
	})
}
