package main

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/orbweaver/orbweaver/crawler"
)

func midway() crawler.Stats {
	return crawler.Stats{
		Fetched: 12345, Failed: 56, Retried: 7, Items: 0,
		Bytes: 1_234_567_890, WireBytes: 98_765_432,
		Statuses: map[int]int64{404: 45, 200: 12300},
		Errors:   map[string]int64{"timeout": 40, "dns": 15, "tls": 1, "body": 0},
		LeftOut:  map[crawler.Reason]int64{crawler.ReasonScope: 3000, crawler.ReasonRobots: 2, crawler.ReasonNofollow: 2},
		Waiting:  1000, Leased: 6, Known: 13407, Hosts: 12,
		Elapsed: 83*time.Second + 400*time.Millisecond, Rate: 148.04,
	}
}

func TestProgressLine(t *testing.T) {
	tests := []struct {
		width int
		want  string
	}{
		{0, "12,345 pages  148.0/s  queue 1,006  hosts 12  errors 56 (timeout 40, dns 15, …)  1.23 GB  1m23s"},
		{95, "12,345 pages  148.0/s  queue 1,006  hosts 12  errors 56 (timeout 40, dns 15, …)  1.23 GB  1m23s"},
		{94, "12,345 pages  148.0/s  queue 1,006  hosts 12  errors 56  1.23 GB  1m23s"},
		{70, "12,345 pages  148.0/s  queue 1,006  errors 56  1.23 GB  1m23s"},
		{60, "12,345 pages  148.0/s  queue 1,006  errors 56  1m23s"},
		{45, "12,345 pages  148.0/s  queue 1,006  1m23s"},
		{40, "12,345 pages  queue 1,006  1m23s"},
		{25, "12,345 pages  1m23s"},
		{15, "12,345 pages"},
		{5, "12,34"},
	}
	for _, tt := range tests {
		got := progressLine(midway(), 0, tt.width, time.Time{})
		if got != tt.want {
			t.Errorf("width %d:\n%s\nwant\n%s", tt.width, got, tt.want)
		}
	}
	for width := 1; width < 120; width++ {
		if n := utf8.RuneCountInString(progressLine(midway(), 0, width, time.Time{})); n > width {
			t.Errorf("%d columns in a width of %d", n, width)
		}
	}
	if got := progressLine(crawler.Stats{}, 500, 0, time.Time{}); got != "0/500 pages  0.0/s  queue 0  hosts 0  errors 0  0 B  0s" {
		t.Errorf("at the start: %s", got)
	}
}

func TestFailures(t *testing.T) {
	s := crawler.Stats{Fetched: 3, Failed: 1, Errors: map[string]int64{"body": 2, "dns": 1}}
	if got := failures(s); got != "body 2, dns 1 (2 of them with a response)" {
		t.Errorf("got %q", got)
	}
}

func TestFigures(t *testing.T) {
	want := `  fetched   12,345   200: 12,300, 404: 45
  failed    56       timeout 40, dns 15, tls 1
  retried   7
  left out  3,004    out of scope 3,000 (--scope domain or --scope any), forbidden by robots.txt 2 (--robots ignore), nofollow 2 (--nofollow)
  waiting   1,006
  hosts     12
  items     0
  bytes     1.23 GB  98.8 MB transferred
  elapsed   1m23s
`
	if diff := cmp.Diff(want, figures(midway())); diff != "" {
		t.Error(diff)
	}
	if got := figures(crawler.Stats{}); strings.Contains(got, "waiting") || strings.Contains(got, "elapsed") || strings.Contains(got, "retried") {
		t.Errorf("of nothing:\n%s", got)
	}
}

func TestNumber(t *testing.T) {
	tests := map[int64]string{0: "0", 999: "999", 1000: "1,000", 123456: "123,456", 1234567: "1,234,567", -1234: "-1,234"}
	for n, want := range tests {
		if got := number(n); got != want {
			t.Errorf("number(%d) = %s, want %s", n, got, want)
		}
	}
}

func TestByteCount(t *testing.T) {
	tests := map[int64]string{
		0: "0 B", 999: "999 B", 1000: "1.00 kB", 9994: "9.99 kB", 9996: "10.0 kB", 99_940: "99.9 kB", 99_960: "100 kB",
		999_499: "999 kB", 999_500: "1.00 MB", 1_500_000: "1.50 MB", 1_000_000_000_000: "1.00 TB", 9_223_372_036_854_775_807: "9.22 EB",
	}
	for n, want := range tests {
		if got := byteCount(n); got != want {
			t.Errorf("byteCount(%d) = %s, want %s", n, got, want)
		}
	}
}

func TestElapsed(t *testing.T) {
	tests := map[time.Duration]string{
		0: "0s", 1234567 * time.Microsecond: "1.235s", 10*time.Second + 499*time.Millisecond: "10s", 3*time.Hour + 1700*time.Millisecond: "3h0m2s",
	}
	for d, want := range tests {
		if got := elapsed(d); got != want {
			t.Errorf("elapsed(%d) = %s, want %s", d, got, want)
		}
	}
}

func TestPlural(t *testing.T) {
	for n, want := range map[int64]string{0: "0 URLs", 1: "1 URL", 1000: "1,000 URLs"} {
		if got := plural(n, "URL"); got != want {
			t.Errorf("plural(%d) = %s, want %s", n, got, want)
		}
	}
}
