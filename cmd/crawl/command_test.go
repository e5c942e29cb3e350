package main

import (
	"os"
	"strings"
	"testing"
)

// Help is output as any other: who has read enough of it makes no error, and a full
// disk is none of usage.
func TestHelpThatCannotBeWritten(t *testing.T) {
	r, closed, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer closed.Close()
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	var stderr strings.Builder
	if status := run(t.Context(), []string{"--help"}, nil, closed, &stderr, nil); status != exitDone || stderr.Len() > 0 {
		t.Errorf("to a closed pipe: status %d, %q", status, &stderr)
	}

	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip(err)
	}
	defer full.Close()
	if status := run(t.Context(), []string{"run", "--help"}, nil, full, &stderr, nil); status != exitFailed || !strings.Contains(stderr.String(), "no space") {
		t.Errorf("to a full disk: status %d, %q", status, &stderr)
	}
}
