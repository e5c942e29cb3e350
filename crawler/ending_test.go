package crawler_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/orbweaver/orbweaver/crawler"
	"github.com/orbweaver/orbweaver/httpclient"
	"github.com/orbweaver/orbweaver/internal/simweb"
	"github.com/orbweaver/orbweaver/storage"
)

// TestInterruptedHandlerGivesPageBack ends a run while a handler works: its
// page must not become one that is done without its items.
func TestInterruptedHandlerGivesPageBack(t *testing.T) {
	site := serve(t, func(w http.ResponseWriter, _ *http.Request) { html(w, "page") })
	dir := filepath.Join(t.TempDir(), "job")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	c, err := crawler.New(crawler.Config{
		Dir: dir, Seeds: []string{site}, Robots: crawler.RobotsPolicy{Ignore: true},
		Handler: crawler.HandlerFunc(func(ctx context.Context, _ *crawler.Page) error {
			cancel()
			<-ctx.Done()
			return fmt.Errorf("look something up: %w", ctx.Err())
		}),
	})
	if err != nil {
		t.Fatal(err)
	}
	s, err := c.Run(ctx)
	if err != nil || s.Ended != crawler.Cancelled || s.Waiting != 1 || s.Fetched != 0 {
		t.Errorf("interrupted: %v, %+v", err, s)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	s, _ = run(t, crawler.Config{Dir: dir, Robots: crawler.RobotsPolicy{Ignore: true}, Handler: crawler.HandlerFunc(
		func(_ context.Context, p *crawler.Page) error { return p.Emit(p.URL) })})
	if s.Fetched != 1 || s.Items != 1 {
		t.Errorf("resumed: %d fetched, %d items", s.Fetched, s.Items)
	}
}

// TestHandlerEndsItsGoroutine, as a test does that fails in a handler.
func TestHandlerEndsItsGoroutine(t *testing.T) {
	web := startWeb(t, simweb.Config{Hosts: 4, Pages: 20})
	c, err := crawler.New(crawler.Config{
		Seeds: web.Seeds(), Delay: crawler.NoDelay,
		Handler: crawler.HandlerFunc(func(context.Context, *crawler.Page) error {
			runtime.Goexit()
			return nil
		}),
	})
	if err != nil {
		t.Fatal(err)
	}
	if s, err := c.Run(t.Context()); err == nil || s.Ended != crawler.Failed {
		t.Errorf("no error: %+v", s)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

// TestMuxSeesItsStatuses without Config.Statuses.
func TestMuxSeesItsStatuses(t *testing.T) {
	site := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			w.WriteHeader(http.StatusNotFound)
		}
		html(w, `<a href="/gone">gone</a>`)
	})
	var found, missing atomic.Int32
	mux := crawler.NewMux()
	mux.Add(crawler.Route{Status: http.StatusNotFound, Handler: crawler.HandlerFunc(
		func(_ context.Context, p *crawler.Page) error {
			if strings.HasSuffix(p.URL, "/gone") {
				missing.Add(1)
			}
			return nil
		})})
	mux.On("/", func(context.Context, *crawler.Page) error { found.Add(1); return nil })
	run(t, crawler.Config{Seeds: []string{site}, Robots: crawler.RobotsPolicy{Ignore: true}, Handler: mux})
	if found.Load() != 1 || missing.Load() != 1 {
		t.Errorf("handlers saw %d pages found and %d missing, want 1 of each", found.Load(), missing.Load())
	}
}

// TestCloseEndsEverything closes a crawler while a run and a seeder are at
// work.
func TestCloseEndsEverything(t *testing.T) {
	web := startWeb(t, simweb.Config{Hosts: 4, Pages: 500})
	dir := filepath.Join(t.TempDir(), "job")
	started := make(chan struct{})
	var once sync.Once
	c, err := crawler.New(crawler.Config{
		Dir: dir, Seeds: web.Seeds(), Delay: crawler.NoDelay,
		Events: crawler.Events{Fetched: func(crawler.FetchedEvent) { once.Do(func() { close(started) }) }},
	})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 2)
	go func() {
		s, err := c.Run(context.Background())
		if err == nil && s.Ended != crawler.Cancelled {
			err = fmt.Errorf("the run ended %q", s.Ended)
		}
		ended <- err
	}()
	go func() {
		_, err := c.AddSeeds(context.Background(), func(yield func(string) bool) {
			for i := 0; yield(fmt.Sprintf("%s?%d", web.Seeds()[0], i)); i++ {
				time.Sleep(time.Millisecond)
			}
		})
		if errors.Is(err, crawler.ErrClosed) {
			err = nil
		}
		ended <- err
	}()
	<-started
	if err := errors.Join(c.Close(), c.Close(), <-ended, <-ended); err != nil {
		t.Error(err)
	}
	if _, err := c.Run(t.Context()); !errors.Is(err, crawler.ErrClosed) {
		t.Errorf("Run after Close: %v", err)
	}
	if _, err := c.AddSeeds(t.Context(), slices.Values(web.Seeds())); !errors.Is(err, crawler.ErrClosed) {
		t.Errorf("AddSeeds after Close: %v", err)
	}
	reopen(t, dir)
}

// TestCutSeedsKeepTheirScope: seeds that were added before the context ended
// are in the job with their hosts, or not at all.
func TestCutSeedsKeepTheirScope(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "job")
	c, err := crawler.New(crawler.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	added, err := c.AddSeeds(ctx, func(yield func(string) bool) {
		if yield("http://one.example/") {
			cancel()
			yield("http://two.example/")
		}
	})
	if added != 1 || !errors.Is(err, context.Canceled) {
		t.Errorf("%d added: %v", added, err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	e, err := reopen(t, dir).Explain(t.Context(), "http://one.example/x")
	if err != nil || !e.InScope || e.Waiting != 1 {
		t.Errorf("explained: %v, %+v", err, e)
	}
}

// TestDeadHostIsGivenUp: the URLs of a host that dies do not each cost their
// tries.
func TestDeadHostIsGivenUp(t *testing.T) {
	const links = 200
	var asked atomic.Int32
	site := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			for i := range links {
				fmt.Fprintf(w, `<a href="/%d">page</a>`, i)
			}
			return
		}
		asked.Add(1)
		panic(http.ErrAbortHandler)
	})
	s, job := run(t, crawler.Config{Seeds: []string{site}, Robots: crawler.RobotsPolicy{Ignore: true}, HostFailures: 3, PerHost: 2, Concurrency: 4})
	if s.Ended != crawler.Done || s.Fetched != 1 || s.Failed+s.LeftOut[crawler.ReasonHostDown] != links {
		t.Errorf("ended %q: %d fetched, %d failed, left out %v", s.Ended, s.Fetched, s.Failed, s.LeftOut)
	}
	// Three rounds of up to two requests; the client may ask twice when a
	// connection that was used before breaks.
	if n := asked.Load(); n < 3 || n > 12 {
		t.Errorf("the dead host was asked %d times", n)
	}
	if n := len(results(t, job.Store())); int64(n) != 1+s.Failed {
		t.Errorf("%d results", n)
	}
}

// TestJobTakenAway removes the job's directory, or puts another file in the
// database's place, while it runs: the run must not end as if its results were
// somewhere.
func TestJobTakenAway(t *testing.T) {
	for name, take := range map[string]func(dir string) error{
		"removed": os.RemoveAll,
		"replaced": func(dir string) error {
			path := filepath.Join(dir, "job.db")
			return errors.Join(os.Rename(path, path+".old"), os.WriteFile(path, nil, 0o644))
		},
	} {
		t.Run(name, func(t *testing.T) {
			web := startWeb(t, simweb.Config{Hosts: 2, Pages: 20})
			dir := filepath.Join(t.TempDir(), "job")
			var once sync.Once
			c, err := crawler.New(crawler.Config{
				Dir: dir, Seeds: web.Seeds(), Delay: crawler.NoDelay,
				Events: crawler.Events{Fetched: func(crawler.FetchedEvent) {
					once.Do(func() {
						if err := take(dir); err != nil {
							t.Error(err)
						}
					})
				}},
			})
			if err != nil {
				t.Fatal(err)
			}
			s, err := c.Run(t.Context())
			if e := (*crawler.JobError)(nil); !errors.As(err, &e) || s.Ended != crawler.Failed {
				t.Errorf("ended %q: %v", s.Ended, err)
			}
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestNoRoomForConnections has a machine that cannot make connections for a
// while: that costs no URL, and not a try of one.
func TestNoRoomForConnections(t *testing.T) {
	site := serve(t, func(w http.ResponseWriter, _ *http.Request) { html(w, "page") })
	var tries atomic.Int32
	s, _ := run(t, crawler.Config{
		Seeds: []string{site}, Retries: -1,
		Middleware: []httpclient.Middleware{func(next httpclient.Handler) httpclient.Handler {
			return func(ctx context.Context, req *httpclient.Request) (*httpclient.Response, error) {
				switch tries.Add(1) {
				case 1, 3: // robots.txt, and the page after it
					return nil, &net.OpError{Op: "dial", Err: os.NewSyscallError("socket", syscall.EMFILE)}
				}
				return next(ctx, req)
			}
		}},
	})
	if s.Fetched != 1 || s.Failed != 0 || s.Retried != 2 || tries.Load() != 4 {
		t.Errorf("%d fetched, %d failed, %d retried, %d tries", s.Fetched, s.Failed, s.Retried, tries.Load())
	}
}

// TestBombIsFetchedOnce: another try would not make a gzip bomb a page.
func TestBombIsFetchedOnce(t *testing.T) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := z.Write(make([]byte, 64<<20)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	var asked atomic.Int32
	site := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.Header().Set("Content-Type", "text/html")
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(packed.Bytes())
	})
	s, _ := run(t, crawler.Config{Seeds: []string{site}, Robots: crawler.RobotsPolicy{Ignore: true}})
	if s.Fetched != 1 || s.Errors[storage.ErrorClassLimit] != 1 || s.Retried != 0 || asked.Load() != 1 {
		t.Errorf("%d fetched, errors %v, %d retried, asked %d times", s.Fetched, s.Errors, s.Retried, asked.Load())
	}
}

// TestRunAgain runs one crawler several times, with seeds added in between and
// by a handler.
func TestRunAgain(t *testing.T) {
	web := startWeb(t, simweb.Config{Hosts: 3, Pages: 20})
	seeds := web.Seeds()
	var c *crawler.Crawler
	var once sync.Once
	c, err := crawler.New(crawler.Config{
		Seeds: seeds[:1], Delay: crawler.NoDelay,
		Handler: crawler.HandlerFunc(func(ctx context.Context, _ *crawler.Page) (err error) {
			once.Do(func() { _, err = c.AddSeeds(ctx, slices.Values(seeds[1:2])) })
			return err
		}),
	})
	if err != nil {
		t.Fatal(err)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	check := func(ctx context.Context, ended crawler.Ending, fetched, ofRun int64) {
		t.Helper()
		s, err := c.Run(ctx)
		if err != nil || s.Ended != ended || s.Fetched != fetched || s.RunFetched != ofRun {
			t.Errorf("ended %q, %v: %d fetched, %d in this run; want %q, %d, %d",
				s.Ended, err, s.Fetched, s.RunFetched, ended, fetched, ofRun)
		}
	}
	check(cancelled, crawler.Cancelled, 0, 0)
	check(t.Context(), crawler.Done, 40, 40)
	check(t.Context(), crawler.Done, 40, 0)
	if n, err := c.AddSeeds(t.Context(), slices.Values(seeds)); n != 3 || err != nil {
		t.Errorf("%d seeds added: %v", n, err)
	}
	check(t.Context(), crawler.Done, 60, 20)
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	compare(t, web)
}
