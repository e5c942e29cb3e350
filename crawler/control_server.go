package crawler

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// controlServer answers at the control socket of a crawler.
type controlServer struct {
	crawler  *Crawler
	listener *net.UnixListener
	path     string
	made     os.FileInfo // of the socket at path
	clients  sync.WaitGroup

	mu    sync.Mutex
	conns map[*net.UnixConn]struct{} // nil: closed
}

// startControl opens the control socket. A crawl can do without: why there is
// none is logged.
func (c *Crawler) startControl() {
	if !c.cfg.Control || c.temp != "" {
		return
	}
	s, err := newControlServer(c)
	if err != nil {
		c.cfg.Logger.Warn("no control socket: this run can be stopped by signals only", "error", err)
		return
	}
	c.control = s
	s.clients.Go(s.accept)
}

func newControlServer(c *Crawler) (*controlServer, error) {
	l, err := listenControl(c.job.dir)
	if err != nil {
		return nil, err
	}
	s := &controlServer{
		crawler: c, listener: l, path: filepath.Join(c.job.dir, controlName),
		conns: make(map[*net.UnixConn]struct{}),
	}
	if s.made, err = os.Lstat(s.path); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return s, nil
}

// acceptPause is how long accept rests when the system has no descriptor for a
// client.
const acceptPause = 100 * time.Millisecond

func (s *controlServer) accept() {
	for {
		conn, err := s.listener.AcceptUnix()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil:
			time.Sleep(acceptPause)
		case s.add(conn):
			s.clients.Go(func() { s.serve(conn) })
		default:
			_ = conn.Close()
		}
	}
}

// add takes a client on, unless there are too many or it is another user's.
func (s *controlServer) add(conn *net.UnixConn) bool {
	if err := checkPeer(conn); err != nil {
		s.crawler.cfg.Logger.Warn("a client of the control socket was turned away", "error", err)
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conns == nil || len(s.conns) >= maxControlClients {
		return false
	}
	s.conns[conn] = struct{}{}
	return true
}

// serve answers a client until it leaves, is silent, or the server is closed.
func (s *controlServer) serve(conn *net.UnixConn) {
	defer s.remove(conn)
	in := bufio.NewReader(conn)
	for {
		_ = conn.SetReadDeadline(time.Now().Add(controlPatience))
		line, err := readControlLine(in, maxControlLine)
		var a *controlAnswer
		var r controlRequest
		switch {
		case errors.Is(err, errLongLine):
			a = refuse("request", err)
		case err != nil:
			return
		default:
			r, a = s.crawler.answerLine(line)
		}
		a.Version = controlVersion
		if !s.send(conn, a) || err != nil {
			return
		}
		if r.Do == "stop" && a.Error == nil {
			s.untilGone(conn, in)
			return
		}
	}
}

func (s *controlServer) send(conn *net.UnixConn, a *controlAnswer) bool {
	text, err := json.Marshal(a)
	if err != nil {
		return false
	}
	_ = conn.SetWriteDeadline(time.Now().Add(controlPatience))
	_, err = conn.Write(append(text, '\n'))
	return err == nil
}

// untilGone keeps the connection of a client that waits for the end, until it
// leaves or says another word.
func (s *controlServer) untilGone(conn *net.UnixConn, in *bufio.Reader) {
	_ = conn.SetReadDeadline(time.Time{})
	_, _ = in.ReadByte()
}

func (s *controlServer) remove(conn *net.UnixConn) {
	s.mu.Lock()
	delete(s.conns, conn)
	s.mu.Unlock()
	_ = conn.Close()
}

// leave takes the socket away. Clients that are there stay.
func (s *controlServer) leave() {
	if now, err := os.Lstat(s.path); err == nil && os.SameFile(now, s.made) {
		_ = os.Remove(s.path)
	}
	_ = s.listener.Close()
}

// close sends all clients away and waits for what was begun for them.
func (s *controlServer) close() {
	s.mu.Lock()
	conns := s.conns
	s.conns = nil
	for conn := range conns {
		_ = conn.SetDeadline(time.Unix(1, 0))
	}
	s.mu.Unlock()
	s.clients.Wait()
}

func refuse(kind string, err error) *controlAnswer {
	return &controlAnswer{Error: &ControlError{kind, clip(err.Error(), maxControlText)}}
}

// answerLine answers a request as it came.
func (c *Crawler) answerLine(line []byte) (r controlRequest, a *controlAnswer) {
	if err := json.Unmarshal(line, &r); err != nil {
		return r, refuse("request", fmt.Errorf("what was asked is no request: %w", err))
	}
	if r.Version != controlVersion {
		return r, refuse("version", fmt.Errorf("%w: %d, and was asked in %d", ErrVersion, controlVersion, r.Version))
	}
	if err := c.begin(); err != nil {
		return r, refuse("closed", err)
	}
	defer c.calls.Done()
	a = &controlAnswer{}
	err := guard(func() error { return c.answer(&r, a) })
	if err != nil {
		a.Error = refusal(err)
	}
	return r, a
}

// answer does what was asked for.
func (c *Crawler) answer(r *controlRequest, a *controlAnswer) (err error) {
	ctx, cancel := context.WithTimeout(c.open, ControlTimeout)
	defer cancel()
	switch r.Do {
	case "status":
	case "pause":
		err = c.Pause()
	case "resume":
		err = c.Resume()
	case "stop":
		if r.Now {
			c.StopNow()
		} else {
			c.Stop()
		}
	case "add":
		return c.answerAdd(ctx, r.URLs, a)
	case "explain":
		if len(r.URLs) != 1 {
			return errors.New("one URL at a time is explained")
		}
		a.Explanation, err = c.Explain(ctx, r.URLs[0])
		return err
	case "host":
		if r.Change != nil {
			a.Host, err = c.ChangeHost(ctx, r.Host, *r.Change)
		} else {
			a.Host, err = c.Host(ctx, r.Host)
		}
		return err
	default:
		return fmt.Errorf("%q cannot be asked for", clip(r.Do, 100))
	}
	a.Status = c.status()
	return err
}

func (c *Crawler) answerAdd(ctx context.Context, urls []string, a *controlAnswer) (err error) {
	if c.reserve.isLow() { // the commit would have to wait, and the client with it
		return ErrNoRoom
	}
	a.Added, err = c.AddSeeds(ctx, slices.Values(urls))
	bad, err := splitSeedErrors(err)
	for _, b := range bad {
		a.Bad = append(a.Bad, badSeed{b.Line, clip(b.Text, maxControlText), clip(b.Err.Error(), maxControlText)})
	}
	return err
}

// status is how the crawler stands.
func (c *Crawler) status() *Status {
	state := StateOpen
	if c.running.Load() {
		state = StateRunning
	}
	return c.makeStatus(c.Stats(), state)
}
