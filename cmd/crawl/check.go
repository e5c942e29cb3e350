package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/orbweaver/orbweaver/crawler"
)

// checkCommand is "crawl check".
type checkCommand struct {
	Dir string `arg:"" optional:"" help:"The job's directory (${job})."`
}

// Run proves the job's invariants. It prints those that are broken, a line each.
func (c *checkCommand) Run(ctx context.Context, con *console) error {
	dir := con.jobDir(c.Dir)
	ctx, stop := interruptible(ctx)
	defer stop()
	job, err := crawler.OpenJob(dir)
	if err != nil {
		return err
	}
	defer job.Close()
	broken := brokenInvariants(job.Check(ctx))
	if len(broken) == 0 {
		_, err := fmt.Fprintf(con.stdout, "%s is sound\n", quote(dir))
		return err
	}
	for _, line := range broken {
		if _, err := fmt.Fprintln(con.stdout, line); err != nil {
			return err
		}
	}
	return &failure{exitFailed, fmt.Errorf("%s is damaged: %s broken", quote(dir), plural(int64(len(broken)), "invariant")),
		"crawl export " + quote(dir) + " may still save what can be read"}
}

// brokenInvariants returns a line for each of the errors joined in err.
func brokenInvariants(err error) []string {
	if err == nil {
		return nil
	}
	if job, ok := errors.AsType[*crawler.JobError](err); ok {
		err = job.Err
	}
	return strings.Split(strings.TrimSpace(err.Error()), "\n")
}
