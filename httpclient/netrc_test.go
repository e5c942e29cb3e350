package httpclient

import (
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestReadNetrc(t *testing.T) {
	n, err := ReadNetrc(strings.NewReader(`# of mine
login nobody machine Example.ORG
	login somebody # the account
	password #secret#
machine quoted.test login "a \"b\" c" password "tab\there \\ x" account ignored
machine twice.test login one password 1 machine twice.test login two password 2
macdef init
machine macro.test login in password macro

machine after.test user last
	password
	x
default login anonymous password guest
default login other password other`))
	if err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string]BasicAuth{
		"example.org": {Login: "somebody", Password: "#secret#"}, "EXAMPLE.org": {Login: "somebody", Password: "#secret#"},
		"quoted.test": {Login: `a "b" c`, Password: "tab\there \\ x"}, "twice.test": {Login: "one", Password: "1"},
		"after.test": {Login: "last", Password: "x"}, "macro.test": {Login: "anonymous", Password: "guest"}, "sub.example.org": {Login: "anonymous", Password: "guest"},
	} {
		want.Charset = "utf-8"
		if a := n.Auth(host); a == nil || *a != want {
			t.Errorf("%s: %+v", host, a)
		}
	}
	for text, line := range map[string]int{
		"machine": 1, "machine a\nlogin\n": 2, "\n\nmachin a": 3, "machine \"a": 1, "machine a\n\tpassword \"x\ny\"": 2, `machine "a\`: 1,
		"# a\nmacdef": 2, "machine a # b\n# c\n\nlogins": 4, "macdef x\ny\n\nz": 4, strings.Repeat("\n", maxNetrc+1): maxNetrc + 2,
	} {
		var ne *NetrcError
		if _, err := ReadNetrc(strings.NewReader(text)); !errors.As(err, &ne) || ne.Line != line {
			t.Errorf("%.40q: %v, want line %d", text, err, line)
		}
	}
	if (*Netrc)(nil).Auth("a") != nil || new(Netrc).Auth("a") != nil {
		t.Error("credentials out of nothing")
	}
}

func TestLoadNetrc(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "mine")
	if err := os.WriteFile(path, []byte("machine a.test login l password p"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("NETRC", path)
	for _, p := range []string{path, ""} {
		if n, err := LoadNetrc(p); err != nil || n.Auth("a.test") == nil {
			t.Errorf("%q: %v", p, err)
		}
	}
	t.Setenv("NETRC", filepath.Join(dir, "none"))
	if n, err := LoadNetrc(""); err != nil || n.Auth("a.test") != nil {
		t.Errorf("%v", err)
	}
	if _, err := LoadNetrc(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
	if err := os.WriteFile(path, []byte("wrong"), 0o600); err != nil {
		t.Fatal(err)
	}
	var ne *NetrcError
	if _, err := LoadNetrc(path); !errors.As(err, &ne) || !strings.Contains(err.Error(), path) {
		t.Errorf("%v", err)
	}
}

// TestNetrcOfSession: which credentials go out.
func TestNetrcOfSession(t *testing.T) {
	away := mirror(t)
	srv := answer(t, func(r string) string {
		if strings.HasPrefix(r, "GET /away") {
			return redirectTo(302, strings.Replace(away.URL, "127.0.0.1", "localhost", 1))
		}
		return ok(r)
	})
	basic := func(login string) string {
		v, _ := (&BasicAuth{Login: login, Password: "p"}).Header()
		return "Authorization: " + v
	}
	read := func(text string) *Netrc {
		n, err := ReadNetrc(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	own, fallback := "machine 127.0.0.1 login own password p\n", "default login default password p\n"
	there := "machine localhost login there password p\n"
	session := &BasicAuth{Login: "session", Password: "p"}
	for _, v := range []struct {
		name, netrc, path string
		opts              []RequestOption
		want              string
	}{
		{"of the host", own + fallback, "/", nil, basic("own")},
		{"of no other host", there, "/", nil, basic("session")},
		{"default", there + fallback, "/", nil, basic("default")},
		{"of the request", own, "/", []RequestOption{Auth(&BasicAuth{Login: "request", Password: "p"})}, basic("request")},
		{"in a field", own, "/", []RequestOption{Header("Authorization", "Bearer x")}, "Authorization: Bearer x"},
		{"redirected away", own + fallback, "/away", nil, ""},
		{"redirected to one it knows", own + there, "/away", nil, basic("there")},
	} {
		s := newSession(t, Config{Netrc: read(v.netrc), Auth: session})
		got := fetch(t, s, srv.URL+v.path, v.opts...)
		if v.want == "" {
			hasNot(t, got, "Authorization")
		} else {
			has(t, got, v.want)
		}
		if strings.Count(got, "Authorization") > 1 {
			t.Errorf("%s: %s", v.name, got)
		}
	}
}

// TestNetrcDowngrade: a redirect from https to http has nothing sent in the clear, by whatever client it is followed.
func TestNetrcDowngrade(t *testing.T) {
	plain := mirror(t)
	secure := httptest.NewTLSServer(http.RedirectHandler(plain.URL, http.StatusFound))
	defer secure.Close()
	n, err := ReadNetrc(strings.NewReader("machine 127.0.0.1 login u password p"))
	if err != nil {
		t.Fatal(err)
	}
	s := newSession(t, Config{Netrc: n, Connector: newTCP(t, TCPConfig{TLS: rootsOf(secure)})})
	has(t, fetch(t, s, plain.URL), "Authorization: Basic dTpw")
	hasNot(t, fetch(t, s, secure.URL), "Authorization")
	client := &http.Client{Transport: s.RoundTripper()}
	resp, err := client.Get(secure.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, _ := io.ReadAll(resp.Body)
	hasNot(t, string(got), "Authorization")
}

// FuzzNetrc: what was read is read again from its plain form.
func FuzzNetrc(f *testing.F) {
	for _, seed := range []string{
		"machine a login b password c\ndefault login d", "machine \"a\\n\" password \"\\\\\"", "macdef x\n\nmachine # y\n", "# a\n\r\nmachine b\raccount c",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		n, err := ReadNetrc(strings.NewReader(text))
		if err != nil {
			if ne := (*NetrcError)(nil); !errors.As(err, &ne) || ne.Line < 1 || ne.Line > 1+strings.Count(text, "\n") {
				t.Fatal(err)
			}
			return
		}
		quote := func(s string) string {
			return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(s) + `"`
		}
		var b strings.Builder
		entry := func(head string, a *BasicAuth) {
			b.WriteString(head + " login " + quote(a.Login) + " password " + quote(a.Password) + "\n")
		}
		for _, host := range slices.Sorted(maps.Keys(n.machines)) {
			entry("machine "+quote(host), n.machines[host])
		}
		if n.fallback != nil {
			entry("default", n.fallback)
		}
		again, err := ReadNetrc(strings.NewReader(b.String()))
		if err != nil {
			t.Fatalf("%s: %v", b.String(), err)
		}
		same := func(a, b *BasicAuth) bool { return a == b || a != nil && b != nil && *a == *b }
		if !maps.EqualFunc(again.machines, n.machines, same) || !same(again.fallback, n.fallback) {
			t.Fatalf("%q", b.String())
		}
	})
}
