// Package simweb is the test web: a synthetic web of many hosts, served on loopback, that knows what a correct crawl of
// it fetches and counts what a crawler really did.
//
// Every host has an IPv4 loopback address of its own (127.1.0.1, 127.1.0.2, ...) and all share one port, so that
// politeness, connection pools and host tables see different hosts without any DNS. Everything about the web follows
// from its Config: which pages there are, how they link to each other, which fail first or are reached only through a
// redirect, and every byte of them. Nothing is stored but counters and a bit a page.
//
//	web, err := simweb.Start(simweb.Config{Hosts: 3, Pages: 50, ErrorRate: 0.1})
//	...
//	defer web.Close()
//	crawl(web.Seeds())
//	got, want := web.Counts(), web.Want()
//
// The pages are as awkward as real ones. Their links are unquoted, upper-case, relative, scheme-relative, written with
// entities and dot segments, repeated with other fragments, and resolved against a base element; there are things that
// look like links inside comments, scripts, styles and attributes. A path that is answered is the canonical one only: a
// crawler that misreads a link gets a 404 and raises NotFound, one that follows what is no link raises Trapped, one that
// ignores robots.txt raises Forbidden. All three are zero after a correct crawl, and every page of every host is
// reachable from the seeds.
//
// Config.TLS serves the same web over https, each host with a certificate of its own that CA has signed.
//
// Config.Zoo adds paths that misbehave as the worst servers do; see Zoo.
//
// Start listens on the wildcard address, for there may be thousands of hosts, but closes connections to any other than
// a loopback address unread. It needs Linux, where all of 127.0.0.0/8 is local. New with DialContext serves the same
// web over in-memory pipes, which works everywhere and inside a testing/synctest bubble.
package simweb
