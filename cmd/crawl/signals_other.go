//go:build !unix

package main

import (
	"os"
	"syscall"
)

func ignoreSignals() {}

// endSignals are the signals that ask to end.
func endSignals() []os.Signal { return []os.Signal{os.Interrupt, syscall.SIGTERM} }

// noSpace are the errors of a disk, quota or file that is full.
var noSpace = []error{syscall.ENOSPC}
