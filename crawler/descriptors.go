package crawler

import (
	"errors"
	"syscall"

	"github.com/orbweaver/orbweaver/httpclient"
)

// otherDescriptors are left for the job, the handlers and the rest of the
// process.
const otherDescriptors = 64

// connections shares the process's descriptors out: how many workers there can
// be, and how many connections may be kept unused. A worker needs one for its
// connection, and now and then a second one to look a name up or to try another
// address; and kept connections take as many as they are allowed.
func connections(concurrency, descriptors int) (workers, idle int) {
	share := max(1, (descriptors-otherDescriptors)/3)
	return min(concurrency, share), min(httpclient.DefaultMaxIdle, share)
}

// exhausted says whether this machine, and not the host, is why there is no
// connection: it has no descriptor, port or memory for one.
func exhausted(err error) bool {
	for _, errno := range []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.EADDRNOTAVAIL, syscall.ENOBUFS, syscall.ENOMEM} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}
