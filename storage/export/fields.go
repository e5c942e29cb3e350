package export

import (
	"fmt"
	"slices"
	"time"

	"github.com/orbweaver/orbweaver/storage"
)

// field is something that is written of a record: exactly one of its functions
// is set.
type field struct {
	name string
	text func(*storage.Record) string
	raw  func(*storage.Record) []byte // text too
	num  func(*storage.Record) int64
	flag func(*storage.Record) bool
	time func(*storage.Record) time.Time
}

// fields are the known fields in their order.
func fields() []field {
	return []field{
		{name: "url", text: func(r *storage.Record) string { return r.URL }},
		{name: "status", num: func(r *storage.Record) int64 { return int64(r.Status) }},
		{name: "final_url", text: func(r *storage.Record) string { return r.FinalURL }},
		{name: "content_type", text: func(r *storage.Record) string { return r.ContentType }},
		{name: "depth", num: func(r *storage.Record) int64 { return int64(r.Depth) }},
		{name: "referrer", text: func(r *storage.Record) string { return r.Referrer }},
		{name: "fetched_at", time: func(r *storage.Record) time.Time { return r.FetchedAt }},
		{name: "duration_ms", num: func(r *storage.Record) int64 { return r.Duration.Milliseconds() }},
		{name: "bytes", num: func(r *storage.Record) int64 { return r.Bytes }},
		{name: "title", text: func(r *storage.Record) string { return r.Title }},
		{name: "links", num: func(r *storage.Record) int64 { return int64(r.Links) }},
		{name: "truncated", flag: func(r *storage.Record) bool { return r.Truncated }},
		{name: "error", text: func(r *storage.Record) string { return r.Error }},
		{name: "error_class", text: func(r *storage.Record) string { return r.ErrorClass }},
		{name: "host", text: func(r *storage.Record) string { return r.Host }},
		{name: "label", text: func(r *storage.Record) string { return r.Label }},
		{name: "attempts", num: func(r *storage.Record) int64 { return int64(r.Attempts) }},
		{name: "redirects", num: func(r *storage.Record) int64 { return int64(r.Redirects) }},
		{name: "proto", text: func(r *storage.Record) string { return r.Proto }},
		{name: "charset", text: func(r *storage.Record) string { return r.Charset }},
		{name: "encoding", text: func(r *storage.Record) string { return r.Encoding }},
		{name: "wire_bytes", num: func(r *storage.Record) int64 { return r.WireBytes }},
		{name: "seq", num: func(r *storage.Record) int64 { return int64(r.Seq) }},
		{name: "kind", text: func(r *storage.Record) string { return r.Kind }},
		{name: "rel", text: func(r *storage.Record) string { return r.Rel }},
		{name: "robots", text: func(r *storage.Record) string { return r.Robots }},
		{name: "change", text: func(r *storage.Record) string { return r.Change.String() }},
		{name: "head", raw: func(r *storage.Record) []byte { return r.Head }},
	}
}

// isDefault reports whether the field is written when none are selected. The
// head is as large as all others together.
func (f *field) isDefault() bool { return f.raw == nil }

// KnownFields returns the names that [Options.Fields] may hold.
func KnownFields() []string { return names(fields()) }

// DefaultFields returns the names of the fields that are written when
// [Options.Fields] is empty, in their order.
func DefaultFields() []string { return names(defaultFields()) }

func defaultFields() []field {
	return slices.DeleteFunc(fields(), func(f field) bool { return !f.isDefault() })
}

func names(fs []field) []string {
	all := make([]string, len(fs))
	for i, f := range fs {
		all[i] = f.name
	}
	return all
}

// selectFields returns the named fields in the order of their names; the
// default ones when there are no names.
func selectFields(selected []string) ([]field, error) {
	if len(selected) == 0 {
		return defaultFields(), nil
	}
	known := fields()
	chosen := make([]field, 0, len(selected))
	for _, name := range selected {
		i := slices.IndexFunc(known, func(f field) bool { return f.name == name })
		if i < 0 {
			return nil, &UnknownError{What: "field", Name: name, Known: names(known)}
		}
		if slices.ContainsFunc(chosen, func(f field) bool { return f.name == name }) {
			return nil, fmt.Errorf("export: field %q is selected twice", name)
		}
		chosen = append(chosen, known[i])
	}
	return chosen, nil
}
