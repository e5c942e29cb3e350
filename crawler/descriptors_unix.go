//go:build unix

package crawler

import "syscall"

// descriptors is how many files this process may have open; ok is false if that
// is not known.
func descriptors() (n int, ok bool) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0, false
	}
	return int(min(uint64(limit.Cur), 1<<30)), true //nolint:unconvert // signed on some systems
}
