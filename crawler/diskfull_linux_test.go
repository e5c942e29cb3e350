package crawler_test

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/orbweaver/orbweaver/crawler"
)

// smallDisk mounts a file system of 24 MB. It takes root to mount one.
func smallDisk(t *testing.T, at string) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root to mount a file system")
	}
	if err := syscall.Mount("tmpfs", at, "tmpfs", 0, "size=24m"); err != nil {
		t.Skipf("needs to mount a file system: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(at, 0); err != nil {
			t.Error(err)
		}
	})
}

// fill writes a file of so many bytes, or of all there is room for.
func fill(t *testing.T, path string, bytes int64) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	chunk := make([]byte, 64<<10)
	for n := int64(0); err == nil && (bytes == 0 || n < bytes); n += int64(len(chunk)) {
		_, err = f.Write(chunk)
	}
	f.Close()
}

// TestDiskReallyFull crawls onto a small file system that something else fills
// meanwhile, first to below the reserve and then to the last byte: the crawl
// waits, and goes on when there is room.
func TestDiskReallyFull(t *testing.T) {
	const mega = 1 << 20
	for _, test := range []struct {
		name      string
		archives  bool
		elsewhere bool // the archives are on the small disk, the job is not
		reserve   int64
		first     int64 // what is filled at first
	}{
		{"job", false, false, 8 * mega, 18 * mega},
		{"job with archives", true, false, 8 * mega, 18 * mega},
		{"archives elsewhere", true, true, 8 * mega, 18 * mega},
		{"archives elsewhere, without a reserve", true, true, 1, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			top := t.TempDir()
			dir := filepath.Join(top, "job")
			cfg := crawler.Config{
				Dir: dir, Delay: 5 * time.Millisecond, Robots: crawler.RobotsPolicy{Ignore: true},
				DiskReserve: test.reserve, MaxPages: 300,
			}
			if test.archives {
				cfg.WARC = &crawler.WARC{}
			}
			disk := top
			if test.elsewhere {
				c, err := crawler.New(cfg) // the job is there before something is mounted in it
				if err := errors.Join(err, c.Close()); err != nil {
					t.Fatal(err)
				}
				disk = filepath.Join(dir, crawler.DefaultArchives)
			}
			smallDisk(t, disk)
			paused, resumed := make(chan crawler.PausedEvent, 100), make(chan struct{}, 100)
			cfg.Seeds = []string{endless(t)}
			cfg.Events = crawler.Events{
				Paused:  func(e crawler.PausedEvent) { paused <- e },
				Resumed: func(crawler.ResumedEvent) { resumed <- struct{}{} },
			}
			c, err := crawler.New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			ended := background(t, c)
			waitFor(t, "pages", func() bool { return c.Stats().Fetched > 0 })
			filler := filepath.Join(disk, "filler")
			fill(t, filler, test.first)
			if e := <-paused; e.Cause != crawler.PauseDisk || e.Free >= test.reserve || e.Reserve != test.reserve ||
				test.elsewhere && e.Dir != disk || test.reserve == 1 && e.Free > 0 {
				t.Errorf("paused by %+v", e)
			}
			fill(t, filler, 0)
			if s := c.Stats(); !s.Disk.Low {
				t.Errorf("disk %+v", s.Disk)
			}
			if err := os.Remove(filler); err != nil {
				t.Fatal(err)
			}
			<-resumed
			if s := ended(); s.Ended != crawler.MaxPages || s.Fetched != 300 {
				t.Errorf("ended %s with %d pages", s.Ended, s.Fetched)
			}
			if err := c.Close(); err != nil {
				t.Error(err)
			}
			job := reopen(t, dir)
			if test.archives {
				wantArchived(t, job.Store(), archived(t, filepath.Join(dir, crawler.DefaultArchives)))
			}
		})
	}
}

// TestArchiveStoppedWhileFull stops a crawl whose archives have no room: what could
// not be archived is fetched again by the next run.
func TestArchiveStoppedWhileFull(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "job")
	cfg := crawler.Config{
		Dir: dir, Delay: 2 * time.Millisecond, Robots: crawler.RobotsPolicy{Ignore: true},
		DiskReserve: 1, MaxPages: 300, WARC: &crawler.WARC{},
	}
	c, err := crawler.New(cfg)
	if err := errors.Join(err, c.Close()); err != nil {
		t.Fatal(err)
	}
	disk := filepath.Join(dir, crawler.DefaultArchives)
	smallDisk(t, disk)
	paused := make(chan crawler.PausedEvent, 100)
	cfg.Seeds = []string{endless(t)}
	cfg.Events.Paused = func(e crawler.PausedEvent) { paused <- e }
	if c, err = crawler.New(cfg); err != nil {
		t.Fatal(err)
	}
	ended := background(t, c)
	filler := filepath.Join(disk, "filler")
	fill(t, filler, 0)
	<-paused
	c.Stop()
	if s := ended(); s.Ended != crawler.Stopped || s.Waiting == 0 || s.Leased != 0 {
		t.Errorf("ended %s, %d waiting, %d leased", s.Ended, s.Waiting, s.Leased)
	}
	// The index of an archive may have no room either.
	if err := c.Close(); err != nil && !errors.Is(err, syscall.ENOSPC) {
		t.Error(err)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	cfg.Seeds = nil
	s, job := run(t, cfg)
	if s.Ended != crawler.MaxPages || s.Fetched != 300 {
		t.Errorf("ended %s with %d pages", s.Ended, s.Fetched)
	}
	wantArchived(t, job.Store(), archived(t, disk))
}

// TestStoppedWhileFull stops a crawl that cannot commit, as the job's disk is full: it has stopped and not failed, and
// what could not be committed is fetched again by the next run.
func TestStoppedWhileFull(t *testing.T) {
	disk := t.TempDir()
	smallDisk(t, disk)
	paused := make(chan crawler.PausedEvent, 100)
	cfg := crawler.Config{
		Dir: filepath.Join(disk, "job"), Delay: 2 * time.Millisecond, Robots: crawler.RobotsPolicy{Ignore: true},
		DiskReserve: 1, MaxPages: 300, Seeds: []string{endless(t)},
		FreeSpace: func(string) (int64, bool) { return 1 << 40, true }, // as where a quota is what is full
		Events:    crawler.Events{Paused: func(e crawler.PausedEvent) { paused <- e }},
	}
	c, err := crawler.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ended := background(t, c)
	waitFor(t, "pages", func() bool { return c.Stats().Fetched > 0 })
	filler := filepath.Join(disk, "filler")
	fill(t, filler, 0)
	if e := <-paused; !errors.Is(e.Err, syscall.ENOSPC) {
		t.Errorf("paused by %+v", e)
	}
	c.Stop()
	if s := ended(); s.Ended != crawler.Stopped || s.Waiting+s.Leased == 0 {
		t.Errorf("ended %s, %d waiting, %d leased", s.Ended, s.Waiting, s.Leased)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	cfg.Seeds = nil
	if s, _ := run(t, cfg); s.Ended != crawler.MaxPages || s.Fetched != 300 {
		t.Errorf("ended %s with %d pages", s.Ended, s.Fetched)
	}
}
