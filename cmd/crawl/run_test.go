package main

import (
	"testing"
	"time"

	"github.com/orbweaver/orbweaver/crawler"
)

// In flags zero means none; in the crawler's Config it means the default.
func TestZeroMeansNone(t *testing.T) {
	cfg, err := (&settings{Timeout: duration(time.Minute)}).config()
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Delay != crawler.NoDelay || cfg.Novelty.Pages >= 0 || cfg.Novelty.Similar {
		t.Errorf("delay %v, novelty %+v", cfg.Delay, cfg.Novelty)
	}
	cfg, err = (&settings{Timeout: duration(time.Minute), Delay: duration(time.Second), Novelty: 7, Similar: true}).config()
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Delay != time.Second || cfg.Novelty != (crawler.Novelty{Pages: 7, Similar: true}) {
		t.Errorf("delay %v, novelty %+v", cfg.Delay, cfg.Novelty)
	}
}
