package crawler_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/orbweaver/orbweaver/crawler"
	"github.com/orbweaver/orbweaver/internal/simweb"
)

// TestCopiedJob resumes a copy of a job under another path, and then the job itself: each goes on from where the first run ended, and
// neither knows of the other.
func TestCopiedJob(t *testing.T) {
	web := startWeb(t, simweb.Config{Hosts: 4, Pages: 40})
	dir := filepath.Join(t.TempDir(), "job")
	runKeep(t, crawler.Config{Dir: dir, Seeds: web.Seeds(), MaxPages: 50})
	copied := filepath.Join(t.TempDir(), "elsewhere", "copy")
	if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	before := web.Counts()
	for _, d := range []string{copied, dir} {
		s, job := run(t, crawler.Config{Dir: d})
		if s.Ended != crawler.Done || s.Fetched != 160 || len(results(t, job.Store())) != 160 {
			t.Errorf("%s: %+v", d, s)
		}
	}
	if got := web.Counts().Pages - before.Pages; got != 2*(160-50) {
		t.Errorf("%d pages were fetched by the two, want 220", got)
	}
}
