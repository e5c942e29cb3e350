package weburl

import "strings"

// URL is an absolute http or https URL in canonical form. It is small and immutable, and may be copied, compared with ==
// and used as a key. The zero value is no URL; all its parts are empty.
type URL struct {
	s string
	offsets
}

// offsets tell where the parts of a URL begin and end:
//
//	https://user:pass@example.org:8080/path/to?query
//	                  ^          ^    ^       ^
//	                  host       name path    query
type offsets struct {
	host, name, path, query uint32
}

// String returns the URL. It does not allocate.
func (u URL) String() string { return u.s }

// Clone returns u in memory of its own: URLs may share the string that they are parts of.
func (u URL) Clone() URL { return URL{strings.Clone(u.s), u.offsets} }

// IsZero tells whether u is the zero value.
func (u URL) IsZero() bool { return u.s == "" }

// Scheme returns "http" or "https".
func (u URL) Scheme() string {
	scheme, _, _ := strings.Cut(u.s[:min(len(u.s), len("https:"))], ":")
	return scheme
}

// User returns user name and password as the URL has them, percent-encoded and joined with ":"; "" without any.
func (u URL) User() string {
	if from, to := u.authority(), int(u.host)-len("@"); from <= to {
		return u.s[from:to]
	}
	return ""
}

// authority returns where the part after "//" begins.
func (u URL) authority() int {
	if u.s == "" {
		return 0
	}
	return len(u.Scheme()) + len("://")
}

// Host returns the host, with ":" and the port unless that is the default of the scheme. It is ASCII, in lower case; an IPv6
// address is in brackets.
func (u URL) Host() string { return u.s[u.host:u.path] }

// Hostname returns the host without port, and an IPv6 address without brackets.
func (u URL) Hostname() string {
	name := u.s[u.host:u.name]
	if strings.HasPrefix(name, "[") {
		return name[1 : len(name)-1]
	}
	return name
}

// Port returns the port; "" if it is the default of the scheme.
func (u URL) Port() string { return strings.TrimPrefix(u.s[u.name:u.path], ":") }

// Path returns the path, which begins with "/".
func (u URL) Path() string { return u.s[u.path:u.query] }

// Query returns what follows the "?"; "" without.
func (u URL) Query() string { return strings.TrimPrefix(u.s[u.query:], "?") }

// PathAndQuery returns the path with "?" and the query, if there is one: what an HTTP request asks for.
func (u URL) PathAndQuery() string { return u.s[u.path:] }

// Origin returns scheme, "://" and [URL.Host].
func (u URL) Origin() string {
	if u.User() == "" {
		return u.s[:u.path]
	}
	return u.s[:u.authority()] + u.Host()
}
