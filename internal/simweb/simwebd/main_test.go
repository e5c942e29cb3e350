package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/orbweaver/orbweaver/internal/simweb"
)

func TestServe(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stdout, w := io.Pipe()
	done := make(chan error, 1)
	go func() {
		done <- run(ctx, []string{"-hosts", "3", "-pages", "4", "-errors", "0.5"}, w, t.Output())
		w.Close()
	}()

	var lines []string
	for in := bufio.NewScanner(stdout); in.Scan(); {
		lines = append(lines, in.Text())
		if in.Text() == "# ready" {
			break
		}
	}
	if len(lines) != 5 || !strings.HasPrefix(lines[0], "# control http://127.0.0.1:") {
		t.Fatalf("printed %q", lines)
	}
	control, seeds := strings.TrimPrefix(lines[0], "# control "), lines[1:4]

	if got := strings.Fields(get(t, control+"/seeds")); !slices.Equal(got, seeds) {
		t.Errorf("/seeds gives %q, printed were %q", got, seeds)
	}
	if got := strings.Fields(get(t, control+"/urls")); len(got) != 12 || got[0] != seeds[0] {
		t.Errorf("/urls gives %q", got)
	}
	get(t, seeds[1]+"robots.txt")
	var all, first, want simweb.Counts
	unmarshal(t, get(t, control+"/counts"), &all)
	unmarshal(t, get(t, control+"/counts?host=0"), &first)
	unmarshal(t, get(t, control+"/want"), &want)
	if all.Robots != 1 || first.Robots != 0 || want.Robots != 3 || want.Pages != 12 {
		t.Errorf("counts %+v\nof the first host %+v\nwanted %+v", all, first, want)
	}
	resp, err := http.Post(control+"/reset", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	unmarshal(t, get(t, control+"/counts"), &all)
	if all.Robots != 0 {
		t.Errorf("after a reset: %+v", all)
	}

	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestSeedsFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "seeds.txt")
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // serves, writes the seeds, and finds that it is over
	if err := run(ctx, []string{"-hosts", "2", "-seeds", name}, io.Discard, t.Output()); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(b), "\nhttp://127.1.0."); n != 2 {
		t.Errorf("%d seeds in %q", n, b)
	}
}

func TestCA(t *testing.T) {
	name := filepath.Join(t.TempDir(), "ca.pem")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var seeds strings.Builder
	if err := run(ctx, []string{"-hosts", "1", "-tls", "-ca", name}, &seeds, t.Output()); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(b), "-----BEGIN CERTIFICATE-----\n") || !strings.Contains(seeds.String(), "\nhttps://127.1.0.1") {
		t.Errorf("certificate %q, seeds %q", b, seeds.String())
	}
}

func TestRefusals(t *testing.T) {
	for _, args := range [][]string{
		{"extra"},
		{"-hosts", "-1"},
		{"-errors", "2"},
		{"-control", "0.0.0.0:0"},
		{"-no-such-flag"},
		{"-ca", "unused.pem"},
		{"-seeds", filepath.Join(t.TempDir(), "missing", "seeds.txt")},
	} {
		if err := run(t.Context(), args, io.Discard, io.Discard); err == nil {
			t.Errorf("%q was accepted", args)
		}
	}
}

func get(t *testing.T, u string) string {
	t.Helper()
	resp, err := http.Get(u)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 200 {
		t.Fatalf("%s: %s, %v", u, resp.Status, err)
	}
	return string(b)
}

func unmarshal(t *testing.T, text string, c *simweb.Counts) {
	t.Helper()
	*c = simweb.Counts{}
	if err := json.Unmarshal([]byte(text), c); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
}
