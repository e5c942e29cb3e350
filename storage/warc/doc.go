// Package warc writes and reads web archives: WARC/1.1 (ISO 28500:2017), the
// format of web archives and of the tools around them, and CDXJ, the index by
// which such tools find a page.
//
// [Files] writes a directory of archives beside a crawl, each begun when the one
// before has reached a size. It takes an [Exchange]: a request and its response as
// they went over the wire. [Export] writes what a [storage.Store] holds as one
// archive, as far as a store knows it:
//
//	n, err := warc.Export(ctx, file, store, warc.ExportOptions{})
//
// A [Writer] writes single records to any io.Writer, a [Reader] reads them, [Index]
// makes the index of a directory, and [Check] proves that its archives are whole.
//
// # Records
//
// Every archive begins with a warcinfo record, and every record is a gzip member
// of its own, so that a reader can start at any of them. An exchange becomes
//
//   - a response record: the head and the body of the final response as they came,
//     interim responses (1xx) left out, as readers would take them for it;
//   - or, when its payload was archived before, a revisit record of the profile
//     identical-payload-digest, which has the head and refers to the original by
//     URL and date; and one of server-not-modified for an answer 304;
//   - a request record: what was sent;
//   - a metadata record: where the URL was found and how long the fetch took.
//
// Those after the first are marked as concurrent to it. A fetch that failed before
// a response came leaves request and metadata, with the error, if anything was
// sent, and nothing otherwise. Of a response that is no HTTP only the request is kept.
//
// Bodies that are compressed already are stored within their gzip member; to
// compress them again would cost time and gain nothing. So are, unless
// Options.Level says otherwise, the few hundred bytes of small records.
//
// # Transfer coding
//
// A body in chunks is archived in chunks, as the standard wants ("as received") and
// as Heritrix, wget, warcprox and warcio's recorder do; replay tools undo them. The
// payload digest is that of the payload, which is the body without chunks, its
// content coding kept (ISO 28500, 6.3.2), so that the same page is recognized
// however a server cuts it up. Some tools compute it over the chunks and will say
// that it differs. Where there is a transfer coding other than chunked, there is no
// payload digest. Digests are SHA-1 in base32, as everybody has them.
//
// A store has bodies without chunks, so Export renames a Transfer-Encoding field to
// X-Orig-Transfer-Encoding, a Content-Length beside it to X-Orig-Content-Length, and
// adds a Content-Length for the body. A record without a head gets one of status and
// content type. Request records of an export are made up from the URL. A body that
// was not kept is marked with WARC-Truncated. A URL that gave no response is left
// out, for there is nothing to archive.
//
// # Truncation
//
// WARC-Truncated is length for a body that a limit has cut, time for one that took
// too long, disconnect for one whose connection was lost, unspecified else. An export
// never tells disconnect, as a store does not know it from other ways to be cut short.
//
// # Files
//
// Names are prefix-timestamp-serial-host.warc.gz, and end in ".open" until a file is
// complete. What a killed process has left of one is mended by the next [OpenFiles]:
// the whole records are kept, the rest is cut off; without compression those are whole
// that have nothing wrong, digests included. Beside each complete file is its
// index, with the extension .cdxj, sorted by SURT key and date as pywb wants it. Its
// lines have two fields that are not usual: date, the exact WARC-Date, and transfer,
// which is "chunked" where the payload is.
//
// Write adds to the file, and only [Files.Sync] makes that durable: who records
// elsewhere that a page is done calls it before. What a power failure has left of
// later writes, whole, torn or lost, is cut off like what a kill has. An archive is
// synced before its index is written, the index before it gets its name, and
// their folder before the archive gets its own.
//
// A Write, Sync or rotation that fails, as on a full disk, leaves the archive in
// order and can be done again. What is not durable is kept in memory, 8 MB at most,
// as a system may drop what it could not sync: the next Sync writes it anew.
//
// A record's ID is a name-based UUID (RFC 9562, version 5) of kind, URL, date and a
// number, which in an export is the record's Seq: the same page exported twice is
// the same record.
package warc
