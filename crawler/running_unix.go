//go:build unix

package crawler

import (
	"errors"
	"syscall"
)

// running tells whether there is a process with the number pid.
func running(pid int) bool {
	err := syscall.Kill(pid, 0)
	return err == nil || errors.Is(err, syscall.EPERM)
}
