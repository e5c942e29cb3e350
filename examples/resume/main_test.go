package main

import (
	"bufio"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/orbweaver/orbweaver/internal/exampletest"
)

// TestResume stops the program by a signal, kills it, and lets it finish: every
// page is there in the end.
func TestResume(t *testing.T) {
	const pages = 40
	var mu sync.Mutex
	served := make(map[string]int)
	site := exampletest.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		served[r.URL.Path]++
		mu.Unlock()
		var n int
		if _, err := fmt.Sscanf(r.URL.Path, "/%d", &n); err != nil && r.URL.Path != "/" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/html")
		if n < pages {
			fmt.Fprintf(w, `<a href="/%d">next</a>`, n+1)
		}
	}))
	dir, exe := t.TempDir(), exampletest.Build(t)
	runs := [][]string{{"-delay", "5ms", site}, {"-delay", "5ms"}}
	for i, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGKILL} {
		cmd := exampletest.Command(t.Context(), dir, exe, runs[i]...)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for range 10 {
			lines.Scan()
		}
		if err := cmd.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
		for lines.Scan() {
			t.Log(lines.Text())
		}
		if err := cmd.Wait(); (err != nil) != (signal == syscall.SIGKILL) {
			t.Fatalf("after %v: %v", signal, err)
		}
	}
	got := exampletest.Run(t, dir, exe, "-delay", "5ms")
	if want := fmt.Sprintf("done: %d pages, 0 waiting\n", pages+1); !strings.HasSuffix(got, want) {
		t.Errorf("got %q, want it to end in %q", got, want)
	}
	mu.Lock()
	defer mu.Unlock()
	var twice int
	for i := range pages + 1 {
		path := fmt.Sprintf("/%d", i)
		if i == 0 {
			path = "/"
		}
		if served[path] == 0 {
			t.Errorf("%s was never served", path)
		}
		twice += max(0, served[path]-1)
	}
	// Only the kill may cost something: what was not committed yet.
	if twice > 30 {
		t.Errorf("%d pages were served twice", twice)
	}
}
