package weburl

import (
	"net/netip"
	"strings"

	"golang.org/x/net/publicsuffix"
)

// Domain returns the registrable domain of a host name: "example.co.uk" for "www.example.co.uk". The list of public
// suffixes, private ones included, decides where it begins, so that "a.github.io" and "b.github.io" are two domains. An IP address, a public
// suffix and a name without dots are returned as they are. The name is that of a [URL]: in lower case, without port.
func Domain(hostname string) string {
	if _, err := netip.ParseAddr(hostname); err == nil || strings.IndexByte(hostname, '.') < 0 {
		return hostname
	}
	domain, err := publicsuffix.EffectiveTLDPlusOne(hostname)
	if err != nil {
		return hostname
	}
	return domain
}
