// Package export writes what a [storage.Store] holds in forms that other tools
// read: records as JSON lines, CSV or a plain list of URLs, and the items that
// handlers emitted as JSON lines.
//
//	n, err := export.Records(ctx, os.Stdout, store, export.Options{Format: export.CSV})
//
// [Bodies] writes bodies as files, and a [Filter] selects records by an expression:
//
//	filter, err := export.ParseFilter("status >= 400 and not truncated")
//	n, err := export.Records(ctx, os.Stdout, store, export.Options{Where: filter.Match})
//
// Everything streams: memory does not grow with the store, and an export may
// run beside the crawl that is still writing.
//
// # Fields
//
// A record is written as these fields, in this order unless [Options.Fields]
// selects others:
//
//	url           the canonical URL
//	status        HTTP status; 0 when there was no response
//	final_url     where the response led
//	content_type  media type, in lower case and without parameters
//	depth         links from a seed
//	referrer      the page where the URL was found; "" for a seed
//	fetched_at    RFC 3339 in UTC, with the fraction of the second
//	duration_ms   whole milliseconds
//	bytes         size of the decoded body
//	title         of the document
//	links         number of links found
//	truncated     whether the body was cut
//	error         why there was no response or no whole one
//	error_class   the kind of error in a word
//	host          the host that politeness counted the fetch for
//	label         the user's route label
//	attempts      tries made
//	redirects     redirects followed before this response
//	proto         protocol of the response
//	charset       character encoding
//	encoding      content coding of the transferred body
//	wire_bytes    size of the body as transferred
//	seq           place in the order of fetching
//	kind          how the URL was found, if not by an anchor: sitemap, listed, image, …
//	rel           relations of the link that led to it, such as nofollow
//	robots        what the page asks of robots, such as noindex
//	change        what a revisit found: new, changed, unchanged or gone
//
// One more is there for the asking: head, the response head as received.
//
// # JSON lines
//
// One object a line, strings as encoding/json writes them without escaping for
// HTML: bytes that are not UTF-8 become U+FFFD.
//
// # CSV
//
// As in RFC 4180: a header line, CRLF at the end of lines, quotes where needed.
// A spreadsheet would run a cell of text that begins with =, +, -, @, a tab or
// a carriage return as a formula, and pages choose their titles. Such a cell
// gets an apostrophe in front, which spreadsheets take as "this is text";
// [Options.Verbatim] leaves it out, for programs that read the file. Bytes
// that are not UTF-8 become U+FFFD.
//
// # URLs
//
// One URL a line, with control characters and spaces percent-encoded, which
// canonical URLs have none of.
package export
