package crawler

import (
	"testing"
	"time"
)

func TestBackoff(t *testing.T) {
	for i, want := range []time.Duration{time.Second, 4 * time.Second, 16 * time.Second, 64 * time.Second, 256 * time.Second, 5 * time.Minute, 5 * time.Minute} {
		if got := backoff(i); got != want {
			t.Errorf("backoff(%d) = %v, want %v", i, got, want)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	for field, want := range map[string]time.Time{
		"":                              {},
		"soon":                          {},
		"-5":                            {},
		"0":                             now,
		"120":                           now.Add(2 * time.Minute),
		" 7 ":                           now.Add(7 * time.Second),
		"86400":                         now.Add(maxRetryAfter),
		"Fri, 01 May 2026 12:10:00 GMT": now.Add(10 * time.Minute),
		"Fri, 01 May 2099 12:10:00 GMT": now.Add(maxRetryAfter),
		"99999999999999999999999999999": {},
	} {
		if got := retryAfter(field, now); !got.Equal(want) {
			t.Errorf("retryAfter(%q) = %v, want %v", field, got, want)
		}
	}
}
