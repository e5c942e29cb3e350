// Package frontier decides what to fetch next. A Frontier knows every URL that was ever added, queues those not fetched yet
// by host, and hands out leases: a host, for one worker alone, with a batch of its requests.
//
// The usual way, in each of a fixed number of workers:
//
//	lease, err := f.Lease(ctx) // waits until a host is due; frontier.ErrDone at the end of the crawl
//	for _, r := range lease.Requests {
//		// write the request, then: lease.Started(time.Now()); at its first byte: lease.Answered(time.Now())
//		batch.Done = append(batch.Done, r)
//		batch.Add = append(batch.Add, links...)
//	}
//	lease.Release()
//	f.Commit(ctx, &batch)
//
// # What it promises
//
// Nothing is lost and nothing is invented. A request is waiting, leased, done, or dropped as its host was closed, exactly one
// of them. What Commit and Put have returned is durable. After a crash, what was leased waits again; nothing that was done does.
//
// A URL is added once. Dedup compares 64-bit fingerprints of canonical URLs, with a key drawn at random for each job, within
// one host: see Fingerprint for the odds.
//
// A host is asked politely. Between two starts on one host lies at least its delay, as measured by the host; across hosts, the
// rate holds; a block (Retry-After) holds; all of it also after a restart, however the last process ended. See Lease.Started.
//
// Hosts take turns. The one due first gets the next worker, so neither a host with a hundred million URLs nor a million
// hosts with one keep others waiting.
//
// A budget holds exactly. No host gets more pages than its Policy allows, whatever the number of workers and restarts. A host
// that has used up its budget is closed: what waits is dropped, and counted, but kept, and waits again once, after a restart say,
// its Policy allows more.
//
// The end is exact. Lease returns ErrDone when nothing waits, nothing is leased, nothing is being added: never on a
// time-out, never before. Links go into the same Batch as their page, so there is no moment without them.
//
// Memory is bounded. Hosts and queues are in the Backend; in memory are Config.Front hosts, and what is leased.
//
// # Who does what
//
// Frontier is the scheduling core: politeness, rate, turns, leases, the end of the crawl. A Backend stores hosts, queues and
// fingerprints; memfrontier does so in memory, boltfrontier in a bbolt database, and frontiertest proves them both.
package frontier
