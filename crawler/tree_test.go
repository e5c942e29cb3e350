package crawler

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/orbweaver/orbweaver/internal/simweb"
)

// TestDamagedPages damages each page of a job's database in turn: whatever comes
// of it ends with an error or goes unnoticed, but is no panic, no fault and no
// endless wait.
func TestDamagedPages(t *testing.T) {
	web, err := simweb.Start(simweb.Config{Hosts: 3, Pages: 60, Links: 20})
	if err != nil {
		t.Fatal(err)
	}
	defer web.Close()
	cfg := Config{Dir: filepath.Join(t.TempDir(), "job"), Seeds: web.Seeds(), Delay: NoDelay, MaxPages: 9, NoBodies: true}
	if err := runOnce(t, cfg); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(filepath.Join(cfg.Dir, databaseName))
	if err != nil {
		t.Fatal(err)
	}
	cfg.MaxPages, cfg.MaxTime = 30, 5*time.Second

	random := rand.New(rand.NewPCG(1, 2))
	size := os.Getpagesize()
	for page := 2; page < len(whole)/size; page++ {
		for _, damage := range []struct {
			name string
			do   func([]byte)
		}{
			{"noise", func(b []byte) {
				for i := range b {
					b[i] = byte(random.Uint32())
				}
			}},
			{"zeros", func(b []byte) { clear(b) }},
			{"another place", func(b []byte) { b[pageHeader+random.IntN(3*element)] ^= 1 << random.IntN(8) }},
			{"longer", func(b []byte) { b[12+random.IntN(4)]++ }},
			{"more", func(b []byte) { b[11]++ }},
			{"in a circle", func(b []byte) { binary.NativeEndian.PutUint64(b[pageHeader+8:], uint64(page)) }},
		} {
			t.Run(fmt.Sprint(page, " ", damage.name), func(t *testing.T) {
				text := append([]byte(nil), whole...)
				damage.do(text[page*size : (page+1)*size])
				fresh := func() string {
					dir := t.TempDir()
					if err := os.WriteFile(filepath.Join(dir, databaseName), text, 0o600); err != nil {
						t.Fatal(err)
					}
					return dir
				}
				cfg := cfg
				cfg.Dir = fresh()
				_, _, compacted := Compact(t.Context(), fresh())
				for _, err := range []error{useDamaged(t, fresh(), web.Seeds()[0]), compacted, runOnce(t, cfg)} {
					if err != nil && !errors.As(err, new(*JobError)) {
						t.Errorf("%v, want a *JobError", err)
					}
				}
			})
		}
	}
}

// runOnce is one run of a job, and fails as New, Run or Close does.
func runOnce(t *testing.T, cfg Config) error {
	t.Helper()
	c, err := New(cfg)
	if err != nil {
		return err
	}
	_, err = c.Run(t.Context())
	return errors.Join(err, c.Close())
}

// useDamaged reads all of a job at rest, and returns what Check says.
func useDamaged(t *testing.T, dir, url string) error {
	t.Helper()
	j, err := OpenJob(dir)
	if err != nil {
		return err
	}
	defer j.Close()
	_, _ = j.Stats()
	_, _ = j.Explain(t.Context(), url)
	for _, err := range j.Store().Records(t.Context(), 0) {
		if err != nil {
			break
		}
	}
	return j.Check(t.Context())
}
