package main

import (
	"fmt"
	"math"
	"time"

	"github.com/orbweaver/orbweaver/crawler"
)

// with is the range as the crawler takes it, with what else the settings say of
// revisits.
func (r revisitRange) with(s *settings) crawler.Revisit {
	if r.max == 0 {
		return crawler.Revisit{}
	}
	v := crawler.Revisit{
		Min: time.Duration(r.min), Max: time.Duration(r.max), First: time.Duration(s.RevisitFirst),
		Gone: int(min(s.RevisitGone, math.MaxInt32)), Sitemaps: time.Duration(s.RevisitSitemaps),
	}
	if v.Gone == 0 {
		v.Gone = -1
	}
	return v
}

// cache is the cache as the crawler takes it.
func (s *settings) cache() crawler.Cache {
	if s.Cache == "" {
		return crawler.Cache{}
	}
	c := crawler.Cache{Dir: string(s.Cache), MaxAge: time.Duration(s.CacheAge), MaxBytes: int64(s.CacheSize)}
	if c.MaxBytes == 0 {
		c.MaxBytes = -1
	}
	return c
}

// planned tells how many of the URLs that wait were visited already.
func planned(s crawler.Stats) string {
	if s.Revisits == 0 {
		return ""
	}
	return fmt.Sprintf("%s of them for their next visit", number(s.Revisits))
}

// cacheNotes tells what else the cache did.
func cacheNotes(c crawler.CacheStats) string {
	text := ""
	if c.Stored > 0 {
		text += ", " + number(c.Stored) + " stored"
	}
	if c.Damaged > 0 {
		text += ", " + number(c.Damaged) + " damaged"
	}
	return text
}
