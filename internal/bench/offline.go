package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/orbweaver/orbweaver/crawler"
	"github.com/orbweaver/orbweaver/httpclient"
	"github.com/orbweaver/orbweaver/internal/simweb"
)

// A tape is the answers of a web in memory, for a crawl that shares the machine with no server. It is kept in two files:
// all answers as they go over the wire, one after the other, and a line for each with its URL and length.
type tape struct {
	answers map[string]*answer // by host and path
	size    int64              // of what is mapped
}

type answer struct {
	wire  []byte
	page  bool         // not robots.txt
	given atomic.Int64 // how often
}

func tapeFiles(dir string) (answers, index string) {
	return filepath.Join(dir, "tape"), filepath.Join(dir, "tape.txt")
}

// recordTape fetches all pages, and the robots.txt beside each seed, into a tape in dir.
func recordTape(ctx context.Context, dir string, urls, seeds []string) (err error) {
	answers, index := tapeFiles(dir)
	data, err := os.Create(answers)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, data.Close()) }()
	w := bufio.NewWriter(data)
	transport := &http.Transport{DisableCompression: true}
	defer transport.CloseIdleConnections()
	var lines strings.Builder
	for _, seed := range seeds {
		urls = append(urls, seed+"robots.txt")
	}
	for _, u := range urls {
		n, err := record(ctx, w, transport, u)
		if err != nil {
			return fmt.Errorf("%s: %w", u, err)
		}
		fmt.Fprintf(&lines, "%s %d\n", u, n)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return os.WriteFile(index, []byte(lines.String()), 0o644)
}

// record writes the answer to one URL and returns its length.
func record(ctx context.Context, w io.Writer, transport *http.Transport, u string) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u, nil)
	if err != nil {
		return 0, err
	}
	req.Header.Set("Accept-Encoding", "gzip")
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err
	}
	var wire bytes.Buffer
	fmt.Fprintf(&wire, "HTTP/1.1 %s\r\n", resp.Status)
	resp.Header.Set("Content-Length", fmt.Sprint(len(body)))
	if err := resp.Header.Write(&wire); err != nil {
		return 0, err
	}
	wire.WriteString("\r\n")
	wire.Write(body)
	return w.Write(wire.Bytes())
}

// openTape maps a tape into memory, where it is no concern of the garbage collector's.
func openTape(dir string) (*tape, error) {
	answers, index := tapeFiles(dir)
	f, err := os.Open(answers)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	data, err := unix.Mmap(int(f.Fd()), 0, int(info.Size()), unix.PROT_READ, unix.MAP_SHARED|unix.MAP_POPULATE)
	if err != nil {
		return nil, err
	}
	lines, err := readLines(index)
	if err != nil {
		return nil, err
	}
	t := &tape{answers: make(map[string]*answer, len(lines)/2), size: info.Size()}
	for i := 0; i+1 < len(lines); i += 2 {
		u, err := url.Parse(lines[i])
		if err != nil {
			return nil, err
		}
		var n int
		if _, err := fmt.Sscan(lines[i+1], &n); err != nil {
			return nil, err
		}
		t.answers[u.Host+u.RequestURI()] = &answer{wire: data[:n], page: u.Path != "/robots.txt"}
		data = data[n:]
	}
	return t, nil
}

func (t *tape) counts() (c simweb.Counts) {
	for _, a := range t.answers {
		n := a.given.Load()
		c.Requests += n
		if !a.page {
			c.Robots += n
			continue
		}
		c.Pages += n
		c.Distinct += min(n, 1)
	}
	return c
}

// crawlTape crawls a tape, durably and with bodies, and prints a taped.
func crawlTape(ctx context.Context, t task) error {
	tape, err := openTape(t.dir)
	if err != nil {
		return err
	}
	connector, err := httpclient.NewTCPConnector(httpclient.TCPConfig{
		PoolConfig: httpclient.PoolConfig{Limit: httpclient.Unlimited},
		Dial:       func(context.Context, netip.AddrPort) (net.Conn, error) { return &tapeConn{tape: tape}, nil },
	})
	if err != nil {
		return err
	}
	s, err := httpclient.New(httpclient.Config{Connector: connector, Jar: httpclient.DummyJar{}})
	if err != nil {
		return err
	}
	defer s.Close()
	cfg := crawler.Config{
		Session: s,
		// Answers come at once, so what workers wait for are commits: that there is always one with work to do takes more of them.
		Concurrency: 4 * concurrency,
		Memory:      crawler.DefaultMemory + tape.size, // the tape is not the crawler's
	}
	began := time.Now()
	if err := crawl(ctx, t, cfg); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(taped{tape.counts(), time.Since(began)})
}

// taped is what the crawl of a tape prints. A web is there before others begin; this one is opened by its crawl.
type taped struct {
	Counts simweb.Counts
	Took   time.Duration
}

// tapeConn is a connection that a tape answers on. A request comes in one Write.
type tapeConn struct {
	tape   *tape
	unread []byte
}

func (c *tapeConn) Write(b []byte) (int, error) {
	path, rest, _ := bytes.Cut(b, []byte(" HTTP/1.1\r\n"))
	path, isGet := bytes.CutPrefix(path, []byte("GET "))
	_, rest, _ = bytes.Cut(rest, []byte("Host: "))
	host, _, _ := bytes.Cut(rest, []byte("\r\n"))
	a := c.tape.answers[string(host)+string(path)]
	if a == nil || !isGet {
		return 0, fmt.Errorf("not on tape: %.200q", b)
	}
	a.given.Add(1)
	c.unread = a.wire
	return len(b), nil
}

func (c *tapeConn) Read(b []byte) (int, error) {
	if len(c.unread) == 0 {
		return 0, io.EOF
	}
	n := copy(b, c.unread)
	c.unread = c.unread[n:]
	return n, nil
}

func (c *tapeConn) Close() error                     { return nil }
func (c *tapeConn) LocalAddr() net.Addr              { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }
func (c *tapeConn) RemoteAddr() net.Addr             { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }
func (c *tapeConn) SetDeadline(time.Time) error      { return nil }
func (c *tapeConn) SetReadDeadline(time.Time) error  { return nil }
func (c *tapeConn) SetWriteDeadline(time.Time) error { return nil }
