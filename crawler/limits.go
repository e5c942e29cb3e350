package crawler

import (
	"fmt"
	"sync/atomic"

	"github.com/orbweaver/orbweaver/frontier"
	"github.com/orbweaver/orbweaver/storage"
)

// traffic counts the bytes of the job's bodies against Config.MaxBytes. Its
// methods may be called at once.
type traffic struct {
	limit int64 // 0: none
	bytes atomic.Int64
	end   func() // called when the limit is reached
}

func newTraffic(limit, bytes int64, end func()) *traffic {
	t := &traffic{limit: limit, end: end}
	t.add(bytes)
	return t
}

func (t *traffic) add(bytes int64) {
	n := t.bytes.Add(bytes)
	if t.limit > 0 && n >= t.limit {
		t.end()
	}
}

func (t *traffic) reached() bool { return t.limit > 0 && t.bytes.Load() >= t.limit }

// hostPolicy is how a host is treated; nil: like every other.
func (cfg *Config) hostPolicy() func(host string) frontier.Policy {
	all := frontier.Policy{MaxPages: cfg.HostPages, MaxBytes: cfg.HostBytes, MaxTime: cfg.HostTime}
	if all == (frontier.Policy{}) {
		return nil
	}
	return func(string) frontier.Policy { return all }
}

// tallyHosts sums up what records cost their hosts.
func tallyHosts(hosts []frontier.HostChange, records []*storage.Record) []frontier.HostChange {
	start := len(hosts)
	last := -1
	at := make(map[string]int)
	for _, rec := range records {
		if rec.Status == 0 {
			continue
		}
		if last < 0 || hosts[last].Host != rec.Host {
			var ok bool
			if last, ok = at[rec.Host]; !ok {
				last = len(hosts)
				at[rec.Host] = last
				if len(hosts) == start {
					hosts = append(make([]frontier.HostChange, 0, start+len(records)), hosts...)
				}
				hosts = append(hosts, frontier.HostChange{Host: rec.Host})
			}
		}
		hosts[last].Fetched++
		hosts[last].Bytes += rec.WireBytes
	}
	return hosts
}

// closedReason is why the URLs of a closed host are left out.
func closedReason(why frontier.Closure) Reason {
	switch why {
	case frontier.NotClosed:
		return ""
	case frontier.ClosedPages:
		return ReasonHostPages
	case frontier.ClosedBytes:
		return ReasonHostBytes
	case frontier.ClosedTime:
		return ReasonHostTime
	case closedByHand:
		return ReasonHostDropped
	default:
		return ReasonHostClosed
	}
}

// leaveOutDropped adds what the frontier dropped to what was left out.
func (s *Stats) leaveOutDropped(q frontier.Stats) {
	for why, n := range q.DroppedBy {
		if n == 0 {
			continue
		}
		if s.LeftOut == nil {
			s.LeftOut = make(map[Reason]int64)
		}
		s.LeftOut[closedReason(frontier.Closure(why))] += int64(n)
	}
}

// held tells people whether the host is closed or paused.
func (e *Explanation) held() (s string) {
	if e.Paused {
		s += ", paused"
	}
	if e.Closed != "" {
		s += fmt.Sprintf(", %s%s", e.Closed, wayOut(e.Closed))
	}
	if e.Dropped > 0 {
		s += fmt.Sprintf(", %d URLs left out for it", e.Dropped)
	}
	return s
}
