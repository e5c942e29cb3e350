package main

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/orbweaver/orbweaver/internal/simweb"
)

// TestMain lets the test program be the contenders that this program contains.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == loopCommand {
		main()
		return
	}
	os.Exit(m.Run())
}

// newBench is ready for rounds.
func newBench(t *testing.T) *bench {
	t.Helper()
	dir := t.TempDir()
	tools, err := build(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	return &bench{
		options: options{times: 1, patience: time.Minute}, results: results{tables: make(map[string]*table)},
		tools: tools, dir: dir, stderr: t.Output(),
	}
}

// Every contender that is built here fetches every page of a small web.
func TestMeasure(t *testing.T) {
	var stdout, stderr strings.Builder
	args := []string{"-quick", "-pages", "200", "-only", "bare,tokenizer,dom,session,crawl,no-bodies,goquery"}
	if err := run(t.Context(), args, &stdout, &stderr); err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	rows := 0
	for line := range strings.Lines(stdout.String()) {
		cells := strings.Split(line, "|")
		if len(cells) < 5 || strings.Contains(line, "contender") || strings.Contains(line, "---") {
			continue
		}
		rows++
		if strings.TrimSpace(cells[2]) != "200" || strings.TrimSpace(cells[3]) != "200" {
			t.Errorf("not every page once: %s", line)
		}
	}
	if rows != 7 {
		t.Errorf("%d rows in\n%s", rows, stdout.String())
	}
}

// The webs over TLS are trusted by everybody who is measured on them.
func TestMeasureTLS(t *testing.T) {
	b := newBench(t)
	spec := webSpec{name: "TLS", hosts: 4, bytes: 12_000, pages: 400, tls: true, connRequests: 4, only: handshakers}
	if err := b.round(t.Context(), spec); err != nil {
		t.Fatal(err)
	}
	table := b.tables[spec.name]
	resumes := map[string]bool{"bare": false, "resuming": true, "session": true, "forgetful": false, "crawl": true}
	if len(table.rows) != len(resumes) {
		t.Errorf("%d rows, want %d", len(table.rows), len(resumes))
	}
	for _, r := range table.rows {
		c := r.runs[0].counts
		if c.Distinct != 400 || c.Handshakes < 100 || (c.Resumed > 0) != resumes[r.name] {
			t.Errorf("%s: %d different pages, %d handshakes, %d resumed", r.name, c.Distinct, c.Handshakes, c.Resumed)
		}
	}
}

// A crawl of a tape gets every page once, without the server.
func TestOffline(t *testing.T) {
	b := newBench(t)
	spec := webSpec{name: "offline", hosts: 10, bytes: 4000, pages: 300, taped: true, only: offliners}
	if err := b.round(t.Context(), spec); err != nil {
		t.Fatal(err)
	}
	for _, name := range offliners {
		runs := b.tables[spec.name].row(name).runs
		if len(runs) != 1 || runs[0].counts.Pages != 300 || runs[0].counts.Distinct != 300 || runs[0].counts.Robots != 10 {
			t.Errorf("%s: %+v", name, runs)
		}
	}
}

func TestSoak(t *testing.T) {
	var stdout, stderr strings.Builder
	if err := run(t.Context(), []string{"-soak", "8s"}, &stdout, &stderr); err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	for _, row := range []string{"| first |", "| second |", "| last |"} {
		if !strings.Contains(stdout.String(), row) {
			t.Errorf("no %s in\n%s", row, stdout.String())
		}
	}
}

func TestProfile(t *testing.T) {
	var stdout, stderr strings.Builder
	dir := t.TempDir()
	if err := run(t.Context(), []string{"-pages", "500", "-profile", dir}, &stdout, &stderr); err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	for _, part := range []string{"### CPU\n", "### Allocations\n", "### Locks", "### Waiting\n", "allocations and", "orbweaver/crawler"} {
		if !strings.Contains(stdout.String(), part) {
			t.Errorf("no %q in\n%s", part, stdout.String())
		}
	}
	for _, name := range []string{"cpu.pprof", "allocs.pprof", "mutex.pprof", "block.pprof", "summary.md", "crawl-instrumented"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTable(t *testing.T) {
	tab := table{title: "a web"}
	run := func(cpu time.Duration, pages int64) measured {
		return measured{cpu: cpu, wall: time.Second, rss: 5e6, counts: simweb.Counts{Pages: pages, Distinct: pages}}
	}
	for _, ms := range []time.Duration{1, 2, 9} { // 100, 200 and 900 µs a page
		tab.add("bare", run(ms*time.Millisecond, 10))
		slow := run(3*ms*time.Millisecond, 10)
		slow.disk, slow.stopped = 20_000, ms == 9
		tab.add("slow", slow)
	}
	tab.add("idle", measured{wall: time.Second})
	text := tab.String()
	for _, want := range []string{
		"## a web\n",
		"| bare | 10 | 10 | 200 µs | 1.00 | 10 | 5 MB | – |\n",
		"| slow (stopped) | 10 | 10 | 600 µs | 3.00 | 10 | 5 MB | 2.0 KB |\n",
		"| idle | 0 | 0 | 0 µs | – | 0 | 0 MB | – |\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

// The README has a place for ratios, and what stands around it stays.
func TestQuote(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "README.md")
	if err := os.WriteFile(file, text, 0o644); err != nil {
		t.Fatal(err)
	}
	run := func(cpu time.Duration) measured { return measured{cpu: cpu, counts: simweb.Counts{Pages: 10}} }
	var usual table
	for name, cpu := range map[string]time.Duration{"bare": 2, "no-bodies": 3, "session": 1, "crawl": 4, "colly": 100} {
		usual.add(name, run(cpu*time.Millisecond))
	}
	r := results{tables: map[string]*table{"usual": &usual}}
	for range 2 {
		if err := quote(file, r); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"kept: 2.00 of", "bodies 1.50.", "0.04 of Colly's.", "0.50 of `net/http`"} {
		if strings.Count(string(got), want) != 1 {
			t.Errorf("%q is not in\n%s", want, got)
		}
	}
	before, _, _ := strings.Cut(string(text), quoteBegins)
	_, after, _ := strings.Cut(string(text), quoteEnds)
	if !strings.HasPrefix(string(got), before) || !strings.HasSuffix(string(got), after) {
		t.Errorf("more was changed:\n%s", got)
	}
	if err := os.WriteFile(file, []byte("nothing"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := quote(file, r); !errors.Is(err, errNoQuote) {
		t.Errorf("a file without the place: %v", err)
	}
}

// What commands print becomes figures, which are held against their bars.
func TestFigures(t *testing.T) {
	all := figures(10_000)
	r := results{outputs: make(map[string]string)}
	for _, f := range all {
		r.outputs[f.command] = "BenchmarkX-2 \t 1\t 25.0 B/seen\t 50.04 B/queued\t 1.3e+02 peak-MiB\t 2000 cpu-ns/URL\nok 0.97 of what the delay allows"
	}
	text := figuresTable(all, r)
	for _, want := range []string{
		"| ≤ 20.0 B | ≤ 12.0 B | 25.0 B | **missed** | `go test ",
		"| ≤ 80.0 B | ≤ 50.0 B | 50.0 B | met, and the aim |",
		"| ≤ 256 MiB | ≤ 128 MiB | 130 MiB | met | `CRAWLER_SCALE=10000 ",
		"| ≥ 500000 | ≥ 1000000 | 500000 | met |",
		"| ≥ 0.950 | ≥ 0.990 | 0.970 | met |",
		"| ≤ 1.20 | ≤ 0.90 | not measured |  | `go run .` |",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

// What fails or takes too long is told, and ends nothing but itself.
func TestRunCommands(t *testing.T) {
	dir := t.TempDir()
	good, bad, endless := "echo 7 B/seen", "cat missing", "sh -c sleep${IFS}60"
	outputs := runCommands(t.Context(), tools{root: dir}, []figure{{}, {command: good}, {command: bad}, {command: good}, {command: endless}}, time.Second)
	if v := prints(good, "B/seen")(results{outputs: outputs}); v != 7 {
		t.Errorf("%v from %q", v, outputs[good])
	}
	for _, command := range []string{bad, endless} {
		if !strings.Contains(outputs[command], command+": FAIL") {
			t.Errorf("%s: %q", command, outputs[command])
		}
	}
	if len(outputs) != 3 {
		t.Errorf("%q", outputs)
	}
	b := bench{options: options{times: 2, only: []string{"bare"}}, stderr: t.Output()}
	if err := b.rounds(t.Context(), time.Now()); !errors.Is(err, errNoTime) {
		t.Errorf("rounds after the budget: %v", err)
	}
}

// The commands exist: each benchmark or test that a figure names is in its package.
func TestCommands(t *testing.T) {
	for _, f := range figures(10_000) {
		words := strings.Fields(f.command)
		for i, word := range words {
			if word != "-bench" && word != "-run" || words[i+1] == "^$" {
				continue
			}
			kind := map[string]string{"-bench": "Benchmark", "-run": "Test"}[word]
			name, _, _ := strings.Cut(words[i+1], "/")
			function := "func " + kind + strings.TrimSuffix(name, "$") + "("
			files, err := filepath.Glob(filepath.Join("../..", words[len(words)-1], "*_test.go"))
			if err != nil {
				t.Fatal(err)
			}
			if !slices.ContainsFunc(files, func(file string) bool {
				text, err := os.ReadFile(file)
				return err == nil && strings.Contains(string(text), function)
			}) {
				t.Errorf("%s: there is no %s", f.command, function)
			}
		}
	}
}

func TestMedianOfEven(t *testing.T) {
	r := row{runs: []measured{{rss: 9}, {rss: 1}, {rss: 4}, {rss: 2}}}
	if got := r.median(func(m measured) float64 { return float64(m.rss) }); got != 3 {
		t.Errorf("median of 1, 2, 4, 9 is %v", got)
	}
}

func TestNth(t *testing.T) {
	var set unix.CPUSet
	set.Set(3)
	set.Set(7)
	for n, want := range []int{3, 7, 7} {
		if got := nth(&set, n); got != want {
			t.Errorf("core %d is %d, want %d", n, got, want)
		}
	}
}

func TestRefusals(t *testing.T) {
	for _, args := range [][]string{
		{"extra"}, {"-only", "nobody"}, {"-rounds", "0"}, {"-pages", "-1"}, {"-no-such-flag"},
	} {
		if _, err := parse(args, t.Output()); err == nil {
			t.Errorf("%q was accepted", args)
		}
	}
	for _, args := range [][]string{
		nil,
		{"nobody", "urls", "seeds", "dir"},
		{"bare", filepath.Join(t.TempDir(), "missing"), "seeds", "dir"},
	} {
		if err := runLoop(t.Context(), args); err == nil {
			t.Errorf("the loop %q was accepted", args)
		}
	}
}
