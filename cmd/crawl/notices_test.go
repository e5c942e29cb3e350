package main

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestNotices logs the same warning often, and what is no warning.
func TestNotices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		log := slog.New(&notices{display: &display{mode: plain, w: &out}})
		at := time.Date(2026, 5, 1, 12, 0, 0, 123, time.UTC)
		log.Warn("robots.txt cannot be had", "origin", "http://a.example", "last_good", time.Time{}, "next", at)
		log.Warn("no status", "error", errors.New("write x: full"))
		log.Warn("no room at all", "free", 3, "error", nil)
		for range 25 {
			log.Warn("no room", "files", 5, "wanted", 6)
			log.Info("a detail")
			time.Sleep(time.Second)
		}
		log.Warn("robots.txt cannot be had", "origin", "http://c.example", "last_good", at)
		want := "robots.txt cannot be had: origin http://a.example, next 2026-05-01T12:00:00Z\n" +
			"no status: write x: full\nno room at all: free 3\n" +
			strings.Repeat("no room: files 5, wanted 6\n", 3) +
			"robots.txt cannot be had: origin http://c.example, last good 2026-05-01T12:00:00Z\n"
		if out.String() != want {
			t.Errorf("shown:\n%s\nwant:\n%s", out.String(), want)
		}
	})
}
