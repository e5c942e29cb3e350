package crawler

import (
	"context"
	"errors"
	"net"
	"net/netip"

	"github.com/orbweaver/orbweaver/frontier"
)

// errAddress is why nothing is connected to: it is not the turn of the address
// yet, which other hosts have as well.
var errAddress = errors.New("crawler: other hosts at the same address are asked first")

// addressTurn asks once in a visit whether the address of its host may be asked.
// A visit makes its requests one after another, and a name with several
// addresses counts by the first.
type addressTurn struct {
	lease *frontier.Lease
	asked bool
	mine  bool
}

type addressTurnKey struct{}

// withAddressTurn returns a context in which connecting waits for the turn of the
// host's address, if Config.AddressDelay asks for it.
func (v *visit) withAddressTurn(ctx context.Context, lease *frontier.Lease) context.Context {
	if v.cfg.AddressDelay <= 0 {
		return ctx
	}
	return context.WithValue(ctx, addressTurnKey{}, &addressTurn{lease: lease})
}

// awaitAddress is asked before host's address is connected to.
func awaitAddress(ctx context.Context, host string, addr netip.Addr) error {
	t, ok := ctx.Value(addressTurnKey{}).(*addressTurn)
	if !ok || host != hostWithoutPort(t.lease.Host) { // a redirect of robots.txt may lead to another host
		return nil
	}
	if !t.asked {
		t.asked, t.mine = true, t.lease.Address(addr)
	}
	if !t.mine {
		return errAddress
	}
	return nil
}

func hostWithoutPort(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	return host
}
