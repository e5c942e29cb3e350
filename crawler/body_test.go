package crawler_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/orbweaver/orbweaver/crawler"
	"github.com/orbweaver/orbweaver/internal/simweb"
	"github.com/orbweaver/orbweaver/storage"
)

func TestBodiesAreStored(t *testing.T) {
	web := startWeb(t, simweb.Config{Hosts: 1, Pages: 10, Gzip: true})
	_, job := run(t, crawler.Config{Seeds: web.Seeds()})
	for u, rec := range results(t, job.Store()) {
		body, err := job.Store().Body(t.Context(), rec.Seq)
		if err != nil || int64(len(body)) != rec.WireBytes || rec.Encoding != "gzip" || !bytes.HasPrefix(body, []byte{0x1f, 0x8b}) {
			t.Errorf("%s: %d bytes, %q, %v", u, len(body), rec.Encoding, err)
		}
		if !bytes.HasPrefix(rec.Head, []byte("HTTP/1.1 200")) {
			t.Errorf("%s: head %q", u, rec.Head)
		}
	}
	_, job = run(t, crawler.Config{Seeds: web.Seeds(), NoBodies: true})
	for u, rec := range results(t, job.Store()) {
		if body, err := job.Store().Body(t.Context(), rec.Seq); !errors.Is(err, storage.ErrNotFound) {
			t.Errorf("%s: %d bytes, %v", u, len(body), err)
		}
		if rec.Bytes == 0 || rec.WireBytes == 0 {
			t.Errorf("%s: no size", u)
		}
	}
}
