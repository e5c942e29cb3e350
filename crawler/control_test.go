package crawler_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/orbweaver/orbweaver/crawler"
	"github.com/orbweaver/orbweaver/crawler/weburl"
)

// endless is a site whose pages each lead to the next.
func endless(t *testing.T) string {
	return serve(t, func(w http.ResponseWriter, r *http.Request) {
		n := 0
		_, _ = fmt.Sscanf(r.URL.Path, "/%d", &n)
		html(w, fmt.Sprintf(`<a href="/%d">next</a>`, n+1))
	})
}

// controlled starts a crawl with a control socket. It is stopped when the test
// ends, unless it has been.
func controlled(t *testing.T, cfg crawler.Config) (c *crawler.Crawler, ended func() *crawler.Summary) {
	t.Helper()
	cfg.Control = true
	if cfg.Dir == "" {
		cfg.Dir = filepath.Join(t.TempDir(), "job")
	}
	cfg.Delay, cfg.Robots.Ignore = crawler.NoDelay, true
	c, err := crawler.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	type result struct {
		s   *crawler.Summary
		err error
	}
	results := make(chan result, 1)
	go func() {
		s, err := c.Run(context.Background())
		results <- result{s, errors.Join(err, c.Close())}
	}()
	stopped := make(chan struct{})
	ended = func() *crawler.Summary {
		t.Helper()
		r := <-results
		close(stopped)
		if r.err != nil {
			t.Fatal(r.err)
		}
		return r.s
	}
	t.Cleanup(func() {
		select {
		case <-stopped:
		default:
			c.StopNow()
			<-results
		}
	})
	return c, ended
}

// TestControl does everything that can be done to a job that runs, and then to
// the same job at rest.
func TestControl(t *testing.T) {
	site, other := endless(t), serve(t, func(w http.ResponseWriter, _ *http.Request) { html(w, "other") })
	dir := filepath.Join(t.TempDir(), "job")
	c, ended := controlled(t, crawler.Config{Dir: dir, Seeds: []string{site}})
	ctl := crawler.Control{Dir: dir}
	ctx := t.Context()
	waitFor(t, "pages", func() bool { return c.Stats().Fetched > 10 })

	s, err := ctl.Status(ctx)
	if err != nil || s.State != crawler.StateRunning || s.PID != os.Getpid() || s.Stats.Fetched < 10 || s.Stats.Disk.Size == 0 {
		t.Errorf("status %+v, %v", s, err)
	}
	if s, err = ctl.Pause(ctx); err != nil || s.Stats.Paused.IsZero() {
		t.Errorf("pause: %+v, %v", s, err)
	}
	live, err := ctl.Explain(ctx, site)
	if err != nil || live.State != "done" || live.Result == nil || live.Waiting != 1 {
		t.Errorf("explained as %+v, %v", live, err)
	}
	if _, err := ctl.Explain(ctx, "mailto:x"); !errors.As(err, new(*weburl.Error)) {
		t.Errorf("what is no URL is explained: %v", err)
	}
	added, err := ctl.Add(ctx, slices.Values([]string{other, "http://bad host/", other + "/b"}))
	var bad *crawler.SeedError
	if added != 2 || !errors.As(err, &bad) || bad.Line != 2 || bad.Text != "http://bad host/" {
		t.Errorf("added %d, %v", added, err)
	}
	checkHosts(t, ctl, other, 2)
	if s, err = ctl.Resume(ctx); err != nil || !s.Stats.Paused.IsZero() || s.State != crawler.StateRunning {
		t.Errorf("resume: %+v, %v", s, err)
	}
	waitFor(t, "the added pages", func() bool { return fetchedOf(t, c, other) == 2 })
	if err := ctl.Stop(ctx, false); err != nil {
		t.Error(err)
	}
	if rest, err := ctl.Explain(ctx, site); err != nil || !reflect.DeepEqual(rest.Result, live.Result) || !reflect.DeepEqual(rest.Rules, live.Rules) {
		t.Errorf("explained as %+v, and at rest as %+v, %v", live, rest, err)
	}
	j, err := crawler.OpenJob(dir) // at once, as Stop waits
	if err != nil {
		t.Fatal(err)
	}
	j.Close()
	if s := ended(); s.Ended != crawler.Stopped {
		t.Errorf("ended %s", s.Ended)
	}
	if _, err := os.Lstat(filepath.Join(dir, "control.sock")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is left: %v", err)
	}
	controlAtRest(t, ctl, other)
}

func controlAtRest(t *testing.T, ctl crawler.Control, host string) {
	ctx := t.Context()
	s, err := ctl.Status(ctx)
	if err != nil || s.State != crawler.StateAtRest || s.PID != 0 {
		t.Errorf("status at rest %+v, %v", s, err)
	}
	if err := ctl.Stop(ctx, false); !errors.Is(err, crawler.ErrNotRunning) {
		t.Errorf("stop at rest: %v", err)
	}
	for range 2 {
		if s, err = ctl.Pause(ctx); err != nil || s.Stats.Paused.IsZero() || s.State != crawler.StateAtRest {
			t.Errorf("pause at rest: %+v, %v", s, err)
		}
	}
	if s, err = ctl.Resume(ctx); err != nil || !s.Stats.Paused.IsZero() {
		t.Errorf("resume at rest: %+v, %v", s, err)
	}
	var many []string
	for i := range 2500 { // several batches
		many = append(many, fmt.Sprintf("%s/more/%d", host, i))
	}
	many[1700] = "gopher://x/"
	added, err := ctl.Add(ctx, slices.Values(many))
	var bad *crawler.SeedError
	if added != 2499 || !errors.As(err, &bad) || bad.Line != 1701 {
		t.Errorf("added %d at rest, %v", added, err)
	}
	checkHosts(t, ctl, host, 2501)
	reopen(t, ctl.Dir)
}

// checkHosts changes the delay of a host that is known and looks at one that is
// not.
func checkHosts(t *testing.T, ctl crawler.Control, host string, known int64) {
	t.Helper()
	delay := 90 * time.Second
	if h, err := ctl.Host(t.Context(), host); err != nil || h.Known != known {
		t.Errorf("host %+v, %v; want %d known", h, err, known)
	}
	if h, err := ctl.ChangeHost(t.Context(), "slow.example", crawler.HostChange{Delay: &delay}); err != nil || h.Delay != delay {
		t.Errorf("changed host %+v, %v", h, err)
	}
	if h, err := ctl.Host(t.Context(), "https://slow.example/x"); err != nil || h.Delay != delay || h.Host != "slow.example" {
		t.Errorf("host by URL %+v, %v", h, err)
	}
	if h, err := ctl.Host(t.Context(), "nobody.example"); !errors.Is(err, crawler.ErrUnknownHost) {
		t.Errorf("unknown host %+v, %v", h, err)
	}
	if h, err := ctl.Host(t.Context(), "no host"); err == nil {
		t.Errorf("no host: %+v", h)
	}
}

func waitFor(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("no %s within a minute", what)
		}
	}
}

// fetchedOf counts the URLs of a host that do not wait any more.
func fetchedOf(t *testing.T, c *crawler.Crawler, host string) int64 {
	t.Helper()
	h, err := c.Host(t.Context(), host)
	if err != nil {
		t.Fatal(err)
	}
	return h.Known - h.Waiting
}

// TestControlNow gives back what is being fetched.
func TestControlNow(t *testing.T) {
	asked := make(chan struct{})
	site := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		close(asked)
		<-r.Context().Done()
	})
	c, ended := controlled(t, crawler.Config{Seeds: []string{site}, Retries: -1})
	<-asked
	if err := (crawler.Control{Dir: c.Job().Dir()}).Stop(t.Context(), true); err != nil {
		t.Error(err)
	}
	if s := ended(); s.Ended != crawler.Cancelled || s.Waiting != 1 {
		t.Errorf("ended %s, %d waiting", s.Ended, s.Waiting)
	}
}

// TestControlStopGivenUp ends the wait for a crawl that does not end.
func TestControlStopGivenUp(t *testing.T) {
	site := serve(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	c, _ := controlled(t, crawler.Config{Seeds: []string{site}})
	waitFor(t, "request", func() bool { return c.Stats().InFlight == 1 })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := (crawler.Control{Dir: c.Job().Dir()}).Stop(ctx, false); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("stop: %v", err)
	}
}

// TestControlNeedsNoJob asks where there is none.
func TestControlNeedsNoJob(t *testing.T) {
	for _, dir := range []string{t.TempDir(), filepath.Join(t.TempDir(), "none")} {
		ctl := crawler.Control{Dir: dir}
		_, status := ctl.Status(t.Context())
		_, pause := ctl.Pause(t.Context())
		_, add := ctl.Add(t.Context(), slices.Values([]string{"http://example.org/"}))
		_, host := ctl.Host(t.Context(), "example.org")
		stop := ctl.Stop(t.Context(), false)
		for _, err := range []error{status, pause, add, host, stop} {
			if j := (*crawler.JobError)(nil); !errors.As(err, &j) || !errors.Is(err, crawler.ErrNotJob) {
				t.Errorf("%s: %v", dir, err)
			}
		}
		if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
			t.Errorf("%s was left behind", entries[0].Name())
		}
	}
}

// TestControlWithoutSocket meets a crawl that has none.
func TestControlWithoutSocket(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "job")
	c, err := crawler.New(crawler.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctl := crawler.Control{Dir: dir}
	if s, err := ctl.Status(t.Context()); err != nil || s.PID != os.Getpid() || s.State != crawler.StateRunning {
		t.Errorf("status %+v, %v", s, err)
	}
	if _, err := ctl.Pause(t.Context()); !errors.Is(err, crawler.ErrLocked) {
		t.Errorf("pause: %v", err)
	}
	if err := ctl.Stop(t.Context(), false); !errors.Is(err, crawler.ErrLocked) {
		t.Errorf("stop: %v", err)
	}
}

// TestControlSocketPlace opens jobs whose directory makes it hard: it holds what
// is left of another process, or has a path that no socket may have.
func TestControlSocketPlace(t *testing.T) {
	long := filepath.Join(t.TempDir(), strings.Repeat("deep/", 40), "job")
	for name, prepare := range map[string]func(dir string) error{
		"dead socket": func(dir string) error {
			l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dir, "control.sock"), Net: "unix"})
			if err != nil {
				return err
			}
			l.SetUnlinkOnClose(false)
			return l.Close()
		},
		"file":            func(dir string) error { return os.WriteFile(filepath.Join(dir, "control.sock"), nil, 0o666) },
		"half-made":       func(dir string) error { return os.MkdirAll(filepath.Join(dir, "control.new", "x"), 0o700) },
		"long path":       func(string) error { return nil },
		"nothing special": func(string) error { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "job")
			if name == "long path" {
				if runtime.GOOS != "linux" {
					t.Skip("only Linux has a way round")
				}
				dir = long
			}
			c, err := crawler.New(crawler.Config{Dir: dir, Seeds: []string{"http://example.org/"}})
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(c.Close(), prepare(dir)); err != nil {
				t.Fatal(err)
			}
			ctl := crawler.Control{Dir: dir}
			if s, err := ctl.Status(t.Context()); err != nil || s.State != crawler.StateAtRest {
				t.Errorf("before: %+v, %v", s, err)
			}
			if c, err = crawler.New(crawler.Config{Dir: dir, Control: true}); err != nil {
				t.Fatal(err)
			}
			if s, err := ctl.Status(t.Context()); err != nil || s.State != crawler.StateOpen || s.Stats.Waiting != 1 {
				t.Errorf("while it is open: %+v, %v", s, err)
			}
			info, err := os.Lstat(filepath.Join(dir, "control.sock"))
			if err != nil || info.Mode() != os.ModeSocket|0o600 {
				t.Errorf("the socket: %v, %v", info, err)
			}
			if err := c.Close(); err != nil {
				t.Error(err)
			}
			for _, name := range []string{"control.sock", "control.new"} {
				if _, err := os.Lstat(filepath.Join(dir, name)); !errors.Is(err, os.ErrNotExist) {
					t.Errorf("%s is left: %v", name, err)
				}
			}
		})
	}
}

// TestControlOfCopy copies a job's directory while it is crawled: the copy's
// socket leads nowhere, and the copy is a job at rest.
func TestControlOfCopy(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "job")
	c, err := crawler.New(crawler.Config{Dir: dir, Seeds: []string{"http://example.org/"}, Control: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	duplicate := filepath.Join(t.TempDir(), "copy")
	if text, err := exec.Command("cp", "-a", dir, duplicate).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	ctl := crawler.Control{Dir: duplicate}
	if s, err := ctl.Pause(t.Context()); err != nil || s.State != crawler.StateAtRest || s.Stats.Waiting != 1 {
		t.Errorf("pause: %+v, %v", s, err)
	}
	if !c.Stats().Paused.IsZero() {
		t.Error("the original is paused")
	}
	// And the original is found where it was moved to.
	moved := filepath.Join(t.TempDir(), "moved")
	if err := os.Rename(dir, moved); err != nil {
		t.Fatal(err)
	}
	if s, err := (crawler.Control{Dir: moved}).Status(t.Context()); err != nil || s.PID != os.Getpid() {
		t.Errorf("moved: %+v, %v", s, err)
	}
	if err := os.Rename(moved, dir); err != nil {
		t.Fatal(err)
	}
}

// TestControlBadClients sends what no client of ours would, and nothing, and then
// asks as usual.
func TestControlBadClients(t *testing.T) {
	c, err := crawler.New(crawler.Config{Dir: filepath.Join(t.TempDir(), "job"), Control: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	dial := func() net.Conn {
		t.Helper()
		conn, err := net.Dial("unix", filepath.Join(c.Job().Dir(), "control.sock"))
		if err != nil {
			t.Fatal(err)
		}
		return conn
	}
	for request, want := range map[string]string{
		"\n":                                 `{"version":1,"error":{"kind":"request",`,
		"hello\n":                            `{"version":1,"error":{"kind":"request",`,
		"{}\n":                               `{"version":1,"error":{"kind":"version",`,
		`{"version":2,"do":1}` + "\n":        `{"version":1,"error":{"kind":"request",`,
		`{"version":9,"do":"status"}` + "\n": `{"version":1,"error":{"kind":"version",`,
		`{"version":1,"do":"dance"}` + "\n":  `{"version":1,"error":{"kind":"failed","text":"\"dance\" cannot be asked for"}}`,
		`{"version":1,"do":"host","host":"x y"}` + "\n":       `{"version":1,"error":{"kind":"failed",`,
		`{"version":1,"do":"host","host":"n.example"}` + "\n": `{"version":1,"error":{"kind":"unknown-host",`,
		strings.Repeat("[", 1<<20) + "\n":                     `{"version":1,"error":{"kind":"request","text":"a line is longer than 1048576 bytes"}}`,
		strings.Repeat("[", 1<<19) + "\n":                     `{"version":1,"error":{"kind":"request",`,
	} {
		conn := dial()
		go func() { _, _ = io.WriteString(conn, request) }() // it may be cut off before it has sent all
		line, err := bufio.NewReader(conn).ReadString('\n')
		if err != nil || !strings.HasPrefix(line, want) {
			t.Errorf("%.40q was answered %.200q, %v", request, line, err)
		}
		conn.Close()
	}
	// Silent clients take the room that there is, and no more.
	var silent []net.Conn
	for range 100 {
		silent = append(silent, dial())
	}
	waitFor(t, "end to newcomers", func() bool {
		_ = silent[99].SetReadDeadline(time.Now().Add(time.Millisecond))
		_, err := silent[99].Read(make([]byte, 1))
		return err == io.EOF
	})
	if n := runtime.NumGoroutine(); n > 60 {
		t.Errorf("%d goroutines", n)
	}
	for _, conn := range silent {
		conn.Close()
	}
	waitFor(t, "answer", func() bool {
		_, err := (crawler.Control{Dir: c.Job().Dir()}).Status(t.Context())
		return err == nil
	})
}

// TestControlClosesOnClients closes a crawler that has a silent client.
func TestControlClosesOnClients(t *testing.T) {
	c, err := crawler.New(crawler.Config{Dir: filepath.Join(t.TempDir(), "job"), Control: true})
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("unix", filepath.Join(c.Job().Dir(), "control.sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if n, err := conn.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("read %d, %v", n, err)
	}
}

// TestControlOfOthers connects as another user, for which it takes root.
func TestControlOfOthers(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root to become another user")
	}
	dir, err := os.MkdirTemp("", "job")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	c, err := crawler.New(crawler.Config{Dir: filepath.Join(dir, "job"), Control: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	socket := filepath.Join(dir, "job", "control.sock")
	if err := asNobody(func() error { return dialOnce(socket) }); !errors.Is(err, syscall.EACCES) {
		t.Errorf("another user connects: %v", err)
	}
	// Even if somebody opens the socket's mode.
	if err := os.Chmod(socket, 0o666); err != nil {
		t.Fatal(err)
	}
	err = asNobody(func() error { return dialOnce(socket) })
	if runtime.GOOS == "linux" && err != io.EOF && !errors.Is(err, syscall.EPIPE) && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("another user is answered: %v", err)
	}
	if err := dialOnce(socket); err != nil {
		t.Errorf("root: %v", err)
	}
}

// dialOnce asks for a status and returns why there was no answer.
func dialOnce(socket string) error {
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, `{"version":1,"do":"status"}`+"\n"); err != nil {
		return err
	}
	_, err = bufio.NewReader(conn).ReadString('\n')
	return err
}
