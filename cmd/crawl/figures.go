package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode/utf8"

	"github.com/orbweaver/orbweaver/crawler"
)

// progressLine tells how a crawl stands in one line of at most width columns;
// width 0 is no limit. What matters least is left out first.
func progressLine(s crawler.Stats, maxPages int64, width int, now time.Time) string {
	pages := number(s.Fetched)
	if maxPages > 0 {
		pages += "/" + number(maxPages)
	}
	failed := total(s.Errors)
	parts := []struct {
		rank       int // the highest is dropped first
		text, less string
	}{
		{0, pages + " pages", ""},
		{1, standstill(s, now), shortStandstill(s, now)},
		{4, fmt.Sprintf("%.1f/s", s.Rate), ""},
		{3, "queue " + number(s.Waiting+s.Leased), ""},
		{7, "hosts " + number(s.Hosts), ""},
		{5, "errors " + number(failed) + breakdown(s.Errors), "errors " + number(failed)},
		{6, byteCount(s.Bytes), ""},
		{2, elapsed(s.Elapsed), ""},
	}
	line := func() string {
		var texts []string
		for _, p := range parts {
			if p.text != "" {
				texts = append(texts, p.text)
			}
		}
		return strings.Join(texts, "  ")
	}
	if width <= 0 || utf8.RuneCountInString(line()) <= width {
		return line()
	}
	for i := range parts {
		if parts[i].less != "" {
			parts[i].text = parts[i].less
		}
	}
	for rank := len(parts) - 1; rank > 0 && utf8.RuneCountInString(line()) > width; rank-- {
		for i := range parts {
			if parts[i].rank == rank {
				parts[i].text = ""
			}
		}
	}
	text := line()
	return text[:min(len(text), width)]
}

// standstill says why nothing is fetched though there is something, if so.
func standstill(s crawler.Stats, now time.Time) string {
	switch {
	case !s.Paused.IsZero():
		return "PAUSED, crawl resume goes on"
	case s.Disk.Low:
		return "WAITS for disk space (" + byteCount(max(s.Disk.Free, 0)) + " free, " + byteCount(s.Disk.Reserve) + " kept free)"
	case proxiesOut(s, now) != "":
		return proxiesOut(s, now)
	case allWait(s, now) != "":
		return "every host waits, the next until " + clock(s.Due, now)
	}
	return ""
}

// proxiesOut says that every proxy is out, if so.
func proxiesOut(s crawler.Stats, now time.Time) string {
	var first time.Time
	for _, p := range s.Proxies {
		if !p.Out.After(now) {
			return ""
		}
		if first.IsZero() || p.Out.Before(first) {
			first = p.Out
		}
	}
	if first.IsZero() {
		return ""
	}
	return "every proxy is out, tried again at " + clock(first, now)
}

// proxyRows are how each proxy does, if there are several or one has failed.
func proxyRows(s crawler.Stats, row func(name string, n int64, more string)) {
	name := "proxies"
	if len(s.Proxies) == 1 && s.Proxies[0].Failures == 0 {
		return
	}
	for i, p := range s.Proxies {
		if i == maxProxyRows {
			row("", int64(len(s.Proxies)-i), "more proxies")
			return
		}
		more := p.Proxy
		if p.Failures > 0 {
			more += ", failed " + number(p.Failures)
		}
		if p.Error != "" {
			more += ": " + oneLine(p.Error)
		}
		row(name, p.Requests, more)
		name = ""
	}
}

// maxProxyRows bounds what is shown of a long list.
const maxProxyRows = 20

// shortStandstill is standstill for narrow terminals.
func shortStandstill(s crawler.Stats, now time.Time) string {
	text := standstill(s, now)
	if cut := strings.IndexAny(text, ",("); cut > 0 {
		text = strings.TrimSpace(text[:cut])
	}
	return text
}

// figures is the table of a job's figures.
func figures(s crawler.Stats) string {
	var b strings.Builder
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	row := func(name string, n int64, more string) {
		fmt.Fprintf(t, "  %s\t%s\t%s\n", name, number(n), more)
	}
	row("fetched", s.Fetched, byStatus(s.Statuses))
	row("failed", s.Failed, failures(s))
	if s.Retried > 0 {
		row("retried", s.Retried, "")
	}
	switch changes := strings.Join(byCount(s.Changes), ", "); {
	case s.Round > 1:
		row("round", int64(s.Round), changes)
	case changes != "": // of a crawl that visits pages again and again
		row("visits", total(s.Changes), changes)
	}
	if c := s.Cache; c.Hits+c.Stored+c.Damaged > 0 {
		row("cached", c.Hits, "replayed"+cacheNotes(c))
	}
	row("left out", total(s.LeftOut), leftOut(s.LeftOut))
	if waiting := s.Waiting + s.Leased; waiting > 0 {
		row("waiting", waiting, planned(s))
	}
	paused := ""
	if s.PausedHosts > 0 {
		paused = number(s.PausedHosts) + " of them paused"
	}
	row("hosts", s.Hosts, paused)
	if s.Logins+s.LoginFailures > 0 {
		row("logins", s.Logins, fmt.Sprintf("%s failed, %s", number(s.LoginFailures), plural(s.LoginRequests, "request")))
	}
	proxyRows(s, row)
	row("items", s.Items, "")
	fmt.Fprintf(t, "  bytes\t%s\t%s transferred\n", byteCount(s.Bytes), byteCount(s.WireBytes))
	if d := s.Disk; d.Size > 0 {
		fmt.Fprintf(t, "  disk\t%s\t%s\n", byteCount(d.Size), diskNotes(d))
	}
	if s.Elapsed > 0 {
		fmt.Fprintf(t, "  elapsed\t%s\t\n", elapsed(s.Elapsed))
	}
	t.Flush()
	return trimLines(b.String())
}

// worthCompacting is how much crawl compact has to give back to be mentioned.
const worthCompacting = 10_000_000

// diskNotes tells what is free, and what could be.
func diskNotes(d crawler.Disk) string {
	var notes []string
	if d.Free >= 0 {
		notes = append(notes, byteCount(d.Free)+" free")
	}
	if d.Unused >= worthCompacting && d.Unused >= d.Size/4 {
		notes = append(notes, "crawl compact gives back about "+byteCount(d.Unused))
	}
	return strings.Join(notes, ", ")
}

// trimLines takes the padding off the end of each line.
func trimLines(s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.Join(lines, "\n")
}

// byStatus lists responses by status, such as "200: 97, 404: 3".
func byStatus(statuses map[int]int64) string {
	var parts []string
	for _, status := range slices.Sorted(maps.Keys(statuses)) {
		parts = append(parts, fmt.Sprintf("%d: %s", status, number(statuses[status])))
	}
	return strings.Join(parts, ", ")
}

// byCount lists what was counted, the most frequent first.
func byCount[K ~string](counts map[K]int64) []string {
	var parts []string
	for _, k := range frequent(counts) {
		parts = append(parts, fmt.Sprintf("%s %s", string(k), number(counts[k])))
	}
	return parts
}

// frequent returns the keys of counts that are not 0, the most frequent first.
func frequent[K ~string](counts map[K]int64) []K {
	keys := slices.SortedFunc(maps.Keys(counts), func(a, b K) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
	return slices.DeleteFunc(keys, func(k K) bool { return counts[k] == 0 })
}

// failures lists the errors by their class. Some are of responses that count as
// fetched, such as those with a body that was cut short.
func failures(s crawler.Stats) string {
	text := strings.Join(byCount(s.Errors), ", ")
	if partly := total(s.Errors) - s.Failed; partly > 0 {
		text += fmt.Sprintf(" (%s of them with a response)", number(partly))
	}
	return text
}

// breakdown is the two most frequent classes in parentheses.
func breakdown(errors map[string]int64) string {
	parts := byCount(errors)
	switch {
	case len(parts) == 0:
		return ""
	case len(parts) > 2:
		parts = append(parts[:2], "…")
	}
	return " (" + strings.Join(parts, ", ") + ")"
}

// leftOut lists why URLs were left out and what changes that.
func leftOut(counts map[crawler.Reason]int64) string {
	var parts []string
	for _, r := range frequent(counts) {
		part := string(r) + " " + number(counts[r])
		if flag := r.Flag(); flag != "" {
			part += " (" + flag + ")"
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, ", ")
}

func total[K comparable](counts map[K]int64) (n int64) {
	for _, c := range counts {
		n += c
	}
	return n
}

// number writes 1234567 as 1,234,567.
func number(n int64) string {
	if n < 0 {
		return "-" + number(-n)
	}
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// byteCount writes bytes with three digits and a unit of 1000s.
func byteCount(n int64) string {
	if n < 1000 {
		return strconv.FormatInt(n, 10) + " B"
	}
	v, unit := float64(n), 0
	for v >= 999.5 && unit < len("kMGTPE") {
		v /= 1000
		unit++
	}
	digits := 0
	switch {
	case v < 9.995:
		digits = 2
	case v < 99.95:
		digits = 1
	}
	return fmt.Sprintf("%.*f %cB", digits, v, "kMGTPE"[unit-1])
}

// elapsed writes a time to the second, or to the millisecond below ten seconds.
func elapsed(d time.Duration) string {
	if d < 10*time.Second {
		return d.Round(time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}
