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
	last := "" // handed out when it is known to be whole
	for lines.Scan() {
		if last != "" && !yield(Entry{Loc: last, Priority: defaultPriority}) {
			return errStopped
		}
		last = strings.Trim(lines.Text(), space)
		if len(last) > limits.Field || !isWebURL(last) {
			last = ""
		}
	}
	switch err := lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return &LimitError{"token", int64(limits.Token)}
	case err != nil:
		return err
	case last != "" && !yield(Entry{Loc: last, Priority: defaultPriority}):
		return errStopped
	}
	return nil
}

func isWebURL(s string) bool {
	return hasFoldPrefix([]byte(s), "http://") || hasFoldPrefix([]byte(s), "https://")
}
