//go:build !unix

package main

import "syscall"

func ignoreSignals() {}

// noSpace are the errors of a disk, quota or file that is full.
var noSpace = []error{syscall.ENOSPC}
