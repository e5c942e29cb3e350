package main

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net/url"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/orbweaver/orbweaver/crawler"
	"github.com/orbweaver/orbweaver/storage/export"
)

// Exit statuses.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 3
)

// defaultJob is the job's directory if none is named.
const defaultJob = "crawl-job"

// console is what the process was given to talk with.
type console struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	env            []string

	display *display // where errors are told; that of a crawl, once there is one
}

// commands is the grammar of the command line.
type commands struct {
	Run     runCommand     `cmd:"" help:"Start a crawl, or resume the one in the job directory."`
	Status  statusCommand  `cmd:"" help:"Show how far a job is, also while it runs."`
	Pause   pauseCommand   `cmd:"" help:"Let a job start no new request until crawl resume; it remembers."`
	Resume  resumeCommand  `cmd:"" help:"End what crawl pause began."`
	Stop    stopCommand    `cmd:"" help:"End the process that crawls a job, as Ctrl-C does, and wait for it."`
	Add     addCommand     `cmd:"" help:"Add seeds to a job, also while it runs."`
	Host    hostCommand    `cmd:"" help:"Show or change how a job treats a host, also while it runs."`
	Export  exportCommand  `cmd:"" help:"Write what a job fetched as JSON lines, CSV, URLs or WARC."`
	Diff    diffCommand    `cmd:"" help:"Tell which pages are new, changed or gone since the round before (crawl run --recrawl), or since a time."`
	Explain explainCommand `cmd:"" help:"Tell what became of a URL, or would become of it."`
	Check   checkCommand   `cmd:"" help:"Prove the invariants of a job; exit status 1 if one is broken."`
	Compact compactCommand `cmd:"" help:"Give back disk that a job no longer uses; needs room for a copy of it."`
	Demo    demoCommand    `cmd:"" help:"Crawl a site that is served on loopback; needs no network."`
	Version versionCommand `cmd:"" help:"Print the version."`
}

// run is the whole command: it does what args say and returns the exit status.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer, env []string) int {
	con := &console{stdin: stdin, stdout: stdout, stderr: stderr, env: env}
	con.display = &display{w: stderr, asJSON: asksForJSON(args, env)}
	err := con.dispatch(ctx, args)
	if err == nil {
		return exitDone
	}
	line, status := diagnose(err)
	if line != "" {
		con.display.problem("crawl: " + line)
	}
	return status
}

// asksForJSON reports that a command line, which may be wrong, is that of a crawl
// that tells all as JSON.
func asksForJSON(args, env []string) bool {
	if len(args) == 0 || args[0] != "run" && args[0] != "demo" {
		return false
	}
	return slices.Contains(args, "--json") || isOn(lookup(env, variable("json")))
}

// isOn reports that text switches a flag on.
func isOn(text string) bool {
	return slices.Contains([]string{"true", "1", "yes"}, strings.ToLower(text))
}

// helpShown ends parsing when --help has been answered.
type helpShown struct{}

func (con *console) dispatch(ctx context.Context, args []string) (err error) {
	defer func() {
		if p := recover(); p != nil {
			if _, ok := p.(helpShown); !ok {
				panic(p)
			}
		}
	}()
	parser, err := con.parser(ctx, &commands{})
	if err != nil {
		return err
	}
	k, err := parser.Parse(args)
	if err != nil {
		return usage(err, args)
	}
	return k.Run()
}

// parser reads a command line into c.
func (con *console) parser(ctx context.Context, c *commands) (*kong.Kong, error) {
	return kong.New(c,
		kong.Name("crawl"),
		kong.Description("A web crawler whose jobs survive interruption. Exit status: 0 done, 1 failed, 2 usage, 3 interrupted and resumable."),
		kong.Writers(con.stdout, con.stderr),
		kong.Exit(func(int) { panic(helpShown{}) }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(con),
		kong.Vars{
			"job":        defaultJob,
			"user_agent": crawler.DefaultUserAgent,
			"novelty":    strconv.Itoa(crawler.DefaultNoveltyPages),
			"fields":     strings.Join(export.KnownFields(), ", "),
		},
		kong.ExplicitGroups([]kong.Group{
			{Key: "extent", Title: "Extent:"},
			{Key: "revisits", Title: "Revisits:"},
			{Key: "pace", Title: "Pace:"},
			{Key: "requests", Title: "Requests and results:"},
			{Key: "archives", Title: "Archives:"},
		}),
	)
}

// usage makes an error of the parser one for the user, unless it already is.
func usage(err error, args []string) error {
	var (
		told *failure
		job  *crawler.JobError
		file *fs.PathError // of the help, which could not be written
	)
	if errors.As(err, &told) || errors.As(err, &job) || errors.As(err, &file) {
		return err
	}
	hint := "see crawl --help"
	if len(args) > 0 {
		if u, e := url.Parse(args[0]); e == nil && u.Host != "" {
			hint = "did you mean crawl run " + strings.Join(args, " ") + "?"
		} else if isCommand(args[0]) {
			hint = "see crawl " + args[0] + " --help"
		}
	}
	if before, after, ok := strings.Cut(err.Error(), "expected value value but got"); ok { // as kong calls it
		err = errors.New(before + "expected a value but got" + after)
	}
	return &failure{status: exitUsage, err: err, wayOut: hint}
}

func isCommand(word string) bool {
	switch word {
	case "run", "status", "pause", "resume", "stop", "add", "host", "export", "diff", "explain", "check", "compact", "demo", "version":
		return true
	}
	return false
}

// BeforeResolve lets the environment set every flag of every command, but for
// those that act on the spot; run adds its own places after it.
func (c *commands) BeforeResolve(k *kong.Context, con *console) error {
	flags := slices.DeleteFunc(slices.Clone(k.Flags()), func(f *kong.Flag) bool { return f.Tag.Has("explicit") })
	k.AddResolver(layers{environment(con.env, flags)})
	return nil
}

// jobDir is the directory that an argument names, or else the environment, or
// else the default.
func (con *console) jobDir(arg string) string {
	if arg != "" {
		return arg
	}
	if dir := lookup(con.env, variable("job")); dir != "" {
		return dir
	}
	return defaultJob
}

// interruptible returns a context that ends with the first signal to end.
func interruptible(ctx context.Context) (context.Context, context.CancelFunc) {
	return signal.NotifyContext(ctx, endSignals()...)
}

// isRegular reports that path is a file and neither a pipe nor a device.
func isRegular(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// isMissing reports that nothing is at path.
func isMissing(path string) bool {
	_, err := os.Lstat(path)
	return errors.Is(err, os.ErrNotExist)
}
