package crawler

import (
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"testing"
)

func TestConnections(t *testing.T) {
	for _, c := range []struct{ concurrency, descriptors, workers, idle int }{
		{100, 1 << 20, 100, 1024},
		{1000, 256, 64, 64},
		{16, 256, 16, 64},
		{100, 10, 1, 1},
		{100_000, 1 << 30, 100_000, 1024},
	} {
		workers, idle := connections(c.concurrency, c.descriptors)
		if workers != c.workers || idle != c.idle {
			t.Errorf("%d of %d: %d workers, %d idle, want %d and %d", c.concurrency, c.descriptors, workers, idle, c.workers, c.idle)
		}
	}
}

func TestExhausted(t *testing.T) {
	dial := func(errno syscall.Errno) error {
		return fmt.Errorf("connect: %w", &net.OpError{Op: "dial", Err: os.NewSyscallError("socket", errno)})
	}
	if err := dial(syscall.EMFILE); classify(err).class != classLocal {
		t.Errorf("%v is of class %q", err, classify(err).class)
	}
	if err := dial(syscall.ECONNREFUSED); exhausted(err) || exhausted(errors.New("other")) {
		t.Error("a refused connection counts as this machine's fault")
	}
}
