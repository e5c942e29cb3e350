package frontier

import (
	"errors"
	"fmt"
)

var (
	// ErrDone is Lease's answer when nothing waits, nothing is leased and nothing is being added: the crawl is over.
	ErrDone = errors.New("frontier: nothing left to fetch")

	// ErrClosed is the error of every method of a closed Frontier that returns one, except a second Close.
	ErrClosed = errors.New("frontier: closed")

	// ErrNotLeased answers a Batch that ends a request twice, ends one in two ways, or ends one of another Frontier.
	ErrNotLeased = errors.New("frontier: request is not leased")

	// ErrNotDone answers a Batch with more requests of a host in Again than it has done or dropped for good.
	ErrNotDone = errors.New("frontier: request is not done")

	// ErrStale answers a claim that has been given up, or has expired and may be somebody else's, and a Batch that ends
	// requests of such a claim: what it ends of others can be committed again without them, see Leased.Lost.
	ErrStale = errors.New("frontier: stale claim")

	// ErrFormat answers to errors.Is for every *FormatError.
	ErrFormat = errors.New("frontier: unknown format version")
)

// FormatError tells that stored state was written by another version of this package, in a format that this one does not read.
type FormatError struct {
	Found int // version on disk
	Known int // version this package reads
}

func (e *FormatError) Error() string {
	return fmt.Sprintf("%v: found %d, know %d", ErrFormat, e.Found, e.Known)
}

// Is reports whether target is ErrFormat.
func (e *FormatError) Is(target error) bool { return target == ErrFormat }

// ConfigError tells which field of Config is wrong.
type ConfigError struct {
	Field  string
	Reason string
}

func (e *ConfigError) Error() string { return "frontier: Config." + e.Field + " " + e.Reason }

// ChangeError tells which field of a HostChange the frontier refuses, and why.
type ChangeError struct {
	Host   string
	Field  string // name of the HostChange field
	Reason string
}

func (e *ChangeError) Error() string {
	return fmt.Sprintf("frontier: change of host %q: %s %s", e.Host, e.Field, e.Reason)
}

// StaleError is a Backend's answer to a Batch with requests of claims that were lost.
type StaleError struct {
	Tokens []uint64 // of the claims
}

func (e *StaleError) Error() string { return fmt.Sprintf("%v: %d of a batch", ErrStale, len(e.Tokens)) }

// Is reports whether target is ErrStale.
func (e *StaleError) Is(target error) bool { return target == ErrStale }
