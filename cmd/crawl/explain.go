package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/orbweaver/orbweaver/crawler"
	"github.com/orbweaver/orbweaver/crawler/weburl"
	"github.com/orbweaver/orbweaver/frontier"
)

// explainCommand is "crawl explain".
type explainCommand struct {
	Job directory `default:"${job}" placeholder:"DIR" help:"The job's directory (${default})."`
	URL string    `arg:"" name:"url" help:"The URL in question."`

	JSON bool `name:"json" help:"Print one JSON object."`
}

// Run tells what the job knows of a URL.
func (c *explainCommand) Run(ctx context.Context, con *console) error {
	explanation, err := c.explain(ctx)
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

// explain explains the URL. If it has no scheme, it is the one that was fetched, or
// else that which the job knows, as a seed is tried with https and then http.
func (c *explainCommand) explain(ctx context.Context) (best *crawler.Explanation, err error) {
	candidates, err := weburl.ParseSeed(c.URL)
	if err != nil {
		return nil, &failure{exitUsage, fmt.Errorf("%q %w", c.URL, seedLine{text: c.URL}.check()), "write it as https://example.org/"}
	}
	for _, u := range candidates {
		e, err := crawler.Control{Dir: string(c.Job)}.Explain(ctx, u.String())
		switch {
		case err != nil:
			return nil, err
		case e.Result != nil && e.Result.Status != 0:
			return e, nil
		case best == nil || e.State != frontier.StateUnknown.String():
			best = e
		}
	}
	return best, nil
}
