package main

import (
	"fmt"
	"strings"

	"github.com/orbweaver/orbweaver/crawler"
)

// ending is what there is to say when a run is over.
type ending struct {
	*crawler.Summary
	job      string // directory; "" if it is gone
	settings *settings
	reseed   string // the flags that give the seeds again, if not all were read
}

// headline says why the run ended.
func (e ending) headline() string {
	wait := ""
	if n := e.Waiting + e.Leased; n > 0 {
		wait = ", " + stillWait(n)
	}
	switch e.Ended {
	case crawler.Done:
		return "done: nothing is waiting"
	case crawler.MaxPages:
		return "done: --max-pages " + e.settings.MaxPages.String() + " reached" + wait
	case crawler.MaxBytes:
		return "done: --max-bytes " + e.settings.MaxBytes.String() + " reached" + wait
	case crawler.MaxTime:
		return "done: --max-time " + e.settings.MaxTime.String() + " reached" + wait
	case crawler.Stopped, crawler.Cancelled:
		if e.job == "" {
			return "interrupted" + wait
		}
		return "interrupted" + wait + "; nothing is lost"
	}
	return "failed" + wait
}

// next is the command line that makes sense now, and what for.
func (e ending) next() (what, command string) {
	if e.job == "" {
		return "", ""
	}
	job := quote(e.job)
	switch {
	case e.Ended == crawler.Stopped, e.Ended == crawler.Cancelled, e.Ended == crawler.Failed:
		return "resume", "crawl run --job " + job + e.reseed
	case e.nothing():
		return "explain", "crawl explain --job " + job + " URL"
	case e.Fetched == 0:
		return "", ""
	}
	return "export", "crawl export " + job + " --format jsonl -o pages.jsonl"
}

// goOn is the command line that lifts the limit that ended the run, if one did.
func (e ending) goOn() string {
	if e.job == "" || e.Waiting+e.Leased == 0 {
		return ""
	}
	switch e.Ended {
	case crawler.MaxPages:
		have := int64(e.settings.MaxPages)
		if e.Round <= 1 { // a limit that was lowered is below what the job has
			have = max(have, e.Fetched)
		}
		return "crawl run --job " + quote(e.job) + " --max-pages " + fmt.Sprint(2*have) + e.reseed
	case crawler.MaxBytes:
		have := max(e.settings.MaxBytes, sizeLimit(e.WireBytes))
		return "crawl run --job " + quote(e.job) + " --max-bytes " + (2 * have).String() + e.reseed
	case crawler.MaxTime:
		return "crawl run --job " + quote(e.job) + e.reseed
	}
	return ""
}

// text is the whole summary for people.
func (e ending) text() string {
	var b strings.Builder
	fmt.Fprintln(&b, e.headline())
	b.WriteString(figures(e.Stats))
	if e.job != "" {
		fmt.Fprintf(&b, "job: %s\n", quote(e.job))
	}
	for _, line := range e.whyNothing() {
		fmt.Fprintln(&b, line)
	}
	if !e.nothing() && len(e.Problems) > 0 {
		b.WriteString("seeds that led nowhere:\n")
		for _, problem := range e.Problems {
			fmt.Fprintln(&b, "  "+oneLine(problem))
		}
	}
	if command := e.goOn(); command != "" {
		fmt.Fprintf(&b, "go on: %s\n", command)
	}
	if what, command := e.next(); command != "" {
		fmt.Fprintf(&b, "%s: %s\n", what, command)
	}
	return b.String()
}

// nothing reports that not one response was had, by no wish of the user.
func (e ending) nothing() bool {
	tried := e.Failed > 0 || e.Retried > 0 || len(e.LeftOut) > 0 || len(e.Problems) > 0
	return e.Fetched == 0 && (e.Ended == crawler.Done || tried)
}

// whyNothing tells why nothing was fetched, and which flag changes it.
func (e ending) whyNothing() []string {
	if !e.nothing() {
		return nil
	}
	lines := []string{"nothing was fetched:"}
	for _, problem := range e.Problems {
		lines = append(lines, "  "+oneLine(problem))
	}
	for _, r := range frequent(e.LeftOut) {
		line := fmt.Sprintf("  %s %s", plural(e.LeftOut[r], "URL"), r)
		if flag := r.Flag(); flag != "" {
			line += "; " + flag + " changes that"
		}
		lines = append(lines, line)
	}
	switch {
	case len(lines) > 1:
	case e.Failed > 0:
		lines = append(lines, "  every fetch failed: "+strings.Join(byCount(e.Errors), ", "))
	default:
		line := "  every request failed, " + plural(e.Waiting+e.Leased, "URL") + " to be tried again"
		if e.Ended == crawler.MaxTime {
			line += "; a longer --max-time lets that happen"
		}
		lines = append(lines, line)
	}
	return lines
}

// stillWait tells of n URLs that wait: "2 URLs still wait".
func stillWait(n int64) string {
	if n == 1 {
		return "1 URL still waits"
	}
	return plural(n, "URL") + " still wait"
}

// plural writes a count with its noun: "1 URL", "2 URLs".
func plural(n int64, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return number(n) + " " + noun
}
