package weburl

import (
	"strconv"
	"strings"
)

// Reason tells why something is no URL that could be fetched. [Error] wraps it, so that errors.Is finds it.
type Reason string

// Error makes a Reason an error.
func (r Reason) Error() string { return string(r) }

// The reasons there are.
const (
	NotAbsolute       Reason = "not an absolute URL"              // nothing to resolve it against
	UnsupportedScheme Reason = "scheme is neither http nor https" // mailto:, javascript:, data:, ftp:, ...
	NoHost            Reason = "no host"
	InvalidHost       Reason = "invalid host"
	InvalidPort       Reason = "invalid port"
	TooLong           Reason = "too long"  // see Parser.MaxLength
	NotURL            Reason = "not a URL" // only from ParseSeed
)

// Error is the error of all functions of this package.
type Error struct {
	URL    string // what was given, cut after 200 bytes
	Reason Reason
}

// Error tells the input and the reason.
func (e *Error) Error() string { return "weburl: " + strconv.Quote(e.URL) + ": " + string(e.Reason) }

// Unwrap returns the reason.
func (e *Error) Unwrap() error { return e.Reason }

func newError(raw string, reason Reason) *Error {
	const most = 200
	if len(raw) > most {
		return &Error{URL: strings.ToValidUTF8(raw[:most], "") + "…", Reason: reason}
	}
	return &Error{URL: strings.Clone(raw), Reason: reason}
}
