// Package storage keeps what a crawl has fetched.
//
// A [Store] is an append-only log of [Record]s in the order in which they were
// fetched. A record tells how one fetch went: where it led, what the server
// answered, how long it took, and why it failed if it did. With the record go
// the body as it was transferred, when bodies are kept, and the items that a
// handler emitted for the page. All three are appended in one step and are
// durable together or not at all.
//
//	err := store.Append(ctx, []*storage.Record{{
//		URL:       "https://example.org/",
//		Host:      "example.org",
//		Status:    200,
//		FetchedAt: time.Now(),
//		Body:      body,
//		Items:     []json.RawMessage{item},
//	}})
//
// Reading is streaming: Records and Items are iterators that hold neither the
// whole store in memory nor a lock while the caller looks at a record, so an
// export may run beside a crawl for as long as it takes.
//
//	for rec, err := range store.Records(ctx, 0) {
//		if err != nil {
//			return err
//		}
//		fmt.Println(rec.Status, rec.URL)
//	}
//
// [Select] iterates over the records of one host, or of a span of time, and
// [Chain] follows the redirects from a URL. [Salvage] reads on behind what is damaged.
//
// Nothing is ever changed or removed. A URL that is fetched again gets another
// record; Get answers with the newest one, and a store that is a [Historian]
// also with those before it.
//
// Package memstore keeps everything in memory, for tests and small crawls.
// Package boltstore keeps it in a bbolt file that the crawl's other state may
// share, so that a page and the links found on it are committed together.
// Package export writes records and items as JSON lines, CSV or a list of URLs,
// and package warc writes web archives.
// Package storagetest holds the suite that every Store has to pass.
package storage
