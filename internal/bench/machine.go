package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// tools are the programs that are run.
type tools struct {
	root                  string // the project's directory
	self, crawl, simwebd  string
	wget2, scrapy, strace string // empty: not installed
}

// build builds the project's programs into dir and looks for the others.
func build(ctx context.Context, dir string) (tools, error) {
	t := tools{crawl: filepath.Join(dir, "crawl"), simwebd: filepath.Join(dir, "simwebd")}
	var err error
	if t.self, err = os.Executable(); err != nil {
		return t, err
	}
	root, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/orbweaver/orbweaver").Output()
	if err != nil {
		return t, fmt.Errorf("find the project: %w", err)
	}
	t.root = strings.TrimSpace(string(root))
	for program, source := range map[string]string{t.crawl: "./cmd/crawl", t.simwebd: "./internal/simweb/simwebd"} {
		if _, err := t.golang(ctx, "build", "-o", program, source); err != nil {
			return t, err
		}
	}
	t.wget2, t.scrapy, t.strace = installed("wget2"), installed("scrapy"), installed("strace")
	return t, nil
}

// golang runs the go command in the project's directory, for its programs are of another module than this one, with
// requirements of its own.
func (t tools) golang(ctx context.Context, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = t.root
	text, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, text)
	}
	return text, err
}

// instrumented builds the crawl command with the main function of _instrumented.
func (t tools) instrumented(ctx context.Context, dir string) (program string, err error) {
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {
		filepath.Join(t.root, "cmd/crawl/main.go"): filepath.Join(t.root, "internal/bench/_instrumented/main.go"),
	}})
	if err != nil {
		return "", err
	}
	file := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(file, overlay, 0o644); err != nil {
		return "", err
	}
	program = filepath.Join(dir, "crawl-instrumented")
	_, err = t.golang(ctx, "build", "-overlay", file, "-o", program, "./cmd/crawl")
	return program, err
}

func installed(name string) string {
	path, err := exec.LookPath(name)
	if err != nil {
		return ""
	}
	return path
}

// startOn starts a process that runs on so many cores only, from the first on. On a machine with fewer cores it shares what there is.
func startOn(cores, first int, cmd *exec.Cmd) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before, some unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return err
	}
	for i := range cores {
		some.Set(nth(&before, first+i))
	}
	// The child inherits the affinity of the thread that starts it.
	if err := unix.SchedSetaffinity(0, &some); err != nil {
		return err
	}
	return errors.Join(cmd.Start(), unix.SchedSetaffinity(0, &before))
}

// nth returns the n-th core of a set, or its last.
func nth(set *unix.CPUSet, n int) (core int) {
	for c := range len(set) * 64 {
		if set.IsSet(c) {
			core = c
			if n--; n < 0 {
				break
			}
		}
	}
	return core
}

// diskUsage is what the files below dir occupy.
func diskUsage(dir string) (bytes int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			bytes += info.Sys().(*syscall.Stat_t).Blocks * 512
		}
		return err
	})
	return bytes, err
}

// machine describes what results were made on.
func machine(ctx context.Context) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %d cores, %s memory, Linux %s, %s.", cpuName(), runtime.NumCPU(), memory(), firstLine(ctx, "uname", "-r"), runtime.Version())
	for _, program := range [][]string{{"wget2", "--version"}, {"scrapy", "version"}} {
		if line := firstLine(ctx, program...); line != "" {
			fmt.Fprintf(&b, " %s.", strings.TrimSuffix(line, "."))
		}
	}
	fmt.Fprintf(&b, " Load when it began: %s.", loadAverage())
	return b.String()
}

func cpuName() string { return procField("/proc/cpuinfo", "model name") }

func memory() string { return procField("/proc/meminfo", "MemTotal") }

// procField returns the first value of a field in a file of "name: value" lines.
func procField(file, name string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return "unknown"
	}
	for line := range strings.Lines(string(text)) {
		if field, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(field) == name {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

func loadAverage() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	return strings.Join(strings.Fields(string(text))[:3], " ")
}

func firstLine(ctx context.Context, args ...string) string {
	if installed(args[0]) == "" {
		return ""
	}
	text, err := exec.CommandContext(ctx, args[0], args[1:]...).Output()
	if err != nil {
		return ""
	}
	line, _, _ := strings.Cut(string(text), "\n")
	return line
}
