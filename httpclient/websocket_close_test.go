package httpclient

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"
)

func TestWebSocketPeerCloses(t *testing.T) {
	for _, tc := range []struct {
		payload, echoed string
		code            WSCloseCode
		reason          string
	}{
		{closeBody(WSGoingAway, "later"), closeBody(WSGoingAway, ""), WSGoingAway, "later"},
		{closeBody(4321, ""), closeBody(4321, ""), 4321, ""},
		{closeBody(WSTryAgainLater, "ü"), closeBody(WSTryAgainLater, ""), WSTryAgainLater, "ü"},
		{"", "", WSNoStatus, ""},
	} {
		url := wsServeRaw(t, "", func(p *rawPeer) {
			p.send(ws.OpText, true, "last words")
			p.send(ws.OpClose, true, tc.payload)
			p.expect(ws.OpClose, tc.echoed)
		})
		w := dialWS(t, url, nil)
		var got []string
		for m, err := range w.Messages(t.Context()) {
			got = append(got, fmt.Sprint(string(m.Data), err))
		}
		if strings.Join(got, "|") != "last words<nil>" {
			t.Errorf("received %q", got)
		}
		_, err := w.Receive(t.Context())
		wantWSError(t, err, tc.code, true)
		if e := (*WSError)(nil); errors.As(err, &e) && e.Reason != tc.reason {
			t.Errorf("reason %q, want %q", e.Reason, tc.reason)
		}
		if !w.Closed() || w.CloseCode() != tc.code || w.Err() != nil {
			t.Errorf("closed %t, code %v, Err %v", w.Closed(), w.CloseCode(), w.Err())
		}
		if err := w.Close(t.Context(), WSNormalClosure, ""); err != nil {
			t.Errorf("Close after the peer: %v", err)
		}
	}
}

func TestWebSocketNoAutoClose(t *testing.T) {
	url := wsServeRaw(t, "", func(p *rawPeer) {
		p.send(ws.OpClose, true, closeBody(WSGoingAway, "bye"))
		p.expect(ws.OpText, "wait")
		p.expect(ws.OpClose, closeBody(WSNormalClosure, "mine"))
	})
	w := dialWS(t, url, &WSOptions{NoAutoClose: true})
	m, err := w.Receive(t.Context())
	if err != nil || m.Type != WSClose || m.CloseCode != WSGoingAway || string(m.Data) != "bye" {
		t.Fatalf("%+v, %v", m, err)
	}
	if w.Closed() || w.CloseCode() != WSGoingAway {
		t.Errorf("closed %t, code %v", w.Closed(), w.CloseCode())
	}
	if err := w.SendText(t.Context(), "wait"); err != nil {
		t.Error(err)
	}
	if err := w.Close(t.Context(), WSNormalClosure, "mine"); err != nil || w.CloseCode() != WSGoingAway {
		t.Errorf("%v, code %v", err, w.CloseCode())
	}
}

func TestWebSocketClose(t *testing.T) {
	url := wsServeRaw(t, "", func(p *rawPeer) {
		p.expect(ws.OpClose, closeBody(4000, "enough"))
		for range 2*wsQueueLength + 10 { // what was under way
			p.send(ws.OpText, true, "late")
		}
		p.send(ws.OpClose, true, closeBody(4001, "fine"))
	})
	w := dialWS(t, url, nil)
	received := make(chan error, 1)
	go func() { _, err := w.Receive(context.Background()); received <- err }()
	if err := w.Close(t.Context(), 4000, "enough"); err != nil {
		t.Error(err)
	}
	<-received // woken, be it by a late message
	_, err := w.Receive(t.Context())
	wantWSError(t, err, 4001, true)
	wantWSError(t, w.SendText(t.Context(), "x"), 4001, true)
	wantWSError(t, w.Ping(t.Context(), nil), 4001, true)
	if err := w.Close(t.Context(), WSNormalClosure, ""); err != nil || w.CloseCode() != 4001 {
		t.Errorf("second Close: %v, code %v", err, w.CloseCode())
	}

	for _, bad := range []struct {
		code   WSCloseCode
		reason string
	}{{WSNoStatus, ""}, {0, ""}, {WSNormalClosure, strings.Repeat("x", 124)}, {WSNormalClosure, "\xff"}} {
		w := dialWS(t, wsServe(t, nil, echo), nil)
		if err := w.Close(t.Context(), bad.code, bad.reason); err == nil || !w.Closed() {
			t.Errorf("Close(%v, %.9q): %v, closed %t", bad.code, bad.reason, err, w.Closed())
		}
	}
}

// Close ends in time whatever the peer does, and so does its reader.
func TestWebSocketCloseIsBounded(t *testing.T) {
	const limit = 7 * time.Second
	for name, tc := range map[string]struct {
		peer func(p *rawPeer)
		took time.Duration
	}{
		"deaf": {func(*rawPeer) { time.Sleep(time.Minute) }, limit},
		"mute": {func(p *rawPeer) { _, _ = io.Copy(io.Discard, p.Conn) }, limit},
		"babbling": {func(p *rawPeer) {
			go func() { _, _ = io.Copy(io.Discard, p.Conn) }()
			for p.sendFrame(ws.NewTextFrame([]byte("..."))) == nil {
				time.Sleep(time.Millisecond)
			}
		}, limit},
		"asking": {func(p *rawPeer) { // pings, and does not take the answer
			_ = p.sendFrame(ws.NewPingFrame(nil))
			time.Sleep(time.Minute)
		}, limit},
		"vanishing": {func(p *rawPeer) { _, _, _ = p.next() }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := pipeWS(t, &WSOptions{CloseTimeout: limit}, tc.peer)
				synctest.Wait()
				start := time.Now()
				wantWSError(t, w.Close(t.Context(), WSNormalClosure, ""), WSAbnormalClosure, false)
				if took := time.Since(start); took != tc.took {
					t.Errorf("Close took %v, want %v", took, tc.took)
				}
				if !w.Closed() || w.Err() == nil {
					t.Errorf("closed %t, Err %v", w.Closed(), w.Err())
				}
			})
		})
	}
	t.Run("context", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := pipeWS(t, nil, func(p *rawPeer) { _, _ = io.Copy(io.Discard, p.Conn) })
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			start := time.Now()
			err := w.Close(ctx, WSNormalClosure, "")
			wantWSError(t, err, WSAbnormalClosure, false)
			if took := time.Since(start); took != time.Second || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Close took %v: %v", took, err)
			}
		})
	})
}

func TestWebSocketConnectionLost(t *testing.T) {
	for name, peer := range map[string]func(p *rawPeer){
		"at once":         func(p *rawPeer) {},
		"in a header":     func(p *rawPeer) { _, _ = p.Write([]byte{0x81}) },
		"in a message":    func(p *rawPeer) { _, _ = p.Write([]byte{0x81, 5, 'a'}) },
		"among fragments": func(p *rawPeer) { p.send(ws.OpText, false, "abc") },
	} {
		w := dialWS(t, wsServeRaw(t, "", peer), nil)
		var got []error
		for _, err := range w.Messages(t.Context()) {
			got = append(got, err)
		}
		if len(got) != 1 {
			t.Fatalf("%s: %v", name, got)
		}
		wantWSError(t, got[0], WSAbnormalClosure, false)
		if !errors.Is(got[0], io.ErrUnexpectedEOF) || w.Err() != got[0] {
			t.Errorf("%s: %v, Err %v", name, got[0], w.Err())
		}
	}
}
