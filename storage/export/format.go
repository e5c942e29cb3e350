package export

import (
	"fmt"
	"strings"
)

// Format is a form in which records are written. It can be a flag: it
// implements encoding.TextUnmarshaler and TextMarshaler.
type Format int

// The known formats.
const (
	JSONL Format = iota // an object a line
	CSV                 // RFC 4180 with a header line
	URLs                // a URL a line
)

var formatNames = [...]string{JSONL: "jsonl", CSV: "csv", URLs: "urls"}

func (f Format) known() bool { return f >= 0 && int(f) < len(formatNames) }

// String returns the name that ParseFormat knows.
func (f Format) String() string {
	if !f.known() {
		return fmt.Sprintf("Format(%d)", int(f))
	}
	return formatNames[f]
}

// ParseFormat returns the format called name, or a [*UnknownError].
func ParseFormat(name string) (Format, error) {
	for f, known := range formatNames {
		if name == known {
			return Format(f), nil
		}
	}
	return 0, &UnknownError{What: "format", Name: name, Known: formatNames[:]}
}

// MarshalText implements encoding.TextMarshaler.
func (f Format) MarshalText() ([]byte, error) {
	if !f.known() {
		return nil, &UnknownError{What: "format", Name: f.String(), Known: formatNames[:]}
	}
	return []byte(f.String()), nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (f *Format) UnmarshalText(text []byte) (err error) {
	*f, err = ParseFormat(string(text))
	return err
}

// UnknownError says that there is no such format or field, and which there are.
type UnknownError struct {
	What  string // "format" or "field"
	Name  string // what was asked for
	Known []string
}

func (e *UnknownError) Error() string {
	return fmt.Sprintf("export: unknown %s %q; known are %s", e.What, e.Name, strings.Join(e.Known, ", "))
}
