package warc

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// SURT returns the key by which an index finds url: the host's names in reverse
// order, and path and query in lower case and tidied up, so that URLs that
// usually lead to the same page have one key. It does what the surt package of the
// Internet Archive does, by whose keys pywb and OpenWayback look pages up. URLs
// other than http and https are returned as they are.
func SURT(url string) string {
	scheme, rest, found := strings.Cut(url, "://")
	scheme = strings.ToLower(scheme)
	if !found || scheme != "http" && scheme != "https" {
		return uri(url)
	}
	rest, _, _ = strings.Cut(rest, "#")
	authority, tail := rest, ""
	if i := strings.IndexAny(rest, "/?\\"); i >= 0 {
		authority, tail = rest[:i], rest[i:]
	}
	path, query, hasQuery := strings.Cut(tail, "?")
	key := append(make([]byte, 0, len(url)+8), surtHost(scheme, authority)...)
	key = append(key, ')')
	key = append(key, surtPath(path)...)
	if hasQuery {
		if q := surtQuery(query); q != "" {
			key = append(append(key, '?'), q...)
		}
	}
	return string(key)
}

func surtHost(scheme, authority string) string {
	host := strings.ToLower(authority[strings.LastIndexByte(authority, '@')+1:])
	port := ""
	if i := strings.LastIndexByte(host, ':'); i > strings.LastIndexByte(host, ']') {
		host, port = host[:i], host[i+1:]
	}
	if port == "80" && scheme == "http" || port == "443" && scheme == "https" {
		port = ""
	}
	host = escape(unescape(strings.Trim(host, ".")))
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err != nil {
		if rest, found := strings.CutPrefix(host, "www"); found {
			if rest, found = strings.CutPrefix(strings.TrimLeft(rest, "0123456789"), "."); found {
				host = rest
			}
		}
	}
	if !strings.HasPrefix(host, "[") {
		parts := strings.Split(host, ".")
		slices.Reverse(parts)
		host = strings.Join(parts, ",")
	}
	if port != "" {
		host += ":" + escape(port)
	}
	return host
}

func surtPath(path string) string {
	path = unescape(path)
	var kept []string
	parts := strings.Split(path, "/")
	for i, p := range parts {
		switch {
		case p == ".", p == "" && i < len(parts)-1:
		case p == ".." && len(kept) > 0:
			kept = kept[:len(kept)-1]
		default:
			kept = append(kept, p)
		}
	}
	path = strings.ToLower(escape("/" + strings.Join(kept, "/")))
	if strings.Contains(path, ".aspx") {
		path = sessionPatterns().path.ReplaceAllString(path, "$1$2")
	}
	if len(path) > 1 {
		path = strings.TrimSuffix(path, "/")
	}
	return path
}

func surtQuery(query string) string {
	query = strings.ToLower(escape(unescape(query)))
	if strings.Contains(query, "sid=") || strings.Contains(query, "sessionid") || strings.Contains(query, "cfid=") {
		for _, re := range sessionPatterns().query {
			query = re.ReplaceAllString(query, "$1$2")
		}
	}
	args := strings.Split(query, "&")
	slices.SortStableFunc(args, func(a, b string) int {
		ka, va, _ := strings.Cut(a, "=")
		kb, vb, _ := strings.Cut(b, "=")
		if c := strings.Compare(ka, kb); c != 0 {
			return c
		}
		return strings.Compare(va, vb)
	})
	return strings.Join(args, "&")
}

// sessionIDs are the parts of a URL that differ from visit to visit.
type sessionIDs struct {
	path  *regexp.Regexp
	query []*regexp.Regexp
}

var sessionPatterns = sync.OnceValue(func() sessionIDs {
	s := sessionIDs{path: regexp.MustCompile(`^(.*/)\((?:(?:[a-z]\([0-9a-z]{24}\))+|[0-9a-z]{24})\)/([^?]+\.aspx.*)$`)}
	for _, id := range []string{
		`jsessionid=[0-9a-z]{32}`, `phpsessid=[0-9a-z]{32}`, `sid=[0-9a-z]{32}`, `aspsessionid[a-z]{8}=[a-z]{24}`, `cfid=[^&]+&cftoken=[^&]+`,
	} {
		s.query = append(s.query, regexp.MustCompile(`^(.*)`+id+`(?:&(.*))?$`))
	}
	return s
})

// unescape undoes percent-encoding until there is none left.
func unescape(s string) string {
	for strings.IndexByte(s, '%') >= 0 {
		b := make([]byte, 0, len(s))
		for i := 0; i < len(s); i++ {
			if s[i] == '%' && i+2 < len(s) {
				hi, ok1 := unhex(s[i+1])
				lo, ok2 := unhex(s[i+2])
				if ok1 && ok2 {
					b = append(b, hi<<4|lo)
					i += 2
					continue
				}
			}
			b = append(b, s[i])
		}
		if len(b) == len(s) {
			break
		}
		s = string(b)
	}
	return s
}

func unhex(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}

// escape encodes what is not printable ASCII, and # and %.
func escape(s string) string {
	b := make([]byte, 0, len(s))
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || c == '#' || c == '%' {
			b = append(b, '%', "0123456789ABCDEF"[c>>4], "0123456789ABCDEF"[c&0xf])
		} else {
			b = append(b, c)
		}
	}
	return string(b)
}
