package weburl

import (
	"cmp"
	"slices"
	"strings"
)

// Rules are normalizations that usually, but not always, leave the page the same. The zero value has none. They never
// make a URL longer, and applying them twice is the same as once.
type Rules struct {
	// SessionIDs drops what names a visit and not a page: the query parameters jsessionid, phpsessid, aspsessionid*, cfid, cftoken,
	// sessionid and session_id, sid if its value has 32 letters and digits, the path parameter ;jsessionid=, and the
	// path segments (S(...)) of ASP.NET.
	SessionIDs bool

	// Tracking drops query parameters that tell where a visitor came from: utm_*, gclid, fbclid, msclkid and their like.
	Tracking bool

	// DropParams are names of further query parameters to drop, whatever their value, in the case they are written in.
	DropParams []string

	// SortQuery sorts query parameters by name. Those of one name keep their order.
	SortQuery bool

	// StripWWW drops "www." before a name that is a registrable domain or below one.
	StripWWW bool

	// TrailingSlash drops slashes at the end of paths other than "/".
	TrailingSlash bool
}

// Apply returns u after the rules. It allocates only if they change u or sort its query.
func (r Rules) Apply(u URL) URL {
	if r.StripWWW {
		u = stripWWW(u)
	}
	if r.SessionIDs {
		u = u.withPath(withoutSession(u.Path()))
	}
	if r.SessionIDs || r.Tracking || r.SortQuery || len(r.DropParams) > 0 {
		u = r.applyToQuery(u)
	}
	if r.TrailingSlash && strings.HasSuffix(u.Path(), "/") {
		u = u.withPath(cmp.Or(strings.TrimRight(u.Path(), "/"), "/"))
	}
	return u
}

// reparse returns the URL of s, which is a URL but may have new dot segments and the like.
func (u URL) reparse(s string) URL {
	changed, err := Parser{MaxLength: max(len(u.s), len(s))}.Parse(s)
	if err != nil {
		return u
	}
	return changed
}

func (u URL) withPath(path string) URL {
	if path == u.Path() {
		return u
	}
	return u.reparse(u.s[:u.path] + path + u.s[u.query:])
}

func stripWWW(u URL) URL {
	for strings.HasPrefix(u.Hostname(), "www.") && Domain(u.Hostname()) != u.Hostname() {
		u = u.reparse(u.s[:u.host] + u.s[u.host+uint32(len("www.")):])
	}
	return u
}

// withoutSession drops path parameters and segments that name a session.
func withoutSession(path string) string {
	const param = ";jsessionid="
	for {
		i := indexFold(path, param)
		if i < 0 {
			break
		}
		end := i + len(param)
		for end < len(path) && path[end] != ';' && path[end] != '/' {
			end++
		}
		path = path[:i] + path[end:]
	}
	for {
		i := indexFold(path, "/(s(")
		if i < 0 {
			return path
		}
		n := strings.Index(path[i+1:], "))")
		if n < 0 || strings.IndexByte(path[i+1:i+1+n], '/') >= 0 || !strings.HasPrefix(path[i+1+n+2:], "/") {
			return path
		}
		path = path[:i] + path[i+1+n+2:]
	}
}

// indexFold is strings.Index without regard to case; substr is in lower case.
func indexFold(s, substr string) int {
	for i := 0; i+len(substr) <= len(s); i++ {
		if s[i] == substr[0] && strings.EqualFold(s[i:i+len(substr)], substr) {
			return i
		}
	}
	return -1
}

func (r Rules) applyToQuery(u URL) URL {
	query := u.Query()
	if query == "" {
		return u
	}
	var kept []string
	changed := false
	for param := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(param, "=")
		if r.drops(name, value) {
			changed = true
		} else {
			kept = append(kept, param)
		}
	}
	if r.SortQuery && !slices.IsSortedFunc(kept, byName) {
		slices.SortStableFunc(kept, byName)
		changed = true
	}
	switch {
	case !changed:
		return u
	case len(kept) == 0:
		return u.reparse(u.s[:u.query])
	default:
		return u.reparse(u.s[:u.query+1] + strings.Join(kept, "&"))
	}
}

func byName(a, b string) int {
	a, _, _ = strings.Cut(a, "=")
	b, _, _ = strings.Cut(b, "=")
	return strings.Compare(a, b)
}

// drops tells whether a query parameter is to be dropped.
func (r Rules) drops(name, value string) bool {
	if slices.Contains(r.DropParams, name) {
		return true
	}
	if !r.SessionIDs && !r.Tracking {
		return false
	}
	name = strings.ToLower(name)
	return r.SessionIDs && isSession(name, value) || r.Tracking && isTracking(name)
}

// isSession knows query parameters that name sessions. The name is in lower case.
func isSession(name, value string) bool {
	switch name {
	case "jsessionid", "phpsessid", "cfid", "cftoken", "sessionid", "session_id":
		return true
	case "sid":
		return len(value) == 32 && strings.IndexFunc(value, func(c rune) bool { return !unreserved[byte(c)] || c == '.' || c == '~' }) < 0
	}
	return strings.HasPrefix(name, "aspsessionid")
}

// isTracking knows query parameters of advertising and of counting visits. The name is in lower case.
func isTracking(name string) bool {
	switch name {
	case "gclid", "gclsrc", "dclid", "gbraid", "wbraid", "_ga", "_gl", // Google
		"fbclid", "igshid", // Meta
		"msclkid", "yclid", "ysclid", "_openstat", "twclid", "ttclid", "li_fat_id", "epik", "rb_clickid", "wickedid", "irclickid",
		"mc_cid", "mc_eid", "_hsenc", "_hsmi", "__hssc", "__hstc", "hsctatracking", "mkt_tok", "vero_id", "oly_anon_id", "oly_enc_id":
		return true
	}
	return strings.HasPrefix(name, "utm_")
}
