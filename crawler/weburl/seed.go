package weburl

import (
	"net/netip"
	"strings"
)

// ParseSeed reads a line of a list of seeds, as people write it. A URL with a scheme gives that URL alone. Without one, as in
// "example.org/x", "127.0.0.1:8080" or "localhost", it gives two candidates to be tried in order: https, then http.
//
// A line without a scheme must look like the address of a web site: an IP address, "localhost", or a name with a dot or a
// port; and it may not have a user name, which would make an e-mail address a seed. Spaces around the line and a byte order
// mark before it are ignored. Comments are the caller's to skip. The error is an *[Error].
func ParseSeed(line string) (candidates []URL, err error) { return Parser{}.ParseSeed(line) }

// ParseSeed is the function [ParseSeed] by p.
func (p Parser) ParseSeed(line string) (candidates []URL, err error) {
	seed := trim(strings.TrimPrefix(line, "\uFEFF"))
	if hasScheme(seed) {
		u, err := p.Parse(seed)
		if err != nil {
			return nil, err
		}
		return []URL{u}, nil
	}
	seed = strings.TrimPrefix(seed, "//")
	if !looksLikeSite(seed) {
		return nil, newError(line, NotURL)
	}
	for _, scheme := range []string{"https://", "http://"} {
		u, err := p.Parse(scheme + seed)
		if err != nil {
			return nil, newError(line, err.(*Error).Reason)
		}
		candidates = append(candidates, u)
	}
	return candidates, nil
}

// hasScheme tells a scheme from a host with a port.
func hasScheme(s string) bool {
	scheme, rest := cutScheme(s)
	if scheme == "" {
		return false
	}
	port, _, _ := strings.Cut(rest, "/")
	port, _, _ = strings.Cut(port, "?")
	port, _, _ = strings.Cut(port, "#")
	return scheme == "http" || scheme == "https" || port == "" || strings.Trim(port, "0123456789") != ""
}

// looksLikeSite tells whether s begins with what people would call a web address.
func looksLikeSite(s string) bool {
	end := strings.IndexAny(s, "/\\?#")
	if end < 0 {
		end = len(s)
	}
	host, port := cutPort(s[:end])
	if host == "" || strings.ContainsAny(s[:end], "@ ") {
		return false
	}
	if strings.HasPrefix(host, "[") {
		_, err := netip.ParseAddr(strings.Trim(host, "[]"))
		return err == nil
	}
	dotted := strings.ContainsAny(strings.Trim(host, "."), ".。") // the ideographic full stop separates labels, too
	return dotted || port != "" || strings.EqualFold(host, "localhost")
}
