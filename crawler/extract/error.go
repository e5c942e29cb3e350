package extract

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
)

// Causes of field errors, for errors.Is.
var (
	ErrMissing  = errors.New("required value is missing")
	ErrTooDeep  = errors.New("structs are nested too deep")
	ErrTooMuch  = errors.New("page has too many elements or too much text")
	ErrNotJSON  = errors.New("text is not JSON")
	ErrNotABool = errors.New(`text is none of "true", "false", "yes", "no", "on", "off", "1", "0"`)
)

// An Error lists the fields whose values were missing or did not fit. All other fields have been set. It answers
// errors.Is and errors.As for the causes of its fields.
type Error struct {
	Fields  []FieldError // in the order of the struct
	Omitted int          // number of further errors, beyond Decoder.MaxErrors
}

// A FieldError tells why one field was not set.
type FieldError struct {
	Path     string // such as "Reviews[2].Author"
	Selector string // of the field; empty when its value comes from the scope itself
	Text     string // the value that did not fit, cut after 100 bytes; empty when it was missing
	Err      error
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("extract: ")
	const most = 3
	for i, f := range e.Fields {
		if i == most {
			break
		}
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(f.Error())
	}
	if more := len(e.Fields) + e.Omitted - most; more > 0 {
		fmt.Fprintf(&b, "; and %d more", more)
	}
	return b.String()
}

// Unwrap returns the errors of the fields.
func (e *Error) Unwrap() []error {
	errs := make([]error, len(e.Fields))
	for i := range e.Fields {
		errs[i] = &e.Fields[i]
	}
	return errs
}

func (e *FieldError) Error() string {
	s := e.Path
	if e.Selector != "" {
		s += " (" + e.Selector + ")"
	}
	if e.Text != "" {
		s += fmt.Sprintf(" %q", e.Text)
	}
	return s + ": " + e.Err.Error()
}

func (e *FieldError) Unwrap() error { return e.Err }

// A TypeError reports a destination that cannot be filled: it is no pointer to a struct, or a tag or the type of
// one of its fields is wrong. It is the program's mistake, not the page's.
type TypeError struct {
	Type  reflect.Type // the struct, or what was given instead of a pointer to one; nil for a nil interface
	Field string       // empty when it is about the type itself
	Err   error
}

func (e *TypeError) Error() string {
	if e.Field == "" {
		return fmt.Sprintf("extract: %v: %v", e.Type, e.Err)
	}
	return fmt.Sprintf("extract: field %s of %v: %v", e.Field, e.Type, e.Err)
}

func (e *TypeError) Unwrap() error { return e.Err }
