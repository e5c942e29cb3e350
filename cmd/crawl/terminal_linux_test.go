package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/orbweaver/orbweaver/internal/simweb"
)

// openTerminal returns both ends of a new pseudo-terminal of that width.
func openTerminal(t *testing.T, columns uint16) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal("no pseudo-terminals here: ", err)
	}
	t.Cleanup(func() { master.Close() })
	fd := int(master.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal("no pseudo-terminals here: ", err)
	}
	t.Cleanup(func() { slave.Close() })
	if err := unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: columns}); err != nil {
		t.Fatal(err)
	}
	return master, slave
}

// TestLiveLineOnATerminal looks at what a crawl writes to a real, narrow
// terminal.
func TestLiveLineOnATerminal(t *testing.T) {
	web, err := simweb.Start(simweb.Config{Hosts: 1, Pages: 60, Latency: 20 * time.Millisecond, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer web.Close()
	master, slave := openTerminal(t, 40)
	cmd := crawlCommand("run", "--job", t.TempDir()+"/job", "--delay", "0s", web.Seeds()[0])
	cmd.Stderr = slave
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	slave.Close()
	var out bytes.Buffer
	io.Copy(&out, master) // ends with EIO when the last process has closed the other end
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	updates := strings.Split(out.String(), clearLine)[1:]
	if len(updates) < 3 {
		t.Fatalf("%d updates of the live line in more than a second: %q", len(updates), out.String())
	}
	live, rest := updates[:len(updates)-1], updates[len(updates)-1]
	for _, u := range live {
		if len(u) > 39 || strings.Contains(u, "\n") || !strings.Contains(u, " pages") {
			t.Errorf("update %q", u)
		}
	}
	if !strings.HasPrefix(rest, "done: nothing is waiting\r\n") {
		t.Errorf("after the live line: %q", rest)
	}
}

// TestLiveLineWhileSeedsAreRead waits for the live line of a crawl whose seeds
// do not end.
func TestLiveLineWhileSeedsAreRead(t *testing.T) {
	master, slave := openTerminal(t, 80)
	cmd := crawlCommand("run", "--job", t.TempDir()+"/job", "--seeds", "-")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = slave
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	slave.Close()
	timer := time.AfterFunc(patience, func() { cmd.Process.Kill() })
	defer timer.Stop()
	var out []byte
	for buf := make([]byte, 4096); !bytes.Contains(out, []byte(clearLine+"0 pages")); {
		n, err := master.Read(buf)
		if out = append(out, buf[:n]...); err != nil {
			t.Fatalf("%v after %q", err, out)
		}
	}
	stdin.Close()
	rest, _ := io.ReadAll(master) // ends with EIO, as above
	if err := cmd.Wait(); exitStatus(err) != "2" || !bytes.Contains(rest, []byte(clearLine+"crawl: no URL in standard input; ")) {
		t.Errorf("exit status %s after %q", exitStatus(err), rest)
	}
}
