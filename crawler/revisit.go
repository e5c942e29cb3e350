package crawler

import (
	"bytes"
	"context"
	"errors"
	"hash/crc32"
	"net/http"

	"github.com/orbweaver/orbweaver/crawler/links"
	"github.com/orbweaver/orbweaver/httpclient"
	"github.com/orbweaver/orbweaver/storage"
	"github.com/orbweaver/orbweaver/storage/warc"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// digest is storage.Record's Digest of a decoded body.
func digest(body []byte) uint64 {
	return uint64(crc32.Checksum(body, castagnoli))<<32 | uint64(crc32.ChecksumIEEE(body))
}

// maxLookBack is how many results of a URL are looked through for what was known
// of it: a host that was down for longer is met anew.
const maxLookBack = 50

// known is what earlier visits have found at a URL.
type known struct {
	newest   *storage.Record // whatever it tells; nil: there is none
	last     *storage.Record // the newest that tells whether the page is there; nil: none does
	original *storage.Record // the one at which the page became what last says
}

// look reads what is known of the URL, and reports whether it could. In the first round
// nothing is, and nothing is read, unless it is planned to be visited again.
func (v *visit) look(ctx context.Context) bool {
	if v.rounds == 1 && !v.env.has(flagRevisit) {
		return true
	}
	err := v.readKnown(ctx)
	if err != nil && ctx.Err() == nil {
		v.commits.fail(v.job.wrap("read", err))
	}
	return err == nil
}

func (v *visit) readKnown(ctx context.Context) error {
	history, ok := v.commits.store.(storage.Historian)
	if !ok {
		rec, err := v.commits.store.Get(ctx, v.req.URL)
		if err == nil {
			v.known.newest = rec
			if conclusive(rec) {
				v.known.last, v.known.original = rec, rec
			}
		}
		if errors.Is(err, storage.ErrNotFound) {
			err = nil
		}
		return err
	}
	looked := 0
	for rec, err := range history.History(ctx, v.req.URL) {
		if err != nil {
			return err
		}
		if looked++; looked > maxLookBack {
			break
		}
		if v.known.newest == nil {
			v.known.newest = rec
		}
		if !conclusive(rec) {
			continue
		}
		if v.known.last == nil {
			v.known.last = rec
		}
		v.known.original = rec
		if rec.Change != storage.ChangeUnchanged {
			break
		}
	}
	return nil
}

// revisits says whether what is found is compared with what was known.
func (v *visit) revisits() bool {
	return v.rounds > 1 || v.cfg.Revisit.on() || v.env.has(flagRevisit)
}

// conclusive says whether a result tells that the page is there, or is not.
func conclusive(rec *storage.Record) bool { return present(rec) || gone(rec.Status) }

func present(rec *storage.Record) bool { return rec.Status/100 == 2 || redirects(rec.Status) }

func gone(status int) bool { return status == http.StatusNotFound || status == http.StatusGone }

func redirects(status int) bool {
	switch status {
	case 301, 302, 303, 307, 308:
		return true
	}
	return false
}

// conditional asks for the URL only if it has changed, when what is known of it may
// be kept: it came whole, and the body of a page is there if bodies are wanted. That
// of a sitemap may have been too large to keep; what it lists was added all the same.
func (v *visit) conditional(req *httpclient.Request) {
	last := v.known.last
	if last == nil || last.Status != http.StatusOK || last.Truncated || last.Error != "" {
		return
	}
	if v.env.kind != links.Sitemap && !v.cfg.NoBodies && last.BodySeq == 0 {
		return
	}
	tag, modified := fieldOf(last.Head, "Etag"), fieldOf(last.Head, "Last-Modified")
	if tag != "" {
		req.Header.Set("If-None-Match", tag)
	}
	if modified != "" {
		req.Header.Set("If-Modified-Since", modified)
	}
	v.asked = tag != "" || modified != ""
}

// fieldOf returns the value of a field of a response's head; "" if it has none.
func fieldOf(head []byte, name string) string {
	_, rest, _ := bytes.Cut(head, []byte("\n"))
	for line := range bytes.Lines(rest) {
		field, value, found := bytes.Cut(line, []byte(":"))
		if found && bytes.EqualFold(field, []byte(name)) {
			return string(bytes.TrimSpace(value))
		}
	}
	return ""
}

// archived is the original as archives refer to it; nil: there is none.
func (k *known) archived() *warc.Original {
	if k.original == nil {
		return nil
	}
	return &warc.Original{URL: k.original.URL, Date: k.original.FetchedAt}
}

// keepKnown finishes the URL with what is known of it, after an answer that it was
// not modified.
func (v *visit) keepKnown(a *answer) {
	ch := v.finish()
	v.spent = true
	rec := v.newRecord()
	ch.record = rec
	rec.FetchedAt, rec.Duration = a.began, a.took
	rec.Proto = a.resp.Proto
	last := v.known.last
	rec.Status, rec.Head, rec.Bytes = last.Status, last.Head, last.Bytes
	rec.ContentType, rec.Charset = last.ContentType, last.Charset
	v.likeBefore(rec)
	rec.Encoding, rec.BodySeq = last.Encoding, last.BodySeq
	v.limits.Clip(rec)
	ch.weight = int64(len(rec.Head) + len(rec.Data))
	v.count(ch)
	ch.tally.Bytes = 0 // nothing came
	ch.tally.statuses = few[int]{{http.StatusNotModified, 1}}
	v.tellFetched(rec, 0, nil)
}

// likeBefore takes over what was found in the page when it came last.
func (v *visit) likeBefore(rec *storage.Record) {
	last := v.known.last
	rec.Change, rec.Digest = storage.ChangeUnchanged, last.Digest
	rec.Title, rec.Links, rec.Robots = last.Title, last.Links, last.Robots
}

// compare says how the answer differs from what was known of the URL.
func (v *visit) compare(a *answer, target string) storage.Change {
	if !v.revisits() || a.err != nil {
		return storage.ChangeNone
	}
	status, body := a.resp.StatusCode, a.body.decoded
	last := v.known.last
	was := last != nil && present(last)
	switch now := (&storage.Record{Status: status}); {
	case gone(status) && was:
		return storage.ChangeGone
	case gone(status) && last != nil:
		return storage.ChangeUnchanged
	case !present(now):
		return storage.ChangeNone
	case !was:
		return storage.ChangeNew
	case status != last.Status:
		return storage.ChangeChanged
	case target != "" && target == last.FinalURL:
		return storage.ChangeUnchanged
	case target == "" && int64(len(body)) == last.Bytes && digest(body) == last.Digest:
		return storage.ChangeUnchanged
	}
	return storage.ChangeChanged
}

// unchanged says whether a page needs no second look. One that the handler failed
// with does.
func (v *visit) unchanged(p *Page) bool {
	return p.change == storage.ChangeUnchanged && v.known.last.ErrorClass != classHandler
}

// sameBody lets rec, of a page that has not changed, refer to the body that is
// stored, if that came in the same form.
func (v *visit) sameBody(rec *storage.Record) {
	last := v.known.last
	if (rec.Body != nil || v.cfg.NoBodies) && last.BodySeq != 0 && last.Encoding == rec.Encoding && last.WireBytes == rec.WireBytes {
		rec.Body, rec.BodySeq = nil, last.BodySeq
	}
}
