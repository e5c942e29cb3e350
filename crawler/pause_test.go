package crawler_test

import (
	"context"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/orbweaver/orbweaver/crawler"
	"github.com/orbweaver/orbweaver/httpclient"
	"github.com/orbweaver/orbweaver/internal/simweb"
)

// inBubble runs test in virtual time, with a web of three hosts that have twenty
// pages each and answer after 100 ms.
func inBubble(t *testing.T, test func(t *testing.T, web *simweb.Web)) {
	webInBubble(t, simweb.Config{Hosts: 3, Pages: 20, Latency: 100 * time.Millisecond}, test)
}

// webInBubble is inBubble with another web.
func webInBubble(t *testing.T, cfg simweb.Config, test func(t *testing.T, web *simweb.Web)) {
	synctest.Test(t, func(t *testing.T) {
		web, err := simweb.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer web.Close()
		test(t, web)
	})
}

// bubbleCrawl opens a crawl of web. What is returned last closes it.
func bubbleCrawl(t *testing.T, web *simweb.Web, cfg crawler.Config) (c *crawler.Crawler, end func()) {
	t.Helper()
	connector, err := httpclient.NewTCPConnector(httpclient.TCPConfig{
		Dial: func(ctx context.Context, addr netip.AddrPort) (net.Conn, error) {
			return web.DialContext(ctx, "tcp", addr.String())
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	cfg.Session, err = httpclient.New(httpclient.Config{Connector: connector})
	if err != nil {
		t.Fatal(err)
	}
	if c, err = crawler.New(cfg); err != nil {
		t.Fatal(err)
	}
	return c, func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if err := cfg.Session.Close(); err != nil {
			t.Error(err)
		}
	}
}

// background runs a crawl; what is returned waits for its summary.
func background(t *testing.T, c *crawler.Crawler) (ended func() *crawler.Summary) {
	var (
		s    *crawler.Summary
		err  error
		done = make(chan struct{})
	)
	go func() {
		defer close(done)
		s, err = c.Run(t.Context())
	}()
	return func() *crawler.Summary {
		t.Helper()
		<-done
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
}

// TestPause pauses a crawl for a while in which nothing may be asked, stops it
// and opens it again, which it has to survive, and lets it end.
func TestPause(t *testing.T) {
	inBubble(t, func(t *testing.T, web *simweb.Web) {
		dir := filepath.Join(t.TempDir(), "job")
		var told []crawler.PauseCause
		c, end := bubbleCrawl(t, web, crawler.Config{
			Dir: dir, Seeds: web.Seeds(),
			Events: crawler.Events{
				Paused:  func(e crawler.PausedEvent) { told = append(told, "paused "+e.Cause) },
				Resumed: func(e crawler.ResumedEvent) { told = append(told, "resumed "+e.Cause) },
			},
		})
		ended := background(t, c)
		untilBusy(c)
		if err := c.Pause(); err != nil {
			t.Fatal(err)
		}
		if s := c.Stats(); s.Paused.IsZero() || s.InFlight == 0 {
			t.Errorf("while pages are fetched: paused %v, %d in flight", s.Paused, s.InFlight)
		}
		synctest.Wait() // what has begun is at the server
		before := web.Counts().Requests
		wantQuiet(t, web, c, before)
		if err := c.Resume(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		if web.Counts().Requests == before {
			t.Error("nothing was asked after Resume")
		}
		for range 2 {
			if err := c.Pause(); err != nil {
				t.Fatal(err)
			}
		}
		c.Stop()
		if s := ended(); s.Ended != crawler.Stopped || s.Waiting == 0 {
			t.Errorf("ended %s with %d waiting", s.Ended, s.Waiting)
		}
		end()
		want := []crawler.PauseCause{"paused asked", "resumed asked", "paused asked"}
		if !slices.Equal(told, want) {
			t.Errorf("events %q, want %q", told, want)
		}
		if s, err := reopen(t, dir).Stats(); err != nil || s.Paused.IsZero() {
			t.Errorf("at rest: %v, paused %v", err, s.Paused)
		}
	})
}

// untilBusy passes some seconds, and then the time until pages are being fetched.
func untilBusy(c *crawler.Crawler) {
	time.Sleep(5 * time.Second)
	for c.Stats().InFlight == 0 {
		time.Sleep(10 * time.Millisecond)
	}
}

// wantQuiet passes some minutes in which the web must not be asked.
func wantQuiet(t *testing.T, web *simweb.Web, c *crawler.Crawler, requests int64) {
	t.Helper()
	time.Sleep(5 * time.Minute)
	if got := web.Counts().Requests; got != requests {
		t.Errorf("%d requests were made while the crawl was paused", got-requests)
	}
	if s := c.Stats(); s.InFlight != 0 {
		t.Errorf("%d are in flight after minutes of pause", s.InFlight)
	}
}

// TestPausedJobStaysPaused opens a job that was paused, adds to it, and lets it
// end.
func TestPausedJobStaysPaused(t *testing.T) {
	inBubble(t, func(t *testing.T, web *simweb.Web) {
		cfg := crawler.Config{Dir: filepath.Join(t.TempDir(), "job"), Seeds: web.Seeds()[:1]}
		c, end := bubbleCrawl(t, web, cfg)
		if err := c.Pause(); err != nil {
			t.Fatal(err)
		}
		end()

		c, end = bubbleCrawl(t, web, cfg)
		ended := background(t, c)
		wantQuiet(t, web, c, 0)
		if n, err := c.AddSeeds(t.Context(), slices.Values(web.Seeds())); n != 3 || err != nil {
			t.Errorf("added %d, %v", n, err)
		}
		wantQuiet(t, web, c, 0)
		if err := c.Resume(); err != nil {
			t.Fatal(err)
		}
		if s := ended(); s.Ended != crawler.Done || s.Fetched != 60 || !s.Paused.IsZero() {
			t.Errorf("ended %s with %d pages, paused %v", s.Ended, s.Fetched, s.Paused)
		}
		end()
		compare(t, web)
		if s, err := reopen(t, cfg.Dir).Stats(); err != nil || !s.Paused.IsZero() {
			t.Errorf("at rest: %v, paused %v", err, s.Paused)
		}
	})
}

// TestPausedIsNotDone pauses a crawl whose last page is being fetched: it must
// not end, as somebody may add to it.
func TestPausedIsNotDone(t *testing.T) {
	inBubble(t, func(t *testing.T, web *simweb.Web) {
		c, end := bubbleCrawl(t, web, crawler.Config{
			Dir: filepath.Join(t.TempDir(), "job"), Seeds: web.Seeds()[:1], NoFollow: true, Robots: crawler.RobotsPolicy{Ignore: true},
		})
		defer end()
		ended := background(t, c)
		time.Sleep(50 * time.Millisecond)
		if err := c.Pause(); err != nil {
			t.Fatal(err)
		}
		wantQuiet(t, web, c, 1)
		if s := c.Stats(); s.Fetched != 1 || s.Waiting != 0 {
			t.Errorf("%d fetched, %d waiting", s.Fetched, s.Waiting)
		}
		if _, err := c.AddSeeds(t.Context(), slices.Values(web.Seeds()[1:])); err != nil {
			t.Fatal(err)
		}
		wantQuiet(t, web, c, 1)
		if err := c.Resume(); err != nil {
			t.Fatal(err)
		}
		if s := ended(); s.Ended != crawler.Done || s.Fetched != 3 {
			t.Errorf("ended %s with %d pages", s.Ended, s.Fetched)
		}
	})
}

func TestStopNowWhilePaused(t *testing.T) {
	inBubble(t, func(t *testing.T, web *simweb.Web) {
		var now []bool
		c, end := bubbleCrawl(t, web, crawler.Config{
			Dir: filepath.Join(t.TempDir(), "job"), Seeds: web.Seeds(),
			Events: crawler.Events{Stopping: func(e crawler.StoppingEvent) { now = append(now, e.Now) }},
		})
		defer end()
		ended := background(t, c)
		untilBusy(c)
		if err := c.Pause(); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		c.StopNow()
		if s := ended(); s.Ended != crawler.Cancelled || s.Waiting == 0 || time.Since(began) >= 50*time.Millisecond {
			t.Errorf("ended %s with %d waiting after %v", s.Ended, s.Waiting, time.Since(began))
		}
		c.StopNow() // remembered for the next run
		if s := background(t, c)(); s.Ended != crawler.Stopped || time.Since(began) >= 50*time.Millisecond {
			t.Errorf("ended %s after %v", s.Ended, time.Since(began))
		}
		if !slices.Equal(now, []bool{true, true}) {
			t.Errorf("Stopping was told with %v", now)
		}
	})
}

// TestDiskReserve lets a disk fill while a crawl runs, and empty again.
func TestDiskReserve(t *testing.T) {
	inBubble(t, func(t *testing.T, web *simweb.Web) {
		const mega = 1 << 20
		var (
			free  atomic.Int64
			mu    sync.Mutex
			told  []crawler.PausedEvent
			ended int
		)
		free.Store(200 * mega)
		dir := filepath.Join(t.TempDir(), "job")
		c, end := bubbleCrawl(t, web, crawler.Config{
			Dir: dir, Seeds: web.Seeds(),
			DiskReserve: 80 * mega,
			FreeSpace:   func(string) (int64, bool) { return free.Load(), true },
			Events: crawler.Events{
				Paused: func(e crawler.PausedEvent) {
					mu.Lock()
					defer mu.Unlock()
					told = append(told, e)
				},
				Resumed: func(e crawler.ResumedEvent) {
					mu.Lock()
					defer mu.Unlock()
					if e.Cause == crawler.PauseDisk {
						ended++
					}
				},
			},
		})
		defer end()
		finished := background(t, c)
		time.Sleep(5 * time.Second)
		free.Store(79 * mega)
		time.Sleep(2 * time.Second)
		before := web.Counts().Requests
		wantQuiet(t, web, c, before)
		s := c.Stats()
		if !s.Disk.Low || s.Disk.Free != 79*mega || s.Disk.Reserve != 80*mega || s.Disk.Size == 0 || !s.Paused.IsZero() {
			t.Errorf("disk %+v, paused %v", s.Disk, s.Paused)
		}
		free.Store(85 * mega) // not yet an eighth more than the reserve
		wantQuiet(t, web, c, before)
		if err := c.Pause(); err != nil {
			t.Fatal(err)
		}
		free.Store(90 * mega)
		wantQuiet(t, web, c, before) // it was asked to pause, too
		if err := c.Resume(); err != nil {
			t.Fatal(err)
		}
		if s := finished(); s.Ended != crawler.Done || s.Fetched != 60 || s.Disk.Low {
			t.Errorf("ended %s with %d pages, low %v", s.Ended, s.Fetched, s.Disk.Low)
		}
		want := []crawler.PausedEvent{
			{Cause: crawler.PauseDisk, Dir: dir, Free: 79 * mega, Reserve: 80 * mega}, {Cause: crawler.PauseAsked},
		}
		if !slices.Equal(told, want) || ended != 1 {
			t.Errorf("told %+v and the end of %d, want %+v and 1", told, ended, want)
		}
	})
}

// TestCommitWaitsForRoom fills the disk so far that not even what is under way
// could be committed: the commit waits instead of failing, and a stopped crawl
// does not wait.
func TestCommitWaitsForRoom(t *testing.T) {
	for _, stopped := range []bool{false, true} {
		inBubble(t, func(t *testing.T, web *simweb.Web) {
			var free atomic.Int64
			free.Store(1 << 30)
			var committed atomic.Int64
			c, end := bubbleCrawl(t, web, crawler.Config{
				Dir: filepath.Join(t.TempDir(), "job"), Seeds: web.Seeds(),
				DiskReserve: 100 << 20,
				FreeSpace:   func(string) (int64, bool) { return free.Load(), true },
				Events:      crawler.Events{Committed: func(crawler.CommittedEvent) { committed.Add(1) }},
			})
			defer end()
			finished := background(t, c)
			untilBusy(c)
			free.Store(1 << 20)
			before := committed.Load()
			time.Sleep(5 * time.Minute)
			if got := committed.Load(); got != before {
				t.Errorf("%d commits without room", got-before)
			}
			want := crawler.Done
			if stopped {
				c.Stop()
				want = crawler.Stopped
			} else {
				free.Store(1 << 30)
			}
			if s := finished(); s.Ended != want || s.Leased != 0 {
				t.Errorf("ended %s, want %s; %d leased", s.Ended, want, s.Leased)
			}
		})
	}
}
