// Package memstore is a [storage.Store] in memory, for tests and for crawls
// that are small enough and need not outlive their process. It keeps every
// record, body and item until it is garbage; there is no bound but memory.
package memstore
