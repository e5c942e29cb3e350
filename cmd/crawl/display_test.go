package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/orbweaver/orbweaver/crawler"
)

// shown follows a crawl for a time on a display and returns what it wrote.
func shown(t *testing.T, d *display, during time.Duration) string {
	t.Helper()
	var out bytes.Buffer
	d.w = &out
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		stop := make(chan struct{})
		over := make(chan struct{})
		go func() {
			defer close(over)
			d.follow(stop, func() crawler.Stats { return crawler.Stats{Elapsed: time.Since(start)} })
		}()
		time.Sleep(during)
		close(stop)
		<-over
	})
	return out.String()
}

func TestPlainProgressEveryTenSeconds(t *testing.T) {
	got := shown(t, &display{mode: plain}, 35*time.Second)
	lines := strings.Split(strings.TrimSuffix(got, "\n"), "\n")
	if len(lines) != 3 {
		t.Fatalf("%d lines in 35 s:\n%s", len(lines), got)
	}
	for i, end := range []string{" 10s", " 20s", " 30s"} {
		if !strings.HasSuffix(lines[i], end) || strings.ContainsAny(lines[i], "\r\x1b") {
			t.Errorf("line %q, want plain text that ends with %q", lines[i], end)
		}
	}
}

func TestJSONProgress(t *testing.T) {
	got := shown(t, &display{mode: lines, asJSON: true}, 25*time.Second)
	n := 0
	for in := bufio.NewScanner(strings.NewReader(got)); in.Scan(); n++ {
		var m struct {
			Event   string
			Fetched *int64
			Elapsed int64 `json:"elapsed_ns"`
		}
		if err := json.Unmarshal(in.Bytes(), &m); err != nil {
			t.Fatalf("%s: %v", in.Bytes(), err)
		}
		if m.Event != "progress" || m.Fetched == nil || m.Elapsed != int64(n+1)*10e9 {
			t.Errorf("line %d: %s", n, in.Bytes())
		}
	}
	if n != 2 {
		t.Errorf("%d lines in 25 s", n)
	}
}

func TestQuietShowsNoProgress(t *testing.T) {
	if got := shown(t, &display{mode: quiet}, time.Minute); got != "" {
		t.Errorf("wrote %q", got)
	}
}

func TestLiveLine(t *testing.T) {
	width := 30
	d := &display{mode: live, width: func() int { return width }}
	got := shown(t, d, time.Second+time.Millisecond)
	updates := strings.Split(got, clearLine)[1:]
	if len(updates) != 4 {
		t.Fatalf("%d updates in a second: %q", len(updates), got)
	}
	for _, u := range updates {
		if len(u) >= width || strings.Contains(u, "\n") {
			t.Errorf("update %q does not fit %d columns", u, width)
		}
	}

	// What is printed next takes the live line's place, and leaves no rest of it.
	var out bytes.Buffer
	d.w = &out
	d.notice("one")
	d.notice("two")
	if got := out.String(); got != clearLine+"one\ntwo\n" {
		t.Errorf("after the live line: %q", got)
	}
}

func TestLiveLineOfUnknownWidth(t *testing.T) {
	d := &display{mode: live, width: func() int { return 0 }, w: io.Discard}
	var out bytes.Buffer
	d.w = &out
	d.progress(midway())
	if got := strings.TrimPrefix(out.String(), clearLine); len(got) > 79 || got == "" {
		t.Errorf("%d columns: %q", len(got), got)
	}
}

func TestWhatEachModeTells(t *testing.T) {
	tell := func(d *display) string {
		var out bytes.Buffer
		d.w = &out
		d.start(startMessage{Job: "j"}, "starting")
		d.notice("a notice")
		d.problem("a problem")
		d.summary(ending{Summary: &crawler.Summary{Ended: crawler.Done}, job: "j", settings: &settings{}})
		return out.String()
	}
	if got := tell(&display{mode: quiet}); got != "a problem\n" {
		t.Errorf("quiet: %q", got)
	}
	if got := tell(&display{mode: plain}); !strings.HasPrefix(got, "starting\na notice\na problem\ndone: ") {
		t.Errorf("plain: %q", got)
	}
	if got := tell(&display{mode: quiet, asJSON: true}); got != `{"event":"error","text":"a problem"}`+"\n" {
		t.Errorf("quiet and JSON: %q", got)
	}
	var events []string
	for line := range strings.Lines(tell(&display{mode: lines, asJSON: true})) {
		var m struct{ Event, Job, Text, Ended, Next string }
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		events = append(events, strings.TrimSpace(strings.Join([]string{m.Event, m.Job, m.Text, m.Ended}, " ")))
	}
	if got, want := strings.Join(events, "; "), "start j; notice  a notice; error  a problem; summary j  done"; got != want {
		t.Errorf("JSON: %q, want %q", got, want)
	}
}

func TestNewDisplay(t *testing.T) {
	tests := []struct {
		quiet, json bool
		want        mode
	}{{false, false, plain}, {true, false, quiet}, {false, true, lines}, {true, true, quiet}}
	for _, tt := range tests {
		if d := newDisplay(io.Discard, nil, tt.quiet, tt.json); d.mode != tt.want {
			t.Errorf("quiet %v, json %v: mode %d, want %d", tt.quiet, tt.json, d.mode, tt.want)
		}
	}
}
