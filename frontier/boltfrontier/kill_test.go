package boltfrontier_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.etcd.io/bbolt"
	"go.uber.org/goleak"

	"github.com/orbweaver/orbweaver/frontier"
	"github.com/orbweaver/orbweaver/frontier/boltfrontier"
)

// victimEnv makes this test binary the process that TestKill kills, at work on the database that it names, with hosts of which pagesEnv
// pages may be fetched.
const (
	victimEnv = "BOLTFRONTIER_TEST_VICTIM"
	pagesEnv  = "BOLTFRONTIER_TEST_PAGES"
)

func TestMain(m *testing.M) {
	if path := os.Getenv(victimEnv); path != "" {
		victim(path)
	}
	goleak.VerifyTestMain(m)
}

// killTree is the number of pages of TestKill: page n links to 3n+1, 3n+2, 3n+3 and back to n-1.
const killTree = 6000

func killRequest(n int) frontier.Request {
	host := fmt.Sprintf("host%d.example", n%17)
	return frontier.Request{URL: fmt.Sprintf("https://%s/%d", host, n), Host: host}
}

func killLinks(url string) (reqs []frontier.Request) {
	var host, n int
	if _, err := fmt.Sscanf(url, "https://host%d.example/%d", &host, &n); err != nil {
		panic(err)
	}
	for _, m := range []int{3*n + 1, 3*n + 2, 3*n + 3, n - 1} {
		if m >= 0 && m < killTree {
			reqs = append(reqs, killRequest(m))
		}
	}
	return reqs
}

func openKilled(path string, pages int64) (*frontier.Frontier, *bbolt.DB, error) {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{NoFreelistSync: true, FreelistType: bbolt.FreelistMapType})
	if err != nil {
		return nil, nil, err
	}
	b, err := boltfrontier.Open(db, boltfrontier.Config{})
	if err != nil {
		return nil, nil, err
	}
	f, err := frontier.New(b, frontier.Config{LeaseSize: 3, Front: 5, Policy: func(string) frontier.Policy {
		return frontier.Policy{MaxPages: pages}
	}})
	return f, db, err
}

// victim crawls with a few workers, and prints each URL after the commit that ended it, until it is killed or done.
func victim(path string) {
	pages, err := strconv.ParseInt(os.Getenv(pagesEnv), 10, 64)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	f, _, err := openKilled(path, pages)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	ctx := context.Background()
	if _, err := f.Put(ctx, []frontier.Request{killRequest(0)}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for {
				l, err := f.Lease(ctx)
				if errors.Is(err, frontier.ErrDone) {
					return
				}
				var b frontier.Batch
				for _, r := range l.Requests {
					l.Started(time.Now())
					b.Done = append(b.Done, r)
					b.Add = append(b.Add, killLinks(r.URL)...)
					b.Hosts = append(b.Hosts, frontier.HostChange{Host: r.Host, Fetched: 1})
				}
				l.Release()
				if _, err = f.Commit(ctx, &b); err != nil {
					fmt.Fprintln(os.Stderr, err)
					os.Exit(1)
				}
				var lines strings.Builder
				for _, r := range b.Done {
					lines.WriteString(r.URL + "\n")
				}
				_, _ = os.Stdout.WriteString(lines.String()) // one write: a line is there whole or not at all
			}
		})
	}
	all.Wait()
	os.Exit(0)
}

// TestKill kills a process at work, again and again, each time with hosts that may give some pages more: what it said was done stays
// done and comes no more, and in the end, without a budget, every page was fetched.
func TestKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	ctx := context.Background()
	done := make(map[string]bool)
	dropped := 0
	kills := 6
	if testing.Short() {
		kills = 2
	}
	for i := 0; ; i++ {
		pages := int64(25 + 25*i)
		if i >= kills {
			pages = 0
		}
		said := runVictim(t, path, pages, i < kills, 200+150*i)
		for _, url := range said {
			if done[url] {
				t.Fatalf("%s was done before, and was fetched again", url)
			}
			done[url] = true
		}
		f, db, err := openKilled(path, pages)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Check(ctx); err != nil {
			t.Fatal(err)
		}
		stats := f.Stats()
		dropped += stats.Dropped
		sample := 500 // in random order
		for url := range done {
			r := frontier.Request{URL: url, Host: strings.Split(url, "/")[2]}
			if s, err := f.Lookup(ctx, r); err != nil || s.State != frontier.StateDone {
				t.Fatalf("%s is %v, %v; it was done", url, s.State, err)
			}
			for _, link := range killLinks(url) {
				if s, err := f.Lookup(ctx, link); err != nil || s.State == frontier.StateUnknown {
					t.Fatalf("%s is %v, %v; the page that links to it was done", link.URL, s.State, err)
				}
			}
			if sample--; sample == 0 {
				break
			}
		}
		// Between commit and print a kill may come, so more may be done than was said: of one lease a worker.
		if stats.Done < len(done) || stats.Done > len(done)+8*3*(i+1) {
			t.Fatalf("%d are done, %d were said to be", stats.Done, len(done))
		}
		if err := errors.Join(f.Close(), db.Close()); err != nil {
			t.Fatal(err)
		}
		if i >= kills {
			if stats != (frontier.Stats{Done: killTree, Known: killTree, Hosts: 17}) {
				t.Errorf("%+v at the end", stats)
			}
			if dropped == 0 {
				t.Error("no budget was ever used up")
			}
			return
		}
	}
}

// runVictim starts a process and kills it after some lines of output, or lets it end. It returns the lines.
func runVictim(t *testing.T, path string, pages int64, kill bool, after int) (lines []string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), victimEnv+"="+path, fmt.Sprintf("%s=%d", pagesEnv, pages))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	scanner := bufio.NewScanner(out)
	for scanner.Scan() {
		lines = append(lines, scanner.Text())
		if kill && len(lines) == after {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); err != nil && !kill {
		t.Fatal(err)
	}
	return lines
}
