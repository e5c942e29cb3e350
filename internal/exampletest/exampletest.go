// Package exampletest builds the example programs and runs them against a
// small site on loopback.
package exampletest

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Site serves pages, by path, until the test ends, and returns its address. A
// path that is not among them is 404.
func Site(t *testing.T, pages map[string]string) (address string) {
	t.Helper()
	return Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		page, ok := pages[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		if _, err := w.Write([]byte(page)); err != nil {
			t.Log(err)
		}
	}))
}

// Serve serves h until the test ends, and returns its address.
func Serve(t *testing.T, h http.Handler) (address string) {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

// Build builds the program in the current folder and returns the executable.
func Build(t *testing.T) string {
	t.Helper()
	exe := filepath.Join(t.TempDir(), "example")
	cmd := exec.Command("go", "build", "-o", exe, ".")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return exe
}

// Run runs the executable in dir and returns its standard output. It fails the
// test if the program does.
func Run(t *testing.T, dir, exe string, args ...string) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := Command(t.Context(), dir, exe, args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v: %v\n%s%s", args, err, &stdout, &stderr)
	}
	return stdout.String()
}

// Command is the command that Run runs.
func Command(ctx context.Context, dir, exe string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, exe, args...)
	cmd.Dir = dir
	cmd.Env = os.Environ()
	return cmd
}
