//go:build !unix

package crawler

// descriptors is how many files this process may have open; ok is false if that
// is not known.
func descriptors() (n int, ok bool) { return 0, false }
