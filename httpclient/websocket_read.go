package httpclient

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"time"
	"unicode/utf8"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsflate"
	"github.com/gobwas/ws/wsutil"
)

// wsReader takes messages from the connection. It belongs to one goroutine.
type wsReader struct {
	ws     *WebSocket
	frames wsutil.Reader
	state  wsflate.MessageState
}

// errPeerClosed ends reading after a close frame.
var errPeerClosed = errors.New("the peer has closed")

// errInvalidText and errMessageTooBig are reasons to fail the socket.
var (
	errInvalidText   = errors.New("text message is not UTF-8")
	errMessageTooBig = errors.New("message exceeds MaxMessage")
)

// wireSource notes that something has come.
type wireSource struct {
	br *bufio.Reader
	ws *WebSocket
}

func (s wireSource) Read(p []byte) (int, error) {
	n, err := s.br.Read(p)
	if n > 0 {
		s.ws.noteRead()
	}
	return n, err
}

func (w *WebSocket) noteRead() { w.lastRead.Store(int64(time.Since(w.start))) }

// readLoop reads until the socket ends, or the peer's closing is left to Close.
func (w *WebSocket) readLoop(br *bufio.Reader) {
	defer w.wg.Done()
	r := &wsReader{ws: w}
	r.frames = wsutil.Reader{
		Source: wireSource{br, w}, State: ws.StateClientSide,
		OnIntermediate: func(h ws.Header, payload io.Reader) error { return r.control(h, payload) },
		// What it declares, to be refused before it is read. Compressing may add a little.
		MaxMessageSize: max(w.opts.MaxMessage+w.opts.MaxMessage>>10, w.opts.MaxMessage, wsMaxControl),
	}
	if w.inflater != nil {
		r.frames.State = r.frames.State.Set(ws.StateExtended)
		r.frames.Extensions = []wsutil.RecvExtension{&r.state}
	}
	for {
		if err := r.next(); err != nil {
			r.finish(err)
			return
		}
	}
}

// finish ends the socket with what reading ended with.
func (r *wsReader) finish(err error) {
	w := r.ws
	var protocol ws.ProtocolError
	var deflate errBadDeflate
	switch {
	case err == errPeerClosed:
	case errors.As(err, &protocol):
		w.fail(WSProtocolError, err)
	case errors.Is(err, errMessageTooBig), errors.Is(err, wsutil.ErrMessageTooLarge):
		w.fail(WSMessageTooBig, errMessageTooBig)
	case errors.Is(err, errInvalidText), errors.As(err, &deflate):
		w.fail(WSInvalidText, err)
	default:
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		w.end(&WSError{Code: WSAbnormalClosure, Err: err})
	}
}

// next reads a message, or a control frame between messages.
func (r *wsReader) next() error {
	h, err := r.frames.NextFrame()
	if err != nil {
		return err
	}
	if h.OpCode.IsControl() {
		return r.control(h, &r.frames)
	}
	if h.Rsv != 0 {
		return ws.ErrProtocolNonZeroRsv
	}
	data, err := r.message(h)
	if err != nil {
		return err
	}
	if h.OpCode == ws.OpText && !utf8.Valid(data) {
		return errInvalidText
	}
	r.ws.push(WSMessage{Type: WSMessageType(h.OpCode), Data: data})
	return nil
}

// message reads the data of a message, all its fragments and inflated.
func (r *wsReader) message(first ws.Header) ([]byte, error) {
	if !r.state.IsCompressed() {
		return r.readAll(&r.frames, min(first.Length, 64<<10)) // what it declares need not come
	}
	data, err := r.ws.inflater.inflate(&r.frames, func(src io.Reader) ([]byte, error) {
		return r.readAll(src, 2*min(first.Length, 32<<10))
	})
	if err != nil {
		return nil, err
	}
	return data, r.frames.Discard() // what follows a final block
}

func (r *wsReader) readAll(src io.Reader, guess int64) ([]byte, error) {
	limit := r.ws.opts.MaxMessage
	data := make([]byte, 0, min(max(guess, 64), limit)+1)
	for {
		if len(data) == cap(data) {
			data = append(data, 0)[:len(data)]
		}
		n, err := src.Read(data[len(data):cap(data)])
		data = data[:len(data)+n]
		if int64(len(data)) > limit {
			return nil, errMessageTooBig
		}
		if err == io.EOF {
			return data, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// control acts on a control frame.
func (r *wsReader) control(h ws.Header, payload io.Reader) error {
	if h.Rsv != 0 {
		return ws.ErrProtocolNonZeroRsv
	}
	data, err := io.ReadAll(io.LimitReader(payload, h.Length))
	if err == nil && payload == io.Reader(&r.frames) {
		err = r.frames.Discard() // to the state between frames
	}
	if err != nil {
		return err
	}
	if int64(len(data)) < h.Length {
		return io.ErrUnexpectedEOF
	}
	w := r.ws
	switch h.OpCode {
	case ws.OpClose:
		return r.peerCloses(data)
	case ws.OpPing, ws.OpPong:
		if w.opts.NoAutoPing {
			w.push(WSMessage{Type: WSMessageType(h.OpCode), Data: data})
			return nil
		}
		if h.OpCode == ws.OpPing {
			r.answer(func(ctx context.Context) error { return w.sendControl(ctx, ws.OpPong, data) })
		}
	}
	return nil
}

// answer writes within CloseTimeout. A failure shows in what is read next.
func (r *wsReader) answer(write func(context.Context) error) {
	ctx, cancel := context.WithTimeout(context.Background(), r.ws.opts.CloseTimeout)
	defer cancel()
	_ = write(ctx)
}

// peerCloses takes the peer's closing, or its answer to ours.
func (r *wsReader) peerCloses(payload []byte) error {
	w := r.ws
	closed, err := parseClose(payload)
	if err != nil {
		return ws.ProtocolError(err.Error())
	}
	w.mu.Lock()
	leave := w.opts.NoAutoClose && !w.closing
	if leave {
		w.peerClosed = closed
	}
	w.mu.Unlock()
	if leave {
		w.push(WSMessage{Type: WSClose, Data: []byte(closed.Reason), CloseCode: closed.Code})
		return errPeerClosed
	}
	r.answer(func(ctx context.Context) error { return w.writeClose(ctx, closed.Code, "") })
	w.end(closed)
	return errPeerClosed
}

// startHeartbeat begins to send pings.
func (w *WebSocket) startHeartbeat() {
	if w.opts.Heartbeat <= 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil {
		w.heart = time.AfterFunc(w.opts.Heartbeat, w.beat)
	}
}

// beat sends a ping, or looks half an interval later whether anything has come.
func (w *WebSocket) beat() {
	w.mu.Lock()
	if w.err != nil || w.peerClosed != nil {
		w.mu.Unlock()
		return
	}
	w.wg.Add(1) // err is not set, so nobody waits yet
	awaiting, pinged := w.awaiting, w.pinged
	w.mu.Unlock()
	defer w.wg.Done()

	half := w.opts.Heartbeat / 2
	now := time.Since(w.start)
	switch {
	case !awaiting && w.stalled.Load():
		awaiting = true // as if answered
	case !awaiting:
		ctx, cancel := context.WithTimeout(context.Background(), half)
		defer cancel()
		// If it does not go out, because a message takes long, that counts as sent.
		_ = w.sendControl(ctx, ws.OpPing, nil)
	case time.Duration(w.lastRead.Load()) < pinged && !w.stalled.Load():
		w.end(&WSError{Code: WSAbnormalClosure, Err: fmt.Errorf("%w of %v", ErrWSHeartbeat, w.opts.Heartbeat)})
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return
	}
	if !awaiting {
		w.pinged = now
	}
	w.awaiting = !awaiting
	w.heart.Reset(half)
}
