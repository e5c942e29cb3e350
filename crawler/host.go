package crawler

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/orbweaver/orbweaver/crawler/weburl"
	"github.com/orbweaver/orbweaver/frontier"
)

// HostState is what a job knows of a host.
type HostState struct {
	Host    string        `json:"host"`             // with its port, unless that is the usual one
	Waiting int64         `json:"waiting"`          // URLs that wait or are being fetched
	Known   int64         `json:"known"`            // URLs ever added
	Delay   time.Duration `json:"delay_ns"`         // in force, from start to start
	Next    time.Time     `json:"next,omitzero"`    // no request starts before
	Blocked time.Time     `json:"blocked,omitzero"` // it asked not to be asked before
	Paused  bool          `json:"paused"`           // by HostChange
	Closed  string        `json:"closed"`           // why it takes no more URLs; "": it does
	Dropped int64         `json:"dropped"`          // URLs left out as it was closed
	Fetched int64         `json:"fetched"`          // pages
	Bytes   int64         `json:"bytes"`            // of its pages, as budgets count them
}

// HostChange is what is to change about a host.
type HostChange struct {
	// Delay is the least time between the starts of two requests, in place of what
	// robots.txt asked for, until that is asked again. Less than Config.Delay, and
	// more than five minutes, has no effect. Zero: what robots.txt asked for, and
	// Config.Delay. Nil: as it is.
	Delay *time.Duration `json:"delay_ns,omitempty"`

	// Paused holds the host's URLs back: none is fetched until it is false again,
	// and the crawl does not end as long as they wait. Nil: as it is.
	Paused *bool `json:"paused,omitempty"`

	// Dropped leaves out the host's URLs, those that wait, those that are kept since
	// the host had its budget, and those that are found later; false takes such as
	// are found from now on, and those that are kept. What is being fetched is
	// finished. Nil: as it is.
	Dropped *bool `json:"dropped,omitempty"`
}

// closedByHand is why a host is closed whose URLs are dropped by a HostChange.
const closedByHand = frontier.ClosedByCaller

// of is the change as the frontier takes it.
func (c HostChange) of(key string) frontier.HostChange {
	h := frontier.HostChange{Host: key, Delay: c.Delay, Paused: c.Paused}
	switch {
	case c.Dropped == nil:
	case *c.Dropped:
		h.Closed = new(closedByHand)
	default:
		h.Closed = new(frontier.NotClosed)
	}
	return h
}

// closures says why a host is closed.
var closures = map[frontier.Closure]string{
	frontier.NotClosed: "", frontier.ClosedPages: "page budget", frontier.ClosedBytes: "byte budget",
	frontier.ClosedTime: "time budget", closedByHand: "dropped by hand",
}

// Host tells what is known of a host, which is named as in a URL, with its port
// unless that is the usual one, or by a URL of it. The error is ErrUnknownHost if
// nothing is known of it, ErrClosed, or a *JobError.
func (c *Crawler) Host(ctx context.Context, host string) (*HostState, error) {
	if err := c.begin(); err != nil {
		return nil, err
	}
	defer c.calls.Done()
	key, err := hostKey(host)
	if err != nil {
		return nil, err
	}
	s, err := c.front.Lookup(ctx, frontier.Request{Host: key})
	if err != nil {
		return nil, c.job.wrap("read", err)
	}
	return hostState(key, s.Host)
}

// ChangeHost changes how a host is treated, from now on and in later runs, and
// returns its state after that. A host that the job has not met yet is remembered.
// The errors are those of Host.
func (c *Crawler) ChangeHost(ctx context.Context, host string, change HostChange) (*HostState, error) {
	if err := c.begin(); err != nil {
		return nil, err
	}
	defer c.calls.Done()
	key, err := hostKey(host)
	if err != nil {
		return nil, err
	}
	if change, err = c.job.withRobots(key, change); err != nil {
		return nil, err
	}
	if err := c.commits.commit(hostChange(key, change)); err != nil {
		return nil, err
	}
	return c.Host(ctx, key)
}

// Host tells what the job knows of a host; see Crawler.Host.
func (j *Job) Host(ctx context.Context, host string) (*HostState, error) {
	key, err := hostKey(host)
	if err != nil {
		return nil, err
	}
	r, scope, err := j.rules()
	if err != nil {
		return nil, err
	}
	var s frontier.Status
	err = guard(func() (err error) {
		s, err = j.backend.Lookup(ctx, key, "")
		return err
	})
	if err != nil {
		return nil, j.wrap("read", err)
	}
	s.Host.Delay = max(scope.sites.of(key).delay(r.Delay), s.Host.Delay)
	return hostState(key, s.Host)
}

func hostState(key string, s frontier.HostStatus) (*HostState, error) {
	if s.Name == "" {
		return nil, fmt.Errorf("%w: %s", ErrUnknownHost, key)
	}
	return &HostState{
		Host: key, Waiting: int64(s.Waiting), Known: int64(s.Known),
		Delay: s.Delay, Next: s.Next, Blocked: s.Blocked, Paused: s.Paused, Closed: closures[s.Closed],
		Dropped: int64(s.Dropped), Fetched: s.Usage.Pages, Bytes: s.Usage.Bytes,
	}, nil
}

// hostKey is how the frontier names a host that a user names.
func hostKey(host string) (string, error) {
	if !strings.Contains(host, "://") {
		host = "http://" + host
	}
	u, err := weburl.Parse(host)
	if err != nil {
		return "", fmt.Errorf("%q is no host: %w", host, err)
	}
	return u.Host(), nil
}

// withRobots is change with what robots.txt asks of the host in place of a Delay of
// zero.
func (j *Job) withRobots(key string, change HostChange) (HostChange, error) {
	if change.Delay == nil || *change.Delay != 0 {
		return change, nil
	}
	r, scope, err := j.rules()
	if err != nil {
		return change, err
	}
	site := scope.sites.of(key)
	if r.IgnoreRobots || site.IgnoreRobots {
		return change, nil
	}
	var wish time.Duration
	for _, scheme := range []string{"http://", "https://"} {
		u, err := weburl.Parse(scheme + key)
		if err != nil {
			continue
		}
		kept, err := j.robotsOf(u.Origin())
		if err != nil {
			return change, err
		}
		if kept != nil {
			wish = max(wish, kept.crawlDelay(orDefault(site.agent, r.Agent)))
		}
	}
	change.Delay = &wish
	return change, nil
}

// hostChange is the change to the job that a user's change to a host makes.
func hostChange(key string, c HostChange) *change {
	return &change{hosts: []frontier.HostChange{c.of(key)}}
}
