// Package memfrontier keeps a frontier in memory: for crawls that need not survive their process, for tests, and as the
// plain reading of what a frontier.Backend does.
//
// Memory grows with the crawl: a fingerprint for each URL ever added, and the whole request for each that waits. For what is not
// small, package boltfrontier needs less.
package memfrontier
