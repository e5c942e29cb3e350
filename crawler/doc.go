// Package crawler crawls the web: it takes URLs from a frontier, fetches them
// politely through one shared client session, gives each page to a handler,
// and stores what came of it in a job that can be killed at any moment and
// resumed.
//
// # Words
//
// A [Crawler] runs a [Job], which is a directory. Its workers take host leases
// from a frontier: a host with a batch of its URLs, held by one worker at a
// time, which is what makes politeness exact. Each URL is fetched with a
// session whose connector owns the connections, becomes a [Page], and is given
// to a [Handler]. The page's result, the items that the handler emitted and
// the links that were found are then committed together, or not at all. A
// scope says which URLs belong. A seed is where it all starts.
//
// # Three ways in
//
// Pages as an iterator, which is the shortest:
//
//	for page, err := range crawler.Crawl(ctx, crawler.Config{Seeds: seeds}) {
//		if err != nil {
//			return err
//		}
//		fmt.Println(page.URL, page.Title())
//	}
//
// A [Handler], called by many workers at once, for [New] and [Crawler.Run]. A
// [Mux], which is a handler that picks another by the page's host, path,
// label, status or type.
//
// # Scope
//
// Which URLs belong is decided by rules in order, of which the last that has an
// opinion counts: Config.Scope, Config.URLLimits, Config.Rules, those of
// Config.Sites, Include, Exclude and MaxDepth all are such rules. A [Rule] takes,
// or leaves out, the URLs for which a [Condition] holds:
//
//	Rules: []crawler.Rule{
//		{Take: &crawler.Condition{Kinds: links.Resources, Hops: crawler.AtMost(1)}},
//		{LeaveOut: &crawler.Condition{Types: []string{"video/*"}}, Reason: "video"},
//	}
//
// [Job.Explain] tells what each of them says of a URL.
//
// # Promises
//
// The zero [Config] is a polite and safe crawl: robots.txt is obeyed (RFC
// 9309), a host is asked once a second and by one connection, pages from the
// public web cannot lead to private addresses, and every size is limited.
//
// A page whose commit returned is never fetched again. After a crash, at most
// the pages in flight are: those that workers have in hand, and those that wait
// for their commit, which is made for up to 512 of them together while the next
// 512 gather. A URL that was left out has a [Reason] with a
// counter, and [Job.Explain] tells what is known of any URL.
//
// A job is its directory, under whatever path: one that is copied while no crawl
// runs goes on from there, as the copy does. A copy of the files made while a
// crawl writes them is worth nothing, unless the file system takes it at one
// moment: that is as if the power had failed then, and sound.
//
// A run ends when nothing is waiting and nothing is being fetched, found by
// counting, or when a limit is reached.
//
// # What sites ask of robots
//
// robots.txt is asked for before anything else of an origin (RFC 9309): 500 KiB of
// it are read, five redirects followed, one within the host in its own turn and
// one to another host with the pause that host is due as far as is known. 4xx means
// that all is allowed. When there is no answer, or 429, 5xx or a file that broke off,
// the last good robots.txt counts up to an age, and else nothing is fetched: URLs
// wait for some tries, and are then left out, with a counter, until it answers. What
// was answered counts for as long as its header says, but an hour at least and a
// day at most, over restarts too. Crawl-delay is kept to up to five minutes.
//
// What pages ask, in X-Robots-Tag and in meta elements for robots or for this one
// by name, is kept with the result. Links of a page that asks for nofollow are left
// out. rel=nofollow, ugc and sponsored are kept with the result of where the link
// leads, and noindex changes nothing, as nothing is indexed here. [RobotsPolicy]
// changes all of that.
//
// # Sitemaps
//
// The sitemaps that the robots.txt of a site within the scope names are read, XML
// and text, gzipped or not, RSS and Atom, and those that a sitemap index names within
// its domain or the scope: up to 10,000 for a robots.txt, three levels deep, each
// of 50,000 URLs and 50 MiB. They are requests like any other, but one that
// robots.txt names may be on another host, and a handler does not see them. Their
// results have the kind "sitemap", those of the URLs in them "listed", unless a link
// was found first. A sitemap is one link deeper than what led to its host, and its
// pages are two. Priority is the priority within the host; lastmod and changefreq
// stay with the request. [Sitemaps] changes that.
//
// # Logins, cookies, proxies
//
// Site.Auth sends credentials to an origin and nowhere else. Site.Login logs in
// before a site's first page, and again when a page says that the session is over:
// [FormLogin] by a form, [Login] by any function. Its failures are counted over all
// runs of the job. Config.KeepCookies keeps the session in the job. Config.Proxies
// share the hosts and stand in for one another; what is their fault is not a host's.
//
// # Links
//
// Config.Follow says which kinds of links are followed. They are looked for in
// HTML, in the header fields Link, Refresh and Content-Location, in feeds, and, as
// far as their kinds are asked for, in style sheets, plain text, scripts, JSON and
// PDF. A link that states rel=sitemap is none of these.
package crawler
