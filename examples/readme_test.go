package examples

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestReadme proves that the Go code in the README is code of the examples,
// which are compiled and tested.
func TestReadme(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	var programs []string
	err = filepath.WalkDir(".", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Base(path) != "main.go" {
			return err
		}
		text, err := os.ReadFile(path)
		programs = append(programs, string(text))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(string(readme), -1)
	if len(blocks) < 3 || len(programs) < 5 {
		t.Fatalf("found %d snippets and %d programs", len(blocks), len(programs))
	}
	for _, b := range blocks {
		if !strings.Contains(strings.Join(programs, "\x00"), b[1]) {
			t.Errorf("this is in no example:\n%s", b[1])
		}
	}
}
