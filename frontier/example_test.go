package frontier_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/orbweaver/orbweaver/frontier"
	"github.com/orbweaver/orbweaver/frontier/memfrontier"
)

// A worker leases a host, fetches its requests, and commits what it found together with what it fetched.
func Example() {
	links := map[string][]string{
		"https://example.org/":  {"https://example.org/a", "https://example.org/b"},
		"https://example.org/a": {"https://example.org/", "https://example.org/b"},
	}
	ctx := context.Background()
	f, err := frontier.New(memfrontier.New(), frontier.Config{LeaseSize: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer f.Close()
	if _, err := f.Put(ctx, []frontier.Request{{URL: "https://example.org/", Host: "example.org"}}); err != nil {
		fmt.Println(err)
		return
	}
	for {
		lease, err := f.Lease(ctx)
		if errors.Is(err, frontier.ErrDone) {
			break
		}
		if err != nil {
			fmt.Println(err)
			return
		}
		var batch frontier.Batch
		for _, r := range lease.Requests {
			lease.Started(time.Now())
			fmt.Println("fetch", r.URL)
			lease.Answered(time.Now())
			batch.Done = append(batch.Done, r)
			for _, url := range links[r.URL] {
				batch.Add = append(batch.Add, frontier.Request{URL: url, Host: r.Host, Referrer: r.URL, Depth: r.Depth + 1})
			}
		}
		lease.Release()
		if _, err := f.Commit(ctx, &batch); err != nil {
			fmt.Println(err)
			return
		}
	}
	stats := f.Stats()
	fmt.Println(stats.Waiting, "waiting,", stats.Done, "of", stats.Known, "done")
	// Output:
	// fetch https://example.org/
	// fetch https://example.org/a
	// fetch https://example.org/b
	// 0 waiting, 3 of 3 done
}
