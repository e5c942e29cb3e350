package main

import (
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// parse reads a command line of "crawl run" with a given environment.
func parse(t *testing.T, env []string, args ...string) (*runCommand, []*kong.Flag, error) {
	t.Helper()
	con := &console{stdin: strings.NewReader(""), stdout: io.Discard, stderr: io.Discard, display: &display{w: io.Discard}, env: env}
	c := &commands{}
	parser, err := con.parser(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	k, err := parser.Parse(append([]string{"run"}, args...))
	if err != nil {
		return nil, nil, err
	}
	return &c.Run, k.Selected().Flags, nil
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestPlacesOfASetting(t *testing.T) {
	file := write(t, "crawl.yaml", "max-pages: 30\nmax-depth: 30\nrate: 30\nexclude: [thirty, 'a,b']\nno-bodies: true\nheader: {X-Thirty: 30}\n")
	env := []string{"CRAWL_MAX_PAGES=20", "CRAWL_MAX_DEPTH=20", "CRAWL_EXCLUDE=twenty\ntwenty-one", "CRAWL_DELAY=", "HOME=/"}
	c, _, err := parse(t, env, "--job", filepath.Join(t.TempDir(), "none"), "--config", file, "--max-pages=10")
	if err != nil {
		t.Fatal(err)
	}
	s := c.Settings
	if s.MaxPages != 10 || s.MaxDepth != 20 || s.Rate != 30 || !s.NoBodies {
		t.Errorf("max-pages %v, max-depth %v, rate %v, no-bodies %v; want 10 from the command line, 20 from the environment, 30 and true from the file",
			s.MaxPages, s.MaxDepth, s.Rate, s.NoBodies)
	}
	if got := texts(reflect.ValueOf(s.Exclude)); !slices.Equal(got, []string{"twenty", "twenty-one"}) {
		t.Errorf("exclude %q: one place gives all values", got)
	}
	if got := texts(reflect.ValueOf(s.Header)); !slices.Equal(got, []string{"X-Thirty: 30"}) {
		t.Errorf("header %q", got)
	}
	if s.Delay.String() != "1s" || s.PerHost != 1 {
		t.Errorf("delay %v, per-host %v; want the defaults", s.Delay, s.PerHost)
	}
}

func TestEnvironmentNamesTheFile(t *testing.T) {
	file := write(t, "c.yaml", "job: elsewhere\nmax-pages: 7\njson: yes\n")
	c, _, err := parse(t, []string{"CRAWL_CONFIG=" + file}, "http://a/")
	if err != nil {
		t.Fatal(err)
	}
	if c.Job != "elsewhere" || c.Settings.MaxPages != 7 || !c.JSON {
		t.Errorf("job %q, max-pages %v, json %v", c.Job, c.Settings.MaxPages, c.JSON)
	}
}

func TestStrayVariables(t *testing.T) {
	_, flags, err := parse(t, nil, "http://a/")
	if err != nil {
		t.Fatal(err)
	}
	env := []string{"CRAWL_MAX_PAGES=1", "CRAWL_MAXPAGES=1", "CRAWLER_HOME=/", "CRAWL_SOMETHING_ELSE=1", "CRAWL_FORMAT=csv", "CRAWL_DELAYS=2"}
	want := []string{
		"the variable CRAWL_MAXPAGES sets nothing; did you mean CRAWL_MAX_PAGES?",
		"the variable CRAWL_DELAYS sets nothing; did you mean CRAWL_DELAY?",
	}
	if got := strayVariables(env, flags); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestWrongSettingNamesItsPlace(t *testing.T) {
	file := func(text string) []string { return []string{"--config", write(t, "c.yaml", text)} }
	tests := []struct {
		name string
		env  []string
		args []string
		want []string
	}{
		{"flag", nil, []string{"--max-body", "12q"}, []string{"--max-body: ", `"12q" is no size`}},
		{"environment", []string{"CRAWL_MAX_BODY=12q"}, nil, []string{"--max-body: ", `"12q" is no size`, "(environment CRAWL_MAX_BODY)"}},
		{"file", nil, file("delay: 1s\nmax-body: 12q\n"), []string{"--max-body: ", `"12q" is no size`, "c.yaml:2)"}},
		{"second of a list", nil, file("include: [a, '[']\n"), []string{"--include: ", "no regular expression", "c.yaml:1)"}},
		{"list for one value", nil, file("delay: [1s, 2s]\n"), []string{"--delay: takes one value, not 2", "c.yaml:1)"}},
		{"bool", []string{"CRAWL_NO_BODIES=perhaps"}, nil, []string{"--no-bodies: ", `"perhaps"`, "CRAWL_NO_BODIES"}},
		{"unknown key", nil, file("delay: 1s\n\nmax_pagse: 3\n"), []string{"c.yaml:3: ", `"max_pagse" is no setting`, "did you mean max-pages?"}},
		{"unknown key, none near", nil, file("colour: red\n"), []string{"c.yaml:1: ", `"colour" is no setting`, "--help"}},
		{"config in config", nil, file("config: x\n"), []string{`"config" is no setting`}},
		{"twice", nil, file("delay: 1s\ndelay: 2s\n"), []string{"c.yaml:2: delay is set twice"}},
		{"nested", nil, file("header: {a: [1]}\n"), []string{"c.yaml:1: header: takes a value or a list of values"}},
		{"no mapping", nil, file("- delay\n"), []string{"c.yaml:1: write one setting a line"}},
		{"no YAML", nil, file("delay: 'x\n"), []string{"c.yaml: ", "line"}},
		{"no file", nil, []string{"--config", "/nowhere/c.yaml"}, []string{"--config: open /nowhere/c.yaml: no such file"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, _, err := parse(t, tt.env, append(tt.args, "http://a/")...)
			if err == nil {
				t.Fatal("no error")
			}
			line, status := diagnose(usage(err, []string{"run"}))
			if status != exitUsage || strings.Contains(line, "\n") {
				t.Errorf("status %d, line %q; want %d and one line", status, line, exitUsage)
			}
			for _, want := range tt.want {
				if !strings.Contains(line, want) {
					t.Errorf("line %q lacks %q", line, want)
				}
			}
		})
	}
}

func TestConfigFileMayBeEmpty(t *testing.T) {
	for _, text := range []string{"", "# nothing\n", "---\n", "null\n"} {
		if l, err := parseConfig([]byte(text), "c.yaml", nil, nil); err != nil || len(l) != 0 {
			t.Errorf("%q: %v, %v", text, l, err)
		}
	}
}

func TestConfigFileTooLarge(t *testing.T) {
	path := write(t, "c.yaml", strings.Repeat("#\n", maxConfigSize/2+1))
	if _, err := configFile(path, nil, nil); err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("error %v", err)
	}
}

func TestKeptSettings(t *testing.T) {
	none := filepath.Join(t.TempDir(), "none")
	args := []string{"--job", none, "--quiet", "--max-pages=5", "--no-bodies", "--scope=any", "--include=a b", "--include=c'd", "--delay=0s", "--header=A: 1", "--max-body=1000"}
	first, flags, err := parse(t, nil, args...)
	if err != nil {
		t.Fatal(err)
	}
	kept := keep(flags)
	for _, once := range []string{"job", "seeds", "config", "quiet", "json", "help"} {
		if _, ok := kept[once]; ok {
			t.Errorf("--%s is kept, and belongs to one run", once)
		}
	}
	want := "--max-pages 5 --scope any --include 'a b' --include 'c'\\''d' --delay 0s --no-bodies --max-body 1kB --header 'A: 1'"
	if got := strings.Join(kept.differing(flags), " "); got != want {
		t.Errorf("differing from the defaults:\n%s\nwant\n%s", got, want)
	}

	// What was kept, read as the only layer, gives the same settings again.
	l := layer{}
	for name, values := range kept {
		l[name] = given{values: values, origin: "kept in the job"}
	}
	again := &commands{}
	parser, err := (&console{}).parser(t.Context(), again)
	if err != nil {
		t.Fatal(err)
	}
	k, err := kong.Trace(parser, []string{"run"})
	if err != nil || k.Error != nil {
		t.Fatal(err, k.Error)
	}
	k.AddResolver(layers{l})
	if err := k.Resolve(); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Apply(); err != nil {
		t.Fatal(err)
	}
	if got := keep(k.Selected().Flags); !reflect.DeepEqual(got, kept) {
		t.Errorf("read back:\n%v\nwant\n%v", got, kept)
	}
	if again.Run.Settings.MaxPages != first.Settings.MaxPages || !again.Run.Settings.NoBodies {
		t.Errorf("read back: %+v", again.Run.Settings)
	}
}

func TestParseKept(t *testing.T) {
	if l, err := parseKept(nil); l != nil || err != nil {
		t.Errorf("nothing kept: %v, %v", l, err)
	}
	if _, err := parseKept([]byte("{")); err == nil {
		t.Error("damaged settings are taken")
	}
	l, err := parseKept([]byte(`{"max-pages":["3"],"of-the-future":["x"]}`))
	if err != nil || l.first("max-pages") != "3" {
		t.Errorf("%v, %v", l, err)
	}
}

func (l layer) first(flag string) string { return layers{l}.first(flag, "") }

func TestQuote(t *testing.T) {
	tests := []struct{ word, want string }{
		{"crawl-job", "crawl-job"},
		{"/a/b_c.1", "/a/b_c.1"},
		{"", "''"},
		{"a b", "'a b'"},
		{"it's", `'it'\''s'`},
		{"$x", "'$x'"},
		{"ä", "'ä'"},
	}
	for _, tt := range tests {
		if got := quote(tt.word); got != tt.want {
			t.Errorf("quote(%q) = %s, want %s", tt.word, got, tt.want)
		}
	}
}

func FuzzConfigFile(f *testing.F) {
	for _, text := range []string{"delay: 1s\n", "header: {a: b}\n", "include: [a, b]\n", "a: &x 1\nb: *x\n", "&a [*a]", "? [x]\n: y\n", "x: !!binary aGk=\n"} {
		f.Add([]byte(text))
	}
	_, flags, err := parse(&testing.T{}, nil, "http://a/")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		l, err := parseConfig(text, "c.yaml", flags, []string{"shelf"})
		if err != nil {
			return
		}
		for name, g := range l {
			if err := knownKey(name, flags, []string{"shelf"}); err != nil {
				t.Fatalf("%q: taken: %v", name, err)
			}
			if g.origin == "" {
				t.Fatalf("%q: no origin", name)
			}
		}
	})
}
