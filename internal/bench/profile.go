package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// profileCrawl profiles whole runs of the crawl command and leaves in dir the program, the profiles, and what it returns,
// a section of results, as summary.md. One run takes the profiles of CPU and allocations, one those of locks and of
// waiting, and one, of a tenth of the pages, counts system calls if strace is installed.
func profileCrawl(ctx context.Context, tools tools, spec webSpec, dir, temp string) (summary string, err error) {
	if dir, err = filepath.Abs(dir); err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	program, err := tools.instrumented(ctx, dir)
	if err != nil {
		return "", err
	}
	web, err := startWeb(ctx, tools, spec, temp)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, web.stop()) }()
	p := profiler{tools: tools, web: web, program: program, dir: dir, job: filepath.Join(temp, "profiled")}
	fmt.Fprintf(&p.summary, "## Profile\n\n`crawl run` on one core, %s.\n", web.spec.title())
	if err := errors.Join(p.work(ctx), p.waits(ctx), p.systemCalls(ctx)); err != nil {
		return "", err
	}
	return p.summary.String(), os.WriteFile(filepath.Join(dir, "summary.md"), []byte(p.summary.String()), 0o644)
}

type profiler struct {
	tools   tools
	web     *web
	program string // the crawl command, instrumented
	dir     string // for the profiles
	job     string // does not exist between runs
	summary strings.Builder
}

// work profiles CPU and allocations.
func (p *profiler) work(ctx context.Context) error {
	pages, err := p.run(ctx, 1, "cpu allocs", nil)
	if err != nil {
		return err
	}
	var told struct{ Allocated, Objects float64 }
	text, err := os.ReadFile(filepath.Join(p.dir, "metrics.json"))
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, &told); err != nil {
		return err
	}
	if err := errors.Join(
		p.top(ctx, "CPU", "cpu", ""),
		p.top(ctx, "CPU, with what is called", "cpu", "", "-cum", "-show=orbweaver|bbolt|runtime.gcBgMarkWorker$"),
	); err != nil {
		return err
	}
	a := fmt.Sprintf("%.0f allocations and %.1f KB a page.", told.Objects/pages, told.Allocated/pages/1000)
	return errors.Join(
		p.top(ctx, "Allocations", "allocs", a, "-sample_index=alloc_objects"),
		p.top(ctx, "Allocated bytes", "allocs", "", "-sample_index=alloc_space"),
	)
}

// waits profiles what goroutines wait for: locks that others hold, and all. On one core hardly anybody waits for a lock.
func (p *profiler) waits(ctx context.Context) error {
	if _, err := p.run(ctx, 2, "mutex block", nil); err != nil {
		return err
	}
	return errors.Join(
		p.top(ctx, "Locks: for how long others waited", "mutex", "On two cores, of which the server has a part.", "-cum", "-show=orbweaver|bbolt"),
		p.top(ctx, "Waiting", "block", "Workers that wait for the network are not among it.", "-cum", "-show=orbweaver|bbolt"),
	)
}

// systemCalls counts them, under strace, which makes them slow: a tenth of the pages will do.
func (p *profiler) systemCalls(ctx context.Context) error {
	if p.tools.strace == "" {
		p.summary.WriteString("\nstrace is not installed: no system calls were counted.\n")
		return nil
	}
	file := filepath.Join(p.dir, "syscalls.txt")
	most := strconv.Itoa(max(1, p.web.spec.pages/10))
	pages, err := p.run(ctx, 1, "", []string{p.tools.strace, "-f", "-c", "-S", "calls", "-U", "calls,errors,time-percent,name", "-o", file}, "--max-pages", most)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	lines := strings.SplitAfterN(string(text), "\n", 18)
	fmt.Fprintf(&p.summary, "\n### System calls\n\nOf %.0f pages.\n\n```\n%s```\n", pages, strings.Join(lines[:min(len(lines), 17)], ""))
	return nil
}

// run crawls on some cores with some profiles taken, under a tracer if there is one, and returns how many pages that were.
func (p *profiler) run(ctx context.Context, cores int, profiles string, tracer []string, flags ...string) (pages float64, err error) {
	if _, err := p.web.ask(ctx, "POST", "/reset"); err != nil {
		return 0, err
	}
	if err := os.Mkdir(p.job, 0o755); err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(p.job)) }()
	cmd := p.web.command(ctx, append(tracer, p.web.crawlArgs(p.program, p.job, concurrency, flags...)...), p.job)
	cmd.Env = append(cmd.Env, "BENCH_DIR="+p.dir, "BENCH_PROFILES="+profiles)
	var complaints tail
	cmd.Stderr = &complaints
	if err := startOn(cores, crawlCore, cmd); err != nil {
		return 0, err
	}
	if err := cmd.Wait(); err != nil {
		return 0, fmt.Errorf("%w\n%s", err, complaints.text)
	}
	counts, err := p.web.counts(ctx)
	return float64(max(1, counts.Pages)), err
}

// top adds the head of a profile to the summary.
func (p *profiler) top(ctx context.Context, title, profile, note string, flags ...string) error {
	args := append([]string{"tool", "pprof", "-top", "-nodecount=25"}, flags...)
	text, err := p.tools.golang(ctx, append(args, p.program, filepath.Join(p.dir, profile+".pprof"))...)
	if err != nil {
		return err
	}
	if at := bytes.Index(text, []byte("Showing nodes")); at > 0 {
		text = text[at:]
	}
	if note != "" {
		note += "\n\n"
	}
	fmt.Fprintf(&p.summary, "\n### %s\n\n%s```\n%s```\n", title, note, text)
	return nil
}
