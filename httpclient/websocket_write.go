package httpclient

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/gobwas/ws"
)

const wsKeepBuffer = 64 << 10 // bytes of write buffer kept between messages

// send sends a message in one frame.
func (w *WebSocket) send(ctx context.Context, op ws.OpCode, data []byte) error {
	if err := w.lockOut(ctx); err != nil {
		return err
	}
	defer w.unlockOut()
	h := ws.Header{Fin: true, OpCode: op}
	if w.deflater.deflates(len(data)) {
		compressed, err := w.deflater.deflate(data)
		if err != nil {
			return err
		}
		data, h.Rsv = compressed, ws.Rsv(true, false, false)
	}
	return w.write(ctx, h, data)
}

// sendControl sends a control frame.
func (w *WebSocket) sendControl(ctx context.Context, op ws.OpCode, payload []byte) error {
	if len(payload) > wsMaxControl {
		return errors.New("httpclient: payload of a WebSocket control frame exceeds 125 bytes")
	}
	if err := w.lockOut(ctx); err != nil {
		return err
	}
	defer w.unlockOut()
	if op == ws.OpClose {
		defer func() { w.closeSent = true }()
	}
	return w.write(ctx, ws.Header{Fin: true, OpCode: op}, payload)
}

// lockOut waits for the right to write.
func (w *WebSocket) lockOut(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return contextError(ctx)
	}
	select {
	case w.out <- struct{}{}:
	case <-w.done:
		return w.terminal()
	case <-ctx.Done():
		return contextError(ctx)
	}
	if err := w.terminal(); err != nil {
		w.unlockOut()
		return err
	}
	if w.closeSent {
		w.unlockOut()
		return &WSError{Code: WSNormalClosure, Err: errors.New("closing has begun")}
	}
	return nil
}

func (w *WebSocket) unlockOut() {
	if cap(w.outBuf) > wsKeepBuffer {
		w.outBuf = nil
	}
	<-w.out
}

// write sends a frame, masked, in one write. If that fails, or ctx ends before it
// is through, the peer cannot make sense of what would follow: the socket ends.
func (w *WebSocket) write(ctx context.Context, h ws.Header, payload []byte) error {
	h.Masked, h.Length = true, int64(len(payload))
	binary.LittleEndian.PutUint32(h.Mask[:], rand.Uint32())
	var head bytes.Buffer
	if err := ws.WriteHeader(&head, h); err != nil {
		return err
	}
	w.outBuf = append(append(w.outBuf[:0], head.Bytes()...), payload...)
	ws.Cipher(w.outBuf[head.Len():], h.Mask, 0)

	g := writeGuard{conn: w.conn}
	stop := context.AfterFunc(ctx, g.interrupt)
	_, err := w.conn.Write(w.outBuf)
	stop()
	g.finish()
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		err = contextError(ctx)
	}
	w.end(&WSError{Code: WSAbnormalClosure, Err: err})
	return w.terminal()
}

// writeGuard interrupts one write, and no later one.
type writeGuard struct {
	conn interface{ SetWriteDeadline(time.Time) error }
	mu   sync.Mutex
	over bool
	cut  bool
}

func (g *writeGuard) interrupt() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.over {
		g.cut = true
		_ = g.conn.SetWriteDeadline(time.Unix(1, 0))
	}
}

func (g *writeGuard) finish() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.over = true; g.cut {
		_ = g.conn.SetWriteDeadline(time.Time{})
	}
}
