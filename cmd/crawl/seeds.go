package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"unicode"

	"github.com/orbweaver/orbweaver/crawler/weburl"
)

// maxSeedLine is the longest line that is read as a seed; longer ones are bad.
const maxSeedLine = 64 << 10

// seedLine is a line with a seed on it.
type seedLine struct {
	number int // from 1
	text   string
	long   bool // text is only the line's beginning
}

// seedLines yields the seeds that r names, a URL a line, without holding more
// than a line of it. An error of r comes last.
func seedLines(r io.Reader) iter.Seq2[seedLine, error] {
	return func(yield func(seedLine, error) bool) {
		in := bufio.NewReaderSize(r, maxSeedLine)
		for number := 1; ; number++ {
			raw, long, err := readLine(in)
			if number == 1 {
				raw = bytes.TrimPrefix(raw, []byte("\ufeff"))
			}
			if text := seedText(string(raw)); text != "" {
				if !yield(seedLine{number, text, long}, nil) {
					return
				}
			}
			if err != nil {
				if err != io.EOF {
					yield(seedLine{number: number}, err)
				}
				return
			}
		}
	}
}

// readLine returns the next line, or the beginning of one that is too long. The
// bytes are valid until the next call.
func readLine(in *bufio.Reader) (line []byte, long bool, err error) {
	line, err = in.ReadSlice('\n')
	if err != bufio.ErrBufferFull {
		return line, false, err
	}
	line = bytes.Clone(line)
	for err == bufio.ErrBufferFull {
		_, err = in.ReadSlice('\n')
	}
	return line, true, err
}

// seedText is a line without white space around it and without its comment: a
// "#" at its start or after white space. A "#" within a URL is part of it.
func seedText(line string) string {
	line = strings.TrimSpace(line)
	before := ' '
	for i, r := range line {
		if r == '#' && unicode.IsSpace(before) {
			return strings.TrimSpace(line[:i])
		}
		before = r
	}
	return line
}

// argumentSeeds yields the URLs of a command line as if they were lines.
func argumentSeeds(urls []string) iter.Seq2[seedLine, error] {
	return func(yield func(seedLine, error) bool) {
		for i, u := range urls {
			if !yield(seedLine{number: i + 1, text: strings.TrimSpace(u)}, nil) {
				return
			}
		}
	}
}

// source is one place that seeds come from.
type source struct {
	name  string
	lines iter.Seq2[seedLine, error]
}

// sources are all of them. They count as they go.
type sources struct {
	list    []source
	problem func(line string) // is told of each bad seed

	good, bad int
	err       error // why a source could not be read to its end
}

// seeds yields the good seeds of all sources. Bad ones are reported as
// "name:line: ..." and skipped. It stops at a source that cannot be read.
func (s *sources) seeds() iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, from := range s.list {
			for line, err := range from.lines {
				if err != nil {
					s.err = fmt.Errorf("%s: %w", from.name, err)
					return
				}
				if err := line.check(); err != nil {
					s.bad++
					s.tell(fmt.Sprintf("%s:%d: %q %s", from.name, line.number, line.excerpt(), oneLine(err.Error())))
					continue
				}
				s.good++
				if !yield(line.text) {
					return
				}
			}
		}
	}
}

// maxBadLines is how many bad lines are told of: a file that is no list of seeds
// has nothing else.
const maxBadLines = 20

func (s *sources) tell(problem string) {
	switch {
	case s.bad <= maxBadLines:
		s.problem(problem)
	case s.bad == maxBadLines+1:
		s.problem("more bad lines are only counted")
	}
}

func (s *sources) names() string {
	var names []string
	for _, from := range s.list {
		names = append(names, from.name)
	}
	return strings.Join(names, ", ")
}

// check says why a line, which is quoted before, is no seed.
func (l seedLine) check() error {
	if l.long {
		return fmt.Errorf("is no URL: it is longer than %d bytes", maxSeedLine)
	}
	_, err := weburl.ParseSeed(l.text)
	bad, ok := errors.AsType[*weburl.Error](err)
	switch {
	case !ok:
		return err
	case errors.Is(bad.Reason, weburl.NotURL):
		return errors.New("is neither a URL nor the name of a site, such as example.org")
	}
	return fmt.Errorf("is no URL: %w", bad.Reason)
}

// longestExcerpt cuts what is quoted of a bad line.
const longestExcerpt = 120

func (l seedLine) excerpt() string {
	if len(l.text) <= longestExcerpt {
		return l.text
	}
	return strings.ToValidUTF8(l.text[:longestExcerpt], "") + "…"
}
