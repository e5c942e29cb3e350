package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/orbweaver/orbweaver/crawler"
	"github.com/orbweaver/orbweaver/crawler/weburl"
)

// pauseCommand is "crawl pause".
type pauseCommand struct {
	Dir string `arg:"" optional:"" help:"The job's directory (${job})."`
}

// Run pauses the job.
func (c *pauseCommand) Run(ctx context.Context, con *console) error {
	dir := con.jobDir(c.Dir)
	s, err := crawler.Control{Dir: dir}.Pause(ctx)
	if err != nil {
		return err
	}
	text := quote(dir) + ": paused"
	if s.Stats.InFlight > 0 {
		text += "; " + plural(s.Stats.InFlight, "request") + " under way will end"
	}
	return con.say(text + "; crawl resume " + quote(dir) + " goes on")
}

// resumeCommand is "crawl resume".
type resumeCommand struct {
	Dir string `arg:"" optional:"" help:"The job's directory (${job})."`
}

// Run ends the job's pause.
func (c *resumeCommand) Run(ctx context.Context, con *console) error {
	dir := con.jobDir(c.Dir)
	s, err := crawler.Control{Dir: dir}.Resume(ctx)
	if err != nil {
		return err
	}
	text := quote(dir) + ": not paused any more"
	switch {
	case s.State == crawler.StateAtRest:
		text += "; " + goesOn(dir) + " goes on"
	case s.Stats.Disk.Low:
		text += "; " + waitsForRoom(s.Stats.Disk)
	}
	return con.say(text)
}

// stopCommand is "crawl stop".
type stopCommand struct {
	Dir string `arg:"" optional:"" help:"The job's directory (${job})."`
	Now bool   `explicit:"" help:"Give up what is being fetched, as the second Ctrl-C does."`
}

// Run stops the process that crawls the job, and waits until it has gone.
func (c *stopCommand) Run(ctx context.Context, con *console) error {
	dir := con.jobDir(c.Dir)
	ctx, stop := interruptible(ctx)
	defer stop()
	err := crawler.Control{Dir: dir}.Stop(ctx, c.Now)
	switch {
	case errors.Is(err, crawler.ErrNotRunning):
		return con.say(quote(dir) + ": nobody crawls it")
	case err != nil && ctx.Err() != nil:
		return &failure{exitInterrupted, errors.New(quote(dir) + ": what is being fetched still finishes"),
			"crawl stop --now " + quote(dir) + " does not wait for it"}
	case err != nil:
		return err
	}
	return con.say(quote(dir) + ": stopped; " + goesOn(dir) + " goes on")
}

// addCommand is "crawl add".
type addCommand struct {
	Dir  string   `arg:"" help:"The job's directory."`
	URLs []string `arg:"" name:"url" help:"More seeds: what belongs to the crawl is widened by them as at its start. - reads them from standard input."`
}

// Run adds seeds to the job.
func (c *addCommand) Run(ctx context.Context, con *console) error {
	ctx, stop := interruptible(ctx)
	defer stop()
	s := &sources{problem: con.display.problem}
	if c.URLs[0] == "-" && len(c.URLs) == 1 {
		s.list = []source{{"standard input", seedLines(untilDone(ctx, con.stdin))}}
	} else {
		s.list = []source{{"argument", argumentSeeds(c.URLs)}}
	}
	ctl := crawler.Control{Dir: c.Dir}
	added, err := ctl.Add(ctx, s.seeds())
	if err = errors.Join(err, s.err); err != nil {
		return err
	}
	if added == 0 {
		return &failure{exitUsage, errors.New("no seed is a URL"), "write them as https://example.org/"}
	}
	text := fmt.Sprintf("%s: %s added", quote(c.Dir), plural(int64(added), "seed"))
	if status, err := ctl.Status(ctx); err == nil && status.State == crawler.StateAtRest {
		text += "; " + goesOn(c.Dir) + " goes on"
	}
	return con.say(text)
}

// hostCommand is "crawl host".
type hostCommand struct {
	Dir    string     `arg:"" help:"The job's directory."`
	Host   string     `arg:"" help:"The host, such as example.org or 127.0.0.1:8080, or a URL of it."`
	Delay  *hostDelay `explicit:"" placeholder:"D" help:"Wait at least D between two requests to it; less than the run's --delay has no effect. default: what the run and robots.txt say."`
	Pause  bool       `explicit:"" xor:"pause" help:"Hold its URLs back; the crawl does not end as long as they wait."`
	Resume bool       `explicit:"" xor:"pause,drop" help:"Let it be asked again, after --pause or --drop."`
	Drop   bool       `explicit:"" xor:"drop" help:"Leave out its URLs for good: those that wait, or are left of its budget, and those that are found later."`
	JSON   bool       `explicit:"" name:"json" help:"Print one JSON object."`
}

// Run changes what it is told to change, and prints the host's state.
func (c *hostCommand) Run(ctx context.Context, con *console) error {
	if err := checkHost(c.Host); err != nil {
		return err
	}
	ctl := crawler.Control{Dir: c.Dir}
	var (
		h   *crawler.HostState
		err error
	)
	if change, changes := c.change(); changes {
		h, err = ctl.ChangeHost(ctx, c.Host, change)
	} else {
		h, err = ctl.Host(ctx, c.Host)
	}
	if err != nil {
		return err
	}
	if c.JSON {
		enc := json.NewEncoder(con.stdout)
		enc.SetEscapeHTML(false)
		return enc.Encode(h)
	}
	text := hostText(h, time.Now())
	if c.Delay != nil && *c.Delay > 0 && h.Delay > time.Duration(*c.Delay) {
		text += fmt.Sprintf("  it is asked no faster than the run's --delay: %v stays\n", h.Delay)
	} else if c.Delay != nil && h.Delay < time.Duration(*c.Delay) {
		text += fmt.Sprintf("  no host is made to wait longer than %v\n", h.Delay)
	}
	_, err = io.WriteString(con.stdout, text)
	return err
}

// checkHost refuses what names no host.
func checkHost(host string) error {
	if !strings.Contains(host, "://") {
		host = "http://" + host
	}
	if _, err := weburl.Parse(host); err != nil {
		return &failure{exitUsage, fmt.Errorf("%q is no host", strings.TrimPrefix(host, "http://")), "write example.org, 127.0.0.1:8080 or a URL of it"}
	}
	return nil
}

// change is what the flags ask for, if anything.
func (c *hostCommand) change() (change crawler.HostChange, changes bool) {
	if c.Delay != nil {
		change.Delay = new(time.Duration(*c.Delay))
	}
	switch {
	case c.Pause:
		change.Paused = new(true)
	case c.Resume:
		change.Paused, change.Dropped = new(false), new(false)
	}
	if c.Drop {
		change.Dropped = new(true)
	}
	return change, change != crawler.HostChange{}
}

// hostText is a host's state for people.
func hostText(h *crawler.HostState, now time.Time) string {
	var b strings.Builder
	row := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "  %-9s%s\n", name, fmt.Sprintf(format, args...))
	}
	fmt.Fprintf(&b, "%s:%s\n", h.Host, hostMood(h))
	row("known", "%s", plural(h.Known, "URL"))
	row("waiting", "%s", number(h.Waiting))
	if h.Fetched > 0 {
		row("fetched", "%s, %s", plural(h.Fetched, "page"), byteCount(h.Bytes))
	}
	if h.Dropped > 0 {
		row("dropped", "%s", number(h.Dropped))
	}
	row("delay", "%v", h.Delay)
	if next := h.Next; next.After(now) {
		row("next", "%s", clock(next, now))
	}
	if h.Blocked.After(now) {
		row("blocked", "until %s, as it asked for or because it failed", clock(h.Blocked, now))
	}
	return b.String()
}

// hostMood is why a host is not asked, by the user's will or a budget.
func hostMood(h *crawler.HostState) string {
	var moods []string
	if h.Paused {
		moods = append(moods, "paused")
	}
	if h.Closed != "" {
		moods = append(moods, "closed, "+h.Closed)
	}
	if len(moods) == 0 {
		return ""
	}
	return " " + strings.Join(moods, "; ")
}

// clock writes a time as seen from now: without its date if that is today's.
func clock(t, now time.Time) string {
	t = t.In(now.Location())
	if slices.Equal([]int{t.Year(), t.YearDay()}, []int{now.Year(), now.YearDay()}) {
		return t.Format(time.TimeOnly)
	}
	return t.Format(time.DateTime)
}

// waitsForRoom tells of a disk that is nearly full, and the way out.
func waitsForRoom(d crawler.Disk) string {
	return fmt.Sprintf("its disk is nearly full (%s free, %s are kept free): it goes on when there is room, or with less --disk-reserve",
		byteCount(max(d.Free, 0)), byteCount(d.Reserve))
}

// say prints a result.
func (con *console) say(line string) error {
	_, err := io.WriteString(con.stdout, line+"\n")
	return err
}
