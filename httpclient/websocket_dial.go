package httpclient

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"net"
	"net/http"
	"strings"
	"time"
)

// DialWebSocket opens a WebSocket at a ws, wss, http or https URL. The handshake is
// a request of the session, with its cookies, header, proxy and limits, and the
// request options given: credentials by [Auth], header fields by [Header], TLS
// settings by [TLS]. Through an HTTP proxy it goes in a tunnel. ctx governs the
// handshake only. opts may be nil.
//
// A server that does not agree is a *[WSHandshakeError]; other errors are those of
// [Session.Do]. The caller must Close the socket; the session may be closed before.
func (s *Session) DialWebSocket(ctx context.Context, url string, opts *WSOptions, reqOpts ...RequestOption) (*WebSocket, error) {
	completed, err := opts.completed()
	if err != nil {
		return nil, err
	}
	req, err := s.newRequest(http.MethodGet, httpURL(url), reqOpts)
	if err != nil {
		return nil, err
	}
	return s.dialWebSocket(ctx, req, completed)
}

// DialWebSocket opens a WebSocket without a session, as [Fetch] sends a request.
func DialWebSocket(ctx context.Context, url string, opts *WSOptions, reqOpts ...RequestOption) (*WebSocket, error) {
	completed, err := opts.completed()
	if err != nil {
		return nil, err
	}
	s, req, err := newFetch(http.MethodGet, httpURL(url), reqOpts)
	if err != nil {
		return nil, err
	}
	w, err := s.dialWebSocket(ctx, req, completed)
	_ = s.Close() // what is detached stays
	return w, err
}

// httpURL turns the schemes of WebSockets into those of their handshakes.
func httpURL(url string) string {
	scheme, rest, ok := strings.Cut(url, ":")
	switch {
	case ok && strings.EqualFold(scheme, "ws"):
		return "http:" + rest
	case ok && strings.EqualFold(scheme, "wss"):
		return "https:" + rest
	}
	return url
}

func (s *Session) dialWebSocket(ctx context.Context, req *Request, opts WSOptions) (*WebSocket, error) {
	key := newWSKey()
	prepareHandshake(req, opts, key)
	resp, err := s.Do(ctx, req)
	if err != nil {
		return nil, err
	}
	w := newWebSocket(opts, s.cfg.MarshalJSON)
	if reason := w.accept(resp, key); reason != "" {
		err := &WSHandshakeError{StatusCode: resp.StatusCode, Reason: reason, Header: resp.Header()}
		if resp.StatusCode == http.StatusSwitchingProtocols {
			_ = resp.Close()
		} else {
			resp.Release()
		}
		return nil, req.wrap(err)
	}
	conn, br := resp.Detach()
	if conn == nil {
		_ = resp.Close()
		if ctx.Err() == nil { // the connector was closed meanwhile
			return nil, req.wrap(ErrConnectorClosed)
		}
		return nil, req.wrap(contextError(ctx))
	}
	w.run(conn, br)
	return w, nil
}

// newWebSocket returns a socket without a connection.
func newWebSocket(opts WSOptions, marshal func(any) ([]byte, error)) *WebSocket {
	return &WebSocket{
		opts: opts, marshal: marshal, start: time.Now(),
		out: make(chan struct{}, 1), ready: make(chan struct{}, 1), room: make(chan struct{}, 1), done: make(chan struct{}),
	}
}

// run starts what a socket needs running.
func (w *WebSocket) run(conn net.Conn, br *bufio.Reader) {
	w.conn = conn
	w.noteRead()
	w.wg.Add(1)
	go w.readLoop(br)
	w.startHeartbeat()
}

func newWSKey() string {
	var nonce [16]byte
	_, _ = rand.Read(nonce[:]) // never fails
	return base64.StdEncoding.EncodeToString(nonce[:])
}

// acceptWSKey is the answer to a key, RFC 6455 section 4.2.2.
func acceptWSKey(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// prepareHandshake makes req the opening handshake of RFC 6455 section 4.1.
func prepareHandshake(req *Request, opts WSOptions, key string) {
	req.Version = HTTP11
	req.tunnel = true
	h := &req.Header
	h.Set("Upgrade", "websocket")
	h.Set("Connection", "Upgrade")
	h.Set("Sec-WebSocket-Version", "13")
	h.Set("Sec-WebSocket-Key", key)
	if opts.Origin != "" {
		h.Set("Origin", opts.Origin)
	}
	if len(opts.Protocols) > 0 {
		h.Set("Sec-WebSocket-Protocol", strings.Join(opts.Protocols, ", "))
	}
	if opts.Compress != 0 {
		h.Set("Sec-WebSocket-Extensions", opts.deflateOffer())
	}
}

// accept looks whether the response opens the socket, and on what terms. It
// returns why not, or "".
func (w *WebSocket) accept(resp *Response, key string) (reason string) {
	switch {
	case resp.StatusCode != http.StatusSwitchingProtocols:
		return "the server does not switch protocols"
	case !hasToken(resp.HeaderValues("Upgrade"), "websocket"):
		return "the Upgrade field does not say websocket"
	case !hasToken(resp.HeaderValues("Connection"), "upgrade"):
		return "the Connection field does not say upgrade"
	case resp.HeaderValue("Sec-WebSocket-Accept") != acceptWSKey(key):
		return "Sec-WebSocket-Accept is not the answer to the key"
	}
	if w.subprotocol = resp.HeaderValue("Sec-WebSocket-Protocol"); w.subprotocol != "" && !hasToken(w.opts.Protocols, strings.ToLower(w.subprotocol)) {
		return "the subprotocol was not offered"
	}
	w.extensions = strings.Join(resp.HeaderValues("Sec-WebSocket-Extensions"), ", ")
	if w.extensions == "" {
		return ""
	}
	send, receive, err := w.opts.agreeDeflate(w.extensions)
	if err != nil {
		return err.Error()
	}
	w.deflater, w.inflater = &wsDeflater{wsWindow: send}, &wsInflater{wsWindow: receive}
	return ""
}

// hasToken looks for a token, in lower case, in the lists of a field's values.
func hasToken(values []string, token string) bool {
	for _, v := range values {
		for item := range strings.SplitSeq(v, ",") {
			if strings.EqualFold(strings.TrimSpace(item), token) {
				return true
			}
		}
	}
	return false
}
