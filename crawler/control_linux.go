package crawler

import (
	"fmt"
	"net"
	"os"
	"syscall"
)

// descriptorDir has a name for each open directory of this process, by its
// descriptor.
const descriptorDir = "/proc/self/fd"

// checkPeer refuses the processes of other users, but for root's.
func checkPeer(conn *net.UnixConn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var peer *syscall.Ucred
	if e := raw.Control(func(fd uintptr) {
		peer, err = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	}); e != nil || err != nil {
		return fmt.Errorf("who connects is not known: %w", err)
	}
	if peer.Uid != 0 && int(peer.Uid) != os.Geteuid() {
		return fmt.Errorf("user %d is not the owner", peer.Uid)
	}
	return nil
}
