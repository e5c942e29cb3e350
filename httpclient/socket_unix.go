//go:build unix

package httpclient

import (
	"io"
	"os"
	"syscall"
	"time"
)

const canAsk = true

// isQuiet reports whether a socket is open and has nothing to read.
func isQuiet(fd uintptr) bool {
	var b [1]byte
	_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
	return err == syscall.EAGAIN || err == syscall.EWOULDBLOCK || err == syscall.EINTR
}

// writeThenRead is the step of ask: a write at first, a read when the socket is readable. It reports whether there is
// nothing to wait for.
func (s *socket) writeThenRead(fd uintptr) bool {
	if s.wrote.IsZero() {
		for len(s.out) > 0 {
			n, err := syscall.Write(int(fd), s.out)
			switch {
			case err == syscall.EINTR:
			case err == syscall.EAGAIN:
				return true
			case err != nil:
				s.werr = os.NewSyscallError("write", err)
				return true
			default:
				s.out = s.out[n:]
			}
		}
		s.wrote = time.Now()
		return false
	}
	for {
		n, err := syscall.Read(int(fd), s.in)
		switch {
		case err == syscall.EINTR:
		case err == syscall.EAGAIN:
			return false
		case err != nil:
			s.rerr = os.NewSyscallError("read", err)
			return true
		case n == 0:
			s.rerr = io.EOF
			return true
		default:
			s.n = n
			return true
		}
	}
}
