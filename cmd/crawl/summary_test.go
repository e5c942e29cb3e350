package main

import (
	"strings"
	"testing"

	"github.com/orbweaver/orbweaver/crawler"
)

func TestEnding(t *testing.T) {
	nothing := crawler.Stats{
		Failed: 1, Known: 1, Hosts: 1, Errors: map[string]int64{"connect": 1},
		LeftOut: map[crawler.Reason]int64{crawler.ReasonRobots: 2, crawler.ReasonNofollow: 1},
	}
	tests := []struct {
		name    string
		ended   crawler.Ending
		stats   crawler.Stats
		want    []string
		wantNot []string
		nothing bool
	}{
		{
			name: "done", ended: crawler.Done, stats: crawler.Stats{Fetched: 3},
			want:    []string{"done: nothing is waiting\n", "job: 'my job'\n", "export: crawl export 'my job' --format jsonl -o pages.jsonl\n"},
			wantNot: []string{"go on:", "resume:", "nothing was fetched"},
		},
		{
			name: "max-bytes", ended: crawler.MaxBytes, stats: crawler.Stats{Fetched: 10, Waiting: 4, Leased: 1},
			want: []string{"done: --max-bytes 5MB reached, 5 URLs still wait\n", "go on: crawl run --job 'my job' --max-bytes 10MB --seeds -\n", "export: "},
		},
		{
			name: "max-pages", ended: crawler.MaxPages, stats: crawler.Stats{Fetched: 10, Waiting: 4, Leased: 1},
			want: []string{"done: --max-pages 10 reached, 5 URLs still wait\n", "go on: crawl run --job 'my job' --max-pages 20 --seeds -\n", "export: "},
		},
		{
			name: "a limit that was lowered", ended: crawler.MaxPages, stats: crawler.Stats{Fetched: 400, Waiting: 1},
			want: []string{"reached, 1 URL still waits\n", "go on: crawl run --job 'my job' --max-pages 800 --seeds -\n"},
		},
		{
			name: "max-time", ended: crawler.MaxTime, stats: crawler.Stats{Fetched: 10, Waiting: 1},
			want: []string{"done: --max-time 1m0s reached, 1 URL still waits", "go on: crawl run --job 'my job' --seeds -\n"},
		},
		{
			name: "max-time before anything", ended: crawler.MaxTime, stats: crawler.Stats{Waiting: 1},
			want: []string{"--max-time"}, wantNot: []string{"nothing was fetched"},
		},
		{
			name: "stopped", ended: crawler.Stopped, stats: crawler.Stats{Fetched: 10, Waiting: 1},
			want: []string{"interrupted, 1 URL still waits", "resume: crawl run --job 'my job' --seeds -\n"}, wantNot: []string{"export:"},
		},
		{
			name: "stopped before an answer", ended: crawler.Stopped, stats: crawler.Stats{Retried: 1, Waiting: 1}, nothing: true,
			want: []string{"nothing was fetched:\n  every request failed, 1 URL to be tried again\n"}, wantNot: []string{"--max-time"},
		},
		{
			name: "failed", ended: crawler.Failed, stats: crawler.Stats{Fetched: 10},
			want: []string{"failed\n", "resume: crawl run --job 'my job'"},
		},
		{
			name: "nothing", ended: crawler.Done, stats: nothing, nothing: true,
			want: []string{"nothing was fetched:\n", "  2 URLs forbidden by robots.txt; --robots ignore changes that\n", "  1 URL nofollow; --nofollow changes that\n", "explain: crawl explain --job 'my job' URL\n"},
		},
		{
			name: "nothing, with the seeds' problems", ended: crawler.Done, nothing: true,
			stats: crawler.Stats{Failed: 1, Problems: []string{"http://a/: connection refused\n(is it up?)"}},
			want:  []string{"nothing was fetched:\n  http://a/: connection refused; (is it up?)\n"},
		},
		{
			name: "a seed that redirects elsewhere", ended: crawler.Done,
			stats: crawler.Stats{Fetched: 1, Problems: []string{"seed http://a/: redirects to http://b/, out of scope"}},
			want:  []string{"job: 'my job'\nseeds that led nowhere:\n  seed http://a/: redirects to http://b/, out of scope\nexport: "},
		},
		{
			name: "nothing, only failures", ended: crawler.Done, nothing: true,
			stats: crawler.Stats{Failed: 3, Errors: map[string]int64{"dns": 2, "timeout": 1}},
			want:  []string{"nothing was fetched:\n  every fetch failed: dns 2, timeout 1\n"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := ending{
				Summary:  &crawler.Summary{Stats: tt.stats, Ended: tt.ended},
				job:      "my job",
				settings: &settings{MaxPages: 10, MaxBytes: 5e6, MaxTime: 60e9},
				reseed:   " --seeds -",
			}
			text := e.text()
			for _, want := range tt.want {
				if !strings.Contains(text, want) {
					t.Errorf("lacks %q:\n%s", want, text)
				}
			}
			for _, not := range tt.wantNot {
				if strings.Contains(text, not) {
					t.Errorf("has %q:\n%s", not, text)
				}
			}
			if e.nothing() != tt.nothing {
				t.Errorf("nothing() = %v", e.nothing())
			}
		})
	}
}

func TestEndingOfAJobThatIsGone(t *testing.T) {
	e := ending{Summary: &crawler.Summary{Stats: crawler.Stats{Fetched: 1}, Ended: crawler.Done}, settings: &settings{}}
	if text := e.text(); strings.Contains(text, "job:") || strings.Contains(text, "crawl ") {
		t.Errorf("names a job that is gone:\n%s", text)
	}
	e.Ended = crawler.Stopped
	if text := e.text(); !strings.HasPrefix(text, "interrupted\n") {
		t.Errorf("promises that a job that is gone goes on:\n%s", text)
	}
}
