// Package main is cmd/crawl with another main, which takes profiles and tells how the process fares: the harness builds
// cmd/crawl with this file in the place of its main.go (go build -overlay).
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/metrics"
	"runtime/pprof"
	"strings"
	"time"
)

func main() {
	tuneGC()
	ignoreSignals()
	stop, err := instrument(os.Getenv("BENCH_DIR"), strings.Fields(os.Getenv("BENCH_PROFILES")))
	if err != nil {
		fmt.Fprintln(os.Stderr, "crawl:", err)
		os.Exit(1)
	}
	status := run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.Environ())
	if err := stop(); err != nil {
		fmt.Fprintln(os.Stderr, "crawl:", err)
		os.Exit(1)
	}
	os.Exit(status)
}

// instrument takes the profiles (cpu, allocs, mutex, block) and, every second, the runtime's metrics, all into dir.
func instrument(dir string, profiles []string) (stop func() error, err error) {
	write := func(name string) error {
		f, err := os.Create(filepath.Join(dir, name+".pprof"))
		if err != nil {
			return err
		}
		return errors.Join(pprof.Lookup(name).WriteTo(f, 0), f.Close())
	}
	var ends []func() error
	for _, name := range profiles {
		end := func() error { return write(name) }
		switch name {
		case "cpu":
			f, err := os.Create(filepath.Join(dir, "cpu.pprof"))
			if err != nil {
				return nil, err
			}
			if err := pprof.StartCPUProfile(f); err != nil {
				return nil, err
			}
			end = func() error { pprof.StopCPUProfile(); return f.Close() }
		case "mutex":
			runtime.SetMutexProfileFraction(1)
		case "block":
			runtime.SetBlockProfileRate(10_000)
		}
		ends = append(ends, end)
	}
	ended, telling := make(chan struct{}), make(chan error)
	go func() { telling <- keepTelling(dir, ended) }()
	return func() error {
		close(ended)
		err := <-telling
		for _, end := range ends {
			err = errors.Join(err, end())
		}
		return err
	}, nil
}

// keepTelling tells every second and, for the last time, at the end.
func keepTelling(dir string, ended <-chan struct{}) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if err := tell(dir); err != nil {
				return err
			}
		case <-ended:
			return tell(dir)
		}
	}
}

// told are the metrics in metrics.json, by the names they have there.
var told = map[string]string{
	"live":       "/gc/heap/live:bytes",
	"allocated":  "/gc/heap/allocs:bytes",
	"objects":    "/gc/heap/allocs:objects",
	"goroutines": "/sched/goroutines:goroutines",
	"gc":         "/cpu/classes/gc/total:cpu-seconds",
	"gc_idle":    "/cpu/classes/gc/mark/idle:cpu-seconds",
}

// tell replaces dir's file metrics.json.
func tell(dir string) error {
	values := make(map[string]float64)
	for name, metric := range told {
		s := []metrics.Sample{{Name: metric}}
		metrics.Read(s)
		switch v := s[0].Value; v.Kind() {
		case metrics.KindUint64:
			values[name] = float64(v.Uint64())
		case metrics.KindFloat64:
			values[name] = v.Float64()
		}
	}
	text, err := json.Marshal(values)
	if err != nil {
		return err
	}
	temp := filepath.Join(dir, "metrics.new")
	return errors.Join(os.WriteFile(temp, text, 0o644), os.Rename(temp, filepath.Join(dir, "metrics.json")))
}
