package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/orbweaver/orbweaver/crawler"
	"github.com/orbweaver/orbweaver/internal/simweb"
)

// demoCommand is "crawl demo".
type demoCommand struct {
	Job   directory `placeholder:"DIR" help:"Keep the job in this directory, which must not exist. By default it is temporary."`
	Hosts positive  `default:"5" placeholder:"N" help:"Hosts of the site (${default})."`
	Pages positive  `default:"100" placeholder:"N" help:"Pages of each host (${default})."`
	Delay duration  `default:"10ms" placeholder:"D" help:"Time between two requests to a host (${default})."`
	Quiet bool      `help:"Tell of errors only."`
	JSON  bool      `name:"json" help:"Tell of progress as JSON, an object a line."`
}

// What the demo's site can have at most.
const (
	maxDemoHosts = 250 * 250 * 250
	maxDemoPages = 1 << 30
)

// check refuses a site that cannot be served.
func (c *demoCommand) check() error {
	switch {
	case c.Hosts > maxDemoHosts:
		return &failure{exitUsage, fmt.Errorf("--hosts: %d is more than %d", c.Hosts, maxDemoHosts), ""}
	case c.Pages > maxDemoPages:
		return &failure{exitUsage, fmt.Errorf("--pages: %d is more than %d", c.Pages, maxDemoPages), ""}
	}
	return nil
}

// Run serves a synthetic site on loopback, crawls it, and compares what the crawl
// says with what the server counted.
func (c *demoCommand) Run(ctx context.Context, con *console) (err error) {
	con.display = newDisplay(con.stderr, con.env, c.Quiet, c.JSON)
	if err := c.check(); err != nil {
		return err
	}
	dir, remove, err := c.directory()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove()) }()
	web, err := simweb.Start(simweb.Config{Hosts: int(c.Hosts), Pages: int(c.Pages), Gzip: true, Seed: 1})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, web.Close()) }()

	demo := &crawl{
		display: con.display,
		config: crawler.Config{
			Dir:   dir,
			Seeds: web.Seeds(),
			Delay: time.Duration(c.Delay),
		},
		settings: &settings{},
		passing:  c.Job == "",
		started:  startMessage{Job: dir},
		greeting: fmt.Sprintf("serving %s with %s each on loopback, and crawling them", plural(int64(c.Hosts), "host"), plural(int64(c.Pages), "page")),
		ended:    func(e ending) error { return compare(con.display, web) },
	}
	if demo.config.Delay == 0 {
		demo.config.Delay = crawler.NoDelay
	}
	return demo.run(ctx)
}

// directory is where the job goes, and what to do with it in the end.
func (c *demoCommand) directory() (dir string, remove func() error, err error) {
	if dir = string(c.Job); dir != "" {
		if !isMissing(dir) {
			return "", nil, &failure{exitUsage, errors.New("--job: " + quote(dir) + " exists"), "the demo needs a directory of its own"}
		}
		return dir, func() error { return nil }, nil
	}
	dir, err = os.MkdirTemp("", "crawl-demo-")
	return dir, func() error { return os.RemoveAll(dir) }, err
}

// compare holds what the server counted against what a correct crawl asks for.
func compare(d *display, web *simweb.Web) error {
	got, want := web.Counts(), web.Want()
	if got.Distinct != want.Distinct || got.Duplicates != 0 || got.NotFound+got.Trapped+got.Forbidden > 0 {
		return &failure{status: exitFailed, err: fmt.Errorf("the server saw another crawl: %+v; expected %+v", got, want)}
	}
	d.notice(fmt.Sprintf("the server agrees: %s asked for, each once, none left out", plural(got.Distinct, "page")))
	return nil
}
