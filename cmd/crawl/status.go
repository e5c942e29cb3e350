package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/orbweaver/orbweaver/crawler"
)

// statusCommand is "crawl status".
type statusCommand struct {
	Dir  string `arg:"" optional:"" help:"The job's directory (${job})."`
	JSON bool   `name:"json" help:"Print one JSON object."`
}

// jobStatus is what "crawl status --json" prints: these fields and those of
// crawler.Stats.
type jobStatus struct {
	Job     string    `json:"job"`
	Running bool      `json:"running"`
	PID     int       `json:"pid,omitempty"` // of the process that crawls
	At      time.Time `json:"at,omitzero"`   // when the figures were taken, of a job that is running
	crawler.Stats

	state  string // as crawler.Status has it
	goesOn string // the command line with which it goes on, of a job at rest
}

// Run prints the job's figures.
func (c *statusCommand) Run(ctx context.Context, con *console) error {
	dir := con.jobDir(c.Dir)
	now, err := crawler.Control{Dir: dir}.Status(ctx)
	if err != nil {
		return err
	}
	s := &jobStatus{Job: dir, Stats: now.Stats, state: now.State}
	if now.State != crawler.StateAtRest {
		s.Running, s.PID, s.At = true, now.PID, now.Written
	}
	if c.JSON {
		enc := json.NewEncoder(con.stdout)
		enc.SetEscapeHTML(false)
		return enc.Encode(s)
	}
	if !s.Running {
		s.goesOn = goesOn(dir)
	}
	_, err = io.WriteString(con.stdout, s.text(time.Now()))
	return err
}

// text is the status for people.
func (s *jobStatus) text(now time.Time) string {
	text := fmt.Sprintf("%s: %s\n", quote(s.Job), s.headline(now))
	if s.Running && s.At.IsZero() {
		return text
	}
	return text + figures(s.Stats)
}

// staleAfter is the age from which on figures are told to be old.
const staleAfter = time.Second

func (s *jobStatus) headline(now time.Time) string {
	if !s.Running {
		return s.restingHeadline(now)
	}
	if s.At.IsZero() {
		return fmt.Sprintf("process %d has it open and has told no figures yet", s.PID)
	}
	text := fmt.Sprintf("process %d ", s.PID)
	switch {
	case !s.Paused.IsZero():
		text += "has paused it since " + clock(s.Paused, now) + "; crawl resume " + quote(s.Job) + " goes on"
	case s.Disk.Low:
		text += "waits: " + waitsForRoom(s.Disk)
	case s.state == crawler.StateOpen:
		text += "has it open"
	default:
		text += fmt.Sprintf("is crawling, %.1f pages/s%s", s.Rate, allWait(s.Stats, now))
	}
	if age := now.Sub(s.At); age >= staleAfter {
		text += fmt.Sprintf(" (as of %s ago)", elapsed(age.Truncate(time.Second)))
	}
	return text
}

func (s *jobStatus) restingHeadline(now time.Time) string {
	waiting := s.Waiting + s.Leased
	paused := ""
	if !s.Paused.IsZero() {
		paused = " and paused since " + clock(s.Paused, now)
	}
	switch {
	case s.Known == 0:
		return "no seeds yet"
	case waiting > 0 && paused != "":
		return "at rest" + paused + ", " + plural(waiting, "URL") + " waiting; crawl resume " + quote(s.Job) +
			" and then " + s.goesOn + " go on"
	case waiting > 0:
		due := ""
		if s.Due.Sub(now) > pauseWorthTelling {
			due = ", the next is due at " + clock(s.Due, now)
		}
		return "at rest, " + plural(waiting, "URL") + " waiting" + due + "; " + s.goesOn + " goes on"
	}
	return "done, nothing is waiting" + paused
}

// pauseWorthTelling is how long all hosts have to wait for the wait to be told.
const pauseWorthTelling = 10 * time.Second

// allWait tells that every host that has URLs waits, and until when; "" if some
// may be asked soon.
func allWait(s crawler.Stats, now time.Time) string {
	if s.InFlight > 0 || s.Waiting == 0 || s.Due.Sub(now) < pauseWorthTelling {
		return ""
	}
	return "; every host waits, the next may be asked at " + clock(s.Due, now)
}
