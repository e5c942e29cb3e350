package httpclient

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// TestUploadKeepsConnection: a server may answer before the sending goroutine has
// noticed that the last byte is out. The connection serves on, and the count is right.
func TestUploadKeepsConnection(t *testing.T) {
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) })
	s := newSession(t, Config{})
	data := make([]byte, inlineBody+1)
	const rounds = 300
	for i := range rounds {
		body, opts := BytesBody(data), []RequestOption(nil)
		if i%2 == 1 {
			opts = append(opts, Chunked())
		}
		resp, err := s.Put(t.Context(), srv.URL, body, opts...)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := resp.Bytes(); err != nil || resp.BytesSent() != int64(len(data)) {
			t.Fatalf("%d bytes sent, %v", resp.BytesSent(), err)
		}
	}
	if st := s.Connector().Stats(); st.Dials != 1 || st.Reused != rounds-1 {
		t.Errorf("%+v", st)
	}
}

// TestReaderBodyAgain: a redirect is sent the same bytes as the request before it, from where the reader stood, though
// that one's body is still being read.
func TestReaderBodyAgain(t *testing.T) {
	const content = "the content"
	late := make(chan struct{})
	r := &lateReader{ReadSeeker: strings.NewReader("skipped " + content), reads: make(chan struct{}, 1), late: late}
	if _, err := r.Seek(int64(len("skipped ")), io.SeekStart); err != nil {
		t.Fatal(err)
	}
	srv := serveRaw(t, func(s *rawServer, c net.Conn) {
		br := bufio.NewReader(c)
		head, err := br.Peek(len("POST /old"))
		if err != nil {
			return
		}
		if string(head) == "POST /old" {
			<-r.reads
			_, _ = io.WriteString(c, redirectTo(http.StatusTemporaryRedirect, "/new"))
			_, _ = io.Copy(io.Discard, br)
			return
		}
		close(late)
		if got, err := s.read(br); err == nil {
			_, _ = io.WriteString(c, ok(got))
		}
	})
	resp, err := newSession(t, Config{}).Post(t.Context(), srv.URL+"/old", ReaderBody(r, -1))
	if err != nil {
		t.Fatal(err)
	}
	if text, err := resp.Text(); !strings.HasSuffix(text, "\r\n\r\nb\r\n"+content+"\r\n0\r\n\r\n") || err != nil {
		t.Errorf("%q, %v", text, err)
	}
}

// lateReader tells of its first Read, which takes until late is closed.
type lateReader struct {
	io.ReadSeeker
	reads chan struct{}
	late  chan struct{}
}

func (r *lateReader) Read(p []byte) (int, error) {
	select {
	case r.reads <- struct{}{}:
	default:
	}
	<-r.late
	return r.ReadSeeker.Read(p)
}

// TestReaderBodyPipe: an *os.File that cannot seek is sent once.
func TestReaderBodyPipe(t *testing.T) {
	srv := answer(t, func(request string) string {
		if strings.HasPrefix(request, "POST /old") {
			return redirectTo(http.StatusTemporaryRedirect, "/new")
		}
		return ok(request)
	})
	s := newSession(t, Config{})
	for _, path := range []string{"/", "/old"} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		_, _ = w.WriteString("once")
		_ = w.Close()
		resp, err := s.Post(t.Context(), srv.URL+path, ReaderBody(r, -1))
		if path == "/old" {
			if !errors.Is(err, ErrPayload) {
				t.Error(err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if text, _ := resp.Text(); !strings.Contains(text, "once") {
			t.Errorf("%q", text)
		}
	}
}

// TestExpect100Malformed: what comes instead of 100 Continue and cannot be read is an error, as it is without the question.
func TestExpect100Malformed(t *testing.T) {
	for _, head := range []string{"HTTP/1.1 abc\r\nContent-Length: 0\r\n\r\n", "220 smtp.test\r\n"} {
		srv := serveRaw(t, func(_ *rawServer, c net.Conn) {
			if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
				_, _ = io.WriteString(c, head)
				_, _ = io.Copy(io.Discard, c)
			}
		})
		_, err := newSession(t, Config{}).Post(t.Context(), srv.URL, StringBody("x"), Expect100(time.Hour))
		var pe *ProtocolError
		if !errors.As(err, &pe) || string(pe.Raw) != head {
			t.Errorf("%q: %v", head, err)
		}
	}
}
