package storage

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"
)

// Query says which records are wanted: those that every field asks for. The zero
// Query wants all.
type Query struct {
	After uint64 // Seq greater than this

	// Host is the host of Record.URL with its port, if it has one, such as
	// "example.org" or "127.0.0.1:8080". "": any.
	Host string

	// From and To bound Record.FetchedAt: not before From, and before To. Zero: no
	// bound.
	From, To time.Time
}

// Matches reports whether q wants r.
func (q Query) Matches(r *Record) bool {
	return r.Seq > q.After && (q.Host == "" || URLHost(r.URL) == q.Host) && q.matchesTime(r.FetchedAt)
}

func (q Query) matchesTime(t time.Time) bool {
	return (q.From.IsZero() || !t.Before(q.From)) && (q.To.IsZero() || t.Before(q.To))
}

// URLHost is the part of a canonical url between the scheme and the path: its
// host, with the port if it has one. It is "" when there is none.
func URLHost(url string) string {
	_, rest, _ := strings.Cut(url, "://")
	if end := strings.IndexAny(rest, "/?#"); end >= 0 {
		return rest[:end]
	}
	return rest
}

// Selector is a [Store] that finds the records of a [Query] without reading the
// others.
type Selector interface {
	// Select iterates over the records that q wants, in the order of Seq, without
	// Body and Items. Otherwise it is like Store.Records.
	Select(ctx context.Context, q Query) iter.Seq2[*Record, error]
}

// Select iterates over the records of s that q wants, in the order of Seq, as
// [Selector] does; of a store that is none, it reads all after q.After.
func Select(ctx context.Context, s Store, q Query) iter.Seq2[*Record, error] {
	if selector, ok := s.(Selector); ok {
		return selector.Select(ctx, q)
	}
	return func(yield func(*Record, error) bool) {
		for r, err := range s.Records(ctx, q.After) {
			if (err != nil || q.Matches(r)) && !yield(r, err) {
				return
			}
		}
	}
}

// maxChain bounds a chain of redirects.
const maxChain = 100

// ErrLoop says that a chain of redirects comes back to one of its URLs, or has
// more than a hundred.
var ErrLoop = errors.New("redirects in a circle")

// Chain returns what was fetched last of url and, one after another, of the URLs
// that it was redirected to. The last record is no redirect, or leads to a URL
// that was never fetched. When url itself was not, the error is [ErrNotFound];
// with [ErrLoop] come the records up to where the chain closes.
func Chain(ctx context.Context, s Store, url string) ([]*Record, error) {
	var chain []*Record
	seen := make(map[string]bool)
	for {
		if seen[url] || len(chain) == maxChain {
			return chain, fmt.Errorf("storage: chain from %s: %w", chain[0].URL, ErrLoop)
		}
		seen[url] = true
		r, err := s.Get(ctx, url)
		if len(chain) > 0 && errors.Is(err, ErrNotFound) {
			return chain, nil
		}
		if err != nil {
			return chain, err
		}
		chain = append(chain, r)
		if r.Status/100 != 3 || r.FinalURL == "" || r.FinalURL == r.URL {
			return chain, nil
		}
		url = r.FinalURL
	}
}
