// Package boltfrontier keeps a frontier in a bbolt database, where it survives crashes and grows beyond memory.
//
// The database belongs to the caller, who opens it, may keep other things in it, and closes it after the Frontier. If a killed
// process may have left it, its Sync comes before anything else: bbolt builds upon the last transaction that it finds, which need
// not be durable yet.
//
// All of the frontier is under the top-level bucket "frontier":
//
//	meta   what the job is      "format" | "key" | "clean" | "floor" | "counts"     -> see meta.go
//	names  host ids             name                                               -> id
//	hosts  host records         id                                                 -> record, see host.go
//	inbox  new requests         position (8)                                       -> requests, see inbox.go
//	recent new fingerprints     seq (8)                                            -> fingerprints, see recent.go
//	seen   fingerprints         id, first prefix (4 bytes)                         -> sorted fingerprints, see seen.go
//	queue  requests             id, 1, NotBefore (8), seq (8)                      -> chunk of requests, see chunk.go
//	                            id, 2, class (1), seq (8)                          -> chunk of requests
//	due    waiting hosts        time (8), id                                       -> nothing
//
// Numbers in keys are big-endian; an id has 4 bytes and hosts are numbered as they come, so that new hosts are
// appended at the end of each bucket. Nothing has a key for each URL: fingerprints lie in sets, requests in chunks of
// up to 64, and what is done of a chunk is a bitmap in the host's record until all of it is done and the chunk is
// deleted. (Requests of one host with different NotBefore, retries say, share no chunk.) The due index is a function of
// the records: it has one entry for each host with requests that wait or are leased, at the time when its next start,
// its block and its first NotBefore are past.
//
// A bbolt database is opened by one process at a time, so claims and what is leased are kept in memory only. After a
// crash all of that waits again, and the time of the next opening ("floor") stands for the last start on every host,
// which nobody wrote down.
//
// # Figures
//
// Of the benchmarks of this package, with URLs of 60 bytes found 20 on a page, a million of them: 13 to 15 bytes of
// database for each URL done, 57 (100 hosts) to 75 (10,000 hosts) for each that waits, its fingerprint included, of
// which 41 are its chunk; 83 with 50 URLs for each of 10,000 hosts, whose last chunks are not full. What is dropped for a budget
// stays where it is and takes as much, until its host is dropped by the caller. A synced Put of 5,000 URLs, 20
// in 100 of them new, takes 1.2 to 1.9 µs of processor time for each URL, be they of one host, of a hundred, or of ten
// thousand: half of what it took when each new URL changed its set at once, and for ten thousand hosts half of what it took when
// each changed its queue. In a crawl that knows ten million URLs on 100,000 hosts, a commit writes two runs of pages for each page
// with 50 links, one of them its body, and wrote 4.8 without the inbox.
//
// bbolt maps the database into memory, and what was read of it counts as resident (RssFile on Linux) until the system
// wants it back. Who minds lets go of it now and then, as package crawler does. Also it remembers, of each page that came from
// its free list, for which transaction that was, until the page is free again or the database is closed: in a crawl 3 to 5 bytes for
// each page of the web, which is the one thing here that grows with the job.
package boltfrontier
