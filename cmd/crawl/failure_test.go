package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"testing"

	"github.com/orbweaver/orbweaver/crawler"
)

func TestDiagnose(t *testing.T) {
	job := func(op string, err error) error { return &crawler.JobError{Op: op, Dir: "./my job", Err: err} }
	tests := []struct {
		name   string
		err    error
		status int
		want   []string
	}{
		{"usage", &failure{exitUsage, errors.New("no seeds"), "give some"}, 2, []string{"no seeds; give some"}},
		{"told already", &failure{status: exitInterrupted}, 3, nil},
		{"wrapped", fmt.Errorf("x: %w", &failure{exitUsage, errors.New("a"), ""}), 2, []string{"a"}},
		{"reader went away", fmt.Errorf("write: %w", syscall.EPIPE), 0, nil},
		{"setting", &crawler.ConfigError{Field: "MaxPages", Reason: "must not be negative"}, 2, []string{"--max-pages: must not be negative"}},
		{"section", &crawler.ConfigError{Field: "Sites[0]", Reason: "has no host"}, 2, []string{"sites[0]: has no host"}},
		{"locked", job("open", &crawler.LockedError{PID: 42}), 1, []string{"'./my job' ", "in use by process 42", "crawl status './my job'"}},
		{"locked by a reader", job("open", &crawler.LockedError{}), 1, []string{"in use by another process; try again"}},
		{"no job", job("open", crawler.ErrNotJob), 1, []string{"is no crawl job", "crawl run --job"}},
		{"newer", job("open", fmt.Errorf("%w: its format is 2", crawler.ErrFormat)), 1, []string{"another version", "its format is 2", "newer one"}},
		{"damaged", job("open", fmt.Errorf("%w: page 3", crawler.ErrCorrupt)), 1, []string{"damaged: page 3", "copy", "--job"}},
		{"disk full", job("commit", &fs.PathError{Op: "write", Path: "x/job.db", Err: syscall.ENOSPC}), 1, []string{"no space left on device", "make room", "crawl run --job './my job'"}},
		{"disk full at the start", job("create", &fs.PathError{Op: "write", Path: "x/job.db", Err: syscall.ENOSPC}), 1, []string{"no space left on device; make room and try again"}},
		{"read-only", job("create", &fs.PathError{Op: "mkdir", Path: "my job", Err: syscall.EROFS}), 1, []string{"mkdir my job: read-only file system", "--job"}},
		{"forbidden", job("create", &fs.PathError{Op: "mkdir", Path: "my job", Err: syscall.EACCES}), 1, []string{"permission denied", "--job"}},
		{"other", job("commit", errors.New("odd")), 1, []string{"cannot commit the job: odd"}},
		{"output full", &fs.PathError{Op: "write", Path: "/dev/full", Err: syscall.ENOSPC}, 1, []string{"/dev/full", "make room"}},
		{"interrupted", context.Canceled, 3, []string{"interrupted"}},
		{"several lines", errors.New("a\nb"), 1, []string{"a; b"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			line, status := diagnose(tt.err)
			if status != tt.status || strings.Contains(line, "\n") || (line == "") != (tt.want == nil) {
				t.Errorf("status %d, line %q; want %d", status, line, tt.status)
			}
			for _, want := range tt.want {
				if !strings.Contains(line, want) {
					t.Errorf("line %q lacks %q", line, want)
				}
			}
		})
	}
}

func TestBrokenInvariants(t *testing.T) {
	if got := brokenInvariants(nil); got != nil {
		t.Errorf("of a sound job: %q", got)
	}
	err := &crawler.JobError{Op: "check", Dir: "j", Err: errors.Join(errors.New("one"), errors.Join(errors.New("two"), errors.New("three")))}
	if got := strings.Join(brokenInvariants(err), "|"); got != "one|two|three" {
		t.Errorf("got %s", got)
	}
}
