package storage

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Defaults of the zero [Limits].
const (
	DefaultMaxText  = 256 << 10
	DefaultMaxHead  = 256 << 10
	DefaultMaxData  = 64 << 10
	DefaultMaxItem  = 16 << 20
	DefaultMaxItems = 100_000
	DefaultMaxBody  = 1 << 30
)

// Limits bound the parts of a record. A field that is 0 has its default; a
// negative one is refused by [Limits.WithDefaults].
type Limits struct {
	Text  int // bytes of all string fields of a record together; 0: 256 KiB
	Head  int // bytes of Record.Head; 0: 256 KiB
	Data  int // bytes of Record.Data; 0: 64 KiB
	Item  int // bytes of one item; 0: 16 MiB
	Items int // items of one record; 0: 100,000
	Body  int // bytes of Record.Body; 0: 1 GiB
}

// WithDefaults returns l with every zero field set to its default. It fails
// when a field is negative.
func (l Limits) WithDefaults() (Limits, error) {
	for _, f := range []struct {
		name     string
		value    *int
		standard int
	}{
		{"Text", &l.Text, DefaultMaxText},
		{"Head", &l.Head, DefaultMaxHead},
		{"Data", &l.Data, DefaultMaxData},
		{"Item", &l.Item, DefaultMaxItem},
		{"Items", &l.Items, DefaultMaxItems},
		{"Body", &l.Body, DefaultMaxBody},
	} {
		switch {
		case *f.value < 0:
			return l, fmt.Errorf("storage: Limits.%s is negative: %d", f.name, *f.value)
		case *f.value == 0:
			*f.value = f.standard
		}
	}
	return l, nil
}

// Check reports the first of recs that cannot be stored, as a [*RecordError].
// It is for implementations of [Store] and takes l as it is: a zero field
// allows nothing.
func (l Limits) Check(recs []*Record) error {
	for i, r := range recs {
		if r == nil {
			return &RecordError{Index: i, Err: fmt.Errorf("%w: it is nil", ErrInvalid)}
		}
		if err := l.check(r); err != nil {
			return &RecordError{Index: i, URL: r.URL, Err: err}
		}
	}
	return nil
}

func (l Limits) check(r *Record) error {
	if r.URL == "" {
		return fmt.Errorf("%w: it has no URL", ErrInvalid)
	}
	if !r.Change.Valid() {
		return fmt.Errorf("%w: %s", ErrInvalid, r.Change)
	}
	for _, part := range [...]struct {
		name        string
		size, limit int
	}{
		{"Text", r.textSize(), l.Text},
		{"Head", len(r.Head), l.Head},
		{"Data", len(r.Data), l.Data},
		{"Items", len(r.Items), l.Items},
		{"Body", len(r.Body), l.Body},
	} {
		if part.size > part.limit {
			return &LimitError{Field: part.name, Size: int64(part.size), Limit: int64(part.limit)}
		}
	}
	for i, item := range r.Items {
		if len(item) > l.Item {
			return &LimitError{Field: "Item", Size: int64(len(item)), Limit: int64(l.Item)}
		}
		if !json.Valid(item) {
			return fmt.Errorf("%w: item %d is not JSON", ErrInvalid, i)
		}
	}
	return nil
}

// Clip shortens what the server or a handler made up freely — Title, Error,
// ContentType, Charset, Encoding, Proto, Head — so that r is not refused for
// it: one hostile page must not fail a batch. It reports whether it cut
// anything. What identifies the page, its items and its body stay as they are.
func (l Limits) Clip(r *Record) bool {
	cut := false
	if len(r.Head) > l.Head {
		r.Head, cut = r.Head[:l.Head], true
	}
	excess := r.textSize() - l.Text
	for _, s := range []*string{&r.Title, &r.Error, &r.ContentType, &r.Charset, &r.Encoding, &r.Proto} {
		if excess <= 0 {
			break
		}
		before := len(*s)
		*s = clipText(*s, max(0, before-excess))
		excess -= before - len(*s)
		cut = true
	}
	return cut
}

// clipText cuts s to at most n bytes without leaving half a character, in
// memory of its own, so that the long string can go.
func clipText(s string, n int) string {
	if n >= len(s) {
		return s
	}
	for i := 0; i < utf8.UTFMax-1 && n > 0 && !utf8.RuneStart(s[n]); i++ {
		n--
	}
	return strings.Clone(s[:n])
}

func (r *Record) textSize() int {
	return len(r.URL) + len(r.FinalURL) + len(r.Host) + len(r.Referrer) + len(r.Label) +
		len(r.Proto) + len(r.ContentType) + len(r.Charset) + len(r.Encoding) +
		len(r.Title) + len(r.Error) + len(r.ErrorClass) + len(r.Kind) + len(r.Rel) + len(r.Robots)
}
