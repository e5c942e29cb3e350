package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// collect reads all lines, as "number text", and the error at the end.
func collect(r io.Reader) (lines []string, err error) {
	for line, e := range seedLines(r) {
		if e != nil {
			return lines, e
		}
		text := line.text
		if line.long {
			text = fmt.Sprintf("long(%d)", len(text))
		}
		lines = append(lines, fmt.Sprintf("%d %s", line.number, text))
	}
	return lines, nil
}

func TestSeedLines(t *testing.T) {
	long := "http://a/" + strings.Repeat("x", maxSeedLine)
	tests := []struct {
		name, text string
		want       []string
	}{
		{"empty", "", nil},
		{"only comments", "# one\n\n   \n\t# two", nil},
		{"one without end of line", "http://a/", []string{"1 http://a/"}},
		{"two", "http://a/\nhttp://b/\n", []string{"1 http://a/", "2 http://b/"}},
		{"white space and comments", "\n  http://a/  # first\n#http://no/\nhttp://b/#frag\n", []string{"2 http://a/", "4 http://b/#frag"}},
		{"carriage returns", "http://a/\r\n\r\nhttp://b/\r\n", []string{"1 http://a/", "3 http://b/"}},
		{"byte order mark", "\ufeffhttp://a/", []string{"1 http://a/"}},
		{"a line that is too long", "http://a/\n" + long + "\nhttp://b/\n", []string{"1 http://a/", fmt.Sprintf("2 long(%d)", maxSeedLine), "3 http://b/"}},
		{"too long at the end", long, []string{fmt.Sprintf("1 long(%d)", maxSeedLine)}},
		{"spaces inside stay", "a b", []string{"1 a b"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := collect(iotest.OneByteReader(strings.NewReader(tt.text)))
			if err != nil || !slices.Equal(got, tt.want) {
				t.Errorf("got %q, %v; want %q", got, err, tt.want)
			}
		})
	}
}

func TestSeedLinesTellsReadError(t *testing.T) {
	broken := io.MultiReader(strings.NewReader("http://a/\nhttp://b/"), iotest.ErrReader(io.ErrUnexpectedEOF))
	got, err := collect(broken)
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("error %v", err)
	}
	if want := []string{"1 http://a/", "2 http://b/"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestSeedLinesStopsWhenAsked(t *testing.T) {
	r := strings.NewReader(strings.Repeat("http://a/\n", 100_000))
	for range seedLines(r) {
		break
	}
	if r.Len() < 800_000 {
		t.Errorf("%d bytes left after one line: the source was read ahead", r.Len())
	}
}

func TestSources(t *testing.T) {
	var problems []string
	s := &sources{
		list: []source{
			{"argument", argumentSeeds([]string{"http://a/", "gopher://b/"})},
			{"seeds.txt", seedLines(strings.NewReader("# mine\nhttp://c/\nhttp://a b/\n\n" + strings.Repeat("y", maxSeedLine+1) + "\nexample.org/blog\n"))},
		},
		problem: func(line string) { problems = append(problems, line) },
	}
	got := slices.Collect(s.seeds())
	if want := []string{"http://a/", "http://c/", "example.org/blog"}; !slices.Equal(got, want) {
		t.Errorf("seeds %q, want %q", got, want)
	}
	if s.good != 3 || s.bad != 3 || s.err != nil {
		t.Errorf("good %d, bad %d, err %v; want 3, 3, nil", s.good, s.bad, s.err)
	}
	if len(problems) != 3 {
		t.Fatalf("problems %q, want three", problems)
	}
	for i, want := range []string{`argument:2: "gopher://b/" is no URL: `, `seeds.txt:3: "http://a b/" is no URL: `, `seeds.txt:5: "yyyy`} {
		if !strings.HasPrefix(problems[i], want) || strings.ContainsAny(problems[i], "\n\r") || len(problems[i]) > 300 {
			t.Errorf("problem %q, want %q… on one line", problems[i], want)
		}
	}
	if s.names() != "argument, seeds.txt" {
		t.Errorf("names %q", s.names())
	}
}

func TestSourcesStopAtReadError(t *testing.T) {
	s := &sources{
		list:    []source{{"seeds.txt", seedLines(iotest.ErrReader(io.ErrNoProgress))}},
		problem: func(string) {},
	}
	for seed := range s.seeds() {
		t.Errorf("seed %q", seed)
	}
	if !errors.Is(s.err, io.ErrNoProgress) || !strings.HasPrefix(s.err.Error(), "seeds.txt: ") {
		t.Errorf("error %v", s.err)
	}
}

func TestUntilDone(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	out := untilDone(ctx, r)
	go func() {
		io.WriteString(w, "some")
		cancel()
	}()
	got, err := io.ReadAll(out)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("read %q, %v; want the context's error", got, err)
	}
	w.Close()

	got, err = io.ReadAll(untilDone(t.Context(), strings.NewReader("all of it")))
	if string(got) != "all of it" || err != nil {
		t.Errorf("read %q, %v", got, err)
	}
}

func FuzzSeedLines(f *testing.F) {
	for _, text := range []string{"", "http://a/\n", "# c\nx # y\n", "\ufeffa\r\nb\x00c\n", "a\u00a0#b\n\u2028"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) >= maxSeedLine {
			return
		}
		var want []string
		for i, line := range bytes.Split(bytes.TrimPrefix(text, []byte("\ufeff")), []byte("\n")) {
			if s := seedText(string(line)); s != "" {
				want = append(want, fmt.Sprintf("%d %s", i+1, s))
			}
		}
		got, err := collect(bytes.NewReader(text))
		if err != nil || !slices.Equal(got, want) {
			t.Fatalf("got %q, %v; want %q", got, err, want)
		}
		for _, line := range got {
			if _, s, _ := strings.Cut(line, " "); s != strings.TrimSpace(s) || s[0] == '#' {
				t.Fatalf("seed %q", s)
			}
		}
	})
}
