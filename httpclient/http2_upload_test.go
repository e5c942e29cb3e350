package httpclient

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// pipesHTTP2 is a session in virtual time, whose connections all lead to a server of HTTP/2.
func pipesHTTP2(t *testing.T, limits Timeout, h http.HandlerFunc) (s *Session, end func()) {
	t.Helper()
	l := newPipes()
	var serving sync.WaitGroup
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		serving.Add(1)
		defer serving.Done()
		h(w, r)
	}))
	_ = srv.Listener.Close()
	srv.Listener = l
	srv.EnableHTTP2 = true
	srv.Config.ErrorLog = quietLog
	srv.StartTLS()
	c := newTCP(t, TCPConfig{TLS: rootsOf(srv), Dial: l.dial})
	s = newSession(t, Config{Connector: c, Version: HTTP2, Jar: DummyJar{}, Timeout: limits})
	return s, func() {
		_ = s.Close()
		srv.Close()
		serving.Wait()
		time.Sleep(time.Minute) // for a slow body to notice
	}
}

// TestHTTP2Upload: the limits of time are for the peer, each for its part of an upload, and what the caller's own body
// takes does not count.
func TestHTTP2Upload(t *testing.T) {
	const size = 4 << 20 // more than the server's windows
	long := BytesBody(make([]byte, size))
	slow := func(minutes int) Body {
		return PipeBody(func(w io.Writer) error {
			for range minutes {
				time.Sleep(time.Minute)
				if _, err := w.Write(make([]byte, 1000)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	for _, v := range []struct {
		path  string
		body  Body
		phase Phase // of the time-out; 0: none
		took  time.Duration
	}{
		{"/slow", long, 0, 64 * time.Second}, {"/read", slow(3), 0, 3 * time.Minute},
		{"/stall", long, PhaseWrite, 20 * time.Second}, {"/mute", long, PhaseFirstByte, 30 * time.Second},
		{"/mute", nil, PhaseFirstByte, 30 * time.Second}, {"/early", long, 0, 0},
		{"/read", slow(120), PhaseTotal, time.Hour},
	} {
		synctest.Test(t, func(t *testing.T) {
			limits := Timeout{Total: time.Hour, FirstByte: 30 * time.Second, Idle: 20 * time.Second}
			s, end := pipesHTTP2(t, limits, func(w http.ResponseWriter, r *http.Request) {
				switch r.URL.Path {
				case "/slow":
					for range size / (64 << 10) {
						time.Sleep(time.Second)
						_, _ = io.CopyN(io.Discard, r.Body, 64<<10)
					}
				case "/read":
					_, _ = io.Copy(io.Discard, r.Body)
				case "/mute":
					_, _ = io.Copy(io.Discard, r.Body)
					<-r.Context().Done()
				case "/stall":
					<-r.Context().Done()
				case "/early":
					w.WriteHeader(http.StatusRequestEntityTooLarge)
				}
			})
			defer end()
			var pieces, written, standard atomic.Int64
			ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{WroteRequest: func(httptrace.WroteRequestInfo) { standard.Add(1) }})
			tr := &Trace{WroteBody: func(n int) { pieces.Add(int64(n)) }, WroteRequest: func(time.Time) { written.Add(1) }}
			start := time.Now()
			resp, err := s.Post(ctx, "https://127.0.0.1"+v.path, v.body, WithTrace(tr))
			if took := time.Since(start).Round(2 * time.Second); took != v.took {
				t.Errorf("%s: took %v, want %v", v.path, took, v.took)
			}
			var te *TimeoutError
			switch {
			case v.phase != 0:
				if !errors.As(err, &te) || te.Phase != v.phase {
					t.Errorf("%s: %v, want a time-out of phase %v", v.path, err, v.phase)
				}
				return
			case err != nil:
				t.Errorf("%s: %v", v.path, err)
				return
			}
			resp.Release()
			synctest.Wait() // the request may be over before its sender knows
			sent, wrote := resp.BytesSent(), resp.Timing().Wrote
			if v.path == "/early" {
				if sent >= size {
					t.Errorf("%d bytes sent to a server that did not want them", sent)
				}
				return
			}
			want := v.body.Size()
			if want < 0 {
				want = 3000
			}
			if sent != want || pieces.Load() != want || written.Load() != 1 || standard.Load() != 1 || v.took-wrote > 20*time.Second {
				t.Errorf("%s: %d bytes sent, %d told, request written %d and %d times, after %v", v.path, sent, pieces.Load(), written.Load(), standard.Load(), wrote)
			}
		})
	}
}

// TestHTTP2Expect100: a server of HTTP/2 is asked as well whether it wants the body.
func TestHTTP2Expect100(t *testing.T) {
	for _, v := range []struct {
		path   string
		status int
		sent   int64
		took   time.Duration
	}{{"/wants", 200, 4, 0}, {"/silent", 200, 4, 10 * time.Second}, {"/refuses", 413, 0, 0}} {
		synctest.Test(t, func(t *testing.T) {
			s, end := pipesHTTP2(t, Timeout{Total: time.Hour}, func(w http.ResponseWriter, r *http.Request) {
				switch r.URL.Path {
				case "/silent":
					time.Sleep(10 * time.Second)
					fallthrough
				case "/wants":
					_, _ = io.Copy(io.Discard, r.Body) // which is when the server says so
				case "/refuses":
					w.WriteHeader(http.StatusRequestEntityTooLarge)
				}
			})
			defer end()
			start := time.Now()
			resp, err := s.Post(t.Context(), "https://127.0.0.1"+v.path, StringBody("data"), Expect100(time.Minute))
			if err != nil {
				t.Fatal(err)
			}
			if resp.Release(); resp.StatusCode != v.status || resp.BytesSent() != v.sent || time.Since(start) != v.took {
				t.Errorf("%s: status %d, %d bytes sent, after %v", v.path, resp.StatusCode, resp.BytesSent(), time.Since(start))
			}
		})
	}
	synctest.Test(t, func(t *testing.T) { // one that says nothing gets the body after a while
		s, end := pipesHTTP2(t, Timeout{}, func(w http.ResponseWriter, r *http.Request) {})
		defer end()
		x := &stream2{req: &Request{Expect100: time.Minute}, cancel: func(error) {}}
		x.req.effective.session = s
		b := newSending(io.NopCloser(strings.NewReader("data")), x, 4)
		start := time.Now()
		if data, err := io.ReadAll(b); string(data) != "data" || err != nil || time.Since(start) != time.Minute {
			t.Errorf("%q, %v after %v", data, err, time.Since(start))
		}
		x.patience.end()
	})
}

// TestHTTP2FailingBody: a fault of the caller's own body is told as such, and costs no connection.
func TestHTTP2FailingBody(t *testing.T) {
	srv := serveHTTP2(t, func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) })
	c := newTCP(t, TCPConfig{TLS: rootsOf(srv)})
	s := newSession(t, Config{Connector: c, Version: HTTP2})
	cause := errors.New("no more ink")
	for _, v := range []struct {
		body Body
		want error
	}{
		{PipeBody(func(w io.Writer) error { _, _ = w.Write([]byte("x")); return cause }), cause},
		{ReaderBody(strings.NewReader("abc"), 5), io.ErrUnexpectedEOF}, {ReaderBody(strings.NewReader("abcdefg"), 5), errLongBody},
	} {
		_, err := s.Put(t.Context(), srv.URL, v.body)
		var pe *PayloadError
		if !errors.As(err, &pe) || pe.Kind != PayloadRequest || !errors.Is(err, v.want) {
			t.Errorf("%v, want %v", err, v.want)
		}
	}
	for range 300 { // more than a server takes requests at a time
		if _, err := s.Put(t.Context(), srv.URL, FileBody("missing")); !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	_, err := s.Put(ctx, srv.URL, PipeBody(func(w io.Writer) error { cancel(); _, err := w.Write(make([]byte, 1<<20)); return err }))
	if !errors.Is(err, context.Canceled) || errors.Is(err, ErrPayload) {
		t.Error(err)
	}
	fetch(t, s, srv.URL)
	if st := c.Stats(); st.Dials != 1 || st.Held() != 0 {
		t.Errorf("%+v", st)
	}
}
