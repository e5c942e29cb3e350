package main

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/orbweaver/orbweaver/internal/simweb"
)

// measured is one run of one contender.
type measured struct {
	counts    simweb.Counts
	cpu, wall time.Duration
	rss, disk int64
	stopped   bool // before it had ended by itself
}

func (m measured) String() string {
	text := fmt.Sprintf("%d pages, %d different, %v CPU, %v", m.counts.Pages, m.counts.Distinct, m.cpu.Round(time.Millisecond), m.wall.Round(time.Millisecond))
	if m.stopped {
		text += ", stopped"
	}
	return text
}

// cpuPerPage is in microseconds.
func (m measured) cpuPerPage() float64 {
	return float64(m.cpu.Microseconds()) / float64(max(1, m.counts.Pages))
}

func (m measured) pagesPerSecond() float64 { return float64(m.counts.Pages) / m.wall.Seconds() }

// table is what the contenders did on one web.
type table struct {
	title string
	pages int // that the web has
	rows  []row
}

type row struct {
	name string
	runs []measured
}

func (t *table) add(name string, m measured) {
	i := slices.IndexFunc(t.rows, func(r row) bool { return r.name == name })
	if i < 0 {
		i = len(t.rows)
		t.rows = append(t.rows, row{name: name})
	}
	t.rows[i].runs = append(t.rows[i].runs, m)
}

// rounds says of how many runs its figures are.
func (t *table) rounds() string {
	n := 0
	for _, r := range t.rows {
		n = max(n, len(r.runs))
	}
	if n == 1 {
		return "Of one round."
	}
	return fmt.Sprintf("Medians of %d rounds.", n)
}

// row is the row of a contender, without runs if there is none.
func (t *table) row(name string) row {
	for _, r := range t.rows {
		if r.name == name {
			return r
		}
	}
	return row{name: name}
}

// median returns the middle of what f says of the runs.
func (r row) median(f func(measured) float64) float64 {
	values := make([]float64, len(r.runs))
	for i, m := range r.runs {
		values[i] = f(m)
	}
	return median(values)
}

// ratio returns the median, over the rounds, of what f says of the row to what it says of another in the same round;
// not a number if they have no round in common.
func (r row) ratio(other row, f func(measured) float64) float64 {
	values := make([]float64, min(len(r.runs), len(other.runs)))
	for i := range values {
		values[i] = f(r.runs[i]) / f(other.runs[i])
	}
	return median(values)
}

// median returns the middle of some values, of an even number the mean of the two in the middle, of none not a number.
func median(values []float64) float64 {
	n := len(values)
	if n == 0 {
		return math.NaN()
	}
	slices.Sort(values)
	return (values[(n-1)/2] + values[n/2]) / 2
}

// String is the table in Markdown.
func (t *table) String() string {
	columns := []column{
		{"pages fetched", func(r row) string { return fmt.Sprintf("%.0f", r.count(pages)) }},
		{"different", func(r row) string { return fmt.Sprintf("%.0f", r.count(different)) }},
		{"CPU a page", func(r row) string { return fmt.Sprintf("%.0f µs", r.median(measured.cpuPerPage)) }},
		{"to bare", func(r row) string { return number("%.2f", r.ratio(t.row("bare"), measured.cpuPerPage)) }},
		{"pages/s", func(r row) string { return fmt.Sprintf("%.0f", r.median(measured.pagesPerSecond)) }},
		{"peak RSS", func(r row) string {
			return fmt.Sprintf("%.0f MB", r.median(func(m measured) float64 { return float64(m.rss) })/1e6)
		}},
		{"disk a page", func(r row) string {
			return number("%.1f KB", r.median(func(m measured) float64 { return float64(m.disk) })/1000/r.count(different))
		}},
	}
	if slices.ContainsFunc(t.rows, func(r row) bool { return r.count(handshakes) > 0 }) {
		columns = append(columns,
			column{"handshakes a page", func(r row) string { return fmt.Sprintf("%.3f", r.count(handshakes)/r.count(pages)) }},
			column{"resumed", func(r row) string { return percent(r.count(resumed) / r.count(handshakes)) }})
	}
	var b strings.Builder
	fmt.Fprintf(&b, "## %s\n\n%s\n\n| contender |", t.title, t.rounds())
	for _, c := range columns {
		fmt.Fprintf(&b, " %s |", c.title)
	}
	b.WriteString("\n|---|" + strings.Repeat("---:|", len(columns)) + "\n")
	for _, r := range t.rows {
		name := r.name
		if slices.ContainsFunc(r.runs, func(m measured) bool { return m.stopped }) {
			name += " (stopped)"
		}
		fmt.Fprintf(&b, "| %s |", name)
		for _, c := range columns {
			fmt.Fprintf(&b, " %s |", c.cell(r))
		}
		b.WriteString("\n")
	}
	return b.String()
}

type column struct {
	title string
	cell  func(row) string
}

// What count counts.
func pages(c simweb.Counts) int64      { return c.Pages }
func different(c simweb.Counts) int64  { return c.Distinct }
func handshakes(c simweb.Counts) int64 { return c.Handshakes }
func resumed(c simweb.Counts) int64    { return c.Resumed }

func (r row) count(f func(simweb.Counts) int64) float64 {
	return r.median(func(m measured) float64 { return float64(f(m.counts)) })
}

func percent(v float64) string {
	if math.IsNaN(v) {
		return "–"
	}
	return fmt.Sprintf("%.0f %%", 100*v)
}

// number formats a number, and nothing (not a number, zero) as a dash.
func number(format string, v float64) string {
	if math.IsNaN(v) || math.IsInf(v, 0) || v == 0 {
		return "–"
	}
	return fmt.Sprintf(format, v)
}
