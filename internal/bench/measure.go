package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// bench measures what the options say.
type bench struct {
	options
	results
	tools  tools
	dir    string    // for everything that is written while it measures
	stderr io.Writer // for progress
}

// all measures everything within the budget, and writes the file of results and what the README quotes of them.
func (b *bench) all(ctx context.Context, args []string) (text string, failed error) {
	began := time.Now()
	head := fmt.Sprintf(`# Results

Written by %s on %s.
Rounds of all contenders follow one another; CPU is that of the contender's process alone. Another machine gives
other figures: only ratios within one table mean something. See doc.go for the contenders.

Machine: %s
`, "`"+strings.Join(append([]string{"go run ."}, args...), " ")+"`", began.UTC().Format(time.DateOnly), machine(ctx))

	promised := figures(b.known())
	fmt.Fprintln(b.stderr, "benchmarks of parts")
	b.outputs = runCommands(ctx, b.tools, promised, b.budget/2)
	for command, output := range b.outputs {
		if strings.Contains(output, "FAIL") {
			failed = errors.Join(failed, fmt.Errorf("%s:\n%s", command, output))
		}
	}
	fmt.Fprintln(b.stderr, "soak")
	var err error
	b.soaked, err = soak(ctx, b.tools, b.dir, b.budget/10)
	failed = errors.Join(failed, err)
	fmt.Fprintln(b.stderr, "profile")
	profile, err := profileCrawl(ctx, b.tools, b.webs()[0], filepath.Join(b.dir, "profile"), b.dir)
	failed = errors.Join(failed, err, b.rounds(ctx, began.Add(b.budget)))
	if ctx.Err() != nil {
		return "", failed
	}
	text = strings.Join([]string{head, figuresTable(promised, b.results), b.tablesText(b.webs()), b.soaked.String(), profile}, "\n")
	failed = errors.Join(failed, os.WriteFile(b.output, []byte(text), 0o644))
	if b.readme != "" {
		failed = errors.Join(failed, quote(b.readme, b.results))
	}
	return text, failed
}

// known is how many URLs the largest job knows.
func (b *bench) known() int {
	if b.budget < 15*time.Minute {
		return known / 10
	}
	return known
}

var errNoTime = errors.New("no time is left")

// rounds runs the contenders on all webs, round after round, as long as another one ends in time. What fails is told, and
// left out.
func (b *bench) rounds(ctx context.Context, end time.Time) (failed error) {
	var longest time.Duration
	for round := range b.times {
		began := time.Now()
		if round > 0 && began.Add(longest).After(end) {
			fmt.Fprintf(b.stderr, "no time for round %d\n", round+1)
			return failed
		}
		for _, spec := range b.webs() {
			err := errNoTime
			if time.Now().Before(end) {
				err = b.round(ctx, spec)
			}
			if err != nil {
				err = fmt.Errorf("%s, round %d: %w", spec.name, round+1, err)
				fmt.Fprintln(b.stderr, err)
				failed = errors.Join(failed, err)
			}
			if ctx.Err() != nil {
				return errors.Join(failed, ctx.Err())
			}
		}
		longest = max(longest, time.Since(began))
	}
	return failed
}

// round runs the contenders on one web once.
func (b *bench) round(ctx context.Context, spec webSpec) (failed error) {
	var wanted []contender
	for _, c := range contenders {
		if !b.wants(spec, c.name) {
			continue
		}
		if c.missing(b.tools) {
			fmt.Fprintf(b.stderr, "%s is not installed\n", c.name)
			continue
		}
		wanted = append(wanted, c)
	}
	if len(wanted) == 0 {
		return nil
	}
	web, err := startWeb(ctx, b.tools, spec, b.dir)
	if err != nil {
		return err
	}
	defer func() { failed = errors.Join(failed, web.stop()) }()
	t := b.tables[spec.name]
	if t == nil {
		t = &table{title: web.spec.title(), pages: web.spec.pages}
		b.tables[spec.name] = t
	}
	job := filepath.Join(b.dir, "job")
	for _, c := range wanted {
		m, err := web.measure(ctx, c, b.tools, job, b.patience)
		if err := errors.Join(err, os.RemoveAll(job)); err != nil {
			failed = errors.Join(failed, fmt.Errorf("%s: %w", c.name, err))
			continue
		}
		fmt.Fprintf(b.stderr, "%s, %s: %s\n", spec.name, c.name, m)
		t.add(c.name, m)
	}
	return failed
}
