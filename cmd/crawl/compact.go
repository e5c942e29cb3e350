package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/orbweaver/orbweaver/crawler"
)

// compactCommand is "crawl compact".
type compactCommand struct {
	Dir string `arg:"" optional:"" help:"The job's directory (${job})."`
}

// Run gives disk back that the job no longer uses.
func (c *compactCommand) Run(ctx context.Context, con *console) error {
	dir := con.jobDir(c.Dir)
	ctx, stop := interruptible(ctx)
	defer stop()
	before, after, err := crawler.Compact(ctx, dir)
	if err != nil && errors.Is(err, ctx.Err()) {
		return &failure{exitInterrupted, fmt.Errorf("interrupted; %s is as it was", quote(dir)), ""}
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(con.stdout, "%s: %s before, %s after\n", quote(dir), byteCount(before), byteCount(after))
	return err
}
