package main

import (
	"os"
	"runtime/debug"
)

// gcPercent is the GOGC of a process that is given none. What lives in the heap
// of a crawl is some ten megabytes, which at Go's 100 are marked anew every few
// hundred pages; twice the garbage costs a crawl 20 MB and saves it some per cent
// of its CPU time, and still more of it next to nothing. With millions of URLs known
// some sixty live, and it costs as many.
const gcPercent = 200

func tuneGC() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
}
