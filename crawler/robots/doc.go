// Package robots reads robots.txt files and decides by them, after RFC 9309.
//
// A [File] is one site's robots.txt. [ForStatus] makes it from the answer to the request for /robots.txt, [Parse] from
// its bytes, and [File.Allowed] tells whether an agent may fetch a path, and which line decided:
//
//	f, unreachable := robots.ForStatus(status, body)
//	v := f.Allowed("orbweaver", "/private/report.html?page=2")
//	if !v.Allowed {
//		fmt.Printf("line %d: %s", v.Line, v.Rule)
//	}
//
// # Which group counts
//
// Groups are found by product token (RFC 9309, section 2.2.1), without regard to case: the leading letters, digits, "_"
// and "-" of a User-agent line and of the agent asked for, so that "Orbweaver/1.0 (+https://example.org/bot)" asks for
// the groups of "orbweaver". All groups that name the token count together; only if there is none do those of "*" count.
// An agent of several names gives them as a list ("googlebot,googlebot-news") and is bound by the groups of all.
//
// # Which rule counts
//
// The rule with the longest pattern that matches the path and query; among equals Allow wins; without any the path is
// allowed. "*" stands for any characters, "$" at the end for the end. /robots.txt itself is always allowed. A rule
// whose pattern begins neither with "/" nor with "*" matches nothing.
//
// Rules and paths are compared in one percent-encoded form (section 2.2.2): hexadecimal digits in upper case, unreserved
// characters decoded, and every octet that no URL may contain as it is, encoded. One exception: letters and digits
// that an Allow line writes percent-encoded are matched as written, as the reference matcher of google/robotstxt does
// and the conformance data of this package wants. It can only leave closed what the RFC would open.
//
// # What is tolerated
//
// Lines end with CR, LF or both, in UTF-8 with or without a byte order mark, or in UTF-16 with one. A line without a colon counts if it has
// two words. Common misspellings of field names are understood. Whatever else a line holds is skipped, and does not
// end a group; nor do Crawl-delay and Sitemap lines. Crawl-delay binds the agents that its group has named before it.
//
// # Limits
//
// Reading takes time and memory linear in the file, of which 500 KiB count, as section 2.5 asks for. See [Limits].
// Asking costs O(log rules) for rules without wildcards, and one pass over the path for each of the others.
//
// # Why not a library
//
// github.com/temoto/robotstxt, the usual choice, keeps rules to itself, so that nothing built on it can name the line that
// decided, and what it answers differs from RFC 9309 wherever a file has ties, wildcards, percent-encoding, several
// groups for an agent, longer names beginning with the agent's, or one malformed line. What is left, plain prefixes in
// one group, is a smaller task than rewriting files for it. It serves as a second opinion in the tests, over the files that it reads right.
package robots
