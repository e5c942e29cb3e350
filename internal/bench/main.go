package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if len(os.Args) > 1 && os.Args[1] == loopCommand {
		if err := runLoop(ctx, os.Args[2:]); err != nil {
			fmt.Fprintf(os.Stderr, "bench %s: %v\n", strings.Join(os.Args[2:], " "), err)
			os.Exit(1)
		}
		return
	}
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// options are what the command line says.
type options struct {
	quick    bool
	only     []string
	times    int
	pages    int
	budget   time.Duration
	patience time.Duration
	soak     time.Duration
	profile  string
	output   string
	readme   string
}

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.BoolVar(&o.quick, "quick", false, "the first web only, two thousand pages, one round; RESULTS.md is left alone")
	only := flags.String("only", "", "`names` of contenders, separated by commas; RESULTS.md is left alone; empty: all")
	flags.IntVar(&o.times, "rounds", 3, "how often each contender runs on each web, if the budget allows")
	flags.IntVar(&o.pages, "pages", 0, "pages of each web, over all hosts; 0: as many as it is known to need")
	flags.DurationVar(&o.budget, "budget", 20*time.Minute, "no round but the first is begun that would end later, and when this has passed, no web")
	flags.DurationVar(&o.patience, "patience", 3*time.Minute, "when a contender is stopped")
	flags.DurationVar(&o.soak, "soak", 0, "crawl for so long, sample what that uses, and compare the first third with the last; nothing else")
	flags.StringVar(&o.profile, "profile", "", "profile a whole crawl into this `directory`; nothing else")
	flags.StringVar(&o.output, "o", "RESULTS.md", "`file` for the results")
	flags.StringVar(&o.readme, "readme", "../../README.md", "`file` that quotes ratios from the results; empty: none")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if *only != "" {
		o.only = strings.Split(*only, ",")
	}
	for _, name := range o.only {
		if !slices.ContainsFunc(contenders, func(c contender) bool { return c.name == name }) {
			return o, fmt.Errorf("-only: there is no contender %q", name)
		}
	}
	if o.times < 1 || o.pages < 0 || o.soak < 0 {
		return o, errors.New("-rounds, -pages and -soak must be positive")
	}
	if o.quick {
		o.times = 1
		if o.pages == 0 {
			o.pages = 2_000
		}
	}
	return o, nil
}

// webs are those to measure on.
func (o options) webs() []webSpec {
	list := slices.Clone(webs)
	if o.quick {
		list = list[:1]
	}
	for i := range list {
		if o.pages > 0 {
			list[i].pages = o.pages
		}
	}
	return list
}

// wants tells whether a contender runs on a web.
func (o options) wants(spec webSpec, name string) bool {
	return spec.wants(name) && (len(o.only) == 0 || slices.Contains(o.only, name))
}

// run does what args ask for.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	o, err := parse(args, stderr)
	if err != nil {
		return err
	}
	b := bench{options: o, results: results{tables: make(map[string]*table)}, stderr: stderr}
	if b.dir, err = os.MkdirTemp("", "orbweaver-bench"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.dir)) }()
	if b.tools, err = build(ctx, b.dir); err != nil {
		return err
	}
	var text string
	switch {
	case o.soak > 0:
		b.soaked, err = soak(ctx, b.tools, b.dir, o.soak)
		text = b.soaked.String()
	case o.profile != "":
		text, err = profileCrawl(ctx, b.tools, o.webs()[0], o.profile, b.dir)
	case o.quick || len(o.only) > 0:
		err = b.rounds(ctx, time.Now().Add(o.budget))
		text = b.tablesText(o.webs())
	default:
		text, err = b.all(ctx, args)
	}
	fmt.Fprint(stdout, text)
	return err
}
