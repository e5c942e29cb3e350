// Command bench measures a whole crawl next to a bare download and to other crawlers, all on the same pages.
//
//	go run .                                     # everything, in 20 minutes; writes RESULTS.md
//	go run . -quick [-only crawl,bare]           # one small round of one web
//	go run . -only crawl,bare -rounds 5          # some contenders, on all webs
//	go run . -profile DIR                        # where the time of crawl run goes
//	go run . -soak 1h                            # whether it stays as it is
//
// It serves the test web of internal/simweb from a process of its own on one core and runs each contender as a process
// of its own on another, one after another, round after round, so that what disturbs the machine disturbs all of them.
// Of each contender it measures the CPU time of its process from start to end (user and system, as wait4 tells), the
// peak of its resident memory and what it left on disk; how many pages it really fetched, and how many of them were
// different, is what the server counted. A page that is fetched twice counts twice. All have as many connections,
// but for wget2, which does better with fewer.
//
// The contenders:
//
//	bare        a loop over the list of all URLs: net/http, gunzip, nothing else
//	tokenizer   the same, and golang.org/x/net/html's tokenizer counts the links
//	dom         the same, and goquery selects them
//	session     the same as bare by package httpclient
//	crawl       crawl run: robots, dedup, links, a durable job with bodies
//	no-bodies   crawl run --no-bodies
//	goquery     the library, with a handler that selects with goquery; a durable job with bodies
//	colly       github.com/gocolly/colly, every link visited, nothing stored
//	wget2       GNU wget2, recursive, files written (if it is installed)
//	scrapy      Scrapy with its settings for broad crawls, nothing stored (if it is installed)
//
// The first three and session are given the URLs; all others find them from one seed a host. Colly and Scrapy are
// stopped after 15 seconds, which flatters Colly: it fetches pages again for each fragment that a link has, and grows.
//
// On some webs there are others: resuming is bare with a cache of TLS sessions, forgetful is session without one,
// thousand is crawl with 1,000 workers, and one-core and two-cores are the library on a tape of the web's answers in its own
// memory, so that no server takes part of the second core.
//
// RESULTS.md also holds each figure that the project promises against its bar, with the command that measures it, a
// soak for a tenth of the budget, and a profile. Debian has the peers in wget2 and python3-scrapy; strace counts the
// system calls of a profile.
package main
