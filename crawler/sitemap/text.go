package sitemap

import (
	"bufio"
	"errors"
	"strings"
)

// readText reads a URL a line. Lines that do not look like one are skipped.
func readText(r *bufio.Reader, limits Limits, yield func(Entry) bool) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, limits.Token)
	var last Entry // handed out when it is known to be whole
	for lines.Scan() {
		if last.Loc != "" && !yield(last) {
			return errStopped
		}
		last = Entry{Priority: defaultPriority}
		if line := strings.Trim(lines.Text(), space); isWebURL(line) {
			last.setLoc(line, limits)
		}
	}
	switch err := lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return &LimitError{"token", int64(limits.Token)}
	case err != nil:
		return err
	case last.Loc != "" && !yield(last):
		return errStopped
	}
	return nil
}

// setLoc sets the entry's URL, as far as the limits let it be.
func (e *Entry) setLoc(url string, limits Limits) {
	e.Loc, e.Cut = url[:min(len(url), limits.Field)], len(url) > limits.Field
}

func isWebURL(s string) bool {
	return hasFoldPrefix([]byte(s), "http://") || hasFoldPrefix([]byte(s), "https://")
}
