package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
)

func TestWriteFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "out")
	hello := func(w io.Writer) error { _, err := io.WriteString(w, "hello"); return err }
	broken := errors.New("broken")

	if err := writeFile(path, 0o666, func(w io.Writer) error {
		hello(w)
		if !isMissing(path) {
			t.Error("the file appears before it is complete")
		}
		return broken
	}); !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
	wantFiles(t, dir)

	if err := writeFile(path, 0o666, hello); err != nil {
		t.Fatal(err)
	}
	wantText(t, path, "hello")
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}

	if err := writeFile(path, 0o666, func(io.Writer) error { return broken }); !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
	wantText(t, path, "hello")
	wantFiles(t, dir, "out")

	link := filepath.Join(dir, "link")
	if err := os.Symlink("out", link); err != nil {
		t.Fatal(err)
	}
	if err := writeFile(link, 0o666, func(w io.Writer) error { _, err := io.WriteString(w, "by the link"); return err }); err != nil {
		t.Fatal(err)
	}
	wantText(t, path, "by the link")
	wantFiles(t, dir, "link", "out")
	if info, _ := os.Stat(path); info.Mode().Perm() != 0o640 {
		t.Errorf("mode %v, want that of the file before", info.Mode())
	}

	if err := writeFile(filepath.Join(dir, "no", "out"), 0o666, hello); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("in a directory that is missing: %v", err)
	}
}

func TestSameFile(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	if err := os.WriteFile("here", nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("here", "link"); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		a, b string
		want bool
	}{
		{"here", "./here", true},
		{"link", "here", true},
		{"here", "new", false},
		{"new", "here", false},
		{"new", filepath.Join(dir, "new"), true},
		{"new", "newer", false},
		{"new", "", false},
		{os.DevNull, os.DevNull, false},
	}
	for _, tt := range tests {
		if got := sameFile(tt.a, tt.b); got != tt.want {
			t.Errorf("sameFile(%q, %q) = %v", tt.a, tt.b, got)
		}
	}
}

func TestWriteFileLeavesDevicesAlone(t *testing.T) {
	if err := writeFile(os.DevNull, 0o666, func(w io.Writer) error { _, err := w.Write([]byte("x")); return err }); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(os.DevNull); err != nil || info.Mode().IsRegular() {
		t.Fatalf("%s is %v, %v", os.DevNull, info, err)
	}
}

func wantText(t *testing.T, path, want string) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil || string(got) != want {
		t.Errorf("%s holds %q, %v; want %q", path, got, err, want)
	}
}

func wantFiles(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != len(want) {
		t.Fatalf("%v, want %q", entries, want)
	}
	for i, e := range entries {
		if e.Name() != want[i] {
			t.Errorf("%v, want %q", entries, want)
		}
	}
}
