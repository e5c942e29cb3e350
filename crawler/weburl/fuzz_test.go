package weburl

import (
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	whatwg "github.com/nlnwa/whatwg-url/url"
)

// The standard encodes "^" in paths since 2025.
var reference = whatwg.NewParser(whatwg.WithPathPercentEncodeSet(whatwg.PathPercentEncodeSet.Set('^')))

// referenceExact is parseExact by the reference. It is not ok where the reference is known to be behind the standard.
func referenceExact(base, ref string) (href string, ok bool) {
	// The current standard takes every domain that is ASCII, and the reference knows older tables.
	if strings.Contains(strings.ToLower(unescape(trim(ref))), "xn--") {
		return "", false
	}
	u, err := reference.ParseRef(base, ref)
	// It takes "+1" and "-1" for numbers, too.
	if strings.ContainsAny(unescape(ref), "+-") && (err == nil && u.IsIPv4() || err != nil && strings.Contains(err.Error(), "IPv4")) {
		return "", false
	}
	// And it takes any number of brackets around an IPv6 address, where the standard takes one on each side.
	if err == nil && u.IsIPv6() && strings.Count(ref, "[")+strings.Count(ref, "]") > 2 {
		return "", false
	}
	if err != nil {
		return "", !strings.Contains(err.Error(), "ToASCII")
	}
	if u.Scheme() != "http" && u.Scheme() != "https" {
		return "", true
	}
	return u.Href(false), true
}

// slowCanonical normalizes what the URL Standard's parser returned, one step after the other.
func slowCanonical(href string) string {
	href, _, _ = strings.Cut(href, "#")
	scheme, rest, _ := strings.Cut(href, "://")
	slash := strings.IndexByte(rest, '/')
	authority, path := rest[:slash], rest[slash:]

	user, host := "", authority
	if at := strings.LastIndexByte(authority, '@'); at >= 0 {
		user, host = slowUnescape(authority[:at])+"@", authority[at+1:]
	}
	host, port := cutPort(host)
	if len(host) > 1 && strings.HasSuffix(host, ".") && !strings.HasSuffix(host, "..") {
		host = strings.TrimSuffix(host, ".")
	}
	if port != "" {
		host += ":" + port
	}
	path, query, _ := strings.Cut(path, "?")
	path, query = slowUnescape(path), slowUnescape(query)
	if query != "" {
		query = "?" + query
	}
	return scheme + "://" + user + host + path + query
}

func slowUnescape(s string) string {
	out := ""
	for s != "" {
		if len(s) >= 3 && s[0] == '%' && isHex(s[1]) && isHex(s[2]) {
			c, _ := url.PathUnescape(s[:3])
			stray := strings.HasSuffix(out, "%") || len(out) > 1 && out[len(out)-2] == '%'
			if !strings.ContainsAny(c, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~") || stray && isHex(c[0]) {
				c = strings.ToUpper(s[:3])
			}
			out, s = out+c, s[3:]
		} else {
			out, s = out+s[:1], s[1:]
		}
	}
	return out
}

func addSeeds(f *testing.F) {
	for _, ref := range []string{
		"http://example.org/", "//User:pass@EXAMPLE.org:8080/a/../b?c#d", "../x/./y%2e%2E/%7e", "?q='\"<>", "#f",
		"http:\\\\a\\b", "https:x", "http://0x7f.1./", "http://[::ffff:1.2.3.4]:0080/%zz%%34", "http://bücher.example/ü?ü",
		"/a//../..//%41%2f", "http://1.2.3/", "http://a@b@c:d@e/", "a:b", "\thttp\n://x", "http://xn--bcher-kva.example/", "http://a.b.:80/",
	} {
		f.Add("https://u:p@example.org:8080/a/b/c?d", ref)
		f.Add("", ref)
	}
}

// FuzzReference compares with the reference, before normalizing and after.
func FuzzReference(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, base, ref string) {
		if !utf8.ValidString(base) || !utf8.ValidString(ref) || len(base)+len(ref) > maxIDNA {
			return // the standard parses characters
		}
		baseHref := ""
		if base != "" {
			href, ok := referenceExact("", base)
			got, _ := parseExact("", base)
			if !ok || href == "" || got == "" {
				return
			}
			baseHref = href
		}
		want, ok := referenceExact(baseHref, ref)
		got, reason := parseExact(baseHref, ref)
		if ok && got != want {
			t.Fatalf("%q on %q: got %q (%s), reference %q", ref, baseHref, got, reason, want)
		}
		if reason != "" {
			return
		}
		page := URL{}
		if baseHref != "" {
			page = mustParse(t, baseHref)
		}
		canonical, err := page.ResolveString(ref)
		if err != nil || canonical.String() != slowCanonical(got) && baseHref == "" {
			t.Fatalf("%q on %q: got %q, %v, want %q", ref, baseHref, canonical, err, slowCanonical(got))
		}
		if direct := mustParse(t, got); direct != canonical {
			t.Fatalf("%q on %q: %q, but %q by way of %q", ref, baseHref, canonical, direct, got)
		}
	})
}

// FuzzResolve checks what must hold of any bytes.
func FuzzResolve(f *testing.F) {
	addSeeds(f)
	f.Add("http://\xff/", "\xff?\xff")
	f.Fuzz(func(t *testing.T, base, ref string) {
		page, _ := Parse(base)
		u, err := page.ResolveString(ref)
		if err != nil {
			if u != (URL{}) || err.(*Error).Reason == "" {
				t.Fatalf("%v, %v", u, err)
			}
			return
		}
		if again, err := Parse(u.String()); err != nil || again != u {
			t.Fatalf("%q parses as %q, %v", u, again, err)
		}
		if bytes, err := page.Resolve([]byte(ref)); err != nil || bytes != u {
			t.Fatalf("%q from a string, %q from bytes, %v", u, bytes, err)
		}
		if got := batched(new(Batch), Parser{}, page, ref, "x", ref); got[0] != u || got[len(got)-1] != u {
			t.Fatalf("%q alone, %q in a batch", u, got)
		}
		user := u.User()
		if user != "" {
			user += "@"
		}
		if u.Scheme()+"://"+user+u.Host()+u.PathAndQuery() != u.String() || !strings.HasPrefix(u.Path(), "/") || u.Hostname() == "" {
			t.Fatalf("the parts of %q do not make it", u)
		}
		for _, c := range []byte(u.String()) {
			if c <= ' ' || c >= 0x7F || c == '#' {
				t.Fatalf("%q has a byte that may not stand in a URL", u)
			}
		}
		Domain(u.Hostname())
	})
}

// FuzzParseSeed checks that what comes out of a seed is what its candidates say.
func FuzzParseSeed(f *testing.F) {
	for _, line := range []string{"https://example.org/x", "example.org/x", "127.0.0.1:8080", "localhost:80/a", "[::1]:1", "joe@example.org", "C:\\a"} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		urls, err := ParseSeed(line)
		if (err == nil) != (len(urls) == 1 || len(urls) == 2) {
			t.Fatalf("%v, %v", urls, err)
		}
		if len(urls) == 2 && (urls[0].Scheme() != "https" || urls[1].Scheme() != "http" ||
			urls[0].Hostname() != urls[1].Hostname() || urls[0].PathAndQuery() != urls[1].PathAndQuery()) {
			t.Fatal(urls)
		}
	})
}
