package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/orbweaver/orbweaver/crawler"
	"github.com/orbweaver/orbweaver/internal/simweb"
)

func TestRun(t *testing.T) {
	web, err := simweb.Start(simweb.Config{Hosts: 1, Pages: 5})
	if err != nil {
		t.Fatal(err)
	}
	defer web.Close()
	job := filepath.Join(t.TempDir(), "job")
	c, err := crawler.New(crawler.Config{Dir: job, Seeds: web.Seeds(), Delay: crawler.NoDelay})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "pages.parquet")
	var stdout bytes.Buffer
	if err := run(t.Context(), []string{"-where", "status = 200", job}, &stdout, io.Discard); err != nil {
		t.Fatal(err)
	}
	if err := run(t.Context(), []string{"-where", "status = 200", "-o", file, job}, io.Discard, io.Discard); err != nil {
		t.Fatal(err)
	}
	written, err := os.ReadFile(file)
	if err != nil || !bytes.HasPrefix(written, []byte("PAR1")) || !bytes.HasSuffix(written, []byte("PAR1")) || len(written) != stdout.Len() {
		t.Errorf("a file of %d bytes, %d to standard output, %v", len(written), stdout.Len(), err)
	}
	if err := run(t.Context(), []string{"-o", file, job}, io.Discard, io.Discard); !errors.Is(err, os.ErrExist) {
		t.Errorf("over a file that is there: %v", err)
	}
	if err := run(t.Context(), nil, io.Discard, io.Discard); !errors.Is(err, errUsage) {
		t.Errorf("without a job: %v", err)
	}
	if err := run(t.Context(), []string{"-where", "status >", job}, io.Discard, io.Discard); err == nil {
		t.Error("half an expression was accepted")
	}
}
