package extract

import (
	"encoding"
	"encoding/json"
	"math"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// A convert sets v, of a field's type, to what text says. The base may be nil.
type convert func(v reflect.Value, text string, f *field, base *url.URL) error

// timeLayouts are the forms of a time when the tag layout names none.
var timeLayouts = []string{
	time.RFC3339Nano, "2006-01-02T15:04Z07:00", "2006-01-02T15:04:05", "2006-01-02T15:04",
	"2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05", "2006-01-02 15:04", time.DateOnly,
}

// converterOf returns how text becomes a value of type t, and nil when it does not.
func converterOf(t reflect.Type, layouts []string) convert {
	switch t {
	case timeType:
		return toTime(layouts)
	case urlType:
		return toURL
	case rawMessageType:
		return toRawMessage
	case reflect.TypeFor[time.Duration]():
		return toDuration
	}
	if reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) {
		return toTextUnmarshaler
	}
	switch t.Kind() {
	case reflect.String:
		return toString
	case reflect.Bool:
		return toBool
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return toInt
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return toUint
	case reflect.Float32, reflect.Float64:
		return toFloat
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return toBytes
		}
	case reflect.Interface:
		if t.NumMethod() == 0 {
			return toAny
		}
	}
	return nil
}

func toString(v reflect.Value, text string, f *field, base *url.URL) error {
	if f.absolute {
		u, err := resolve(base, text)
		if err != nil {
			return err
		}
		text = u.String()
	}
	v.SetString(text)
	return nil
}

func toBytes(v reflect.Value, text string, _ *field, _ *url.URL) error {
	v.SetBytes([]byte(text))
	return nil
}

func toAny(v reflect.Value, text string, _ *field, _ *url.URL) error {
	v.Set(reflect.ValueOf(text))
	return nil
}

func toBool(v reflect.Value, text string, f *field, _ *url.URL) error {
	switch text = strings.ToLower(strings.TrimSpace(text)); text {
	case "true", "yes", "on", "1":
		v.SetBool(true)
	case "false", "no", "off", "0":
		v.SetBool(false)
	default:
		if f.source != fromAttribute {
			return ErrNotABool
		}
		v.SetBool(true) // An attribute is true by being there.
	}
	return nil
}

func toInt(v reflect.Value, text string, _ *field, _ *url.URL) error {
	n, err := strconv.ParseInt(strings.TrimSpace(text), 10, v.Type().Bits())
	if err == nil {
		v.SetInt(n)
	}
	return numError(err)
}

func toUint(v reflect.Value, text string, _ *field, _ *url.URL) error {
	n, err := strconv.ParseUint(strings.TrimSpace(text), 10, v.Type().Bits())
	if err == nil {
		v.SetUint(n)
	}
	return numError(err)
}

func toFloat(v reflect.Value, text string, _ *field, _ *url.URL) error {
	n, err := strconv.ParseFloat(strings.TrimSpace(text), v.Type().Bits())
	switch {
	case err != nil:
		return numError(err)
	case math.IsNaN(n) || math.IsInf(n, 0): // "nan" and "inf" are words to a page, and no numbers to JSON
		return strconv.ErrSyntax
	}
	v.SetFloat(n)
	return nil
}

// numError leaves out what the field error says anyway.
func numError(err error) error {
	if e, ok := err.(*strconv.NumError); ok {
		return e.Err
	}
	return err
}

func toTime(layouts []string) convert {
	return func(v reflect.Value, text string, _ *field, _ *url.URL) (err error) {
		text = strings.TrimSpace(text)
		var first error
		for _, layout := range layouts {
			t, err := time.Parse(layout, text)
			if err == nil {
				v.Set(reflect.ValueOf(t))
				return nil
			}
			if first == nil {
				first = err
			}
		}
		return first
	}
}

func toDuration(v reflect.Value, text string, _ *field, _ *url.URL) error {
	d, err := time.ParseDuration(strings.TrimSpace(text))
	v.SetInt(int64(d))
	return err
}

func toURL(v reflect.Value, text string, _ *field, base *url.URL) error {
	u, err := resolve(base, text)
	if err == nil {
		v.Set(reflect.ValueOf(*u))
	}
	return err
}

// resolve makes a URL absolute, read as leniently as browsers do as to white space.
func resolve(base *url.URL, ref string) (*url.URL, error) {
	ref = strings.TrimFunc(ref, func(r rune) bool { return r <= ' ' })
	if strings.ContainsAny(ref, "\t\n\r") {
		ref = strings.NewReplacer("\t", "", "\n", "", "\r", "").Replace(ref)
	}
	u, err := url.Parse(ref)
	if err != nil {
		return nil, err
	}
	if base != nil {
		u = base.ResolveReference(u)
	}
	return u, nil
}

func toTextUnmarshaler(v reflect.Value, text string, _ *field, _ *url.URL) error {
	return v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(text))
}

func toRawMessage(v reflect.Value, text string, _ *field, _ *url.URL) error {
	if !json.Valid([]byte(text)) {
		return ErrNotJSON
	}
	v.SetBytes([]byte(text))
	return nil
}

func toJSON(v reflect.Value, text string, _ *field, _ *url.URL) error {
	return json.Unmarshal([]byte(text), v.Addr().Interface())
}
