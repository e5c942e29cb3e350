//go:build unix

package main

import (
	"os"
	"os/signal"
	"syscall"
)

// ignoreSignals turns two signals that would end the process into errors of the
// write that caused them: a reader that went away, and a file that reached the
// limit of ulimit -f.
func ignoreSignals() { signal.Ignore(syscall.SIGPIPE, syscall.SIGXFSZ) }

// endSignals are the signals that ask to end, from the keyboard, by kill, and when
// the terminal goes away, unless nohup has said that this is to be ignored.
func endSignals() []os.Signal {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		signals = append(signals, syscall.SIGHUP)
	}
	return signals
}

// noSpace are the errors of a disk, quota or file that is full.
var noSpace = []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG}
