package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/orbweaver/orbweaver/crawler"
	"github.com/orbweaver/orbweaver/crawler/weburl"
)

// explainCommand is "crawl explain".
type explainCommand struct {
	Job directory `default:"${job}" placeholder:"DIR" help:"The job's directory (${default})."`
	URL string    `arg:"" name:"url" help:"The URL in question."`

	JSON bool `name:"json" help:"Print one JSON object."`
}

// Run tells what the job knows of a URL.
func (c *explainCommand) Run(ctx context.Context, con *console) error {
	explanation, err := crawler.Control{Dir: string(c.Job)}.Explain(ctx, c.URL)
	if bad, ok := errors.AsType[*weburl.Error](err); ok {
		return &failure{exitUsage, fmt.Errorf("%q is no URL: %w", c.URL, bad.Reason), "write it as https://example.org/"}
	}
	if err != nil {
		return err
	}
	if c.JSON {
		enc := json.NewEncoder(con.stdout)
		enc.SetEscapeHTML(false)
		return enc.Encode(explanation)
	}
	_, err = fmt.Fprintln(con.stdout, strings.TrimRight(explanation.String(), "\n"))
	return err
}
