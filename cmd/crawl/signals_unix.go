//go:build unix

package main

import (
	"os/signal"
	"syscall"
)

// ignoreSignals turns two signals that would end the process into errors of the
// write that caused them: a reader that went away, and a file that reached the
// limit of ulimit -f.
func ignoreSignals() { signal.Ignore(syscall.SIGPIPE, syscall.SIGXFSZ) }

// noSpace are the errors of a disk, quota or file that is full.
var noSpace = []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG}
