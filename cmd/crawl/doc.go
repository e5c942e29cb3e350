// Crawl starts, resumes and inspects crawl jobs.
//
//	crawl run [flags] [URL ...]      start a job, or resume the one in --job DIR
//	crawl status DIR [--json]        how far it is, also while it runs
//	crawl pause DIR                  start no new request until crawl resume
//	crawl resume DIR                 end the pause
//	crawl stop DIR [--now]           end the process that crawls it, and wait for it
//	crawl add DIR URL ...            more seeds
//	crawl host DIR HOST [flags]      show, slow down, pause or drop a host
//	crawl export DIR --format jsonl  what was fetched, as JSON lines, CSV, URLs or WARC
//	crawl diff DIR [--round N]       what is new, changed and gone since the round before
//	crawl explain [--job DIR] URL    what became of a URL, or would become of it
//	crawl check DIR                  prove the job's invariants
//	crawl compact DIR                give back disk that it no longer uses
//	crawl demo                       crawl a site served on loopback
//	crawl version
//
// # A job
//
// A job is a directory, ./crawl-job unless --job names another. "crawl run"
// creates it or goes on with it: after Ctrl-C, after a limit, after kill -9.
// Nothing that was fetched is fetched again. Seeds given to a job that has some
// are added to them. With --recrawl a job that is done begins again, as another
// round. With --revisit it is never done: each page is visited again when it is
// due, until Ctrl-C, crawl stop or a limit.
//
// # Control
//
// pause, resume, add and host act on a job that runs, through the socket
// control.sock in its directory, and just as well on one at rest. Only the user
// who crawls, and root, can connect. A paused job starts no new request, also when
// it is killed and run again, and is not done, until it is resumed. The same
// happens by itself when less than --disk-reserve is free on the job's disk, and
// ends by itself.
//
// # Settings
//
// Each flag of "crawl run" can be set in five places. The first that has it
// wins:
//
//  1. the command line: --max-pages 100
//  2. the environment: CRAWL_MAX_PAGES=100
//  3. the file named by --config, YAML: "max-pages: 100"
//  4. what the job was last started with, which is kept in it (all but --seeds,
//     --job, --config, --recrawl, --cookies-from, --quiet and --json)
//  5. the default
//
// Variables set the flags of the other commands, too (but for those that change
// something on the spot, as --delay of host), and CRAWL_JOB is their
// directory if none is named.
//
// Flags that may be repeated (--include, --exclude, --header) are a list in
// YAML, and a line each in a variable; the first place that has the flag gives
// all of its values. Sizes are bytes, or a number with k, M or G (thousands; an
// added B changes nothing) or Ki, Mi, Gi (1024s). Durations are Go's: 500ms,
// 90s, 1h30m; those of --revisit and the cache may have days before them: 30d.
// Names of files, also those in YAML, are seen from the working directory; those of
// --cache, --cookies and --proxies mean the same when the job is resumed in another.
//
// A job keeps header fields and the proxy's URL as they were given, in a database
// that its owner alone can read. Whoever has a copy of the job has them. What is
// printed of Authorization, Cookie and other fields that look like credentials,
// and of user and password in --proxy, is "[redacted]".
//
// Secrets in sites need not stand in the file: ${NAME} is a variable of the
// environment, and ${file:PATH} the first line of a file, looked up by each run.
// The job keeps the reference alone:
//
//	sites:
//	  - host: api.example.org
//	    auth:
//	      bearer: ${API_TOKEN}
//
// auth has basic, with user and password, or bearer, and goes to the hosts by
// https, or to its origin ("http://localhost:8080"), alone. login fills in a form; its
// keys are those of crawler.FormLogin and crawler.LoginSigns.
//
// # Rules and sites
//
// The file may also have sections, which are no flags: rules, which say what
// belongs, and sites, which say what is different for some hosts. Their keys are
// those of crawler.Rule, crawler.Condition and crawler.Site:
//
//	rules:
//	  - leave-out: {prefix: example.org/private/}
//	    reason: private
//	  - take: {kind: resources, hops: <=1}
//	sites:
//	  - host: .example.org
//	    delay: 5s
//	    rules: [{leave-out: {params: '>3'}}]
//
// A section is kept in the job as flags are; an empty one ("rules: []") takes it
// back. What is wrong is told with its line.
//
// # Seeds
//
// A URL a line, from the command line and from --seeds FILE, where "-" is the
// standard input. Empty lines and what follows a "#" that starts a line or
// follows white space are skipped. A line that is no URL is reported with its
// number and skipped. The file is read as a stream, whatever its size, and is in
// the job before the first page is fetched; seeds from standard input are crawled
// while they come. When a run is killed before it has read all, the next one reads
// a file again, and says of standard input that the rest is missing.
//
// # Output
//
// Standard output carries results only. Progress goes to standard error: one
// live line on a terminal, a line every ten seconds elsewhere, and with --json
// one JSON object a line, each with "event":
//
//	start     job, resumed, settings
//	progress  the figures below
//	notice    text
//	error     text
//	summary   the figures below, job, ended, next
//
// The figures are fetched, failed, retried, items, bytes, wire_bytes, statuses,
// errors, left_out, round, changes, revisits, waiting, leased, known, hosts, run_fetched, run_failed,
// started, elapsed_ns, rate, in_flight, due, paused, paused_hosts, disk, cache,
// logins, login_failures, login_requests, proxies and problems, as crawler.Stats documents them.
// --quiet leaves only errors.
//
// # Exit status
//
//	0  done, also when a limit ended it
//	1  the crawl or the check failed, or nothing at all could be fetched
//	2  wrong usage: an unknown flag, a value that cannot be read, no seed
//	3  interrupted; the same job goes on with crawl run --job DIR
//
// The first Ctrl-C (or SIGTERM, or SIGHUP) lets what is being fetched finish; the second
// stops at once. Nothing is lost either way.
package main
