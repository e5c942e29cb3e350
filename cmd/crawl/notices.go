package main

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"
)

// notices is a slog.Handler that shows what an operator should know as notices of
// the display. The same message is shown once in a while only, however often it
// comes.
type notices struct {
	display *display

	mu   sync.Mutex
	last map[string]time.Time // by message
}

// noticeEvery is how often the same message is shown at most.
const noticeEvery = 10 * time.Second

// Enabled reports whether a level is worth an operator's attention.
func (n *notices) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelWarn }

// Handle shows a record.
func (n *notices) Handle(_ context.Context, r slog.Record) error {
	if !n.due(r.Message, r.Time) {
		return nil
	}
	var b strings.Builder
	b.WriteString(r.Message)
	sep := ": "
	r.Attrs(func(a slog.Attr) bool {
		text := attrText(a.Value)
		switch {
		case text == "":
			return true
		case a.Key == "error": // says so itself
			b.WriteString(sep + text)
		default:
			b.WriteString(sep + strings.ReplaceAll(a.Key, "_", " ") + " " + text)
		}
		sep = ", "
		return true
	})
	n.display.notice(oneLine(b.String()))
	return nil
}

// attrText is v as an operator reads it; "" for a time that is not known and for
// no error.
func attrText(v slog.Value) string {
	switch {
	case v.Kind() == slog.KindAny && v.Any() == nil:
		return ""
	case v.Kind() != slog.KindTime:
		return v.String()
	case v.Time().IsZero():
		return ""
	}
	return v.Time().Format(time.RFC3339)
}

func (n *notices) due(message string, at time.Time) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if last, ok := n.last[message]; ok && at.Sub(last) < noticeEvery {
		return false
	}
	if n.last == nil {
		n.last = make(map[string]time.Time)
	}
	n.last[message] = at
	return true
}

// WithAttrs and WithGroup return n: the crawler uses neither.
func (n *notices) WithAttrs([]slog.Attr) slog.Handler { return n }

// WithGroup returns n.
func (n *notices) WithGroup(string) slog.Handler { return n }
