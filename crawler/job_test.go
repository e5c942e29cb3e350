package crawler_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/orbweaver/orbweaver/crawler"
	"github.com/orbweaver/orbweaver/internal/simweb"
)

func TestJobErrors(t *testing.T) {
	full := t.TempDir()
	if err := os.WriteFile(filepath.Join(full, "thesis.tex"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(full, "thesis.tex")
	for _, tt := range []struct {
		dir  string
		want error
	}{
		{full, crawler.ErrNotJob},
		{filepath.Join(file, "job"), nil},
		{file, nil},
	} {
		_, err := crawler.New(crawler.Config{Dir: tt.dir})
		var job *crawler.JobError
		if !errors.As(err, &job) || job.Dir != tt.dir || tt.want != nil && !errors.Is(err, tt.want) {
			t.Errorf("%s: %v", tt.dir, err)
		}
	}
	empty := t.TempDir()
	if _, err := crawler.OpenJob(empty); !errors.Is(err, crawler.ErrNotJob) {
		t.Errorf("empty directory: %v", err)
	}
	// So a process leaves it that is killed before its first write.
	if err := os.WriteFile(filepath.Join(empty, "job.db"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := crawler.OpenJob(empty); !errors.Is(err, crawler.ErrNotJob) {
		t.Errorf("empty database: %v", err)
	}
	c, err := crawler.New(crawler.Config{Dir: empty})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	reopen(t, empty)
}

func TestJobIsLocked(t *testing.T) {
	dir := t.TempDir()
	c, err := crawler.New(crawler.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for name, open := range map[string]func() error{
		"crawler": func() error { _, err := crawler.New(crawler.Config{Dir: dir}); return err },
		"job":     func() error { _, err := crawler.OpenJob(dir); return err },
	} {
		err := open()
		var locked *crawler.LockedError
		if !errors.Is(err, crawler.ErrLocked) || !errors.As(err, &locked) || locked.PID != os.Getpid() {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestDamagedJob damages a job's database in many ways: it is an error that
// says so, or the damage was where it does no harm; never a crash.
func TestDamagedJob(t *testing.T) {
	web := startWeb(t, simweb.Config{Hosts: 2, Pages: 20})
	dir := filepath.Join(t.TempDir(), "job")
	runKeep(t, crawler.Config{Dir: dir, Seeds: web.Seeds()})
	sound, err := os.ReadFile(filepath.Join(dir, "job.db"))
	if err != nil {
		t.Fatal(err)
	}
	var refused int
	try := func(name string, db []byte) {
		bad := filepath.Join(t.TempDir(), "job")
		if err := errors.Join(os.Mkdir(bad, 0o755), os.WriteFile(filepath.Join(bad, "job.db"), db, 0o644)); err != nil {
			t.Fatal(err)
		}
		j, err := crawler.OpenJob(bad)
		if err == nil {
			err = j.Check(t.Context())
			if closeErr := j.Close(); closeErr != nil {
				t.Errorf("%s: %v", name, closeErr)
			}
		}
		if err != nil {
			refused++
		}
		if len(db) > 0 && len(db) < len(sound)/2 && !errors.Is(err, crawler.ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
		c, err := crawler.New(crawler.Config{Dir: bad, Seeds: web.Seeds()})
		if err != nil {
			if strings.HasPrefix(name, "cut") && !strings.Contains(err.Error(), "bytes") && !strings.Contains(err.Error(), "empty") {
				t.Errorf("%s: %v", name, err)
			}
			return
		}
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		_, _ = c.Run(ctx) // any end is right, but for a crash or a hang
		_ = c.Close()
	}
	for _, size := range []int{0, 1, 4096, 8192, 16384, len(sound) / 2, len(sound) - 4096} {
		try(fmt.Sprintf("cut at %d", size), sound[:size])
	}
	for page := range len(sound) / 4096 {
		damaged := bytes.Clone(sound)
		for i := range 64 {
			damaged[page*4096+i] ^= 0xa5
		}
		try(fmt.Sprintf("page %d", page), damaged)
	}
	try("text", bytes.Repeat([]byte("this is no database\n"), 4096))
	if refused < 10 {
		t.Errorf("only %d damaged databases were refused", refused)
	}
}
