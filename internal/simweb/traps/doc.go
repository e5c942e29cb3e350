// Package traps is a zoo of hostile sites: each is a way in which a crawl can be made to go on for ever, or to spend
// more than the site is worth. Every site says how many real pages it has, which a crawl has to find, and how many
// requests a sane crawl may spend on it. The paths that misbehave in the protocol are in package simweb.
package traps
