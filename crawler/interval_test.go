package crawler

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	"github.com/orbweaver/orbweaver/crawler/sitemap"
)

func TestRevisitCheck(t *testing.T) {
	for _, c := range []struct {
		revisit Revisit
		good    bool
	}{
		{Revisit{}, true},
		{Revisit{Max: time.Hour}, true},
		{Revisit{Max: time.Second}, true},
		{Revisit{Min: time.Hour, Max: time.Hour, First: 9 * time.Hour, Gone: -1}, true},
		{Revisit{Min: time.Hour}, false},
		{Revisit{Gone: 3}, false},
		{Revisit{Min: 2 * time.Hour, Max: time.Hour}, false},
		{Revisit{Max: -1}, false},
		{Revisit{Max: time.Millisecond}, false},
		{Revisit{Min: time.Millisecond, Max: time.Hour}, false},
		{Revisit{Max: time.Hour, Sitemaps: 1}, false},
		{Revisit{Max: greatestInterval + 1}, false},
	} {
		if got := c.revisit.check(); (got == "") != c.good {
			t.Errorf("%+v: %q", c.revisit, got)
		}
	}
	if got, want := (Revisit{Max: time.Minute}).complete(), (Revisit{time.Minute, time.Minute, time.Minute, DefaultRevisitGone, time.Minute}); got != want {
		t.Errorf("complete: %+v, want %+v", got, want)
	}
}

// TestNextPlan lets pages change, stay, vanish and fail at random, and compares the
// plans with what the words of type Revisit say.
func TestNextPlan(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	seconds := func(from, to int) time.Duration {
		return time.Duration(from+random.IntN(to-from+1)) * time.Second
	}
	for range 2000 {
		r := Revisit{Min: seconds(1, 5000), Gone: random.IntN(5) - 1}
		r.Max = r.Min + seconds(0, 500_000)
		r = r.complete()
		interval, missed, gone := time.Duration(0), 0, 0 // the model
		var p plan
		for range 60 {
			f := found(random.IntN(5))
			hint := time.Duration(0)
			if random.IntN(2) == 0 {
				hint = seconds(0, 1_000_000)
			}
			next, wait, again := r.next(p, f, hint)

			met := interval == 0
			if met {
				interval = r.within(orDefault(hint, r.First))
			}
			want := time.Duration(0)
			wasGone := gone > 0
			switch f {
			case foundNothing:
				missed, gone = missed+1, 0
				want = r.Max
				if missed < 30 {
					want = min(r.Min<<(missed-1), r.Max)
				}
			case foundGone:
				missed, gone = 0, gone+1
				interval = r.within(4 * interval)
				want = interval
			case foundForbidden:
				missed, gone = 0, 0
				want = r.Max
			default:
				missed, gone = 0, 0
				switch {
				case wasGone:
					interval = r.First
				case met:
				case f == foundChanged:
					interval = r.within((interval / 2).Truncate(time.Second))
				default:
					interval = r.within(2 * interval)
				}
				want = interval
			}
			interval = interval.Truncate(time.Second)
			if ended := f == foundGone && r.Gone > 0 && gone >= r.Gone; ended || !again {
				if ended == again {
					t.Fatalf("%+v: %v for the %d. time: again is %t", r, f, gone, again)
				}
				break
			}
			want = want.Truncate(time.Second)
			if next.interval != interval || wait.Truncate(time.Second) != want || wait < r.Min.Truncate(time.Second) || wait > r.Max {
				t.Fatalf("%+v from %+v by %v: %+v after %v, want %v after %v", r, p, f, next, wait, interval, want)
			}
			p = next
		}
	}
	many := plan{interval: time.Hour}
	r := Revisit{Max: time.Hour, Gone: -1}.complete()
	for range 600 { // a counter that is full stays so
		many, _, _ = r.next(many, foundGone, 0)
	}
	if many.gone != 255 {
		t.Errorf("gone %d times", many.gone)
	}
}

func TestDueAfter(t *testing.T) {
	visited := time.Date(2026, 3, 2, 7, 8, 9, 10, time.UTC)
	for _, wait := range []time.Duration{time.Second, 15 * time.Second, time.Minute, time.Hour, 24 * time.Hour, 9000 * time.Hour} {
		times := make(map[time.Time]bool)
		for i := range 1000 {
			at := visited.Add(time.Duration(i) * wait / 1000)
			due := dueAfter(at, wait)
			if due.Before(at.Add(wait)) || due.After(at.Add(wait+max(wait/16, time.Second))) {
				t.Errorf("%v after %v is %v", wait, at, due)
			}
			times[due] = true
		}
		if len(times) > 33 { // an interval's pages wait for no more times than that
			t.Errorf("%v: %d times", wait, len(times))
		}
	}
}

func TestSuggested(t *testing.T) {
	now := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	r := Revisit{Max: 100 * 24 * time.Hour}.complete()
	freq := func(f sitemap.ChangeFreq) listing { return listingOf(&sitemap.Entry{ChangeFreq: f}) }
	dated := func(age time.Duration) listing { return listingOf(&sitemap.Entry{LastMod: now.Add(-age)}) }
	const day = 24 * time.Hour
	for _, c := range []struct {
		name   string
		l      listing
		header string
		want   time.Duration
	}{
		{"nothing", listing{}, "", 0},
		{"hourly", freq(sitemap.Hourly), "", time.Hour},
		{"always", freq(sitemap.Always), "", r.Min},
		{"never", freq(sitemap.Never), "", r.Max},
		{"weekly", freq(sitemap.Weekly), "", 7 * day},
		{"monthly", freq(sitemap.Monthly), "", 30 * day},
		{"yearly", freq(sitemap.Yearly), "", 365 * day},
		{"lastmod", dated(10 * day), "", 5 * day},
		{"lastmod to come", dated(-day), "", 0},
		{"changefreq before lastmod", listingOf(&sitemap.Entry{ChangeFreq: sitemap.Daily, LastMod: now.Add(-40 * day)}), "", day},
		{"Last-Modified", listing{}, "Last-Modified: " + now.Add(-2*day).Format(http.TimeFormat), day},
		{"no Last-Modified", listing{}, "Last-Modified: yesterday", 0},
		{"fresh for longer than usual", listing{}, "Cache-Control: max-age=172800", 2 * day},
		{"fresh for shorter", listing{}, "Cache-Control: max-age=60", r.First},
		{"fresh for longer than it takes to change", freq(sitemap.Hourly), "Cache-Control: public, max-age=7200", 2 * time.Hour},
		{"not fresh", freq(sitemap.Hourly), "Cache-Control: no-cache, max-age=7200", time.Hour},
		{"Expires", listing{}, "Expires: " + now.Add(3*day).Format(http.TimeFormat), 3 * day},
	} {
		h := http.Header{}
		var name, value string
		if n, _ := fmt.Sscanf(c.header, "%s", &name); n == 1 {
			name, value = name[:len(name)-1], c.header[len(name)+1:]
			h.Set(name, value)
		}
		if got := suggested(c.l, h, now, &r); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// FuzzLifetime reads header fields of any kind: what comes of it is bounded.
func FuzzLifetime(f *testing.F) {
	f.Add("max-age=60", "Mon, 02 Mar 2026 00:00:00 GMT", "Sun, 01 Mar 2026 00:00:00 GMT", "30")
	f.Add("private, MAX-AGE=\"7\"", "0", "", "")
	f.Add("no-store", "", "", "99999999999999999999")
	f.Add("max-age=-1", "Fri, 31 Dec 9999 23:59:59 GMT", "Thu, 01 Jan 0001 00:00:00 GMT", "x")
	now := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	r := Revisit{Max: 30 * 24 * time.Hour}.complete()
	f.Fuzz(func(t *testing.T, control, expires, date, age string) {
		h := http.Header{"Cache-Control": {control}, "Expires": {expires}, "Date": {date}, "Age": {age}, "Last-Modified": {date}}
		fresh, told := lifetime(h, now)
		if fresh < 0 || fresh > 0 && !told {
			t.Errorf("fresh for %v, told %t", fresh, told)
		}
		if d := freshness(h, now); d < robotsMinAge || d > robotsMaxAge {
			t.Errorf("a robots.txt counts for %v", d)
		}
		if hint := suggested(listing{}, h, now, &r); hint < 0 {
			t.Errorf("suggests %v", hint)
		}
	})
}
