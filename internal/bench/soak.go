package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// sample is what a crawl has used by, or uses at, a moment of its run.
type sample struct {
	at          time.Duration
	pages       int64
	cpu, gc     time.Duration // so far
	rss, live   int64         // bytes
	goroutines  int
	descriptors int
}

// soaked is the samples of a long run, evenly spaced.
type soaked []sample

// soak crawls for a time, without bodies, a web that has no end before that.
func soak(ctx context.Context, tools tools, dir string, length time.Duration) (all soaked, err error) {
	web, err := startWeb(ctx, tools, webSpec{hosts: 1000, bytes: 30_000, pages: 20_000_000, unlisted: true}, dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, web.stop()) }()
	program, err := tools.instrumented(ctx, dir)
	if err != nil {
		return nil, err
	}
	job := filepath.Join(dir, "soak")
	if err := os.Mkdir(job, 0o755); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(job)) }()
	cmd := web.command(ctx, web.crawlArgs(program, job, concurrency, "--no-bodies", "--max-time", length.String()), job)
	cmd.Env = append(cmd.Env, "BENCH_DIR="+job)
	var complaints tail
	cmd.Stderr = &complaints
	if err := startOn(1, crawlCore, cmd); err != nil {
		return nil, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	began := time.Now()
	tick := time.NewTicker(max(length/300, time.Second))
	defer tick.Stop()
	for {
		select {
		case err := <-ended:
			if err != nil {
				err = fmt.Errorf("%w\n%s", err, complaints.text)
			}
			return all, errors.Join(ctx.Err(), err)
		case <-tick.C:
		}
		s, err := web.sample(ctx, cmd, job)
		if errors.Is(err, os.ErrNotExist) {
			continue // it has hardly begun, or ended just now
		}
		if err != nil {
			return nil, errors.Join(err, cmd.Cancel(), <-ended)
		}
		s.at = time.Since(began)
		all = append(all, s)
	}
}

// sample asks the server, the system, and the instrumented command by its file in dir.
func (w *web) sample(ctx context.Context, cmd *exec.Cmd, dir string) (s sample, err error) {
	var told struct {
		Live, Goroutines, GC float64
		Idle                 float64 `json:"gc_idle"`
	}
	text, err := os.ReadFile(filepath.Join(dir, "metrics.json"))
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal(text, &told); err != nil {
		return s, err
	}
	s.live, s.goroutines = int64(told.Live), int(told.Goroutines)
	s.gc = time.Duration((told.GC - told.Idle) * float64(time.Second))

	proc := filepath.Join("/proc", strconv.Itoa(cmd.Process.Pid))
	files, err := os.ReadDir(filepath.Join(proc, "fd"))
	if err != nil {
		return s, err
	}
	s.descriptors = len(files)
	if s.cpu, s.rss, err = readStat(filepath.Join(proc, "stat")); err != nil {
		return s, err
	}
	counts, err := w.counts(ctx)
	s.pages = counts.Pages
	return s, err
}

// readStat reads the processor time and the resident memory from a process's stat file; see proc_pid_stat(5).
func readStat(file string) (cpu time.Duration, rss int64, err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, 0, err
	}
	// The second field is the name in brackets, which may have blanks in it: count from there on.
	_, after, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(after)
	if len(fields) < 22 {
		return 0, 0, fmt.Errorf("%s: %d fields", file, len(fields))
	}
	var user, system int64
	for i, n := range map[int]*int64{11: &user, 12: &system, 21: &rss} {
		if *n, err = strconv.ParseInt(fields[i], 10, 64); err != nil {
			return 0, 0, fmt.Errorf("%s: %w", file, err)
		}
	}
	const tick = time.Second / 100
	return time.Duration(user+system) * tick, rss * int64(os.Getpagesize()), nil
}

// third is what became of a part of a run.
type third struct {
	pagesPerSecond, cpuPerPage, gcShare float64
	rss, mostRSS, live                  float64
	goroutines, descriptors             float64
}

// thirds of a run of which there are at least six samples.
func (all soaked) thirds() (parts []third) {
	for i := range 3 {
		part := all[len(all)*i/3 : len(all)*(i+1)/3]
		if len(part) < 2 {
			return nil
		}
		first, last := part[0], part[len(part)-1]
		cpu, pages := last.cpu-first.cpu, float64(last.pages-first.pages)
		median := func(f func(sample) float64) float64 { return median(values(part, f)) }
		most := func(f func(sample) float64) float64 { return slices.Max(values(part, f)) }
		rss := func(s sample) float64 { return float64(s.rss) }
		parts = append(parts, third{
			pagesPerSecond: pages / (last.at - first.at).Seconds(),
			cpuPerPage:     float64(cpu.Microseconds()) / pages,
			gcShare:        (last.gc - first.gc).Seconds() / cpu.Seconds(),
			rss:            median(rss), mostRSS: most(rss),
			live:        median(func(s sample) float64 { return float64(s.live) }),
			goroutines:  most(func(s sample) float64 { return float64(s.goroutines) }),
			descriptors: most(func(s sample) float64 { return float64(s.descriptors) }),
		})
	}
	return parts
}

// String is a section of results.
func (all soaked) String() string {
	parts := all.thirds()
	if parts == nil {
		return "## Soak\n\nToo short.\n"
	}
	last := all[len(all)-1]
	var b strings.Builder
	fmt.Fprintf(&b, "## Soak\n\nA durable crawl without bodies on one core, pages of 30 KB with %d links, 1000 hosts, for %v: %d pages.\n\n",
		links, last.at.Round(time.Second), last.pages)
	b.WriteString("| third | pages/s | CPU a page | of it GC | RSS, median | most | live heap, median | goroutines, most | descriptors, most |\n")
	b.WriteString("|---|---:|---:|---:|---:|---:|---:|---:|---:|\n")
	for i, p := range parts {
		fmt.Fprintf(&b, "| %s | %.0f | %.0f µs | %.1f %% | %.0f MB | %.0f MB | %.0f MB | %.0f | %.0f |\n", []string{"first", "second", "last"}[i],
			p.pagesPerSecond, p.cpuPerPage, 100*p.gcShare, p.rss/1e6, p.mostRSS/1e6, p.live/1e6, p.goroutines, p.descriptors)
	}
	return b.String()
}

func values(part soaked, f func(sample) float64) (list []float64) {
	for _, s := range part {
		list = append(list, f(s))
	}
	return list
}
