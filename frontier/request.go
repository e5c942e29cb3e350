package frontier

import (
	"fmt"
	"math"
	"time"
)

// Request is one URL to fetch and what must be remembered with it.
type Request struct {
	URL       string    // canonical; with Host it is the request's identity for dedup
	Host      string    // key of politeness, e.g. "example.org" or "127.1.0.1:8080"
	Referrer  string    // page it was found on; "" for seeds
	Depth     int       // links from a seed
	Redirects int       // hops of the redirect chain that led here
	Priority  int8      // higher is fetched first within its host; 0 is the default
	Attempt   int       // tries made before this one
	NotBefore time.Time // not to be fetched earlier; zero: at once
	Label     string    // the user's route label
	Data      []byte    // the user's, carried along
}

// Limits of a Request's fields, in bytes. A request beyond them is refused with a *RequestError.
const (
	MaxURL   = 64 << 10 // URL and Referrer
	MaxHost  = 1 << 10  // Host
	MaxLabel = 1 << 10  // Label
	MaxData  = 64 << 10 // Data
)

// RequestError tells which field of a request the frontier refuses, and why.
type RequestError struct {
	URL    string // cut to 256 bytes
	Field  string // name of the Request field
	Reason string
}

func (e *RequestError) Error() string {
	return fmt.Sprintf("frontier: request %q: %s %s", e.URL, e.Field, e.Reason)
}

// check refuses a request that no backend could keep.
func (r *Request) check() error {
	sizes := [...]struct {
		field     string
		n, at, to int
	}{
		{"URL", len(r.URL), 1, MaxURL},
		{"Host", len(r.Host), 1, MaxHost},
		{"Referrer", len(r.Referrer), 0, MaxURL},
		{"Label", len(r.Label), 0, MaxLabel},
		{"Data", len(r.Data), 0, MaxData},
	}
	for _, s := range &sizes {
		switch {
		case s.n < s.at:
			return r.refuse(s.field, "is empty")
		case s.n > s.to:
			return r.refuse(s.field, fmt.Sprintf("has %d bytes, at most %d are kept", s.n, s.to))
		}
	}
	for _, n := range [...]struct {
		field string
		n     int
	}{{"Depth", r.Depth}, {"Redirects", r.Redirects}, {"Attempt", r.Attempt}} {
		if n.n < 0 || n.n > math.MaxInt32 {
			return r.refuse(n.field, "is not from 0 to 2³¹-1")
		}
	}
	return nil
}

func (r *Request) refuse(field, reason string) error {
	return &RequestError{URL: r.URL[:min(len(r.URL), 256)], Field: field, Reason: reason}
}
