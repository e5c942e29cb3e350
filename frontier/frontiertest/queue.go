package frontiertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/orbweaver/orbweaver/frontier"
)

func testDedup(t *testing.T, open opener) {
	x := newFixture(t, open, frontier.Config{})
	if n := x.put(requests("a.example", 1000)...); n != 1000 {
		t.Fatalf("%d added, want 1000", n)
	}
	if n := x.put(requests("a.example", 1001)...); n != 1 {
		t.Fatalf("%d added, want 1", n)
	}
	c := x.commit(&frontier.Batch{Add: append(requests("b.example", 3), requests("b.example", 4)...)})
	if c.Added != 4 || c.Known != 3 || c.Hosts != 1 {
		t.Fatalf("%+v, want 4 added, 3 known, 1 host", c)
	}
	seen := make(map[string]bool)
	for l, err := x.try(time.Second); !errors.Is(err, frontier.ErrDone); l, err = x.try(time.Second) {
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range l.Requests {
			if seen[r.URL] {
				t.Fatalf("%s was leased twice", r.URL)
			}
			seen[r.URL] = true
		}
		x.fetch(l)
	}
	if len(seen) != 1005 {
		t.Fatalf("%d URLs were leased, want 1005", len(seen))
	}
	if n := x.put(requests("a.example", 1001)...); n != 0 {
		t.Fatalf("%d added that were done, want 0", n)
	}
	x.stats(frontier.Stats{Done: 1005, Known: 1005, Hosts: 2})
}

func testFields(t *testing.T, open opener) {
	x := newFixture(t, open, frontier.Config{})
	soon := time.Now().Add(time.Minute).Round(0)
	reqs := []frontier.Request{
		{URL: "https://a.example/"},
		{URL: "http://a.example/plain", Referrer: "http://a.example/", Depth: 1},
		{URL: "https://a.example/x?y=z#not%20really", Referrer: "https://elsewhere.example/very/long/path", Depth: 2},
		{URL: "https://a.example/x?y=zz", Referrer: "https://elsewhere.example/very/long/path", Depth: 2, Redirects: 3},
		{URL: "https://a.example/x?y=zzz", Referrer: "https://elsewhere.example/other", Depth: 1<<31 - 1, Attempt: 1<<31 - 1, Redirects: 1<<31 - 1},
		{URL: "https://a.example/label", Label: "product", Data: []byte{0, 1, 2}},
		{URL: "https://a.example/label2", Label: strings.Repeat("l", frontier.MaxLabel), Data: bytes.Repeat([]byte("d"), frontier.MaxData)},
		{URL: "ftp://not the host at all\x00\xff", Referrer: "\xfe"},
		{URL: "https://a.example/" + strings.Repeat("u", frontier.MaxURL-18), Referrer: strings.Repeat("r", frontier.MaxURL)},
		{URL: "https://a.example/soon", NotBefore: soon, Priority: -7, Referrer: "https://a.example/", Depth: 9},
	}
	for i := range reqs {
		reqs[i].Host = "a.example"
	}
	x.put(reqs...)
	next := 0
	for next < len(reqs) {
		l := x.lease()
		for _, r := range l.Requests {
			want := reqs[next]
			if diff := differ(r.Request, want); diff != "" {
				t.Errorf("request %d: %s", next, diff)
			}
			next++
		}
		x.fetch(l)
	}
	if now := time.Now(); now.Before(soon) {
		t.Errorf("all was leased by %v, before %v", now, soon)
	}
	x.finished()
}

// differ tells in which field two requests differ, "" if in none.
func differ(got, want frontier.Request) string {
	if !got.NotBefore.Equal(want.NotBefore) {
		return fmt.Sprintf("NotBefore %v, want %v", got.NotBefore, want.NotBefore)
	}
	if !bytes.Equal(got.Data, want.Data) {
		return fmt.Sprintf("Data %q, want %q", got.Data, want.Data)
	}
	got.NotBefore, got.Data = want.NotBefore, want.Data
	if g, w := fmt.Sprintf("%#v", got), fmt.Sprintf("%#v", want); g != w {
		return fmt.Sprintf("got %s, want %s", g, w)
	}
	return ""
}

func testOrder(t *testing.T, open opener) {
	x := newFixture(t, open, frontier.Config{LeaseSize: 1})
	var want []string
	for _, priority := range []int8{127, 3, 0, -1, -128} {
		for n := range 150 {
			want = append(want, fmt.Sprintf("https://a.example/%d/%d", priority, n))
		}
	}
	for n := range 150 { // in 150 commits, each with all priorities
		var reqs []frontier.Request
		for _, priority := range []int8{-1, 3, -128, 127, 0} {
			reqs = append(reqs, frontier.Request{
				URL: fmt.Sprintf("https://a.example/%d/%d", priority, n), Host: "a.example", Priority: priority,
			})
		}
		x.put(reqs...)
	}
	for i, url := range want {
		l := x.lease()
		if got := l.Requests[0].URL; got != url {
			t.Fatalf("lease %d is %s, want %s", i, got, url)
		}
		x.fetch(l)
	}
	x.finished()
}

func testNotBefore(t *testing.T, open opener) {
	x := newFixture(t, open, frontier.Config{LeaseSize: 1})
	start := time.Now()
	at := func(d time.Duration) time.Time { return start.Add(d) }
	x.put(
		frontier.Request{URL: "https://a.example/3", Host: "a.example", NotBefore: at(3 * time.Second)},
		frontier.Request{URL: "https://a.example/1", Host: "a.example", NotBefore: at(time.Second)},
		frontier.Request{URL: "https://a.example/0", Host: "a.example", NotBefore: at(-time.Second)},
		frontier.Request{URL: "https://b.example/2", Host: "b.example", NotBefore: at(2 * time.Second)},
		frontier.Request{URL: "https://a.example/1b", Host: "a.example", NotBefore: at(time.Second), Priority: 1},
	)
	for _, want := range []struct {
		url string
		at  time.Duration
	}{
		{"https://a.example/0", 0},
		{"https://a.example/1", time.Second},
		{"https://a.example/1b", time.Second},
		{"https://b.example/2", 2 * time.Second},
		{"https://a.example/3", 3 * time.Second},
	} {
		l := x.lease()
		if got := l.Requests[0].URL; got != want.url || time.Since(start) != want.at {
			t.Fatalf("%s after %v, want %s after %v", got, time.Since(start), want.url, want.at)
		}
		x.fetch(l)
	}
	x.finished()

	// A retry with a NotBefore waits for it; what comes in between goes first; what is due goes before what is queued.
	x.put(request("c.example", 0))
	l := x.lease()
	l.Release()
	again := l.Requests[0]
	again.Attempt, again.NotBefore, again.Label = 1, time.Now().Add(time.Minute), "again"
	x.commit(&frontier.Batch{Retry: []frontier.Leased{again}})
	x.idle(time.Minute - 1)
	x.put(request("c.example", 1))
	x.fetch(x.lease())
	x.put(request("c.example", 2))
	time.Sleep(time.Second)
	l = x.lease()
	if diff := differ(l.Requests[0].Request, again.Request); diff != "" {
		t.Fatal(diff)
	}
	x.fetch(l)
	x.fetch(x.lease())
	x.finished()
	x.stats(frontier.Stats{Done: 8, Known: 8, Hosts: 3})
}

func testLimits(t *testing.T, open opener) {
	x := newFixture(t, open, frontier.Config{})
	for _, r := range []frontier.Request{
		{URL: "", Host: "a.example"},
		{URL: "https://a.example/", Host: ""},
		{URL: strings.Repeat("u", frontier.MaxURL+1), Host: "a.example"},
		{URL: "https://a.example/", Host: strings.Repeat("h", frontier.MaxHost+1)},
		{URL: "https://a.example/", Host: "a.example", Referrer: strings.Repeat("r", frontier.MaxURL+1)},
		{URL: "https://a.example/", Host: "a.example", Label: strings.Repeat("l", frontier.MaxLabel+1)},
		{URL: "https://a.example/", Host: "a.example", Data: make([]byte, frontier.MaxData+1)},
		{URL: "https://a.example/", Host: "a.example", Depth: -1},
		{URL: "https://a.example/", Host: "a.example", Redirects: -1},
		{URL: "https://a.example/", Host: "a.example", Attempt: -1},
	} {
		n, err := x.Put(context.Background(), []frontier.Request{request("b.example", 0), r})
		var refused *frontier.RequestError
		if !errors.As(err, &refused) || n != 0 {
			t.Errorf("Put: %d, %v; want a RequestError", n, err)
		}
	}
	x.stats(frontier.Stats{})
	x.put(frontier.Request{URL: strings.Repeat("u", frontier.MaxURL), Host: strings.Repeat("h", frontier.MaxHost)})
	x.fetch(x.lease())
}

func testRelease(t *testing.T, open opener) {
	x := newFixture(t, open, frontier.Config{LeaseSize: 4})
	x.put(requests("a.example", 6)...)
	l := x.lease()
	if len(l.Requests) != 4 {
		t.Fatalf("%d requests leased, want 4", len(l.Requests))
	}
	x.stats(frontier.Stats{Waiting: 2, Leased: 4, Known: 6, Hosts: 1})
	x.idle(time.Hour) // the host is out
	l.Release(l.Requests[1], l.Requests[3])
	l.Release(l.Requests[1]) // says nothing new
	x.stats(frontier.Stats{Waiting: 4, Leased: 2, Known: 6, Hosts: 1})
	m := x.lease()
	if got, want := urls(m), "/page/1 /page/3 /page/4 /page/5"; got != want {
		t.Fatalf("leased %s, want %s", got, want)
	}
	m.Release()
	x.idle(time.Second) // four requests are leased, so it is not the end
	x.commit(&frontier.Batch{Done: []frontier.Leased{l.Requests[0], l.Requests[2]}})
	x.commit(&frontier.Batch{Done: m.Requests})
	x.finished()
}

// urls are the paths of a lease.
func urls(l *frontier.Lease) string {
	var all []string
	for _, r := range l.Requests {
		all = append(all, strings.TrimPrefix(r.URL, "https://"+l.Host))
	}
	return strings.Join(all, " ")
}

func testFailedCommit(t *testing.T, open opener) {
	x := newFixture(t, open, frontier.Config{})
	x.put(requests("a.example", 2)...)
	l := x.lease()
	l.Release()
	delay := time.Hour
	b := &frontier.Batch{
		Done: l.Requests[:1], Retry: l.Requests[1:], Add: requests("b.example", 3),
		Hosts: []frontier.HostChange{{Host: "a.example", Delay: &delay}},
	}
	before := x.Stats()
	if _, err := x.CommitWith(b, func(*frontier.Batch) (frontier.Committed, error) {
		return frontier.Committed{}, errTest
	}); !errors.Is(err, errTest) {
		t.Fatalf("CommitWith: %v, want the test's error", err)
	}
	x.stats(before)
	l.Release(l.Requests[1]) // of a batch that failed, one is given back,
	x.commit(&frontier.Batch{Done: l.Requests[:1]})
	x.fetch(x.lease()) // and fetched at once: there is no delay
	x.finished()
	x.stats(frontier.Stats{Done: 2, Known: 2, Hosts: 1})
}

func testNotLeased(t *testing.T, open opener) {
	x := newFixture(t, open, frontier.Config{LeaseSize: 2})
	x.put(requests("a.example", 3)...)
	l := x.lease()
	for name, b := range map[string]*frontier.Batch{
		"twice":        {Done: []frontier.Leased{l.Requests[0], l.Requests[0]}},
		"in two ways":  {Done: l.Requests[:1], Retry: l.Requests[:1]},
		"never leased": {Done: []frontier.Leased{{Request: request("a.example", 2)}}},
	} {
		if _, err := x.Commit(context.Background(), b); !errors.Is(err, frontier.ErrNotLeased) {
			t.Errorf("%s: %v, want ErrNotLeased", name, err)
		}
	}
	changed := l.Requests[0]
	changed.URL += "/changed"
	var refused *frontier.RequestError
	if _, err := x.Commit(context.Background(), &frontier.Batch{Retry: []frontier.Leased{changed}}); !errors.As(err, &refused) {
		t.Errorf("changed URL: %v, want a RequestError", err)
	}
	changed = l.Requests[0]
	changed.Host = "b.example"
	if _, err := x.Commit(context.Background(), &frontier.Batch{Done: []frontier.Leased{changed}}); !errors.As(err, &refused) {
		t.Errorf("changed host: %v, want a RequestError", err)
	}
	x.stats(frontier.Stats{Waiting: 1, Leased: 2, Known: 3, Hosts: 1})
	x.fetch(l)
	if _, err := x.Commit(context.Background(), &frontier.Batch{Done: l.Requests[:1]}); !errors.Is(err, frontier.ErrNotLeased) {
		t.Errorf("done before: %v, want ErrNotLeased", err)
	}
	x.stats(frontier.Stats{Waiting: 1, Done: 2, Known: 3, Hosts: 1})
}

func testLookup(t *testing.T, open opener) {
	x := newFixture(t, open, frontier.Config{Delay: time.Second, MaxDelay: 4 * time.Second})
	look := func(n int) frontier.Status {
		t.Helper()
		s, err := x.Lookup(context.Background(), request("a.example", n))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	if s := look(0); s.State != frontier.StateUnknown || s.Host.Name != "" {
		t.Fatalf("%+v, want unknown", s)
	}
	x.put(requests("a.example", 200)...)
	for _, n := range []int{0, 70, 199} {
		if s := look(n); s.State != frontier.StateWaiting || s.Request.URL != request("a.example", n).URL {
			t.Fatalf("%d: %+v, want waiting", n, s)
		}
	}
	l := x.lease()
	if s := look(0); s.State != frontier.StateLeased {
		t.Fatalf("%v, want leased", s.State)
	}
	l.Started(time.Now())
	l.Release()
	delay, blocked := time.Minute, time.Now().Add(time.Hour)
	x.commit(&frontier.Batch{Done: l.Requests, Hosts: []frontier.HostChange{{Host: "a.example", Delay: &delay, BlockedUntil: blocked}}})
	s := look(0)
	if s.State != frontier.StateDone {
		t.Fatalf("%v, want done", s.State)
	}
	if h := s.Host; h.Name != "a.example" || h.Delay != 4*time.Second || !h.Blocked.Equal(blocked) || h.Waiting != 199 || h.Known != 200 ||
		!h.Next.Equal(time.Now().Add(4*time.Second+50*time.Millisecond)) {
		t.Fatalf("%+v", h)
	}
	if s := look(200); s.State != frontier.StateUnknown || s.Host.Known != 200 {
		t.Fatalf("%+v, want unknown URL of a known host", s)
	}
}
