package httpclient

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/gobwas/ws"
)

// WSCloseCode says why a WebSocket is closed: RFC 6455 section 7.4 and the IANA
// registry. 3000 to 3999 are for libraries, 4000 to 4999 for applications.
type WSCloseCode uint16

// Close codes.
const (
	WSNormalClosure      WSCloseCode = 1000
	WSGoingAway          WSCloseCode = 1001
	WSProtocolError      WSCloseCode = 1002
	WSUnsupportedData    WSCloseCode = 1003
	WSNoStatus           WSCloseCode = 1005 // never sent: the peer gave no code
	WSAbnormalClosure    WSCloseCode = 1006 // never sent: the peer did not close in due form
	WSInvalidText        WSCloseCode = 1007
	WSPolicyViolation    WSCloseCode = 1008
	WSMessageTooBig      WSCloseCode = 1009
	WSMandatoryExtension WSCloseCode = 1010
	WSInternalError      WSCloseCode = 1011
	WSServiceRestart     WSCloseCode = 1012
	WSTryAgainLater      WSCloseCode = 1013
	WSBadGateway         WSCloseCode = 1014
)

var wsCodeNames = map[WSCloseCode]string{
	WSNormalClosure: "normal closure", WSGoingAway: "going away", WSProtocolError: "protocol error",
	WSUnsupportedData: "unsupported data", WSNoStatus: "no status", WSAbnormalClosure: "abnormal closure",
	WSInvalidText: "invalid text", WSPolicyViolation: "policy violation", WSMessageTooBig: "message too big",
	WSMandatoryExtension: "mandatory extension", WSInternalError: "internal error",
	WSServiceRestart: "service restart", WSTryAgainLater: "try again later", WSBadGateway: "bad gateway",
}

func (c WSCloseCode) String() string {
	if name := wsCodeNames[c]; name != "" {
		return strconv.Itoa(int(c)) + " " + name
	}
	return strconv.Itoa(int(c))
}

// sendable reports whether the code may be in a close frame.
func (c WSCloseCode) sendable() bool {
	return c >= 1000 && c <= 1003 || c >= 1007 && c <= 1014 || c >= 3000 && c <= 4999
}

// Errors of a [WebSocket] used wrongly or after its end.
var (
	// ErrWSClosed is the class of *WSError: the socket is closed, or closing.
	ErrWSClosed = errors.New("httpclient: WebSocket is closed")
	// ErrWSReceiving is the error of a Receive while another one waits.
	ErrWSReceiving = errors.New("httpclient: another goroutine receives from the WebSocket")
	// ErrWSHeartbeat is why a socket failed whose peer did not answer a heartbeat.
	ErrWSHeartbeat = errors.New("no answer to the heartbeat")
)

// WSError is how a WebSocket ended. It is [ErrWSClosed].
type WSError struct {
	// Code is the peer's, or what this side told the peer when it broke the
	// protocol; WSAbnormalClosure if the connection failed, or the peer did not
	// answer to closing in time.
	Code   WSCloseCode
	Reason string // the peer's
	Err    error  // what failed; nil if the socket was closed in due form
}

func (e *WSError) Error() string {
	text := ErrWSClosed.Error() + ": " + e.Code.String()
	if e.Reason != "" {
		text += " " + strconv.Quote(e.Reason)
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

func (e *WSError) Unwrap() error        { return e.Err }
func (e *WSError) Is(target error) bool { return target == ErrWSClosed || target == ErrClient }

func (e *WSError) orderly() bool { return e.Err == nil }

// WSMessageTypeError is a message of another type than was to be received.
type WSMessageTypeError struct{ Got, Want WSMessageType }

func (e *WSMessageTypeError) Error() string {
	return fmt.Sprintf("httpclient: WebSocket message is %v, not %v", e.Got, e.Want)
}

// end ends the socket, unless something has ended it before: calls that wait
// return, and the connection is closed.
func (w *WebSocket) end(err *WSError) {
	if !w.settle(err) {
		return
	}
	if t, ok := w.conn.(*tls.Conn); ok && !err.orderly() {
		_ = t.NetConn().Close() // no farewell, which could take seconds
	}
	_ = w.conn.Close()
}

// settle makes err what ended the socket, and reports whether it is.
func (w *WebSocket) settle(err *WSError) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return false
	}
	w.err = err
	if w.heart != nil {
		w.heart.Stop()
	}
	close(w.done)
	return true
}

// terminal returns what ended the socket; nil while it has not.
func (w *WebSocket) terminal() *WSError {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// Close closes the socket: it tells the peer code and reason (at most 123 bytes),
// waits for its answer until CloseTimeout or the end of ctx, closes the connection
// and ends what runs for it. Messages not received yet are lost. The error, a
// *[WSError], says that the peer did not answer; the socket is closed even so. A
// code or reason that cannot be sent is replaced by WSInternalError, and an error
// too. Calls after the end of the socket do nothing.
func (w *WebSocket) Close(ctx context.Context, code WSCloseCode, reason string) error {
	var misuse error
	if !code.sendable() || len(reason) > wsMaxControl-2 || !utf8.ValidString(reason) {
		misuse = fmt.Errorf("httpclient: a WebSocket cannot be closed with %v %.130q", code, reason)
		code, reason = WSInternalError, ""
	}
	err := w.close(ctx, code, reason)
	w.wg.Wait()
	if misuse == nil && err != nil {
		return err
	}
	return misuse
}

func (w *WebSocket) close(ctx context.Context, code WSCloseCode, reason string) error {
	w.mu.Lock()
	first, ended, peer := !w.closing, w.err != nil, w.peerClosed
	w.closing = true
	w.queue, w.queued = nil, 0
	signal(w.room)
	w.mu.Unlock()
	if ended {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, w.opts.CloseTimeout)
	defer cancel()
	if first {
		if err := w.writeClose(ctx, code, reason); err != nil {
			w.end(&WSError{Code: WSAbnormalClosure, Err: err})
		} else if peer != nil {
			w.end(peer)
		}
	}
	select {
	case <-w.done:
	case <-ctx.Done():
		w.end(&WSError{Code: WSAbnormalClosure, Err: fmt.Errorf("no answer to closing: %w", contextError(ctx))})
	}
	if err := w.terminal(); !err.orderly() {
		return err
	}
	return nil
}

// writeClose sends a close frame, unless one was sent.
func (w *WebSocket) writeClose(ctx context.Context, code WSCloseCode, reason string) error {
	var body []byte
	if code != WSNoStatus {
		body = ws.NewCloseFrameBody(ws.StatusCode(code), reason)
	}
	return w.sendControl(ctx, ws.OpClose, body)
}

// fail ends the socket because of what the peer sent: it is told, if it listens,
// without waiting for its answer.
func (w *WebSocket) fail(code WSCloseCode, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), min(w.opts.CloseTimeout, time.Second))
	defer cancel()
	_ = w.writeClose(ctx, code, "")
	w.end(&WSError{Code: code, Err: err})
}

// parseClose reads the payload of a close frame.
func parseClose(payload []byte) (*WSError, error) {
	if len(payload) == 0 {
		return &WSError{Code: WSNoStatus}, nil
	}
	if len(payload) == 1 {
		return nil, errors.New("close frame with half a code")
	}
	code, reason := ws.ParseCloseFrameData(payload)
	if !WSCloseCode(code).sendable() || !utf8.ValidString(reason) {
		return nil, fmt.Errorf("close frame with code %d and reason %q", code, reason)
	}
	return &WSError{Code: WSCloseCode(code), Reason: reason}, nil
}
