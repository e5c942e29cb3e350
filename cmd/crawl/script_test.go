package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"go.etcd.io/bbolt"

	"github.com/orbweaver/orbweaver/internal/simweb"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"crawl": main})
}

// TestScript runs the transcripts in testdata/script. Besides the commands of
// testscript they have
//
//	exits N program [args...]   run a program, which must exit with status N
//	start NAME program [args..] run it in the background
//	signal NAME INT|TERM|HUP|KILL  send it a signal
//	says NAME PATTERN           wait until its standard error matches
//	finish NAME N               wait for it; it must exit with status N, or with
//	                            "killed"; its output is then stdout and stderr
//	web [flags]                 serve a synthetic web; its seeds are in seeds.txt
//	                            and in $WEB0, $WEB1, …
//	await N                     wait until the web has served N pages
//	complete [-twice N]         every page of the web was served, at most N of
//	                            them (0) twice, and nothing that should not be
//	counts                      print what the web counted as JSON
//	newer DIR                   make a job look as if a later version wrote it
//	bloat DIR                   add 40 MB of free pages to a job's database
//	archived FILE               print type, target and size of a WARC file's records
//	site DIR                    serve the files below DIR, as site_test.go tells;
//	                            $SITE is its address and $SITE2 another of its own
//	requests                    print what the site was asked for since the last time
func TestScript(t *testing.T) {
	// What nohup has the tests ignore is not for the commands: a signal that is caught here is not ignored by them.
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	t.Cleanup(func() { signal.Stop(hangups) })
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":    cmdExits,
			"start":    cmdStart,
			"signal":   cmdSignal,
			"says":     cmdSays,
			"finish":   cmdFinish,
			"web":      cmdWeb,
			"await":    cmdAwait,
			"complete": cmdComplete,
			"counts":   cmdCounts,
			"newer":    cmdNewer,
			"bloat":    cmdBloat,
			"archived": cmdArchived,
			"site":     cmdSite,
			"requests": cmdRequests,
		},
		Condition: func(cond string) (bool, error) {
			if cond == "root" {
				return os.Getuid() == 0, nil
			}
			return false, fmt.Errorf("unknown condition %q", cond)
		},
		Setup: func(env *testscript.Env) error {
			env.Values[stateKey{}] = &scriptState{background: map[string]*background{}}
			return nil
		},
	})
}

// scriptState is what a script has started.
type scriptState struct {
	web        *simweb.Web
	site       *site
	background map[string]*background
}

type stateKey struct{}

func state(ts *testscript.TestScript) *scriptState { return ts.Value(stateKey{}).(*scriptState) }

func noNegation(ts *testscript.TestScript, neg bool) {
	if neg {
		ts.Fatalf("cannot be negated")
	}
}

func cmdExits(ts *testscript.TestScript, neg bool, args []string) {
	noNegation(ts, neg)
	if len(args) < 2 {
		ts.Fatalf("usage: exits N program [args...]")
	}
	err := ts.Exec(args[1], args[2:]...)
	if got := exitStatus(err); got != args[0] {
		ts.Fatalf("exit status %s, want %s", got, args[0])
	}
}

// exitStatus is the status that a program ended with, "killed" if a signal ended
// it, and else what went wrong.
func exitStatus(err error) string {
	if err == nil {
		return "0"
	}
	exit, ok := errors.AsType[*exec.ExitError](err)
	switch {
	case !ok:
		return err.Error()
	case exit.ExitCode() < 0:
		return "killed"
	}
	return strconv.Itoa(exit.ExitCode())
}

// background is a program that was started. Its output goes to files, as it may
// be looked at while the program runs.
type background struct {
	cmd            *exec.Cmd
	stdin          io.Closer // stays open, and nothing comes from it
	stdout, stderr *os.File
}

func cmdStart(ts *testscript.TestScript, neg bool, args []string) {
	noNegation(ts, neg)
	if len(args) < 2 {
		ts.Fatalf("usage: start NAME program [args...]")
	}
	path := ""
	for _, dir := range filepath.SplitList(ts.Getenv("PATH")) {
		if found, err := exec.LookPath(filepath.Join(dir, args[1])); err == nil {
			path = found
			break
		}
	}
	b := &background{cmd: exec.Command(path, args[2:]...)}
	b.cmd.Dir = ts.MkAbs(".")
	for _, name := range []string{"PATH", "HOME", "TMPDIR"} {
		b.cmd.Env = append(b.cmd.Env, name+"="+ts.Getenv(name))
	}
	var err error
	b.stdin, err = b.cmd.StdinPipe()
	ts.Check(err)
	b.stdout, err = os.Create(ts.MkAbs(args[0] + ".out"))
	ts.Check(err)
	b.stderr, err = os.Create(ts.MkAbs(args[0] + ".err"))
	ts.Check(err)
	b.cmd.Stdout, b.cmd.Stderr = b.stdout, b.stderr
	ts.Check(b.cmd.Start())
	state(ts).background[args[0]] = b
	ts.Defer(func() {
		if b.cmd.ProcessState == nil {
			b.cmd.Process.Kill()
			b.cmd.Wait()
		}
	})
}

func cmdSignal(ts *testscript.TestScript, neg bool, args []string) {
	noNegation(ts, neg)
	signals := map[string]os.Signal{"INT": os.Interrupt, "TERM": syscall.SIGTERM, "HUP": syscall.SIGHUP, "KILL": os.Kill}
	ts.Check(started(ts, args).cmd.Process.Signal(signals[args[1]]))
}

func started(ts *testscript.TestScript, args []string) *background {
	if len(args) != 2 {
		ts.Fatalf("usage: signal NAME SIGNAL, says NAME PATTERN, finish NAME STATUS")
	}
	b := state(ts).background[args[0]]
	if b == nil {
		ts.Fatalf("%s was not started", args[0])
	}
	return b
}

func cmdSays(ts *testscript.TestScript, neg bool, args []string) {
	noNegation(ts, neg)
	started(ts, args)
	pattern := regexp.MustCompile("(?m)" + args[1])
	text := ""
	for deadline := time.Now().Add(patience); !pattern.MatchString(text); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			ts.Fatalf("standard error is, after %v:\n%s", patience, text)
		}
		text = ts.ReadFile(args[0] + ".err")
	}
}

func cmdFinish(ts *testscript.TestScript, neg bool, args []string) {
	noNegation(ts, neg)
	b := started(ts, args)
	// It may hang, and the script would then hide where.
	timer := time.AfterFunc(time.Minute, func() { b.cmd.Process.Signal(syscall.SIGQUIT) })
	status := exitStatus(b.cmd.Wait())
	timer.Stop()
	fmt.Fprint(ts.Stdout(), ts.ReadFile(args[0]+".out"))
	fmt.Fprint(ts.Stderr(), ts.ReadFile(args[0]+".err"))
	if status != args[1] {
		ts.Fatalf("exit status %s, want %s", status, args[1])
	}
}

func cmdWeb(ts *testscript.TestScript, neg bool, args []string) {
	noNegation(ts, neg)
	cfg := simweb.Config{Seed: 1, Gzip: true}
	flags := flag.NewFlagSet("web", flag.ContinueOnError)
	flags.IntVar(&cfg.Hosts, "hosts", 1, "")
	flags.IntVar(&cfg.Pages, "pages", 10, "")
	flags.IntVar(&cfg.Bytes, "bytes", 0, "")
	flags.DurationVar(&cfg.Latency, "latency", 0, "")
	flags.BoolVar(&cfg.Sitemaps, "sitemaps", false, "")
	flags.DurationVar(&cfg.CrawlDelay, "crawl-delay", 0, "")
	flags.Float64Var(&cfg.ErrorRate, "errors", 0, "")
	flags.Float64Var(&cfg.RedirectRate, "redirects", 0, "")
	ts.Check(flags.Parse(args))
	web, err := simweb.Start(cfg)
	ts.Check(err)
	ts.Defer(func() { web.Close() })
	state(ts).web = web
	for i, seed := range web.Seeds() {
		ts.Setenv("WEB"+strconv.Itoa(i), seed)
	}
	ts.Check(os.WriteFile(ts.MkAbs("seeds.txt"), []byte(strings.Join(web.Seeds(), "\n")+"\n"), 0o644))
}

// patience is how long a script waits for what it expects.
const patience = 30 * time.Second

func cmdAwait(ts *testscript.TestScript, neg bool, args []string) {
	noNegation(ts, neg)
	n, err := strconv.ParseInt(args[0], 10, 64)
	ts.Check(err)
	for deadline := time.Now().Add(patience); state(ts).web.Counts().Pages < n; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			ts.Fatalf("%+v after %v", state(ts).web.Counts(), patience)
		}
	}
}

func cmdComplete(ts *testscript.TestScript, neg bool, args []string) {
	noNegation(ts, neg)
	flags := flag.NewFlagSet("complete", flag.ContinueOnError)
	twice := flags.Int64("twice", 0, "")
	ts.Check(flags.Parse(args))
	ts.Check(incomplete(state(ts).web, *twice))
}

// incomplete says how a crawl of the web differs from a correct one that may
// fetch so many pages twice.
func incomplete(web *simweb.Web, twice int64) error {
	got, want := web.Counts(), web.Want()
	if got.Distinct != want.Distinct || got.Duplicates > twice || got.NotFound+got.Trapped+got.Forbidden+got.Bad > 0 {
		return fmt.Errorf("the web was served as\n%+v\nwant, with up to %d duplicates,\n%+v", got, twice, want)
	}
	return nil
}

func cmdCounts(ts *testscript.TestScript, neg bool, _ []string) {
	noNegation(ts, neg)
	text, err := json.Marshal(state(ts).web.Counts())
	ts.Check(err)
	fmt.Fprintf(ts.Stdout(), "%s\n", text)
}

func cmdNewer(ts *testscript.TestScript, neg bool, args []string) {
	noNegation(ts, neg)
	db, err := bbolt.Open(filepath.Join(ts.MkAbs(args[0]), "job.db"), 0, nil)
	ts.Check(err)
	defer db.Close()
	ts.Check(db.Update(func(tx *bbolt.Tx) error {
		b := tx.Bucket([]byte("job"))
		if b == nil || b.Get([]byte("format")) == nil {
			return errors.New("the job has no format")
		}
		return b.Put([]byte("format"), []byte("999"))
	}))
}

func cmdBloat(ts *testscript.TestScript, neg bool, args []string) {
	noNegation(ts, neg)
	ts.Check(bloat(ts.MkAbs(args[0])))
}

func cmdSite(ts *testscript.TestScript, neg bool, args []string) {
	noNegation(ts, neg)
	s, err := startSite(ts.MkAbs(args[0]))
	ts.Check(err)
	ts.Defer(s.close)
	state(ts).site = s
	ts.Setenv("SITE", s.address(0))
	ts.Setenv("SITE2", s.address(1))
}

func cmdRequests(ts *testscript.TestScript, neg bool, _ []string) {
	noNegation(ts, neg)
	fmt.Fprint(ts.Stdout(), state(ts).site.requests())
}
