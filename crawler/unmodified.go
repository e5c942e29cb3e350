package crawler

import (
	"hash/maphash"
	"sync"
	"time"

	"github.com/orbweaver/orbweaver/storage"
)

// maxUnmodified bounds how many pages are remembered, each with 16 bytes or so.
const maxUnmodified = 1 << 20

// unmodified remembers when pages were modified last, as sitemaps say: see
// Config.TrustLastmod. Its zero value is empty. Its methods may be called at once.
type unmodified struct {
	mu   sync.Mutex
	seed maphash.Seed
	last map[uint64]int64 // by hash of the URL, in seconds since 1970
}

// add notes what a sitemap says of a page. Of two sayings the later one counts.
func (u *unmodified) add(url string, last time.Time) {
	if last.Equal(last.Truncate(24 * time.Hour)) {
		last = last.Add(24 * time.Hour) // the day alone is told, in which it may have been at any time
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.last == nil {
		u.seed, u.last = maphash.MakeSeed(), make(map[uint64]int64)
	}
	key := maphash.String(u.seed, url)
	if before, known := u.last[key]; len(u.last) < maxUnmodified || known {
		u.last[key] = max(before, last.Unix())
	}
}

// since reports whether a page is known not to have been modified since a visit that
// found it.
func (u *unmodified) since(url string, visit *storage.Record) bool {
	if visit == nil || visit.Status/100 != 2 || visit.Error != "" {
		return false
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.last == nil {
		return false
	}
	last, known := u.last[maphash.String(u.seed, url)]
	return known && last < visit.FetchedAt.Unix()
}
