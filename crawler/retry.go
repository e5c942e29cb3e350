package crawler

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	backoffBase   = time.Second
	backoffMax    = 5 * time.Minute
	maxRetryAfter = time.Hour
	localPause    = time.Second // when this machine has no room for a connection
)

// backoff is the pause after a number of earlier tries: 1 s, 4 s, 16 s, …
func backoff(attempt int) time.Duration {
	d := backoffBase
	for range attempt {
		d = min(4*d, backoffMax)
	}
	return d
}

// retryStatus says whether a status asks to come again.
func retryStatus(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusInternalServerError,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// retryAfter reads a Retry-After field (RFC 9110, 10.2.3), which is a number of
// seconds or a date, as a time at most maxRetryAfter from now. It is zero if
// the field says nothing.
func retryAfter(field string, now time.Time) time.Time {
	field = strings.TrimSpace(field)
	var t time.Time
	if seconds, err := strconv.ParseUint(field, 10, 32); err == nil {
		t = now.Add(time.Duration(seconds) * time.Second)
	} else if date, err := http.ParseTime(field); err == nil {
		t = date
	}
	if latest := now.Add(maxRetryAfter); t.After(latest) {
		return latest
	}
	return t
}
