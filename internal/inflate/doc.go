// Package inflate decodes deflated data (RFC 1951) that lies in memory as a whole, bare or in the wrappings of gzip
// (RFC 1952) and zlib (RFC 1950): a body as it was transferred goes in, and what it decodes to is appended to a buffer
// of the caller's.
//
//	page, n, err := inflate.AppendGzip(page[:0], body, 1<<20)
//
// Knowing where the input ends, and owning the output until it is done, is what makes it fast: there is no window to
// keep besides the output, no call for a byte, and near neither end nothing to check. Its memory is the output and
// tables of 22 KB from a pool. The time it takes is linear in the length of what goes in and what comes out, whatever
// the input; the limit bounds the latter.
//
// It has no streaming form. Whoever has to hand out bytes before the input is complete reads through compress/gzip or
// a package of that shape; package httpclient does so for bodies that are read in pieces or are too long to be kept.
//
// All functions may be called from many goroutines at once, and none keeps what it is given.
package inflate
