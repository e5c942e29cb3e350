package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/orbweaver/orbweaver/crawler"
)

// mode is how a display tells of a crawl.
type mode int

const (
	plain mode = iota // a line now and then
	live              // one line on a terminal, written over and over
	lines             // JSON objects, a line each
	quiet             // errors only
)

// How often progress is told.
const (
	plainInterval = 10 * time.Second
	liveInterval  = 250 * time.Millisecond
)

// display tells of a crawl on standard error. Its methods may be called at once.
type display struct {
	mode     mode
	asJSON   bool                 // errors too are JSON objects
	width    func() (columns int) // of the terminal; 0: unknown. Asked in live mode only
	maxPages int64                // what the pages are counted towards; 0: nothing

	mu     sync.Mutex
	w      io.Writer
	onLine bool // the cursor stands behind a live line
}

// newDisplay returns the display that suits w: a live line on a terminal, plain
// lines elsewhere, unless the flags say otherwise.
func newDisplay(w io.Writer, env []string, isQuiet, asJSON bool) *display {
	d := &display{w: w, asJSON: asJSON}
	switch {
	case isQuiet:
		d.mode = quiet
	case asJSON:
		d.mode = lines
	case lookup(env, "TERM") != "dumb":
		d.useTerminal(w)
	}
	return d
}

func (d *display) useTerminal(w io.Writer) {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return
	}
	d.mode = live
	d.width = func() int {
		columns, _, err := term.GetSize(int(f.Fd()))
		if err != nil {
			return 0
		}
		return columns
	}
}

// message is a JSON line without figures.
type message struct {
	Event string `json:"event"` // "notice", "error"
	Text  string `json:"text"`
}

// startMessage is the first JSON line.
type startMessage struct {
	Event    string       `json:"event"` // "start"
	Job      string       `json:"job"`
	Resumed  bool         `json:"resumed"`
	Settings keptSettings `json:"settings,omitempty"`
}

// progressMessage is the JSON line of a moment.
type progressMessage struct {
	Event string `json:"event"` // "progress"
	crawler.Stats
}

// summaryMessage is the last JSON line.
type summaryMessage struct {
	Event string         `json:"event"` // "summary"
	Job   string         `json:"job,omitempty"`
	Ended crawler.Ending `json:"ended"`
	Next  string         `json:"next,omitempty"`
	crawler.Stats
}

// notice tells something that is no error.
func (d *display) notice(text string) {
	switch d.mode {
	case quiet:
	case lines:
		d.json(message{"notice", text})
	default:
		d.print(text + "\n")
	}
}

// problem tells of an error, in every mode.
func (d *display) problem(text string) {
	if d.asJSON {
		d.json(message{"error", text})
		return
	}
	d.print(text + "\n")
}

// start tells that the crawl of a job begins.
func (d *display) start(m startMessage, text string) {
	if d.mode == lines {
		m.Event = "start"
		d.json(m)
		return
	}
	if text != "" {
		d.notice(text)
	}
}

// follow tells how the crawl stands until stop is closed.
func (d *display) follow(stop <-chan struct{}, stats func() crawler.Stats) {
	interval := plainInterval
	switch d.mode {
	case quiet:
		return
	case live:
		interval = liveInterval
	}
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-stop:
			return
		case <-ticker.C:
			d.progress(stats())
		}
	}
}

func (d *display) progress(s crawler.Stats) {
	switch d.mode {
	case live:
		d.overwrite(s)
	case lines:
		d.json(progressMessage{"progress", s})
	case plain:
		d.print(progressLine(s, d.maxPages, 0, time.Now()) + "\n")
	}
}

// summary tells what the run came to.
func (d *display) summary(e ending) {
	switch d.mode {
	case quiet:
	case lines:
		_, next := e.next()
		d.json(summaryMessage{"summary", e.job, e.Ended, next, e.Stats})
	default:
		d.print(e.text())
	}
}

// clearLine moves to the first column and erases what stands there.
const clearLine = "\r\x1b[K"

func (d *display) overwrite(s crawler.Stats) {
	columns := d.width()
	if columns <= 0 {
		columns = 80
	}
	// A full last column would make some terminals scroll.
	text := progressLine(s, d.maxPages, columns-1, time.Now())
	d.mu.Lock()
	defer d.mu.Unlock()
	d.onLine = true
	fmt.Fprint(d.w, clearLine+text)
}

// print writes whole lines, over the live line if there is one.
func (d *display) print(text string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.onLine {
		text = clearLine + text
		d.onLine = false
	}
	fmt.Fprint(d.w, text)
}

func (d *display) json(v any) {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return // a struct of texts and numbers: it cannot fail
	}
	d.print(b.String())
}
