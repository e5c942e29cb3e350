package crawler

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync"
)

// PrivateAddressError is why no connection was made: a page of the public web
// must not lead the crawler into the network that it runs in.
type PrivateAddressError struct {
	Host string
	Addr netip.AddrPort
}

func (e *PrivateAddressError) Error() string {
	return fmt.Sprintf("%s is at %s, a private address", e.Host, e.Addr.Addr())
}

// addressGuard refuses addresses that are not on the public Internet, but for
// those that seeds named. It is asked for each address that is to be dialled,
// after names were resolved, so redirects and name servers cannot get past it.
// Its methods may be called at once.
type addressGuard struct {
	mu   sync.RWMutex
	open map[string]struct{} // "ip:port" and "localhost:port" of seeds
}

func newAddressGuard() *addressGuard {
	return &addressGuard{open: make(map[string]struct{})}
}

// addSeed opens the address of a seed's host, "name" or "name:port", if it is a
// private one. A name that a name server resolves opens nothing, as its owner
// could point it anywhere.
func (g *addressGuard) addSeed(host string) {
	name, port := splitHost(host)
	addr, err := netip.ParseAddr(strings.Trim(name, "[]"))
	if (err != nil || public(addr)) && !isLocalhost(name) {
		return
	}
	if err == nil {
		name = addr.Unmap().String()
	}
	ports := []string{port}
	if port == "" {
		ports = []string{"80", "443"}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, p := range ports {
		g.open[name+":"+p] = struct{}{}
	}
}

// check returns a *PrivateAddressError for an address that must not be dialled.
func (g *addressGuard) check(_ context.Context, host string, addr netip.AddrPort) error {
	ip := addr.Addr().Unmap()
	if public(ip) {
		return nil
	}
	g.mu.RLock()
	defer g.mu.RUnlock()
	if _, ok := g.open[fmt.Sprintf("%s:%d", ip, addr.Port())]; ok {
		return nil
	}
	name, _ := splitHost(host)
	if isLocalhost(name) && ip.IsLoopback() {
		if _, ok := g.open[fmt.Sprintf("%s:%d", name, addr.Port())]; ok {
			return nil
		}
	}
	return &PrivateAddressError{Host: host, Addr: addr}
}

// isLocalhost says whether a name is loopback whatever name servers say (RFC
// 6761, 6.3).
func isLocalhost(name string) bool {
	return name == "localhost" || strings.HasSuffix(name, ".localhost")
}

// splitHost cuts the port off a host, which may be an IPv6 address in brackets.
func splitHost(host string) (name, port string) {
	i := strings.LastIndexByte(host, ':')
	if i < 0 || strings.HasSuffix(host, "]") {
		return host, ""
	}
	return host[:i], host[i+1:]
}

// notPublic are the blocks of the special-purpose address registries (RFC 6890)
// that netip's own predicates leave out.
var notPublic = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),       // this network
	netip.MustParsePrefix("100.64.0.0/10"),   // shared address space
	netip.MustParsePrefix("192.0.0.0/24"),    // protocol assignments
	netip.MustParsePrefix("192.0.2.0/24"),    // documentation
	netip.MustParsePrefix("198.18.0.0/15"),   // benchmarking
	netip.MustParsePrefix("198.51.100.0/24"), // documentation
	netip.MustParsePrefix("203.0.113.0/24"),  // documentation
	netip.MustParsePrefix("240.0.0.0/4"),     // reserved, broadcast
	netip.MustParsePrefix("64:ff9b:1::/48"),  // local NAT64
	netip.MustParsePrefix("100::/64"),        // discard
	netip.MustParsePrefix("2001:db8::/32"),   // documentation
	netip.MustParsePrefix("fec0::/10"),       // site local
}

// embedded are the blocks of IPv6 addresses that stand for an IPv4 address, and
// the byte at which that begins.
var embedded = []struct {
	block netip.Prefix
	at    int
}{
	{netip.MustParsePrefix("::/96"), 12},
	{netip.MustParsePrefix("64:ff9b::/96"), 12}, // NAT64
	{netip.MustParsePrefix("2002::/16"), 2},     // 6to4
}

// public says whether an address is one of the public Internet.
func public(ip netip.Addr) bool {
	ip = ip.Unmap().WithZone("")
	if ip.IsPrivate() || ip.IsLoopback() || ip.IsUnspecified() || ip.IsMulticast() ||
		ip.IsLinkLocalUnicast() || ip.IsInterfaceLocalMulticast() {
		return false
	}
	for _, p := range notPublic {
		if p.Contains(ip) {
			return false
		}
	}
	if ip.Is4() {
		return true
	}
	for _, e := range embedded {
		if e.block.Contains(ip) {
			b := ip.As16()
			return public(netip.AddrFrom4([4]byte(b[e.at : e.at+4])))
		}
	}
	return true
}
