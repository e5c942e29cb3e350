//go:build !unix

package httpclient

// canAsk says that there is no writeThenRead here.
const canAsk = false

// isQuiet cannot look without waiting here: a connection that the peer has closed
// is noticed at its use, and the request repeated.
func isQuiet(uintptr) bool { return true }

func (s *socket) writeThenRead(uintptr) bool { return true }
