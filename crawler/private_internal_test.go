package crawler

import (
	"errors"
	"net/netip"
	"testing"
)

func TestPublic(t *testing.T) {
	for addr, want := range map[string]bool{
		"8.8.8.8":          true,
		"2606:4700::1111":  true,
		"::ffff:8.8.8.8":   true,
		"64:ff9b::808:808": true,
		"2002:808:808::1":  true,
		"127.0.0.1":        false,
		"127.1.2.3":        false,
		"::1":              false,
		"::ffff:127.0.0.1": false,
		"::127.0.0.1":      false,
		"64:ff9b::7f00:1":  false,
		"2002:a00:1::1":    false,
		"10.1.2.3":         false,
		"172.16.0.1":       false,
		"172.32.0.1":       true,
		"192.168.1.1":      false,
		"169.254.169.254":  false,
		"100.64.0.1":       false,
		"0.0.0.0":          false,
		"0.1.2.3":          false,
		"::":               false,
		"224.0.0.1":        false,
		"255.255.255.255":  false,
		"198.18.0.1":       false,
		"fe80::1":          false,
		"fe80::1%eth0":     false,
		"fc00::1":          false,
		"ff02::1":          false,
		"fec0::1":          false,
		"2001:db8::1":      false,
	} {
		if got := public(netip.MustParseAddr(addr)); got != want {
			t.Errorf("public(%s) = %v, want %v", addr, got, want)
		}
	}
}

func TestAddressGuard(t *testing.T) {
	g := newAddressGuard()
	for _, host := range []string{"127.0.0.1:8080", "10.0.0.7", "[::1]:81", "localhost:9000", "intranet.example:8080", "8.8.8.8"} {
		g.addSeed(host)
	}
	for _, tt := range []struct {
		host, addr string
		want       bool
	}{
		{"127.0.0.1:8080", "127.0.0.1:8080", true},
		{"127.0.0.1:6379", "127.0.0.1:6379", false},
		{"127.0.0.2:8080", "127.0.0.2:8080", false},
		{"10.0.0.7", "10.0.0.7:80", true},
		{"10.0.0.7", "10.0.0.7:443", true},
		{"10.0.0.7:22", "10.0.0.7:22", false},
		{"[::1]:81", "[::1]:81", true},
		{"localhost:9000", "127.0.0.1:9000", true},
		{"localhost:9000", "[::1]:9000", true},
		{"localhost:9001", "127.0.0.1:9001", false},
		{"localhost:9000", "10.0.0.1:9000", false},
		// A public name that a name server points at a seed's open address is let
		// through to that one address, and nowhere else.
		{"rebound.example:8080", "127.0.0.1:8080", true},
		{"intranet.example:8080", "10.9.9.9:8080", false},
		{"example.org", "93.184.215.14:443", true},
		{"example.org", "169.254.169.254:80", false},
	} {
		err := g.check(t.Context(), tt.host, netip.MustParseAddrPort(tt.addr))
		if (err == nil) != tt.want {
			t.Errorf("%s at %s: %v", tt.host, tt.addr, err)
		}
		var private *PrivateAddressError
		if err != nil && !errors.As(err, &private) {
			t.Errorf("%s at %s: %T", tt.host, tt.addr, err)
		}
	}
}
