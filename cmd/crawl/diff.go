package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/orbweaver/orbweaver/crawler"
	"github.com/orbweaver/orbweaver/storage"
)

// diffCommand is "crawl diff".
type diffCommand struct {
	Dir   string `arg:"" optional:"" help:"The job's directory (${job})."`
	Round count  `default:"0" placeholder:"N" help:"Compare round N with those before it; 0 for the last one."`
	Since moment `placeholder:"WHEN" help:"Tell what was found since WHEN instead, as for crawl run --revisit: a time such as 2026-05-01 or 2026-05-01T12:00:00Z, or so long ago, such as 12h or 7d."`
	JSON  bool   `name:"json" help:"Write an object a line."`
}

// difference is a line of crawl diff --json.
type difference struct {
	Change    storage.Change `json:"change"`
	URL       string         `json:"url"`
	Status    int            `json:"status"`
	FetchedAt time.Time      `json:"fetched_at"`
	Seq       uint64         `json:"seq"`
}

// Run writes what a round found that was not so before, as it reads it.
func (c *diffCommand) Run(ctx context.Context, con *console) (err error) {
	ctx, stop := interruptible(ctx)
	defer stop()
	job, err := crawler.OpenJob(con.jobDir(c.Dir))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, job.Close()) }()
	found, what, err := c.differences(ctx, job)
	if err != nil {
		return err
	}
	fmt.Fprintln(con.stderr, what)
	out := bufio.NewWriter(con.stdout)
	lines := json.NewEncoder(out)
	lines.SetEscapeHTML(false)
	for rec, err := range found {
		switch {
		case err != nil:
			return err
		case c.JSON:
			err = lines.Encode(difference{rec.Change, rec.URL, rec.Status, rec.FetchedAt, rec.Seq})
		default:
			_, err = fmt.Fprintf(out, "%-7s  %s\n", rec.Change, rec.URL)
		}
		if err != nil {
			return err
		}
	}
	return out.Flush()
}

// differences returns what the job has to tell, and what that is compared with what.
func (c *diffCommand) differences(ctx context.Context, job *crawler.Job) (found iter.Seq2[*storage.Record, error], what string, err error) {
	if since := time.Time(c.Since); !since.IsZero() {
		if c.Round != 0 {
			return nil, "", &failure{exitUsage, errors.New("--round and --since cannot be used together"), "see crawl diff --help"}
		}
		what = "found since " + since.UTC().Format(time.RFC3339) + ", compared with what was known before each visit"
		return job.DiffSince(ctx, since), what, nil
	}
	rounds, err := job.Rounds()
	if err != nil {
		return nil, "", err
	}
	number := int(c.Round)
	if number == 0 {
		number = max(len(rounds), 1)
	}
	if number == 1 || number > len(rounds) {
		err := fmt.Errorf("%w: there is no round %d", crawler.ErrNoRound, number)
		if number == 1 {
			err = fmt.Errorf("%w: there is none before round 1", crawler.ErrNoRound)
		}
		return nil, "", &failure{exitUsage, err, "crawl run --recrawl --job " + quote(job.Dir()) +
			" makes another round, and crawl diff --since tells of pages that were visited again without one"}
	}
	what = fmt.Sprintf("round %d, begun %s, compared with what was known before it", number, rounds[number-1].Began.UTC().Format(time.RFC3339))
	return job.Diff(ctx, number), what, nil
}

// moment is a point in time, or how long ago it was.
type moment time.Time

func (m *moment) UnmarshalText(text []byte) error {
	for _, layout := range [...]string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02T15:04", time.DateOnly} {
		if t, err := time.Parse(layout, string(text)); err == nil {
			*m = moment(t)
			return nil
		}
	}
	ago, err := parseSpan(string(text))
	if err != nil {
		return fmt.Errorf("%q is no time: write 2026-05-01, 2026-05-01T12:00:00Z, 12h or 7d", text)
	}
	*m = moment(time.Now().Add(-ago))
	return nil
}
