package httpclient

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/gobwas/ws"
)

// Defaults of [WSOptions], and limits on what waits to be received.
const (
	DefaultWSMaxMessage   = 4 << 20
	DefaultWSCloseTimeout = 10 * time.Second

	wsQueueLength   = 256 // messages
	wsQueueOverhead = 64  // bytes that a message counts for besides its data
	wsMaxControl    = 125 // bytes in a ping, a pong, or a close frame
)

// WSOptions are how a [WebSocket] behaves. Its zero value is a plain one: pings
// and closing are answered by themselves, nothing is compressed.
type WSOptions struct {
	// Protocols are the subprotocols offered, the preferred one first.
	Protocols []string
	// Origin is the Origin field of the handshake; empty: none.
	Origin string

	// Compress offers permessage-deflate (RFC 7692) with windows of at most this many
	// bits, 9 to 15, for both directions. 0: no compression.
	Compress int
	// NoContextTakeover has each message compressed by itself, both ways. Otherwise
	// messages may refer to those before them, if the server agrees: many short ones
	// that are alike become much shorter, and the socket keeps the windows, up to 32
	// KiB once something was received, and about a MiB once something was sent.
	NoContextTakeover bool

	// MaxMessage is the greatest message received, in bytes after inflating; a
	// longer one ends the socket with WSMessageTooBig. As much may wait to be
	// received before the peer is made to wait. 0: 4 MiB; negative: no limit.
	MaxMessage int64

	// ReceiveTimeout limits each Receive. 0: no limit but its context's.
	ReceiveTimeout time.Duration
	// CloseTimeout limits the wait for the peer's answer to Close, and the writing
	// of answers to the peer's own pings and closing. 0: 10 s.
	CloseTimeout time.Duration

	// Heartbeat is how often a ping is sent. If nothing comes within half of it,
	// the socket has failed. 0: none are sent. While the queue of what waits to be
	// received is full, nothing is read, and the peer gets the benefit of the doubt.
	Heartbeat time.Duration

	// NoAutoPing has pings and pongs received like messages; pings are then not
	// answered.
	NoAutoPing bool
	// NoAutoClose has the peer's closing received like a message, of type WSClose.
	// It is answered by Close.
	NoAutoClose bool
}

// completed returns a copy with the defaults filled in.
func (o *WSOptions) completed() (WSOptions, error) {
	var c WSOptions
	if o != nil {
		c = *o
	}
	if c.Compress != 0 && (c.Compress < 9 || c.Compress > 15) {
		return c, errors.New("httpclient: WSOptions.Compress is not 0 or 9 to 15")
	}
	for _, p := range c.Protocols {
		if !isToken(p) {
			return c, fmt.Errorf("httpclient: WSOptions.Protocols: %q is not a token", p)
		}
	}
	c.MaxMessage = limitOr(c.MaxMessage, DefaultWSMaxMessage)
	if c.CloseTimeout <= 0 {
		c.CloseTimeout = DefaultWSCloseTimeout
	}
	return c, nil
}

// WSMessageType is the kind of a [WSMessage]; its values are RFC 6455's opcodes.
type WSMessageType uint8

// Kinds of messages. The last three are received with WSOptions.NoAutoPing and
// NoAutoClose only.
const (
	WSText   WSMessageType = 1
	WSBinary WSMessageType = 2
	WSClose  WSMessageType = 8
	WSPing   WSMessageType = 9
	WSPong   WSMessageType = 10
)

func (t WSMessageType) String() string {
	switch t {
	case WSText:
		return "text"
	case WSBinary:
		return "binary"
	case WSClose:
		return "close"
	case WSPing:
		return "ping"
	case WSPong:
		return "pong"
	}
	return fmt.Sprintf("WSMessageType(%d)", uint8(t))
}

// WSMessage is a message received.
type WSMessage struct {
	Type      WSMessageType
	Data      []byte      // the receiver's own; valid UTF-8 in a text message; the reason, of WSClose
	CloseCode WSCloseCode // of WSClose
}

// JSON decodes the data into v.
func (m *WSMessage) JSON(v any) error { return json.Unmarshal(m.Data, v) }

// WebSocket is a connection of RFC 6455, made by [Session.DialWebSocket] or
// [DialWebSocket]. Its methods may be called from many goroutines, but only one at
// a time may receive. One goroutine reads the connection from the start, so pings
// are answered and failures noticed whether or not anybody receives; [WebSocket.Close]
// ends it, and must be called.
//
// A cancelled context leaves the socket usable, except when it cuts a message
// short that is being sent.
type WebSocket struct {
	conn        net.Conn
	opts        WSOptions
	marshal     func(any) ([]byte, error)
	subprotocol string
	extensions  string
	deflater    *wsDeflater // under out; nil: not agreed on
	inflater    *wsInflater // of the reader; nil likewise

	out       chan struct{} // held by who writes; of capacity 1
	outBuf    []byte        // under out
	closeSent bool          // under out

	receiving atomic.Bool
	ready     chan struct{} // of capacity 1: there is something for the receiver
	room      chan struct{} // of capacity 1: there is room in the queue, or it matters no more
	done      chan struct{} // closed when err is set
	wg        sync.WaitGroup

	lastRead atomic.Int64 // in nanoseconds since start
	stalled  atomic.Bool  // nothing is read for want of room
	start    time.Time

	mu         sync.Mutex
	queue      []WSMessage
	queued     int64
	err        *WSError // what ended it
	peerClosed *WSError // the peer's closing, when it is left to Close to answer it
	closing    bool     // by Close: what comes is thrown away
	heart      *time.Timer
	pinged     time.Duration // when the last heartbeat was sent, since start
	awaiting   bool          // its answer
}

// Subprotocol returns the subprotocol that the server chose, "" for none.
func (w *WebSocket) Subprotocol() string { return w.subprotocol }

// Extensions returns the extensions in use, as in the server's
// Sec-WebSocket-Extensions field.
func (w *WebSocket) Extensions() string { return w.extensions }

// NetConn returns the connection below, for its facts; it must not be read from or
// written to.
func (w *WebSocket) NetConn() net.Conn { return w.conn }

// RemoteAddr returns the peer's address.
func (w *WebSocket) RemoteAddr() net.Addr { return w.conn.RemoteAddr() }

// TLS returns the state of the TLS connection, nil without TLS.
func (w *WebSocket) TLS() *tls.ConnectionState {
	c, ok := w.conn.(*tls.Conn)
	if !ok {
		return nil
	}
	state := c.ConnectionState()
	return &state
}

// Closed reports whether the socket has ended, in whatever way.
func (w *WebSocket) Closed() bool {
	select {
	case <-w.done:
		return true
	default:
		return false
	}
}

// CloseCode returns the code with which the peer closed, [WSAbnormalClosure] if
// the socket ended without, and 0 while it is open.
func (w *WebSocket) CloseCode() WSCloseCode {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.err != nil:
		return w.err.Code
	case w.peerClosed != nil:
		return w.peerClosed.Code
	}
	return 0
}

// Err returns the *[WSError] that ended the socket, nil if it is open or both
// sides have closed it in due form.
func (w *WebSocket) Err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil || w.err.orderly() {
		return nil
	}
	return w.err
}

// Receive returns the next message. When the socket has ended, and all that came
// before is received, its error is a *[WSError], the same for all calls; other
// errors, of the context or of ReceiveTimeout (a *[TimeoutError]), leave the
// socket usable. A second Receive at the same time fails with [ErrWSReceiving].
func (w *WebSocket) Receive(ctx context.Context) (WSMessage, error) {
	if !w.receiving.CompareAndSwap(false, true) {
		return WSMessage{}, ErrWSReceiving
	}
	defer w.receiving.Store(false)
	var expired <-chan time.Time
	if d := w.opts.ReceiveTimeout; d > 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		expired = timer.C
	}
	for {
		if m, ok, err := w.pop(); ok || err != nil {
			return m, err
		}
		select {
		case <-w.ready:
		case <-w.done:
		case <-expired:
			return WSMessage{}, &TimeoutError{Phase: PhaseIdle, Limit: w.opts.ReceiveTimeout}
		case <-ctx.Done():
			return WSMessage{}, contextError(ctx)
		}
	}
}

// pop takes the next message from the queue.
func (w *WebSocket) pop() (m WSMessage, ok bool, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.queue) > 0 {
		m = w.queue[0]
		w.queue[0] = WSMessage{}
		w.queue = w.queue[1:]
		w.queued -= int64(len(m.Data)) + wsQueueOverhead
		signal(w.room)
		return m, true, nil
	}
	if w.err != nil {
		return m, false, w.err
	}
	return m, false, nil
}

// signal wakes who waits on c, of capacity 1, now or next.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// push queues a message for the receiver, waiting while the queue is full.
func (w *WebSocket) push(m WSMessage) {
	size := int64(len(m.Data)) + wsQueueOverhead
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.err == nil && !w.closing && len(w.queue) > 0 &&
		(len(w.queue) >= wsQueueLength || w.queued+size > w.opts.MaxMessage) {
		w.stalled.Store(true)
		w.mu.Unlock()
		select {
		case <-w.room:
		case <-w.done:
		}
		w.noteRead()
		w.stalled.Store(false)
		w.mu.Lock()
	}
	if w.err == nil && !w.closing {
		w.queue = append(w.queue, m)
		w.queued += size
		signal(w.ready)
	}
}

// Messages yields the messages that come until the socket is closed. If it ends
// in another way, or ctx does, the last pair has that error.
func (w *WebSocket) Messages(ctx context.Context) iter.Seq2[WSMessage, error] {
	return func(yield func(WSMessage, error) bool) {
		for {
			m, err := w.Receive(ctx)
			if e := (*WSError)(nil); errors.As(err, &e) && e.orderly() || m.Type == WSClose {
				return
			}
			if !yield(m, err) || err != nil {
				return
			}
		}
	}
}

// receiveAs receives a message of one type.
func (w *WebSocket) receiveAs(ctx context.Context, want WSMessageType) ([]byte, error) {
	m, err := w.Receive(ctx)
	if err == nil && m.Type != want {
		err = &WSMessageTypeError{Got: m.Type, Want: want}
	}
	return m.Data, err
}

// ReceiveText receives a text message. Another one is consumed, and a
// *[WSMessageTypeError].
func (w *WebSocket) ReceiveText(ctx context.Context) (string, error) {
	b, err := w.receiveAs(ctx, WSText)
	if err != nil {
		return "", err
	}
	return string(b), nil
}

// ReceiveBytes receives a binary message. Another one is consumed, and a
// *[WSMessageTypeError].
func (w *WebSocket) ReceiveBytes(ctx context.Context) ([]byte, error) {
	b, err := w.receiveAs(ctx, WSBinary)
	if err != nil {
		return nil, err
	}
	return b, nil
}

// ReceiveJSON receives a text message and decodes it into v.
func (w *WebSocket) ReceiveJSON(ctx context.Context, v any) error {
	b, err := w.receiveAs(ctx, WSText)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("httpclient: WebSocket message: %w", err)
	}
	return nil
}

// SendText sends a text message. s must be valid UTF-8. The error is a
// *[WSError], which is [ErrWSClosed], if the socket is closed or closing, and
// otherwise as for Receive; but a context that ends while the message is being
// written ends the socket.
func (w *WebSocket) SendText(ctx context.Context, s string) error {
	if !utf8.ValidString(s) {
		return errors.New("httpclient: text for a WebSocket is not UTF-8")
	}
	return w.send(ctx, ws.OpText, []byte(s))
}

// SendBytes sends a binary message. b is not changed or kept.
func (w *WebSocket) SendBytes(ctx context.Context, b []byte) error {
	return w.send(ctx, ws.OpBinary, b)
}

// SendJSON sends v as text, by the session's serializer, whose error it wraps.
func (w *WebSocket) SendJSON(ctx context.Context, v any) error {
	b, err := w.marshal(v)
	if err != nil {
		return fmt.Errorf("httpclient: WebSocket message: %w", err)
	}
	return w.send(ctx, ws.OpText, bytes.TrimSpace(b))
}

// Ping sends a ping of at most 125 bytes. It does not wait for the answer.
func (w *WebSocket) Ping(ctx context.Context, payload []byte) error {
	return w.sendControl(ctx, ws.OpPing, payload)
}

// Pong sends a pong of at most 125 bytes, the answer to a ping with the same
// payload, or unasked as a sign of life.
func (w *WebSocket) Pong(ctx context.Context, payload []byte) error {
	return w.sendControl(ctx, ws.OpPong, payload)
}
