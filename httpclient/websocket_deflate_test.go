package httpclient

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/coder/websocket"
	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsflate"
	"github.com/klauspost/compress/flate"
)

// TestWSDeflateTerms: what is offered, and what becomes of the server's answers, RFC 7692 section 7.1.
func TestWSDeflateTerms(t *testing.T) {
	const ext = "permessage-deflate"
	for _, v := range []struct {
		bits   int
		alone  bool // NoContextTakeover
		offer  string
		answer string
		want   string // send bits, receive bits, with ! when kept; "": refused
	}{
		{15, false, "client_max_window_bits", "", "15! 15!"},
		{15, false, "", "server_no_context_takeover", "15! 15"},
		{15, false, "", "client_no_context_takeover", "15 15!"},
		{15, false, "", "server_no_context_takeover;client_no_context_takeover", "15 15"},
		{15, false, "", "server_max_window_bits=9", "15! 9!"},
		{15, false, "", "server_max_window_bits=\"10\"; client_max_window_bits=8", "8! 10!"},
		{15, false, "", "client_max_window_bits=15", "15! 15!"},
		{15, false, "", "client_max_window_bits", ""}, {15, false, "", "client_max_window_bits=16", ""}, {15, false, "", "client_max_window_bits=7", ""},
		{15, false, "", "server_max_window_bits", ""}, {15, false, "", "server_max_window_bits=1000000000000000000000", ""},
		{15, false, "", "server_no_context_takeover=1", ""}, {15, false, "", "server_no_context_takeover; server_no_context_takeover", ""},
		{15, false, "", "client_max_window_bits=10; client_max_window_bits=11", ""}, {15, false, "", "x_own", ""},
		{10, false, "server_max_window_bits=10;client_max_window_bits=10", "server_max_window_bits=10", "10! 10!"},
		{10, false, "", "server_max_window_bits=8;client_max_window_bits=9", "9! 8!"},
		{10, false, "", "server_max_window_bits=9;client_max_window_bits=12", "10! 9!"},
		{10, false, "", "server_max_window_bits=11", ""}, {10, false, "", "", ""},
		{15, true, "server_no_context_takeover;client_no_context_takeover;client_max_window_bits", "server_no_context_takeover", "15 15"},
		{15, true, "", "client_no_context_takeover", ""}, {15, true, "", "", ""},
	} {
		o := WSOptions{Compress: v.bits, NoContextTakeover: v.alone}
		if got := strings.ReplaceAll(o.deflateOffer(), "; ", ";"); v.offer != "" && got != ext+";"+v.offer {
			t.Errorf("offered %q, want %q", got, v.offer)
		}
		answer := ext
		if v.answer != "" {
			answer += "; " + v.answer
		}
		send, receive, err := o.agreeDeflate(answer)
		got := ""
		if err == nil {
			mark := map[bool]string{true: "!"}
			got = fmt.Sprintf("%d%s %d%s", send.bits, mark[send.kept], receive.bits, mark[receive.kept])
		}
		if got != v.want {
			t.Errorf("%d bits, alone %v, answer %q: %q, %v; want %q", v.bits, v.alone, v.answer, got, err, v.want)
		}
	}
	for _, answer := range []string{ext + ", " + ext, "permessage-bzip2", ext + "; ="} {
		if _, _, err := (&WSOptions{Compress: 15}).agreeDeflate(answer); err == nil {
			t.Errorf("%q was taken", answer)
		}
	}
	if _, _, err := new(WSOptions).agreeDeflate(ext); err == nil {
		t.Error("taken without an offer")
	}
}

// counted counts the bytes of a connection.
type counted struct {
	net.Conn
	in, out atomic.Int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.in.Add(int64(n))
	return n, err
}

func (c *counted) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.out.Add(int64(n))
	return n, err
}

// TestWebSocketContextTakeover: with a server of another make, in every combination of what the two want: messages of all
// sizes arrive whole both ways, and one that came before costs next to nothing if windows are kept.
func TestWebSocketContextTakeover(t *testing.T) {
	for _, v := range []struct {
		mode  websocket.CompressionMode
		alone bool
		kept  bool
	}{
		{websocket.CompressionContextTakeover, false, true}, {websocket.CompressionContextTakeover, true, false},
		{websocket.CompressionNoContextTakeover, false, false}, {websocket.CompressionNoContextTakeover, true, false},
	} {
		name := fmt.Sprintf("server's mode %v, NoContextTakeover %v", v.mode, v.alone)
		url := wsServe(t, &websocket.AcceptOptions{CompressionMode: v.mode, CompressionThreshold: 20}, echo)
		var wire *counted
		c := newTCP(t, TCPConfig{Dial: func(ctx context.Context, a netip.AddrPort) (net.Conn, error) {
			var d net.Dialer
			nc, err := d.DialContext(ctx, "tcp", a.String())
			wire = &counted{Conn: nc}
			return wire, err
		}})
		w, err := newSession(t, Config{Connector: c}).DialWebSocket(t.Context(), url, &WSOptions{Compress: 15, NoContextTakeover: v.alone})
		if err != nil {
			t.Fatal(name, err)
		}
		if w.deflater == nil || w.deflater.kept != v.kept || w.inflater.kept != v.kept {
			t.Fatalf("%s: %q", name, w.Extensions())
		}
		turn := func(text string) (out, in int64) {
			t.Helper()
			outBefore, inBefore := wire.out.Load(), wire.in.Load()
			if err := w.SendText(t.Context(), text); err != nil {
				t.Fatal(name, err)
			}
			if got, err := w.ReceiveText(t.Context()); err != nil || got != text {
				t.Fatalf("%s: %d of %d bytes, %v", name, len(got), len(text), err)
			}
			return wire.out.Load() - outBefore, wire.in.Load() - inBefore
		}
		noise := string(noisyText(5_000))
		turn(noise)
		if out, in := turn(noise); (out < 500) != v.kept || (in < 3_000) != v.kept { // which is 3,750 by itself
			t.Errorf("%s: a message of %d bytes again took %d and %d", name, len(noise), out, in)
		}
		r := rand.New(rand.NewPCG(1, 2))
		for range 60 {
			n := r.IntN(200)
			if r.IntN(3) == 0 {
				n = r.IntN(100_000)
			}
			switch text := string(page(n)); r.IntN(3) {
			case 0:
				turn(text)
			case 1:
				turn(string(noisyText(n)))
			default:
				turn(noise[:min(n, len(noise))])
			}
		}
		if cap(w.inflater.window) > w.inflater.size() || v.kept != (len(w.inflater.window) > 0) || v.kept != (w.deflater.w != nil) {
			t.Errorf("%s: a window of %d bytes, writer kept %v", name, cap(w.inflater.window), w.deflater.w != nil)
		}
		if err := w.Close(t.Context(), WSNormalClosure, ""); err != nil {
			t.Error(name, err)
		}
	}
}

// noisyText cannot be compressed by itself beyond six bits a byte.
func noisyText(n int) []byte {
	const letters = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_"
	b := make([]byte, n)
	for i := range b {
		b[i] = letters[rand.IntN(len(letters))]
	}
	return b
}

// TestWebSocketWindows: messages look back no further than was agreed on, in both directions.
func TestWebSocketWindows(t *testing.T) {
	const bits, size = 9, 1 << 9
	field := fmt.Sprintf("Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=%d; client_max_window_bits=%d\r\n", bits, bits)
	texts := []string{string(page(3_000)), string(noisyText(300)), strings.Repeat("z", 100_000), string(page(200))}
	texts = slices.Concat(texts, texts)
	url := wsServeRaw(t, field, func(p *rawPeer) {
		seen := &wsInflater{wsWindow: wsWindow{bits, true}}
		back := &wsDeflater{wsWindow: wsWindow{bits, true}}
		for i, text := range texts {
			f, err := ws.ReadFrame(p.br)
			if err != nil || !f.Header.Rsv1() {
				t.Errorf("message %d: frame %+v, %v", i, f.Header, err)
				return
			}
			payload := ws.UnmaskFrameInPlace(f).Payload
			got, err := seen.inflate(bytes.NewReader(payload), io.ReadAll)
			if err != nil || string(got) != text {
				t.Errorf("message %d: %d of %d bytes, %v", i, len(got), len(text), err)
				return
			}
			coded, err := back.deflate(got)
			if err != nil {
				t.Error(err)
			}
			// In fragments, and with an uncompressed message between, which is in no window.
			half := len(coded) / 2
			first := ws.NewFrame(ws.OpText, false, coded[:half])
			first.Header.Rsv = ws.Rsv(true, false, false)
			_ = p.sendFrame(first)
			p.send(ws.OpContinuation, true, string(coded[half:]))
			p.send(ws.OpText, true, "plain")
		}
		p.expect(ws.OpClose, closeBody(WSNormalClosure, ""))
		p.send(ws.OpClose, true, closeBody(WSNormalClosure, ""))
	})
	w := dialWS(t, url, &WSOptions{Compress: bits})
	for i, text := range texts {
		if err := w.SendText(t.Context(), text); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{text, "plain"} {
			if got, err := w.ReceiveText(t.Context()); err != nil || got != want {
				t.Fatalf("message %d: %d of %d bytes, %v", i, len(got), len(want), err)
			}
		}
	}
	if cap(w.inflater.window) != size {
		t.Errorf("a window of %d bytes is kept, want %d", cap(w.inflater.window), size)
	}
	if err := w.Close(t.Context(), WSNormalClosure, ""); err != nil {
		t.Error(err)
	}
}

// TestWebSocketBadContext: what refers to more than there is, and what grows out of what came before, ends the socket.
func TestWebSocketBadContext(t *testing.T) {
	compressed := func(payload []byte) ws.Frame {
		f := ws.NewBinaryFrame(payload)
		f.Header.Rsv = ws.Rsv(true, false, false)
		return f
	}
	// messages are compressed one after the other with a window of that many bits.
	messages := func(bits int, list ...[]byte) (frames []ws.Frame) {
		d := &wsDeflater{wsWindow: wsWindow{bits, true}}
		for _, m := range list {
			coded, err := d.deflate(m)
			if err != nil {
				t.Fatal(err)
			}
			frames = append(frames, compressed(bytes.Clone(coded)))
		}
		return frames
	}
	noise := noisyText(4_000)
	const kept = "permessage-deflate"
	for name, tc := range map[string]struct {
		answer string
		frames []ws.Frame
		good   int // messages before the failure
		code   WSCloseCode
	}{
		"nothing to refer to":    {kept, messages(15, noise, noise)[1:], 0, WSInvalidText},
		"window not kept":        {kept + "; server_no_context_takeover", messages(15, noise, noise), 1, WSInvalidText},
		"beyond the window":      {kept + "; server_max_window_bits=9", messages(15, noise, noise), 1, WSInvalidText},
		"bomb":                   {kept, messages(15, make([]byte, 5_000), make([]byte, 5_000), make([]byte, 1<<20)), 2, WSMessageTooBig},
		"bomb of the context":    {kept, messages(15, noise, bytes.Repeat(noise, 10)), 1, WSMessageTooBig},
		"damage after a message": {kept, []ws.Frame{messages(15, noise)[0], compressed([]byte("\xff\xff\xff"))}, 1, WSInvalidText},
	} {
		t.Run(name, func(t *testing.T) {
			url := wsServeRaw(t, "Sec-WebSocket-Extensions: "+tc.answer+"\r\n", func(p *rawPeer) {
				for _, f := range tc.frames {
					_ = p.sendFrame(f)
				}
				p.expect(ws.OpClose, closeBody(tc.code, ""))
				_, _ = io.Copy(io.Discard, p.Conn)
			})
			w := dialWS(t, url, &WSOptions{MaxMessage: 10_000, Compress: 15})
			for range tc.good {
				if _, err := w.ReceiveBytes(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			_, err := w.Receive(t.Context())
			wantWSError(t, err, tc.code, false)
			if tc.code == WSMessageTooBig && !errors.Is(err, errMessageTooBig) {
				t.Error(err)
			}
		})
	}
}

// TestWSFinalBlock: a message may end its stream of DEFLATE, RFC 7692 section 7.2.3.4; the window goes on.
func TestWSFinalBlock(t *testing.T) {
	text := page(2_000)
	var final bytes.Buffer
	fw, err := flate.NewWriter(&final, 5)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = fw.Write(text)
	_ = fw.Close()
	final.WriteByte(0)
	d, f := &wsDeflater{wsWindow: wsWindow{15, true}}, &wsInflater{wsWindow: wsWindow{15, true}}
	first, _ := d.deflate(text)
	messages := [][]byte{bytes.Clone(first), final.Bytes()}
	again, _ := d.deflate(text)
	messages = append(messages, bytes.Clone(again))
	if len(again) > 100 {
		t.Errorf("%d bytes for what was sent before", len(again))
	}
	for i, m := range messages {
		if got, err := f.inflate(bytes.NewReader(m), io.ReadAll); err != nil || !bytes.Equal(got, text) {
			t.Errorf("message %d: %d of %d bytes, %v", i, len(got), len(text), err)
		}
	}
}

// FuzzWSContext: what is cut into messages in any way is inflated again, whatever is agreed on, and the window is the end of
// all that came.
func FuzzWSContext(f *testing.F) {
	f.Add([]byte("hello hello hello"), uint8(1), uint8(9), true, uint16(5))
	f.Add(page(500), uint8(10), uint8(8), false, uint16(700))
	f.Add(page(500), uint8(140), uint8(15), true, uint16(33_000))
	f.Fuzz(func(t *testing.T, piece []byte, times, bits uint8, kept bool, step uint16) {
		input := bytes.Repeat(piece[:min(len(piece), 1000)], 1+int(times))
		window := wsWindow{8 + int(bits%8), kept}
		d, i := &wsDeflater{wsWindow: window}, &wsInflater{wsWindow: window}
		n := int(step)%(40<<10) + 1 + len(input)/100
		for from := 0; from < len(input); from += n {
			message := input[from:min(from+n, len(input))]
			coded, err := d.deflate(message)
			if err != nil {
				t.Fatal(err)
			}
			got, err := i.inflate(bytes.NewReader(coded), io.ReadAll)
			if err != nil || !bytes.Equal(got, message) {
				t.Fatalf("%d of %d bytes, %v", len(got), len(message), err)
			}
			seen := input[:from+len(message)]
			if seen = seen[max(0, len(seen)-window.size()):]; kept && !bytes.Equal(i.window, seen) || !kept && i.window != nil {
				t.Fatalf("a window of %d bytes, want %d", len(i.window), len(seen))
			}
		}
	})
}

// FuzzWSInflate feeds whatever a server may send to what inflates it.
func FuzzWSInflate(f *testing.F) {
	coded, err := wsflate.CompressFrame(ws.NewTextFrame(page(300)))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(coded.Payload, page(1000))
	f.Add([]byte("\xf2\x48\xcd\xc9\xc9\x07\x00"), []byte{})
	f.Fuzz(func(t *testing.T, message, before []byte) {
		const limit = 1 << 16
		i := &wsInflater{wsWindow: wsWindow{9, true}}
		i.slide(before)
		r := &wsReader{ws: &WebSocket{opts: WSOptions{MaxMessage: limit}}}
		for range 2 {
			data, err := i.inflate(bytes.NewReader(message), func(src io.Reader) ([]byte, error) { return r.readAll(src, 64) })
			if len(data) > limit || len(i.window) > i.size() || cap(i.window) > i.size() {
				t.Fatalf("%d bytes, a window of %d", len(data), cap(i.window))
			}
			if err != nil {
				var bad errBadDeflate
				if err != errMessageTooBig && !errors.As(err, &bad) {
					t.Fatal(err)
				}
				return
			}
		}
	})
}
