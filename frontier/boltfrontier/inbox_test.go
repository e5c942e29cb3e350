package boltfrontier

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/orbweaver/orbweaver/frontier"
)

// mail adds requests to hosts at random, and knows what comes out of that.
type mail struct {
	t      *testing.T
	db     *bbolt.DB
	b      *Backend
	random *rand.Rand
	hosts  int
	sent   int
	merges int

	waiting map[string][2][]string // host -> URLs by class, oldest first
}

func (m *mail) open() {
	m.t.Helper()
	var err error
	if m.b, err = Open(m.db, Config{}); err != nil {
		m.t.Fatal(err)
	}
}

// send adds n requests to hosts at random, one of them with a request too many for the inbox; or fails to, in one of ten.
func (m *mail) send(n int) {
	m.t.Helper()
	var reqs []frontier.Request
	for range n {
		host := fmt.Sprintf("host%d.example", m.random.IntN(m.hosts))
		many := 1
		if m.random.IntN(100) == 0 {
			many = 1 + m.random.IntN(2*inboxRequests)
		}
		priority := int8(m.random.IntN(20) / 19)
		for range many {
			m.sent++
			url := fmt.Sprintf("https://%s/%d%s", host, m.sent, strings.Repeat("x", m.random.IntN(80)))
			reqs = append(reqs, frontier.Request{URL: url, Host: host, Priority: priority})
		}
	}
	failed := errors.New("rolled back")
	late := m.random.IntN(10) == 0
	merging := len(m.b.logs.inbox.merging)
	err := m.db.Update(func(tx *bbolt.Tx) error {
		for len(reqs) > 0 { // several batches in one transaction
			some := reqs[:min(len(reqs), n/2)]
			if _, err := m.b.ApplyTx(tx, &frontier.Batch{Add: some}); err != nil {
				return err
			}
			if !late {
				m.expect(some)
			}
			reqs = reqs[len(some):]
		}
		if late {
			return failed
		}
		return nil
	})
	if late != errors.Is(err, failed) {
		m.t.Fatal(err)
	}
	if merging == 0 && len(m.b.logs.inbox.merging) > 0 {
		m.merges++
	}
}

func (m *mail) expect(reqs []frontier.Request) {
	for _, r := range reqs {
		w := m.waiting[r.Host]
		class := 1 - int(r.Priority) // the higher first
		w[class] = append(w[class], r.URL)
		m.waiting[r.Host] = w
	}
}

// crawl ends what waits of n hosts, and gives up the rest of what was claimed.
func (m *mail) crawl(n int) {
	m.t.Helper()
	ctx := context.Background()
	f, err := frontier.New(m.b, frontier.Config{LeaseSize: 64, Front: 2 * n})
	if err != nil {
		m.t.Fatal(err)
	}
	for range n {
		l, err := f.Lease(ctx)
		if err != nil {
			m.t.Fatal(err)
		}
		w := m.waiting[l.Host]
		want := slices.Concat(w[0], w[1])
		for i := range l.Requests {
			if i >= len(want) || l.Requests[i].URL != want[i] {
				m.t.Fatalf("%s: request %d is %s, want %d: %q", l.Host, i, l.Requests[i].URL, len(want), want)
			}
		}
		if _, err := f.Commit(ctx, &frontier.Batch{Done: l.Requests}); err != nil {
			m.t.Fatal(err)
		}
		l.Release()
		first := min(len(l.Requests), len(w[0]))
		m.waiting[l.Host] = [2][]string{w[0][first:], w[1][len(l.Requests)-first:]}
	}
	if m.random.IntN(2) == 0 {
		if err := f.Close(); err != nil {
			m.t.Fatal(err)
		}
	}
	m.open() // after a crash, if it was not closed
}

// TestInbox proves that what goes through the inbox comes out once and in order, whatever happens in between.
func TestInbox(t *testing.T) {
	ctx := context.Background()
	m := &mail{
		t: t, db: openDB(t, filepath.Join(t.TempDir(), "db"), bbolt.Options{}), random: rand.New(rand.NewPCG(6, 7)), hosts: 300,
		waiting: make(map[string][2][]string),
	}
	m.open()
	for i := range 120 {
		m.send(100)
		if i%10 == 9 {
			m.crawl(5)
		}
		if i%5 == 4 {
			if err := m.b.Check(ctx); err != nil {
				t.Fatal(err)
			}
		}
	}
	if m.merges < 5 {
		t.Errorf("the inbox was merged %d times", m.merges)
	}
	left := 0
	for host, w := range m.waiting {
		for _, url := range slices.Concat(w[0], w[1]) {
			left++
			if left%500 != 0 {
				continue
			}
			s, err := m.b.Lookup(ctx, host, url)
			if err != nil || s.State != frontier.StateWaiting || s.Host.Waiting != len(w[0])+len(w[1]) {
				t.Errorf("%s: %+v, %v", url, s, err)
			}
		}
	}
	s, err := m.b.Stats(ctx)
	if err != nil || s.Waiting != left {
		t.Errorf("%d wait, want %d; %v", s.Waiting, left, err)
	}
	for left > 0 {
		m.crawl(1)
		if s, err = m.b.Stats(ctx); err != nil {
			t.Fatal(err)
		}
		left = s.Waiting
	}
	if err := m.b.Check(ctx); err != nil {
		t.Error(err)
	}
}

// TestInboxWhileClaimed crawls hosts that link to one another, at once, with a front in which few of them are.
func TestInboxWhileClaimed(t *testing.T) {
	const hosts, urls, workers = 60, 40, 4
	ctx := context.Background()
	db := openDB(t, filepath.Join(t.TempDir(), "db"), bbolt.Options{})
	b, err := Open(db, Config{})
	if err != nil {
		t.Fatal(err)
	}
	f, err := frontier.New(b, frontier.Config{Front: 8, LeaseSize: 3})
	if err != nil {
		t.Fatal(err)
	}
	request := func(host, n int) frontier.Request {
		name := fmt.Sprintf("host%d.example", host%hosts)
		return frontier.Request{URL: fmt.Sprintf("https://%s/%d", name, n), Host: name}
	}
	var reqs []frontier.Request
	for host := range hosts {
		reqs = append(reqs, request(host, 0), request(host, 1))
	}
	if _, err := f.Put(ctx, reqs); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	fetched := make(map[string]int)
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			for {
				l, err := f.Lease(ctx)
				if err != nil {
					if !errors.Is(err, frontier.ErrDone) {
						t.Error(err)
					}
					return
				}
				batch := &frontier.Batch{Done: l.Requests}
				mu.Lock()
				for _, r := range l.Requests {
					fetched[r.URL]++
					host, n, _ := strings.Cut(strings.TrimPrefix(r.URL, "https://host"), ".example/")
					from, _ := strconv.Atoi(host)
					if at, _ := strconv.Atoi(n); at+2 < urls {
						for to := range 5 {
							batch.Add = append(batch.Add, request(from+7*to, at+2))
						}
					}
				}
				mu.Unlock()
				if _, err := f.Commit(ctx, batch); err != nil {
					t.Error(err)
					return
				}
				l.Release()
			}
		})
	}
	group.Wait()
	if len(fetched) != hosts*urls {
		t.Errorf("%d URLs fetched, want %d", len(fetched), hosts*urls)
	}
	for url, n := range fetched {
		if n != 1 {
			t.Errorf("%s fetched %d times", url, n)
		}
	}
	if b.logs.inbox.next == 1 {
		t.Error("nothing went through the inbox")
	}
	if err := errors.Join(f.Check(ctx), f.Close()); err != nil {
		t.Error(err)
	}
}

// TestInboxKept adds to a host that is closed for its budget: that costs no more than for an open one, and is there when it is opened.
func TestInboxKept(t *testing.T) {
	ctx := context.Background()
	db := openDB(t, filepath.Join(t.TempDir(), "db"), bbolt.Options{})
	m := &mail{t: t, db: db}
	m.open()
	const name = "a.example"
	apply := func(batch frontier.Batch) frontier.Committed {
		t.Helper()
		c, err := m.b.Apply(ctx, &batch)
		if err != nil {
			t.Fatal(err)
		}
		if err := m.b.Check(ctx); err != nil {
			t.Fatal(err)
		}
		return c
	}
	closeFor := func(why frontier.Closure) {
		apply(frontier.Batch{Hosts: []frontier.HostChange{{Host: name, Closed: &why}}})
	}
	var want []string
	add := func() frontier.Committed {
		url := fmt.Sprintf("https://%s/%d", name, len(want))
		want = append(want, url)
		return apply(frontier.Batch{Add: []frontier.Request{{URL: url, Host: name}}})
	}
	closeFor(frontier.ClosedPages)
	for range 10 {
		if c := add(); c.Added != 0 || c.Dropped != 1 || len(c.Ready) != 0 {
			t.Errorf("%+v, want 1 dropped", c)
		}
	}
	if n := len(m.b.logs.inbox.entries); n != 10 {
		t.Errorf("%d entries in the inbox, want 10", n)
	}
	m.open()
	s, err := m.b.Lookup(ctx, name, want[3])
	if err != nil || s.State != frontier.StateDropped || s.Host.Dropped != 10 || s.Host.Waiting != 0 || s.Host.Known != 10 {
		t.Errorf("%+v, %v", s, err)
	}
	closeFor(frontier.NotClosed)
	add()
	f, err := frontier.New(m.b, frontier.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	l, err := f.Lease(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for i := range want {
		if len(l.Requests) != len(want) || l.Requests[i].URL != want[i] {
			t.Fatalf("leased %+v, want %s", l.Requests, want)
		}
	}
}

// TestInboxBound proves that the inbox is bounded whatever the size of transactions: it is merged and deleted as fast as it grows.
func TestInboxBound(t *testing.T) {
	const hosts, size, total = 1 << 15, 1 << 16, 16 << 16
	db := openDB(t, filepath.Join(t.TempDir(), "db"), bbolt.Options{NoFreelistSync: true, FreelistType: bbolt.FreelistMapType})
	m := &mail{t: t, db: db}
	m.open()
	reqs := make([]frontier.Request, size)
	most := 0
	for sent := 0; sent < total; {
		for i := range reqs {
			host := fmt.Sprintf("host%d.example", sent%hosts)
			reqs[i] = frontier.Request{URL: fmt.Sprintf("https://%s/%d", host, sent), Host: host}
			sent++
		}
		if _, err := m.b.Apply(t.Context(), &frontier.Batch{Add: reqs}); err != nil {
			t.Fatal(err)
		}
		most = max(most, len(m.b.logs.inbox.entries))
	}
	if most > 2*maxInbox {
		t.Errorf("there were %d entries at once, want %d at most", most, 2*maxInbox)
	}
}
