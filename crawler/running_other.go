//go:build !unix

package crawler

// running tells whether there may be a process with the number pid.
func running(int) bool { return true }
