package crawler

import (
	"testing"
	"time"
)

func TestUnanswering(t *testing.T) {
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	kept := make(map[string]silence)
	u := newUnanswering(5, func(host string) (silence, error) { return kept[host], nil })
	down := func(host string, now time.Time) bool {
		t.Helper()
		down, err := u.down(host, now)
		if err != nil {
			t.Error(err)
		}
		return down
	}
	now := start
	for i, want := range []time.Duration{0, time.Second, 2 * time.Second, 4 * time.Second} {
		if i > 0 {
			now = now.Add(time.Minute)
		}
		got, _ := u.failed("h", now.Add(-time.Millisecond), now)
		if want == 0 && !got.IsZero() || want != 0 && got != now.Add(want) {
			t.Errorf("after failure %d the host is blocked until %v, want %v from %v", i+1, got, want, now)
		}
		// One that was under way at the same time counts for nothing more.
		if again, _ := u.failed("h", now.Add(-time.Second), now); again != got {
			t.Errorf("a failure under way with failure %d: blocked until %v, want %v", i+1, again, got)
		}
		if down("h", now) {
			t.Errorf("down after %d failures", i+1)
		}
	}
	now = now.Add(time.Minute)
	u.failed("h", now.Add(-time.Millisecond), now)
	if !down("h", now) || !down("h", now.Add(hostDownAge-1)) || down("other", now) {
		t.Error("not down after five failures, or another host is")
	}
	now = now.Add(hostDownAge)
	if down("h", now) {
		t.Error("still down after an hour")
	}
	if u.failed("h", now.Add(-time.Millisecond), now); !down("h", now) {
		t.Error("one more failure after that did not give it up again")
	}
	_, kept["h"] = u.failed("h", now.Add(-time.Millisecond), now)
	if u = newUnanswering(5, u.kept); !down("h", now) { // another run
		t.Error("forgotten by a restart")
	}
	if !u.answered("h") || u.answered("h") || down("h", now) {
		t.Error("down after an answer")
	}
}
