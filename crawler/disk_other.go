//go:build !(linux || darwin || freebsd)

package crawler

import (
	"os"
	"syscall"
)

func freeSpace(string) (bytes int64, known bool) { return 0, false }

func diskSize(string) (bytes int64, known bool) { return 0, false }

var fullErrors = []error{syscall.ENOSPC}

func keepOwner(*os.File, os.FileInfo) error { return nil }
