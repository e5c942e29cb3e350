package crawler

import (
	"testing"
	"time"

	"github.com/orbweaver/orbweaver/frontier"
	"github.com/orbweaver/orbweaver/storage"
)

func TestProspect(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	later := now.Add(time.Hour)
	const waiting, unknown = frontier.StateWaiting, frontier.StateUnknown
	for _, tt := range []struct {
		name             string
		state            frontier.State
		e                Explanation
		belongs, allowed bool
		want             string
	}{
		{"fetched", frontier.StateDone, Explanation{Result: &storage.Record{Status: 200}}, true, true, "nothing: it was fetched"},
		{"failed", frontier.StateDone, Explanation{Result: &storage.Record{}}, true, true, "nothing: it was given up"},
		{"gone", frontier.StateDone, Explanation{Result: &storage.Record{Status: 410}}, true, true, "nothing: it is gone"},
		{"planned", waiting, Explanation{Revisit: &PlannedRevisit{At: later, Last: now, Interval: time.Hour}}, true, true,
			"it is visited again from 2026-05-01T13:00:00Z on, every 1h0m0s as it has changed so far; last visit 2026-05-01T12:00:00Z"},
		{"planned, due", waiting, Explanation{Revisit: &PlannedRevisit{At: now.Add(-time.Hour), Last: now.Add(-2 * time.Hour), Interval: time.Hour}}, true, true,
			"it is visited again when its turn comes, due since 2026-05-01T11:00:00Z, every 1h0m0s as it has changed so far; last visit 2026-05-01T10:00:00Z"},
		{"planned, failed", waiting, Explanation{Revisit: &PlannedRevisit{At: later, Failed: 1}}, true, true,
			"it is visited again from 2026-05-01T13:00:00Z on, as the last visit found out nothing"},
		{"planned, failed twice", waiting, Explanation{Revisit: &PlannedRevisit{At: later, Failed: 2}}, true, true,
			"it is visited again from 2026-05-01T13:00:00Z on, as the last 2 visits found out nothing"},
		{"planned, gone", waiting, Explanation{Revisit: &PlannedRevisit{At: later, Gone: 2, Interval: time.Hour}}, true, true,
			"it is visited again from 2026-05-01T13:00:00Z on, 1h0m0s after it was found gone, for the 2. time"},
		{"planned, a sitemap", waiting, Explanation{Revisit: &PlannedRevisit{Sitemap: true, Interval: time.Hour}}, true, true,
			"it is visited again, as sitemaps are every 1h0m0s"},
		{"left out", frontier.StateDone, Explanation{}, true, true, "nothing: it was left out when its turn came"},
		{"leased", frontier.StateLeased, Explanation{}, true, true, "it is being fetched"},
		{"unknown", unknown, Explanation{}, true, true, "when a link leads to it, it is fetched, when its turn comes"},
		{"elsewhere", unknown, Explanation{}, false, true, "a link to it is left out"},
		{"waiting", waiting, Explanation{Waiting: 1}, true, true, "it is fetched, when its turn comes"},
		{"among others", waiting, Explanation{State: "waiting", Waiting: 2}, true, true, "it is fetched, when its turn comes among those of the host"},
		{"rules have changed", waiting, Explanation{}, false, true, "it is left out when its turn comes, by rules that are newer than the link"},
		{"forbidden", waiting, Explanation{}, true, false, "it is left out, unless robots.txt has changed by then"},
		{"robots to be asked", waiting, Explanation{Robots: "not asked yet"}, true, true, "it is fetched after robots.txt, if that allows it, when its turn comes"},
		{"paused", waiting, Explanation{Paused: true, Next: later}, true, true, "it is fetched, once the host is resumed"},
		{"delayed", waiting, Explanation{Next: later}, true, true, "it is fetched, not before 2026-05-01T13:00:00Z"},
		{"blocked", waiting, Explanation{Next: now.Add(time.Second), Blocked: later}, true, true, "it is fetched, not before 2026-05-01T13:00:00Z"},
		{"closed", waiting, Explanation{Closed: "its pages are used up"}, true, true, "it is left out, as the host is closed: its pages are used up"},
		{"closed, and kept", frontier.StateDropped, Explanation{Closed: "its pages are used up"}, true, true,
			"it is left out until the host is opened, which is closed: its pages are used up"},
		{"given up", waiting, Explanation{GivenUp: "h.example/day"}, true, true, "it is left out, as its part of the site is given up"},
		{"given up, unknown", unknown, Explanation{GivenUp: "h.example/day"}, true, true,
			"a link to it is left out, as its part of the site is given up"},
		{"given up, fetched", frontier.StateDone, Explanation{GivenUp: "h.example/day", Result: &storage.Record{Status: 200}}, true, true, "nothing: it was fetched"},
		{"closed, unknown", unknown, Explanation{Closed: "it was closed"}, true, true, "it is left out, as the host is closed: it was closed"},
	} {
		if got := tt.e.prospect(tt.state, tt.belongs, tt.allowed, now); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestDelayFrom(t *testing.T) {
	for _, tt := range []struct {
		name   string
		wish   time.Duration // of the host, as the frontier keeps it
		robots time.Duration
		site   site
		want   time.Duration
		from   string
	}{
		{"settings", 0, 0, usual, time.Second, "the settings"},
		{"robots.txt", 5 * time.Second, 5 * time.Second, usual, 5 * time.Second, "robots.txt"},
		{"less than the settings", time.Millisecond, time.Millisecond, usual, time.Second, "the settings"},
		{"changed", 7 * time.Second, 5 * time.Second, usual, 7 * time.Second, "a change to the host"},
		{"clamped", time.Hour, time.Hour, usual, robotsMaxDelay, "robots.txt"},
		{"site", 0, 0, site{Site: Site{Delay: 3 * time.Second}, index: 4}, 3 * time.Second, "Sites[4]"},
		{"site without", 0, 0, site{Site: Site{Delay: NoDelay}, index: 4}, 0, "Sites[4]"},
		{"site of another kind", 0, 0, site{index: 4}, time.Second, "the settings"},
		{"robots above the site", 9 * time.Second, 9 * time.Second, site{Site: Site{Delay: 3 * time.Second}, index: 4}, 9 * time.Second, "robots.txt"},
	} {
		var e Explanation
		e.setHost(&frontier.HostStatus{Delay: tt.wish}, &tt.site, time.Second, tt.robots, time.Now())
		if e.Delay != tt.want || e.DelayFrom != tt.from {
			t.Errorf("%s: %v by %s, want %v by %s", tt.name, e.Delay, e.DelayFrom, tt.want, tt.from)
		}
	}
}

// TestHostTimes: what is over is not told as if it lay ahead.
func TestHostTimes(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	before, after := now.Add(-time.Second), now.Add(time.Second)
	for _, tt := range []struct{ next, blocked, wantNext, wantBlocked time.Time }{
		{before, before, time.Time{}, time.Time{}},
		{after, before, after, time.Time{}},
		{before, after, time.Time{}, after},
	} {
		var e Explanation
		e.setHost(&frontier.HostStatus{Next: tt.next, Blocked: tt.blocked}, &usual, 0, 0, now)
		if e.Next != tt.wantNext || e.Blocked != tt.wantBlocked {
			t.Errorf("next %v, blocked %v: %v and %v", tt.next, tt.blocked, e.Next, e.Blocked)
		}
	}
}

// TestFactNames proves that each fact has a name that rules are written with.
func TestFactNames(t *testing.T) {
	if factTypes.name() != "type" || factKind.name() != "kind" || factMatch.name() != "match" || factHops.name() != "hops" {
		t.Error("facts and their names are in different orders")
	}
	if int(factTypes) != 1<<(len(factNames)-1) {
		t.Errorf("%d names, and the last fact is %#x", len(factNames), factTypes)
	}
}
