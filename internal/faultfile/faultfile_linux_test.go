package faultfile_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/orbweaver/orbweaver/internal/faultfile"
)

// Variables that make this program one of the children, with the path of its files.
const (
	childEnv = "FAULTFILE_TEST_CHILD"
	crowdEnv = "FAULTFILE_TEST_CROWD"
)

func TestMain(m *testing.M) {
	for env, run := range map[string]func(string) error{childEnv: child, crowdEnv: crowd} {
		if path := os.Getenv(env); path != "" {
			if err := errors.Join(faultfile.Attach(), run(path)); err != nil {
				fmt.Println(err)
				os.Exit(1)
			}
			os.Exit(0)
		}
	}
	os.Exit(m.Run())
}

// child writes A, syncs, writes B over half of it and C behind it, and syncs again, beside calls on another file.
func child(path string) error {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	other, err := os.CreateTemp(filepath.Dir(path), "other")
	if err != nil {
		return err
	}
	write := func(b byte, n int, at int64) error {
		_, err := other.WriteAt([]byte("x"), 0)
		_, err2 := file.WriteAt(bytes.Repeat([]byte{b}, n), at)
		return errors.Join(err, err2)
	}
	return errors.Join(
		write('A', 4096, 0), file.Sync(),
		write('B', 2048, 1024), write('C', 1024, 4096), file.Truncate(8192), file.Sync(),
		file.Close(), other.Close(),
	)
}

// crowd writes to eight files at once, without end, whose names begin with path.
func crowd(path string) error {
	ended := make(chan error)
	for n := range 8 {
		go func() {
			file, err := os.Create(path + strconv.Itoa(n))
			for err == nil {
				_, err = file.WriteAt([]byte("x"), 0)
			}
			ended <- err
		}()
	}
	return <-ended
}

// TestKillOfMany kills processes while their other threads wait for an answer too, and asks about none of these.
func TestKillOfMany(t *testing.T) {
	for range 50 {
		path := filepath.Join(t.TempDir(), "file")
		d, err := faultfile.OpenDisk(path)
		if err != nil {
			t.Fatal(err)
		}
		last := 0
		p, err := faultfile.Start(command(t, crowdEnv, path), d, func(n int, _ faultfile.Op) faultfile.Verdict {
			last = n
			if n >= 50 {
				return faultfile.Kill
			}
			return faultfile.Proceed
		})
		if err != nil {
			t.Fatal(err)
		}
		if killed, err := p.Wait(); err != nil || !killed || last != 50 {
			t.Fatalf("killed %t, %v, after %d calls", killed, err, last)
		}
	}
}

// command is this program as one of the children.
func command(t *testing.T, env, path string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), env+"="+path)
	return cmd
}

// run runs a child whose call number at gets a verdict; 0: none does.
func run(t *testing.T, at int, v faultfile.Verdict) (d *faultfile.Disk, path, said string, killed bool, ops []faultfile.Op) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "file")
	d, err := faultfile.OpenDisk(path)
	if err != nil {
		t.Fatal(err)
	}
	cmd := command(t, childEnv, path)
	var out bytes.Buffer
	cmd.Stdout = &out
	p, err := faultfile.Start(cmd, d, func(n int, op faultfile.Op) faultfile.Verdict {
		ops = append(ops, op)
		if n == at {
			return v
		}
		return faultfile.Proceed
	})
	if err != nil {
		t.Fatal(err)
	}
	killed, err = p.Wait()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if p.Ops() != len(ops) {
		t.Errorf("%d calls, asked about %d", p.Ops(), len(ops))
	}
	return d, path, out.String(), killed, ops
}

func content(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestCalls(t *testing.T) {
	_, path, said, killed, ops := run(t, 0, faultfile.Proceed)
	want := "[write of 4096 bytes at 0 sync write of 2048 bytes at 1024 write of 1024 bytes at 4096 truncation to 8192 bytes sync]"
	if got := fmt.Sprint(ops); got != want || killed || said != "" {
		t.Errorf("%s, killed %t, %s; want %s", got, killed, said, want)
	}
	if s := content(t, path); len(s) != 8192 || s[1000:1030] != "AAAAAAAAAAAAAAAAAAAAAAAABBBBBB" || s[4096] != 'C' {
		t.Errorf("%d bytes: %.1100s", len(s), s)
	}
}

func TestFail(t *testing.T) {
	_, path, said, _, _ := run(t, 4, faultfile.Fail(syscall.EIO))
	if s := content(t, path); s[4096] != 0 || said == "" {
		t.Errorf("%c, %q", s[4096], said)
	}
	_, path, said, _, _ = run(t, 3, faultfile.FailShort(syscall.ENOSPC))
	if s := content(t, path); s[1024] != 'B' || s[3071] != 'B' || said != "" { // the rest was written by a second call
		t.Errorf("%c%c, %q", s[1024], s[3071], said)
	}
}

// TestLosePower looks at what may be left when the power fails before the second sync, and after it.
func TestLosePower(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	states := make(map[string]bool)
	for range 40 {
		d, path, _, killed, _ := run(t, 6, faultfile.Kill)
		if !killed {
			t.Fatal("not killed")
		}
		if err := d.LosePower(random); err != nil {
			t.Fatal(err)
		}
		s := content(t, path)
		if len(s) < 4096 || s[:1024] != string(bytes.Repeat([]byte{'A'}, 1024)) || s[3072:4096] != s[:1024] {
			t.Fatalf("%d bytes, what was synced is not there", len(s))
		}
		for at := 1024; at < 3072; at += 512 {
			if sector := s[at : at+512]; sector != string(bytes.Repeat([]byte{sector[0]}, 512)) || (sector[0] != 'A' && sector[0] != 'B') {
				t.Fatalf("sector at %d: %.20q", at, sector)
			}
		}
		states[s] = true
	}
	if len(states) < 5 {
		t.Errorf("%d different states in 40 power failures", len(states))
	}
	d, path, _, _, _ := run(t, 0, faultfile.Proceed)
	before := content(t, path)
	if err := d.LosePower(random); err != nil {
		t.Fatal(err)
	}
	if content(t, path) != before {
		t.Error("something was lost after the last sync")
	}
}

// TestFailedSync: what a failed sync should have made durable is not by the next one.
func TestFailedSync(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	lost := false
	for range 20 {
		d, path, _, _, _ := run(t, 2, faultfile.Fail(syscall.EIO))
		if err := d.LosePower(random); err != nil {
			t.Fatal(err)
		}
		s := content(t, path)
		if len(s) != 8192 || s[4096] != 'C' {
			t.Fatalf("%d bytes, what the second sync was for is lost", len(s))
		}
		lost = lost || s[0] != 'A'
	}
	if !lost {
		t.Error("nothing was ever lost")
	}
}
