package main

import (
	"cmp"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"

	"github.com/orbweaver/orbweaver/crawler"
)

// mostGarbage is the GOGC of a process that is given none. What lives in the heap
// of a crawl is some ten megabytes, which at Go's 100 are marked anew every few
// hundred pages; twice the garbage costs a crawl 20 MB and saves it some per cent
// of its CPU time, and still more of it next to nothing. With millions of URLs known
// some sixty live: then there is less garbage, but never less than half of what lives,
// as marking that again and again would be all that the process does.
const (
	mostGarbage  = 200
	leastGarbage = 50
)

// gcGiven says whether the user has decided on the garbage collector.
func gcGiven() bool { return os.Getenv("GOGC") != "" }

func tuneGC() {
	if !gcGiven() {
		debug.SetGCPercent(mostGarbage)
	}
}

// garbage is the GOGC with which a heap takes five parts in six of memory, as far as
// what lives in it allows; the crawler leaves the sixth to the job's database.
func garbage(live, memory int64) int {
	percent := (memory/6*5 - live) * 100 / max(live, 1)
	return int(min(max(percent, leastGarbage), mostGarbage))
}

// boundGarbage sees to it that a process keeps to its memory until over is closed,
// as far as garbage is what it takes. Zero memory is what the crawler takes it for.
func boundGarbage(over <-chan struct{}, memory int64) {
	if gcGiven() {
		return
	}
	memory = cmp.Or(memory, crawler.DefaultMemory)
	before := debug.SetGCPercent(mostGarbage)
	defer debug.SetGCPercent(before)
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for now := mostGarbage; ; {
		select {
		case <-over:
			return
		case <-tick.C:
		}
		metrics.Read(live)
		// To set it stops the world for a moment.
		if next := garbage(int64(live[0].Value.Uint64()), memory); next < now-5 || next > now+5 {
			debug.SetGCPercent(next)
			now = next
		}
	}
}
