package export

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/orbweaver/orbweaver/storage"
)

func filtered() *storage.Record {
	return &storage.Record{
		Seq: 7, URL: "https://example.org/a?b=1", Host: "example.org", Status: 404, ContentType: "text/html", Depth: 2,
		FetchedAt: time.Date(2026, 5, 1, 12, 0, 0, 500, time.UTC), Duration: 1500 * time.Millisecond, Bytes: 2 << 20, WireBytes: 10_000,
		Title: `say "no" (again)`, Truncated: true, ErrorClass: "body", Head: []byte("HTTP/1.1 404 Not Found\r\n"),
	}
}

func TestFilter(t *testing.T) {
	for text, want := range map[string]bool{
		"status>=400":                                 true,
		"status = 404":                                true,
		"status==404 ":                                true,
		"status != 404":                               false,
		"status<404 or status>404":                    false,
		"status >= 400 and status < 500":              true,
		"status>=400&&status<400":                     false,
		"status=1||status=404":                        true,
		"not status=404":                              false,
		"!status=404":                                 false,
		"not not status=404":                          true,
		"status=1 and status=2 or depth=2":            true,
		"status=1 and (status=2 or depth=2)":          false,
		"not status=1 and depth=2":                    true,
		"not (status=404 and depth=2)":                false,
		"NOT status=1 AND depth=2":                    true,
		`host = example.org`:                          true,
		`host="example.org"`:                          true,
		`host ~ '\.org$'`:                             true,
		`host !~ "\\.org$"`:                           false,
		`host ~ "^org"`:                               false,
		`host contains ample`:                         true,
		`host contains amples`:                        false,
		`title = "say \"no\" (again)"`:                true,
		`title contains '"no"'`:                       true,
		`url contains "?b=1"`:                         true,
		"content_type=text/html":                      true,
		"content_type ~ ^text/":                       true,
		"content_type > text/css":                     true,
		"error":                                       false,
		"error_class":                                 true,
		"error = ''":                                  true,
		"truncated":                                   true,
		"not truncated":                               false,
		"truncated=false":                             false,
		"truncated != false":                          true,
		"depth":                                       true,
		"attempts":                                    false,
		"fetched_at":                                  true,
		"bytes >= 2MiB":                               true,
		"bytes > 2MiB":                                false,
		"bytes > 2MB":                                 true,
		"wire_bytes = 10k":                            true,
		"wire_bytes = 10kB and wire_bytes < 1g":       true,
		"wire_bytes = 10000b":                         true,
		"duration_ms = 1500":                          true,
		"duration_ms >= 1.5s":                         true,
		"duration_ms < 1m":                            true,
		"fetched_at >= 2026-05-01":                    true,
		"fetched_at < 2026-05-01T12:00:00Z":           false,
		"fetched_at > 2026-05-01T12:00:00":            true,
		"fetched_at > '2026-05-01 12:01'":             false,
		"fetched_at < 2026-05-01T13:00:00-02:00":      true,
		"head contains 'Not Found'":                   true,
		"head ~ '^HTTP/1.1 4'":                        true,
		"head = x":                                    false,
		"head":                                        true,
		"seq > -1":                                    true,
		"(((status=404)))":                            true,
		"\tstatus\n=\r404":                            true,
		"label = or or host = and":                    false,
		"title contains 'or' or title contains \"(\"": true,
	} {
		f, err := ParseFilter(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := f.Match(filtered()); got != want || f.String() != text {
			t.Errorf("%s: %v", text, got)
		}
	}
	if none := (*Filter)(nil); !none.Match(filtered()) || none.String() != "" {
		t.Error("a nil filter does not select all")
	}
}

func TestFilterErrors(t *testing.T) {
	for text, offset := range map[string]int{
		"":                                   0,
		"  ":                                 2,
		"statu = 4":                          0,
		"status = ":                          9,
		"status = four":                      9,
		"status >= 10k":                      10,
		"status ~ 4":                         9,
		"status contains 4":                  16,
		"status = 404 depth":                 13,
		"status = 404 and":                   16,
		"(status = 404":                      13,
		"status = 404)":                      12,
		"= 404":                              0,
		"host ~ '('":                         7,
		"host = 'x":                          7,
		"truncated = yes":                    12,
		"truncated < true":                   12,
		"fetched_at > yesterday":             13,
		"bytes > lots":                       8,
		"bytes > 1e400k":                     8,
		"bytes > NaNk":                       8,
		"duration_ms > 1":                    -1,
		"duration_ms > 1x":                   14,
		"host = a&b":                         8,
		"host = =":                           7,
		"not":                                3,
		"'host' = a":                         0,
		strings.Repeat("(", 1000) + "status": 100,
		strings.Repeat("not ", 1000):         400,
		strings.Repeat("x", 70_000):          0,
	} {
		_, err := ParseFilter(text)
		var wrong *FilterError
		if offset < 0 {
			if err != nil {
				t.Error(text, err)
			}
			continue
		}
		if !errors.As(err, &wrong) || wrong.Offset != offset || wrong.Reason == "" {
			t.Errorf("%.40s: %v, want offset %d", text, err, offset)
		}
	}
}

func FuzzFilter(f *testing.F) {
	for _, text := range []string{
		"status >= 400 and (host ~ 'a|b' or not truncated) && bytes>1k", `title contains "\"\\"`, "!(fetched_at<2026-01-01||depth)", "duration_ms!=1.5s", "host = ()",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		filter, err := ParseFilter(text)
		if err != nil {
			var wrong *FilterError
			if !errors.As(err, &wrong) || wrong.Offset < 0 || wrong.Offset > len(text) {
				t.Fatalf("%#v", err)
			}
			return
		}
		// What not and parentheses make of it.
		same, err := ParseFilter("not (not (" + text + "))")
		if err != nil {
			var wrong *FilterError
			if errors.As(err, &wrong) && (strings.Contains(wrong.Reason, "levels") || strings.Contains(wrong.Reason, "longer")) {
				return
			}
			t.Fatal(err)
		}
		other, err := ParseFilter("not (" + text + ")")
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range []*storage.Record{filtered(), {}} {
			if got := filter.Match(r); same.Match(r) != got || other.Match(r) == got {
				t.Errorf("%q is %v, twice denied %v, denied %v", text, got, same.Match(r), other.Match(r))
			}
		}
	})
}

func FuzzSize(f *testing.F) {
	f.Add("10k")
	f.Add("-1.5GiB")
	f.Fuzz(func(t *testing.T, s string) {
		if n, ok := parseSize(s); ok && n == math.MinInt64 {
			t.Errorf("%q is %d", s, n)
		}
	})
}

func BenchmarkFilter(b *testing.B) {
	filter, err := ParseFilter(`status >= 400 and host contains "example" and not truncated`)
	if err != nil {
		b.Fatal(err)
	}
	r := filtered()
	b.ReportAllocs()
	for b.Loop() {
		filter.Match(r)
	}
}
