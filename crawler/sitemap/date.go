package sitemap

import (
	"strings"
	"time"
)

// layouts are the forms of dates in the wild: W3C Datetime first, which sitemaps and Atom want, then what feeds have.
var layouts = []string{
	time.RFC3339, // fractions of a second are understood
	"2006-01-02T15:04Z07:00",
	"2006-01-02T15:04:05Z0700",
	"2006-01-02T15:04:05",
	"2006-01-02T15:04",
	"2006-01-02 15:04:05Z07:00",
	"2006-01-02 15:04:05 -0700",
	"2006-01-02 15:04:05 MST",
	"2006-01-02 15:04:05",
	"2006-01",
	"2006",
	"Mon, _2 Jan 2006 15:04:05 -0700",
	"Mon, _2 Jan 2006 15:04:05 MST",
	"Mon, _2 Jan 2006 15:04 -0700",
	"_2 Jan 2006 15:04:05 -0700",
	"_2 Jan 2006 15:04:05 MST",
	"Mon, _2 Jan 06 15:04:05 -0700",
	"Mon, _2 Jan 06 15:04:05 MST",
}

// parseTime reads a date in any of the forms; the zero time if it has none of them.
func parseTime(s string) time.Time {
	if len(s) == len(time.DateOnly) { // as most have
		t, _ := time.Parse(time.DateOnly, s)
		return t
	}
	s = strings.Join(strings.Fields(s), " ")
	for _, layout := range layouts {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC()
		}
	}
	return time.Time{}
}
