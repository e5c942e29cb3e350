package export

import (
	"bytes"
	"cmp"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/orbweaver/orbweaver/storage"
)

// given matches records whose field is true, not zero, or not empty.
func (f *field) given() matcher {
	switch {
	case f.text != nil:
		return func(r *storage.Record) bool { return f.text(r) != "" }
	case f.raw != nil:
		return func(r *storage.Record) bool { return len(f.raw(r)) > 0 }
	case f.num != nil:
		return func(r *storage.Record) bool { return f.num(r) != 0 }
	case f.flag != nil:
		return f.flag
	}
	return func(r *storage.Record) bool { return !f.time(r).IsZero() }
}

// compare matches records whose field compares with the value as the operator says.
func (f *field) compare(operator, value string) (matcher, error) {
	if operator == "~" || operator == "!~" || operator == "contains" {
		return f.search(operator, value)
	}
	holds := ordering(operator)
	switch {
	case f.text != nil:
		return func(r *storage.Record) bool { return holds(strings.Compare(f.text(r), value)) }, nil
	case f.raw != nil:
		want := []byte(value)
		return func(r *storage.Record) bool { return holds(bytes.Compare(f.raw(r), want)) }, nil
	case f.num != nil:
		want, err := f.number(value)
		return func(r *storage.Record) bool { return holds(cmp.Compare(f.num(r), want)) }, err
	case f.flag != nil:
		want, err := strconv.ParseBool(value)
		if err != nil || operator != "=" && operator != "==" && operator != "!=" {
			return nil, fmt.Errorf("%s is true or false, and compared with = or !=", f.name)
		}
		return func(r *storage.Record) bool { return (f.flag(r) == want) == (operator != "!=") }, nil
	}
	want, err := instant(value)
	return func(r *storage.Record) bool { return holds(f.time(r).Compare(want)) }, err
}

// ordering says which results of a comparison an operator wants.
func ordering(operator string) func(int) bool {
	switch operator {
	case "!=":
		return func(c int) bool { return c != 0 }
	case "<":
		return func(c int) bool { return c < 0 }
	case "<=":
		return func(c int) bool { return c <= 0 }
	case ">":
		return func(c int) bool { return c > 0 }
	case ">=":
		return func(c int) bool { return c >= 0 }
	}
	return func(c int) bool { return c == 0 }
}

// search matches records whose text has the value, or matches it.
func (f *field) search(operator, value string) (matcher, error) {
	if f.text == nil && f.raw == nil {
		return nil, fmt.Errorf("%s is no text: %s cannot be used with it", f.name, operator)
	}
	if operator == "contains" {
		if f.raw != nil {
			return func(r *storage.Record) bool { return bytes.Contains(f.raw(r), []byte(value)) }, nil
		}
		return func(r *storage.Record) bool { return strings.Contains(f.text(r), value) }, nil
	}
	re, err := compileRegexp(value)
	if err != nil {
		return nil, err
	}
	found := operator == "~"
	if f.raw != nil {
		return func(r *storage.Record) bool { return re.Match(f.raw(r)) == found }, nil
	}
	return func(r *storage.Record) bool { return re.MatchString(f.text(r)) == found }, nil
}

// number reads a value for a field of numbers.
func (f *field) number(value string) (int64, error) {
	if n, err := strconv.ParseInt(value, 10, 64); err == nil {
		return n, nil
	}
	switch f.name {
	case "bytes", "wire_bytes":
		if n, ok := parseSize(value); ok {
			return n, nil
		}
		return 0, fmt.Errorf("%.40q is no size: write a number of bytes, 512k, 10MB or 1GiB", value)
	case "duration_ms":
		if d, err := time.ParseDuration(value); err == nil {
			return d.Milliseconds(), nil
		}
		return 0, fmt.Errorf("%.40q is no duration: write milliseconds, 250ms or 1.5s", value)
	}
	return 0, fmt.Errorf("%.40q is no whole number", value)
}

// parseSize reads a number with a unit: k, M and G, with or without B, by 1000s, as
// KiB, MiB and GiB by 1024s.
func parseSize(s string) (int64, bool) {
	digits := strings.TrimRight(s, "bkmgtiBKMGTI")
	factor := float64(1)
	switch unit := strings.ToLower(s[len(digits):]); unit {
	case "b":
	case "k", "kb", "m", "mb", "g", "gb", "t", "tb":
		factor = math.Pow(1000, float64(1+strings.IndexByte("kmgt", unit[0])))
	case "kib", "mib", "gib", "tib":
		factor = math.Pow(1024, float64(1+strings.IndexByte("kmgt", unit[0])))
	default:
		return 0, false
	}
	v, err := strconv.ParseFloat(digits, 64)
	if err != nil || !(math.Abs(v*factor) < math.MaxInt64) {
		return 0, false
	}
	return int64(v * factor), true
}

// instant reads a time, or a day, which begins at midnight.
func instant(value string) (time.Time, error) {
	for _, layout := range [...]string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02 15:04:05", "2006-01-02 15:04", time.DateOnly} {
		if t, err := time.Parse(layout, value); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%.40q is no time: write 2026-05-01 or 2026-05-01T12:00:00Z", value)
}
