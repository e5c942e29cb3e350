package crawler

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// The control protocol. The process that crawls a job listens on the Unix socket
// control.sock in the job's directory. A client sends requests, each a line of
// JSON, and gets an answer to each, a line of JSON as well:
//
//	{"version":1,"do":"pause"}
//	{"version":1,"status":{…}}
//
// "do" is one of
//
//	status                  how the job stands
//	pause, resume           as Crawler.Pause and Crawler.Resume
//	stop, "now":true        as Crawler.Stop and, with now, Crawler.StopNow; after the
//	                        answer the connection stays open until the job is closed
//	add, "urls":[…]         as Crawler.AddSeeds
//	explain, "urls":["…"]   as Crawler.Explain
//	host, "host":"…"        what is known of a host; with "change" it is changed first
//
// An answer with "error" has "kind", one of unknown-host, no-room, version, closed,
// request and failed, and "text". A request of another version is answered with an
// error of the kind version.
//
// A line of more than maxControlLine bytes, a client that is silent for
// controlPatience, and more than maxControlClients at once are turned away.
const (
	controlVersion    = 1
	maxControlLine    = 1 << 20
	maxControlAnswer  = 8 << 20
	maxControlClients = 16
	controlPatience   = 10 * time.Second
	controlName       = "control.sock"
	controlNewName    = "control.new" // a directory in which the socket is made
)

type controlRequest struct {
	Version int         `json:"version"`
	Do      string      `json:"do"`
	Now     bool        `json:"now,omitempty"`
	URLs    []string    `json:"urls,omitempty"`
	Host    string      `json:"host,omitempty"`
	Change  *HostChange `json:"change,omitempty"`
}

type controlAnswer struct {
	Version     int           `json:"version"`
	Error       *ControlError `json:"error,omitempty"`
	Status      *Status       `json:"status,omitempty"`      // of status, pause, resume, stop
	Host        *HostState    `json:"host,omitempty"`        // of host
	Explanation *Explanation  `json:"explanation,omitempty"` // of explain
	Added       int           `json:"added,omitempty"`       // of add
	Bad         []badSeed     `json:"bad,omitempty"`         // of add
}

// badSeed is a SeedError on its way.
type badSeed struct {
	Line  int    `json:"line"`
	Text  string `json:"text"`
	Error string `json:"error"`
}

// errLongLine is why a line is not read.
var errLongLine = fmt.Errorf("a line is longer than %d bytes", maxControlLine)

// readControlLine reads a line of at most so many bytes, without its end. A line
// that is not ended is io.ErrUnexpectedEOF.
func readControlLine(in *bufio.Reader, most int) (line []byte, err error) {
	for {
		part, err := in.ReadSlice('\n')
		if len(line)+len(part) > most {
			return nil, errLongLine
		}
		line = append(line, part...)
		switch {
		case err == nil:
			return line[:len(line)-1], nil
		case err == io.EOF && len(line) > 0:
			return nil, io.ErrUnexpectedEOF
		case err != bufio.ErrBufferFull:
			return nil, err
		}
	}
}

// controlConn is the client's side of a connection.
type controlConn struct {
	conn net.Conn
	in   *bufio.Reader
}

// dialControl connects to the process that runs the job in dir. The error is
// ErrNotRunning when there is no socket, or nobody behind it: its process died, or
// the directory is a copy.
func dialControl(ctx context.Context, dir string) (*controlConn, error) {
	address, release, err := socketAddress(filepath.Join(dir, controlName))
	if err != nil {
		return nil, notRunning(err)
	}
	defer release()
	conn, err := new(net.Dialer).DialContext(ctx, "unix", address)
	if err != nil {
		return nil, notRunning(err)
	}
	return &controlConn{conn, bufio.NewReader(conn)}, nil
}

// notRunning is err as ErrNotRunning, if it means that.
func notRunning(err error) error {
	for _, gone := range []error{
		os.ErrNotExist, syscall.ECONNREFUSED, syscall.ECONNRESET, syscall.EPIPE, syscall.ENOTSOCK, syscall.ENOTDIR,
		io.EOF, io.ErrUnexpectedEOF,
	} {
		if errors.Is(err, gone) {
			return ErrNotRunning
		}
	}
	return err
}

func (c *controlConn) close() { _ = c.conn.Close() }

// ask makes a request. ErrNotRunning means that the process went away.
func (c *controlConn) ask(ctx context.Context, r controlRequest) (*controlAnswer, error) {
	defer c.until(ctx)()
	r.Version = controlVersion
	text, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	if _, err := c.conn.Write(append(text, '\n')); err != nil {
		return nil, c.failure(ctx, err)
	}
	line, err := readControlLine(c.in, maxControlAnswer)
	if err != nil {
		return nil, c.failure(ctx, err)
	}
	var a controlAnswer
	if err := json.Unmarshal(line, &a); err != nil {
		return nil, fmt.Errorf("answers with what is no answer: %w", err)
	}
	switch {
	case a.Version != controlVersion:
		return nil, &ControlError{"version", fmt.Sprintf("%v: %d, and this is %d", ErrVersion, a.Version, controlVersion)}
	case a.Error != nil:
		return nil, a.Error
	}
	return &a, nil
}

// askSoon is ask, with an end.
func (c *controlConn) askSoon(ctx context.Context, r controlRequest) error {
	ctx, cancel := withControlTimeout(ctx)
	defer cancel()
	_, err := c.ask(ctx, r)
	return err
}

func withControlTimeout(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, ControlTimeout, fmt.Errorf("has not answered within %v", ControlTimeout))
}

// waitForEnd waits until the other side is gone.
func (c *controlConn) waitForEnd(ctx context.Context) error {
	defer c.until(ctx)()
	_, err := readControlLine(c.in, maxControlLine)
	if err = c.failure(ctx, err); errors.Is(err, ErrNotRunning) {
		return nil
	}
	return err
}

// until ends what waits for the connection when ctx ends; stop has to be called.
func (c *controlConn) until(ctx context.Context) (stop func()) {
	end := context.AfterFunc(ctx, func() { _ = c.conn.SetDeadline(time.Unix(1, 0)) })
	return func() { end() }
}

func (c *controlConn) failure(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return notRunning(err)
}
