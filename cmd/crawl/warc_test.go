package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/orbweaver/orbweaver/storage/warc"
)

// cmdArchived is the command "archived" of TestScript: it prints the type, target
// or name, mark of truncation and content of each record of an archive.
func cmdArchived(ts *testscript.TestScript, neg bool, args []string) {
	noNegation(ts, neg)
	file, err := os.Open(ts.MkAbs(args[0]))
	ts.Check(err)
	defer file.Close()
	r := warc.NewReader(file)
	for {
		rec, err := r.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		ts.Check(err)
		block, err := io.ReadAll(rec.Block)
		ts.Check(err)
		fmt.Fprintf(ts.Stdout(), "%s %s%s %s %q\n", rec.Get("WARC-Type"), rec.Get("WARC-Target-URI"), rec.Get("WARC-Filename"),
			rec.Get("WARC-Truncated"), block)
	}
}
