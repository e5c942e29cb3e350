package httpclient

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestLateCloses: responses and connections are closed and released twice, late,
// and while they are read, by their owners and by others. Nobody else notices: each
// response that is read is the one that was asked for, and no slot is lost.
func TestLateCloses(t *testing.T) {
	page := strings.Repeat("0123456789abcdef", 2000)
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Has("gzip") {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(encode(t, "gzip", []byte(r.URL.Path+"\n"+page)))
			return
		}
		if r.URL.Query().Has("chunked") {
			_, _ = io.WriteString(w, r.URL.Path+"\n")
			w.(http.Flusher).Flush()
		} else {
			w.Header().Set("Content-Length", fmt.Sprint(len(r.URL.Path)+1+len(page)))
			_, _ = io.WriteString(w, r.URL.Path+"\n")
		}
		_, _ = io.WriteString(w, page)
	})
	plain := httptest.NewServer(handler)
	defer plain.Close()
	both := httptest.NewUnstartedServer(handler)
	both.EnableHTTP2 = true
	both.StartTLS()
	defer both.Close()
	for _, tc := range []struct {
		name    string
		url     string
		version Version
	}{{"HTTP11", plain.URL, HTTP11}, {"HTTP2", both.URL, HTTP2}} {
		t.Run(tc.name, func(t *testing.T) {
			connector, err := NewTCPConnector(TCPConfig{Insecure: true, PoolConfig: PoolConfig{Limit: 4}})
			if err != nil {
				t.Fatal(err)
			}
			s, err := New(Config{Connector: connector, Version: tc.version, Jar: DummyJar{}})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			var m lateModel
			var wg sync.WaitGroup
			for actor := range 8 {
				wg.Go(func() { m.act(t, s, tc.url, uint64(actor), page) })
			}
			wg.Wait()
			m.others.Wait()
			if st := connector.Stats(); st.Held() != 0 || st.Reused == 0 {
				t.Errorf("at the end %+v", st)
			}
			if m.whole < 8 {
				t.Errorf("only %d responses were read whole", m.whole)
			}
		})
	}
}

type lateModel struct {
	others sync.WaitGroup // who close from elsewhere

	mu    sync.Mutex
	past  []io.Closer
	conns []*Conn
	whole int
}

// meddle ends something that has ended, or belongs to its caller.
func (m *lateModel) meddle(rnd *rand.Rand) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if n := len(m.past); n > 0 {
		_ = m.past[rnd.IntN(n)].Close()
	}
	if n := len(m.conns); n > 0 {
		c := m.conns[rnd.IntN(n)]
		c.Release()
		_ = c.Close()
	}
}

func (m *lateModel) act(t *testing.T, s *Session, url string, actor uint64, page string) {
	rnd := rand.New(rand.NewPCG(actor, 2))
	for i := range 40 {
		path := fmt.Sprintf("/%d/%d", actor, i)
		query := []string{"", "?chunked", "?gzip"}[rnd.IntN(3)]
		resp, err := s.Get(context.Background(), url+path+query)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		conn := resp.Conn()
		m.meddle(rnd)
		plan := rnd.IntN(6)
		switch plan {
		case 0: // somebody else closes it while it is read
			m.others.Go(func() {
				time.Sleep(time.Duration(actor*20) * time.Microsecond)
				_ = resp.Close()
			})
		case 1:
			m.others.Go(func() { _ = conn.Close() })
		case 2:
			m.others.Go(conn.Release)
		case 3:
			_ = resp.Close()
		}
		body, err := resp.Bytes()
		switch {
		case err == nil && string(body) != path+"\n"+page:
			t.Errorf("%s: got %.40q of %d bytes", path, body, len(body))
		case err == nil:
			m.mu.Lock()
			m.whole++
			m.mu.Unlock()
		case plan > 3, plan != 1 && plan != 2 && !errors.Is(err, ErrBodyClosed):
			t.Errorf("%s, plan %d: %v", path, plan, err)
		}
		if !strings.HasPrefix(path+"\n"+page, string(body)) {
			t.Errorf("%s: %.40q is not its beginning", path, body)
		}
		resp.Release()
		_ = resp.Close()
		resp.Release()
		m.mu.Lock()
		m.past = append(m.past, resp, resp.Body)
		m.conns = append(m.conns, conn)
		m.mu.Unlock()
	}
}

// TestCloseEndsARead: a Close from elsewhere, and the end of WaitEOF's context, wake
// who waits for a silent server; what else goes over an HTTP/2 connection goes on.
func TestCloseEndsARead(t *testing.T) {
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		if r.URL.Path == "/stall" {
			<-r.Context().Done()
		}
	})
	server := httptest.NewUnstartedServer(handler)
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	for _, version := range []Version{HTTP11, HTTP2} {
		t.Run(version.String(), func(t *testing.T) {
			connector, err := NewTCPConnector(TCPConfig{Insecure: true})
			if err != nil {
				t.Fatal(err)
			}
			s, err := New(Config{Connector: connector, Version: version})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			stall := func() *Response {
				resp, err := s.Get(t.Context(), server.URL+"/stall")
				if err != nil {
					t.Fatal(err)
				}
				return resp
			}
			resp := stall()
			reading := make(chan error)
			go func() {
				_, err := resp.Body.Read(make([]byte, 10))
				reading <- err
			}()
			for resp.Body.turn.Load() != streamReading {
				time.Sleep(time.Millisecond)
			}
			_ = resp.Close()
			if err := <-reading; !errors.Is(err, ErrBodyClosed) {
				t.Errorf("Read: %v", err)
			}
			resp = stall()
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(10*time.Millisecond, cancel)
			if err := resp.Body.WaitEOF(ctx); !errors.Is(err, context.Canceled) {
				t.Errorf("WaitEOF: %v", err)
			}
			fetch(t, s, server.URL+"/")
			for connector.Stats().Held() != 0 { // the slots come back, though perhaps a moment later
				time.Sleep(time.Millisecond)
			}
			if st := connector.Stats(); version == HTTP2 && st.Dials != 1 {
				t.Errorf("%d connections", st.Dials)
			}
		})
	}
}
