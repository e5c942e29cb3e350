// Package sitemap reads the lists of URLs that sites publish for crawlers: sitemaps and sitemap indexes after the protocol
// of sitemaps.org, plain lists of URLs, and RSS and Atom feeds, each also gzipped.
//
// [Entries] reads one while it arrives and keeps no more of it than one entry:
//
//	for entry, err := range sitemap.Entries(body, sitemap.Limits{}) {
//		if err != nil {
//			return err // entries before it are good
//		}
//		if entry.Index {
//			// entry.Loc is another sitemap
//		}
//	}
//
// What kind of file it is shows in its first bytes; names and content types, which are often wrong, do not matter. XML is
// read with a tokenizer for HTML, since sitemaps in the wild have unescaped ampersands, wrong namespaces and missing end tags. No entities but
// those of XML are known, and none can be declared.
//
// A sitemap is foreign input. Its size, the number and size of its entries and how far it unpacks are limited, see
// [Limits]. URLs are handed out as they are written, in UTF-8 without the white space around; resolving them, and refusing those
// that the site has no say about, is for the caller.
package sitemap
