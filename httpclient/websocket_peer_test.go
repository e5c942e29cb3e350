package httpclient

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/gobwas/ws"
)

// wsServe is a server of another make: each socket is handled by h.
func wsServe(t testing.TB, opts *websocket.AcceptOptions, h func(ctx context.Context, c *websocket.Conn, r *http.Request)) string {
	t.Helper()
	var wg sync.WaitGroup
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
		wg.Add(1)
		defer wg.Done()
		c, err := websocket.Accept(w, r, opts)
		if err != nil {
			return
		}
		c.SetReadLimit(-1)
		defer c.CloseNow()
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		h(ctx, c, r)
	})
	t.Cleanup(wg.Wait)
	return "ws" + strings.TrimPrefix(srv.URL, "http")
}

// echo sends everything back.
func echo(ctx context.Context, c *websocket.Conn, _ *http.Request) {
	for {
		kind, data, err := c.Read(ctx)
		if err != nil || c.Write(ctx, kind, data) != nil {
			return
		}
	}
}

// rawPeer is the server's end of a socket, frame by frame.
type rawPeer struct {
	t testing.TB
	net.Conn
	br *bufio.Reader
	mu sync.Mutex // held to send a frame
}

// wsServeRaw opens sockets without a library behind them, so that h can misbehave.
// field is appended to the head of the answer.
func wsServeRaw(t testing.TB, field string, h func(p *rawPeer)) string {
	t.Helper()
	var wg sync.WaitGroup
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
		wg.Add(1)
		defer wg.Done()
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
		fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nupgrade: WebSocket\r\nconnection: keep-alive, Upgrade\r\nSec-WebSocket-Accept: %s\r\n%s\r\n",
			acceptWSKey(r.Header.Get("Sec-WebSocket-Key")), field)
		h(&rawPeer{t: t, Conn: conn, br: rw.Reader})
	})
	t.Cleanup(wg.Wait)
	return srv.URL
}

func (p *rawPeer) send(op ws.OpCode, fin bool, payload string) {
	_ = p.sendFrame(ws.NewFrame(op, fin, []byte(payload)))
}

func (p *rawPeer) sendFrame(f ws.Frame) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return ws.WriteFrame(p.Conn, f)
}

// next reads a frame; its error is that of the connection.
func (p *rawPeer) next() (ws.OpCode, string, error) {
	f, err := ws.ReadFrame(p.br)
	if err != nil {
		return 0, "", err
	}
	if !f.Header.Masked {
		p.t.Error("a frame of the client is not masked")
	}
	return f.Header.OpCode, string(ws.UnmaskFrameInPlace(f).Payload), nil
}

// expect reads a frame that must be op with payload.
func (p *rawPeer) expect(op ws.OpCode, payload string) {
	p.t.Helper()
	gotOp, got, err := p.next()
	if err != nil || gotOp != op || got != payload {
		p.t.Errorf("the server got op %x %q, %v; want op %x %q", gotOp, got, err, op, payload)
	}
}

func closeBody(code WSCloseCode, reason string) string {
	return string(ws.NewCloseFrameBody(ws.StatusCode(code), reason))
}

func dialWS(t testing.TB, url string, opts *WSOptions, reqOpts ...RequestOption) *WebSocket {
	t.Helper()
	s := newSession(t, Config{Jar: NewCookieJar(JarConfig{AllowIP: true})})
	w, err := s.DialWebSocket(t.Context(), url, opts, reqOpts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = w.Close(ctx, WSNormalClosure, "")
	})
	return w
}

func wantWSError(t testing.TB, err error, code WSCloseCode, orderly bool) {
	t.Helper()
	e := (*WSError)(nil)
	if !errors.As(err, &e) || e.Code != code || e.orderly() != orderly || !errors.Is(err, ErrWSClosed) {
		t.Errorf("error %v; want a *WSError with code %v, orderly %t", err, code, orderly)
	}
}

// pipeWS is a socket over a pipe, for tests on virtual time. What h leaves open is
// closed.
func pipeWS(t *testing.T, opts *WSOptions, h func(p *rawPeer)) *WebSocket {
	t.Helper()
	completed, err := opts.completed()
	if err != nil {
		t.Fatal(err)
	}
	client, server := net.Pipe()
	served := make(chan bool)
	go func() {
		defer close(served)
		defer server.Close()
		h(&rawPeer{t: t, Conn: server, br: bufio.NewReader(server)})
	}()
	t.Cleanup(func() { <-served })
	w := newWebSocket(completed, json.Marshal)
	w.run(client, bufio.NewReader(client))
	return w
}

// answerPings answers pings and closing until the connection ends.
func (p *rawPeer) answerPings(pinged func()) {
	for {
		op, payload, err := p.next()
		switch {
		case err != nil:
			return
		case op == ws.OpPing:
			pinged()
			p.send(ws.OpPong, true, payload)
		case op == ws.OpClose:
			p.send(ws.OpClose, true, payload)
			return
		}
	}
}
