package httpclient

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
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsflate"
)

func TestWebSocketPingPong(t *testing.T) {
	url := wsServeRaw(t, "", func(p *rawPeer) {
		p.send(ws.OpPing, true, "are you there")
		p.expect(ws.OpPong, "are you there")
		p.expect(ws.OpPing, "and you")
		p.send(ws.OpPong, true, "and you")
		p.expect(ws.OpPong, "unasked")
		p.send(ws.OpText, true, "through")
		p.expect(ws.OpClose, closeBody(WSNormalClosure, ""))
		p.send(ws.OpClose, true, closeBody(WSNormalClosure, ""))
	})
	w := dialWS(t, url, nil)
	// Nobody receives, and yet the ping is answered.
	time.Sleep(time.Millisecond)
	if err := w.Ping(t.Context(), []byte("and you")); err != nil {
		t.Error(err)
	}
	if err := w.Pong(t.Context(), []byte("unasked")); err != nil {
		t.Error(err)
	}
	if got, err := w.ReceiveText(t.Context()); err != nil || got != "through" {
		t.Errorf("%q, %v", got, err)
	}
	if err := w.Ping(t.Context(), make([]byte, 126)); err == nil || w.Closed() {
		t.Errorf("a ping of 126 bytes: %v", err)
	}
	if err := w.Close(t.Context(), WSNormalClosure, ""); err != nil {
		t.Error(err)
	}
}

func TestWebSocketNoAutoPing(t *testing.T) {
	url := wsServeRaw(t, "", func(p *rawPeer) {
		p.send(ws.OpPing, true, "one")
		p.expect(ws.OpPong, "one") // the user's
		p.send(ws.OpPong, true, "two")
		p.expect(ws.OpClose, closeBody(WSNormalClosure, ""))
		p.send(ws.OpClose, true, "")
	})
	w := dialWS(t, url, &WSOptions{NoAutoPing: true})
	m, err := w.Receive(t.Context())
	if err != nil || m.Type != WSPing || string(m.Data) != "one" {
		t.Errorf("%+v, %v", m, err)
	}
	if err := w.Pong(t.Context(), m.Data); err != nil {
		t.Error(err)
	}
	if m, err := w.Receive(t.Context()); err != nil || m.Type != WSPong || string(m.Data) != "two" {
		t.Errorf("%+v, %v", m, err)
	}
	if err := w.Close(t.Context(), WSNormalClosure, ""); err != nil || w.CloseCode() != WSNoStatus {
		t.Errorf("%v, code %v", err, w.CloseCode())
	}
}

func TestWebSocketFragments(t *testing.T) {
	url := wsServeRaw(t, "", func(p *rawPeer) {
		p.send(ws.OpText, false, "gr\xc3")
		p.send(ws.OpPing, true, "between")
		p.send(ws.OpContinuation, false, "")
		p.send(ws.OpContinuation, true, "\xbc\xc3\x9fe")
		p.send(ws.OpBinary, false, "")
		p.send(ws.OpContinuation, true, "")
		p.expect(ws.OpPong, "between")
		p.expect(ws.OpClose, closeBody(WSNormalClosure, ""))
		p.send(ws.OpClose, true, closeBody(WSNormalClosure, ""))
	})
	w := dialWS(t, url, nil)
	if got, err := w.ReceiveText(t.Context()); err != nil || got != "grüße" {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := w.ReceiveBytes(t.Context()); err != nil || len(got) != 0 {
		t.Errorf("%q, %v", got, err)
	}
	if err := w.Close(t.Context(), WSNormalClosure, ""); err != nil {
		t.Error(err)
	}
}

// What the peer does wrong ends the socket with a code, which the peer is told.
func TestWebSocketProtocolErrors(t *testing.T) {
	deflate := "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover\r\n"
	compressed := func(payload string) ws.Frame {
		f := ws.NewTextFrame([]byte(payload))
		f.Header.Rsv = ws.Rsv(true, false, false)
		return f
	}
	var bomb bytes.Buffer
	if err := (&wsflate.Helper{Compressor: wsflate.DefaultHelper.Compressor}).CompressTo(&bomb, make([]byte, 1<<20)); err != nil {
		t.Fatal(err)
	}
	masked := ws.MaskFrame(ws.NewTextFrame([]byte("x")))
	reserved := ws.NewTextFrame([]byte("x"))
	reserved.Header.Rsv = ws.Rsv(false, true, false)
	long := ws.NewPingFrame(make([]byte, 126))
	for name, tc := range map[string]struct {
		field  string
		frames []ws.Frame
		code   WSCloseCode
	}{
		"masked":                   {"", []ws.Frame{masked}, WSProtocolError},
		"reserved bit":             {"", []ws.Frame{reserved}, WSProtocolError},
		"reserved bit, extended":   {deflate, []ws.Frame{reserved}, WSProtocolError},
		"reserved opcode":          {"", []ws.Frame{ws.NewFrame(3, true, nil)}, WSProtocolError},
		"compressed, not agreed":   {"", []ws.Frame{compressed("x")}, WSProtocolError},
		"long control frame":       {"", []ws.Frame{long}, WSProtocolError},
		"fragmented control frame": {"", []ws.Frame{ws.NewFrame(ws.OpPing, false, nil)}, WSProtocolError},
		"lone continuation":        {"", []ws.Frame{ws.NewFrame(ws.OpContinuation, true, nil)}, WSProtocolError},
		"message within a message": {"", []ws.Frame{ws.NewFrame(ws.OpText, false, nil), ws.NewTextFrame(nil)}, WSProtocolError},
		"half a close code":        {"", []ws.Frame{ws.NewCloseFrame([]byte{3})}, WSProtocolError},
		"close code 1005":          {"", []ws.Frame{ws.NewCloseFrame(ws.NewCloseFrameBody(1005, ""))}, WSProtocolError},
		"close code 2999":          {"", []ws.Frame{ws.NewCloseFrame(ws.NewCloseFrameBody(2999, ""))}, WSProtocolError},
		"bad close reason":         {"", []ws.Frame{ws.NewCloseFrame(ws.NewCloseFrameBody(1000, "\xff"))}, WSProtocolError},
		"not UTF-8":                {"", []ws.Frame{ws.NewTextFrame([]byte("a\xff"))}, WSInvalidText},
		"too long":                 {"", []ws.Frame{ws.NewBinaryFrame(make([]byte, 2000))}, WSMessageTooBig},
		"too long in fragments": {"", []ws.Frame{ws.NewFrame(ws.OpBinary, false, make([]byte, 600)),
			ws.NewFrame(ws.OpContinuation, true, make([]byte, 600))}, WSMessageTooBig},
		"bomb":            {deflate, []ws.Frame{compressed(bomb.String())}, WSMessageTooBig},
		"not deflate":     {deflate, []ws.Frame{compressed("\xff\xff\xff\xff\xff")}, WSInvalidText},
		"deflate cut off": {deflate, []ws.Frame{compressed("\xf2\x48")}, WSInvalidText},
	} {
		t.Run(name, func(t *testing.T) {
			told := make(chan string, 1)
			url := wsServeRaw(t, tc.field, func(p *rawPeer) {
				for _, f := range tc.frames {
					_ = p.sendFrame(f)
				}
				op, payload, err := p.next()
				told <- fmt.Sprint(op, payload, err)
				_, _ = io.Copy(io.Discard, p.Conn)
			})
			w := dialWS(t, url, &WSOptions{MaxMessage: 1000, Compress: 15})
			_, err := w.Receive(t.Context())
			wantWSError(t, err, tc.code, false)
			if got, want := <-told, fmt.Sprint(ws.OpClose, closeBody(tc.code, ""), nil); got != want {
				t.Errorf("the server was told %q, want %q", got, want)
			}
			_, again := w.Receive(t.Context())
			if send := w.SendText(t.Context(), "x"); again != err || send != err || w.Err() != err || w.CloseCode() != tc.code {
				t.Errorf("not one error for all: %v, %v, %v, %v", err, again, send, w.Err())
			}
		})
	}
}

func TestWebSocketReceiveWaits(t *testing.T) {
	w := dialWS(t, wsServe(t, nil, echo), &WSOptions{ReceiveTimeout: 20 * time.Millisecond})
	var te *TimeoutError
	if _, err := w.Receive(t.Context()); !errors.As(err, &te) || !errors.Is(err, context.DeadlineExceeded) || te.Limit != 20*time.Millisecond {
		t.Errorf("ReceiveTimeout: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := w.Receive(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if err := w.SendText(ctx, "x"); !errors.Is(err, context.Canceled) {
		t.Errorf("sending, cancelled: %v", err)
	}
	for m, err := range w.Messages(ctx) {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("Messages, cancelled: %+v, %v", m, err)
		}
	}
	// All of that has left the socket alone.
	if err := w.SendText(t.Context(), "still there"); err != nil {
		t.Fatal(err)
	}
	if got, err := w.ReceiveText(t.Context()); err != nil || got != "still there" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestWebSocketOneReceiver(t *testing.T) {
	w := dialWS(t, wsServe(t, nil, echo), nil)
	ctx, cancel := context.WithCancel(t.Context())
	first := make(chan error, 1)
	go func() { _, err := w.Receive(ctx); first <- err }()
	for !w.receiving.Load() {
		time.Sleep(time.Millisecond)
	}
	if _, err := w.Receive(t.Context()); err != ErrWSReceiving {
		t.Errorf("a second receiver: %v", err)
	}
	cancel()
	if err := <-first; !errors.Is(err, context.Canceled) {
		t.Errorf("the first receiver: %v", err)
	}
}

// A peer that sends faster than anybody receives is made to wait; nothing is lost.
func TestWebSocketBackPressure(t *testing.T) {
	const n = 3000
	url := wsServe(t, nil, func(ctx context.Context, c *websocket.Conn, _ *http.Request) {
		for i := range n {
			if err := c.Write(ctx, websocket.MessageText, fmt.Appendf(nil, "%05d %s", i, strings.Repeat("x", 1000))); err != nil {
				t.Error(err)
				return
			}
		}
		_, _, _ = c.Read(ctx) // answers what pings have come, and the closing
	})
	w := dialWS(t, url, &WSOptions{MaxMessage: 20_000})
	for !w.stalled.Load() {
		time.Sleep(time.Millisecond)
	}
	w.mu.Lock()
	waiting, bytes := len(w.queue), w.queued
	w.mu.Unlock()
	if bytes > 20_000 || waiting > wsQueueLength || waiting == 0 {
		t.Errorf("%d messages with %d bytes wait", waiting, bytes)
	}
	for i := range n {
		if text, err := w.ReceiveText(t.Context()); err != nil || !strings.HasPrefix(text, fmt.Sprintf("%05d ", i)) {
			t.Fatalf("message %d: %.10q, %v", i, text, err)
		}
	}
}

func TestWebSocketHeartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pings := 0
		w := pipeWS(t, &WSOptions{Heartbeat: 10 * time.Second}, func(p *rawPeer) { p.answerPings(func() { pings++ }) })
		time.Sleep(time.Minute + time.Second)
		synctest.Wait()
		if pings != 6 || w.Closed() {
			t.Errorf("%d pings in a minute, want 6; %v", pings, w.Err())
		}
		if err := w.Close(t.Context(), WSNormalClosure, ""); err != nil {
			t.Error(err)
		}
	})
	synctest.Test(t, func(t *testing.T) { // a dead peer: who waits is told
		w := pipeWS(t, &WSOptions{Heartbeat: 10 * time.Second}, func(p *rawPeer) { _, _ = io.Copy(io.Discard, p.Conn) })
		start := time.Now()
		_, err := w.Receive(t.Context())
		wantWSError(t, err, WSAbnormalClosure, false)
		if took := time.Since(start); !errors.Is(err, ErrWSHeartbeat) || took != 15*time.Second {
			t.Errorf("after %v: %v; want ErrWSHeartbeat after 15s", took, err)
		}
		_ = w.Close(t.Context(), WSNormalClosure, "")
	})
	synctest.Test(t, func(t *testing.T) { // any sign of life will do
		w := pipeWS(t, &WSOptions{Heartbeat: 10 * time.Second, CloseTimeout: time.Second}, func(p *rawPeer) {
			go func() { _, _ = io.Copy(io.Discard, p.Conn) }()
			for p.sendFrame(ws.NewTextFrame([]byte("..."))) == nil {
				time.Sleep(4 * time.Second)
			}
		})
		time.Sleep(time.Minute)
		if w.Closed() {
			t.Errorf("a peer that talks without answering: %v", w.Err())
		}
		_ = w.Close(t.Context(), WSNormalClosure, "")
	})
}

// While nothing is read because nobody receives, silence is not the peer's fault.
func TestWebSocketHeartbeatWhileStalled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = wsQueueLength + 20
		w := pipeWS(t, &WSOptions{Heartbeat: 10 * time.Second}, func(p *rawPeer) {
			go p.answerPings(func() {})
			for range n {
				_ = p.sendFrame(ws.NewTextFrame([]byte("...")))
			}
			time.Sleep(3 * time.Minute)
		})
		time.Sleep(time.Minute)
		if !w.stalled.Load() || w.Closed() {
			t.Fatalf("stalled %t, %v", w.stalled.Load(), w.Err())
		}
		for i := range n {
			if _, err := w.ReceiveText(t.Context()); err != nil {
				t.Fatalf("message %d: %v", i, err)
			}
		}
		time.Sleep(time.Minute)
		if w.Closed() {
			t.Errorf("afterwards: %v", w.Err())
		}
		if err := w.Close(t.Context(), WSNormalClosure, ""); err != nil {
			t.Error(err)
		}
	})
}

// FuzzWebSocketFrames feeds the reader whatever a server may send.
func FuzzWebSocketFrames(f *testing.F) {
	frames := func(list ...ws.Frame) []byte {
		var b bytes.Buffer
		for _, fr := range list {
			_ = ws.WriteFrame(&b, fr)
		}
		return b.Bytes()
	}
	compressed, err := wsflate.CompressFrame(ws.NewTextFrame([]byte("hello hello hello")))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(frames(ws.NewTextFrame([]byte("hello")), ws.NewPingFrame([]byte("p")), ws.NewCloseFrame(ws.NewCloseFrameBody(1000, "x"))), false, false)
	f.Add(frames(ws.NewFrame(ws.OpText, false, []byte("a")), ws.NewPongFrame(nil), ws.NewFrame(ws.OpContinuation, true, []byte("b"))), false, false)
	f.Add(frames(compressed, compressed), true, false)
	f.Add(frames(compressed, compressed, ws.NewTextFrame([]byte("plain")), compressed), true, true)
	f.Add([]byte{0x81, 0x7f, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, false, false)
	f.Fuzz(func(t *testing.T, input []byte, deflate, kept bool) {
		client, server := net.Pipe()
		go func() {
			_, _ = server.Write(input)
			_ = server.Close()
		}()
		go func() { _, _ = io.Copy(io.Discard, server) }()
		w := newWebSocket(WSOptions{MaxMessage: 10_000, CloseTimeout: time.Second, NoAutoPing: true}, json.Marshal)
		if deflate {
			window := wsWindow{9, kept}
			w.deflater, w.inflater = &wsDeflater{wsWindow: window}, &wsInflater{wsWindow: window}
		}
		w.run(client, bufio.NewReader(client))
		for m, err := range w.Messages(context.Background()) {
			if err == nil && len(m.Data) > 10_000 {
				t.Fatalf("a message of %d bytes", len(m.Data))
			}
		}
		_ = w.Close(context.Background(), WSNormalClosure, "")
		if !w.Closed() {
			t.Fatal("not closed")
		}
	})
}
