// Package weburl makes URLs of the web canonical: two links to one page become one string.
//
// A [URL] is an absolute http or https URL. [Parse] makes one of a string, [URL.Resolve] of a link and the URL of the
// page that has it:
//
//	page, err := weburl.Parse("HTTP://Example.org:80/a/./b/%7ejoe")
//	link, err := page.Resolve([]byte("../c?q=ü#top"))
//	fmt.Println(page, link) // http://example.org/a/b/~joe http://example.org/a/c?q=%C3%BC
//
// # Reading
//
// Links are read as browsers read them, after the URL Standard of the WHATWG: white space around and line ends inside
// are dropped, backslashes are slashes, hosts go through IDNA (UTS #46) and may be written as numbers, dot segments
// are resolved, and what may not stand in a URL is percent-encoded. The standard's own test data passes.
//
// # Normalizing
//
// After that comes what can never change the page:
//
//   - the fragment is dropped, and a "?" with nothing behind it;
//   - percent-encoded letters, digits, "-", ".", "_" and "~" are decoded, and other escapes written in upper case
//     (RFC 3986, section 6.2.2);
//   - the dot that may end a host name is dropped.
//
// Scheme and host in lower case, the default port and dot segments are the standard's own. What usually does
// not change the page, but may, is left to [Rules] that the caller switches on.
//
// # Character encodings
//
// Text is taken for UTF-8, in a query too. A browser encodes the query of a link in the document's encoding if that is a
// legacy one: who knows that encoding percent-encodes the query's characters beyond ASCII first, as package crawler does.
// Bytes that are not UTF-8 are percent-encoded as they are.
//
// # Cost
//
// Resolving a link allocates the resulting string and nothing else; parsing what is canonical already allocates nothing.
// Hosts that need IDNA cost more, and may have 512 bytes. All other work is linear in the input, whose length is
// limited, see [Parser].
//
// # Why not a library
//
// github.com/nlnwa/whatwg-url implements the whole standard and serves as reference in the tests: both must agree on
// every input the fuzzer finds. It takes microseconds and dozens of allocations a link, of which a page has fifty, and
// rejects host names that the current standard accepts, in a place that cannot be reached from outside.
package weburl
