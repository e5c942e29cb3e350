package main

import (
	"context"
	"fmt"
	"math"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// results is all that a whole run measures.
type results struct {
	tables  map[string]*table // by the name of the web
	outputs map[string]string // of commands
	soaked  soaked
}

// figure is something that the project promises.
type figure struct {
	what     string
	bar, aim float64
	least    bool   // the measured may not be less than the bar; else not more
	format   string // of all three
	command  string // that measures it; empty: this program does
	measured func(results) float64
}

// known is how many URLs the largest job knows; with a small budget it is a tenth of that.
const known = 10_000_000

// figures are all of them. Those that commands measure are in terms of what those print.
func figures(known int) []figure {
	scale := fmt.Sprintf("CRAWLER_SCALE=%d go test -run ^$ -bench Scale -benchtime 1x -timeout 20m ./crawler", known)
	disk := "go test -run ^$ -bench Disk/hosts=100$ -benchtime 500000x ./frontier/boltfrontier"
	idle := "go test -run ^$ -bench Idle -benchtime 1x ./httpclient"
	put := "go test -run ^$ -bench Put/hosts=100$/new=20% ./frontier/boltfrontier"
	delay := "BOLTFRONTIER_HOSTS=20000 go test -count 1 -run Throughput -v ./frontier/boltfrontier"
	return []figure{
		{what: "durable crawl with bodies to a bare download, CPU a page", bar: 1.2, aim: 0.9, format: "%.2f", measured: cpuRatio("crawl", "bare")},
		{what: "the same to Colly", bar: 1. / 3, aim: 1. / 5, format: "%.2f", measured: cpuRatio("crawl", "colly")},
		{what: "the same to wget2", bar: 0.6, aim: 0.4, format: "%.2f", measured: cpuRatio("crawl", "wget2")},
		{what: "Put of URLs, four of five known, durable, a second of a core", bar: 500_000, aim: 1_000_000, least: true, format: "%.0f",
			command: put, measured: func(r results) float64 { return 1e9 / printed(r.outputs[put], "cpu-ns/URL") }},
		{what: "disk, each URL seen", bar: 20, aim: 12, format: "%.1f B", command: disk, measured: prints(disk, "B/seen")},
		{what: "disk, each URL waiting", bar: 80, aim: 50, format: "%.1f B", command: disk, measured: prints(disk, "B/queued")},
		{what: fmt.Sprintf("peak RSS, %s URLs known, a tenth of them waiting, on %s hosts", short(known), short(known/100)), bar: 256, aim: 128, format: "%.0f MiB",
			command: scale, measured: prints(scale, "peak-MiB")},
		{what: fmt.Sprintf("pages a second of a core at %s URLs known to %s", short(known), short(max(known/1000, 1000))), bar: 0.8, aim: 0.95, least: true, format: "%.2f",
			command: scale, measured: prints(scale, "speed-ratio")},
		{what: "20,000 hosts, delay of 10 s, answers after 200 ms: pages a second to hosts / delay", bar: 0.95, aim: 0.99, least: true, format: "%.3f",
			command: delay, measured: func(r results) float64 { return found(r.outputs[delay], `([0-9.]+) of what the delay allows`) }},
		{what: "heap of an idle connection", bar: 1024, aim: 1024, format: "%.0f B", command: idle, measured: prints(idle, "B/idle-conn")},
		{what: "goroutines of an idle connection", format: "%.2f", command: idle, measured: prints(idle, "goroutines/idle-conn")},
		{what: "fetches for each URL at 1,000 workers", bar: 1, aim: 1, format: "%.4f", measured: func(r results) float64 {
			return r.table("small pages").row("thousand").median(func(m measured) float64 {
				return float64(m.counts.Pages) / float64(r.table("small pages").pages)
			})
		}},
		{what: "pages/s on two cores to one, without a server", bar: 1.8, aim: 1.8, least: true, format: "%.2f", measured: func(r results) float64 {
			t := r.table("offline")
			return t.row("two-cores").ratio(t.row("one-core"), measured.pagesPerSecond)
		}},
		{what: "10,000 hosts to 100, CPU a page", bar: 1, aim: 1, format: "%.2f", measured: manyHosts("crawl")},
		{what: "(the same of a bare download)", bar: math.NaN(), aim: math.NaN(), format: "%.2f", measured: manyHosts("bare")},
		{what: "TLS, four requests a connection: session to net/http, both resuming, CPU a page", bar: 1, aim: 1, format: "%.2f", measured: func(r results) float64 {
			t := r.table("short connections")
			return t.row("session").ratio(t.row("resuming"), measured.cpuPerPage)
		}},
		{what: "soak: RSS of the last third to the second (after some minutes; see -soak)", bar: 1.1, aim: 1, format: "%.2f", measured: soakRatio(func(p third) float64 { return p.rss })},
		{what: "soak: the GC's share of CPU, last third to the second", bar: 1.1, aim: 1, format: "%.2f", measured: soakRatio(func(p third) float64 { return p.gcShare })},
	}
}

func (r results) table(web string) *table {
	if t := r.tables[web]; t != nil {
		return t
	}
	return &table{}
}

// tablesText is a section of results for each web that was measured on.
func (r results) tablesText(webs []webSpec) string {
	var b strings.Builder
	for _, spec := range webs {
		if t := r.tables[spec.name]; t != nil {
			b.WriteString(t.String() + "\n")
		}
	}
	return b.String()
}

func cpuRatio(name, other string) func(results) float64 {
	return func(r results) float64 {
		t := r.table("usual")
		return t.row(name).ratio(t.row(other), measured.cpuPerPage)
	}
}

func manyHosts(name string) func(results) float64 {
	return func(r results) float64 {
		return r.table("many hosts").row(name).ratio(r.table("usual").row(name), measured.cpuPerPage)
	}
}

func soakRatio(f func(third) float64) func(results) float64 {
	return func(r results) float64 {
		parts := r.soaked.thirds()
		if parts == nil {
			return math.NaN()
		}
		return f(parts[2]) / f(parts[1])
	}
}

// prints is the value that a benchmark prints before a unit.
func prints(command, unit string) func(results) float64 {
	return func(r results) float64 { return printed(r.outputs[command], unit) }
}

func printed(output, unit string) float64 {
	return found(output, `([0-9.e+-]+) `+regexp.QuoteMeta(unit)+`\b`)
}

// found is the number in the first group of a match; not a number without one.
func found(output, pattern string) float64 {
	match := regexp.MustCompile(pattern).FindStringSubmatch(output)
	if match == nil {
		return math.NaN()
	}
	v, err := strconv.ParseFloat(match[1], 64)
	if err != nil {
		return math.NaN()
	}
	return v
}

func short(n int) string {
	if n >= 1_000_000 {
		return fmt.Sprintf("%d M", n/1_000_000)
	}
	return fmt.Sprintf("%d k", n/1000)
}

// runCommands runs what measures figures and returns what each printed. One that fails, or has not ended when the time for
// all is over, is among the outputs with what it said, and leaves its figures unmeasured.
func runCommands(ctx context.Context, tools tools, all []figure, most time.Duration) map[string]string {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	outputs := make(map[string]string)
	for _, f := range all {
		if _, done := outputs[f.command]; done || f.command == "" {
			continue
		}
		words := strings.Fields(f.command)
		cmd := exec.CommandContext(ctx, "env", words...)
		cmd.Dir = tools.root
		// go test leaves its children behind when it is killed alone.
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
		text, err := cmd.CombinedOutput()
		outputs[f.command] = string(text)
		if err != nil {
			outputs[f.command] = fmt.Sprintf("%s: FAIL: %v\n%s", f.command, err, text)
		}
	}
	return outputs
}

// figuresTable is the section of results that holds them against their bars.
func figuresTable(all []figure, r results) string {
	var b strings.Builder
	b.WriteString("## Figures\n\n| figure | bar | aim | measured | | command |\n|---|---:|---:|---:|---|---|\n")
	for _, f := range all {
		sign, command := "≤ ", f.command
		if f.least {
			sign = "≥ "
		}
		if command == "" {
			command = "go run ."
		}
		bound := func(v float64) string {
			if math.IsNaN(v) {
				return "–"
			}
			return sign + fmt.Sprintf(f.format, v)
		}
		v := f.measured(r)
		text, verdict := "not measured", ""
		if !math.IsNaN(v) {
			text, verdict = fmt.Sprintf(f.format, v), f.verdict(v)
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | `%s` |\n", f.what, bound(f.bar), bound(f.aim), text, verdict, command)
	}
	return b.String()
}

// verdict compares as printed: 1.201 meets a bar of 1.20.
func (f figure) verdict(v float64) string {
	round := func(v float64) float64 { return found(fmt.Sprintf(f.format, v), `([0-9.]+)`) }
	meets := func(bound float64) bool {
		if f.least {
			return round(v) >= round(bound)
		}
		return round(v) <= round(bound)
	}
	switch {
	case math.IsNaN(f.bar):
		return ""
	case !meets(f.bar):
		return "**missed**"
	case meets(f.aim):
		return "met, and the aim"
	}
	return "met"
}
