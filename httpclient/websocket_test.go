package httpclient

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsflate"
)

func TestWebSocketMessages(t *testing.T) {
	w := dialWS(t, wsServe(t, nil, echo), nil)
	ctx := t.Context()
	big := strings.Repeat("ü", 100_000)
	for _, text := range []string{"", "hello", big} {
		if err := w.SendText(ctx, text); err != nil {
			t.Fatal(err)
		}
		if got, err := w.ReceiveText(ctx); err != nil || got != text {
			t.Errorf("%d bytes of text came back as %d, %v", len(text), len(got), err)
		}
	}
	data := bytes.Repeat([]byte{0, 0xff, 7}, 50_000)
	sent := bytes.Clone(data)
	if err := w.SendBytes(ctx, sent); err != nil || !bytes.Equal(sent, data) {
		t.Fatal("SendBytes:", err, "changed:", !bytes.Equal(sent, data))
	}
	if got, err := w.ReceiveBytes(ctx); err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d bytes came back as %d, %v", len(data), len(got), err)
	}
	if err := w.SendJSON(ctx, map[string]int{"a": 1}); err != nil {
		t.Fatal(err)
	}
	var v struct{ A int }
	if err := w.ReceiveJSON(ctx, &v); err != nil || v.A != 1 {
		t.Errorf("JSON: %+v, %v", v, err)
	}

	// Types and values that do not fit.
	_ = w.SendText(ctx, "text")
	var te *WSMessageTypeError
	if _, err := w.ReceiveBytes(ctx); !errors.As(err, &te) || te.Got != WSText || te.Want != WSBinary {
		t.Errorf("text received as bytes: %v", err)
	}
	_ = w.SendText(ctx, "{")
	var se *json.SyntaxError
	if err := w.ReceiveJSON(ctx, &v); !errors.As(err, &se) {
		t.Errorf("broken JSON: %v", err)
	}
	var ue *json.UnsupportedTypeError
	if err := w.SendJSON(ctx, make(chan int)); !errors.As(err, &ue) {
		t.Errorf("sending a channel as JSON: %v", err)
	}
	if err := w.SendText(ctx, "\xff"); err == nil {
		t.Error("text that is not UTF-8 is sent")
	}
	if w.Closed() || w.CloseCode() != 0 || w.Err() != nil {
		t.Errorf("the socket has suffered: %v", w.Err())
	}
}

func TestWebSocketFacts(t *testing.T) {
	url := wsServe(t, &websocket.AcceptOptions{Subprotocols: []string{"chat.v2"}}, echo)
	w := dialWS(t, url, &WSOptions{Protocols: []string{"chat.v1", "chat.v2"}})
	if w.Subprotocol() != "chat.v2" || w.Extensions() != "" || w.TLS() != nil {
		t.Errorf("subprotocol %q, extensions %q, TLS %v", w.Subprotocol(), w.Extensions(), w.TLS())
	}
	if w.NetConn() == nil || !strings.HasSuffix(url, w.RemoteAddr().String()) {
		t.Errorf("peer %v, server %s", w.RemoteAddr(), url)
	}
	plain := dialWS(t, wsServe(t, nil, echo), nil)
	if plain.Subprotocol() != "" {
		t.Errorf("subprotocol %q", plain.Subprotocol())
	}
}

func TestWebSocketCompression(t *testing.T) {
	for _, mode := range []websocket.CompressionMode{websocket.CompressionNoContextTakeover, websocket.CompressionContextTakeover} {
		url := wsServe(t, &websocket.AcceptOptions{CompressionMode: mode, CompressionThreshold: 1}, echo)
		w := dialWS(t, url, &WSOptions{Compress: 15})
		if !strings.Contains(w.Extensions(), "permessage-deflate") {
			t.Fatalf("mode %v: extensions %q", mode, w.Extensions())
		}
		for i, text := range []string{"short", strings.Repeat("again and again ", 5_000), string(page(30_000)), "short"} {
			if err := w.SendText(t.Context(), text); err != nil {
				t.Fatal(err)
			}
			if got, err := w.ReceiveText(t.Context()); err != nil || got != text {
				t.Errorf("mode %v, message %d: %d of %d bytes, %v", mode, i, len(got), len(text), err)
			}
		}
	}
}

// The bits of Compress limit the windows of both sides.
func TestWebSocketCompressionWindow(t *testing.T) {
	offer := make(chan string, 1)
	const answer = "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=10; client_max_window_bits=9\r\n"
	text := strings.Repeat("z", 200) + string(page(5_000))
	url := wsServeRaw(t, answer, func(p *rawPeer) {
		f, err := ws.ReadFrame(p.br)
		if err != nil || !f.Header.Rsv1() {
			t.Errorf("frame %+v, %v: not compressed", f.Header, err)
			return
		}
		got, err := wsflate.DecompressFrame(ws.UnmaskFrameInPlace(f))
		if err != nil || string(got.Payload) != text {
			t.Errorf("%d of %d bytes, %v", len(got.Payload), len(text), err)
		}
		p.expect(ws.OpClose, closeBody(WSNormalClosure, ""))
		p.send(ws.OpClose, true, closeBody(WSNormalClosure, ""))
	})
	w := dialWS(t, url, &WSOptions{Compress: 10, NoContextTakeover: true}, func(p *pending) error {
		p.req.Middleware = []Middleware{func(next Handler) Handler {
			return func(ctx context.Context, req *Request) (*Response, error) {
				offer <- req.Header.Get("Sec-WebSocket-Extensions")
				return next(ctx, req)
			}
		}}
		return nil
	})
	if got, want := <-offer, "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=10; client_max_window_bits=10"; strings.ReplaceAll(got, ";", "; ") != want && got != want {
		t.Errorf("offered %q, want %q", got, want)
	}
	if w.deflater.wsWindow != (wsWindow{bits: 9}) {
		t.Errorf("window %+v, want one of 9 bits", w.deflater.wsWindow)
	}
	if err := w.SendText(t.Context(), text); err != nil {
		t.Error(err)
	}
	if err := w.Close(t.Context(), WSNormalClosure, ""); err != nil {
		t.Error(err)
	}
}

func TestWebSocketManyWriters(t *testing.T) {
	w := dialWS(t, wsServe(t, &websocket.AcceptOptions{CompressionMode: websocket.CompressionNoContextTakeover}, echo), &WSOptions{Compress: 12})
	const writers, each = 8, 50
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			for k := range each {
				if err := w.SendText(t.Context(), strings.Repeat(fmt.Sprintf("%d:%d ", i, k), 1+k*20)); err != nil {
					t.Error(err)
				}
				if k%10 == 0 {
					_ = w.Ping(t.Context(), nil)
				}
			}
		})
	}
	next := [writers]int{}
	for range writers * each {
		text, err := w.ReceiveText(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var i, k int
		if _, err := fmt.Sscanf(text, "%d:%d ", &i, &k); err != nil || k != next[i] {
			t.Fatalf("%.20q out of order: %v", text, err)
		}
		next[i]++
	}
	wg.Wait()
}

// A context that ends while a message goes out ends the socket, as the peer has
// half a message; one that ends before does not.
func TestWebSocketSendCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := pipeWS(t, nil, func(p *rawPeer) {
			time.Sleep(time.Minute)
			_, _ = io.Copy(io.Discard, p.Conn)
		})
		first := make(chan error, 1)
		go func() {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			first <- w.SendBytes(ctx, []byte("x"))
		}()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := w.SendText(ctx, "waits for its turn"); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ErrWSClosed) || w.Closed() {
			t.Errorf("ended before its turn: %v, closed %t", err, w.Closed())
		}
		err := <-first
		wantWSError(t, err, WSAbnormalClosure, false)
		if !errors.Is(err, context.DeadlineExceeded) || !w.Closed() {
			t.Errorf("cut: %v, closed %t", err, w.Closed())
		}
		_ = w.Close(t.Context(), WSNormalClosure, "")
	})
}

func TestWSNames(t *testing.T) {
	for code, want := range map[WSCloseCode]string{WSNormalClosure: "1000 normal closure", 4000: "4000"} {
		if code.String() != want {
			t.Errorf("%q, want %q", code.String(), want)
		}
	}
	for kind, want := range map[WSMessageType]string{WSText: "text", WSBinary: "binary", WSClose: "close", WSPing: "ping", WSPong: "pong", 3: "WSMessageType(3)"} {
		if kind.String() != want {
			t.Errorf("%q, want %q", kind.String(), want)
		}
	}
	m := WSMessage{Type: WSText, Data: []byte(`[1,2]`)}
	var v []int
	if err := m.JSON(&v); err != nil || len(v) != 2 {
		t.Errorf("%v, %v", v, err)
	}
}
