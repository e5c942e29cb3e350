package httpclient

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// newSession returns a session for a test, whose connector has no slot taken at its end.
func newSession(t testing.TB, cfg Config) *Session {
	t.Helper()
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if st := s.Connector().Stats(); st.Held() != 0 || st.Waiting != 0 {
			t.Errorf("slots are still held at the end: %+v", st)
		}
		_ = s.Close()
	})
	return s
}

func newTCP(t testing.TB, cfg TCPConfig) *TCPConnector {
	t.Helper()
	c, err := NewTCPConnector(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func serve(t testing.TB, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return srv
}

func TestCrawlerUse(t *testing.T) {
	var zipped bytes.Buffer
	w := gzip.NewWriter(&zipped)
	page := strings.Repeat("<a href=/x>x</a>", 4000)
	_, _ = io.WriteString(w, page)
	_ = w.Close()
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "Text/HTML; charset=UTF-8")
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(zipped.Bytes())
	})
	var guarded []netip.AddrPort
	c := newTCP(t, TCPConfig{PoolConfig: PoolConfig{Limit: 2, LimitPerHost: 1}, Guard: func(_ context.Context, host string, a netip.AddrPort) error {
		guarded = append(guarded, a)
		return nil
	}})
	s := newSession(t, Config{Connector: c, Jar: DummyJar{}})
	var body []byte
	for i := range 3 {
		req, err := NewRequest("GET", srv.URL+"/page?a=b%2Fc")
		if err != nil {
			t.Fatal(err)
		}
		var raw bytes.Buffer
		var wrote, first time.Time
		req.NoRedirects, req.RawBody = true, &raw
		req.Trace = &Trace{WroteRequest: func(at time.Time) { wrote = at }, GotFirstByte: func(at time.Time) { first = at }}
		resp, err := s.Do(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		body, err = resp.AppendBody(body[:0])
		if err != nil || string(body) != page {
			t.Fatalf("body of %d bytes, %v", len(body), err)
		}
		if resp.StatusCode != 200 || resp.Proto != "HTTP/1.1" || resp.ContentType() != "text/html" || resp.Charset() != "utf-8" ||
			resp.ContentEncoding() != "gzip" || resp.Header().Get("content-type") != "Text/HTML; charset=UTF-8" || resp.HeaderValue("CONTENT-TYPE") == "" {
			t.Errorf("response %+v", resp)
		}
		if !bytes.HasPrefix(resp.RawHead(), []byte("HTTP/1.1 200 OK\r\n")) || !bytes.HasSuffix(resp.RawHead(), []byte("\r\n\r\n")) {
			t.Errorf("head %q", resp.RawHead())
		}
		if !bytes.Equal(raw.Bytes(), zipped.Bytes()) || resp.WireBytes() != int64(zipped.Len()) || resp.Truncated() {
			t.Errorf("raw body of %d bytes, wire %d, want %d", raw.Len(), resp.WireBytes(), zipped.Len())
		}
		if wrote.IsZero() || first.Before(wrote) || resp.Timing().Reused != (i > 0) || resp.Timing().Done <= 0 {
			t.Errorf("wrote %v, first byte %v, timing %+v", wrote, first, resp.Timing())
		}
		if resp.RemoteAddr().String() != srv.Listener.Addr().String() {
			t.Errorf("remote address %v", resp.RemoteAddr())
		}
		resp.Release()
	}
	if len(guarded) != 1 || c.Stats().Dials != 1 || c.Stats().Reused != 2 || c.Stats().Idle != 1 {
		t.Errorf("guard saw %v, %+v", guarded, c.Stats())
	}
}

func TestGuardRefuses(t *testing.T) {
	refusal := errors.New("private address")
	c := newTCP(t, TCPConfig{Guard: func(context.Context, string, netip.AddrPort) error { return refusal }})
	s := newSession(t, Config{Connector: c})
	_, err := s.Get(t.Context(), "http://127.0.0.1:1/")
	var ce *ConnectorError
	if !errors.Is(err, refusal) || !errors.Is(err, ErrConnector) || !errors.As(err, &ce) || len(ce.Addrs) != 1 {
		t.Fatalf("error %v", err)
	}
}

func TestMaxBodyCuts(t *testing.T) {
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprint(w, strings.Repeat("x", 100_000))
	})
	s := newSession(t, Config{})
	for _, most := range []int64{1, 99_999, 100_000, 100_001, -1} {
		resp, err := s.Get(t.Context(), srv.URL, MaxBody(most))
		if err != nil {
			t.Fatal(err)
		}
		b, err := resp.AppendBody(nil)
		want := 100_000
		if most > 0 {
			want = min(int(most), want)
		}
		if err != nil || len(b) != want || resp.Truncated() != (want < 100_000) {
			t.Errorf("limit %d: %d bytes, truncated %v, %v", most, len(b), resp.Truncated(), err)
		}
	}
}
