// Package boltstore is a [storage.Store] in a bbolt file.
//
//	db, err := bbolt.Open(path, 0o600, &bbolt.Options{FreelistType: bbolt.FreelistMapType, NoFreelistSync: true})
//	...
//	store, err := boltstore.Open(db, boltstore.Config{})
//
// The file belongs to the caller, who opened it, may keep other buckets in it,
// and closes it after the store. [Store.Append] is a transaction of its own;
// [Store.AppendTx] writes inside the caller's, so that a page's result and
// whatever else has to change with it are committed together. bbolt syncs the
// file before a commit returns, unless its NoSync is set. One Store at a time
// may be open on a file. Whoever opens a file that a killed process may have left
// calls its Sync before anything else: bbolt builds upon the last transaction that
// it finds, which need not be durable yet.
//
// # Layout
//
// All is under the top-level bucket "storage":
//
//	storage
//	├── format     2                                      (uvarint)
//	├── counters   Stats, number of indexed records       (varints, CRC)
//	├── records/   seq ─────────────► metadata            (see codec.go)
//	├── bodies/    seq, part ───────► ≤ 64 KiB of the body as transferred
//	├── items/     seq, n ──────────► JSON
//	├── urls/      lowest entry ► up to 124 entries (hash of URL, seq), in order
//	└── times/     block ────────► first and last FetchedAt of 256 records
//
// Numbers in keys are big-endian: seq has 8 bytes, part and n have 4. Keys of
// records, bodies and items only ever grow, so pages fill up completely and
// are written once. A body is cut into parts because a bbolt page holds at
// least two values, and the last page of a bucket is written again by the next
// commit.
//
// An entry of urls has 3 bytes of the host's hash, 5 of the URL's, and seq. The
// entries of a host are neighbours, and so are the visits of a URL. A hash only
// leads to a record, whose own URL then decides, so that URLs with equal
// hashes are never taken for each other.
//
// Writing each entry with its record would be a page for each, all over the
// bucket. Therefore urls trails behind: the records after the counted number
// of indexed ones are found through a list in memory, and when that has enough
// entries, 8192 to 65,536, they are put in order and written in that order, a
// part with each transaction. Open fills the list again by reading those records;
// the log of records is the log of the index.
//
// A record's metadata ends in a CRC-32C of itself and holds one of the body,
// so that rotten bytes become a [storage.CorruptError] and not a wrong answer.
package boltstore
